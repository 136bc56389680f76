"""A sweep's data in the shared memory of a machine, read once by each process that fits trials."""

from typing import Any, NamedTuple

from genotune.store import Store

_stores: dict[str, Store] = {}
"""The stores of this process, by the id of their Ray objects: read once, kept from trial to trial."""


class SharedStore(NamedTuple):
    """A store behind a Ray object; hidden in a tuple, so that Ray hands on the reference and not the arrays.

    Attributes:
        reference: of the store of training and validation.
        folds: of each fold's own, where a source learns from training samples what a store holds; none: one serves all.
        whole: of that which the winner is fitted on again, where a source learns so; None: one serves all.
    """

    reference: Any
    folds: tuple[Any, ...] = ()
    whole: Any = None

    def get(self) -> Store:
        """The store, its arrays lying in the node's shared memory."""
        return self._read(self.reference)

    def of_fold(self, fold: int) -> Store:
        """The store that the fold with this index is fitted and judged on."""
        return self._read(self.folds[fold] if self.folds else self.reference)

    def for_refit(self) -> "SharedStore":
        """The store that the winner is fitted on again."""
        return self if self.whole is None else SharedStore(self.whole)

    def _read(self, reference: Any) -> Store:
        import ray

        key = reference.hex()
        if key not in _stores:
            mine = {one.hex() for one in (self.reference, *self.folds)}
            for other in _stores.keys() - mine:
                del _stores[other]
            _stores[key] = ray.get(reference)
        return _stores[key]


def let_go_of_stores() -> None:
    """This process reads no store any more: their shared memory is free as soon as nobody else does."""
    _stores.clear()

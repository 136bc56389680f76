"""What a process keeps between trials, so that the second trial on the same data need not make it again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from genotune.store import Store

T = TypeVar("T")


class _Folds:
    """How many folds the trials of this process go through in turn."""

    n = 1


_for_folds = _Folds()


def keep_for_folds(n_folds: int) -> None:
    """From now on keep as much for each of so many folds: a trial comes back to the first of them at each epoch."""
    _for_folds.n = n_folds


class Kept(Generic[T]):
    """Things made from stores: of each store the last used ones, for as long as the store itself lives.

    What is kept must not hold on to the store, which would then never be let go.

    Args:
        most: things of one store at most; as many for each fold, see `keep_for_folds`.
    """

    def __init__(self, most: int) -> None:
        assert most >= 1
        self._most = most
        self._of_store: WeakKeyDictionary[Store, OrderedDict[Hashable, T]] = WeakKeyDictionary()

    def get(self, store: Store, key: Hashable, *, make: Callable[[], T]) -> T:
        """What is kept of the store under the key; made now if there is none.

        The thing that was used longest ago goes before another is made, so that there are never more than `most`.

        Args:
            store: what it is made from; the same object, not an equal one.
            key: everything else that it depends on.
            make: makes it. What it raises is passed on, and nothing is kept.
        """
        things = self._of_store.setdefault(store, OrderedDict())
        if key not in things:
            while len(things) >= self._most * _for_folds.n:
                things.popitem(last=False)
            things[key] = make()
        things.move_to_end(key)
        return things[key]

    def peek(self, store: Store, key: Hashable) -> T | None:
        """What is kept of the store under the key, if anything is."""
        return self._of_store.get(store, OrderedDict()).get(key)

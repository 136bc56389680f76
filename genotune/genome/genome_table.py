"""What a genome and its tracks can be split by, and what every such split has in common."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from genotune.columns import TargetKind
from genotune.errors import Problem
from genotune.genome.contig_names import name_some, spellings
from genotune.genome.fold import Fold
from genotune.genome.folds import hold_out_in_turn
from genotune.genome.homology import group_alike
from genotune.settings import Settings
from genotune.store import CodeArray, IntArray


@dataclass(frozen=True, eq=False)
class GenomeTable:
    """What a genome and its tracks can be split by.

    Attributes:
        contigs: lengths in bp, in the order of the store.
        tracks: names, in the order of the store.
        strand_pairs: indices of two tracks that are the strands of one signal.
        kind: of what the tracks hold.
        resolution_bp: width of a bin of the store.
        read: gives the codes (base,) of each contig, in order; only called where sequences are compared.
    """

    contigs: Mapping[str, int]
    tracks: tuple[str, ...] = ()
    strand_pairs: tuple[tuple[int, int], ...] = ()
    kind: TargetKind = "signal"
    resolution_bp: int = 1
    read: Callable[[], Iterable[CodeArray]] | None = None
    _alike: dict[float, IntArray] = field(default_factory=dict)

    @property
    def lengths(self) -> IntArray:
        """(contig,) in bp."""
        return np.array(list(self.contigs.values()), dtype=np.int64)

    def indices(self, contigs: Iterable[str]) -> IntArray:
        """Where in the store these contigs are, rising."""
        wanted = {*contigs}
        return np.array([index for index, contig in enumerate(self.contigs) if contig in wanted], dtype=np.int64)

    def alike(self, identity: float) -> IntArray:
        """(contig,) its group of near-identical contigs; see `group_alike`. Read and compared once."""
        if identity not in self._alike:
            assert self.read is not None, "a table that can't be asked for its sequence"
            self._alike[identity] = group_alike(self.read(), n_bases=int(self.lengths.sum()), identity=identity)
        return self._alike[identity]


class GenomeSplitSettings(Settings, ABC):
    """Contigs or tracks are held out."""

    of: ClassVar[Literal["contigs", "samples"]] = "contigs"

    @abstractmethod
    def problems(self, table: GenomeTable) -> list[Problem]:
        """What doesn't fit the data, with paths relative to the split; empty when all fits."""

    @abstractmethod
    def resolve(self, table: GenomeTable) -> Fold:
        """The contigs and tracks of each split, once `problems` has found nothing."""

    def folds(self, table: GenomeTable, fold: Fold, *, n_folds: int) -> list[Fold]:
        """Training and validation with each of so many parts held out in turn; test stays as it is.

        Contigs are held out whole, so that all folds have about as many bases; as many folds as there are groups of
        them, where those are fewer than asked.
        """
        members = np.sort(np.concatenate([fold.train, fold.validation]))
        groups, weights = self._kept_together(table)[members], table.lengths[members]
        return hold_out_in_turn(members, groups, weights=weights, n_folds=n_folds, test=fold.test)

    def notes(self, table: GenomeTable) -> tuple[str, ...]:
        """What a person should know of the split, once `problems` has found nothing."""
        del table
        return ()

    def _kept_together(self, table: GenomeTable) -> IntArray:
        """(contig,) index of the group of contigs that a fold holds out together."""
        return np.arange(len(table.contigs))


def naming_problems(
    named: Mapping[tuple[str | int, ...], Sequence[str]], known: Sequence[str] | Mapping[str, int], *, thing: str
) -> list[Problem]:
    """What is wrong with the names that each part of a split lists: unknown, named twice, or in two parts.

    Args:
        named: by the path of each part, relative to the split; its last key is what a person calls it.
        known: names that the data has.
        thing: 'contig' or 'track'.
    """
    found: list[Problem] = []
    first_seen: dict[str, tuple[str | int, ...]] = {}
    for path, names in named.items():
        if not names:
            message = f"no {thing} is named, so the split is empty. The data has {name_some(list(known))}."
            found.append(Problem(path, message))
        for index, name in enumerate(names):
            seen_in = first_seen.setdefault(name, path)
            if name not in known:
                fault = f"the data has no {thing} {name!r}.{_did_you_mean(name, list(known))}"
            elif seen_in != path:
                fault = (
                    f"{name!r} is in {seen_in[-1]} too; a {thing} belongs to one split, or what is learned leaks into "
                    "the score."
                )
            elif name in names[:index]:
                fault = f"{name!r} is named twice."
            else:
                continue
            found.append(Problem((*path, index), fault))
    return found


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    renamed = [spelling for style in ("ucsc", "ensembl") for spelling in spellings(name, style)]
    near = [spelling for spelling in renamed if spelling in known] or difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" It has {name_some(known)}."

"""Who among the samples of a fileset is related: a subset of its variants is decoded, and every pair is estimated."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genotune.errors import DataError
from genotune.genome.fold import Fold
from genotune.genome.kinship import (
    FEWEST_VARIANTS,
    KINSHIP_ABOVE,
    KinPairs,
    count_degrees,
    find_duplicates,
    find_kin,
    hard_calls,
    kin_groups,
)
from genotune.genome.kinship_splits import MOST_FOR_KIN
from genotune.store import MISSING_DOSAGE, DosageArray, IntArray, TextArray, Values

Decode = Callable[[Sequence[IntArray]], Iterator[DosageArray]]
"""Gives the (sample, variant) dosages of each block of variants, in turn; blocks rise, since some files are read so."""

MOST_SAMPLES: Final = 20_000
"""Above so many, every pair takes too long where nobody asked for kinship."""

_MOST_VARIANTS: Final = 10_000
_MOST_FOR_DUPLICATES: Final = 2_048
_MOST_TRIED: Final = 5
"""Where most variants are rare, so many times those that are wanted are tried."""
_LEAST_MAF: Final = 0.05
_LEAST_CALL_RATE: Final = 0.95
_BLOCK_BYTES: Final = 8_000_000


def blocks_of(variants: IntArray, *, n_samples: int) -> list[IntArray]:
    """The variants, rising, in parts that take little memory to decode."""
    rising = np.sort(variants)
    n = max(1, _BLOCK_BYTES // max(1, n_samples))
    return [rising[first : first + n] for first in range(0, len(rising), n)]


def find_relatives(decode: Decode, order: IntArray, *, n_samples: int) -> KinPairs:
    """All pairs of samples that are related, by 10,000 variants at most; see `common_genotypes`."""
    # Every pair of blocks of samples is gone through, so each sample's genotypes are laid side by side once.
    return find_kin(common_genotypes(decode, order, n_samples=n_samples).copy(order="C"))


def find_same(decode: Decode, order: IntArray, *, n_samples: int) -> KinPairs:
    """The pairs of samples that are one person, by 2,048 variants at most; see `common_genotypes`."""
    return find_duplicates(common_genotypes(decode, order, n_samples=n_samples, most=_MOST_FOR_DUPLICATES))


def common_genotypes(
    decode: Decode, order: IntArray, *, n_samples: int, most: int = _MOST_VARIANTS
) -> NDArray[np.int8]:
    """(sample, variant) whole copies of common, well called variants all over the genome, in int8.

    They have a rarer allele of 0.05 or more and a call rate of 0.95 or more among these very samples. They are looked
    for among as many as are wanted, in their order, then, if half of these are none, among four times more. No trait is
    looked at and nothing is fitted: who is whose kin is a fact of the samples, of all splits together.

    Args:
        decode: gives genotypes of the samples.
        order: (variant,) autosomal variants, each beginning of which lies evenly; see `spread_order`.
        n_samples: that are decoded.
        most: variants that are wanted.
    """
    # Filled in place: of many samples there is no room for a second copy.
    kept: NDArray[np.int8] = np.empty((min(most, len(order)), n_samples), dtype=np.int8)
    n_kept = 0
    for batch in (order[:most], order[most : _MOST_TRIED * most]):
        if n_kept >= most // 2:
            break
        for dosage in decode(blocks_of(batch, n_samples=n_samples)):
            calls = hard_calls(dosage)
            fit = calls[:, _is_fit(calls)].T[: len(kept) - n_kept]
            kept[n_kept : n_kept + len(fit)] = fit
            n_kept += len(fit)
    return kept[:n_kept].T


def repeated_samples(pairs: KinPairs, call_rates: Values) -> IntArray:
    """(left out,) of each set of duplicates all samples but the one with the highest call rate, the first of equals."""
    groups = kin_groups(pairs, n_samples=len(call_rates), degree=0)
    order = np.lexsort((np.arange(len(groups)), -call_rates, groups))
    is_first = np.append(True, np.diff(groups[order]) != 0)
    return np.sort(order[~is_first])


def check_parted(pairs: KinPairs, folds: Sequence[Fold], *, ids: TextArray) -> None:
    """Nothing, if no two samples that are duplicates lie in two splits of any of the folds.

    Args:
        pairs: of samples.
        folds: the splits of the sweep, then those of its evaluation.
        ids: (sample, 2) family and individual ID.

    Raises:
        DataError: with the first pair, and what to do.
    """
    for fold in folds:
        parted = parted_pairs(pairs.up_to(0), fold)
        n = len(parted.first)
        if n and pairs.told >= 0:
            one, other = (" ".join(ids[side[0]].tolist()) for side in (parted.first, parted.second))
            many = f"{n:,} pairs of samples are" if n > 1 else "1 pair of samples is"
            raise DataError(
                f"{many} in two splits though both are one person, or twins (kinship above {KINSHIP_ABOVE[0]:g} by "
                f"{pairs.n_variants:,} variants): first {one} and {other}. A model that has seen one knows the other. "
                "Write split: {by: kinship, degree: 2} to keep kin together, or data.drop_duplicates: true to keep one "
                "of each."
            )


def parted_pairs(pairs: KinPairs, fold: Fold) -> KinPairs:
    """The pairs whose samples lie in two splits."""
    n_samples = 1 + max(int(part.max(initial=0)) for part in (*fold, pairs.second))
    split_of = np.full(n_samples, -1)
    for split, members in enumerate(fold):
        split_of[members] = split
    first, second = split_of[pairs.first], split_of[pairs.second]
    return pairs.where((first != second) & (first >= 0) & (second >= 0))


def kin_notes(pairs: KinPairs, fold: Fold) -> tuple[str, ...]:
    """What a person should know of close kin in two splits, as far as so many variants tell."""
    if pairs.told < 0:
        return (
            f"duplicates and kin were not looked for: that takes {FEWEST_VARIANTS[0]} common, well called autosomal "
            f"variants, and there are {pairs.n_variants:,}.",
        )
    if pairs.farthest == 0:
        return (
            f"kin in two splits were not looked for, only duplicates: above {MOST_SAMPLES:,} samples that takes long. "
            f"split: {{by: kinship}} does it all the same, up to {MOST_FOR_KIN:,}.",
        )
    parted = parted_pairs(pairs.up_to(min(pairs.told, pairs.farthest)), fold)
    if not len(parted.first):
        return ()
    return (
        f"pairs of kin that lie in two splits, by {pairs.n_variants:,} variants: {count_degrees(parted.degrees)}. The "
        "score says in part how well the model knows their families. Write split: {by: kinship, degree: 2}, where that "
        "leaves groups enough.",
    )


def _is_fit(calls: DosageArray) -> NDArray[np.bool_]:
    """(variant,) whether it is common and well called."""
    is_called = calls != MISSING_DOSAGE
    n_called = np.count_nonzero(is_called, axis=0)
    copies = np.where(is_called, calls, 0).sum(axis=0, dtype=np.int64)
    rarer = np.minimum(copies, 2 * n_called - copies)
    is_common = rarer >= _LEAST_MAF * 2 * np.maximum(n_called, 1)
    return np.asarray(is_common & (n_called >= _LEAST_CALL_RATE * len(calls)))

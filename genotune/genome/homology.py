"""Which sequences are near-identical, by the k-mers that they share. numpy only.

A sequence is sketched: of the hashes of its canonical 21-mers those below a limit are kept, the same limit for all, so
that two sketches share what the sequences share. Of two sequences, the containment is the share of the smaller sketch
that lies in the other; its k-th root estimates the identity of what they share.

Source: Irber et al. 2022, FracMinHash sketches; Hera, Pierce-Ward and Koslicki 2023, identity from their containment.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.store import N_CODE, CodeArray, IntArray

HashArray = NDArray[np.uint64]

K: Final = 21
"""Long enough that two unrelated genomes of a few Gb share next to no k-mer by chance."""

_MOST_HASHES: Final = 1 << 21
_FEWEST_SHARED: Final = 3
"""Fewer common k-mers, of sketches that have as many, are chance or low complexity."""

_MOST_COMMON: Final = 200
"""A k-mer that lies in more sequences than this belongs to a repeat of the whole genome and tells none apart."""

_BITS: Final = np.uint8(3)
_CHUNK_BASES: Final = 1 << 20
_CHUNK_PAIRS: Final = 1 << 21
_FACTORS: Final = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))
"""Of MurmurHash3's finaliser."""


class _Shared(NamedTuple):
    """Pairs of sequences with common k-mers: (pair,) the lower and the higher index, and how many they share."""

    first: IntArray
    second: IntArray
    n_shared: IntArray


def group_alike(sequences: Iterable[CodeArray], *, n_bases: int, identity: float) -> IntArray:
    """(sequence,) index of the group of each: whoever is near-identical to one of a group belongs to it.

    Args:
        sequences: codes (base,) of each; either strand will do.
        n_bases: of all sequences together; it decides how dense the sketches are.
        identity: from this identity of the smaller sequence to the other on, they belong together. What is smaller and
            lies in the other only in part counts as so much less: half of it, copied exactly, is an identity of
            0.5 ** (1 / 21), which is 0.97.
    """
    density = min(1.0, _MOST_HASHES / max(1, n_bases))
    sketches = [sketch(codes, density=density) for codes in sequences]
    shared, sizes = _shared_kmers(sketches)
    smaller = np.minimum(sizes[shared.first], sizes[shared.second])
    enough = np.maximum(identity**K * smaller, np.minimum(_FEWEST_SHARED, smaller))
    alike = shared.n_shared >= enough
    return _components(len(sketches), shared.first[alike], shared.second[alike])


def sketch(codes: CodeArray, *, density: float) -> HashArray:
    """Hashes of the distinct canonical 21-mers, rising; about so large a part of them as `density` says.

    A k-mer with an N is left out.

    Args:
        codes: (base,).
        density: more than 0, at most 1.
    """
    limit = np.uint64(min(2**64 - 1, int(density * 2.0**64)))
    kept = [np.empty(0, dtype=np.uint64)]
    for first in range(0, max(0, len(codes) - K + 1), _CHUNK_BASES):
        hashes = _mix(_canonical_kmers(codes[first : first + _CHUNK_BASES + K - 1]))
        kept.append(hashes[hashes <= limit])
    return np.unique(np.concatenate(kept))


def _canonical_kmers(codes: CodeArray) -> HashArray:
    """(k-mer,) the 21-mers without an N, each as the lower of its two strands' numbers, base 4."""
    forward = _packed(codes & _BITS)
    # The other strand is the complement read backwards, so that its k-mers come in the opposite order.
    backward = _packed(_BITS - (codes[::-1] & _BITS))[::-1]
    n_unknown = np.cumsum(np.pad(codes == N_CODE, (1, 0)), dtype=np.int32)
    known = n_unknown[K:] == n_unknown[:-K]
    canonical: HashArray = np.minimum(forward, backward)[known]
    return canonical


def _packed(bases: CodeArray) -> HashArray:
    """(k-mer,) the number of each 21-mer, base 4, from those of 2, 4, 8, 16 and 20 bases."""
    one: NDArray[np.uint32] = bases.astype(np.uint32)
    two = one[:-1] << 2 | one[1:]
    four = two[:-2] << 4 | two[2:]
    eight = four[:-4] << 8 | four[4:]
    sixteen = (eight[:-8] << 16 | eight[8:]).astype(np.uint64)
    return sixteen[:-5] << np.uint64(10) | (four[16:-1] << 2 | one[20:]).astype(np.uint64)


def _mix(kmers: HashArray) -> HashArray:
    """A number that looks random for each k-mer, the same wherever it occurs. Source: Appleby 2011, MurmurHash3."""
    mixed = kmers.copy()
    for factor in _FACTORS:
        mixed ^= mixed >> np.uint64(33)
        mixed *= factor
    return mixed ^ mixed >> np.uint64(33)


def _shared_kmers(sketches: list[HashArray]) -> tuple[_Shared, IntArray]:
    """Pairs with common k-mers, and (sequence,) the size of each sketch; k-mers of repeats count in neither."""
    owner = np.repeat(np.arange(len(sketches)), [len(one) for one in sketches])
    hashes = np.concatenate([np.empty(0, dtype=np.uint64), *sketches])
    order = np.argsort(hashes, kind="stable")
    hashes, owner = hashes[order], owner[order]
    starts = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1])) if len(hashes) else np.empty(0, dtype=np.int64)
    numbers = np.diff(starts, append=len(hashes))
    informative = np.repeat(numbers <= _MOST_COMMON, numbers)
    sizes = np.bincount(owner[informative], minlength=len(sketches))
    pairs, counts = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for found in _pairs(owner, starts, numbers, n_sequences=len(sketches)):
        each, count = np.unique(found, return_counts=True)
        pairs.append(each)
        counts.append(count)
    each, of_part = np.unique(np.concatenate(pairs), return_inverse=True)
    count = np.bincount(of_part, weights=np.concatenate(counts), minlength=len(each)).astype(np.int64)
    return _Shared(*np.divmod(each, max(1, len(sketches))), count), sizes


def _pairs(owner: IntArray, starts: IntArray, numbers: IntArray, *, n_sequences: int) -> Iterator[IntArray]:
    """(pair,) first * n_sequences + second of each k-mer's owners, in parts.

    Args:
        owner: (hash,) sequence that each hash is of, in the order of the hashes, rising where they are equal.
        starts: (k-mer,) its first place there.
        numbers: (k-mer,) sequences that have it.
        n_sequences: in all.
    """
    for number in np.unique(numbers[(numbers > 1) & (numbers <= _MOST_COMMON)]).tolist():
        first, second = np.triu_indices(number, k=1)
        at = starts[numbers == number]
        step = max(1, _CHUNK_PAIRS // len(first))
        for begin in range(0, len(at), step):
            owners = owner[at[begin : begin + step, None] + np.arange(number)]
            yield (owners[:, first] * n_sequences + owners[:, second]).ravel()


def _components(n: int, first: IntArray, second: IntArray) -> IntArray:
    """(member,) which of the connected components each belongs to, numbered by their first members."""
    lowest = np.arange(n)
    while True:
        before = lowest.copy()
        near = np.minimum(lowest[first], lowest[second])
        np.minimum.at(lowest, lowest[first], near)
        np.minimum.at(lowest, lowest[second], near)
        lowest = lowest[lowest]
        if np.array_equal(lowest, before):
            return np.unique(lowest, return_inverse=True)[1]

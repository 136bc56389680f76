"""Exact test of Hardy-Weinberg proportions, of many variants at once. numpy only.

Letters: h heterozygotes, of the parity of the rarer allele's copies; w(h) their chance but for a factor, which rises up
to its mode and falls from there.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.store import IntArray, Values

_SAME_CHANCE: Final = 1e-7
"""Chances that differ by less than this share are equal but for rounding, as PLINK has it."""

_NEGLIGIBLE: Final = 1e-18
_AT_A_TIME: Final = 1 << 14


class _Cohorts(NamedTuple):
    """Of variants: copies of the rarer and of the commoner allele, (v,) int64 each."""

    rare: IntArray
    common: IntArray

    def of(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "_Cohorts":
        return _Cohorts(self.rare[chosen], self.common[chosen])

    @property
    def lowest(self) -> IntArray:
        """(v,) fewest heterozygotes."""
        return self.rare % 2

    @property
    def mode(self) -> IntArray:
        """(v,) heterozygotes with the highest chance: the first h with w(h + 2) <= w(h)."""
        least = np.maximum(-(-(self.rare * self.common - 2) // (self.rare + self.common + 3)), 0)
        return np.minimum(least + (least - self.rare) % 2, self.rare)


def hardy_weinberg_p(n_two: IntArray, n_one: IntArray, *, n_none: IntArray) -> Values:
    """(v,) p-value of the exact test; 1 where no genotype is known.

    The chances of all numbers of heterozygotes that are possible for these allele counts are summed where they aren't
    above that of the number which was seen.

    Source: Wigginton et al. 2005, equations 1 and 2.

    Args:
        n_two: (v,) samples with two copies of an allele.
        n_one: (v,) with one.
        n_none: (v,) with none.
    """
    first, second = 2 * n_two + n_one, 2 * n_none + n_one
    seen = np.stack([np.minimum(first, second), np.maximum(first, second), n_one]).astype(np.int64)
    different, place = np.unique(seen, axis=1, return_inverse=True)
    # Twice the digits of a float64 where the machine has them: the logarithms are some millions in a biobank.
    numbers = np.arange(1, int(n_two.max(initial=0) + n_one.max(initial=0) + n_none.max(initial=0)) + 1)
    log_factorial = np.concatenate([np.zeros(1, np.longdouble), np.cumsum(np.log(numbers.astype(np.longdouble)))])
    p = np.empty(different.shape[1])
    for start in range(0, len(p), _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        p[part] = _p(_Cohorts(different[0, part], different[1, part]), different[2, part], log_factorial)
    return np.asarray(p[place])


def _p(cohorts: _Cohorts, seen: IntArray, log_factorial: NDArray[np.longdouble]) -> Values:
    mode = cohorts.mode
    highest = _log_chance(mode, cohorts, log_factorial)
    limit = _log_chance(seen, cohorts, log_factorial) + np.log1p(_SAME_CHANCE)
    below = _last_within(cohorts, mode=mode, limit=limit, log_factorial=log_factorial, is_up=False)
    above = _last_within(cohorts, mode=mode, limit=limit, log_factorial=log_factorial, is_up=True)
    total = _outwards(mode, cohorts, is_up=True) + _outwards(mode, cohorts, is_up=False) - 1
    within = np.zeros(len(mode))
    for ends, is_up in ((below, False), (above, True)):
        has_one = (ends >= cohorts.lowest) & (ends <= cohorts.rare)
        some = cohorts.of(has_one)
        chance = np.exp(_log_chance(ends[has_one], some, log_factorial) - highest[has_one]).astype(np.float64)
        within[has_one] += chance * _outwards(ends[has_one], some, is_up=is_up)
    return np.asarray(np.where(highest <= limit, 1.0, np.minimum(within / total, 1)))


def _log_chance(hets: IntArray, cohorts: _Cohorts, log_factorial: NDArray[np.longdouble]) -> NDArray[np.longdouble]:
    """(v,) log w(h), but for what is the same for all h."""
    rare, common = (cohorts.rare - hets) // 2, (cohorts.common - hets) // 2
    chance = hets * np.log(np.longdouble(2)) - log_factorial[hets] - log_factorial[rare] - log_factorial[common]
    return np.asarray(chance)


def _last_within(
    cohorts: _Cohorts,
    *,
    mode: IntArray,
    limit: NDArray[np.longdouble],
    log_factorial: NDArray[np.longdouble],
    is_up: bool,
) -> IntArray:
    """(v,) h nearest to the mode, on one side of it, whose chance isn't above the limit; past the end if none is.

    By halves: k steps of 2 away from the mode are too few, `far` of them enough.
    """
    sign = 1 if is_up else -1
    far = ((cohorts.rare - mode) if is_up else (mode - cohorts.lowest)) // 2 + 1
    near = np.zeros_like(far)
    while (far - near > 1).any():
        middle = (near + far) // 2
        hets = mode + sign * 2 * middle
        is_within = _log_chance(hets, cohorts, log_factorial) <= limit
        moves = far - near > 1
        far, near = np.where(moves & is_within, middle, far), np.where(moves & ~is_within, middle, near)
    return np.asarray(mode + sign * 2 * far)


def _outwards(hets: IntArray, cohorts: _Cohorts, *, is_up: bool) -> Values:
    """(v,) sum of w from h on, away from the mode, in units of w(h).

    Source: Wigginton et al. 2005, equation 2: w(h + 2) / w(h) = 4 rare common / ((h + 1) (h + 2)) homozygotes.
    """
    total = np.ones(len(hets))
    active = np.arange(len(hets))
    h, rare = hets.astype(np.float64), ((cohorts.rare - hets) // 2).astype(np.float64)
    common, term = ((cohorts.common - hets) // 2).astype(np.float64), total.copy()
    while len(active):
        if is_up:
            term = term * (4 * rare * common / ((h + 1) * (h + 2)))
            h, rare, common = h + 2, rare - 1, common - 1
        else:
            term = term * (h * (h - 1) / (4 * (rare + 1) * (common + 1)))
            h, rare, common = h - 2, rare + 1, common + 1
        total[active] += term
        goes_on = term > _NEGLIGIBLE * total[active]
        if not goes_on.all():
            active, term = active[goes_on], term[goes_on]
            h, rare, common = h[goes_on], rare[goes_on], common[goes_on]
    return total

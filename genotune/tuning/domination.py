"""Several objectives compared: what nothing beats in all of them, and an order of the rest. numpy only.

Losses throughout: (trial, objective), finite, lower is better; the first objective is the primary one. A trial
dominates another if it is no worse in any objective and better in one; equal ones don't dominate each other.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]
Indices = NDArray[np.intp]


def first_front(losses: Losses) -> Indices:
    """Indices, rising, of those that no other dominates."""
    remaining: Indices = np.lexsort(losses.T[::-1])
    front = []
    while len(remaining):
        # Nothing that comes later in this order dominates what comes earlier.
        one, rest = remaining[0], losses[remaining[1:]]
        front.append(one)
        is_dominated = (losses[one] <= rest).all(axis=1) & (losses[one] < rest).any(axis=1)
        remaining = remaining[1:][~is_dominated]
    return np.sort(np.array(front, dtype=np.intp))


def fronts(losses: Losses) -> Iterator[Indices]:
    """Those that nothing dominates, then those that only they dominate, and so on.

    Source: Deb et al. 2002 (NSGA-II), section III.A, non-dominated sorting.
    """
    left: Indices = np.arange(len(losses))
    while len(left):
        front = first_front(losses[left])
        yield left[front]
        left = np.delete(left, front)


def best(losses: Losses, n: int) -> Indices:
    """Indices of the best n, or of all if there are fewer, the best first: front by front, each in `spread` order.

    With one objective these are the n lowest losses, of equal ones the earlier first.
    """
    found: list[Indices] = []
    n_found = 0
    for front in fronts(losses):
        found.append(front[spread(losses[front])])
        n_found += len(front)
        if n_found >= n:
            break
    return np.concatenate(found)[:n] if found else np.arange(0)


def is_among_best(losses: Losses, index: int, n: int) -> bool:
    """Whether one of them is among the `best` n, found without an order of all."""
    one = losses[index]
    if np.count_nonzero((losses <= one).all(axis=1) & (losses < one).any(axis=1)) >= n:
        return False
    n_before = 0
    for front in fronts(losses):
        if index in front:
            fits = n_before + len(front) <= n
            return fits or index in front[spread(losses[front])[: n - n_before]]
        n_before += len(front)
        if n_before >= n:
            break
    return False


def spread(losses: Losses) -> Indices:
    """An order whose every beginning covers the whole: the best of the primary objective, then ever the farthest one.

    Each objective is measured in units of its range here, among one trial at least. Of equals the earlier comes first.
    Source: Schmucker et al. 2021 (Multi-objective Asynchronous Successive Halving) and Salinas et al. 2021 (A
    multi-objective perspective on jointly tuning hardware and hyperparameters), the epsilon-net of a front; Clarkson
    2006 (Nearest-Neighbor Searching and Metric Space Dimensions) for its construction.
    """
    width = np.ptp(losses, axis=0)
    scaled = losses / np.where(width > 0, width, 1)
    off = np.full(len(losses), np.inf)
    order = np.empty(len(losses), dtype=np.intp)
    following = int(np.lexsort(losses.T[::-1])[0])
    for place in range(len(losses)):
        order[place] = following
        off = np.minimum(off, np.linalg.norm(scaled - scaled[following], axis=1))
        off[following] = -1  # taken
        following = int(np.argmax(off))
    return order


def hypervolume(losses: Losses, reference: Sequence[float] | NDArray[Any]) -> float:
    """The part of space that is dominated by these and dominates the reference: an area of two objectives.

    Exact for any number of objectives, by slices along the last one; meant for a front of at most hundreds.
    """
    corner = np.asarray(reference, dtype=np.float64)
    inside = losses[(losses < corner).all(axis=1)]
    if not len(inside):
        return 0.0
    if len(corner) == 1:
        return float(corner[0] - inside.min())
    inside = inside[np.argsort(inside[:, -1], kind="stable")]
    depths = np.diff(np.append(inside[:, -1], corner[-1]))
    return float(
        sum(depth * hypervolume(inside[: n + 1, :-1], corner[:-1]) for n, depth in enumerate(depths) if depth > 0)
    )

"""Which family comes next, for searchers that search each family by itself."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from genotune.tuning.history import History

_BEST_SHARE: Final = 0.25
_MOST: Final = 100
"""Trials that are counted at most, so that a sweep of thousands costs no more each time it is asked."""


def promising_family(history: History, families: Sequence[str], rng: np.random.Generator) -> str:
    """One of the families at random: each as often as it is among the best quarter of trials so far, and once more.

    So the search goes where the good trials are, and no family is ever shut out.
    """
    if len(families) == 1:
        return families[0]
    best = history.best(min(math.ceil(_BEST_SHARE * history.n_ended), _MOST))
    counts = Counter(trial.point.family for trial in best)
    weights = np.array([counts[family] + 1 for family in families], dtype=float)
    return families[int(rng.choice(len(families), p=weights / weights.sum()))]

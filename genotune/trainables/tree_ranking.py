"""How much each variant helps boosted trees to tell a trait, on training samples alone."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import xgboost

from genotune.store import FloatArray, GenotypeStore, IntArray, Values, copies
from genotune.trainables.boosting import Part, binned
from genotune.trainables.genotype_trees import objective_of
from genotune.trainables.preparation import ByTrees

_PART_BYTES: Final = 1 << 25
_MAX_BIN: Final = 32
"""Of a feature: enough for a covariate or a dosage in fractions of a copy; whole copies have three values."""

_SETTINGS: Final[dict[str, Any]] = {
    "tree_method": "hist",
    "colsample_bynode": 0.5,  # else a variant whose neighbour says the same would never be seen
    "seed": 0,  # the same in every trial
    "max_bin": _MAX_BIN,
    "verbosity": 0,
}


def tree_gain(
    settings: ByTrees,
    store: GenotypeStore,
    samples: IntArray,
    *,
    columns: IntArray,
    covariates: FloatArray,
    n_threads: int,
) -> Values:
    """(column,) what all splits at a variant take off the training loss together; 0 where there is none.

    Args:
        settings: of the trees.
        store: the data.
        samples: indices to learn from; no other is looked at.
        columns: variants that are offered.
        covariates: (sample, covariate) of all samples, that are offered beside them.
        n_threads: CPU threads at most.
    """
    step = max(1, _PART_BYTES // (4 * (len(columns) + covariates.shape[1])))

    def parts() -> Iterator[Part]:
        for first in range(0, len(samples), step):
            chosen = samples[first : first + step]
            rows = np.concatenate([copies(store.dosage[np.ix_(chosen, columns)]), covariates[chosen]], axis=1)
            yield Part(rows, store.phenotype[chosen].astype(np.float32))

    matrix = binned(parts, missing=np.nan, max_bin=_MAX_BIN, n_threads=n_threads)
    params = {
        **_SETTINGS,
        **objective_of(store.kind, n_classes=len(store.classes)),
        "max_depth": settings.max_depth,
        "learning_rate": settings.learning_rate,
        "nthread": n_threads,
    }
    booster = xgboost.train(params, matrix, num_boost_round=settings.rounds)
    gain = np.zeros(len(columns) + covariates.shape[1])
    for name, value in booster.get_score(importance_type="total_gain").items():
        gain[int(name.removeprefix("f"))] = np.sum(value)
    return gain[: len(columns)]

"""Small fits of boosted trees on tracks."""

import numpy as np

from genotune.trainables.boosted_trees_tracks import TrackTrees
from genotune.trainables.trainable import FitPlan

SMALL = {"rounds_per_epoch": 4, "bin_bp": 16, "k": 3, "flank_bp": 24}
DRAWN = {**SMALL, "subsample": 0.7, "colsample_bytree": 0.5}


def fit(store, splits, *, seed=1, report=lambda progress: None, resume=None, max_epochs=3, **settings):
    plan = FitPlan(seed=seed, max_epochs=max_epochs)
    return TrackTrees(**{**SMALL, **settings}).fit(store, splits, report=report, plan=plan, resume=resume)


def some_codes(model, *, n=5, seed=3):
    return np.random.default_rng(seed).integers(0, 5, (n, model.input_bp)).astype(np.uint8)

"""Boosted trees on tracks: what they learn from, and how.

Three things are made one from the other, and the last two kept for the trials that follow: the bins, their features
(they depend on k, gap, flanks and bins), and XGBoost's binned matrix (it depends on max_bin and the targets too).
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import xgboost

from genotune.store import FloatArray, SequenceStore, Splits
from genotune.trainables.bin_features import FeatureSet, feature_parts
from genotune.trainables.bin_targets import classes_of, labels_of, total_targets
from genotune.trainables.boosted_trees_tracks import TrackTrees
from genotune.trainables.boosting import Part, Task, binned, boost
from genotune.trainables.kept import Kept
from genotune.trainables.kmers import Counts
from genotune.trainables.model import Model
from genotune.trainables.track_trees_model import TrackTreesModel, TreeOutputs, feature_set
from genotune.trainables.trainable import FitError, FitPlan, Report
from genotune.trainables.training_bins import TrainingBins, training_bins

FEATURES: Final = Kept[tuple[Counts, ...]](most=1)
"""Features of the training bins, in parts."""

_MOST_KEPT_BYTES: Final = 1 << 27
"""Of features; more are made again each time that XGBoost asks for them."""


class Learned(NamedTuple):
    """What the trees are to learn.

    Attributes:
        values: (bin, track) float32; of exclusive classes (bin,) the class, 0 being none of the tracks.
        outputs: what the trees' predictions mean.
        objective: XGBoost's parameters of the objective.
    """

    values: FloatArray
    outputs: TreeOutputs
    objective: Mapping[str, Any]


def fit(
    settings: TrackTrees,
    store: SequenceStore,
    *,
    splits: Splits,
    report: Report,
    plan: FitPlan,
    resume: Path | None,
) -> Model:
    """Learn from bins of the training contigs; see `Trainable.fit`.

    Raises:
        FitError: the training contigs hold no bin with a value in every track, or a track that can't be learned.
    """
    bin_bp = settings.resolved_bin_bp(store.resolution_bp)
    bins = training_bins(store, splits.train, bin_bp=bin_bp, max_bins=settings.max_bins)
    features = feature_set(settings, bin_bp=bin_bp)
    counted = (bin_bp, settings.k, settings.gap_bp, settings.flanks_bp, settings.gc_cells)
    of_features = (*counted, settings.max_bins, splits.train.tobytes())
    learned = what_is_learned(settings, store, bins, bin_bp=bin_bp)

    def bin_them() -> xgboost.QuantileDMatrix:
        made = _features(store, bins, features, key=of_features)
        parts = partial(_parts, made, bins, learned.values, features=features)
        return binned(parts, missing=np.nan, max_bin=settings.max_bin, n_threads=plan.n_threads)

    def as_model(booster: xgboost.Booster) -> TrackTreesModel:
        return TrackTreesModel(settings, booster, outputs=learned.outputs, device=plan.device, n_threads=plan.n_threads)

    task = Task(
        store,
        key=(*of_features, None if settings.transform is None else tuple(settings.transform)),
        bin=bin_them,
        objective=learned.objective,
        as_model=as_model,
    )
    return boost(settings, task, report=report, plan=plan, resume=resume)


def what_is_learned(settings: TrackTrees, store: SequenceStore, bins: TrainingBins, *, bin_bp: int) -> Learned:
    """Targets of the bins, and how they are learned.

    Raises:
        FitError: a track is below zero where counts are wanted, or the same throughout.
    """
    if store.kind == "signal":
        return _totals(settings, store, bins.means, bin_bp=bin_bp)
    outputs = TreeOutputs(store.tracks, store.kind, bin_bp)
    labels = labels_of(bins.means)
    classes = classes_of(bins.means)
    if store.kind == "multiclass":
        labels = np.equal.outer(classes, np.arange(1, len(store.tracks) + 1)).astype(np.float32)
    for name, positive in zip(store.tracks, labels.T, strict=True):
        if not positive.any():
            raise FitError(
                f"track {name!r} has no positive bin of {bin_bp} bp on the training contigs; boosted_trees can learn "
                "nothing from it. Leave it out, use a smaller bin_bp, or split otherwise."
            )
    if store.kind == "multiclass":
        n_classes = len(store.tracks) + 1
        return Learned(classes.astype(np.float32), outputs, {"objective": "multi:softprob", "num_class": n_classes})
    n_positive = float(labels.sum(dtype=np.float64))
    weight = settings.positive_weight or (labels.size - n_positive) / n_positive
    return Learned(labels, outputs, {"objective": "binary:logistic", "scale_pos_weight": weight})


def _totals(settings: TrackTrees, store: SequenceStore, means: FloatArray, *, bin_bp: int) -> Learned:
    """Transformed totals, and the objective for them."""
    targets = total_targets(store, means, bin_bp=bin_bp, transform=settings.transform)
    lowest = targets.values.min(axis=0)
    outputs = TreeOutputs(
        store.tracks, store.kind, bin_bp, targets.transforms, tuple(bool(value >= 0) for value in means.min(axis=0))
    )
    if settings.objective == "squared_error":
        return Learned(targets.values, outputs, {"objective": "reg:squarederror"})
    for name, least, largest in zip(store.tracks, lowest, targets.values.max(axis=0), strict=True):
        if not least >= 0:
            raise FitError(
                f"track {name!r} holds values below zero on the training contigs (a bin has {least:.3g}); the "
                "objective 'poisson' is for counts. Use a track of counts or coverage, or `objective: squared_error`."
            )
        if largest == 0:
            raise FitError(
                f"track {name!r} is zero throughout the training contigs; the objective 'poisson' can learn nothing "
                "from it. Leave it out, or split otherwise."
            )
    return Learned(targets.values, outputs, {"objective": "count:poisson"})


def _features(
    store: SequenceStore, bins: TrainingBins, features: FeatureSet, *, key: Hashable
) -> Callable[[], Iterator[Counts]]:
    """Gives the parts of the features: those that are kept, or if they are too many to be kept, made anew."""
    if len(bins.starts) * features.n_features > _MOST_KEPT_BYTES:
        return partial(feature_parts, store, bins, features)
    kept = FEATURES.get(store, key, make=lambda: tuple(feature_parts(store, bins, features)))
    return lambda: iter(kept)


def _parts(
    made: Callable[[], Iterator[Counts]], bins: TrainingBins, values: FloatArray, *, features: FeatureSet
) -> Iterator[Part]:
    """Features and targets of the bins, in parts."""
    for part, rows in zip(bins.parts(features.part_bins), made(), strict=True):
        yield Part(rows, values[part])

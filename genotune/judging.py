"""How models are judged: what of the store they learn from, and their scores on one set of bins or samples."""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from genotune.calibration import diagnosis
from genotune.columns import TargetKind
from genotune.metrics import COSTS, RECORDED, Direction, direction_of
from genotune.scoring import score, score_samples
from genotune.store import FloatArray, GenotypeStore, IntArray, SequenceStore, Splits, Store, TraitsStore
from genotune.trainables.kept import Kept
from genotune.trainables.model import GenotypeModel, Model, SequenceModel

_views: Final = Kept[SequenceStore](2)
"""Stores with a part of the tracks: the same object in each trial of a process, so that what is kept of it stays."""


class Judge(NamedTuple):
    """How every trial of a sweep is judged.

    Attributes:
        metric: the objective; of several the primary one.
        kind: what is predicted.
        bin_bp: width of the bins of a signal; None of anything else.
        strata: names of sets of peaks; metrics are given of the bins inside and outside each of them too.
        further: the other objectives, metrics or costs.
    """

    metric: str
    kind: TargetKind = "signal"
    bin_bp: int | None = None
    strata: tuple[str, ...] = ()
    further: tuple[str, ...] = ()

    @property
    def direction(self) -> Direction:
        """Whether higher or lower is better."""
        return direction_of(self.metric)

    @property
    def objectives(self) -> tuple[str, ...]:
        """All of them, the primary one first."""
        return (self.metric, *self.further)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The objectives first, then what is recorded beside them; no costs."""
        return tuple(name for name in dict.fromkeys((*self.objectives, *RECORDED[self.kind])) if name not in COSTS)

    def value(self, scores: Mapping[str, float]) -> float:
        """The primary objective among a model's scores; NaN if any objective is not a finite number."""
        is_whole = all(math.isfinite(scores.get(name, math.nan)) for name in self.objectives)
        return scores[self.metric] if is_whole or not self.further else math.nan

    def further_losses(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """The further objectives among the metrics of an epoch, turned so that lower is better."""
        values = ((name, metrics.get(recorded_name(name), math.nan)) for name in self.further)
        return tuple(value if direction_of(name) == "minimize" else -value for name, value in values)

    def higher_is_better(self, value: float) -> float:
        """The objective, turned so that higher is better."""
        return value if self.direction == "maximize" else -value


def recorded_name(name: str) -> str:
    """What a metric on validation, or a cost, is called among a trial's metrics: 'validation.mse', 'n_parameters'."""
    return name if name in COSTS else f"validation.{name}"


def fold_metric(fold: int, metric: str) -> str:
    """What the objective on one fold, from 0, is called among a trial's metrics."""
    return f"fold_{fold + 1}.{metric}"


class Lesson(NamedTuple):
    """What a model is fitted on: a store with the tracks that it learns from, all of them in both splits."""

    store: Store
    splits: Splits


def lesson_of(store: Store, splits: Splits) -> Lesson:
    """What a model is fitted on where the tracks may be split too; the same object each time it is asked for."""
    if splits.tracks is None:
        return Lesson(store, splits)
    assert isinstance(store, SequenceStore), "samples have no tracks"
    chosen, whole = splits.tracks.train, store
    view = _views.get(store, tuple(chosen.tolist()), make=lambda: whole.with_tracks(chosen))
    return Lesson(view, splits._replace(tracks=None))


def score_model(
    model: Model, store: Store, *, members: IntArray, judge: Judge, tracks: IntArray | None = None
) -> dict[str, float]:
    """The sweep's metrics of a model on these contigs, in bins of `judge.bin_bp`, or on these samples.

    Of a binary trait also how well its probabilities are calibrated; see `calibration.diagnosis`. Of several traits the
    means, NaN where one is not defined, and each trait's own as 'metric/trait'.

    Args:
        model: that predicts; of a track that it doesn't know, see `predict_tracks`.
        store: the data, with all tracks.
        members: contigs or samples.
        judge: the sweep's metrics.
        tracks: indices of the tracks that are scored; None: all.
    """
    if isinstance(store, GenotypeStore | TraitsStore):
        assert isinstance(model, GenotypeModel), type(model)
        return _score_traits(model, store, members, judge=judge)
    assert isinstance(model, SequenceModel), type(model)
    assert judge.bin_bp is not None, "tracks are scored in bins"
    chosen = np.arange(len(store.tracks)) if tracks is None else tracks
    shares = _shares(model.tracks, store, chosen)
    return score(
        lambda contig: _mixed(shares, model.predict_contig(store, contig)),
        store,
        members,
        model_bin_bp=model.bin_bp,
        bin_bp=judge.bin_bp,
        metrics=judge.metrics,
        tracks=chosen,
        strata=judge.strata,
    )


def _score_traits(
    model: GenotypeModel, store: GenotypeStore | TraitsStore, members: IntArray, *, judge: Judge
) -> dict[str, float]:
    """Metrics of each trait on those of the samples that have it, and their means."""
    each = store.each if isinstance(store, TraitsStore) else (store,)
    predictions = model.by_trait(model.predict_samples(store, members))
    found: dict[str, dict[str, float]] = {}
    for one, predicted in zip(each, predictions, strict=True):
        observed = one.phenotype[members]
        is_known = ~np.isnan(observed)
        pair = observed[is_known], predicted[is_known]
        found[one.trait] = score_samples(*pair, metrics=judge.metrics)
        found[one.trait] |= diagnosis(*pair) if one.kind == "binary" else {}
    first, *others = found.values()
    if not others:
        return first
    means = {name: float(np.mean([scores[name] for scores in found.values()])) for name in first}
    return means | {f"{name}/{trait}": scores[name] for name in first for trait, scores in found.items()}


def validate(model: Model, store: Store, *, splits: Splits, judge: Judge) -> dict[str, float]:
    """The sweep's metrics of a model on the validation split, the same bins or samples for every model; and its costs.

    Costs are told where they are objectives.
    """
    tracks = None if splits.tracks is None else splits.tracks.validation
    scores = score_model(model, store, members=splits.validation, judge=judge, tracks=tracks)
    return scores | ({"n_parameters": float(model.n_parameters)} if "n_parameters" in judge.further else {})


def _shares(known: tuple[str, ...], store: SequenceStore, tracks: IntArray) -> FloatArray | None:
    """(track, model's track) what each of the model's tracks adds to a track's prediction; None: they are the same.

    A track that the model knows is predicted by itself. One that it doesn't know, such as that of a cell type which is
    held out, is predicted by the mean of the model's tracks; one strand of a pair by those of the same strand.
    """
    wanted = tuple(store.tracks[track] for track in tracks)
    if wanted == known:
        return None
    strand = {store.tracks[track]: side for pair in store.strand_pairs for side, track in enumerate(pair)}
    shares = np.zeros((len(wanted), len(known)), dtype=np.float32)
    for row, name in zip(shares, wanted, strict=True):
        like = [index for index, other in enumerate(known) if strand.get(other) == strand.get(name)]
        row[known.index(name) if name in known else (like or slice(None))] = 1
    mean: FloatArray = shares / shares.sum(axis=1, keepdims=True)
    return mean


def _mixed(shares: FloatArray | None, predicted: FloatArray) -> FloatArray:
    """(track, bin) from predictions (model's track, bin)."""
    return predicted if shares is None else shares @ predicted

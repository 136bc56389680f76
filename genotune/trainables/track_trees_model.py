"""Fitted trees on tracks: they predict, save and load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
import xgboost

from genotune.columns import TargetKind
from genotune.genome.track_transforms import FittedStep, FittedTransform, undo_transform
from genotune.store import CodeArray, FloatArray
from genotune.trainables.bin_features import FeatureSet, bin_features
from genotune.trainables.boosted_trees_tracks import TrackTrees
from genotune.trainables.boosting import load_booster, n_learned, predict_rows, save_booster
from genotune.trainables.kmers import canonical_kmers, nested_spans
from genotune.trainables.model import SequenceModel, read_record, write_record

_FORMAT: Final = 2
_PREDICTED_BINS: Final = 64


class TreeOutputs(NamedTuple):
    """What the trees' predictions mean.

    Attributes:
        tracks: names.
        kind: of what the tracks hold.
        bin_bp: width of a bin.
        transforms: of each track, undone in a prediction; none of labels.
        not_negative: of each track, whether it held no value below zero, so that no prediction may; none of labels.
    """

    tracks: tuple[str, ...]
    kind: TargetKind
    bin_bp: int
    transforms: tuple[FittedTransform, ...] = ()
    not_negative: tuple[bool, ...] = ()

    def of_rows(self, predicted: FloatArray) -> FloatArray:
        """(bin, track) mean signal per base, or probabilities, of what the booster gives for bins."""
        if self.kind == "multiclass":
            return predicted[:, 1:]  # class 0 is none of the tracks
        values = predicted.reshape(len(predicted), len(self.tracks))
        if self.kind == "binary":
            return values
        signal = np.empty_like(values)
        for track, (transform, not_negative) in enumerate(zip(self.transforms, self.not_negative, strict=True)):
            totals = undo_transform(transform, values[:, track])
            signal[:, track] = (np.maximum(totals, 0) if not_negative else totals) / np.float32(self.bin_bp)
        return signal


def feature_set(settings: TrackTrees, *, bin_bp: int) -> FeatureSet:
    """What is counted of a bin."""
    index = canonical_kmers(settings.k, gap_bp=settings.gap_bp)
    return FeatureSet(index, nested_spans(bin_bp, flanks_bp=settings.flanks_bp), bin_bp, settings.gc_cells)


class TrackTreesModel(SequenceModel):
    """Trees that predict the counts or the labels of a bin.

    Args:
        settings: of the family.
        booster: the trees.
        outputs: what they give.
        device: that the booster is on.
        n_threads: CPU threads at most.
    """

    def __init__(
        self,
        settings: TrackTrees,
        booster: xgboost.Booster,
        *,
        outputs: TreeOutputs,
        device: str = "cpu",
        n_threads: int = 1,
    ) -> None:
        self.settings, self.booster, self.outputs = settings, booster, outputs
        self.tracks, self.bin_bp = outputs.tracks, outputs.bin_bp
        self.crop_bp = -(-settings.flank_bp // self.bin_bp) * self.bin_bp
        self.input_bp = _PREDICTED_BINS * self.bin_bp + 2 * self.crop_bp
        self._features = feature_set(settings, bin_bp=self.bin_bp)
        self._device, self._n_threads = device, n_threads

    def to(self, device: str, *, n_threads: int = 1) -> None:
        """See `Model.to`."""
        self._device, self._n_threads = device, n_threads
        self.booster.set_param({"device": device, "nthread": n_threads})

    def predict(self, codes: CodeArray) -> FloatArray:
        """Mean signal per base, or the probability of each track's label or class. See `SequenceModel.predict`."""
        firsts = self.crop_bp + self.bin_bp * np.arange(_PREDICTED_BINS)
        predicted = np.empty((len(codes), len(self.tracks), _PREDICTED_BINS), dtype=np.float32)
        step = max(1, self._features.part_bins // _PREDICTED_BINS)
        for first in range(0, len(codes), step):
            part = np.ascontiguousarray(codes[first : first + step])
            starts = (self.input_bp * np.arange(len(part))[:, None] + firsts).ravel()
            rows = bin_features(part.ravel(), starts, self._features)
            given = predict_rows(self.booster, rows, missing=np.nan, device=self._device, n_threads=self._n_threads)
            of_bins = self.outputs.of_rows(given).reshape(len(part), _PREDICTED_BINS, len(self.tracks))
            predicted[first : first + step] = of_bins.transpose(0, 2, 1)
        return predicted

    @property
    def n_parameters(self) -> int:
        """See `Model.n_parameters`."""
        return n_learned(self.booster)

    def facts(self) -> Mapping[str, Any]:
        """See `Model.facts`."""
        return {
            **super().facts(),
            "kind": self.outputs.kind,
            "transforms": [[list(step) for step in transform] for transform in self.outputs.transforms],
            "not_negative": list(self.outputs.not_negative),
        }

    def save(self, folder: Path) -> None:
        """Write model.ubj and model.json."""
        save_booster(self.booster, folder)
        write_record(self, folder, settings=self.settings, file_format=_FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model that `save` wrote, on the CPU.

        Raises:
            DataError: it was written in a format that this version doesn't know.
        """
        record, settings = read_record(folder, TrackTrees, file_format=_FORMAT)
        outputs = TreeOutputs(
            tuple(record["tracks"]),
            record["kind"],
            record["bin_bp"],
            tuple(tuple(FittedStep(*step) for step in transform) for transform in record["transforms"]),
            tuple(record["not_negative"]),
        )
        return cls(settings, load_booster(folder), outputs=outputs)

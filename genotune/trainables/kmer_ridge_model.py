"""A fitted k-mer ridge: weights of k-mers; it predicts, saves and loads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from safetensors.numpy import load_file, save_file

from genotune.columns import TargetKind
from genotune.store import CodeArray, FloatArray, SequenceStore, Values
from genotune.trainables.bin_targets import classes_of, labels_of
from genotune.trainables.kmer_ridge import KmerRidge
from genotune.trainables.kmers import canonical_kmers, kmer_features, nested_spans
from genotune.trainables.model import SequenceModel, read_record, write_record

_WEIGHTS_FILE: Final = "model.safetensors"
_FORMAT: Final = 2
_PREDICTED_BINS: Final = 64


class LinearOutputs(NamedTuple):
    """What the regression learns for a bin, and the way back.

    Attributes:
        tracks: names.
        kind: of what the tracks hold.
        bin_bp: width of a bin.
        is_log: whether the logarithm of the counts is learned.
        not_negative: of each track, whether it held no value below zero, so that no prediction may.
    """

    tracks: tuple[str, ...]
    kind: TargetKind
    bin_bp: int
    is_log: bool
    not_negative: tuple[bool, ...]

    @classmethod
    def of(cls, settings: KmerRidge, store: SequenceStore, means: FloatArray, *, bin_bp: int) -> Self:
        """For a store whose training bins have these means, (bin, track)."""
        not_negative = tuple(bool(least >= 0) for least in means.min(axis=0))
        return cls(store.tracks, store.kind, bin_bp, settings.target != "raw", not_negative)

    def targets(self, means: FloatArray) -> Values:
        """(bin, track) what is learned, of bins with these means."""
        if self.kind == "binary":
            return labels_of(means).astype(np.float64)
        if self.kind == "multiclass":
            return np.equal.outer(classes_of(means), np.arange(1, len(self.tracks) + 1)).astype(np.float64)
        counts = means.astype(np.float64) * self.bin_bp
        return np.sign(counts) * np.log1p(np.abs(counts)) if self.is_log else counts

    def predictions(self, linear: Values) -> FloatArray:
        """Mean signal per base, or probabilities, of what the regression gives: (example, track, bin) both."""
        if self.kind != "signal":
            probabilities = np.clip(linear, 0, 1)
            if self.kind == "multiclass":
                probabilities /= np.maximum(probabilities.sum(axis=1, keepdims=True), 1)
            return probabilities.astype(np.float32)
        counts = np.sign(linear) * np.expm1(np.abs(linear)) if self.is_log else linear
        least = np.where(self.not_negative, 0.0, -np.inf)
        return (np.maximum(counts, least[:, None]) / self.bin_bp).astype(np.float32)


class KmerRidgeModel(SequenceModel):
    """Weights of the k-mers of bins and of bins with their flanks.

    Args:
        settings: of the family.
        weights: (span, feature, track): the bin, and the bin with its flanks if it has some; per k-mer.
        bias: (track,).
        outputs: what the weighted sums mean.
    """

    def __init__(self, settings: KmerRidge, weights: Values, bias: Values, *, outputs: LinearOutputs) -> None:
        self.settings, self.weights, self.bias, self.outputs = settings, weights, bias, outputs
        self.tracks, self.bin_bp = outputs.tracks, outputs.bin_bp
        self.crop_bp = -(-settings.flank_bp // self.bin_bp) * self.bin_bp
        self.input_bp = _PREDICTED_BINS * self.bin_bp + 2 * self.crop_bp
        self._index = canonical_kmers(settings.k)

    def predict(self, codes: CodeArray) -> FloatArray:
        """Mean signal per base, or the probability of each track's label or class. See `SequenceModel.predict`."""
        features = kmer_features(codes, self._index)
        linear = np.tile(self.bias[:, None], (len(codes), 1, _PREDICTED_BINS))
        spans = nested_spans(self.bin_bp, flanks_bp=self.settings.flanks_bp)
        for span, weights in zip(spans, self.weights, strict=True):
            of_kmer = np.vstack([weights, np.zeros_like(weights[:1])])[features]
            # A bin's prediction is the sum of its k-mers' weights: the difference of two running sums.
            running = np.concatenate([np.zeros_like(of_kmer[:, :1]), np.cumsum(of_kmer, axis=1)], axis=1)
            bins = self.crop_bp + self.bin_bp * np.arange(_PREDICTED_BINS)
            first, last = bins + span.first_bp, bins + span.end_bp - self.settings.k + 1
            linear += (running[:, last] - running[:, first]).transpose(0, 2, 1)
        return self.outputs.predictions(linear)

    @property
    def n_parameters(self) -> int:
        """See `Model.n_parameters`."""
        return self.weights.size + self.bias.size

    def facts(self) -> Mapping[str, Any]:
        """See `Model.facts`."""
        outputs = self.outputs
        return {
            **super().facts(),
            "kind": outputs.kind,
            "is_log": outputs.is_log,
            "not_negative": list(outputs.not_negative),
        }

    def save(self, folder: Path) -> None:
        """Write model.safetensors and model.json."""
        save_file({"weights": self.weights, "bias": self.bias}, folder / _WEIGHTS_FILE)
        write_record(self, folder, settings=self.settings, file_format=_FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model that `save` wrote.

        Raises:
            DataError: it was written in a format that this version doesn't know.
        """
        record, settings = read_record(folder, KmerRidge, file_format=_FORMAT)
        arrays = load_file(folder / _WEIGHTS_FILE)
        outputs = LinearOutputs(
            tuple(record["tracks"]),
            record["kind"],
            record["bin_bp"],
            record["is_log"],
            tuple(record["not_negative"]),
        )
        return cls(settings, arrays["weights"], arrays["bias"], outputs=outputs)

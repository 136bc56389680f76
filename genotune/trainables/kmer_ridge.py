"""The family `ridge` on tracks: linear regression on k-mer counts of each bin and its flanks, solved once.

Source: Hoerl and Kennard 1970 (ridge regression), equation 2.1, on standardised features.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field
from safetensors.numpy import load_file, save_file

from genotune.errors import DataError, Problem
from genotune.settings import build
from genotune.store import N_CODE, CodeArray, FloatArray, IntArray, SequenceOutline, SequenceStore, Splits, Values
from genotune.trainables.batches import bin_means
from genotune.trainables.kmers import canonical_kmers, count_kmers, kmer_features
from genotune.trainables.model import MODEL_FILE, Model, SequenceModel, check_format, write_record
from genotune.trainables.trainable import FitPlan, Progress, Report, Trainable, multiple_problems

_WEIGHTS_FILE: Final = "model.safetensors"
_FORMAT: Final = 1
_CHUNK_BINS: Final = 8192
_PREDICTED_BINS: Final = 64
_SMALLEST_BIN_BP: Final = 32


class KmerRidge(Trainable[SequenceOutline, SequenceStore]):
    """Hyperparameters of the regression.

    Attributes:
        bin_bp: width of a predicted bin; null: the source's resolution_bp, or as many of them as make 32 bp.
        k: length of the k-mers.
        flank_bp: bases at each side of a bin whose k-mers are counted too, as features of their own.
        penalty: of the squared weights, per training bin, features and target being standardised.
        target: 'log1p' learns the logarithm of one plus the counts of a bin, 'raw' the counts.
        max_bins: of more training bins, evenly spaced ones are taken.
    """

    needs: ClassVar[frozenset[str]] = SequenceStore.columns
    title: ClassVar[str] = "k-mer ridge"
    complexity: ClassVar[int] = 1
    examples: ClassVar[str] = "bins"
    own_epochs: ClassVar[int | None] = 1

    family: Literal["ridge"] = "ridge"
    bin_bp: Annotated[int, Field(ge=1)] | None = None
    k: Annotated[int, Field(ge=1, le=7)] = 5
    flank_bp: Annotated[int, Field(ge=0, le=100_000)] = 128
    penalty: Annotated[float, Field(gt=0)] = 0.1
    target: Literal["log1p", "raw"] = "log1p"
    max_bins: Annotated[int, Field(ge=1)] = 500_000

    def resolved_bin_bp(self, resolution_bp: int) -> int:
        """Width of a predicted bin on a store of this resolution."""
        return self.bin_bp or -(-_SMALLEST_BIN_BP // resolution_bp) * resolution_bp

    def problems(self, outline: SequenceOutline) -> list[Problem]:
        """Widths that don't go into each other."""
        bin_bp = self.resolved_bin_bp(outline.resolution_bp)
        found = multiple_problems(("bin_bp",), bin_bp, of=outline.resolution_bp, name="data.resolution_bp")
        if self.k > bin_bp:
            found.append(Problem(("k",), f"found {self.k}; no such k-mer fits a bin of {bin_bp} bp. Use a smaller k."))
        return found

    def n_examples(self, outline: SequenceOutline) -> int:
        """Bins that the regression sees."""
        bin_bp = self.resolved_bin_bp(outline.resolution_bp)
        return min(self.max_bins, sum(-(-length // bin_bp) for length in outline.contig_lengths))

    def fit(
        self,
        store: SequenceStore,
        splits: Splits,
        *,
        report: Report,
        plan: FitPlan,
        resume: Path | None = None,
    ) -> Model:
        """Solve once and report once; see `Trainable.fit`.

        Raises:
            DataError: the training contigs hold no bin with a value in every track.
        """
        del plan  # nothing in it is random, and BLAS takes its threads from the process
        if resume is not None:
            return KmerRidgeModel.load(resume)
        bin_bp = self.resolved_bin_bp(store.resolution_bp)
        solution = _solve(_accumulate(self, store, splits.train, bin_bp=bin_bp), penalty=self.penalty)
        model = KmerRidgeModel(self, solution.weights, solution.bias, tracks=store.tracks, bin_bp=bin_bp)

        def save_state(folder: Path, *, value: float | None = None) -> None:
            del value  # there is no later epoch that it could steer
            model.save(folder)

        report(Progress(1, model, {"train_loss": solution.mse}, save_state))
        return model

    @classmethod
    def load_model(cls, folder: Path) -> Model:
        """The model that its `save` wrote."""
        return KmerRidgeModel.load(folder)


class KmerRidgeModel(SequenceModel):
    """Weights of the k-mers of bins and of bins with their flanks.

    Args:
        settings: of the family.
        weights: (span, feature, track): the bin, and the bin with its flanks if it has some; per k-mer.
        bias: (track,).
        tracks: names.
        bin_bp: width of a bin.
    """

    def __init__(
        self, settings: KmerRidge, weights: Values, bias: Values, *, tracks: tuple[str, ...], bin_bp: int
    ) -> None:
        self.settings, self.weights, self.bias = settings, weights, bias
        self.tracks, self.bin_bp = tracks, bin_bp
        self.crop_bp = -(-settings.flank_bp // bin_bp) * bin_bp
        self.input_bp = _PREDICTED_BINS * bin_bp + 2 * self.crop_bp
        self._index = canonical_kmers(settings.k)

    def predict(self, codes: CodeArray) -> FloatArray:
        """Mean signal per base, not below zero. See `Model.predict`."""
        features = kmer_features(codes, self._index)
        linear = np.tile(self.bias[:, None], (len(codes), 1, _PREDICTED_BINS))
        for flank_bp, weights in zip(_flanks(self.settings.flank_bp), self.weights, strict=True):
            of_kmer = np.vstack([weights, np.zeros_like(weights[:1])])[features]
            # A bin's prediction is the sum of its k-mers' weights: the difference of two running sums.
            running = np.concatenate([np.zeros_like(of_kmer[:, :1]), np.cumsum(of_kmer, axis=1)], axis=1)
            first = self.crop_bp - flank_bp + self.bin_bp * np.arange(_PREDICTED_BINS)
            last = first + self.bin_bp + 2 * flank_bp - self.settings.k + 1
            linear += (running[:, last] - running[:, first]).transpose(0, 2, 1)
        counts = np.expm1(linear) if self.settings.target == "log1p" else linear
        return (np.maximum(counts, 0) / self.bin_bp).astype(np.float32)

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
        record = json.loads((folder / MODEL_FILE).read_text())
        check_format(folder, record["format"], known=_FORMAT)
        settings: KmerRidge = build(KmerRidge, record["settings"])
        arrays = load_file(folder / _WEIGHTS_FILE)
        tracks = tuple(record["tracks"])
        return cls(settings, arrays["weights"], arrays["bias"], tracks=tracks, bin_bp=record["bin_bp"])


class _Moments(NamedTuple):
    """Sums over training bins: their number, features (f,), targets (t,), and the products of both with features."""

    n: int
    x: Values
    y: Values
    xx: Values
    xy: Values
    yy: Values
    n_spans: int


class _Solution(NamedTuple):
    """Weights (span, feature, track) per k-mer, bias (track,), and the mean squared error on the training bins."""

    weights: Values
    bias: Values
    mse: float


def _flanks(flank_bp: int) -> tuple[int, ...]:
    """Flanks of the spans whose k-mers are features."""
    return (0, flank_bp) if flank_bp else (0,)


def _accumulate(settings: KmerRidge, store: SequenceStore, contigs: IntArray, *, bin_bp: int) -> _Moments:
    """Moments of features and targets over the training bins; never more than a chunk of bins in memory."""
    n_spans = len(_flanks(settings.flank_bp))
    width, n_tracks = canonical_kmers(settings.k).n_features * n_spans, len(store.tracks)
    n, x, y, yy = 0, np.zeros(width), np.zeros(n_tracks), np.zeros(n_tracks)
    xx, xy = np.zeros((width, width)), np.zeros((width, n_tracks))
    for features, targets in _chunks(settings, store, contigs, bin_bp=bin_bp):
        n += len(features)
        x += features.sum(axis=0)
        y += targets.sum(axis=0)
        xx += features.T @ features
        xy += features.T @ targets
        yy += np.sum(targets**2, axis=0)
    if not n:
        raise DataError(
            "the training contigs hold no bin with a value in every track; ridge has nothing to learn from."
        )
    return _Moments(n, x, y, xx, xy, yy, n_spans)


def _chunks(
    settings: KmerRidge, store: SequenceStore, contigs: IntArray, *, bin_bp: int
) -> Iterator[tuple[Values, Values]]:
    """Features (bin, feature) and targets (bin, track) of training bins that hold a value in every track."""
    index = canonical_kmers(settings.k)
    factor, margin = bin_bp // store.resolution_bp, settings.flank_bp
    step = -(-sum(store.n_bins(int(contig)) // factor for contig in contigs) // settings.max_bins) or 1
    for contig in contigs:
        n_bins = store.n_bins(int(contig)) // factor
        codes = np.pad(store.contig_sequence(int(contig)), margin, constant_values=N_CODE)
        features = kmer_features(codes, index)
        for first in range(0, n_bins, _CHUNK_BINS * step):
            bins = np.arange(first, min(first + _CHUNK_BINS * step, n_bins), step)
            signal = store.contig_signal(int(contig))[:, bins[0] * factor : (bins[-1] + 1) * factor]
            counts = bin_means(signal, factor)[:, ::step].T.astype(np.float64) * bin_bp
            known = ~np.isnan(counts).any(axis=1)
            starts = bins[known] * bin_bp + margin
            spans = [
                count_kmers(features, starts - flank_bp, span_bp=bin_bp + 2 * flank_bp, index=index)
                for flank_bp in _flanks(settings.flank_bp)
            ]
            targets = np.log1p(counts[known]) if settings.target == "log1p" else counts[known]
            yield np.concatenate(spans, axis=1), targets


def _solve(moments: _Moments, *, penalty: float) -> _Solution:
    """Ridge on standardised features and targets, turned back to weights per k-mer.

    A feature that never varies gets no weight.
    """
    n = moments.n
    mean_x, mean_y = moments.x / n, moments.y / n
    cov_xx = moments.xx / n - np.outer(mean_x, mean_x)
    cov_xy = moments.xy / n - np.outer(mean_x, mean_y)
    scale = np.sqrt(np.maximum(np.diag(cov_xx), 0))
    varies = scale > 1e-9
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=varies)
    correlation = cov_xx * inverse[:, None] * inverse
    np.fill_diagonal(correlation, 1 + penalty)
    weights = np.asarray(np.linalg.solve(correlation, cov_xy * inverse[:, None]) * inverse[:, None], dtype=np.float64)
    bias = mean_y - mean_x @ weights
    residual = moments.yy / n - mean_y**2 - 2 * np.sum(weights * cov_xy, axis=0)
    mse = float(np.mean(residual + np.sum(weights * (cov_xx @ weights), axis=0)))
    return _Solution(weights.reshape(moments.n_spans, -1, len(mean_y)), bias, mse)

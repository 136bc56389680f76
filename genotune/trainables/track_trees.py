"""Boosted trees on tracks: the training bins, their features, and the model.

Features of a bin: how often each canonical k-mer lies in it, and the share of its bases that are G or C; the same of
the bin with its flanks. They are made in parts and binned at once, so they never exist as floats all together.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import xgboost

from genotune.errors import DataError
from genotune.settings import build
from genotune.store import N_CODE, CodeArray, FloatArray, IntArray, SequenceStore, Splits
from genotune.trainables.batches import bin_means
from genotune.trainables.boosted_trees_tracks import TrackTrees
from genotune.trainables.boosting import Part, Task, binned, boost, predict_rows
from genotune.trainables.kmers import KmerIndex, canonical_kmers, count_kmers, kmer_features
from genotune.trainables.model import MODEL_FILE, Model, SequenceModel, check_format, write_record
from genotune.trainables.trainable import FitPlan, Report

_TREES_FILE: Final = "model.ubj"
_FORMAT: Final = 1
_PREDICTED_BINS: Final = 64
_PART_VALUES: Final = 1 << 21
_C: Final = 1
_G: Final = 2


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
        DataError: the training contigs hold no bin with a value in every track, or one with a value below zero.
    """
    bin_bp = settings.resolved_bin_bp(store.resolution_bp)

    def bin_them() -> xgboost.QuantileDMatrix:
        bins = training_bins(settings, store, splits.train, bin_bp=bin_bp)
        parts = partial(_parts, settings, store, bins, bin_bp=bin_bp)
        return binned(parts, missing=np.nan, max_bin=settings.max_bin, n_threads=plan.n_threads)

    def as_model(booster: xgboost.Booster) -> TrackTreesModel:
        return TrackTreesModel(
            settings, booster, tracks=store.tracks, bin_bp=bin_bp, device=plan.device, n_threads=plan.n_threads
        )

    task = Task(
        store,
        key=(bin_bp, settings.k, settings.flank_bp, settings.max_bins, splits.train.tobytes()),
        bin=bin_them,
        objective={"objective": "count:poisson"},
        as_model=as_model,
    )
    return boost(settings, task, report=report, plan=plan, resume=resume)


class TrackTreesModel(SequenceModel):
    """Trees that predict the counts of a bin.

    Args:
        settings: of the family.
        booster: the trees.
        tracks: names.
        bin_bp: width of a bin.
        device: that the booster is on.
        n_threads: CPU threads at most.
    """

    def __init__(
        self,
        settings: TrackTrees,
        booster: xgboost.Booster,
        *,
        tracks: tuple[str, ...],
        bin_bp: int,
        device: str = "cpu",
        n_threads: int = 1,
    ) -> None:
        self.settings, self.booster, self.tracks, self.bin_bp = settings, booster, tracks, bin_bp
        self.crop_bp = -(-settings.flank_bp // bin_bp) * bin_bp
        self.input_bp = _PREDICTED_BINS * bin_bp + 2 * self.crop_bp
        self._index = canonical_kmers(settings.k)
        self._device, self._n_threads = device, n_threads

    def to(self, device: str, *, n_threads: int = 1) -> None:
        """See `Model.to`."""
        self._device, self._n_threads = device, n_threads
        self.booster.set_param({"device": device, "nthread": n_threads})

    def predict(self, codes: CodeArray) -> FloatArray:
        """Mean signal per base, above zero. See `SequenceModel.predict`."""
        flanks = _flanks(self.settings.flank_bp)
        firsts = self.crop_bp + self.bin_bp * np.arange(_PREDICTED_BINS)
        predicted = np.empty((len(codes), len(self.tracks), _PREDICTED_BINS), dtype=np.float32)
        step = max(1, _part_bins(self._index, flanks=flanks, bin_bp=self.bin_bp) // _PREDICTED_BINS)
        for first in range(0, len(codes), step):
            part = codes[first : first + step]
            features = bin_features(part, firsts, bin_bp=self.bin_bp, flanks=flanks, index=self._index)
            counts = predict_rows(
                self.booster, features, missing=np.nan, device=self._device, n_threads=self._n_threads
            )
            per_track = counts.reshape(len(part), _PREDICTED_BINS, len(self.tracks)).transpose(0, 2, 1)
            predicted[first : first + step] = per_track / np.float32(self.bin_bp)
        return predicted

    def save(self, folder: Path) -> None:
        """Write model.ubj and model.json."""
        (folder / _TREES_FILE).write_bytes(self.booster.save_raw("ubj"))
        write_record(self, folder, settings=self.settings, file_format=_FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model that `save` wrote, on the CPU.

        Raises:
            DataError: it was written in a format that this version doesn't know.
        """
        record = json.loads((folder / MODEL_FILE).read_text())
        check_format(folder, record["format"], known=_FORMAT)
        settings: TrackTrees = build(TrackTrees, record["settings"])
        booster = xgboost.Booster({"nthread": 1}, model_file=bytearray((folder / _TREES_FILE).read_bytes()))
        return cls(settings, booster, tracks=tuple(record["tracks"]), bin_bp=record["bin_bp"])


class TrainingBins(NamedTuple):
    """The bins that the trees learn from.

    Attributes:
        starts: (bin,) first base in the store's sequence.
        first_bases: (bin,) where the bin's contig begins there.
        last_bases: (bin,) where it ends there.
        counts: (bin, track) float32, no missing values.
    """

    starts: IntArray
    first_bases: IntArray
    last_bases: IntArray
    counts: FloatArray

    def part(self, which: slice) -> "TrainingBins":
        """Some of them."""
        return TrainingBins(self.starts[which], self.first_bases[which], self.last_bases[which], self.counts[which])


def training_bins(settings: TrackTrees, store: SequenceStore, contigs: IntArray, *, bin_bp: int) -> TrainingBins:
    """Evenly spaced bins of the contigs that hold a value in every track.

    Raises:
        DataError: there are none, or one holds a value below zero.
    """
    factor = bin_bp // store.resolution_bp
    n_bins = np.array([store.n_bins(int(contig)) // factor for contig in contigs], dtype=np.int64)
    apart = settings.bins_apart(int(n_bins.sum()))
    found = []
    for contig, n, before in zip(contigs, n_bins, np.cumsum(n_bins) - n_bins, strict=True):
        bins = np.arange(-before % apart, n, apart)
        counts = _bin_counts(store.contig_signal(int(contig)), bins, factor=factor) * np.float32(bin_bp)
        known = ~np.isnan(counts).any(axis=1)
        first, last = store.offsets[contig : contig + 2] * store.resolution_bp
        starts = first + bins[known] * bin_bp
        found.append(TrainingBins(starts, np.full_like(starts, first), np.full_like(starts, last), counts[known]))
    together = TrainingBins(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))
    if not len(together.starts):
        raise DataError(
            "the training contigs hold no bin with a value in every track; boosted_trees has nothing to learn from."
        )
    for name, counts in zip(store.tracks, together.counts.T, strict=True):
        if counts.min() < 0:
            raise DataError(
                f"boosted_trees on tracks counts; the track {name!r} holds values below zero on the training contigs. "
                "Use a track of counts or coverage."
            )
    return together


def _bin_counts(signal: FloatArray, bins: IntArray, *, factor: int) -> FloatArray:
    """(bin, track) mean signal of these bins, each `factor` bins of the store's; NaN where one of them is."""
    n_tracks = len(signal)
    means = np.empty((len(bins), n_tracks), dtype=np.float32)
    step = max(1, _PART_VALUES // (factor * n_tracks))
    for first in range(0, len(bins), step):
        of_store = (bins[first : first + step, None] * factor + np.arange(factor)).ravel()
        means[first : first + step] = bin_means(signal[:, of_store], factor).T
    return means


def bin_features(
    codes: CodeArray, firsts: IntArray, *, bin_bp: int, flanks: tuple[int, ...], index: KmerIndex
) -> FloatArray:
    """Of each bin and each of its spans: counts of the k-mers, then the share of G and C.

    Args:
        codes: (example, base), one example at least.
        firsts: (bin,) first base of each bin, the same in every example.
        bin_bp: width of a bin.
        flanks: bases at each side of a bin that a span takes in; 0: the bin itself.
        index: of the k-mers.

    Returns:
        (example * bin, feature) float32; a k-mer with an N is not counted, and an N is neither G nor C.
    """
    kmers = kmer_features(codes, index)
    rows = kmers.shape[1] * np.arange(len(codes))[:, None]
    is_gc = (codes == _C) | (codes == _G)
    running = np.pad(np.cumsum(is_gc, axis=1, dtype=np.int32), ((0, 0), (1, 0)))
    features = np.empty((len(codes) * len(firsts), len(flanks), index.n_features + 1), dtype=np.float32)
    for span, flank in enumerate(flanks):
        begins, span_bp = firsts - flank, bin_bp + 2 * flank
        features[:, span, :-1] = count_kmers(kmers.ravel(), (rows + begins).ravel(), span_bp=span_bp, index=index)
        features[:, span, -1] = (running[:, begins + span_bp] - running[:, begins]).ravel() / span_bp
    return features.reshape(len(features), -1)


def _flanks(flank_bp: int) -> tuple[int, ...]:
    """Flanks of the spans whose k-mers are features."""
    return (0, flank_bp) if flank_bp else (0,)


def _part_bins(index: KmerIndex, *, flanks: tuple[int, ...], bin_bp: int) -> int:
    """Bins whose features and bases are held at once."""
    widest = max(len(flanks) * (index.n_features + 1), bin_bp + 2 * flanks[-1])
    return max(1, _PART_VALUES // widest)


def _parts(settings: TrackTrees, store: SequenceStore, bins: TrainingBins, *, bin_bp: int) -> Iterator[Part]:
    """Features and counts of the bins, in parts."""
    index, flanks = canonical_kmers(settings.k), _flanks(settings.flank_bp)
    margin = np.array([settings.flank_bp])
    step = _part_bins(index, flanks=flanks, bin_bp=bin_bp)
    for first in range(0, len(bins.starts), step):
        part = bins.part(slice(first, first + step))
        codes = _codes_around(store, part, bin_bp=bin_bp, flank_bp=settings.flank_bp)
        yield Part(bin_features(codes, margin, bin_bp=bin_bp, flanks=flanks, index=index), part.counts)


def _codes_around(store: SequenceStore, bins: TrainingBins, *, bin_bp: int, flank_bp: int) -> CodeArray:
    """(bin, base) codes of the bins with their flanks; beyond the ends of a contig lies N."""
    at = bins.starts[:, None] + np.arange(-flank_bp, bin_bp + flank_bp)
    within = (at >= bins.first_bases[:, None]) & (at < bins.last_bases[:, None])
    return np.where(within, store.sequence[np.where(within, at, 0)], np.uint8(N_CODE))

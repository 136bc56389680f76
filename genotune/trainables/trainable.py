"""What a model family is: settings with `fit`, and a model that predicts, saves and loads. No Ray, no MLflow here."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Protocol, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from genotune.errors import DataError, Problem
from genotune.settings import Settings
from genotune.store import N_CODE, CodeArray, FloatArray, SequenceStore, Splits

MODEL_FILE: Final = "model.json"
"""What a saved model's folder always has: its family, the version of its format, and the family's own facts."""


class DataPlan(NamedTuple):
    """What is known of the data before anything is decoded."""

    columns: frozenset[str]
    resolution_bp: int
    tracks: tuple[str, ...]
    train_contig_lengths: tuple[int, ...]


class FitPlan(NamedTuple):
    """What a trial is given to fit with.

    Attributes:
        seed: of every random stream of the fit.
        max_epochs: epochs at most.
        device: 'cpu' or 'cuda'.
        n_threads: CPU threads at most.
        reproducible: only deterministic kernels.
    """

    seed: int
    max_epochs: int
    device: str = "cpu"
    n_threads: int = 1
    reproducible: bool = False


class Model(ABC):
    """What was learned. Predicts from base codes alone, in the tracks' own units.

    Attributes:
        tracks: names of the predicted tracks.
        bin_bp: width of a predicted bin.
        input_bp: length of the sequences that `predict` takes.
        crop_bp: bases at each end of the input for which nothing is predicted.
    """

    tracks: tuple[str, ...]
    bin_bp: int
    input_bp: int
    crop_bp: int

    @abstractmethod
    def predict(self, codes: CodeArray) -> FloatArray:
        """Mean signal per base in each bin of the inner part of the input.

        Args:
            codes: (example, input_bp).

        Returns:
            (example, track, bin), (input_bp - 2 * crop_bp) / bin_bp bins.
        """

    def predict_contig(self, store: SequenceStore, contig: int, *, batch: int = 256) -> FloatArray:
        """Mean signal per base in each bin of a whole contig.

        Windows are laid so that each bin is predicted once; beyond the ends of the contig lies N.

        Args:
            store: the data.
            contig: its index in the store.
            batch: windows that are handed to `predict` at once.

        Returns:
            (track, bin), as many bins of `bin_bp` as cover the store's bins of the contig.
        """
        codes = store.contig_sequence(contig)
        n_bins = -(-len(codes) // self.bin_bp)
        stride_bp = self.input_bp - 2 * self.crop_bp
        n_windows = -(-n_bins * self.bin_bp // stride_bp)
        padded = np.full(n_windows * stride_bp + 2 * self.crop_bp, N_CODE, dtype=np.uint8)
        padded[self.crop_bp : self.crop_bp + len(codes)] = codes
        windows = sliding_window_view(padded, self.input_bp)[::stride_bp]
        bins = stride_bp // self.bin_bp
        predicted = np.empty((len(self.tracks), n_windows, bins), dtype=np.float32)
        for first in range(0, n_windows, batch):
            part = self.predict(windows[first : first + batch])
            predicted[:, first : first + batch] = part.transpose(1, 0, 2)
        return predicted.reshape(len(self.tracks), -1)[:, :n_bins]

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model to an existing folder: arrays as safetensors, the rest as JSON; nothing pickled."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """The model that `save` wrote."""

    def to(self, device: str, *, n_threads: int = 1) -> None:  # noqa: B027 - optional on purpose
        """Predict on this device from now on. A model without a device ignores it."""


class SaveState(Protocol):
    """Writes to an existing folder what `resume` needs to go on exactly as if nothing had happened.

    Weights, optimiser, schedule, best so far; nothing pickled. `value` is what `report` is about to give for this
    epoch: without it, early stopping and plateau schedules of the resumed fit don't know of the epoch.
    """

    def __call__(self, folder: Path, *, value: float | None = None) -> None:
        """Write the state."""


class Progress(NamedTuple):
    """The end of an epoch.

    Attributes:
        epoch: from 1.
        model: as it would be returned now; only to be used during the call.
        metrics: what the family measured, e.g. train_loss, learning_rate.
        save_state: writes what `resume` needs; only to be used during the call.
    """

    epoch: int
    model: Model
    metrics: Mapping[str, float]
    save_state: SaveState


Report = Callable[[Progress], float | None]
"""Called at the end of each epoch; gives the objective's value on validation (higher is better; None: not measured).

The value serves early stopping and plateau schedules, so that every family steers by the sweep's own objective.
"""


class Trainable(Settings, ABC):
    """The settings of a family: its hyperparameters with types and bounds."""

    needs: ClassVar[frozenset[str]]
    """Names of the columns (columns.py) that the family reads."""

    own_epochs: ClassVar[int | None] = None
    """Epochs of a family that has no passes over the data (ridge: 1); None: as many as the sweep gives."""

    @abstractmethod
    def problems(self, data: DataPlan) -> list[Problem]:
        """What doesn't fit the data, with paths relative to the family's params; empty when all fits."""

    def missing_columns(self, data: DataPlan) -> list[Problem]:
        """A problem for each column that the family needs and the source doesn't give."""
        family = type(self).model_fields["family"].default
        return [
            Problem((), f"{family} needs the column {name!r}, which this source doesn't give.")
            for name in sorted(self.needs - data.columns)
        ]

    def n_examples(self, data: DataPlan) -> int:
        """Number of training examples of an epoch; for a family that learns from bins, the bins."""
        return sum(-(-length // data.resolution_bp) for length in data.train_contig_lengths)

    @abstractmethod
    def fit(
        self,
        store: SequenceStore,
        splits: Splits,
        *,
        report: Report,
        plan: FitPlan,
        resume: Path | None = None,
    ) -> Model:
        """Learn from splits.train and give the model of the last epoch.

        Args:
            store: the data; read-only.
            splits: contigs to learn from and to validate on.
            report: called once an epoch; may raise to end the fit.
            plan: seed, epochs, device, threads.
            resume: a folder that `Progress.save_state` wrote; the fit goes on at the epoch after it.
        """

    @classmethod
    @abstractmethod
    def load_model(cls, folder: Path) -> Model:
        """The model of this family that `Model.save` wrote."""


def multiple_problems(path: tuple[str, ...], found: int, *, of: int, name: str) -> list[Problem]:
    """A problem, if what was found is no whole multiple of the value with that name."""
    if found % of == 0:
        return []
    below, above = found // of * of, -(-found // of) * of
    near = f"{below} or {above}" if below else f"{above}"
    return [Problem(path, f"found {found}; must be a whole multiple of {name} ({of}), e.g. {near}.")]


def check_format(folder: Path, found: int, *, known: int) -> None:
    """Nothing, if a saved model's format is known.

    Raises:
        DataError: it isn't.
    """
    if found != known:
        raise DataError(
            f"{folder / MODEL_FILE}: format {found}; this version of genotune reads format {known}. "
            "Use the version that wrote it."
        )


def write_record(model: Model, folder: Path, *, settings: Trainable, file_format: int) -> None:
    """Write the part of a saved model that is not arrays."""
    record = {
        "family": settings.model_dump()["family"],
        "format": file_format,
        "settings": settings.model_dump(mode="json"),
        "tracks": model.tracks,
        "bin_bp": model.bin_bp,
        "input_bp": model.input_bp,
        "crop_bp": model.crop_bp,
    }
    (folder / MODEL_FILE).write_text(json.dumps(record, indent=2) + "\n")

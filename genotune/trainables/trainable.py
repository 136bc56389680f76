"""What a model family is: settings with `fit`. No Ray, no MLflow here.

A family may read several kinds of data: one settings class for each, under the same name, chosen by the columns.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar

from genotune.errors import Problem, UserError
from genotune.settings import Settings
from genotune.store import Outline, Splits, Store
from genotune.trainables.model import Model

OutlineT = TypeVar("OutlineT", bound=Outline)
StoreT = TypeVar("StoreT", bound=Store)


class FitPlan(NamedTuple):
    """What a trial is given to fit with.

    Attributes:
        seed: of every random stream of the fit.
        max_epochs: epochs at most.
        device: 'cpu' or 'cuda'.
        n_threads: CPU threads at most.
        reproducible: only deterministic kernels.
        rank: of this worker among those that fit one model together; torch.distributed has been started by whoever
            started them. Rank 0 alone reports what is kept.
        n_workers: how many they are.
        gpu_share: of the device's memory that this process may use.
        code: source text of Python files that the hyperparameters name, by the path that names them.
    """

    seed: int
    max_epochs: int
    device: str = "cpu"
    n_threads: int = 1
    reproducible: bool = False
    rank: int = 0
    n_workers: int = 1
    gpu_share: float = 1.0
    code: Mapping[str, str] = {}


class FitError(UserError):
    """A draw that can't be fitted, and would fail again: its trial is recorded as failed, and the sweep goes on."""


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


class Trainable(Settings, ABC, Generic[OutlineT, StoreT]):
    """The settings of a family on one kind of data: its hyperparameters with types and bounds.

    The fields of a subclass are its hyperparameters, and `family`, its name in the registry.
    """

    needs: ClassVar[frozenset[str]]
    """Names of the columns (columns.py) that the family reads."""

    title: ClassVar[str]
    """What a person calls it, e.g. 'k-mer ridge'."""

    examples: ClassVar[str]
    """What it learns from, in the plural: 'windows', 'bins', 'samples'."""

    complexity: ClassVar[int]
    """Of two families that do equally well, the one with the lower number is to be preferred."""

    several_workers: ClassVar[bool] = False
    """Whether several workers can fit it together."""

    changeable: ClassVar[frozenset[str]] = frozenset()
    """Hyperparameters that may be others in a fit that resumes: it goes on as if they had been changed there in an
    uninterrupted one.
    """

    own_epochs: ClassVar[int | None] = None
    """Epochs of a family that has no passes over the data (ridge: 1); None: as many as the sweep gives."""

    @abstractmethod
    def problems(self, outline: OutlineT) -> list[Problem]:
        """What doesn't fit the training split, with paths relative to the family's params; empty when all fits."""

    def problems_of_sharing(self, n_workers: int) -> list[Problem]:
        """What keeps so many workers from fitting it together, with paths relative to the family's params."""
        del n_workers
        return []

    def code_files(self) -> Mapping[str, tuple[str, ...]]:
        """Python files that the hyperparameters name, as they name them, each with the path of the key that does.

        Their text comes in `FitPlan.code`.
        """
        return {}

    def code_problems(self, code: Mapping[str, str]) -> list[Problem]:
        """What is wrong with those files, with paths relative to the family's params; nothing is run for this.

        Args:
            code: text of each of `code_files`.
        """
        del code
        return []

    @abstractmethod
    def n_examples(self, outline: OutlineT) -> int:
        """Number of examples of an epoch over a split."""

    @abstractmethod
    def fit(
        self,
        store: StoreT,
        splits: Splits,
        *,
        report: Report,
        plan: FitPlan,
        resume: Path | None = None,
    ) -> Model:
        """Learn from splits.train and give the model of the last epoch.

        Args:
            store: the data; read-only.
            splits: contigs or samples to learn from and to validate on.
            report: called once an epoch; may raise to end the fit.
            plan: seed, epochs, device, threads.
            resume: a folder that `Progress.save_state` wrote; the fit goes on at the epoch after it.
        """

    @classmethod
    @abstractmethod
    def load_model(cls, folder: Path) -> Model:
        """The model of this family that `Model.save` wrote."""


def report_once(model: Model, metrics: Mapping[str, float], *, report: Report) -> Model:
    """The model of a family that is solved in one epoch, once it is reported: its state is the model itself."""

    def save_state(folder: Path, *, value: float | None = None) -> None:
        del value  # there is no later epoch that it could steer
        model.save(folder)

    report(Progress(1, model, metrics, save_state))
    return model


def multiple_problems(path: tuple[str, ...], found: int, *, of: int, name: str) -> list[Problem]:
    """A problem, if what was found is no whole multiple of the value with that name."""
    if found % of == 0:
        return []
    below, above = found // of * of, -(-found // of) * of
    near = f"{below} or {above}" if below else f"{above}"
    return [Problem(path, f"found {found}; must be a whole multiple of {name} ({of}), e.g. {near}.")]

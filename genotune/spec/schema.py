"""What a search-space file may say."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from genotune.data import AnySourceSettings
from genotune.errors import describe
from genotune.genome.splits import SplitSettings
from genotune.metrics import COSTS, METRICS
from genotune.money import money_text
from genotune.settings import Settings
from genotune.spec.messages import did_you_mean
from genotune.tuning import SchedulerSettings, SearchSettings
from genotune.tuning.plateau import PlateauSettings

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _file_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        message = (
            f"found {describe(name)}; must begin with a letter or digit and go on with letters, digits, dots, dashes "
            "and underscores, 100 at most."
        )
        near = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[:100]
        raise ValueError(f"{message} Write {near}." if near else message)
    return name


def _metric(name: str) -> str:
    known = [*METRICS, *COSTS]
    if name not in known:
        raise ValueError(f"unknown metric {name!r}.{did_you_mean(name, known)}")
    return name


Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ModelEntry(Settings):
    """A family and its space: fixed values, and domains in the place of values."""

    family: str
    params: dict[str, Any] = Field(default_factory=dict)


class Objective(Settings):
    """What the sweep is judged by, on one set of validation bins or samples for all trials.

    Attributes:
        metric: a name of metrics.py, which knows its direction; null: the usual one for what is predicted. Behind the
            first of several also what a model costs: n_parameters.
        bin_bp: width of the bins of a signal; the source's resolution_bp if null.
        split: always validation: the test split is scored once, by the winner.
    """

    metric: Annotated[str, AfterValidator(_metric)] | None = None
    bin_bp: Annotated[int, Field(ge=1)] | None = None
    split: Literal["validation"] = "validation"


def _number_of_objectives(value: object) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


AnyObjective = Annotated[
    Annotated[Objective, Tag("one")] | Annotated[tuple[Objective, ...], Field(min_length=1), Tag("several")],
    Discriminator(_number_of_objectives),
]
"""One objective, or a list of them, the primary one first."""


class Budget(Settings):
    """Where the sweep ends, whichever comes first.

    Attributes:
        hours: of a driver at work.
        epochs: of all trials together.
        cost: of the time that trials run, e.g. 20 USD, by the prices of a cluster file.
        plateau: the sweep ends when its best objective gets no better.
    """

    trials: Annotated[int, Field(ge=1)]
    hours: Amount | None = None
    epochs: Annotated[int, Field(ge=1)] | None = None
    cost: Annotated[str, BeforeValidator(money_text)] | None = None
    plateau: PlateauSettings | None = None


class Resources(Settings):
    """What one trial of a family takes.

    Attributes:
        workers: processes that fit a trial's model together, each with a share of every batch; on one machine or more.
        cpus: of each worker.
        gpus: of each worker; whole ones where there are several workers.
        memory_gib: of each worker; null: nothing is reserved.
    """

    workers: Annotated[int, Field(ge=1)] = 1
    cpus: Amount = 1
    gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    memory_gib: Amount | None = None


class Evaluation(Settings):
    """How the winner is chosen and tested.

    Attributes:
        folds: the finalists are fitted again on training and validation together, with each of so many folds held out
            in turn. The best mean wins, or a simpler family at most one standard error behind it; null: the best on
            validation wins.
        finalists: draws of each family that are compared so.
        strata: names of sets of peaks (data.peaks); metrics are recorded of the bins inside and outside of each too.
        refit: the winner is fitted once more, on training and validation together, before it is tested.
        predictions: what the winner predicts of validation and test samples is written with their IDs, to the sweep's
            folder alone; of genotypes.
    """

    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    finalists: Annotated[int, Field(ge=1)] = 2
    strata: tuple[str, ...] = ()
    refit: bool = False
    predictions: bool = False
    seeds: Literal[1] = 1


class Keep(Settings):
    """Which checkpoints of a trial are kept."""

    best: Annotated[int, Field(ge=1)] = 1
    last: Annotated[int, Field(ge=1)] = 1


class Trials(Settings):
    """How trials are run.

    Attributes:
        timeout_minutes: a trial that reports nothing for so long is ended and tried again.
        retries: how often a trial is tried again after its process died or it raised.
        keep: which of its checkpoints are kept.
        reproducible: only deterministic kernels.
        concurrent: trials at once; null: as many as the machines have room for.
        folds: each draw is fitted without each of so many folds of training and validation together, and judged by the
            mean over them; the winner is then fitted on all of them. null: fitted on training, judged on validation.
    """

    timeout_minutes: Amount = 30
    retries: Annotated[int, Field(ge=0)] = 2
    keep: Keep = Keep()
    reproducible: bool = False
    concurrent: Annotated[int, Field(ge=1)] | None = None
    folds: Annotated[int, Field(ge=2, le=20)] | None = None


class Tracking(Settings):
    """Where MLflow records the sweep.

    Attributes:
        experiment: MLflow's experiment; the sweep's name if null.
        uri: MLflow's tracking server or database; MLFLOW_TRACKING_URI, else sqlite in the workspace, if null.
    """

    experiment: str | None = None
    uri: str | None = None


class SpecFile(Settings):
    """One sweep, as the file says it; the params of its models are still spaces.

    Attributes:
        storage: where checkpoints go beside the sweep's own folder, so that they outlive the machine: a folder,
            s3:// or gs://; null: nowhere.
        workspace: where sweeps are kept; see workspace.py.
    """

    name: Annotated[str, AfterValidator(_file_name)]
    data: AnySourceSettings
    split: SplitSettings
    models: Annotated[tuple[ModelEntry, ...], Field(min_length=1)]
    search: SearchSettings
    scheduler: SchedulerSettings
    objective: AnyObjective = Objective()
    budget: Budget
    resources: dict[str, Resources] = Field(default_factory=dict)
    evaluation: Evaluation = Evaluation()
    trials: Trials = Trials()
    tracking: Tracking = Tracking()
    storage: str | None = None
    workspace: str | None = None

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All objectives, the primary one first."""
        return (self.objective,) if isinstance(self.objective, Objective) else self.objective

    def resources_of(self, family: str) -> Resources:
        """What a trial of the family takes."""
        return self.resources.get(family, Resources())

    def resolved(self) -> Mapping[str, Any]:
        """Everything that the file says and leaves to defaults, as plain values."""
        return self.model_dump(mode="json")

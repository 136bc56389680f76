"""Every name of ours in MLflow: tags, metrics, statuses, and how values are written there."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, get_args

Role = Literal["sweep", "trial", "baseline"]
RunStatus = Literal["SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"]

ENDED: Final = frozenset[str]({"FINISHED", "FAILED", "KILLED"})
"""Statuses of a run at which nothing happens any more."""

SWEEP_ID: Final = "genotune.sweep_id"
ROLE: Final = "genotune.role"
GROUP: Final = "genotune.group"
GROUP_MEMBER: Final = "genotune.group_member"
STATUS: Final = "genotune.status"
REASON: Final = "genotune.reason"
RUNG: Final = "genotune.rung"
BUDGET: Final = "genotune.budget."
DROPPED: Final = "genotune.dropped."
TESTED: Final = "genotune.tested"
"""Which winners were scored on the test split, in order, where there was more than one."""
DEVICE: Final = "genotune.device"
FAMILY: Final = "genotune.family"
COPIES: Final = "genotune.copies"
"""Of a trial that went on as changed copies of others: epoch, and the other trial's number, of each time."""
WINNER_PARAMS: Final = "genotune.winner_params"
"""What such a trial was fitted with at the epoch that won; its run's params are those that it began with."""
FINALIST: Final = "genotune.finalist"
FRONT: Final = "genotune.front"
"""Of a trial: whether it is on the front."""
FRONT_TRIALS: Final = "genotune.front_trials"
FRONT_REFERENCE: Final = "genotune.front_reference"
"""The worst value of each objective among the trials, from which the hypervolume is measured."""
WINNER: Final = "genotune.winner"
WINNER_TRIAL: Final = "genotune.winner_trial"
WINNER_RUN_ID: Final = "genotune.winner_run_id"
WINNER_EPOCH: Final = "genotune.winner_epoch"
REGISTERED_MODEL: Final = "genotune.registered_model"
REGISTERED_VERSION: Final = "genotune.registered_version"
MODEL_SHA256: Final = "genotune.model_sha256"

PARENT_RUN_ID: Final = "mlflow.parentRunId"
MODEL_VERSIONS: Final = "mlflow.modelVersions"

OBJECTIVE_METRIC: Final = "genotune.objective"
OBJECTIVES: Final = "genotune.objectives"
"""All of several, the primary one first."""
OBJECTIVE_BIN_BP: Final = "genotune.bin_bp"
START_FROM: Final = "genotune.start_from"

QUALITY_PLOT: Final = "quality.png"
FRONT_PLOT: Final = "front.png"
OBJECTIVE: Final = "objective"
EPOCHS: Final = "epochs"
VALIDATION: Final = "validation."
FOLD: Final = "fold."
HYPERPARAMETER: Final = "hyperparameter."
"""Of one that changes while a trial runs, at each epoch."""
BEST: Final = "best"
"""The alias of the registered winner."""

_NAME_OF: Final[Mapping[Role, str]] = {"trial": "genotune.trial", "baseline": "genotune.baseline"}
_TEXT_LIMIT: Final = 5000
_NOT_IN_A_KEY: Final = re.compile(r"[^\w\-. /:]")


class RunKey(NamedTuple):
    """Which run of a sweep: the sweep itself, a trial by its number, a baseline by its name."""

    role: Role
    name: str = ""

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags that the run is found by, beside the sweep's id."""
        own = {_NAME_OF[self.role]: self.name} if self.role in _NAME_OF else {}
        return {ROLE: self.role, **own}


SWEEP: Final = RunKey("sweep")


def trial_key(number: int) -> RunKey:
    """The run of a trial."""
    return RunKey("trial", str(number))


def key_of(tags: Mapping[str, str]) -> RunKey | None:
    """The run that has these tags; None if it is none of ours."""
    for role in get_args(Role):
        if tags.get(ROLE) == role:
            return RunKey(role, tags.get(_NAME_OF.get(role, ""), ""))
    return None


def metric_key(name: str) -> str:
    """A metric's name in letters that MLflow takes."""
    return _NOT_IN_A_KEY.sub("_", name)


def value_text(value: Any) -> str:
    """A value as text: 0.001, true, null; text as it is, lists as JSON, the end of what is too long cut off."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"


def flat_params(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters under dotted names, as text: {'windows': {'length_bp': 8}} gives 'windows.length_bp': '8'."""
    flat: dict[str, str] = {}
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            flat |= flat_params(value, f"{prefix}{name}.")
        else:
            flat[metric_key(prefix + name)] = value_text(value)
    return flat

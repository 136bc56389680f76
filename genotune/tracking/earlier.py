"""A sweep of the past, read back: its trials with their params as the record holds them, as text under dotted names.

From MLflow, or from the sweep's journal: both give the same.
"""

import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from genotune.errors import SweepError
from genotune.journal import read_state
from genotune.sweep_state import SweepState
from genotune.tracking import names
from genotune.tracking.faults import fault_of
from genotune.tracking.stores import open_client
from genotune.tracking.sweep_facts import dataset
from genotune.tuning.domains import Pick
from genotune.tuning.placing import Reading, place
from genotune.tuning.searchers import Outcome
from genotune.tuning.space import Template

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger(__name__)

_A_PAGE: Final = 1000
_NOT_PARAMS: Final = ("family", "seed")
"""What stands among a run's params beside those of the family."""


class EarlierTrial(NamedTuple):
    """A trial of the past.

    Attributes:
        params: flat, as text.
        curve: objective by epoch; NaN at the last epoch where it was not a number then.
        status: how it ended; '' if it didn't.
    """

    family: str
    params: Mapping[str, str]
    curve: Mapping[int, float]
    status: Outcome | str


class EarlierSweep(NamedTuple):
    """A sweep of the past.

    Attributes:
        name: its full name.
        metric: of its objective.
        bin_bp: of its objective, as text; '' where there are no bins.
        digest: of its data; '' where that is not known.
    """

    name: str
    metric: str
    bin_bp: str
    digest: str
    trials: list[EarlierTrial]


def from_mlflow(uri: str, name: str) -> EarlierSweep | None:
    """A sweep that MLflow holds; None if it has none of this name, or can't be reached.

    Args:
        uri: of MLflow's store or server.
        name: of the sweep, or its beginning.

    Raises:
        SweepError: several sweeps begin so.
    """
    from mlflow.exceptions import MlflowException

    try:
        client = open_client(uri)
        experiments = [one.experiment_id for one in _pages(client.search_experiments)]
        run = _sweep_run(client, experiments, name)
        if run is None:
            return None
        sweep_id, tags = run.data.tags[names.SWEEP_ID], run.data.tags
        runs = sorted(_runs(client, experiments, f"= '{sweep_id}'", role="trial"), key=_trial_number)
        trials = [_trial_of(client, one) for one in runs]
    except MlflowException as error:
        log.warning("%s %s is looked for in the workspace.", fault_of(error, uri).words, name)
        return None
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return EarlierSweep(
        name=sweep_id,
        metric=tags.get(names.OBJECTIVE_METRIC, ""),
        bin_bp=tags.get(names.OBJECTIVE_BIN_BP, ""),
        digest=inputs[0].dataset.digest if inputs else "",
        trials=trials,
    )


def from_journal(folder: Path) -> EarlierSweep:
    """A sweep whose folder is at hand.

    Raises:
        SweepError: it was ended before it began.
    """
    state: SweepState = read_state(folder)
    if not state.facts:
        raise SweepError(f"start_from: {folder.name} was ended before it began. Leave it out.")
    objective = state.facts["objective"]
    trials = [
        _before_copies(
            EarlierTrial(
                trial.family,
                names.flat_params(trial.fitted_with(1).params),
                trial.curve,
                "" if trial.ended_s is None else trial.status,
            ),
            trial.parents,
        )
        for trial in state.trials.values()
    ]
    bin_bp = "" if objective["bin_bp"] is None else str(objective["bin_bp"])
    return EarlierSweep(folder.name, objective["metric"], bin_bp, dataset(state.facts).digest, trials)


def picks_of(template: Template, params: Mapping[str, str]) -> dict[str, Pick] | None:
    """Where params of the record lie in a family's space; None if outside, or if a fixed value is another there.

    Args:
        template: of the family's space.
        params: flat, as text.
    """
    picks, problems = place(template, _nested(params), reading=_TEXTS)
    if problems or names.flat_params(template.build(picks)) != params:
        return None
    return picks


def _number(found: object) -> Pick | None:
    value = _parsed(found)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _items(found: object) -> list[Any] | None:
    value = _parsed(found)
    return [_as_texts(item) for item in value] if isinstance(value, list) else None


def _is_same(fixed: object, found: object) -> bool:
    return found == names.value_text(fixed)


_TEXTS: Final = Reading(_number, _items, _is_same)
"""Values as `names.value_text` writes them."""


def _parsed(found: object) -> Any:
    try:
        return json.loads(found) if isinstance(found, str) else None
    except ValueError:
        return None


def _as_texts(value: Any) -> Any:
    if isinstance(value, Mapping) and value:
        return {name: _as_texts(child) for name, child in value.items()}
    return names.value_text(value)


def _nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """Nested params of flat ones; of two that contradict each other the first is kept."""
    nested: dict[str, Any] = {}
    for name, text in flat.items():
        *above, last = name.split(".")
        inner = nested
        for step in above:
            child = inner.setdefault(step, {})
            if not isinstance(child, dict):
                break
            inner = child
        else:
            inner.setdefault(last, text)
    return nested


def _sweep_run(client: "MlflowClient", experiments: list[str], name: str) -> "Run | None":
    if "'" in name:
        return None  # no sweep is called so, and MLflow's filter knows no way to write it
    found = {run.data.tags[names.SWEEP_ID]: run for run in _runs(client, experiments, f"LIKE '{name}%'", role="sweep")}
    if name in found:
        return found[name]
    begin_so = [sweep for sweep in found if sweep.startswith(name)]  # LIKE takes _ for any letter
    if len(begin_so) > 1:
        message = (
            f"start_from: {name}: several sweeps begin so in MLflow: {', '.join(begin_so[-5:])}. Name one in full."
        )
        raise SweepError(message)
    return found[begin_so[0]] if begin_so else None


def _runs(client: "MlflowClient", experiments: list[str], sweep: str, *, role: names.Role) -> "Iterator[Run]":
    """The runs of a role, the oldest first, whose sweep's name fulfils a condition."""
    condition = f"tags.`{names.SWEEP_ID}` {sweep} and tags.`{names.ROLE}` = '{role}'"
    order = ["attributes.start_time ASC"]
    return _pages(client.search_runs, experiment_ids=experiments, filter_string=condition, order_by=order)


def _pages(search: Any, **wanted: Any) -> "Iterator[Any]":
    token = None
    while True:
        page = search(**wanted, max_results=_A_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _trial_number(run: "Run") -> int:
    """What orders trials for good: several may have begun in one millisecond."""
    key = names.key_of(run.data.tags)
    assert key is not None, "it has the tags of a trial"
    return int(key.name)


def _trial_of(client: "MlflowClient", run: "Run") -> EarlierTrial:
    tags, metrics = run.data.tags, run.data.metrics
    history = client.get_metric_history(run.info.run_id, names.OBJECTIVE)
    curve = {point.step: point.value for point in history}
    last = int(metrics.get(names.EPOCHS, 0))
    if last > max(curve, default=0):
        curve[last] = math.nan  # MLflow gets finite values only
    trial = EarlierTrial(
        family=tags.get(names.FAMILY, ""),
        params={name: text for name, text in run.data.params.items() if name not in _NOT_PARAMS},
        curve=dict(sorted(curve.items())),
        status=tags.get(names.STATUS, ""),
    )
    return _before_copies(trial, [epoch for epoch, _ in json.loads(tags.get(names.COPIES, "[]"))])


def _before_copies(trial: EarlierTrial, epochs: Iterable[int]) -> EarlierTrial:
    """A trial as far as it was fitted with what it began with, before it went on as a copy of others.

    Args:
        trial: with its whole curve.
        epochs: after which it went on so.
    """
    first = min(epochs, default=None)
    if first is None:
        return trial
    curve = {epoch: value for epoch, value in trial.curve.items() if epoch <= first}
    return trial._replace(curve=curve, status="stopped" if trial.status == "complete" else trial.status)

"""What a sweep knows from earlier ones before its first trial: read once, and kept in its journal from then on."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genotune.errors import SweepError
from genotune.events import JOURNAL_FILE
from genotune.journal import Journal
from genotune.plan import SweepPlan
from genotune.tracking import resolve_tracking_uri
from genotune.tracking.earlier import EarlierSweep, EarlierTrial, from_journal, from_mlflow, picks_of
from genotune.tracking.sweep_facts import dataset
from genotune.tuning.space import Space
from genotune.workspace import find_sweep


class LearnedBefore(NamedTuple):
    """The values of the event.

    Attributes:
        sweeps: full names of those that were started from.
        trials: family, picks, curve ([epoch, objective or null] each) and status of each that is learned from.
        notes: what a person should know of it.
    """

    sweeps: list[str]
    trials: list[dict[str, Any]]
    notes: list[str]


def earlier_trials(plan: SweepPlan, facts: Mapping[str, Any], folder: Path) -> LearnedBefore | None:
    """What the sweeps that the spec starts from tell of this one's space; None if it starts from none.

    Each is looked up in MLflow first, then in the workspace.

    Args:
        plan: of the sweep.
        facts: of it; see `sweep_facts`.
        folder: of it, made or not.

    Raises:
        SweepError: there is no such sweep, or it was judged by something else.
    """
    settings = plan.spec.settings
    if not settings.search.start_from:
        return None
    workspace = folder.parent.parent
    uri = resolve_tracking_uri(settings.tracking.uri, workspace)
    found = LearnedBefore([], [], [])
    for name in settings.search.start_from:
        sweep = from_mlflow(uri, name) or _from_workspace(name, workspace)
        _check_objective(sweep, facts["objective"])
        placed = [_placed(trial, plan.spec.space) for trial in _ended(sweep)]
        trials = [one for one in placed if one is not None]
        found.sweeps.append(sweep.name)
        found.trials.extend(trials)
        found.notes.append(_note(sweep, n_learned=len(trials), is_same_data=sweep.digest == dataset(facts).digest))
    return found


def keep_earlier(journal: Journal, earlier: LearnedBefore | None) -> None:
    """Write down what was learned before, if anything was asked for."""
    if earlier is not None:
        journal.append("learned_before", **earlier._asdict())


def is_owed(plan: SweepPlan, journal: Journal) -> bool:
    """Whether the driver died between the beginning of the sweep and what it was to learn before its first trial."""
    state = journal.state
    return bool(plan.spec.settings.search.start_from) and state.learned_before is None and not state.trials


def _from_workspace(name: str, workspace: Path) -> EarlierSweep:
    try:
        folder = find_sweep(name, workspace)
    except SweepError as error:
        message = f"start_from: MLflow has no such sweep (or doesn't answer), nor has the workspace. {error}"
        raise SweepError(message) from None
    if not (folder / JOURNAL_FILE).exists():
        raise SweepError(f"start_from: {folder.name} is a group of sweeps. Name one of them.")
    return from_journal(folder)


def _check_objective(sweep: EarlierSweep, objective: Mapping[str, Any]) -> None:
    own_bin_bp = "" if objective["bin_bp"] is None else str(objective["bin_bp"])
    for key, there, here in (("metric", sweep.metric, objective["metric"]), ("bin_bp", sweep.bin_bp, own_bin_bp)):
        if there != here:
            message = (
                f"start_from: {sweep.name} was judged by objective.{key}: {there or 'null'}, this sweep is by "
                f"{here or 'null'}; such values can't be compared. Set objective.{key} alike, or leave the sweep out."
            )
            raise SweepError(message)


def _ended(sweep: EarlierSweep) -> list[EarlierTrial]:
    return [trial for trial in sweep.trials if trial.status in ("complete", "stopped")]


def _placed(trial: EarlierTrial, space: Space) -> dict[str, Any] | None:
    """A trial in the terms of the event; None if it lies outside of the space."""
    template = space.get(trial.family)
    picks = None if template is None else picks_of(template, trial.params)
    if picks is None:
        return None
    curve = [[epoch, value if math.isfinite(value) else None] for epoch, value in trial.curve.items()]
    return {"family": trial.family, "picks": picks, "curve": curve, "status": trial.status}


def _note(sweep: EarlierSweep, *, n_learned: int, is_same_data: bool) -> str:
    n_ended = len(_ended(sweep))
    parts = [f"learned from {n_learned} of {len(sweep.trials)} trials of {sweep.name}"]
    if n_learned < n_ended:
        parts.append(f"{n_ended - n_learned} lie outside of this space")
    if n_ended < len(sweep.trials):
        parts.append(f"{len(sweep.trials) - n_ended} failed or didn't end")
    if not is_same_data:
        parts.append("its data, or how they are split or read, are not those of this sweep")
    return "; ".join(parts)

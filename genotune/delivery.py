"""A sweep's way to MLflow: its recorder, its registered winner, and what is delivered once its driver is gone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from genotune.evaluation import Candidate, load_winner, winner_folder
from genotune.journal import Journal
from genotune.kept_spec import spec_of
from genotune.spec import Spec
from genotune.tracking import Recorder, register_winner, resolve_tracking_uri, shown_uri

DELIVERY_TIMEOUT_S: Final = 60.0


class Delivered(NamedTuple):
    """What a delivery came to.

    Attributes:
        sweep: its name.
        is_whole: whether MLflow has every event, and the winner where there is one.
        n_left: events that it doesn't have yet.
        registered: name and version of the model, or None.
        tracking_uri: as it may be shown.
    """

    sweep: str
    is_whole: bool
    n_left: int
    registered: Mapping[str, Any] | None
    tracking_uri: str


def recorder_of(spec: Spec, journal: Journal) -> tuple[Recorder, str]:
    """What records a sweep in MLflow, not started yet; and where MLflow is."""
    settings, folder = spec.settings, journal.path.parent
    uri = resolve_tracking_uri(settings.tracking.uri, folder.parent.parent)
    recorder = Recorder(
        journal,
        tracking_uri=uri,
        experiment=settings.tracking.experiment or journal.state.facts.get("group", {}).get("name", settings.name),
        sweep_id=folder.name,
        artifact_location=(folder.parent.parent / "artifacts").as_uri(),
    )
    return recorder, uri


def register(spec: Spec, journal: Journal, *, recorder: Recorder, uri: str) -> None:
    """Register the winner of a sweep that MLflow has, and say so in the journal."""
    state, folder = journal.state, journal.path.parent
    assert state.winner is not None
    winner = Candidate(**state.winner)
    registered = register_winner(
        tracking_uri=uri,
        run_id=recorder.trial_run_id(winner.trial),
        model_folder=winner_folder(state, folder),
        name=spec.settings.name,
        model=load_winner(state, folder),
        sweep_id=folder.name,
    )
    journal.append("registered", **registered._asdict())


def deliver(folder: Path, *, timeout_s: float) -> Delivered:
    """Give MLflow what it doesn't have of a sweep that no driver is at work on; nothing runs.

    Args:
        folder: of the sweep.
        timeout_s: how long MLflow is waited for.

    Raises:
        SweepError: a driver is at work on it, or it never began.
    """
    with Journal(folder) as journal:
        spec = spec_of(folder, journal.state.facts)
        recorder, uri = recorder_of(spec, journal)
        recorder.start()
        is_whole = recorder.finish(timeout_s=timeout_s)
        state = journal.state
        if is_whole and state.status == "complete" and state.registered is None:
            register(spec, journal, recorder=recorder, uri=uri)
            is_whole = recorder.finish(timeout_s=timeout_s)
        rest = [event for event in journal.events() if event.number > state.delivered and event.kind != "delivered"]
        return Delivered(folder.name, is_whole, len(rest), state.registered, shown_uri(uri))

"""A sweep's way to MLflow: its recorder, its registered winner, and what is delivered once its driver is gone."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from genotune.errors import SweepError
from genotune.evaluation import Candidate, load_winner, winner_folder
from genotune.journal import Journal
from genotune.kept_spec import spec_of
from genotune.spec import Spec
from genotune.sweep_storage import bring_winner, storage_of
from genotune.tracking import Recorder, register_winner, resolve_tracking_uri, shown_uri

log = logging.getLogger(__name__)

DELIVERY_TIMEOUT_S: Final = 60.0
"""So long MLflow is waited for at the end of a sweep; what it lacks then is delivered by `genotune sync`."""


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


def finish_delivery(spec: Spec, journal: Journal, *, recorder: Recorder, uri: str, timeout_s: float) -> int:
    """How many events MLflow still lacks, after it was waited for; the winner is registered once it has the rest.

    MLflow may be away, or fail at any step: that is told and changes nothing in the sweep.

    Args:
        spec: of the sweep.
        journal: with the sweep as it ended.
        recorder: of the sweep; it ends here.
        uri: of MLflow.
        timeout_s: how long events are waited for. An upload that has begun is not cut off.
    """
    is_whole = recorder.finish(timeout_s=timeout_s)
    if is_whole and journal.state.status == "complete" and journal.state.registered is None:
        try:
            _register(spec, journal, recorder=recorder, uri=uri)
        except SweepError as error:
            log.warning("%s", error)
        recorder.finish(timeout_s=timeout_s)
    delivered = journal.state.delivered
    if journal.last_news <= delivered:
        return 0
    return sum(event.number > delivered and event.kind != "delivered" for event in journal.events())


def warn_of_rest(folder: Path, n_left: int) -> None:
    """Say how what MLflow lacks of a sweep that did not end well is delivered."""
    if n_left:
        log.warning("MLflow lacks %d events of %s; `genotune sync %s` delivers them.", n_left, folder.name, folder.name)


def _register(spec: Spec, journal: Journal, *, recorder: Recorder, uri: str) -> None:
    """Register the winner of a sweep that MLflow has, and say so in the journal."""
    state, folder = journal.state, journal.path.parent
    assert state.winner is not None
    winner = Candidate(**state.winner)
    bring_winner(state, folder, storage_of(spec, folder))
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
        n_left = finish_delivery(spec, journal, recorder=recorder, uri=uri, timeout_s=timeout_s)
        state = journal.state
        is_whole = n_left == 0 and (state.status != "complete" or state.registered is not None)
        return Delivered(folder.name, is_whole, n_left, state.registered, shown_uri(uri))

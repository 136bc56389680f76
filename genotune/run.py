"""What `genotune run` does, in order: plan, read, sweep, choose, test, register."""

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from genotune.data.remote import masked
from genotune.delivery import DELIVERY_TIMEOUT_S, finish_delivery, recorder_of, warn_of_rest
from genotune.driver_log import driver_log
from genotune.errors import HaltError
from genotune.events import JOURNAL_FILE
from genotune.face import Face, Outcome
from genotune.facts import check_same_files, sweep_facts
from genotune.full_disk import full_disk
from genotune.going_on import GoingOn, agreed_limits
from genotune.journal import Journal, read_state
from genotune.journal_copy import bring_journal
from genotune.kept_spec import keep_spec, kept_files, spec_of
from genotune.machines import this_machine
from genotune.node_types import Fleet
from genotune.plan import SweepPlan, check_resources, make_plan
from genotune.prices import Prices
from genotune.ray_session import RaySession, ray_session
from genotune.raylet_watch import ray_loss
from genotune.spec import Spec
from genotune.stages import work
from genotune.stop_requests import clear_requests
from genotune.sweep_storage import check_same_storage, check_storage, storage_of
from genotune.tracking import shown_uri
from genotune.warm_start import earlier_trials, is_owed, keep_earlier
from genotune.workspace import workspace_of

log = logging.getLogger(__name__)


def run(
    spec: Spec,
    *,
    workspace: Path | None,
    address: str | None,
    face: Face,
    prices: Prices | None = None,
    name: str | None = None,
    fleet: Fleet | None = None,
) -> Outcome:
    """A sweep from its spec to its registered winner.

    Args:
        spec: what it is.
        workspace: where it leaves what it leaves.
        address: of a Ray to join.
        face: told what happens.
        prices: by which its trials cost; None: not known.
        name: of the sweep, which goes on if it has begun, here or in its storage; None: a new one's.
        fleet: what the Ray at the address may start; None: not known.

    Raises:
        UserError: the spec, the data or the machines don't allow it.
        KeyboardInterrupt: it was interrupted; `go_on` goes on from there.
    """
    folder = workspace_of(spec, workspace) / "sweeps" / (name or f"{spec.settings.name}-{new_id()}")
    ray = partial(ray_session, address, fleet=fleet)
    if name is not None and begun(spec, folder):
        return go_on(folder, ray=ray, face=face, going_on=GoingOn(spec_path=spec.path))
    plan = make_plan(spec)
    if address is None and not os.environ.get("RAY_ADDRESS"):
        check_resources(plan, [this_machine()])
    check_storage(plan.spec)
    facts = sweep_facts(plan, folder.name, prices=prices)
    return start(plan, folder, facts=facts, ray=ray, face=face)


def begun(spec: Spec, folder: Path) -> bool:
    """Whether the sweep of this folder has begun; what its storage knows more of it lies in the folder afterwards.

    Raises:
        UserError: the storage can't be read.
    """
    check_storage(spec)
    storage = storage_of(spec, folder)
    if storage is not None:
        bring_journal(storage, folder)
    return (folder / JOURNAL_FILE).exists() and bool(read_state(folder).facts)


def new_id() -> str:
    """What tells sweeps of one name apart: the day, and a few letters that no other has."""
    return f"{time.strftime('%y%m%d')}-{secrets.token_hex(3)}"


def start(
    plan: SweepPlan,
    folder: Path,
    *,
    facts: Mapping[str, Any],
    ray: RaySession,
    face: Face,
    limits: Mapping[str, Any] | None = None,
) -> Outcome:
    """A planned sweep, driven to its end in a folder of its own.

    Args:
        plan: what it will do.
        folder: made here; `find_sweep` finds it by its name.
        facts: what the record says of it; see `sweep_facts`.
        ray: to work on.
        face: told what happens.
        limits: of the budget, where they were raised before it began.

    Raises:
        UserError: the data or the machines don't allow it.
        KeyboardInterrupt: it was interrupted; `go_on` goes on from there.
    """
    earlier = earlier_trials(plan, facts, folder)
    folder.mkdir(parents=True, exist_ok=True)
    keep_spec(folder, plan.spec.text, plan.spec.code)
    journal = Journal(folder)
    _copy(plan.spec, journal)
    journal.append("sweep_started", **facts)
    if limits:
        journal.append("extended", limits=dict(limits))
    keep_earlier(journal, earlier)
    return _drive(plan, journal, ray=ray, face=face)


def go_on(folder: Path, *, ray: RaySession, face: Face, going_on: GoingOn) -> Outcome:
    """The sweep in a folder, driven on to its end after any death of its driver; a finished one is only told again.

    Raises:
        UserError: another driver is at it, its data or its file changed since, or a limit would not be raised.
    """
    journal = Journal(folder)
    try:
        state = journal.state
        spec = spec_of(folder, state.facts, path=going_on.spec_path)
        member = state.facts.get("group", {}).get("member")
        limits = agreed_limits(spec, state.extensions, going_on, sweep=folder.name, member=member)
        plan = make_plan(spec)
        check_same_files(plan, state.facts)
        check_storage(spec)
        check_same_storage(spec, state.facts)
        _copy(spec, journal)
        if limits:
            journal.append("extended", limits=limits)
        if is_owed(plan, journal):
            keep_earlier(journal, earlier_trials(plan, state.facts, folder))
    except BaseException:
        journal.close()
        raise
    return _drive(plan, journal, ray=ray, face=face)


def _copy(spec: Spec, journal: Journal) -> None:
    """Keep the journal in the sweep's storage too, if it has one.

    Raises:
        UserError: another driver is at work on the sweep, or the storage can't be written to.
    """
    folder = journal.path.parent
    storage = storage_of(spec, folder)
    if storage is None:
        return
    try:
        journal.copy_to(storage, kept_files(folder))
    except BaseException:
        journal.close()
        raise


def _drive(plan: SweepPlan, journal: Journal, *, ray: RaySession, face: Face) -> Outcome:
    folder = journal.path.parent
    recorder, uri = recorder_of(plan.spec, journal)
    deliver = partial(finish_delivery, plan.spec, journal, recorder=recorder, uri=uri, timeout_s=DELIVERY_TIMEOUT_S)
    recorder.start()
    clear_requests(folder)
    face.begin(plan, folder)
    try:
        with driver_log(folder):
            if journal.state.status != "complete":
                journal.append("driver_started", pid=os.getpid())
                plan = work(plan, journal, ray=ray, face=face)
                journal.append("sweep_ended", status="complete", reason=journal.state.proposals_ended)
            elif _left_some_out(journal):
                plan = plan.without(plan.data.vet(plan.fold, plan.folds).left_out)
            face.stage("Recording the winner")
            n_left = deliver()
    except KeyboardInterrupt:
        if journal.state.status not in {"interrupted", "complete"}:
            journal.append("interrupted", reason=ray_loss() or "interrupted by a signal")
        if journal.state.status == "interrupted":
            warn_of_rest(folder, deliver())
        raise
    except Exception as error:
        halt = full_disk(error, folder=folder)
        if halt is not None:
            _halt(journal, halt)
            warn_of_rest(folder, deliver())
            name = journal.state.facts.get("group", {}).get("id", folder.name)
            raise HaltError(f"{halt} Then: genotune resume {name}") from error
        if journal.state.status != "complete":
            journal.append("sweep_ended", status="failed", reason=masked(str(error)) or type(error).__name__)
            warn_of_rest(folder, deliver())
        raise
    finally:
        journal.close()
    outcome = Outcome(folder, plan, journal.state, n_left, shown_uri(uri))
    face.end(outcome)
    return outcome


def _halt(journal: Journal, halt: HaltError) -> None:
    """Write down that the sweep is interrupted; a disk that is full may not take even that, and `resume` knows then."""
    if journal.state.status not in {"interrupted", "complete"}:
        with contextlib.suppress(HaltError):
            journal.append("interrupted", reason=str(halt))


def _left_some_out(journal: Journal) -> bool:
    """Whether some samples were not fit to be learned from."""
    counts = (journal.state.quality or {}).get("counts", {}).get("samples", {})
    return bool(counts) and counts["left"] < counts["in all"]

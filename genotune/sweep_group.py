"""What `genotune check`, `run` and `resume` do with a file: the one sweep that it describes, or a group of them.

The sweeps of a group are ordinary ones, each in a folder of its own, driven one after the other on one Ray. The group's
folder holds the file as it was written and the names of its members; how far each has come, its own journal says.
"""

import contextlib
import fcntl
import gc
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from genotune import run as one
from genotune.check import Checked, machines_at
from genotune.check import check as check_one
from genotune.cluster_file import read_cluster_file
from genotune.data.remote import is_url
from genotune.errors import HaltError, SweepError, UserError
from genotune.events import JOURNAL_FILE
from genotune.extension import extended_budget, higher
from genotune.face import Face, Outcome
from genotune.facts import check_files_alike, sweep_facts
from genotune.going_on import AS_IT_STANDS, GoingOn, agreed_limits
from genotune.group_plan import GroupForecast, Planner, forecast
from genotune.group_scores import MemberOutcome, table_text
from genotune.journal import read_events, read_state
from genotune.kept_spec import keep_spec, read_kept
from genotune.machines import this_machine
from genotune.node_types import Fleet
from genotune.prices import Prices, read_prices, trial_hour_costs
from genotune.ray_session import RaySession, ray_session
from genotune.settings import build
from genotune.shared_store import let_go_of_stores
from genotune.spec import GroupSpec, Member, Spec, read_sweeps
from genotune.sweep_state import SweepState
from genotune.sweep_storage import check_storage, fetch_sweep
from genotune.workspace import GROUP_FILE, find_sweep, workspace_of

log = logging.getLogger(__name__)

TABLE_FILE: Final = "sweeps.tsv"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_LIMITS_FILE: Final = "limits.json"
"""In a group's folder: limits of each sweep's budget that were raised since it began."""


class GroupFace(Face, Protocol):
    """Who tells the person what happens, be it with one sweep or with several."""

    def begin_group(self, group: GroupSpec, folder: Path) -> None:
        """Its sweeps are about to start, or to go on."""

    def begin_member(self, member: Member, *, number: int) -> None:
        """One of its sweeps, the number-th from 1, is about to start, or to go on."""

    def end_group(self, outcome: "GroupOutcome") -> None:
        """All its sweeps have ended."""


class GroupOutcome(NamedTuple):
    """What the sweeps of a group came to."""

    folder: Path
    name: str
    members: tuple[MemberOutcome, ...]

    @property
    def failed(self) -> list[MemberOutcome]:
        """Those that have no winner."""
        return [member for member in self.members if member.failure is not None]


class _Drive(NamedTuple):
    """What drives the members of a group.

    Attributes:
        folder: of the group.
        folders: of its sweeps, by their names in the group.
        ray: the one that all sweeps share.
        limits: of each sweep's budget, where a person raised them.
        prices: by which trials cost, of sweeps that have not begun.
    """

    group: GroupSpec
    folder: Path
    folders: Mapping[str, Path]
    ray: RaySession
    face: GroupFace
    planner: Planner
    limits: Mapping[str, Any]
    prices: Prices | None


def check(path: Path, *, address: str | None = None, cluster: Path | None = None) -> Checked | GroupForecast:
    """The plan of the sweep, or of all sweeps, that a file describes. Decodes and trains nothing.

    Args:
        path: the file.
        address: of a Ray whose machines it is held against.
        cluster: a file with prices, and with node types that it is held against instead.

    Raises:
        UserError: everything that keeps it from running.
    """
    described = read_sweeps(path)
    known = None if cluster is None else read_cluster_file(cluster)
    if isinstance(described, Spec):
        return check_one(described, address=address, cluster=known)
    check_storage(described.members[0].spec)
    checked = forecast(described, [] if known and known.fleet else machines_at(address), cluster=known)
    if known is not None and known.prices is not None:
        trial_hour_costs(checked.first, known.prices)
    return checked


def run(
    path: Path,
    *,
    workspace: Path | None,
    address: str | None,
    face: GroupFace,
    cluster: Path | None = None,
    name: str | None = None,
) -> Outcome | GroupOutcome:
    """The sweep, or all sweeps, that a file describes, to their registered winners.

    Args:
        path: the file.
        workspace: where they leave what they leave.
        address: of a Ray to join.
        face: told what happens.
        cluster: a file with prices, and with the node types that the Ray at the address may start.
        name: of the sweep, or the group, which goes on if it has begun, here or in its storage; None: a new one's.

    Raises:
        UserError: the spec, the data or the machines don't allow it; or a sweep of the group failed.
        KeyboardInterrupt: it was interrupted; `resume` goes on from there.
    """
    check_name(name)
    group = read_sweeps(path)
    is_local = address is None and not os.environ.get("RAY_ADDRESS")
    prices, fleet = _said_by(cluster, is_local=is_local)
    if isinstance(group, Spec):
        return one.run(group, workspace=workspace, address=address, face=face, prices=prices, fleet=fleet, name=name)
    ray = partial(ray_session, address, fleet=fleet)
    trial_hour_costs(forecast(group, [this_machine()] if is_local else []).first, prices)
    check_storage(group.members[0].spec)
    sweep_id = one.new_id()
    folder = workspace_of(group.members[0].spec, workspace) / "sweeps" / (name or f"{group.name}-{sweep_id}")
    members = {member.name: f"{group.name}-{member.name}-{sweep_id}" for member in group.members}
    if name is not None:  # they are found again by it where nothing else is left
        members = {member.name: f"{name}-{member.name}" for member in group.members}
        if (folder / GROUP_FILE).exists():
            return _go_on(folder, ray=ray, face=face, going_on=GoingOn(spec_path=path.resolve()))
    folder.mkdir(parents=True, exist_ok=True)
    keep_spec(folder, group.text, group.code)
    kept = {"spec_path": str(path.resolve()), "members": members}
    _write_whole(folder / GROUP_FILE, kept | {"prices": None if prices is None else prices.model_dump(mode="json")})
    return _drive(group, folder, ray=ray, face=face)


def _said_by(cluster: Path | None, *, is_local: bool) -> tuple[Prices | None, Fleet | None]:
    """The prices of a cluster file, which a sweep on this machine alone is given it for; and what may be started.

    Raises:
        SpecError: it has faults; or no prices, where they are all that it could be for.
    """
    if cluster is None:
        return None, None
    if is_local:
        return read_prices(cluster), None
    known = read_cluster_file(cluster)
    return known.prices, known.fleet


def resume(
    sweep: str,
    *,
    workspace: Path | None,
    address: str | None,
    face: GroupFace,
    going_on: GoingOn = AS_IT_STANDS,
    cluster: Path | None = None,
) -> Outcome | GroupOutcome:
    """Go on with a sweep, or with a group where it stands; what is finished is not done again.

    Args:
        sweep: its folder, its place in a storage (s3://BUCKET/PREFIX/SWEEP), its name in the workspace, or the
            beginning of one that is unique.
        workspace: where to look for it.
        address: of a Ray to join.
        face: told what happens.
        going_on: how.
        cluster: a file with the node types that the Ray at the address may start; the prices stay those that the
            sweep began with.

    Raises:
        UserError: no such sweep, another driver is at it, its data or its file changed since, a limit would not be
            raised, or a sweep of the group failed.
    """
    if cluster is not None and address is None and not os.environ.get("RAY_ADDRESS"):
        message = (
            f"--cluster {cluster}: says what a cluster may start, and none is joined. Give --address, or leave it."
        )
        raise SweepError(message)
    fleet = None if cluster is None else read_cluster_file(cluster).fleet
    ray = partial(ray_session, address, fleet=fleet)
    root = workspace_of(None, workspace)
    folder = fetch_sweep(sweep, root) if is_url(sweep) else find_sweep(sweep, root)
    if not (folder / GROUP_FILE).exists():
        return one.go_on(folder, ray=ray, face=face, going_on=going_on)
    return _go_on(folder, ray=ray, face=face, going_on=going_on)


def _go_on(folder: Path, *, ray: RaySession, face: GroupFace, going_on: GoingOn) -> GroupOutcome:
    """A group, where it stands."""
    text, code = read_kept(folder)
    group = read_sweeps(going_on.spec_path or Path(_kept(folder)["spec_path"]), text=text, code=code)
    assert isinstance(group, GroupSpec), folder
    before = _limits(folder)
    limits = before | agreed_limits(group, [before], going_on, sweep=folder.name)
    return _drive(group, folder, ray=ray, face=face, limits=limits)


def _drive(
    group: GroupSpec, folder: Path, *, ray: RaySession, face: GroupFace, limits: Mapping[str, Any] | None = None
) -> GroupOutcome:
    """All members in turn; Ray starts with the first that needs it, since one process can't count on a second start."""
    kept, limits = _kept(folder), limits or {}
    folders = {name: folder.parent / of_member for name, of_member in kept["members"].items()}
    prices = build(Prices, kept["prices"]) if kept.get("prices") else None
    with _held(folder), contextlib.ExitStack() as stack:
        if limits:
            _write_whole(folder / _LIMITS_FILE, limits)
        session = cache(lambda: stack.enter_context(ray())._replace(goes_on=True))
        drive = _Drive(group, folder, folders, lambda: nullcontext(session()), face, Planner(), limits, prices)
        face.begin_group(group, folder)
        members = [_drive_member(drive, member, number=number) for number, member in enumerate(group.members, start=1)]
    outcome = GroupOutcome(folder, group.name, tuple(members))
    (folder / TABLE_FILE).write_text(table_text(members))
    face.end_group(outcome)
    if outcome.failed:
        raise SweepError(f"{folder.name}: {len(outcome.failed)} of {len(members)} sweeps failed, as told above.")
    return outcome


def _drive_member(drive: _Drive, member: Member, *, number: int) -> MemberOutcome:
    """What came of one sweep, which may have been at its end before."""
    folder, failure = drive.folders[member.name], None
    if not _is_finished(folder) or _raised(drive, folder):
        drive.face.begin_member(member, number=number)
        try:
            _start_or_go_on(drive, member)
        except HaltError:  # the next would meet the same
            raise
        except UserError as error:
            failure = str(error)
            log.info("%s failed: %s", folder.name, failure)
        finally:
            let_go_of_stores()
            gc.collect()  # what Tune leaves behind refers to the store
    return MemberOutcome(member.name, member.trait, member.outer_fold, folder, _state(folder), failure)


def _start_or_go_on(drive: _Drive, member: Member) -> None:
    folder = drive.folders[member.name]
    if one.begun(member.spec, folder):
        # The file of the group was held against what it began with already.
        going_on = GoingOn(_raised(drive, folder), as_it_began=True, spec_path=drive.group.path)
        one.go_on(folder, ray=drive.ray, face=drive.face, going_on=going_on)
        return
    plan = drive.planner.plan(member.spec)
    of_group = {"id": drive.folder.name, "name": drive.group.name, "member": member.name}
    facts = sweep_facts(plan, folder.name, prices=drive.prices, group=of_group)
    for other in drive.folders.values():
        before = _state(other).facts
        if before:
            check_files_alike(facts["files"], before)
            break
    one.start(plan, folder, facts=facts, ray=drive.ray, face=drive.face, limits=drive.limits)


def check_name(name: str | None) -> None:
    """Nothing, if a folder can be called so.

    Raises:
        UserError: it can't.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise UserError(f"--as {name}: no name for a sweep; write letters, digits, '.', '_' and '-', e.g. yeast-1.")


def _raised(drive: _Drive, folder: Path) -> dict[str, Any]:
    """The limits of the group that are above those of one of its sweeps, which may have been raised further itself."""
    state = _state(folder)
    if not state.facts:
        return {}
    budget = extended_budget(drive.group.members[0].spec.settings.budget, state.extended)
    return higher(budget, drive.limits)


def _limits(folder: Path) -> dict[str, Any]:
    """The limits of each sweep of a group that a person raised."""
    path = folder / _LIMITS_FILE
    return json.loads(path.read_text()) if path.exists() else {}


def _is_finished(folder: Path) -> bool:
    """Whether a sweep has its registered winner, and MLflow all of it."""
    state = _state(folder)
    if state.status != "complete" or state.registered is None:
        return False
    return all(
        event.kind == "delivered" for event in read_events(folder / JOURNAL_FILE) if event.number > state.delivered
    )


def _state(folder: Path) -> SweepState:
    """Of a sweep that may not have begun."""
    return read_state(folder) if (folder / JOURNAL_FILE).exists() else SweepState()


def _kept(folder: Path) -> Any:
    """What `run` wrote of a group: the path of its spec, and the folder of each member by its name."""
    return json.loads((folder / GROUP_FILE).read_text())


def _write_whole(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file so that nobody ever finds half of it."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(json.dumps(content, indent=2) + "\n")
    draft.rename(path)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The group is this driver's for the block's time.

    Raises:
        SweepError: another driver holds it.
    """
    with (folder / GROUP_FILE).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            message = f"{folder.name}: another driver is at work on this group. Wait for it, or end it first."
            raise SweepError(message) from None
        yield

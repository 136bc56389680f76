"""What `genotune check`, `run` and `resume` do with a file: the one sweep that it describes, or a group of them.

The sweeps of a group are ordinary ones, each in a folder of its own, driven one after the other on one Ray. The group's
folder holds the file as it was written and the names of its members; how far each has come, its own journal says.
"""

import contextlib
import fcntl
import functools
import gc
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from genotune import run as one
from genotune.errors import SweepError, UserError
from genotune.face import Face, Outcome
from genotune.facts import check_files_alike, sweep_facts
from genotune.group_plan import GroupForecast, Planner, forecast
from genotune.group_scores import MemberOutcome, table_text
from genotune.journal import JOURNAL_FILE, read_events, read_state
from genotune.kept_spec import keep_spec, read_kept
from genotune.plan import MachineSize, SweepPlan, this_machine
from genotune.ray_session import ray_session
from genotune.spec import GroupSpec, Member, Spec, read_sweeps
from genotune.sweep_state import SweepState
from genotune.trial import let_go_of_stores
from genotune.workspace import GROUP_FILE, find_sweep, workspace_of

log = logging.getLogger(__name__)

TABLE_FILE: Final = "sweeps.tsv"


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
    """

    group: GroupSpec
    folder: Path
    folders: Mapping[str, Path]
    ray: one.RaySession
    face: GroupFace
    planner: Planner


def check(path: Path, *, address: str | None = None) -> tuple[SweepPlan, list[MachineSize]] | GroupForecast:
    """The plan of the sweep, or of all sweeps, that a file describes. Decodes and trains nothing.

    Raises:
        UserError: everything that keeps it from running.
    """
    described = read_sweeps(path)
    if isinstance(described, Spec):
        return one.check(described, address=address)
    return forecast(described, one.machines_at(address))


def run(path: Path, *, workspace: Path | None, address: str | None, face: GroupFace) -> Outcome | GroupOutcome:
    """The sweep, or all sweeps, that a file describes, to their registered winners.

    Raises:
        UserError: the spec, the data or the machines don't allow it; or a sweep of the group failed.
        KeyboardInterrupt: it was interrupted; `resume` goes on from there.
    """
    group = read_sweeps(path)
    if isinstance(group, Spec):
        return one.run(group, workspace=workspace, address=address, face=face)
    is_local = address is None and not os.environ.get("RAY_ADDRESS")
    forecast(group, [this_machine()] if is_local else [])
    sweep_id = one.new_id()
    folder = workspace_of(group.members[0].spec, workspace) / "sweeps" / f"{group.name}-{sweep_id}"
    folder.mkdir(parents=True)
    keep_spec(folder, group.text, group.code)
    members = {member.name: f"{group.name}-{member.name}-{sweep_id}" for member in group.members}
    _write_whole(folder / GROUP_FILE, {"spec_path": str(path.resolve()), "members": members})
    return _drive(group, folder, address=address, face=face)


def resume(sweep: str, *, workspace: Path | None, address: str | None, face: GroupFace) -> Outcome | GroupOutcome:
    """Go on with a sweep, or with a group where it stands; what is finished is not done again.

    Args:
        sweep: its folder, its name in the workspace, or the beginning of one that is unique.
        workspace: where to look for it.
        address: of a Ray to join.
        face: told what happens.

    Raises:
        UserError: no such sweep, another driver is at it, its data changed since, or a sweep of the group failed.
    """
    folder = find_sweep(sweep, workspace_of(None, workspace))
    if not (folder / GROUP_FILE).exists():
        return one.go_on(folder, ray=functools.partial(ray_session, address), face=face)
    text, code = read_kept(folder)
    group = read_sweeps(Path(_kept(folder)["spec_path"]), text=text, code=code)
    assert isinstance(group, GroupSpec), folder
    return _drive(group, folder, address=address, face=face)


def _drive(group: GroupSpec, folder: Path, *, address: str | None, face: GroupFace) -> GroupOutcome:
    """All members in turn; Ray starts with the first that needs it, since one process can't count on a second start."""
    folders = {name: folder.parent / of_member for name, of_member in _kept(folder)["members"].items()}
    with _held(folder), contextlib.ExitStack() as stack:
        is_private = functools.cache(lambda: stack.enter_context(ray_session(address)))
        drive = _Drive(group, folder, folders, lambda: nullcontext(is_private()), face, Planner())
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
    if not _is_finished(folder):
        drive.face.begin_member(member, number=number)
        try:
            _start_or_go_on(drive, member)
        except UserError as error:
            failure = str(error)
            log.info("%s failed: %s", folder.name, failure)
        finally:
            let_go_of_stores()
            gc.collect()  # what Tune leaves behind refers to the store
    return MemberOutcome(member.name, member.trait, member.outer_fold, folder, _state(folder), failure)


def _start_or_go_on(drive: _Drive, member: Member) -> None:
    folder = drive.folders[member.name]
    if _state(folder).facts:
        one.go_on(folder, ray=drive.ray, face=drive.face)
        return
    plan = drive.planner.plan(member.spec)
    of_group = {"id": drive.folder.name, "name": drive.group.name, "member": member.name}
    facts = sweep_facts(plan, folder.name, group=of_group)
    for other in drive.folders.values():
        before = _state(other).facts
        if before:
            check_files_alike(facts["files"], before)
            break
    one.start(plan, folder, facts=facts, ray=drive.ray, face=drive.face)


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

"""The commands that look after sweeps from another terminal: list, status, stop, logs, sync."""

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from genotune.cluster_commands import AddressOption

_FOLLOW_EVERY_S: Final = 0.5

SweepArgument = Annotated[
    str, typer.Argument(metavar="SWEEP", help="Its name in the workspace, its folder, or its place in a storage.")
]
WorkspaceOption = Annotated[
    Path | None,
    typer.Option(help="Where sweeps are kept; else GENOTUNE_WORKSPACE, or .genotune here."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON on standard output, for machines.")]
FollowOption = Annotated[bool, typer.Option("-f", "--follow", help="Go on until no driver is at work on it.")]


def add_sweep_commands(app: typer.Typer) -> None:
    """Make the commands known to the command line."""
    app.command("list")(list_sweeps)
    app.command("status")(status)
    app.command("stop")(stop)
    app.command("logs")(logs)
    app.command("sync")(sync)


def list_sweeps(
    workspace: WorkspaceOption = None, address: AddressOption = None, *, as_json: JsonOption = False
) -> None:
    """Name the sweeps of a workspace, the latest first: how far each is, and its best so far; or those of a cluster."""
    if address is not None:
        from genotune.cluster_commands import list_at

        list_at(address, as_json=as_json)
        return
    from genotune.sweep_tables import show_sweeps
    from genotune.sweep_view import plain_sweep, sweeps_in
    from genotune.terminal import show_text
    from genotune.workspace import workspace_of

    root = workspace_of(None, workspace)
    views = sweeps_in(root)
    if as_json:
        show_text(json.dumps([plain_sweep(view, with_trials=False) for view in views], indent=2))
    elif views:
        show_sweeps(views)
    else:
        show_text(f"No sweep in {root}. Another workspace is named with --workspace.")


def status(
    sweep: SweepArgument,
    workspace: WorkspaceOption = None,
    address: AddressOption = None,
    *,
    as_json: JsonOption = False,
    follow: FollowOption = False,
) -> None:
    """Say how a sweep stands, with all of its trials; from any terminal, while it runs or after it died."""
    from genotune.data.remote import is_url
    from genotune.errors import UserError
    from genotune.sweep_tables import follow_sweep, show_sweep, show_sweeps
    from genotune.sweep_view import Watch, plain_sweep, view_of
    from genotune.terminal import show_text

    if as_json and follow:
        raise UserError("--json and --follow: one of them; --json shows the sweep once.")
    if follow and (address is not None or is_url(sweep)):
        raise UserError("--follow: only of a sweep on this machine; `genotune logs -f` follows one on a cluster.")
    if address is not None:
        from genotune.cluster_commands import status_at

        status_at(sweep, address, as_json=as_json)
        return
    if is_url(sweep):
        _show_stored(sweep, as_json=as_json)
        return
    folders, is_group = _folders(sweep, workspace)
    if as_json:
        plain = [plain_sweep(view_of(folder), with_trials=True) for folder in folders]
        show_text(json.dumps(plain if is_group else plain[0], indent=2))
    elif is_group:
        show_sweeps([view_of(folder) for folder in folders])
    elif follow:
        follow_sweep(Watch(folders[0]))
    else:
        show_sweep(view_of(folders[0]))


def _show_stored(url: str, *, as_json: bool) -> None:
    """How a sweep stands as its storage tells it."""
    from genotune.stored_sweep import view_at
    from genotune.sweep_tables import show_sweep
    from genotune.sweep_view import plain_sweep
    from genotune.terminal import show_text

    with tempfile.TemporaryDirectory(prefix="genotune-") as folder:
        view = view_at(url, Path(folder))
        if as_json:
            show_text(json.dumps({**plain_sweep(view, with_trials=True), "folder": url}, indent=2))
        else:
            show_sweep(view)


def stop(
    sweep: SweepArgument,
    workspace: WorkspaceOption = None,
    address: AddressOption = None,
    *,
    trial: Annotated[int | None, typer.Option(min=0, help="This trial alone; the sweep goes on.")] = None,
    choose: Annotated[
        bool, typer.Option("--choose", help="End it with a winner, chosen from what the trials have come to.")
    ] = False,
) -> None:
    """Stop a sweep, to go on later with `genotune resume`; or one of its trials, at the end of its epoch."""
    from genotune.data.remote import is_url
    from genotune.errors import SweepError, UserError
    from genotune.journal import is_held
    from genotune.stop_requests import ask_to_stop
    from genotune.sweep_view import trial_of, view_of
    from genotune.terminal import show_text

    if trial is not None and choose:
        raise UserError("--trial and --choose: one of them; a sweep ends by --choose, a trial by --trial.")
    if address is not None:
        from genotune.cluster_commands import stop_at

        stop_at(sweep, address, trial=trial, choose=choose)
        return
    if is_url(sweep):
        from genotune.stored_sweep import ask_at

        ask_at(sweep, trial if trial is not None else "choose" if choose else "interrupt")
        show_text(f"Asked for it at {sweep}; the driver looks every few seconds.")
        return
    folders, is_group = _folders(sweep, workspace)
    running = [folder for folder in folders if is_held(folder)]
    if is_group and not running:
        raise SweepError(f"{sweep}: no driver is at work on any sweep of this group; there is nothing to stop.")
    folder = (running or folders)[0]  # of a group one runs at a time
    view = view_of(folder)
    if view.status not in ("running", "starting"):
        raise SweepError(
            f"{view.name}: no driver is at work on it (it {_told(view.status)}); there is nothing to stop."
        )
    if trial is None:
        ask_to_stop(folder, "choose" if choose else "interrupt")
        end = "its trials end at their next report, and a winner is chosen" if choose else "it ends within seconds"
        show_text(f"Asked {view.name} to stop: {end}.")
        return
    one = trial_of(view, trial)
    if one.ended_s is not None:
        raise SweepError(f"{view.name}: trial {trial} has ended already ({one.status}).")
    ask_to_stop(folder, trial)
    show_text(f"Asked trial {trial} of {view.name} to stop: it does at its next report, after epoch {one.epoch + 1}.")


def logs(
    sweep: SweepArgument,
    workspace: WorkspaceOption = None,
    address: AddressOption = None,
    *,
    trial: Annotated[int | None, typer.Option(min=0, help="Of this trial; else of the driver.")] = None,
    follow: FollowOption = False,
) -> None:
    """Print what a sweep's driver, or the process of one of its trials, has written."""
    from genotune.errors import SweepError, UserError
    from genotune.journal import is_held
    from genotune.sweep_view import trial_of, view_of
    from genotune.terminal import show_text
    from genotune.trial import trial_name
    from genotune.trial_log import LOG_FILE

    if address is not None:
        if trial is not None:
            raise UserError(
                "--trial: the logs of trials lie on the machines that ran them; --address shows the driver's."
            )
        from genotune.cluster_commands import logs_at

        logs_at(sweep, address, follow=follow)
        return
    folder = _folder(sweep, workspace)
    if trial is None:
        path = folder / "driver.log"
    else:
        trial_of(view_of(folder), trial)
        path = folder / "trials" / trial_name(trial) / LOG_FILE
    if not path.exists() and not follow:
        raise SweepError(f"{path}: is not there (yet).")
    offset = 0
    while True:
        is_last = not follow or not is_held(folder)
        if path.exists():
            with path.open("rb") as file:
                file.seek(offset)
                content = file.read()
            whole = content if is_last else content[: content.rfind(b"\n") + 1]
            offset += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                show_text(line)
        if is_last:
            return
        time.sleep(_FOLLOW_EVERY_S)


def sync(
    sweep: SweepArgument,
    workspace: WorkspaceOption = None,
    *,
    timeout_s: Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for MLflow.")] = 60.0,
) -> None:
    """Deliver to MLflow what it doesn't have of a sweep; nothing runs."""
    from genotune.delivery import deliver
    from genotune.errors import SweepError
    from genotune.terminal import show_text

    found = deliver(_folder(sweep, workspace), timeout_s=timeout_s)
    if not found.is_whole:
        lacks = f"{found.n_left} events" if found.n_left else "the winner's model"
        message = f"{found.sweep}: MLflow at {found.tracking_uri} still lacks {lacks}. Is it up? Try again."
        raise SweepError(message)
    model = ""
    if found.registered is not None:
        model = f"; its model is models:/{found.registered['name']}@best (version {found.registered['version']})"
    show_text(f"MLflow at {found.tracking_uri} has all of {found.sweep}{model}.")


def _folders(sweep: str, workspace: Path | None) -> tuple[list[Path], bool]:
    """The folders of the sweeps that are meant, and whether they are those of a group."""
    from genotune.workspace import GROUP_FILE, find_sweep, sweep_folders, workspace_of

    folder = find_sweep(sweep, workspace_of(None, workspace))
    return sweep_folders(folder), (folder / GROUP_FILE).exists()


def _folder(sweep: str, workspace: Path | None) -> Path:
    """The folder of one sweep.

    Raises:
        SweepError: it is a group of sweeps.
    """
    from genotune.errors import SweepError

    folders, is_group = _folders(sweep, workspace)
    if is_group:
        names = ", ".join(folder.name for folder in folders) or "none has begun"
        raise SweepError(f"{sweep}: a group of sweeps; name one of them: {names}.")
    return folders[0]


def _told(status: str) -> str:
    return {"died": "died", "interrupted": "was interrupted"}.get(status, f"is {status}")

"""A sweep as its storage knows it: seen, and asked to stop, from any machine that may read and write there."""

import tempfile
from pathlib import Path

from genotune.data.remote import masked
from genotune.errors import HaltError, SweepError
from genotune.journal_copy import is_at_work, leave_request
from genotune.stop_requests import End, request_name
from genotune.storage import storage_at
from genotune.sweep_storage import fetch_sweep
from genotune.sweep_view import SweepView, trial_of, view_of


def view_at(url: str, folder: Path) -> SweepView:
    """How a sweep stands.

    Args:
        url: its place in the storage: s3://BUCKET/PREFIX/SWEEP.
        folder: an empty one, for the copy that is read.

    Raises:
        SweepError: there is no such sweep, or its storage can't be read.
    """
    try:
        found = fetch_sweep(url, folder)
        return view_of(found, at_work=is_at_work(storage_at(url, folder)._replace(patience_s=0)))
    except HaltError as error:
        raise SweepError(str(error)) from None


def ask_at(url: str, wanted: int | End) -> None:
    """Ask the driver of a sweep to stop one of its trials, by its number, or the sweep.

    Args:
        url: its place in the storage.
        wanted: what.

    Raises:
        SweepError: no driver is at work on it, or it has no such trial.
    """
    with tempfile.TemporaryDirectory(prefix="genotune-") as folder:
        view = view_at(url, Path(folder))
    if view.status != "running":
        raise SweepError(f"{masked(url)}: no driver is at work on it; there is nothing to stop.")
    if isinstance(wanted, int) and trial_of(view, wanted).ended_s is not None:
        raise SweepError(f"{view.name}: trial {wanted} has ended already.")
    try:
        leave_request(storage_at(url, Path())._replace(patience_s=0), request_name(wanted))
    except HaltError as error:
        raise SweepError(str(error)) from None

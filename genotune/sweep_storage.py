"""Where a sweep's checkpoints are kept beside its own folder, as its spec says, and what is fetched from there."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genotune.checkpoints import fetch
from genotune.data.remote import masked
from genotune.errors import HaltError, Problem, SweepError
from genotune.evaluation import validated_folder, winner_folder
from genotune.events import JOURNAL_FILE
from genotune.journal_copy import bring_journal
from genotune.spec import Spec, spec_error
from genotune.storage import PATIENCE_S, Storage, place_fault, storage_at
from genotune.sweep_state import SweepState


def storage_of(spec: Spec, folder: Path) -> Storage | None:
    """The place of the sweep in this folder, whose name no other sweep has; None: it has no storage."""
    root = root_of(spec)
    if root is None:
        return None
    # A trial that waits for a storage is not to be taken for one that hangs.
    patience_s = min(PATIENCE_S, spec.settings.trials.timeout_minutes * 60 / 4)
    return root.part(folder.name)._replace(patience_s=patience_s)


def root_of(spec: Spec) -> Storage | None:
    """The place of all sweeps: the spec's word, else GENOTUNE_STORAGE; None: neither says one."""
    if spec.settings.storage is not None:
        return storage_at(spec.settings.storage, spec.folder)
    place = os.environ.get("GENOTUNE_STORAGE")
    return storage_at(place, Path.cwd()) if place else None


def check_storage(spec: Spec) -> None:
    """Nothing, if a sweep can write to its storage, and read there; or has none.

    Raises:
        UserError: it can't, with the fix.
    """
    is_own = spec.settings.storage is not None
    fault = None if is_own else place_fault(os.environ.get("GENOTUNE_STORAGE") or ".")
    if fault is not None:
        raise SweepError(f"GENOTUNE_STORAGE: {fault}")
    root = root_of(spec)
    if root is None:
        return
    try:
        root.check()
    except HaltError as error:
        if is_own:
            raise spec_error(spec, [Problem(("storage",), str(error))]) from None
        raise SweepError(f"GENOTUNE_STORAGE: {error}") from None


def check_same_storage(spec: Spec, facts: Mapping[str, Any]) -> None:
    """Nothing, if a sweep that goes on finds its checkpoints where it put them.

    Raises:
        SweepError: they are elsewhere.
    """
    before, root = facts.get("storage"), root_of(spec)
    now = None if root is None else masked(root.url)
    if "storage" in facts and now != before:
        name = facts["sweep_id"]
        if before is None:
            raise SweepError(f"{name}: it began without a storage, and GENOTUNE_STORAGE names one. Go on without it.")
        raise SweepError(f"{name}: its checkpoints are at {before}. To go on: GENOTUNE_STORAGE={before}")


def fetch_sweep(url: str, workspace: Path) -> Path:
    """The folder of a sweep whose driver's machine is gone, with all that its storage knows of it.

    Args:
        url: of the sweep in its storage: s3://BUCKET/PREFIX/SWEEP.
        workspace: where the folder lies.

    Raises:
        SweepError: there is no such sweep.
        HaltError: it can't be read.
    """
    fault = place_fault(url)
    if fault is not None:
        raise SweepError(f"{masked(url)}: {fault}")
    place = storage_at(url.rstrip("/"), Path.cwd())
    folder = workspace / "sweeps" / place.url.rpartition("/")[2]
    bring_journal(place._replace(patience_s=0), folder)
    if not (folder / JOURNAL_FILE).exists():
        raise SweepError(f"{masked(url)}: no sweep is there. Name its place as PLACE/SWEEP, PLACE being its `storage`.")
    return folder


def bring_winner(state: SweepState, sweep: Path, storage: Storage | None) -> None:
    """Fetch what the winner's models are loaded from, unless it lies in the sweep's folder.

    Raises:
        HaltError: it isn't there, or can't be read.
    """
    if storage is None:
        return
    for model in {winner_folder(state, sweep), validated_folder(state, sweep)}:
        if not model.parent.exists():
            of_trial = model.parent.parent.relative_to(sweep)
            fetch(storage if of_trial == Path() else storage.part(of_trial.as_posix()), model.parent)

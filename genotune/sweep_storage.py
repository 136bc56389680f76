"""Where a sweep's checkpoints are kept beside its own folder, as its spec says, and what is fetched from there."""

from pathlib import Path

from genotune.checkpoints import fetch
from genotune.errors import HaltError, Problem
from genotune.evaluation import validated_folder, winner_folder
from genotune.spec import Spec, spec_error
from genotune.storage import PATIENCE_S, Storage, storage_at
from genotune.sweep_state import SweepState


def storage_of(spec: Spec, folder: Path) -> Storage | None:
    """The place of the sweep in this folder, whose name no other sweep has; None: it has no storage."""
    settings = spec.settings
    if settings.storage is None:
        return None
    place = storage_at(settings.storage, spec.folder).part(folder.name)
    # A trial that waits for a storage is not to be taken for one that hangs.
    return place._replace(patience_s=min(PATIENCE_S, settings.trials.timeout_minutes * 60 / 4))


def check_storage(spec: Spec) -> None:
    """Nothing, if a sweep can write to its storage, and read there; or has none.

    Raises:
        SpecError: it can't, with the fix.
    """
    if spec.settings.storage is None:
        return
    try:
        storage_at(spec.settings.storage, spec.folder).check()
    except HaltError as error:
        raise spec_error(spec, [Problem(("storage",), str(error))]) from None


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

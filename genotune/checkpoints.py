"""The checkpoints of one trial: a folder per epoch, whole or not there, the best and the last kept.

They lie on this machine, and in a storage too where the sweep has one: then a checkpoint counts as written when it is
there as well, and a trial that goes on elsewhere fetches its last from there.

A checkpoint holds `model/` (what `load_model` reads), `state/` (what a fit goes on from) and `report.json` (what was
reported with it), so that a trial which goes on can report again what a dying driver may not have heard. That of a
trial on folds has a state for each of them and no model.
"""

import json
import logging
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from genotune.storage import Storage, TornError, sizes_in
from genotune.trainables.trainable import FitError, Progress

log = logging.getLogger(__name__)

_REPORT: Final = "report.json"


class Checkpoint(NamedTuple):
    """One epoch's.

    Attributes:
        score: the objective, turned so that higher is better; -inf where it was not a number.
        metrics: as they were reported.
        files: bytes of each file in its folder but the report, by path.
    """

    epoch: int
    path: Path
    score: float
    metrics: Mapping[str, float]
    files: Mapping[str, int]

    @property
    def model(self) -> Path:
        """The folder that `load_model` reads."""
        return self.path / "model"

    @property
    def state(self) -> Path:
        """The folder that a fit resumes from."""
        return self.path / "state"


class CheckpointFolder:
    """A trial's checkpoints.

    Args:
        folder: of this trial alone; made if it isn't there.
        best: how many of the best are kept.
        last: how many of the last are kept.
        storage: the trial's place there; None: the folder is all.
        generation_epochs: of trials that wait for each other after so many epochs: the checkpoint that a generation
            began with is kept until it has ended, since others may go on from it; None: they wait for nobody.

    Raises:
        HaltError: the storage was away for too long, or refuses.
    """

    def __init__(
        self,
        folder: Path,
        *,
        best: int,
        last: int,
        storage: Storage | None = None,
        generation_epochs: int | None = None,
    ) -> None:
        self.folder = folder
        self._best, self._last = best, last
        self._storage, self._generation_epochs = storage, generation_epochs
        folder.mkdir(parents=True, exist_ok=True)
        self._stored: dict[int, Checkpoint] = {}
        if storage is not None:
            storage.clear()
            for name, note in storage.notes().items():
                self._stored[note.facts["epoch"]] = _from_report(note.facts, folder / name)
            self._put_what_is_only_here()

    def write(self, progress: Progress, *, score: float, metrics: Mapping[str, float]) -> Checkpoint:
        """Save an epoch, then let go of what is no longer kept. A death in between leaves whole checkpoints only."""
        draft = self.draft(progress.epoch)
        (draft / "model").mkdir()
        progress.model.save(draft / "model")
        progress.save_state(draft / "state", value=score)
        return self.finish(draft, progress.epoch, score=score, metrics=metrics)

    def draft(self, epoch: int) -> Path:
        """A folder for an epoch's checkpoint, with an empty `state/` in it; nobody sees it before it is finished."""
        draft = self.folder / f".{_name(epoch)}.{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        (draft / "state").mkdir(parents=True)
        return draft

    def finish(self, draft: Path, epoch: int, *, score: float, metrics: Mapping[str, float]) -> Checkpoint:
        """Make a draft the epoch's checkpoint, then let go of what is no longer kept."""
        path = self.folder / _name(epoch)
        checkpoint = Checkpoint(epoch, path, score if math.isfinite(score) else -math.inf, metrics, sizes_in(draft))
        (draft / _REPORT).write_text(json.dumps(_report(checkpoint)))
        shutil.rmtree(path, ignore_errors=True)
        draft.rename(path)
        self._put(checkpoint)
        self.tidy()
        return checkpoint

    def all(self) -> list[Checkpoint]:
        """Every whole checkpoint, by epoch, whether it lies here or in the storage."""
        here = {checkpoint.epoch: checkpoint for checkpoint in self._here()}
        return [one for _, one in sorted({**self._stored, **here}.items())]

    def latest(self) -> Checkpoint | None:
        """Of the last epoch; it lies here afterwards."""
        while (last := max(self.all(), key=lambda checkpoint: checkpoint.epoch, default=None)) is not None:
            if last.path.exists() or self._storage is None:
                return last
            try:
                fetch(self._storage, last.path)
            except TornError as error:
                log.warning("The trial goes on from an earlier epoch: %s", error)
                self._storage.remove(last.path.name)
                del self._stored[last.epoch]
        return None

    def tidy(self) -> None:
        """Let go of what is not kept."""
        there = self.all()
        by_score = sorted(there, key=lambda checkpoint: (-checkpoint.score, checkpoint.epoch))
        kept = {checkpoint.epoch for checkpoint in by_score[: self._best] + there[-self._last :]}
        if self._generation_epochs is not None:
            # All others have come as far once a trial is let go on beyond the end of a generation.
            kept.add((there[-1].epoch - 1) // self._generation_epochs * self._generation_epochs)
        for checkpoint in there:
            if checkpoint.epoch not in kept:
                shutil.rmtree(checkpoint.path, ignore_errors=True)
                if self._storage is not None:
                    self._storage.remove(checkpoint.path.name)
                    del self._stored[checkpoint.epoch]
        for draft in self.folder.glob(".epoch-*"):
            shutil.rmtree(draft, ignore_errors=True)

    def _here(self) -> list[Checkpoint]:
        found = [_read(path) for path in sorted(self.folder.glob("epoch-*"))]
        return [checkpoint for checkpoint in found if checkpoint is not None]

    def _put_what_is_only_here(self) -> None:
        """A death, or a storage that was away, came between a checkpoint's two places."""
        for checkpoint in self._here():
            if checkpoint.epoch not in self._stored:
                self._put(checkpoint)

    def _put(self, checkpoint: Checkpoint) -> None:
        if self._storage is not None:
            files = {**checkpoint.files, _REPORT: (checkpoint.path / _REPORT).stat().st_size}
            self._storage.put(checkpoint.path, checkpoint.path.name, files=files, facts=_report(checkpoint))
            self._stored[checkpoint.epoch] = checkpoint


def fetch(storage: Storage, folder: Path) -> None:
    """Copy what lies in a storage under a folder's name to this machine, whole or not at all.

    Raises:
        HaltError: it isn't there, or can't be read.
    """
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    storage.fetch(folder.name, draft)
    draft.rename(folder)


def checkpoint_of_another(path: Path, storage: Storage | None) -> Checkpoint:
    """A checkpoint of another trial than that of this process; it lies here afterwards.

    Args:
        path: its folder.
        storage: that trial's place there; None: the folder is all.

    Raises:
        FitError: it is gone, or a part of it.
        HaltError: the storage was away for too long, or lacks it.
    """
    if storage is not None and not path.exists():
        try:
            fetch(storage, path)
        except TornError as error:
            raise FitError(f"The checkpoint that the trial is to go on from is torn: {error}") from error
        except OSError:
            if not path.exists():  # else another process has fetched it meanwhile
                raise
    found = _read(path)
    if found is None:
        raise FitError(f"{path}: this checkpoint, which the trial is to go on from, is gone. Was it removed by hand?")
    return found


def epoch_of(path: str) -> int:
    """Of the checkpoint at a path."""
    return int(path.rpartition("-")[2])


def _name(epoch: int) -> str:
    return f"epoch-{epoch:04d}"


def _report(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint's facts as JSON can hold them."""
    return {
        "epoch": checkpoint.epoch,
        "score": checkpoint.score if math.isfinite(checkpoint.score) else None,
        "metrics": {name: value if math.isfinite(value) else None for name, value in checkpoint.metrics.items()},
        "files": dict(checkpoint.files),
    }


def _read(path: Path) -> Checkpoint | None:
    """The checkpoint in a folder; None: the machine lost its power before the disk had all of it, so there is none."""
    try:
        checkpoint = _from_report(json.loads((path / _REPORT).read_text()), path)
    except (FileNotFoundError, ValueError, KeyError):
        return None
    there = sizes_in(path)
    return checkpoint if all(there.get(file) == n_bytes for file, n_bytes in checkpoint.files.items()) else None


def _from_report(report: Mapping[str, Any], path: Path) -> Checkpoint:
    metrics = {name: math.nan if value is None else value for name, value in report["metrics"].items()}
    score = -math.inf if report["score"] is None else report["score"]
    return Checkpoint(report["epoch"], path, score, metrics, report["files"])

"""The checkpoints of one trial: a folder per epoch, whole or not there, the best and the last kept.

A checkpoint holds `model/` (what `load_model` reads), `state/` (what a fit goes on from) and `report.json` (what was
reported with it), so that a trial which goes on can report again what a dying driver may not have heard. That of a
trial on folds has a state for each of them and no model.
"""

import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from genotune.trainables.trainable import Progress

_REPORT: Final = "report.json"


class Checkpoint(NamedTuple):
    """One epoch's.

    Attributes:
        score: the objective, turned so that higher is better; -inf where it was not a number.
        metrics: as they were reported.
    """

    epoch: int
    path: Path
    score: float
    metrics: Mapping[str, float]

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
    """

    def __init__(self, folder: Path, *, best: int, last: int) -> None:
        self.folder = folder
        self._best, self._last = best, last
        folder.mkdir(parents=True, exist_ok=True)

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
        score = score if math.isfinite(score) else -math.inf
        report = {
            "epoch": epoch,
            "score": score if math.isfinite(score) else None,
            "metrics": {name: value if math.isfinite(value) else None for name, value in metrics.items()},
        }
        (draft / _REPORT).write_text(json.dumps(report))
        shutil.rmtree(path, ignore_errors=True)
        draft.rename(path)
        self._tidy()
        return Checkpoint(epoch, path, score, metrics)

    def all(self) -> list[Checkpoint]:
        """Every whole checkpoint, by epoch."""
        return [_read(path) for path in sorted(self.folder.glob("epoch-*"))]

    def latest(self) -> Checkpoint | None:
        """Of the last epoch."""
        return max(self.all(), key=lambda checkpoint: checkpoint.epoch, default=None)

    def _tidy(self) -> None:
        there = self.all()
        by_score = sorted(there, key=lambda checkpoint: (-checkpoint.score, checkpoint.epoch))
        kept = {checkpoint.epoch for checkpoint in by_score[: self._best] + there[-self._last :]}
        for checkpoint in there:
            if checkpoint.epoch not in kept:
                shutil.rmtree(checkpoint.path)
        for draft in self.folder.glob(".epoch-*"):
            shutil.rmtree(draft, ignore_errors=True)


def _name(epoch: int) -> str:
    return f"epoch-{epoch:04d}"


def _read(path: Path) -> Checkpoint:
    report = json.loads((path / _REPORT).read_text())
    metrics = {name: math.nan if value is None else value for name, value in report["metrics"].items()}
    score = -math.inf if report["score"] is None else report["score"]
    return Checkpoint(report["epoch"], path, score, metrics)

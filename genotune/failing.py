"""When trials fail: which families go on, and what a sweep says that has nothing to show."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from genotune.errors import SweepError
from genotune.sweep_state import SweepState

FAILED_AT_FIRST: Final = 3
"""A family whose first trials all fail, this many of them, gets no more: the next would fail too."""


def failing(ends: Mapping[str, Counter[str]], state: SweepState) -> dict[str, str]:
    """Why families should get no more trials; those that get none already are left out.

    Args:
        ends: how many trials of each family have ended in each way.
        state: of the sweep.
    """
    found = {}
    for family, of_family in ends.items():
        n = of_family["failed"]
        all_failed = n >= FAILED_AT_FIRST and n == of_family.total()
        if all_failed and family not in state.dropped and not _lives(family, state):
            first = next(
                trial for trial in state.trials.values() if trial.family == family and trial.status == "failed"
            )
            found[family] = f"its first {n} trials all failed; trial {first.number}: {first.reason}"
    return found


def _lives(family: str, state: SweepState) -> bool:
    """Whether a trial of a family that hasn't ended has come to the end of a generation, though others failed."""
    return any(one.family == family and "pause" in one.decisions.values() for one in state.unended.values())


def check_outcome(state: SweepState, sweep: str) -> None:
    """Nothing, if a trial has something to show.

    Args:
        state: of the sweep, whose trials have ended.
        sweep: its name.

    Raises:
        SweepError: none has; the first failure is in the message.
    """
    trials = list(state.trials.values())
    if any(math.isfinite(value) for trial in trials for value in trial.curve.values()):
        return
    first = next((trial for trial in trials if trial.status == "failed"), None)
    if first is None:
        message = (
            f"{sweep}: no trial reported a finite objective; nothing can be chosen. What they wrote may tell why: "
            f"genotune logs {sweep} --trial 0. Mend that, and start a new sweep."
        )
        raise SweepError(message)
    n_failed = sum(trial.status == "failed" for trial in trials)
    which = f"All {n_failed}" if n_failed == len(trials) else f"{n_failed} of {len(trials)}"
    message = (
        f"{sweep}: {which} trials failed. The first (trial {first.number}):\n{first.reason}\n"
        f"What it wrote: genotune logs {sweep} --trial {first.number}. Mend that, and start a new sweep."
    )
    raise SweepError(message)

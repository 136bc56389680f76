"""What MLflow's runs are told of a front: which trials are on it, and at the end a table, a picture and numbers."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from genotune.events import Event
from genotune.front import FRONT_FILE, front_of, front_text
from genotune.sweep_state import SweepState
from genotune.tracking import names

if TYPE_CHECKING:
    from genotune.tracking.changes import RunChange


def front_news(state: SweepState, told: Mapping[int, str]) -> dict[int, str]:
    """'true' or 'false' by trial: whether it is on the front, where that was not told; nothing of one objective."""
    front = front_of(state)
    if front is None:
        return {}
    words = {one.trial: "true" for one in front.standings} | {one.trial: "false" for one in front.others}
    return {trial: word for trial, word in words.items() if told.get(trial) != word}


def front_trials(state: SweepState) -> str:
    """'3, 7, 12': the trials on the front of a sweep with several objectives."""
    front = front_of(state)
    assert front is not None
    return names.value_text(", ".join(map(str, sorted(front.trials))))


def record_front(state: SweepState, event: Event, change: "RunChange") -> None:
    """Add to the sweep's own run what its trials came to; nothing of one objective, or where none has reported."""
    front = front_of(state)
    if front is None or not front.standings:
        return
    change.texts[FRONT_FILE] = front_text(front, state)
    change.fronts[names.FRONT_PLOT] = front
    worst = {objective.name: value for objective, value in zip(front.objectives, front.reference, strict=True)}
    change.tags[names.FRONT_REFERENCE] = json.dumps(worst)
    # At the number of trials, so that MLflow's latest value is that of a sweep which was extended.
    numbers = {"front.size": len(front.standings), "front.hypervolume": front.hypervolume}
    change.measure(numbers, event, step=len(state.trials))

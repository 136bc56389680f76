"""Trials that are shorter than the start of a process: which of them waits for one, and which takes one that is free.

Tune gives a process that is free to any trial that waits, and ends the one that was starting for it. While trials are
shorter than a process's start that never stops: one process does all the work, and others are started and ended in
vain beside it. Here a trial whose process is starting waits for it, and the next trial takes the free one.
"""

from collections.abc import Callable
from typing import Any


def keep_starting_actors(tune_controller: Any) -> None:
    """Let no trial whose own actor is coming up take a free one. Called again, it changes nothing.

    Without its resources an actor does not come up; its trial takes a free one, whose resources are what it waits for.

    Args:
        tune_controller: Tune's `TuneController`. One that is made otherwise than that of ray 2.60 is left as it is.
    """
    names = ("_maybe_reuse_cached_actor", "_trial_to_actor", "_actor_manager", "_resetting_trials")
    if not all(hasattr(tune_controller, name) for name in names) or hasattr(tune_controller, "_genotune_reuse"):
        return
    reuse = tune_controller._genotune_reuse = tune_controller._maybe_reuse_cached_actor

    def reuse_unless_starting(trial: Any) -> bool:
        actor = tune_controller._trial_to_actor.get(trial)
        is_starting = (
            actor is not None
            and trial not in tune_controller._resetting_trials
            and tune_controller._actor_manager.is_actor_started(actor)
        )
        return False if is_starting else bool(reuse(trial))

    tune_controller._maybe_reuse_cached_actor = reuse_unless_starting


def end_actors_that(tune_controller: Any, are_leaving: Callable[[Any], bool]) -> None:
    """Keep no process of a trial that has ended where its machine is about to be taken away. As `keep_starting_actors`.

    Args:
        tune_controller: see there.
        are_leaving: whether the machine of a trial's process is.
    """
    # A scheduler is handed a wrapper, and what is set on that reaches nobody.
    tune_controller = getattr(tune_controller, "_tune_controller", tune_controller)
    if not hasattr(tune_controller, "_maybe_cache_trial_actor") or hasattr(tune_controller, "_genotune_cache"):
        return
    cache = tune_controller._genotune_cache = tune_controller._maybe_cache_trial_actor

    def cache_unless_leaving(trial: Any) -> bool:
        return False if are_leaving(trial) else bool(cache(trial))

    tune_controller._maybe_cache_trial_actor = cache_unless_leaving

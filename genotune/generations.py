"""Trials that wait for each other: when a generation of them has ended, and how they go on. The journal says all."""

from collections.abc import Mapping

from genotune.journal import Journal
from genotune.sweep_state import SweepState, TrialState
from genotune.tuning.population import Member, Population


def end_generations(journal: Journal, population: Population) -> None:
    """Write down how each family's trials go on that have all reached the end of a generation.

    One event holds all of a family, so that a death leaves the generation as it was or ended. A family whose
    population is still to be proposed waits for it; trials that failed or were stopped are waited for no more.
    """
    state = journal.state
    open_trials: dict[str, list[TrialState]] = {}
    for trial in state.unended.values():
        open_trials.setdefault(trial.family, []).append(trial)
    for family, trials in open_trials.items():
        if _is_whole(state, family, population) and all(trial.is_paused for trial in trials):
            epoch = trials[0].epoch
            assert all(trial.epoch == epoch for trial in trials), f"{family} waits at several epochs"
            members = [Member(trial.number, trial.curve[epoch], trial.picks) for trial in trials]
            copies = [
                {"trial": copy.trial, "parent": copy.parent, "picks": copy.draw.picks, "params": copy.draw.params}
                for copy in population.copies(family, epoch, members)
            ]
            journal.append("generation", family=family, epoch=epoch, copies=copies)


def _is_whole(state: SweepState, family: str, population: Population) -> bool:
    """Whether no more trials of a family are to come."""
    is_full = state.n_proposed[family] >= population.size
    return is_full or family in state.dropped or bool(state.proposals_ended)


def origin(state: SweepState, trial: TrialState) -> str | None:
    """The checkpoint that a trial which is a copy began from last; it goes on from its own once it has a later one."""
    parents = trial.parents
    if not parents:
        return None
    epoch = max(parents)
    return state.trials[parents[epoch]].checkpoints.get(epoch)


def generation_words(family: str, ended: Mapping[int, Mapping[int, int]]) -> str:
    """How the last generation of a family ended.

    Args:
        family: of which it is told.
        ended: by the epoch of each end, the parent of each trial that went on as a copy.
    """
    epoch, parents = max(ended.items())
    copies = ", ".join(f"{trial} of {parent}" for trial, parent in sorted(parents.items()))
    what = f"trials go on as changed copies: {copies}" if copies else "all trials go on as they were"
    return f"{family}: generation {len(ended)} ended at epoch {epoch}; {what}"

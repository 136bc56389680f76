"""A sweep that dies after any event of its journal and goes on writes the journal of one that nobody disturbed."""

import math
from typing import get_args

import pytest

from genotune.controller import Controller
from genotune.events import JOURNAL_FILE
from genotune.journal import Journal
from genotune.limits import Limits
from genotune.settings import build
from genotune.tuning import SchedulerSettings, SearchSettings
from genotune.tuning.plateau import PlateauSettings
from genotune.tuning.space import parse_template

MAX_EPOCHS = 4
SPACE = {
    "toy": parse_template({"rate": {"log_uniform": [1e-3, 1.0]}, "depth": {"int": [1, 4]}})[0],
    "plain": parse_template({"depth": {"int": [1, 4]}})[0],
}
COUNTED = {"toy": parse_template({"depth": {"int": [1, 3]}, "width": {"choice": [4, 8]}})[0], "plain": SPACE["plain"]}
"""Without a continuous range, for who can't take one."""

# One example of each kind; what learns begins to early enough to matter here.
SEARCHES = {
    "random": {"seed": 5},
    "grid": {},
    "tpe": {"seed": 5, "n_startup_trials": 3},
    "gp": {"seed": 5, "n_startup_trials": 3},
    "cmaes": {"seed": 5},
}
SCHEDULERS = {
    "asha": {"reduction_factor": 2},
    "hyperband": {"reduction_factor": 2},
    "median": {"min_trials": 2},
    "none": {},
    "pbt": {"population": 3},
}
CHANGEABLE = {"toy": frozenset({"rate", "width"}), "plain": frozenset({"depth"})}


@pytest.fixture(autouse=True)
def _disk_is_not_waited_for(monkeypatch):
    """That events are on disk is tested elsewhere; here are very many."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def kinds_of(union):
    return {member.model_fields["kind"].default for member in get_args(get_args(union)[0])}


def test_there_is_an_example_of_every_searcher_and_scheduler():
    assert set(SEARCHES) == kinds_of(SearchSettings)
    assert set(SCHEDULERS) == kinds_of(SchedulerSettings)


def value_of(task, epoch):
    """A made-up learning curve, a function of the draw alone; some draws diverge."""
    if task.params["depth"] == 4 and epoch > 1:
        return math.nan
    rate = task.params.get("rate", 0.1 / task.params.get("width", 2))
    return 1 - abs(math.log10(rate) + 1.5) / 3 - 0.5 / (epoch * task.params["depth"])


def drive(journal, make, *, ahead=0, fails=()):
    """Run trials one after another to the end, each from its last checkpoint.

    Args:
        journal: where it stands.
        make: gives the controller.
        ahead: epochs that the checkpoint of a trial is ahead of the journal.
        fails: families of which every trial fails.
    """
    reached = {number: trial.epoch + ahead for number, trial in journal.state.unended.items() if trial.curve}
    controller = make(journal)
    while not isinstance(task := controller.next_task(), str):
        controller.started(task.trial, device="cpu")
        if task.family in fails:
            controller.ended(task.trial, failure="RuntimeError: no")
            continue
        for epoch in range(min(reached.get(task.trial, 1), MAX_EPOCHS), MAX_EPOCHS + 1):
            value = value_of(task, epoch)
            if controller.report(task.trial, epoch, value=value, metrics={}, checkpoint=None) != "continue":
                break
        controller.ended(task.trial)
    assert task == "finished"


def story(journal):
    """The events, without their times; a trial that was started again has begun once."""
    events, begun = [], set()
    for event in journal.events():
        if event.kind == "started" and event.values["trial"] in begun:
            continue
        begun |= {event.values["trial"]} if event.kind == "started" else set()
        events.append((event.kind, dict(event.values)))
    return events


def assert_every_cut_comes_to_the_same_end(tmp_path, make, **how):
    (tmp_path / "whole").mkdir()
    with Journal(tmp_path / "whole") as journal:
        drive(journal, make, **how)
        expected = story(journal)
    lines = (tmp_path / "whole" / JOURNAL_FILE).read_bytes().splitlines(keepends=True)
    n_pauses = sum(values.get("action") == "pause" for _, values in expected)
    assert len(lines) == len(expected) + n_pauses, "a trial that paused begins once more, and no other"
    for n_kept in range(len(lines) + 1):
        folder = tmp_path / f"cut-{n_kept}"
        folder.mkdir()
        (folder / JOURNAL_FILE).write_bytes(b"".join(lines[:n_kept]))
        with Journal(folder) as journal:
            drive(journal, make, ahead=n_kept % 2, **how)
            assert story(journal) == expected, f"cut after event {n_kept}"
    return expected


def controllers(*, search="random", scheduler="none", space=None, plateau=None, **limits):
    settings = build(SearchSettings, {"kind": search, **SEARCHES[search]})
    space = space or (COUNTED if settings.problems(SPACE) else SPACE)

    def make(journal):
        rules = build(SchedulerSettings, {"kind": scheduler, "max_epochs": MAX_EPOCHS, **SCHEDULERS[scheduler]})
        return Controller(
            journal,
            searcher=settings.build(space, "maximize"),
            scheduler=rules.build("maximize"),
            limits=Limits(**{"n_trials": 6, **limits}),
            seed=5,
            plateau=None if plateau is None else plateau.build("maximize"),
            population=rules.build_population(space, "maximize", changeable=CHANGEABLE, seed=5),
        )

    return make


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
@pytest.mark.parametrize("search", sorted(SEARCHES))
def test_any_searcher_with_any_scheduler_goes_on_after_any_event(tmp_path, search, scheduler):
    make = controllers(search=search, scheduler=scheduler)
    expected = assert_every_cut_comes_to_the_same_end(tmp_path, make)
    assert expected[-1] == ("proposals_ended", {"reason": "the budget of 6 trials is spent"})


def test_a_budget_in_epochs_ends_trials_at_the_same_epoch_after_any_event(tmp_path):
    expected = assert_every_cut_comes_to_the_same_end(tmp_path, controllers(epochs=7))
    assert [kind for kind, _ in expected].count("report") == 7
    assert expected[-3][1]["reason"] == "the budget of 7 epochs is spent"
    assert expected[-2][0] == "ended"
    assert expected[-1] == ("proposals_ended", {"reason": "the budget of 7 epochs is spent"})


def test_a_plateau_ends_the_proposals_at_the_same_trial_after_any_event(tmp_path):
    plateau = PlateauSettings(trials=2, min_delta=0.05)
    expected = assert_every_cut_comes_to_the_same_end(tmp_path, controllers(plateau=plateau, n_trials=20))
    assert 3 <= [kind for kind, _ in expected].count("proposed") < 20
    reason = "the last 2 trials that ended did not improve the best objective by 0.05"
    assert expected[-1] == ("proposals_ended", {"reason": reason})


@pytest.mark.parametrize("search", sorted(SEARCHES))
def test_a_family_that_fails_is_dropped_at_the_same_trial_after_any_event(tmp_path, search):
    make = controllers(search=search, n_trials=9)
    expected = assert_every_cut_comes_to_the_same_end(tmp_path, make, fails={"plain"})
    families = [values["family"] for kind, values in expected if kind == "proposed"]
    assert families.count("plain") == 3
    assert families.count("toy") == 6
    dropped = {"family": "plain", "reason": "its first 3 trials all failed; trial 1: RuntimeError: no"}
    assert [values for kind, values in expected if kind == "dropped"] == [dropped]

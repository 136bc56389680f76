"""A population under the controller, without Ray: it waits, copies and goes on, wherever its journal is cut."""

import math

import pytest

from genotune.controller import Controller
from genotune.errors import SweepError
from genotune.events import JOURNAL_FILE
from genotune.failing import FAILED_AT_FIRST
from genotune.generations import generation_words
from genotune.journal import Journal
from genotune.limits import Limits
from genotune.settings import build
from genotune.tuning import SchedulerSettings, SearchSettings
from tuning_builders import space_of

RATE = {"rate": {"log_uniform": [1e-3, 1.0]}, "width": {"int": [1, 9]}}
PBT = {"kind": "pbt", "max_epochs": 8, "interval_epochs": 3, "population": 8}
CHANGEABLE = {"toy": frozenset({"rate"}), "other": frozenset({"rate"})}


def controller_on(journal, *, families=("toy",), search="random", scheduler=None, **limits):
    space = space_of(dict.fromkeys(families, RATE))
    settings = build(SchedulerSettings, {**PBT, **(scheduler or {})})
    return Controller(
        journal,
        searcher=build(SearchSettings, {"kind": search, "seed": 5}).build(space, "maximize"),
        scheduler=settings.build("maximize"),
        limits=Limits(**{"n_trials": settings.population * len(families), **limits}),
        seed=5,
        population=settings.build_population(space, "maximize", changeable=CHANGEABLE, seed=5),
    )


class Machine:
    """Trials as a worker fits them: what it comes to is the sum of what each epoch added, and lies in checkpoints.

    Args:
        diverging: trials that fail at an epoch, by number.
    """

    def __init__(self, diverging=None):
        self.checkpoints = {}
        self.diverging = diverging or {}

    def run(self, controller, task, *, stop_after=None):
        """Fit until the trial stops or pauses, or for so many epochs."""
        controller.started(task.trial, device="cpu")
        own = [path for path in self.checkpoints if path.startswith(f"trial-{task.trial}/")]
        last = max(own, key=epoch_of, default=None)
        if last is not None and self.report(controller, task, epoch_of(last), self.checkpoints[last]) != "continue":
            controller.ended(task.trial)
            return
        start = last
        if task.start_from is not None and (last is None or epoch_of(last) <= epoch_of(task.start_from)):
            start = task.start_from
        epoch, value = (0, 0.0) if start is None else (epoch_of(start), self.checkpoints[start])
        for n_fitted in range(1, 1 + PBT["max_epochs"] - epoch):
            epoch += 1
            if self.diverging.get(task.trial) == epoch:
                controller.ended(task.trial, failure="it diverged")
                return
            value += gain(task.params)
            self.checkpoints[f"trial-{task.trial}/{epoch}"] = value
            if self.report(controller, task, epoch, value) != "continue":
                break
            if n_fitted == stop_after:
                return
        controller.ended(task.trial)

    def report(self, controller, task, epoch, value):
        checkpoint = f"trial-{task.trial}/{epoch}"
        return controller.report(task.trial, epoch, value=value, metrics={}, checkpoint=checkpoint)


def epoch_of(path):
    return int(path.split("/")[1])


def gain(params):
    """What an epoch adds; most at a rate of 0.03."""
    return math.exp(-abs(math.log10(params["rate"]) + 1.5))


def run_all(controller, machine=None):
    machine = machine or Machine()
    while not isinstance(task := controller.next_task(), str):
        machine.run(controller, task)
    assert task == "finished"
    return machine


def story(state):
    """What happened, without the clock."""
    trials = [
        (one.number, one.seed, one.curve, one.decisions, one.status, one.stretches, one.params)
        for one in state.trials.values()
    ]
    return trials, state.generations


@pytest.fixture
def whole(tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    with Journal(folder) as journal:
        run_all(controller_on(journal))
        yield journal


def test_a_population_goes_through_its_generations_and_gets_better_than_its_first_draws(whole):
    state = whole.state
    assert [trial.status for trial in state.trials.values()] == ["complete"] * 8
    assert all(sorted(trial.curve) == list(range(1, 9)) for trial in state.trials.values())
    assert {epoch: len(copies) for epoch, copies in state.generations["toy"].items()} == {3: 2, 6: 2}
    kinds = [event.kind for event in whole.events()]
    first = kinds.index("generation")
    assert kinds[:first].count("proposed") == 8, "it waits for the whole population"
    assert kinds.count("started") == 8 * 3
    final = [trial.curve[8] for trial in state.trials.values()]
    alone = [8 * gain(trial.fitted_with(1).params) for trial in state.trials.values()]
    assert sum(final) > sum(alone)
    assert max(final) >= max(alone)


def test_a_copy_goes_on_from_its_parents_value_with_what_the_journal_says(whole):
    state = whole.state
    for epoch, parents in state.generations["toy"].items():
        for number, parent in parents.items():
            trial = state.trials[number]
            before, after = trial.fitted_with(epoch), trial.fitted_with(epoch + 1)
            assert (before.parent, after.parent) != (parent, None)
            assert after.parent == parent
            assert after.params["width"] == state.trials[parent].fitted_with(epoch).params["width"]
            wanted = state.trials[parent].curve[epoch] + gain(after.params)
            assert trial.curve[epoch + 1] == pytest.approx(wanted)
            assert trial.curve[epoch] < state.trials[parent].curve[epoch]


def test_who_does_not_copy_goes_on_as_it_was(whole):
    for trial in whole.state.trials.values():
        if not trial.stretches:
            assert [trial.curve[epoch] for epoch in range(1, 9)] == pytest.approx(
                [epoch * gain(trial.params) for epoch in range(1, 9)]
            )


def test_a_journal_that_is_cut_at_any_line_goes_on_to_the_same_end(whole, tmp_path):
    """A death after any event; checkpoints are as a worker left them that was one epoch ahead of the journal."""
    lines = whole.path.read_bytes().splitlines(keepends=True)
    for n_kept in range(len(lines) + 1):
        folder = tmp_path / f"cut-{n_kept}"
        folder.mkdir()
        (folder / JOURNAL_FILE).write_bytes(b"".join(lines[:n_kept]) + b'{"number": 3, "torn')
        with Journal(folder) as journal:
            machine = Machine()
            for trial in journal.state.trials.values():
                values = whole.state.trials[trial.number].curve
                for epoch in range(1, trial.epoch + 1 + may_be_ahead(trial)):
                    machine.checkpoints[f"trial-{trial.number}/{epoch}"] = values[epoch]
            run_all(controller_on(journal), machine)
            assert story(journal.state) == story(whole.state), f"cut after {n_kept} events"


def may_be_ahead(trial):
    """Whether a worker may have fitted an epoch that the journal doesn't know of."""
    goes_on = trial.status == "running" and (trial.epoch == 0 or trial.epoch in trial.decisions)
    return goes_on and trial.epoch < PBT["max_epochs"]


def test_more_machines_come_to_what_one_comes_to(whole, tmp_path):
    """Three at once, each an epoch in turn, so that the trials of a generation end in another order."""
    machine = Machine()
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, concurrent=3)
        running = []
        while True:
            while not isinstance(task := controller.next_task(), str):
                running.append(task)
            if not running:
                break
            task = running.pop()
            machine.run(controller, task, stop_after=1)
            trial = journal.state.trials[task.trial]
            if trial.ended_s is None and not trial.is_paused:
                running.insert(0, task._replace(start_from=None))
        assert task == "finished" or not running
        trials, generations = story(journal.state)
        assert (trials, generations) == story(whole.state)


def test_a_member_that_fails_is_not_waited_for_and_no_parent(tmp_path):
    with Journal(tmp_path) as journal:
        run_all(controller_on(journal), Machine(diverging={2: 2, 5: 4}))
        state = journal.state
        assert [number for number, trial in state.trials.items() if trial.status == "failed"] == [2, 5]
        assert [len(copies) for copies in state.generations["toy"].values()] == [1, 1]
        assert 2 not in state.generations["toy"][3].values()
        assert all(trial.epoch == 8 for number, trial in state.trials.items() if number not in (2, 5))


def test_a_family_whose_others_failed_is_not_dropped_while_one_waits(tmp_path):
    with Journal(tmp_path) as journal:
        run_all(controller_on(journal), Machine(diverging=dict.fromkeys(range(1, 1 + FAILED_AT_FIRST), 1)))
        assert journal.state.dropped == {}
        assert len(journal.state.trials) == 8


def test_a_family_whose_first_all_fail_is_dropped_and_the_other_population_goes_on(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, families=("toy", "other"))
        run_all(controller, Machine(diverging={0: 1, 2: 1, 4: 1}))
        state = journal.state
        assert list(state.dropped) == ["toy"]
        assert [len(copies) for copies in state.generations["other"].values()] == [2, 2]
        of_other = [trial for trial in state.trials.values() if trial.family == "other"]
        assert [trial.status for trial in of_other] == ["complete"] * 8
        assert state.proposals_ended == "each family that is left has its population"


def test_each_family_has_a_population_of_its_own(tmp_path):
    with Journal(tmp_path) as journal:
        run_all(controller_on(journal, families=("toy", "other")))
        state = journal.state
        families = [trial.family for trial in state.trials.values()]
        assert families == ["toy", "other"] * 8
        for family in ("toy", "other"):
            for parents in state.generations[family].values():
                assert {state.trials[one].family for pair in parents.items() for one in pair} == {family}


def test_a_space_with_fewer_points_than_members_makes_a_smaller_population(tmp_path):
    space = space_of({"toy": {"rate": {"choice": [0.01, 0.1, 1.0]}}})
    settings = build(SchedulerSettings, PBT)
    with Journal(tmp_path) as journal:
        run_all(
            Controller(
                journal,
                searcher=build(SearchSettings, {"kind": "grid"}).build(space, "maximize"),
                scheduler=settings.build("maximize"),
                limits=Limits(8),
                seed=0,
                population=settings.build_population(space, "maximize", changeable=CHANGEABLE, seed=0),
            )
        )
        assert [trial.status for trial in journal.state.trials.values()] == ["complete"] * 3
        assert [len(copies) for copies in journal.state.generations["toy"].values()] == [1, 1]


def test_when_the_budget_is_spent_those_that_wait_stop_too(tmp_path):
    with Journal(tmp_path) as journal:
        run_all(controller_on(journal, epochs=10))
        state = journal.state
        assert state.n_epochs == 10
        assert [trial.status for trial in state.trials.values()] == ["stopped"] * 4
        assert {trial.reason for trial in state.trials.values()} == {"the budget of 10 epochs is spent"}
        assert state.unended == {}


def test_a_trial_that_waits_ends_when_a_person_stops_it_and_the_others_go_on_without_it(tmp_path):
    machine = Machine()
    with Journal(tmp_path) as journal:
        controller = controller_on(journal)
        machine.run(controller, controller.next_task())
        controller.stop_trials({0})
        run_all(controller, machine)
        assert (journal.state.trials[0].status, journal.state.trials[0].reason) == ("stopped", "stopped by hand")
        assert [trial.status for trial in journal.state.trials.values()].count("complete") == 7
        for copy, parent in journal.state.generations["toy"][3].items():
            assert 0 not in (copy, parent)


def test_a_trial_whose_process_dies_while_it_waits_still_waits(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal)
        machine = Machine()
        machine.run(controller, controller.next_task())
        controller.ended(0, failure="its process died")
        controller.give_back(0)
        trial = journal.state.trials[0]
        assert (trial.status, trial.is_paused, trial.running_since_s) == ("paused", True, None)
        assert controller.next_task().trial == 1


def test_a_trial_that_waits_is_told_to_pause_again_and_to_go_on_once_its_generation_has_ended(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal)
        machine = Machine()
        machine.run(controller, controller.next_task())
        assert controller.report(0, 3, value=0.0, metrics={}, checkpoint=None) == "pause"
        run_all(controller, machine)
        assert controller.report(0, 3, value=0.0, metrics={}, checkpoint=None) == "continue"


def test_decisions_of_another_scheduler_are_refused(whole, tmp_path):
    for old, new in ((b'"action": "pause"', b'"action": "continue"'), (b'"action": "continue"', b'"action": "pause"')):
        (tmp_path / JOURNAL_FILE).write_bytes(whole.path.read_bytes().replace(old, new))
        with Journal(tmp_path) as journal, pytest.raises(SweepError, match="not the one that the sweep began with"):
            controller_on(journal)


def test_a_generation_is_told_in_words():
    ended = {3: {4: 1}, 6: {7: 2, 0: 5}}
    assert generation_words("toy", ended) == (
        "toy: generation 2 ended at epoch 6; trials go on as changed copies: 0 of 5, 7 of 2"
    )
    assert generation_words("toy", {3: {}}) == "toy: generation 1 ended at epoch 3; all trials go on as they were"

"""What a sweep does next, without Ray: budgets, ends, and a journal that is cut anywhere."""

import math

import numpy as np
import pytest

from genotune.controller import Controller, trial_seed
from genotune.errors import SweepError
from genotune.events import JOURNAL_FILE
from genotune.failing import FAILED_AT_FIRST, check_outcome
from genotune.journal import Journal
from genotune.limits import Limits
from genotune.settings import build
from genotune.tuning import SchedulerSettings, SearchSettings
from genotune.tuning.plateau import PlateauSettings
from genotune.tuning.space import parse_template

MAX_EPOCHS = 9
SPACE = {"toy": parse_template({"rate": {"log_uniform": [1e-3, 1.0]}, "depth": {"int": [1, 4]}})[0]}


def controller_on(
    journal, *, search="tpe", scheduler="asha", direction="maximize", space=SPACE, plateau=None, **limits
):
    return Controller(
        journal,
        searcher=build(SearchSettings, {"kind": search, "seed": 5}).build(space, direction),
        scheduler=build(SchedulerSettings, {"kind": scheduler, "max_epochs": MAX_EPOCHS}).build(direction),
        limits=Limits(**{"n_trials": 12, **limits}),
        seed=5,
        plateau=None if plateau is None else plateau.build(direction),
    )


def value_of(params, epoch):
    """A made-up learning curve: a function of the draw alone."""
    return 1 - abs(math.log10(params["rate"]) + 1.5) / 3 - 0.5 / (epoch * params["depth"])


def run_trial(controller, task, *, last=MAX_EPOCHS):
    controller.started(task.trial, device="cpu")
    for epoch in range(1, last + 1):
        action = controller.report(
            task.trial, epoch, value=value_of(task.params, epoch), metrics={}, checkpoint=f"{task.trial}/{epoch}"
        )
        if action == "stop":
            break
    controller.ended(task.trial)


def run_all(controller):
    while not isinstance(task := controller.next_task(), str):
        run_trial(controller, task)
    assert task == "finished"


def story(journal):
    """What happened, without the clock."""
    return [
        (trial.number, trial.picks, trial.seed, trial.curve, trial.decisions, trial.rung, trial.status)
        for trial in journal.state.trials.values()
    ]


@pytest.fixture
def whole(tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    with Journal(folder) as journal:
        run_all(controller_on(journal))
        yield journal


def test_a_sweep_spends_its_trials_and_stops_some(whole):
    statuses = [trial.status for trial in whole.state.trials.values()]
    assert len(statuses) == 12
    assert set(statuses) == {"complete", "stopped"}
    assert all(trial.epoch == MAX_EPOCHS for trial in whole.state.trials.values() if trial.status == "complete")


def test_a_journal_that_is_cut_at_any_line_goes_on_to_the_same_end(whole, tmp_path):
    lines = (whole.path).read_bytes().splitlines(keepends=True)
    for n_kept in range(len(lines) + 1):
        folder = tmp_path / f"cut-{n_kept}"
        folder.mkdir()
        (folder / JOURNAL_FILE).write_bytes(b"".join(lines[:n_kept]))
        with Journal(folder) as journal:
            run_all(controller_on(journal))
            assert story(journal) == story(whole), f"cut after {n_kept} events"


def test_a_trial_that_goes_on_may_report_again_and_nothing_is_written_twice(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, n_trials=1)
        task = controller.next_task()
        for _ in range(2):
            assert controller.report(task.trial, 1, value=0.5, metrics={}, checkpoint=None) == "continue"
        assert [event.kind for event in journal.events()] == ["proposed", "report", "decision"]


def test_a_value_that_is_no_number_stops_the_trial_and_is_kept_as_null(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal)
        task = controller.next_task()
        assert controller.report(task.trial, 1, value=math.nan, metrics={"loss": math.inf}, checkpoint=None) == "stop"
        assert [*journal.events()][1].values["value"] is None
        assert [*journal.events()][1].values["metrics"] == {}


def test_no_more_than_the_limit_run_at_once(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, concurrent=2)
        first, second = controller.next_task(), controller.next_task()
        assert controller.next_task() == "wait"
        run_trial(controller, first)
        assert controller.next_task().trial == 2
        assert second.trial == 1


def test_a_trial_that_is_given_back_is_started_again_though_all_are_proposed(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, n_trials=2)
        first, second = controller.next_task(), controller.next_task()
        assert controller.next_task() == "wait"
        controller.give_back(second.trial)
        assert controller.next_task() == second
        run_trial(controller, first)
        run_trial(controller, second)
        assert controller.next_task() == "finished"
        assert [event.kind for event in journal.events()].count("proposed") == 2


def test_when_the_hours_are_spent_running_trials_stop_and_none_begins(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal)
        assert controller.next_task().trial == 0
        controller.limits = Limits(12, hours=1e-9)
        assert controller.report(0, 2, value=0.5, metrics={}, checkpoint=None) == "stop"
        controller.ended(0)
        assert journal.state.trials[0].reason == "the budget of 1e-09 h is spent"
        assert controller.next_task() == "finished"


def test_a_trial_that_a_person_stops_ends_at_its_next_report_and_the_sweep_goes_on(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, n_trials=3, scheduler="none")
        first = controller.next_task()
        assert controller.report(first.trial, 1, value=0.5, metrics={}, checkpoint=None) == "continue"
        controller.stop_trials({first.trial, 99})
        assert controller.report(first.trial, 2, value=0.6, metrics={}, checkpoint=None) == "stop"
        controller.ended(first.trial)
        run_all(controller)
        assert [trial.status for trial in journal.state.trials.values()] == ["stopped", "complete", "complete"]
        assert journal.state.trials[0].reason == "stopped by hand"


def test_a_trial_that_waits_to_be_started_again_is_not_when_a_person_stops_it(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, n_trials=2)
        first = controller.next_task()
        controller.give_back(first.trial)
        controller.stop_trials({first.trial})
        assert controller.next_task().trial == 1
        assert journal.state.trials[0].status == "stopped"


def test_a_sweep_that_a_person_ends_begins_no_trial_not_even_after_a_death(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, scheduler="none")
        task = controller.next_task()
        controller.stop_all()
        assert controller.report(task.trial, 1, value=0.5, metrics={}, checkpoint=None) == "stop"
    with Journal(tmp_path) as journal:
        assert controller_on(journal, scheduler="none").next_task() == "finished"
        assert journal.state.trials[0].status == "stopped"


def test_a_grid_that_is_used_up_ends_the_sweep(tmp_path):
    space = {"toy": parse_template({"depth": {"int": [1, 4]}})[0]}
    with Journal(tmp_path) as journal:
        controller = Controller(
            journal,
            searcher=build(SearchSettings, {"kind": "grid"}).build(space, "maximize"),
            scheduler=build(SchedulerSettings, {"kind": "none", "max_epochs": 1}).build("maximize"),
            limits=Limits(100),
            seed=0,
        )
        depths = []
        while not isinstance(task := controller.next_task(), str):
            depths.append(task.params["depth"])
            controller.report(task.trial, 1, value=1.0, metrics={}, checkpoint=None)
            controller.ended(task.trial)
        assert sorted(depths) == [1, 2, 3, 4]


def test_a_sweep_whose_first_trials_all_fail_ends_and_shows_the_first_failure(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal)
        for number in range(FAILED_AT_FIRST):
            task = controller.next_task()
            controller.started(task.trial, device="cpu")
            controller.ended(task.trial, failure=f"Traceback of {number}\nRuntimeError: out of memory")
        assert controller.next_task() == "finished"
        with pytest.raises(SweepError, match=r"All 3 trials failed. The first \(trial 0\):\nTraceback of 0"):
            check_outcome(journal.state, "toy-1")


def test_a_family_of_two_that_fails_is_dropped_and_the_other_goes_on(tmp_path):
    """Three at once, so that the first to fail are ended before the other family has ended any."""
    space = dict.fromkeys(("good", "broken"), SPACE["toy"])
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, space=space, n_trials=14)
        running = []
        while not isinstance(task := controller.next_task(), str) or running:
            if isinstance(task, str):
                run_trial(controller, running.pop(0))
            elif task.family == "broken":
                controller.ended(task.trial, failure="RuntimeError: no such layer")
            else:
                running.append(task)
                if len(running) == 2:
                    run_trial(controller, running.pop(0))
        families = [trial.family for trial in journal.state.trials.values()]
        assert (families.count("broken"), families.count("good")) == (FAILED_AT_FIRST, 11)
        first = families.index("broken")
        assert journal.state.dropped == {
            "broken": f"its first 3 trials all failed; trial {first}: RuntimeError: no such layer"
        }
        check_outcome(journal.state, "toy-1")


def test_when_every_family_fails_the_sweep_ends_and_says_so(tmp_path):
    space = dict.fromkeys(("one", "two"), SPACE["toy"])
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, space=space)
        while not isinstance(task := controller.next_task(), str):
            controller.ended(task.trial, failure=f"RuntimeError: {task.trial}")
        assert task == "finished"
        assert len(journal.state.trials) == 2 * FAILED_AT_FIRST
        assert journal.state.proposals_ended == "the first 3 trials of each family all failed"
        message = (
            r"toy-1: All 6 trials failed\. The first \(trial 0\):\nRuntimeError: 0\nWhat it wrote: genotune logs toy-1 "
        )
        with pytest.raises(SweepError, match=message):
            check_outcome(journal.state, "toy-1")


def test_no_finite_objective_anywhere_is_told_with_where_to_look(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, n_trials=1)
        controller.report(controller.next_task().trial, 1, value=math.nan, metrics={}, checkpoint=None)
        controller.ended(0)
        with pytest.raises(SweepError, match=r"no trial reported a finite objective.*genotune logs toy-1 --trial 0"):
            check_outcome(journal.state, "toy-1")


def test_a_plateau_ends_a_sweep_and_an_extension_looks_at_as_many_trials_again(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, n_trials=50, plateau=PlateauSettings(trials=4))
        run_all(controller)
        n = len(journal.state.trials)
        assert 5 <= n < 50
        assert journal.state.proposals_ended.startswith("the last 4 trials that ended")
        journal.append("extended", limits={"trials": 60})
    with Journal(tmp_path) as journal:
        run_all(controller_on(journal, n_trials=60, plateau=PlateauSettings(trials=4)))
        assert len(journal.state.trials) >= n + 4


def test_when_the_epochs_are_spent_each_running_trial_stops_at_its_next_report(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, scheduler="none", epochs=3)
        first, second = controller.next_task(), controller.next_task()
        report = {"value": 0.5, "metrics": {}, "checkpoint": None}
        assert [controller.report(first.trial, epoch, **report) for epoch in (1, 2)] == ["continue"] * 2
        assert controller.report(second.trial, 1, **report) == "stop"
        assert controller.next_task() == "wait"
        assert controller.report(first.trial, 3, **report) == "stop"
        for task in (first, second):
            controller.ended(task.trial)
        assert controller.next_task() == "finished"
        assert journal.state.trials[0].reason == "the budget of 3 epochs is spent"


def test_a_trial_that_a_person_stopped_while_its_driver_died_does_not_run_again(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal, scheduler="none")
        controller.report(controller.next_task().trial, 1, value=0.5, metrics={}, checkpoint=None)
        controller.stop_trials({0})
    with Journal(tmp_path) as journal:
        assert controller_on(journal, scheduler="none").next_task().trial == 1
        assert (journal.state.trials[0].status, journal.state.trials[0].reason) == ("stopped", "stopped by hand")


def test_one_failure_among_others_is_recorded_and_the_sweep_goes_on(tmp_path):
    with Journal(tmp_path) as journal:
        controller = controller_on(journal)
        controller.ended(controller.next_task().trial, failure="RuntimeError: no")
        run_all(controller)
        check_outcome(journal.state, "toy-1")
        assert journal.state.trials[0].status == "failed"
        assert journal.state.trials[0].reason == "RuntimeError: no"
        assert len(journal.state.trials) == 12


def test_a_journal_of_another_space_is_refused(tmp_path):
    with Journal(tmp_path) as journal:
        journal.append("proposed", trial=0, family="other", picks={"x": 1}, params={"x": 1}, seed=0)
        with pytest.raises(SweepError, match="other"):
            controller_on(journal)


def test_decisions_of_another_scheduler_are_refused(whole, tmp_path):
    text = whole.path.read_bytes().replace(b'"action": "stop"', b'"action": "continue"')
    (tmp_path / JOURNAL_FILE).write_bytes(text)
    with Journal(tmp_path) as journal, pytest.raises(SweepError, match="not the one that the sweep began with"):
        controller_on(journal)


def test_a_trials_seed_depends_on_the_sweeps_seed_and_its_number_alone():
    seeds = [trial_seed(7, number) for number in range(1000)]
    assert len(set(seeds)) == 1000
    assert seeds == [trial_seed(7, number) for number in range(1000)]
    assert not set(seeds) & {trial_seed(8, number) for number in range(1000)}
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert isinstance(seeds[0], int)
    np.random.SeedSequence(seeds[0])


@pytest.mark.parametrize(("hours", "least"), [(None, 3), (100.0, 6)])
def test_under_a_budget_in_hours_a_cheap_family_is_sure_of_its_part(tmp_path, monkeypatch, hours, least):
    """A trial of the dear family takes 100 s and does well, one of the cheap family 1 s and does badly."""
    clock = [1000.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    space = {family: parse_template({"rate": {"uniform": [0.0, 1.0]}})[0] for family in ("dear", "cheap")}
    with Journal(tmp_path) as journal:
        journal.append("driver_started", pid=1)
        controller = Controller(
            journal,
            searcher=build(SearchSettings, {"kind": "tpe", "seed": 1}).build(space, "maximize"),
            scheduler=build(SchedulerSettings, {"kind": "none", "max_epochs": 1}).build("maximize"),
            limits=Limits(24, hours),
            seed=1,
        )
        while not isinstance(task := controller.next_task(), str):
            controller.started(task.trial, device="cpu")
            clock[0] += 100.0 if task.family == "dear" else 1.0
            value = 0.9 if task.family == "dear" else 0.1
            controller.report(task.trial, 1, value=value, metrics={}, checkpoint=None)
            controller.ended(task.trial)
        families = [trial.family for trial in journal.state.trials.values()]
        assert [trial.ran_s(clock[0]) for trial in journal.state.trials.values()] == [
            100.0 if family == "dear" else 1.0 for family in families
        ]
    assert families[:6] == ["dear", "cheap"] * 3
    assert families.count("cheap") >= least
    assert families.count("dear") > 12


def learned_before(n_trials):
    """Trials of an earlier sweep, best where the rate is 0.002."""
    rates = [10 ** (-3 * (number + 0.5) / n_trials) for number in range(n_trials)]
    return {
        "sweeps": ["toy-1"],
        "trials": [
            {
                "family": "toy",
                "picks": {"rate": rate, "depth": 4},
                "curve": [[1, None], [9, -abs(math.log10(rate) + 2.7)]],
                "status": "complete",
            }
            for rate in rates
        ],
        "notes": [],
    }


@pytest.mark.parametrize("search", ["tpe", "gp", "cmaes"])
def test_what_was_learned_before_guides_the_first_trial_and_is_replayed(tmp_path, search):
    rates = {}
    for case, n_trials in (("alone", 0), ("learned", 40)):
        (tmp_path / case).mkdir()
        with Journal(tmp_path / case) as journal:
            journal.append("learned_before", **learned_before(n_trials))
            controller = controller_on(journal, search=search)
            tasks = [controller.next_task() for _ in range(6)]
            assert [task.trial for task in tasks] == list(range(6))
            rates[case] = [task.params["rate"] for task in tasks]
        with Journal(tmp_path / case) as journal:
            again = controller_on(journal, search=search)
            assert [again.next_task() for _ in range(6)] == tasks
            seventh = again.next_task()
        (tmp_path / case / "other").mkdir()
        lines = (tmp_path / case / JOURNAL_FILE).read_bytes().splitlines(keepends=True)
        (tmp_path / case / "other" / JOURNAL_FILE).write_bytes(b"".join(lines[:4]))
        with Journal(tmp_path / case / "other") as journal:
            other = controller_on(journal, search=search)
            assert [other.next_task() for _ in range(7)] == [*tasks, seventh]
    distance = {case: np.mean(np.abs(np.log10(found) + 2.7)) for case, found in rates.items()}
    assert distance["learned"] < 0.75 * distance["alone"]

"""A sweep with several objectives that dies after any event goes on as one that nobody disturbed, by all of them."""

import math

import pytest
from test_replay import SCHEDULERS, SEARCHES, story

from genotune.controller import Controller
from genotune.events import JOURNAL_FILE
from genotune.front import front_of
from genotune.journal import Journal
from genotune.judging import Judge
from genotune.limits import Limits
from genotune.settings import build
from genotune.tuning import SchedulerSettings, SearchSettings
from genotune.tuning.space import parse_template

MAX_EPOCHS = 4
SPACE = {"toy": parse_template({"depth": {"int": [1, 4]}, "width": {"choice": [4, 8, 16]}})[0]}
JUDGE = Judge("pearson", "quantitative", further=("mse", "n_parameters"))
FACTS = {"objective": {**JUDGE._asdict(), "direction": "maximize"}}


@pytest.fixture(autouse=True)
def _disk_is_not_waited_for(monkeypatch):
    """As in `test_replay`."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def scores_of(task, epoch):
    """A made-up model's: the wider and deeper, the better and the larger; one kind of draw has no pearson later on."""
    size = task.params["depth"] * task.params["width"]
    pearson = 1 - 1 / size - 0.5 / epoch if task.params["depth"] < 4 or epoch == 1 else math.nan
    return {"pearson": pearson, "mse": 2 / size + 0.1 * epoch, "n_parameters": float(size)}


def controller_on(journal, search, scheduler, judge, n_trials):
    if not journal.state.facts:
        journal.append("sweep_started", **FACTS)
    return Controller(
        journal,
        searcher=build(SearchSettings, {"kind": search, **SEARCHES[search]}).build(SPACE, "maximize"),
        scheduler=build(
            SchedulerSettings, {"kind": scheduler, "max_epochs": MAX_EPOCHS, **SCHEDULERS[scheduler]}
        ).build("maximize"),
        limits=Limits(n_trials),
        seed=5,
        further_losses=judge.further_losses,
    )


def drive(journal, search, scheduler, *, judge=JUDGE, n_trials=7):
    reached = {number: trial.epoch for number, trial in journal.state.unended.items() if trial.curve}
    controller = controller_on(journal, search, scheduler, judge, n_trials)
    while not isinstance(task := controller.next_task(), str):
        controller.started(task.trial, device="cpu")
        for epoch in range(reached.get(task.trial, 1), MAX_EPOCHS + 1):
            scores = scores_of(task, epoch)
            metrics = {
                name if name == "n_parameters" else f"validation.{name}": value for name, value in scores.items()
            }
            action = controller.report(task.trial, epoch, value=judge.value(scores), metrics=metrics, checkpoint=None)
            if action == "stop":
                break
        controller.ended(task.trial)
    assert task == "finished"


@pytest.mark.parametrize("scheduler", ["asha", "hyperband"])
@pytest.mark.parametrize("search", ["random", "tpe", "grid"])
def test_it_goes_on_after_any_event_to_the_same_trials_and_the_same_front(tmp_path, search, scheduler):
    (tmp_path / "whole").mkdir()
    with Journal(tmp_path / "whole") as journal:
        drive(journal, search, scheduler)
        expected, front = story(journal), front_of(journal.state)
    assert len(front.standings) > 1
    assert any(event["reason"].endswith("by 3 objectives") for kind, event in expected if kind == "decision")
    lines = (tmp_path / "whole" / JOURNAL_FILE).read_bytes().splitlines(keepends=True)
    for n_kept in range(len(lines) + 1):
        folder = tmp_path / f"cut-{n_kept}"
        folder.mkdir()
        torn = lines[n_kept][:9] if n_kept < len(lines) else b""
        (folder / JOURNAL_FILE).write_bytes(b"".join(lines[:n_kept]) + torn)
        with Journal(folder) as journal:
            drive(journal, search, scheduler)
            assert story(journal) == expected, f"cut after event {n_kept}"
            assert front_of(journal.state) == front


@pytest.mark.parametrize(("search", "scheduler"), [("tpe", "none"), ("random", "asha")])
def test_further_objectives_change_what_is_proposed_and_what_is_stopped(tmp_path, search, scheduler):
    """So that the test above can't pass with objectives that nothing looks at."""
    stories = []
    for name, judge in (("with", JUDGE), ("without", Judge("pearson", "quantitative"))):
        (tmp_path / name).mkdir()
        with Journal(tmp_path / name) as journal:
            drive(journal, search, scheduler, judge=judge, n_trials=25)
            stories.append([(trial.picks, trial.decisions) for trial in journal.state.trials.values()])
    assert stories[0] != stories[1]

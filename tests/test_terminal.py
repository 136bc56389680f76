"""What a person sees while a sweep runs, lines or a table, and of its plan before."""

import io
from types import SimpleNamespace

from rich.console import Console
from told_sweeps import two_objectives

from genotune.controller import Controller
from genotune.limits import Limits
from genotune.machines import MachineSize
from genotune.plan import make_plan
from genotune.spec import GroupSpec, Member, read_spec
from genotune.terminal import Terminal, show_plan


def terminal_on(output, monkeypatch, *, is_terminal):
    made = Console(file=output, force_terminal=is_terminal, width=160, height=40, highlight=False, color_system=None)
    monkeypatch.setattr("genotune.terminal.Console", lambda **_: made)
    return Terminal()


def test_without_a_terminal_each_end_is_told_once_in_a_line(plan, journal, controller, monkeypatch):
    output = io.StringIO()
    with terminal_on(output, monkeypatch, is_terminal=False) as terminal:
        terminal.begin(plan, journal.path.parent)
        terminal.trials(controller)
        terminal.trials(controller)
        assert "\x1b" not in output.getvalue()
    lines = [line for line in output.getvalue().splitlines() if line.startswith("trial")]
    assert lines == [
        "trial   0 poisson_cnn complete after epoch 4 (4 epochs): pearson 0.3000; best so far 0.4000 (trial 1)"
    ]


def test_a_trial_that_ends_later_is_told_by_itself(plan, journal, controller, monkeypatch):
    output = io.StringIO()
    with terminal_on(output, monkeypatch, is_terminal=False) as terminal:
        terminal.begin(plan, journal.path.parent)
        terminal.trials(controller)
        controller.ended(1)
        terminal.trials(controller)
        terminal.trials(controller)
    told = [line.split(" after")[0] for line in output.getvalue().splitlines() if line.startswith("trial")]
    assert told == ["trial   0 poisson_cnn complete", "trial   1 poisson_cnn stopped"]


def test_a_failed_trial_is_told_with_the_last_line_of_its_reason(plan, journal, controller, monkeypatch):
    output = io.StringIO()
    controller.ended(1, failure="Traceback [bold]\n  somewhere\nValueError: [no] luck")
    with terminal_on(output, monkeypatch, is_terminal=False) as terminal:
        terminal.begin(plan, journal.path.parent)
        terminal.trials(controller)
    assert "trial   1 poisson_cnn failed after epoch 2 (ValueError: [no] luck)" in output.getvalue()


def test_an_interrupted_sweep_is_told_how_to_go_on(plan, journal, monkeypatch):
    output = io.StringIO()
    terminal = terminal_on(output, monkeypatch, is_terminal=False)
    terminal.begin(plan, journal.path.parent)
    terminal.__exit__(KeyboardInterrupt, None, None)
    assert output.getvalue().endswith(f"Go on with: genotune resume tiny-1 --workspace {journal.path.parents[2]}\n")


def test_a_group_is_gone_on_with_as_a_whole_and_each_of_its_sweeps_tells_its_own_trials(
    plan, journal, controller, monkeypatch, tmp_path
):
    output = io.StringIO()
    member = Member("fold-1", None, 1, plan.spec)
    group = GroupSpec(plan.spec.path, plan.spec.text, "tiny", (member, member))
    terminal = terminal_on(output, monkeypatch, is_terminal=False)
    terminal.begin_group(group, tmp_path / "work" / "sweeps" / "tiny-9")
    for number in (1, 2):
        terminal.begin_member(member, number=number)
        terminal.begin(plan, journal.path.parent)
        terminal.trials(controller)
    terminal.__exit__(KeyboardInterrupt, None, None)
    text = output.getvalue()
    assert "Group tiny-9 of 2 sweeps in" in text
    assert "fold-1, sweep 2 of 2" in text
    assert text.count("trial   0 poisson_cnn complete") == 2
    assert "Go on with: genotune resume tiny-9 --workspace" in text


def test_on_a_terminal_the_table_shows_rungs_best_running_trials_and_what_is_left(
    plan, journal, controller, monkeypatch
):
    output = io.StringIO()
    with terminal_on(output, monkeypatch, is_terminal=True) as terminal:
        terminal.begin(plan, journal.path.parent)
        terminal.trials(controller)
        shown = output.getvalue()
    assert "2 of 5 trials: 0 waiting, 1 running, 1 complete, 0 stopped, 0 failed" in shown
    assert "of 2 h 00 min" not in shown, "the spec has no budget in hours"
    assert "best pearson: 0.4000 by trial 1 (poisson_cnn)" in shown
    assert "poisson_cnn rungs: epoch 1: 2, epoch 2: 2" in shown
    [row] = [line for line in shown.splitlines() if "2/4" in line]
    assert row.split()[:5] == ["1", "poisson_cnn", "2/4", "-", "(0.4000)"]
    assert "channels" in row


def test_the_table_shows_what_is_spent_of_a_budget_that_was_extended(edited, journal, monkeypatch):
    plan = make_plan(read_spec(edited(("budget: {trials: 5}", "budget: {trials: 5, epochs: 40, cost: 20 USD}"))))
    facts = {"prices": {"currency": "USD"}, "trial_hour_cost": {"poisson_cnn": 3600.0}}
    journal.append("sweep_started", **facts)
    journal.append("extended", limits={"trials": 8, "cost": "30 USD"})
    journal.state.ended_ran_s["poisson_cnn"] = 12.5
    journal.state.n_epochs = 7
    monkeypatch.setattr("time.time", lambda: journal.state.last_s)
    settings = plan.spec.settings
    controller = Controller(
        journal,
        searcher=settings.search.build(plan.spec.space, "maximize"),
        scheduler=settings.scheduler.build("maximize"),
        limits=Limits(8),
        seed=1,
    )
    output = io.StringIO()
    with terminal_on(output, monkeypatch, is_terminal=True) as terminal:
        terminal.begin(plan, journal.path.parent)
        terminal.trials(controller)
        shown = output.getvalue()
    assert "0 of 8 trials" in shown
    assert "7 of 40 epochs, 12.50 of 30 USD" in shown


def test_the_plan_shows_splits_in_bases_and_windows(plan, capsys):
    show_plan(plan, [MachineSize(4, 0, 16, "this machine")])
    shown = capsys.readouterr().out
    assert "windows (poisson_cnn)" in shown
    [train] = [line for line in shown.splitlines() if line.startswith("train")]
    assert train.split() == ["train", "chrA", "40,000", "2,500", "156"]
    assert "3 searched parameters, 156 training windows an epoch, up to 4 epochs, rungs at 1, 2" in shown
    assert "4 at once" in shown


def test_the_plan_shows_how_many_workers_a_trial_has(edited, capsys):
    spec = edited(("budget: {trials: 5}", "budget: {trials: 5}\nresources: {poisson_cnn: {workers: 3, cpus: 2}}"))
    show_plan(make_plan(read_spec(spec)), [MachineSize(8, 0, 16, "this machine"), MachineSize(4, 0, 16, "another")])
    assert "3 workers with 2 CPUs and 0 GPUs each a trial, 2 at once" in capsys.readouterr().out


def test_with_several_objectives_each_is_told_of_every_trial_and_the_front_beside_the_best(plan, journal, monkeypatch):
    plan = two_objectives(journal, plan)
    controller = SimpleNamespace(journal=journal, scheduler=plan.spec.settings.scheduler.build("maximize"))
    shown, told = io.StringIO(), io.StringIO()
    with terminal_on(shown, monkeypatch, is_terminal=True) as terminal:
        terminal.begin(plan, journal.path.parent)
        terminal.trials(controller)
        table = shown.getvalue()
    journal.append("ended", trial=1, status="complete", reason="1 epoch")
    with terminal_on(told, monkeypatch, is_terminal=False) as terminal:
        terminal.begin(plan, journal.path.parent)
        terminal.trials(controller)
    front = (
        "2 of 2 trials are on the front: 0 (pearson 0.5000, n_parameters 12,000), 1 (pearson 0.2500, n_parameters 300)"
    )
    assert front in table
    [row] = [line for line in table.splitlines() if "1/4" in line and "12,000" in line]
    assert row.split() == ["0", "poisson_cnn", "1/4", "0.5000", "(0.5000)", "12,000"]
    assert "(1 epoch): pearson 0.2500, n_parameters 300; best so far 0.5000 (trial 0)" in told.getvalue()


def test_the_plan_names_all_objectives(edited, capsys):
    changes = (
        "{metric: pearson, bin_bp: 16}",
        "[{metric: pearson, bin_bp: 16}, {metric: mse}, {metric: n_parameters}]",
    )
    show_plan(make_plan(read_spec(edited(changes))), [MachineSize(2, 0, 4, "here")])
    assert "objective: pearson in 16-bp bins of validation; against mse, n_parameters\n" in capsys.readouterr().out

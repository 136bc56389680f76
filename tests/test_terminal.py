"""What a person sees: lines where there is no terminal, a table where there is one, and the summary."""

import io
import math
from types import SimpleNamespace

import pytest
from rich.console import Console

from genotune.controller import Controller
from genotune.evaluation import BASELINE, COVARIATES
from genotune.face import Outcome
from genotune.journal import Journal
from genotune.judging import Judge
from genotune.limits import Limits
from genotune.plan import MachineSize, make_plan
from genotune.spec import GroupSpec, Member, read_spec
from genotune.summary import best_trial, copy_lines, draw_words, family_lines, finalist_lines, front_lines, summary
from genotune.sweep_state import ScoredWinner
from genotune.terminal import Terminal, show_plan


@pytest.fixture
def plan(tiny):
    return make_plan(read_spec(tiny))


@pytest.fixture
def journal(tmp_path):
    folder = tmp_path / "work" / "sweeps" / "tiny-1"
    folder.mkdir(parents=True)
    with Journal(folder) as journal:
        journal.append("sweep_started")
        yield journal


@pytest.fixture
def controller(plan, journal):
    """Two trials: the first ended after four epochs, the second is at its second."""
    settings = plan.spec.settings
    controller = Controller(
        journal,
        searcher=settings.search.build(plan.spec.space, plan.judge.direction),
        scheduler=settings.scheduler.build(plan.judge.direction, own_epochs={"poisson_cnn": 4}),
        limits=Limits(5, 2.0),
        seed=1,
    )
    for trial, values in ((0, (0.1, 0.3, 0.25, 0.2)), (1, (0.4, math.nan))):
        controller.next_task()
        controller.started(trial, device="cpu")
        for epoch, value in enumerate(values, start=1):
            controller.report(trial, epoch, value=value, metrics={}, checkpoint=None)
        if trial == 0:
            controller.ended(trial)
    return controller


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


def test_the_summary_says_when_the_test_split_was_scored_before_and_why_no_more_was_tried(plan, journal, controller):
    outcome = outcome_of(plan, journal)
    assert any(", scored once: " in line for line in summary(outcome))
    assert not any("no more, since" in line for line in summary(outcome))
    state = journal.state
    state.tested = [ScoredWinner(0, 2, {"pearson": 0.3}), ScoredWinner(1, 1, {"pearson": 0.5})]
    state.proposals_ended = "the budget of 2 h is spent"
    lines = summary(outcome)
    assert any(", scored 2 times, 0.3000 by trial 0 before the sweep was extended: " in line for line in lines)
    assert any("; no more, since the budget of 2 h is spent; record in" in line for line in lines)


def outcome_of(plan, journal, *, metric="pearson", winner=0.6, baseline=0.5, n_left=0, registered=True):
    journal.append(
        "proposed",
        trial=0,
        family="poisson_cnn",
        picks={"learning_rate": 0.01},
        params={"learning_rate": 0.01, "bin_bp": 16},
        seed=1,
    )
    journal.append("ended", trial=0, status="complete", reason="4 epochs")
    journal.append("winner", trial=0, epoch=3, value=winner, checkpoint="0/3")
    journal.append("baseline", name=BASELINE, metrics={metric: baseline})
    for subject, value in (("winner", winner - 0.1), (BASELINE, baseline)):
        journal.append("scored", split="test", subject=subject, metrics={metric: value})
    if registered:
        journal.append("registered", name="tiny", version=3, run_id="x")
    folder = journal.path.parent
    plan = plan._replace(judge=Judge(metric, bin_bp=16))
    return Outcome(folder, plan, journal.state, n_left, "sqlite:///here/mlflow.db")


def test_the_summary_says_what_won_by_how_much_and_where_to_look(plan, journal):
    text = "\n".join(summary(outcome_of(plan, journal)))
    assert "poisson_cnn[/bold] of trial 0 won, at epoch 3: learning_rate 0.01" in text
    assert "validation (chrB): pearson 0.6000, better by 0.1000 than k-mer ridge's 0.5000" in text
    assert "test (chrC), scored once: pearson 0.5000, no better: the same as k-mer ridge's" in text
    assert "1 trial (1 complete, 0 stopped, 0 failed)" in text
    assert "models:/tiny@best (version 3)" in text
    assert f"genotune ui --workspace {journal.path.parents[2]}" in text


def test_the_summary_does_not_name_a_workspace_that_is_found_without(plan, journal, monkeypatch):
    monkeypatch.setenv("GENOTUNE_WORKSPACE", str(journal.path.parents[2]))
    assert summary(outcome_of(plan, journal))[-1].endswith("compare the trials with: genotune ui")


def test_a_baseline_that_is_not_beaten_is_said(plan, journal):
    text = "\n".join(summary(outcome_of(plan, journal, winner=0.4)))
    assert "pearson 0.4000, no better: behind k-mer ridge's 0.5000 by 0.1000" in text


def test_covariates_alone_stand_beside_the_first_baseline(plan, journal):
    outcome = outcome_of(plan, journal)
    journal.append("baseline", name=COVARIATES, metrics={"pearson": 0.2})
    journal.append("scored", split="test", subject=COVARIATES, metrics={"pearson": 0.55})
    _, validation, test, *_ = summary(outcome)
    assert validation.endswith(
        "better by 0.1000 than k-mer ridge's 0.5000; better by 0.4000 than covariates alone (0.2000)"
    )
    assert test.endswith("; no better: behind covariates alone (0.5500) by 0.0500")
    journal.state.baselines[COVARIATES] = {}
    assert summary(outcome)[1].endswith("than k-mer ridge's 0.5000"), "a constant has no correlation"


def feature(name, *, kind="variant", contig="chr1", position=12345, counted="A"):
    return {"kind": kind, "id": name, "contig": contig, "position": position, "counted": counted, "effect": -0.5}


@pytest.mark.parametrize(
    ("top", "line"),
    [
        (
            [feature("rs123"), feature("1:5[b37]A,G", contig="X", position=5), feature("rs7", position=None)],
            "most important: rs123 (chr1:12345 A), 1:5[b37]A,G (X:5 A), rs7 (A)",
        ),
        ([feature("age", kind="covariate"), feature("sex", kind="covariate")], "most important: age, sex"),
        ([], "most important: nothing, all are predicted alike"),
        (None, "poisson_cnn doesn't tell which variants are important"),
    ],
)
def test_what_a_winner_on_genotypes_leans_on_is_told(plan, journal, capsys, top, line):
    outcome = outcome_of(plan, journal)
    assert "important" not in "".join(summary(outcome))
    journal.append("tables", trial=0, files=[], top=top)
    Terminal().end(outcome)
    assert f"  {line}\n" in capsys.readouterr().out


def test_how_well_a_binary_trait_is_calibrated_is_told(plan, journal):
    outcome = outcome_of(plan, journal, metric="auroc")
    assert "calibration" not in "".join(summary(outcome))
    journal.state.scores["winner"] |= {"brier": 0.125, "ece": 0.05, "calibration_intercept": -0.25}
    line = "  calibration on test: Brier score 0.1250, ECE 0.0500, intercept -0.2500, slope -"
    assert line in summary(outcome)


def test_a_baseline_that_could_not_be_fitted_is_shown_as_none(plan, journal):
    outcome = outcome_of(plan, journal)
    del journal.state.baselines[BASELINE], journal.state.scores[BASELINE]
    assert summary(outcome)[1].endswith("pearson 0.6000, k-mer ridge -")
    assert summary(outcome)[2].endswith("pearson 0.5000, k-mer ridge -")


@pytest.mark.parametrize(
    ("winner", "words"), [(0.3, "better by 0.2000"), (0.7, "no better: behind k-mer ridge's 0.5000 by 0.2000")]
)
def test_a_metric_that_is_minimised_is_better_when_smaller(plan, journal, winner, words):
    assert words in summary(outcome_of(plan, journal, metric="poisson_nll", winner=winner))[1]


@pytest.mark.parametrize(
    ("n_left", "registered", "lacks"),
    [(7, True, "7 events"), (0, False, "the winner's model"), (7, False, "7 events and the winner's model")],
)
def test_what_mlflow_lacks_is_said_with_the_way_to_deliver_it(plan, journal, n_left, registered, lacks):
    text = "\n".join(summary(outcome_of(plan, journal, n_left=n_left, registered=registered)))
    assert f"MLflow at sqlite:///here/mlflow.db lacks {lacks}; `genotune sync tiny-1 --workspace" in text
    assert ("models:/tiny@best" in text) == registered


def test_a_baseline_that_is_no_number_is_shown_as_none(plan, journal):
    outcome = outcome_of(plan, journal)
    journal.state.baselines[BASELINE] = {}
    assert summary(outcome)[1].endswith("k-mer ridge -")


def test_several_families_are_told_apart_the_best_one_first(plan, journal):
    start_s = journal.state.last_s
    for trial, family, values in ((0, "ridge", (0.2,)), (1, "poisson_cnn", (0.1, 0.5)), (2, "ridge", (0.3,))):
        journal.append("proposed", trial=trial, family=family, picks={}, params={}, seed=1)
        for epoch, value in enumerate(values, start=1):
            journal.append("report", trial=trial, epoch=epoch, value=value, metrics={}, checkpoint=None)
        journal.state.trials[trial].running_since_s = start_s
    lines = family_lines(journal.state, "pearson", now_s=start_s + 61)
    assert lines == [
        "poisson_cnn: best pearson 0.5000, 1 trial, 1 min 01 s",
        "ridge: best pearson 0.3000, 2 trials, 2 min 02 s",
    ]
    assert family_lines(journal.state, "mse", now_s=start_s)[0].startswith("poisson_cnn: best mse 0.1000")
    journal.state.trials.pop(1)
    assert family_lines(journal.state, "pearson", now_s=start_s) == []


def test_finalists_are_told_with_mean_and_spread_the_best_one_first(plan, journal):
    for trial, family, values in ((0, "ridge", (0.2, 0.4)), (1, "poisson_cnn", (0.5, 0.5))):
        journal.append("proposed", trial=trial, family=family, picks={}, params={}, seed=1)
        for fold, value in enumerate(values):
            metrics = {"pearson": value}
            journal.append("fold_scored", trial=trial, epoch=1, fold=fold, n_folds=2, metrics=metrics)
    lines = [
        "2 folds: pearson 0.5000 ± 0.0000, poisson_cnn of trial 1",
        "2 folds: pearson 0.3000 ± 0.1414, ridge of trial 0",
    ]
    assert finalist_lines(journal.state, Judge("pearson"), winner=1) == lines
    reason = "ridge is simpler and within one standard error of the best mean, so it won"
    assert finalist_lines(journal.state, Judge("pearson"), winner=0) == [*lines, reason]


def test_the_best_trial_is_the_first_of_equals_and_never_one_without_a_number(controller):
    state = controller.journal.state
    assert best_trial(state.trials.values(), "pearson").number == 1
    assert best_trial(state.trials.values(), "poisson_nll").number == 0
    state.trials[0].curve = {1: 0.4}
    assert best_trial(state.trials.values(), "pearson").number == 0
    for trial in state.trials.values():
        trial.curve = {1: math.nan}
    assert best_trial(state.trials.values(), "pearson") is None


def test_a_draw_is_told_by_its_searched_values(controller):
    trial = controller.journal.state.trials[0]
    trial.picks = {"channels": 1, "schedule": 0, "schedule.rate": 0.1}
    trial.params = {"channels": 4, "schedule": {"kind": "plateau", "rate": 0.12345}, "stem_width": 9}
    assert draw_words(trial) == "channels 4, rate 0.123"


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


def several(journal, plan):
    """Two trials with two objectives: the second is smaller, and no better."""
    plan = plan._replace(judge=plan.judge._replace(further=("n_parameters",)))
    journal.append("sweep_started", objective={**plan.judge._asdict(), "direction": "maximize"})
    for trial, (value, n) in enumerate(((0.5, 12_000), (0.25, 300))):
        journal.append("proposed", trial=trial, family="poisson_cnn", picks={}, params={}, seed=0)
        metrics = {"validation.pearson": value, "n_parameters": n}
        journal.append("report", trial=trial, epoch=1, value=value, metrics=metrics, checkpoint=None)
    return plan


def test_with_several_objectives_each_is_told_of_every_trial_and_the_front_beside_the_best(plan, journal, monkeypatch):
    plan = several(journal, plan)
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


def test_the_summary_names_the_front_and_where_its_checkpoints_stand(plan, journal):
    plan = several(journal, plan)
    assert front_lines(journal.state) == [
        "2 of 2 trials are on the front: 0 (pearson 0.5000, n_parameters 12,000), "
        "1 (pearson 0.2500, n_parameters 300); their checkpoints: front.tsv"
    ]


def test_the_plan_names_all_objectives(edited, capsys):
    changes = (
        "{metric: pearson, bin_bp: 16}",
        "[{metric: pearson, bin_bp: 16}, {metric: mse}, {metric: n_parameters}]",
    )
    show_plan(make_plan(read_spec(edited(changes))), [MachineSize(2, 0, 4, "here")])
    assert "objective: pearson in 16-bp bins of validation; against mse, n_parameters\n" in capsys.readouterr().out


def test_a_draw_that_changes_while_its_trial_runs_is_shown_as_it_is_or_was(plan, journal, controller):
    trial = journal.state.trials[0]
    rate = trial.params["learning_rate"]
    trial.copy(3, 1, picks=trial.picks, params=dict(trial.params) | {"learning_rate": 0.5})
    assert "learning_rate 0.5" in draw_words(trial)
    assert "learning_rate 0.5" in draw_words(trial, epoch=4)
    assert f"learning_rate {rate:.3g}" in draw_words(trial, epoch=3)
    trial.copy(4, 7, picks=trial.picks, params=trial.params)
    assert copy_lines(trial, epoch=3) == []
    assert copy_lines(trial, epoch=5) == [
        "it went on as a changed copy of trial 1 after epoch 3, of trial 7 after epoch 4"
    ]

"""The summary at the end of a sweep, and the words for trials and draws."""

import math

import pytest
from told_sweeps import two_objectives

from genotune.evaluation import BASELINE, COVARIATES
from genotune.face import Outcome
from genotune.judging import Judge
from genotune.summary import best_trial, copy_lines, draw_words, family_lines, finalist_lines, front_lines, summary
from genotune.sweep_state import ScoredWinner
from genotune.terminal import Terminal


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


def test_the_summary_names_the_front_and_where_its_checkpoints_stand(plan, journal):
    plan = two_objectives(journal, plan)
    assert front_lines(journal.state) == [
        "2 of 2 trials are on the front: 0 (pearson 0.5000, n_parameters 12,000), "
        "1 (pearson 0.2500, n_parameters 300); their checkpoints: front.tsv"
    ]


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

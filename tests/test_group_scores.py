"""What the sweeps of a group came to: means, spreads and paired differences with answers known by hand."""

import math
from pathlib import Path

import pytest

from genotune.group_scores import MemberOutcome, Spread, estimates, spread, table_text
from genotune.group_summary import group_summary
from genotune.sweep_group import GroupOutcome
from genotune.sweep_state import SweepState, TrialState


def member(name, winner, *, trait=None, fold=None, family="ridge", metric="pearson", failure=None, **baselines):
    """The outcome of a sweep whose winner has this test score; baselines by family."""
    state = SweepState(facts={"objective": {"metric": metric}, "data": {"kind": "plink"}})
    if failure is None:
        state.trials = {3: TrialState(3, family, {}, {}, 0)}
        state.winner = {"trial": 3}
        scores = {"winner": winner, **baselines}
        state.scores = {name: {metric: value} for name, value in scores.items() if math.isfinite(value)}
    return MemberOutcome(name, trait, fold, Path("sweeps") / f"mice-{name}", state, failure)


FOLDS = [
    member("fold-1", 0.5, fold=1, family="boosted_trees", ridge=0.4, covariates_only=0.1),
    member("fold-2", 0.3, fold=2, family="ridge", ridge=0.3, covariates_only=math.nan),
    member("fold-3", 0.7, fold=3, family="boosted_trees", ridge=0.5, covariates_only=0.4),
]


def test_means_and_spreads_over_folds_and_the_paired_differences_are_those_by_hand():
    [estimate] = estimates(FOLDS)
    assert estimate.winner == pytest.approx((0.5, 0.2, 3))
    assert estimate.baselines["ridge"].value == pytest.approx((0.4, 0.1, 3))
    assert estimate.baselines["ridge"].gain == pytest.approx((0.1, 0.1, 3)), "of 0.1, 0 and 0.2"
    assert estimate.baselines["covariates_only"].gain == pytest.approx((0.35, 0.0707107, 2), abs=1e-6)
    assert estimate.wins == {"boosted_trees": 2, "ridge": 1}


def test_a_gain_in_a_metric_that_is_minimised_is_positive_when_the_winner_is_lower():
    [estimate] = estimates([member(f"fold-{k}", 1.0 * k, fold=k, metric="mse", ridge=3.0 * k) for k in (1, 2)])
    assert estimate.baselines["ridge"].gain.mean == pytest.approx(3.0)


def test_each_trait_has_an_estimate_of_its_own_without_the_folds_that_failed():
    members = [
        member("A-fold-1", 0.2, trait="A", fold=1, ridge=0.1),
        member("A-fold-2", 0.4, trait="A", fold=2, failure="all trials failed"),
        member("B-fold-1", 0.6, trait="B", fold=1, failure="no"),
        member("B-fold-2", 0.8, trait="B", fold=2, failure="no"),
    ]
    [estimate] = estimates(members)
    assert (estimate.trait, estimate.n_folds) == ("A", 2)
    assert estimate.winner[::2] == (0.2, 1)
    assert math.isnan(estimate.winner.sd)


def test_what_is_not_defined_is_in_no_mean():
    assert spread([1.0, math.nan, 3.0]) == Spread(2.0, math.sqrt(2), 2)
    assert all(map(math.isnan, spread([math.nan])[:2]))


def test_the_table_has_a_line_for_each_sweep_and_a_column_for_each_baseline():
    members = [FOLDS[0], FOLDS[1], member("fold-4", 0.0, trait="A", fold=4, failure="gone")]
    assert table_text(members).splitlines() == [
        "sweep\ttrait\touter_fold\tstatus\tfamily\tmetric\twinner\tridge\tcovariates_only",
        "mice-fold-1\t\t1\tcomplete\tboosted_trees\tpearson\t0.5\t0.4\t0.1",
        "mice-fold-2\t\t2\tcomplete\tridge\tpearson\t0.3\t0.3\t",
        "mice-fold-4\tA\t4\tfailed\t\t\t\t\t",
    ]


def test_the_summary_of_nested_folds_says_what_was_won_by_how_much_and_by_whom(tmp_path):
    failed = member("fold-4", 0.0, fold=4, failure="first line\nall trials failed")
    lines = group_summary(GroupOutcome(tmp_path / "sweeps" / "mice-1", "mice", (*FOLDS, failed)))
    text = "\n".join(lines)
    assert "mice[/bold]: 3 of 4 sweeps have a winner" in text
    assert "  sweep   winner         test pearson  GBLUP   covariates alone" in lines
    assert "  fold-2  ridge          0.3000        0.3000  -" in lines
    assert "over the 3 of 4 outer folds that have a score (mean ± standard deviation): winner 0.5000 ± 0.2000" in text
    assert "GBLUP 0.4000 ± 0.1000; winner better, paired difference +0.1000 ± 0.1000" in text
    assert "won: boosted_trees 2 of 3, ridge 1 of 3" in text
    assert "fold-4 failed[/red]: all trials failed" in text
    assert f"`genotune resume mice-1 --workspace {tmp_path}` tries what failed again" in text


def test_a_winner_for_each_trait_is_a_row_and_no_mean(tmp_path):
    members = (member("A", 0.5, trait="A", ridge=0.6), member("B", 0.9, trait="B", ridge=0.6, metric="auroc"))
    text = "\n".join(group_summary(GroupOutcome(tmp_path / "sweeps" / "mice-1", "mice", members)))
    assert "test pearson or auroc" in text
    assert "mean" not in text

"""Metrics, each with an answer known by hand or a slow oracle."""

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from genotune.metrics import DEFAULT_METRIC, METRICS, RECORDED, metric_problem

KINDS = ("signal", "quantitative", "binary", "multiclass", "count")
SEEDS = range(6)
PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=30)


def compute(name, target, predicted):
    return METRICS[name].compute(target, predicted)


@pytest.mark.parametrize(
    ("name", "target", "predicted", "value"),
    [
        ("pearson", [1, 2, 3], [2, 4, 6], 1),
        ("pearson", [1, 2, 3], [3, 2, 1], -1),
        ("pearson", [0, 0, 1, 1], [0, 1, 0, 1], 0),
        ("pearson", [1, 2, 4], [1, 3, 2], 0.3273268),
        ("pearson_log1p", [0, 1, 3], [0, 3, 15], 1),
        ("pearson_log1p", [0, 1, 3], [-9, 3, 15], 1),
        ("spearman", [1, 2, 3, 4], [1, 10, 100, 1000], 1),
        ("spearman", [1, 1, 2], [1, 2, 3], math.sqrt(3) / 2),
        ("r2", [1, 2, 3], [1, 2, 3], 1),
        ("r2", [1, 2, 3], [2, 2, 2], 0),
        ("r2", [1, 2, 3], [3, 2, 1], -3),
        ("mse", [1, 2], [2, 4], 2.5),
        ("mae", [1, 2], [2, 4], 1.5),
        ("poisson_nll", [3, 0], [2, 1], ((2 - 3 * math.log(2)) + 1) / 2),
        ("poisson_deviance_explained", [1, 3], [1, 3], 1),
        ("poisson_deviance_explained", [1, 3], [2, 2], 0),
        ("auroc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
        ("auroc", [0, 1], [0.5, 0.5], 0.5),
        ("auroc", [1, 0], [0.9, 0.1], 1),
        ("poisson_deviance", [1, 0], [2, 1], (2 * (1 - math.log(2)) + 2) / 2),
        ("auprc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], (1 + 2 / 3) / 2),
        ("auprc", [0, 1, 1, 0], [0.5, 0.5, 0.5, 0.5], 0.5),
        ("accuracy", [0, 1, 1, 1], [0.5, 0.5, 0.4, 0.9], 0.5),
        ("balanced_accuracy", [0, 1, 1, 1], [0.2, 0.5, 0.4, 0.9], (1 + 2 / 3) / 2),
        ("balanced_accuracy", [1, 1], [0.2, 0.9], 0.5),
        ("precision", [0, 1, 1, 0], [0.6, 0.7, 0.1, 0.2], 0.5),
        ("precision", [0, 1], [0.1, 0.2], 0),
        ("recall", [0, 1, 1, 1], [0.6, 0.7, 0.1, 0.2], 1 / 3),
        ("f1", [0, 1, 1, 1], [0.6, 0.7, 0.1, 0.2], 2 / 5),
        ("f1", [0, 1], [0.1, 0.2], 0),
        ("f1", [0, 0], [0.1, 0.2], 0),
        ("brier", [1, 0], [0.5, 0.25], (0.25 + 0.0625) / 2),
        ("log_loss", [1, 0], [0.5, 0.25], (math.log(2) - math.log(0.75)) / 2),
        ("log_loss", [1, 0], [0, 0], -(math.log(1e-7) + math.log(1 - 1e-7)) / 2),
    ],
)
def test_known_answers(name, target, predicted, value):
    assert compute(name, target, predicted) == pytest.approx(value, abs=1e-7)


THREE_CLASSES = np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7]])


@pytest.mark.parametrize(
    ("name", "target", "value"),
    [
        ("accuracy", [0, 1, 1, 2], 3 / 4),
        ("balanced_accuracy", [0, 1, 1, 2], (1 + 1 / 2 + 1) / 3),
        ("recall_macro", [0, 1, 1, 2], (1 + 1 / 2 + 1) / 3),
        ("precision_macro", [0, 1, 1, 2], (1 / 2 + 1 + 1) / 3),
        ("f1_macro", [0, 1, 1, 2], (2 / 3 + 2 / 3 + 1) / 3),
        ("log_loss", [0, 1, 1, 2], -math.log(0.5 * 0.4 * 0.4 * 0.7) / 4),
        ("auroc_macro", [0, 1, 1, 2], 1),
        ("auroc_macro", [1, 0, 1, 2], (2 / 3 + 5 / 8 + 1) / 3),
        ("auprc_macro", [1, 0, 1, 2], (1 / 2 + 7 / 12 + 1) / 3),
    ],
)
def test_known_answers_of_three_classes(name, target, value):
    assert compute(name, target, THREE_CLASSES) == pytest.approx(value)


@pytest.mark.parametrize("name", ["balanced_accuracy", "recall_macro", "precision_macro", "f1_macro", "auroc_macro"])
def test_a_class_that_does_not_occur_is_not_counted(name):
    target = [0, 1, 1, 0]
    with_third = np.column_stack([[0.8, 0.1, 0.2, 0.9], [0.1, 0.8, 0.7, 0.1], [0.1, 0.1, 0.1, 0.0]])
    assert compute(name, target, with_third) == compute(name, target, with_third[:, :2]) == 1


def test_deviance_is_that_of_the_textbook():
    target, predicted = np.array([0.0, 2.0, 5.0]), np.array([0.5, 1.0, 6.0])
    terms = [2 * 0.5, 2 * (2 * math.log(2) - 1), 2 * (5 * math.log(5 / 6) + 1)]
    mean = 7 / 3
    null = [2 * mean, 2 * (2 * math.log(2 / mean) - 2 + mean), 2 * (5 * math.log(5 / mean) - 5 + mean)]
    expected = 1 - sum(terms) / sum(null)
    assert compute("poisson_deviance_explained", target, predicted) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "target", "predicted"),
    [
        ("pearson", [1, 2, 3], [0.1, 0.1, 0.1]),
        ("pearson", [2, 2, 2], [1, 2, 3]),
        ("spearman", [1, 2, 3], [7, 7, 7]),
        ("r2", [2, 2], [1, 2]),
        ("poisson_deviance_explained", [0, 0], [1, 2]),
        ("poisson_deviance_explained", [-1, 2], [1, 2]),
        ("poisson_nll", [-1, 2], [1, 2]),
        ("poisson_deviance", [-1, 2], [1, 2]),
        ("auroc", [1, 1], [1, 2]),
        ("auprc", [1, 1], [1, 2]),
        ("auprc", [0, 0], [1, 2]),
        ("recall", [0, 0], [0.1, 0.9]),
        ("auroc_macro", [1, 1], [[0.2, 0.8], [0.4, 0.6]]),
        ("auprc_macro", [1, 1], [[0.2, 0.8], [0.4, 0.6]]),
    ],
)
def test_what_is_not_defined_is_nan(name, target, predicted):
    assert math.isnan(compute(name, target, predicted))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_no_values_and_values_that_are_no_numbers_give_nan(name):
    assert math.isnan(compute(name, [], []))
    assert math.isnan(compute(name, [0, 1], [0, math.nan]))
    assert math.isnan(compute(name, [0, 1], [0, math.inf]))


def test_a_rate_of_zero_does_not_give_infinity():
    assert math.isfinite(compute("poisson_nll", [1, 0], [0, 0]))
    assert math.isfinite(compute("poisson_deviance_explained", [1, 0], [0, 0]))
    assert math.isfinite(compute("poisson_deviance", [1, 0], [0, 0]))


def test_a_wrong_certainty_does_not_give_infinity():
    certain = np.eye(3, dtype=np.float32)[[1, 2, 0]]
    assert compute("log_loss", [0, 1, 2], certain) == pytest.approx(-math.log(1e-7))
    assert compute("log_loss", [1, 2, 0], certain) == pytest.approx(1e-7)


@pytest.mark.parametrize("name", sorted(name for name, metric in METRICS.items() if "multiclass" in metric.fits))
def test_a_probability_that_is_no_number_gives_nan(name):
    assert math.isnan(compute(name, [0, 1], [[0.5, 0.5], [math.nan, 0.5]]))


def cohort(kind, seed):
    """Targets and predictions with ties; all classes occur."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 60))
    if kind == "binary":
        target = np.append(rng.integers(0, 2, n - 2), [0, 1])
        return target.astype(float), np.clip(rng.integers(0, 9, n) / 10 + 0.1 * target, 0, 1)
    if kind == "multiclass":
        target = np.append(rng.integers(0, 4, n - 4), [0, 1, 2, 3])
        weights = rng.integers(1, 5, (n, 4)) + np.eye(4)[target]
        return target.astype(float), weights / weights.sum(axis=1, keepdims=True)
    target = np.append(rng.poisson(3, n - 2), [0, 7]).astype(float)
    return target, np.round(target + rng.exponential(2, n), 1) + 0.1


def chosen(predicted):
    return predicted.argmax(axis=1) if predicted.ndim == 2 else (predicted >= 0.5).astype(int)


def macro(of_class):
    """One versus rest, the mean over classes."""
    return lambda target, predicted: np.mean([of_class(target == c, predicted[:, c]) for c in range(4)])


def of_chosen(function, **settings):
    return lambda target, predicted: function(target, chosen(predicted), **settings)


def explained(target, predicted):
    return sklearn.metrics.d2_tweedie_score(target, predicted, power=1)


REAL = {
    "pearson": lambda target, predicted: scipy.stats.pearsonr(target, predicted).statistic,
    "spearman": lambda target, predicted: scipy.stats.spearmanr(target, predicted).statistic,
    "r2": sklearn.metrics.r2_score,
    "mse": sklearn.metrics.mean_squared_error,
    "mae": sklearn.metrics.mean_absolute_error,
}
RATES = REAL | {
    "pearson_log1p": lambda target, predicted: scipy.stats.pearsonr(np.log1p(target), np.log1p(predicted)).statistic,
    "poisson_deviance": sklearn.metrics.mean_poisson_deviance,
    "poisson_deviance_explained": explained,
    "poisson_nll": lambda target, predicted: np.mean(
        -scipy.stats.poisson.logpmf(target, predicted) - scipy.special.gammaln(target + 1)
    ),
}
CLASSES = {
    "accuracy": of_chosen(sklearn.metrics.accuracy_score),
    "balanced_accuracy": of_chosen(sklearn.metrics.balanced_accuracy_score),
    "log_loss": lambda target, predicted: sklearn.metrics.log_loss(target, np.clip(predicted, 1e-7, 1 - 1e-7)),
}
ORACLES = {
    "signal": RATES,
    "quantitative": REAL,
    "count": RATES,
    "binary": {
        **CLASSES,
        "auroc": sklearn.metrics.roc_auc_score,
        "auprc": sklearn.metrics.average_precision_score,
        "precision": of_chosen(sklearn.metrics.precision_score, zero_division=0),
        "recall": of_chosen(sklearn.metrics.recall_score),
        "f1": of_chosen(sklearn.metrics.f1_score, zero_division=0),
        "brier": sklearn.metrics.brier_score_loss,
    },
    "multiclass": {
        **CLASSES,
        "auroc_macro": macro(sklearn.metrics.roc_auc_score),
        "auprc_macro": macro(sklearn.metrics.average_precision_score),
        "precision_macro": of_chosen(sklearn.metrics.precision_score, average="macro", zero_division=0),
        "recall_macro": of_chosen(sklearn.metrics.recall_score, average="macro"),
        "f1_macro": of_chosen(sklearn.metrics.f1_score, average="macro", zero_division=0),
    },
}
FITTING = [(kind, name) for kind in KINDS for name, metric in METRICS.items() if kind in metric.fits]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("kind", "name"), FITTING)
def test_a_metric_is_that_of_scikit_learn_or_scipy(kind, name, seed):
    target, predicted = cohort(kind, seed)
    assert compute(name, target, predicted) == pytest.approx(ORACLES[kind][name](target, predicted), abs=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("kind", "name"), FITTING)
def test_a_perfect_prediction_is_at_least_as_good_as_another(kind, name, seed):
    target, other = cohort(kind, seed)
    perfect = np.eye(4)[target.astype(int)] if kind == "multiclass" else target
    best, worse = compute(name, target, perfect), compute(name, target, other)
    assert best >= worse - 1e-9 if METRICS[name].direction == "maximize" else best <= worse + 1e-9


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("kind", "name"), FITTING)
def test_an_opposite_prediction_is_worse_than_a_perfect_one(kind, name, seed):
    target, _ = cohort(kind, seed)
    perfect = np.eye(4)[target.astype(int)] if kind == "multiclass" else target
    opposite = perfect[:, [3, 2, 1, 0]] if kind == "multiclass" else target.max() - target
    best, worst = compute(name, target, perfect), compute(name, target, opposite)
    assert best > worst if METRICS[name].direction == "maximize" else best < worst


def test_a_wrong_number_of_predictions_is_our_mistake():
    with pytest.raises(AssertionError, match="3"):
        compute("mse", [1, 2], [1, 2, 3])


@given(PAIRS)
def test_auroc_is_the_share_of_pairs_in_the_right_order(pairs):
    target, predicted = [int(first > 2) for first, _ in pairs], [second for _, second in pairs]
    positives = [score for label, score in zip(target, predicted, strict=True) if label]
    negatives = [score for label, score in zip(target, predicted, strict=True) if not label]
    wins = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    value = compute("auroc", target, predicted)
    assert math.isnan(value) if not wins else value == pytest.approx(sum(wins) / len(wins))


@given(PAIRS)
def test_spearman_does_not_change_under_a_rising_transform(pairs):
    target, predicted = np.array(pairs, dtype=float).T
    first, second = compute("spearman", target, predicted), compute("spearman", target**3, np.exp(predicted))
    assert first == pytest.approx(second, nan_ok=True)


@given(PAIRS)
def test_pearson_is_numpys(pairs):
    target, predicted = np.array(pairs, dtype=float).T
    if target.std() and predicted.std():
        assert compute("pearson", target, predicted) == pytest.approx(np.corrcoef(target, predicted)[0, 1], abs=1e-12)


def test_float32_is_summed_in_float64():
    target = np.full(1_000_000, 0.1, dtype=np.float32)
    assert compute("mae", target, np.zeros_like(target)) == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_directions_are_right():
    lower = {name for name, metric in METRICS.items() if metric.direction == "minimize"}
    assert lower == {"mse", "mae", "poisson_nll", "poisson_deviance", "log_loss", "brier"}
    assert all(metric.name == name for name, metric in METRICS.items())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_target_has_metrics_that_fit_it(kind):
    assert {name for of_kind, name in FITTING if of_kind == kind} == set(ORACLES[kind])
    for name in (DEFAULT_METRIC[kind], *RECORDED[kind]):
        assert metric_problem(name, kind) is None
    assert DEFAULT_METRIC[kind] in RECORDED[kind]


def test_all_metrics_of_classes_are_recorded():
    assert set(RECORDED["binary"]) == set(ORACLES["binary"])
    assert set(RECORDED["multiclass"]) == set(ORACLES["multiclass"])


def test_a_misspelt_metric_is_corrected():
    assert metric_problem("pearsn", "signal") == "unknown metric 'pearsn'. Did you mean 'pearson'?"


def test_an_unknown_metric_comes_with_those_that_fit():
    expected = "unknown metric 'xyz'. Allowed: pearson, spearman, r2, mse, mae."
    assert metric_problem("xyz", "quantitative") == expected


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        (
            "auroc",
            "quantitative",
            "auroc is for a binary target, this one is quantitative. Allowed: pearson, spearman, ",
        ),
        ("auroc", "signal", "auroc is for a binary target, this one is signal. Allowed: pearson, spearman, "),
        (
            "r2",
            "binary",
            "r2 is for a count, quantitative or signal target, this one is binary. Allowed: auroc, auprc, ",
        ),
        (
            "poisson_nll",
            "quantitative",
            "poisson_nll is for a count or signal target, this one is quantitative. Allowed",
        ),
        ("f1", "multiclass", "f1 is for a binary target, this one is multiclass. Did you mean 'f1_macro'?"),
        ("f1_macro", "binary", "f1_macro is for a multiclass target, this one is binary. Did you mean 'f1'?"),
        ("accuracy", "count", "accuracy is for a binary or multiclass target, this one is count. Allowed: pearson, "),
    ],
)
def test_a_metric_that_does_not_fit_the_target_is_refused(name, kind, message):
    assert metric_problem(name, kind).startswith(message)

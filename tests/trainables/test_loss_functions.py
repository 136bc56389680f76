"""Links and losses, against a slow and obvious second implementation, and torch's and scipy's own formulas."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from genotune.settings import build
from genotune.trainables.loss_functions import Start, loss_sums, values_of
from genotune.trainables.losses import LINKS_OF, Loss

SHAPE = (4, 3, 6)
MEANS = np.array([0.3, 5.0, 60.0])
SCALES = np.array([0.8, 3.0, 90.0])
SHARES = np.array([0.05, 0.2, 0.3])
COUNT_LOSSES = ["poisson", "poisson_multinomial", "mse", "weighted_mse"]
LABEL_LOSSES = ["bce", "categorical"]
PAIRS = [(loss, link) for loss, links in LINKS_OF.items() for link in links]


def loss_named(kind, **values):
    return build(Loss, {"kind": kind, **values})


def start_for(kind):
    means = SHARES if kind in (*LABEL_LOSSES, "sigmoid", "softmax") else MEANS
    return Start(torch.from_numpy(means).float(), torch.from_numpy(SCALES).float())


def logits_for(link, *, seed=1):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, SHAPE)
    if link == "identity":
        logits = rng.dirichlet(np.ones(SHAPE[1] + 1), (SHAPE[0], SHAPE[2])).transpose(0, 2, 1)[:, : SHAPE[1]]
    return logits.astype(np.float32)


def targets_for(kind, *, seed=2):
    """Counts, or shares of bins in peaks, with some unknown: a bin of one track, all of a window's track."""
    rng = np.random.default_rng(seed)
    targets = rng.poisson(np.broadcast_to(MEANS[:, None], SHAPE)).astype(np.float32)
    if kind in LABEL_LOSSES:
        targets = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0], SHAPE).astype(np.float32)
    targets[0, 1, 2] = targets[3, 2, 5] = np.nan
    targets[2, 0] = np.nan
    return targets


def sums(kind, logits, targets, *, link, of=None, start=None, **weights):
    tensors = {name: torch.tensor(values, dtype=torch.float32) for name, values in weights.items()}
    logits = torch.as_tensor(logits)
    return loss_sums(
        loss_named(kind, **(of or {})),
        logits,
        torch.from_numpy(targets),
        link=link,
        start=start or start_for(kind),
        **tensors,
    )


def slow_value(link, logits, track, kind):
    """One value; `logits` are those of all tracks of a bin."""
    x = float(logits[track])
    if link == "softplus":
        return (math.log1p(math.exp(x + math.log(math.e - 1))) + 1e-6) * MEANS[track]
    if link == "exp":
        return math.exp(x) * MEANS[track]
    if link == "affine":
        return MEANS[track] + SCALES[track] * x
    if link == "sigmoid":
        odds = SHARES[track] / (1 - SHARES[track]) * math.exp(x)
        return odds / (1 + odds)
    if link == "softmax":
        scores = [SHARES[other] * math.exp(logits[other]) for other in range(len(logits))]
        return scores[track] / (sum(scores) + 1 - sum(SHARES))
    return max(x, 1e-6 * MEANS[track]) if kind.startswith("poisson") else x


def slow_sums(
    kind, logits, targets, *, link, window_weights, track_weights, total_weight=0.2, strength=1.0, positive=1
):
    total = weight = 0.0
    n_examples, n_tracks, n_bins = targets.shape
    for e in range(n_examples):
        values = np.array(
            [[slow_value(link, logits[e, :, b], t, kind) for b in range(n_bins)] for t in range(n_tracks)]
        )
        for b in range(n_bins if kind == "categorical" else 0):
            if np.isnan(targets[e, :, b]).any():
                continue
            best = max(range(n_tracks), key=lambda t: targets[e, t, b])
            is_one = targets[e, best, b] >= 0.5
            probability = values[best, b] if is_one else 1 - values[:, b].sum()
            w = window_weights[e] * (track_weights[best] if is_one else 1)
            total -= w * math.log(probability)
            weight += w
        for t in range(0 if kind == "categorical" else n_tracks):
            known = [b for b in range(n_bins) if not math.isnan(targets[e, t, b])]
            y, v = targets[e, t, known].astype(float), values[t, known]
            w = window_weights[e] * track_weights[t]
            weight += w * len(known)
            if kind == "poisson":
                total += w * sum(v - y * np.log(v))
            elif kind == "poisson_multinomial" and known:
                of_total = v.sum() - y.sum() * math.log(v.sum())
                total += w * (total_weight * of_total - sum(y * np.log(v / v.sum())))
            elif kind == "mse":
                total += w * sum((v - y) ** 2) / SCALES[t] ** 2
            elif kind == "weighted_mse":
                high = (1 + strength * y / MEANS[t]) / (1 + strength)
                total += w * sum(high * (v - y) ** 2) / SCALES[t] ** 2
            elif kind == "bce":
                total -= w * sum(np.where(y >= 0.5, positive * np.log(v), np.log1p(-v)))
    return total, weight


@pytest.mark.parametrize(("kind", "link"), PAIRS)
def test_each_loss_with_each_link_is_what_a_slow_reading_of_its_formula_gives(kind, link):
    logits, targets = logits_for(link), targets_for(kind)
    weights = {"window_weights": [1.0, 0.5, 2.0, 3.0], "track_weights": [1.0, 0.0, 2.5]}
    total, weight = slow_sums(kind, logits, targets, link=link, **weights)
    found = sums(
        kind,
        logits,
        targets,
        link=link,
        weights_e=weights["window_weights"],
        track_weights_t=weights["track_weights"],
    )
    assert float(found.total) == pytest.approx(total, rel=2e-5)
    assert float(found.weight) == pytest.approx(weight, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "of", "slow"),
    [
        ("poisson_multinomial", {"total_weight": 3.0}, {"total_weight": 3.0}),
        ("weighted_mse", {"strength": 4.0}, {"strength": 4.0}),
        ("bce", {"positive_weight": 7.0}, {"positive": 7.0}),
    ],
)
def test_the_settings_of_a_loss_take_part_in_it(kind, of, slow):
    link = LINKS_OF[kind][0]
    logits, targets = logits_for(link), targets_for(kind)
    ones = {"window_weights": np.ones(4), "track_weights": np.ones(3)}
    total, _ = slow_sums(kind, logits, targets, link=link, **ones, **slow)
    assert float(sums(kind, logits, targets, link=link, of=of).total) == pytest.approx(total, rel=2e-5)


@pytest.mark.parametrize(("kind", "link"), [pair for pair in PAIRS if pair[1] != "identity"])
def test_outputs_of_zero_are_the_training_mean(kind, link):
    means = SHARES if kind in LABEL_LOSSES else MEANS
    values = values_of(torch.zeros(SHAPE), link, start_for(kind))
    np.testing.assert_allclose(values, np.broadcast_to(means[:, None], SHAPE), rtol=2e-6)


@pytest.mark.parametrize("link", ["sigmoid", "softmax"])
def test_tracks_that_have_no_positive_bin_and_tracks_that_have_no_other_begin_at_a_probability(link):
    start = Start(torch.tensor([0.0, 1.0]), torch.ones(2))
    values = values_of(torch.zeros(1, 2, 1), link, start)
    assert ((values > 0) & (values < 1)).all()


@pytest.mark.parametrize(("kind", "link"), PAIRS)
def test_unknown_bins_have_no_loss_and_no_gradient(kind, link):
    targets = targets_for(kind)
    logits = torch.from_numpy(logits_for(link)).requires_grad_()
    found = sums(kind, logits, targets, link=link)
    found.total.backward()
    unknown = torch.from_numpy(np.isnan(targets))
    if kind == "categorical":
        unknown = unknown.any(dim=1, keepdim=True).expand(SHAPE)
    assert not logits.grad[unknown].any()
    assert logits.grad.isfinite().all()
    assert logits.grad[~unknown].any()
    other = torch.where(unknown, 0.01, logits.detach())
    assert float(sums(kind, other, targets, link=link).total) == pytest.approx(float(found.total.detach()), rel=1e-6)


@pytest.mark.parametrize("kind", LINKS_OF)
def test_a_batch_without_any_known_bin_has_neither_loss_nor_weight_nor_gradient(kind):
    link = LINKS_OF[kind][0]
    logits = torch.from_numpy(logits_for(link)).requires_grad_()
    found = sums(kind, logits, np.full(SHAPE, np.nan, dtype=np.float32), link=link)
    found.total.backward()
    assert (found.total.item(), found.weight.item()) == (0, 0)
    assert not logits.grad.any()


@pytest.mark.parametrize(("kind", "link"), PAIRS)
def test_outputs_in_bf16_are_summed_in_float32(kind, link):
    logits, targets = torch.from_numpy(logits_for(link)).bfloat16(), targets_for(kind)
    half, full = (sums(kind, outputs, targets, link=link) for outputs in (logits, logits.float()))
    assert half.total.dtype == half.weight.dtype == torch.float32
    assert torch.equal(half.total, full.total)
    assert values_of(logits, link, start_for(kind)).dtype == torch.float32


@pytest.mark.parametrize("link", ["softplus", "exp", "identity"])
@pytest.mark.parametrize("kind", ["poisson", "poisson_multinomial", "mse", "weighted_mse"])
def test_predicting_the_counts_themselves_is_the_best(kind, link):
    counts = np.random.default_rng(0).poisson(MEANS[:, None] + 1, SHAPE).astype(np.float32) + 1
    relative = counts / MEANS[:, None].astype(np.float32)
    best = {"softplus": np.log(np.expm1(relative)) - math.log(math.e - 1), "exp": np.log(relative), "identity": counts}
    best["softplus"] = np.where(relative > 20, relative - math.log(math.e - 1), best["softplus"])
    logits = torch.from_numpy(best[link].astype(np.float32)).requires_grad_()
    found = sums(kind, logits, counts, link=link)
    found.total.backward()
    np.testing.assert_allclose(logits.grad, 0, atol=3e-4 * counts.max())
    for seed in range(3):
        nearby = best[link] + 0.1 * np.random.default_rng(seed).normal(size=SHAPE)
        assert float(sums(kind, nearby.astype(np.float32), counts, link=link).total) > found.total.item()


def test_poisson_is_the_negative_log_likelihood_but_for_a_term_of_the_counts():
    logits, counts = logits_for("softplus"), targets_for("poisson")
    found = float(sums("poisson", logits, counts, link="softplus").total)
    rates = values_of(torch.from_numpy(logits), "softplus", start_for("poisson")).numpy()
    known = ~np.isnan(counts)
    likelihood = scipy.stats.poisson.logpmf(counts[known], rates[known]) + scipy.special.gammaln(counts[known] + 1)
    assert found == pytest.approx(-likelihood.sum(), rel=1e-5)


def test_the_profile_is_the_negative_multinomial_log_likelihood_but_for_a_term_of_the_counts():
    logits, counts = logits_for("exp"), np.nan_to_num(targets_for("poisson"))
    found = float(sums("poisson_multinomial", logits, counts, link="exp", of={"total_weight": 1e-12}).total)
    rates = values_of(torch.from_numpy(logits), "exp", start_for("poisson")).numpy().astype(float)
    totals = counts.sum(axis=2)
    likelihood = scipy.stats.multinomial.logpmf(counts, totals, rates / rates.sum(axis=2, keepdims=True))
    constant = scipy.special.gammaln(totals + 1) - scipy.special.gammaln(counts + 1).sum(axis=2)
    assert found == pytest.approx(-(likelihood - constant).sum(), rel=1e-4)


@settings(deadline=None)
@given(seed=st.integers(0, 1000))
def test_total_and_profile_of_equal_weight_are_the_poisson_loss(seed):
    logits, counts = logits_for("exp", seed=seed), targets_for("poisson", seed=seed)
    both = sums("poisson_multinomial", logits, counts, link="exp", of={"total_weight": 1.0})
    poisson = sums("poisson", logits, counts, link="exp")
    assert float(both.total) == pytest.approx(float(poisson.total), rel=1e-4, abs=1e-2)
    assert float(both.weight) == float(poisson.weight)


def test_the_profile_does_not_see_the_total_and_the_total_not_the_profile():
    logits, counts = logits_for("exp"), targets_for("poisson")
    profile = {"total_weight": 1e-12}
    one, other = (
        float(sums("poisson_multinomial", logits + shift, counts, link="exp", of=profile).total)
        for shift in (0, np.float32(1))
    )
    assert one == pytest.approx(other, rel=1e-5)


def test_binary_is_the_weighted_cross_entropy_of_torch():
    logits, shares = logits_for("sigmoid"), np.nan_to_num(targets_for("bce"))
    positive = np.array([3.0, 1.0, 0.5], dtype=np.float32)
    found = sums("bce", logits, shares, link="sigmoid", of={"positive_weight": None}, positive_weights_t=positive)
    offsets = torch.from_numpy(np.log(SHARES / (1 - SHARES))).float()[:, None]
    expected = functional.binary_cross_entropy_with_logits(
        torch.from_numpy(logits) + offsets,
        torch.from_numpy(shares >= 0.5).float(),
        pos_weight=torch.from_numpy(positive)[:, None],
    )
    assert float(found.total / found.weight) == pytest.approx(float(expected), rel=1e-5)


def test_categorical_is_the_cross_entropy_of_torch_with_none_of_them_as_the_last_class():
    logits, shares = logits_for("softmax"), np.nan_to_num(targets_for("categorical"))
    weights = np.array([3.0, 1.0, 0.5], dtype=np.float32)
    found = sums("categorical", logits, shares, link="softmax", track_weights_t=weights)
    classes = torch.from_numpy(np.where(shares.max(axis=1) >= 0.5, shares.argmax(axis=1), 3))
    assert (classes == 3).any()
    offsets = np.log(SHARES / (1 - SHARES.sum()))
    scores = np.concatenate([logits + offsets[:, None], np.zeros((4, 1, 6))], axis=1).astype(np.float32)
    every = torch.tensor([*weights, 1.0])
    expected = functional.cross_entropy(torch.from_numpy(scores), classes, weight=every)
    assert float(found.total / found.weight) == pytest.approx(float(expected), rel=1e-5)


def test_a_bin_is_positive_from_half_of_its_bases_on():
    logits = np.full((1, 3, 1), 2.0, dtype=np.float32)
    at, below = (
        float(sums("bce", logits, np.full((1, 3, 1), share, dtype=np.float32), link="sigmoid").total)
        for share in (0.5, 0.499)
    )
    probabilities = values_of(torch.from_numpy(logits), "sigmoid", start_for("bce")).double().numpy()
    assert at == pytest.approx(-np.log(probabilities).sum(), rel=1e-5)
    assert below == pytest.approx(-np.log(1 - probabilities).sum(), rel=1e-5)


@pytest.mark.parametrize("kind", LINKS_OF)
def test_the_sums_of_two_halves_are_those_of_the_whole(kind):
    link = LINKS_OF[kind][0]
    logits, targets = logits_for(link), targets_for(kind)
    whole = sums(kind, logits, targets, link=link)
    halves = [sums(kind, logits[part], targets[part], link=link) for part in (slice(0, 1), slice(1, 4))]
    for name in ("total", "weight"):
        together = sum(float(getattr(half, name)) for half in halves)
        assert together == pytest.approx(float(getattr(whole, name)), rel=1e-5)


@pytest.mark.parametrize(("kind", "link"), PAIRS)
@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_wild_outputs_give_finite_losses_and_gradients(kind, link, extreme):
    logits = torch.full(SHAPE, extreme).requires_grad_()
    found = sums(kind, logits, targets_for(kind), link=link)
    found.total.backward()
    assert found.total.isfinite()
    assert logits.grad.isfinite().all()
    assert values_of(logits, link, start_for(kind)).isfinite().all()


def test_the_mean_of_every_track_has_a_squared_loss_of_one():
    rng = np.random.default_rng(0)
    targets = (rng.normal(size=(50, 3, 40)) * SCALES[:, None] + MEANS[:, None]).astype(np.float32)
    found = sums("mse", np.zeros_like(targets), targets, link="affine")
    assert float(found.total / found.weight) == pytest.approx(1, abs=0.05)


def test_targets_below_zero_weigh_as_zero_in_the_weighted_square():
    targets = np.full((1, 3, 1), -4.0, dtype=np.float32)
    plain, weighted = (
        float(sums(kind, np.zeros((1, 3, 1), dtype=np.float32), targets, link="affine").total)
        for kind in ("mse", "weighted_mse")
    )
    assert weighted == pytest.approx(plain / 2, rel=1e-6)

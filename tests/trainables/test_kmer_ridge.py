"""Ridge on k-mers, held to numpy's least squares."""

import numpy as np
import pytest

from genotune.scoring import score
from genotune.store import SequenceOutline
from genotune.trainables.batches import reverse_complement
from genotune.trainables.kmer_ridge import KmerRidge
from genotune.trainables.kmers import canonical_kmers, count_kmers, kmer_features
from genotune.trainables.trainable import FitPlan

PLAN = FitPlan(seed=0, max_epochs=1)


def fit(settings, store, splits):
    return settings.fit(store, splits, report=lambda progress: None, plan=PLAN)


def features_of(store, contig, *, k, flank_bp):
    """(bin, feature): counts within the bin, then within the bin and its flanks, for one contig."""
    index = canonical_kmers(k)
    codes = np.pad(store.contig_sequence(contig), flank_bp, constant_values=4)
    starts = flank_bp + store.resolution_bp * np.arange(store.n_bins(contig))
    features = kmer_features(codes, index)
    spans = [
        count_kmers(features, starts - flank, span_bp=store.resolution_bp + 2 * flank, index=index)
        for flank in ((0, flank_bp) if flank_bp else (0,))
    ]
    return np.concatenate(spans, axis=1)


def test_planted_weights_are_found(make_store, splits):
    store = make_store([30000, 8000, 4992])  # no N: the number of k-mers of a bin tells nothing
    index = canonical_kmers(2)
    weights = np.random.default_rng(0).uniform(0, 1, index.n_features)
    for contig in range(3):
        store.contig_signal(contig)[0] = features_of(store, contig, k=2, flank_bp=0) @ weights / 16
    model = fit(KmerRidge(bin_bp=16, k=2, flank_bp=0, target="raw", penalty=1e-9), store, splits)
    np.testing.assert_allclose(model.predict_contig(store, 2), store.contig_signal(2), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("flank_bp", [0, 24])
@pytest.mark.parametrize("target", ["raw", "log1p"])
def test_weights_are_those_of_the_textbook(store, splits, flank_bp, target):
    penalty = 0.3
    model = fit(KmerRidge(bin_bp=16, k=2, flank_bp=flank_bp, penalty=penalty, target=target), store, splits)
    x = np.concatenate([features_of(store, contig, k=2, flank_bp=flank_bp) for contig in (0, 1)])
    y = np.concatenate([store.contig_signal(contig)[0] for contig in (0, 1)]).astype(np.float64) * 16
    y = np.log1p(y) if target == "log1p" else y
    mean, scale = x.mean(axis=0), x.std(axis=0)
    z = (x - mean) / scale
    # Ridge as ordinary least squares with one more row for each weight.
    rows = np.concatenate([z, np.sqrt(penalty * len(z)) * np.eye(z.shape[1])])
    weights = np.linalg.lstsq(rows, np.concatenate([y - y.mean(), np.zeros(z.shape[1])]), rcond=None)[0]
    linear = (features_of(store, 2, k=2, flank_bp=flank_bp) - mean) / scale @ weights + y.mean()
    counts = np.maximum(np.expm1(linear) if target == "log1p" else linear, 0)
    np.testing.assert_allclose(model.predict_contig(store, 2)[0], counts / 16, rtol=1e-4, atol=1e-6)


def test_the_reported_loss_is_the_mean_squared_error(store, splits):
    seen = []
    settings = KmerRidge(bin_bp=16, k=3, flank_bp=8, target="raw", penalty=1e-6)
    model = settings.fit(store, splits, report=lambda progress: seen.append(progress.metrics), plan=PLAN)
    errors = []
    for contig in (0, 1):
        fitted = model.bias[0] + features_of(store, contig, k=3, flank_bp=8) @ model.weights.reshape(-1)
        errors.append((fitted - store.contig_signal(contig)[0].astype(np.float64) * 16) ** 2)
    assert seen[0]["train_loss"] == pytest.approx(np.concatenate(errors).mean())


def test_the_other_strand_gives_the_same_turned_round(store, splits):
    model = fit(KmerRidge(k=3, flank_bp=20), store, splits)
    codes = np.random.default_rng(1).integers(0, 5, (4, model.input_bp)).astype(np.uint8)
    np.testing.assert_allclose(
        model.predict(reverse_complement(codes)), model.predict(codes)[..., ::-1], rtol=1e-5, atol=1e-7
    )


def test_a_planted_motif_is_learned(make_store, splits):
    store = make_store([60000, 20000, 20000])
    model = fit(KmerRidge(bin_bp=16, k=4, flank_bp=16), store, splits)
    scores = score(
        lambda contig: model.predict_contig(store, contig),
        store,
        splits.validation,
        model_bin_bp=16,
        bin_bp=16,
        metrics=["pearson"],
    )
    assert scores["pearson"] > 0.4


def test_of_too_many_bins_evenly_spaced_ones_are_taken(make_store, splits):
    store = make_store([16000, 8000, 5000])
    few = make_store([16000, 8000, 5000])
    keep = np.zeros(few.signal.shape[1], dtype=np.bool_)
    for first, last in ((0, 1000), (1000, 1500)):
        keep[first:last:3] = True
    few.signal[:, ~keep] = np.nan
    thinned = fit(KmerRidge(bin_bp=16, k=2, max_bins=500), store, splits)
    np.testing.assert_allclose(thinned.weights, fit(KmerRidge(bin_bp=16, k=2), few, splits).weights, rtol=1e-9)


@pytest.mark.parametrize(("resolution_bp", "bin_bp"), [(1, 32), (10, 40), (16, 32), (32, 32), (128, 128)])
def test_without_a_width_bins_are_the_stores_but_not_finer_than_32_bp(resolution_bp, bin_bp):
    assert KmerRidge().resolved_bin_bp(resolution_bp) == bin_bp


def test_what_does_not_fit_is_said():
    data = SequenceOutline(4, ("cuts",), (9000,))
    [problem] = KmerRidge(bin_bp=6).problems(data)
    assert problem.path == ("bin_bp",)
    assert "whole multiple of data.resolution_bp (4), e.g. 4 or 8" in problem.message
    [problem] = KmerRidge(bin_bp=4, k=5).problems(data)
    assert (problem.path, problem.message) == (("k",), "found 5; no such k-mer fits a bin of 4 bp. Use a smaller k.")
    assert KmerRidge(max_bins=7).n_examples(data) == 7

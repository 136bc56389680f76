"""Ridge on k-mers, held to numpy's least squares."""

import json
from dataclasses import replace

import numpy as np
import pytest

from genotune.genome.sequence import reverse_complement
from genotune.genome.track_transforms import Arcsinh
from genotune.scoring import score
from genotune.store import SequenceOutline
from genotune.trainables.kmer_ridge import KmerRidge
from genotune.trainables.kmer_ridge_model import LinearOutputs
from genotune.trainables.kmers import canonical_kmers, count_kmers, nested_spans
from genotune.trainables.trainable import FitError, FitPlan

PLAN = FitPlan(seed=0, max_epochs=1)


def fit(settings, store, splits):
    return settings.fit(store, splits, report=lambda progress: None, plan=PLAN)


def features_of(store, contig, *, k, flank_bp):
    """(bin, feature): counts within the bin, then within the bin and its flanks, for one contig."""
    codes = np.pad(store.contig_sequence(contig), flank_bp, constant_values=4)
    starts = flank_bp + store.resolution_bp * np.arange(store.n_bins(contig))
    spans = nested_spans(store.resolution_bp, flanks_bp=(0, flank_bp) if flank_bp else (0,))
    counts = count_kmers(codes, starts, spans=spans, index=canonical_kmers(k))[..., :-1]
    return counts.reshape(len(starts), -1).astype(np.float64)


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
    keep[:1500:3] = True
    few.signal[:, ~keep] = np.nan
    thinned = fit(KmerRidge(bin_bp=16, k=2, max_bins=500), store, splits)
    np.testing.assert_allclose(thinned.weights, fit(KmerRidge(bin_bp=16, k=2), few, splits).weights, rtol=1e-9)


def training_labels(store, kind):
    """(bin, track) 0 or 1 on the training contigs, slowly."""
    rows = []
    for shares in store.signal[:, : store.offsets[2]].T:
        best = int(np.argmax(shares))
        rows.append([share >= 0.5 and (kind == "binary" or track == best) for track, share in enumerate(shares)])
    return np.array(rows, dtype=np.float64)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_labels_are_learned_as_0_and_1_and_held_between_the_two(make_store, splits, kind):
    store = replace(make_store([9000, 5003, 4000], tracks=("a", "b"), motif_rate=0.6, base_rate=0.1), kind=kind)
    np.minimum(store.signal * 2, 1, out=store.signal)
    model = fit(KmerRidge(bin_bp=16, k=2, flank_bp=0, penalty=1e-9), store, splits)
    x = np.concatenate([features_of(store, contig, k=2, flank_bp=0) for contig in (0, 1)])
    weights = np.linalg.lstsq(np.c_[x, np.ones(len(x))], training_labels(store, kind), rcond=None)[0]
    inner = features_of(store, 2, k=2, flank_bp=0)
    linear = np.clip(np.c_[inner, np.ones(len(inner))] @ weights, 0, 1)
    predicted = model.predict_contig(store, 2)
    assert predicted.min() >= 0
    if kind == "multiclass":
        linear /= np.maximum(linear.sum(axis=1, keepdims=True), 1)
        assert predicted.sum(axis=0).max() <= 1 + 1e-6
    np.testing.assert_allclose(predicted, linear.T, atol=1e-4)


def test_probabilities_are_between_0_and_1_and_of_classes_so_is_their_sum():
    linear = np.array([[[-0.5, 0.2, 0.8, 3.0], [0.5, 0.3, 0.8, 1.0]]])
    binary = LinearOutputs(("a", "b"), "binary", 32, is_log=True, not_negative=(True, True))
    np.testing.assert_allclose(binary.predictions(linear), [[[0, 0.2, 0.8, 1], [0.5, 0.3, 0.8, 1]]])
    classes = binary._replace(kind="multiclass")
    np.testing.assert_allclose(classes.predictions(linear), [[[0, 0.2, 0.5, 0.5], [0.5, 0.3, 0.5, 0.5]]])


def test_a_track_that_goes_below_zero_is_learned_and_predicted_there(make_store, splits):
    store = make_store([9000, 5003, 4000], tracks=("cuts", "minus"))
    store.signal[1] = -store.signal[0]
    for target in (None, "raw"):
        model = fit(KmerRidge(bin_bp=16, k=4, flank_bp=16, target=target), store, splits)
        cuts, minus = model.predict_contig(store, 2)
        assert cuts.min() == 0
        assert minus.min() < 0
        unheld = cuts > 0
        np.testing.assert_allclose(minus[unheld], -cuts[unheld], rtol=1e-4, atol=1e-6)


def test_a_track_that_is_zero_throughout_is_predicted_as_zero(make_store, splits):
    store = make_store([9000, 5003, 4000], tracks=("cuts", "empty"))
    store.signal[1] = 0
    cuts, empty = fit(KmerRidge(k=3), store, splits).predict_contig(store, 2)
    assert cuts.max() > 0
    np.testing.assert_allclose(empty, 0, atol=1e-9)


def test_transforms_of_the_tracks_play_no_part(store, splits):
    transformed = replace(store, transforms=((Arcsinh(),),))
    plain, other = (fit(KmerRidge(k=3), one, splits).predict_contig(store, 2) for one in (store, transformed))
    np.testing.assert_array_equal(plain, other)


def test_contigs_without_a_value_are_said(make_store, splits):
    store = make_store([3000, 3000, 2000])
    store.signal[:] = np.nan
    with pytest.raises(FitError, match="no bin of 32 bp with a value in every track"):
        fit(KmerRidge(), store, splits)


@pytest.mark.parametrize("kind", ["signal", "binary", "multiclass"])
def test_a_saved_model_predicts_what_it_did(make_store, splits, tmp_path, kind):
    store = replace(make_store([3000, 3000, 2000], tracks=("a", "b")), kind=kind)
    store.signal[1] = -store.signal[1] if kind == "signal" else store.signal[1]
    model = fit(KmerRidge(k=3, target="raw" if kind == "signal" else None), store, splits)
    model.save(tmp_path)
    json.loads((tmp_path / "model.json").read_text(), parse_constant=pytest.fail)
    loaded = KmerRidge.load_model(tmp_path)
    assert loaded.facts() == model.facts()
    np.testing.assert_array_equal(loaded.predict_contig(store, 2), model.predict_contig(store, 2))


def test_what_does_not_fit_is_said():
    data = SequenceOutline(4, ("cuts",), (9000,))
    assert [problem.path for problem in KmerRidge(bin_bp=6).problems(data)] == [("bin_bp",)]
    assert [problem.path for problem in KmerRidge(bin_bp=4, k=5).problems(data)] == [("k",)]
    assert KmerRidge(max_bins=7).n_examples(data) == 7


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_target_of_counts_does_not_fit_labels_and_the_defaults_do(kind):
    outline = SequenceOutline(32, ("peaks",), (9000,), kind)
    assert KmerRidge().problems(outline) == []
    [problem] = KmerRidge(target="raw").problems(outline)
    assert problem.path == ("target",)
    assert problem.message == f"found 'raw'; the tracks are labels ({kind}), each 0 or 1. Leave it out."

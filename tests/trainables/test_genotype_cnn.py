"""The network on genotypes: its order, its filters, its loss, and a fit that goes on exactly."""

from dataclasses import replace

import numpy as np
import pydantic
import pytest
import torch

from genotune.store import DOSAGE_STEPS, NO_POSITION
from genotune.trainables import load_model
from genotune.trainables.generalised_linear import losses as numpy_losses
from genotune.trainables.genotype_cnn import GenotypeCNN
from genotune.trainables.genotype_cnn_network import GenotypeNetwork, LocallyConnected, codes_tensor, genome_order
from genotune.trainables.genotype_cnn_training import losses
from genotune.trainables.standardised import Moments
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes, build_variants, split_samples

KINDS = ("quantitative", "binary", "multiclass", "count")
SMALL = {"channels": 4, "n_blocks": 2, "kernel_width": 3, "pool": 2, "batch_size": 16, "dropout": 0.3}


def fit(store, *, seed=1, report=lambda progress: None, resume=None, max_epochs=3, device="cpu", **settings):
    plan = FitPlan(seed=seed, max_epochs=max_epochs, device=device)
    trainable = GenotypeCNN(**{**SMALL, **settings})
    return trainable.fit(store, split_samples(store), report=report, plan=plan, resume=resume)


def test_variants_are_laid_by_contig_and_position_those_without_one_last():
    variants = build_variants(7)._replace(
        contigs=np.array(["10", "2", "X", "2", "2", "0", "10"]),
        starts=np.array([5, 900, 1, 30, NO_POSITION, NO_POSITION, 4]),
    )
    assert genome_order(variants).tolist() == [3, 1, 6, 0, 2, 4, 5]


def test_the_network_does_not_care_in_which_order_the_store_has_them():
    store = build_genotypes(120, 20, missing=0.05)
    shuffled = np.random.default_rng(0).permutation(20)
    variants = type(store.variants)(*(values[shuffled] for values in store.variants))
    other = replace(store, dosage=store.dosage[:, shuffled].copy(), variants=variants)
    first, second = fit(store), fit(other)
    np.testing.assert_allclose(
        first.predict_samples(store, np.arange(120)), second.predict_samples(other, np.arange(120)), rtol=1e-5
    )


def test_each_place_of_a_locally_connected_layer_has_a_filter_of_its_own():
    torch.manual_seed(0)
    layer = LocallyConnected(2, 3, width=5, step=4, n_places=11)
    values = torch.randn(6, 2, 11)
    found = layer(values).detach().numpy()
    assert found.shape == (6, 3, 3)
    weights = layer.weights_pciw.detach().numpy()
    padded = np.pad(values.numpy(), ((0, 0), (0, 0), (2, 20)))
    for place in range(3):
        window = padded[:, :, 4 * place : 4 * place + 5]
        wanted = (window[:, None] * weights[place][None]).sum(axis=(2, 3))
        np.testing.assert_allclose(found[:, :, place], wanted, atol=1e-5)


@pytest.mark.parametrize("n_variants", [1, 2, 7, 33])
@pytest.mark.parametrize("pool", [1, 2, 5])
@pytest.mark.parametrize("locally_connected", [False, True])
def test_any_number_of_variants_goes_through(n_variants, pool, locally_connected):
    settings = GenotypeCNN(pool=pool, locally_connected=locally_connected, n_blocks=3, channels=2)
    moments = Moments(np.zeros(n_variants, np.float32), np.ones(n_variants, np.float32))
    network = GenotypeNetwork(settings, order=np.arange(n_variants), moments=moments, n_covariates=1, n_outputs=2)
    codes = torch.randint(-1, 3, (4, n_variants), dtype=torch.int8)
    assert network(codes, torch.zeros(4, 1)).shape == (4, 2)


def test_codes_of_either_kind_are_the_same_copies_and_gaps():
    settings = GenotypeCNN(**SMALL)
    moments = Moments(np.float32([1, 0.5, 1.5]), np.float32([1, 2, 0.5]))
    network = GenotypeNetwork(settings, order=np.array([2, 0, 1]), moments=moments, n_covariates=0, n_outputs=1)
    torch.nn.init.normal_(network.head.weight)
    whole = np.array([[0, 1, 2], [2, -1, 0]], dtype=np.int8)
    steps = np.where(whole < 0, 65_535, whole.astype(np.int64) * DOSAGE_STEPS).astype(np.uint16)
    network.eval()
    nothing = torch.zeros(2, 0)
    found = [network(codes_tensor(codes), nothing).detach().numpy() for codes in (whole, steps)]
    np.testing.assert_array_equal(*found)
    seen = []
    network.blocks.register_forward_pre_hook(lambda module, given: seen.append(given[0].numpy()))
    network(codes_tensor(whole), nothing)
    np.testing.assert_allclose(seen[0][1], [[-0.75, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_of_the_other_families(kind):
    rng = np.random.default_rng(2)
    linear = rng.normal(size=(9, 3 if kind == "multiclass" else 1))
    targets = np.eye(3)[rng.integers(0, 3, 9)] if kind == "multiclass" else rng.integers(0, 2, (9, 1)).astype(float)
    found = losses(kind, torch.from_numpy(linear), torch.from_numpy(targets)).numpy()
    np.testing.assert_allclose(found, numpy_losses(kind, linear, targets), rtol=1e-9)


@pytest.mark.parametrize("locally_connected", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_resumed_fit_is_the_uninterrupted_one_bit_for_bit(kind, epoch, locally_connected, tmp_path):
    store = build_genotypes(90, 15, kind=kind, covariates=2, missing=0.05)
    (tmp_path / "state").mkdir()
    (tmp_path / "model").mkdir()

    def report(progress):
        if progress.epoch == epoch:
            progress.save_state(tmp_path / "state", value=0.5)
        return 0.5

    whole = fit(store, report=report, locally_connected=locally_connected)
    resumed = fit(store, resume=tmp_path / "state", locally_connected=locally_connected)
    asked = np.arange(90)
    wanted = whole.predict_samples(store, asked)
    np.testing.assert_array_equal(resumed.predict_samples(store, asked), wanted)
    whole.save(tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict_samples(store, asked), wanted)


def test_before_it_has_learned_it_predicts_the_training_mean():
    for kind in KINDS:
        store = build_genotypes(200, 10, kind=kind)
        found = fit(store, learning_rate=1e-9, max_epochs=1).predict_samples(store, np.arange(200))
        train = split_samples(store).train
        wanted = store.phenotype[train].mean()
        if kind == "multiclass":
            wanted = np.bincount(store.phenotype[train].astype(int)) / len(train)
        np.testing.assert_allclose(found, np.broadcast_to(wanted, found.shape), rtol=1e-3)


def test_the_fit_ends_when_the_objective_has_not_improved_for_patience_epochs(tmp_path):
    seen = []

    def report(progress):
        seen.append(progress.epoch)
        if progress.epoch == 2:
            progress.save_state(tmp_path, value=-2.0)
        return -float(progress.epoch)

    store = build_genotypes(60, 10)
    fit(store, report=report, patience=2, max_epochs=9)
    assert seen == [1, 2, 3]
    fit(store, report=report, patience=2, max_epochs=9, resume=tmp_path)
    assert seen == [1, 2, 3, 3]


@pytest.mark.gpu
@pytest.mark.parametrize("in_steps", [False, True])
def test_a_gpu_learns_what_a_cpu_does(in_steps):
    store = build_genotypes(300, 20, covariates=1, missing=0.03)
    if in_steps:
        codes = np.where(store.dosage < 0, 65_535, store.dosage.astype(np.int64) * DOSAGE_STEPS)
        store = replace(store, dosage=codes.astype(np.uint16))
    on_gpu, on_cpu = (
        fit(store, device=device, dropout=0.0, max_epochs=10).predict_samples(store, np.arange(210, 300))
        for device in ("cuda", "cpu")
    )
    assert np.corrcoef(on_gpu, on_cpu)[0, 1] > 0.99


@pytest.mark.parametrize("wrong", [{"kernel_width": 4}, {"dropout": 1.0}, {"pool": 0}, {"channels": 0}])
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError, match=next(iter(wrong))):
        GenotypeCNN(**wrong)

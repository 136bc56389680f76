"""A fitted CNN predicts the same for both strands, in any batch."""

import numpy as np
import pytest
import torch

from genotune.trainables import poisson_cnn_model
from genotune.trainables.batches import reverse_complement
from genotune.trainables.poisson_cnn import PoissonCNN, WindowSettings
from genotune.trainables.poisson_cnn_model import PoissonCNNModel
from genotune.trainables.poisson_cnn_network import PoissonCNNNetwork


def model(*, length_bp=256, both_strands=True):
    settings = PoissonCNN(
        windows=WindowSettings(length_bp=length_bp, stride_bp=64),
        bin_bp=32,
        channels=8,
        n_blocks=2,
        reverse_complement=both_strands,
    )
    torch.manual_seed(1)
    network = PoissonCNNNetwork(settings, mean_counts=torch.tensor([32.0, 64.0]))
    torch.nn.init.normal_(network.head.weight)
    return PoissonCNNModel(network, settings, tracks=("a", "b"))


def codes_for(model, *, n=6, seed=0):
    return np.random.default_rng(seed).integers(0, 5, (n, model.input_bp)).astype(np.uint8)


def test_the_other_strand_gives_the_same_turned_round():
    both = model()
    codes = codes_for(both)
    predicted = both.predict(codes)
    assert predicted.std() > 0.01
    np.testing.assert_allclose(both.predict(reverse_complement(codes)), predicted[..., ::-1], rtol=1e-5, atol=1e-6)


def test_one_strand_alone_gives_something_else():
    one = model(both_strands=False)
    codes = codes_for(one)
    assert not np.allclose(one.predict(reverse_complement(codes)), one.predict(codes)[..., ::-1], rtol=1e-2)


def test_both_strands_are_the_mean_of_one_and_the_other():
    both, one = model(), model(both_strands=False)
    codes = codes_for(one)
    mean = (one.predict(codes) + one.predict(reverse_complement(codes))[..., ::-1]) / 2
    np.testing.assert_allclose(both.predict(codes), mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("length_bp", "crop_bp"), [(1024, 256), (256, 64), (224, 32), (96, 0), (32, 0)])
def test_a_quarter_of_the_window_at_each_end_is_context(length_bp, crop_bp):
    cropped = model(length_bp=length_bp)
    assert (cropped.input_bp, cropped.crop_bp) == (length_bp, crop_bp)
    assert cropped.predict(codes_for(cropped)).shape == (6, 2, (length_bp - 2 * crop_bp) // 32)


def test_the_size_of_a_batch_does_not_matter(monkeypatch):
    both = model()
    codes = codes_for(both, n=7)
    whole = both.predict(codes)
    monkeypatch.setitem(poisson_cnn_model._BATCH_BASES, "cpu", 512)
    np.testing.assert_allclose(both.predict(codes), whole, rtol=1e-5, atol=1e-6)


def test_a_network_in_training_predicts_as_a_fitted_one():
    both = model()
    codes = codes_for(both)
    expected = both.predict(codes)
    both.network.train()
    np.testing.assert_array_equal(both.predict(codes), expected)

"""The network and its loss."""

import math

import numpy as np
import pytest
import torch

from genotune.trainables.poisson_cnn import PoissonCNN, WindowSettings
from genotune.trainables.poisson_cnn_network import PoissonCNNNetwork, poisson_loss

SMALL = PoissonCNN(windows=WindowSettings(length_bp=256, stride_bp=128), bin_bp=32, channels=8, n_blocks=2)


def network(settings=SMALL, *, means=(3.0, 700.0)):
    torch.manual_seed(0)
    return PoissonCNNNetwork(settings, mean_counts=torch.tensor(means))


def codes(*, n=4, length=256):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 5, (n, length)).astype(np.uint8))


def test_it_starts_at_the_training_mean_of_each_track():
    expected = network()(codes())
    assert expected.shape == (4, 2, 8)
    for track, mean in enumerate((3.0, 700.0)):
        assert expected[:, track].detach().numpy() == pytest.approx(mean, rel=1e-4)


def test_an_unknown_base_is_all_zeros():
    net = network()
    only_n = torch.full((1, 256), 4, dtype=torch.uint8)
    seen = []
    net.stem.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    net(only_n)
    bases, features = seen[0]
    assert not bases.any()
    bias = net.stem.bias[None, :, None, None].expand_as(features)
    torch.testing.assert_close(features, bias)


def test_the_one_hot_has_its_channels_in_the_order_acgt():
    net = network()
    seen = []
    net.stem.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    net(codes())
    for base in range(4):
        torch.testing.assert_close(seen[0][:, base, 0], (codes() == base).float())


def test_it_works_without_blocks_and_for_other_lengths():
    net = network(SMALL.model_copy(update={"n_blocks": 0}))
    assert net(codes(length=512)).shape == (4, 2, 16)


def test_the_loss_is_the_rate_less_the_counts_times_its_logarithm():
    expected, counts = torch.tensor([[[2.0, 1.0]]]), torch.tensor([[[3.0, 0.0]]])
    assert float(poisson_loss(expected, counts)) == pytest.approx(((2 - 3 * math.log(2)) + 1) / 2)


def test_bins_without_a_value_have_no_loss_and_no_gradient():
    expected = torch.tensor([[[2.0, 1.0, 5.0]]], requires_grad=True)
    counts = torch.tensor([[[3.0, 0.0, math.nan]]])
    loss = poisson_loss(expected, counts)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(((2 - 3 * math.log(2)) + 1) / 2)
    torch.testing.assert_close(expected.grad, torch.tensor([[[-0.25, 0.5, 0.0]]]))


def test_a_batch_without_any_value_has_loss_zero():
    assert float(poisson_loss(torch.ones(1, 1, 2), torch.full((1, 1, 2), math.nan))) == 0

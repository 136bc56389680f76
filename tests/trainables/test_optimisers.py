"""Optimisers: what they decay, and that they go on as if nothing had happened."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from genotune.trainables.optimisers import build_optimiser, optimiser_tensors, restore_optimiser
from genotune.trainables.poisson_cnn import PoissonCNN

ALL = ("adamw", "adam", "sgd", "radam")


def build(name, *, weight_decay=0.1, learning_rate=0.05):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 3, (1, 5)), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1))
    network = network.to(memory_format=torch.channels_last)
    settings = PoissonCNN(optimiser=name, weight_decay=weight_decay, learning_rate=learning_rate)
    return network, build_optimiser(network, settings)


def take_step(network, optimiser, seed):
    torch.manual_seed(seed)
    optimiser.zero_grad()
    (network(torch.randn(3, 4, 1, 8)) - 1).square().mean().backward()
    optimiser.step()


def weights_of(network):
    return [weight.detach().clone() for weight in network.parameters()]


@pytest.mark.parametrize("name", ALL)
def test_only_filters_decay(name):
    network, optimiser = build(name)
    decays = {id(weight): group["weight_decay"] for group in optimiser.param_groups for weight in group["params"]}
    assert [decays[id(weight)] for weight in network.parameters()] == [0.1, 0.0, 0.0, 0.0, 0.1, 0.0]


@pytest.mark.parametrize("name", ALL)
def test_it_makes_the_loss_smaller(name):
    network, optimiser = build(name, learning_rate=0.1)
    bases = torch.randn(3, 4, 1, 8)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = (network(bases) - 1).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(("name", "is_decoupled"), [("adamw", True), ("radam", True), ("adam", False), ("sgd", False)])
def test_the_decay_shrinks_the_weights_or_is_part_of_the_gradient(name, is_decoupled):
    network, optimiser = build(name, weight_decay=0.5)
    before = weights_of(network)
    for _ in range(8):
        for weight in network.parameters():
            weight.grad = torch.zeros_like(weight)
        optimiser.step()
    after = weights_of(network)
    assert torch.allclose(after[0], before[0] * (1 - 0.05 * 0.5) ** 8, rtol=1e-5) == is_decoupled
    assert not torch.equal(after[0], before[0])
    assert torch.equal(after[1], before[1])


def test_the_first_step_of_sgd_has_the_momentum_of_nesterov():
    network, optimiser = build("sgd", weight_decay=0.0)
    before = weights_of(network)
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    optimiser.step()
    for weight, was in zip(network.parameters(), before, strict=True):
        torch.testing.assert_close(weight.detach(), was - 0.05 * (1 + 0.9))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n_before", [0, 1, 7])
def test_going_on_from_a_file_gives_the_uninterrupted_weights_to_the_bit(name, n_before, tmp_path):
    network, optimiser = build(name)
    for seed in range(n_before):
        take_step(network, optimiser, seed)
    tensors = optimiser_tensors(optimiser)
    assert bool(tensors) == bool(n_before)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, tmp_path / "state")
    other, resumed = build(name)
    other.load_state_dict({key: tensor.contiguous() for key, tensor in network.state_dict().items()})
    restore_optimiser(resumed, load_file(tmp_path / "state"))
    for seed in range(n_before, n_before + 3):
        take_step(network, optimiser, seed)
        take_step(other, resumed, seed)
    for one, two in zip(weights_of(network), weights_of(other), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", ALL)
def test_what_is_restored_lies_in_memory_as_the_weights_do(name):
    network, optimiser = build(name)
    take_step(network, optimiser, 0)
    tensors = {key: tensor.contiguous() for key, tensor in optimiser_tensors(optimiser).items()}
    other, resumed = build(name)
    restore_optimiser(resumed, tensors)
    for weight in other.parameters():
        for slot in resumed.state[weight].values():
            if slot.shape == weight.shape:
                assert slot.stride() == weight.stride()

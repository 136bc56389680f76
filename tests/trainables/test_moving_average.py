"""The average of a network's weights."""

import pytest
import torch
from torch import nn

from genotune.trainables.moving_average import MovingAverage


def small_network():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 3, (1, 5)), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1))
    return network.to(memory_format=torch.channels_last)


def move(network, seed):
    """A step of some optimiser, and of the running statistics."""
    torch.manual_seed(seed)
    network.train()
    network(torch.randn(3, 4, 1, 8))
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight))


def test_the_decay_rises_from_a_tenth_to_what_was_asked_for():
    network = nn.Linear(1, 1, bias=False)
    average = MovingAverage(network, decay=0.2)
    expected = network.weight.item()
    for step, decay in enumerate([0.1, 2 / 11, 0.2, 0.2]):
        with torch.no_grad():
            network.weight.fill_(step + 1.0)
        average.update(step)
        expected = decay * expected + (1 - decay) * (step + 1)
        assert average.network.weight.item() == pytest.approx(expected, rel=1e-6)


def test_it_begins_at_the_weights_and_leaves_them_alone():
    network = small_network()
    average = MovingAverage(network, decay=0.9)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for name, tensor in average.network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    move(network, 1)
    moved = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    average.update(0)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, moved[name])
    assert not torch.equal(average.network[0].weight, network[0].weight)


def test_running_statistics_are_those_of_the_network():
    network = small_network()
    average = MovingAverage(network, decay=0.9)
    move(network, 1)
    average.update(0)
    assert network[1].running_mean.abs().sum() > 0
    for copy, own in zip(average.network.buffers(), network.buffers(), strict=True):
        assert torch.equal(copy, own)
        assert copy.data_ptr() != own.data_ptr()


def test_the_average_needs_no_gradient_and_is_for_evaluation():
    average = MovingAverage(small_network(), decay=0.9).network
    assert not any(weight.requires_grad for weight in average.parameters())
    assert not average.training


def test_a_network_without_statistics_has_an_average_too():
    network = nn.Conv1d(4, 1, 3)
    average = MovingAverage(network, decay=0.5)
    average.update(0)
    assert torch.equal(average.network.weight, network.weight)


def test_going_on_from_its_state_gives_the_uninterrupted_average_to_the_bit():
    network = small_network()
    straight = MovingAverage(network, decay=0.9)
    for step in range(3):
        move(network, step)
        straight.update(step)
    state = {name: tensor.contiguous().clone() for name, tensor in straight.network.state_dict().items()}
    resumed = MovingAverage(network, decay=0.9)
    resumed.network.load_state_dict(state)
    for step in range(3, 6):
        move(network, step)
        straight.update(step)
        resumed.update(step)
    for one, other in zip(straight.network.state_dict().values(), resumed.network.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_the_average_follows_a_network_that_was_moved():
    network = small_network()
    average = MovingAverage(network, decay=0.9)
    network.to(torch.float64).to(torch.float32)  # gives its weights and statistics new places, as another device does
    move(network, 1)
    average.update(0)
    assert torch.equal(average.network[1].running_mean, network[1].running_mean)
    assert not torch.equal(average.network[0].weight, small_network()[0].weight)

"""A moving average of a network's weights over the steps of a fit: what is evaluated, saved and predicted with."""

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class MovingAverage(Generic[NetworkT]):
    """A second network, whose weights are the average and begin as those of the first.

    Running statistics of normalisation are an average already: the second network has those of the first.

    Source: TensorFlow's documentation of tf.train.ExponentialMovingAverage, shadow variables and num_updates: in the
    first steps the decay is (1 + step) / (10 + step), so that the first weights are soon forgotten.

    Args:
        network: the first; the module itself, not what compiles or distributes it.
        decay: weight of the average beside the newest weights, per step.

    Attributes:
        network: the second. Its state_dict is all that a fit needs to go on.
    """

    def __init__(self, network: NetworkT, *, decay: float) -> None:
        self.network = deepcopy(network).requires_grad_(False).eval()
        self._followed, self._decay = network, decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights, after the optimiser's step of this number, from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        # Asked for each time: a network that was moved to another device has other tensors.
        torch._foreach_lerp_(list(self.network.parameters()), list(self._followed.parameters()), 1 - decay)
        for copy, statistic in zip(self.network.buffers(), self._followed.buffers(), strict=True):
            copy.copy_(statistic)

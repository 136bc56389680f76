"""Optimisers of a network, and what of them a fit that goes on needs."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from genotune.trainables.sequence_network import SequenceNetwork

_MOMENTUM = 0.9


def build_optimiser(network: nn.Module, settings: SequenceNetwork) -> torch.optim.Optimizer:
    """An optimiser that decays filters only: biases and the scales of normalisation are left alone.

    adamw and radam shrink the weights themselves, adam and sgd add the decay to the gradient, each as it was published.

    Source: Loshchilov and Hutter 2019 (AdamW), algorithm 2; Kingma and Ba 2015 (Adam), algorithm 1; Liu et al. 2020
    (RAdam), algorithm 2; Sutskever et al. 2013 (Nesterov's momentum), equations 3 and 4.
    """
    filters = [weights for weights in network.parameters() if weights.ndim > 1]
    others = [weights for weights in network.parameters() if weights.ndim <= 1]
    groups = [{"params": filters, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    rate = settings.learning_rate
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=_MOMENTUM, nesterov=True, fused=True)
    if settings.optimiser == "radam":
        return torch.optim.RAdam(groups, lr=rate, decoupled_weight_decay=True, foreach=True)
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=rate, fused=True)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What it remembers of each weight, by '<index of the weight>.<name>'; nothing before the first step."""
    return {
        f"{index}.{name}": slot
        for index, slots in optimiser.state_dict()["state"].items()
        for name, slot in slots.items()
        if slot is not None
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Make it remember what `optimiser_tensors` gave: the next step is, on a CPU, the same to the bit."""
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        slots.setdefault(int(index), {})[name] = _laid_out_as(weights[int(index)], tensor)
    optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})


def _laid_out_as(weight: Tensor, tensor: Tensor) -> Tensor:
    """A slot in the memory layout of its weight: the fused step goes through both as they lie."""
    return torch.empty_like(weight).copy_(tensor) if tensor.shape == weight.shape else tensor

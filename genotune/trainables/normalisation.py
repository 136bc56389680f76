"""Normalisation of features (example, channel, 1, bin): over a batch that several workers share, over channels.

Axes: e example, c channel, b bin, k worker, m moment (count, means, squares).
"""

from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

_CHANNELS: Final = 1


class SharedBatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose batch, in training, is that of all workers; by itself it is just that.

    Every worker that fits the model must call it, each with its own share of the batch, however uneven; an empty share
    will do. The gradient that a worker gets is that of the sum of all workers' losses.

    Source: Ioffe and Szegedy 2015, algorithm 1; the workers' means and squared deviations are put together as in Chan
    et al. 1983, equation 2.1, so that nothing cancels.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.BatchNorm2d calls it so
        """Features of the same shape and type."""
        if self.training and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            return self._normalise_shared(input)
        return super().forward(input)

    def _normalise_shared(self, features_ec1b: Tensor) -> Tensor:
        values = features_ec1b.float()
        n_total, mean_c, square_c = _shared_moments(values)
        variance_c = square_c / n_total
        self._remember(mean_c.detach(), square_c.detach() / (n_total - 1).clamp(min=1))
        scale_c = self.weight * torch.rsqrt(variance_c + self.eps)
        normalised = (values - mean_c[:, None, None]) * scale_c[:, None, None] + self.bias[:, None, None]
        return normalised.to(features_ec1b.dtype)

    @torch.no_grad()
    def _remember(self, mean_c: Tensor, variance_c: Tensor) -> None:
        """Take the batch into the running statistics."""
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean_c, self.momentum)
        self.running_var.lerp_(variance_c, self.momentum)


class LayerNorm(nn.LayerNorm):
    """Each bin's features normalised over the channels. Source: Ba et al. 2016, equation 4."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.LayerNorm calls it so
        """(example, channel, 1, bin), of the same shape; no copy where channels lie last in memory."""
        last = functional.layer_norm(
            input.movedim(_CHANNELS, -1), self.normalized_shape, self.weight, self.bias, self.eps
        )
        return last.movedim(-1, _CHANNELS)


def _shared_moments(values_ec1b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of all workers' values: how many a channel has (), their mean (c,) and sum of squared deviations from it (c,)."""
    n_channels = values_ec1b.shape[_CHANNELS]
    axes = [axis for axis in range(values_ec1b.ndim) if axis != _CHANNELS]
    n_own = values_ec1b.numel() // n_channels
    mean_c = values_ec1b.sum(axes) / max(1, n_own)
    square_c = (values_ec1b - mean_c[:, None, None]).square().sum(axes)
    moments_km = _of_every_worker(torch.cat([mean_c.new_full((1,), n_own), mean_c, square_c]))
    n_k1, mean_kc, square_kc = moments_km[:, :1], moments_km[:, 1 : 1 + n_channels], moments_km[:, 1 + n_channels :]
    n_total = n_k1.sum().clamp(min=1)
    shared_c = (n_k1 * mean_kc).sum(0) / n_total
    return n_total, shared_c, (square_kc + n_k1 * (mean_kc - shared_c).square()).sum(0)


def _of_every_worker(own: Tensor) -> Tensor:
    """(worker, value) of this worker's values (value,); gradients find their way back to the worker they belong to."""
    rows = [own if worker == dist.get_rank() else torch.zeros_like(own) for worker in range(dist.get_world_size())]
    gathered: Tensor = _SumOverWorkers.apply(torch.stack(rows))  # type: ignore[no-untyped-call]
    return gathered


class _SumOverWorkers(torch.autograd.Function):
    """The sum of the workers' tensors; its gradient is the sum of theirs. One message each, on any backend."""

    @staticmethod
    def forward(_context: Any, own: Tensor) -> Tensor:
        return _sum_over_workers(own)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return _sum_over_workers(gradient)


def _sum_over_workers(own: Tensor) -> Tensor:
    total = own.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total

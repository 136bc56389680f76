"""The network of `poisson_cnn`: one-hot bases to a value without bounds per bin.

Axes: e example, t track, c channel, l base, b bin, w base within a bin. One-dimensional filters are written as
two-dimensional ones of height one, with channels last in memory: on a CPU that takes a third of the time of Conv1d.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from genotune.trainables.normalisation import LayerNorm, SharedBatchNorm
from genotune.trainables.poisson_cnn import PoissonCNN

_SHARPNESS = 2.0
"""Weight of a channel in its own attention at the start: 0 is the mean of a bin, infinity its maximum."""
_MOST_GROUPS = 8


class PoissonCNNNetwork(nn.Module):
    """Stem, pooling to bins, dilated residual blocks, head.

    Outputs start at zero, whatever the bases: the link makes the training mean of that. The default settings give, with
    the same seed, the weights that they have always given: whoever adds a part draws its weights last.

    Args:
        settings: the family's hyperparameters.
        n_outputs: outputs per bin.
    """

    def __init__(self, settings: PoissonCNN, *, n_outputs: int) -> None:
        super().__init__()
        channels = settings.channels
        self.stem = nn.Conv2d(4, channels, (1, settings.stem_width), padding=(0, settings.stem_width // 2))
        self.stem_activation = _stem_activation(settings)
        self.pool = _pooling(settings)
        self.blocks = nn.Sequential(*(ResidualBlock(settings, dilation=dilation) for dilation in settings.dilations()))
        self.norm = _normalisation(settings)
        self.activation = _activation(settings)
        self.head = nn.Conv2d(channels, n_outputs, 1)
        self.total = nn.Linear(channels, n_outputs) if settings.head == "profile_total" else None
        for layer in (self.head, self.total):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(cast("Tensor", layer.bias))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, bases_e4l: Tensor) -> Tensor:
        """Outputs without bounds.

        Args:
            bases_e4l: (example, base of ACGT, base) float32, a whole number of bins. A view whose four channels lie
                next to each other in memory is taken without a copy.

        Returns:
            (example, output, bin) float32.
        """
        motifs_ec1l = self.stem_activation(self.stem(bases_e4l.unsqueeze(2)))
        features_ec1b = self.activation(self.norm(self.blocks(self.pool(motifs_ec1l))))
        outputs_etb = cast("Tensor", self.head(features_ec1b)).squeeze(2).float()
        if self.total is None:
            return outputs_etb
        # A window whose profile is flat has the mean of all windows in each bin if its total's logarithm is zero.
        profile_etb = functional.log_softmax(outputs_etb, dim=2) + math.log(outputs_etb.shape[2])
        return profile_etb + cast("Tensor", self.total(features_ec1b.mean(dim=(2, 3)))).float()[:, :, None]


class ResidualBlock(nn.Module):
    """Normalise, activate, dilated filter; normalise, activate, mix channels; added to the input.

    Source: He et al. 2016 (identity mappings), figure 4e, pre-activation.
    """

    def __init__(self, settings: PoissonCNN, *, dilation: int) -> None:
        super().__init__()
        channels, width = settings.channels, settings.kernel_width
        self.layers = nn.Sequential(
            _normalisation(settings),
            _activation(settings),
            nn.Conv2d(
                channels,
                channels,
                (1, width),
                padding=(0, dilation * (width // 2)),
                dilation=(1, dilation),
                bias=settings.normalisation == "none",  # a normalisation has one of its own
            ),
            _normalisation(settings),
            _activation(settings),
            nn.Conv2d(channels, channels, 1),
            nn.Dropout(settings.dropout),
        )

    def forward(self, features_ec1b: Tensor) -> Tensor:
        """Features of the same shape."""
        return features_ec1b + cast("Tensor", self.layers(features_ec1b))


class AttentionPool(nn.Module):
    """A weighted mean of the bases of a bin, each channel's weights a softmax of what is learnt from all channels.

    Source: Avsec et al. 2021 (Enformer), Methods, attention pooling, with its start at twice the identity.
    """

    def __init__(self, channels: int, *, bin_bp: int) -> None:
        super().__init__()
        self.bin_bp = bin_bp
        self.attention = nn.Linear(channels, channels, bias=False)
        self.attention.weight = nn.Parameter(_SHARPNESS * torch.eye(channels))

    def forward(self, motifs_ec1l: Tensor) -> Tensor:
        """(example, channel, 1, base) to (example, channel, 1, bin)."""
        motifs_e1lc = motifs_ec1l.permute(0, 2, 3, 1)
        n_examples, _, n_bases, n_channels = motifs_e1lc.shape
        motifs_e1bwc = motifs_e1lc.reshape(n_examples, 1, n_bases // self.bin_bp, self.bin_bp, n_channels)
        shares_e1bwc = cast("Tensor", self.attention(motifs_e1bwc)).softmax(dim=3)
        return (motifs_e1bwc * shares_e1bwc).sum(dim=3).permute(0, 3, 1, 2)


class Exponential(nn.Module):
    """e to the power of the input."""

    def forward(self, values: Tensor) -> Tensor:
        """Of the same shape, above zero."""
        return values.exp()


def _stem_activation(settings: PoissonCNN) -> nn.Module:
    if settings.stem_activation == "exponential":
        return nn.Sequential(_normalisation(settings), Exponential())
    return nn.ReLU() if settings.stem_activation == "relu" else nn.Identity()


def _pooling(settings: PoissonCNN) -> nn.Module:
    if settings.pooling == "attention":
        return AttentionPool(settings.channels, bin_bp=settings.bin_bp)
    width = (1, settings.bin_bp)
    return nn.MaxPool2d(width) if settings.pooling == "max" else nn.AvgPool2d(width)


def _normalisation(settings: PoissonCNN) -> nn.Module:
    channels = settings.channels
    if settings.normalisation == "batch":
        return SharedBatchNorm(channels)
    if settings.normalisation == "group":
        return nn.GroupNorm(math.gcd(channels, _MOST_GROUPS), channels)
    return LayerNorm(channels) if settings.normalisation == "layer" else nn.Identity()


def _activation(settings: PoissonCNN) -> nn.Module:
    if settings.activation == "relu":
        return nn.ReLU()
    return nn.GELU() if settings.activation == "gelu" else nn.SiLU()

"""The network of `poisson_cnn`: base codes to expected counts per bin.

Axes: e example, t track, c channel, l base, b bin. One-dimensional filters are written as two-dimensional ones of
height one, with channels last in memory: on a CPU that takes a third of the time of Conv1d.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from genotune.trainables.poisson_cnn import PoissonCNN

_SOFTPLUS_IS_ONE = 0.541324854612918
"""softplus of it is 1: log(e - 1)."""
_FLOOR = 1e-6
"""Added to softplus, so that the logarithm of a rate is finite."""


class ResidualBlock(nn.Module):
    """Normalise, rectify, dilated filter; normalise, rectify, mix channels; added to the input.

    Source: He et al. 2016 (identity mappings), figure 4e, pre-activation.
    """

    def __init__(self, channels: int, *, kernel_width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        reach = dilation * (kernel_width // 2)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, kernel_width), padding=(0, reach), dilation=(1, dilation), bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
            nn.Dropout(dropout),
        )

    def forward(self, features_ec1b: Tensor) -> Tensor:
        """Features of the same shape."""
        return features_ec1b + cast("Tensor", self.layers(features_ec1b))


class PoissonCNNNetwork(nn.Module):
    """Expected counts per bin.

    Args:
        settings: the family's hyperparameters.
        mean_counts: (track,) training means per bin: the network starts there, whatever the depth of a track.
    """

    one_hot: Tensor
    mean_counts: Tensor

    def __init__(self, settings: PoissonCNN, *, mean_counts: Tensor) -> None:
        super().__init__()
        channels = settings.channels
        self.bin_bp = settings.bin_bp
        self.stem = nn.Conv2d(4, channels, (1, settings.stem_width), padding=(0, settings.stem_width // 2))
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(channels, kernel_width=settings.kernel_width, dilation=dilation, dropout=settings.dropout)
                for dilation in settings.dilations()
            )
        )
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Conv2d(channels, len(mean_counts), 1)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(cast("Tensor", self.head.bias), _SOFTPLUS_IS_ONE)
        self.register_buffer("one_hot", torch.eye(5, 4), persistent=False)
        self.register_buffer("mean_counts", mean_counts.float())
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, codes_el: Tensor) -> Tensor:
        """Expected counts, above zero.

        Args:
            codes_el: (example, base) uint8, a whole number of bins.

        Returns:
            (example, track, bin) float32.
        """
        # The look-up gives (e, l, c); seen as (e, c, 1, l) its channels lie last already.
        bases_ec1l = functional.embedding(codes_el.int(), self.one_hot).unsqueeze(1).permute(0, 3, 1, 2)
        motifs_ec1b = functional.max_pool2d(self.stem(bases_ec1l), (1, self.bin_bp))
        features_ec1b = functional.relu(self.norm(self.blocks(motifs_ec1b)))
        logits_etb = self.head(features_ec1b).squeeze(2).float()
        return (functional.softplus(logits_etb) + _FLOOR) * self.mean_counts[:, None]


def poisson_loss(expected: Tensor, counts: Tensor) -> Tensor:
    """Mean Poisson negative log-likelihood of the bins that hold a value, without the term of the counts alone.

    Args:
        expected: (example, track, bin), above zero.
        counts: (example, track, bin), NaN where not known.
    """
    known = ~counts.isnan()
    counts = counts.nan_to_num(0.0)
    losses = (expected - counts * expected.log()) * known
    return losses.sum() / known.sum().clamp(min=1)

"""A small network for tracks, written as anybody would: search_spaces/torch_module.yaml tunes it.

What goes in: (example, 4, base), the sequence of each window one-hot, rows A C G T; an unknown base is 0 in all four.
What comes out: (example, track, bin), a number for each track and each bin of `bin_bp` bases, over the whole window.

The numbers may be any, also below zero: genotune makes expected counts of them (softplus, times the track's mean), so
that there is no activation at the end, and 0 stands for the mean of the track. Windows, loss, augmentation, learning
rate and all else are genotune's; only what is learned is decided here.
"""

from torch import Tensor, nn


class SmallNetwork(nn.Module):
    """Motif filters, the strongest match in each bin, then layers that see further and further around it.

    Args:
        n_tracks: given by genotune, as every argument of this name is.
        bin_bp: width of a bin; given by genotune too.
        channels: filters of each layer.
        motif_bp: width of the first filters; odd.
        n_layers: layers over bins; each sees twice as far as the one before.
        dropout: share of features that is left out in training.
    """

    def __init__(
        self,
        n_tracks: int,
        bin_bp: int,
        *,
        channels: int = 32,
        motif_bp: int = 15,
        n_layers: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.motifs = nn.Conv1d(4, channels, motif_bp, padding="same")
        self.to_bins = nn.MaxPool1d(bin_bp)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(channels),
                nn.ReLU(),
                nn.Conv1d(channels, channels, 3, padding="same", dilation=2**depth),
                nn.Dropout(dropout),
            )
            for depth in range(n_layers)
        )
        self.head = nn.Sequential(nn.BatchNorm1d(channels), nn.ReLU(), nn.Conv1d(channels, n_tracks, 1))
        nn.init.zeros_(self.head[-1].weight)  # the first prediction is the mean of the track

    def forward(self, one_hot: Tensor) -> Tensor:
        """(example, track, bin) for (example, 4, base)."""
        features: Tensor = self.to_bins(self.motifs(one_hot))
        for layer in self.layers:
            features = features + layer(features)
        outputs: Tensor = self.head(features)
        return outputs

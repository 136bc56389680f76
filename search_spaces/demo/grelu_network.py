"""A network that gReLU builds, as genotune wants it. gReLU is no part of genotune: `pip install grelu`.

In a search-space file, beside data, split and the rest as in torch_module.yaml:

    models:
      - family: torch_module
        params:
          module: demo/grelu_network.py:GreluNetwork
          arguments:
            architecture: DilatedConvModel # the dilated residual network in the manner of BPNet and ChromBPNet
            settings: # of that architecture, by gReLU's names
              channels: {choice: [32, 64]}
              n_conv: {int: [4, 8]}
          windows: {length_bp: 1024, stride_bp: 512, select: tiles}
          bin_bp: 32
          learning_rate: {log_uniform: [1.0e-3, 1.0e-2]}

`architecture: ConvModel` with `settings: {n_conv: 6, pool_func: max, pool_size: 2}` pools on the way and is quicker.
gReLU's names and shapes: https://genentech.github.io/gReLU (grelu.model.models), version 1.1.
"""

from torch import Tensor, nn
from torch.nn import functional


class GreluNetwork(nn.Module):
    """Any architecture of gReLU's that goes from (example, 4, base) to (example, task, position), averaged to bins.

    Args:
        n_tracks: given by genotune; gReLU's tasks.
        length_bp: of a window; given by genotune.
        bin_bp: width of a bin; given by genotune.
        architecture: a class of grelu.model.models with `crop_len` and `final_pool_func`.
        settings: for it.
    """

    def __init__(
        self,
        n_tracks: int,
        length_bp: int,
        bin_bp: int,
        *,
        architecture: str = "DilatedConvModel",
        settings: dict[str, object] | None = None,
    ) -> None:
        # Not at the top, so that `genotune check` needs no gReLU where only the trials have it.
        from grelu.model import models

        super().__init__()
        # Neither cropped nor pooled to one number: there must be an output for every bin of the window.
        make = getattr(models, architecture)
        self.network = make(n_tasks=n_tracks, crop_len=0, final_pool_func=None, **(settings or {}))
        self.n_bins = length_bp // bin_bp

    def forward(self, one_hot: Tensor) -> Tensor:
        """(example, track, bin) for (example, 4, base)."""
        outputs: Tensor = self.network(one_hot)
        n_positions = outputs.shape[-1]
        if n_positions % self.n_bins:
            raise ValueError(
                f"gReLU gives {n_positions} positions for {self.n_bins} bins; it must pool by a divisor of bin_bp."
            )
        return functional.avg_pool1d(outputs, n_positions // self.n_bins)

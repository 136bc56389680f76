"""Settings of the family `poisson_cnn`: a dilated residual CNN, by default with a Poisson loss on counts per bin.

Source of the shape: Avsec et al. 2021 (BPNet), Methods, dilated residual blocks; Kelley et al. 2018 (Basenji),
Methods, pooling to bins, a softplus head and Poisson loss.
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from genotune.columns import TargetKind
from genotune.errors import Problem
from genotune.store import SequenceOutline
from genotune.trainables.losses import LINKS_OF, LOSSES_OF, Link, default_loss
from genotune.trainables.sequence_network import SequenceNetwork
from genotune.trainables.trainable import FitPlan

if TYPE_CHECKING:
    from torch import nn


def _odd(width: int) -> int:
    if width % 2 == 0:
        raise ValueError(f"found {width}; must be odd, so that the filter has a middle, e.g. {width + 1}.")
    return width


OddWidth = Annotated[int, AfterValidator(_odd)]


class PoissonCNN(SequenceNetwork):
    """Hyperparameters of the CNN.

    Attributes:
        channels: filters of the stem and of each block.
        n_blocks: dilated residual blocks.
        stem_width: width in bp of the stem's filters.
        stem_activation: of the stem, before the pooling: 'none', as the first block begins with one; 'relu'; or
            'exponential', after a normalisation, which makes filters more like motifs (Koo and Ploenzke 2021).
        pooling: of the bases of a bin: 'max', 'mean', or 'attention', a mean whose weights are learnt.
        kernel_width: width in bins of the blocks' filters.
        dilation_growth: each block's dilation is that of the one before times this, as long as its filter spans no
            more than half of the window.
        normalisation: of the features: 'batch', over the batch and the bins; 'group', over some channels and the bins
            of one window; 'layer', over the channels of one bin; 'none'.
        activation: of the blocks: 'relu', 'gelu' or 'silu'.
        dropout: share of a block's output that is dropped in training.
        head: 'per_bin' gives each bin's value by itself; 'profile_total' gives the window's total and how it is spread
            over the bins.
    """

    title: ClassVar[str] = "Poisson CNN"
    complexity: ClassVar[int] = 3
    changeable: ClassVar[frozenset[str]] = SequenceNetwork.changeable | {"dropout"}

    family: Literal["poisson_cnn"] = "poisson_cnn"
    channels: Annotated[int, Field(ge=1, le=2048)] = 32
    n_blocks: Annotated[int, Field(ge=0, le=32)] = 4
    stem_width: Annotated[OddWidth, Field(ge=1, le=101)] = 15
    stem_activation: Literal["none", "relu", "exponential"] = "none"
    pooling: Literal["max", "mean", "attention"] = "max"
    kernel_width: Annotated[OddWidth, Field(ge=1, le=51)] = 3
    dilation_growth: Annotated[int, Field(ge=1, le=8)] = 2
    normalisation: Literal["batch", "group", "layer", "none"] = "batch"
    activation: Literal["relu", "gelu", "silu"] = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    head: Literal["per_bin", "profile_total"] = "per_bin"

    def link(self, kind: TargetKind) -> Link:
        """How the network's outputs become values; a profile and a total are logarithms of rates."""
        return "exp" if self.head == "profile_total" else super().link(kind)

    def dilations(self) -> tuple[int, ...]:
        """Of each block, in bins."""
        widest = max(1, self.window_bins // (2 * max(1, self.kernel_width - 1)))
        return tuple(min(self.dilation_growth**block, widest) for block in range(self.n_blocks))

    def problems(self, outline: SequenceOutline) -> list[Problem]:
        """Those of every network of tracks, and a head that doesn't go with the loss."""
        found = super().problems(outline)
        loss = (self.loss or default_loss(outline.kind)).kind
        fits = loss in LOSSES_OF.get(outline.kind, ())  # else that is the problem to be told of
        if self.head == "profile_total" and fits and "exp" not in LINKS_OF[loss]:
            able = ", ".join(kind for kind, links in LINKS_OF.items() if "exp" in links)
            message = (
                f"found profile_total with loss {loss}; it gives rates, which the losses {able} take. Use per_bin."
            )
            found.append(Problem(("head",), message))
        return found

    def build_network(self, n_outputs: int, *, plan: FitPlan) -> "nn.Module":  # noqa: ARG002 - runs no other's code
        """The network of these settings; see `SequenceNetwork.build_network`."""
        from genotune.trainables.poisson_cnn_network import PoissonCNNNetwork

        return PoissonCNNNetwork(self, n_outputs=n_outputs)

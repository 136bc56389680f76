"""The network of `genotype_cnn`: codes of dosages go in as they lie, and become floats on the device.

Axes: e example, v variant in the order of the genome, c channel, p place after pooling, k covariate, o output.
"""

import re

import numpy as np
import torch
from torch import Tensor, nn

from genotune.store import DOSAGE_STEPS, MISSING_DOSAGE, MISSING_STEPS, NO_POSITION, DosageArray, IntArray, Variants
from genotune.trainables.genotype_cnn import GenotypeCNN
from genotune.trainables.standardised import Moments

_CHANNELS_IN = 2
"""The standardised copies, and whether they are missing."""


def genome_order(variants: Variants) -> IntArray:
    """(variant,) places of the variants by contig and position; those without a position last, in their own order.

    Contigs are ordered as people do: 2 before 10, and both before X.
    """
    names = sorted(set(variants.contigs.tolist()), key=_natural)
    rank = {name: place for place, name in enumerate(names)}
    contigs = np.array([rank[name] for name in variants.contigs.tolist()], dtype=np.int64)
    unplaced = variants.starts == NO_POSITION
    order = np.lexsort((np.where(unplaced, 0, variants.starts), np.where(unplaced, 0, contigs), unplaced))
    return order.astype(np.int64)


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def codes_tensor(dosage: DosageArray) -> Tensor:
    """A tensor of codes: int8 as they are; uint16, of which torch can do little, as the int16 of the same bits."""
    return torch.from_numpy(np.ascontiguousarray(dosage if dosage.dtype == np.int8 else dosage.view(np.int16)))


class GenotypeNetwork(nn.Module):
    """Linear terms of the trait from codes of dosages and standardised covariates.

    Args:
        settings: of the family.
        order: (variant,) which variant comes where.
        moments: of the variants, in the store's own order.
        n_covariates: columns of covariates.
        n_outputs: linear terms.
    """

    order: Tensor
    means: Tensor
    scales: Tensor

    def __init__(
        self, settings: GenotypeCNN, *, order: IntArray, moments: Moments, n_covariates: int, n_outputs: int
    ) -> None:
        super().__init__()
        self.register_buffer("order", torch.from_numpy(order))
        self.register_buffer("means", torch.from_numpy(moments.means[order]))
        self.register_buffer("scales", torch.from_numpy(moments.scales[order]))
        blocks: list[nn.Module] = []
        n_channels, n_places = _CHANNELS_IN, len(order)
        for block in range(settings.n_blocks):
            width, step = settings.kernel_width, settings.pool
            if block == 0 and settings.locally_connected:
                blocks.append(
                    LocallyConnected(n_channels, settings.channels, width=width, step=step, n_places=n_places)
                )
                pooling: nn.Module = nn.Identity()
            else:
                blocks.append(nn.Conv1d(n_channels, settings.channels, width, padding=width // 2))
                pooling = nn.MaxPool1d(step, ceil_mode=True)
            blocks += [nn.GroupNorm(1, settings.channels), nn.ReLU(), nn.Dropout(settings.dropout), pooling]
            n_channels, n_places = settings.channels, -(-n_places // step)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(n_channels * n_places + n_covariates, n_outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, codes_ev: Tensor, covariates_ek: Tensor) -> Tensor:
        """(e, o) linear terms; codes are in the store's own order of variants."""
        codes = codes_ev.index_select(1, self.order)
        if codes.dtype == torch.int8:
            missing, copies = codes == MISSING_DOSAGE, codes.float()
        else:
            steps = codes.int() & MISSING_STEPS
            missing, copies = steps == MISSING_STEPS, steps.float() / DOSAGE_STEPS
        standardised = ((copies - self.means) * self.scales).masked_fill(missing, 0)
        seen = self.blocks(torch.stack([standardised, missing.float()], dim=1))
        outputs: Tensor = self.head(torch.cat([seen.flatten(1), covariates_ek], dim=1))
        return outputs


class LocallyConnected(nn.Module):
    """A convolution whose filters are each place's own.

    Args:
        n_in: channels that go in.
        n_out: channels that come out.
        width: of a filter, odd.
        step: between places.
        n_places: that go in; a step's share of them, rounded up, comes out.
    """

    def __init__(self, n_in: int, n_out: int, *, width: int, step: int, n_places: int) -> None:
        super().__init__()
        n_steps = -(-n_places // step)
        self.width, self.step = width, step
        self.padding = width // 2, (n_steps - 1) * step + width - n_places - width // 2
        bound = (n_in * width) ** -0.5
        self.weights_pciw = nn.Parameter(torch.empty(n_steps, n_out, n_in, width).uniform_(-bound, bound))
        self.bias_cp = nn.Parameter(torch.zeros(n_out, n_steps))

    def forward(self, values_eiv: Tensor) -> Tensor:
        """(e, c, p)."""
        windows = nn.functional.pad(values_eiv, self.padding).unfold(2, self.width, self.step)
        return torch.einsum("eipw,pciw->ecp", windows, self.weights_pciw) + self.bias_cp

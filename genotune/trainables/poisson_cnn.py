"""Settings of the family `poisson_cnn`: a dilated residual CNN with a Poisson loss on counts per bin.

Source of the shape: Avsec et al. 2021 (BPNet), Methods, dilated residual blocks; Kelley et al. 2018 (Basenji),
Methods, pooling to bins, a softplus head and Poisson loss.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from genotune.errors import Problem
from genotune.settings import Settings
from genotune.store import SequenceOutline, SequenceStore, Splits
from genotune.trainables.model import Model
from genotune.trainables.trainable import FitPlan, Report, Trainable, multiple_problems


def _odd(width: int) -> int:
    if width % 2 == 0:
        raise ValueError(f"found {width}; must be odd, so that the filter has a middle, e.g. {width + 1}.")
    return width


OddWidth = Annotated[int, AfterValidator(_odd)]


class WindowSettings(Settings):
    """Which windows of the training contigs make an epoch.

    Attributes:
        length_bp: length of a window; at prediction a quarter of it at each end is context only.
        stride_bp: distance between the starts of two windows.
        select: 'tiles' lays them from the start of each contig to its end.
    """

    length_bp: Annotated[int, Field(ge=1)] = 1024
    stride_bp: Annotated[int, Field(ge=1)] = 512
    select: Literal["tiles"] = "tiles"


class CosineSchedule(Settings):
    """The learning rate falls along half a cosine to zero at the last epoch of the sweep."""

    kind: Literal["cosine"] = "cosine"


class PlateauSchedule(Settings):
    """The learning rate is multiplied by `factor` when the objective hasn't improved for `patience` epochs."""

    kind: Literal["plateau"] = "plateau"
    patience: Annotated[int, Field(ge=1)] = 2
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.3


class ConstantSchedule(Settings):
    """The learning rate stays as it is after the warm-up."""

    kind: Literal["constant"] = "constant"


Schedule = Annotated[CosineSchedule | PlateauSchedule | ConstantSchedule, Field(discriminator="kind")]


class PoissonCNN(Trainable[SequenceOutline, SequenceStore]):
    """Hyperparameters of the CNN.

    Attributes:
        bin_bp: width of a predicted bin.
        channels: filters of the stem and of each block.
        n_blocks: dilated residual blocks.
        stem_width: width in bp of the stem's filters.
        kernel_width: width in bins of the blocks' filters.
        dilation_growth: each block's dilation is that of the one before times this, as long as its filter spans no
            more than half of the window.
        dropout: share of a block's output that is dropped in training.
        warmup: share of all steps in which the learning rate rises linearly from zero.
        clip_norm: gradients with a larger norm are scaled down to it; null: never.
        patience: epochs without a better objective after which the fit ends; null: never.
        reverse_complement: train on either strand at random, predict with the mean of both.
        jitter_bp: in training a window starts up to so many bases before or after its place.
        precision: 'auto' is bf16 autocast in training on a GPU that has it, float32 everywhere else.
    """

    needs: ClassVar[frozenset[str]] = SequenceStore.columns
    title: ClassVar[str] = "Poisson CNN"
    complexity: ClassVar[int] = 3
    examples: ClassVar[str] = "windows"

    family: Literal["poisson_cnn"] = "poisson_cnn"
    windows: WindowSettings = WindowSettings()
    bin_bp: Annotated[int, Field(ge=1)] = 32
    channels: Annotated[int, Field(ge=1, le=2048)] = 32
    n_blocks: Annotated[int, Field(ge=0, le=32)] = 4
    stem_width: Annotated[OddWidth, Field(ge=1, le=101)] = 15
    kernel_width: Annotated[OddWidth, Field(ge=1, le=51)] = 3
    dilation_growth: Annotated[int, Field(ge=1, le=8)] = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.01
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 64
    warmup: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    schedule: Schedule = CosineSchedule()
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    patience: Annotated[int, Field(ge=1)] | None = None
    reverse_complement: bool = True
    jitter_bp: Annotated[int, Field(ge=0)] = 0
    precision: Literal["auto", "float32"] = "auto"

    @property
    def window_bins(self) -> int:
        """Bins of a window."""
        return self.windows.length_bp // self.bin_bp

    def dilations(self) -> tuple[int, ...]:
        """Of each block, in bins."""
        widest = max(1, self.window_bins // (2 * max(1, self.kernel_width - 1)))
        return tuple(min(self.dilation_growth**block, widest) for block in range(self.n_blocks))

    def problems(self, outline: SequenceOutline) -> list[Problem]:
        """Widths that don't go into each other."""
        found = []
        resolution_bp, length_bp = outline.resolution_bp, self.windows.length_bp
        for path, bp in (
            (("bin_bp",), self.bin_bp),
            (("windows", "stride_bp"), self.windows.stride_bp),
            (("jitter_bp",), self.jitter_bp),
        ):
            found += multiple_problems(path, bp, of=resolution_bp, name="data.resolution_bp")
        found += multiple_problems(("windows", "length_bp"), length_bp, of=self.bin_bp, name="bin_bp")
        longest = max(outline.contig_lengths, default=0)
        if length_bp > longest:
            message = f"found {length_bp}; the longest training contig has {longest} bp. Use shorter windows."
            found.append(Problem(("windows", "length_bp"), message))
        return found

    def n_examples(self, outline: SequenceOutline) -> int:
        """Windows of an epoch."""
        length = self.windows.length_bp // outline.resolution_bp
        stride = max(1, self.windows.stride_bp // outline.resolution_bp)
        n_bins = (-(-bp // outline.resolution_bp) for bp in outline.contig_lengths)
        return sum(max(0, (n - length) // stride + 1) for n in n_bins)

    def fit(
        self,
        store: SequenceStore,
        splits: Splits,
        *,
        report: Report,
        plan: FitPlan,
        resume: Path | None = None,
    ) -> Model:
        """Learn from the training contigs; see `Trainable.fit`."""
        from genotune.trainables.poisson_cnn_training import fit

        return fit(self, store, splits=splits, report=report, plan=plan, resume=resume)

    @classmethod
    def load_model(cls, folder: Path) -> Model:
        """The model that its `save` wrote, on the CPU."""
        from genotune.trainables.poisson_cnn_model import PoissonCNNModel

        return PoissonCNNModel.load(folder)

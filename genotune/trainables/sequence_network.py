"""Settings that every family of networks on tracks shares: windows, targets, loss, steps. The network is the family's.

Families are subclasses: `poisson_cnn` has a network of its own, `torch_module` takes one that a person wrote.
"""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from genotune.columns import TargetKind
from genotune.errors import Problem
from genotune.genome.track_transforms import Transform
from genotune.settings import Settings, kind_of_text
from genotune.store import SequenceOutline, SequenceStore, Splits
from genotune.trainables.losses import LOSSES_OF, Link, Loss, default_loss, link_of
from genotune.trainables.model import Model
from genotune.trainables.trainable import FitPlan, Report, Trainable, multiple_problems
from genotune.trainables.window_selection import n_windows, window_problems
from genotune.trainables.windows import Tiles, WindowSettings

if TYPE_CHECKING:
    from torch import nn


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


Schedule = Annotated[
    CosineSchedule | PlateauSchedule | ConstantSchedule, Field(discriminator="kind"), BeforeValidator(kind_of_text)
]


class SequenceNetwork(Trainable[SequenceOutline, SequenceStore]):
    """Hyperparameters of training a network that goes from bases to values per bin.

    Attributes:
        windows: which windows make an epoch.
        bin_bp: width of a predicted bin.
        crop_bp: bases at each end of a window that are context only, in training and in prediction; null: none in
            training, a quarter of the window in prediction.
        transform: how the network sees the tracks; null: as `data.tracks` says of each.
        loss: what is made small; null: the usual one for what the tracks hold.
        track_weights: of tracks in the loss, by name; 1 for those that aren't named.
        optimiser: 'adamw', 'adam', 'sgd' (with Nesterov's momentum of 0.9) or 'radam'.
        warmup: share of all steps in which the learning rate rises linearly from zero.
        clip_norm: gradients with a larger norm are scaled down to it; null: never.
        ema_decay: the model is a moving average of the weights, with this decay per step (less in the first steps);
            null: the weights themselves.
        patience: epochs without a better objective after which the fit ends; null: never.
        reverse_complement: train on either strand at random; tracks that are a pair of strands change places.
        average_strands: predict with the mean of both strands; null: as `reverse_complement`.
        jitter_bp: in training a window starts up to so many bases before or after its place: exact for the sequence, to
            the nearest stored bin for the signal.
        precision: 'auto' is bf16 autocast in training on a GPU that has it, float32 everywhere else.
        compile: whether torch compiles the network; a minute or so at the start of each trial, on a GPU often worth it.
    """

    needs: ClassVar[frozenset[str]] = SequenceStore.columns
    examples: ClassVar[str] = "windows"
    several_workers: ClassVar[bool] = True
    # A batch of another size would put the schedule, which goes by steps, elsewhere.
    changeable: ClassVar[frozenset[str]] = frozenset({"learning_rate", "weight_decay", "clip_norm", "jitter_bp"})

    windows: WindowSettings = Tiles()
    bin_bp: Annotated[int, Field(ge=1)] = 32
    crop_bp: Annotated[int, Field(ge=0)] | None = None
    transform: Transform | None = None
    loss: Loss | None = None
    track_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    optimiser: Literal["adamw", "adam", "sgd", "radam"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.01
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 64
    warmup: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    schedule: Schedule = CosineSchedule()
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
    reverse_complement: bool = True
    average_strands: bool | None = None
    jitter_bp: Annotated[int, Field(ge=0)] = 0
    precision: Literal["auto", "float32"] = "auto"
    compile: bool = False

    @abstractmethod
    def build_network(self, n_outputs: int, *, plan: FitPlan) -> "nn.Module":
        """A new network, its weights drawn from torch's global generator.

        It takes (example, 4, base) float32 one-hot and gives (example, output, bin) without a bound: the loss's link
        (softplus, sigmoid, softmax) makes values of them. It may begin as it likes; the trainer sets no weight of it.

        Args:
            n_outputs: outputs per bin.
            plan: of the fit; `plan.code` holds the source of networks that a person wrote.
        """

    @property
    def window_bins(self) -> int:
        """Bins of a window."""
        return self.windows.length_bp // self.bin_bp

    @property
    def predicts_both_strands(self) -> bool:
        """Whether a prediction is the mean of both strands."""
        return self.reverse_complement if self.average_strands is None else self.average_strands

    @property
    def trained_crop_bp(self) -> int:
        """Bases at each end of a window that have no loss."""
        return self.crop_bp or 0

    @property
    def predicted_crop_bp(self) -> int:
        """Bases at each end of a window for which nothing is predicted: whole bins."""
        return self.window_bins // 4 * self.bin_bp if self.crop_bp is None else self.crop_bp

    def link(self, kind: TargetKind) -> Link:
        """How values come of the network's outputs, for what the tracks hold."""
        return link_of(self.loss or default_loss(kind))

    def problems(self, outline: SequenceOutline) -> list[Problem]:
        """Widths that don't go into each other, and settings that don't fit what the tracks hold."""
        found = multiple_problems(("bin_bp",), self.bin_bp, of=outline.resolution_bp, name="data.resolution_bp")
        length_bp = self.windows.length_bp
        found += multiple_problems(("windows", "length_bp"), length_bp, of=self.bin_bp, name="bin_bp")
        found += window_problems(self.windows, outline)
        if self.crop_bp is not None:
            found += multiple_problems(("crop_bp",), self.crop_bp, of=self.bin_bp, name="bin_bp")
            if 2 * self.crop_bp >= length_bp:
                message = f"found {self.crop_bp}; nothing is left of a window of {length_bp} bp. Crop less than half."
                found.append(Problem(("crop_bp",), message))
        allowed = LOSSES_OF.get(outline.kind, ())
        if self.loss is not None and self.loss.kind not in allowed:
            message = f"found {self.loss.kind}; the tracks hold a {outline.kind} target: use {' or '.join(allowed)}."
            found.append(Problem(("loss",), message))
        if self.transform and outline.kind != "signal":
            found.append(Problem(("transform",), f"a {outline.kind} target has no values to transform. Remove it."))
        for name in self.track_weights:
            if name not in outline.tracks:
                message = f"no track has this name; there are {', '.join(outline.tracks)}."
                found.append(Problem(("track_weights", name), message))
        return found

    def problems_of_sharing(self, n_workers: int) -> list[Problem]:
        """A batch with less than a window for each worker."""
        if self.batch_size >= n_workers:
            return []
        message = f"found {self.batch_size}; {n_workers} workers share each batch (resources): at least {n_workers}."
        return [Problem(("batch_size",), message)]

    def n_examples(self, outline: SequenceOutline) -> int:
        """Windows of an epoch, at most."""
        return n_windows(self.windows, outline)

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
        from genotune.trainables.sequence_training import fit

        return fit(self, store, splits=splits, report=report, plan=plan, resume=resume)

    @classmethod
    def load_model(cls, folder: Path) -> Model:
        """The model that its `save` wrote, on the CPU."""
        from genotune.trainables.sequence_network_model import SequenceNetworkModel

        return SequenceNetworkModel.load(folder, cls)

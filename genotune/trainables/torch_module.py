"""The family `torch_module`: a network that a person wrote, trained and tuned like our own.

The file's text travels with the trial and is kept with the model: a worker needs no copy of the file, and a later edit
changes no sweep that has begun. To load such a model is to run its code.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field

from genotune.columns import TargetKind
from genotune.errors import DataError, Problem
from genotune.store import SequenceStore, Splits
from genotune.trainables.losses import Link
from genotune.trainables.model import Model
from genotune.trainables.module_code import class_problems
from genotune.trainables.sequence_network import SequenceNetwork
from genotune.trainables.trainable import FitPlan, Report

if TYPE_CHECKING:
    from torch import nn

    from genotune.trainables.module_running import Source

_OFFERED: Final = ("n_tracks", "length_bp", "bin_bp")
"""What a class is told if its __init__ has an argument of that name, and the spec doesn't give it."""


def _file_and_class(text: str) -> str:
    file, colon, name = text.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise ValueError(f"found {text!r}; write the file and the class in it: path/to/model.py:ClassName.")
    return text


class TorchModule(SequenceNetwork):
    """Hyperparameters of training a network from a file.

    The class is a torch.nn.Module: given (example, 4, base) float32 one-hot, A C G T, an unknown base zero in all four,
    it returns (example, track, bin). Its __init__ gets the `arguments`; and, if it has arguments of these names,
    `n_tracks`, `length_bp` (of a window) and `bin_bp`.

    Attributes:
        module: 'path/to/model.py:ClassName', the path relative to the spec's folder.
        arguments: of the class, by name; searchable.
        output: what the network returns: 'logits', of which the loss's own link makes values (softplus for counts,
            sigmoid for labels), or 'values', expected totals of bins (or probabilities) already.
    """

    title: ClassVar[str] = "torch module"
    complexity: ClassVar[int] = 3

    family: Literal["torch_module"] = "torch_module"
    module: Annotated[str, AfterValidator(_file_and_class)]
    arguments: dict[str, Any] = Field(default_factory=dict)
    output: Literal["logits", "values"] = "logits"

    @property
    def file(self) -> str:
        """The path of the module's file, as the spec writes it."""
        return self.module.rpartition(":")[0]

    @property
    def class_name(self) -> str:
        """The name of the class in it."""
        return self.module.rpartition(":")[2]

    def code_files(self) -> Mapping[str, tuple[str, ...]]:
        """See `Trainable.code_files`."""
        return {self.file: ("module",)}

    def code_problems(self, code: Mapping[str, str]) -> list[Problem]:
        """See `Trainable.code_problems`; the code is read, not run."""
        return class_problems(
            code[self.file], self.file, class_name=self.class_name, arguments=self.arguments, offered=_OFFERED
        )

    def link(self, kind: TargetKind) -> Link:
        """See `SequenceNetwork.link`."""
        return "identity" if self.output == "values" else super().link(kind)

    def build_network(self, n_outputs: int, *, plan: FitPlan) -> "nn.Module":
        """See `SequenceNetwork.build_network`. The network is tried on the CPU, where winners are scored too.

        Raises:
            FitError: the class makes no network that gives what is wanted; with the place in the file.
        """
        from genotune.trainables.module_running import Windows, build_network

        windows = Windows(n_outputs, self.windows.length_bp, self.bin_bp)
        return build_network(self._source(plan), arguments=self.arguments, windows=windows)

    def fit(
        self,
        store: SequenceStore,
        splits: Splits,
        *,
        report: Report,
        plan: FitPlan,
        resume: Path | None = None,
    ) -> Model:
        """Learn from the training contigs; see `Trainable.fit`.

        Raises:
            FitError: also for whatever the network raises; with the place in the file.
        """
        from genotune.trainables.module_running import named

        source = self._source(plan)
        plan = plan._replace(code={self.file: source.text})  # the sweep's other files are no part of this model
        try:
            return super().fit(store, splits, report=report, plan=plan, resume=resume)
        except Exception as error:
            fault = named(error, source)
            if fault is None:
                raise
            raise fault from error

    def _source(self, plan: FitPlan) -> "Source":
        from genotune.trainables.module_running import Source

        if self.file not in plan.code:
            raise DataError(
                f"{self.file}: the model names this file and doesn't bring it. Was its folder copied whole?"
            )
        return Source(self.file, self.class_name, plan.code[self.file])

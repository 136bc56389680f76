"""A fitted network on tracks, of any family: it predicts, saves and loads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from genotune.columns import TargetKind
from genotune.errors import DataError
from genotune.genome.sequence import reverse_complement
from genotune.genome.track_transforms import FittedStep
from genotune.store import CodeArray, FloatArray, IntArray
from genotune.trainables.loss_functions import Start, values_of
from genotune.trainables.losses import Link
from genotune.trainables.model import MODEL_FILE, SequenceModel, read_record, write_record
from genotune.trainables.module_code import distributions_of
from genotune.trainables.sequence_network import SequenceNetwork
from genotune.trainables.targets import Targets
from genotune.trainables.trainable import FitError, FitPlan

WEIGHTS_FILE: Final = "model.safetensors"
_FORMAT: Final = 2
_BATCH_BASES: Final = {"cpu": 1 << 16, "cuda": 1 << 21}
"""Bases in a batch: what stays in a core's cache; what fills a GPU."""


class Outputs(NamedTuple):
    """What the network's outputs mean.

    Attributes:
        tracks: names, in the order of the outputs.
        targets: what the outputs are learned from.
        link: from outputs to expected values.
        other_strand: (track,) the track that each becomes on the other strand.
    """

    tracks: tuple[str, ...]
    targets: Targets
    link: Link
    other_strand: IntArray

    @property
    def kind(self) -> TargetKind:
        """Of what the tracks hold."""
        return self.targets.kind


class LinkedNetwork(nn.Module):
    """A network with its way from codes to one-hot, and from outputs to values.

    Args:
        network: from (example, 4, base) to (example, output, bin).
        link: from outputs to values.
        start: where the values begin.
    """

    one_hot: Tensor
    start_mean: Tensor
    start_scale: Tensor

    def __init__(self, network: nn.Module, *, link: Link, start: Start) -> None:
        super().__init__()
        self.network, self.link = network, link
        self.register_buffer("one_hot", torch.eye(5, 4), persistent=False)
        self.register_buffer("start_mean", start.mean_t.float())
        self.register_buffer("start_scale", start.scale_t.float())

    @property
    def start(self) -> Start:
        """Where the values begin."""
        return Start(self.start_mean, self.start_scale)

    def forward(self, codes_el: Tensor) -> Tensor:
        """(example, output, bin) outputs for codes (example, base) uint8; an unknown base is zero in all four."""
        # The look-up gives (e, l, 4); seen as (e, 4, l) its channels lie last in memory, which a CPU's filters like.
        outputs: Tensor = self.network(functional.embedding(codes_el.int(), self.one_hot).transpose(1, 2))
        return outputs

    def values(self, outputs_eob: Tensor) -> Tensor:
        """(example, track, bin) expected values of outputs."""
        return values_of(outputs_eob.float(), self.link, self.start)


class SequenceNetworkModel(SequenceModel):
    """The network with what it takes to use it.

    Args:
        network: fitted, or being fitted.
        settings: of the family.
        outputs: what the network gives.
        code: source of the files that the settings name.
        device: where the network lies.
    """

    def __init__(
        self,
        network: LinkedNetwork,
        settings: SequenceNetwork,
        *,
        outputs: Outputs,
        code: Mapping[str, str] | None = None,
        device: str = "cpu",
    ) -> None:
        self.network, self.settings, self.outputs = network, settings, outputs
        self.tracks = outputs.tracks
        self.bin_bp = settings.bin_bp
        self.input_bp = settings.windows.length_bp
        self.crop_bp = settings.predicted_crop_bp
        self._code = dict(code or {})
        self.libraries = tuple(sorted({"safetensors", "torch", *distributions_of(self._code)}))
        self._device = device

    def predict(self, codes: CodeArray) -> FloatArray:
        """Mean signal per base, or probabilities; the mean of both strands if so set. See `SequenceModel.predict`."""
        size = max(1, _BATCH_BASES[self._device] // self.input_bp)
        self.network.eval()
        with torch.inference_mode():
            parts = [self._predict_batch(codes[first : first + size]) for first in range(0, len(codes), size)]
        n_bins = (self.input_bp - 2 * self.crop_bp) // self.bin_bp
        return np.concatenate(parts) if parts else np.empty((0, len(self.tracks), n_bins), dtype=np.float32)

    def _predict_batch(self, codes: CodeArray) -> FloatArray:
        signal = self._forward(codes)
        if self.settings.predicts_both_strands:
            opposite = self._forward(reverse_complement(codes))[:, self.outputs.other_strand, ::-1]
            signal = (signal + opposite) * np.float32(0.5)
        crop = self.crop_bp // self.bin_bp
        return signal[..., crop : signal.shape[-1] - crop]

    def _forward(self, codes: CodeArray) -> FloatArray:
        outputs = self.network(torch.from_numpy(np.require(codes, requirements=["C", "W"])).to(self._device))
        outputs = check_shape(outputs, wanted=(len(codes), len(self.tracks), self.settings.window_bins))
        signal: FloatArray = self.outputs.targets.to_signal(self.network.values(outputs)).cpu().numpy()
        return signal

    @property
    def n_parameters(self) -> int:
        """See `Model.n_parameters`."""
        return sum(weights.numel() for weights in self.network.parameters())

    def facts(self) -> Mapping[str, Any]:
        """See `Model.facts`."""
        targets = self.outputs.targets
        return {
            **super().facts(),
            "kind": targets.kind,
            "link": self.outputs.link,
            "transforms": [[list(step) for step in transform] for transform in targets.transforms],
            "other_strand": self.outputs.other_strand.tolist(),
            "code": sorted(self._code),
        }

    def save(self, folder: Path) -> None:
        """Write model.safetensors and model.json, and the code that the settings name."""
        from safetensors.torch import save_file

        weights = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        save_file(weights, folder / WEIGHTS_FILE)
        for name, text in self._code.items():
            (folder / code_file(name)).write_text(text, encoding="utf-8")
        write_record(self, folder, settings=self.settings, file_format=_FORMAT)

    @classmethod
    def load(cls, folder: Path, family: type[SequenceNetwork]) -> Self:
        """The model that `save` wrote, on the CPU.

        Raises:
            DataError: it was written in a format that this version doesn't know.
        """
        from safetensors.torch import load_file

        record, settings = read_record(folder, family, file_format=_FORMAT)
        code = {name: (folder / code_file(name)).read_text(encoding="utf-8") for name in record["code"]}
        transforms = tuple(tuple(FittedStep(*step) for step in transform) for transform in record["transforms"])
        outputs = Outputs(
            tuple(record["tracks"]),
            Targets(record["kind"], settings.bin_bp, transforms),
            record["link"],
            np.array(record["other_strand"], dtype=np.int64),
        )
        n_tracks = len(outputs.tracks)
        inner = settings.build_network(n_tracks, plan=FitPlan(seed=0, max_epochs=1, code=code))
        network = LinkedNetwork(inner, link=outputs.link, start=Start(torch.ones(n_tracks), torch.ones(n_tracks)))
        try:
            network.load_state_dict(load_file(folder / WEIGHTS_FILE))
        except RuntimeError as error:
            raise DataError(f"{folder / WEIGHTS_FILE}: doesn't fit the network of {MODEL_FILE}: {error}") from error
        return cls(network, settings, outputs=outputs, code=code)

    def to(self, device: str, *, n_threads: int = 1) -> None:
        """Predict on this device from now on."""
        torch.set_num_threads(n_threads)
        self._device = device
        self.network.to(device)


def check_shape(outputs: object, *, wanted: tuple[int, ...]) -> Tensor:
    """What a network gave, if it is of the shape that is wanted.

    Raises:
        FitError: it isn't.
    """
    found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    if not isinstance(outputs, Tensor) or found != wanted:
        raise FitError(
            f"the network gave {found}; wanted is (example, track, bin) = {wanted}: an output for each track and each "
            "bin of the whole window. Pool to bins of bin_bp, and don't crop (crop_bp does that)."
        )
    return outputs


def code_file(name: str) -> str:
    """Where the source of a file that the settings name lies in a saved model's folder."""
    return f"code_{Path(name).name}"

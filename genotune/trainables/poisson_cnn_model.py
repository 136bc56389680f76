"""A fitted `poisson_cnn`: it predicts, saves and loads."""

import json
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from genotune.settings import build
from genotune.store import CodeArray, FloatArray
from genotune.trainables.batches import reverse_complement
from genotune.trainables.model import MODEL_FILE, SequenceModel, check_format, write_record
from genotune.trainables.poisson_cnn import PoissonCNN
from genotune.trainables.poisson_cnn_network import PoissonCNNNetwork

WEIGHTS_FILE: Final = "model.safetensors"
_FORMAT: Final = 1
_BATCH_BASES: Final = {"cpu": 1 << 16, "cuda": 1 << 21}
"""Bases in a batch: what stays in a core's cache; what fills a GPU."""


class PoissonCNNModel(SequenceModel):
    """The network with what it takes to use it.

    Args:
        network: fitted, or being fitted.
        settings: of the family.
        tracks: names, in the order of the network's output.
        device: where the network lies.
    """

    libraries = ("safetensors", "torch")

    def __init__(
        self, network: PoissonCNNNetwork, settings: PoissonCNN, *, tracks: tuple[str, ...], device: str = "cpu"
    ) -> None:
        self.network, self.settings, self.tracks = network, settings, tracks
        self.bin_bp = settings.bin_bp
        self.input_bp = settings.windows.length_bp
        self.crop_bp = settings.window_bins // 4 * settings.bin_bp
        self._device = device

    def predict(self, codes: CodeArray) -> FloatArray:
        """Mean signal per base; the mean of both strands if the family was told so. See `Model.predict`."""
        size = max(1, _BATCH_BASES[self._device] // self.input_bp)
        self.network.eval()
        with torch.inference_mode():
            parts = [self._predict_batch(codes[first : first + size]) for first in range(0, len(codes), size)]
        n_bins = (self.input_bp - 2 * self.crop_bp) // self.bin_bp
        return np.concatenate(parts) if parts else np.empty((0, len(self.tracks), n_bins), dtype=np.float32)

    def _predict_batch(self, codes: CodeArray) -> FloatArray:
        signal = self._forward(codes)
        if self.settings.reverse_complement:
            signal = (signal + self._forward(reverse_complement(codes))[..., ::-1]) * np.float32(0.5)
        crop = self.crop_bp // self.bin_bp
        return signal[..., crop : signal.shape[-1] - crop]

    def _forward(self, codes: CodeArray) -> FloatArray:
        counts = self.network(torch.from_numpy(np.require(codes, requirements=["C", "W"])).to(self._device))
        signal: FloatArray = (counts / self.bin_bp).cpu().numpy()
        return signal

    def save(self, folder: Path) -> None:
        """Write model.safetensors and model.json."""
        weights = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        save_file(weights, folder / WEIGHTS_FILE)
        write_record(self, folder, settings=self.settings, file_format=_FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model that `save` wrote, on the CPU.

        Raises:
            DataError: it was written in a format that this version doesn't know.
        """
        record = json.loads((folder / MODEL_FILE).read_text())
        check_format(folder, record["format"], known=_FORMAT)
        settings: PoissonCNN = build(PoissonCNN, record["settings"])
        tracks = tuple(record["tracks"])
        network = PoissonCNNNetwork(settings, mean_counts=torch.ones(len(tracks)))
        network.load_state_dict(load_file(folder / WEIGHTS_FILE))
        return cls(network, settings, tracks=tracks)

    def to(self, device: str, *, n_threads: int = 1) -> None:
        """Predict on this device from now on."""
        torch.set_num_threads(n_threads)
        self._device = device
        self.network.to(device)

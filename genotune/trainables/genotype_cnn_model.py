"""What `genotype_cnn` learned: a network, and what turns its outputs into a trait."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import torch

from genotune.errors import DataError
from genotune.store import DosageArray, FloatArray, Values, Variants
from genotune.trainables.generalised_linear import Design, predicted_values
from genotune.trainables.genotype_cnn import GenotypeCNN
from genotune.trainables.genotype_cnn_network import GenotypeNetwork, codes_tensor
from genotune.trainables.model import (
    MODEL_FILE,
    GenotypeModel,
    Trait,
    read_record,
    read_variants,
    several_of_record,
    write_record,
    write_variants,
)
from genotune.trainables.standardised import Moments

_WEIGHTS_FILE: Final = "model.safetensors"
_FORMAT: Final = 1
_BATCH_VALUES: Final = 1 << 24
"""Values of a layer that predictions hold at once."""


class Outputs(NamedTuple):
    """How covariates go in and linear terms come out.

    Attributes:
        design: standardisation of covariates.
        start: (output,) added to the network's output: where predictions begin, at the training mean.
        scale: (output,) of a quantitative trait in its units; else one.
    """

    design: Design
    start: Values
    scale: Values

    def columns(self, covariates: FloatArray) -> FloatArray:
        """(sample, covariate) standardised."""
        return self.design.columns(covariates)[:, 1:].astype(np.float32)


class GenotypeCNNModel(GenotypeModel):
    """A network that predicts one trait or several, the outputs of each after another.

    Args:
        settings: of the family.
        network: fitted, or being fitted.
        outputs: around it.
        traits: what is predicted.
        variants: that it takes, in the store's order.
        device: where the network lies.
    """

    libraries = ("safetensors", "torch")

    def __init__(
        self,
        settings: GenotypeCNN,
        network: GenotypeNetwork,
        outputs: Outputs,
        *,
        traits: Sequence[Trait],
        variants: Variants,
        device: str = "cpu",
    ) -> None:
        self.settings, self.network, self.outputs, self.variants = settings, network, outputs, variants
        self._name_traits(traits)
        self._device = device

    @property
    def n_parameters(self) -> int:
        """See `Model.n_parameters`."""
        return sum(weights.numel() for weights in self.network.parameters())

    def to(self, device: str, *, n_threads: int = 1) -> None:
        """Predict on this device from now on."""
        torch.set_num_threads(n_threads)
        self._device = device
        self.network.to(device)

    def predict(self, dosage: DosageArray, covariates: FloatArray) -> FloatArray:
        """The trait of each sample. See `GenotypeModel.predict`."""
        size = max(1, _BATCH_VALUES // (self.settings.channels * max(1, dosage.shape[1])))
        columns = self.outputs.columns(covariates)
        linear = np.empty((len(dosage), len(self.outputs.start)))
        self.network.eval()
        with torch.inference_mode():
            for first in range(0, len(dosage), size):
                part = slice(first, first + size)
                codes = codes_tensor(dosage[part]).to(self._device)
                found = self.network(codes, torch.from_numpy(columns[part]).to(self._device))
                linear[part] = found.double().cpu().numpy()
        ends = np.cumsum([len(trait.output_names) for trait in self.traits])
        parts = np.split(linear * self.outputs.scale + self.outputs.start, ends[:-1], axis=1)
        each = [predicted_values(self.kind, part) for part in parts]
        return np.concatenate([one.reshape(len(one), -1) for one in each], axis=1) if self.several else each[0]

    def save(self, folder: Path) -> None:
        """Write model.safetensors, variants.tsv and model.json."""
        from safetensors.torch import save_file

        tensors = {f"network.{name}": tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        around = {**self.outputs.design._asdict(), "start": self.outputs.start, "scale": self.outputs.scale}
        tensors |= {f"outputs.{name}": torch.from_numpy(values) for name, values in around.items()}
        save_file(tensors, folder / _WEIGHTS_FILE)
        write_variants(self.variants, folder)
        write_record(self, folder, settings=self.settings, file_format=_FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model that `save` wrote, on the CPU.

        Raises:
            DataError: it was written in a format that this version doesn't know, or its parts don't fit each other.
        """
        from safetensors.torch import load_file

        record, settings = read_record(folder, GenotypeCNN, file_format=_FORMAT)
        tensors, traits = load_file(folder / _WEIGHTS_FILE), several_of_record(record) or (Trait.of_record(record),)
        around = {name: tensors.pop(f"outputs.{name}").numpy() for name in ("means", "scales", "start", "scale")}
        n_variants = record["n_variants"]
        network = GenotypeNetwork(
            settings,
            order=np.arange(n_variants),
            moments=Moments(*(np.zeros(n_variants, dtype=np.float32) for _ in range(2))),
            n_covariates=len(traits[0].covariate_names),
            n_outputs=len(around["start"]),
        )
        try:
            network.load_state_dict({name.removeprefix("network."): tensor for name, tensor in tensors.items()})
        except RuntimeError as error:
            raise DataError(f"{folder / _WEIGHTS_FILE}: doesn't fit the network of {MODEL_FILE}: {error}") from error
        outputs = Outputs(Design(around["means"], around["scales"]), around["start"], around["scale"])
        return cls(settings, network, outputs, traits=traits, variants=read_variants(folder))

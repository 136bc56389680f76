"""How `genotype_cnn` learns: the loop over epochs, and the state from which it goes on exactly.

Every random draw is a function of the seed and the epoch: a fit that resumes at epoch k gives, bit for bit on a CPU,
what the uninterrupted one gives.
"""

import itertools
import json
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from genotune.columns import TargetKind
from genotune.store import FloatArray, GenotypeStore, IntArray, Splits, TraitsStore
from genotune.trainables.generalised_linear import LARGEST_LINEAR, fit_design
from genotune.trainables.genotype_cnn import GenotypeCNN
from genotune.trainables.genotype_cnn_model import GenotypeCNNModel, Outputs
from genotune.trainables.genotype_cnn_network import GenotypeNetwork, codes_tensor, genome_order
from genotune.trainables.kept import Kept
from genotune.trainables.model import Model, Trait
from genotune.trainables.optimisers import optimiser_tensors, restore_optimiser
from genotune.trainables.standardised import Moments, training_moments
from genotune.trainables.steering import Steering
from genotune.trainables.torch_process import prepare_process, seed_torch
from genotune.trainables.trainable import FitPlan, Progress, Report
from genotune.trainables.trait_lesson import TraitLesson, lesson_of

log = logging.getLogger(__name__)

_TENSORS: Final = "state.safetensors"
_REST: Final = "state.json"
_STORE_SHARE: Final = 0.5
"""Of the device memory that a trial may use, the share that codes may take."""
_CLIP_NORM: Final = 1.0
_MOMENTS: Final = Kept[Moments](most=4)
_RESIDENT: Final = Kept[Tensor](most=1)


def fit(
    settings: GenotypeCNN,
    store: GenotypeStore | TraitsStore,
    *,
    splits: Splits,
    report: Report,
    plan: FitPlan,
    resume: Path | None,
) -> Model:
    """Learn from the training samples; see `Trainable.fit`."""
    prepare_process(plan)
    loop = _Loop(settings, store, np.asarray(splits.train, dtype=np.int64), plan=plan)
    start = loop.restore(resume) if resume else 0
    for epoch in range(start + 1, plan.max_epochs + 1):
        if settings.patience is not None and loop.steering.stale >= settings.patience:
            break
        metrics = loop.run_epoch(epoch)
        value = report(Progress(epoch, loop.model, metrics, partial(loop.save, epoch=epoch)))
        loop.steering = loop.steering.after(value, plateau=None)
    return loop.model


class _Codes:
    """Codes of training samples, batch by batch on the device; they lie there if it has room.

    Args:
        store: the data.
        samples: (n,) indices to learn from.
        n_variants: the first of the store's.
        plan: device, and the share of its memory.
    """

    def __init__(self, store: GenotypeStore, samples: IntArray, *, n_variants: int, plan: FitPlan) -> None:
        self._dosage, self._samples, self._device = store.dosage[:, :n_variants], samples, plan.device
        self._resident: Tensor | None = None
        n_bytes = len(samples) * n_variants * store.dosage.itemsize
        if plan.device == "cuda" and n_bytes <= _room(plan):
            key = (n_variants, samples.tobytes())
            self._resident = _RESIDENT.get(
                store, key, make=lambda: codes_tensor(self._dosage[samples]).to(self._device)
            )

    def batch(self, places: IntArray) -> Tensor:
        """(example, variant) codes of the samples at these places among the training samples."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(places).to(self._device)]
        return codes_tensor(self._dosage[self._samples[places]]).to(self._device)


def _room(plan: FitPlan) -> int:
    """Bytes of the device that codes may take."""
    total = torch.cuda.get_device_properties(plan.device).total_memory
    free, _ = torch.cuda.mem_get_info(plan.device)
    return min(int(total * plan.gpu_share * _STORE_SHARE), free)


class _Loop:
    """One fit: the network, its optimiser, and how far it has come."""

    def __init__(
        self, settings: GenotypeCNN, data: GenotypeStore | TraitsStore, samples: IntArray, *, plan: FitPlan
    ) -> None:
        each = data.each if isinstance(data, TraitsStore) else (data,)
        store = each[0]
        self.settings, self.plan, self.kind = settings, plan, store.kind
        self.samples, self.steering = samples, Steering()
        variants = store.variants.first(min(settings.n_variants or store.n_variants, store.n_variants))
        n_variants = len(variants.ids)
        lessons = [lesson_of(one, samples, class_weight=settings.class_weight) for one in each]
        outputs = Outputs(
            fit_design(store.covariates, samples),
            np.concatenate([lesson.start for lesson in lessons]),
            np.concatenate([lesson.scale for lesson in lessons]),
        )
        self.ends = np.cumsum([lesson.targets.shape[1] for lesson in lessons]).tolist()
        self._make_tensors(outputs, lessons, covariates=store.covariates[samples])
        self.codes = _Codes(store, samples, n_variants=n_variants, plan=plan)
        key = (n_variants, samples.tobytes())
        moments = _MOMENTS.get(store, key, make=lambda: training_moments(store.dosage[:, :n_variants], samples))
        seed_torch(plan.seed, 0)
        self.network = GenotypeNetwork(
            settings,
            order=genome_order(variants),
            moments=moments,
            n_covariates=len(store.covariate_names),
            n_outputs=len(outputs.start),
        ).to(plan.device)
        filters = [values for values in self.network.parameters() if values.ndim > 1]
        others = [values for values in self.network.parameters() if values.ndim <= 1]
        groups = [{"params": filters, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate)
        traits = [Trait.of_store(one) for one in each]
        self.model = GenotypeCNNModel(
            settings, self.network, outputs, traits=traits, variants=variants, device=plan.device
        )

    def _make_tensors(self, outputs: Outputs, lessons: Sequence[TraitLesson], *, covariates: FloatArray) -> None:
        """What is small goes to the device at once; a quantitative trait standardised."""
        is_number = self.kind == "quantitative"
        targets = np.concatenate([lesson.targets for lesson in lessons], axis=1)
        weights = np.stack([lesson.weights for lesson in lessons], axis=1)
        scaled = np.nan_to_num((targets - outputs.start) / outputs.scale if is_number else targets)
        start = np.zeros_like(outputs.start) if is_number else outputs.start
        self.covariates, self.targets, self.weights, self.start = (
            torch.from_numpy(np.asarray(values, dtype=np.float32)).to(self.plan.device)
            for values in (outputs.columns(covariates), scaled, weights, start)
        )

    def run_epoch(self, epoch: int) -> Mapping[str, float]:
        """Pass once over the samples; what was measured on the way."""
        started_s = time.perf_counter()
        seed_torch(self.plan.seed, epoch)
        order = np.random.default_rng([self.plan.seed, epoch]).permutation(len(self.samples))
        self.network.train()
        total = torch.zeros((), dtype=torch.float64, device=self.plan.device)
        for first in range(0, len(order), self.settings.batch_size):
            places = order[first : first + self.settings.batch_size]
            total += self._take_step(places) * len(places)
        return {
            "train_loss": float(total) / len(order),
            "samples_per_s": len(order) / (time.perf_counter() - started_s),
        }

    def _take_step(self, places: IntArray) -> Tensor:
        """One update; the batch's mean weighted loss, of several traits the mean over them."""
        chosen = torch.from_numpy(places).to(self.plan.device)
        linear = self.network(self.codes.batch(places), self.covariates[chosen]) + self.start
        each = [
            losses(self.kind, linear[:, first:end], self.targets[chosen, first:end])
            for first, end in itertools.pairwise((0, *self.ends))
        ]
        loss = (self.weights[chosen] * torch.stack(each, dim=1)).mean()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP_NORM)
        self.optimiser.step()
        return loss.detach()

    def save(self, folder: Path, *, epoch: int, value: float | None = None) -> None:
        """Write network, optimiser and steering to a folder."""
        from safetensors.torch import save_file

        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"optimiser.{name}": tensor for name, tensor in optimiser_tensors(self.optimiser).items()}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / _TENSORS)
        rest = {"epoch": epoch, "steering": self.steering.after(value, plateau=None)._asdict()}
        (folder / _REST).write_text(json.dumps(rest) + "\n")

    def restore(self, folder: Path) -> int:
        """Go on from what `save` wrote; its epoch."""
        from safetensors.torch import load_file

        rest, tensors = json.loads((folder / _REST).read_text()), load_file(folder / _TENSORS)
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "optimiser": {}}
        for name, tensor in tensors.items():
            part, own = name.split(".", 1)
            parts[part][own] = tensor
        self.network.load_state_dict(parts["network"])
        restore_optimiser(self.optimiser, parts["optimiser"])
        self.steering = Steering(**rest["steering"])
        epoch: int = rest["epoch"]
        return epoch


def losses(kind: TargetKind, linear_eo: Tensor, targets_eo: Tensor) -> Tensor:
    """(example,) negative log likelihood, without terms of the target alone; see `generalised_linear.losses`."""
    if kind == "quantitative":
        return ((linear_eo - targets_eo) ** 2).sum(dim=1) / 2
    if kind == "count":
        capped = linear_eo.clamp(-LARGEST_LINEAR, LARGEST_LINEAR)
        return (capped.exp() - targets_eo * capped)[:, 0]
    if kind == "binary":
        return nn.functional.binary_cross_entropy_with_logits(linear_eo, targets_eo, reduction="none")[:, 0]
    assert kind == "multiclass", kind
    return torch.logsumexp(linear_eo, dim=1) - (targets_eo * linear_eo).sum(dim=1)

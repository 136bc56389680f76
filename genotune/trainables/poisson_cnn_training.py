"""How `poisson_cnn` learns: the loop over epochs, its schedules, and the state from which it goes on exactly.

Every random draw is a function of the seed and the epoch, every learning rate of the step: a fit that resumes at
epoch k gives, bit for bit on a CPU, what the uninterrupted one gives.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from genotune.errors import DataError
from genotune.store import SequenceStore, Splits
from genotune.trainables.batches import Batch, batches, draw_epoch, mean_signal
from genotune.trainables.model import Model
from genotune.trainables.poisson_cnn import CosineSchedule, PlateauSchedule, PoissonCNN
from genotune.trainables.poisson_cnn_model import PoissonCNNModel
from genotune.trainables.poisson_cnn_network import PoissonCNNNetwork, poisson_loss
from genotune.trainables.trainable import FitPlan, Progress, Report

_TENSORS: Final = "state.safetensors"
_REST: Final = "state.json"


class Steering(NamedTuple):
    """What the objective's values so far say about the rest of the fit.

    Attributes:
        best: highest value so far; None before the first.
        stale: epochs since it was reached.
        waited: epochs without improvement since the learning rate was last lowered.
        lowered: how often it was.
    """

    best: float | None = None
    stale: int = 0
    waited: int = 0
    lowered: int = 0

    def after(self, value: float | None, *, plateau: PlateauSchedule | None) -> "Steering":
        """With one more epoch's value; None (not measured) changes nothing, NaN is no improvement."""
        if value is None:
            return self
        if math.isfinite(value) and (self.best is None or value > self.best):
            return Steering(best=value, lowered=self.lowered)
        waited = self.waited + 1
        if plateau is not None and waited >= plateau.patience:
            return Steering(self.best, self.stale + 1, 0, self.lowered + 1)
        return Steering(self.best, self.stale + 1, waited, self.lowered)


def learning_rate_at(step: int, settings: PoissonCNN, *, n_steps: int, lowered: int = 0) -> float:
    """The learning rate of a step.

    Source of the cosine: Loshchilov and Hutter 2017 (SGDR), equation 5, one period down to zero.

    Args:
        step: from 0.
        settings: warm-up and schedule.
        n_steps: of the whole fit.
        lowered: how often a plateau has lowered it.
    """
    warm = round(settings.warmup * n_steps)
    rate = settings.learning_rate * min(1.0, (step + 1) / max(1, warm))
    if isinstance(settings.schedule, PlateauSchedule):
        return rate * settings.schedule.factor**lowered
    if isinstance(settings.schedule, CosineSchedule) and step >= warm:
        return rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, n_steps - warm)))
    return rate


def fit(
    settings: PoissonCNN,
    store: SequenceStore,
    *,
    splits: Splits,
    report: Report,
    plan: FitPlan,
    resume: Path | None,
) -> Model:
    """Learn from the training contigs; see `Trainable.fit`.

    Raises:
        DataError: the training contigs hold no window, or a track holds no value there.
    """
    torch.set_num_threads(plan.n_threads)
    _set_determinism(plan.reproducible, plan.device)
    loop = _Loop(settings, store, splits, plan=plan)
    start = loop.restore(resume) if resume else 0
    for epoch in range(start + 1, plan.max_epochs + 1):
        if settings.patience is not None and loop.steering.stale >= settings.patience:
            break
        metrics = loop.run_epoch(epoch)
        value = report(Progress(epoch, loop.model, metrics, partial(loop.save, epoch=epoch)))
        loop.steer(value)
    return loop.model


class _Loop:
    """One fit: the network, its optimiser, and how far it has come."""

    def __init__(self, settings: PoissonCNN, store: SequenceStore, splits: Splits, *, plan: FitPlan) -> None:
        self.settings, self.store, self.plan = settings, store, plan
        windows = settings.windows
        self.tiles = store.tile_starts(splits.train, length_bp=windows.length_bp, stride_bp=windows.stride_bp)
        if not len(self.tiles):
            raise DataError(f"the training contigs hold no window of {windows.length_bp} bp. Use shorter windows.")
        _seed_torch(plan.seed, 0)
        mean_counts = _mean_counts(store, splits, bin_bp=settings.bin_bp)
        self.network = PoissonCNNNetwork(settings, mean_counts=mean_counts).to(plan.device)
        self.model = PoissonCNNModel(self.network, settings, tracks=store.tracks, device=plan.device)
        self.optimiser = _optimiser(self.network, settings)
        self.steps_per_epoch = -(-len(self.tiles) // settings.batch_size)
        self.step = 0
        self.steering = Steering()
        wants_bf16 = settings.precision == "auto" and plan.device == "cuda"
        self.autocast = wants_bf16 and torch.cuda.is_bf16_supported()

    def run_epoch(self, epoch: int) -> Mapping[str, float]:
        """Pass once over the windows; what was measured on the way."""
        settings, started_s = self.settings, time.perf_counter()
        rng = np.random.default_rng([self.plan.seed, epoch])
        _seed_torch(self.plan.seed, epoch)
        length_bp = settings.windows.length_bp
        draw = draw_epoch(
            self.store,
            self.tiles,
            length_bp=length_bp,
            jitter_bp=settings.jitter_bp,
            both_strands=settings.reverse_complement,
            rng=rng,
        )
        self.network.train()
        loss = torch.zeros((), dtype=torch.float64, device=self.plan.device)
        norm = torch.zeros_like(loss)
        for batch in batches(
            self.store, draw, batch_size=settings.batch_size, length_bp=length_bp, bin_bp=settings.bin_bp
        ):
            batch_loss, batch_norm = self._take_step(batch)
            loss += batch_loss * len(batch.codes)
            norm += batch_norm
        return {
            "train_loss": float(loss) / len(draw.starts),
            "grad_norm": float(norm) / self.steps_per_epoch,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "windows_per_s": len(draw.starts) / (time.perf_counter() - started_s),
        }

    def _take_step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """One update; the batch's loss and the norm of its gradient before clipping."""
        n_steps = self.steps_per_epoch * self.plan.max_epochs
        rate = learning_rate_at(self.step, self.settings, n_steps=n_steps, lowered=self.steering.lowered)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        device = self.plan.device
        codes, counts = (torch.from_numpy(array).to(device) for array in batch)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self.autocast):
            expected = self.network(codes)
        loss = poisson_loss(expected, counts)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm or math.inf)
        self.optimiser.step()
        self.step += 1
        return loss.detach(), norm

    def steer(self, value: float | None) -> None:
        """Take in the objective's value of the epoch."""
        self.steering = self._steering_after(value)

    def _steering_after(self, value: float | None) -> Steering:
        schedule = self.settings.schedule
        return self.steering.after(value, plateau=schedule if isinstance(schedule, PlateauSchedule) else None)

    def save(self, folder: Path, *, epoch: int, value: float | None = None) -> None:
        """Write network, optimiser and steering to a folder."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for index, slots in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{slot}": tensor for slot, tensor in slots.items()}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / _TENSORS)
        rest = {"epoch": epoch, "step": self.step, "steering": self._steering_after(value)._asdict()}
        (folder / _REST).write_text(json.dumps(rest) + "\n")

    def restore(self, folder: Path) -> int:
        """Go on from what `save` wrote; its epoch."""
        rest = json.loads((folder / _REST).read_text())
        tensors = load_file(folder / _TENSORS)
        own = {name.removeprefix("network."): tensor for name, tensor in tensors.items() if name.startswith("network.")}
        self.network.load_state_dict(own)
        weights = [weight for group in self.optimiser.param_groups for weight in group["params"]]
        slots: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            kind, key = name.split(".", 1)
            if kind == "optimiser":
                index, slot = key.split(".", 1)
                slots.setdefault(int(index), {})[slot] = _laid_out_as(weights[int(index)], tensor)
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": slots, "param_groups": groups})
        self.step, self.steering = rest["step"], Steering(**rest["steering"])
        epoch: int = rest["epoch"]
        return epoch


def _optimiser(network: nn.Module, settings: PoissonCNN) -> torch.optim.AdamW:
    """AdamW that decays filters only: biases and the scales of normalisation are left alone.

    Source: Loshchilov and Hutter 2019 (decoupled weight decay), algorithm 2.
    """
    filters = [weights for weights in network.parameters() if weights.ndim > 1]
    others = [weights for weights in network.parameters() if weights.ndim <= 1]
    groups = [{"params": filters, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def _laid_out_as(weight: Tensor, tensor: Tensor) -> Tensor:
    """A slot of the optimiser's in the memory layout of its weight: the fused step goes through both as they lie."""
    return torch.empty_like(weight).copy_(tensor) if tensor.shape == weight.shape else tensor


def _mean_counts(store: SequenceStore, splits: Splits, *, bin_bp: int) -> Tensor:
    """(track,) training means per bin; a track that is zero throughout starts at a tiny rate.

    Raises:
        DataError: a track holds no value on the training contigs.
    """
    means = mean_signal(store, splits.train) * bin_bp
    for name, mean in zip(store.tracks, means, strict=True):
        if math.isnan(mean):
            raise DataError(f"track {name!r} holds no value on the training contigs; leave it out, or split otherwise.")
        if mean < 0:
            raise DataError(
                f"track {name!r} has a negative mean ({mean:.3g} a bin) on the training contigs; a Poisson loss is for "
                "counts. Use a track of counts or coverage."
            )
    return torch.from_numpy(np.maximum(means, 1e-6)).float()


def _seed_torch(seed: int, epoch: int) -> None:
    """Seed torch's generators from the seed and the epoch (0: the first weights)."""
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1))


def _set_determinism(reproducible: bool, device: str) -> None:
    """Only deterministic kernels, or any; set both ways, for the process may have run another trial before."""
    if reproducible and device == "cuda":
        # cuBLAS reads it when it is first used, and is not deterministic without it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(reproducible)
    torch.backends.cudnn.benchmark = not reproducible

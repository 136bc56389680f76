"""How a network on tracks learns: the loop over epochs, its schedules, and the state from which it goes on exactly.

Every random draw is a function of the seed and the epoch, every learning rate of the step: a fit that resumes at
epoch k gives, bit for bit on a CPU, what the uninterrupted one gives. Several workers that fit one model together draw
the same epoch and take a share of each batch; sums over a batch go through all of them, so that they take the step that
one worker would have taken.
"""

import json
import math
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from genotune.columns import TargetKind
from genotune.store import SequenceStore, Splits
from genotune.trainables.feeding import Batch, feed_for
from genotune.trainables.loss_functions import Start, loss_sums
from genotune.trainables.losses import BinaryCrossEntropy, Link, Loss, default_loss
from genotune.trainables.model import Model
from genotune.trainables.moving_average import MovingAverage
from genotune.trainables.optimisers import build_optimiser, optimiser_tensors, restore_optimiser
from genotune.trainables.sequence_network import PlateauSchedule, SequenceNetwork
from genotune.trainables.sequence_network_model import LinkedNetwork, Outputs, SequenceNetworkModel, check_shape
from genotune.trainables.steering import Steering, learning_rate_at
from genotune.trainables.targets import Targets, TrackStatistics, track_statistics
from genotune.trainables.torch_process import prepare_process, seed_torch
from genotune.trainables.trainable import FitError, FitPlan, Progress, Report
from genotune.trainables.window_selection import EpochDraw, draw_epoch, select_windows

_TENSORS: Final = "state.safetensors"
_REST: Final = "state.json"
_OF_COUNTS: Final = ("poisson", "poisson_multinomial")
_OF_MEANS: Final = ("weighted_mse",)
"""Losses that divide by a track's mean."""
_TO_RATES: Final = ("softplus", "exp")
_SMALL: Final = 1e-12


def fit(
    settings: SequenceNetwork,
    store: SequenceStore,
    *,
    splits: Splits,
    report: Report,
    plan: FitPlan,
    resume: Path | None,
) -> Model:
    """Learn from the training contigs; see `Trainable.fit`.

    Raises:
        FitError: the training contigs hold no window that was asked for; the tracks or the network don't fit the loss.
    """
    prepare_process(plan)
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

    def __init__(self, settings: SequenceNetwork, store: SequenceStore, splits: Splits, *, plan: FitPlan) -> None:
        self.settings, self.store, self.plan = settings, store, plan
        self.loss = settings.loss or default_loss(store.kind)
        self.pool = select_windows(settings.windows, store, splits.train)
        statistics = track_statistics(store, splits.train, bin_bp=settings.bin_bp, transform=settings.transform)
        targets = Targets(store.kind, settings.bin_bp, statistics.transforms)
        self.outputs = Outputs(store.tracks, targets, settings.link(store.kind), store.other_strand)
        _check_tracks(statistics, store, loss=self.loss.kind, link=self.outputs.link)
        self._make_network(statistics)
        self.feed = feed_for(store, plan.device, memory_share=plan.gpu_share)
        self.steps_per_epoch = -(-len(self._draw(1).starts) // self.local_batch)
        self.step = 0
        self.steering = Steering()
        wants_bf16 = settings.precision == "auto" and plan.device == "cuda"
        self.autocast = wants_bf16 and torch.cuda.is_bf16_supported()

    def _make_network(self, statistics: TrackStatistics) -> None:
        settings, plan, store = self.settings, self.plan, self.store
        seed_torch(plan.seed, 0)
        inner = settings.build_network(len(store.tracks), plan=plan)
        self.network = LinkedNetwork(inner, link=self.outputs.link, start=_start(statistics, store.kind)).to(
            plan.device
        )
        self.average = None if settings.ema_decay is None else MovingAverage(self.network, decay=settings.ema_decay)
        self.model = SequenceNetworkModel(
            self.network if self.average is None else self.average.network,
            settings,
            outputs=self.outputs,
            code=plan.code,
            device=plan.device,
        )
        self.optimiser = build_optimiser(self.network, settings)
        self.weights = list(self.network.parameters())
        self.trained = _for_training(self.network, settings, plan)
        positive_weights = _positive_weights(self.loss, statistics)
        self.positive_weights = None if positive_weights is None else positive_weights.to(plan.device)
        self.track_weights = torch.tensor(
            [settings.track_weights.get(name, 1.0) for name in store.tracks], device=plan.device
        )

    @property
    def local_batch(self) -> int:
        """Windows of a batch that this worker takes."""
        whole, over = divmod(self.settings.batch_size, self.plan.n_workers)
        return whole + (self.plan.rank < over)

    def _draw(self, epoch: int) -> EpochDraw:
        settings, plan = self.settings, self.plan
        return draw_epoch(
            self.pool,
            jitter_bp=settings.jitter_bp,
            both_strands=settings.reverse_complement,
            seed=plan.seed,
            epoch=epoch,
            batch_size=settings.batch_size,
            rank=plan.rank,
            n_workers=plan.n_workers,
        )

    def run_epoch(self, epoch: int) -> Mapping[str, float]:
        """Pass once over the windows; what was measured on the way."""
        settings, started_s = self.settings, time.perf_counter()
        seed_torch(self.plan.seed, epoch, rank=self.plan.rank)
        draw = self._draw(epoch)
        self.trained.train()
        sums = torch.zeros(3, dtype=torch.float64, device=self.plan.device)
        for batch in self.feed.batches(draw, batch_size=self.local_batch, length_bp=settings.windows.length_bp):
            sums += self._take_step(batch)
        n_windows = self._of_all_workers(len(draw.starts))
        total, weight, norm = sums.tolist()
        return {
            "train_loss": total / weight if weight else math.nan,
            "grad_norm": norm / self.steps_per_epoch,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "windows": n_windows,
            "windows_per_s": n_windows / (time.perf_counter() - started_s),
        }

    def _take_step(self, batch: Batch) -> Tensor:
        """One update; (3,) the batch's loss as sum and weight over all workers, and its gradient's norm."""
        n_steps = self.steps_per_epoch * self.plan.max_epochs
        rate = learning_rate_at(self.step, self.settings, n_steps=n_steps, lowered=self.steering.lowered)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast(self.plan.device, dtype=torch.bfloat16, enabled=self.autocast):
            outputs = self.trained(batch.codes_el)
        targets = self.outputs.targets.of_signal(batch.signal_etb, resolution_bp=self.store.resolution_bp)
        outputs = check_shape(outputs, wanted=(len(targets), *targets.shape[1:]))
        if self.settings.trained_crop_bp:
            crop = self.settings.trained_crop_bp // self.settings.bin_bp
            inner = slice(crop, outputs.shape[-1] - crop)
            outputs, targets = outputs[..., inner], targets[..., inner]
        sums = loss_sums(
            self.loss,
            outputs,
            targets,
            link=self.outputs.link,
            start=self.network.start,
            weights_e=batch.weights_e,
            track_weights_t=self.track_weights,
            positive_weights_t=self.positive_weights,
        )
        total, weight, ours = sums.total.detach(), sums.weight.detach(), sums.total
        if self.plan.n_workers > 1:
            both = torch.stack([total, weight])
            torch.distributed.all_reduce(both)
            total, weight = both
            # The workers' gradients are averaged, and the loss is their sum over the weight of the whole batch.
            ours = ours * self.plan.n_workers
        loss = ours / weight.clamp(min=_SMALL)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.weights, self.settings.clip_norm or math.inf)
        self.optimiser.step()
        if self.average is not None:
            self.average.update(self.step)
        self.step += 1
        return torch.stack([total, weight, norm])

    def _of_all_workers(self, n: int) -> float:
        """The sum of what each worker counted."""
        count = torch.tensor(float(n), dtype=torch.float64, device=self.plan.device)
        if self.plan.n_workers > 1:
            torch.distributed.all_reduce(count)
        return float(count)

    def steer(self, value: float | None) -> None:
        """Take in the objective's value of the epoch."""
        self.steering = self._steering_after(value)

    def _steering_after(self, value: float | None) -> Steering:
        schedule = self.settings.schedule
        return self.steering.after(value, plateau=schedule if isinstance(schedule, PlateauSchedule) else None)

    def save(self, folder: Path, *, epoch: int, value: float | None = None) -> None:
        """Write network, average, optimiser and steering to a folder."""
        from safetensors.torch import save_file

        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"optimiser.{name}": tensor for name, tensor in optimiser_tensors(self.optimiser).items()}
        if self.average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.network.state_dict().items()}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / _TENSORS)
        rest = {"epoch": epoch, "step": self.step, "steering": self._steering_after(value)._asdict()}
        (folder / _REST).write_text(json.dumps(rest) + "\n")

    def restore(self, folder: Path) -> int:
        """Go on from what `save` wrote; its epoch."""
        from safetensors.torch import load_file

        rest = json.loads((folder / _REST).read_text())
        tensors = load_file(folder / _TENSORS)
        self.network.load_state_dict(_below("network.", tensors))
        restore_optimiser(self.optimiser, _below("optimiser.", tensors))
        if self.average is not None:
            self.average.network.load_state_dict(_below("average.", tensors))
        self.step, self.steering = rest["step"], Steering(**rest["steering"])
        epoch: int = rest["epoch"]
        return epoch


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _for_training(network: nn.Module, settings: SequenceNetwork, plan: FitPlan) -> nn.Module:
    """The network as its steps see it: compiled if so set, one of several workers if there are some."""
    if plan.n_workers > 1:
        network = DistributedDataParallel(network)
    if settings.compile:
        network = cast("nn.Module", torch.compile(network))
    return network


def _check_tracks(statistics: TrackStatistics, store: SequenceStore, *, loss: str, link: Link) -> None:
    """Nothing, if the loss can be taken of every track.

    Raises:
        FitError: a track has no counts where counts are wanted.
    """
    wants_counts = loss in _OF_COUNTS or link in _TO_RATES
    if not wants_counts and loss not in _OF_MEANS:
        return
    for name, minimum, mean in zip(store.tracks, statistics.minimum, statistics.mean, strict=True):
        if mean < 0 or (wants_counts and minimum < 0):
            raise FitError(
                f"track {name!r} holds values below zero on the training contigs (a bin has {minimum:.3g}); a {loss} "
                "loss is for counts or coverage. Use such a track, or `loss: mse`."
            )
        if mean == 0:
            raise FitError(
                f"track {name!r} is zero throughout the training contigs; a {loss} loss can learn nothing from it. "
                "Leave it out, or split otherwise."
            )


def _start(statistics: TrackStatistics, kind: TargetKind) -> Start:
    """Where predictions begin: at the training means (of labels the share of positive bins), and with their spread."""
    positive = torch.from_numpy(statistics.positive).clamp(min=_SMALL)
    return Start(
        torch.from_numpy(statistics.mean) if kind == "signal" else positive,
        torch.from_numpy(np.where(statistics.deviation > 0, statistics.deviation, 1)),
    )


def _positive_weights(loss: Loss, statistics: TrackStatistics) -> Tensor | None:
    """(track,) of a positive bin in `bce`, if that is to be the negatives per positive; None where the loss says."""
    if not isinstance(loss, BinaryCrossEntropy) or loss.positive_weight is not None:
        return None
    positive = torch.from_numpy(statistics.positive).clamp(min=_SMALL)
    return (1 - positive) / positive

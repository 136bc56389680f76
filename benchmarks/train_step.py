"""What a fit takes beside its network: an epoch of the real loop over as many steps on one batch that stays put.

The loop is that of a trial: it draws the epoch, gathers windows, turns some round, makes targets, takes the loss,
clips, steps, and keeps count. Beside it the same network takes the same steps (forward, loss, backward, clip,
optimiser) on one batch that lies ready on the device, one-hot and targets made once. The two take turns of a few steps,
a coin says who begins, so that what else the machine does hits both; times are per window, of whole epochs. On a busy
machine look at CPU time, and at the pairs of turns, of which there are many.

With a GPU that torch sees, the same there in bf16 with the store on the GPU, and an epoch without interruption for
windows a second and the utilisation. Without one the script says so and measures the CPU.

torch, numpy and pydantic are enough: where the yeast data or what reads it isn't at hand, the store is synthetic.

    python benchmarks/train_step.py [--rounds 5] [--device cpu]
"""

# ruff: noqa: E402  libraries count their threads when they are imported

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import copy
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # on a bare machine genotune is not installed

from genotune.store import SequenceStore, Splits
from genotune.trainables.feeding import Batch, Feed
from genotune.trainables.loss_functions import loss_sums
from genotune.trainables.optimisers import build_optimiser
from genotune.trainables.poisson_cnn import PoissonCNN
from genotune.trainables.sequence_training import _Loop, _set_determinism
from genotune.trainables.trainable import FitPlan
from genotune.trainables.window_selection import EpochDraw
from genotune.trainables.windows import Tiles

SPEC = ROOT / "search_spaces" / "cnn.yaml"
GOAL = 1.05
LENGTH_BP, BIN_BP = 1024, 32
SYNTHETIC_CONTIGS, SYNTHETIC_CONTIG_BP = 16, 750_016


class Data(NamedTuple):
    """What is learned from."""

    name: str
    store: SequenceStore
    splits: Splits


class Spent(NamedTuple):
    """Seconds by the clock, and of CPU time of this process; or of one window, microseconds."""

    wall: float
    cpu: float

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.wall - other.wall, self.cpu - other.cpu)

    def per(self, n_windows: int) -> "Spent":
        """Microseconds a window."""
        return Spent(self.wall / n_windows * 1e6, self.cpu / n_windows * 1e6)


class Pair(NamedTuple):
    """What the loop took, and what the steps beside it took."""

    loop: Spent
    resident: Spent

    @property
    def ratio(self) -> Spent:
        """The loop's over the others'."""
        return Spent(self.loop.wall / self.resident.wall, self.loop.cpu / self.resident.cpu)


class Round(NamedTuple):
    """An epoch: microseconds of a window, and seconds of each pair of turns."""

    whole: Pair
    turns: list[Pair]


def now(device: str) -> Spent:
    """The time, when the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return Spent(time.perf_counter(), time.process_time())


def real_data() -> Data:
    """The yeast track of the main example.

    Raises:
        ImportError: a library that reads it isn't installed.
    """
    from genotune.plan import make_plan
    from genotune.spec import read_spec

    plan = make_plan(read_spec(SPEC))
    store = plan.data.read_store_here(plan.fold).store
    assert isinstance(store, SequenceStore)
    return Data(f"yeast ATAC-seq, {SPEC.relative_to(ROOT)}", store, plan.trial_splits)


def synthetic_data() -> Data:
    """As large as the yeast genome: random bases, Poisson counts."""
    rng = np.random.default_rng(0)
    n_bins = SYNTHETIC_CONTIG_BP // BIN_BP
    store = SequenceStore(
        sequence=rng.integers(0, 4, SYNTHETIC_CONTIGS * SYNTHETIC_CONTIG_BP, dtype=np.uint8),
        signal=(rng.poisson(2, (1, SYNTHETIC_CONTIGS * n_bins)) / BIN_BP).astype(np.float32),
        offsets=np.arange(SYNTHETIC_CONTIGS + 1) * n_bins,
        lengths=np.full(SYNTHETIC_CONTIGS, SYNTHETIC_CONTIG_BP),
        contigs=tuple(f"chr{index + 1}" for index in range(SYNTHETIC_CONTIGS)),
        tracks=("counts",),
        resolution_bp=BIN_BP,
    )
    return Data("synthetic, 12 Mb", store, Splits(np.arange(SYNTHETIC_CONTIGS - 2), np.array([SYNTHETIC_CONTIGS - 1])))


def data_at_hand() -> Data:
    try:
        return real_data()
    except ImportError as error:
        print(f"{error}: the yeast track can't be read here, the store is synthetic.")
        return synthetic_data()


class TakingTurns:
    """A feed that lets another take as many steps before or after every few batches, whichever a coin says.

    Args:
        feed: gives the batches.
        other: takes that many steps.
        n_steps: of a turn.
        device: of both.
        seed: of the coin.

    Attributes:
        turns: what each pair of turns took.
    """

    def __init__(self, feed: Feed, other: Callable[[int], None], *, n_steps: int, device: str, seed: int) -> None:
        self.feed, self.other, self.n_steps, self.device = feed, other, n_steps, device
        self.rng = np.random.default_rng(seed)
        self.turns: list[Pair] = []

    def batches(self, draw: EpochDraw, *, batch_size: int, length_bp: int) -> Iterator[Batch]:
        """See `Feed.batches`."""
        inner = self.feed.batches(draw, batch_size=batch_size, length_bp=length_bp)
        n_batches = -(-len(draw.starts) // batch_size)
        for first in range(0, n_batches, self.n_steps):
            n, is_after = min(self.n_steps, n_batches - first), self.rng.random() < 0.5
            resident = None if is_after else self._others_turn(n)
            before = now(self.device)
            for _ in range(n):
                yield next(inner)  # the loop asks for the next one when it has taken its step
            loop = now(self.device) - before
            self.turns.append(Pair(loop, resident or self._others_turn(n)))

    def _others_turn(self, n: int) -> Spent:
        before = now(self.device)
        self.other(n)
        return now(self.device) - before


class Resident:
    """The loop's network, learning from one batch that lies on the device as the network wants it.

    Args:
        loop: the network, its loss, its optimiser.
    """

    def __init__(self, loop: _Loop) -> None:
        self.loop = loop
        self.network = copy.deepcopy(loop.network).train()
        self.optimiser = build_optimiser(self.network, loop.settings)
        self.parameters = list(self.network.parameters())
        draw, size = loop._draw(1), loop.local_batch
        batch = next(iter(loop.feed.batches(draw, batch_size=size, length_bp=LENGTH_BP)))
        self.bases = functional.embedding(batch.codes_el.int(), self.network.one_hot).transpose(1, 2)
        self.targets = loop.outputs.targets.of_signal(batch.signal_etb, resolution_bp=loop.store.resolution_bp)
        self.weights = batch.weights_e

    def follow(self) -> None:
        """Take the weights of the loop's network."""
        self.network.load_state_dict(self.loop.network.state_dict())

    def take(self, n_steps: int) -> None:
        """So many steps."""
        loop = self.loop
        for _ in range(n_steps):
            with torch.autocast(loop.plan.device, dtype=torch.bfloat16, enabled=loop.autocast):
                outputs = self.network.network(self.bases)
            sums = loss_sums(
                loop.loss,
                outputs,
                self.targets,
                link=loop.outputs.link,
                start=self.network.start,
                weights_e=self.weights,
                track_weights_t=loop.track_weights,
            )
            self.optimiser.zero_grad()
            (sums.total / sums.weight).backward()
            nn.utils.clip_grad_norm_(self.parameters, loop.settings.clip_norm)
            self.optimiser.step()


def one_round(loop: _Loop, resident: Resident, *, epoch: int, n_steps: int) -> Round:
    """An epoch of the loop, and as many steps beside it."""
    device, feed = loop.plan.device, loop.feed
    resident.follow()
    turns = TakingTurns(feed, resident.take, n_steps=n_steps, device=device, seed=epoch)
    loop.feed = turns
    before = now(device)
    metrics = loop.run_epoch(epoch)
    both = now(device) - before
    loop.feed = feed
    beside = Spent(sum(pair.resident.wall for pair in turns.turns), sum(pair.resident.cpu for pair in turns.turns))
    # The last batch of an epoch may have fewer windows than that which stays.
    n_beside = loop.steps_per_epoch * len(resident.weights)
    return Round(Pair((both - beside).per(int(metrics["windows"])), beside.per(n_beside)), turns.turns)


@contextmanager
def utilisation() -> Iterator[list[float]]:
    """Percent of the time that the GPU works, as nvidia-smi sees it, five times a second; none where it is missing."""
    seen: list[float] = []
    uuid = getattr(torch.cuda.get_device_properties(0), "uuid", None)
    which = [] if uuid is None else ["-i", f"GPU-{uuid}"]
    asked = ["nvidia-smi", *which, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    try:
        process = subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except FileNotFoundError:
        yield seen
        return

    def read() -> None:
        assert process.stdout is not None
        seen.extend(float(line) for line in process.stdout if line.strip().isdecimal())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield seen
    finally:
        process.terminate()
        reader.join()
        process.wait()


def show_throughput(loop: _Loop, *, first_epoch: int, least_s: float) -> None:
    """Windows a second and utilisation over whole epochs that nothing interrupts."""
    with utilisation() as seen:
        before, n_windows, epoch = now("cuda"), 0, first_epoch
        while now("cuda").wall - before.wall < least_s:
            n_windows += int(loop.run_epoch(epoch)["windows"])
            epoch += 1
        took = now("cuda") - before
    # The sampler begins before the first step, and its first sample may look back to before that.
    busy = f"{statistics.median(seen[2:]):.0f} % (median of {len(seen) - 2})" if len(seen) > 2 else "not known"
    print(
        f"without interruption: {n_windows / took.wall:,.0f} windows a second over {epoch - first_epoch} epochs; "
        f"utilisation {busy}; {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of the GPU at most"
    )


def show(rounds: list[Round]) -> None:
    print("  round   loop us a window   resident   ratio     by CPU time: loop   resident   ratio")
    for number, one in enumerate((found.whole for found in rounds), start=1):
        print(
            f"  {number:5d}   {one.loop.wall:16.1f}   {one.resident.wall:8.1f}   {one.ratio.wall:.3f}"
            f"     {one.loop.cpu:17.1f}   {one.resident.cpu:8.1f}   {one.ratio.cpu:.3f}"
        )
    wholes, turns = [one.whole for one in rounds], [pair for one in rounds for pair in one.turns[:-1]]
    for what, name in (("wall", "wall time"), ("cpu", "CPU time")):
        ratios = [getattr(one.ratio, what) for one in wholes]
        middle = statistics.median(ratios)
        lower, of_turns, upper = statistics.quantiles([getattr(pair.ratio, what) for pair in turns], n=4)
        print(
            f"ratio by {name}: median of {len(ratios)} epochs {middle:.3f} ({min(ratios):.3f} to {max(ratios):.3f}), "
            f"{'within' if middle <= GOAL else 'above'} {GOAL}; "
            f"of {len(turns)} pairs of turns {of_turns:.3f} (half of them {lower:.3f} to {upper:.3f})"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--turn", type=int, help="steps of a turn; 4 on a CPU, 50 on a GPU")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--batch", type=int, help="64 on a CPU, 1024 on a GPU")
    parser.add_argument("--stride-bp", type=int, help="between windows; 512 on a CPU, 32 on a GPU")
    parser.add_argument("--synthetic", action="store_true", help="don't look for the yeast data")
    arguments = parser.parse_args()
    defaults = {"turn": 50, "batch": 1024, "stride_bp": 32} if arguments.device == "cuda" else {}
    defaults = {"turn": 4, "batch": 64, "stride_bp": 512, **defaults}
    for name, value in defaults.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def main() -> None:
    arguments = parse()
    device = arguments.device
    if not torch.cuda.is_available():
        print("torch finds no GPU here: measured on the CPU only.")
    data = synthetic_data() if arguments.synthetic else data_at_hand()
    settings = PoissonCNN(
        windows=Tiles(length_bp=LENGTH_BP, stride_bp=arguments.stride_bp),
        bin_bp=BIN_BP,
        channels=arguments.channels,
        n_blocks=arguments.blocks,
        batch_size=arguments.batch,
        jitter_bp=128,
        reverse_complement=True,
    )
    torch.set_num_threads(1)
    _set_determinism(False, device)
    plan = FitPlan(seed=0, max_epochs=arguments.rounds + 100, device=device)
    loop = _Loop(settings, data.store, data.splits, plan=plan)
    resident = Resident(loop)
    where = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}, 1 thread"
    print(
        f"{where}; {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"torch {torch.__version__}, {'bf16' if loop.autocast else 'float32'}, {type(loop.feed).__name__}\n"
        f"{data.name}: {settings.channels} channels, {settings.n_blocks} blocks, batches of {settings.batch_size} "
        f"windows of {LENGTH_BP} bp, {loop.steps_per_epoch} steps an epoch, turns of {arguments.turn} steps",
        flush=True,
    )
    resident.take(arguments.turn)
    for batch, _ in zip(
        loop.feed.batches(loop._draw(1), batch_size=loop.local_batch, length_bp=LENGTH_BP),
        range(arguments.turn),
        strict=False,
    ):
        loop._take_step(batch)
    rounds = [
        one_round(loop, resident, epoch=epoch, n_steps=arguments.turn) for epoch in range(1, arguments.rounds + 1)
    ]
    show(rounds)
    if device == "cuda":
        show_throughput(loop, first_epoch=arguments.rounds + 1, least_s=10)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

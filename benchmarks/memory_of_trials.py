"""What trials hold for themselves on a large genome, and what one of the human genome's size would take.

A synthetic genome of 300 Mb with four tracks in bins of 32 bp is put into Ray once. Two trial processes at once, each
by way of `fit_trial` as in a sweep, fit a small CNN for an epoch on some thousand windows from all over it and are
scored on a contig of 20 Mb; then each runs another trial, as processes of a sweep do. The private memory of a process
(Private_* of /proc/PID/smaps_rollup, read every few milliseconds) is compared with what the same process held when
torch had been imported and had gone forward and backward once through a tiny network. The store's pages are shared.

The second part decodes nothing: a spec on a genome with the lengths of hg38 is planned, from a FASTA that is an index
and a hole and from bigWigs that are headers, and its windows are selected and drawn over arrays without memory.

    python benchmarks/memory_of_trials.py [--megabases 300]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import platform
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genotune.judging import Judge
from genotune.plan import SweepPlan, make_plan
from genotune.ray_session import ray_session
from genotune.scoring import score
from genotune.shared_store import SharedStore
from genotune.spec import read_spec
from genotune.store import SequenceStore, Splits
from genotune.trainables.window_selection import draw_epoch, select_windows
from genotune.trial import TrialSetup, fit_trial, plan_of

BIN_BP, N_TRACKS, N_PROCESSES = 32, 4, 2
CONTIG_BP = 20_000_000
N_WINDOWS = 2_000
SCORED_BP = 1 << 24
GOAL_MB = 300
WATCHED_EVERY_S = 0.005

HG38_LENGTHS = (
    *(248_956_422, 242_193_529, 198_295_559, 190_214_555, 181_538_259, 170_805_979, 159_345_973, 145_138_636),
    *(138_394_717, 133_797_422, 135_086_622, 133_275_309, 114_364_328, 107_043_718, 101_991_189, 90_338_345),
    *(83_257_441, 80_373_285, 58_617_616, 64_444_167, 46_709_983, 50_818_468, 156_040_895, 57_227_415),
)
HG38_BP = {f"chr{name}": length for name, length in zip((*range(1, 23), "X", "Y"), HG38_LENGTHS, strict=True)}
"""Lengths of the chromosomes of GRCh38 in bp."""

HG38_SPEC = """\
name: hg38
data:
  kind: bigwig
  reference: genome.fa
  tracks:
{tracks}
  resolution_bp: {resolution_bp}
  missing: zero
split: {{by: contig, validation: [chr8], test: [chr9]}}
models:
  - family: poisson_cnn
    params:
      windows: {{length_bp: 2048, stride_bp: {stride_bp}, select: tiles}}
      bin_bp: 128
      jitter_bp: 128
search: {{kind: random, seed: 1}}
scheduler: {{kind: none, max_epochs: 3}}
objective: {{metric: pearson, bin_bp: 128}}
budget: {{trials: 2}}
"""


class Seen(NamedTuple):
    """Of one trial, MB of private memory: at most while it learned, at most while it was scored, and at its end."""

    learning: float
    scoring: float
    after: float
    seconds: float


def make_store(megabases: int) -> SequenceStore:
    """Random bases and signal; the last contig is that of validation."""
    rng = np.random.default_rng(0)
    n_contigs = megabases * 1_000_000 // CONTIG_BP
    n_bins = CONTIG_BP // BIN_BP
    return SequenceStore(
        sequence=rng.integers(0, 4, n_contigs * CONTIG_BP, dtype=np.uint8),
        signal=rng.standard_exponential((N_TRACKS, n_contigs * n_bins), dtype=np.float32),
        offsets=np.arange(n_contigs + 1) * n_bins,
        lengths=np.full(n_contigs, CONTIG_BP),
        contigs=tuple(f"chr{index + 1}" for index in range(n_contigs)),
        tracks=tuple(f"track{index + 1}" for index in range(N_TRACKS)),
        resolution_bp=BIN_BP,
    )


def params(megabases: int) -> dict[str, Any]:
    stride_bp = megabases * 1_000_000 // N_WINDOWS // BIN_BP * BIN_BP
    return {
        "windows": {"length_bp": 2048, "stride_bp": stride_bp},
        "bin_bp": BIN_BP,
        "channels": 8,
        "n_blocks": 1,
        "stem_width": 9,
        "crop_bp": 0,
        "jitter_bp": 64,
    }


def trial_process() -> Any:
    """A Ray actor's class; made in a function, so that Ray sends it along with all that it needs."""
    import ray

    @ray.remote(num_cpus=1)
    class TrialProcess:
        def private_mb(self) -> float:
            from pathlib import Path

            lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
            kib = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
            return kib * 1024 / 1e6

        def warm(self) -> tuple[float, float]:
            """Once through a tiny network; then an optimiser is made and used, which imports torch's compiler."""
            import torch

            torch.set_num_threads(1)
            network = torch.nn.Conv2d(4, 8, (1, 9))
            network(torch.randn(2, 4, 1, 64)).sum().backward()
            bare = self.private_mb()
            torch.optim.AdamW(network.parameters(), fused=True).step()
            return bare, self.private_mb()

        def fit(self, config: dict[str, Any], shared: SharedStore, setup: TrialSetup) -> Seen:
            import threading

            from genotune import trial

            at_scoring, done = threading.Event(), threading.Event()
            learning, scoring = [self.private_mb()], [0.0]

            def watch() -> None:
                while not done.wait(WATCHED_EVERY_S):
                    (scoring if at_scoring.is_set() else learning).append(self.private_mb())

            judged = trial.validate

            def validate(*args: Any, **kwargs: Any) -> dict[str, float]:
                at_scoring.set()
                return judged(*args, **kwargs)

            watcher, started_s = threading.Thread(target=watch), time.perf_counter()
            watcher.start()
            trial.validate = validate
            try:
                fit_trial(config, shared.get(), setup=setup, plan=plan_of(config, setup), send=lambda _: None)
            finally:
                trial.validate = judged
                done.set()
                watcher.join()
            return Seen(max(learning), max(scoring), self.private_mb(), time.perf_counter() - started_s)

        def store_pages(self) -> tuple[float, float, float]:
            """Of the mapping that the store lies in, MB: seen by this process, its own share, private to it."""
            from pathlib import Path

            found = {"Rss": 0, "Pss": 0, "Private_Clean": 0, "Private_Dirty": 0}
            here = False
            for line in Path("/proc/self/smaps").read_text().splitlines():
                words = line.split()
                if not words[0].endswith(":"):
                    here = "/plasma" in line or "/dev/shm" in line
                elif here and words[0][:-1] in found:
                    found[words[0][:-1]] += int(words[1])
            kib = (found["Rss"], found["Pss"], found["Private_Clean"] + found["Private_Dirty"])
            seen, share, private = (1024 * value / 1e6 for value in kib)
            return seen, share, private

    return TrialProcess


def used_shared_mb() -> float:
    """MB of shared memory in use on this machine, where Ray keeps objects."""
    found = os.statvfs("/dev/shm")
    return (found.f_blocks - found.f_bfree) * found.f_frsize / 1e6


def show_trials(megabases: int, folder: Path) -> None:
    """Two trial processes at once on one store, each with two trials."""
    import ray

    store = make_store(megabases)
    n_contigs, store_mb = len(store.contigs), store.nbytes / 1e6
    splits = Splits(np.arange(n_contigs - 1), np.array([n_contigs - 1]))
    setup = TrialSetup(splits, Judge("pearson", bin_bp=BIN_BP), folder, 1, 1, 3600.0, False)
    before_mb = used_shared_mb()
    shared = SharedStore(ray.put(store))
    del store
    config = {"family": "poisson_cnn", "params": params(megabases), "seed": 1, "max_epochs": 1, "cpus": 1, "gpus": 0}
    kind = trial_process()
    processes = [kind.remote() for _ in range(N_PROCESSES)]
    warm = ray.get([process.warm.remote() for process in processes])
    print(
        f"a genome of {megabases} Mb, {N_TRACKS} tracks in bins of {BIN_BP} bp: a store of {store_mb:.0f} MB; "
        f"{N_PROCESSES} processes at once\nMB of private memory, the most of {N_PROCESSES} processes:"
    )
    torch_mb = max(bare for bare, _ in warm)
    print(f"  {torch_mb:6.0f}  torch imported, once forward and backward: what the rest is counted from")
    print(f"  {max(made - bare for bare, made in warm):+6.0f}  an optimiser made (torch imports its compiler)")
    highest = 0.0
    for number in range(2):
        fits = [
            process.fit.remote({**config, "trial": N_PROCESSES * number + index}, shared, setup)
            for index, process in enumerate(processes)
        ]
        for what in ("learning", "scoring", "after"):
            found = [getattr(Seen(*seen), what) - bare for seen, (bare, _) in zip(ray.get(fits), warm, strict=True)]
            where = {
                "learning": "at most while it learns",
                "scoring": "at most while it is scored",
                "after": "after it",
            }
            print(f"  {max(found):+6.0f}  trial {number + 1} of the process, {where[what]}")
            highest = max(highest, *found)
        print(f"          ({max(Seen(*seen).seconds for seen in ray.get(fits)):.0f} s)")
    verdict = "within" if highest <= GOAL_MB else "above"
    print(f"at most {highest:.0f} MB beyond torch; {verdict} {GOAL_MB}")
    for index, process in enumerate(processes):
        seen, share, private = ray.get(process.store_pages.remote())
        print(
            f"process {index + 1}: {seen:.0f} MB of the store's mapping seen, of it {private:.0f} private; its share "
            f"{share:.0f}"
        )
    print(f"shared memory of this machine: {used_shared_mb() - before_mb:.0f} MB more than without the store")


def write_hg38(folder: Path, *, resolution_bp: int, n_tracks: int, stride_bp: int) -> Path:
    """A spec with files that can be planned from and not be read: an index and a hole, and headers."""
    import pyBigWig

    n_bytes, rows = 0, []
    for name, length in HG38_BP.items():
        n_bytes += len(f">{name}\n")
        rows.append(f"{name}\t{length}\t{n_bytes}\t{length}\t{length + 1}\n")
        n_bytes += length + 1
    (folder / "genome.fa.fai").write_text("".join(rows))
    with (folder / "genome.fa").open("wb") as file:
        file.write(b">chr1\n")
        file.seek(n_bytes - 1)
        file.write(b"\n")
    names = [f"track{index + 1}" for index in range(n_tracks)]
    for name in names:
        track = pyBigWig.open(str(folder / f"{name}.bw"), "w")
        track.addHeader(list(HG38_BP.items()))
        track.addEntries(["chr1"], [0], ends=[1], values=[1.0])
        track.close()
    tracks = "\n".join(f"    {name}: {{path: {name}.bw, transform: none}}" for name in names)
    spec = folder / "hg38.yaml"
    spec.write_text(HG38_SPEC.format(tracks=tracks, resolution_bp=resolution_bp, stride_bp=stride_bp))
    return spec


def store_without_memory(resolution_bp: int, n_tracks: int) -> SequenceStore:
    """One zero, seen as a genome of the size of hg38."""
    lengths = np.array(list(HG38_BP.values()))
    offsets = np.concatenate([[0], np.cumsum(-(-lengths // resolution_bp))])
    n_bins = int(offsets[-1])
    return SequenceStore(
        sequence=np.broadcast_to(np.uint8(0), n_bins * resolution_bp),
        signal=np.broadcast_to(np.float32(0), (n_tracks, n_bins)),
        offsets=offsets,
        lengths=lengths,
        contigs=tuple(HG38_BP),
        tracks=tuple(f"track{index + 1}" for index in range(n_tracks)),
        resolution_bp=resolution_bp,
    )


class Windows(NamedTuple):
    """Of an epoch, MB: what is kept of a pool and of a draw, and the most while each is made."""

    pool: float
    selecting: float
    draw: float
    drawing: float


def windows_of(plan: SweepPlan, stride_bp: int) -> Windows:
    """What the windows of a plan's trials take."""
    ((_, trainable), *_) = plan.spec.trainables_at_ends("poisson_cnn")
    assert trainable.windows.stride_bp == stride_bp
    store = store_without_memory(plan.spec.settings.data.resolution_bp, 1)
    tracemalloc.start()
    pool = select_windows(trainable.windows, store, plan.trial_splits.train)
    pool_bytes, selecting_bytes = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    draw = draw_epoch(
        pool, jitter_bp=trainable.jitter_bp, both_strands=True, seed=0, epoch=1, batch_size=trainable.batch_size
    )
    both_bytes, drawing_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(draw.starts) == n_windows(plan)
    numbers = (pool_bytes, selecting_bytes, both_bytes - pool_bytes, drawing_bytes - pool_bytes)
    return Windows(*(value / 1e6 for value in numbers))


def scoring_mb(contig: str, *, resolution_bp: int, bin_bp: int) -> float:
    """MB at most while a contig is scored, all tracks by all metrics; as much per bin as a contig of 16 Mb takes."""
    n_bins = SCORED_BP // resolution_bp
    rng = np.random.default_rng(0)
    store = SequenceStore(
        sequence=np.broadcast_to(np.uint8(0), SCORED_BP),
        signal=rng.standard_exponential((N_TRACKS, n_bins), dtype=np.float32),
        offsets=np.array([0, n_bins]),
        lengths=np.array([SCORED_BP]),
        contigs=(contig,),
        tracks=tuple(f"track{index + 1}" for index in range(N_TRACKS)),
        resolution_bp=resolution_bp,
    )

    def predict(_: int) -> np.ndarray:
        return rng.standard_exponential(store.signal.shape, dtype=np.float32)

    metrics = Judge("pearson", bin_bp=bin_bp).metrics
    tracemalloc.start()
    score(predict, store, np.array([0]), model_bin_bp=resolution_bp, bin_bp=bin_bp, metrics=metrics)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most_bytes / 1e6 * HG38_BP[contig] / SCORED_BP


def n_windows(plan: SweepPlan) -> int:
    """Training windows of an epoch, as planned."""
    most: int = plan.families["poisson_cnn"].n_examples["train"][1]
    return most


def hg38_plan(**what: int) -> SweepPlan:
    with tempfile.TemporaryDirectory() as folder:
        return make_plan(read_spec(write_hg38(Path(folder), **what)))


def show_hg38() -> None:
    """What a spec on hg38 takes; nothing is decoded."""
    print(f"\nA genome with the lengths of hg38 ({sum(HG38_LENGTHS):,} bp), planned and not read; GB of the store:")
    print("  bins of   1 track   4 tracks")
    for resolution_bp in (1, 32, 128):
        plans = [hg38_plan(resolution_bp=resolution_bp, n_tracks=n, stride_bp=2048) for n in (1, 4)]
        one, four = (plan.data.store_nbytes / 1e9 for plan in plans)
        print(f"  {resolution_bp:4d} bp   {one:7.2f}   {four:8.2f}")
    print(
        "Windows of 2,048 bp on all contigs but chr8 and chr9, moved by up to 128 bp; MB in each trial\n"
        "  stride      windows    pool   while selected    draw   while drawn"
    )
    for stride_bp in (512, 1024, 2048, 8192):
        plan = hg38_plan(resolution_bp=128, n_tracks=1, stride_bp=stride_bp)
        found = windows_of(plan, stride_bp)
        print(
            f"  {stride_bp:6d}   {n_windows(plan):10,d}   {found.pool:5.0f}   {found.selecting:14.0f}   "
            f"{found.draw:5.0f}   {found.drawing:11.0f}"
        )
    print("Scoring chr8, 4 tracks stored in bins of 32 bp, by all metrics; MB at most, predictions included")
    for bin_bp in (32, 128):
        print(f"  in bins of {bin_bp:3d} bp   {scoring_mb('chr8', resolution_bp=32, bin_bp=bin_bp):5.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabases", type=int, default=300)
    parser.add_argument("--only", choices=["trials", "hg38"])
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    if arguments.only != "hg38":
        with tempfile.TemporaryDirectory() as folder, ray_session(None, n_cpus=N_PROCESSES):
            show_trials(arguments.megabases, Path(folder))
    if arguments.only != "trials":
        show_hg38()


if __name__ == "__main__":
    main()

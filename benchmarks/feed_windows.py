"""How fast windows are ready for the device, in random order, on one thread: our store beside three peers.

A window is 2,048 bp with 64 bins of 32 bp of one track, from a synthetic genome of 300 Mb. Our store gives codes and
bins as they lie in it. The peers begin with the files that they are made for: pyBigWig and pysam read each window from
them; tangermeme's extract_loci reads a table of loci from them, or from arrays in memory; GenVarLoader writes a dataset
of the windows first (not counted) and reads batches of it. Their signal per base is averaged to the same bins. Every
feeder gives the same windows, which is checked. The second table adds the one-hot, (example, 4, base) uint8, on the
CPU. All feeders take turns in each round; a peer that isn't installed is left out, and said so. On a busy machine look
at windows a CPU second: they leave out the time that others had the core.

    .venv-bench/bin/python benchmarks/feed_windows.py [--rounds 7] [--megabases 300]
"""

# ruff: noqa: E402  libraries count their threads when they are imported

import os

for _name in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
):
    os.environ[_name] = "1"

import argparse
import importlib
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genotune.store import SequenceStore

LENGTH_BP, BIN_BP, N_CONTIGS = 2048, 32, 3
N_BINS = LENGTH_BP // BIN_BP
GVL_WINDOWS = 20_000
LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)
CODES = np.arange(4, dtype=np.uint8)

Arrays = tuple[np.ndarray, np.ndarray]


class Genome(NamedTuple):
    """A store, and the same as files."""

    store: SequenceStore
    fasta: Path
    bigwig: Path

    def places(self, starts: np.ndarray) -> list[tuple[str, int]]:
        """Contig and start on it of first bases in the store."""
        firsts = self.store.offsets * BIN_BP
        contigs = np.searchsorted(firsts, starts, side="right") - 1
        return [
            (self.store.contigs[contig], int(start - firsts[contig]))
            for contig, start in zip(contigs, starts, strict=True)
        ]


class Feeder(NamedTuple):
    """One way to get windows.

    Attributes:
        name: of it.
        feed: gives sequence and bins (example, track, bin) of windows.
        n_windows: that a round takes from it.
        batch: windows at once.
        draw: first bases of windows that it can give.
        is_peer: whether it is another's.
    """

    name: str
    feed: Callable[[np.ndarray], Arrays]
    n_windows: int
    batch: int
    draw: Callable[[np.random.Generator, int], np.ndarray]
    is_peer: bool = True


def make_genome(folder: Path, megabases: int) -> Genome:
    """Random bases, and Poisson counts in every bin."""
    import pyBigWig
    import pysam

    rng = np.random.default_rng(0)
    contig_bins = megabases * 1_000_000 // N_CONTIGS // BIN_BP
    contigs = tuple(f"chr{index + 1}" for index in range(N_CONTIGS))
    store = SequenceStore(
        sequence=rng.integers(0, 4, N_CONTIGS * contig_bins * BIN_BP, dtype=np.uint8),
        signal=(rng.poisson(9, (1, N_CONTIGS * contig_bins)) / BIN_BP).astype(np.float32),
        offsets=np.arange(N_CONTIGS + 1) * contig_bins,
        lengths=np.full(N_CONTIGS, contig_bins * BIN_BP),
        contigs=contigs,
        tracks=("counts",),
        resolution_bp=BIN_BP,
    )
    fasta, bigwig = folder / "genome.fa", folder / "counts.bw"
    with fasta.open("wb") as file:
        for index, contig in enumerate(contigs):
            lines = LETTERS[store.contig_sequence(index)].reshape(-1, BIN_BP)
            newlines = np.full((len(lines), 1), ord("\n"), dtype=np.uint8)
            file.write(f">{contig}\n".encode() + np.hstack([lines, newlines]).tobytes())
    pysam.faidx(str(fasta))
    track = pyBigWig.open(str(bigwig), "w")
    track.addHeader([(contig, contig_bins * BIN_BP) for contig in contigs])
    for index, contig in enumerate(contigs):
        track.addEntries(contig, 0, values=store.contig_signal(index)[0], span=BIN_BP, step=BIN_BP)
    track.close()
    return Genome(store, fasta, bigwig)


def anywhere(store: SequenceStore, step_bp: int) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Draws windows that begin at multiples of a step on any contig."""

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        last = int(store.lengths[0]) - LENGTH_BP
        contigs = rng.integers(0, len(store.lengths), n)
        return store.offsets[contigs] * BIN_BP + rng.integers(0, last // step_bp, n, endpoint=True) * step_bp

    return draw


def binned(signal: np.ndarray) -> np.ndarray:
    """(example, 1, bin) means of (example, ..., base)."""
    return signal.reshape(-1, 1, N_BINS, BIN_BP).mean(axis=-1)


def one_hot(sequence: np.ndarray) -> np.ndarray:
    """(example, 4, base) uint8 of codes, or of letters."""
    alphabet = CODES if int(sequence[0, 0]) < len(CODES) else LETTERS
    made = np.empty((len(sequence), len(alphabet), LENGTH_BP), dtype=np.bool_)
    for row, base in enumerate(alphabet):
        np.equal(sequence, base, out=made[:, row])
    return made.view(np.uint8)


def with_one_hot(feeder: Feeder, *, batch: int) -> Feeder:
    """The same feeder, its sequence made one-hot."""

    def feed(starts: np.ndarray) -> Arrays:
        sequence, signal = feeder.feed(starts)
        return one_hot(sequence), signal

    return feeder._replace(feed=feed, batch=batch, n_windows=min(feeder.n_windows, 40_000))


def our_store(genome: Genome, batch: int) -> Feeder:
    def feed(starts: np.ndarray) -> Arrays:
        return genome.store.gather(starts, length_bp=LENGTH_BP)

    name = f"genotune store, {batch} at once"
    return Feeder(name, feed, 200_000, batch, anywhere(genome.store, 1), is_peer=False)


def pybigwig(genome: Genome) -> Feeder:
    import pyBigWig
    import pysam

    track, fasta = pyBigWig.open(str(genome.bigwig)), pysam.FastaFile(str(genome.fasta))

    def feed(starts: np.ndarray) -> Arrays:
        sequence = np.empty((len(starts), LENGTH_BP), dtype=np.uint8)
        signal = np.empty((len(starts), LENGTH_BP), dtype=np.float32)
        for row, (contig, start) in enumerate(genome.places(starts)):
            end = start + LENGTH_BP
            sequence[row] = np.frombuffer(fasta.fetch(contig, start, end).encode(), dtype=np.uint8)
            signal[row] = track.values(contig, start, end, numpy=True)
        return sequence, binned(np.nan_to_num(signal, copy=False))

    name = f"pyBigWig {version('pyBigWig')} and pysam per window"
    return Feeder(name, feed, 2_000, 512, anywhere(genome.store, 1))


def tangermeme(genome: Genome, *, in_memory: bool) -> Feeder:
    import pandas as pd
    from tangermeme.io import extract_loci

    store = genome.store
    sequences, signals = str(genome.fasta), [str(genome.bigwig)]
    if in_memory:
        members = list(enumerate(store.contigs))
        sequences = {
            name: np.equal(store.contig_sequence(index), CODES[:, None]).view(np.int8) for index, name in members
        }
        signals = [{name: np.repeat(store.contig_signal(index)[0], BIN_BP) for index, name in members}]

    def feed(starts: np.ndarray) -> Arrays:
        loci = pd.DataFrame(genome.places(starts), columns=["chrom", "start"])
        loci["end"] = loci["start"] + LENGTH_BP
        found = extract_loci(loci, sequences, signals, in_window=LENGTH_BP, out_window=LENGTH_BP, n_jobs=1)
        return found[0].numpy(), binned(found[1].numpy())

    where = "arrays" if in_memory else "files"
    name = f"tangermeme {version('tangermeme')} extract_loci, {where}"
    # A table of loci at once is what it is made for.
    return Feeder(name, feed, 4_000, 4_000, anywhere(store, 1))


def genvarloader(genome: Genome, folder: Path) -> Feeder:
    import genvarloader as gvl
    import polars as pl

    known = np.unique(anywhere(genome.store, BIN_BP)(np.random.default_rng(1), GVL_WINDOWS))
    contigs, begins = zip(*genome.places(known), strict=True)
    bed = pl.DataFrame({"chrom": contigs, "chromStart": begins, "chromEnd": [base + LENGTH_BP for base in begins]})
    gvl.write(folder / "windows.gvl", bed, tracks=gvl.BigWigs("counts", {"one": str(genome.bigwig)}), max_jitter=0)
    opened = gvl.Dataset.open(folder / "windows.gvl", reference=str(genome.fasta))
    data = opened.with_seqs("reference").with_tracks("counts").with_len(LENGTH_BP)

    def feed(starts: np.ndarray) -> Arrays:
        sequence, signal = data[np.searchsorted(known, starts), 0]
        return np.asarray(sequence).view(np.uint8).reshape(-1, LENGTH_BP), binned(np.asarray(signal))

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.choice(known, n)

    return Feeder(f"GenVarLoader {version('genvarloader')}", feed, 20_000, 512, draw)


def peers(genome: Genome, folder: Path) -> list[Feeder]:
    """Those that are installed."""
    found = []
    for package, make in (
        ("pyBigWig", lambda: [pybigwig(genome)]),
        ("tangermeme", lambda: [tangermeme(genome, in_memory=memory) for memory in (False, True)]),
        ("genvarloader", lambda: [genvarloader(genome, folder)]),
    ):
        try:
            importlib.import_module(package)
        except ImportError as error:
            print(f"{package}: not installed ({error})")
            continue
        found += make()
    return found


def check(feeder: Feeder, store: SequenceStore) -> None:
    """Stop if it gives other windows than the store holds."""
    starts = feeder.draw(np.random.default_rng(2), 64) // BIN_BP * BIN_BP
    sequence, signal = feeder.feed(starts)
    codes, bins = store.gather(starts, length_bp=LENGTH_BP)
    found = sequence if sequence.ndim == 3 else one_hot(sequence)
    if not np.array_equal(found, one_hot(codes)) or not np.allclose(signal, bins, atol=1e-5):
        raise SystemExit(f"{feeder.name} gives other windows than the store holds.")


def measure(feeders: list[Feeder], *, rounds: int, seed: int) -> dict[str, list[tuple[float, float]]]:
    """Of each, windows a second and windows a CPU second, in each round; all take turns."""
    rng = np.random.default_rng(seed)
    rates: dict[str, list[tuple[float, float]]] = {feeder.name: [] for feeder in feeders}
    for _ in range(rounds):
        for feeder in feeders:
            starts = feeder.draw(rng, feeder.n_windows)
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            for first in range(0, len(starts), feeder.batch):
                feeder.feed(starts[first : first + feeder.batch])
            wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
            rates[feeder.name].append((len(starts) / wall_s, len(starts) / cpu_s))
    return rates


def show(title: str, feeders: list[Feeder], *, rounds: int, seed: int) -> None:
    """Measure and print a table, with our best beside the best of the peers."""
    rates = measure(feeders, rounds=rounds, seed=seed)
    print(f"\n{title}: windows a second, median of {rounds} (lowest to highest); windows a CPU second")
    for name, values in rates.items():
        wall, cpu = zip(*values, strict=True)
        spread = f"({min(wall):,.0f} to {max(wall):,.0f})"
        print(f"  {name:42s} {statistics.median(wall):>11,.0f}  {spread:28s} {statistics.median(cpu):>11,.0f}")
    best = {
        side: max(
            ([statistics.median(column) for column in zip(*rates[f.name], strict=True)], f.name)
            for f in feeders
            if f.is_peer == side
        )
        for side in {feeder.is_peer for feeder in feeders}
    }
    if True in best:
        (ours, ours_cpu), _ = best[False]
        (theirs, theirs_cpu), name = best[True]
        print(f"  {ours / theirs:.1f} times the best of the peers, {name}; {ours_cpu / theirs_cpu:.1f} by CPU time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabases", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        genome = make_genome(folder, arguments.megabases)
        print(f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, numpy {np.__version__}")
        others = peers(genome, folder)
        ours = [our_store(genome, batch) for batch in (64, 256, 1024)]
        for feeder in [*ours, *others]:
            check(feeder, genome.store)
        show("Codes and signal", [*ours, *others], rounds=arguments.rounds, seed=3)
        gives_one_hot = [feeder for feeder in others if feeder.name.startswith("tangermeme")]
        made_one_hot = [with_one_hot(feeder, batch=256) for feeder in others if feeder not in gives_one_hot]
        hot = [with_one_hot(feeder, batch=feeder.batch) for feeder in ours[:2]]
        show("One-hot and signal", [*hot, *made_one_hot, *gives_one_hot], rounds=arguments.rounds, seed=4)


if __name__ == "__main__":
    main()

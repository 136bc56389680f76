"""How fast does a whole track come into a store? Beside pyBigWig, pybigtools, and inflating alone. One thread.

All contenders take their turn in every round, so that whatever else the machine does falls on all of them; what counts
is the CPU time of this process.

    python benchmarks/read_tracks.py
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pybigtools
import pyBigWig
from isal import isal_zlib

from genotune.data.bigwig_reader import BigWigReader
from genotune.data.fasta import Reference
from genotune.data.files import InputFile
from genotune.data.stretches import Decoder, cut_into_stretches
from genotune.store import FloatArray

YEAST = Path(__file__).parents[1] / "search_spaces/demo/yeast_atac/cutsites.bw"
RESOLUTION_BP = 32
OURS, VALUES, FLOOR = "genotune", "pyBigWig values", "inflate alone, zlib"


class Track(NamedTuple):
    """A bigWig, its contigs, and its sections as they lie in the file."""

    path: Path
    lengths: Mapping[str, int]
    packed: list[bytes]

    @property
    def n_bins(self) -> int:
        """Of the store."""
        return sum(-(-length // RESOLUTION_BP) for length in self.lengths.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="of which the medians are; at least five")
    parser.add_argument("--megabases", type=int, default=150, help="of the made-up track")
    arguments = parser.parse_args()
    libraries = [f"{name} {version(name)}" for name in ("isal", "numpy", "pyBigWig", "pybigtools")]
    print(f"{os.cpu_count()} CPUs, {platform.machine()}; Python {platform.python_version()}, ", end="")
    print(", ".join([f"zlib {zlib.ZLIB_RUNTIME_VERSION}", *libraries]))
    print(f"{RESOLUTION_BP}-bp bins, mean, gaps count as zero; medians of {arguments.rounds} rounds (least to most)")
    report("yeast cut sites, all contigs", YEAST, n_rounds=arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        path = write_runs(Path(folder) / "runs.bw", arguments.megabases * 1_000_000)
        report(f"made up: {arguments.megabases} Mb in runs of 5-50 bp", path, n_rounds=arguments.rounds)


def write_runs(path: Path, length: int) -> Path:
    """A track that is covered by runs of 5 to 50 bp with a count each."""
    rng = np.random.default_rng(0)
    ends = np.cumsum(rng.integers(5, 51, size=length // 27))
    ends = ends[ends < length]
    starts, counts = np.append(0, ends[:-1]), rng.poisson(3.0, size=len(ends)).astype(float)
    with pyBigWig.open(str(path), "w") as bigwig:
        bigwig.addHeader([("chr1", length)])
        for first in range(0, len(ends), 1_000_000):
            part = slice(first, first + 1_000_000)
            bigwig.addEntries(["chr1"] * len(ends[part]), starts[part], ends=ends[part], values=counts[part])
    return path


def report(title: str, path: Path, *, n_rounds: int) -> None:
    track = open_track(path)
    times = measure(track, n_rounds)
    medians = {name: statistics.median(of_one) for name, of_one in times.items()}
    n_bases = sum(track.lengths.values())
    print(f"\n{title}: {n_bases / 1e6:.1f} Mb, {len(track.packed)} sections, {path.stat().st_size / 1e6:.1f} MB")
    print(f"{'':28}{'CPU ms':>8}{'least':>9}{'most':>8}   genotune is so many times as fast")
    for name, of_one in times.items():
        ratios = [other / ours for other, ours in zip(of_one, times[OURS], strict=True)]
        spread = f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name:28}{medians[name] * 1e3:8.1f}{min(of_one) * 1e3:9.1f}{max(of_one) * 1e3:8.1f}   {spread}")
    for name in (FLOOR, "inflate alone, ISA-L"):
        print(f"{name}, takes {medians[name] / medians[OURS]:.0%} of genotune's time,", end=" ")
        print(f"{medians[name] / medians[VALUES]:.0%} of that of {VALUES}")


def open_track(path: Path) -> Track:
    with pyBigWig.open(str(path)) as bigwig:
        lengths = bigwig.chroms()
    with BigWigReader(path, path.name) as reader, path.open("rb") as file:
        packed = []
        for contig, length in lengths.items():
            for section in reader.sections(contig, 0, length):
                file.seek(section.offset)
                packed.append(file.read(section.n_bytes))
    return Track(path, lengths, packed)


def measure(track: Track, n_rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round; before the first they have warmed up, and what they give is compared."""
    contenders: dict[str, Callable[[Track], FloatArray | None]] = {
        OURS: by_genotune,
        VALUES: pybigwig_values,
        "pyBigWig values, binned": pybigwig_binned,
        "pybigtools bins, exact": pybigtools_bins,
        "pybigtools values, binned": pybigtools_binned,
        FLOOR: inflate_by_zlib,
        "inflate alone, ISA-L": inflate_by_isal,
    }
    ours = by_genotune(track)
    for name, contender in contenders.items():
        theirs = contender(track)
        if theirs is not None and theirs.shape == ours.shape:
            np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-6, err_msg=name)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(n_rounds):
        for name, contender in contenders.items():
            start = time.process_time()
            contender(track)
            times[name].append(time.process_time() - start)
    return times


def by_genotune(track: Track) -> FloatArray:
    """As a read task does it, but for the sequence."""
    file = InputFile(track.path, track.path.name)
    decoder = Decoder(Reference(file, {}, ends_in_newline=True), (file,), RESOLUTION_BP, "zero")
    store = np.empty(track.n_bins, dtype=np.float32)
    names = [{contig: contig for contig in track.lengths}]
    first = 0
    with BigWigReader(track.path, track.path.name) as reader:
        for stretch in cut_into_stretches(track.lengths, names=names, resolution_bp=RESOLUTION_BP):
            for part in stretch.parts:
                signal = decoder.signal(part, [reader])[0]
                store[first : first + len(signal)] = signal
                first += len(signal)
    return store


def pybigwig_values(track: Track) -> None:
    with pyBigWig.open(str(track.path)) as bigwig:
        for contig, length in track.lengths.items():
            bigwig.values(contig, 0, length, numpy=True)


def pybigwig_binned(track: Track) -> FloatArray:
    with pyBigWig.open(str(track.path)) as bigwig:
        return np.concatenate(
            [binned(bigwig.values(contig, 0, length, numpy=True)) for contig, length in track.lengths.items()]
        )


def pybigtools_binned(track: Track) -> FloatArray:
    with pybigtools.open(str(track.path)) as bigwig:
        return np.concatenate(
            [binned(bigwig.values(contig, 0, length, fillna=0)) for contig, length in track.lengths.items()]
        )


def pybigtools_bins(track: Track) -> None:
    """Means over covered bases, which is less than is asked for; and whole bins only."""
    with pybigtools.open(str(track.path)) as bigwig:
        for contig, length in track.lengths.items():
            count = length // RESOLUTION_BP
            bigwig.values(contig, 0, count * RESOLUTION_BP, bins=count, exact=True, fillna=0)


def binned(values: FloatArray) -> FloatArray:
    """(bin,) means of (base,) values, the shortest way that numpy has."""
    values = np.nan_to_num(values, copy=False)
    whole = len(values) // RESOLUTION_BP * RESOLUTION_BP
    means = values[:whole].reshape(-1, RESOLUTION_BP).mean(axis=1, dtype=np.float64)
    rest = values[whole:]
    return np.append(means, rest.mean(dtype=np.float64) if len(rest) else []).astype(np.float32)


def inflate_by_zlib(track: Track) -> None:
    for section in track.packed:
        zlib.decompress(section, zlib.MAX_WBITS, 32768)


def inflate_by_isal(track: Track) -> None:
    for section in track.packed:
        isal_zlib.decompress(section, zlib.MAX_WBITS, 32768)


if __name__ == "__main__":
    main()

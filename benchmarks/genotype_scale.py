"""Genotypes at size: decoding beside bed-reader, the association scan beside plink2, and the memory of a store.

Makes a fileset of independent variants with a quantitative trait, a covariate and some missing genotypes. Contenders
take turns in every round, on one thread each; what counts is CPU time. plink2 writes its table to disk, we don't.

    python benchmarks/genotype_scale.py                                # 2,000 samples x 50,000 variants
    python benchmarks/genotype_scale.py --samples 20000 --variants 200000 --rounds 5
"""

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from bed_reader import open_bed, to_bed
from threadpoolctl import threadpool_limits

from genotune.data.genotype_opening import open_genotypes
from genotune.data.plink_datasource import DosageReader, fill_columns, rows_of
from genotune.data.plink_settings import PlinkSettings
from genotune.genome.association import scan_linear
from genotune.genome.splits import RandomSplitSettings
from genotune.settings import build

MISSING = 0.005
WRITTEN_AT_ONCE = 1_000_000_000
STORE = "--only-the-store"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--variants", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5, help="of which the medians are; at least five")
    parser.add_argument(STORE, dest="store", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.store is not None:
        with threadpool_limits(1):
            measure_store(arguments.store)
        return
    print(
        f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, ",
        end="",
    )
    print(f"numpy {np.__version__}, bed-reader {version('bed-reader')}, {plink_version()}")
    print(f"{arguments.samples:,} samples x {arguments.variants:,} variants, {MISSING:.1%} missing; one thread")
    with tempfile.TemporaryDirectory() as folder:
        write_cohort(Path(folder), n_samples=arguments.samples, n_variants=arguments.variants)
        with threadpool_limits(1):
            report_decoding(Path(folder), arguments.rounds)
            report_scan(Path(folder), arguments.rounds)
        command = [sys.executable, __file__, STORE, folder]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="")


def plink_version() -> str:
    """Of plink2, if it is there."""
    if shutil.which("plink2") is None:
        return "no plink2"
    return " ".join(
        subprocess.run(["plink2", "--version"], capture_output=True, text=True, check=True).stdout.split()[:2]
    )


def write_cohort(folder: Path, *, n_samples: int, n_variants: int) -> None:
    """cohort.bed, .bim, .fam, and traits.tsv with columns trait and age."""
    rng = np.random.default_rng(0)
    trait = rng.normal(size=n_samples)
    ids = [f"i{index}" for index in range(n_samples)]
    step = max(1, WRITTEN_AT_ONCE // (8 * n_samples))
    parts = []
    for first in range(0, n_variants, step):
        n = min(step, n_variants - first)
        dosage = rng.binomial(2, rng.uniform(0.05, 0.5, n), (n_samples, n)).astype(np.int8)
        trait += 0.05 * dosage[:, :20].sum(axis=1)
        dosage[rng.random(dosage.shape, dtype=np.float32) < MISSING] = -127
        parts.append(folder / f"part{first}.bed")
        properties = {
            "fid": ids,
            "iid": ids,
            "sid": [f"rs{first + index}" for index in range(n)],
            "chromosome": ["1"] * n,
            "bp_position": [1000 + first + index for index in range(n)],
            "allele_1": ["A"] * n,
            "allele_2": ["G"] * n,
        }
        to_bed(parts[-1], dosage, properties=properties, num_threads=1)
    with (folder / "cohort.bed").open("wb") as bed, (folder / "cohort.bim").open("w") as bim:
        bed.write(parts[0].read_bytes()[:3])
        for part in parts:
            bed.write(part.read_bytes()[3:])
            bim.write(part.with_suffix(".bim").read_text())
            part.unlink()
    shutil.copy(parts[0].with_suffix(".fam"), folder / "cohort.fam")
    age = rng.normal(50, 10, n_samples)
    rows = "".join(f"{name}\t{name}\t{y:.6f}\t{a:.3f}\n" for name, y, a in zip(ids, trait, age, strict=True))
    (folder / "traits.tsv").write_text("FID\tIID\ttrait\tage\n" + rows)


def report_decoding(folder: Path, n_rounds: int) -> None:
    """All genotypes into one matrix: ours block by block as a read task does it, bed-reader's in one call."""
    genotypes = open_genotypes(folder, "cohort.bed")
    reader = DosageReader(genotypes.decoder, np.arange(genotypes.n_samples))
    blocks = reader.blocks(np.arange(genotypes.n_variants))

    def ours() -> np.ndarray:
        dosage = np.empty((genotypes.n_samples, genotypes.n_variants), dtype=np.int8)
        for table in reader.tables(blocks):
            for variants, rows in rows_of(table):
                fill_columns(dosage, variants, rows)
        return dosage

    def theirs() -> np.ndarray:
        with open_bed(folder / "cohort.bed", num_threads=1) as bed:
            return bed.read(dtype="int8", order="C", num_threads=1)

    found, expected = ours(), theirs()
    expected[expected == -127] = -1
    np.testing.assert_array_equal(found, expected)
    del found, expected
    times = in_turn({"genotune": ours, "bed-reader": theirs}, n_rounds)
    report("decoding", times, "bed-reader", most=1.3)


def report_scan(folder: Path, n_rounds: int) -> None:
    """Linear regression of the trait on each variant beside age; ours on a decoded store, plink2 from the file."""
    if shutil.which("plink2") is None:
        print("scan: plink2 isn't here; nothing to hold it against")
        return
    plan = plan_of(folder)
    everyone = np.arange(len(plan.samples.rows))
    genotypes = open_genotypes(folder, "cohort.bed")
    dosage = genotypes.decoder.decode(everyone, np.arange(genotypes.n_variants))
    command = [
        "plink2",
        "--bfile",
        str(folder / "cohort"),
        "--pheno",
        str(folder / "traits.tsv"),
        "--pheno-name",
        "trait",
    ]
    command += ["--covar", str(folder / "traits.tsv"), "--covar-name", "age", "--glm", "hide-covar", "--threads", "1"]
    command += ["--covar-variance-standardize", "--out", str(folder / "plink")]

    def ours() -> np.ndarray:
        return scan_linear(
            dosage, everyone, traits=plan.samples.values[:, None], covariates=plan.samples.covariates
        ).log10_p[0]

    def theirs() -> None:
        subprocess.run(command, check=True, capture_output=True)

    log10_p = ours()
    theirs()
    with (folder / "plink.trait.glm.linear").open() as table:
        column = table.readline().split().index("P")
        p = np.array([float(line.split()[column]) for line in table])
    np.testing.assert_allclose(10**log10_p, p, rtol=1e-4)
    times = in_turn({"genotune": ours, "plink2 --glm": theirs}, n_rounds)
    report("scan", times, "plink2 --glm", most=2)


def in_turn(contenders: dict[str, Callable[[], object]], n_rounds: int) -> dict[str, list[float]]:
    """CPU seconds, those of children too, of each contender in each round."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(n_rounds):
        for name, contender in contenders.items():
            start = cpu_s()
            contender()
            times[name].append(cpu_s() - start)
    return times


def cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def report(what: str, times: dict[str, list[float]], peer: str, *, most: float) -> None:
    ratios = [ours / theirs for ours, theirs in zip(times["genotune"], times[peer], strict=True)]
    for name, seconds in times.items():
        print(f"{what}, {name}: {statistics.median(seconds):.2f} CPU s ({min(seconds):.2f} to {max(seconds):.2f})")
    ratio = statistics.median(ratios)
    verdict = "within" if ratio <= most else "OVER"
    print(f"{what}: {ratio:.2f} times {peer} ({min(ratios):.2f} to {max(ratios):.2f}), {verdict} {most:g}")


def plan_of(folder: Path, **more: object) -> object:
    settings = {
        "kind": "plink",
        "genotypes": "cohort.bed",
        "phenotypes": "traits.tsv",
        "trait": "trait",
        "covariates": ["age"],
        **more,
    }
    return build(PlinkSettings, settings).plan(folder)


def measure_store(folder: Path) -> None:
    """In a process of its own, from the files to a store: time, and memory beyond the matrix that is kept.

    Then the stores of five folds and that of the sweep together, the best 5,000 variants of each.
    """
    import genotune.data.plink_reading  # noqa: F401 - what is imported is not part of it

    before = peak_bytes()
    start, start_cpu = time.perf_counter(), cpu_s()
    plan = plan_of(folder)
    split = build(RandomSplitSettings, {"by": "random", "validation": 0.2, "test": 0.2})
    fold = plan.resolve(split)
    store = plan.read_store_here(fold).store
    used = peak_bytes() - store.dosage.nbytes
    print(
        f"store: {store.dosage.shape[0]:,} x {store.dosage.shape[1]:,}, {store.dosage.nbytes / 1e9:.2f} GB kept; ",
        end="",
    )
    print(f"{time.perf_counter() - start:.1f} s, {cpu_s() - start_cpu:.1f} CPU s for two passes and the tables")
    verdict = "within" if used < 2e9 else "OVER"
    print(f"memory at most {used / 1e9:.2f} GB above it, {verdict} 2 GB; {before / 1e9:.2f} GB once all was imported")
    del store
    plan = plan_of(folder, keep_variants=5_000)
    times = {}
    for n_folds in (0, 5):
        start_cpu = cpu_s()
        folds = [fold, *(plan.folds(fold, split, n_folds=n_folds) if n_folds else [])]
        for _ in plan.read_stores_here(folds):
            pass
        times[n_folds] = cpu_s() - start_cpu
    print(f"store of the best 5,000: {times[0]:.2f} CPU s; with those of five folds {times[5]:.2f} CPU s, ", end="")
    print(f"{times[5] / times[0]:.2f} times one store where six would be read one by one")


def peak_bytes() -> int:
    # Of this program alone; getrusage begins with what its parent held.
    (peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024


if __name__ == "__main__":
    main()

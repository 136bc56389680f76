"""Does a sweep pay on genotypes? Its winner beside untuned XGBoost and GBLUP, over outer splits that it never sees.

For each trait and each of ten outer splits by parent pair, the sweep of mouse_traits.yaml runs on the outer training
mice alone; its trials are judged by the mean over five inner folds, by parent pair too, and so the winner is chosen.
The winner's draw is then fitted again on all outer training mice, for the epochs that it won with, beside XGBoost
(depth 3, 200 rounds, else its own defaults, and the same with a learning rate of 0.1) and GBLUP (REML), on the same
mice and all variants that pass the filters. Each is scored once on the outer test mice. Of a mouse that was genotyped
twice one is left out. The ranges of the search space were chosen on other splits of these mice (--first 100).

The traits of the demo's table need nothing more. Further ones come from a table with FID, IID and a column for each
trait: of these mice there are some in data/mice.RData of https://github.com/gdlc/BGLR-R (GPL-3; Perez and de los Campos
2014, Genetics 198:483), which must be written out as one.

    python benchmarks/mouse_traits.py [--phenotypes TABLE] [--traits CD8 MCH HDL] [--splits 10] [--first 0] [--jobs 2]
"""

import argparse
import csv
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sweep_in_process import sweep_in_process

from genotune.genome.splits import Fold
from genotune.judging import Judge, score_model
from genotune.plan import SweepPlan, make_plan
from genotune.refit import whole
from genotune.spec import read_spec
from genotune.store import GenotypeStore, IntArray, Splits
from genotune.trainables import build_trainable
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import FitPlan

SPEC = Path(__file__).with_name("mouse_traits.yaml")
DEMO_TABLE = Path(__file__).parents[1] / "search_spaces" / "demo" / "mouse_hs1940" / "phenotypes.tsv"
DEMO_TRAITS = ("CD8", "MCH")
FURTHER_TRAITS = ("HDL", "ALP", "total_cholesterol", "body_weight", "albino")
BINARY = ("albino",)
DEFAULT_XGBOOST = {"max_depth": 3, "learning_rate": 0.3, "rounds_per_epoch": 200}
SLOWER_XGBOOST = DEFAULT_XGBOOST | {"learning_rate": 0.1}
BASELINES = ("xgboost", "gblup")
LEAST_DIFFERENCE = -0.01
LEAST_AUROC = 0.99
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Outcome(NamedTuple):
    """Scores on the outer test mice of one split, and what won.

    Attributes:
        inner: the best mean over the inner folds of each family.
        sweep_s: CPU time, user and system, of the sweep alone.
        all_s: of everything that this split took.
    """

    seed: int
    winner: float
    xgboost: float
    xgboost_slower: float
    gblup: float
    inner: str
    chosen: str
    sweep_s: float
    all_s: float


class Verdict(NamedTuple):
    """The winner of a trait beside its baselines; differences are paired, split by split.

    Attributes:
        better: the baseline with the better mean.
        differences: winner - that one.
        harsher: winner - the better one of each split, chosen when the scores are known.
    """

    trait: str
    better: str
    differences: list[float]
    harsher: list[float]
    winners: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--phenotypes", type=Path, help="a table with FID, IID and further traits of these mice")
    parser.add_argument("--traits", nargs="+", help="the demo's two, and with --phenotypes five more, if left out")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="seed of the first outer split")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.splits < 2:
        parser.error(f"--splits: found {arguments.splits}; a spread takes two at least.")
    traits = arguments.traits or [*DEMO_TRAITS, *(FURTHER_TRAITS if arguments.phenotypes else ())]
    seeds = range(arguments.first, arguments.first + arguments.splits)
    os.environ |= dict.fromkeys(ONE_THREAD, "1")  # of each job, so that CPU time is that of one core
    print(f"{SPEC.name}; {_versions()}\n{_machine()}; {arguments.jobs} jobs; outer splits {seeds[0]} to {seeds[-1]}")
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        table = join_tables(arguments.phenotypes, Path(folder) / "phenotypes.tsv", traits=traits)
        for trait in traits:
            started_s = time.perf_counter()
            with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
                outcomes = show_each(trait, pool.map(partial(one_split, trait, table), seeds))
            verdicts.append(show(trait, outcomes, took_s=time.perf_counter() - started_s))
    show_all(verdicts)


def _versions() -> str:
    names = ("genotune", "xgboost", "scikit-learn", "optuna", "numpy")
    return ", ".join([*(f"{name} {version(name)}" for name in names), f"Python {platform.python_version()}"])


def _machine() -> str:
    facts = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in facts if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} CPUs"


def join_tables(further: Path | None, joined: Path, *, traits: Sequence[str]) -> Path:
    """Where the demo's table lies with the further traits beside its columns, NA for a mouse that they lack.

    Args:
        further: a table with FID and IID; None: there is none.
        joined: is written.
        traits: that must be there.
    """
    with DEMO_TABLE.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    own = list(rows[0])
    added: list[str] = []
    if further is not None:
        with further.open() as file:
            reader = csv.DictReader(file, delimiter="\t")
            if not {"FID", "IID"} <= {*(reader.fieldnames or ())}:
                sys.exit(
                    f"{further}: no columns FID and IID, by which mice are found. Is it tab-separated, with a header?"
                )
            found = {(row["FID"], row["IID"]): row for row in reader}
        added = [name for name in reader.fieldnames or () if name not in own]
        empty = dict.fromkeys(added, "NA")
        rows = [row | {name: found.get((row["FID"], row["IID"]), empty)[name] for name in added} for row in rows]
    lacking = [trait for trait in traits if trait not in {*own, *added}]
    if lacking:
        where = further or f"{DEMO_TABLE.name} of the demo"
        sys.exit(f"{where}: no column {', '.join(lacking)}. Name a table that has it with --phenotypes.")
    with joined.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*own, *added], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return joined


def one_split(trait: str, table: Path, seed: int) -> Outcome:
    """Sweep, refit and score one outer split."""
    started_s = time.process_time()
    plan = plan_of(trait, table, seed=seed)
    sweep_started_s = time.process_time()
    trial, epoch, best = sweep_in_process(plan)
    sweep_s = time.process_time() - sweep_started_s
    outer = Fold(whole(plan.fold).train, plan.fold.validation, plan.fold.test)
    store = plan.data.read_store_here(outer).store
    tested = partial(fit_and_test, store, judge=plan.judge, fold=outer, seed=trial.seed)
    return Outcome(
        seed=seed,
        winner=tested(trial.family, trial.params, epochs=epoch),
        xgboost=tested("boosted_trees", DEFAULT_XGBOOST, epochs=1),
        xgboost_slower=tested("boosted_trees", SLOWER_XGBOOST, epochs=1),
        gblup=tested("ridge", {}, epochs=1),
        inner=" ".join(f"{family} {value:.3f}" for family, value in best.items()),
        chosen=f"{trial.family}, {_in_words({name: trial.params[name] for name in trial.picks})}, epoch {epoch}",
        sweep_s=sweep_s,
        all_s=time.process_time() - started_s,
    )


def plan_of(trait: str, table: Path, *, seed: int) -> SweepPlan:
    """The sweep of a trait whose test mice are those of an outer split, without duplicates."""
    is_binary = trait in BINARY
    changes = {
        "phenotypes: ../search_spaces/demo/mouse_hs1940/phenotypes.tsv": f"phenotypes: {table}",
        "trait: CD8": f"trait: {trait}",
        "trait_kind: quantitative": f"trait_kind: {'binary' if is_binary else 'quantitative'}",
        "metric: pearson": f"metric: {'auroc' if is_binary else 'pearson'}",
        "test: 0.2, seed: 7": f"test: 0.2, seed: {seed}",
    }
    text = SPEC.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, f"{SPEC.name}: {old!r} isn't there once"
        text = text.replace(old, new)
    plan = make_plan(read_spec(SPEC, text=text))
    return plan.without(plan.data.vet(plan.fold, plan.folds + plan.trial_folds).left_out)


def fit_and_test(
    store: GenotypeStore, family: str, params: dict[str, Any], *, judge: Judge, fold: Fold, seed: int, epochs: int
) -> float:
    """The objective on the outer test mice of a draw fitted on all outer training mice."""
    nobody: IntArray = np.empty(0, dtype=np.int64)
    trainable = build_trainable(family, params, store.columns)
    plan = FitPlan(seed, epochs)
    model = fit_prepared(trainable, store, Splits(fold.train, nobody), report=lambda _: None, plan=plan)
    return score_model(model, store, members=fold.test, judge=judge)[judge.metric]


def _in_words(params: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in params.items()
    )


def show_each(trait: str, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Print the scores of each split as soon as they are there, and give them."""
    metric = "auROC" if trait in BINARY else "Pearson"
    print(f"\n{trait}: {metric} on the outer test mice\nsplit  winner  XGBoost  (eta 0.1)  GBLUP  inner folds  chosen")
    shown = []
    for one in outcomes:
        print(
            f"{one.seed:5}  {one.winner:6.3f}  {one.xgboost:7.3f}  {one.xgboost_slower:9.3f}  {one.gblup:5.3f}  "
            f"{one.inner}  {one.chosen} (CPU {one.sweep_s:.0f} s)",
            flush=True,
        )
        shown.append(one)
    return shown


def show(trait: str, outcomes: Sequence[Outcome], *, took_s: float) -> Verdict:
    """Print what the scores of a trait come to, and give it."""
    for name in ("winner", "xgboost", "xgboost_slower", "gblup"):
        print(f"{name}: {_spread([getattr(one, name) for one in outcomes])}")
    for name in ("xgboost", "xgboost_slower", "gblup"):
        print(f"winner - {name}: {_differences([one.winner - getattr(one, name) for one in outcomes])}")
    better = max(BASELINES, key=lambda name: statistics.mean(getattr(one, name) for one in outcomes))
    harsher = [one.winner - max(one.xgboost, one.gblup) for one in outcomes]
    print(f"the better of xgboost and gblup by its mean: {better}")
    print(f"winner - the better one of each split, chosen afterwards: {_differences(harsher)}")
    sweeps_s, all_s = [one.sweep_s for one in outcomes], sum(one.all_s for one in outcomes)
    print(
        f"CPU time (user and system): a sweep {statistics.mean(sweeps_s):.0f} s, {min(sweeps_s):.0f} to "
        f"{max(sweeps_s):.0f}; with reading, refits and baselines {all_s:.0f} s in all, {took_s:.0f} s by the clock",
        flush=True,
    )
    differences = [one.winner - getattr(one, better) for one in outcomes]
    return Verdict(trait, better, differences, harsher, [one.winner for one in outcomes])


def _spread(values: Sequence[float]) -> str:
    return f"mean {statistics.mean(values):.3f}, sd {statistics.stdev(values):.3f}"


def _differences(values: Sequence[float]) -> str:
    return (
        f"mean {statistics.mean(values):+.4f}, sd {statistics.stdev(values):.4f}, "
        f"{min(values):+.3f} to {max(values):+.3f}, above 0 in {sum(value > 0 for value in values)} of {len(values)}"
    )


def show_all(verdicts: Sequence[Verdict]) -> None:
    """Print what the traits come to, and whether that is what was aimed at."""
    print(f"\nwinner - the better baseline (aim: {LEAST_DIFFERENCE} at least for each trait, above 0 for three)")
    measured = [one for one in verdicts if one.trait not in BINARY]
    for one in measured:
        mean = statistics.mean(one.differences)
        word = "reached" if mean >= LEAST_DIFFERENCE else "MISSED"
        print(f"{one.trait}: {mean:+.4f} to {one.better} ({statistics.mean(one.harsher):+.4f} to each split's): {word}")
    n_above = sum(statistics.mean(one.differences) > 0 for one in measured)
    print(f"above 0: {n_above} of {len(measured)}")
    for one in verdicts:
        if one.trait in BINARY:
            mean = statistics.mean(one.winners)
            word = "reached" if mean >= LEAST_AUROC else "MISSED"
            print(f"{one.trait}: auROC {mean:.4f}, least {min(one.winners):.4f} (aim: {LEAST_AUROC}): {word}")


if __name__ == "__main__":
    main()

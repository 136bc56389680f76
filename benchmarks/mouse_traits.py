"""Does a sweep pay on genotypes? Its winner beside untuned XGBoost and GBLUP, over outer splits that it never sees.

For each trait and each of ten outer splits by parent pair, the sweep of search_spaces/boosted_trees.yaml runs on the
outer training mice alone; it chooses its finalists by its inner validation split and the winner among them by inner
folds, all by parent pair. The winner's draw is then
fitted again on all outer training mice, for the epochs that it won with, beside XGBoost (depth 3, 200 rounds, else its
own defaults, and the same with a learning rate of 0.1) and GBLUP (REML), on the same mice and all variants that pass
the filters. Each is scored once on the outer test mice. Trials run one after the other in a process, under the sweep's
own searcher, scheduler and journal. The ranges of the search space were chosen on other splits of these mice (--first
100).

    python benchmarks/mouse_traits.py [--splits 10] [--first 0] [--traits CD8 MCH] [--jobs 2]
"""

import argparse
import contextlib
import platform
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genotune.controller import Controller, Limits
from genotune.data.source import SourcePlan
from genotune.evaluation import Candidate, choose_finalists, choose_winner, fold_mean
from genotune.genome.splits import Fold
from genotune.journal import Journal, TrialState
from genotune.judging import Judge, score_model
from genotune.plan import SweepPlan, make_plan
from genotune.spec import read_spec
from genotune.store import GenotypeStore, IntArray, Splits, Store
from genotune.trainables import build_trainable
from genotune.trainables.trainable import FitPlan
from genotune.trial import TrialSetup, fit_trial, score_draw

SPEC = Path(__file__).parents[1] / "search_spaces" / "boosted_trees.yaml"
DEFAULT_XGBOOST = {"max_depth": 3, "learning_rate": 0.3, "rounds_per_epoch": 200}
SLOWER_XGBOOST = DEFAULT_XGBOOST | {"learning_rate": 0.1}


class Outcome(NamedTuple):
    """Pearson on the outer test mice of one split, and what won."""

    seed: int
    winner: float
    xgboost: float
    xgboost_slower: float
    gblup: float
    inner: str
    chosen: str
    sweep_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="seed of the first outer split")
    parser.add_argument("--traits", nargs="+", default=["CD8", "MCH"])
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    print(f"{SPEC.name}; xgboost {version('xgboost')}, numpy {version('numpy')}, {platform.machine()}", flush=True)
    seeds = range(arguments.first, arguments.first + arguments.splits)
    for trait in arguments.traits:
        with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
            outcomes = list(pool.map(partial(one_split, trait), seeds))
        show(trait, outcomes)


def show(trait: str, outcomes: list[Outcome]) -> None:
    print(f"\n{trait}: Pearson on the outer test mice\nsplit  winner  XGBoost  (eta 0.1)  GBLUP  inner folds  chosen")
    for one in outcomes:
        print(
            f"{one.seed:5}  {one.winner:6.3f}  {one.xgboost:7.3f}  {one.xgboost_slower:9.3f}  {one.gblup:5.3f}  "
            f"{one.inner}  {one.chosen} ({one.sweep_s:.0f} s)"
        )
    for name in ("winner", "xgboost", "xgboost_slower", "gblup"):
        values = [getattr(one, name) for one in outcomes]
        print(f"{name}: mean {statistics.mean(values):.3f}, sd {statistics.stdev(values):.3f}")
    for name in ("xgboost", "xgboost_slower", "gblup"):
        differences = [one.winner - getattr(one, name) for one in outcomes]
        print(
            f"winner - {name}: mean {statistics.mean(differences):+.4f}, sd {statistics.stdev(differences):.4f}, "
            f"{min(differences):+.3f} to {max(differences):+.3f}",
            flush=True,
        )


def one_split(trait: str, seed: int) -> Outcome:
    """Sweep, refit and score one outer split."""
    text = (
        SPEC.read_text()
        .replace("trait: CD8", f"trait: {trait}")
        .replace("test: 0.2, seed: 7", f"test: 0.2, seed: {seed}")
    )
    assert f"trait: {trait}" in text
    assert f"seed: {seed}}}" in text
    plan = make_plan(read_spec(SPEC, text=text))
    started_s = time.perf_counter()
    winner, epoch, best = sweep_here(plan)
    took_s = time.perf_counter() - started_s
    outer = Fold(np.sort(np.concatenate([plan.fold.train, plan.fold.validation])), plan.fold.validation, plan.fold.test)
    store = plan.data.read_store_here(outer).store
    tested = partial(fit_and_test, fold=outer, seed=winner.seed)
    everything = all_variants(plan.data, outer)
    return Outcome(
        seed=seed,
        winner=tested(store, winner.family, winner.params, epochs=epoch),
        xgboost=tested(everything, "boosted_trees", DEFAULT_XGBOOST, epochs=1),
        xgboost_slower=tested(everything, "boosted_trees", SLOWER_XGBOOST, epochs=1),
        gblup=tested(everything, "ridge", {}, epochs=1),
        inner=" ".join(f"{family} {value:.3f}" for family, value in best.items()),
        chosen=", ".join([winner.family, *(in_words(name, winner.params[name]) for name in winner.picks), str(epoch)]),
        sweep_s=took_s,
    )


def all_variants(data: SourcePlan, fold: Fold) -> Store:
    """The store with every variant that passes the filters."""
    settings = data.settings.model_copy(update={"keep_variants": None})
    return settings.plan(SPEC.parent).read_store_here(fold).store


def in_words(name: str, value: object) -> str:
    return f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"


def sweep_here(plan: SweepPlan) -> tuple[TrialState, int, dict[str, float]]:
    """The winner, its epoch, and the best mean over folds of each family; the outer test mice are not looked at."""
    settings, judge = plan.spec.settings, plan.judge
    store = plan.data.read_store_here(plan.fold).store
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder)) as journal:
        journal.append("sweep_started")
        controller = Controller(
            journal,
            searcher=settings.search.build(plan.spec.space, judge.direction),
            scheduler=settings.scheduler.build(
                judge.direction, own_epochs={name: family.max_epochs for name, family in plan.families.items()}
            ),
            limits=Limits(settings.budget.trials),
            seed=settings.search.seed,
        )
        setup = TrialSetup(plan.trial_splits, judge, Path(folder), 1, 1, 3600.0, False)
        while not isinstance(task := controller.next_task(), str):
            run_trial(controller, task, store, setup=setup, max_epochs=plan.families[task.family].max_epochs)
        compare_finalists(plan, journal)
        winner = choose_winner(journal.state, Path(folder), judge)
        assert winner is not None
        best = {
            family: max(
                fold_mean(journal.state, Candidate(trial, 0, 0.0, ""), judge)
                for trial in journal.state.folds
                if journal.state.trials[trial].family == family
            )
            for family in plan.spec.space
        }
        return journal.state.trials[winner.trial], winner.epoch, best


def compare_finalists(plan: SweepPlan, journal: Journal) -> None:
    """As the sweep does it, one fit after the other."""
    per_family = plan.spec.settings.evaluation.finalists
    finalists = choose_finalists(journal.state, journal.path.parent, plan.judge, per_family=per_family)
    for index, fold in enumerate(plan.folds):
        store = plan.data.read_store_here(fold).store
        for one in finalists:
            trial = journal.state.trials[one.trial]
            metrics = score_draw(
                {"family": trial.family, "params": trial.params, "epoch": one.epoch},
                store,
                splits=Splits(fold.train, fold.validation),
                judge=plan.judge,
                plan=FitPlan(trial.seed, plan.families[trial.family].max_epochs),
            )
            journal.append(
                "fold_scored", trial=one.trial, epoch=one.epoch, fold=index, n_folds=len(plan.folds), metrics=metrics
            )


class StoppedError(Exception):
    """The scheduler has stopped the trial."""


def run_trial(controller: Controller, task: Any, store: Store, *, setup: TrialSetup, max_epochs: int) -> None:
    def send(report: Any) -> None:
        action = controller.report(
            task.trial, report.epoch, value=report.value, metrics=report.metrics, checkpoint=report.checkpoint
        )
        if action == "stop":
            raise StoppedError

    controller.started(task.trial, device="cpu")
    with contextlib.suppress(StoppedError):
        fit_trial(task._asdict(), store, setup=setup, plan=FitPlan(task.seed, max_epochs), send=send)
    controller.ended(task.trial)


def fit_and_test(
    store: GenotypeStore, family: str, params: dict[str, Any], *, fold: Fold, seed: int, epochs: int
) -> float:
    """Pearson on the outer test mice of a draw fitted on all outer training mice."""
    nobody: IntArray = np.empty(0, dtype=np.int64)
    trainable = build_trainable(family, params, store.columns)
    model = trainable.fit(store, Splits(fold.train, nobody), report=lambda _: None, plan=FitPlan(seed, epochs))
    return score_model(model, store, members=fold.test, judge=Judge("pearson", store.kind))["pearson"]


if __name__ == "__main__":
    main()

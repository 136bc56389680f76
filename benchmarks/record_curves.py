"""Record the learning curves of a space: each of its configurations fitted to the last epoch, for scheduler_replay.py.

The configurations are those that the spec's search proposes. Each is judged on validation at every epoch as a trial of
a sweep is; the test split isn't touched. A configuration is a row of the table as soon as it is fitted: the script may
be ended at any moment, and goes on from there when it is started again.

    python benchmarks/record_curves.py benchmarks/replay/mouse_trees.yaml
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

from genotune.controller import trial_seed
from genotune.judging import lesson_of, validate
from genotune.plan import SweepPlan, make_plan
from genotune.spec import read_spec
from genotune.store import Store
from genotune.trainables import build_trainable
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import FitError, FitPlan, Progress
from genotune.trial import NotFiniteError, check_finite
from genotune.tuning.space import Draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("spec", type=Path, help="its search proposes, its scheduler says how many epochs")
    parser.add_argument("--threads", type=int, default=1, help="CPUs of a fit")
    arguments = parser.parse_args()
    table = arguments.spec.with_suffix(".tsv")
    plan = make_plan(read_spec(arguments.spec))
    [(family, forecast)] = plan.families.items()
    n_there = _start(table, forecast.max_epochs)
    settings = plan.spec.settings
    store = plan.data.read_store_here(plan.fold).store
    searcher = settings.search.build(plan.spec.space, plan.judge.direction)
    for number in range(settings.budget.trials):
        draw = searcher.ask()
        assert draw is not None, "the space has fewer configurations than budget.trials"
        if number < n_there:
            continue
        seed = trial_seed(settings.search.seed, number)
        started_s = time.perf_counter()
        fit_plan = FitPlan(seed, forecast.max_epochs, n_threads=arguments.threads)
        curve = _fit(plan, store, draw, fit_plan)
        seconds = time.perf_counter() - started_s
        values = [f"{value:.5f}" if math.isfinite(value) else "nan" for value in curve]
        values += ["nan"] * (forecast.max_epochs - len(curve))  # it diverged
        _write(table, [str(number), json.dumps(draw.picks), f"{seconds:.1f}", *values])
        print(f"{family} {number}: {len(curve)} epochs in {seconds:.0f} s, last {values[-1]}", flush=True)


def _fit(plan: SweepPlan, store: Store, draw: Draw, fit_plan: FitPlan) -> list[float]:
    """The objective at the end of each epoch, up to the last or to a divergence."""
    curve: list[float] = []

    def report(progress: Progress) -> float:
        check_finite(progress)
        value = validate(progress.model, store, splits=plan.trial_splits, judge=plan.judge)[plan.judge.metric]
        curve.append(value)
        return plan.judge.higher_is_better(value)

    trainable = build_trainable(draw.family, draw.params, store.columns)
    lesson = lesson_of(store, plan.trial_splits)
    try:
        fit_prepared(trainable, lesson.store, lesson.splits, report=report, plan=fit_plan, resume=None)
    except (NotFiniteError, FitError) as error:
        print(f"gives up: {error}", flush=True)
    return curve


def _start(table: Path, n_epochs: int) -> int:
    """How many configurations the table has; a row that a death left half written is cut off."""
    if not table.exists():
        _write(table, ["number", "picks", "seconds", *(f"epoch_{epoch}" for epoch in range(1, n_epochs + 1))])
    content = table.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    os.truncate(table, len(whole))
    return whole.count(b"\n") - 1


def _write(table: Path, cells: list[str]) -> None:
    with table.open("a") as file:
        file.write("\t".join(cells) + "\n")


if __name__ == "__main__":
    main()

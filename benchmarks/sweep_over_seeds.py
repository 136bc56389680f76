"""How good is the best trial of a sweep, from seed to seed? The test split is not touched.

Runs the sweep of a search-space file up to the choice of its winner, once for each seed, with the budget in trials and
epochs alone, and prints the winner's objective on validation. Run on two files (or on two versions of genotune) it says
which of them finds the better model.

    python benchmarks/sweep_over_seeds.py search_spaces/cnn.yaml --seeds 7 8 9
"""

import argparse
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from genotune import stages
from genotune.evaluation import choose_winner
from genotune.facts import sweep_facts
from genotune.journal import Journal
from genotune.plan import make_plan
from genotune.ray_session import ray_session
from genotune.spec import read_spec


class Silence:
    """A face that says nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def sweep(spec_file: Path, seed: int, folder: Path) -> tuple[float, str]:
    """The winner's objective on validation, and a line about the sweep."""
    values = yaml.safe_load(spec_file.read_text())
    values["search"]["seed"] = seed
    values["budget"].pop("hours", None)
    plan = make_plan(read_spec(spec_file, text=yaml.safe_dump(values)))
    journal, started_s = Journal(folder), time.monotonic()
    journal.append("sweep_started", **sweep_facts(plan, folder.name))
    with ray_session(None):
        store, _ = stages.shared_store(plan, Silence())
        stages.sweep(plan, journal, store, ray_goes_on=False, face=Silence())
    winner = choose_winner(journal.state, folder / "trials", plan.judge)
    assert winner is not None
    trials = journal.state.trials
    n_epochs = sum(max(trial.curve, default=0) for trial in trials.values())
    journal.close()
    facts = f"{len(trials)} trials, {n_epochs} epochs, {time.monotonic() - started_s:.0f} s"
    return winner.value, f"{plan.judge.metric} {winner.value:.4f}; {facts}; {trials[winner.trial].params}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("spec", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    arguments = parser.parse_args()
    found = []
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory(prefix="seeds-") as folder:
            value, line = sweep(arguments.spec, seed, Path(folder))
        found.append(value)
        print(f"seed {seed}: {line}", flush=True)
    spread = f" +- {statistics.stdev(found):.4f}" if len(found) > 1 else ""
    print(
        f"{arguments.spec}: mean {statistics.mean(found):.4f}{spread}; torch {version('torch')}, ray {version('ray')}"
    )


if __name__ == "__main__":
    main()

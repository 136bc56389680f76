"""Was tuning worth it? A sweep's winner beside the same network with its default settings, and k-mer ridge.

The defaults are trained for the full number of epochs with three seeds, on the sweep's own training contigs, and judged
as its trials are: on its validation bins, by the best epoch. The test contigs are not touched.

    python benchmarks/cnn_against_defaults.py SWEEP_FOLDER
"""

import argparse
import platform
import statistics
import tempfile
from importlib.metadata import version
from pathlib import Path

from genotune.evaluation import fit_baseline
from genotune.journal import read_state
from genotune.judging import score_model
from genotune.plan import make_plan
from genotune.spec import read_spec
from genotune.trainables.trainable import FitPlan
from genotune.trial import TrialSetup, fit_trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sweep", type=Path, help="a finished sweep's folder, .genotune/sweeps/...")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    state = read_state(arguments.sweep)
    spec = read_spec(Path(state.facts["spec_path"]), text=(arguments.sweep / "spec.yaml").read_text())
    plan = make_plan(spec)
    store = plan.data.read_store_here(plan.fold).store
    judge = plan.judge
    n_epochs = plan.families["poisson_cnn"].max_epochs
    values = []
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            setup = TrialSetup(plan.trial_splits, judge, Path(folder), 1, 1, 3600.0, False)
            reports = []
            task = {"trial": seed, "family": "poisson_cnn", "params": {}}
            fit_trial(task, store, setup=setup, plan=FitPlan(seed, n_epochs), send=reports.append)
        values.append(max(report.value for report in reports))
        print(f"defaults, seed {seed}: {values[-1]:.4f} (last epoch {reports[-1].value:.4f})", flush=True)
    ridge = score_model(
        fit_baseline(store, plan.trial_splits, seed=0), store, members=plan.fold.validation, judge=judge
    )
    winner, best = state.winner["value"], max(values)
    where = f"validation {plan.data.name_split(plan.fold.validation)}, {judge.bin_bp}-bp bins, {judge.metric}"
    print(f"{where}; torch {version('torch')}, {platform.machine()}")
    print(f"winner of {len(state.trials)} trials: {winner:.4f}")
    print(
        f"defaults, {n_epochs} epochs, {len(values)} seeds: mean {statistics.mean(values):.4f}, "
        f"{min(values):.4f} to {best:.4f}; the winner is {winner - best:+.4f} from the best of them"
    )
    print(f"k-mer ridge: {ridge[judge.metric]:.4f}; the winner is {winner - ridge[judge.metric]:+.4f} from it")


if __name__ == "__main__":
    main()

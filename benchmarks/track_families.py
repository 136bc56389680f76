"""k-mer ridge, boosted trees and CNN on the same bins: the best trial of each family in a finished sweep.

Each family's best trial on validation is scored on whole contigs, in bins of 32 and of 128 bp: Pearson of counts and of
log1p counts, and the share of the Poisson deviance that is explained. Every bin is counted once, and is the same for
all.

    python benchmarks/track_families.py .genotune/sweeps/yeast-atac-compare-...          # on validation
    python benchmarks/track_families.py .genotune/sweeps/yeast-atac-compare-... --test   # at the very end, once
"""

import argparse
from importlib.metadata import version
from pathlib import Path

from genotune.evaluation import candidates
from genotune.journal import read_state
from genotune.judging import Judge, score_model
from genotune.plan import make_plan
from genotune.spec import read_spec
from genotune.trainables import load_model

WIDTHS_BP = (32, 128)
METRICS = ("pearson", "pearson_log1p", "poisson_deviance_explained")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sweep", type=Path, help="a finished sweep's folder, .genotune/sweeps/...")
    parser.add_argument("--test", action="store_true", help="score the test contigs instead of validation")
    arguments = parser.parse_args()
    state = read_state(arguments.sweep)
    spec = read_spec(Path(state.facts["spec_path"]), text=(arguments.sweep / "spec.yaml").read_text())
    plan = make_plan(spec)
    store = plan.data.read_store_here(plan.fold).store
    best = {}
    for one in candidates(state, arguments.sweep / "trials", plan.judge):
        best.setdefault(state.trials[one.trial].family, one)
    members = plan.fold.test if arguments.test else plan.fold.validation
    print(f"{'test' if arguments.test else 'validation'}: {plan.data.name_split(members)}")
    print(f"torch {version('torch')}, xgboost {version('xgboost')}; sweep {arguments.sweep.name}")
    header = " ".join(f"{name}@{width}".rjust(30) for width in WIDTHS_BP for name in METRICS)
    print(f"{'family (trial, epoch)':32} {header}")
    for family, one in best.items():
        model = load_model(arguments.sweep / "trials" / one.checkpoint / "model", trust_code=True)
        values = []
        for width in WIDTHS_BP:
            scores = score_model(model, store, members=members, judge=Judge("pearson", "signal", width))
            values += [scores[name] for name in METRICS]
        row = " ".join(f"{value:30.4f}" for value in values)
        print(f"{f'{family} ({one.trial}, {one.epoch})':32} {row}", flush=True)


if __name__ == "__main__":
    main()

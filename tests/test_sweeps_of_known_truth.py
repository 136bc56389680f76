"""Whole sweeps whose right answer is known: causal variants come first, and where there is nothing, nothing is found.

All seeds were chosen before any score was seen: 1 for cohorts, splits and searches, 2 for permuted traits, 0 for the
bootstrap. Samples of a family are drawn together in it, since they aren't independent.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from data.plink_builders import default_bim, write_fileset

from genotune.journal import read_state
from genotune.metrics import METRICS
from sweeps import sweep_folder

pytestmark = pytest.mark.slow

CHANCE = {"pearson": 0.0, "auroc": 0.5}
DEMO = Path(__file__).parents[1] / "search_spaces" / "demo" / "mouse_hs1940"
N, V = 600, 120
EFFECTS = {7: 1.0, 23: -0.95, 41: 0.9, 66: -0.85, 90: 0.8}
"""By variant; the other 115 do nothing."""

MODELS = """\
models:
  - family: boosted_trees
    params:
      rounds_per_epoch: 20
      max_depth: {int: [1, 3]}
      learning_rate: {log_uniform: [0.05, 0.3]}
      prepare: {max_p: {choice: [null, 0.2]}, rank_by: association, impute: {choice: [none, mean]}}
  - family: ridge
    params: {prepare: {components: {choice: [0, 2]}}}
  - family: elastic_net
    params: {penalty: {log_uniform: [0.05, 0.5]}, l1_ratio: {uniform: [0.5, 1]}}
"""
SPEC = """\
name: people
data:
  kind: plink
  genotypes: people.bed
  phenotypes: people.tsv
  trait: {trait}
  covariates: [age]
split: {{by: family, validation: 0.25, test: 0.25, seed: 1}}
{models}search: {{kind: tpe, seed: 1}}
scheduler: {{kind: asha, max_epochs: 4, reduction_factor: 2}}
objective: {{metric: {metric}}}
budget: {{trials: 9}}
evaluation: {{predictions: true}}
"""
MALE = f"""\
name: male
data:
  kind: plink
  genotypes: {DEMO}/mouse_hs1940.bed
  phenotypes: {DEMO}/phenotypes.tsv
  trait: male
  drop_duplicates: true
split: {{by: column, column: [sire, dam], validation: 0.2, test: 0.2, seed: 1}}
models:
  - family: boosted_trees
    params: {{rounds_per_epoch: 20, n_variants: 2000, max_depth: {{int: [2, 3]}}, colsample_bytree: 0.3}}
  - family: ridge
    params: {{n_variants: {{choice: [1000, 4000]}}}}
search: {{kind: random, seed: 1}}
scheduler: {{kind: none, max_epochs: 3}}
budget: {{trials: 4}}
evaluation: {{predictions: true}}
"""


@pytest.fixture
def people(tmp_path):
    """Families of two; their trait, and the same dealt out anew, as a number and as one of two classes."""
    rng = np.random.default_rng(1)
    dosage = rng.binomial(2, rng.uniform(0.25, 0.5, V), (N, V)).astype(np.int8)
    age = rng.normal(50, 10, N)
    genetic = dosage[:, [*EFFECTS]] @ np.array([*EFFECTS.values()])
    weight = genetic + 0.02 * age + rng.normal(scale=0.8 * genetic.std(), size=N)
    dealt = np.random.default_rng(2).permutation(weight)
    dosage[rng.random(dosage.shape) < 0.01] = -1
    write_fileset(tmp_path, "people", dosage, bim=default_bim(V))
    table = pd.DataFrame(
        {
            "FID": [f"F{i // 2}" for i in range(N)],
            "IID": [f"I{i}" for i in range(N)],
            "age": age,
            "weight": weight,
            "dealt_weight": dealt,
            "dealt_case": (dealt > np.quantile(dealt, 0.6)).astype(int),
        }
    )
    table.to_csv(tmp_path / "people.tsv", sep="\t", index=False)
    return table


def swept(genotune, tmp_path, text):
    """What a sweep came to, and its predictions of the test samples."""
    (tmp_path / "sweep.yaml").write_text(text)
    result = genotune("run", tmp_path / "sweep.yaml", timeout_s=280)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    predictions = pd.read_csv(folder / "predictions.tsv", sep="\t")
    return read_state(folder), predictions[predictions["split"] == "test"], folder


def interval(predictions, groups, *, metric):
    """The 95 % interval of a metric by 2,000 draws of whole groups, with replacement."""
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    told = "predicted=1" if "predicted=1" in predictions else "predicted"  # of classes the probability, not the label
    observed, predicted = (predictions[name].to_numpy(dtype=float) for name in ("observed", told))
    assert np.ptp(predicted) > 0
    scores = []
    for _ in range(2000):
        drawn = np.concatenate([members[group] for group in rng.integers(0, len(members), len(members))])
        scores.append(METRICS[metric].compute(observed[drawn], predicted[drawn]))
    return np.quantile(scores, [0.025, 0.975])


def test_the_causal_variants_come_first_and_the_least_error_wins(genotune, people, tmp_path):
    state, predictions, folder = swept(genotune, tmp_path, SPEC.format(trait="weight", metric="mse", models=MODELS))
    table = pd.read_csv(folder / "importance.tsv", sep="\t")
    variants = table[table["kind"] == "variant"]
    assert {*variants["id"][: len(EFFECTS)]} == {f"rs{variant}" for variant in EFFECTS}
    best = min(value for trial in state.trials.values() for value in trial.curve.values())
    assert state.winner["value"] == pytest.approx(best)
    assert len({trial.family for trial in state.trials.values()}) == 3
    low, _ = interval(predictions, predictions["FID"].to_numpy(), metric="pearson")
    assert low > 0.4, "a trait of which genes make 60 %"


@pytest.mark.parametrize(("trait", "metric"), [("dealt_weight", "pearson"), ("dealt_case", "auroc")])
def test_a_trait_that_was_dealt_out_anew_is_not_told_better_than_by_chance(genotune, people, tmp_path, trait, metric):
    state, predictions, _ = swept(genotune, tmp_path, SPEC.format(trait=trait, metric=metric, models=MODELS))
    low, high = interval(predictions, predictions["FID"].to_numpy(), metric=metric)
    assert low <= CHANCE[metric] <= high
    assert low <= state.scores["winner"][metric] <= high


def test_autosomes_do_not_tell_the_sex_of_a_mouse(genotune, tmp_path):
    state, predictions, _ = swept(genotune, tmp_path, MALE)
    mice = pd.read_csv(DEMO / "phenotypes.tsv", sep="\t", usecols=["IID", "sire", "dam"])
    joined = predictions.merge(mice, on="IID", validate="one_to_one")
    assert len(joined) == len(predictions) > 200
    low, high = interval(joined, (joined["sire"] + " " + joined["dam"]).to_numpy(), metric="auroc")
    assert low <= 0.5
    assert low <= state.scores["winner"]["auroc"] <= high

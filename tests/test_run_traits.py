"""A whole sweep on two traits: one winner, its scores by trait in the record, and a prediction of each."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from data.plink_builders import write_fileset

from builders import clean_environment, rows
from genotune.journal import read_state
from genotune.plan import make_plan
from genotune.spec import read_spec
from sweeps import assert_record_is_complete, sweep_folder

SPEC = """\
name: mice
data:
  kind: plink
  genotypes: mice.bed
  phenotypes: mice.tsv
  trait: [{traits}]
  covariates: [age]
  filters: {{min_maf: 0.05, min_call_rate: 0.9}}
  keep_variants: 30
split: {{by: column, column: litter, validation: 0.25, test: 0.25, seed: 1}}
models:
  - family: boosted_trees
    params: {{rounds_per_epoch: 10, max_depth: {{int: [1, 2]}}, subsample: 0.8}}
  - family: ridge
    params: {{n_variants: {{choice: [10, null]}}}}
  - family: genotype_cnn
    params: {{channels: 4, n_blocks: 1}}
search: {{kind: random, seed: 3}}
scheduler: {{kind: asha, max_epochs: 2, reduction_factor: 2}}
budget: {{trials: 6}}
evaluation: {{folds: 3, finalists: 1, refit: true, predictions: true}}
trials: {{concurrent: 1}}
"""

PREDICT = """
import sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/mice@best")
found = model.predict(pd.read_csv(sys.argv[2], sep="\\t"))
assert list(found.columns) == model.metadata.signature.outputs.input_names(), found.columns
found.to_csv(sys.argv[3], sep="\\t", index=False)
"""


@pytest.fixture
def mice(tmp_path):
    """240 mice in litters of four; four variants decide one trait and four the other, some mice lack one of them."""
    rng = np.random.default_rng(5)
    dosage = rng.binomial(2, rng.uniform(0.2, 0.5, 60), (240, 60)).astype(np.int8)
    age = rng.normal(size=240)
    effects = np.array([1.0, -0.8, 0.7, 0.6])
    values = [dosage[:, first : first + 4] @ effects + 0.5 * age + rng.normal(scale=0.7, size=240) for first in (0, 4)]
    write_fileset(tmp_path, "mice", dosage)
    table = pd.DataFrame(
        {
            "FID": [f"F{i // 2}" for i in range(240)],
            "IID": [f"I{i}" for i in range(240)],
            "litter": [f"L{i // 4}" for i in range(240)],
            "age": age,
            "weight": values[0],
            "length": values[1] * 30 + 400,
            "heavy": np.where(values[0] > np.median(values[0]), 2, 1),
            "long": np.where(values[1] > np.median(values[1]), "yes", "no"),
        }
    ).astype({"heavy": object})
    table.loc[:30, ["weight", "heavy"]] = np.nan
    table.loc[200:, ["length", "long"]] = np.nan
    table.to_csv(tmp_path / "mice.tsv", sep="\t", index=False, na_rep="NA")
    return table


@pytest.mark.parametrize(("traits", "metric"), [(["weight", "length"], "pearson"), (["heavy", "long"], "auroc")])
def test_a_sweep_on_two_traits_ends_with_one_winner_that_predicts_both(genotune, mice, tmp_path, traits, metric):
    spec = tmp_path / "mice.yaml"
    text = SPEC.format(traits=", ".join(traits))
    spec.write_text(text if metric == "pearson" else text.replace("  covariates", "  trait_kind: binary\n  covariates"))
    checked = genotune("check", spec)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for trait in traits:
        assert f" {trait} " in checked.stdout
    result = genotune("run", spec)
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(sweep_folder(tmp_path))
    assert state.status == "complete"
    assert {trial.status for trial in state.trials.values()} <= {"complete", "stopped"}
    assert {*state.scores} == {"winner", "ridge", "covariates_only"}
    for scores in (*state.scores.values(), *state.baselines.values()):
        own = [scores[f"{metric}/{trait}"] for trait in traits]
        assert scores[metric] == pytest.approx(np.mean(own))
    assert "test by trait, GBLUP's beside it: " in result.stdout
    assert_record_is_complete(tmp_path, state)
    keys = {key for (key,) in rows(tmp_path / ".genotune" / "mlflow.db", "select distinct key from metrics")}
    assert {f"{split}.{metric}/{trait}" for split in ("validation", "test") for trait in traits} <= keys
    assert_tables_tell_of_each_trait(tmp_path, state, result.stdout, traits=traits)
    assert_cohort_is_predicted(genotune, spec, tmp_path, state, traits=traits, metric=metric)
    assert genotune("resume", sweep_folder(tmp_path).name).returncode == 0
    assert read_state(sweep_folder(tmp_path)).scores == state.scores


def assert_tables_tell_of_each_trait(tmp_path, state, told, *, traits):
    folder, family = sweep_folder(tmp_path), state.trials[state.winner["trial"]].family
    predictions = pd.read_csv(folder / "predictions.tsv", sep="\t")
    assert [*predictions["trait"].unique()] == traits
    assert {*predictions["split"]} == {"validation", "test"}
    is_binary = "heavy" in traits
    assert (folder / "calibration.tsv").exists() == is_binary
    if is_binary:
        calibration = pd.read_csv(folder / "calibration.tsv", sep="\t")
        counts = calibration.groupby(["split", "trait"])["n"].sum()
        assert counts.to_dict() == predictions.groupby(["split", "trait"]).size().to_dict()
        assert all(f"calibration of {trait} on test: Brier score" in told for trait in traits)
    assert family != "genotype_cnn", "or there is no table of importance"
    importance = pd.read_csv(folder / "importance.tsv", sep="\t")
    for trait, first in zip(traits, (0, 4), strict=True):
        top = importance[(importance["trait"] == trait) & (importance["kind"] == "variant")]["id"][:4]
        assert {*top} == {f"rs{index}" for index in range(first, first + 4)}, "they decide the trait"
        assert f"most important for {trait}: rs" in told


def assert_cohort_is_predicted(genotune, spec, tmp_path, state, *, traits, metric):
    """By `genotune predict` and by MLflow alone, as good on the test mice as the record says."""
    done = genotune("predict", "mice", "mice.bed", "--samples", "mice.tsv", "--out", "p.tsv")
    assert done.returncode == 0, done.stdout + done.stderr
    found = pd.read_csv(tmp_path / "p.tsv", sep="\t").set_index("IID")
    names = {"weight": "weight", "length": "length", "heavy": "heavy=2", "long": "long=yes"}
    assert [*found.columns] == ["FID", *(names[trait] for trait in traits)]
    # The winner was fitted once more, on other samples, and so perhaps on other variants than trials were.
    plan = make_plan(read_spec(spec, text=spec.read_text().replace("keep_variants: 30", "keep_variants: null")))
    store = plan.data.read_store_here(plan.fold).store
    table = pd.DataFrame(store.dosage, columns=list(store.variants.names)).assign(age=store.covariates[:, 0])
    table.to_csv(tmp_path / "mice.raw", sep="\t", index=False)
    uri = f"sqlite:///{tmp_path / '.genotune' / 'mlflow.db'}"
    command = [sys.executable, "-W", "ignore", "-c", PREDICT, uri, str(tmp_path / "mice.raw"), str(tmp_path / "m.tsv")]
    result = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    by_mlflow = pd.read_csv(tmp_path / "m.tsv", sep="\t")
    for one in store.each:
        members = one.known(plan.fold.test)
        predicted = found.loc[one.samples[members, 1], names[one.trait]].to_numpy()
        np.testing.assert_allclose(by_mlflow[names[one.trait]].to_numpy()[members], predicted, rtol=1e-4, atol=1e-5)
        observed = one.phenotype[members]
        if metric == "pearson":
            measured = np.corrcoef(observed, predicted)[0, 1]
        else:
            measured = np.mean(predicted[observed == 1][:, None] > predicted[observed == 0])
        assert measured == pytest.approx(state.scores["winner"][f"{metric}/{one.trait}"], abs=1e-4)
        assert measured > 0.5

"""What leaves a sweep on genotypes: in MLflow and in a saved model there is no sample's ID and no phenotype of one."""

import numpy as np
import pandas as pd
import pytest
from data.plink_builders import default_bim, write_fileset

from genotune.journal import read_state
from genotune.store import GenotypeStore
from genotune.trainables import build_trainable, load_model
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes, split_samples, with_tables
from sweeps import sweep_folder

N = 160

SPEC = """\
name: people
data:
  kind: plink
  genotypes: people.bed
  phenotypes: people.tsv
  trait: weight
  covariates: [age]
split: {by: family, validation: 0.25, test: 0.25, seed: 1}
models:
  - family: ridge
    params: {prepare: {components: 2, impute: mean}}
  - family: boosted_trees
    params: {rounds_per_epoch: 40, max_depth: 6, learning_rate: 0.5, min_child_weight: 0.1}
search: {kind: random, seed: 3}
scheduler: {kind: none, max_epochs: 1}
budget: {trials: 2}
evaluation: {predictions: true, folds: 2, finalists: 1, refit: true}
trials: {concurrent: 1}
"""
FAMILIES = {
    "ridge": {"prepare": {"components": 2, "impute": "mean"}},
    "boosted_trees": {"rounds_per_epoch": 40, "max_depth": 6, "learning_rate": 0.5, "min_child_weight": 0.1},
    "elastic_net": {"penalty": 0.01},
    "genotype_cnn": {"channels": 4, "n_blocks": 1},
    "covariates_only": {},
}


NOTHING = {("boosted_trees", "binary")}
"""Where no value is looked for."""


def secrets(ids, values):
    """The bytes by which an ID or a value would be known, as text and as numbers of either size and order."""
    known = [text.encode() for text in ids]
    for value in values:
        known += [f"{value:.{digits}g}".encode() for digits in (7, 10, 17)]
        known += [np.array(value, dtype=kind).tobytes() for kind in ("<f8", ">f8", "<f4", ">f4")]
    return known


def leaks(path, known):
    """Which of them a file holds, in its name or its bytes; nothing that would hide them is packed."""
    content = str(path).encode() + path.read_bytes()
    assert content[:2] not in (b"PK", b"\x1f\x8b", b"BZ"), f"{path} is packed"
    return [secret for secret in known if secret in content]


def files_under(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def people(tmp_path):
    """Families of two whose IDs and values are like nothing else."""
    rng = np.random.default_rng(5)
    dosage = rng.binomial(2, rng.uniform(0.2, 0.5, 30), (N, 30)).astype(np.int8)
    table = pd.DataFrame(
        {
            "FID": [f"Qfam{7919 * (i // 2 + 1)}" for i in range(N)],
            "IID": [f"Zind{104729 * (i + 1)}" for i in range(N)],
            "weight": dosage[:, :3] @ np.array([1.0, -0.8, 0.7]) + rng.normal(scale=0.7, size=N),
            "age": rng.normal(50, 10, N),
        }
    )
    fam = [(row.FID, row.IID, 0, 0, 1, -9) for row in table.itertuples()]
    write_fileset(tmp_path, "people", dosage, fam=fam, bim=default_bim(30))
    table.to_csv(tmp_path / "people.tsv", sep="\t", index=False)
    (tmp_path / "people.yaml").write_text(SPEC)
    return table


@pytest.mark.slow
def test_a_sweep_takes_no_id_and_no_phenotype_of_a_sample_to_mlflow(genotune, people, tmp_path):
    result = genotune("run", tmp_path / "people.yaml")
    assert result.returncode == 0, result.stdout + result.stderr
    known = secrets([*people["FID"], *people["IID"]], people["weight"])
    workspace, folder = tmp_path / ".genotune", sweep_folder(tmp_path)
    artifacts = files_under(workspace / "artifacts")
    names = {path.name for path in artifacts}
    assert {"importance.tsv", "quality.tsv", "MLmodel", "input_example.json", "model.json", "spec.yaml"} <= names
    assert "predictions.tsv" not in names
    found = {str(path): leaks(path, known) for path in [*artifacts, workspace / "mlflow.db", folder / "journal.jsonl"]}
    assert {path: leaked for path, leaked in found.items() if leaked} == {}
    told = result.stdout.encode() + (folder / "driver.log").read_bytes()
    assert not [secret for secret in known if secret in told]

    predictions = pd.read_csv(folder / "predictions.tsv", sep="\t")
    assert list(predictions.columns) == ["FID", "IID", "split", "observed", "predicted"]
    assert len(leaks(folder / "predictions.tsv", known)) > 80, "what is looked for would be found"
    state = read_state(folder)
    splits = state.facts["data"]["splits"]
    assert predictions["split"].value_counts().to_dict() == {
        name: splits[name]["n_samples"] for name in ("validation", "test")
    }
    joined = predictions.merge(people, on=["FID", "IID"], validate="one_to_one")
    assert len(joined) == len(predictions)
    np.testing.assert_allclose(joined["observed"], joined["weight"], rtol=1e-9)
    of_test = predictions[predictions["split"] == "test"]
    measured = np.corrcoef(of_test["observed"], of_test["predicted"])[0, 1]
    assert measured == pytest.approx(state.scores["winner"]["pearson"], abs=1e-5)


@pytest.mark.parametrize(
    ("family", "kind"),
    [(family, kind) for family in FAMILIES for kind in ("quantitative", "binary") if (family, kind) not in NOTHING],
)
def test_a_saved_model_holds_no_phenotype_of_a_sample(family, kind, tmp_path):
    store = build_genotypes(200, 30, kind=kind, covariates=1, missing=0.02)
    splits = split_samples(store)
    trainable = build_trainable(family, FAMILIES[family], GenotypeStore.columns)
    plan = FitPlan(seed=1, max_epochs=1)
    fit_prepared(trainable, store, splits, report=lambda _: None, plan=plan).save(tmp_path)
    (tmp_path / "importance.tsv").write_text(text_of(load_model(tmp_path).importance()))
    # A count or a class is a small whole number: it is anywhere, and tells of nobody.
    values = [*store.phenotype] if kind == "quantitative" else []
    if family != "boosted_trees":  # whose thresholds are values of covariates that occurred; XGBoost bins so
        values += [*store.covariates[:, 0].astype(float)]
    known = secrets([], values)
    assert {path.name: leaks(path, known) for path in files_under(tmp_path) if leaks(path, known)} == {}
    np.save(tmp_path / "kept.npy", values)
    assert len(leaks(tmp_path / "kept.npy", known)) >= len(values), "what is looked for would be found"


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "covariates_only"])
def test_a_saved_model_holds_no_sample_s_row_of_a_further_table(family, tmp_path):
    store = with_tables(build_genotypes(200, 30, covariates=1, missing=0.02), n_columns=4)
    trainable = build_trainable(family, FAMILIES[family], GenotypeStore.columns)
    plan = FitPlan(seed=1, max_epochs=1)
    model = fit_prepared(trainable, store, split_samples(store), report=lambda _: None, plan=plan)
    model.save(tmp_path)
    (tmp_path / "importance.tsv").write_text(text_of(load_model(tmp_path).importance()))
    values = store.features[:, :4].astype(float)
    # A median of an odd number of values is one of them, and it is meant to be there.
    of_nobody = {*np.nanmedian(values[:140], axis=0).tolist()}
    scaled = (values - model.recipe.tables.centre[:4]) / model.recipe.tables.scale[:4]
    known = secrets([], [value for value in values.ravel() if np.isfinite(value) and value not in of_nobody])
    if family != "boosted_trees":  # whose thresholds are values that occurred; XGBoost bins so
        known += secrets([], scaled[np.isfinite(scaled) & ~np.isin(values, [*of_nobody])])
    assert {path.name: leaks(path, known) for path in files_under(tmp_path) if leaks(path, known)} == {}
    np.save(tmp_path / "kept.npy", values)
    assert len(leaks(tmp_path / "kept.npy", known)) >= 500, "what is looked for would be found"


def text_of(importance):
    return "" if importance is None else importance.table_text()

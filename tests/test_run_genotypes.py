"""A whole sweep on genotypes: trees and GBLUP compete, and the winner predicts from what plink2 exports."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from data.plink_builders import default_bim, write_fileset

from builders import clean_environment, rows
from genotune.baselines import fit_baselines
from genotune.genome.fold import Fold
from genotune.journal import Journal, read_state
from genotune.judging import score_model
from genotune.plan import make_plan
from genotune.spec import read_spec
from genotune.store import Splits
from genotune.trainables import build_trainable, load_model
from genotune.trainables.trainable import FitPlan
from sweeps import assert_record_is_complete, runs, sweep_folder

SPEC = """\
name: mice
data:
  kind: plink
  genotypes: mice.bed
  phenotypes: mice.tsv
  trait: {trait}
  covariates: [age]
  filters: {{min_maf: 0.05, min_call_rate: 0.9}}
  keep_variants: 30
split: {{by: column, column: litter, validation: 0.25, test: 0.25, seed: 1}}
models:
  - family: boosted_trees
    params:
      rounds_per_epoch: 5
      n_variants: {{choice: [10, null]}}
      max_depth: {{int: [1, 3]}}
      learning_rate: {{log_uniform: [0.05, 0.5]}}
      subsample: 0.8
  - family: ridge
    params: {{n_variants: {{choice: [10, null]}}, standardize: {{choice: [false, true]}}}}
search: {{kind: tpe, seed: 3}}
scheduler: {{kind: asha, max_epochs: 4, reduction_factor: 2}}
budget: {{trials: 8}}
evaluation: {{folds: 3, finalists: 1}}
trials: {{concurrent: 1}}
"""

PREDICT = """
import sys
import mlflow, numpy as np, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/mice@best")
np.save(sys.argv[3], model.predict(pd.read_csv(sys.argv[2], sep="\\t")))
assert "ray" not in sys.modules
assert len(model.metadata.signature.inputs.input_names()) > 1
"""


@pytest.fixture
def mice(tmp_path):
    """240 mice in litters of four, 60 variants of which four matter, a little missing here and there."""
    rng = np.random.default_rng(5)
    dosage = rng.binomial(2, rng.uniform(0.2, 0.5, 60), (240, 60)).astype(np.int8)
    age = rng.normal(size=240)
    value = dosage[:, :4] @ np.array([1.0, -0.8, 0.7, 0.6]) + 0.5 * age + rng.normal(scale=0.7, size=240)
    dosage[rng.random(dosage.shape) < 0.02] = -1
    bim = [
        (contig, name, cm, -9 if index < 3 else position, first, second)
        for index, (contig, name, cm, position, first, second) in enumerate(default_bim(60))
    ]
    write_fileset(tmp_path, "mice", dosage, bim=bim)
    table = pd.DataFrame(
        {
            "FID": [f"F{i // 2}" for i in range(240)],
            "IID": [f"I{i}" for i in range(240)],
            "litter": [f"L{i // 4}" for i in range(240)],
            "age": age,
            "weight": value,
            "case": np.where(value > np.median(value), 2, 1),
        }
    )
    table.loc[:4, "weight"] = np.nan
    table.to_csv(tmp_path / "mice.tsv", sep="\t", index=False, na_rep="NA")
    return table


def spec_for(tmp_path, trait, **changes):
    path = tmp_path / "mice.yaml"
    text = SPEC.format(trait=trait)
    for old, new in changes.items():
        text = text.replace(old, new)
    path.write_text(text)
    return path


@pytest.mark.parametrize(("trait", "metric"), [("weight", "pearson"), ("case", "auroc")])
def test_a_sweep_over_both_families_ends_with_a_complete_record_and_a_winner_that_predicts(
    genotune, mice, tmp_path, trait, metric
):
    spec = spec_for(tmp_path, trait)
    result = genotune("run", spec)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    state = read_state(sweep_folder(tmp_path))
    assert state.status == "complete"
    assert state.facts["objective"]["metric"] == metric
    counts = dict.fromkeys(("boosted_trees", "ridge"), 0)
    for trial in state.trials.values():
        counts[trial.family] += 1
    assert min(counts.values()) >= 3
    assert "note mice.bim: 3 of 60 variants have no position" in result.stdout
    assert ("missing in 5 of 240 samples" in result.stdout) == (trait == "weight")
    assert "variants pass the filters in" in result.stdout
    assert "GBLUP's" in result.stdout
    assert result.stdout.count("than covariates alone (") == 2, "on validation, and on test"
    assert set(state.baselines) == {"ridge", "covariates_only"}
    assert set(state.scores) == {"winner", "ridge", "covariates_only"}
    assert len(state.trials) == 8, "they cost nothing of the budget"
    assert "boosted_trees: best" in result.stdout
    assert "ridge: best" in result.stdout
    assert_record_is_complete(tmp_path, state)
    (profile,) = rows(tmp_path / ".genotune" / "mlflow.db", "select dataset_profile from datasets")
    assert json.loads(profile[0])["trait"] == trait
    assert "I17" not in profile[0], "IDs of samples are nobody's business"
    assert_quality_is_recorded(tmp_path, state)
    assert_tables_are_recorded(spec, tmp_path, state, result.stdout)
    assert_winner_predicts_what_was_measured(spec, tmp_path, state, metric=metric)
    assert_finalists_were_compared(spec, tmp_path, state, metric=metric)
    assert genotune("resume", sweep_folder(tmp_path).name).returncode == 0
    again = read_state(sweep_folder(tmp_path))
    assert (again.folds, again.winner, again.scores) == (state.folds, state.winner, state.scores)


def assert_quality_is_recorded(tmp_path, state):
    """Counts and histograms, the same in the journal, the sweep's folder and MLflow, and a picture there."""
    n = state.facts["data"]["n_samples"]
    sizes = {f"left in {name}": of["n_samples"] for name, of in state.facts["data"]["splits"].items()}
    assert state.quality["counts"]["samples"] == {"in all": n, "left": n, **sizes}
    assert state.quality["counts"]["variants"]["in all"] == 60
    assert state.quality["counts"]["variants"]["kept"] == 30
    assert all(sum(one["counts"]) in (60, n) for one in state.quality["histograms"].values())
    table = (sweep_folder(tmp_path) / "quality.tsv").read_text()
    assert f"samples: in all\t\t\t{n}\n" in table
    (artifact,) = (tmp_path / ".genotune" / "artifacts").rglob("quality.tsv")
    assert artifact.read_text() == table
    assert artifact.with_suffix(".png").exists()


def assert_tables_are_recorded(spec, tmp_path, state, told):
    """Importance in the sweep, in two runs and in the registered model; calibration of a binary trait in the first."""
    folder, artifacts = sweep_folder(tmp_path), tmp_path / ".genotune" / "artifacts"
    text = (folder / "importance.tsv").read_text()
    copies = list(artifacts.rglob("importance.tsv"))
    assert len(copies) == 3
    assert {path.read_text() for path in copies} == {text}
    (registered,) = artifacts.glob("models/*/artifacts/artifacts/**/importance.tsv")
    assert (registered.parent / "model.json").exists()
    table = pd.read_csv(folder / "importance.tsv", sep="\t", dtype={"contig": str})
    variants = table[table["kind"] == "variant"]
    assert {*variants["id"][:4]} == {"rs0", "rs1", "rs2", "rs3"}, "they decide the trait"
    labels = {row[1]: row for row in default_bim(60)}
    for row in variants.itertuples():
        contig, _, _, position, counted, other = labels[row.id]
        assert (row.contig, row.counted, row.other) == (contig, counted, other)
        assert np.isnan(row.position) if row.id in ("rs0", "rs1", "rs2") else row.position == position
    first = variants.iloc[0]
    place = "" if np.isnan(first["position"]) else f"{first['contig']}:{first['position']:.0f} "
    assert f"most important: {first['id']} ({place}{first['counted']}), " in told
    is_binary = state.facts["objective"]["kind"] == "binary"
    assert len(list(artifacts.rglob("calibration.tsv"))) == (2 if is_binary else 0)
    assert ("calibration on test: Brier score" in told) == is_binary
    if is_binary:
        table = pd.read_csv(folder / "calibration.tsv", sep="\t")
        plan = make_plan(read_spec(spec))
        counts = table.groupby("split")["n"].sum().to_dict()
        assert counts == {"validation": len(plan.fold.validation), "test": len(plan.fold.test)}
        epoch = state.trials[state.winner["trial"]].metrics[state.winner["epoch"]]
        for scores, prefix, split in ((epoch, "validation.", "validation"), (state.scores["winner"], "", "test")):
            mine = table[(table["split"] == split) & (table["n"] > 0)]
            expected = (mine["n"] * (mine["predicted"] - mine["observed"]).abs()).sum() / mine["n"].sum()
            assert scores[f"{prefix}ece"] == pytest.approx(expected, abs=1e-6)
            assert {f"{prefix}{name}" for name in ("brier", "calibration_intercept", "calibration_slope")} <= {*scores}
    assert not list((tmp_path / ".genotune").rglob("predictions.tsv")), "nobody asked"


def assert_finalists_were_compared(spec, tmp_path, state, *, metric):
    """One of each family on three folds, as a fit by hand on a store of the fold's own training mice scores."""
    families = [state.trials[trial].family for trial in state.folds]
    assert sorted(families) == ["boosted_trees", "ridge"]
    assert all(sorted(folds) == [0, 1, 2] for folds in state.folds.values())
    means = {trial: np.mean([m[metric] for m in folds.values()]) for trial, folds in state.folds.items()}
    best = max(means, key=means.get)
    behind = [state.folds[best][k][metric] - state.folds[state.winner["trial"]][k][metric] for k in range(3)]
    assert np.mean(behind) <= np.std(behind, ddof=1) / np.sqrt(3)
    plan = make_plan(read_spec(spec))
    held_out = np.sort(np.concatenate([fold.validation for fold in plan.folds]))
    np.testing.assert_array_equal(held_out, np.sort(np.concatenate([plan.fold.train, plan.fold.validation])))
    number = next(trial for trial in state.folds if state.trials[trial].family == "ridge")
    fold = plan.folds[1]
    store = plan.data.read_store_here(fold).store
    trainable = build_trainable("ridge", state.trials[number].params, store.columns)
    splits = Splits(fold.train, fold.validation)
    model = trainable.fit(store, splits, report=lambda _: None, plan=FitPlan(state.trials[number].seed, 1))
    scores = score_model(model, store, members=fold.validation, judge=plan.judge)
    assert scores[metric] == pytest.approx(state.folds[number][1][metric], abs=1e-6)
    run_ids = {tags["genotune.trial"]: run for run, _, tags in runs(tmp_path) if "genotune.finalist" in tags}
    assert sorted(map(int, run_ids)) == sorted(state.folds)
    run = run_ids[str(number)]
    query = f"select step, value from metrics where run_uuid='{run}' and key='fold.{metric}' order by step"
    points = rows(tmp_path / ".genotune" / "mlflow.db", query)
    assert [step for step, _ in points] == [0, 1, 2]
    assert points[1][1] == pytest.approx(scores[metric], abs=1e-6)


def assert_winner_predicts_what_was_measured(spec, tmp_path, state, *, metric):
    """A bare process loads the model by name and predicts the validation mice from a table as plink2 writes it."""
    plan = make_plan(read_spec(spec))
    store = plan.data.read_store_here(plan.fold).store
    members = plan.fold.validation
    dosage = store.dosage[members].astype(float)
    table = pd.DataFrame(np.where(dosage < 0, np.nan, dosage), columns=list(store.variants.names))
    table = table.sample(frac=1, axis=1, random_state=1)
    table.insert(0, "IID", store.samples[members, 1])
    table["age"] = store.covariates[members, 0]
    table.to_csv(tmp_path / "mice.raw", sep="\t", index=False, na_rep="NA")
    uri = f"sqlite:///{tmp_path / '.genotune' / 'mlflow.db'}"
    command = [sys.executable, "-W", "ignore", "-c", PREDICT, uri, str(tmp_path / "mice.raw"), str(tmp_path / "p.npy")]
    result = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    predicted, observed = np.load(tmp_path / "p.npy"), store.phenotype[members]
    if metric == "pearson":
        measured = np.corrcoef(observed, predicted)[0, 1]
    else:
        cases, controls = predicted[observed == 1], predicted[observed == 0]
        measured = np.mean(cases[:, None] > controls) + 0.5 * np.mean(cases[:, None] == controls)
    assert measured == pytest.approx(state.winner["value"], abs=1e-5)
    assert measured > 0.6


def test_a_baseline_that_can_not_be_fitted_is_told_of_and_the_other_one_scored(mice, tmp_path):
    first = make_plan(read_spec(spec_for(tmp_path, "weight")))
    is_test = mice["IID"].isin(first.data.samples.ids[first.fold.test, 1])
    table = mice.assign(months=mice["age"] * 12 + np.where(is_test, np.arange(240), 0))
    table.to_csv(tmp_path / "mice.tsv", sep="\t", index=False, na_rep="NA")
    plan = make_plan(read_spec(spec_for(tmp_path, "weight", **{"covariates: [age]": "covariates: [age, months]"})))
    assert any(note.startswith("covariates 'months': constant, or a sum of multiples") for note in plan.notes)
    (tmp_path / "sweep").mkdir()
    notes, store = [], plan.data.read_store_here(plan.fold).store

    class Held:
        """A store as trials share it, without Ray."""

        def get(self):
            return store

    with Journal(tmp_path / "sweep") as journal:
        fitted = fit_baselines(plan, journal, Held(), final=Held(), note=notes.append)
        assert list(fitted) == list(journal.state.baselines) == ["covariates_only"]
        assert journal.state.baselines["covariates_only"]["pearson"] > 0.1
    [note] = notes
    assert note.startswith(
        "The baseline ridge can't be fitted, so nothing is compared with it: covariates 'months': on "
    )


def test_the_same_spec_and_seed_give_the_same_trials_and_scores(genotune, mice, tmp_path):
    spec = spec_for(tmp_path, "weight")
    found = []
    for name in ("one", "two"):
        result = genotune("run", spec, "--workspace", tmp_path / name)
        assert result.returncode == 0, result.stderr
        (folder,) = (tmp_path / name / "sweeps").iterdir()
        state = read_state(folder)
        found.append(([(trial.params, trial.curve) for trial in state.trials.values()], state.winner, state.scores))
    assert found[0] == found[1]


@pytest.mark.slow
def test_trials_on_folds_learn_filters_and_ranks_anew_in_each_and_the_winner_once_more_on_all(genotune, mice, tmp_path):
    folds = {"evaluation: {folds: 3, finalists: 1}\n": "", "{concurrent: 1}": "{concurrent: 1, folds: 3}"}
    spec = spec_for(tmp_path, "weight", **folds)
    result = genotune("run", spec)
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(sweep_folder(tmp_path))
    assert_record_is_complete(tmp_path, state)
    plan = make_plan(read_spec(spec))
    stores = [plan.data.read_store_here(fold).store for fold in plan.trial_folds]
    kept = [set(store.variants.ids.tolist()) for store in stores]
    assert kept[0] != kept[1] != kept[2], "the most associated ones differ from fold to fold"
    number = next(trial.number for trial in state.trials.values() if trial.family == "ridge")
    trial = state.trials[number]
    for index, (fold, store) in enumerate(zip(plan.trial_folds, stores, strict=True)):
        trainable = build_trainable("ridge", trial.params, store.columns)
        model = trainable.fit(store, fold.splits, report=lambda _: None, plan=FitPlan(trial.seed, 1))
        scores = score_model(model, store, members=fold.validation, judge=plan.judge)
        assert trial.metrics[1][f"fold_{index + 1}.pearson"] == pytest.approx(scores["pearson"], abs=1e-6)
    final = load_model(sweep_folder(tmp_path) / "refitted" / "model")
    everyone = Fold(np.union1d(plan.fold.train, plan.fold.validation), plan.fold.validation, plan.fold.test)
    store = plan.data.read_store_here(everyone).store
    np.testing.assert_array_equal(final.variants.ids, store.variants.ids[: len(final.variants.ids)])
    scores = score_model(final, store, members=plan.fold.test, judge=plan.judge)
    assert scores["pearson"] == pytest.approx(state.scores["winner"]["pearson"], abs=1e-6)


def test_samples_that_are_left_out_are_neither_learned_from_nor_scored(genotune, mice, tmp_path):
    """Badly called mice and a mouse twice, in a cohort with variants enough to say so."""
    rng = np.random.default_rng(1)
    dosage = rng.binomial(2, rng.uniform(0.2, 0.5, 400), (240, 400)).astype(np.int8)
    dosage[100] = dosage[20]
    dosage[[30, 40, 50, 60], :80] = -1
    write_fileset(tmp_path, "mice", dosage, bim=default_bim(400))
    spec = spec_for(tmp_path, "weight", **{"  covariates: [age]": "  covariates: [age]\n  drop_duplicates: true"})
    spec.write_text(spec.read_text().replace("budget: {trials: 8}", "budget: {trials: 2}"))
    result = genotune("run", spec)
    assert result.returncode == 0, result.stdout + result.stderr
    note = "5 of 235 samples are left out: 4 with a call rate below 0.95; 1 that are another one again"
    assert note in " ".join(result.stdout.split())
    state = read_state(sweep_folder(tmp_path))
    counts = state.quality["counts"]["samples"]
    assert (counts["in all"], counts["left"]) == (235, 230)
    assert sum(counts[f"left in {name}"] for name in ("train", "validation", "test")) == 230
    plan = make_plan(read_spec(spec))
    vetted = plan.data.vet(plan.fold, plan.folds)
    assert sorted(plan.data.samples.ids[vetted.left_out, 1].tolist()) == ["I100", "I30", "I40", "I50", "I60"]
    for split in ("validation", "test"):
        assert f"{split} ({counts[f'left in {split}']} samples" in result.stdout
    assert f"in {counts['left in train']} training samples" in result.stdout
    again = genotune("resume", sweep_folder(tmp_path).name)
    assert f"test ({counts['left in test']} samples" in again.stdout


TABLES = """\
  covariates: [age]
  covariates_missing: impute
  tables:
    expression: {path: expr.tsv}
    clinical: {path: clin.csv, columns: [site, stage], kinds: {stage: category}}
"""


def test_a_sweep_with_further_tables_ends_with_a_winner_that_predicts_from_them(genotune, mice, tmp_path):
    rng = np.random.default_rng(8)
    expression = pd.DataFrame({f"G{i}": rng.normal(8, 2, 240) for i in range(8)})
    expression["G0"] += 2 * np.nan_to_num(mice["weight"] - mice["weight"].mean())
    expression.insert(0, "IID", mice["IID"])
    expression[20:].to_csv(tmp_path / "expr.tsv", sep="\t", index=False, float_format="%.4f")
    clinical = pd.DataFrame(
        {"IID": mice["IID"], "site": rng.choice(["Bonn", "Kiel"], 240), "stage": rng.integers(1, 4, 240)}
    )
    clinical.to_csv(tmp_path / "clin.csv", index=False)
    mice.assign(age=mice["age"].where(mice.index % 9 > 0)).to_csv(
        tmp_path / "mice.tsv", sep="\t", index=False, na_rep="NA"
    )
    spec = spec_for(tmp_path, "weight", **{"  covariates: [age]\n": TABLES, "trials: 8": "trials: 4"})
    checked = genotune("check", spec)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "expr.tsv (table expression): 8 columns of 235 samples; 120 values are missing (6.4%), 15 samples" in (
        checked.stdout.replace("\n", " ")
    )
    result = genotune("run", spec)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    table = pd.read_csv(folder / "importance.tsv", sep="\t")
    assert table[table["kind"] == "feature"]["id"].iloc[0] == "expression:G0"
    state = read_state(folder)
    assert set(state.baselines) == {"ridge", "covariates_only"}
    plan = make_plan(read_spec(spec))
    store = plan.data.read_store_here(plan.fold).store
    assert store.fills_covariates
    options = [
        "predict",
        "mice@best",
        tmp_path / "mice.bed",
        "--samples",
        tmp_path / "mice.tsv",
        "-o",
        tmp_path / "p.tsv",
    ]
    refused = genotune(*options)
    assert refused.returncode == 2
    assert "Name them with --table clinical=PATH --table expression=PATH" in refused.stderr.replace("\n", " ")
    tables = ["--table", f"expression={tmp_path / 'expr.tsv'}", "--table", f"clinical={tmp_path / 'clin.csv'}"]
    done = genotune(*options, *tables)
    assert done.returncode == 0, done.stdout + done.stderr
    predicted = pd.read_csv(tmp_path / "p.tsv", sep="\t").set_index("IID")["weight"]
    members = plan.fold.test
    found = predicted[store.samples[members, 1]].to_numpy()
    measured = np.corrcoef(found, store.phenotype[members])[0, 1]
    assert measured == pytest.approx(state.scores["winner"]["pearson"], abs=1e-5)

    dosage = store.dosage[members].astype(float)
    raw = pd.DataFrame(np.where(dosage < 0, np.nan, dosage), columns=list(store.variants.names))
    raw["age"] = store.covariates[members, 0]
    mine = expression[20:].set_index("IID").round(4).reindex(store.samples[members, 1])
    for name in mine:
        raw[f"expression:{name}"] = mine[name].to_numpy()
    own = clinical.set_index("IID").loc[store.samples[members, 1]]
    raw["clinical:site"], raw["clinical:stage"] = own["site"].to_numpy(), own["stage"].to_numpy()
    raw.to_csv(tmp_path / "mice.raw", sep="\t", index=False, na_rep="NA")
    uri = f"sqlite:///{tmp_path / '.genotune' / 'mlflow.db'}"
    command = [sys.executable, "-W", "ignore", "-c", PREDICT, uri, str(tmp_path / "mice.raw"), str(tmp_path / "p.npy")]
    loaded = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), found, rtol=1e-4)

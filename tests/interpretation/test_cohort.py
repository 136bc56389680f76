"""Predictions for another cohort, whichever alleles it counts and whichever variants it lacks."""

import csv
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from data.plink_builders import default_bim, default_fam, write_fileset

from genotune.data.genotype_opening import open_genotypes
from genotune.errors import DataError
from genotune.interpretation.cohort import predict_cohort
from genotune.interpretation.predicting import predict
from genotune.store import DOSAGE_STEPS, MISSING_DOSAGE
from genotune.trainables import build_trainable
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import FitPlan
from genotype_builders import SITES, build_genotypes, split_samples, with_tables

N_VARIANTS = 40
COMPLEMENT = {"A": "T", "T": "A", "C": "G", "G": "C"}


def fitted(family="ridge", *, kind="quantitative", covariates=0, prepare=None):
    store = build_genotypes(n_variants=N_VARIANTS, kind=kind, covariates=covariates, missing=0.02)
    params = {"rounds_per_epoch": 10, "max_depth": 2} if family == "boosted_trees" else {}
    params |= {} if prepare is None else {"prepare": prepare}
    trainable = build_trainable(family, params, store.columns)
    plan = FitPlan(seed=1, max_epochs=1)
    return fit_prepared(trainable, store, split_samples(store), report=lambda _: None, plan=plan), store


@pytest.fixture
def write_cohort(tmp_path):
    """A .bed of the store's samples 0 to 49, its variants changed; gives what `open_genotypes` makes of it."""

    def write(store, *, swapped=(), flipped=(), left_out=(), order=None, contig="chr1", alleles=None):
        bim = [list(row) for row in default_bim(N_VARIANTS, contig=contig)]
        dosage = store.dosage[:50].copy()
        for column, row in enumerate(bim):
            row[3] = int(store.variants.starts[column]) + 1
            row[1] = f"other{column}"
            row[4:] = (alleles or {}).get(column, row[4:])
            if column in flipped:
                row[4:] = [COMPLEMENT[allele] for allele in row[4:]]
            if column in swapped:
                row[4:] = row[5], row[4]
                known = dosage[:, column] != MISSING_DOSAGE
                dosage[known, column] = 2 - dosage[known, column]
        kept = np.array([column for column in (order or range(N_VARIANTS)) if column not in left_out])
        write_fileset(tmp_path, "cohort", dosage[:, kept], fam=default_fam(50), bim=[bim[column] for column in kept])
        return open_genotypes(tmp_path, "cohort.bed")

    return write


@pytest.mark.parametrize(
    ("family", "prepare"),
    [("ridge", None), ("boosted_trees", None), ("ridge", {"components": 2, "max_p": 0.5, "impute": "mean"})],
)
def test_the_cohort_may_count_other_alleles_on_the_other_strand_in_another_order(write_cohort, family, prepare):
    model, store = fitted(family, prepare=prepare)
    shuffled = np.random.default_rng(0).permutation(N_VARIANTS).tolist()
    cohort = write_cohort(store, swapped=range(20), flipped=range(10, 30), order=shuffled)
    found = predict_cohort(model, cohort, table=None, min_coverage=1.0)
    expected = model.predict_samples(store, np.arange(50))
    np.testing.assert_allclose(found.values[:, 0], expected, rtol=1e-6)
    assert found.names == ("height",)
    assert found.samples[:3].tolist() == [["F0", "I0"], ["F0", "I1"], ["F1", "I2"]]
    assert "variants are found; of these" in found.notes[-1]


def test_an_absent_variant_is_given_the_mean_of_the_training_samples(write_cohort):
    model, store = fitted()
    cohort = write_cohort(store, left_out=(0, 7), swapped=(3,))
    found = predict_cohort(model, cohort, table=None, min_coverage=0.9)
    steps = np.where(store.dosage[:50] < 0, 0, store.dosage[:50]).astype(np.uint16) * DOSAGE_STEPS
    steps[store.dosage[:50] == MISSING_DOSAGE] = np.iinfo(np.uint16).max
    places = {name: place for place, name in enumerate(model.variants.ids)}
    for name in ("rs0", "rs7"):
        steps[:, places[name]] = np.rint(2 * DOSAGE_STEPS * float(model.variants.frequency[places[name]]))
    expected = model.predict(steps, store.covariates[:50])
    np.testing.assert_allclose(found.values[:, 0], expected, rtol=1e-6)
    assert np.abs(found.values[:, 0] - model.predict_samples(store, np.arange(50))).max() > 0.1
    assert "38 of 40 variants are found" in found.notes[-1]


def test_too_few_variants_are_refused_with_what_became_of_the_others(write_cohort):
    model, store = fitted()
    cohort = write_cohort(store, left_out=range(9), alleles={20: ["A", "C"], 21: ["A", "T"]})
    message = (
        r"^cohort\.bed: 29 of 40 variants are found\. Of the others 9 are absent, 2 have other alleles there\. That is "
        r"72\.5% of the model's variants; at least 90\.0% are asked for\. Impute the cohort first, or predict all the "
        r"same with --min-coverage 0\.72\.$"
    )
    with pytest.raises(DataError, match=message):
        predict_cohort(model, cohort, table=None, min_coverage=0.9)
    assert len(predict_cohort(model, cohort, table=None, min_coverage=0.72).values) == 50


@pytest.mark.parametrize(("is_turned", "n_found"), [(False, 40), (True, 40)])
def test_the_strand_of_a_palindrome_is_told_by_its_frequency(write_cohort, is_turned, n_found):
    """A/T of a frequency far from a half: that says which allele is counted, whatever letter it has."""
    store = build_genotypes(n_variants=N_VARIANTS, n_samples=400)
    rare = np.flatnonzero(store.variants.frequency < 0.25)[0]
    store.variants.counted[rare], store.variants.other[rare] = "A", "T"
    trainable = build_trainable("ridge", {}, store.columns)
    plan = FitPlan(seed=1, max_epochs=1)
    model = fit_prepared(trainable, store, split_samples(store), report=lambda _: None, plan=plan)
    letters = ["T", "A"] if is_turned else ["A", "T"]
    cohort = write_cohort(store, alleles={int(rare): letters})
    found = predict_cohort(model, cohort, table=None, min_coverage=0.0)
    assert f"{n_found} of 40 variants are found" in found.notes[-1]
    np.testing.assert_allclose(found.values[:, 0], model.predict_samples(store, np.arange(50)), rtol=1e-6)


def test_the_samples_that_a_model_learned_from_are_predicted_as_they_were_palindromes_and_all(tmp_path):
    """A/T and C/G of a frequency near a half: in the model's own file no strand is in doubt."""
    n = 180
    store = build_genotypes(n_variants=n, n_samples=300)
    half = np.flatnonzero(store.variants.frequency > 0.42)
    store.variants.other[half] = "T"
    model = build_trainable("ridge", {}, store.columns).fit(
        store, split_samples(store), report=lambda _: None, plan=FitPlan(seed=1, max_epochs=1)
    )
    labels = zip(store.variants.ids, store.variants.starts + 1, store.variants.other, strict=True)
    bim = [("1", name, 0, position, "A", other) for name, position, other in labels]
    write_fileset(tmp_path, "own", store.dosage, bim=bim)
    found = predict_cohort(model, open_genotypes(tmp_path, "own.bed"), table=None, min_coverage=1.0)
    np.testing.assert_allclose(found.values[:, 0], model.predict_samples(store, np.arange(300)), rtol=1e-6)
    assert found.notes[-2] == "own.bed: 180 of 180 variants are found."
    assert found.notes[-1].startswith(f"own.bed: {len(half)} A/T or C/G variants, whose frequency doesn't tell")
    assert len(half) > 10
    renamed = [(*row[:1], f"x{row[1]}", *row[2:]) for row in bim]
    write_fileset(tmp_path, "other", store.dosage, bim=renamed)
    found = predict_cohort(model, open_genotypes(tmp_path, "other.bed"), table=None, min_coverage=0.5)
    assert f"Of the others {len(half)} are ambiguous" in found.notes[-1]


def test_covariates_come_from_a_table_and_samples_without_them_are_left_out(write_cohort, tmp_path):
    model, store = fitted(covariates=2)
    cohort = write_cohort(store)
    values = store.covariates[:50].astype(float)
    table = pd.DataFrame({"IID": [f"I{i}" for i in range(50)], "PC1": values[:, 0], "PC2": values[:, 1]})
    table.loc[4, "PC2"] = np.nan
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "age.tsv", sep="\t", index=False, na_rep="NA")
    found = predict_cohort(model, cohort, table=tmp_path / "age.tsv", min_coverage=1.0)
    kept = np.delete(np.arange(50), 4)
    np.testing.assert_allclose(found.values[:, 0], model.predict_samples(store, kept), rtol=1e-5)
    assert "1 samples lack a covariate (PC1, PC2); nothing is predicted for them." in found.notes
    with pytest.raises(DataError, match=r"the model takes covariates \(PC1, PC2\); name a table"):
        predict_cohort(model, cohort, table=None, min_coverage=1.0)
    table.rename(columns={"PC2": "PC3"}).to_csv(tmp_path / "age.tsv", sep="\t", index=False)
    with pytest.raises(DataError, match=r"age\.tsv has no column 'PC2'.* The model takes it as a covariate\."):
        predict_cohort(model, cohort, table=tmp_path / "age.tsv", min_coverage=1.0)
    table.assign(PC1="tall").to_csv(tmp_path / "age.tsv", sep="\t", index=False)
    with pytest.raises(DataError, match=r"age\.tsv: PC1: 'tall', 'tall', 'tall': no number"):
        predict_cohort(model, cohort, table=tmp_path / "age.tsv", min_coverage=1.0)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("binary", ("trait=case",)),
        ("multiclass", ("trait=control", "trait=case", "trait=carrier")),
        ("count", ("trait",)),
    ],
)
def test_of_classes_probabilities_are_written_under_their_names(write_cohort, tmp_path, monkeypatch, kind, names):
    model, store = fitted(kind=kind)
    write_cohort(store)
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out.tsv"
    options = {"samples": None, "min_coverage": 0.9, "dosage_field": None, "workspace": tmp_path}
    done = predict("saved", ["cohort.bed"], out, **options)
    assert done.n_samples == 50
    with out.open() as file:
        header, *rows = list(csv.reader(file, delimiter="\t"))
    assert header == ["FID", "IID", *names]
    expected = model.predict_samples(store, np.arange(50)).reshape(50, -1)
    np.testing.assert_allclose(np.array([row[2:] for row in rows], dtype=float), expected, rtol=1e-5)
    with pytest.raises(DataError, match=r"out\.tsv: is there already; name another file with --out"):
        predict("saved", ["cohort.bed"], out, **options)


@pytest.fixture
def with_expression(write_cohort, tmp_path):
    """A model of variants and tables, its cohort, and the cohort's tables as files; gives them and the store."""
    store = with_tables(build_genotypes(n_variants=N_VARIANTS, covariates=1))
    trainable = build_trainable("ridge", {}, store.columns)
    plan = FitPlan(seed=1, max_epochs=1)
    model = fit_prepared(trainable, store, split_samples(store), report=lambda _: None, plan=plan)
    iids = [f"I{i}" for i in range(50)]
    pd.DataFrame({"IID": iids, "PC1": store.covariates[:50, 0]}).to_csv(tmp_path / "age.tsv", sep="\t", index=False)
    expression = pd.DataFrame({f"G{i}": store.features[:50, i].astype(float) for i in range(5)})
    expression.insert(0, "IID", iids)
    sites = pd.DataFrame(
        {"IID": iids, "site": [None if np.isnan(c) else SITES[int(c)] for c in store.features[:50, 5]]}
    )
    expression.sample(frac=1, random_state=1).to_csv(tmp_path / "expr.tsv", sep="\t", index=False, na_rep="NA")
    sites.to_csv(tmp_path / "clin.csv", index=False, na_rep="NA")
    return model, store, write_cohort(store), {"table": tmp_path / "age.tsv", "min_coverage": 1.0}


def test_further_tables_of_the_cohort_are_taken_by_their_names(with_expression, tmp_path):
    model, store, cohort, options = with_expression
    tables = {"expression": tmp_path / "expr.tsv", "clinical": tmp_path / "clin.csv"}
    found = predict_cohort(model, cohort, tables=tables, **options)
    np.testing.assert_allclose(found.values[:, 0], model.predict_samples(store, np.arange(50)), rtol=1e-5)
    lines = (tmp_path / "clin.csv").read_text().replace("Kiel", "Rome").splitlines(keepends=True)
    (tmp_path / "clin.csv").write_text("".join(lines[:41]))
    found = predict_cohort(model, cohort, tables=tables, **options)
    features = store.features[:50].copy()
    features[features[:, 5] == 1, 5] = 3
    features[40:, 5] = np.nan
    expected = model.predict(store.dosage[:50], np.column_stack([store.covariates[:50], features]))
    np.testing.assert_allclose(found.values[:, 0], expected, rtol=1e-5)
    n = int((features[:, 5] == 3).sum())
    assert f"clin.csv: site: {n} samples have a level that the model doesn't know." in found.notes
    assert "clin.csv: no row for 10 of 50 samples; its columns are unknown there." in found.notes


def test_columns_that_are_not_there_are_refused_by_name_or_taken_as_unknown(with_expression, tmp_path):
    model, store, cohort, options = with_expression
    with pytest.raises(
        DataError, match=r"^the model takes columns of further tables: 'clinical' and 'expression'\. Name"
    ):
        predict_cohort(model, cohort, **options)
    with pytest.raises(
        DataError, match=r"^--table: the model knows no table 'proteins'; it takes 'clinical' and 'expre"
    ):
        predict_cohort(model, cohort, tables={"proteins": tmp_path / "expr.tsv"}, **options)
    expression = pd.read_csv(tmp_path / "expr.tsv", sep="\t").drop(columns=["G1", "G3"])
    expression.to_csv(tmp_path / "expr.tsv", sep="\t", index=False, na_rep="NA")
    tables = {"expression": tmp_path / "expr.tsv"}
    message = (
        r"^expr\.tsv: lacks 2 of 5 columns that the model takes: 'G1' and 'G3'\. Add them, or take them as unknown "
        r"with --fill-columns\.$"
    )
    with pytest.raises(DataError, match=message):
        predict_cohort(model, cohort, tables={**tables, "clinical": tmp_path / "clin.csv"}, **options)
    found = predict_cohort(model, cohort, tables=tables, fills=True, **options)
    assert "expr.tsv: lacks 'G1' and 'G3'; taken as unknown." in found.notes
    features = store.features[:50].copy()
    features[:, [1, 3, 5]] = np.nan
    expected = model.predict(store.dosage[:50], np.column_stack([store.covariates[:50], features]))
    np.testing.assert_allclose(found.values[:, 0], expected, rtol=1e-5)


def test_a_sample_without_a_covariate_is_predicted_where_the_model_fills_it_in(write_cohort, tmp_path):
    store = replace(build_genotypes(n_variants=N_VARIANTS, covariates=1), fills_covariates=True)
    store.covariates[7] = np.nan
    trainable = build_trainable("ridge", {}, store.columns)
    plan = FitPlan(seed=1, max_epochs=1)
    model = fit_prepared(trainable, store, split_samples(store), report=lambda _: None, plan=plan)
    table = pd.DataFrame({"IID": [f"I{i}" for i in range(50)], "PC1": store.covariates[:50, 0]})
    table.to_csv(tmp_path / "age.tsv", sep="\t", index=False, na_rep="NA")
    found = predict_cohort(model, write_cohort(store), table=tmp_path / "age.tsv", min_coverage=1.0)
    np.testing.assert_allclose(found.values[:, 0], model.predict_samples(store, np.arange(50)), rtol=1e-5)
    assert "1 samples lack a covariate (PC1); it is filled in as it was for the training samples." in found.notes

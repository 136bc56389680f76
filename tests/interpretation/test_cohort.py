"""Predictions for another cohort, whichever alleles it counts and whichever variants it lacks."""

import csv

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
from genotype_builders import build_genotypes, split_samples

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

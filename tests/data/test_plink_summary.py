"""Stores of genotypes with the p-values of another study: matched, ranked by, and refused."""

import numpy as np
import pydantic
import pytest
from data.plink_project import N_SAMPLES, N_VARIANTS, OPEN, family_split, read

from genotune.errors import DataError


def write_study(project, rows, *, columns="CHR BP SNP A1 A2 BETA P EAF"):
    """Another study of these variants."""
    lines = [columns, *(f"1 {1000 * variant + 1001} rs{variant} {rest}" for variant, rest in rows)]
    (project.folder / "gwas.tsv").write_text("".join(line.replace(" ", "\t") + "\n" for line in lines))


STUDY = {"filters": OPEN, "summary_statistics": "gwas.tsv"}


def test_a_store_holds_the_p_values_of_another_study_in_the_order_of_its_variants(project):
    write_study(project, [(3, "A G 0.1 0.01 0.2"), (7, "G A 0.1 1e-400 0.2"), (9, "C T 0.1 0.1 0.2"), (8, "A C 1 1 0")])
    plan = project.plan(**STUDY, keep_variants=25)
    store, notes, _ = read(plan)
    expected = [{"rs3": -2.0, "rs7": -400.0, "rs9": -1.0}.get(name, np.nan) for name in store.variants.ids.tolist()]
    np.testing.assert_allclose(store.summary_log10_p, expected)
    assert 2 <= np.count_nonzero(~np.isnan(expected)) <= 3
    np.testing.assert_array_equal(store.variants.ids, read(project.plan(filters=OPEN)).store.variants.ids[:25])
    assert store.nbytes <= plan.store_nbytes <= 1.01 * store.nbytes
    assert plan.outline(np.arange(5)).has_summary
    (warning,) = plan.notes
    assert warning.startswith("gwas.tsv: variants are chosen by the results of another study.")
    assert notes[1] == (
        "gwas.tsv: 3 of 30 variants are found; of these 1 count the other allele, 1 are both. Of the others 26 are "
        "absent, 1 have other alleles there."
    )
    assert plan.fingerprints()[-1]["path"] == "gwas.tsv"
    assert read(project.plan(filters=OPEN)).store.summary_log10_p is None


def test_variants_may_be_kept_by_another_study_alone(project):
    write_study(project, [(variant, f"A G 0.1 {0.9 / (1 + variant)} 0.2") for variant in range(5, 20)])
    store, notes, _ = read(project.plan(**STUDY, keep_by="summary", keep_variants=4))
    assert store.variants.ids.tolist() == ["rs19", "rs18", "rs17", "rs16"]
    assert notes[0] == (
        "15 of 30 variants pass the filters in 12 training samples (15 that the summary statistics lack); the 4 most "
        "associated in the summary statistics are kept."
    )
    every, notes, _ = read(project.plan(**STUDY, keep_by="summary"))
    assert every.variants.ids.tolist() == [f"rs{variant}" for variant in range(19, 4, -1)]
    assert "all of them are kept, the most associated in the summary statistics first." in notes[0]


def test_which_strand_another_study_means_is_told_by_training_samples(project):
    project.bim = [(*row[:4], "A", "T") for row in project.bim]
    project.dosage = project.rng.binomial(2, 0.1, size=(N_SAMPLES, N_VARIANTS))
    write_study(project, [(variant, "A T 0.1 0.01 0.1") for variant in range(N_VARIANTS)])
    plan = project.plan(**STUDY)
    fold = plan.resolve(family_split())
    found = plan.read_store_here(fold).store
    is_told = ~np.isnan(found.summary_log10_p)
    assert is_told.tolist() == (np.minimum(found.variants.frequency, 1 - found.variants.frequency) <= 0.4).tolist()
    project.dosage[np.concatenate([fold.validation, fold.test])] = 2
    again = project.plan(**STUDY).read_store_here(fold).store
    np.testing.assert_array_equal(again.summary_log10_p, found.summary_log10_p)
    project.dosage[fold.train] = 1
    project.dosage[fold.train[:2]] = 0
    moved = project.plan(**STUDY, keep_variants=5).read_store_here(fold).store
    assert np.isnan(moved.summary_log10_p).all(), "near a half among training samples"


def test_a_study_that_is_not_there_or_of_other_variants_is_refused_when_planning(project):
    with pytest.raises(pydantic.ValidationError, match="keep_by: summary needs the table of another study"):
        project.settings(keep_by="summary")
    with pytest.raises(DataError, match=r"^gwas\.tsv: no such file"):
        project.plan(**STUDY)
    write_study(project, [(70, "A G 0.1 0.01 0.2")])
    with pytest.raises(DataError, match=r"^gwas\.tsv: none of its 1 variants is one of the 30 of the genotypes"):
        project.plan(**STUDY)
    write_study(project, [(1, "A C 0.1 0.01 0.2"), (2, "A G 0.1 0.01 0.2")])
    with pytest.raises(DataError, match=r"^none of the 30 variants passes .*, or write data\.keep_by: association\.$"):
        read(project.plan(**STUDY | {"filters": {"min_maf": 0.5}}, keep_by="summary"))

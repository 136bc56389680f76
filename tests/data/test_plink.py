"""Stores of genotypes: what is kept, in which order, and whose samples decide."""

import json
import subprocess
import sys

import numpy as np
import pytest
from data.plink_project import N_SAMPLES, N_VARIANTS, OPEN, family_split, read

from genotune.columns import COVARIATE, DOSAGE, PHENOTYPE
from genotune.data import AnySourceSettings
from genotune.data.plink_settings import PlinkSettings
from genotune.data.source import SourceSettings
from genotune.errors import DataError
from genotune.settings import build


def selected(plan, fold):
    """Everything that is learned before any trial, as plain values."""
    store, notes, _ = plan.read_store_here(fold)
    return notes, store.variants.ids.tolist(), store.variants.frequency.tolist()


def test_the_source_keeps_the_contract(project):
    settings = project.settings()
    assert isinstance(settings, SourceSettings)
    assert {DOSAGE, PHENOTYPE, COVARIATE} <= settings.yields
    assert type(build(AnySourceSettings, json.loads(settings.model_dump_json()))) is PlinkSettings


def test_planning_loads_no_reader_of_genotypes(project):
    project.write()
    code = (
        "from genotune.data.plink_settings import PlinkSettings; import sys; from pathlib import Path\n"
        "values = {'kind': 'plink', 'genotypes': 'mice.bed', 'phenotypes': 'traits.tsv', 'trait': 'CD8'}\n"
        "PlinkSettings(**values).plan(Path(sys.argv[1]))\n"
        "print(*{'ray', 'bed_reader', 'torch', 'xgboost'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, project.folder], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""


def test_the_store_holds_what_the_files_say(project):
    project.columns["age"][3] = "41"
    plan = project.plan(filters=OPEN, covariates=["age"])
    store, notes, _ = read(plan)
    order = [int(name.removeprefix("rs")) for name in store.variants.ids.tolist()]
    assert sorted(order) == list(range(N_VARIANTS))
    np.testing.assert_array_equal(store.dosage, project.dosage[:, order])
    assert (store.dosage == -1).any()
    np.testing.assert_array_equal(store.phenotype, [float(value) for value in project.columns["CD8"]])
    np.testing.assert_array_equal(store.covariates, np.array(project.columns["age"], dtype=np.float32)[:, None])
    assert store.samples.tolist() == [[f"F{i // 2}", f"I{i}"] for i in range(N_SAMPLES)]
    assert store.variants.starts.tolist() == [1000 * variant + 1000 for variant in order]
    assert {*store.variants.contigs.tolist()} == {"1"}
    assert {*store.variants.counted.tolist()} == {"A"}
    assert {*store.variants.other.tolist()} == {"G"}
    assert (store.trait, store.kind, store.classes, store.covariate_names) == ("CD8", "quantitative", (), ("age",))
    assert plan.notes == ()
    assert notes == (
        "30 of 30 variants pass the filters in 12 training samples; all of them are kept, the most associated first.",
    )


def test_frequencies_are_those_of_called_genotypes_in_training_samples(project):
    plan = project.plan(filters=OPEN)
    fold = plan.resolve(family_split())
    store = plan.read_store_here(fold).store
    train = np.where(store.dosage < 0, np.nan, store.dosage)[fold.train]
    np.testing.assert_allclose(store.variants.frequency, np.nanmean(train, axis=0) / 2, rtol=1e-6)
    assert store.variants.frequency.dtype == np.float32


def test_variants_come_by_their_squared_correlation_in_training_samples(project):
    project.dosage = np.abs(project.dosage)
    plan = project.plan(filters=OPEN)
    fold = plan.resolve(family_split())
    store = plan.read_store_here(fold).store
    squares = [
        np.corrcoef(column, store.phenotype[fold.train])[0, 1] ** 2
        for column in store.dosage[fold.train].T.astype(float)
    ]
    assert squares == sorted(squares, reverse=True)
    assert squares[0] > squares[-1]


def test_the_best_few_are_the_beginning_of_all(project):
    every, few = (read(project.plan(filters=OPEN, keep_variants=keep)).store for keep in (None, 7))
    np.testing.assert_array_equal(few.dosage, every.dosage[:, :7])
    for one, other in zip(few.variants, every.variants.first(7), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("keep", [None, 1, 7, 1000])
def test_the_plan_knows_at_most_how_large_the_store_gets(project, keep):
    plan = project.plan(filters=OPEN, keep_variants=keep, covariates=["age", "sex"])
    store = read(plan).store
    assert store.nbytes <= plan.store_nbytes <= 1.01 * store.nbytes
    assert plan.n_variants == store.n_variants
    assert plan.smaller.path == ("keep_variants",)
    assert project.settings(keep_variants=max(1, store.n_variants // 4)).keep_variants is not None
    assert f"keep_variants of {max(1, store.n_variants // 4)} needs less" in plan.smaller.message


def test_long_ids_count_in_the_size_of_the_store(project):
    project.bim = [(*row[:1], f"variant_with_a_long_name_{i}", *row[2:]) for i, row in enumerate(project.bim)]
    project.fam = [(f"family{i}", f"I{i}", *row[2:]) for i, row in enumerate(project.fam)]
    plan = project.plan(filters=OPEN, match_by="iid")
    store = read(plan).store
    assert store.nbytes <= plan.store_nbytes <= 1.01 * store.nbytes


@pytest.mark.parametrize("trait", ["CD8", "case"])
@pytest.mark.parametrize("seed", range(5))
def test_no_validation_or_test_sample_changes_what_is_selected(project, trait, seed):
    filters = {"min_maf": 0.2, "min_call_rate": 0.9, "min_hwe_p": 0.05}
    values = {"trait": trait, "filters": filters, "covariates": ["age", "sex"], "keep_variants": 12}
    plan = project.plan(**values)
    fold = plan.resolve(family_split(seed=seed))
    before = selected(plan, fold)
    held_out = np.concatenate([fold.validation, fold.test])
    assert 0 < len(held_out) < N_SAMPLES
    project.dosage[held_out] = project.rng.choice([0, 2, -1], size=(len(held_out), N_VARIANTS))
    for sample in held_out:
        project.columns["CD8"][sample] = 1000 + sample
        project.columns["case"][sample] = 1 - project.columns["case"][sample]
        project.columns["age"][sample] = -5e6 * sample
        project.columns["sex"][sample] = "f" if sample % 2 else "m"
    after = project.plan(**values)
    assert [part.tolist() for part in after.resolve(family_split(seed=seed))] == [part.tolist() for part in fold]
    assert selected(after, fold) == before


def test_training_samples_do_change_what_is_selected(project):
    """The test above would pass for a selection that looks at nothing."""
    plan = project.plan(filters=OPEN, keep_variants=12)
    fold = plan.resolve(family_split())
    before = selected(plan, fold)
    for sample in fold.train:
        project.columns["CD8"][sample] = 1000 + sample**2 % 7
    order_of_trait = selected(project.plan(filters=OPEN, keep_variants=12), fold)
    assert order_of_trait[1] != before[1]
    project.dosage[fold.train[:4]] = 0
    assert selected(project.plan(filters=OPEN, keep_variants=12), fold) != order_of_trait


def test_what_a_covariate_explains_is_not_ranked_first(project):
    project.dosage[:, 5] = [i % 3 for i in range(N_SAMPLES)]
    project.dosage[:, 6] = [i // 2 % 3 for i in range(N_SAMPLES)]
    noise = project.rng.normal(0, 0.1, N_SAMPLES)
    project.columns["age"] = [i % 3 + round(wiggle, 3) for i, wiggle in enumerate(noise)]
    project.columns["CD8"] = [5 * (i % 3) + i // 2 % 3 + round(wiggle, 3) for i, wiggle in enumerate(noise[::-1])]
    assert read(project.plan(filters=OPEN)).store.variants.ids[0] == "rs5"
    assert read(project.plan(filters=OPEN, covariates=["age"])).store.variants.ids[0] == "rs6"


def test_variants_that_do_not_vary_in_training_samples_are_left_out_and_counted(project):
    fold = project.plan().resolve(family_split())
    project.dosage[fold.train, 3] = 2
    project.dosage[fold.validation, 3] = 0
    project.dosage[:, 4] = -1
    project.dosage[fold.train, 5] = 1
    store, notes, _ = read(project.plan(filters=OPEN))
    assert sorted(store.variants.ids.tolist()) == sorted(f"rs{i}" for i in range(N_VARIANTS) if i not in (3, 4, 5))
    assert notes[0].startswith("27 of 30 variants pass the filters in 12 training samples (3 without variation);")


def test_where_no_variant_is_left_a_person_is_told(project):
    project.dosage[:] = 1
    plan = project.plan()
    message = r"^none of the 30 variants passes .*\(30 without variation\)\. Loosen data\.filters\.$"
    with pytest.raises(DataError, match=message):
        read(plan)


def test_a_bed_that_was_cut_short_since_it_was_planned_is_named(project):
    plan = project.plan()
    path = project.folder / "mice.bed"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match=r"^mice\.bed: can't be decoded: .*\. Copy it again\.$"):
        read(plan)

"""Several traits of one fileset: who has them, whether they go together, and which variants they keep."""

import numpy as np
import pytest
from data.one_training_set import block_statistics
from data.plink_project import N_SAMPLES, N_VARIANTS, OPEN, family_split, fold_of, read
from pydantic import ValidationError
from scipy import stats

from genotune.data.several_traits import best_of_traits, trait_tests
from genotune.data.variant_statistics import trait_basis
from genotune.errors import DataError
from genotune.store import GenotypeStore, TraitsStore

BOTH = ["CD8", "MCH"]


@pytest.fixture
def two(project):
    """The project with a second trait; each lacks some samples, and one sample has neither."""
    project.columns["MCH"] = [f"{value:.3f}" for value in project.rng.normal(40, 3, N_SAMPLES)]
    for sample in (4, 9):
        project.columns["CD8"][sample] = "NA"
    for sample in (9, 15, 20):
        project.columns["MCH"][sample] = "NA"
    return project


def values_of(project, trait):
    cells = [cell for sample, cell in enumerate(project.columns[trait]) if sample != 9]
    return np.array([np.nan if cell == "NA" else float(cell) for cell in cells])


def test_a_sample_counts_for_the_traits_that_it_has_and_is_left_out_without_any(two):
    plan = two.plan(trait=BOTH, filters=OPEN)
    assert plan.notes == (
        "CD8: missing in 2 of 24 samples (NA 2); they are left out.",
        "MCH: missing in 3 of 24 samples (NA 3); they are left out.",
        "CD8, MCH: a sample is left out of the traits that it lacks alone; 1 have none of them.",
    )
    store = read(plan).store
    assert isinstance(store, TraitsStore)
    assert [(one.trait, one.kind, one.classes) for one in store.each] == [
        ("CD8", "quantitative", ()),
        ("MCH", "quantitative", ()),
    ]
    for one in store.each:
        np.testing.assert_array_equal(one.phenotype, values_of(two, one.trait))
        assert one.dosage is store.dosage
        assert "I9" not in one.samples[:, 1]
    assert store.nbytes <= plan.store_nbytes <= 1.01 * store.nbytes


def test_one_name_in_a_list_is_one_trait(project):
    store = read(project.plan(trait=["CD8"])).store
    assert isinstance(store, GenotypeStore)
    np.testing.assert_array_equal(store.phenotype, read(project.plan(trait="CD8")).store.phenotype)


def test_traits_of_different_kinds_are_refused_with_what_to_do(project):
    project.refuse(
        r"traits\.tsv: data\.trait: CD8 is quantitative, case is binary; traits of one model are of one kind, since "
        r"one metric judges them all\. Give each a sweep of its own \(data\.winners: each\), or set data\.trait_kind "
        r"if a kind was told wrongly\.",
        trait=["CD8", "case"],
    )
    assert read(project.plan(trait=["CD8", "case"], trait_kind="quantitative")).store.each[1].kind == "quantitative"


def test_the_faults_of_all_traits_are_told_at_once(two):
    two.columns["CD8"][2], two.columns["MCH"][3] = "high", "low"
    two.refuse(
        r"traits\.tsv: CD8: text where numbers are wanted: 'high' .*\ntraits\.tsv: MCH: text where .*'low' .*",
        trait=BOTH,
    )
    two.refuse(
        r"traits\.tsv has no column 'MCV'\. Did you mean 'MCH'\? It is named in data\.trait\.", trait=["CD8", "MCV"]
    )
    two.refuse(r"data\.covariates: MCH is the trait itself\. Remove it\.", trait=BOTH, covariates=["MCH"])


def test_a_trait_that_is_named_twice_or_not_at_all_is_refused(project):
    with pytest.raises(ValidationError, match=r"'CD8' is named twice\. Remove one\."):
        project.settings(trait=["CD8", "CD8"])
    with pytest.raises(ValidationError, match="at least 1 item"):
        project.settings(trait=[])


def test_a_fam_has_but_one_trait(project):
    with pytest.raises(
        DataError, match=r"^mice\.fam: has one trait, not CD8, MCH\. Name a table of samples in data\.ph"
    ):
        project.plan(phenotypes=None, trait=BOTH)


def test_the_table_of_splits_tells_of_each_trait_and_how_many_have_it(two):
    plan = two.plan(trait=BOTH)
    table = plan.split_table(fold_of([0, 1, 2, 3], [4, 5], [14, 15]), family_split())
    assert table.headers == ("traits", "groups", "samples")
    cd8, mch = (values_of(two, trait) for trait in BOTH)
    assert table.rows["validation"][0].splitlines() == [
        f"CD8 {cd8[5]:.3g} ± 0 (1 samples)",
        f"MCH {mch[4:6].mean():.3g} ± {mch[4:6].std():.3g} (2 samples)",
    ]
    assert table.rows["train"][2] == "4"


def test_the_record_says_how_many_samples_of_a_split_have_each_trait(two):
    record = two.plan(trait=BOTH).record(fold_of([0, 1, 4], [5], [14]))
    assert record["trait"] == "CD8, MCH"
    assert record["traits"] == {"CD8": {"classes": []}, "MCH": {"classes": []}}
    assert record["splits"]["train"]["n_by_trait"] == {"CD8": 2, "MCH": 3}
    assert record["splits"]["test"]["n_by_trait"] == {"CD8": 1, "MCH": 0}


def test_every_trait_must_be_known_and_vary_in_each_split(two):
    for sample in (0, 1):
        two.columns["MCH"][sample] = "NA"
    for sample in (2, 3, 12, 13):
        two.columns["MCH"][sample] = "40"
    found = two.plan(trait=BOTH).split_problems(family_split(validation=["F0"], test=["F1", "F6"]))
    assert [(problem.path, problem.message) for problem in found] == [
        (("validation",), "validation holds no sample whose MCH is known. Give it more, or try another seed."),
        (
            ("test",),
            "MCH is 40 in each of the 4 samples of test, which tells nothing. Give it more, or try another seed.",
        ),
    ]


def test_both_classes_of_every_trait_must_be_in_each_split(project):
    project.columns["late"] = [int(sample >= 12) for sample in range(N_SAMPLES)]
    plan = project.plan(trait=["case", "late"])
    [problem] = plan.split_problems(family_split(validation=["F0", "F1"], test=["F4", "F5", "F6"]))
    assert problem.message.startswith("validation holds no sample with late 1: its 4 samples can't tell")


def statistics_of_traits(dosage, tests):
    """Of a block of variants with the trait that each goes with best."""
    whole = block_statistics(dosage, trait_basis(np.arange(len(dosage)), nothing(len(dosage)), kind="quantitative"))
    return best_of_traits(whole, [block_statistics(dosage[test.rows], test.basis) for test in tests], tests)


def nothing(n_samples):
    """No covariates."""
    return np.empty((n_samples, 0), np.float32)


@pytest.mark.parametrize("covariates", [0, 2])
def test_a_variant_is_as_good_as_the_least_p_of_its_regressions(covariates):
    rng = np.random.default_rng(3)
    dosage = rng.choice([0, 1, 2], size=(80, 12)).astype(np.int8)
    beside = rng.normal(size=(80, covariates)).astype(np.float32)
    first, second = rng.normal(size=(2, 80)) + 0.4 * dosage[:, :2].T
    first[:35], second[70:] = np.nan, np.nan
    tests = trait_tests([first, second], beside, kind="quantitative")
    found = statistics_of_traits(dosage, tests)
    expected = np.full((2, 12), np.nan)
    for row, trait in zip(expected, (first, second), strict=True):
        known = ~np.isnan(trait)
        for variant in range(12):
            design = np.column_stack([np.ones(known.sum()), beside[known], dosage[known, variant]])
            _, (rest,), *_ = np.linalg.lstsq(design, trait[known], rcond=None)
            _, (without,), *_ = np.linalg.lstsq(design[:, :-1], trait[known], rcond=None)
            df = known.sum() - design.shape[1]
            row[variant] = -np.log10(stats.f.sf((without - rest) / rest * df, 1, df))
    np.testing.assert_allclose(found.association, expected.max(axis=0), rtol=1e-6)
    plain = block_statistics(dosage, trait_basis(rng.normal(size=80), beside, kind="quantitative"))
    for name in ("n_two", "n_one", "n_none", "n_known", "copies"):
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))


def test_a_trait_of_many_samples_is_not_outranked_by_chance_in_a_trait_of_few():
    """Of shares of variance the best by chance, in 12 samples, would be above a certain association in 400."""
    rng = np.random.default_rng(0)
    dosage = rng.choice([0, 1, 2], size=(400, 50)).astype(np.int8)
    many, few = dosage[:, 7] + rng.normal(scale=1.5, size=400), rng.normal(size=400)
    few[12:] = np.nan
    values = [many, few]
    found = statistics_of_traits(dosage, trait_tests(values, np.empty((400, 0), np.float32), kind="quantitative"))
    assert found.association.argmax() == 7
    shares = [
        block_statistics(
            dosage[:n], trait_basis(trait[:n], np.empty((n, 0), np.float32), kind="quantitative")
        ).association
        for trait, n in ((many, 400), (few, 12))
    ]
    assert np.max(shares, axis=0).argmax() != 7


def test_a_variant_that_varies_among_the_samples_of_one_trait_alone_is_kept(two):
    plan = two.plan(trait=BOTH, filters=OPEN)
    fold = plan.resolve(family_split())
    row = plan.samples.rows[plan.samples.traits[1].known(fold.train)[0]]
    two.columns["CD8"][row] = "NA"
    two.dosage[:, 5] = 1
    two.dosage[row, 5] = 2
    store = two.plan(trait=BOTH, filters=OPEN).read_store_here(fold).store
    assert "rs5" in store.variants.ids


@pytest.mark.parametrize("traits", [BOTH, ["case", "late"], ["three", "four"]])
@pytest.mark.parametrize("seed", range(3))
def test_no_validation_or_test_sample_changes_what_is_selected_for_several_traits(two, traits, seed):
    two.columns["late"] = [int(two.rng.random() < 0.5) for _ in range(N_SAMPLES)]
    two.columns["three"] = [i // 2 % 3 for i in range(N_SAMPLES)]
    two.columns["four"] = [i // 3 % 4 for i in range(N_SAMPLES)]
    values = {
        "trait": traits,
        "trait_kind": {"CD8": "quantitative", "case": "binary", "three": "multiclass"}[traits[0]],
        "filters": {"min_maf": 0.2, "min_call_rate": 0.9},
        "covariates": ["age"],
        "keep_variants": 12,
    }
    plan = two.plan(**values)
    fold = plan.resolve(family_split(seed=seed))
    before = plan.read_store_here(fold)
    rows = plan.samples.rows[np.concatenate([fold.validation, fold.test])]
    two.dosage[rows] = two.rng.choice([0, 2, -1], size=(len(rows), N_VARIANTS))
    for name in traits:
        known = [row for row in rows.tolist() if two.columns[name][row] != "NA"]
        for row, cell in zip(known, [two.columns[name][row] for row in known[::-1]], strict=True):
            two.columns[name][row] = f"{100 * float(cell):.3f}" if isinstance(cell, str) else cell
    for row in rows:
        two.columns["age"][row] = -5000 * int(row)
    after = two.plan(**values).read_store_here(fold)
    assert after.notes == before.notes
    assert after.store.variants.ids.tolist() == before.store.variants.ids.tolist()
    np.testing.assert_array_equal(after.store.variants.frequency, before.store.variants.frequency)


def test_training_samples_of_either_trait_do_change_what_is_selected(two):
    """The test above would pass for a selection that looks at nothing."""
    plan = two.plan(trait=BOTH, filters=OPEN, keep_variants=12)
    fold = plan.resolve(family_split())
    before = plan.read_store_here(fold).store.variants.ids.tolist()
    for name in BOTH:
        kept = [*two.columns[name]]
        for sample in plan.samples.rows[fold.train]:
            if kept[sample] != "NA":
                two.columns[name][sample] = str(1000 + int(sample) ** 2 % 7)
        assert (
            two.plan(trait=BOTH, filters=OPEN, keep_variants=12).read_store_here(fold).store.variants.ids.tolist()
            != before
        )
        two.columns[name] = kept

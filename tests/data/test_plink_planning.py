"""What is planned of genotypes: samples, traits, covariates, splits, the record, and every fault at once."""

import hashlib
import json

import numpy as np
import pydantic
import pytest
from data.plink_builders import MAGIC, packed
from data.plink_project import N_SAMPLES, N_VARIANTS, OPEN, family_split, fold_of, read

from genotune.errors import DataError
from genotune.genome.splits import ColumnSplitSettings, RandomSplitSettings
from genotune.settings import build
from genotune.store import NO_POSITION


def test_samples_without_trait_or_covariate_are_left_out_and_counted(project):
    for sample, mark in {0: "NA", 5: "-9", 9: ""}.items():
        project.columns["CD8"][sample] = mark
    for sample in (5, 6, 7):
        project.columns["age"][sample] = "NA"
    plan = project.plan(covariates=["age"], filters=OPEN)
    kept = [i for i in range(N_SAMPLES) if i not in (0, 5, 6, 7, 9)]
    assert plan.samples.rows.tolist() == kept
    store = read(plan).store
    assert store.samples[:, 1].tolist() == [f"I{i}" for i in kept]
    order = [int(name.removeprefix("rs")) for name in store.variants.ids.tolist()]
    np.testing.assert_array_equal(store.dosage, project.dosage[np.ix_(kept, order)])
    assert plan.notes == (
        "CD8: missing in 3 of 24 samples (empty 1, -9 1, NA 1); they are left out. "
        "If -9 is a value, set data.missing: [NA].",
        "age: missing in 3 of 24 samples (NA 3).",
        "covariates (age): missing in 2 samples; left out.",
    )


def test_rows_of_the_table_may_come_in_any_order_and_number(project):
    expected = read(project.plan(filters=OPEN)).store
    order = project.rng.permutation(N_SAMPLES)
    project.columns = {name: [cells[i] for i in order] for name, cells in project.columns.items()}
    for name, cells in project.columns.items():
        cells.append({"FID": "G", "IID": "elsewhere", "CD8": "1000"}.get(name, "0"))
    plan = project.plan(filters=OPEN)
    store = read(plan).store
    np.testing.assert_array_equal(store.dosage, expected.dosage)
    np.testing.assert_array_equal(store.phenotype, expected.phenotype)
    assert plan.notes == ("traits.tsv: 1 of 25 rows are of samples without genotypes; they are not used.",)


def test_samples_without_a_row_are_left_out_and_counted(project):
    project.columns = {name: cells[4:] for name, cells in project.columns.items()}
    plan = project.plan()
    assert plan.samples.rows.tolist() == list(range(4, N_SAMPLES))
    assert plan.notes == ("traits.tsv: no row for 4 of 24 samples of mice.fam; they are left out.",)


def test_samples_are_matched_as_the_spec_says(project):
    project.columns["FID"] = ["other"] * N_SAMPLES
    found = project.plan(match_by="iid")
    assert found.samples.rows.tolist() == list(range(N_SAMPLES))
    assert found.samples.ids[0].tolist() == ["F0", "I0"]
    project.refuse(
        r"traits\.tsv: no sample of mice\.fam is in it by FID and IID: it has 'other I0', mice\.fam has 'F0 I0'\. "
        r"By IID alone 24 of 24 match: set data\.match_by: iid\.",
    )
    del project.columns["FID"]
    assert project.plan().samples.rows.tolist() == list(range(N_SAMPLES))


def test_the_trait_may_stand_in_the_fam_as_a_number(project):
    phenotypes = [f"{value:.3f}" for value in project.rng.normal(size=N_SAMPLES)]
    phenotypes[2] = phenotypes[7] = "-9"
    phenotypes[8] = "NA"
    plan = project.plan_of_fam(*phenotypes, filters=OPEN)
    store = read(plan).store
    assert (store.trait, store.kind, plan.target) == ("phenotype", "quantitative", "quantitative")
    np.testing.assert_array_equal(store.phenotype, [float(p) for p in phenotypes if p not in ("-9", "NA")])
    assert plan.notes == ("phenotype: missing in 3 of 24 samples (-9 2, NA 1); they are left out.",)


def test_the_trait_may_stand_in_the_fam_as_control_and_case(project):
    phenotypes = [(1, 2, 1, 2, -9, 0)[i % 6] for i in range(N_SAMPLES)]
    plan = project.plan_of_fam(*phenotypes, trait="disease")
    assert (plan.target, plan.samples.classes, plan.samples.trait) == ("binary", ("1", "2"), "disease")
    assert plan.samples.values.tolist() == [0, 1] * 8
    assert plan.notes == (
        "disease: missing in 8 of 24 samples (-9 4, 0 4); they are left out.",
        "disease: coded 1 and 2, as PLINK does: 2 is the case (class 1), 1 the control (class 0).",
    )


def test_minus_nine_in_a_fam_is_missing_whatever_the_spec_says(project):
    phenotypes = ["-9" if i < 3 else str(i / 2) for i in range(N_SAMPLES)]
    plan = project.plan_of_fam(*phenotypes, missing=["NA"])
    assert plan.samples.rows.tolist() == list(range(3, N_SAMPLES))


def test_a_fam_without_phenotypes_is_refused(project):
    project.refuse(
        r"mice\.fam: column 6 holds only -9 \(missing\); "
        r"name a table in data\.phenotypes and its column in data\.trait\.",
        phenotypes=None,
        trait=None,
    )


def test_text_in_a_fam_is_named_by_its_line_though_some_lines_are_blank(project):
    project.fam = [(*row[:5], "tall" if i == 4 else i / 7) for i, row in enumerate(project.fam)]
    project.write()
    path = project.folder / "mice.fam"
    path.write_text("\n" + path.read_text())
    message = r"^mice\.fam: phenotype: text where numbers are wanted: 'tall' \(mice\.fam:6\)\."
    with pytest.raises(DataError, match=message):
        project.settings(phenotypes=None, trait=None).plan(project.folder)


@pytest.mark.parametrize(
    ("cells", "trait_kind", "kind", "classes"),
    [
        (("1", "2", "3"), None, "multiclass", ("1", "2", "3")),
        (("1", "2", "3"), "count", "count", ()),
        (("1", "2", "3"), "quantitative", "quantitative", ()),
        (("0", "1", "1"), None, "binary", ("0", "1")),
        (("0", "1", "1"), "quantitative", "quantitative", ()),
        (("lean", "obese", "obese"), "binary", "binary", ("lean", "obese")),
        (("a", "b", "c"), "multiclass", "multiclass", ("a", "b", "c")),
    ],
)
def test_the_kind_of_the_trait_is_told_from_the_values_or_set(project, cells, trait_kind, kind, classes):
    project.columns["CD8"] = [cells[i % 3] for i in range(N_SAMPLES)]
    plan = project.plan(trait_kind=trait_kind, filters=OPEN)
    assert (plan.target, plan.samples.classes) == (kind, classes)
    assert project.settings(trait_kind=trait_kind).known_target == trait_kind
    store = read(plan, build(RandomSplitSettings, {"by": "random", "validation": 0.25, "test": 0.25})).store
    values = [classes.index(cells[i % 3]) if classes else float(cells[i % 3]) for i in range(N_SAMPLES)]
    assert store.phenotype.tolist() == values
    assert store.phenotype.dtype == np.float64


def test_covariates_of_text_become_columns_of_their_levels(project):
    plan = project.plan(covariates=["sex", "age"], filters=OPEN)
    store = read(plan).store
    assert store.covariate_names == ("sex=m", "age")
    expected = [
        [float(sex == "m"), age] for sex, age in zip(project.columns["sex"], project.columns["age"], strict=True)
    ]
    np.testing.assert_array_equal(store.covariates, np.array(expected, dtype=np.float32))
    assert store.covariates.dtype == np.float32
    assert plan.notes == ("sex: text, taken as 2 levels; 'f' is the one without a column.",)


def test_a_missing_mark_may_be_written_as_a_number(project):
    settings = project.settings(missing=["NA", -9, 0.5])
    assert settings.missing == ("NA", "-9", "0.5")
    project.columns["CD8"][:3] = ["-9", "-9.0", "0.50"]
    assert project.plan(missing=["NA", -9, 0.5]).samples.rows.tolist() == list(range(3, N_SAMPLES))
    assert project.plan(missing=["NA"]).samples.rows.tolist() == list(range(N_SAMPLES))


@pytest.mark.parametrize("mark", [True, None, ["NA"]])
def test_what_is_neither_text_nor_number_is_no_mark(project, mark):
    with pytest.raises(pydantic.ValidationError, match=r"missing\.0"):
        project.settings(missing=[mark])


def test_variants_without_a_position_are_kept_and_counted(project):
    for variant, position in {3: -9, 4: 0, 29: 0}.items():
        project.bim[variant] = (*project.bim[variant][:3], position, "A", "G")
    plan = project.plan(filters=OPEN)
    assert plan.notes == (
        "mice.bim: 3 of 30 variants have no position (0 or less); they are used, but lie on no interval.",
    )
    variants = read(plan).store.variants
    starts = dict(zip(variants.ids.tolist(), variants.starts.tolist(), strict=True))
    assert [starts[name] for name in ("rs3", "rs4", "rs29")] == [NO_POSITION] * 3
    assert starts["rs5"] == 6000
    assert len(starts) == N_VARIANTS


def test_a_split_must_hold_every_class(project):
    plan = project.plan(trait="case")
    names = {"validation": ["F0", "F2"], "test": ["F1", "F3"]}
    problems = plan.split_problems(family_split(**names))
    assert [problem.path for problem in problems] == [("validation",), ("test",)]
    assert problems[0].message == (
        "validation holds no sample with case 1: its 4 samples can't tell the classes apart. "
        "Give it more, or try another seed."
    )
    assert plan.split_problems(family_split(validation=["F0", "F1"], test=["F2", "F3"])) == []


def test_training_samples_must_hold_every_class_too(project):
    project.columns["case"] = [int(i < 4) for i in range(N_SAMPLES)]
    plan = project.plan(trait="case")
    found = plan.split_problems(family_split(validation=["F0", "F2"], test=["F1", "F3"]))
    assert [(problem.path, problem.message.split(":")[0]) for problem in found] == [
        ((), "train holds no sample with case 1")
    ]


def test_a_quantitative_trait_must_vary_in_each_split(project):
    project.columns["CD8"][:4] = ["0.5"] * 4
    [problem] = project.plan().split_problems(family_split(validation=["F0", "F1"], test=["F2", "F3"]))
    assert problem.path == ("validation",)
    assert problem.message == (
        "CD8 is 0.5 in each of the 4 samples of validation, which tells nothing. Give it more, or try another seed."
    )


def test_a_way_to_match_without_a_table_has_no_effect_and_is_said_so(project):
    plan = project.plan_of_fam(*range(N_SAMPLES), match_by="iid", trait_kind="quantitative")
    assert "data.match_by has no effect without a table in data.phenotypes. Remove it." in plan.notes


def test_a_split_of_a_quantitative_trait_has_no_classes_to_hold(project):
    assert project.plan().split_problems(family_split()) == []


def test_what_a_split_itself_says_comes_before_its_classes(project):
    plan = project.plan(trait="case")
    found = plan.split_problems(family_split(validation=["F99"]))
    assert [problem.path for problem in found] == [("validation", 0)]


def test_samples_may_be_split_by_a_column_of_the_table_or_by_their_parents(project):
    project.fam = [(*row[:2], f"P{i % 4}" if i % 6 else "0", "0", *row[4:]) for i, row in enumerate(project.fam)]
    project.columns["site"] = ["NA" if i == 3 else f"S{i % 5}" for i in range(N_SAMPLES)]
    plan = project.plan()
    by_site = build(ColumnSplitSettings, {"by": "column", "column": "site", "validation": ["S0"], "test": ["S1"]})
    fold = plan.resolve(by_site)
    assert fold.validation.tolist() == [0, 5, 10, 15, 20]
    assert 3 in fold.train
    assert plan.split_notes(by_site)[0].startswith("1 sample has no site")
    by_father = build(ColumnSplitSettings, {"by": "column", "column": "father", "validation": ["P1"], "test": ["P2"]})
    assert plan.resolve(by_father).validation.tolist() == [1, 5, 9, 13, 17, 21]
    assert plan.split_notes(by_father)[0].startswith("4 samples have no father")
    unknown = build(ColumnSplitSettings, {"by": "column", "column": "sight", "validation": 0.2, "test": 0.2})
    assert "Did you mean 'site'?" in plan.split_problems(unknown)[0].message


def test_groups_follow_samples_that_are_left_out(project):
    project.columns["CD8"][0] = project.columns["CD8"][1] = "NA"
    plan = project.plan()
    fold = plan.resolve(family_split(validation=["F1"], test=["F2"]))
    assert [plan.samples.ids[member, 1] for member in fold.validation] == ["I2", "I3"]
    assert plan.split_problems(family_split(validation=["F0"]))[0].path == ("validation", 0)


def test_columns_follow_samples_that_are_left_out(project):
    project.columns["site"] = [f"S{i % 5}" for i in range(N_SAMPLES)]
    project.columns["CD8"][0] = project.columns["age"][7] = "NA"
    plan = project.plan(covariates=["age"])
    by_site = build(ColumnSplitSettings, {"by": "column", "column": "site", "validation": ["S0"], "test": ["S2"]})
    fold = plan.resolve(by_site)
    assert plan.samples.ids[fold.validation, 1].tolist() == ["I5", "I10", "I15", "I20"]
    assert plan.samples.ids[fold.test, 1].tolist() == ["I2", "I12", "I17", "I22"]


def test_the_table_of_splits_shows_the_trait_groups_and_samples(project):
    plan = project.plan(trait="case")
    split = family_split(validation=["F0", "F1"], test=["F2", "F3", "F5"])
    table = plan.split_table(plan.resolve(split), split)
    assert table.headers == ("case", "groups", "samples")
    assert dict(table.rows) == {
        "train": ("0: 8, 1: 6", "7", "14"),
        "validation": ("0: 2, 1: 2", "2", "4"),
        "test": ("0: 2, 1: 4", "3", "6"),
    }


def test_the_table_of_splits_shows_mean_and_spread_of_a_number(project):
    project.columns["CD8"] = [i % 2 * 4 + 1 for i in range(N_SAMPLES)]
    plan = project.plan(trait_kind="quantitative")
    split = family_split()
    rows = plan.split_table(plan.resolve(split), split).rows
    assert [cells[0] for cells in rows.values()] == ["3 ± 2"] * 3


def test_a_split_is_named_by_its_samples(project):
    assert project.plan().name_split(np.arange(1234)) == "1,234 samples"


def test_an_outline_says_how_much_a_split_holds(project):
    plan = project.plan(trait="case", covariates=["age", "sex"], keep_variants=9)
    outline = plan.outline(np.arange(5))
    assert outline == (5, 9, "binary", 2, 2, False, 0)
    assert project.plan(keep_variants=99).outline(np.arange(5)) == (5, 30, "quantitative", 0, 0, False, 0)


def test_the_record_says_whose_samples_were_split_how_without_naming_them(project):
    plan = project.plan(trait="case", covariates=["sex"])
    record = plan.record(fold_of([0, 1, 2], [3], [23]))
    lines = {"train": b"F0\tI0\nF0\tI1\nF1\tI2", "validation": b"F1\tI3", "test": b"F11\tI23"}
    assert record == {
        "kind": "plink",
        "trait": "case",
        "trait_kind": "binary",
        "classes": ["0", "1"],
        "covariates": ["sex=m"],
        "n_samples": 24,
        "n_variants": 30,
        "dosage": "int8",
        "splits": {
            split: {"n_samples": ids.count(b"I"), "ids_sha256": hashlib.sha256(ids).hexdigest()}
            for split, ids in lines.items()
        },
    }
    assert json.loads(json.dumps(record)) == record
    assert plan.record(fold_of([2, 0, 1], [3], [23])) == record


def test_fingerprints_name_each_file_as_the_spec_does(project):
    facts = project.plan().fingerprints()
    assert [(one["role"], one["path"]) for one in facts] == [
        ("genotypes", "mice.bed"),
        ("variants", "mice.bim"),
        ("samples", "mice.fam"),
        ("phenotypes", "traits.tsv"),
    ]
    content = MAGIC + packed(project.dosage)
    assert (facts[0]["n_bytes"], facts[0]["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    of_fam = project.plan_of_fam(*range(N_SAMPLES)).fingerprints()
    assert [one["role"] for one in of_fam] == ["genotypes", "variants", "samples"]


def test_there_are_no_bins(project):
    settings = project.settings()
    assert settings.objective_bin_bp(128) is None
    assert settings.bin_fault(None) is None
    assert settings.bin_fault(128) == "found 128; samples are scored one by one, not in bins. Remove it."


def test_the_faults_of_all_files_come_at_once(project):
    project.write()
    (project.folder / "mice.fam").write_text("F0 I0 0 0 1\n")
    (project.folder / "mice.bim").write_text("1 rs0 0 1 A G\n1 rs1 0 here A G\n")
    with pytest.raises(DataError, match=r"traits\.tsv") as caught:
        project.settings(trait="CD9", covariates=["age", "agee", "CD9"]).plan(project.folder)
    assert [line.split(";")[0].split(". ")[0] for line in str(caught.value).splitlines()] == [
        "traits.tsv has no column 'CD9'",
        "traits.tsv has no column 'agee'",
        "traits.tsv has no column 'CD9'",
        "mice.fam:1: 5 columns",
        "mice.bim:2: position 'here'",
    ]


def test_the_faults_of_trait_and_covariates_come_at_once_with_their_file(project):
    project.columns["CD8"][2] = "high"
    project.columns["age"][3] = "old"
    project.columns["sex"] = ["m"] * N_SAMPLES
    with pytest.raises(DataError, match=r"traits\.tsv") as caught:
        project.plan(covariates=["age", "sex"])
    assert [line.split(". ")[0] for line in str(caught.value).splitlines()] == [
        "traits.tsv: CD8: text where numbers are wanted: 'high' (traits.tsv:4)",
        "traits.tsv: age: 23 numbers, and text: 'old'",
        "traits.tsv: sex: all 24 values are m; it tells nothing",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"trait": None},
            r"traits\.tsv: which column is the trait\? Name it in data\.trait; there are: CD8, case, age, sex\.",
        ),
        ({"trait": "cd8"}, r"traits\.tsv has no column 'cd8'\. Did you mean 'CD8'\? It is named in data\.trait\."),
        ({"trait": "IID"}, r"'IID' holds the IDs of traits\.tsv; name another column\. It is named in data\.trait\."),
        (
            {"covariates": ["AGE"]},
            r"traits\.tsv has no column 'AGE'\. Did you mean 'age'\? It is named in data\.covariates\.",
        ),
        ({"covariates": ["age", "CD8"]}, r"data\.covariates: CD8 is the trait itself\. Remove it\."),
        ({"covariates": ["age", "sex", "age"]}, r"data\.covariates: age is named twice\. Remove one\."),
        (
            {"phenotypes": None, "covariates": ["age"]},
            r"data\.covariates: a \.fam has none; name a table in data\.phenotypes\.",
        ),
        (
            {"phenotypes": "ftps://bucket/traits.tsv"},
            r"ftps://bucket/traits\.tsv: can't be read \(Protocol not known: ftps\)\. s3://, gs://, https://.*",
        ),
    ],
)
def test_columns_that_do_not_fit_are_told(project, values, message):
    project.refuse(message, **values)


def test_samples_that_have_trait_or_covariates_but_never_both_are_told(project):
    project.columns["CD8"][:12] = ["NA"] * 12
    project.columns["age"][12:] = ["NA"] * 12
    project.refuse(
        r"traits\.tsv: CD8: no sample has both the trait and all covariates\. "
        r"Remove those from data\.covariates that are missing\.",
        covariates=["age"],
    )


def test_a_class_that_the_covariates_take_away_is_told(project):
    project.columns["age"] = ["NA" if case else 30 + i for i, case in enumerate(project.columns["case"])]
    project.refuse(
        r"traits\.tsv: case: no sample with case 1 has all covariates\. "
        r"Remove those from data\.covariates that are missing, or complete them\.",
        trait="case",
        covariates=["age"],
    )


def test_a_trait_that_varies_only_where_covariates_are_missing_is_told(project):
    project.columns["CD8"] = [2.5] * 20 + [1, 2, 3, 4]
    project.columns["age"][20:] = ["NA"] * 4
    project.refuse(
        r"traits\.tsv: CD8: all 20 samples that have all covariates have the value 2\.5\. Remove those .*",
        covariates=["age"],
    )


def test_folds_keep_families_whole_and_leave_the_test_samples_alone(project):
    plan, split = project.plan(), family_split()
    fold = plan.resolve(split)
    folds = plan.folds(fold, split, n_folds=3)
    held_out = np.concatenate([one.validation for one in folds])
    np.testing.assert_array_equal(np.sort(held_out), np.sort(np.concatenate([fold.train, fold.validation])))
    for one in folds:
        assert not {*plan.samples.table.families[one.train]} & {*plan.samples.table.families[one.validation]}
        np.testing.assert_array_equal(one.test, fold.test)

"""Further tables beside genotypes: matched by sample, typed, counted; and every fault with its fix."""

import gzip

import numpy as np
import pytest
from data.plink_builders import write_rows
from data.plink_project import N_SAMPLES, Project, family_split, read
from pydantic import ValidationError

from genotune.data.further_tables import unseen_levels
from genotune.data.known_columns import as_codes
from genotune.store import TableColumn

NAN = np.nan


@pytest.fixture
def project(tmp_path):
    """Mice with a table of expression in another order, without the mouse I3, and with one that nobody knows."""
    found = Project(tmp_path)
    ids = [*(f"I{i}" for i in reversed(range(N_SAMPLES)) if i != 3), "stranger"]
    found.expression = {
        "IID": ids,
        "GENE1": [f"{float(iid[1:]) / 2:g}" if iid != "stranger" else "9" for iid in ids],
        "GENE2": ["NA" if i % 6 == 0 else str(-i) for i in range(len(ids))],
        "site": ["Ulm" if i % 3 == 0 else "Bonn" for i in range(len(ids))],
    }
    return found


def write_expression(project, name="expr.tsv", **columns):
    cells = {**project.expression, **columns}
    write_rows(project.folder / name, [tuple(cells), *zip(*cells.values(), strict=True)], separator="\t")


def plan(project, table=None, **values):
    return project.plan(tables={"expression": {"path": "expr.tsv", **(table or {})}}, **values)


def refuse(project, message, table=None):
    project.refuse(message, tables={"expression": {"path": "expr.tsv", **(table or {})}})


def test_samples_are_matched_and_those_without_a_row_are_unknown(project):
    write_expression(project)
    found = plan(project)
    assert [column.name for column in found.samples.table_columns] == [
        "expression:GENE1",
        "expression:GENE2",
        "expression:site",
    ]
    assert found.samples.table_columns[2].levels == ("Bonn", "Ulm")
    expected = np.arange(N_SAMPLES) / 2
    expected[3] = NAN
    np.testing.assert_array_equal(found.samples.features[:, 0], expected.astype(np.float32))
    assert np.isnan(found.samples.features[3]).all()
    n_missing = int(np.isnan(found.samples.features).sum())
    assert n_missing == 3 + 4
    assert found.notes == (
        "expr.tsv (table expression): 3 columns of 24 samples, 1 of them categories; 7 values are missing (9.7%), 1 "
        "samples have no row.",
    )


def test_the_store_holds_what_was_read_and_the_record_no_value_of_it(project):
    write_expression(project)
    found = plan(project, covariates=["age"])
    made = read(found)
    np.testing.assert_array_equal(made.store.features, found.samples.features)
    assert made.store.features.dtype == np.float32
    fold = found.resolve(family_split())
    assert found.record(fold)["tables"] == {"expression": 3}
    assert found.outline(fold.train).n_features == 4
    assert [one["role"] for one in found.fingerprints()][-1] == "table expression"
    assert found.store_nbytes >= made.store.nbytes


def test_a_column_that_tells_the_trait_is_warned_of(project):
    ids = project.expression["IID"]
    traits = [project.columns["CD8"][int(iid[1:])] if iid != "stranger" else "0" for iid in ids]
    write_expression(project, copy=traits)
    [note] = [note for note in plan(project).notes if "without an error" in note]
    assert note.startswith("data.tables: 'expression:copy' tells CD8 without an error.")


def test_no_column_that_is_one_of_several_traits_is_offered_as_a_feature(project):
    project.columns["MCH"] = [f"{40 + i / 7:.3f}" for i in range(N_SAMPLES)]
    write_expression(project, CD8=project.expression["GENE1"], MCH=project.expression["GENE1"])
    found = plan(project, trait=["CD8", "MCH"])
    names = [column.name for column in found.samples.table_columns]
    assert names == ["expression:GENE1", "expression:GENE2", "expression:site"]
    for trait in ("CD8", "MCH"):
        project.refuse(
            rf"data\.tables\.expression\.columns: {trait} is the trait itself\. Remove it\.",
            trait=["CD8", "MCH"],
            tables={"expression": {"path": "expr.tsv", "columns": ["GENE1", trait]}},
        )


def test_columns_kinds_ids_and_marks_are_as_the_spec_says(project):
    project.expression = {"donor": project.expression["IID"], **project.expression}
    del project.expression["IID"]
    project.expression["GENE2"] = ["-9" if i == 0 else str(i % 3) for i in range(N_SAMPLES)]
    write_expression(project)
    asked = {"id": "donor", "columns": ["GENE2", "GENE1"], "kinds": {"GENE2": "category"}, "missing": [-9]}
    found = plan(project, asked)
    assert found.samples.table_columns == (
        TableColumn("expression:GENE2", ("0", "1", "2")),
        TableColumn("expression:GENE1"),
    )
    assert np.isnan(found.samples.features[23, 0])
    assert found.samples.features[22, 0] == 1


def test_minus_nine_is_a_value_unless_it_is_said_to_mark_a_missing_one(project):
    write_expression(project, GENE1=["-9", *map(str, range(N_SAMPLES - 1))])
    assert (plan(project).samples.features[:, 0] == -9).sum() == 1


@pytest.mark.parametrize("ending", [".csv", ".tsv.gz", ".parquet"])
def test_tables_of_every_kind_are_read(project, ending):
    write_expression(project)
    expected = plan(project).samples.features
    name, text = f"other{ending}", (project.folder / "expr.tsv").read_text()
    if ending == ".csv":
        (project.folder / name).write_text(text.replace("\t", ","))
    elif ending == ".tsv.gz":
        (project.folder / name).write_bytes(gzip.compress(text.encode(), mtime=0))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table(project.expression), project.folder / name)
    np.testing.assert_array_equal(plan(project, {"path": name}).samples.features, expected)


def test_the_trait_and_what_tells_nothing_are_left_out_where_all_columns_are_asked_for(project):
    names = [f"name{i}" for i in range(N_SAMPLES)]
    constant, nothing = ["5"] * N_SAMPLES, ["NA"] * N_SAMPLES
    write_expression(project, CD8=project.expression["GENE1"], same=constant, none=nothing, label=names)
    found = plan(project)
    names = [column.name.removeprefix("expression:") for column in found.samples.table_columns]
    assert names == ["GENE1", "GENE2", "site"]
    assert found.notes[1] == (
        "expr.tsv: 'same', 'none' and 'label' left out: without two different values among these samples, or text that "
        "is a name of each, or of more than 50 levels."
    )


@pytest.mark.parametrize(
    ("columns", "table", "message"),
    [
        ({}, {"columns": ["GENE3"]}, r"expr\.tsv has no column 'GENE3'\. Did you mean 'GENE2'\? It is named in data\."
         r"tables\.expression\.columns\."),
        ({"CD8": ["1"] * 24}, {"columns": ["CD8"]}, r"data\.tables\.expression\.columns: CD8 is the trait itself\. "
         r"Remove it\."),
        ({}, {"columns": ["GENE1", "GENE1"]}, r"data\.tables\.expression\.columns: GENE1 is named twice\. Remove "
         r"one\."),
        ({}, {"columns": ["GENE1"], "kinds": {"site": "category"}}, r"data\.tables\.expression\.kinds: site is none of "
         r"the columns that are used\. Remove it, or name it in columns\."),
        ({}, {"id": "donor"}, r"expr\.tsv: no column 'donor' with the samples' IDs; it has .*"),
        ({}, {"id": "GENE1"}, r"expr\.tsv: 'GENE1' is to hold the IDs, and there is a column IID too\. Rename one\."),
        ({}, {"kinds": {"site": "number"}}, r"expr\.tsv: site: text where numbers are wanted: 'Ulm' \(expr\.tsv:2\), "
         r"'Bonn' \(expr\.tsv:3\), 'Bonn' \(expr\.tsv:4\) and 21 more\. Mark missing values by NA, .*"),
        ({"GENE1": ["low", *"1" * 23]}, {}, r"expr\.tsv: GENE1: 23 numbers, and text: 'low' \(expr\.tsv:2\)\. Mark "
         r"missing values by NA, or set data\.tables\.expression\.kinds: \{GENE1: category\}\."),
        ({"GENE1": ["inf", *"1" * 23]}, {}, r"expr\.tsv: GENE1: infinite or too large: 'inf' \(expr\.tsv:2\)\. .*"),
        ({"GENE1": ["5"] * 24}, {"columns": ["GENE1"]}, r"expr\.tsv: GENE1: all 23 known values are the same\. Remove "
         r"it from data\.tables\.expression\.columns\."),
        ({"IID": [f"J{i}" for i in range(24)]}, {}, r"expr\.tsv: no sample of mice\.fam is in it by IID: it has 'J0', "
         r"mice\.fam has 'I0'\. Write the IDs of the \.fam into the table\."),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_said_with_its_place(project, columns, table, message):
    write_expression(project, **columns)
    refuse(project, message, table)


def test_faults_of_all_tables_come_at_once(project):
    write_expression(project)
    tables = {"a": {"path": "expr.tsv", "columns": ["X"]}, "b": {"path": "lost.tsv"}}
    project.refuse(r"expr\.tsv has no column 'X'.*\nlost\.tsv: no such file .*", tables=tables)


def test_a_level_that_only_held_out_samples_have_is_told_of(project):
    write_expression(project)
    found = plan(project)
    fold = found.resolve(family_split())
    held_out = int(fold.test[0])
    site = ["Kiel" if iid == f"I{held_out}" else "Ulm" if i % 2 else "Bonn" for i, iid in enumerate(
        project.expression["IID"]
    )]  # fmt: skip
    write_expression(project, site=site)
    notes = read(plan(project)).notes
    assert "expression:site: 'Kiel': in no training sample, so taken as unknown where it stands." in notes


def test_levels_are_counted_as_unseen_only_where_they_stand():
    columns = (TableColumn("t:a", ("x", "y", "z")), TableColumn("t:b"))
    values = np.array([[0, 1], [1, 2], [NAN, 3], [2, 4]], dtype=np.float32)
    assert unseen_levels(values, columns, training=np.array([0, 2])) == {"t:a": ("y", "z")}
    assert unseen_levels(values, columns, training=np.arange(4)) == {}


def test_cells_are_coded_by_the_levels_that_are_known():
    codes = as_codes(np.array(["2", "1.0", "7", "NA", "", "01"]), ("1", "2"), missing=("NA",))
    np.testing.assert_array_equal(codes, [1, 0, 2, NAN, NAN, 0])
    np.testing.assert_array_equal(as_codes(np.array(["01", "a"]), ("01", "b"), missing=()), [0, 2])


def test_samples_that_lack_a_covariate_stay_if_it_is_to_be_filled_in(project):
    project.columns["age"] = ["NA" if i in (2, 9) else 30 + i % 5 for i in range(N_SAMPLES)]
    dropped, kept = project.plan(covariates=["age"]), project.plan(covariates=["age"], covariates_missing="impute")
    assert len(dropped.samples.rows) == 22
    assert len(kept.samples.rows) == 24
    assert "covariates (age): missing in 2 samples; filled in from the training samples of each fit." in kept.notes
    made = read(kept)
    assert made.store.fills_covariates
    assert np.isnan(made.store.covariates[[2, 9], 0]).all()
    assert np.isfinite(np.delete(made.store.covariates, [2, 9], axis=0)).all()


def test_variants_are_ranked_as_if_the_missing_covariate_were_the_training_median(project):
    ages = [30 + i % 5 for i in range(N_SAMPLES)]
    fold = project.plan(covariates=["age"]).resolve(family_split())
    hole = int(fold.train[0])
    median = np.median([ages[i] for i in fold.train if i != hole])
    project.columns["age"] = ["NA" if i == hole else age for i, age in enumerate(ages)]
    filters = {"min_maf": 0, "min_call_rate": 0}
    found = project.plan(covariates=["age"], covariates_missing="impute", filters=filters).read_store_here(fold)
    project.columns["age"] = [median if i == hole else age for i, age in enumerate(ages)]
    by_hand = project.plan(covariates=["age"], filters=filters).read_store_here(fold)
    np.testing.assert_array_equal(found.store.variants.ids, by_hand.store.variants.ids)


def test_one_column_may_be_named_without_a_list(project):
    write_expression(project)
    assert [column.name for column in plan(project, {"columns": "site"}).samples.table_columns] == ["expression:site"]


@pytest.mark.parametrize("name", ["", "a:b", "a=b"])
def test_the_name_of_a_table_can_be_told_from_that_of_a_column(project, name):
    with pytest.raises(ValidationError, match="the name of a table has no colon, equals sign, tab or end of line"):
        project.settings(tables={name: {"path": "expr.tsv"}})

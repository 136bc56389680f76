import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.data.plink_files import FamTable
from genotune.data.sample_matching import match_samples
from genotune.data.sample_table import PhenotypeTable
from genotune.errors import DataError


def fam_of(*samples):
    fids, iids = (np.array(column, dtype=np.str_) for column in zip(*samples, strict=True))
    unknown = np.full(len(samples), "0")
    return FamTable(fids, iids, unknown, unknown, unknown)


def table_of(*samples):
    """Pairs of family and individual ID, or individual IDs alone."""
    if isinstance(samples[0], str):
        return PhenotypeTable("t.tsv", None, np.array(samples), {}, 2)
    fids, iids = (np.array(column, dtype=np.str_) for column in zip(*samples, strict=True))
    return PhenotypeTable("t.tsv", fids, iids, {}, 2)


def match(fam, table, match_by=None):
    return match_samples(fam, table, match_by=match_by, fam_label="x.fam")


def refuse(fam, table, message, match_by=None):
    with pytest.raises(DataError, match=f"^{message}"):
        match(fam, table, match_by)


FAM = fam_of(("F1", "I1"), ("F1", "I2"), ("F2", "I3"))


def test_rows_are_found_in_any_order_without_a_note_when_nothing_is_left_over():
    found = match(FAM, table_of(("F2", "I3"), ("F1", "I1"), ("F1", "I2")))
    assert found.rows.tolist() == [1, 2, 0]
    assert found.rows.dtype == np.int64
    assert found.notes == ()


def test_what_is_left_over_on_either_side_is_counted():
    found = match(FAM, table_of(("F1", "I2"), ("F9", "I9"), ("F8", "I8")))
    assert found.rows.tolist() == [-1, 0, -1]
    assert found.notes == (
        "t.tsv: no row for 2 of 3 samples of x.fam; they are left out.",
        "t.tsv: 2 of 3 rows are of samples without genotypes; they are not used.",
    )


def test_a_table_without_families_is_matched_by_iid():
    assert match(FAM, table_of("I3", "I1")).rows.tolist() == [1, -1, 0]


def test_a_table_with_families_is_matched_by_both():
    assert match(FAM, table_of(("F1", "I1"), ("other", "I2"))).rows.tolist() == [0, -1, -1]
    assert match(FAM, table_of(("F1", "I1"), ("other", "I2")), "fid_iid").rows.tolist() == [0, -1, -1]


def test_families_may_be_left_aside():
    assert match(FAM, table_of(("F1", "I1"), ("other", "I2")), "iid").rows.tolist() == [0, 1, -1]


def test_one_individual_id_in_two_families_is_told_apart_by_family():
    fam = fam_of(("F1", "I1"), ("F2", "I1"))
    assert match(fam, table_of(("F2", "I1"), ("F1", "I1"))).rows.tolist() == [1, 0]


def test_without_a_common_id_both_sides_are_shown():
    refuse(
        FAM,
        table_of("1", "2"),
        r"t\.tsv: no sample of x\.fam is in it by IID: it has '1', x\.fam has 'I1'\. "
        r"Write the IDs of the \.fam into the table\.$",
    )


def test_when_individual_ids_alone_match_the_setting_is_told():
    refuse(
        FAM,
        table_of(("I1", "I1"), ("I2", "I2")),
        r"t\.tsv: no sample of x\.fam is in it by FID and IID: it has 'I1 I1', x\.fam has 'F1 I1'\. "
        r"By IID alone 2 of 3 match: set data\.match_by: iid\.$",
    )


def test_without_a_common_id_of_either_kind_iid_is_not_advised():
    refuse(
        FAM, table_of(("0", "x")), r"t\.tsv: no sample .* by FID and IID: it has '0 x', .*Write the IDs of the \.fam"
    )


def test_an_iid_that_stands_twice_in_the_fam_tells_no_one():
    fam = fam_of(("F1", "I1"), ("F2", "I1"))
    message = r"x\.fam: IID 'I1' stands in the families 'F1' and 'F2'; so IID alone doesn't say who is meant\. "
    refuse(fam, table_of("I1"), message + r"Add a column FID to t\.tsv\.$")
    refuse(fam, table_of(("F1", "I1")), message + r"Set data\.match_by: fid_iid\.$", "iid")


def test_an_iid_that_stands_twice_in_the_table_tells_no_one():
    table = table_of(("A", "I1"), ("B", "I1"), ("A", "I2"), ("B", "I2"))
    message = (
        r"t\.tsv: IID 'I1' stands in the families 'A' and 'B' \(and 1 more do\); "
        r"so IID alone doesn't say who is meant\. Set data\.match_by: fid_iid\.$"
    )
    refuse(FAM, table, message, "iid")


def test_matching_by_family_needs_a_column_of_families():
    message = r"t\.tsv: has no column FID, which data\.match_by: fid_iid needs\. Add it, or set data\.match_by: iid\.$"
    refuse(FAM, table_of("I1"), message, "fid_iid")


SAMPLES = st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from("12345")), min_size=1, unique=True)


@given(SAMPLES, SAMPLES)
def test_every_match_is_of_equal_ids_and_none_is_missed(ours, theirs):
    if not {*ours} & {*theirs}:
        return
    rows = match(fam_of(*ours), table_of(*theirs)).rows.tolist()
    assert [theirs[row] if row >= 0 else None for row in rows] == [s if s in theirs else None for s in ours]

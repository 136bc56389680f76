import numpy as np
import pytest

from genotune.data.covariates import read_covariates
from genotune.errors import DataError

NA = ("NA", "-9")


def covariates_of(missing=NA, **columns):
    return read_covariates({name: np.array(cells, dtype=np.str_) for name, cells in columns.items()}, missing=missing)


def refuse(message, **columns):
    with pytest.raises(DataError, match=f"^{message}$"):
        covariates_of(**columns)


def test_numbers_stay_as_they_are():
    found = covariates_of(age=["40", " 41.5", "39"], sex=["1", "2", "1"])
    assert found.values.dtype == np.float32
    assert found.values.tolist() == [[40, 1], [41.5, 2], [39, 1]]
    assert (found.names, found.notes) == (("age", "sex"), ())


def test_text_becomes_a_column_for_each_level_but_the_first():
    found = covariates_of(batch=["C", "A", "B", "C"], age=["1", "2", "3", "4"])
    assert found.names == ("batch=B", "batch=C", "age")
    assert found.values.tolist() == [[0, 1, 1], [0, 0, 2], [1, 0, 3], [0, 1, 4]]
    assert found.notes == ("batch: text, taken as 3 levels; 'A' is the one without a column.",)


def test_missing_values_are_nan_in_every_column_of_a_level_and_counted():
    found = covariates_of(batch=["B", "NA", "A", "C"], age=["1", "2", "-9", "NA"])
    nan = np.nan
    np.testing.assert_array_equal(found.values, [[1, 0, 1], [nan, nan, 2], [0, 0, nan], [0, 1, nan]])
    assert found.notes == (
        "batch: missing in 1 of 4 samples (NA 1).",
        "batch: text, taken as 3 levels; 'A' is the one without a column.",
        "age: missing in 2 of 4 samples (-9 1, NA 1). If -9 is a value, set data.missing: [NA].",
    )


def test_fifty_levels_are_taken():
    found = covariates_of(site=[f"s{i:02}" for i in range(50)])
    assert found.values.shape == (50, 49)
    assert found.values.sum() == 49


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            [f"s{i}" for i in range(51)],
            r"x: text of 51 levels, 's0', 's1' and 49 more; at most 50 are taken\. .*levels\.",
        ),
        (["2", "2.0", "NA"], r"x: all 2 values are 2; it tells nothing\. Remove it from data\.covariates\."),
        (["A", "A"], r"x: all 2 values are A; it tells nothing\. Remove it from data\.covariates\."),
        (["NA", ""], r"x: all 2 values are missing \(empty 1, NA 1\)\. Remove it from data\.covariates\."),
        (["1", "inf", "2"], r"x: infinite or too large values \(1\), e\.g\. 'inf'\. Mark them by NA\."),
        (["1", "1e39", "2"], r"x: infinite or too large values \(1\), e\.g\. '1e39'\. Mark them by NA\."),
        (
            ["1", "2", "3", "old"],
            r"x: 3 numbers, and text: 'old'\. Mark missing values by NA; if the numbers are names of levels, "
            r"write them as text, e\.g\. x1\.",
        ),
    ],
)
def test_a_column_that_is_no_covariate_is_refused(cells, message):
    refuse(message, x=cells)


def test_all_faulty_columns_are_named_at_once():
    refuse(r"a: all 2 values are 1; .*\nc: all 2 values are x; .*", a=["1", "1"], b=["1", "2"], c=["x", "x"])

"""Genotypes in the table that a winner is given."""

import numpy as np
import pandas as pd
import pytest

from genotune.errors import DataError
from genotune.store import DOSAGE_STEPS, MISSING_DOSAGE, MISSING_STEPS

# mlflow 3.17 warns about its own type hints when its models are imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*inferred as AnyType")


def codes(table):
    from genotune.tracking.winner_model import _dosages

    return _dosages(table)


def test_whole_copies_are_codes_of_a_byte():
    found = codes(pd.DataFrame({"rs1_A": [0, 1, 2], "rs2_G": [2.0, np.nan, 0.0]}))
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, [[0, 2], [1, MISSING_DOSAGE], [2, 0]])


def test_one_fraction_makes_all_of_them_steps():
    found = codes(pd.DataFrame({"rs1_A": [0, 1, 2], "rs2_G": [0.25, np.nan, 2.0]}))
    assert found.dtype == np.uint16
    one = DOSAGE_STEPS
    np.testing.assert_array_equal(found, [[0, one // 4], [one, MISSING_STEPS], [2 * one, 2 * one]])


@pytest.mark.parametrize("value", [-0.01, 2.01, 3, -9, np.inf])
def test_what_is_no_dosage_is_named_with_its_place(value):
    table = pd.DataFrame({"rs1_A": [0.0, 1.0], "rs2_G": [2.0, value]})
    with pytest.raises(DataError, match=rf"^sample 1: rs2_G is {value:g}; a dosage lies between 0 and 2\.$"):
        codes(table)

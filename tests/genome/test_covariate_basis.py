"""Which covariates say nothing of their own."""

import numpy as np
import pytest

from genotune.genome.covariate_basis import dependent_columns

RNG = np.random.default_rng(0)
AGE, WEIGHT = RNG.normal(50, 10, 40), RNG.normal(70, 12, 40)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([AGE, WEIGHT], [False, False]),
        ([AGE, 12 * AGE + 3], [False, True]),
        ([AGE, WEIGHT, AGE - 2 * WEIGHT], [False, False, True]),
        ([np.full(40, 1958.0), AGE], [True, False]),
        ([1e9 + AGE * 1e4, AGE], [False, True]),
        ([np.arange(40) % 2, 1 - np.arange(40) % 2], [False, True]),
        ([AGE, AGE + RNG.normal(scale=0.1, size=40)], [False, False]),
    ],
)
def test_a_column_that_the_ones_before_it_say_is_told(columns, expected):
    assert dependent_columns(np.stack(columns, axis=1)).tolist() == expected


def test_more_columns_than_rows_are_our_mistake():
    with pytest.raises(AssertionError, match="3 rows, 3 columns"):
        dependent_columns(np.eye(3))

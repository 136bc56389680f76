"""What stands for an unknown covariate: known answers, and nothing of the other samples."""

import numpy as np

from genotune.genome.covariate_filling import covariate_fill, filled_covariates

NAN = np.nan


def fill_of(names, *columns, samples=None):
    values = np.array(columns, dtype=np.float32).T
    return covariate_fill(values, names, samples=np.arange(len(values)) if samples is None else samples).tolist()


def test_an_unknown_number_becomes_the_median_of_the_training_samples():
    assert fill_of(("age",), [40, NAN, 30, 90, 1000], samples=np.array([0, 1, 2, 3])) == [40]


def test_an_unknown_text_becomes_the_commonest_level_also_if_that_has_no_column():
    names = ("batch=B", "batch=C", "age")
    of_b = fill_of(names, [1, 1, 0, 0, NAN], [0, 0, 1, 0, NAN], [1, 2, 3, 4, 5])
    assert of_b == [1, 0, 3]
    of_none = fill_of(names, [1, 0, 0, 0, NAN], [0, 0, 0, 1, NAN], [1, 2, 3, 4, 5])
    assert of_none == [0, 0, 3]
    # The median of each column alone would be no level that anybody has, or the wrong one.
    of_c = fill_of(names, [1, 1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0, 0], [1, 2, 3, 4, 5, 6, 7])
    assert of_c == [0, 1, 4]


def test_a_number_whose_name_looks_like_a_level_is_still_a_number():
    assert fill_of(("ratio a=b",), [0.5, 0.5, 2, NAN]) == [0.5]


def test_a_covariate_that_no_training_sample_has_is_filled_with_nothing():
    assert fill_of(("age",), [NAN, NAN, 5], samples=np.array([0, 1])) == [0]


def test_only_unknown_values_are_filled():
    values = np.array([[1, NAN], [NAN, 4]], dtype=np.float32)
    assert filled_covariates(values, np.array([7, 8], dtype=np.float32)).tolist() == [[1, 8], [7, 4]]

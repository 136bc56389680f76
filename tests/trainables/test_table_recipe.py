"""Columns of further tables, filled in, coded and scaled: known answers by hand, and what leaks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.settings import build
from genotune.store import TableColumn
from genotune.trainables.preparation import TablePreparation
from genotune.trainables.table_recipe import TableRecipe, fit_tables, in_levels_of

NAN = np.nan
AGE = TableColumn("clinical:age")
SITE = TableColumn("clinical:site", ("Bonn", "Kiel", "Ulm"))


def fit(columns, *values, train=None, **chosen):
    """The recipe, and what it makes of all samples."""
    table = np.array(values, dtype=np.float32).T
    samples = np.arange(len(table)) if train is None else np.arange(train)
    recipe = fit_tables(build(TablePreparation, {"scale": False, **chosen}), table, columns, samples=samples)
    everyone = np.arange(len(table))
    return recipe, recipe.made(in_levels_of(recipe.columns, table, columns, samples=everyone))


@pytest.mark.parametrize(("numbers", "expected"), [("median", 2), ("mean", 5), ("none", NAN)])
def test_an_unknown_number_becomes_what_is_asked_for_of_the_training_samples(numbers, expected):
    _, made = fit((AGE,), [1, 2, 12, NAN, NAN, 900], train=4, numbers=numbers)
    np.testing.assert_array_equal(made[:, 0], [1, 2, 12, expected, expected, 900])


def test_a_category_becomes_a_column_for_each_level_and_the_unknown_is_the_commonest():
    recipe, made = fit((SITE,), [2, 0, 2, NAN])
    assert recipe.names == ("clinical:site=Bonn", "clinical:site=Ulm")
    assert made.tolist() == [[0, 1], [1, 0], [0, 1], [0, 1]]


def test_an_unknown_category_may_be_a_level_of_its_own():
    recipe, made = fit((SITE,), [2, 0, 2, NAN], categories="level")
    assert recipe.names == ("clinical:site=Bonn", "clinical:site=Ulm", "clinical:site (missing)")
    assert made.tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("categories", ["mode", "level"])
def test_a_level_that_no_training_sample_has_is_none_of_those_that_are_known(categories):
    recipe, made = fit((SITE,), [2, 0, 2, 1], train=3, categories=categories)
    assert recipe.columns == (TableColumn("clinical:site", ("Bonn", "Ulm")),)
    assert made[3].tolist() == [0, 0]


def test_columns_are_scaled_by_the_training_samples():
    _, made = fit((AGE,), [1, 3, NAN, 9], train=2, scale=True)
    assert made[:, 0].tolist() == [-1, 1, 0, 7]


def test_what_does_not_vary_among_the_training_samples_is_left_out_and_not_asked_for_again():
    recipe, made = fit((AGE, TableColumn("x:y"), SITE), [5, 5, 5, 7], [NAN, NAN, NAN, 1], [0, 0, 1, 2], train=3)
    assert recipe.names == ("clinical:site=Bonn", "clinical:site=Kiel")
    assert [column.name for column in recipe.columns] == ["clinical:site"]
    assert made.tolist() == [[1, 0], [1, 0], [0, 1], [0, 0]]


def test_codes_of_another_table_are_those_of_the_levels_with_the_same_name():
    other = TableColumn("clinical:site", ("Aue", "Ulm"))
    found = in_levels_of((SITE,), np.array([[0], [1], [NAN], [2]], dtype=np.float32), (other,), samples=np.arange(4))
    np.testing.assert_array_equal(found[:, 0], [3, 2, NAN, 3])


def test_a_recipe_is_the_same_after_it_was_written_down():
    recipe, _ = fit((AGE, SITE), [1, 2, 12, NAN], [2, 0, 2, NAN], scale=True)
    again = TableRecipe.of_record(recipe.record(), recipe.arrays())
    assert (again.columns, again.names) == (recipe.columns, recipe.names)
    values = np.array([[3, 1], [NAN, NAN]], dtype=np.float32)
    np.testing.assert_array_equal(again.made(values), recipe.made(values))


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10_000),
    numbers=st.sampled_from(["median", "mean", "none"]),
    categories=st.sampled_from(["mode", "level"]),
    scale=st.booleans(),
)
def test_whatever_the_other_samples_hold_the_recipe_is_the_same(seed, numbers, categories, scale):
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.normal(size=(12, 2)), rng.integers(0, 3, 12)]).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = NAN
    columns = (AGE, TableColumn("clinical:bmi"), SITE)
    chosen = build(TablePreparation, {"numbers": numbers, "categories": categories, "scale": scale})
    other = values.copy()
    other[8:] = rng.choice([0.0, 1.0, 2.0, NAN], size=(4, 3))
    # Other samples may even bring levels of their own, which come first.
    renamed = (*columns[:2], TableColumn("clinical:site", ("Aue", *SITE.levels)))
    moved = other.copy()
    moved[:, 2] += 1
    moved[11, 2] = 0
    found = [
        fit_tables(chosen, table, known, samples=np.arange(8))
        for table, known in ((values, columns), (other, columns), (moved, renamed))
    ]
    for recipe in found[1:]:
        assert recipe.columns == found[0].columns
        for mine, theirs in zip(recipe[1:], found[0][1:], strict=True):
            np.testing.assert_array_equal(mine, theirs)

"""Covariates that can't help are told before anything is decoded."""

import numpy as np
import pytest

from genotune.data.covariate_checks import covariate_fault, telltale_notes
from genotune.data.covariates import Covariates

RNG = np.random.default_rng(0)
AGE, VALUE = RNG.normal(50, 10, 60), RNG.normal(size=60)


def covariates(**columns):
    values = np.stack([*columns.values()], axis=1).astype(np.float32) if columns else np.empty((60, 0), np.float32)
    return Covariates(values, tuple(columns), ())


def test_covariates_that_say_different_things_are_taken():
    assert covariate_fault(covariates()) is None
    assert covariate_fault(covariates(age=AGE, weight=VALUE)) is None


def test_a_covariate_in_other_units_is_named():
    assert covariate_fault(covariates(age=AGE, months=12 * AGE)) == (
        "data.covariates: 'months' is constant or a sum of multiples of the covariates before, in the 60 samples that "
        "have all of them, and so no effect can be told. Remove it, or the others."
    )
    several = covariate_fault(covariates(age=AGE, months=12 * AGE, weeks=52 * AGE))
    assert "'months' and 'weeks' are each constant" in several


def test_as_many_covariates_as_samples_are_too_many():
    many = {f"PC{i}": RNG.normal(size=60) for i in range(59)}
    assert covariate_fault(covariates(**many)) == (
        "data.covariates: 59 columns of 60 samples; they would explain any trait and leave nothing to genotypes. "
        "Remove most of them."
    )
    assert covariate_fault(covariates(**dict([*many.items()][:58]))) is None


@pytest.mark.parametrize(
    ("column", "is_told"),
    [(VALUE, True), (-3 * VALUE + 7, True), (np.exp(VALUE), True), (VALUE + RNG.normal(size=60), False), (AGE, False)],
)
def test_a_covariate_in_the_order_of_the_trait_is_warned_of(column, is_told):
    notes = telltale_notes(VALUE, covariates(age=AGE, copy=column), trait="LDL", kind="quantitative")
    message = (
        "data.covariates: 'copy' tells LDL without an error. If that is LDL itself in another form, or was derived "
        "from it, scores say nothing of genotypes: remove it."
    )
    assert notes == ((message,) if is_told else ())


def test_a_covariate_of_which_a_threshold_made_the_classes_is_warned_of():
    case = (VALUE > 0.5).astype(float)
    [note] = telltale_notes(case, covariates(age=AGE, LDL=VALUE, turned=1 - case), trait="high", kind="binary")
    assert note.startswith("data.covariates: 'LDL' and 'turned' each tell high without an error.")
    assert telltale_notes(case, covariates(noisy=VALUE + RNG.normal(size=60)), trait="high", kind="binary") == ()


def test_an_order_of_a_few_samples_is_luck():
    four = np.zeros(60)
    four[np.argsort(VALUE)[-4:]] = 1
    assert telltale_notes(four, covariates(LDL=VALUE), trait="high", kind="binary") == ()
    few = Covariates(VALUE[:9, None].astype(np.float32), ("copy",), ())
    assert telltale_notes(VALUE[:9], few, trait="LDL", kind="quantitative") == ()

"""Limits that a person raises: only upwards, and only those that there are."""

import pytest

from genotune.errors import SweepError
from genotune.extension import extended_budget, limits_said, raised, read_extension
from genotune.settings import build
from genotune.spec.schema import Budget

BUDGET = build(Budget, {"trials": 24, "hours": 2, "cost": "20 USD"})


def test_options_name_limits_and_amounts():
    assert read_extension(["trials=48", "hours=3", "epochs=400", "cost=40 USD"]) == {
        "trials": 48,
        "hours": 3.0,
        "epochs": 400,
        "cost": "40 USD",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["trails=48"], r"--extend trails=48: 'trails' can't be raised\. Did you mean 'trials'\?"),
        (["max_epochs=48"], r"'max_epochs' can't be raised"),
        (["trials=many"], r"--extend trials=many: found the text 'many'; expected a whole number\."),
        (["trials=4.5"], r"--extend trials=4\.5: found 4\.5; expected a whole number\."),
        (["trials"], r"--extend trials: found nothing \(null\); expected a whole number"),
        (["hours="], r"--extend hours=: no amount\. Write e\.g\. --extend hours=3\."),
        (["cost=40"], r"--extend cost=40: found 40; must be an amount and its currency, e\.g\. 20 USD\."),
        (["trials=48", "trials=50"], r"--extend trials=50: trials is named twice\. Remove one\."),
    ],
)
def test_an_option_that_says_no_limit_is_told_what_to_write(options, message):
    with pytest.raises(SweepError, match=message):
        read_extension(options)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"trials": 12}, r"--extend trials=12: it is 24 now, and a limit can only be raised\. Name more\."),
        ({"hours": 1.0}, r"--extend hours=1\.0: it is 2\.0 now"),
        ({"cost": "5 USD"}, r"--extend cost=5 USD: it is 20 USD now"),
        ({"cost": "50 EUR"}, r"--extend cost=50 EUR: the budget is 20 USD; write the same currency\."),
        ({"epochs": 99}, r"--extend epochs=99: the sweep has no limit of epochs, so there is none to raise\."),
    ],
)
def test_a_limit_is_never_lowered_nor_set_where_there_was_none(limits, message):
    with pytest.raises(SweepError, match=message):
        raised(BUDGET, limits)


def test_what_is_so_high_already_is_not_raised_again():
    assert raised(BUDGET, {"trials": 48, "hours": 2.0, "cost": "100 USD"}) == {"trials": 48, "cost": "100 USD"}
    assert extended_budget(BUDGET, {"trials": 48, "cost": "100 USD"}) == build(
        Budget, {"trials": 48, "hours": 2, "cost": "100 USD"}
    )


def test_every_value_that_a_limit_has_had_is_known():
    said = limits_said(BUDGET, [{"trials": 48}, {"trials": 96, "hours": 3.0}])
    assert said == {"trials": [24, 48, 96], "hours": [2.0, 3.0], "epochs": [None], "cost": ["20 USD"]}

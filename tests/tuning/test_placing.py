"""Given params are found in a space, and what keeps them out is said with its place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.tuning.placing import place
from genotune.tuning.searchers import random_point, stream
from genotune.tuning.space import Template, parse_template

PARAMS: dict[str, Any] = {
    "learning_rate": {"log_uniform": [1e-4, 1e-2]},
    "dropout": {"uniform": [0, 0.3], "step": 0.1},
    "n_blocks": {"int": [2, 6], "step": 2},
    "channels": {"choice": [32, 64]},
    "schedule": {"choice": ["constant", {"kind": "plateau", "patience": {"log_int": [1, 4]}}, {"kind": "none"}]},
    "windows": {"length_bp": 1024, "select": "tiles"},
    "layers": [{"width": {"int": [1, 3]}}, 7],
    "flag": True,
}


def template(params: dict[str, Any] = PARAMS) -> Template:
    made, problems = parse_template(params)
    assert problems == []
    return made


GOOD: dict[str, Any] = {
    "learning_rate": 0.001,
    "dropout": 0.3,
    "n_blocks": 4,
    "channels": 64,
    "schedule": {"kind": "plateau", "patience": 2},
    "layers": [{"width": 3}, 7],
}


def test_values_become_picks_and_fixed_ones_may_be_left_out() -> None:
    picks, problems = place(template(), GOOD)
    assert problems == []
    assert picks == {
        "learning_rate": 0.001,
        "dropout": 0.3,
        "n_blocks": 4,
        "channels": 1,
        "schedule": 1,
        "schedule[1].patience": 2,
        "layers[0].width": 3,
    }
    assert template().holds(picks)


def test_a_whole_number_is_taken_where_a_fraction_is_searched() -> None:
    picks, problems = place(template({"rate": {"uniform": [0, 2]}}), {"rate": 1})
    assert (picks, problems) == ({"rate": 1.0}, [])
    assert isinstance(picks["rate"], float)


@given(seed=st.integers(0, 2**32))
def test_what_a_draw_was_built_of_is_found_again(seed: int) -> None:
    made = template()
    point = random_point({"cnn": made}, ["cnn"], stream(seed, 0))
    assert place(made, made.build(point.picks)) == (point.picks, [])


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"learning_rate": 0.1}, ("learning_rate",), "found 0.1; must be a number from 0.0001 to 0.01."),
        ({"learning_rate": "0.001"}, ("learning_rate",), "found the text '0.001'; must be a number from 0.0001"),
        ({"learning_rate": True}, ("learning_rate",), "found true; must be a number from"),
        ({"dropout": 0.15}, ("dropout",), "found 0.15; must be a number from 0 to 0.3 in steps of 0.1."),
        ({"n_blocks": 3}, ("n_blocks",), "found 3; must be a whole number from 2 to 6 in steps of 2."),
        ({"n_blocks": 4.0}, ("n_blocks",), "found 4.0; must be a whole number"),
        ({"channels": 48}, ("channels",), "found 48; none of the options: 32, 64."),
        ({"schedule": "cosine"}, ("schedule",), "found the text 'cosine'; none of the options: constant, {...}, "),
        ({"schedule": {"kind": "x"}}, ("schedule",), "none of the options"),
        ({"windows": {"length_bp": 512}}, ("windows", "length_bp"), "found 512; it is fixed at 1024 here. Leave it"),
        ({"windows": 512}, ("windows",), "it is fixed at"),
        ({"flag": 1}, ("flag",), "found 1; it is fixed at true here."),
        ({"chanels": 32}, ("chanels",), "the space has no such parameter. Did you mean 'channels'?"),
        ({"layers": [{"width": 1}]}, ("layers",), "found a list of 1; must be a list of 2, as in the space."),
        ({"layers": [3, 7]}, ("layers", 0), "found 3; must be a mapping (key: value), as in the space."),
        ({"layers": [{"width": 9}, 7]}, ("layers", 0, "width"), "found 9; must be a whole number from 1 to 3."),
    ],
)
def test_what_lies_outside_is_refused_with_its_place(
    change: dict[str, Any], path: tuple[Any, ...], message: str
) -> None:
    ((found, told),) = place(template(), GOOD | change).problems
    assert found == path
    assert message in told


def test_a_value_is_needed_for_every_domain_that_is_active() -> None:
    lacking = {name: value for name, value in GOOD.items() if name not in ("n_blocks", "schedule")}
    problems = place(template(), lacking).problems
    assert [problem.path for problem in problems] == [(), ()]
    assert problems[0].message == "n_blocks is missing: a value is needed for every parameter that is searched."
    assert "schedule is missing" in problems[1].message


def test_the_only_mapping_among_options_is_told_of_itself() -> None:
    made = template({"schedule": {"choice": ["constant", {"kind": "plateau", "patience": {"int": [1, 4]}}]}})
    ((path, message),) = place(made, {"schedule": {"kind": "plateau", "patience": 5}}).problems
    assert (path, message) == (("schedule", "patience"), "found 5; must be a whole number from 1 to 4.")

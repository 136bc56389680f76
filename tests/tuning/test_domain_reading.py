"""Every fault of a domain, with the place that it stands at and what to do."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.tuning.domain_reading import YamlPath
from genotune.tuning.domains import Choice, FloatRange, IntRange
from genotune.tuning.space import parse_template

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ({"uniform": [0, 1]}, FloatRange(0.0, 1.0)),
        ({"uniform": [-0.5, 0.5], "step": 0.25}, FloatRange(-0.5, 0.5, step=0.25)),
        ({"log_uniform": [1e-4, 1e-2]}, FloatRange(1e-4, 1e-2, log=True)),
        ({"int": [2, 6]}, IntRange(2, 6)),
        ({"int": [2, 6], "step": 2}, IntRange(2, 6, step=2)),
        ({"log_int": [1, 64]}, IntRange(1, 64, log=True)),
        ({"choice": [32, 64, "auto"]}, Choice(3)),
        ({"choice": [True]}, Choice(1)),
    ],
)
def test_a_domain_is_read_as_it_is_written(written: dict[str, Any], domain: object) -> None:
    template, problems = parse_template({"x": written})
    assert problems == []
    assert template.domains == {"x": domain}


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ({"choice": []}, ("choice",), "found an empty list; a choice needs at least one option"),
        ({"choice": 3}, ("choice",), "found 3; a choice is a list of options: choice: [a, b]"),
        ({"choice": {"a": 1}}, ("choice",), "found a mapping (key: value); a choice is a list"),
        ({"choice": [32, 64, 32]}, ("choice", 2), "the same as option 1 of this choice; keep one"),
        ({"choice": [1, 2], "step": 1}, ("step",), "choice takes no step; uniform and int do"),
        ({"uniform": [1, 0]}, ("uniform",), "found [1, 0], the higher end first. Write uniform: [0, 1]"),
        ({"int": [6, 2]}, ("int",), "Write int: [2, 6]"),
        ({"int": [3, 3]}, ("int",), "both ends are 3; there is nothing to search. Write the value itself: 3"),
        ({"uniform": [0, 0.0]}, ("uniform",), "Write the value itself: 0"),
        ({"uniform": [-1.7e308, 1.7e308]}, ("uniform",), "too wide to be computed with"),
        ({"log_uniform": [0, 1]}, ("log_uniform", 0), "found 0; a log range starts above 0, e.g. at 1.0e-6"),
        ({"log_uniform": [-1, 1]}, ("log_uniform", 0), "Use uniform for a range that holds 0"),
        ({"log_int": [0, 8]}, ("log_int", 0), "found 0; a log range starts at 1 or above. Use int"),
        ({"log_int": [1, 8], "step": 2}, ("step",), "log_int takes no step; uniform and int do"),
        ({"log_uniform": [1, 8], "step": 2}, ("step",), "log_uniform takes no step"),
        ({"uniform": [0, 0.5, 1]}, ("uniform",), "found a list of 3; must be the two ends, both included"),
        ({"uniform": [1]}, ("uniform",), "found a list of 1; must be the two ends"),
        ({"int": 3}, ("int",), "found 3; must be the two ends, both included: int: [low, high]"),
        ({"int": None}, ("int",), "found nothing (null); must be the two ends"),
        ({"uniform": {"low": 1}}, ("uniform",), "found a mapping (key: value); must be the two ends"),
        (
            {"log_uniform": ["1e-4", 0.01]},
            ("log_uniform", 0),
            "found the text '1e-4'; must be a number. Write the number without quotation marks: 0.0001.",
        ),
        ({"uniform": ["low", 1]}, ("uniform", 0), "found the text 'low'; must be a number."),
        ({"uniform": [0, None]}, ("uniform", 1), "found nothing (null); must be a number."),
        ({"uniform": [False, 1]}, ("uniform", 0), "found false; must be a number."),
        ({"int": [0, True]}, ("int", 1), "found true; must be a whole number."),
        ({"int": [1.5, 3]}, ("int", 0), "found 1.5; must be a whole number, e.g. 2."),
        ({"int": [1, 3.0]}, ("int", 1), "found 3.0; must be a whole number, e.g. 3."),
        ({"int": [1, INF]}, ("int", 1), "found inf; must be finite."),
        ({"uniform": [NAN, 1]}, ("uniform", 0), "found nan; must be finite."),
        ({"uniform": [0, 10**400]}, ("uniform", 1), "found 100000000000... (401 digits); must lie within 2 to"),
        ({"uniform": [0, 1], "step": 0.3}, ("step",), "never reach 1, and both ends are included. Write the range"),
        ({"uniform": [0, 1], "step": 0.3}, ("step",), "Write the range [0, 0.9] or [0, 1.2], or another step."),
        ({"int": [1, 8], "step": 2}, ("step",), "Write the range [1, 7] or [1, 9], or another step."),
        ({"int": [1, 8], "step": 10}, ("step",), "Write the range [1, 11], or another step."),
        ({"int": [1, 8], "step": 0}, ("step",), "found 0; must be more than 0."),
        ({"uniform": [0, 1], "step": -0.1}, ("step",), "found -0.1; must be more than 0."),
        ({"uniform": [0, 1], "step": "0.1"}, ("step",), "Write the number without quotation marks: 0.1."),
        ({"uniform": [0, 1], "step": None}, ("step",), "found nothing (null); must be a number."),
        ({"uniform": [0, 1], "step": 1e-300}, ("step",), "so many steps from 0 to 1 can't be told apart"),
        ({"int": [1, 8], "step": 0.5}, ("step",), "found 0.5; must be a whole number"),
        ({"int": [1, 8], "setp": 1}, ("setp",), "may not stand beside 'int'. Did you mean 'step'?"),
        ({"int": [1, 8], "patience": 1}, ("patience",), "may not stand beside 'int'. Leave it out, or put it into"),
        ({"int": [1, 8], "log_int": [1, 8]}, ("log_int",), "stands beside 'int'; a domain is one of them. Keep one."),
        ({"choice": [1, 2], "uniform": [0, 1]}, ("uniform",), "stands beside 'choice'; a domain is one of them"),
        ({"unifrom": [0, 1]}, ("unifrom",), "no domain has this name. Did you mean 'uniform'?"),
        ({"choices": [0, 1]}, ("choices",), "Did you mean 'choice'?"),
        ({"loguniform": [1, 2]}, ("loguniform",), "Did you mean 'log_uniform'?"),
    ],
)
def test_a_faulty_domain_is_refused_where_it_is_faulty(written: dict[str, Any], path: YamlPath, message: str) -> None:
    _, problems = parse_template({"x": written})
    assert [problem.path for problem in problems] == [("x", *path)]
    assert re.search(re.escape(message), problems[0].message)


def test_all_faults_of_a_space_are_found_at_once() -> None:
    params = {
        "a": {"uniform": ["x", None]},
        "b": [1, {"choice": []}],
        "c": {"choice": [{"d": {"int": [2, 1]}}, {"uniform": [1, 1], "stp": 1}]},
        "e": {"f": NAN},
    }
    _, problems = parse_template(params)
    assert [problem.path for problem in problems] == [
        ("a", "uniform", 0),
        ("a", "uniform", 1),
        ("b", 1, "choice"),
        ("c", "choice", 0, "d", "int"),
        ("c", "choice", 1, "stp"),
        ("c", "choice", 1, "uniform"),
        ("e", "f"),
    ]
    assert problems[-1].message == "found nan; a number must be finite."


@pytest.mark.parametrize(
    "written", [{"tracks": ["a"]}, {"length_bp": [1, 2]}, {"choises": 1}, {"unifrom": 1, "b": [2]}]
)
def test_a_mapping_that_only_resembles_a_domain_is_a_value(written: dict[str, Any]) -> None:
    template, problems = parse_template({"x": written})
    assert problems == []
    assert template.build({}) == {"x": written}


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = st.sampled_from(["uniform", "log_uniform", "int", "log_int", "choice", "step", "a", "b.c"])
ANYTHING = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


@given(params=st.dictionaries(KEYS, ANYTHING, max_size=4))
def test_whatever_is_written_is_either_read_or_refused_below_its_place(params: dict[str, Any]) -> None:
    template, problems = parse_template(params)
    for problem in problems:
        assert problem.path[0] in params
        assert problem.message.endswith((".", "?")), problem.message
    for picks, _ in template.ends():
        assert template.build(picks).keys() == params.keys()

"""Templates: names, conditions, builds, corners."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.tuning.domains import Choice
from genotune.tuning.space import Parent, Template, parse_template

PARAMS: Mapping[str, Any] = {
    "windows": {"length_bp": {"int": [512, 2048], "step": 512}, "select": "tiles"},
    "schedule": {
        "choice": [
            "constant",
            {"kind": "cosine", "warmup": {"uniform": [0, 0.5]}},
            {"kind": "plateau", "patience": {"choice": [1, {"log_int": [2, 8]}]}},
        ]
    },
    "layers": [{"int": [1, 2]}, {"choice": [[16, {"int": [3, 4]}], None]}],
    "learning_rate": {"log_uniform": [1e-4, 1e-2]},
    "jitter_bp": 128,
}


def read(params: Mapping[str, Any]) -> Template:
    template, problems = parse_template(params)
    assert problems == []
    return template


def test_domains_are_named_by_where_they_stand() -> None:
    assert list(read(PARAMS).domains) == [
        "windows.length_bp",
        "schedule",
        "schedule[1].warmup",
        "schedule[2].patience",
        "schedule[2].patience[1]",
        "layers[0]",
        "layers[1]",
        "layers[1][0][1]",
        "learning_rate",
    ]


def test_a_domain_in_an_option_depends_on_the_nearest_choice() -> None:
    parents = {name: parent for name, parent in read(PARAMS).parents.items() if parent is not None}
    assert parents == {
        "schedule[1].warmup": Parent("schedule", 1),
        "schedule[2].patience": Parent("schedule", 2),
        "schedule[2].patience[1]": Parent("schedule[2].patience", 1),
        "layers[1][0][1]": Parent("layers[1]", 0),
    }


def test_the_path_of_a_domain_leads_to_it_in_the_file() -> None:
    template = read(PARAMS)
    assert template.path("windows.length_bp") == ("windows", "length_bp")
    assert template.path("schedule[2].patience[1]") == ("schedule", "choice", 2, "patience", "choice", 1)
    for name in template.domains:
        found: Any = PARAMS
        for step in template.path(name):
            found = found[step]
        assert found.keys() & {"int", "log_int", "uniform", "log_uniform", "choice"}


def test_picks_build_the_params_that_a_person_would_write() -> None:
    picks = {
        "windows.length_bp": 1024,
        "schedule": 2,
        "schedule[2].patience": 1,
        "schedule[2].patience[1]": 5,
        "layers[0]": 2,
        "layers[1]": 0,
        "layers[1][0][1]": 4,
        "learning_rate": 0.001,
    }
    template = read(PARAMS)
    assert template.holds(picks)
    assert template.build(picks) == {
        "windows": {"length_bp": 1024, "select": "tiles"},
        "schedule": {"kind": "plateau", "patience": 5},
        "layers": [2, [16, 4]],
        "learning_rate": 0.001,
        "jitter_bp": 128,
    }


def test_two_builds_share_nothing_that_can_be_changed() -> None:
    template = read({"windows": {"sizes": [1, 2]}})
    template.build({})["windows"]["sizes"].append(3)  # type: ignore[index]
    assert template.build({}) == {"windows": {"sizes": [1, 2]}}


def test_params_without_domains_are_a_space_of_one_point() -> None:
    template = read({"channels": 32})
    assert list(template.ends()) == [({}, ())]
    assert list(template.points()) == [{}]


def test_keys_that_look_like_paths_keep_names_apart() -> None:
    template = read({"a.b": {"int": [1, 2]}, "a": {"b": {"int": [1, 2]}}, "": {"int": [1, 2]}, "c[0]": {"int": [1, 2]}})
    assert list(template.domains) == ['["a.b"]', "a.b", '[""]', '["c[0]"]']


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": 0, "learning_rate": 1.0},
        {"schedule": 0, "learning_rate": 0.01, "schedule[1].warmup": 0.1},
        {"schedule": 1, "learning_rate": 0.01},
        {"schedule": 5, "learning_rate": 0.01},
        {"schedule": 0, "learning_rate": 0.01, "chanels": 3},
        {"schedule": 0},
    ],
)
def test_picks_that_are_not_of_the_template_are_not_held(wrong: dict[str, Any]) -> None:
    template = read({key: PARAMS[key] for key in ("schedule", "learning_rate")})
    assert template.holds({"schedule": 0, "learning_rate": 0.01})
    assert not template.holds(wrong)


def test_a_place_in_the_built_params_is_found_in_the_file() -> None:
    template = read(PARAMS)
    picks = {"schedule": 2, "schedule[2].patience": 0, "layers[1]": 0}
    places = {
        ("windows", "length_bp"): ("windows", "length_bp"),
        ("windows", "select"): ("windows", "select"),
        ("schedule",): ("schedule", "choice", 2),
        ("schedule", "kind"): ("schedule", "choice", 2, "kind"),
        ("schedule", "patience"): ("schedule", "choice", 2, "patience", "choice", 0),
        ("schedule", "no_such", "key"): ("schedule", "choice", 2, "no_such", "key"),
        ("layers", 1, 1): ("layers", 1, "choice", 0, 1),
        ("learning_rate",): ("learning_rate",),
        ("missing",): ("missing",),
        (): (),
    }
    assert {place: template.source_path(picks, place) for place in places} == places


def test_corners_begin_with_all_low_and_all_high() -> None:
    template = read({"a": {"int": [1, 3]}, "b": {"choice": ["x", {"c": {"uniform": [0, 1]}}]}})
    assert list(template.ends()) == [
        ({"a": 1, "b": 0}, ()),
        ({"a": 3, "b": 1, "b[1].c": 1.0}, ()),
        ({"a": 1, "b": 1, "b[1].c": 1.0}, ("a",)),
        ({"a": 3, "b": 0}, ("a",)),
        ({"a": 1, "b": 1, "b[1].c": 0.0}, ("b",)),
        ({"a": 3, "b": 1, "b[1].c": 0.0}, ("b", "choice", 1, "c")),
    ]


DOMAINS = st.sampled_from(
    [
        {"int": [1, 4]},
        {"int": [0, 6], "step": 3},
        {"uniform": [0, 1], "step": 0.5},
        {"log_int": [1, 5]},
        7,
        "text",
        None,
    ]
)
NODES = st.recursive(
    DOMAINS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.lists(inner, min_size=1, max_size=3, unique_by=json.dumps).map(lambda options: {"choice": options})
    ),
    max_leaves=8,
)
SPACES = st.dictionaries(st.sampled_from("pqr"), NODES, min_size=1, max_size=3)


@given(params=SPACES)
def test_corners_reach_every_end_and_every_option(params: dict[str, Any]) -> None:
    template = read(params)
    corners = [picks for picks, _ in template.ends()]
    assert all(template.holds(picks) for picks in corners)
    assert len({json.dumps(picks) for picks in corners}) == len(corners)
    for name, domain in template.domains.items():
        wanted = range(domain.n_options) if isinstance(domain, Choice) else domain.ends()
        assert {picks[name] for picks in corners if name in picks} >= set(wanted)


@given(params=SPACES, seed=st.integers(0, 1000))
def test_only_active_domains_are_picked(params: dict[str, Any], seed: int) -> None:
    template, rng = read(params), np.random.default_rng(seed)
    picks = template.pick_each(lambda _, domain: domain.at(float(rng.random())))
    assert template.holds(picks)
    for name, parent in template.parents.items():
        active = parent is None or picks.get(parent.name) == parent.option
        assert (name in picks) == active
    json.dumps(template.build(picks), allow_nan=False)
    assert "choice" not in json.dumps(template.build(picks))


def count_points(node: Any) -> int:
    """The number of points below a node, counted from how it is written."""
    if isinstance(node, list):
        return int(np.prod([count_points(item) for item in node], dtype=object))
    if not isinstance(node, dict):
        return 1
    if "choice" in node:
        return sum(count_points(option) for option in node["choice"])
    for word in ("int", "log_int", "uniform"):
        if word in node:
            low, high = node[word]
            return int((high - low) / node.get("step", 1)) + 1
    return int(np.prod([count_points(item) for item in node.values()], dtype=object))


@given(params=SPACES.filter(lambda params: count_points(params) <= 3000))
def test_points_are_exactly_the_product(params: dict[str, Any]) -> None:
    template = read(params)
    points = [json.dumps(picks) for picks in template.points()]
    assert len(points) == len(set(points)) == count_points(params)
    assert all(template.holds(picks) for picks in template.points())

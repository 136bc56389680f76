"""YAML as a scientist means it, with line numbers."""

import math

import pytest

from genotune.spec.yaml_source import YamlSyntaxError, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.0e-4", 1e-4),
        ("-3", -3),
        (".5", 0.5),
        ("007", 7),
        ("no", "no"),
        ("yes", "yes"),
        ("1:59", "1:59"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("~", None),
        ('"1e-4"', "1e-4"),
        ("'3'", "3"),
        ("0x10", "0x10"),
        ("chrXII", "chrXII"),
    ],
)
def test_a_scalar_is_read_by_the_core_schema_of_yaml_1_2(text, value):
    found = parse_yaml(f"a: {text}").values["a"]
    assert found == value
    assert type(found) is type(value)


def test_infinity_and_nan_are_numbers():
    values = parse_yaml("[.inf, -.inf, .nan]").values
    assert values[:2] == [math.inf, -math.inf]
    assert math.isnan(values[2])


def test_each_key_and_item_has_its_line_and_a_missing_one_its_parents():
    source = parse_yaml("a: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\n")
    assert source.line(("b",)) == 2
    assert source.line(("b", 0)) == 3
    assert source.line(("b", 1, "d")) == 5
    assert source.line(("b", 1, "nothing", "below")) == 4


def test_a_key_given_twice_is_a_problem_that_names_the_first():
    source = parse_yaml("a: 1\nb: 2\na: 3\n")
    assert [(problem.path, problem.message) for problem in source.problems] == [
        (("a",), "'a' stands here twice; keep one. (The first: line 1.)")
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: [1, 2\nb: 3\n", 2, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: &x [*x]\n", 1, "an alias may point to its own parent"),
        ("? [1, 2]\n: 3\n", 1, "a key must be plain text"),
    ],
)
def test_what_is_not_yaml_names_its_line(text, line, message):
    with pytest.raises(YamlSyntaxError, match=message) as caught:
        parse_yaml(text)
    assert caught.value.line == line


def test_an_empty_file_has_no_values():
    assert parse_yaml("# nothing\n").values is None

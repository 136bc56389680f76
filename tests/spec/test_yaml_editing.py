"""Values put into the text of a YAML file: the right ones change, and every other keeps its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.spec.yaml_editing import flow, with_values
from genotune.spec.yaml_source import parse_yaml

TEXT = """\
name: mice # ours
data:
  trait:
    # two of them
    - CD8
    - MCH # the second
  winners: each
split:
  by: column
  column: [sire, dam]

  seed: 1 # fixed
last: {a: [1,
  2], b: 3} # end
"""


def test_values_are_replaced_and_all_else_stays_in_its_line():
    before = parse_yaml(TEXT)
    split = {"by": "column", "column": ["sire", "dam"], "seed": 1, "extra": 2}
    text = with_values(TEXT, {("data", "trait"): "body mass", ("split",): split, ("last", "a"): None})
    after = parse_yaml(text)
    assert after.values == {
        "name": "mice",
        "data": {"trait": "body mass", "winners": "each"},
        "split": split,
        "last": {"a": None, "b": 3},
    }
    kept = {path: line for path, line in before.lines.items() if path in after.lines}
    assert ("split", "seed") in kept
    assert ("last", "b") in kept
    assert {path: after.lines[path] for path in kept} == kept
    assert "name: mice # ours\n" in text
    assert text.endswith("b: 3} # end\n")


@pytest.mark.parametrize("text", ["a: &x {b: 1}\nc: *x\n", "c: &x {b: 1}\na: *x\n"])
def test_a_value_that_others_share_is_refused(text):
    with pytest.raises(ValueError, match=r"^a: an anchor \(&\) or alias \(\*\) stands in one of these, or above it\."):
        with_values(text, {("a",): {"b": 2}})


@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(exclude_categories=["Cs"])),
        ),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), inner)
        ),
        max_leaves=8,
    )
)
def test_a_value_in_one_line_reads_as_what_it_was(value):
    assert "\n" not in flow(value)
    assert parse_yaml(f"a: {flow(value)}\n").values == {"a": value}

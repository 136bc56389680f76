"""A fault that pydantic found, in the words of a person who wrote a YAML file."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from genotune.errors import Problem
from genotune.settings import Settings, build
from genotune.spec.messages import did_you_mean, problems_of


class Square(Settings):
    kind: Literal["square"]
    side: Annotated[int, Field(ge=1, le=9)] = 1


class Circle(Settings):
    kind: Literal["circle"]
    radius: Annotated[float, Field(gt=0, lt=2)] = 1.0


class Sheet(Settings):
    shape: Annotated[Square | Circle, Field(discriminator="kind")] = Square(kind="square")
    shapes: tuple[Annotated[Square | Circle, Field(discriminator="kind")], ...] = ()
    corners: dict[str, Square] = Field(default_factory=dict)
    title: str | None = None
    drafts: Annotated[tuple[str, ...], Field(min_length=1)] = ("one",)
    is_final: bool = False
    size: Annotated[int, Field(multiple_of=4)] = 4
    tag: Annotated[str, Field(min_length=1)] = "x"
    frozen: Literal[False] = False


def faults(values):
    with pytest.raises(ValidationError, match="validation error") as caught:
        build(Sheet, values)
    return problems_of(caught.value, Sheet, name="a sheet")


@pytest.mark.parametrize(
    ("values", "path", "message"),
    [
        ({"sise": 4}, ("sise",), "a sheet has no such setting. Did you mean 'size'?"),
        ({"shape": {"kind": "square", "sid": 2}}, ("shape", "sid"), "shape has no such setting. Did you mean 'side'?"),
        ({"shape": {"side": 2}}, ("shape",), "'kind' is missing: it says which kind this is."),
        ({"shape": {"kind": "sqare"}}, ("shape",), "found the text 'sqare'. Did you mean 'square'?"),
        ({"shape": {"kind": "hexagon"}}, ("shape",), "found the text 'hexagon'. Allowed: square, circle."),
        ({"shape": {"kind": "square", "side": 0}}, ("shape", "side"), "found 0; must be at least 1."),
        ({"shape": {"kind": "square", "side": 10}}, ("shape", "side"), "found 10; must be at most 9."),
        ({"shape": {"kind": "circle", "radius": 0}}, ("shape", "radius"), "found 0; must be more than 0.0."),
        ({"shape": {"kind": "circle", "radius": 2}}, ("shape", "radius"), "found 2; must be less than 2.0."),
        (
            {"shapes": [{"kind": "square"}, {"kind": "circle", "radius": "wide"}]},
            ("shapes", 1, "radius"),
            "found the text 'wide'; expected a number.",
        ),
        ({"corners": {"left": {"kind": "square", "side": 1.5}}}, ("corners", "left", "side"), "found 1.5; expected a"),
        ({"corners": {"left": {}}}, ("corners", "left", "kind"), "is missing, and has no default."),
        ({"corners": []}, ("corners",), "found an empty list; expected a mapping (key: value)."),
        ({"title": 3}, ("title",), "found 3; expected text."),
        ({"drafts": []}, ("drafts",), "found an empty list; must have at least 1."),
        ({"drafts": "one"}, ("drafts",), "found the text 'one'; expected a list."),
        ({"is_final": "yes"}, ("is_final",), "found the text 'yes'; expected true or false. Write true."),
        ({"is_final": "off"}, ("is_final",), "found the text 'off'; expected true or false. Write false."),
        ({"size": "1e1"}, ("size",), "expected a whole number. Write the number without quotation marks: 10."),
        ({"size": 6}, ("size",), "found 6; must be a whole multiple of 4."),
        ({"size": None}, ("size",), "found nothing (null); expected a whole number."),
        ({"tag": ""}, ("tag",), "found an empty text; must say something."),
        ({"frozen": True}, ("frozen",), "found true. Allowed: false."),
    ],
)
def test_a_fault_says_where_what_was_found_and_what_is_allowed(values, path, message):
    [problem] = faults(values)
    assert problem.path == path
    assert message in problem.message
    assert problem.message.endswith((".", "?"))


def test_every_fault_is_told():
    assert len(faults({"sise": 4, "title": 3, "size": 6, "drafts": []})) == 4


def test_a_list_is_not_called_too_short_when_what_is_in_it_is_at_fault():
    assert faults({"drafts": [3]}) == [Problem(("drafts", 0), "found 3; expected text.")]


def test_a_near_word_is_proposed_else_all_are_listed():
    assert did_you_mean("chanels", ["channels", "n_blocks"]) == " Did you mean 'channels'?"
    assert did_you_mean("zzz", ["channels", "n_blocks"]) == " Allowed: channels, n_blocks."
    assert did_you_mean("zzz", []) == ""

"""What may stand in the place of a share, and what is said of the rest."""

import json

import pytest
from pydantic import ValidationError

from genotune.genome.shares import ColumnNames, Share, ShareOrNames
from genotune.settings import Settings, build
from genotune.spec.messages import problems_of


class Part(Settings):
    share: Share = 0.5
    part: ShareOrNames = 0.5
    column: ColumnNames = "sire"


@pytest.mark.parametrize(
    "values",
    [
        {"share": 0.01},
        {"part": 0.99},
        {"part": ["a", "b"]},
        {"part": []},
        {"column": "dam"},
        {"column": ["sire", "dam"]},
    ],
)
def test_what_is_allowed_is_taken_and_written_as_it_was(values):
    part = build(Part, values)
    assert {key: json.loads(part.model_dump_json())[key] for key in values} == values
    assert build(Part, part.model_dump(mode="json")) == part


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"share": 0}, "found 0; must be a share of the samples between 0 and 1, e.g. 0.2."),
        ({"share": 1}, "found 1; must be a share of the samples between 0 and 1, e.g. 0.2."),
        ({"share": -0.1}, "found -0.1; must be a share of the samples between 0 and 1, e.g. 0.2."),
        ({"share": True}, "found true; must be a share of the samples between 0 and 1, e.g. 0.2."),
        ({"share": ["a"]}, "found a list of 1; must be a share of the samples between 0 and 1, e.g. 0.2."),
        (
            {"share": "0.2"},
            "found the text '0.2'; must be a share of the samples between 0 and 1, e.g. 0.2. Write the number without "
            "quotation marks.",
        ),
        (
            {"part": 1.0},
            "found 1.0; must be a share of the samples between 0 and 1, e.g. 0.2. A list of groups will do too.",
        ),
        ({"part": None}, "found nothing (null); must be a share of the samples between 0 and 1, e.g. 0.2. A list of"),
        ({"part": "0.2"}, "found the text '0.2'; must be a share of the samples between 0 and 1, e.g. 0.2. Write the"),
        (
            {"part": "batch1"},
            "found the text 'batch1'; must be a share of the samples, e.g. 0.2, or a list of groups. Write ['batch1'] "
            "for that group alone.",
        ),
        ({"part": ["a", 7]}, "found 7 in the list, which is no name. Put it in quotation marks, as it stands in the"),
        ({"part": [""]}, "found the text '' in the list, which is no name. Write a text."),
        ({"column": 3}, "found 3; must be the name of a column, or a list of names."),
        ({"column": ""}, "found the text ''; must be the name of a column, or a list of names."),
        ({"column": []}, "found an empty list; must be the name of a column, or a list of names."),
        ({"column": ["sire", None]}, "found nothing (null) in the list, which is no name. Write a text."),
        ({"column": ["sire", "dam", "sire"]}, "'sire' is named twice."),
    ],
)
def test_a_fault_is_told_once_and_in_words(values, message):
    with pytest.raises(ValidationError, match="1 validation error") as caught:
        build(Part, values)
    [problem] = problems_of(caught.value, Part, name="a part")
    assert problem.path == tuple(values)
    assert problem.message.startswith(message)

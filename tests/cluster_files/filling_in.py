"""The launcher files as a person fills them in."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

CLUSTER = Path(__file__).parents[2] / "cluster"
_EMPTY = re.compile(r"(?P<before>\[?)null\]? # fill in, e\.g\. (?P<example>\[[^]]*\]|\S+)")


def filled_in(name: str) -> dict[str, Any]:
    """A launcher file as a person fills it in: each empty place with the example beside it."""

    def example(match: re.Match[str]) -> str:
        text = match["example"].rstrip(":")
        return (f"[{text}]" if match["before"] else text) + " #"

    text, n = _EMPTY.subn(example, (CLUSTER / name).read_text())
    assert n >= 2, "nothing to fill in"
    return json.loads(json.dumps(yaml.safe_load(text)))  # what YAML's anchors share is parted

"""Spaces and searchers to test with."""

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any, get_args

from genotune.settings import build
from genotune.tuning import SearchSettings
from genotune.tuning.searchers import Searcher, SearcherSettings
from genotune.tuning.space import Direction, Draw, Space, parse_template

KINDS = [member.model_fields["kind"].default for member in get_args(get_args(SearchSettings)[0])]

COUNTED: Mapping[str, Any] = {
    "cnn": {
        "channels": {"choice": [32, 64]},
        "n_blocks": {"int": [2, 6], "step": 2},
        "dropout": {"uniform": [0, 0.3], "step": 0.1},
        "schedule": {"choice": ["constant", {"kind": "plateau", "patience": {"log_int": [1, 4]}}]},
        "windows": {"length_bp": 1024},
    },
    "ridge": {"k": {"int": [3, 6]}},
}
CONTINUOUS: Mapping[str, Any] = {
    "cnn": {
        "learning_rate": {"log_uniform": [1e-4, 1e-2]},
        "schedule": {"choice": ["constant", {"kind": "cosine", "warmup": {"uniform": [0, 0.5]}}]},
    },
    "trees": {"depth": {"int": [2, 8]}, "rate": {"uniform": [0, 1]}},
}


def space_of(families: Mapping[str, Any]) -> Space:
    space = {}
    for family, params in families.items():
        template, problems = parse_template(params)
        assert problems == []
        space[family] = template
    return space


NETWORK = space_of(
    {
        "cnn": {
            "learning_rate": {"log_uniform": [1e-4, 1e-2]},
            "channels": {"choice": [32, 64]},
            "n_blocks": {"int": [2, 6]},
            "schedule": {"choice": ["constant", {"warmup": {"uniform": [0, 0.5]}}]},
        }
    }
)
LINE = space_of({"line": {"x": {"uniform": [0, 1]}}})

Known = list[tuple[float, Mapping[int, float], str]]
"""Trials on the line: the place, curve and outcome of each; '' for one in flight."""


def taught(settings: SearcherSettings, known: Known, *, direction: Direction = "maximize") -> Searcher:
    """A searcher on the line that knows these trials."""
    searcher = settings.build(LINE, direction)
    for number, (x, curve, status) in enumerate(known):
        searcher.remember(Draw("line", {"x": x}, {"x": x}))
        if status:
            searcher.tell(number, curve=curve, status=status)  # type: ignore[arg-type]
    return searcher


def value_in_network(params: Mapping[str, Any]) -> float:
    """How good a draw of `NETWORK` is; 0 at best."""
    warmup = 0.3 if params["schedule"] == "constant" else abs(params["schedule"]["warmup"] - 0.1)
    distance = abs(math.log10(params["learning_rate"]) + 2.7)
    return -(distance + 0.2 * abs(params["n_blocks"] - 5) + 0.2 * (params["channels"] == 64) + warmup)


def values_of_trials(searcher: Searcher, value: Callable[[Mapping[str, Any]], float], *, n_trials: int) -> list[float]:
    """What the first trials of a search come to, each told before the next is asked for."""
    values = []
    for number in range(n_trials):
        draw = searcher.ask()
        assert draw is not None
        values.append(value(draw.params))
        searcher.tell(number, curve={1: values[-1]}, status="complete")
    return values


def eight_places(searcher: Searcher, n_known: int, *, at_once: bool) -> list[float]:
    """Where a searcher on the line proposes to look next: eight at once, or each when the one before has failed."""
    places = []
    for number in range(n_known, n_known + 8):
        draw = searcher.ask()
        assert draw is not None
        places.append(float(draw.picks["x"]))
        if not at_once:
            searcher.tell(number, curve={}, status="failed")
    return places


def apart(places: list[float]) -> float:
    """The mean distance of two of them."""
    return statistics.mean(abs(a - b) for a in places for b in places)


def settings_of(kind: str, **values: Any) -> SearcherSettings:
    made: SearcherSettings = build(SearchSettings, {"kind": kind, **values})
    return made

"""Spaces and searchers to test with."""

from collections.abc import Mapping
from typing import Any, get_args

from genotune.settings import build
from genotune.tuning import SearchSettings
from genotune.tuning.searchers import SearcherSettings
from genotune.tuning.space import Space, parse_template

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


def settings_of(kind: str, **values: Any) -> SearcherSettings:
    made: SearcherSettings = build(SearchSettings, {"kind": kind, **values})
    return made

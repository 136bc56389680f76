"""Amounts as Kubernetes writes them: 500m CPUs, 16Gi of memory."""

import re
from collections.abc import Mapping
from typing import Final

_QUANTITY: Final = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)([numkKMGTPE]?|[KMGTPE]i)")
_FACTORS: Final[Mapping[str, float]] = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1,
    **{letter: 1000.0 ** (index + 1) for index, letter in enumerate("kMGTPE")},
    "K": 1000.0,
    **{f"{letter}i": 1024.0 ** (index + 1) for index, letter in enumerate("KMGTPE")},
}


def parse_quantity(text: str) -> float | None:
    """The number that a quantity stands for; None: it is none.

    Source: Kubernetes, apimachinery/pkg/api/resource/quantity.go.
    """
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        return None
    return float(found[1]) * _FACTORS[found[2]]

"""The base of everything that a search-space file can say: frozen, typed, and nothing unknown."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter


class Settings(BaseModel):
    """A frozen part of a spec. Unknown keys and values of another type are errors.

    Strict, so that text is never taken for a number; a whole number is taken where a float is asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)


def build(kind: Any, values: object) -> Any:
    """The settings that plain values describe; `kind` is a class or a union of classes.

    Validated as JSON is: strict about types, but a list is taken where a tuple is asked for.

    Raises:
        pydantic.ValidationError: with every fault.
    """
    return TypeAdapter(kind).validate_json(json.dumps(values))


def kind_of_text(value: object) -> object:
    """A text as settings of that kind, all else as it is: `loss: mse` is short for `loss: {kind: mse}`.

    A validator that runs before those of a union which is told apart by `kind`.
    """
    return {"kind": value} if isinstance(value, str) else value

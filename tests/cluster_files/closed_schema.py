"""JSON schemas that refuse every key they don't name."""

from collections.abc import Iterator
from typing import Any

import jsonschema

TEXT = {"type": "string", "minLength": 1}
BOOL = {"type": "boolean"}
COUNT = {"type": "integer", "minimum": 0}
TEXTS = {"type": "object", "additionalProperties": TEXT}


def closed(required: str, **properties: Any) -> dict[str, Any]:
    """A mapping with these keys alone; `required` names those that must be there, with spaces between."""
    return {"type": "object", "additionalProperties": False, "required": required.split(), "properties": properties}


def items(schema: dict[str, Any]) -> dict[str, Any]:
    """A list of such things, at least one."""
    return {"type": "array", "items": schema, "minItems": 1}


def faults(value: object, schema: dict[str, Any]) -> Iterator[str]:
    """Each fault, as `place: what`."""
    for error in jsonschema.Draft202012Validator(schema).iter_errors(value):
        yield f"{'.'.join(map(str, error.path))}: {error.message}"

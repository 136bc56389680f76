"""A pydantic error in the words of a person who wrote a YAML file: what was found, what is allowed, what to do."""

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from genotune.errors import Problem, describe
from genotune.spec.yaml_source import YamlPath

_EXPECTED: Final[Mapping[str, str]] = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "dataclass_type": "a mapping (key: value)",
    "none_required": "null",
    "finite_number": "a finite number",
}
_COMPARED: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a whole multiple of", "multiple_of"),
}
_YAML_WORDS: Final[Mapping[str, str]] = {"True": "true", "False": "false", "None": "null"}


class _Place(NamedTuple):
    """Where a pydantic location lies in the file, and the settings class whose field it is."""

    path: YamlPath
    owner: type[BaseModel] | None


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """' Did you mean ...?' if one is near, else what is allowed."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Allowed: {', '.join(known)}." if known else ""


def problems_of(error: ValidationError, kind: Any, *, name: str) -> list[Problem]:
    """Every fault that pydantic found, each with its path in the file.

    Args:
        error: what building `kind` raised.
        kind: the settings class, or a union of them.
        name: what to call it, e.g. 'poisson_cnn' or 'the spec'.
    """
    details = error.errors(include_url=False)
    return [problem_of(detail, kind, name=name) for detail in details if not _follows(detail, details)]


def problem_of(detail: ErrorDetails, kind: Any, *, name: str) -> Problem:
    """One of the faults that pydantic found; see `problems_of`."""
    place = _place(kind, detail["loc"])
    return Problem(place.path, _message(detail, place, name))


def _follows(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Whether a list is too short only because something in it is at fault, which is said already."""
    own = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(own) and other["loc"][: len(own)] == own for other in details
    )


def _message(detail: ErrorDetails, place: _Place, name: str) -> str:
    fault, found, context = detail["type"], detail["input"], detail.get("ctx", {})
    match fault:
        case "extra_forbidden":
            known = [field for field in place.owner.model_fields if field != "family"] if place.owner else []
            subject = ".".join(map(str, place.path[:-1])) or name
            message = f"{subject} has no such setting.{did_you_mean(str(detail['loc'][-1]), known)}"
        case "missing":
            message = "is missing, and has no default."
        case "union_tag_not_found":
            message = f"{str(context['discriminator']).strip(chr(39))!r} is missing: it says which kind this is."
        case "literal_error" | "union_tag_invalid":
            message = _not_among(detail)
        case "value_error":
            message = str(context["error"])
        case "too_short":
            message = f"found {describe(found)}; must have at least {context['min_length']}."
        case "string_too_short":
            message = "found an empty text; must say something."
        case _ if fault in _COMPARED:
            word, key = _COMPARED[fault]
            message = f"found {describe(found)}; must be {word} {context[key]}."
        case _ if fault in _EXPECTED:
            message = f"found {describe(found)}; expected {_EXPECTED[fault]}.{_number_hint(fault, found)}"
        case _:
            message = f"found {describe(found)}; {detail['msg'][0].lower()}{detail['msg'][1:]}."
    return message


def _not_among(detail: ErrorDetails) -> str:
    """For a word that is none of those allowed."""
    context = detail["ctx"]
    expected = str(context.get("expected") or context["expected_tags"])
    known = [
        _YAML_WORDS.get(word.strip(), word.strip().strip("'")) for word in expected.replace(" or ", ", ").split(",")
    ]
    found = context.get("tag", detail["input"])
    return f"found {describe(found)}.{did_you_mean(str(found), known)}"


def _number_hint(fault: str, found: object) -> str:
    if fault in ("int_type", "float_type") and isinstance(found, str):
        try:
            number = float(found)
        except ValueError:
            return ""
        return f" Write the number without quotation marks: {number:.10g}."
    if fault == "bool_type" and isinstance(found, str) and found.lower() in ("yes", "no", "on", "off"):
        return f" Write {'true' if found.lower() in ('yes', 'on') else 'false'}."
    return ""


def _place(kind: Any, location: tuple[int | str, ...]) -> _Place:
    """Follow a pydantic location, which names the tags of unions too, down the types."""
    path: list[str | int] = []
    owner: type[BaseModel] | None = None
    current = kind
    for step in location:
        named = _named_by_tag(current, step)
        if named is not None:
            current = named
            continue
        members = _members(current)
        # Only a union's tag stands in a location; a field may be called the same.
        tagged = [member for member in members if len(members) > 1 and _is_tagged(member, step)]
        if tagged:
            current = tagged[0]
            continue
        models = [member for member in members if isinstance(member, type) and issubclass(member, BaseModel)]
        if models:
            owner = models[0]
            field: FieldInfo | None = owner.model_fields.get(str(step))
            current = field.annotation if field else None
        else:
            current = _item_type(members, step)
        path.append(step)
    if not path or owner is None:
        models = [member for member in _members(kind) if isinstance(member, type) and issubclass(member, BaseModel)]
        owner = models[0] if models else None
    return _Place(tuple(path), owner)


def _members(kind: Any) -> list[Any]:
    if isinstance(kind, typing.TypeAliasType if hasattr(typing, "TypeAliasType") else ()):
        return _members(kind.__value__)
    origin = get_origin(kind)
    if origin is Annotated:
        return _members(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [member for argument in get_args(kind) for member in _members(argument) if member is not type(None)]
    return [kind]


def _named_by_tag(kind: Any, tag: object) -> Any:
    """The member of a union that pydantic calls so, without the name; None if none is."""
    arguments = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else ()
    named = (one for one in arguments if any(isinstance(mark, Tag) and mark.tag == tag for mark in get_args(one)[1:]))
    found = next(named, None)
    return None if found is None else get_args(found)[0]


def _is_tagged(member: Any, tag: object) -> bool:
    if not (isinstance(member, type) and issubclass(member, BaseModel)):
        return False
    return any(
        get_origin(field.annotation) is Literal and tag in get_args(field.annotation)
        for name, field in member.model_fields.items()
        if name in ("kind", "family", "by", "select")
    )


def _item_type(members: list[Any], step: object) -> Any:
    for member in members:
        origin, arguments = get_origin(member), get_args(member)
        if origin is tuple and isinstance(step, int):
            return arguments[0]
        if isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
            return arguments[1]
    return None

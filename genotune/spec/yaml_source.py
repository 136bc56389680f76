"""YAML with its line numbers, read as YAML 1.2 means it.

PyYAML follows YAML 1.1, in which `1e-4` is text, `no` is false and `1:59` is 119. Here a number is what a scientist
writes as one, true and false are the only truth values, and everything else is text.
Source: YAML 1.2.2, section 10.3, the core schema.
"""

import re
from collections.abc import Callable, Hashable
from typing import Any, Final, NamedTuple

import yaml

from genotune.errors import Problem

YamlPath = tuple[str | int, ...]

_RESOLVERS: Final = (
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$")),
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$")),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
    ),
)
_MAX_DEPTH: Final = 40


class _Loader(yaml.SafeLoader):
    """Plain scalars resolved by the core schema only."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern in _RESOLVERS:
    _Loader.add_implicit_resolver(_tag, _pattern, None)


class YamlSource(NamedTuple):
    """A file's values, the line of each, and what can't be read in it."""

    values: Any
    lines: dict[YamlPath, int]
    problems: list[Problem]

    def line(self, path: YamlPath) -> int:
        """The line of a key, or of the nearest of its parents that the file has."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


class YamlSyntaxError(ValueError):
    """The text is not YAML.

    Attributes:
        line: where, from 1.
    """

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def parse_yaml(text: str) -> YamlSource:
    """Values and lines of one YAML document.

    Raises:
        YamlSyntaxError: the text is not YAML, or nests without end.
    """
    return _parsed(text, lambda: [yaml.compose(text, Loader=_Loader)])[0]


def parse_documents(text: str) -> list[YamlSource]:
    """Values and lines of every YAML document in a text, empty ones left out; the lines are those of the whole text.

    Raises:
        YamlSyntaxError: as `parse_yaml`.
    """
    return _parsed(text, lambda: [root for root in yaml.compose_all(text, Loader=_Loader) if root is not None])


def _parsed(text: str, compose: Callable[[], list[yaml.Node | None]]) -> list[YamlSource]:
    try:
        roots = compose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        words = ", ".join(part for part in (error.context, error.problem) if part)
        raise YamlSyntaxError(line, f"not YAML: {words}.") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        message = f"not YAML: holds the character {chr(int(error.character))!r}, which no text should hold. Remove it."
        raise YamlSyntaxError(line, message) from None
    return [_source(root) for root in roots]


def _source(root: yaml.Node | None) -> YamlSource:
    source = YamlSource(None, {}, [])
    values = None if root is None else _values(root, (), source)
    return source._replace(values=values)


def _values(node: yaml.Node, path: YamlPath, source: YamlSource) -> Any:
    source.lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > _MAX_DEPTH:
        raise YamlSyntaxError(node.start_mark.line + 1, "nested too deep; an alias may point to its own parent.")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, source)
    if isinstance(node, yaml.SequenceNode):
        return [_values(child, (*path, index), source) for index, child in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: yaml.MappingNode, path: YamlPath, source: YamlSource) -> dict[Hashable, Any]:
    mapping: dict[Hashable, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise YamlSyntaxError(line, "a key must be plain text.")
        key = _text(key_node)  # keys are names, so `no:` and `1:` stay as they are written
        if key in mapping:
            source.problems.append(
                Problem(
                    (*path, key),
                    f"{key!r} stands here twice; keep one. (The first: line {source.lines[(*path, key)]}.)",
                )
            )
        source.lines[(*path, key)] = line
        mapping[key] = _values(value_node, (*path, key), source)
    return mapping


def _scalar(node: yaml.Node) -> Any:
    text = _text(node)
    kind = node.tag.rsplit(":", 1)[-1]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind in ("int", "float"):
        return _number(text, kind, line=node.start_mark.line + 1)
    return text


def _number(text: str, kind: str, *, line: int) -> int | float:
    try:
        return int(text) if kind == "int" else float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    except ValueError:
        shown = text if len(text) < 30 else f"{text[:12]}... ({len(text)} characters)"
        raise YamlSyntaxError(line, f"found {shown}, which can't be read as a number.") from None


def _text(node: yaml.Node) -> str:
    text: str = node.value
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise YamlSyntaxError(
            node.start_mark.line + 1, "holds half of a character (\\ud800 to \\udfff). Write it whole."
        )
    return text

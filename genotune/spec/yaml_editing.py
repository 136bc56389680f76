"""The text of a YAML file with other values in some places; every other value keeps its line."""

import json
from collections.abc import Mapping
from typing import Any, Final

import yaml

from genotune.spec.yaml_source import YamlPath, YamlSyntaxError, parse_yaml

_WIDE: Final = 0x10000


def with_values(text: str, values: Mapping[YamlPath, Any]) -> str:
    """The text with these values in the place of those that stand there.

    Args:
        text: a YAML document that can be parsed.
        values: by the keys that lead to each: all are there, and none is a part of another.

    Raises:
        ValueError: a value stands behind an alias, so that another one would change with it; the path says which.
    """
    root, lines = yaml.compose(text, Loader=yaml.SafeLoader), parse_yaml(text).lines
    edited = text
    spans = {path: _node(root, path) for path in values}
    for path, node in sorted(spans.items(), key=lambda one: -one[1].start_mark.index):
        start, end = node.start_mark.index, node.end_mark.index
        # A block ends where the next thing begins; what lies between belongs to neither.
        old = edited[start:end].rstrip()
        new = _in_lines(values[path], path, lines=lines, first=node.start_mark.line + 1)
        edited = edited[:start] + new + "\n" * (old.count("\n") - new.count("\n")) + edited[start + len(old) :]
    expected = parse_yaml(text).values
    for path, value in values.items():
        expected = _replaced(expected, path, value)
    if _values(edited) != expected:
        places = ", ".join(".".join(map(str, path)) for path in values)
        raise ValueError(f"{places}: an anchor (&) or alias (*) stands in one of these, or above it. Write it out.")
    return edited


def flow(value: Any) -> str:
    """A value in one line of YAML; text in quotation marks, so that it is text whatever it says."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {flow(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, str):
        # JSON would write a character beyond 16 bits as two halves, which YAML takes for two characters.
        return (
            f'"{"".join(json.dumps(one)[1:-1] if ord(one) < _WIDE else f"{chr(92)}U{ord(one):08x}" for one in value)}"'
        )
    return json.dumps(value)


def _in_lines(value: Any, path: YamlPath, *, lines: Mapping[YamlPath, int], first: int) -> str:
    """As `flow`; of a mapping each key that the file has is in its own line of the file.

    Args:
        value: to be written.
        path: where it stands.
        lines: of the file.
        first: the line at which it begins.
    """
    if not isinstance(value, Mapping):
        return flow(value)
    text = ""
    for key, one in value.items():
        gap = lines.get((*path, key), 0) - first - text.count("\n")
        between = "," if text else ""
        text += f"{between}{chr(10) * gap + '  ' if gap > 0 else ' ' * len(between)}{key}: {flow(one)}"
    return f"{{{text}}}"


def _values(text: str) -> Any:
    """None of a text that is YAML no more, since an alias has lost its anchor."""
    try:
        return parse_yaml(text).values
    except YamlSyntaxError:
        return None


def _node(root: yaml.Node | None, path: YamlPath) -> yaml.Node:
    node = root
    for step in path:
        assert isinstance(node, yaml.MappingNode), path
        node = next(child for key, child in node.value if key.value == step)
    assert node is not None, "an empty file"
    return node


def _replaced(values: Any, path: YamlPath, value: Any) -> Any:
    if not path:
        return value
    return {**values, path[0]: _replaced(values[path[0]], path[1:], value)}

"""Where given params lie in a space: the picks that would make them, and everything that keeps them out of it."""

import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from genotune.errors import Problem, describe
from genotune.tuning.domain_reading import YamlPath
from genotune.tuning.domains import Choice, Domain, FloatRange, IntRange, Pick
from genotune.tuning.space import Options, Slot, Template


class Point(NamedTuple):
    """A place in a space."""

    family: str
    picks: dict[str, Pick]


class Reading(NamedTuple):
    """How params are written.

    Attributes:
        number: the number that something stands for; None: it is none.
        items: the items of a list; None: it is no list.
        same: whether a fixed value of the space (first) is meant by what was found.
    """

    number: Callable[[object], Pick | None]
    items: Callable[[object], list[Any] | None]
    same: Callable[[object, object], bool]


class Placed(NamedTuple):
    """The picks, whole if there are no problems; their paths start below the params."""

    picks: dict[str, Pick]
    problems: list[Problem]


def as_number(found: object) -> Pick | None:
    """A number as it is."""
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def as_items(found: object) -> list[Any] | None:
    """A list as it is."""
    return found if isinstance(found, list) else None


def is_same(fixed: object, found: object) -> bool:
    """Whether two plain values are equal; 1 is 1.0, but neither is true."""
    return fixed == found and json.dumps(fixed).count("true") == json.dumps(found).count("true")


PLAIN: Final = Reading(as_number, as_items, is_same)
"""Plain values, as YAML and JSON give them."""


def place(template: Template, params: Mapping[str, object], *, reading: Reading = PLAIN) -> Placed:
    """Where params lie in a family's space.

    Fixed values may be left out; a value is needed for every domain that is active.

    Args:
        template: of the family's space.
        params: nested, with values in the places of domains.
        reading: how they are written.
    """
    placer = _Placer(template, reading)
    placer.put(template.root, params, ())
    return Placed({name: placer.picks[name] for name in template.domains if name in placer.picks}, placer.problems)


class _Placer:
    """Goes down the space and the params together and gathers what it meets."""

    def __init__(self, template: Template, reading: Reading) -> None:
        self._template = template
        self._reading = reading
        self.picks: dict[str, Pick] = {}
        self.problems: list[Problem] = []

    def put(self, node: object, found: object, path: YamlPath) -> None:
        if isinstance(node, Slot):
            self._put_number(node.name, found, path)
        elif isinstance(node, Options):
            self._put_option(node, found, path)
        elif isinstance(node, Mapping) and isinstance(found, Mapping):
            self._put_mapping(node, found, path)
        elif _is_fixed(node):
            if not self._reading.same(node, found):
                self._refuse(path, f"found {describe(found)}; it is fixed at {_yaml(node)} here. Leave it out.")
        elif isinstance(node, list):
            self._put_list(node, found, path)
        else:
            self._refuse(path, f"found {describe(found)}; must be a mapping (key: value), as in the space.")

    def _put_number(self, name: str, found: object, path: YamlPath) -> None:
        domain, number = self._template.domains[name], self._reading.number(found)
        pick = float(number) if isinstance(domain, FloatRange) and number is not None else number
        if domain.holds(pick):
            assert pick is not None
            self.picks[name] = pick
        else:
            self._refuse(path, f"found {describe(found)}; {_allowed(domain)}")

    def _put_option(self, node: Options, found: object, path: YamlPath) -> None:
        attempts = []
        for index, option in enumerate(node.options):
            attempt = _Placer(self._template, self._reading)
            attempt.put(option, found, path)
            if not attempt.problems:
                self.picks |= {node.name: index} | attempt.picks
                return
            attempts.append((option, attempt.problems))
        alike = [problems for option, problems in attempts if isinstance(option, Mapping) == isinstance(found, Mapping)]
        if isinstance(found, Mapping) and len(alike) == 1:
            self.problems += alike[0]
            return
        options = ", ".join(_yaml(option) if _is_fixed(option) else "{...}" for option in node.options)
        self._refuse(path, f"found {describe(found)}; none of the options: {options}.")

    def _put_mapping(self, node: Mapping[str, object], found: Mapping[str, object], path: YamlPath) -> None:
        for key in found:
            if key not in node:
                near = difflib.get_close_matches(key, node, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"There: {', '.join(node) or 'nothing'}."
                self._refuse((*path, key), f"the space has no such parameter. {hint}")
        for key, child in node.items():
            if key in found:
                self.put(child, found[key], (*path, key))
            elif not _is_fixed(child):
                self._refuse(path, f"{key} is missing: a value is needed for every parameter that is searched.")

    def _put_list(self, node: list[object], found: object, path: YamlPath) -> None:
        items = self._reading.items(found)
        if items is None or len(items) != len(node):
            self._refuse(path, f"found {describe(found)}; must be a list of {len(node)}, as in the space.")
            return
        for index, (child, item) in enumerate(zip(node, items, strict=True)):
            self.put(child, item, (*path, index))

    def _refuse(self, path: YamlPath, message: str) -> None:
        self.problems.append(Problem(path, message))


def _is_fixed(node: object) -> bool:
    """Whether there is nothing to search in it."""
    if isinstance(node, Mapping):
        return all(_is_fixed(child) for child in node.values())
    if isinstance(node, list):
        return all(_is_fixed(child) for child in node)
    return not isinstance(node, Slot | Options)


def _allowed(domain: Domain) -> str:
    assert not isinstance(domain, Choice), "a choice has options of its own"
    low, high = domain.ends()
    step = domain.step if isinstance(domain, FloatRange | IntRange) else None
    if isinstance(domain, FloatRange):
        return f"must be a number from {low:g} to {high:g}{f' in steps of {step:g}' if step else ''}."
    return f"must be a whole number from {low} to {high}{f' in steps of {step}' if step and step > 1 else ''}."


def _yaml(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)

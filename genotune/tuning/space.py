"""The space of a sweep: what each family's params may be, as a search-space file writes it.

A domain stands in the place of a value. An option of a choice may hold domains of its own: they are active only while
the choice picks that option.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from genotune.errors import Problem
from genotune.tuning.domain_reading import (
    CHOICE,
    YamlPath,
    domain_word,
    key_problems,
    misspelt_word,
    option_problems,
    read_range,
)
from genotune.tuning.domains import Choice, Domain, Pick

Direction = Literal["maximize", "minimize"]


class Parent(NamedTuple):
    """The condition of a domain: the choice that it lies in, and the index of the option."""

    name: str
    option: int


@dataclass(frozen=True)
class Slot:
    """The place of a number in the params."""

    name: str


@dataclass(frozen=True)
class Options:
    """The place of a choice in the params, with what each option puts there."""

    name: str
    options: tuple[object, ...]


@dataclass(frozen=True)
class Template:
    """The params of a family, with domains in the places of values.

    Attributes:
        root: the params, each domain as a `Slot` or `Options`.
        domains: by name, e.g. 'windows.length_bp', or 'schedule[1].warmup' within the second option of a choice; in
            the order of the file, a choice before the domains in its options.
        parents: the condition under which each is active; None: always.
        paths: where each stands below the family's params.
    """

    root: Mapping[str, object]
    domains: Mapping[str, Domain]
    parents: Mapping[str, Parent | None]
    paths: Mapping[str, YamlPath]

    def path(self, name: str) -> YamlPath:
        """The keys that lead from the params to a domain."""
        return self.paths[name]

    def pick_each(self, pick: Callable[[str, Domain], Pick]) -> dict[str, Pick]:
        """Picks of all domains that are active, asked for in order: those of a choice say which come after it."""
        picks: dict[str, Pick] = {}
        for name, domain in self.domains.items():
            if self.is_active(name, picks):
                picks[name] = pick(name, domain)
        return picks

    def is_active(self, name: str, picks: Mapping[str, Pick]) -> bool:
        """Whether a domain takes part, given the picks of those before it."""
        parent = self.parents[name]
        return parent is None or picks.get(parent.name) == parent.option

    def holds(self, picks: Mapping[str, Pick]) -> bool:
        """Whether these are picks of this template: of all active domains, of no other, each within its domain."""
        active = {name for name in self.domains if self.is_active(name, picks)}
        return active == picks.keys() and all(self.domains[name].holds(pick) for name, pick in picks.items())

    def build(self, picks: Mapping[str, Pick]) -> dict[str, object]:
        """The params with a value in the place of every domain."""
        return {key: _value(node, picks) for key, node in self.root.items()}

    def source_path(self, picks: Mapping[str, Pick], path: YamlPath) -> YamlPath:
        """Where a place in the built params comes from: the keys from the params as the file has them.

        Args:
            picks: what the params were built with.
            path: of a value in what `build` gives.
        """
        source: list[str | int] = []
        node: object = self.root
        for position in range(len(path) + 1):
            while isinstance(node, Options):
                option = int(picks[node.name])
                source += [CHOICE, option]
                node = node.options[option]
            rest = path[position:]
            if not rest or isinstance(node, Slot):
                break
            source.append(rest[0])
            node = _child(node, rest[0])
        return tuple(source)

    def ends(self) -> Iterator[tuple[dict[str, Pick], YamlPath]]:
        """Picks at the corners, so that every end of every range and every option is among them.

        First all domains at their lowest, then all at their highest; then each end and option in turn, with all others
        at their lowest and at their highest. With each the path of the domain that was moved, () for the first two.
        """
        seen = set()
        for moved, path in self._moves():
            for side in (0, 1):
                picks = self._corner(moved, side)
                key = tuple(picks.items())
                if key not in seen:
                    seen.add(key)
                    yield picks, path

    def points(self) -> Iterator[dict[str, Pick]]:
        """All picks there are, in order, the last domain changing fastest; not with a continuous range."""
        return self._points_from(0, {})

    def _points_from(self, position: int, picks: dict[str, Pick]) -> Iterator[dict[str, Pick]]:
        names = list(self.domains)
        while position < len(names) and not self.is_active(names[position], picks):
            position += 1
        if position == len(names):
            yield picks
            return
        name = names[position]
        domain = self.domains[name]
        assert domain.n_values is not None
        for index in range(domain.n_values):
            yield from self._points_from(position + 1, {**picks, name: domain.value(index)})

    def _moves(self) -> Iterator[tuple[dict[str, Pick], YamlPath]]:
        yield {}, ()
        for name, domain in self.domains.items():
            picks = range(domain.n_options) if isinstance(domain, Choice) else domain.ends()
            for pick in picks:
                yield {**self._conditions(name), name: pick}, self.paths[name]

    def _conditions(self, name: str) -> dict[str, Pick]:
        parent = self.parents[name]
        return {} if parent is None else {**self._conditions(parent.name), parent.name: parent.option}

    def _corner(self, moved: Mapping[str, Pick], side: int) -> dict[str, Pick]:
        return self.pick_each(lambda name, domain: moved[name] if name in moved else domain.ends()[side])


Space = Mapping[str, Template]
"""The template of each family, in the order of the file."""


class Draw(NamedTuple):
    """A point of a space. All of it can be written as JSON.

    Attributes:
        family: the kind of model.
        picks: of the active domains, by name.
        params: the family's params that they make.
    """

    family: str
    picks: dict[str, Pick]
    params: dict[str, object]


def parse_template(params: Mapping[str, object]) -> tuple[Template, list[Problem]]:
    """The space that a family's params in a search-space file describe, and everything that is wrong with it.

    Args:
        params: plain values, as YAML gives them.

    Returns:
        The template of what could be read, and the problems, their paths starting below the params.
    """
    reader = _Reader()
    root = {key: reader.read(value, _Place(_join("", key), (key,))) for key, value in params.items()}
    return Template(root, reader.domains, reader.parents, reader.paths), reader.problems


class _Place(NamedTuple):
    name: str
    path: YamlPath
    parent: Parent | None = None

    def below(self, step: str | int) -> "_Place":
        """The place of a key of a mapping or an index of a list."""
        name = f"{self.name}[{step}]" if isinstance(step, int) else _join(self.name, step)
        return _Place(name, (*self.path, step), self.parent)

    def option(self, index: int) -> "_Place":
        """The place of an option, if a choice stands here."""
        return _Place(f"{self.name}[{index}]", (*self.path, CHOICE, index), Parent(self.name, index))


@dataclass
class _Reader:
    """Reads params from the top down and gathers what it meets."""

    domains: dict[str, Domain] = field(default_factory=dict)
    parents: dict[str, Parent | None] = field(default_factory=dict)
    paths: dict[str, YamlPath] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def read(self, value: object, place: _Place) -> object:
        if isinstance(value, Mapping):
            return self._read_mapping(value, place)
        if isinstance(value, list):
            return [self.read(item, place.below(index)) for index, item in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            self.problems.append(Problem(place.path, f"found {value}; a number must be finite."))
        return value

    def _read_mapping(self, mapping: Mapping[str, object], place: _Place) -> object:
        word = domain_word(mapping)
        if word == CHOICE:
            return self._read_choice(mapping, place)
        if word is not None:
            domain = read_range(mapping, word, place.path)
            if isinstance(domain, list):
                self.problems += domain
                return None
            self._add(domain, place)
            return Slot(place.name)
        meant = misspelt_word(mapping)
        if meant is not None:
            (key,) = mapping
            self.problems.append(Problem((*place.path, key), f"no domain has this name. Did you mean {meant!r}?"))
            return None
        return {key: self.read(value, place.below(key)) for key, value in mapping.items()}

    def _read_choice(self, mapping: Mapping[str, object], place: _Place) -> object:
        options = mapping[CHOICE]
        self.problems += key_problems(mapping, CHOICE, place.path)
        self.problems += option_problems(options, (*place.path, CHOICE))
        if not isinstance(options, list) or not options:
            return None
        self._add(Choice(len(options)), place)
        return Options(place.name, tuple(self.read(option, place.option(i)) for i, option in enumerate(options)))

    def _add(self, domain: Domain, place: _Place) -> None:
        self.domains[place.name] = domain
        self.parents[place.name] = place.parent
        self.paths[place.name] = place.path


def _join(name: str, key: str) -> str:
    """A key that could be taken for several, or for an index, is put in quotation marks."""
    if not key or any(mark in key for mark in ".[]"):
        return f"{name}[{json.dumps(key)}]"
    return f"{name}.{key}" if name else key


def _value(node: object, picks: Mapping[str, Pick]) -> object:
    if isinstance(node, Slot):
        return picks[node.name]
    if isinstance(node, Options):
        return _value(node.options[int(picks[node.name])], picks)
    if isinstance(node, Mapping):
        return {key: _value(child, picks) for key, child in node.items()}
    if isinstance(node, list):
        return [_value(child, picks) for child in node]
    return node


def _child(node: object, step: str | int) -> object:
    if isinstance(node, Mapping):
        return node.get(step)
    if isinstance(node, list) and isinstance(step, int) and 0 <= step < len(node):
        return node[step]
    return None

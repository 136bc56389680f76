"""One file, several sweeps: a winner for each trait, nested folds, or both; and the spec of each of them.

The spec of a member is an ordinary one: the file's own text with one trait and one outer fold in the place of all, and
every other value in its line.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

from genotune.errors import Problem, SpecError, describe
from genotune.genome.splits import NESTED
from genotune.spec.reading import Spec, read_spec, read_text, spec_error_in
from genotune.spec.yaml_editing import with_values
from genotune.spec.yaml_source import YamlPath, YamlSource, YamlSyntaxError, parse_yaml

_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Member(NamedTuple):
    """One sweep of a group.

    Attributes:
        name: within the group: 'CD8', 'fold-2', 'CD8-fold-2'.
        trait: None where all have the same.
        outer_fold: from 1; None where there are none.
        spec: of this sweep alone.
    """

    name: str
    trait: str | None
    outer_fold: int | None
    spec: Spec


class GroupSpec(NamedTuple):
    """A file that describes several sweeps.

    Attributes:
        path: the file.
        text: as it was written.
        name: of the group.
        members: by trait, then by outer fold.
    """

    path: Path
    text: str
    name: str
    members: tuple[Member, ...]

    @property
    def code(self) -> Mapping[str, str]:
        """Text of the Python files that it names; the same for every member."""
        return self.members[0].spec.code


class _Part(NamedTuple):
    """What one member has of the file's traits and folds."""

    trait: str | None
    outer_fold: int | None

    @property
    def name(self) -> str:
        """Of the member within its group, in letters that a file may be called by."""
        words = [] if self.trait is None else [_NOT_IN_A_NAME.sub("-", self.trait).strip("._-")]
        words += [] if self.outer_fold is None else [f"fold-{self.outer_fold}"]
        return "-".join(words)


def read_sweeps(path: Path, *, text: str | None = None, code: Mapping[str, str] | None = None) -> Spec | GroupSpec:
    """The sweep that a file describes, or the group of sweeps; arguments and errors are those of `read_spec`."""
    text = read_text(path) if text is None else text
    try:
        source = parse_yaml(text)
    except YamlSyntaxError:
        return read_spec(path, text=text, code=code)
    if not (_traits(source.values) or _outer_folds(source.values)):
        return read_spec(path, text=text, code=code)
    problems = [*source.problems, *_problems(source.values)]
    if problems:
        raise spec_error_in(path, source, problems)
    members: list[Member] = []
    faults: dict[str, None] = {}
    for part in _parts(source.values):
        try:
            spec = read_spec(path, text=_text_of(path, text, source, part), code=code)
        except SpecError as error:
            faults |= dict.fromkeys(error.lines)
            continue
        code = spec.code
        members.append(Member(part.name, *part, spec))
    if faults:
        raise SpecError(list(faults))
    return GroupSpec(path, text, source.values["name"], tuple(members))


def _parts(values: Any) -> list[_Part]:
    """The members that a file asks for: each trait with each outer fold."""
    traits: list[str | None] = _traits(values) or [None]
    folds: list[int | None] = [*_outer_folds(values)] or [None]
    return [_Part(trait, fold) for trait, fold in product(traits, folds)]


def _traits(values: Any) -> list[Any]:
    """The traits that get a sweep each; two at least, or it is no group."""
    data = _section(values, "data")
    traits = data.get("trait")
    return traits if data.get("winners") == "each" and isinstance(traits, list) and len(traits) > 1 else []


def _outer_folds(values: Any) -> range:
    split = _section(values, "split")
    n, chosen = split.get("outer_folds"), split.get("outer_fold")
    if split.get("by") not in NESTED or chosen is not None:
        return range(0)
    return range(1, n + 1) if isinstance(n, int) and not isinstance(n, bool) and n > 1 else range(0)


def _section(values: Any, name: str) -> Mapping[str, Any]:
    section = values.get(name) if isinstance(values, Mapping) else None
    return section if isinstance(section, Mapping) else {}


def _problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """No name for the group; traits that are none, are named twice, or would call two sweeps the same."""
    if not isinstance(values.get("name"), str):
        yield Problem(("name",), f"found {describe(values.get('name'))}; expected text: what the group is called.")
    named: dict[str, str] = {}
    for index, trait in enumerate(_traits(values)):
        if not isinstance(trait, str):
            message = f"found {describe(trait)}; expected the name of a column, in quotation marks if it is a number."
        elif trait in named.values():
            message = f"{trait} is named twice. Remove one."
        elif not (name := _Part(trait, None).name):
            message = f"{trait!r} has no letter or digit to call its sweep by. Rename the column."
        elif named.setdefault(name, trait) != trait:
            message = f"the sweeps of {named[name]!r} and {trait!r} would both be called {name}. Rename one column."
        else:
            continue
        yield Problem(("data", "trait", index), message)


def _text_of(path: Path, text: str, source: YamlSource, part: _Part) -> str:
    """The file as one member runs it.

    Raises:
        SpecError: a value of its own can't be put in, since an alias stands there.
    """
    values: dict[YamlPath, Any] = {("name",): f"{source.values['name']}-{part.name}"}
    if part.trait is not None:
        values |= {("data", "trait"): part.trait, ("data", "winners"): "one"}
    if part.outer_fold is not None:
        values["split",] = source.values["split"] | {"outer_fold": part.outer_fold}
    try:
        return with_values(text, values)
    except ValueError as error:
        raise SpecError([f"{path}: {error}"]) from None

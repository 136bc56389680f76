"""What a search-space file says otherwise than the sweep that it began: settings and Python files, one by one."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from genotune.data.remote import masked
from genotune.errors import SpecError, SweepError
from genotune.extension import RAISED, is_more
from genotune.spec import GroupSpec, Spec, read_sweeps

_ABSENT: Final = object()
_LONGEST: Final = 200
"""Characters of a value that are shown."""


class Change(NamedTuple):
    """A setting that is another now.

    Attributes:
        name: its keys with dots: 'budget.trials'.
        before: its value when the sweep began, as it may be shown.
        now: its value in the file.
        limit: of the budget, if it is one that may be raised, as the option names it: 'trials=48'; else ''.
    """

    name: str
    before: str
    now: str
    limit: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.before} when the sweep began, {self.now} now"


def check_unchanged(kept: Spec | GroupSpec, *, sweep: str, limits: Mapping[str, list[Any]], member: str | None) -> None:
    """Nothing, if the file of a sweep, or of a group, says what it said when that began, or is no longer there.

    Args:
        kept: what the sweep, or the group, began with; its path is that of the file.
        sweep: its name, for the person.
        limits: those of the budget that were raised since, by name; the file may say any of them.
        member: of the group that the file describes, if that is meant.

    Raises:
        SweepError: every difference, and what to do.
    """
    if not kept.path.exists():
        return
    try:
        found: Spec | GroupSpec | None = read_sweeps(kept.path)
    except SpecError as error:
        raise SweepError(f"{error}\n{kept.path} was another file when {sweep} began. {_fix(sweep, [])}") from None
    if member is not None:
        of_group = found.members if isinstance(found, GroupSpec) else ()
        found = next((one.spec for one in of_group if one.name == member), None)
    changes = list(dict.fromkeys(_changes(kept, found, limits)))
    if changes:
        listed = "\n".join(f"  {change}" for change in changes)
        raise SweepError(f"{kept.path}: no longer says what {sweep} began with:\n{listed}\n{_fix(sweep, changes)}")


def _fix(sweep: str, changes: list[Change]) -> str:
    words = "Put it back, or start a new sweep with `genotune run`."
    if changes and all(change.limit for change in changes):
        options = " ".join(f"--extend {change.limit}" for change in changes)
        words += f" To raise these limits of the sweep: genotune resume {sweep} {options}."
    return f"{words} To go on with what it began with: genotune resume {sweep} --as-it-began."


def _changes(
    kept: Spec | GroupSpec, found: Spec | GroupSpec | None, limits: Mapping[str, list[Any]]
) -> Iterator[Change]:
    if isinstance(kept, Spec):
        if isinstance(found, Spec):
            yield from _changes_of_spec(kept, found, limits)
        else:
            yield Change("the sweep", "described there", "not there")
        return
    before = {member.name: member.spec for member in kept.members}
    now = {member.name: member.spec for member in found.members} if isinstance(found, GroupSpec) else {}
    is_there = {True: "one of the group", False: "not one of it"}
    for name in {**before, **now}:
        if name not in now or name not in before:
            yield Change(f"the sweep of {name}", is_there[name in before], is_there[name in now])
        else:
            yield from _changes_of_spec(before[name], now[name], limits)


def _changes_of_spec(kept: Spec, found: Spec, limits: Mapping[str, list[Any]]) -> Iterator[Change]:
    before, now = dict(_leaves(kept.settings.resolved())), dict(_leaves(found.settings.resolved()))
    for name in {**before, **now}:
        one, other = before.get(name, _ABSENT), now.get(name, _ABSENT)
        limit = name.removeprefix("budget.")
        is_limit = name.startswith("budget.") and limit in RAISED
        if one == other or (is_limit and other in limits.get(limit, [])):
            continue
        may_be_raised = is_limit and is_more(other, one)
        yield Change(name, _shown(one), _shown(other), f"{limit}={_quoted(other)}" if may_be_raised else "")
    yield from _changes_of_code(kept.code, found.code)


def _changes_of_code(kept: Mapping[str, str], found: Mapping[str, str]) -> Iterator[Change]:
    """Python files that the spec named and names, each told by the first line that is another."""
    for file in {**kept, **found}:
        one, other = kept.get(file), found.get(file)
        if one is None or other is None:
            words = {True: "not named by the spec", False: "named by it"}
            yield Change(file, words[one is None], words[other is None])
        elif one != other:
            lines, others = one.splitlines(), other.splitlines()
            pairs = enumerate(zip_longest(lines, others), start=1)
            number, (line, now) = next((pair for pair in pairs if len(set(pair[1])) > 1), (0, (None, None)))
            yield Change(f"{file}:{number}", _line(line), _line(now))


def _line(line: str | None) -> str:
    return "no line" if line is None else repr(line.strip())


def _leaves(values: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that holds no others, with its keys; a list of plain values is one."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, list) and any(isinstance(value, Mapping | list) for value in values):
        for index, value in enumerate(values):
            yield from _leaves(value, f"{name}[{index}]")
    else:
        yield name, values


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "not there"
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else masked(str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _quoted(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)

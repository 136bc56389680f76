"""A search-space file, read and checked in one go: every fault at once, each with its line."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from genotune.errors import Problem, SpecError
from genotune.metrics import METRICS
from genotune.settings import build
from genotune.spec.messages import did_you_mean, problem_of, problems_of
from genotune.spec.schema import SpecFile
from genotune.spec.yaml_source import YamlPath, YamlSource, YamlSyntaxError, parse_yaml
from genotune.trainables import FAMILIES, FamilySettings
from genotune.trainables.trainable import DataPlan, Trainable
from genotune.tuning.space import Space, Template, parse_template


class Spec(NamedTuple):
    """A search-space file that says nothing wrong, as far as the file alone tells.

    Attributes:
        path: the file; paths in it are relative to its folder.
        text: as it was written.
        settings: everything but the spaces.
        space: the space of each family.
    """

    path: Path
    text: str
    settings: SpecFile
    space: Space

    @property
    def folder(self) -> Path:
        """The folder that the file's paths are relative to."""
        return self.path.resolve().parent

    @property
    def sha256(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def direction(self) -> str:
        """'maximize' or 'minimize'."""
        return METRICS[self.settings.objective.metric].direction

    @property
    def bin_bp(self) -> int:
        """Width of the bins on which the objective is computed."""
        return self.settings.objective.bin_bp or self.settings.data.resolution_bp

    def epochs_of(self, family: str) -> int:
        """The most epochs that a trial of the family gets."""
        own: int | None = FAMILIES[family].own_epochs
        return own or self.settings.scheduler.max_epochs


def read_spec(path: Path, *, text: str | None = None) -> Spec:
    """The sweep that a file describes.

    Args:
        path: the file.
        text: its content, where that is kept elsewhere (a sweep that goes on).

    Raises:
        SpecError: every fault of the file, each as 'file:line: key: what is wrong'.
    """
    text = _read(path) if text is None else text
    try:
        source = parse_yaml(text)
    except YamlSyntaxError as error:
        raise SpecError([f"{path}:{error.line}: {error}"]) from None
    if not isinstance(source.values, Mapping):
        raise SpecError([f"{path}:1: the file must be a mapping (name: ..., data: ..., models: ...)."])
    problems = list(source.problems)
    settings = _settings(source.values, problems)
    space = _space(source.values.get("models"), problems)
    problems += _resources_of_no_model(source.values.get("resources"), space)
    if settings is not None:
        problems += _crossed(settings, space)
    if problems:
        raise _spec_error(path, source, problems)
    assert settings is not None
    return Spec(path, text, settings, space)


def fit_problems(spec: Spec, data: DataPlan) -> list[Problem]:
    """What in the spaces doesn't fit the data, at any of their ends; nothing is decoded for this."""
    problems: list[Problem] = []
    for index, (family, template) in enumerate(spec.space.items()):
        for picks, _ in template.ends():
            trainable: Trainable = build(FamilySettings, {"family": family, **template.build(picks)})
            problems += [
                Problem(("models", index, "params", *template.source_path(picks, problem.path)), problem.message)
                for problem in trainable.problems(data)
            ]
    return problems


def spec_error(spec: Spec, problems: list[Problem]) -> SpecError:
    """The error that names the lines of these faults in the spec's file."""
    return _spec_error(spec.path, parse_yaml(spec.text), problems)


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SpecError([f"{path}: no such file. `genotune new DATA... -o {path}` writes a first one."]) from None
    except IsADirectoryError:
        raise SpecError([f"{path}: a folder; give the search-space file in it."]) from None
    except OSError as error:
        raise SpecError([f"{path}: can't be read: {error.strerror}."]) from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SpecError([f"{path}:{line}: not text in UTF-8; a search-space file is YAML."]) from None


def _spec_error(path: Path, source: YamlSource, problems: list[Problem]) -> SpecError:
    lines: dict[str, int] = {}
    for problem in problems:
        number = source.line(problem.path)
        lines[f"{path}:{number}: {_dotted(problem.path)}{problem.message}"] = number
    return SpecError(sorted(lines, key=lambda line: (lines[line], line)))


def _dotted(path: YamlPath) -> str:
    """The keys as a person says them: `params.channels: `, the models' own place left out when it's within params."""
    shown = path[2:] if len(path) > 2 and path[0] == "models" else path
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in shown).lstrip(".")
    return f"{text}: " if text else ""


def _settings(values: Mapping[str, Any], problems: list[Problem]) -> SpecFile | None:
    try:
        settings: SpecFile = build(SpecFile, values)
    except ValidationError as error:
        problems += problems_of(error, SpecFile, name="a search-space file")
        return None
    return settings


def _space(models: object, problems: list[Problem]) -> Space:
    """The space of each family that can be read; what can't is added to the problems."""
    space: dict[str, Template] = {}
    for index, entry in enumerate(models if isinstance(models, list) else []):
        family = entry.get("family") if isinstance(entry, Mapping) else None
        params = entry.get("params", {}) if isinstance(entry, Mapping) else None
        if not isinstance(family, str) or not isinstance(params, Mapping):
            continue  # said already by the schema
        here: YamlPath = ("models", index, "family")
        if family not in FAMILIES:
            problems.append(Problem(here, f"unknown family {family!r}.{did_you_mean(family, list(FAMILIES))}"))
        elif family in space:
            problems.append(Problem(here, f"{family} stands here twice; put both into one entry, with `choice`."))
        else:
            template, faults = parse_template(params)
            faults = faults or _faults_at_ends(family, template)
            problems += [Problem(("models", index, "params", *fault.path), fault.message) for fault in faults]
            space[family] = template
    return space


def _faults_at_ends(family: str, template: Template) -> list[Problem]:
    """What the family's own settings refuse at the ends of the ranges; fixed values are among them."""
    faults: dict[Problem, None] = {}
    for picks, _ in template.ends():
        values = template.build(picks)
        try:
            build(FAMILIES[family], {"family": family, **values})
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                path, message = problem_of(detail, FAMILIES[family], name=family)
                # An unknown key is at fault itself, whatever choice stands behind it.
                whole = len(path) - (detail["type"] == "extra_forbidden")
                faults[Problem((*template.source_path(picks, path[:whole]), *path[whole:]), message)] = None
    return list(faults)


def _resources_of_no_model(resources: object, space: Space) -> Iterator[Problem]:
    for family in resources if isinstance(resources, Mapping) else ():
        if family not in space:
            message = f"no model of this family in `models`.{did_you_mean(family, list(space))}"
            yield Problem(("resources", family), message)


def _crossed(settings: SpecFile, space: Space) -> Iterator[Problem]:
    """Faults that lie between two parts of the file."""
    resolution_bp, bin_bp = settings.data.resolution_bp, settings.objective.bin_bp
    if bin_bp is not None and bin_bp % resolution_bp:
        yield Problem(
            ("objective", "bin_bp"),
            f"found {bin_bp}; must be a whole multiple of data.resolution_bp ({resolution_bp}), "
            f"e.g. {math.ceil(bin_bp / resolution_bp) * resolution_bp}.",
        )
    for family, fault_of_search in settings.search.problems(space):
        index = list(space).index(family)
        yield Problem(("models", index, "params", *fault_of_search.path), fault_of_search.message)
    if settings.storage is not None and "://" in settings.storage:
        yield Problem(("storage",), f"found {settings.storage!r}; this version stores sweeps in folders only.")

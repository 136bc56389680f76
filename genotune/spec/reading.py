"""A search-space file, read and checked in one go: every fault at once, each with its line."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from genotune.data import SOURCES
from genotune.errors import Problem, SpecError
from genotune.settings import build
from genotune.spec.code_files import CodeFiles, code_problems, read_code
from genotune.spec.messages import did_you_mean, problem_of, problems_of
from genotune.spec.objectives import bin_problems, objective_problems, problems_among_objectives
from genotune.spec.population_problems import population_problems
from genotune.spec.schema import SpecFile
from genotune.spec.yaml_source import YamlPath, YamlSource, YamlSyntaxError, parse_yaml
from genotune.storage import place_fault
from genotune.store import Outline
from genotune.trainables import FAMILIES, build_trainable, settings_of, unreadable
from genotune.trainables.trainable import Trainable
from genotune.tuning.domains import Pick
from genotune.tuning.space import Space, Template, parse_template


class Spec(NamedTuple):
    """A search-space file that says nothing wrong, as far as the file alone tells.

    Attributes:
        path: the file; paths in it are relative to its folder.
        text: as it was written.
        settings: everything but the spaces.
        space: the space of each family.
        code: text of the Python files that it names, by the path that names them.
    """

    path: Path
    text: str
    settings: SpecFile
    space: Space
    code: Mapping[str, str] = {}

    @property
    def folder(self) -> Path:
        """The folder that the file's paths are relative to."""
        return self.path.resolve().parent

    @property
    def sha256(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def trainable_kind(self, family: str) -> type[Trainable[Any, Any]]:
        """The settings of a family on this spec's data."""
        kind = settings_of(family, self.settings.data.yields)
        assert kind is not None, family
        return kind

    def trainables_at_ends(self, family: str) -> Iterator[tuple[Mapping[str, Pick], Trainable[Any, Any]]]:
        """The family at the ends of its ranges, each with what was picked."""
        template = self.space[family]
        for picks, _ in template.ends():
            yield picks, build_trainable(family, template.build(picks), self.settings.data.yields)

    @property
    def changeable(self) -> Mapping[str, frozenset[str]]:
        """Of each family the hyperparameters that may change while a fit runs."""
        return {family: self.trainable_kind(family).changeable for family in self.space}

    @property
    def changing(self) -> Mapping[str, tuple[str, ...]]:
        """Of each family the domains whose picks change while a trial runs; none under most schedulers."""
        return self.settings.scheduler.changing(self.space, self.changeable)

    def epochs_of(self, family: str) -> int:
        """The most epochs that a trial of the family gets."""
        return self.trainable_kind(family).own_epochs or self.settings.scheduler.max_epochs


def read_spec(path: Path, *, text: str | None = None, code: Mapping[str, str] | None = None) -> Spec:
    """The sweep that a file describes.

    Args:
        path: the file.
        text: its content, where that is kept elsewhere (a sweep that goes on).
        code: text of the Python files that it names, where that is kept elsewhere.

    Raises:
        SpecError: every fault of the file, each as 'file:line: key: what is wrong'.
    """
    text = read_text(path) if text is None else text
    try:
        source = parse_yaml(text)
    except YamlSyntaxError as error:
        raise SpecError([f"{path}:{error.line}: {error}"]) from None
    if not isinstance(source.values, Mapping):
        raise SpecError([f"{path}:1: the file must be a mapping (name: ..., data: ..., models: ...)."])
    problems = list(source.problems)
    settings = _settings(source.values, problems)
    space = _space(source.values.get("models"), _columns(source.values.get("data")), problems)
    problems += _resources_of_no_model(source.values.get("resources"), space)
    if settings is not None:
        problems += _crossed(settings, space)
    if problems:
        raise spec_error_in(path, source, problems)
    assert settings is not None
    return _with_code(Spec(path, text, settings, space), code)


def _with_code(spec: Spec, code: Mapping[str, str] | None) -> Spec:
    """The spec with the text of the Python files that it names.

    Raises:
        SpecError: a file can't be read, or hasn't what the spec says.
    """
    at_ends = [
        (index, template, picks, trainable)
        for index, (family, template) in enumerate(spec.space.items())
        for picks, trainable in spec.trainables_at_ends(family)
    ]
    files = CodeFiles(code, {}) if code is not None else read_code([one for *_, one in at_ends], spec.folder)
    problems = [
        Problem(("models", index, "params", *template.source_path(picks, problem.path)), problem.message)
        for index, template, picks, trainable in at_ends
        for problem in code_problems(trainable, files)
    ]
    if problems:
        raise spec_error(spec, problems)
    return spec._replace(code=files.texts)


def fit_problems(spec: Spec, outline: Outline) -> list[Problem]:
    """What in the spaces doesn't fit the training split, at any of their ends; nothing is decoded for this."""
    return [
        Problem(("models", index, "params", *template.source_path(picks, problem.path)), problem.message)
        for index, (family, template) in enumerate(spec.space.items())
        for picks, trainable in spec.trainables_at_ends(family)
        for problem in (
            *trainable.problems(outline),
            *trainable.problems_of_sharing(spec.settings.resources_of(family).workers),
        )
    ]


def spec_error(spec: Spec, problems: list[Problem]) -> SpecError:
    """The error that names the lines of these faults in the spec's file."""
    return spec_error_in(spec.path, parse_yaml(spec.text), problems)


def read_text(path: Path, *, what: str = "search-space file") -> str:
    """What a search-space file says, or another file that a person writes in YAML.

    Args:
        path: the file.
        what: a person calls it.

    Raises:
        SpecError: it can't be read, or is no text.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        hint = f" `genotune new DATA... -o {path}` writes a first one." if what == "search-space file" else ""
        raise SpecError([f"{path}: no such file.{hint}"]) from None
    except IsADirectoryError:
        raise SpecError([f"{path}: a folder; give the {what} in it."]) from None
    except OSError as error:
        raise SpecError([f"{path}: can't be read: {error.strerror}."]) from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SpecError([f"{path}:{line}: not text in UTF-8; a {what} is YAML."]) from None


def spec_error_in(path: Path, source: YamlSource, problems: list[Problem]) -> SpecError:
    """The error that names the lines of these faults in a file that has been parsed."""
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


def _columns(data: object) -> frozenset[str] | None:
    """What the source gives; None where the spec doesn't name one that is known."""
    kind = data.get("kind") if isinstance(data, Mapping) else None
    return SOURCES[kind].yields if isinstance(kind, str) and kind in SOURCES else None


def _space(models: object, columns: frozenset[str] | None, problems: list[Problem]) -> Space:
    """The space of each family that can be read; what can't is added to the problems.

    Args:
        models: as the file says it.
        columns: of the data; without them nothing is held against the families' settings.
        problems: takes the faults.
    """
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
        elif columns is not None and (fault := unreadable(family, columns)):
            problems.append(Problem(here, fault))
        else:
            template, faults = parse_template(params)
            kind = None if columns is None else settings_of(family, columns)
            faults = faults or ([] if kind is None else _faults_at_ends(family, kind, template))
            problems += [Problem(("models", index, "params", *fault.path), fault.message) for fault in faults]
            space[family] = template
    return space


def _faults_at_ends(family: str, kind: type[Trainable[Any, Any]], template: Template) -> list[Problem]:
    """What the family's own settings refuse at the ends of the ranges; fixed values are among them."""
    faults: dict[Problem, None] = {}
    for picks, _ in template.ends():
        values = template.build(picks)
        try:
            build(kind, {"family": family, **values})
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                path, message = problem_of(detail, kind, name=family)
                # An unknown key is at fault itself, whatever choice stands behind it.
                whole = len(path) - (detail["type"] == "extra_forbidden")
                faults[Problem((*template.source_path(picks, path[:whole]), *path[whole:]), message)] = None
    return list(faults)


def _wrong_split(settings: SpecFile) -> str:
    wanted = (
        "contig, contig_group, track or homology"
        if settings.data.splits_of == "contigs"
        else "column, family or random"
    )
    return (
        f"found {settings.split.by}; the source {settings.data.kind} is split by {settings.data.splits_of}: "
        f"write by: {wanted}."
    )


def _resources_of_no_model(resources: object, space: Space) -> Iterator[Problem]:
    for family in resources if isinstance(resources, Mapping) else ():
        if family not in space:
            message = f"no model of this family in `models`.{did_you_mean(family, list(space))}"
            yield Problem(("resources", family), message)


def _problems_of_workers(settings: SpecFile, space: Space) -> Iterator[Problem]:
    """Several workers for a family that is fitted by one, or several to a GPU."""
    for family, resources in settings.resources.items():
        kind = settings_of(family, settings.data.yields) if family in space else None
        if kind is None or resources.workers == 1:
            continue
        if not kind.several_workers:
            message = f"found {resources.workers}; a {kind.title} is fitted by one process. Write workers: 1."
            yield Problem(("resources", family, "workers"), message)
        elif resources.gpus % 1:
            message = (
                f"found {resources.gpus:g}; workers of one trial can't share a GPU. Give each a whole one, or none."
            )
            yield Problem(("resources", family, "gpus"), message)


def _problems_of_folds(settings: SpecFile) -> Iterator[Problem]:
    """Trials on folds that are compared on folds again, or fitted by several workers."""
    if settings.trials.folds is None:
        return
    if settings.evaluation.folds is not None:
        message = "the trials are fitted on folds already (trials.folds), and compared by their means. Remove one."
        yield Problem(("evaluation", "folds"), message)
    for family, resources in settings.resources.items():
        if resources.workers > 1:
            message = f"found {resources.workers}; a trial on folds (trials.folds) is fitted by one. Write workers: 1."
            yield Problem(("resources", family, "workers"), message)


def _crossed(settings: SpecFile, space: Space) -> Iterator[Problem]:
    """Faults that lie between two parts of the file."""
    yield from bin_problems(settings)
    yield from objective_problems(settings, settings.data.known_target)
    yield from problems_among_objectives(settings)
    if settings.split.of != settings.data.splits_of:
        yield Problem(("split", "by"), _wrong_split(settings))
    yield from _problems_of_workers(settings, space)
    yield from _problems_of_folds(settings)
    yield from population_problems(settings, space)
    for family, fault_of_search in settings.search.problems(space):
        index = list(space).index(family)
        yield Problem(("models", index, "params", *fault_of_search.path), fault_of_search.message)
    for fault_of_search in settings.search.own_problems(space):
        yield Problem(("search", *fault_of_search.path), fault_of_search.message)
    storage_fault = None if settings.storage is None else place_fault(settings.storage)
    if storage_fault is not None:
        yield Problem(("storage",), storage_fault)

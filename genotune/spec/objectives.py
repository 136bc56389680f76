"""What is wrong with the objectives of a search-space file: one by one, and beside each other."""

from collections.abc import Iterator
from typing import Final

from genotune.columns import TargetKind
from genotune.errors import Problem
from genotune.metrics import COSTS, metric_problem
from genotune.spec.schema import Objective, SpecFile
from genotune.spec.yaml_source import YamlPath

_MOST: Final = 4


def objective_problems(settings: SpecFile, target: TargetKind | None) -> Iterator[Problem]:
    """Metrics that don't fit this kind of target; None: not known yet."""
    for path, objective in _with_paths(settings):
        metric = objective.metric
        fault = None if metric is None or metric in COSTS or target is None else metric_problem(metric, target)
        if fault is not None:
            yield Problem((*path, "metric"), fault)


def bin_problems(settings: SpecFile) -> Iterator[Problem]:
    """Bins that the data can't be scored in."""
    for path, objective in _with_paths(settings):
        fault = settings.data.bin_fault(objective.bin_bp)
        if fault is not None:
            yield Problem((*path, "bin_bp"), fault)


def problems_among_objectives(settings: SpecFile) -> Iterator[Problem]:
    """What several objectives can't be together, and parts of the file that only know one; nothing of one metric."""
    first, *further = settings.objectives
    if first.metric in COSTS:
        (path, _), *_ = _with_paths(settings)
        message = f"{first.metric} can't come first: the model that costs nothing would win. Put a metric before it."
        yield Problem((*path, "metric"), message)
    if not further:
        return
    if len(further) >= _MOST:
        message = (
            f"found {1 + len(further)} objectives; of more than {_MOST} hardly any trial beats another. Keep {_MOST}."
        )
        yield Problem(("objective", _MOST), message)
    yield from _problems_of_each(settings)
    yield from _problems_of_parts(settings)


def _with_paths(settings: SpecFile) -> Iterator[tuple[YamlPath, Objective]]:
    if isinstance(settings.objective, Objective):
        yield ("objective",), settings.objective
        return
    for index, objective in enumerate(settings.objective):
        yield ("objective", index), objective


def _problems_of_each(settings: SpecFile) -> Iterator[Problem]:
    """No metric, one that is named twice, or other bins than the first one's."""
    metrics = [objective.metric for objective in settings.objectives]
    bins = settings.objectives[0].bin_bp
    for index, (path, objective) in enumerate(_with_paths(settings)):
        if objective.metric is None:
            yield Problem(path, "metric is missing; of several objectives each says its own.")
        elif objective.metric in metrics[:index]:
            yield Problem((*path, "metric"), f"{objective.metric} is named twice. Remove one.")
        if index and objective.bin_bp is not None and objective.bin_bp != bins:
            of_first = "the first names none" if bins is None else f"those of the first are {bins} bp wide"
            message = f"found {objective.bin_bp}; all objectives are taken of the same bins, and {of_first}. Remove it."
            yield Problem((*path, "bin_bp"), message)


def _problems_of_parts(settings: SpecFile) -> Iterator[Problem]:
    """A searcher or a scheduler that compares by one objective, and earlier sweeps, of which no more is learned."""
    words = "compares trials by one objective, and here are several."
    if settings.search.learns and not settings.search.takes_several_objectives:
        yield Problem(("search", "kind"), f"{settings.search.kind} {words} Write kind: tpe, or keep one objective.")
    if not settings.scheduler.takes_several_objectives:
        message = f"{settings.scheduler.kind} {words} Write kind: asha, hyperband or none, or keep one objective."
        yield Problem(("scheduler", "kind"), message)
    if settings.search.start_from:
        message = "what earlier sweeps came to is learned of one objective, and here are several. Leave start_from out."
        yield Problem(("search", "start_from"), message)

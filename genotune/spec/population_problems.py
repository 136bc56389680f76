"""What a population of trials that change while they run doesn't go with in a search-space file."""

from collections import Counter
from collections.abc import Iterator

from genotune.errors import Problem
from genotune.spec.schema import SpecFile
from genotune.trainables import settings_of
from genotune.tuning.space import Space


def population_problems(settings: SpecFile, space: Space) -> Iterator[Problem]:
    """What the scheduler can't use; and of one whose trials change, what asks for a fit from one set of params."""
    kinds = {family: settings_of(family, settings.data.yields) for family in space}
    changeable = {family: frozenset() if kind is None else kind.changeable for family, kind in kinds.items()}
    for problem in settings.scheduler.problems(space, changeable):
        yield Problem(("scheduler", *problem.path), problem.message)
    wanted, found = settings.scheduler.n_trials(len(space)), settings.budget.trials
    if space and wanted is not None and wanted != found:
        message = (
            f"found {found}; scheduler {settings.scheduler.kind} trains a population for each family side by side, and "
            f"no other trials. Write {wanted}."
        )
        yield Problem(("budget", "trials"), message)
    if settings.scheduler.generation_epochs is None:
        return
    kind = settings.scheduler.kind
    for section, key, is_set in (
        ("evaluation", "folds", settings.evaluation.folds is not None),
        ("evaluation", "refit", settings.evaluation.refit),
        ("trials", "folds", settings.trials.folds is not None),
    ):
        if is_set:
            message = (
                f"the winner would be fitted again from its params, and under scheduler {kind} they change while it is "
                "fitted. Remove it, or use another scheduler."
            )
            yield Problem((section, key), message)
    size = settings.scheduler.n_trials(1)
    of_points = Counter(point.family for point in settings.search.points_in(space))
    for family, n_points in of_points.items():
        if size is not None and n_points > size:
            message = f"found {n_points} of {family}; its population has {size} trials. Leave some out."
            yield Problem(("search", "points"), message)
    if settings.search.kind == "grid" and len(space) > 1:
        message = f"found grid; it has an order of its own, and scheduler {kind} fills a population of each family."
        yield Problem(("search", "kind"), f"{message} Write kind: random.")
    if settings.budget.plateau is not None:
        message = f"under scheduler {kind} all trials begin before one ends, so there is none to leave out. Remove it."
        yield Problem(("budget", "plateau"), message)

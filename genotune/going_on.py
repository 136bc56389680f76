"""How a person wants to go on with a sweep, or a group of them, and whether that agrees with what it began with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from genotune.errors import SweepError
from genotune.extension import extended_budget, limits_said, raised
from genotune.spec import GroupSpec, Spec
from genotune.spec_changes import check_unchanged


class GoingOn(NamedTuple):
    """How to go on.

    Attributes:
        limits: of the budget that are raised, by name; see `read_extension`.
        as_it_began: with the spec that it began with, whatever its file says now.
        spec_path: where its file, and the data beside it, lie now; None: where they lay when it began.
    """

    limits: Mapping[str, Any] = {}
    as_it_began: bool = False
    spec_path: Path | None = None


AS_IT_STANDS: Final = GoingOn()


def agreed_limits(
    kept: Spec | GroupSpec,
    extensions: Sequence[Mapping[str, Any]],
    going_on: GoingOn,
    *,
    sweep: str,
    member: str | None = None,
) -> dict[str, Any]:
    """The limits that are raised now; none that are so high already.

    Args:
        kept: what the sweep, or the group, began with.
        extensions: limits that were raised before, each time.
        going_on: how.
        sweep: its name, for the person.
        member: of a group, if it is one.

    Raises:
        SweepError: a limit would not be raised; or the file says something else now.
    """
    spec = kept if isinstance(kept, Spec) else kept.members[0].spec
    budget = spec.settings.budget
    now = {name: limit for limits in extensions for name, limit in limits.items()}
    limits = raised(extended_budget(budget, now), going_on.limits)
    if "trials" in limits and spec.settings.scheduler.n_trials(len(spec.space)) is not None:
        message = f"--extend trials={limits['trials']}: scheduler {spec.settings.scheduler.kind} trains one population"
        raise SweepError(f"{message} of each family, and no trials after it. Start a new sweep.")
    if not going_on.as_it_began:
        said = limits_said(budget, [*extensions, going_on.limits])
        check_unchanged(kept, sweep=sweep, limits=said, member=member)
    return limits

"""What a group of sweeps will do, and what it came to, in words. It prints nothing."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from rich.markup import escape

from genotune.data import SOURCES
from genotune.evaluation import BASELINE, COVARIATES, baseline_title
from genotune.group_plan import GroupForecast
from genotune.group_scores import Estimate, MemberOutcome, Spread, estimates
from genotune.limits import budget_words, limit_words
from genotune.summary import last_line, number, short_path, workspace_words
from genotune.sweep_group import TABLE_FILE, GroupOutcome

_SPLITS: Final = ("train", "validation", "test")


def forecast_lines(forecast: GroupForecast) -> list[str]:
    """The sweeps of a group, what each holds out, and what all of them may cost."""
    group, settings = forecast.group, forecast.first.spec.settings
    n = len(group.members)
    rows: list[tuple[str, ...]] = [("sweep", *_SPLITS)]
    rows += [(f"{group.name}-{name}", *(of[split] for split in _SPLITS)) for name, of in forecast.sizes.items()]
    return [
        f"{group.path}: group [bold]{escape(group.name)}[/bold] of {n} sweeps can run, {_made_of(forecast)}.",
        *_aligned(rows),
        f"budget of each sweep: {budget_words(settings.budget)}; "
        f"of all {n}: {limit_words(settings.budget, n_sweeps=n)}",
    ]


def _made_of(forecast: GroupForecast) -> str:
    """What tells the sweeps apart."""
    members = forecast.group.members
    traits = len({member.trait for member in members})
    folds = len({member.outer_fold for member in members})
    if members[0].outer_fold is None:
        return f"one for each of {traits} traits"
    parts = f"one for each of {folds} outer folds"
    return parts if members[0].trait is None else f"{parts} of each of {traits} traits"


def group_summary(outcome: GroupOutcome) -> list[str]:
    """The last lines of a group: each sweep's test score, and over outer folds what they say together."""
    ended = [member for member in outcome.members if member.failure is None]
    lines = [f"[bold]{escape(outcome.name)}[/bold]: {len(ended)} of {len(outcome.members)} sweeps have a winner"]
    if ended:
        title = baseline_title(SOURCES[ended[0].state.facts["data"]["kind"]].yields)
        lines += [f"  {line}" for line in _member_lines(ended, title=title)]
        if ended[0].outer_fold is not None:
            of_traits = estimates(outcome.members)
            lines += [f"  {line}" for estimate in of_traits for line in estimate_lines(estimate, title=title)]
    lines += [
        f"[red]  {member.name} failed[/red]: {escape(last_line(member.failure or ''))}" for member in outcome.failed
    ]
    if outcome.failed:
        again = f"genotune resume {outcome.folder.name}{workspace_words(outcome.folder)}"
        lines.append(f"  `{again}` tries what failed again and leaves the others as they are")
    lines.append(f"  table in {short_path(outcome.folder / TABLE_FILE)}; compare the sweeps with: genotune ui")
    return lines


def _member_lines(ended: Sequence[MemberOutcome], *, title: str) -> list[str]:
    """A row for each sweep that has a winner: the test scores of winner and baselines."""
    names = _subjects(name for member in ended for name in member.state.scores if math.isfinite(member.score(name)))
    metrics = " or ".join(dict.fromkeys(member.metric for member in ended))
    rows = [("sweep", "winner", f"test {metrics}", *(_title(name, title) for name in names))]
    rows += [
        (member.name, member.family, number(member.score("winner")), *(number(member.score(name)) for name in names))
        for member in ended
    ]
    return _aligned(rows)


def estimate_lines(estimate: Estimate, *, title: str) -> list[str]:
    """What nested folds say of one trait.

    Args:
        estimate: of it.
        title: what a person calls the first baseline.
    """
    of = "" if estimate.trait is None else f"{escape(estimate.trait)}, "
    n, n_folds = estimate.winner.n, estimate.n_folds
    folds = f"{n_folds} outer folds" if n == n_folds else f"the {n} of {n_folds} outer folds that have a score"
    wins = ", ".join(f"{family} {count} of {sum(estimate.wins.values())}" for family, count in estimate.wins.items())
    lines = [f"{of}test {estimate.metric} over {folds} (mean ± standard deviation): winner {_spread(estimate.winner)}"]
    lines += [
        f"  {_title(name, title)} {_spread(compared.value)}; {_gain(compared.gain)}"
        for name in _subjects(estimate.baselines)
        if (compared := estimate.baselines[name]).value.n
    ]
    return [*lines, f"  won: {wins}"]


def _gain(gain: Spread) -> str:
    """How far a baseline is beaten, or not, over the folds."""
    if not gain.n:
        return "no fold has a score of both"
    word = "better" if gain.mean > 0 else "no better"
    return f"winner {word}, paired difference {gain.mean:+.4f}{'' if math.isnan(gain.sd) else f' ± {gain.sd:.4f}'}"


def _spread(spread: Spread) -> str:
    return number(spread.mean) if math.isnan(spread.sd) else f"{spread.mean:.4f} ± {spread.sd:.4f}"


def _subjects(names: Iterable[str]) -> list[str]:
    """Baselines, each once, the first one first."""
    return sorted({*names} - {"winner"}, key=lambda name: (name != BASELINE, name))


def _title(name: str, title: str) -> str:
    """What a person calls a baseline; `title` is the first one's."""
    return {BASELINE: title, COVARIATES: "covariates alone"}.get(name, name)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        escape("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()) for row in rows
    ]

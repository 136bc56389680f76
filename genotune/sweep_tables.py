"""Sweeps and trials as tables for a person: `genotune list` and `genotune status`."""

import time
from collections.abc import Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from genotune.cluster_jobs import SweepJob
from genotune.front import front_words, further_cells
from genotune.summary import (
    draw_words,
    duration,
    family_lines,
    last_line,
    number,
    spent_words,
    tested_words,
)
from genotune.sweep_view import SweepView, Watch

_COLOURS: Final = {"running": "green", "complete": "bold", "failed": "red", "died": "red", "interrupted": "yellow"}
_EVERY_S: Final = 1.0
_LONG: Final = ("draw", "reason", "last word")
"""Columns whose cells may be cut."""
_SHORTEST: Final = 16
"""Characters of those that are shown at least."""
_BETWEEN: Final = 2
"""Characters between two columns."""


def show_submitted(jobs: Sequence[SweepJob]) -> None:
    """A table of the sweeps that were submitted to a cluster."""
    table = _table("sweep", "status", "submitted", "ran for", "spec")
    for job in jobs:
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.began_s))
        table.add_row(job.name, job.status, began, duration((job.ended_s or time.time()) - job.began_s), job.spec)
    _console().print(_with_whole_cells(table))


def show_sweeps(views: Sequence[SweepView]) -> None:
    """The sweeps of a workspace, a line each."""
    table = _table("sweep", "status", "trials", "best", "of trial", "at work", "last word")
    for view in views:
        leader = view.leader
        best = "-" if leader is None else f"{view.metric} {number(view.best(leader))}"
        table.add_row(
            view.name,
            _status(view),
            _trials(view),
            best,
            "-" if leader is None else f"{leader.number} ({leader.family})",
            duration(view.active_s),
            _ago(view),
        )
    _console().print(_with_whole_cells(table))


def show_sweep(view: SweepView) -> None:
    """One sweep with all of its trials."""
    _console().print(_whole(view, n_trials=len(view.state.trials)))


def follow_sweep(watch: Watch) -> None:
    """One sweep, drawn again every second until no driver is at work on it."""
    console = _console()
    view = watch.look()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while view.status in ("running", "starting"):
            live.update(_whole(view, n_trials=max(5, console.height - 12)), refresh=True)
            time.sleep(_EVERY_S)
            view = watch.look()
    show_sweep(view)


def _whole(view: SweepView, *, n_trials: int) -> RenderableType:
    """Head, families and the last trials."""
    state = view.state
    trials = list(state.trials.values())
    front = view.front
    further = [objective.name for objective in view.objectives[1:]]
    marks = [] if front is None else ["front"]
    table = _table("trial", "family", "status", "epoch", f"{view.metric} (best)", *further, *marks, "draw", "reason")
    for trial in trials[-n_trials:]:
        last = trial.curve.get(trial.epoch, float("nan"))
        table.add_row(
            str(trial.number),
            trial.family,
            view.status_of(trial),
            str(trial.epoch),
            f"{number(last)} ({number(view.best(trial))})",
            *further_cells(trial, view.objectives),
            *([] if front is None else ["yes" if trial.number in front.trials else ""]),
            Text(draw_words(trial)),
            Text(last_line(trial.reason)),
        )
    hidden = len(trials) - n_trials
    earlier = [Text(f"{hidden} earlier trials are not shown", style="dim")] if hidden > 0 else []
    families = family_lines(state, view.metric, now_s=view.seen_s) if view.metric else []
    return Group(*_head(view), *map(Text, families), *earlier, _with_whole_cells(table))


def _head(view: SweepView) -> list[Text]:
    state, leader = view.state, view.leader
    counts = ", ".join(f"{count} {status}" for status, count in view.counts.items()) or "none yet"
    lines = [
        Text.assemble(
            (view.name, "bold"), ": ", (view.status, _COLOURS.get(view.status, "")), f", last word {_ago(view)}"
        ),
        Text(f"{_trials(view)} trials: {counts}"),
        Text(f"at work for {duration(view.active_s) if view.budget is None else spent_words(view.spent, view.budget)}"),
        *(Text(f"{family} gets no more trials: {last_line(reason)}") for family, reason in state.dropped.items()),
    ]
    lines += map(Text, view.generations)
    if state.proposals_ended and view.status == "running":
        lines.append(Text(f"no more trials begin: {state.proposals_ended}"))
    if leader is not None:
        title = "winner" if state.winner is not None else "best so far"
        lines.append(
            Text(f"{title}: {view.metric} {number(view.best(leader))}, {leader.family} of trial {leader.number}")
        )
    front = view.front
    if front is not None:
        lines.append(Text(front_words(front, state)))
    tested = state.scores.get("winner", {}).get(view.metric)
    if tested is not None:
        lines.append(Text(f"test, {tested_words(state, view.metric)}: {view.metric} {number(tested)}"))
    if state.registered is not None:
        lines.append(Text(f"model models:/{state.registered['name']}@best (version {state.registered['version']})"))
    if view.n_undelivered and view.status != "running":
        lines.append(Text(f"MLflow lacks {view.n_undelivered} events: genotune sync {view.name}", style="yellow"))
    if view.status in ("died", "interrupted"):
        lines.append(Text(f"go on with: genotune resume {view.name}", style="yellow"))
    return lines


def _trials(view: SweepView) -> str:
    return f"{len(view.state.trials)} of {'?' if view.budget is None else view.budget.trials}"


def _status(view: SweepView) -> Text:
    return Text(view.status, style=_COLOURS.get(view.status, ""))


def _ago(view: SweepView) -> str:
    """How long nothing has happened."""
    if not view.state.last_s:
        return "none yet"
    return f"{duration(max(0.0, view.seen_s - view.state.last_s))} ago"


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for header in headers:
        table.add_column(header, no_wrap=True)
    return table


def _with_whole_cells(table: Table) -> Table:
    """The same table, in which only the cells of long words are cut where a terminal is narrow.

    Where even that is not enough it is wider than the terminal: rich would leave out whole columns.
    """
    long = [column for column in table.columns if column.header in _LONG]
    whole = [column for column in table.columns if column.header not in _LONG]
    widths = [max(len(str(cell)) for cell in (one.header, *one.cells)) for one in whole]
    for column, width in zip(whole, widths, strict=True):
        column.min_width = width
    taken = sum(widths) + _BETWEEN * (len(table.columns) - 1)
    room = max(_SHORTEST, (_console().width - taken) // len(long))
    for column in long:
        column.max_width = room
    if taken + room * len(long) > _console().width:
        table.width = taken + room * len(long)
    return table


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)

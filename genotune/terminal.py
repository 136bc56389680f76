"""What a person sees: the plan, the live table, the summary, and errors in plain words."""

import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from genotune.check import Checked
from genotune.cluster_file import ClusterFile
from genotune.cluster_forecast import ClusterForecast
from genotune.cluster_summary import cluster_lines, cluster_notes, cost_lines
from genotune.controller import Controller
from genotune.extension import extended_budget
from genotune.face import Outcome
from genotune.front import front_of, front_words, further_cells, objectives_of
from genotune.group_plan import GroupForecast
from genotune.group_summary import forecast_lines, group_summary
from genotune.limits import budget_words, spent_of
from genotune.machines import MachineSize, trials_at_once
from genotune.plan import FamilyForecast, SweepPlan
from genotune.spec import GroupSpec, Member
from genotune.summary import (
    best_trial,
    best_value,
    draw_words,
    family_lines,
    last_line,
    number,
    short_path,
    spent_words,
    summary,
    workspace_words,
)
from genotune.sweep_group import GroupOutcome
from genotune.sweep_state import SweepState, TrialState

_REFRESH_S: Final = 0.25
_REST: Final = 10
"""Between two drawings of a table so many times as long as a drawing takes is left to the sweep."""
_NAMES_WIDTH: Final = 22
"""Characters of the names in a table of splits, at least."""
_MOST_RUNGS: Final = 8
_STATUSES: Final = {
    "waiting": ("proposed", "paused", "killed"),
    "running": ("running",),
    "complete": ("complete",),
    "stopped": ("stopped",),
    "failed": ("failed",),
}


@dataclass
class _Told:
    """How far the lines about trials have come.

    Attributes:
        n_trials: that had been proposed, of these
        open: those that had not ended.
        n_ended: those that had; below 0 before the first look.
        best: of all.
    """

    n_trials: int = 0
    open: set[int] = field(default_factory=set)
    n_ended: int = -1
    best: TrialState | None = None


class Terminal:
    """Tells a person how a sweep goes: a live table on a terminal, plain lines where there is none."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._plan: SweepPlan | None = None
        self._folder: Path | None = None
        self._group: GroupSpec | None = None
        self._draw_next_s = 0.0
        self._waits = ""
        self._told = _Told()

    def stage(self, text: str) -> None:
        """Say that a step begins."""
        self._stop_live()
        self._out.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {text} ...")

    def begin(self, plan: SweepPlan, folder: Path) -> None:
        """Say what is about to run, and where its record lies."""
        self._plan, self._folder = plan, self._folder if self._group else folder
        self._told = _Told()
        for note in plan.notes:
            self.note(note)
        self._out.print(f"Sweep [bold]{folder.name}[/bold] in {short_path(folder)}")

    def note(self, text: str) -> None:
        """Say what a person should know though nothing is wrong."""
        self._stop_live()
        self._out.print(Text.assemble(("note ", "yellow"), text))

    def wait(self, text: str) -> None:
        """Say what trials wait for: in the table, or in a line where there is none."""
        self._waits = text
        if text and not self._out.is_terminal:
            self.note(text)

    def trials(self, controller: Controller) -> None:
        """Redraw the table, or say in lines which trials ended since the last call."""
        if not self._out.is_terminal:
            self._tell_ends(controller.journal.state)
            return
        began_s = time.monotonic()
        if began_s < self._draw_next_s:
            return
        if self._live is None:
            self._live = Live(console=self._out, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(self._table(controller), refresh=True)
        now_s = time.monotonic()
        self._draw_next_s = max(began_s + _REFRESH_S, now_s + _REST * (now_s - began_s))

    def end(self, outcome: Outcome) -> None:
        """The summary: what won, by how much over the baseline, where it is recorded, how to look."""
        self._stop_live()
        self._out.print()
        for line in summary(outcome):
            self._out.print(line)

    def begin_group(self, group: GroupSpec, folder: Path) -> None:
        """Say how many sweeps there are, and where their record lies."""
        self._group, self._folder = group, folder
        self._out.print(f"Group [bold]{folder.name}[/bold] of {len(group.members)} sweeps in {short_path(folder)}")

    def begin_member(self, member: Member, *, number: int) -> None:
        """Say which of the sweeps comes now."""
        assert self._group is not None
        self._stop_live()
        self._out.print()
        self._out.print(f"[bold]{member.name}[/bold], sweep {number} of {len(self._group.members)}", highlight=False)

    def end_group(self, outcome: GroupOutcome) -> None:
        """What all sweeps came to."""
        self._stop_live()
        self._out.print()
        for line in group_summary(outcome):
            self._out.print(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop_live()
        if self._folder is not None and kind is not None and issubclass(kind, KeyboardInterrupt):
            self._out.print(f"Go on with: genotune resume {self._folder.name}{workspace_words(self._folder)}")

    def _stop_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _tell_ends(self, state: SweepState) -> None:
        assert self._plan is not None
        told, metric = self._told, self._plan.judge.metric
        n_ended = len(state.trials) - len(state.unended)
        if n_ended == told.n_ended:  # then a thousand that run are not looked through
            return
        news = [state.trials[number] for number in sorted({*told.open, *range(told.n_trials, len(state.trials))})]
        told.best = best_trial([*news, *([] if told.best is None else [told.best])], metric)
        for trial in news:
            was_open, is_open = trial.number in told.open, trial.number in state.unended
            if trial.is_live or (was_open and is_open):
                continue
            best = told.best
            best_words = "" if best is None else f"; best so far {best_value(best, metric):.4f} (trial {best.number})"
            end = f"{trial.status} after epoch {trial.epoch} ({last_line(trial.reason)})"
            value = number(best_value(trial, metric))
            further = self._plan.judge.further
            cells = further_cells(trial, objectives_of(state.facts))
            values = "".join(f", {name} {cell}" for name, cell in zip(further, cells, strict=True))
            line = f"trial {trial.number:>3} {trial.family} {end}: {metric} {value}{values}{best_words}"
            self._out.print(line, markup=False)
        told.open, told.n_trials, told.n_ended = set(state.unended), len(state.trials), n_ended

    def _table(self, controller: Controller) -> RenderableType:
        assert self._plan is not None
        state, metric = controller.journal.state, self._plan.judge.metric
        table = Table(box=None, pad_edge=False, header_style="dim")
        objectives = objectives_of(state.facts)
        for header in ("trial", "family", "epoch", f"{metric} (best)", *self._plan.judge.further, "draw"):
            table.add_column(header, no_wrap=True)
        for trial in state.trials.values():
            if trial.is_live:
                last = trial.curve.get(trial.epoch, math.nan)
                table.add_row(
                    str(trial.number),
                    trial.family,
                    f"{trial.epoch}/{self._plan.families[trial.family].max_epochs}",
                    f"{number(last)} ({number(best_value(trial, metric))})",
                    *further_cells(trial, objectives),
                    draw_words(trial),
                )
        families = family_lines(state, metric, now_s=time.time())
        waits = [Text(self._waits, style="yellow")] if self._waits else []
        return Group(Text(self._head(state)), *waits, *map(Text, families), Text(self._rungs(controller)), table)

    def _head(self, state: SweepState) -> str:
        assert self._plan is not None
        budget = extended_budget(self._plan.spec.settings.budget, state.extended)
        counts = {
            words: sum(trial.status in statuses for trial in state.trials.values())
            for words, statuses in _STATUSES.items()
        }
        metric = self._plan.judge.metric
        best = best_trial(state.trials.values(), metric)
        spent = spent_words(spent_of(state, now_s=time.time()), budget)
        best_words = (
            "nothing yet" if best is None else f"{best_value(best, metric):.4f} by trial {best.number} ({best.family})"
        )
        parts = ", ".join(f"{count} {words}" for words, count in counts.items())
        trials = f"{len(state.trials)} of {budget.trials} trials: {parts}; {spent}"
        front = front_of(state)
        front_line = "" if front is None else f"\n{front_words(front, state)}"
        return f"{trials}\nbest {metric}: {best_words}{front_line}"

    def _rungs(self, controller: Controller) -> str:
        lines = [
            f"{family} rungs: " + ", ".join(f"epoch {rung}: {count}" for rung, count in rungs.items())
            for family, rungs in controller.scheduler.occupancy().items()
            if rungs
        ]
        return "\n".join(lines)


def show_error(text: str) -> None:
    """An error that a person can mend, on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text.assemble(("error: ", "bold red"), text))


def show_text(text: str) -> None:
    """Plain text on standard output, as it is."""
    sys.stdout.write(text + "\n")


def show_check(checked: Checked | GroupForecast) -> None:
    """What `genotune check` found, of a sweep or of a group of them."""
    if not isinstance(checked, GroupForecast):
        show_plan(*checked)
        return
    out = Console(highlight=False, soft_wrap=True)
    for line in forecast_lines(checked):
        out.print(line)
    out.print("The first of them:")
    n_sweeps = len(checked.group.members)
    show_plan(checked.first, list(checked.machines), checked.cluster, checked.on_cluster, n_sweeps=n_sweeps)


def show_plan(
    plan: SweepPlan,
    machines: list[MachineSize],
    cluster: ClusterFile | None = None,
    on_cluster: ClusterForecast | None = None,
    *,
    n_sweeps: int = 1,
) -> None:
    """What `genotune check` found: nothing was decoded, nothing trained."""
    out = Console(highlight=False, soft_wrap=True)
    settings = plan.spec.settings
    out.print(f"{plan.spec.path}: sweep [bold]{settings.name}[/bold] can run.")
    for note in (*plan.notes, *cluster_notes(plan, cluster, on_cluster)):
        out.print(Text.assemble(("note ", "yellow"), note))
    out.print(_split_table(plan))
    n_stores = f" in {plan.n_stores} stores, one for each set of training samples" if plan.n_stores > 1 else ""
    more = f"{plan.data.store_nbytes / 1e6:,.1f} MB more" if n_stores else "twice that"
    out.print(f"store: {plan.store_nbytes / 1e6:,.1f} MB{n_stores}, once per node; {more} while the driver builds it")
    out.print(f"budget: {budget_words(settings.budget)}")
    for line in cost_lines(plan, cluster):
        out.print(line, markup=False)
    out.print(f"search: {settings.search.kind}; scheduler: {settings.scheduler.kind}")
    if plan.folds:
        n = settings.evaluation.finalists
        out.print(
            f"finalists: the best {n} of each family are compared again on {len(plan.folds)} folds of all but test"
        )
    where = "" if plan.judge.bin_bp is None else f" in {plan.judge.bin_bp}-bp bins"
    judged_on = "validation" if not plan.trial_folds else f"the mean over {plan.judged_on}"
    further = f"; against {', '.join(plan.judge.further)}" if plan.judge.further else ""
    out.print(f"objective: {plan.judge.metric}{where} of {judged_on}{further}")
    for family, forecast in plan.families.items():
        room = on_cluster.families[family].at_once if on_cluster else trials_at_once(forecast.resources, machines)
        out.print(f"{family}: {_forecast_words(forecast, room)}")
    for line in cluster_lines(plan, cluster, on_cluster, n_sweeps=n_sweeps):
        out.print(line, markup=False)


def _split_table(plan: SweepPlan) -> Table:
    headers, rows = plan.data.split_table(plan.fold, plan.spec.settings.split)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("split", no_wrap=True)
    table.add_column(headers[0], overflow="fold", min_width=_NAMES_WIDTH)
    windowed = [family for family, forecast in plan.families.items() if forecast.examples == "windows"]
    for header in (*headers[1:], *(f"windows ({family})" for family in windowed)):
        table.add_column(header, justify="right", min_width=max(map(len, header.split())))
    for name, cells in rows.items():
        table.add_row(name, *cells, *(_range(plan.families[family].n_examples[name]) for family in windowed))
    return table


def _range(ends: tuple[int, int]) -> str:
    few, many = ends
    return f"{few:,}" if few == many else f"{few:,} to {many:,}"


def _forecast_words(forecast: FamilyForecast, n_at_once: int) -> str:
    resources = forecast.resources
    rungs = f"rungs at {_listed(forecast.rungs)}" if forecast.rungs else "no rungs"
    workers = "" if resources.workers == 1 else f"{resources.workers} workers with "
    each = "a trial" if resources.workers == 1 else "each a trial"
    return (
        f"{forecast.n_domains} searched parameters, {_range(forecast.n_examples['train'])} training "
        f"{forecast.examples} an epoch, up to {_epochs(forecast.max_epochs)}, {rungs}; {workers}"
        f"{resources.cpus:g} CPUs and {resources.gpus:g} GPUs {each}, {n_at_once} at once"
    )


def _listed(rungs: tuple[int, ...]) -> str:
    """Numbers in a row, of many the first and the last."""
    shown = rungs if len(rungs) <= _MOST_RUNGS else (*rungs[: _MOST_RUNGS - 2], "...", rungs[-1])
    return ", ".join(map(str, shown))


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"

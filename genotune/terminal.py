"""What a person sees: the plan, the live table, the summary, and errors in plain words."""

import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from genotune.controller import Controller
from genotune.evaluation import BASELINE, COVARIATES, baseline_title
from genotune.journal import SweepState, TrialState
from genotune.judging import Judge
from genotune.metrics import METRICS
from genotune.plan import FamilyForecast, MachineSize, SweepPlan, trials_at_once
from genotune.run import Outcome
from genotune.workspace import workspace_of

_REFRESH_S: Final = 0.25
_SHOWN_PARAMS: Final = 4
_NAMES_WIDTH: Final = 22
"""Characters of the names in a table of splits, at least."""
_STATUSES: Final = {
    "waiting": ("proposed", "killed"),
    "running": ("running",),
    "complete": ("complete",),
    "stopped": ("stopped",),
    "failed": ("failed",),
}
_SHOWN_DIFFERENCE: Final = 0.5e-4
"""Less than this is no difference at four decimals."""


class Terminal:
    """Tells a person how a sweep goes: a live table on a terminal, plain lines where there is none."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._plan: SweepPlan | None = None
        self._folder: Path | None = None
        self._drawn_s = 0.0
        self._told: dict[int, str] = {}

    def stage(self, text: str) -> None:
        """Say that a step begins."""
        self._stop_live()
        self._out.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {text} ...")

    def begin(self, plan: SweepPlan, folder: Path) -> None:
        """Say what is about to run, and where its record lies."""
        self._plan, self._folder = plan, folder
        for note in plan.notes:
            self.note(note)
        self._out.print(f"Sweep [bold]{folder.name}[/bold] in {_short(folder)}")

    def note(self, text: str) -> None:
        """Say what a person should know though nothing is wrong."""
        self._stop_live()
        self._out.print(Text.assemble(("note ", "yellow"), text))

    def trials(self, controller: Controller) -> None:
        """Redraw the table, or say in lines which trials ended since the last call."""
        if not self._out.is_terminal:
            self._tell_ends(controller.journal.state)
            return
        now = time.monotonic()
        if now - self._drawn_s < _REFRESH_S:
            return
        self._drawn_s = now
        if self._live is None:
            self._live = Live(console=self._out, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(self._table(controller), refresh=True)

    def end(self, outcome: Outcome) -> None:
        """The summary: what won, by how much over the baseline, where it is recorded, how to look."""
        self._stop_live()
        self._out.print()
        for line in summary(outcome):
            self._out.print(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop_live()
        if self._folder is not None and kind is not None and issubclass(kind, KeyboardInterrupt):
            self._out.print(f"Go on with: genotune resume {self._folder.name}{_workspace_words(self._folder)}")

    def _stop_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _tell_ends(self, state: SweepState) -> None:
        assert self._plan is not None
        for trial in state.trials.values():
            if trial.status in ("proposed", "running") or self._told.get(trial.number) == trial.status:
                continue
            self._told[trial.number] = trial.status
            metric = self._plan.judge.metric
            best = best_trial(state, metric)
            best_words = "" if best is None else f"; best so far {best_value(best, metric):.4f} (trial {best.number})"
            end = f"{trial.status} after epoch {trial.epoch} ({_last_line(trial.reason)})"
            value = _number(best_value(trial, metric))
            self._out.print(f"trial {trial.number:>3} {trial.family} {end}: {metric} {value}{best_words}", markup=False)

    def _table(self, controller: Controller) -> RenderableType:
        assert self._plan is not None
        state, metric = controller.journal.state, self._plan.judge.metric
        table = Table(box=None, pad_edge=False, header_style="dim")
        for header in ("trial", "family", "epoch", f"{metric} (best)", "draw"):
            table.add_column(header, no_wrap=True)
        for trial in state.trials.values():
            if trial.is_live:
                last = trial.curve.get(trial.epoch, math.nan)
                table.add_row(
                    str(trial.number),
                    trial.family,
                    f"{trial.epoch}/{self._plan.families[trial.family].max_epochs}",
                    f"{_number(last)} ({_number(best_value(trial, metric))})",
                    draw_words(trial),
                )
        families = family_lines(state, metric, now_s=time.time())
        return Group(Text(self._head(state)), *map(Text, families), Text(self._rungs(controller)), table)

    def _head(self, state: SweepState) -> str:
        assert self._plan is not None
        settings = self._plan.spec.settings
        counts = {
            words: sum(trial.status in statuses for trial in state.trials.values())
            for words, statuses in _STATUSES.items()
        }
        metric = self._plan.judge.metric
        best = best_trial(state, metric)
        spent_s = state.active_s + max(0.0, time.time() - state.last_s)
        left = "" if settings.budget.hours is None else f" of {_duration(settings.budget.hours * 3600)}"
        best_words = (
            "nothing yet" if best is None else f"{best_value(best, metric):.4f} by trial {best.number} ({best.family})"
        )
        parts = ", ".join(f"{count} {words}" for words, count in counts.items())
        trials = f"{len(state.trials)} of {settings.budget.trials} trials: {parts}; {_duration(spent_s)}{left}"
        return f"{trials}\nbest {metric}: {best_words}"

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


def show_plan(plan: SweepPlan, machines: list[MachineSize]) -> None:
    """What `genotune check` found: nothing was decoded, nothing trained."""
    out = Console(highlight=False, soft_wrap=True)
    settings = plan.spec.settings
    out.print(f"{plan.spec.path}: sweep [bold]{settings.name}[/bold] can run.")
    for note in plan.notes:
        out.print(Text.assemble(("note ", "yellow"), note))
    out.print(_split_table(plan))
    n_stores = f" in {1 + len(plan.trial_folds)} stores, one for each fold" if plan.has_stores_of_folds else ""
    more = f"{plan.data.store_nbytes / 1e6:,.1f} MB more" if n_stores else "twice that"
    out.print(f"store: {plan.store_nbytes / 1e6:,.1f} MB{n_stores}, once per node; {more} while the driver builds it")
    hours = "" if settings.budget.hours is None else f" or {settings.budget.hours:g} h, whichever comes first"
    out.print(f"budget: {settings.budget.trials} trials{hours}")
    out.print(f"search: {settings.search.kind}; scheduler: {settings.scheduler.kind}")
    if plan.folds:
        n = settings.evaluation.finalists
        out.print(
            f"finalists: the best {n} of each family are compared again on {len(plan.folds)} folds of all but test"
        )
    where = "" if plan.judge.bin_bp is None else f" in {plan.judge.bin_bp}-bp bins"
    judged_on = "validation" if not plan.trial_folds else f"the mean over {plan.judged_on}"
    out.print(f"objective: {plan.judge.metric}{where} of {judged_on}")
    for family, forecast in plan.families.items():
        out.print(f"{family}: {_forecast_words(forecast, machines)}")


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


def _forecast_words(forecast: FamilyForecast, machines: list[MachineSize]) -> str:
    resources = forecast.resources
    rungs = f"rungs at {', '.join(map(str, forecast.rungs))}" if forecast.rungs else "no rungs"
    workers = "" if resources.workers == 1 else f"{resources.workers} workers with "
    each = "a trial" if resources.workers == 1 else "each a trial"
    return (
        f"{forecast.n_domains} searched parameters, {_range(forecast.n_examples['train'])} training "
        f"{forecast.examples} an epoch, up to {_epochs(forecast.max_epochs)}, {rungs}; {workers}"
        f"{resources.cpus:g} CPUs and {resources.gpus:g} GPUs {each}, {trials_at_once(resources, machines)} at once"
    )


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def summary(outcome: Outcome) -> list[str]:
    """The last lines of a run."""
    plan, state, metric = outcome.plan, outcome.state, outcome.plan.judge.metric
    title = baseline_title(plan.spec.settings.data.yields)
    assert state.winner is not None
    trial = state.trials[state.winner["trial"]]
    value, tested = state.winner["value"], state.scores["winner"].get(metric, math.nan)
    lines = [
        f"[bold]{trial.family}[/bold] of trial {trial.number} won, at epoch {state.winner['epoch']}: "
        f"{draw_words(trial, n=99)}",
        f"  {plan.judged_on}: {metric} {value:.4f}{_spread(state, metric)}, "
        f"{_beside(value, state.baselines, metric, title=title)}",
        f"  test ({plan.name_split('test')}), scored once: {metric} {_number(tested)}, "
        f"{_beside(tested, state.scores, metric, title=title)}",
        *(f"  {line}" for line in (*calibration_lines(state), *importance_lines(state))),
        *(f"  {line}" for line in family_lines(state, metric, now_s=state.last_s)),
        *(f"  {line}" for line in finalist_lines(state, plan.judge, winner=trial.number)),
        f"  {_counts(state)}; record in {_short(outcome.folder)}",
    ]
    if state.registered is None or not outcome.delivered:
        lines.append(
            f"[yellow]MLflow at {outcome.tracking_uri} did not take everything; "
            f"`genotune resume {outcome.folder.name}{_workspace_words(outcome.folder)}` delivers the rest.[/yellow]"
        )
    if state.registered is not None:
        name, version = state.registered["name"], state.registered["version"]
        lines.append(f"  model models:/{name}@best (version {version}); compare the trials with: {_look(outcome)}")
    return lines


def _look(outcome: Outcome) -> str:
    """How to see the trials: our own UI for a database in the workspace, else the server that has them."""
    if "://" in outcome.tracking_uri and not outcome.tracking_uri.startswith("sqlite:"):
        return outcome.tracking_uri
    return f"genotune ui{_workspace_words(outcome.folder)}"


def _workspace_words(folder: Path) -> str:
    """The option that names the sweep's workspace, where a command wouldn't look there by itself."""
    workspace = folder.parent.parent
    return "" if workspace == workspace_of(None, None) else f" --workspace {_short(workspace)}"


def _beside(value: float, scores: Mapping[str, Mapping[str, float]], metric: str, *, title: str) -> str:
    """How far the baselines are beaten, or not.

    Args:
        value: of the winner.
        scores: metrics of each baseline that was scored, by its family.
        metric: the objective.
        title: what a person calls the first baseline.
    """
    baseline = scores.get(BASELINE, {}).get(metric, math.nan)
    words = [_compared(value, baseline, metric, owner=title, owned=f"{title}'s {_number(baseline)}")]
    alone = scores.get(COVARIATES, {}).get(metric, math.nan)
    if math.isfinite(alone):  # without covariates all samples are predicted alike, which has no correlation
        owned = f"covariates alone ({_number(alone)})"
        words.append(_compared(value, alone, metric, owner="covariates alone", owned=owned))
    return "; ".join(words)


def _compared(value: float, baseline: float, metric: str, *, owner: str, owned: str) -> str:
    """A baseline and how far it is beaten, or not; `owned`: its name with its value."""
    if not (math.isfinite(value) and math.isfinite(baseline)):
        return f"{owner} {_number(baseline)}"
    gain = value - baseline if METRICS[metric].direction == "maximize" else baseline - value
    if abs(gain) < _SHOWN_DIFFERENCE:
        return f"no better: the same as {owned}"
    if gain > 0:
        return f"better by {gain:.4f} than {owned}"
    return f"no better: behind {owned} by {-gain:.4f}"


def _spread(state: SweepState, metric: str) -> str:
    """' ± ' and the standard deviation over the folds that the winner was judged on; nothing if it wasn't on any."""
    assert state.winner is not None
    metrics = state.trials[state.winner["trial"]].metrics.get(state.winner["epoch"], {})
    spread = metrics.get(f"validation.{metric}_sd")
    return "" if spread is None else f" ± {_number(spread)}"


def family_lines(state: SweepState, metric: str, *, now_s: float) -> list[str]:
    """How each family did and what its trials cost, the best one first; nothing of a single family."""
    families = list(dict.fromkeys(trial.family for trial in state.trials.values()))
    if len(families) < 2:
        return []
    sign = 1.0 if METRICS[metric].direction == "maximize" else -1.0
    rows = []
    for family in families:
        trials = [trial for trial in state.trials.values() if trial.family == family]
        best = max(
            (sign * value for trial in trials if math.isfinite(value := best_value(trial, metric))), default=None
        )
        ran = _duration(sum(trial.ran_s(now_s) for trial in trials))
        count = f"{len(trials)} {'trial' if len(trials) == 1 else 'trials'}"
        value = math.nan if best is None else sign * best
        rows.append((-math.inf if best is None else best, f"{family}: best {metric} {_number(value)}, {count}, {ran}"))
    return [line for _, line in sorted(rows, key=lambda row: -row[0])]


def finalist_lines(state: SweepState, judge: Judge, *, winner: int) -> list[str]:
    """How the finalists did on folds, the best one first: mean and standard deviation."""
    rows = []
    for number, folds in state.folds.items():
        values = np.array([metrics.get(judge.metric, math.nan) for metrics in folds.values()])
        spread = f"{_number(values.mean())} ± {_number(values.std(ddof=1))}"
        line = f"{len(folds)} folds: {judge.metric} {spread}, {state.trials[number].family} of trial {number}"
        mean = judge.higher_is_better(float(values.mean()))
        rows.append((mean if math.isfinite(mean) else -math.inf, line))
    rows.sort(key=lambda row: -row[0])
    if rows and not rows[0][1].endswith(f"of trial {winner}"):
        family = state.trials[winner].family
        rows.append((-math.inf, f"{family} is simpler and within one standard error of the best mean, so it won"))
    return [line for _, line in rows]


def calibration_lines(state: SweepState) -> list[str]:
    """How well the winner's probabilities are calibrated on the test split; nothing of a trait that isn't binary."""
    scores = state.scores.get("winner", {})
    if "ece" not in scores:
        return []
    values = (
        f"{title} {_number(scores.get(name, math.nan))}"
        for title, name in (
            ("Brier score", "brier"),
            ("ECE", "ece"),
            ("intercept", "calibration_intercept"),
            ("slope", "calibration_slope"),
        )
    )
    return [f"calibration on test: {', '.join(values)}"]


def importance_lines(state: SweepState) -> list[str]:
    """What a winner on genotypes leans on most; nothing on tracks."""
    if state.tables is None or state.winner is None:
        return []
    top = state.tables["top"]
    if top is None:
        return [f"{state.trials[state.winner['trial']].family} doesn't tell which variants are important"]
    return [f"most important: {', '.join(map(_feature, top)) or 'nothing, all are predicted alike'}"]


def _feature(row: Mapping[str, Any]) -> str:
    """A variant with its place and the counted allele; a covariate by its name. In rich's markup."""
    if row["kind"] != "variant":
        return escape(str(row["id"]))
    place = "" if row["position"] is None else f"{row['contig']}:{row['position']} "
    return escape(f"{row['id']} ({place}{row['counted']})")


def best_trial(state: SweepState, metric: str) -> TrialState | None:
    """The trial with the best finite objective so far."""
    finite = [trial for trial in state.trials.values() if math.isfinite(best_value(trial, metric))]
    sign = 1.0 if METRICS[metric].direction == "maximize" else -1.0
    return max(finite, key=lambda trial: (sign * best_value(trial, metric), -trial.number), default=None)


def best_value(trial: TrialState, metric: str) -> float:
    """A trial's best objective so far; NaN if it has none."""
    finite = [value for value in trial.curve.values() if math.isfinite(value)]
    better = max if METRICS[metric].direction == "maximize" else min
    return better(finite, default=math.nan)


def draw_words(trial: TrialState, *, n: int = _SHOWN_PARAMS) -> str:
    """What was drawn for a trial: the searched parameters with their values, not the fixed ones."""
    words = []
    for name in trial.picks:
        value: object = trial.params
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, dict):
            words.append(
                f"{name.rsplit('.', 1)[-1]} {value:.3g}"
                if isinstance(value, float)
                else f"{name.rsplit('.', 1)[-1]} {value}"
            )
    return ", ".join(words[:n])


def _counts(state: SweepState) -> str:
    trials = list(state.trials.values())
    parts = [
        f"{sum(trial.status == status for trial in trials)} {status}" for status in ("complete", "stopped", "failed")
    ]
    return (
        f"{len(trials)} {'trial' if len(trials) == 1 else 'trials'} ({', '.join(parts)}) in {_duration(state.active_s)}"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "-"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)

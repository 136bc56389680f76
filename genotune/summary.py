"""What a run ends with, in words: what won, by how much, what it leans on, where it is recorded. It prints nothing."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.markup import escape

from genotune.evaluation import BASELINE, COVARIATES, baseline_title
from genotune.face import Outcome
from genotune.front import FRONT_FILE, front_of, front_words
from genotune.judging import Judge
from genotune.limits import Spent
from genotune.metrics import METRICS
from genotune.spec.schema import Budget
from genotune.sweep_state import SweepState, TrialState
from genotune.workspace import workspace_of

_SHOWN_PARAMS: Final = 4
_SHOWN_DIFFERENCE: Final = 0.5e-4
"""Less than this is no difference at four decimals."""


def summary(outcome: Outcome) -> list[str]:
    """The last lines of a run."""
    plan, state, metric = outcome.plan, outcome.state, outcome.plan.judge.metric
    title = baseline_title(plan.spec.settings.data.yields)
    assert state.winner is not None
    trial = state.trials[state.winner["trial"]]
    value, tested = state.winner["value"], state.scores["winner"].get(metric, math.nan)
    lines = [
        f"[bold]{trial.family}[/bold] of trial {trial.number} won, at epoch {state.winner['epoch']}: "
        f"{draw_words(trial, n=99, epoch=state.winner['epoch'])}",
        *(f"  {line}" for line in copy_lines(trial, epoch=state.winner["epoch"])),
        f"  {plan.judged_on}: {metric} {value:.4f}{_spread(state, metric)}, "
        f"{_beside(value, state.baselines, metric, title=title)}",
        f"  test ({plan.name_split('test')}), {tested_words(state, metric)}: {metric} {number(tested)}, "
        f"{_beside(tested, state.scores, metric, title=title)}",
        *(
            f"  {line}"
            for line in (*trait_lines(state, metric, title=title), *calibration_lines(state), *importance_lines(state))
        ),
        *(f"  {line}" for line in family_lines(state, metric, now_s=state.last_s)),
        *(f"  {line}" for line in finalist_lines(state, plan.judge, winner=trial.number)),
        *(f"  {line}" for line in front_lines(state)),
        f"  {_counts(state)}{_why_so_few(state)}; record in {short_path(outcome.folder)}",
    ]
    lacks = [f"{outcome.n_left} events"] * (outcome.n_left > 0) + ["the winner's model"] * (state.registered is None)
    if lacks:
        lines.append(
            f"[yellow]MLflow at {outcome.tracking_uri} lacks {' and '.join(lacks)}; "
            f"`genotune sync {outcome.folder.name}{workspace_words(outcome.folder)}` delivers it.[/yellow]"
        )
    if state.registered is not None:
        name, version = state.registered["name"], state.registered["version"]
        lines.append(f"  model models:/{name}@best (version {version}); compare the trials with: {_look(outcome)}")
    return lines


def spent_words(spent: Spent, budget: Budget) -> str:
    """How much of a budget is spent: time always, epochs and cost where there is a limit or a price."""
    parts = [duration(spent.seconds) + ("" if budget.hours is None else f" of {duration(budget.hours * 3600)}")]
    if budget.epochs is not None:
        parts.append(f"{spent.epochs} of {budget.epochs} epochs")
    if spent.cost is not None:
        parts.append(str(spent.cost) if budget.cost is None else f"{spent.cost.amount:,.2f} of {budget.cost}")
    return ", ".join(parts)


def tested_words(state: SweepState, metric: str) -> str:
    """How often the test split was scored, and by which winners before the last."""
    if len(state.tested) < 2:
        return "scored once"
    before = ", ".join(f"{number(one.metrics.get(metric, math.nan))} by trial {one.trial}" for one in state.tested[:-1])
    return f"scored {len(state.tested)} times, {before} before the sweep was extended"


def _look(outcome: Outcome) -> str:
    """How to see the trials: our own UI for a database in the workspace, else the server that has them."""
    if "://" in outcome.tracking_uri and not outcome.tracking_uri.startswith("sqlite:"):
        return outcome.tracking_uri
    return f"genotune ui{workspace_words(outcome.folder)}"


def workspace_words(folder: Path) -> str:
    """The option that names the sweep's workspace, where a command wouldn't look there by itself."""
    workspace = folder.parent.parent
    return "" if workspace == workspace_of(None, None) else f" --workspace {short_path(workspace)}"


def _beside(value: float, scores: Mapping[str, Mapping[str, float]], metric: str, *, title: str) -> str:
    """How far the baselines are beaten, or not.

    Args:
        value: of the winner.
        scores: metrics of each baseline that was scored, by its family.
        metric: the objective.
        title: what a person calls the first baseline.
    """
    baseline = scores.get(BASELINE, {}).get(metric, math.nan)
    words = [_compared(value, baseline, metric, owner=title, owned=f"{title}'s {number(baseline)}")]
    alone = scores.get(COVARIATES, {}).get(metric, math.nan)
    if math.isfinite(alone):  # without covariates all samples are predicted alike, which has no correlation
        owned = f"covariates alone ({number(alone)})"
        words.append(_compared(value, alone, metric, owner="covariates alone", owned=owned))
    return "; ".join(words)


def _compared(value: float, baseline: float, metric: str, *, owner: str, owned: str) -> str:
    """A baseline and how far it is beaten, or not; `owned`: its name with its value."""
    if not (math.isfinite(value) and math.isfinite(baseline)):
        return f"{owner} {number(baseline)}"
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
    return "" if spread is None else f" ± {number(spread)}"


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
        ran = duration(sum(trial.ran_s(now_s) for trial in trials))
        count = f"{len(trials)} {'trial' if len(trials) == 1 else 'trials'}"
        value = math.nan if best is None else sign * best
        rows.append((-math.inf if best is None else best, f"{family}: best {metric} {number(value)}, {count}, {ran}"))
    return [line for _, line in sorted(rows, key=lambda row: -row[0])]


def finalist_lines(state: SweepState, judge: Judge, *, winner: int) -> list[str]:
    """How the finalists did on folds, the best one first: mean and standard deviation."""
    rows = []
    for trial, folds in state.folds.items():
        values = np.array([metrics.get(judge.metric, math.nan) for metrics in folds.values()])
        spread = f"{number(values.mean())} ± {number(values.std(ddof=1))}"
        line = f"{len(folds)} folds: {judge.metric} {spread}, {state.trials[trial].family} of trial {trial}"
        mean = judge.higher_is_better(float(values.mean()))
        rows.append((mean if math.isfinite(mean) else -math.inf, line))
    rows.sort(key=lambda row: -row[0])
    if rows and not rows[0][1].endswith(f"of trial {winner}"):
        family = state.trials[winner].family
        rows.append((-math.inf, f"{family} is simpler and within one standard error of the best mean, so it won"))
    return [line for _, line in rows]


def front_lines(state: SweepState) -> list[str]:
    """Which trials no other beats in all objectives, and what names their checkpoints; nothing of one objective."""
    front = front_of(state)
    return [] if front is None else [f"{front_words(front, state)}; their checkpoints: {FRONT_FILE}"]


def trait_lines(state: SweepState, metric: str, *, title: str) -> list[str]:
    """How well the winner and the first baseline predict each of several traits on the test split; nothing of one."""
    words = []
    for trait in _traits(state):
        key = f"{metric}/{trait}"
        value, baseline = (state.scores.get(name, {}).get(key, math.nan) for name in ("winner", BASELINE))
        words.append(f"{trait} {number(value)} ({number(baseline)})")
    return [escape(f"test by trait, {title}'s beside it: {metric} {', '.join(words)}")] if words else []


def _traits(state: SweepState) -> list[str]:
    """The names of several traits; none of one, nor of tracks."""
    return list(state.facts.get("data", {}).get("traits", {}))


def calibration_lines(state: SweepState) -> list[str]:
    """How well the winner's probabilities are calibrated on the test split, of several traits a line each.

    Nothing of a trait that isn't binary.
    """
    scores = state.scores.get("winner", {})
    ends = [f"/{trait}" for trait in _traits(state)] or [""]
    lines = []
    for end in ends:
        if f"ece{end}" not in scores:
            continue
        values = (
            f"{title} {number(scores.get(f'{name}{end}', math.nan))}"
            for title, name in (
                ("Brier score", "brier"),
                ("ECE", "ece"),
                ("intercept", "calibration_intercept"),
                ("slope", "calibration_slope"),
            )
        )
        whose = f" of {end[1:]}" if end else ""
        lines.append(escape(f"calibration{whose} on test: {', '.join(values)}"))
    return lines


def importance_lines(state: SweepState) -> list[str]:
    """What a winner on genotypes leans on most, of several traits a line each; nothing on tracks."""
    if state.tables is None or state.winner is None:
        return []
    top = state.tables["top"]
    if top is None:
        return [f"{state.trials[state.winner['trial']].family} doesn't tell which variants are important"]
    lines = []
    traits: list[str | None] = [*_traits(state)]
    for trait in traits or [None]:
        rows = [row for row in top if row.get("trait") == trait]
        whose = "" if trait is None else f" for {escape(trait)}"
        lines.append(f"most important{whose}: {', '.join(map(_feature, rows)) or 'nothing, all are predicted alike'}")
    return lines


def _feature(row: Mapping[str, Any]) -> str:
    """A variant with its place and the counted allele; a covariate by its name. In rich's markup."""
    if row["kind"] != "variant":
        return escape(str(row["id"]))
    place = "" if row["position"] is None else f"{row['contig']}:{row['position']} "
    return escape(f"{row['id']} ({place}{row['counted']})")


def best_trial(trials: Iterable[TrialState], metric: str) -> TrialState | None:
    """The trial with the best finite objective so far."""
    finite = [trial for trial in trials if math.isfinite(best_value(trial, metric))]
    sign = 1.0 if METRICS[metric].direction == "maximize" else -1.0
    return max(finite, key=lambda trial: (sign * best_value(trial, metric), -trial.number), default=None)


def best_value(trial: TrialState, metric: str) -> float:
    """A trial's best objective so far; NaN if it has none."""
    finite = [value for value in trial.curve.values() if math.isfinite(value)]
    better = max if METRICS[metric].direction == "maximize" else min
    return better(finite, default=math.nan)


def draw_words(trial: TrialState, *, n: int = _SHOWN_PARAMS, epoch: int | None = None) -> str:
    """What was drawn for a trial: the searched parameters with their values, not the fixed ones.

    Args:
        trial: whose draw.
        n: parameters at most.
        epoch: that was fitted with them, where they change while it runs; None: as they are now.
    """
    drawn = trial.fitted_with(trial.epoch + 1 if epoch is None else epoch)
    words = []
    for name in drawn.picks:
        value: object = drawn.params
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, dict):
            words.append(
                f"{name.rsplit('.', 1)[-1]} {value:.3g}"
                if isinstance(value, float)
                else f"{name.rsplit('.', 1)[-1]} {value}"
            )
    return ", ".join(words[:n])


def copy_lines(trial: TrialState, *, epoch: int) -> list[str]:
    """Whose copy a trial was before it came to an epoch; nothing of one that was none."""
    parents = [f"{parent} after epoch {after}" for after, parent in sorted(trial.parents.items()) if after < epoch]
    return [f"it went on as a changed copy of trial {', of trial '.join(parents)}"] if parents else []


def _counts(state: SweepState) -> str:
    trials = list(state.trials.values())
    parts = [
        f"{sum(trial.status == status for trial in trials)} {status}" for status in ("complete", "stopped", "failed")
    ]
    return (
        f"{len(trials)} {'trial' if len(trials) == 1 else 'trials'} ({', '.join(parts)}) in {duration(state.active_s)}"
    )


def _why_so_few(state: SweepState) -> str:
    """Why no more trials were proposed, where it is not that all of the budget were."""
    reason = state.proposals_ended
    return "" if not reason or reason.endswith(" trials is spent") else f"; no more, since {reason}"


def duration(seconds: float) -> str:
    """Seconds in hours, minutes or seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def number(value: float) -> str:
    """At four decimals; a dash where it is none."""
    return f"{value:.4f}" if math.isfinite(value) else "-"


def last_line(text: str) -> str:
    """Of a text; nothing of an empty one."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def short_path(path: Path) -> str:
    """Relative to the current folder where it lies in that."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)

"""What the events of a journal mean for MLflow's runs. No MLflow in it."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from genotune.data.quality import QUALITY_FILE, table_text
from genotune.events import Event
from genotune.metrics import COSTS
from genotune.sweep_state import SweepState, TrialState
from genotune.tracking import names
from genotune.tracking.changes import Changes
from genotune.tracking.front_changes import front_news, front_trials, record_front
from genotune.tracking.names import QUALITY_PLOT, SWEEP, RunKey, RunStatus, trial_key
from genotune.tracking.sweep_facts import (
    budget_tags,
    changing_numbers,
    code_artifacts,
    dataset,
    fact_tags,
)

_ENDS: Final[Mapping[str, RunStatus]] = {
    "complete": "FINISHED",
    "stopped": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
}


class Translator:
    """Turns the events of one sweep, from the first on, into changes of its runs."""

    def __init__(self) -> None:
        self._state = SweepState()
        self._settled = Changes()
        self._told_of_front: dict[int, str] = {}
        self._translate: Mapping[str, Callable[[Event, Changes], None]] = {
            "sweep_started": self._sweep_started,
            "driver_started": self._driver_started,
            "quality": self._quality,
            "learned_before": self._learned_before,
            "proposed": self._proposed,
            "started": self._started,
            "report": self._report,
            "decision": self._decision,
            "generation": self._generation,
            "ended": self._ended,
            "extended": self._extended,
            "dropped": self._dropped,
            "baseline": self._baseline,
            "fold_scored": self._fold_scored,
            "winner": self._winner,
            "scored": self._scored,
            "tables": self._tables,
            "registered": self._registered,
            "interrupted": self._interrupted,
            "sweep_ended": self._sweep_ended,
        }

    def take(self, event: Event, changes: Changes) -> None:
        """Add what the next event changes."""
        if event.kind in self._translate:
            self._translate[event.kind](event, changes)
        self._state.apply(event)

    def tell_front(self, changes: Changes) -> None:
        """Add which trials are on the front now and which are not, as far as that was not told already.

        It depends on all trials, so it is asked for once for many events. Nothing of a sweep with one objective.
        """
        news = front_news(self._state, self._told_of_front)
        for trial, word in news.items():
            changes[trial_key(trial)].tags[names.FRONT] = word
        if news:
            changes[SWEEP].tags[names.FRONT_TRIALS] = front_trials(self._state)
        self._told_of_front |= news

    def settle(self, found: Mapping[RunKey, str], changes: Changes) -> None:
        """Add the ends of runs that have ended by the journal, but not in MLflow.

        Args:
            found: the status of each run in MLflow.
            changes: what will be applied anyway.
        """
        for key, status in found.items():
            settled = self._settled[key]
            if settled.status in names.ENDED and status not in names.ENDED and changes[key].status is None:
                changes[key].status, changes[key].end_ms = settled.status, settled.end_ms

    def _become(self, key: RunKey, status: RunStatus, event: Event, changes: Changes) -> None:
        changes[key].become(status, event)
        self._settled[key].become(status, event)

    def _sweep_started(self, event: Event, changes: Changes) -> None:
        facts, change = event.values, changes[SWEEP]
        change.begin(facts["sweep_id"], event)
        change.tags |= fact_tags(facts) | budget_tags(facts.get("budget", {}))
        change.texts |= {
            "spec.yaml": facts["spec_text"],
            "resolved.yaml": facts["resolved_text"],
            "versions.json": json.dumps(facts["versions"], indent=2),
            "files.json": json.dumps(facts["files"], indent=2),
            **code_artifacts(facts.get("code", {})),
        }
        change.dataset = dataset(facts)
        self._become(SWEEP, "RUNNING", event, changes)

    def _driver_started(self, event: Event, changes: Changes) -> None:
        changes[SWEEP].tags[names.STATUS] = "running"
        self._become(SWEEP, "RUNNING", event, changes)
        for trial in self._open_trials():
            changes[trial_key(trial.number)].tags[names.STATUS] = "waiting"
            self._become(trial_key(trial.number), "SCHEDULED", event, changes)

    def _extended(self, event: Event, changes: Changes) -> None:
        changes[SWEEP].tags |= budget_tags(event.values["limits"])

    def _dropped(self, event: Event, changes: Changes) -> None:
        changes[SWEEP].tags[names.DROPPED + event.values["family"]] = names.value_text(event.values["reason"])

    def _quality(self, event: Event, changes: Changes) -> None:
        changes[SWEEP].texts |= {QUALITY_FILE: table_text(event.values)}
        if event.values["histograms"]:
            changes[SWEEP].plots |= {QUALITY_PLOT: event.values["histograms"]}

    def _learned_before(self, event: Event, changes: Changes) -> None:
        changes[SWEEP].tags[names.START_FROM] = names.value_text(", ".join(event.values["sweeps"]))

    def _proposed(self, event: Event, changes: Changes) -> None:
        values = event.values
        family, seed, key = values["family"], values["seed"], trial_key(values["trial"])
        change = changes[key]
        change.begin(f"trial-{values['trial']:04d} {family}", event)
        change.params |= names.flat_params({**values["params"], "family": family, "seed": seed})
        change.tags |= {names.FAMILY: family, names.STATUS: "waiting"}
        self._become(key, "SCHEDULED", event, changes)

    def _started(self, event: Event, changes: Changes) -> None:
        number = event.values["trial"]
        changes[trial_key(number)].tags |= {names.DEVICE: event.values["device"], names.STATUS: "running"}
        self._become(trial_key(number), "RUNNING", event, changes)

    def _report(self, event: Event, changes: Changes) -> None:
        values = event.values
        if values["epoch"] in self._state.trials[values["trial"]].curve:
            return
        trial, change = self._state.trials[values["trial"]], changes[trial_key(values["trial"])]
        change.measure({**values["metrics"], names.OBJECTIVE: values["value"]}, event, step=values["epoch"])
        changing = changing_numbers(trial, self._state.facts.get("changing", {}).get(trial.family, ()))
        change.measure(changing, event, step=values["epoch"], prefix=names.HYPERPARAMETER)

    def _decision(self, event: Event, changes: Changes) -> None:
        values = event.values
        trial = self._state.trials[values["trial"]]
        if values["rung"] is None or values["epoch"] in trial.decisions:
            return
        change = changes[trial_key(trial.number)]
        change.measure({"rung": values["rung"]}, event, step=values["epoch"])
        change.tags[names.RUNG] = str(max(trial.rung, values["rung"]))
        if values["action"] == "pause":
            change.tags[names.STATUS] = "paused"
            self._become(trial_key(trial.number), "SCHEDULED", event, changes)

    def _generation(self, event: Event, changes: Changes) -> None:
        for copy in event.values["copies"]:
            before = self._state.trials[copy["trial"]].parents
            copies = [*before.items(), (event.values["epoch"], copy["parent"])]
            changes[trial_key(copy["trial"])].tags[names.COPIES] = json.dumps(copies)

    def _ended(self, event: Event, changes: Changes) -> None:
        values = event.values
        trial = self._state.trials[values["trial"]]
        change = changes[trial_key(trial.number)]
        change.tags |= {
            names.STATUS: values["status"],
            names.REASON: names.value_text(values["reason"]),
            names.RUNG: str(trial.rung),
        }
        metrics = {"duration_s": trial.ran_s(event.time_s), names.EPOCHS: trial.epoch}
        change.measure(metrics, event, step=trial.epoch)
        self._become(trial_key(trial.number), _ENDS[values["status"]], event, changes)

    def _baseline(self, event: Event, changes: Changes) -> None:
        name, metrics = event.values["name"], event.values["metrics"]
        if name in self._state.baselines:
            return
        key = RunKey("baseline", name)
        changes[key].begin(f"baseline {name}", event)
        changes[key].tags |= {names.FAMILY: name, names.STATUS: "complete"}
        changes[key].measure(_validation(metrics), event)
        changes[SWEEP].measure(metrics, event, prefix=f"{names.VALIDATION}baseline_{name}.")
        self._become(key, "FINISHED", event, changes)

    def _fold_scored(self, event: Event, changes: Changes) -> None:
        values = event.values
        if values["fold"] in self._state.folds.get(values["trial"], {}):
            return
        change = changes[trial_key(values["trial"])]
        change.measure(values["metrics"], event, step=values["fold"], prefix=names.FOLD)
        change.tags[names.FINALIST] = "true"

    def _winner(self, event: Event, changes: Changes) -> None:
        values, before = event.values, self._state.winner
        if values == before:
            return
        if before is not None:
            changes[trial_key(before["trial"])].tags[names.WINNER] = "false"
        trial = self._state.trials[values["trial"]]
        changes[trial_key(trial.number)].tags[names.WINNER] = "true"
        change = changes[SWEEP]
        if trial.stretches:
            params = names.value_text(names.flat_params(trial.fitted_with(values["epoch"]).params))
            change.tags[names.WINNER_PARAMS] = changes[trial_key(trial.number)].tags[names.WINNER_PARAMS] = params
        change.tags |= {names.WINNER_TRIAL: str(trial.number), names.WINNER_EPOCH: str(values["epoch"])}
        change.links[names.WINNER_RUN_ID] = trial_key(trial.number)
        of_epoch = trial.metrics.get(values["epoch"], {})
        validation = {
            name: value for name, value in of_epoch.items() if name.startswith(names.VALIDATION) or name in COSTS
        }
        # At step 0, so that MLflow's latest value is that of a later winner, whatever its epoch.
        change.measure({**validation, names.OBJECTIVE: values["value"]}, event)

    def _scored(self, event: Event, changes: Changes) -> None:
        subject, metrics, split = event.values["subject"], event.values["metrics"], event.values["split"]
        if subject == "winner":
            self._winner_scored(event, changes)
            return
        if subject in self._state.scores:
            return
        changes[SWEEP].measure(metrics, event, prefix=f"{split}.baseline_{subject}.")
        if subject in self._state.baselines:
            changes[RunKey("baseline", subject)].measure(metrics, event, prefix=f"{split}.")

    def _winner_scored(self, event: Event, changes: Changes) -> None:
        """The first winner's score at step 0; those of later winners, after the sweep was extended, at 1, 2, ..."""
        state, prefix = self._state, f"{event.values['split']}."
        assert state.winner is not None, "a winner is scored after it is chosen"
        if state.winner_is_tested:
            return
        key, step = trial_key(state.winner["trial"]), len(state.tested)
        for run in (SWEEP, key):
            changes[run].measure(event.values["metrics"], event, step=step, prefix=prefix)
        if step:
            trials = [*(one.trial for one in state.tested), state.winner["trial"]]
            words = f"{step + 1} times, by the winners of trials {', '.join(map(str, trials))}"
            for run in (SWEEP, key):
                changes[run].tags[names.TESTED] = words

    def _tables(self, event: Event, changes: Changes) -> None:
        for key in (SWEEP, trial_key(event.values["trial"])):
            changes[key].files += event.values["files"]

    def _registered(self, event: Event, changes: Changes) -> None:
        model, version = event.values["name"], str(event.values["version"])
        changes[SWEEP].tags |= {names.REGISTERED_MODEL: model, names.REGISTERED_VERSION: version}

    def _interrupted(self, event: Event, changes: Changes) -> None:
        changes[SWEEP].tags |= {names.STATUS: "killed", names.REASON: names.value_text(event.values["reason"])}
        self._become(SWEEP, "KILLED", event, changes)
        self._kill_open_trials(event, changes, reason=event.values["reason"])

    def _sweep_ended(self, event: Event, changes: Changes) -> None:
        status = event.values["status"]
        changes[SWEEP].tags |= {names.STATUS: status, names.REASON: names.value_text(event.values.get("reason", ""))}
        self._become(SWEEP, _ENDS[status], event, changes)
        self._kill_open_trials(event, changes, reason="the sweep ended")
        record_front(self._state, event, changes[SWEEP])

    def _kill_open_trials(self, event: Event, changes: Changes, *, reason: str) -> None:
        for trial in self._open_trials():
            changes[trial_key(trial.number)].tags |= {names.STATUS: "killed", names.REASON: names.value_text(reason)}
            self._become(trial_key(trial.number), "KILLED", event, changes)

    def _open_trials(self) -> Iterator[TrialState]:
        return (trial for trial in self._state.trials.values() if trial.ended_s is None)


def _validation(metrics: Mapping[str, float]) -> Mapping[str, float]:
    return {names.VALIDATION + name.removeprefix(names.VALIDATION): value for name, value in metrics.items()}

"""What Tune is given for a searcher, a scheduler and a logger: thin adapters that hand every step to the controller."""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from ray.tune.callback import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher as TuneSearcher

from genotune.actor_reuse import end_actors_that, keep_starting_actors
from genotune.controller import Controller
from genotune.errors import HaltError
from genotune.leaving import LeavingMachines
from genotune.lost_machines import LostMachines, node_of_actor, nodes_alive
from genotune.spec import Resources
from genotune.stop_requests import read_requests
from genotune.trial_log import last_log_lines
from genotune.trial_workers import fit_alone

log = logging.getLogger(__name__)

_LAST_LINES: Final = 30
"""Lines of a failed trial's log, and of its traceback, that go into the record."""

_ASK_EVERY_S: Final = 1.0
"""So often the folder is looked at for requests."""

_COUNT_EVERY_S: Final = 5.0
"""So often it is asked which machines there are."""


class FamilyPlan(NamedTuple):
    """What a trial of a family takes: machines and epochs."""

    resources: Resources
    max_epochs: int


class TuneRun(NamedTuple):
    """What Tune needs beside the controller.

    Attributes:
        folder: for Tune's own files; removed at the end.
        families: by name.
        retries: how often a trial is started again after its process died or it raised.
        on_change: called after each step that changed something, and about every second.
        n_at_once: how many trials find a place on the machines that there are, or are started for them; asked about
            every five seconds.
        ray_goes_on: whether Ray outlives the sweep, whose store must then be let go of.
        fit: how one process fits a trial and reports, called as `trial_workers.fit_alone`.
    """

    folder: Path
    families: Mapping[str, FamilyPlan]
    retries: int
    on_change: Callable[[], None]
    n_at_once: Callable[[], int]
    ray_goes_on: bool
    fit: Callable[..., None] = fit_alone


def name_of(trial: Trial) -> str:
    """Its name in Tune, and its folder's."""
    return f"trial-{_number(trial):04d}"


def _number(trial: Trial) -> int:
    return int(trial.config["trial"])


def bundle_of(resources: Resources) -> dict[str, float]:
    """What a worker takes, in Ray's words."""
    bundle: dict[str, float] = {"CPU": resources.cpus, "GPU": resources.gpus}
    if resources.memory_gib is not None:
        bundle["memory"] = resources.memory_gib * 2**30
    return {name: amount for name, amount in bundle.items() if amount}


class _Live:
    """Not in Tune's snapshots, which nothing reads: the journal is the state."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Room:
    """How many trials may wait for a process: as many as find a place at once, and one.

    Tune by itself lets one wait, so that it knows most when it is proposed; then the first trials on a machine start
    one after the other, each when the process of the one before it is there.
    """

    def __init__(self, controller: Controller, count: Callable[[], int]) -> None:
        self._controller = controller
        self._count = count
        self._waiting: set[int] = set()
        self._n_at_once, self._counted_s = 0, -math.inf

    def has_some(self) -> bool:
        """Whether another trial may wait."""
        if time.monotonic() - self._counted_s > _COUNT_EVERY_S:
            self._n_at_once = self._count()
            self._counted_s = time.monotonic()
        n_running = self._controller.n_handed_out - len(self._waiting)
        return len(self._waiting) < max(1, self._n_at_once - n_running)

    def waits(self, trial: int) -> None:
        """A trial was handed to Tune."""
        self._waiting.add(trial)

    def waits_no_more(self, trial: int) -> None:
        """It has its process, or Tune was done with it before."""
        self._waiting.discard(trial)


class Ask(_Live, TuneSearcher):
    """Tune asks for a configuration: the controller's next task."""

    def __init__(self, controller: Controller, families: Mapping[str, FamilyPlan], room: Room) -> None:
        super().__init__()
        self._controller = controller
        self._families = families
        self._room = room

    def suggest(self, trial_id: str) -> Any:  # noqa: ARG002 - the controller has numbers of its own
        """A configuration; None where none is to be had now."""
        if not self._room.has_some():
            return None
        task = self._controller.next_task()
        if task == "finished":
            return TuneSearcher.FINISHED
        if task == "wait":
            return None
        self._room.waits(task.trial)
        family = self._families[task.family]
        return {
            **task._asdict(),
            "max_epochs": family.max_epochs,
            "cpus": family.resources.cpus,
            "gpus": family.resources.gpus,
            "workers": family.resources.workers,
            "bundle": bundle_of(family.resources),
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `Watch` has the trial itself, and with it the reason."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing, as in `_Live`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as in `_Live`."""


class Decide(_Live, FIFOScheduler):
    """Tune has a result and asks whether the trial goes on.

    Args:
        controller: of the sweep.
        leaving: machines that are about to go.

    Attributes:
        halt: what no trial gets past, once a trial has told of it.
        moving: trials that left a machine which is about to go, to go on elsewhere.
    """

    def __init__(self, controller: Controller, leaving: LeavingMachines) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._controller = controller
        self._leaving = leaving
        self.halt: HaltError | None = None
        self.moving: set[int] = set()
        self._nodes: dict[str, str] = {}

    def on_trial_add(self, tune_controller: object, trial: Trial) -> None:  # noqa: ARG002
        """A trial was made of a configuration."""
        keep_starting_actors(tune_controller)
        end_actors_that(tune_controller, self._is_leaving)

    def choose_trial_to_run(self, tune_controller: object) -> Trial | None:  # noqa: ARG002
        """None: Tune starts those that wait in their order, and needn't look through all that there were."""
        return None

    def on_trial_result(self, tune_controller: object, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002
        """What Tune does with a trial after a report."""
        if "halt" in result:
            self.halt = HaltError(result["halt"])
            raise self.halt
        if "failure" in result:
            self._controller.ended(_number(trial), failure=result["failure"])
            return str(TrialScheduler.STOP)
        if "epoch" not in result:
            return str(TrialScheduler.CONTINUE)
        # Tune hands results on flattened.
        metrics = {
            name.removeprefix("metrics/"): value for name, value in result.items() if name.startswith("metrics/")
        }
        action = self._controller.report(
            _number(trial), result["epoch"], value=result["value"], metrics=metrics, checkpoint=result["checkpoint"]
        )
        self._nodes[trial.trial_id] = result.get("node", "")
        if action == "continue" and self._is_leaving(trial):
            log.info("%s goes on elsewhere: its machine is about to be taken away", name_of(trial))
            self.moving.add(_number(trial))
            return str(TrialScheduler.STOP)
        # A trial that pauses is another one to Tune when it goes on: so it holds no machine until then.
        return str(TrialScheduler.CONTINUE if action == "continue" else TrialScheduler.STOP)

    def _is_leaving(self, trial: Trial) -> bool:
        return self._leaving.has(self._nodes.get(trial.trial_id, ""))


class Watch(_Live, Callback):
    """Tune says what became of a trial; and at each turn of its loop a signal or a request may end the sweep."""

    def __init__(
        self,
        controller: Controller,
        run: TuneRun,
        interrupted: threading.Event,
        *,
        room: Room,
        trials: Path,
        moving: set[int],
    ) -> None:
        self._controller = controller
        self._run = run
        self._room = room
        self._moving = moving
        self._interrupted = interrupted
        self._trials = trials
        self._given_back: Counter[int] = Counter()
        self._lost = LostMachines(run.retries, node_of=node_of_actor, alive=nodes_alive)
        self._asked_s = 0.0

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:  # noqa: ARG002
        """Look for signals and requests, at each turn of Tune's loop."""
        if self._interrupted.is_set():
            raise KeyboardInterrupt
        if time.monotonic() - self._asked_s > _ASK_EVERY_S:
            self._asked_s = time.monotonic()
            self._heed_requests()
            self._lost.look()
        self._run.on_change()

    def _heed_requests(self) -> None:
        """Do what a person asked for with `genotune stop`."""
        asked = read_requests(self._trials.parent)
        self._controller.stop_trials(asked.trials)
        if asked.sweep == "choose":
            self._controller.stop_all()
        elif asked.sweep == "interrupt":
            raise KeyboardInterrupt

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """A trial has its process."""
        self._room.waits_no_more(_number(trial))
        self._controller.started(_number(trial), device="cuda" if trial.config["gpus"] else "cpu")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Tune is done with a trial."""
        number = _number(trial)
        self._room.waits_no_more(number)
        if number in self._moving:
            self._moving.remove(number)
            self._controller.give_back(number)
        else:
            self._controller.ended(number)
        _forget_metrics(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Tune gives a trial up."""
        number = _number(trial)
        self._room.waits_no_more(number)
        n_failures = trial.run_metadata.num_failures
        if self._lost.may_go_on(number, _error_text(trial), n_failures=n_failures):
            self._controller.give_back(number)
        # Tune gives up at once a trial that it handed to a process which another trial's fault had just ended.
        elif n_failures <= self._run.retries and self._given_back[number] < self._run.retries:
            self._given_back[number] += 1
            self._controller.give_back(number)
        else:
            self._controller.ended(number, failure=_last_words(trial, self._trials))


def _error_text(trial: Trial) -> str:
    """What Tune has written down of a trial's failures, the last one last; '' where it knows none."""
    file = trial.error_file
    return Path(file).read_text(errors="replace") if file and Path(file).exists() else ""


def _forget_metrics(trial: Trial) -> None:
    """Let go of the statistics of each metric that Tune keeps of a trial for good: nothing reads them.

    They and Tune's text of them take some 50 kB of a trial with ten metrics, gigabytes of 100,000 trials.
    """
    kept = trial.run_metadata
    kept.metric_analysis, kept.metric_n_steps = {}, {}


def _last_words(trial: Trial, folder: Path) -> str:
    """What is known of a trial's death: the last lines of its traceback, after those of its log.

    Args:
        trial: as Tune knows it.
        folder: that the trials' own folders lie in.
    """
    text = _error_text(trial) or "its process died without a word"
    traceback = "\n".join(text.strip().splitlines()[-_LAST_LINES:])
    written = last_log_lines(folder / name_of(trial), _LAST_LINES)
    return f"the last lines of its log:\n{written}\n{traceback}" if written else traceback

"""A sweep on Ray Tune: thin adapters that hand every step to the controller.

Tune places trials on machines, keeps their processes from trial to trial and starts them again when they die. What to
try, what to stop and what is remembered is the controller's; Tune's own snapshots are not used.
"""

import contextlib
import logging
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple, cast

import ray
from ray import tune
from ray.tune.callback import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher as TuneSearcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from genotune.controller import BY_HAND, Controller
from genotune.errors import HaltError
from genotune.failing import check_outcome
from genotune.raylet_watch import ray_loss
from genotune.spec import Resources
from genotune.stop_requests import read_requests
from genotune.trial import SharedStore, TrialSetup
from genotune.trial_log import last_log_lines
from genotune.trial_workers import fit_alone, run_trial

log = logging.getLogger(__name__)

_LAST_LINES: Final = 30
"""Lines of a failed trial's log, and of its traceback, that go into the record."""

_ASK_EVERY_S: Final = 1.0
"""So often the folder is looked at for requests."""


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
        fit: how one process fits a trial and reports, called as `trial_workers.fit_alone`.
    """

    folder: Path
    families: Mapping[str, FamilyPlan]
    retries: int
    on_change: Callable[[], None]
    fit: Callable[..., None] = fit_alone


def run_sweep(controller: Controller, store: SharedStore, *, setup: TrialSetup, run: TuneRun) -> None:
    """Run trials until the controller has no more.

    Raises:
        KeyboardInterrupt: a person (SIGINT) or the system (SIGTERM) ended it; the journal is whole and says so.
        SweepError: every trial failed.
        HaltError: a full disk, or a storage that is away, keeps trials from going on; a resume goes on.
    """
    with _kept(store) as keeper, _interrupts_held() as interrupted:
        decide = _Decide(controller)
        trainable = partial(_run_trial, keeper=keeper, setup=setup, scratch=run.folder / "workers", fit=run.fit)
        tuner = tune.Tuner(
            tune.with_resources(trainable, partial(_placement, run.families)),
            tune_config=tune.TuneConfig(
                search_alg=_Ask(controller, run.families),
                scheduler=decide,
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(run.folder),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=run.retries),
                callbacks=[_Watch(controller, run, interrupted, trials=setup.folder)],
            ),
        )
        try:
            tuner.fit()
        except KeyboardInterrupt:
            controller.interrupt(ray_loss() or ("interrupted by a signal" if interrupted.is_set() else BY_HAND))
            raise
        except Exception as error:
            halt = controller.journal.fault or decide.halt  # Tune makes an error of its own of what was raised
            if halt is None:
                raise
            raise halt from error
    shutil.rmtree(run.folder, ignore_errors=True)
    check_outcome(controller.journal.state, controller.journal.path.parent.name)


class _Keeper:
    """Holds the references of a store, for trials to ask for.

    What a function that is given to Tune refers to lives as long as Ray does, and that would be every store of a group
    of sweeps on one Ray. This actor can be ended.
    """

    def __init__(self, store: SharedStore) -> None:
        self._store = store

    def store(self) -> SharedStore:
        """The references."""
        return self._store


@contextlib.contextmanager
def _kept(store: SharedStore) -> Iterator[Any]:
    """An actor beside the driver that holds the store for the block's time."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    keeper = cast(Any, ray.remote)(_Keeper).options(num_cpus=0, scheduling_strategy=here).remote(store)
    try:
        yield keeper
    finally:
        ray.kill(keeper)


def _run_trial(config: Mapping[str, Any], *, keeper: Any, **rest: Any) -> None:
    run_trial(config, shared=ray.get(keeper.store.remote()), **rest)


def _placement(families: Mapping[str, FamilyPlan], config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """All that a trial takes, at once or not at all, so that no two trials wait for each other's workers."""
    resources = families[config["family"]].resources
    bundle = _bundle(resources)
    if resources.workers == 1:
        return tune.PlacementGroupFactory([bundle])
    lead: dict[str, float] = {}
    return tune.PlacementGroupFactory([lead, *[bundle] * resources.workers])


def _bundle(resources: Resources) -> dict[str, float]:
    """What a worker takes, in Ray's words."""
    bundle: dict[str, float] = {"CPU": resources.cpus, "GPU": resources.gpus}
    if resources.memory_gib is not None:
        bundle["memory"] = resources.memory_gib * 2**30
    return {name: amount for name, amount in bundle.items() if amount}


def _name(trial: Trial) -> str:
    return f"trial-{_number(trial):04d}"


def _number(trial: Trial) -> int:
    return int(trial.config["trial"])


class _Live:
    """Not in Tune's snapshots, which nothing reads: the journal is the state."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Ask(_Live, TuneSearcher):
    """Tune asks for a configuration: the controller's next task."""

    def __init__(self, controller: Controller, families: Mapping[str, FamilyPlan]) -> None:
        super().__init__()
        self._controller = controller
        self._families = families

    def suggest(self, trial_id: str) -> Any:  # noqa: ARG002 - the controller has numbers of its own
        task = self._controller.next_task()
        if task == "finished":
            return TuneSearcher.FINISHED
        if task == "wait":
            return None
        family = self._families[task.family]
        return {
            **task._asdict(),
            "max_epochs": family.max_epochs,
            "cpus": family.resources.cpus,
            "gpus": family.resources.gpus,
            "workers": family.resources.workers,
            "bundle": _bundle(family.resources),
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `_Watch` has the trial itself, and with it the reason."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing, as in `_Live`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as in `_Live`."""


class _Decide(_Live, FIFOScheduler):
    """Tune has a result and asks whether the trial goes on.

    Attributes:
        halt: what no trial gets past, once a trial has told of it.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._controller = controller
        self.halt: HaltError | None = None

    def on_trial_result(self, tune_controller: object, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002
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
        # A trial that pauses is another one to Tune when it goes on: so it holds no machine until then.
        return str(TrialScheduler.CONTINUE if action == "continue" else TrialScheduler.STOP)


class _Watch(_Live, Callback):
    """Tune says what became of a trial; and at each turn of its loop a signal or a request may end the sweep."""

    def __init__(self, controller: Controller, run: TuneRun, interrupted: threading.Event, *, trials: Path) -> None:
        self._controller = controller
        self._run = run
        self._interrupted = interrupted
        self._trials = trials
        self._given_back: Counter[int] = Counter()
        self._asked_s = 0.0

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:  # noqa: ARG002
        if self._interrupted.is_set():
            raise KeyboardInterrupt
        if time.monotonic() - self._asked_s > _ASK_EVERY_S:
            self._asked_s = time.monotonic()
            self._heed_requests()
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
        self._controller.started(_number(trial), device="cuda" if trial.config["gpus"] else "cpu")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        self._controller.ended(_number(trial))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        number = _number(trial)
        # Tune gives up at once a trial that it handed to a process which another trial's fault had just ended.
        was_tried_again = trial.run_metadata.num_failures > self._run.retries
        if not was_tried_again and self._given_back[number] < self._run.retries:
            self._given_back[number] += 1
            self._controller.give_back(number)
        else:
            self._controller.ended(number, failure=_last_words(trial, self._trials))


def _last_words(trial: Trial, folder: Path) -> str:
    """What is known of a trial's death: the last lines of its traceback, after those of its log.

    Args:
        trial: as Tune knows it.
        folder: that the trials' own folders lie in.
    """
    file = trial.error_file
    text = Path(file).read_text(errors="replace") if file and Path(file).exists() else "its process died without a word"
    traceback = "\n".join(text.strip().splitlines()[-_LAST_LINES:])
    written = last_log_lines(folder / _name(trial), _LAST_LINES)
    return f"the last lines of its log:\n{written}\n{traceback}" if written else traceback


@contextlib.contextmanager
def _interrupts_held() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM set the event that is given; a second one interrupts at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def hold(signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        log.warning("Ending: running trials are recorded as killed and go on with `genotune resume`.")

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

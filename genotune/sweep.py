"""A sweep on Ray Tune.

Tune places trials on machines, keeps their processes from trial to trial and starts them again when they die. What to
try, what to stop and what is remembered is the controller's; Tune's own snapshots are not used.
"""

import contextlib
import logging
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import FrameType
from typing import Any, cast

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from genotune.controller import BY_HAND, Controller
from genotune.failing import check_outcome
from genotune.leaving import LeavingMachines, draining_nodes
from genotune.raylet_watch import ray_loss
from genotune.shared_store import SharedStore
from genotune.trial import TrialSetup
from genotune.trial_workers import run_trial
from genotune.tune_adapters import Ask, Decide, FamilyPlan, Room, TuneRun, Watch, bundle_of, name_of

log = logging.getLogger(__name__)


def run_sweep(controller: Controller, store: SharedStore, *, setup: TrialSetup, run: TuneRun) -> None:
    """Run trials until the controller has no more.

    Raises:
        KeyboardInterrupt: a person (SIGINT) or the system (SIGTERM) ended it; the journal is whole and says so.
        SweepError: every trial failed.
        HaltError: a full disk, or a storage that is away, keeps trials from going on; a resume goes on.
    """
    with _reached(store, ray_goes_on=run.ray_goes_on) as reach, _interrupts_held() as interrupted:
        decide, room = Decide(controller, LeavingMachines(draining_nodes)), Room(controller, run.n_at_once)
        trainable = partial(_run_trial, reach=reach, setup=setup, scratch=run.folder / "workers", fit=run.fit)
        tuner = tune.Tuner(
            tune.with_resources(trainable, partial(_placement, run.families)),
            tune_config=tune.TuneConfig(
                search_alg=Ask(controller, run.families, room),
                scheduler=decide,
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=name_of,
                trial_dirname_creator=name_of,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(run.folder),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=run.retries),
                callbacks=[Watch(controller, run, interrupted, room=room, trials=setup.folder, moving=decide.moving)],
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
def _reached(store: SharedStore, *, ray_goes_on: bool) -> Iterator[Callable[[], SharedStore]]:
    """How a trial's process gets the store, for the block's time."""
    if not ray_goes_on:
        yield lambda: store  # without a process more
        return
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    keeper = cast(Any, ray.remote)(_Keeper).options(num_cpus=0, scheduling_strategy=here).remote(store)
    try:
        yield lambda: cast(SharedStore, ray.get(keeper.store.remote()))
    finally:
        ray.kill(keeper)


def _run_trial(config: Mapping[str, Any], *, reach: Callable[[], SharedStore], **rest: Any) -> None:
    run_trial(config, shared=reach(), **rest)


def _placement(families: Mapping[str, FamilyPlan], config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """All that a trial takes, at once or not at all, so that no two trials wait for each other's workers."""
    resources = families[config["family"]].resources
    bundle = bundle_of(resources)
    if resources.workers == 1:
        return tune.PlacementGroupFactory([bundle])
    lead: dict[str, float] = {}
    return tune.PlacementGroupFactory([lead, *[bundle] * resources.workers])


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

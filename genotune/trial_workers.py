"""One trial by several workers that fit the model together, under Ray Train; by one it runs in the Tune actor itself.

The Tune actor only leads: it starts the workers and hands on to Tune what rank 0 reports. Rank 0 waits after each
report until Tune says that the trial goes on, and the other ranks wait for rank 0, so that a trial which is stopped has
done nothing since its last report.
"""

import asyncio
import faulthandler
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from genotune.shared_store import SharedStore
from genotune.trainables.trainable import FitError
from genotune.trial import (
    EpochReport,
    NotFiniteError,
    TrialSetup,
    fit_trial,
    plan_of,
    report_halt,
    run_in_tune,
    trial_name,
)
from genotune.trial_folds import fit_on_folds
from genotune.trial_log import logged

_END_TIMEOUT_S: Final = 30
"""So long Tune waits for a stopped trial to end its workers before it ends the whole trial."""


def fit_alone(config: Mapping[str, Any], shared: SharedStore, *, setup: TrialSetup, **rest: Any) -> None:
    """Fit a trial in this process, on the sweep's splits or on its folds.

    Args:
        config: see `run_trial`.
        shared: the data.
        setup: of the sweep.
        **rest: `plan` and `send`, as `fit_trial` takes them.
    """
    if setup.folds:
        fit_on_folds(config, [shared.of_fold(fold) for fold in range(len(setup.folds))], setup=setup, **rest)
    else:
        fit_trial(config, shared.get(), setup=setup, **rest)


def run_trial(
    config: Mapping[str, Any],
    *,
    shared: SharedStore,
    setup: TrialSetup,
    scratch: Path,
    fit: Callable[..., None] = fit_alone,
) -> None:
    """Run a trial from a Ray Tune actor.

    Args:
        config: trial, family, params, seed, max_epochs, and workers with the cpus, gpus and memory of each.
        shared: the store.
        setup: of the sweep.
        scratch: a folder for files of Ray's own, seen by all machines.
        fit: of a trial with one worker, called as `fit_alone`.
    """
    try:
        with logged(setup.folder / trial_name(config["trial"]), _title(config)):
            if config["workers"] == 1:
                run_in_tune(config, shared=shared, setup=setup, fit=fit)
            else:
                _lead(config, shared=shared, setup=setup, scratch=scratch)
    except Exception as error:
        if not report_halt(error, setup):
            raise


def _title(config: Mapping[str, Any]) -> str:
    """What begins, for the trial's log."""
    return f"trial {config['trial']}: {config['family']} {json.dumps(config['params'])}, process {os.getpid()}"


def _lead(config: Mapping[str, Any], *, shared: SharedStore, setup: TrialSetup, scratch: Path) -> None:
    import ray
    from ray import train, tune
    from ray.train.torch import TorchConfig

    from genotune.worker_group import TrialsTorchTrainer

    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = str(_END_TIMEOUT_S)
    line: Any = cast(Any, ray.remote(num_cpus=0))(_Line).remote()
    device = "cuda" if config["gpus"] else "cpu"

    def follow(run: Any) -> None:
        """Hand on reports until the run is done; raises where Tune stops the trial."""
        report = line.next_report.remote()
        while report in ray.wait([report, run], num_returns=1)[0]:
            tune.report({**ray.get(report)._asdict(), "device": device})
            ray.get(line.go_on.remote())
            report = line.next_report.remote()

    trainer = TrialsTorchTrainer(
        _work,
        train_loop_config={"task": _Task(dict(config), shared, setup, line)},
        # Rank 0's own clock ends a trial that hangs; this is for what it can't see.
        torch_config=TorchConfig("nccl" if config["gpus"] else "gloo", timeout_s=math.ceil(2 * setup.timeout_s)),
        scaling_config=train.ScalingConfig(
            num_workers=config["workers"], use_gpu=bool(config["gpus"]), resources_per_worker=config["bundle"]
        ),
        run_config=train.RunConfig(
            name=trial_name(config["trial"]),
            storage_path=str(scratch),
            failure_config=cast(Any, train.FailureConfig)(max_failures=0, controller_failure_limit=0),  # Tune retries
        ),
        follow=follow,
    )
    try:
        trainer.fit()
    except train.WorkerGroupError as error:
        if any(report_halt(one, setup) for one in error.worker_failures.values()):
            return
        reasons = [one for one in error.worker_failures.values() if isinstance(one, NotFiniteError | FitError)]
        if not reasons:
            raise
        tune.report({"failure": str(reasons[0])})  # raised, it would be tried again, to the same end
    finally:
        ray.kill(line)


class _Line:
    """Carries a report from rank 0 to the trial's lead, and back that the trial goes on."""

    def __init__(self) -> None:
        self._reports: asyncio.Queue[EpochReport] = asyncio.Queue()
        self._answers: asyncio.Queue[None] = asyncio.Queue()

    async def report(self, report: EpochReport) -> None:
        """Give a report; returns when the trial goes on."""
        await self._reports.put(report)
        await self._answers.get()

    async def next_report(self) -> EpochReport:
        """The next report, when there is one."""
        return await self._reports.get()

    async def go_on(self) -> None:
        """The last report is taken in, and the trial goes on."""
        await self._answers.put(None)


class _Task(NamedTuple):
    """What a worker is given."""

    config: Mapping[str, Any]
    shared: SharedStore
    setup: TrialSetup
    line: Any


def _work(config: Mapping[str, _Task]) -> None:
    """Fit as one of the workers; Ray Train has started torch.distributed."""
    import ray
    from ray import train

    task, context = config["task"], train.get_context()
    setup = task.setup
    plan = plan_of(task.config, setup, rank=context.get_world_rank(), n_workers=context.get_world_size())

    def send(report: EpochReport) -> None:
        faulthandler.cancel_dump_traceback_later()
        ray.get(task.line.report.remote(report))
        faulthandler.dump_traceback_later(setup.timeout_s, exit=True)

    trial = trial_name(task.config["trial"])
    with logged(setup.folder / trial, f"worker {plan.rank} of {plan.n_workers}", rank=plan.rank):
        if plan.rank == 0:  # the others wait for it, or it for them
            faulthandler.dump_traceback_later(setup.timeout_s, exit=True)
        try:
            fit_trial(task.config, task.shared.get(), setup=setup, plan=plan, send=send, share=_from_first)
        finally:
            faulthandler.cancel_dump_traceback_later()


def _from_first(value: Any) -> Any:
    """What rank 0 gives, on every rank."""
    from torch import distributed

    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]

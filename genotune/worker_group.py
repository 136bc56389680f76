"""Ray Train's workers inside the placement group of the Tune trial that starts them.

Left alone, Ray Train places its workers in a group of its own, of which Tune knows nothing: Tune would start trials
whose workers have no room, and a group outlives a trial that was killed, so that the next one waits for ever. Here Tune
reserves the workers' resources with the trial, and whatever becomes of the trial, Tune gives them back.

Three methods of Ray 2.60 are replaced for this that Ray doesn't promise to keep; `constraints.txt` holds its version.
"""

from collections.abc import Callable
from typing import Any, Final, cast

import ray
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks import DatasetsCallback, WorkingDirectorySetupCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.worker_group import WorkerGroup
from ray.train.v2._internal.execution.worker_group.placement_group_handle import DefaultPlacementGroupHandle

_SETTINGS: Final = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # how late an end or a death is noticed
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process more, and a trial goes on from its checkpoint without it
    "RAY_WARN_BLOCKING_GET_INSIDE_ASYNC": "0",
    "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "5",  # of workers that wait for a dead one, and are to end anyway
}
_NOT_WANTED: Final = (DatasetsCallback, PlacementGroupCleanerCallback, WorkingDirectorySetupCallback)
"""A process for data sets, which trials don't have; one that removes Ray Train's own group; a folder of its own."""


class TrialsTorchTrainer(TorchTrainer):
    """A TorchTrainer for a Tune trial whose bundles are those of the workers.

    Args:
        follow: called with the future of the whole run; returns when that is done, raises to end the workers.
        arguments: of TorchTrainer.
    """

    def __init__(self, *arguments: Any, follow: Callable[[Any], None], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._follow = follow

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = cast(Any, super())._create_default_callbacks()
        return [one for one in callbacks if not isinstance(one, _NOT_WANTED)]

    def _initialize_and_run_controller(self, **settings: Any) -> Any:
        # Where the trial is, and so in its placement group, as is everything that it starts.
        start = cast(Any, ray.remote(num_cpus=0, runtime_env={"env_vars": _SETTINGS}))(_Controller)
        controller = start.remote(**settings)
        try:
            run = controller.run.remote()
            self._follow(run)
            ray.get(run)
            return ray.get(controller.get_result.remote())
        finally:
            ray.kill(controller)  # and with it the workers, which are its own


class _Handle(DefaultPlacementGroupHandle):
    """Tune's placement group, which stays when the workers are done."""

    def shutdown(self) -> None:
        """Nothing: Tune removes it, or uses it for the next trial."""


class _Workers(WorkerGroup):
    def _create_placement_group(self, *_: Any) -> _Handle:
        group = ray.util.get_current_placement_group()
        assert group is not None, "a trial in Tune has a placement group"
        return _Handle(group)


class _Controller(TrainController):
    worker_group_cls = _Workers

"""What Tune is told and what it keeps: the adapters by themselves."""

import threading

import pytest

from genotune.controller import Controller
from genotune.journal import Journal
from genotune.limits import Limits
from genotune.tuning.schedulers import NoSchedulerSettings
from genotune.tuning.searchers import RandomSettings
from genotune.tuning.space import parse_template

SPACE = {"toy": parse_template({"rate": {"log_uniform": [1e-3, 1.0]}})[0]}


@pytest.fixture
def controller(tmp_path):
    with Journal(tmp_path) as journal:
        yield Controller(
            journal,
            searcher=RandomSettings().build(SPACE, "maximize"),
            scheduler=NoSchedulerSettings(max_epochs=3).build("maximize"),
            limits=Limits(n_trials=1),
            seed=1,
        )


def test_of_a_trial_that_has_ended_tune_keeps_its_last_result_and_no_statistics(controller, tmp_path):
    """They are Tune's own names: with another Tune it shows here that they are others."""
    from ray.tune.experiment import Trial

    from genotune.tune_adapters import Room, TuneRun, Watch

    run = TuneRun(tmp_path, {}, retries=0, on_change=int, n_at_once=int, ray_goes_on=False)
    watch = Watch(controller, run, threading.Event(), room=Room(controller, int), trials=tmp_path, moving=set())
    trial = Trial("a trial", stub=True, config={"trial": controller.next_task().trial})
    for epoch in (1, 2):
        trial.update_last_result({"value": 0.5, "training_iteration": epoch})
    assert trial.metric_analysis["value"]["last"] == 0.5
    before = len(trial.run_metadata.get_json_state())
    watch.on_trial_complete(0, [trial], trial)
    assert controller.journal.state.trials[0].ended_s is not None
    assert trial.metric_analysis == {}
    assert trial.last_result["training_iteration"] == 2
    assert len(trial.run_metadata.get_json_state()) < before

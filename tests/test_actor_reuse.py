"""No process is started in vain for trials that are shorter than its start."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from genotune.actor_reuse import keep_starting_actors
from genotune.controller import Controller
from genotune.journal import Journal
from genotune.judging import Judge
from genotune.limits import Limits
from genotune.ray_session import ray_session
from genotune.shared_store import SharedStore
from genotune.spec import Resources
from genotune.store import Splits
from genotune.trial import EpochReport, TrialSetup
from genotune.tuning.schedulers import NoSchedulerSettings
from genotune.tuning.searchers import RandomSettings
from genotune.tuning.space import parse_template

N_CPUS = 2


class Tune:
    """What Tune's controller has of trials that wait, and of the one free actor."""

    def __init__(self, *, own=(), resetting=()):
        self._trial_to_actor = {trial: f"actor of {trial}" for trial in own}
        self._resetting_trials = set(resetting)
        self._actor_manager = SimpleNamespace(is_actor_started=lambda actor: actor == "actor of coming")
        self.given = []

    def _maybe_reuse_cached_actor(self, trial):
        self.given.append(trial)
        return True


def test_a_trial_whose_actor_comes_up_waits_for_it_and_others_take_the_free_one():
    tune = Tune(own=["coming", "without resources"])
    keep_starting_actors(tune)
    keep_starting_actors(tune)
    given = {trial: tune._maybe_reuse_cached_actor(trial) for trial in ("coming", "without resources", "new")}
    assert given == {"coming": False, "without resources": True, "new": True}
    assert tune.given == ["without resources", "new"]


def test_a_trial_that_is_being_handed_over_is_left_to_tune():
    tune = Tune(own=["coming"], resetting=["coming"])
    keep_starting_actors(tune)
    assert tune._maybe_reuse_cached_actor("coming")


def test_a_tune_that_is_made_otherwise_is_left_as_it_is():
    tune = SimpleNamespace(_maybe_reuse_cached_actor=len)
    keep_starting_actors(tune)
    assert tune._maybe_reuse_cached_actor is len


def report_at_once(config, _, *, plan, send, **__):
    for epoch in range(1, plan.max_epochs + 1):
        send(EpochReport(epoch, config["params"]["x"], {"objective": 1.0}, ""))


@pytest.mark.slow
def test_many_short_trials_take_a_process_for_each_place_and_no_more(tmp_path, monkeypatch):
    from genotune.sweep import run_sweep
    from genotune.tune_adapters import FamilyPlan, TuneRun

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # as another test's Ray, if it was imported in this process
    none = np.empty(0, dtype=np.int64)
    template, _ = parse_template({"x": {"uniform": [0, 1]}})
    with Journal(tmp_path) as journal, ray_session(None, n_cpus=N_CPUS):
        import ray

        logs = Path(ray._private.worker._global_node.get_logs_dir_path())
        controller = Controller(
            journal,
            searcher=RandomSettings(seed=1).build({"no_op": template}, "maximize"),
            scheduler=NoSchedulerSettings(max_epochs=1).build("maximize"),
            limits=Limits(60),
            seed=1,
        )
        run_sweep(
            controller,
            SharedStore(ray.put(None)),
            setup=TrialSetup(Splits(none, none), Judge("pearson"), tmp_path / "trials", 1, 1, 600.0, False),
            run=TuneRun(
                tmp_path / "ray",
                {"no_op": FamilyPlan(Resources(), 1)},
                retries=0,
                on_change=lambda: None,
                n_at_once=lambda: N_CPUS,
                ray_goes_on=False,
                fit=report_at_once,
            ),
        )
        processes = {path.name.split("-")[-1] for path in logs.glob("worker-*.out")}
    trials = journal.state.trials.values()
    assert [trial.status for trial in trials] == ["complete"] * 60
    texts = [path.read_text() for path in (tmp_path / "trials").glob("*/log.txt")]
    workers = {re.search(r"process (\d+)", text)[1] for text in texts}
    assert len(texts) == len(trials)
    assert len(processes) <= 2 * N_CPUS, "beside those that Ray starts by itself, before anyone asks"
    assert len(workers) == N_CPUS

"""Sweeps as far as a person is told of them: their plan, and trials that are in the middle of something."""

import math

import pytest

from genotune.controller import Controller
from genotune.journal import Journal
from genotune.limits import Limits
from genotune.plan import make_plan
from genotune.spec import read_spec


@pytest.fixture
def plan(tiny):
    """Of the tiny sweep."""
    return make_plan(read_spec(tiny))


@pytest.fixture
def journal(tmp_path):
    """That of a sweep `tiny-1` in a workspace, which has only begun."""
    sweep = tmp_path / "work" / "sweeps" / "tiny-1"
    sweep.mkdir(parents=True)
    with Journal(sweep) as journal:
        journal.append("sweep_started")
        yield journal


@pytest.fixture
def controller(plan, journal):
    """Of two trials: the first ended after four epochs, the second is at its second."""
    settings = plan.spec.settings
    controller = Controller(
        journal,
        searcher=settings.search.build(plan.spec.space, plan.judge.direction),
        scheduler=settings.scheduler.build(plan.judge.direction, own_epochs={"poisson_cnn": 4}),
        limits=Limits(5, 2.0),
        seed=1,
    )
    for trial, values in ((0, (0.1, 0.3, 0.25, 0.2)), (1, (0.4, math.nan))):
        controller.next_task()
        controller.started(trial, device="cpu")
        for epoch, value in enumerate(values, start=1):
            controller.report(trial, epoch, value=value, metrics={}, checkpoint=None)
        if trial == 0:
            controller.ended(trial)
    return controller


def two_objectives(journal, plan):
    """Two trials with two objectives: the second is smaller, and no better."""
    plan = plan._replace(judge=plan.judge._replace(further=("n_parameters",)))
    journal.append("sweep_started", objective={**plan.judge._asdict(), "direction": "maximize"})
    for trial, (value, n) in enumerate(((0.5, 12_000), (0.25, 300))):
        journal.append("proposed", trial=trial, family="poisson_cnn", picks={}, params={}, seed=0)
        metrics = {"validation.pearson": value, "n_parameters": n}
        journal.append("report", trial=trial, epoch=1, value=value, metrics=metrics, checkpoint=None)
    return plan

"""A sweep of trials that do nothing but report, with all that genotune does around them."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from genotune.controller import Controller
from genotune.facts import sweep_facts
from genotune.journal import Journal
from genotune.judging import Judge
from genotune.limits import Limits
from genotune.plan import make_plan
from genotune.shared_store import SharedStore
from genotune.spec import Resources, read_spec
from genotune.store import Splits
from genotune.sweep_state import SweepState
from genotune.tracking import Recorder
from genotune.trainables.trainable import FitPlan
from genotune.trial import EpochReport, TrialSetup
from genotune.tuning.schedulers import NoSchedulerSettings
from genotune.tuning.searchers import RandomSettings, SearcherSettings
from genotune.tuning.space import parse_template

SPEC: Final = Path(__file__).parents[1] / "search_spaces" / "smoke.yaml"
FAMILY: Final = "no_op"
PARAMS: Final = {"learning_rate": {"log_uniform": [1e-4, 1e-1]}, "width": {"int": [1, 64]}}


def no_op_sweep(
    folder: Path,
    *,
    n_trials: int,
    n_reports: int,
    n_metrics: int = 1,
    search: SearcherSettings | None = None,
    on_change: Callable[[SweepState], None] = lambda _: None,
) -> SweepState:
    """Run it on the Ray that there is, until MLflow (on sqlite) has all of it.

    Args:
        folder: empty, or of such a sweep, which then goes on.
        n_trials: in all.
        n_reports: of each trial.
        n_metrics: of each report.
        search: random if None.
        on_change: called with the state about every second and after each step.
    """
    import ray

    from genotune.sweep import run_sweep
    from genotune.tune_adapters import FamilyPlan, TuneRun

    template, problems = parse_template(PARAMS)
    assert not problems
    none = np.empty(0, dtype=np.int64)
    with Journal(folder) as journal:
        if not journal.state.facts:
            journal.append("sweep_started", **_facts())
        recorder = Recorder(
            journal,
            tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
            experiment="bench",
            sweep_id="bench",
            artifact_location=(folder / "artifacts").as_uri(),
        )
        recorder.start()
        controller = Controller(
            journal,
            searcher=(search or RandomSettings(seed=1)).build({FAMILY: template}, "maximize"),
            scheduler=NoSchedulerSettings(max_epochs=n_reports).build("maximize"),
            limits=Limits(n_trials),
            seed=1,
        )
        run_sweep(
            controller,
            SharedStore(ray.put(None)),
            setup=TrialSetup(Splits(none, none), Judge("pearson"), folder / "trials", 1, 1, 600.0, False),
            run=TuneRun(
                folder / "ray",
                {FAMILY: FamilyPlan(Resources(), n_reports)},
                retries=0,
                on_change=lambda: on_change(journal.state),
                n_at_once=_n_cpus,
                ray_goes_on=False,
                fit=functools.partial(_report, n_metrics=n_metrics),
            ),
        )
        assert recorder.finish(timeout_s=3600), "MLflow doesn't have all of it"
        return journal.state


@functools.cache
def _facts() -> Mapping[str, Any]:
    """What is recorded of a sweep as a whole: that of an example, whatever it is."""
    return sweep_facts(make_plan(read_spec(SPEC)), "bench")


def _n_cpus() -> int:
    import ray

    return int(ray.cluster_resources()["CPU"])


def _report(
    config: Mapping[str, Any],
    _: SharedStore,
    *,
    plan: FitPlan,
    send: Callable[..., None],
    n_metrics: int,
    **__: Any,
) -> None:
    names = ["objective", *(f"metric_{number}" for number in range(1, n_metrics))]
    for epoch in range(1, plan.max_epochs + 1):
        send(EpochReport(epoch, config["params"]["learning_rate"], dict.fromkeys(names, 1.0 / epoch), ""))

"""What `genotune run` does, in order: plan, read, sweep, choose, test, register."""

import contextlib
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from genotune.baselines import fit_baselines
from genotune.controller import Controller, Limits
from genotune.data.quality import QUALITY_FILE, Quality, table_text
from genotune.delivery import CODE_FILE, DELIVERY_TIMEOUT_S, SPEC_FILE, recorder_of, register, spec_of
from genotune.errors import SweepError
from genotune.evaluation import choose_finalists, choose_winner, load_winner, score_once
from genotune.facts import check_same_files, sweep_facts
from genotune.journal import Journal, SweepState
from genotune.judging import Judge
from genotune.plan import MachineSize, SweepPlan, check_resources, make_plan, this_machine
from genotune.ray_session import nodes, ray_session
from genotune.refit import refit_winner, store_of_whole
from genotune.spec import read_spec
from genotune.stop_requests import clear_requests
from genotune.tracking import shown_uri
from genotune.trainables.model import Model
from genotune.trial import SharedStore, TrialSetup
from genotune.winner_tables import write_winner_tables
from genotune.workspace import find_sweep, workspace_of

log = logging.getLogger(__name__)


class Face(Protocol):
    """Who tells the person what happens; the terminal, or nobody in a test."""

    def stage(self, text: str) -> None:
        """A step begins."""

    def begin(self, plan: SweepPlan, folder: Path) -> None:
        """The sweep is about to start."""

    def note(self, text: str) -> None:
        """Something that a person should know though nothing is wrong."""

    def trials(self, controller: Controller) -> None:
        """Something may have changed; called often."""

    def end(self, outcome: "Outcome") -> None:
        """All is done."""


class Outcome(NamedTuple):
    """What a sweep came to.

    Attributes:
        state: with the winner, the scores, and the registered model unless MLflow was away.
        delivered: whether MLflow has everything.
    """

    folder: Path
    plan: SweepPlan
    state: SweepState
    delivered: bool
    tracking_uri: str


def check(path: Path, *, address: str | None = None) -> tuple[SweepPlan, list[MachineSize]]:
    """The plan of a sweep, and the machines that it was held against. Decodes and trains nothing.

    Raises:
        UserError: everything that keeps it from running.
    """
    plan = make_plan(read_spec(path))
    machines = _machines(address)
    check_resources(plan, machines)
    return plan, machines


def run(path: Path, *, workspace: Path | None, address: str | None, face: Face) -> Outcome:
    """A sweep from its file to its registered winner.

    Raises:
        UserError: the spec, the data or the machines don't allow it.
        KeyboardInterrupt: it was interrupted; `resume` goes on from there.
    """
    spec = read_spec(path)
    plan = make_plan(spec)
    if address is None and not os.environ.get("RAY_ADDRESS"):
        check_resources(plan, [this_machine()])
    root = workspace_of(spec, workspace)
    folder = root / "sweeps" / f"{spec.settings.name}-{time.strftime('%y%m%d')}-{secrets.token_hex(3)}"
    folder.mkdir(parents=True)
    (folder / SPEC_FILE).write_text(spec.text)
    (folder / CODE_FILE).write_text(json.dumps(dict(spec.code), indent=2) + "\n")
    journal = Journal(folder)
    journal.append("sweep_started", **sweep_facts(plan, folder.name))
    return _drive(plan, journal, address=address, face=face)


def resume(sweep: str, *, workspace: Path | None, address: str | None, face: Face) -> Outcome:
    """Go on with a sweep after any death of its driver; a finished one is only told again.

    Args:
        sweep: its folder, its name in the workspace, or the beginning of one that is unique.
        workspace: where to look for it.
        address: of a Ray to join.
        face: told what happens.

    Raises:
        UserError: no such sweep, another driver is at it, or its data changed since.
    """
    folder = find_sweep(sweep, workspace_of(None, workspace))
    journal = Journal(folder)
    facts = journal.state.facts
    if not facts:
        raise SweepError(f"{folder.name}: it was ended before it began; start it again with `genotune run`.")
    plan = make_plan(spec_of(folder, facts))
    check_same_files(plan, facts)
    return _drive(plan, journal, address=address, face=face)


def _drive(plan: SweepPlan, journal: Journal, *, address: str | None, face: Face) -> Outcome:
    folder = journal.path.parent
    recorder, uri = recorder_of(plan.spec, journal)
    recorder.start()
    clear_requests(folder)
    face.begin(plan, folder)
    try:
        with _log_file(folder):
            if journal.state.status != "complete":
                journal.append("driver_started", pid=os.getpid())
                plan = _work(plan, journal, address=address, face=face)
                journal.append("sweep_ended", status="complete")
            elif _left_some_out(journal):
                plan = plan.without(plan.data.vet(plan.fold, plan.folds).left_out)
            face.stage("Recording the winner")
            delivered = recorder.finish(timeout_s=DELIVERY_TIMEOUT_S)
            if delivered and journal.state.registered is None:
                register(plan.spec, journal, recorder=recorder, uri=uri)
                delivered = recorder.finish(timeout_s=DELIVERY_TIMEOUT_S)
    except KeyboardInterrupt:
        if journal.state.status != "interrupted":
            journal.append("interrupted", reason="interrupted by a signal")
        recorder.finish(timeout_s=DELIVERY_TIMEOUT_S)
        raise
    except Exception:
        journal.append("sweep_ended", status="failed")
        recorder.finish(timeout_s=DELIVERY_TIMEOUT_S)
        raise
    finally:
        journal.close()
    outcome = Outcome(folder, plan, journal.state, delivered, shown_uri(uri))
    face.end(outcome)
    return outcome


def _work(plan: SweepPlan, journal: Journal, *, address: str | None, face: Face) -> SweepPlan:
    """Read, sweep, choose and test; the plan without the samples that were left out.

    Ray is gone when this returns, the store with it.
    """
    trials = journal.path.parent / "trials"
    judge = plan.judge
    with ray_session(address) as is_private:
        machines = _ray_machines()
        check_resources(plan, machines)
        if not is_private and len(machines) > 1:
            log.warning("%s must be a folder that all %d machines of this Ray see.", trials.parent, len(machines))
        face.stage("Reading the data")
        vetted = plan.data.vet(plan.fold, plan.folds + plan.trial_folds)
        plan = plan.without(vetted.left_out)
        _tell(vetted.notes, face)
        store, quality = _shared_store(plan, face)
        _keep_quality(journal, vetted.quality.joined(quality))
        _sweep(plan, journal, store, judge=judge, face=face)
        if plan.folds:
            _compare_finalists(plan, journal, face=face)
        winner = choose_winner(journal.state, trials, judge)
        if winner is None:
            raise SweepError(f"{trials}: the checkpoints of this sweep are gone; no winner can be loaded.")
        journal.append("winner", **winner._asdict())
        final = store
        if plan.refits:
            face.stage("Fitting the winner on training and validation together")
            final = store_of_whole(plan, store)
            refit_winner(plan, journal, final)
        face.stage("Scoring the winner and the baselines on the test split")
        rivals = fit_baselines(plan, journal, store, final=final, note=face.note)
        subjects: dict[str, Callable[[], Model]] = {"winner": partial(load_winner, journal.state, journal.path.parent)}
        subjects |= {name: partial(rivals.__getitem__, name) for name in rivals}
        score_once(journal, subjects, store=final.get(), fold=plan.fold, judge=judge)
        write_winner_tables(plan, journal, store=store.get(), final=final.get())
    return plan


def _sweep(plan: SweepPlan, journal: Journal, store: SharedStore, *, judge: Judge, face: Face) -> None:
    from genotune.sweep import FamilyPlan, TuneRun, run_sweep

    settings, folder = plan.spec.settings, journal.path.parent
    own_epochs = {family: forecast.max_epochs for family, forecast in plan.families.items()}
    controller = Controller(
        journal,
        searcher=settings.search.build(plan.spec.space, judge.direction),
        scheduler=settings.scheduler.build(judge.direction, own_epochs=own_epochs),
        limits=Limits(settings.budget.trials, settings.budget.hours, settings.trials.concurrent),
        seed=settings.search.seed,
    )
    setup = TrialSetup(
        splits=plan.trial_splits,
        judge=judge,
        folder=folder / "trials",
        best=settings.trials.keep.best,
        last=settings.trials.keep.last,
        timeout_s=settings.trials.timeout_minutes * 60,
        reproducible=settings.trials.reproducible,
        folds=tuple(fold.splits for fold in plan.trial_folds),
        code=plan.spec.code,
    )
    tune_run = TuneRun(
        folder=folder / "ray",
        families={
            name: FamilyPlan(forecast.resources, forecast.max_epochs) for name, forecast in plan.families.items()
        },
        retries=settings.trials.retries,
        on_change=lambda: face.trials(controller),
    )
    face.stage("Running trials")
    run_sweep(controller, store, setup=setup, run=tune_run)
    face.trials(controller)


def _compare_finalists(plan: SweepPlan, journal: Journal, *, face: Face) -> None:
    from genotune.finalists import score_on_folds

    per_family = plan.spec.settings.evaluation.finalists
    finalists = choose_finalists(journal.state, journal.path.parent / "trials", plan.judge, per_family=per_family)
    face.stage(f"Comparing {len(finalists)} finalists on {len(plan.folds)} folds")
    score_on_folds(plan, journal, finalists)


def _shared_store(plan: SweepPlan, face: Face) -> tuple[SharedStore, Quality]:
    """The data behind Ray objects, the arrays that they were built from being let go; and their quality."""
    import ray

    store, notes, quality = plan.data.read_store(plan.fold)
    _tell(notes, face)
    shared = SharedStore(ray.put(store))
    del store
    if plan.has_stores_of_folds:
        shared = shared._replace(folds=tuple(ray.put(plan.data.read_store(fold).store) for fold in plan.trial_folds))
    return shared, quality


def _tell(notes: tuple[str, ...], face: Face) -> None:
    for note in notes:
        log.info("%s", note)
        face.note(note)


def _keep_quality(journal: Journal, quality: Quality) -> None:
    """The quality of the data, if there is any: in the journal, once, and as a table in the sweep's folder."""
    if quality != Quality() and journal.state.quality is None:
        journal.append("quality", **quality.plain)
        (journal.path.parent / QUALITY_FILE).write_text(table_text(quality.plain))


def _left_some_out(journal: Journal) -> bool:
    """Whether some samples were not fit to be learned from."""
    counts = (journal.state.quality or {}).get("counts", {}).get("samples", {})
    return bool(counts) and counts["left"] < counts["in all"]


def _machines(address: str | None) -> list[MachineSize]:
    if address is None and not os.environ.get("RAY_ADDRESS"):
        return [this_machine()]
    with ray_session(address):
        return _ray_machines()


def _ray_machines() -> list[MachineSize]:
    return [MachineSize(node.cpus, node.gpus, node.memory / 2**30, "of this Ray") for node in nodes()]


@contextlib.contextmanager
def _log_file(folder: Path) -> Iterator[None]:
    """Everything that is logged, kept in the sweep's folder too."""
    handler = logging.FileHandler(folder / "driver.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("genotune")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()

"""What `genotune run` does, in order: plan, read, sweep, choose, test, register."""

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from genotune.baselines import fit_baselines
from genotune.controller import Controller, Limits
from genotune.data.quality import QUALITY_FILE, Quality, table_text
from genotune.delivery import DELIVERY_TIMEOUT_S, finish_delivery, recorder_of, warn_of_rest
from genotune.errors import SweepError
from genotune.evaluation import choose_finalists, choose_winner, load_winner, score_once
from genotune.face import Face, Outcome
from genotune.facts import check_same_files, sweep_facts
from genotune.journal import Journal
from genotune.judging import Judge
from genotune.kept_spec import keep_spec, spec_of
from genotune.plan import MachineSize, SweepPlan, check_resources, make_plan, this_machine
from genotune.ray_session import nodes, ray_session
from genotune.refit import refit_winner, whole
from genotune.spec import read_spec
from genotune.stop_requests import clear_requests
from genotune.tracking import shown_uri
from genotune.trainables.model import Model
from genotune.trial import SharedStore, TrialSetup
from genotune.winner_tables import write_winner_tables
from genotune.workspace import find_sweep, workspace_of

log = logging.getLogger(__name__)


RaySession = Callable[[], AbstractContextManager[bool]]
"""Gives a Ray to work on for a block's time, and whether it is a private one."""


def check(path: Path, *, address: str | None = None) -> tuple[SweepPlan, list[MachineSize]]:
    """The plan of a sweep, and the machines that it was held against. Decodes and trains nothing.

    Raises:
        UserError: everything that keeps it from running.
    """
    plan = make_plan(read_spec(path))
    machines = machines_at(address)
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
    name = f"{spec.settings.name}-{new_id()}"
    folder = workspace_of(spec, workspace) / "sweeps" / name
    return start(plan, folder, facts=sweep_facts(plan, name), ray=partial(ray_session, address), face=face)


def new_id() -> str:
    """What tells sweeps of one name apart: the day, and a few letters that no other has."""
    return f"{time.strftime('%y%m%d')}-{secrets.token_hex(3)}"


def start(plan: SweepPlan, folder: Path, *, facts: Mapping[str, Any], ray: RaySession, face: Face) -> Outcome:
    """A planned sweep, driven to its end in a folder of its own.

    Args:
        plan: what it will do.
        folder: made here; `resume` finds it by its name.
        facts: what the record says of it; see `sweep_facts`.
        ray: to work on.
        face: told what happens.

    Raises:
        UserError: the data or the machines don't allow it.
        KeyboardInterrupt: it was interrupted; `go_on` goes on from there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keep_spec(folder, plan.spec.text, plan.spec.code)
    journal = Journal(folder)
    journal.append("sweep_started", **facts)
    return _drive(plan, journal, ray=ray, face=face)


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
    return go_on(folder, ray=partial(ray_session, address), face=face)


def go_on(folder: Path, *, ray: RaySession, face: Face) -> Outcome:
    """The sweep in a folder, driven on to its end; see `resume`."""
    journal = Journal(folder)
    facts = journal.state.facts
    plan = make_plan(spec_of(folder, facts))
    check_same_files(plan, facts)
    return _drive(plan, journal, ray=ray, face=face)


def _drive(plan: SweepPlan, journal: Journal, *, ray: RaySession, face: Face) -> Outcome:
    folder = journal.path.parent
    recorder, uri = recorder_of(plan.spec, journal)
    deliver = partial(finish_delivery, plan.spec, journal, recorder=recorder, uri=uri, timeout_s=DELIVERY_TIMEOUT_S)
    recorder.start()
    clear_requests(folder)
    face.begin(plan, folder)
    try:
        with _log_file(folder):
            if journal.state.status != "complete":
                journal.append("driver_started", pid=os.getpid())
                plan = _work(plan, journal, ray=ray, face=face)
                journal.append("sweep_ended", status="complete")
            elif _left_some_out(journal):
                plan = plan.without(plan.data.vet(plan.fold, plan.folds).left_out)
            face.stage("Recording the winner")
            n_left = deliver()
    except KeyboardInterrupt:
        if journal.state.status not in {"interrupted", "complete"}:
            journal.append("interrupted", reason="interrupted by a signal")
        if journal.state.status == "interrupted":
            warn_of_rest(folder, deliver())
        raise
    except Exception:
        if journal.state.status != "complete":
            journal.append("sweep_ended", status="failed")
            warn_of_rest(folder, deliver())
        raise
    finally:
        journal.close()
    outcome = Outcome(folder, plan, journal.state, n_left, shown_uri(uri))
    face.end(outcome)
    return outcome


def _work(plan: SweepPlan, journal: Journal, *, ray: RaySession, face: Face) -> SweepPlan:
    """Read, sweep, choose and test; the plan without the samples that were left out.

    Its data are let go of when this returns, and Ray too unless others work on it.
    """
    trials = journal.path.parent / "trials"
    judge = plan.judge
    with ray() as is_private:
        machines = ray_machines()
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
            final = store.for_refit()
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
    """The data behind Ray objects, read together; and their quality, as far as the sweep's own training split goes.

    The arrays that a store was built from are let go when it has been shared.
    """
    import ray

    folds, refitted = [plan.fold], []
    if plan.data.learns_from_training:
        folds += plan.trial_folds
        refitted = [replace(plan.fold, train=whole(plan.fold).train)] if plan.refits else []
    references, told = [], []
    for read in plan.data.read_stores([*folds, *refitted]):
        references.append(ray.put(read.store))
        told.append((read.notes, read.quality))
    notes, quality = told[0]
    _tell(notes, face)
    shared = SharedStore(references[0], tuple(references[1 : len(folds)]), *references[len(folds) :])
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


def machines_at(address: str | None) -> list[MachineSize]:
    """Those of the Ray at the address; this one, where there is none."""
    if address is None and not os.environ.get("RAY_ADDRESS"):
        return [this_machine()]
    with ray_session(address):
        return ray_machines()


def ray_machines() -> list[MachineSize]:
    """Those of the Ray that this process is connected to."""
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

"""The stages of a sweep: its data are read, its trials run, its winner is chosen, fitted again and tested."""

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from genotune.baselines import fit_baselines
from genotune.check import ray_machines
from genotune.controller import Controller
from genotune.data.quality import QUALITY_FILE, Quality, table_text
from genotune.errors import SweepError
from genotune.evaluation import choose_finalists, choose_winner, load_winner, score_once
from genotune.events import Event
from genotune.extension import extended_budget
from genotune.face import Face
from genotune.front import write_front
from genotune.generations import generation_words
from genotune.journal import Journal
from genotune.limits import limits_of
from genotune.machine_wait import MachineWait, ask_autoscaler, first_machine_awaited
from genotune.machines import MachineSize, trials_at_once
from genotune.monitoring import Monitoring
from genotune.node_types import Fleet
from genotune.plan import SweepPlan, check_resources
from genotune.ray_session import RaySession, Session
from genotune.refit import refit_winner, whole
from genotune.shared_store import SharedStore
from genotune.storage import Storage
from genotune.sweep_storage import bring_winner, storage_of
from genotune.trainables.model import Model
from genotune.trial import TrialSetup
from genotune.winner_tables import write_winner_tables

log = logging.getLogger(__name__)


def work(plan: SweepPlan, journal: Journal, *, ray: RaySession, face: Face) -> SweepPlan:
    """Read, sweep, choose and test; the plan without the samples that were left out.

    Its data are let go of when this returns, and Ray too unless others work on it.
    """
    trials, storage = journal.path.parent / "trials", storage_of(plan.spec, journal.path.parent)
    judge = plan.judge
    with ray() as session:
        machines = ray_machines()
        check_resources(plan, machines, fleet=session.fleet)
        if not session.is_private and (len(machines) > 1 or session.fleet is not None) and storage is None:
            message = "%s must be a folder that all machines of this Ray see. With storage: s3://... it needn't be."
            log.warning(message, trials.parent)
        face.stage("Reading the data")
        vetted = plan.data.vet(plan.fold, plan.folds + plan.trial_folds)
        plan = plan.without(vetted.left_out)
        _tell(vetted.notes, face)
        with _machine_awaited(session, face):
            store, quality = shared_store(plan, face)
        _keep_quality(journal, vetted.quality.joined(quality))
        sweep(plan, journal, store, session=session, face=face)
        stored = _stored(storage)
        if plan.folds:
            _compare_finalists(plan, journal, stored=stored, face=face)
        winner = choose_winner(journal.state, trials, judge, stored=stored)
        if winner is None:
            raise SweepError(f"{trials}: the checkpoints of this sweep are gone; no winner can be loaded.")
        journal.append("winner", **winner._asdict())
        write_front(journal.state, journal.path.parent)
        final = store
        if plan.refits:
            face.stage("Fitting the winner on training and validation together")
            final = store.for_refit()
            refit_winner(plan, journal, final, storage=storage)
        bring_winner(journal.state, journal.path.parent, storage)
        face.stage("Scoring the winner and the baselines on the test split")
        rivals = fit_baselines(plan, journal, store, final=final, note=face.note)
        subjects: dict[str, Callable[[], Model]] = {"winner": partial(load_winner, journal.state, journal.path.parent)}
        subjects |= {name: partial(rivals.__getitem__, name) for name in rivals}
        score_once(journal, subjects, store=final.get(), fold=plan.fold, judge=judge)
        write_winner_tables(plan, journal, store=store.get(), final=final.get())
    return plan


def sweep(plan: SweepPlan, journal: Journal, store: SharedStore, *, session: Session, face: Face) -> None:
    """Run the trials of a plan; see `run_sweep`."""
    from genotune.sweep import run_sweep
    from genotune.tune_adapters import FamilyPlan, TuneRun

    settings, folder, judge = plan.spec.settings, journal.path.parent, plan.judge
    own_epochs = {family: forecast.max_epochs for family, forecast in plan.families.items()}
    budget = extended_budget(settings.budget, journal.state.extended)
    controller = Controller(
        journal,
        searcher=settings.search.build(plan.spec.space, judge.direction),
        scheduler=settings.scheduler.build(judge.direction, own_epochs=own_epochs),
        limits=limits_of(budget, concurrent=settings.trials.concurrent),
        seed=settings.search.seed,
        plateau=None if budget.plateau is None else budget.plateau.build(judge.direction),
        further_losses=judge.further_losses,
        population=settings.scheduler.build_population(
            plan.spec.space, judge.direction, changeable=plan.spec.changeable, seed=settings.search.seed
        ),
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
        storage=storage.part("trials") if (storage := storage_of(plan.spec, folder)) else None,
        generation_epochs=settings.scheduler.generation_epochs,
    )
    monitoring, wait = None, None
    if session.goes_on:  # nobody watches a Ray that ends with the sweep
        wait = MachineWait(face.wait, ask_autoscaler)
        monitoring = Monitoring(journal, metric=judge.metric, direction=judge.direction)
    tune_run = TuneRun(
        folder=folder / "ray",
        families={
            name: FamilyPlan(forecast.resources, forecast.max_epochs) for name, forecast in plan.families.items()
        },
        retries=settings.trials.retries,
        on_change=lambda: _tell_change(controller, face=face, monitoring=monitoring, wait=wait),
        n_at_once=lambda: n_at_once(plan, ray_machines(), session.fleet),
        ray_goes_on=session.goes_on,
    )
    journal.follow(partial(_tell_event, face, journal))
    _tell(tuple((journal.state.learned_before or {}).get("notes", ())), face)
    face.stage("Running trials")
    run_sweep(controller, store, setup=setup, run=tune_run)
    if monitoring is not None:
        monitoring.tell(at_once=True)
    if setup.generation_epochs is not None:
        setup.give_space_back(journal.state.trials)
    face.trials(controller)


def _machine_awaited(session: Session, face: Face) -> contextlib.AbstractContextManager[None]:
    if session.is_private:
        return contextlib.nullcontext()
    return first_machine_awaited(face.note, ask_autoscaler, lambda: sum(machine.cpus for machine in ray_machines()))


def _tell_change(
    controller: Controller, *, face: Face, monitoring: Monitoring | None, wait: MachineWait | None
) -> None:
    if wait is not None:
        wait.look(controller.journal.state)
    face.trials(controller)
    if monitoring is not None:
        monitoring.tell()


def n_at_once(plan: SweepPlan, machines: Sequence[MachineSize], fleet: Fleet | None) -> int:
    """How many trials of any family find a place, on machines that are there or that are started for them.

    An autoscaler starts machines for trials that wait, so as many must wait as they would carry.
    """
    return min(
        max(trials_at_once(wanted, machines), 0 if fleet is None else fleet.trials_at_once(wanted))
        for wanted in (forecast.resources for forecast in plan.families.values())
    )


def _tell_event(face: Face, journal: Journal, event: Event) -> None:
    """Say that a family gets no more trials, or how its generation goes on, when it happens."""
    if event.kind == "dropped":
        face.note(f"{event.values['family']} gets no more trials: {event.values['reason']}")
    elif event.kind == "generation":
        family = event.values["family"]
        face.note(generation_words(family, journal.state.generations[family]))


def _stored(storage: Storage | None) -> frozenset[str]:
    """Checkpoints that lie in the storage, as paths relative to the trials' folder."""
    return frozenset() if storage is None else storage.part("trials").names()


def _compare_finalists(plan: SweepPlan, journal: Journal, *, stored: frozenset[str], face: Face) -> None:
    from genotune.finalists import score_on_folds

    per_family = plan.spec.settings.evaluation.finalists
    trials = journal.path.parent / "trials"
    finalists = choose_finalists(journal.state, trials, plan.judge, per_family=per_family, stored=stored)
    face.stage(f"Comparing {len(finalists)} finalists on {len(plan.folds)} folds")
    score_on_folds(plan, journal, finalists)


def shared_store(plan: SweepPlan, face: Face) -> tuple[SharedStore, Quality]:
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

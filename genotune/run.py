"""What `genotune run` does, in order: plan, read, sweep, choose, test, register."""

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from genotune.baselines import fit_baselines
from genotune.check import ray_machines
from genotune.controller import Controller
from genotune.data.quality import QUALITY_FILE, Quality, table_text
from genotune.data.remote import masked
from genotune.delivery import DELIVERY_TIMEOUT_S, finish_delivery, recorder_of, warn_of_rest
from genotune.driver_log import driver_log
from genotune.errors import HaltError, SweepError
from genotune.evaluation import choose_finalists, choose_winner, load_winner, score_once
from genotune.events import Event
from genotune.extension import extended_budget
from genotune.face import Face, Outcome
from genotune.facts import check_same_files, sweep_facts
from genotune.front import write_front
from genotune.full_disk import full_disk
from genotune.generations import generation_words
from genotune.going_on import GoingOn, agreed_limits
from genotune.journal import Journal
from genotune.judging import Judge
from genotune.kept_spec import keep_spec, spec_of
from genotune.limits import limits_of
from genotune.plan import SweepPlan, check_resources, make_plan, this_machine
from genotune.prices import Prices
from genotune.ray_session import ray_session
from genotune.raylet_watch import ray_loss
from genotune.refit import refit_winner, whole
from genotune.spec import Spec
from genotune.stop_requests import clear_requests
from genotune.storage import Storage
from genotune.sweep_storage import bring_winner, check_storage, storage_of
from genotune.tracking import shown_uri
from genotune.trainables.model import Model
from genotune.trial import SharedStore, TrialSetup
from genotune.warm_start import earlier_trials, is_owed, keep_earlier
from genotune.winner_tables import write_winner_tables
from genotune.workspace import workspace_of

log = logging.getLogger(__name__)


RaySession = Callable[[], AbstractContextManager[bool]]
"""Gives a Ray to work on for a block's time, and whether it is a private one."""


def run(
    spec: Spec, *, workspace: Path | None, address: str | None, face: Face, prices: Prices | None = None
) -> Outcome:
    """A sweep from its spec to its registered winner.

    Raises:
        UserError: the spec, the data or the machines don't allow it.
        KeyboardInterrupt: it was interrupted; `go_on` goes on from there.
    """
    plan = make_plan(spec)
    if address is None and not os.environ.get("RAY_ADDRESS"):
        check_resources(plan, [this_machine()])
    check_storage(plan.spec)
    name = f"{spec.settings.name}-{new_id()}"
    folder = workspace_of(spec, workspace) / "sweeps" / name
    facts = sweep_facts(plan, name, prices=prices)
    return start(plan, folder, facts=facts, ray=partial(ray_session, address), face=face)


def new_id() -> str:
    """What tells sweeps of one name apart: the day, and a few letters that no other has."""
    return f"{time.strftime('%y%m%d')}-{secrets.token_hex(3)}"


def start(
    plan: SweepPlan,
    folder: Path,
    *,
    facts: Mapping[str, Any],
    ray: RaySession,
    face: Face,
    limits: Mapping[str, Any] | None = None,
) -> Outcome:
    """A planned sweep, driven to its end in a folder of its own.

    Args:
        plan: what it will do.
        folder: made here; `find_sweep` finds it by its name.
        facts: what the record says of it; see `sweep_facts`.
        ray: to work on.
        face: told what happens.
        limits: of the budget, where they were raised before it began.

    Raises:
        UserError: the data or the machines don't allow it.
        KeyboardInterrupt: it was interrupted; `go_on` goes on from there.
    """
    earlier = earlier_trials(plan, facts, folder)
    folder.mkdir(parents=True, exist_ok=True)
    keep_spec(folder, plan.spec.text, plan.spec.code)
    journal = Journal(folder)
    journal.append("sweep_started", **facts)
    if limits:
        journal.append("extended", limits=dict(limits))
    keep_earlier(journal, earlier)
    return _drive(plan, journal, ray=ray, face=face)


def go_on(folder: Path, *, ray: RaySession, face: Face, going_on: GoingOn) -> Outcome:
    """The sweep in a folder, driven on to its end after any death of its driver; a finished one is only told again.

    Raises:
        UserError: another driver is at it, its data or its file changed since, or a limit would not be raised.
    """
    journal = Journal(folder)
    try:
        state = journal.state
        spec = spec_of(folder, state.facts)
        member = state.facts.get("group", {}).get("member")
        limits = agreed_limits(spec, state.extensions, going_on, sweep=folder.name, member=member)
        plan = make_plan(spec)
        check_same_files(plan, state.facts)
        check_storage(spec)
        if limits:
            journal.append("extended", limits=limits)
        if is_owed(plan, journal):
            keep_earlier(journal, earlier_trials(plan, state.facts, folder))
    except BaseException:
        journal.close()
        raise
    return _drive(plan, journal, ray=ray, face=face)


def _drive(plan: SweepPlan, journal: Journal, *, ray: RaySession, face: Face) -> Outcome:
    folder = journal.path.parent
    recorder, uri = recorder_of(plan.spec, journal)
    deliver = partial(finish_delivery, plan.spec, journal, recorder=recorder, uri=uri, timeout_s=DELIVERY_TIMEOUT_S)
    recorder.start()
    clear_requests(folder)
    face.begin(plan, folder)
    try:
        with driver_log(folder):
            if journal.state.status != "complete":
                journal.append("driver_started", pid=os.getpid())
                plan = _work(plan, journal, ray=ray, face=face)
                journal.append("sweep_ended", status="complete", reason=journal.state.proposals_ended)
            elif _left_some_out(journal):
                plan = plan.without(plan.data.vet(plan.fold, plan.folds).left_out)
            face.stage("Recording the winner")
            n_left = deliver()
    except KeyboardInterrupt:
        if journal.state.status not in {"interrupted", "complete"}:
            journal.append("interrupted", reason=ray_loss() or "interrupted by a signal")
        if journal.state.status == "interrupted":
            warn_of_rest(folder, deliver())
        raise
    except Exception as error:
        halt = full_disk(error, folder=folder)
        if halt is not None:
            _halt(journal, halt)
            warn_of_rest(folder, deliver())
            name = journal.state.facts.get("group", {}).get("id", folder.name)
            raise HaltError(f"{halt} Then: genotune resume {name}") from error
        if journal.state.status != "complete":
            journal.append("sweep_ended", status="failed", reason=masked(str(error)) or type(error).__name__)
            warn_of_rest(folder, deliver())
        raise
    finally:
        journal.close()
    outcome = Outcome(folder, plan, journal.state, n_left, shown_uri(uri))
    face.end(outcome)
    return outcome


def _halt(journal: Journal, halt: HaltError) -> None:
    """Write down that the sweep is interrupted; a disk that is full may not take even that, and `resume` knows then."""
    if journal.state.status not in {"interrupted", "complete"}:
        with contextlib.suppress(HaltError):
            journal.append("interrupted", reason=str(halt))


def _work(plan: SweepPlan, journal: Journal, *, ray: RaySession, face: Face) -> SweepPlan:
    """Read, sweep, choose and test; the plan without the samples that were left out.

    Its data are let go of when this returns, and Ray too unless others work on it.
    """
    trials, storage = journal.path.parent / "trials", storage_of(plan.spec, journal.path.parent)
    judge = plan.judge
    with ray() as is_private:
        machines = ray_machines()
        check_resources(plan, machines)
        if not is_private and len(machines) > 1 and storage is None:
            message = "%s must be a folder that all %d machines of this Ray see. With storage: s3://... it needn't be."
            log.warning(message, trials.parent, len(machines))
        face.stage("Reading the data")
        vetted = plan.data.vet(plan.fold, plan.folds + plan.trial_folds)
        plan = plan.without(vetted.left_out)
        _tell(vetted.notes, face)
        store, quality = _shared_store(plan, face)
        _keep_quality(journal, vetted.quality.joined(quality))
        _sweep(plan, journal, store, judge=judge, face=face)
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


def _sweep(plan: SweepPlan, journal: Journal, store: SharedStore, *, judge: Judge, face: Face) -> None:
    from genotune.sweep import FamilyPlan, TuneRun, run_sweep

    settings, folder = plan.spec.settings, journal.path.parent
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
    tune_run = TuneRun(
        folder=folder / "ray",
        families={
            name: FamilyPlan(forecast.resources, forecast.max_epochs) for name, forecast in plan.families.items()
        },
        retries=settings.trials.retries,
        on_change=lambda: face.trials(controller),
    )
    journal.follow(partial(_tell_event, face, journal))
    _tell(tuple((journal.state.learned_before or {}).get("notes", ())), face)
    face.stage("Running trials")
    run_sweep(controller, store, setup=setup, run=tune_run)
    if setup.generation_epochs is not None:
        setup.give_space_back(journal.state.trials)
    face.trials(controller)


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

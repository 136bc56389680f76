"""What a sweep will do, before anything is decoded or trained: sizes, splits, trials, resources; and whether it can."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from genotune.data.source import SourcePlan
from genotune.errors import Problem, ResourceError
from genotune.genome.splits import Fold
from genotune.metrics import DEFAULT_METRIC
from genotune.spec import Resources, Spec, fit_problems, objective_problems, spec_error
from genotune.store import Splits
from genotune.trial import Judge


class MachineSize(NamedTuple):
    """What the largest machine at hand offers to one trial."""

    cpus: float
    gpus: float
    memory_gib: float
    where: str


class FamilyForecast(NamedTuple):
    """What the trials of a family take.

    Attributes:
        title: what a person calls the family.
        rungs: epochs at which its trials are compared.
        examples: what it learns from: 'windows', 'bins', 'samples'.
        n_examples: fewest and most of them in each split over the family's space.
    """

    title: str
    resources: Resources
    max_epochs: int
    rungs: tuple[int, ...]
    n_domains: int
    examples: str
    n_examples: Mapping[str, tuple[int, int]]


class SweepPlan(NamedTuple):
    """What a sweep will do.

    Attributes:
        fold: training, validation and test.
        folds: on which the finalists are compared; none where validation alone decides.
    """

    spec: Spec
    data: SourcePlan
    fold: Fold
    judge: Judge
    families: Mapping[str, FamilyForecast]
    folds: list[Fold]

    @property
    def trial_splits(self) -> Splits:
        """What trials may see."""
        return Splits(self.fold.train, self.fold.validation)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know though nothing is wrong."""
        return self.data.notes + self.data.split_notes(self.spec.settings.split)


def make_plan(spec: Spec) -> SweepPlan:
    """Read the headers of the data and fit the spec to them.

    Raises:
        DataError: a file is missing, torn, or doesn't fit the others.
        SpecError: the splits, the objective or a family's ranges don't fit the data.
    """
    settings = spec.settings
    data = settings.data.plan(spec.folder)
    problems = [Problem(("split", *problem.path), problem.message) for problem in data.split_problems(settings.split)]
    problems += objective_problems(settings, data.target)
    if problems:
        raise spec_error(spec, problems)
    fold = data.resolve(settings.split)
    problems = fit_problems(spec, data.outline(fold.train))
    if problems:
        raise spec_error(spec, problems)
    judge = Judge(
        metric=settings.objective.metric or DEFAULT_METRIC[data.target],
        kind=data.target,
        bin_bp=settings.data.objective_bin_bp(settings.objective.bin_bp),
    )
    return SweepPlan(
        spec=spec,
        data=data,
        fold=fold,
        judge=judge,
        families={family: _forecast(spec, family, data, fold) for family in spec.space},
        folds=_folds(spec, data, fold),
    )


def _folds(spec: Spec, data: SourcePlan, fold: Fold) -> list[Fold]:
    """The folds that the spec asks for.

    Raises:
        SpecError: there are fewer groups than folds.
    """
    wanted = spec.settings.evaluation.folds
    if wanted is None:
        return []
    folds = data.folds(fold, spec.settings.split, n_folds=wanted)
    if len(folds) < wanted:
        message = f"found {wanted}; training and validation have {len(folds) or 1} groups to hold out. Ask for fewer."
        raise spec_error(spec, [Problem(("evaluation", "folds"), message)])
    return folds


def check_resources(plan: SweepPlan, machines: Sequence[MachineSize]) -> None:
    """Nothing, if each family's trial and the store fit a machine.

    Raises:
        ResourceError: with everything that fits none.
    """
    faults = []
    for family, forecast in plan.families.items():
        wanted = forecast.resources
        if not any(_fits(wanted, machine) for machine in machines):
            faults.append(
                f"{plan.spec.path}: resources.{family}: a trial asks for {_words(wanted)}; the largest machine has "
                f"{_machine_words(machines)}. Ask for less, or give --address of a larger cluster."
            )
    store_gib = plan.data.store_nbytes / 2**30
    largest_gib = max(machine.memory_gib for machine in machines)
    if 2 * store_gib > largest_gib:
        setting, advice = plan.data.smaller
        faults.append(
            f"{plan.spec.path}: data.{'.'.join(map(str, setting))}: the store takes {store_gib:.1f} GiB and twice that "
            f"while it is built; the largest machine has {largest_gib:.1f} GiB. {advice}"
        )
    if faults:
        raise ResourceError("\n".join(faults))


def this_machine() -> MachineSize:
    """What a private Ray on this machine would offer."""
    import os

    from genotune.ray_session import available_cpus

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return MachineSize(available_cpus(), _n_gpus(), memory / 2**30, "this machine")


def _n_gpus() -> int:
    """NVIDIA devices, as the driver lists them; torch is too slow to ask."""
    from pathlib import Path

    folder = Path("/proc/driver/nvidia/gpus")
    return len(list(folder.iterdir())) if folder.exists() else 0


def _forecast(spec: Spec, family: str, data: SourcePlan, fold: Fold) -> FamilyForecast:
    kind = spec.trainable_kind(family)
    ends = [trainable for _, trainable in spec.trainables_at_ends(family)]
    n_examples = {}
    for split, members in fold._asdict().items():
        counts = [trainable.n_examples(data.outline(members)) for trainable in ends]
        n_examples[split] = (min(counts), max(counts))
    max_epochs = spec.epochs_of(family)
    return FamilyForecast(
        title=kind.title,
        resources=spec.settings.resources_of(family),
        max_epochs=max_epochs,
        rungs=tuple(rung for rung in spec.settings.scheduler.rungs if rung < max_epochs),
        n_domains=len(spec.space[family].domains),
        examples=kind.examples,
        n_examples=n_examples,
    )


def _fits(wanted: Resources, machine: MachineSize) -> bool:
    return (
        wanted.cpus <= machine.cpus
        and wanted.gpus <= machine.gpus
        and (wanted.memory_gib is None or wanted.memory_gib <= machine.memory_gib)
    )


def _words(wanted: Resources) -> str:
    memory = "" if wanted.memory_gib is None else f", {wanted.memory_gib:g} GiB"
    return f"{wanted.cpus:g} CPUs, {wanted.gpus:g} GPUs{memory}"


def _machine_words(machines: Sequence[MachineSize]) -> str:
    largest = max(machines, key=lambda machine: (machine.gpus, machine.cpus, machine.memory_gib))
    return f"{largest.cpus:g} CPUs, {largest.gpus:g} GPUs, {math.floor(largest.memory_gib)} GiB ({largest.where})"

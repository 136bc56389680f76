"""What a sweep will do, before anything is decoded or trained: sizes, splits, trials, resources; and whether it can."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from genotune.data.source import SourcePlan
from genotune.errors import Problem, ResourceError
from genotune.genome.fold import Fold, SplitName
from genotune.genome.splits import ContigGroupSplitSettings
from genotune.judging import Judge
from genotune.machines import MachineSize, trials_at_once, wanted_words, workers_at_once
from genotune.metrics import DEFAULT_METRIC
from genotune.node_types import Fleet
from genotune.spec import Resources, Spec, fit_problems, objective_problems, spec_error
from genotune.spec.messages import did_you_mean
from genotune.store import IntArray, Outline, SequenceOutline, Splits

_NOR_FLEET: Final = ", and no node type of --cluster has that either"
_COULD_START: Final = " Of one that starts machines when they are needed, --cluster FILE names the node types."


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
        trial_folds: on which each trial is fitted and judged; none where that is done on training and validation.
    """

    spec: Spec
    data: SourcePlan
    fold: Fold
    judge: Judge
    families: Mapping[str, FamilyForecast]
    folds: list[Fold]
    trial_folds: list[Fold]

    def without(self, left_out: IntArray) -> "SweepPlan":
        """The same sweep, no split of which holds these contigs or samples."""
        return self._replace(
            fold=self.fold.without(left_out),
            folds=[one.without(left_out) for one in self.folds],
            trial_folds=[one.without(left_out) for one in self.trial_folds],
        )

    @property
    def trial_splits(self) -> Splits:
        """What trials may see."""
        return self.fold.splits

    @property
    def n_stores(self) -> int:
        """Stores that a node holds at once, at most: one that serves all, or one for each set of training samples."""
        if not self.data.learns_from_training:
            return 1
        return 1 + len(self.trial_folds or self.folds) + self.refits

    @property
    def store_nbytes(self) -> int:
        """Bytes of all stores that a node holds at once."""
        return self.data.store_nbytes * self.n_stores

    @property
    def refits(self) -> bool:
        """Whether the winner is fitted once more on all that isn't test: after folds, no model of it is there yet."""
        return bool(self.trial_folds) or self.spec.settings.evaluation.refit

    @property
    def judged_on(self) -> str:
        """What the objective is computed on, in a few words."""
        if self.trial_folds:
            return f"{len(self.trial_folds)} folds of training and validation"
        return f"validation ({self.name_split('validation')})"

    def name_split(self, split: SplitName) -> str:
        """What a split holds, in a few words."""
        return self.data.name_split(self.fold.members[split], self.fold.tracks_of(split))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know though nothing is wrong."""
        return self.data.notes + self.data.split_notes(self.spec.settings.split)


def make_plan(spec: Spec, *, data: SourcePlan | None = None) -> SweepPlan:
    """Read the headers of the data and fit the spec to them.

    Args:
        spec: of the sweep.
        data: what is known of its data, where a sweep with the same `data` has read that; None: it is read here.

    Raises:
        DataError: a file is missing, torn, or doesn't fit the others.
        SpecError: the splits, the objective or a family's ranges don't fit the data.
    """
    settings = spec.settings
    data = (data or settings.data.plan(spec.folder)).cut_for(settings.split)
    problems = [Problem(("split", *problem.path), problem.message) for problem in data.split_problems(settings.split)]
    problems += objective_problems(settings, data.target)
    if problems:
        raise spec_error(spec, problems)
    fold = data.resolve(settings.split)
    outline = _outline(data, fold, "train")
    problems = [Problem(("data", *problem.path), problem.message) for problem in data.training_problems(fold)]
    problems += fit_problems(spec, outline) + _strata_problems(settings.evaluation.strata, outline)
    if settings.evaluation.predictions and isinstance(outline, SequenceOutline):
        message = "found true; predictions by sample are those of genotypes, and these data are tracks. Remove it."
        problems.append(Problem(("evaluation", "predictions"), message))
    if problems:
        raise spec_error(spec, problems)
    first, *further = settings.objectives
    judge = Judge(
        metric=first.metric or DEFAULT_METRIC[data.target],
        kind=data.target,
        bin_bp=settings.data.objective_bin_bp(first.bin_bp),
        strata=settings.evaluation.strata,
        further=tuple(objective.metric for objective in further if objective.metric is not None),
    )
    return SweepPlan(
        spec=spec,
        data=data,
        fold=fold,
        judge=judge,
        families={family: _forecast(spec, family, data, fold) for family in spec.space},
        folds=_folds(spec, data, fold, section="evaluation", wanted=settings.evaluation.folds),
        trial_folds=_folds(spec, data, fold, section="trials", wanted=settings.trials.folds),
    )


def _folds(spec: Spec, data: SourcePlan, fold: Fold, *, section: str, wanted: int | None) -> list[Fold]:
    """The folds that a section of the spec asks for.

    Raises:
        SpecError: there are fewer groups than folds; or the split names its folds itself, and they are others.
    """
    if wanted is None:
        return []
    folds = data.folds(fold, spec.settings.split, n_folds=wanted)
    if isinstance(spec.settings.split, ContigGroupSplitSettings) and len(folds) != wanted:
        message = (
            f"found {wanted}; split.groups has {len(folds)} groups beside that of test, and each is held out in turn. "
            f"Write folds: {len(folds)}."
        )
        raise spec_error(spec, [Problem((section, "folds"), message)])
    if len(folds) < wanted:
        message = f"found {wanted}; training and validation have {len(folds) or 1} groups to hold out. Ask for fewer."
        raise spec_error(spec, [Problem((section, "folds"), message)])
    fault = data.fold_fault(folds)
    if fault is not None:
        raise spec_error(spec, [Problem((section, "folds"), f"found {wanted}; {fault}. Ask for fewer.")])
    return folds


def _outline(data: SourcePlan, fold: Fold, split: SplitName) -> Outline:
    """What is known of the store as far as a split of the fold goes."""
    outline, tracks = data.outline(fold.members[split]), fold.tracks_of(split)
    if tracks is None:
        return outline
    assert isinstance(outline, SequenceOutline), "samples have no tracks"
    return outline._replace(tracks=tuple(outline.tracks[track] for track in tracks))


def _strata_problems(strata: Sequence[str], outline: Outline) -> list[Problem]:
    """The strata that are no set of peaks of the data, or named twice."""
    known = list(outline.n_peaks) if isinstance(outline, SequenceOutline) else []
    found = []
    for index, name in enumerate(strata):
        if name not in known:
            hint = did_you_mean(name, known) if known else " The data has none; name some under data.peaks."
            found.append(Problem(("evaluation", "strata", index), f"there is no set of peaks {name!r}.{hint}"))
        elif name in strata[:index]:
            found.append(Problem(("evaluation", "strata", index), f"{name!r} is named twice."))
    return found


def check_resources(plan: SweepPlan, machines: Sequence[MachineSize], *, fleet: Fleet | None = None) -> None:
    """Nothing, if each family's trial fits the machines, all its workers at once, and the store one of them.

    Args:
        plan: of the sweep.
        machines: that are there.
        fleet: those that there could be, for trials; None: no others.

    Raises:
        ResourceError: with everything that fits none.
    """
    faults = []
    for family, forecast in plan.families.items():
        wanted = forecast.resources
        if not trials_at_once(wanted, machines) and not (fleet is not None and fleet.trials_at_once(wanted)):
            faults.append(
                f"{plan.spec.path}: resources.{family}: a trial asks for {_words(wanted, machines)}; the largest "
                f"machine has {_machine_words(machines)}{_NOR_FLEET if fleet is not None else ''}. Ask for less, or "
                f"give --address of a larger cluster.{'' if fleet is not None else _COULD_START}"
            )
    largest_gib = max(machine.memory_gib for machine in machines)
    fault = store_fault(plan, largest_gib, where="the largest machine")
    if fault is not None:
        faults.append(fault)
    if faults:
        raise ResourceError("\n".join(faults))


def store_fault(plan: SweepPlan, memory_gib: float, *, where: str) -> str | None:
    """What is wrong if the store can't be built in so much memory; None: it can.

    Args:
        plan: of the sweep.
        memory_gib: of the machine that builds it.
        where: that machine, in words.
    """
    one_gib, all_gib = plan.data.store_nbytes / 2**30, plan.store_nbytes / 2**30
    if one_gib + all_gib <= memory_gib:
        return None
    setting, advice = plan.data.smaller
    of_all = f", {plan.n_stores} of them {all_gib:.1f} GiB," if plan.n_stores > 1 else ""
    while_built = f"{one_gib:.1f} GiB more" if of_all else "twice that"
    return (
        f"{plan.spec.path}: data.{'.'.join(map(str, setting))}: the store takes {one_gib:.1f} GiB{of_all} and "
        f"{while_built} while it is built; {where} has {memory_gib:.1f} GiB. {advice}"
    )


def _forecast(spec: Spec, family: str, data: SourcePlan, fold: Fold) -> FamilyForecast:
    kind = spec.trainable_kind(family)
    ends = [trainable for _, trainable in spec.trainables_at_ends(family)]
    n_examples: dict[str, tuple[int, int]] = {}
    split: SplitName
    for split in ("train", "validation", "test"):
        outline = _outline(data, fold, split)
        counts = [trainable.n_examples(outline) for trainable in ends]
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


def _words(wanted: Resources, machines: Sequence[MachineSize]) -> str:
    amount = wanted_words(wanted)
    if wanted.workers == 1:
        return amount
    return f"{wanted.workers} workers with {amount} each; there is room for {workers_at_once(wanted, machines)}"


def _machine_words(machines: Sequence[MachineSize]) -> str:
    largest = max(machines, key=lambda machine: (machine.gpus, machine.cpus, machine.memory_gib))
    return f"{largest.cpus:g} CPUs, {largest.gpus:g} GPUs, {math.floor(largest.memory_gib)} GiB ({largest.where})"

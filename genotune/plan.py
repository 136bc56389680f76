"""What a sweep will do, before anything is decoded or trained: sizes, splits, trials, resources; and whether it can."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from genotune.data.bigwig import BigWigPlan
from genotune.errors import ResourceError
from genotune.genome.splits import ContigSplits
from genotune.settings import build
from genotune.spec import Resources, Spec, fit_problems, spec_error
from genotune.store import Splits
from genotune.trainables import FamilySettings
from genotune.trainables.trainable import DataPlan, Trainable


class MachineSize(NamedTuple):
    """What the largest machine at hand offers to one trial."""

    cpus: float
    gpus: float
    memory_gib: float
    where: str


class FamilyForecast(NamedTuple):
    """What the trials of a family take.

    Attributes:
        n_examples: fewest and most examples (windows, bins) of each split over the family's space.
        rungs: epochs at which its trials are compared.
    """

    resources: Resources
    max_epochs: int
    rungs: tuple[int, ...]
    n_domains: int
    n_examples: Mapping[str, tuple[int, int]]


class SweepPlan(NamedTuple):
    """What a sweep will do."""

    spec: Spec
    data: BigWigPlan
    splits: ContigSplits
    families: Mapping[str, FamilyForecast]

    @property
    def trial_splits(self) -> Splits:
        """What trials may see: indices of contigs in the store."""
        return Splits(self.indices(self.splits.train), self.indices(self.splits.validation))

    def indices(self, contigs: Sequence[str]) -> np.typing.NDArray[np.int64]:
        """(c,) positions of contigs in the store."""
        position = {name: index for index, name in enumerate(self.data.contigs)}
        return np.array([position[name] for name in contigs], dtype=np.int64)

    def bases(self, contigs: Sequence[str]) -> int:
        """Total length in bp."""
        return sum(self.data.contigs[name] for name in contigs)


def make_plan(spec: Spec) -> SweepPlan:
    """Read the headers of the data and fit the spec to them.

    Raises:
        DataError: a file is missing, torn, or doesn't fit the others.
        SpecError: the splits or a family's ranges don't fit the data.
    """
    data = spec.settings.data.plan(spec.folder)
    problems = [
        problem._replace(path=("split", *problem.path)) for problem in spec.settings.split.problems(data.contigs)
    ]
    if problems:
        raise spec_error(spec, problems)
    splits = spec.settings.split.resolve(data.contigs)
    lengths = tuple(data.contigs[name] for name in splits.train)
    known = DataPlan(
        columns=spec.settings.data.yields,
        resolution_bp=spec.settings.data.resolution_bp,
        tracks=tuple(spec.settings.data.tracks),
        train_contig_lengths=lengths,
    )
    problems = fit_problems(spec, known)
    if problems:
        raise spec_error(spec, problems)
    sizes = {
        name: known._replace(train_contig_lengths=tuple(data.contigs[contig] for contig in contigs))
        for name, contigs in splits._asdict().items()
    }
    families = {family: _forecast(spec, family, sizes) for family in spec.space}
    return SweepPlan(spec, data, splits, families)


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
        faults.append(
            f"{plan.spec.path}: data.resolution_bp: the store takes {store_gib:.1f} GiB and twice that while it "
            f"is built; the largest machine has {largest_gib:.1f} GiB. A resolution_bp of "
            f"{plan.spec.settings.data.resolution_bp * 4} needs less."
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


def _forecast(spec: Spec, family: str, sizes: Mapping[str, DataPlan]) -> FamilyForecast:
    template = spec.space[family]
    ends: list[Trainable] = [
        build(FamilySettings, {"family": family, **template.build(picks)}) for picks, _ in template.ends()
    ]
    n_examples = {}
    for split, data in sizes.items():
        counts = [trainable.n_examples(data) for trainable in ends]
        n_examples[split] = (min(counts), max(counts))
    max_epochs = spec.epochs_of(family)
    rungs = tuple(rung for rung in spec.settings.scheduler.rungs if rung < max_epochs)
    return FamilyForecast(spec.settings.resources_of(family), max_epochs, rungs, len(template.domains), n_examples)


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

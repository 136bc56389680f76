"""The search-space file: the one place that knows every part."""

from genotune.spec.members import GroupSpec, Member, read_sweeps
from genotune.spec.objectives import objective_problems
from genotune.spec.reading import Spec, fit_problems, read_spec, spec_error
from genotune.spec.schema import Resources, SpecFile

__all__ = [
    "GroupSpec",
    "Member",
    "Resources",
    "Spec",
    "SpecFile",
    "fit_problems",
    "objective_problems",
    "read_spec",
    "read_sweeps",
    "spec_error",
]

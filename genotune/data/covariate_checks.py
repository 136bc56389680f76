"""Covariates that can't help: too many, said twice, or the trait itself under another name."""

from typing import Final

import numpy as np

from genotune.columns import TargetKind
from genotune.data.covariates import Covariates
from genotune.genome.contig_names import name_some
from genotune.genome.covariate_basis import dependent_columns
from genotune.store import Values

_SAME_ORDER: Final = 0.999
"""Rank correlation from which on a covariate is taken for the trait, rescaled."""
_FEWEST: Final = 5
"""Of fewer samples, or of a class, an order is luck."""


def covariate_fault(covariates: Covariates) -> str | None:
    """Why no regression can use all of these covariates together; None: one can.

    Args:
        covariates: of the samples that have all of them.
    """
    n, q = covariates.values.shape
    if not q:
        return None
    if n <= q + 1:
        return (
            f"data.covariates: {q:,} columns of {n:,} samples; they would explain any trait and leave nothing to "
            "genotypes. Remove most of them."
        )
    is_dependent = dependent_columns(covariates.values)
    names = [name for name, bad in zip(covariates.names, is_dependent, strict=True) if bad]
    if not names:
        return None
    verb = "is" if len(names) == 1 else "are each"
    return (
        f"data.covariates: {name_some(names, most=4)} {verb} constant or a sum of multiples of the covariates before, "
        f"in the {n:,} samples that have all of them, and so no effect can be told. Remove "
        f"{'it' if len(names) == 1 else 'them'}, or the others."
    )


def telltale_notes(values: Values, covariates: Covariates, *, trait: str, kind: TargetKind) -> tuple[str, ...]:
    """A warning of covariates that tell the trait wholly: as a copy, in other units, or by a threshold.

    Args:
        values: (sample,) the trait, none missing.
        covariates: of the same samples.
        trait: its name.
        kind: of it.
    """
    tells = _separates if kind == "binary" else _has_same_order
    names = [name for name, column in zip(covariates.names, covariates.values.T, strict=True) if tells(column, values)]
    if not names:
        return ()
    verb = "tells" if len(names) == 1 else "each tell"
    return (
        f"data.covariates: {name_some(names, most=4)} {verb} {trait} without an error. If that is {trait} itself in "
        "another form, or was derived from it, scores say nothing of genotypes: remove it.",
    )


def _has_same_order(column: Values, values: Values) -> bool:
    """Whether two columns rise, or fall, together."""
    if len(values) < 2 * _FEWEST:
        return False
    ours, theirs = (_ranks(each) - (len(values) + 1) / 2 for each in (column, values))
    lengths = np.sqrt((ours @ ours) * (theirs @ theirs))
    return bool(abs(ours @ theirs) > _SAME_ORDER * lengths > 0)


def _separates(column: Values, values: Values) -> bool:
    """Whether a threshold tells two classes apart."""
    first, second = column[values == 0], column[values == 1]
    if min(len(first), len(second)) < _FEWEST:
        return False
    return bool(first.max() < second.min() or second.max() < first.min())


def _ranks(column: Values) -> Values:
    """(sample,) ranks; equal values share the mean of theirs."""
    _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Values = (last - (counts - 1) / 2)[places]
    return ranks

"""Covariates and features that can't help: too many, said twice, or the trait itself under another name."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from genotune.columns import TargetKind
from genotune.data.covariates import Covariates
from genotune.genome.contig_names import name_some
from genotune.genome.covariate_basis import dependent_columns
from genotune.store import FloatArray, Values

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


def telltale_notes(
    values: Values, names: Sequence[str], columns: FloatArray, *, place: str, trait: str, kind: TargetKind
) -> tuple[str, ...]:
    """A warning of columns that tell the trait wholly: as a copy, in other units, or by a threshold.

    Args:
        values: (sample,) the trait, NaN where unknown.
        names: of the columns.
        columns: (sample, column) covariates or numbers of further tables, NaN where unknown.
        place: of the setting that names them.
        trait: its name.
        kind: of it.
    """
    tells = _separates if kind == "binary" else _has_same_order
    found = []
    for name, column in zip(names, columns.T, strict=True):
        both = ~np.isnan(values) & ~np.isnan(column)
        if tells(column[both], values[both]):
            found.append(name)
    if not found:
        return ()
    verb = "tells" if len(found) == 1 else "each tell"
    return (
        f"{place}: {name_some(found, most=4)} {verb} {trait} without an error. If that is {trait} itself in "
        "another form, or was derived from it, scores say nothing of genotypes: remove it.",
    )


def _has_same_order(column: FloatArray, values: Values) -> bool:
    """Whether two columns rise, or fall, together."""
    if len(values) < 2 * _FEWEST:
        return False
    ours, theirs = (_ranks(each) - (len(values) + 1) / 2 for each in (column, values))
    lengths = np.sqrt((ours @ ours) * (theirs @ theirs))
    return bool(abs(ours @ theirs) > _SAME_ORDER * lengths > 0)


def _separates(column: FloatArray, values: Values) -> bool:
    """Whether a threshold tells two classes apart."""
    first, second = column[values == 0], column[values == 1]
    if min(len(first), len(second)) < _FEWEST:
        return False
    return bool(first.max() < second.min() or second.max() < first.min())


def _ranks(column: FloatArray | Values) -> Values:
    """(sample,) ranks; equal values share the mean of theirs."""
    _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Values = (last - (counts - 1) / 2)[places]
    return ranks

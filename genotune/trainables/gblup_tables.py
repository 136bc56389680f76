"""A second relationship of samples, by columns of further tables, beside that of their variants. numpy only.

y = W b + g + t + e, with g ~ N(0, (1 - s) v G), t ~ N(0, s v T), e ~ N(0, penalty v I). G is the relationship by
variants; T = X X' / divisor is that by the columns X, centred on the training samples; both have a mean diagonal of
one. For one share s it is a model with the relationship (1 - s) G + s T, which is decomposed and solved as G alone is,
in as many dimensions as there are samples, however many columns there are.
Source: Li et al. 2019, "Integrating gene expression data into genomic prediction" (GTBLUP).

Letters: n samples, p columns, c components of G.
"""

from typing import Final

import numpy as np

from genotune.store import FloatArray, Values
from genotune.trainables.gblup_solver import Relationship, Rotated, estimate_penalties, log_likelihood, rotate

_SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares whose likelihoods are compared: each costs a decomposition."""

_FEW: Final = 4
"""With this many samples to a dimension of both relationships their factor is decomposed, not their sum."""


def join(relationship: Relationship, columns: FloatArray, *, share: float) -> Relationship:
    """The sum of both relationships, decomposed, with which `variant_weights` gives the weights of the variants in it.

    Args:
        relationship: by variants.
        columns: (n, p) of the training samples.
        share: of the columns in the sum; with 0 the relationship stays as it is.
    """
    if share == 0:
        return relationship
    centred, divisor = _centred(columns)
    own = relationship.vectors * np.sqrt((1 - share) * relationship.values)
    factor = np.concatenate([own, np.sqrt(share / divisor) * centred], axis=1)
    if len(factor) >= _FEW * factor.shape[1]:
        vectors, singular, _ = np.linalg.svd(factor, full_matrices=False)
        values = singular**2
    else:
        values, vectors = np.linalg.eigh(factor @ factor.T)
    with np.errstate(divide="ignore"):  # the variants' weights are zero where the columns have all
        own_divisor = float(np.divide(relationship.divisor, 1 - share))
    return relationship._replace(vectors=vectors, values=np.maximum(values, 0), divisor=own_divisor)


def table_weights(columns: FloatArray, *, share: float, alpha: Values) -> Values:
    """Weight of each column per unit, (p, output), with which centred columns give share * T alpha for any sample."""
    centred, divisor = _centred(columns)
    return np.asarray(share / divisor * (centred.T @ alpha))


def choose_share(
    relationship: Relationship, columns: FloatArray, fixed: Values, *, targets: Values, penalty: float | None
) -> float:
    """The share of the highest restricted likelihood among a few, of several outputs of their sum.

    Args:
        relationship: by variants.
        columns: (n, p) of the training samples.
        fixed: (n, q) fixed effects.
        targets: (n, output).
        penalty: of all outputs; None: of each share and output the likeliest.
    """
    heights = []
    for share in _SHARES:
        rotated = rotate(join(relationship, columns, share=share), fixed, targets=targets)
        penalties = np.full(targets.shape[1], penalty) if penalty is not None else estimate_penalties(rotated)
        heights.append(sum(_height(rotated, output, float(one)) for output, one in enumerate(penalties)))
    return _SHARES[int(np.argmax(heights))]


def _height(rotated: Rotated, output: int, penalty: float) -> float:
    """The likelihood of one output; 0 where fixed effects explain it wholly, which tells nothing of shares."""
    found = float(log_likelihood(rotated._replace(targets=rotated.targets[:, [output]]), penalty)[0])
    return found if np.isfinite(found) else 0.0


def _centred(columns: FloatArray) -> tuple[Values, float]:
    """(n, p) less their means, and the mean diagonal of their products; 1 where nothing varies."""
    exact = columns.astype(np.float64)
    centred = exact - exact.mean(axis=0)
    return centred, float((centred**2).sum() / max(1, len(centred))) or 1.0

"""Several traits of the same samples: whether one model may have them, and how variants go with any of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from genotune.columns import TargetKind
from genotune.data.phenotypes import Trait
from genotune.data.variant_statistics import Statistics, TraitBasis, trait_basis
from genotune.genome.p_values import log10_p_of_share
from genotune.store import FloatArray, IntArray, Values


def trait_notes(traits: Mapping[str, Trait]) -> tuple[str, ...]:
    """What a person should know of traits, by their names; of several also that a sample may lack some."""
    notes = tuple(note for trait in traits.values() for note in trait.notes)
    gaps = np.array([np.isnan(trait.values) for trait in traits.values()])
    if len(traits) == 1 or not gaps.any():
        return notes
    n_without = int(np.count_nonzero(gaps.all(axis=0)))
    whole = f"{n_without:,} have none of them" if n_without else "each has one of them at least"
    return (*notes, f"{', '.join(traits)}: a sample is left out of the traits that it lacks alone; {whole}.")


def fault_of_kinds(traits: Mapping[str, Trait]) -> str | None:
    """What is wrong with the kinds of traits of one model; None if nothing is."""
    if len({trait.kind for trait in traits.values()}) == 1:
        return None
    listed = ", ".join(f"{name} is {trait.kind}" for name, trait in traits.items())
    return (
        f"{listed}; traits of one model are of one kind, since one metric judges them all. Give each a sweep "
        "of its own (data.winners: each), or set data.trait_kind if a kind was told wrongly."
    )


class TraitTest(NamedTuple):
    """What variants are tested for with one of several traits.

    Attributes:
        rows: (s,) places among the training samples of those whose trait is known.
        basis: of the trait, over these samples.
    """

    rows: IntArray
    basis: TraitBasis


def trait_tests(traits: Sequence[Values], covariates: FloatArray, *, kind: TargetKind) -> tuple[TraitTest, ...]:
    """A test of each trait, on the training samples that have it.

    Args:
        traits: (training sample,) values of each; NaN where not known.
        covariates: (training sample, covariate).
        kind: of the traits.
    """
    known = [np.flatnonzero(~np.isnan(values)) for values in traits]
    return tuple(
        TraitTest(rows, trait_basis(values[rows], covariates[rows], kind=kind))
        for values, rows in zip(traits, known, strict=True)
    )


def best_of_traits(whole: Statistics, each: Sequence[Statistics], tests: Sequence[TraitTest]) -> Statistics:
    """Statistics of variants, whose association is that with the trait that they go with best.

    Shares of variance that are explained are not to be compared where one trait is known of more samples than another,
    so each is turned into the p-value of its F-test, and the association is -log10 of the least of them.

    Args:
        whole: on all training samples; its association is not looked at.
        each: on the samples that have a trait, for each of them.
        tests: of the traits.
    """
    found = []
    for statistics, (rows, basis) in zip(each, tests, strict=True):
        q = basis.trait.shape[1]
        df = len(rows) - basis.covariates.shape[1] - q
        found.append(-log10_p_of_share(statistics.association, q=q, df=df))
    return whole._replace(association=np.asarray(np.fmax.reduce(found, axis=0)))

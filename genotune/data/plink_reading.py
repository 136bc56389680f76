"""The two passes over a file of genotypes from which stores are made: statistics, then what they select.

Each pass decodes a variant once, however many folds learn from it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from genotune.columns import VARIANT
from genotune.data.genotype_file import Decoder
from genotune.data.plink_datasource import BlockReader, DosageReader, StatisticsReader, fill_columns, rows_of
from genotune.data.plink_samples import SampleFacts
from genotune.data.several_traits import TraitTest, best_of_traits, trait_tests
from genotune.data.variant_statistics import Statistics, TraitBasis, join_statistics, training_sets
from genotune.genome.covariate_filling import covariate_fill, filled_covariates
from genotune.store import DosageArray, FloatArray, IntArray

Tables = Callable[[BlockReader, IntArray], Iterator[pa.Table]]
"""Gives the tables of a reader over these variants, in any order."""

_ORDERED_AT_ONCE: Final = 1 << 20
"""Genotypes, of whole samples."""


def read_statistics(
    decoder: Decoder, facts: SampleFacts, *, n_variants: int, trains: Sequence[IntArray], tables: Tables
) -> list[Statistics]:
    """Of all variants on each set of training samples; the file is decoded once.

    Args:
        decoder: of the file.
        facts: of the samples.
        n_variants: of the file.
        trains: of each fold, indices of its training samples; no other sample is decoded unless it is of another's.
        tables: what decodes.

    Raises:
        DataError: the file is damaged.
    """
    samples = np.unique(np.concatenate(trains))
    tests = [_tests(facts, train) for train in trains]
    bases, members = [], []
    for train, of_traits in zip(trains, tests, strict=True):
        places = np.searchsorted(samples, train)
        if len(of_traits) > 1:  # genotypes are counted in all training samples, whichever traits they have
            nothing = np.empty((len(train), 0))
            bases.append(TraitBasis(nothing, nothing))
            members.append(places)
        bases += [test.basis for test in of_traits]
        members += [places[test.rows] for test in of_traits]
    sets = training_sets(bases, members, n_samples=len(samples), is_fractional=decoder.is_fractional)
    reader = StatisticsReader(decoder, facts.rows[samples], sets)
    found = list(tables(reader, np.arange(n_variants, dtype=np.int64)))
    found.sort(key=lambda table: table[VARIANT][0].as_py())
    each = iter([join_statistics([reader.statistics(table, index) for table in found]) for index in range(len(bases))])
    return [
        next(each) if len(of_traits) == 1 else best_of_traits(next(each), [next(each) for _ in of_traits], of_traits)
        for of_traits in tests
    ]


def _tests(facts: SampleFacts, training: IntArray) -> tuple[TraitTest, ...]:
    """Of each trait, on the training samples that have it."""
    values = [trait.values[training] for trait in facts.traits]
    return trait_tests(values, _covariates(facts, training), kind=facts.kind)


def read_dosages(decoder: Decoder, rows: IntArray, *, kept: Sequence[IntArray], tables: Tables) -> list[DosageArray]:
    """(sample, variant) dosages of each selection of variants, in its own order; the file is decoded once.

    Args:
        decoder: of the file.
        rows: (sample,) of the file.
        kept: of each fold, the variants that it keeps.
        tables: what decodes.

    Raises:
        DataError: the file is damaged.
    """
    union = np.unique(np.concatenate(kept))
    places = np.full((len(kept), len(union)), -1, dtype=np.int64)
    for place, chosen in zip(places, kept, strict=True):
        place[np.searchsorted(union, np.sort(chosen))] = np.arange(len(chosen))
    dosages: list[DosageArray] = [np.empty((len(rows), len(chosen)), dtype=decoder.dtype) for chosen in kept]
    for table in tables(DosageReader(decoder, rows), union):
        for variants, block in rows_of(table):
            columns = places[:, np.searchsorted(union, variants)]
            for dosage, column in zip(dosages, columns, strict=True):
                is_kept = column >= 0
                if is_kept.all():
                    fill_columns(dosage, column, block)
                elif is_kept.any():
                    fill_columns(dosage, column[is_kept], block[is_kept])
    for dosage, chosen in zip(dosages, kept, strict=True):
        _put_in_order(dosage, np.argsort(np.argsort(chosen)))
    return dosages


def _covariates(facts: SampleFacts, training: IntArray) -> FloatArray:
    """(training sample, covariate) with what stands for unknown values among them."""
    fill = covariate_fill(facts.covariates, facts.covariate_names, samples=training)
    return filled_covariates(facts.covariates[training], fill)


def _put_in_order(dosage: DosageArray, columns: IntArray) -> None:
    """Bring columns in this order, in place, a few samples at a time.

    Filled in the order of the file and ordered at last, a store is written along its rows; column by column in an order
    of ranks, each genotype would be fetched and written for itself.
    """
    n_at_once = max(1, _ORDERED_AT_ONCE // max(1, dosage.shape[1]))
    for first in range(0, len(dosage), n_at_once):
        some = slice(first, first + n_at_once)
        dosage[some] = np.take(dosage[some], columns, axis=1)

"""The trait of another cohort's samples, predicted by a model of genotypes.

The cohort may count other alleles or name them on the other strand, and lack variants: those are given the mean of the
training samples, which says nothing of anybody. With too few of the model's variants nothing is predicted.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from genotune.data.cells import DEFAULT_MISSING, read_cells
from genotune.data.files import locate
from genotune.data.genotype_file import GenotypeFile, as_steps
from genotune.data.sample_matching import match_samples
from genotune.data.sample_table import PhenotypeTable, column_problem, read_table
from genotune.errors import DataError
from genotune.genome.allele_matching import ABSENT, AlleleMatch, VariantTable, match_alleles, turned_round
from genotune.genome.genotype_moments import genotype_moments
from genotune.genome.strand_evidence import Reconciled, is_palindrome, keep_sure_strands
from genotune.interpretation.cohort_tables import cohort_features
from genotune.store import DOSAGE_STEPS, DosageArray, FloatArray, IntArray, TextArray, Values
from genotune.trainables.model import GenotypeModel

_BLOCK_CELLS: Final = 1 << 26
_MOST_NAMED: Final = 3


class Predictions(NamedTuple):
    """What a model says of a cohort.

    Attributes:
        samples: (sample, 2) family and individual ID.
        names: of the columns of `values`: the trait, or 'trait=class' for each class of several.
        values: (sample, column) in the trait's own units, or probabilities.
        notes: what a person should know: variants that were found, turned round, lost; samples that were left out.
    """

    samples: TextArray
    names: tuple[str, ...]
    values: FloatArray
    notes: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write a tab-separated table with the columns FID, IID and those of the values."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(("FID", "IID", *self.names))
            for sample, row in zip(self.samples.tolist(), self.values.tolist(), strict=True):
                writer.writerow((*sample, *(f"{value:.7g}" for value in row)))


def predict_cohort(
    model: GenotypeModel,
    genotypes: GenotypeFile,
    *,
    table: Path | None,
    min_coverage: float,
    tables: Mapping[str, Path] | None = None,
    fills: bool = False,
) -> Predictions:
    """Predict the trait of every sample of a cohort.

    Args:
        model: that predicts.
        genotypes: of the cohort; decoded by parts.
        table: of the cohort's samples, with the covariates that the model takes; None: it takes none.
        min_coverage: share of the model's variants that the cohort must have.
        tables: further tables of the samples by the names that the model knows them under; None: there are none.
        fills: whether columns of these that are not there are taken as unknown.

    Raises:
        DataError: too few of the variants are there, a covariate or a column is not, or a file is damaged.
    """
    match, strand_notes = _match(model, genotypes)
    n = len(match.rows)
    if match.n_found < min_coverage * n:
        raise DataError(
            f"{genotypes.label}: {match.words()} That is {match.n_found / n:.1%} of the model's variants; at least "
            f"{min_coverage:.1%} are asked for. Impute the cohort first, or predict all the same with --min-coverage "
            f"{np.floor(100 * match.n_found / n) / 100:g}."
        )
    rows, covariates, notes = _covariates(model, genotypes, table)
    features, more = cohort_features(model, genotypes, tables or {}, fills=fills)
    beside = np.concatenate([covariates, features[rows]], axis=1)
    parts = [model.predict(dosage, beside[some]) for some, dosage in _dosages(model, genotypes, rows, match=match)]
    values = np.concatenate(parts).reshape(len(rows), -1)
    fam = genotypes.samples
    return Predictions(
        samples=np.stack([fam.fids[rows], fam.iids[rows]], axis=1),
        names=model.output_names,
        values=values,
        notes=(
            *genotypes.notes,
            *(f"{genotypes.label}: {words}" for words in (match.words(), *strand_notes)),
            *notes,
            *more,
        ),
    )


def _match(model: GenotypeModel, genotypes: GenotypeFile) -> Reconciled:
    """Where the model's variants are; for those whose strand only a frequency tells, the cohort's is reckoned."""
    wanted, theirs = VariantTable(*model.variants), genotypes.variants
    frequency = np.zeros(genotypes.n_variants, dtype=np.float32)  # far from a half: every place is found at first
    anywhere = wanted._replace(frequency=np.zeros(len(wanted.ids), dtype=np.float32))
    rows = match_alleles(anywhere, VariantTable(*theirs, frequency)).rows
    palindromes = np.flatnonzero((rows != ABSENT) & is_palindrome(wanted))
    frequency[:] = np.nan
    everyone = np.arange(genotypes.n_samples)
    for part in _blocks(rows[palindromes], n_samples=len(everyone)):
        frequency[part] = genotype_moments(genotypes.decoder.decode(everyone, part), everyone).frequency
    found = VariantTable(*theirs, frequency)
    return keep_sure_strands(match_alleles(wanted, found), wanted, found, rows=rows)


def _blocks(rows: IntArray, *, n_samples: int) -> Iterator[IntArray]:
    step = max(1, _BLOCK_CELLS // max(1, n_samples))
    ordered = np.sort(rows)
    return (ordered[first : first + step] for first in range(0, len(ordered), step))


def _dosages(
    model: GenotypeModel, genotypes: GenotypeFile, rows: IntArray, *, match: AlleleMatch
) -> Iterator[tuple[slice, DosageArray]]:
    """Parts of the samples, and their dosages (sample, variant) as the model counts them; absent ones are means."""
    found = np.flatnonzero(match.rows != ABSENT)
    decoder = genotypes.decoder
    step = len(rows) if decoder.is_sequential else max(1, _BLOCK_CELLS // max(1, len(match.rows)))
    means = np.rint(2 * DOSAGE_STEPS * np.nan_to_num(model.variants.frequency).astype(np.float64)).astype(np.uint16)
    order = found[np.argsort(match.rows[found], kind="stable")]
    for first in range(0, max(1, len(rows)), step):
        some = slice(first, first + step)
        decoded = decoder.decode(rows[some], match.rows[order])
        if len(found) < len(match.rows):
            decoded = as_steps(decoded)
        dosage = np.broadcast_to(means.astype(decoded.dtype), (len(decoded), len(means))).copy()
        dosage[:, order] = decoded
        swapped = np.flatnonzero(match.is_swapped)
        dosage[:, swapped] = turned_round(dosage[:, swapped])
        yield some, dosage


def _covariates(
    model: GenotypeModel, genotypes: GenotypeFile, table: Path | None
) -> tuple[IntArray, FloatArray, tuple[str, ...]]:
    """Rows of the samples that have what covariates the model needs, and those, (sample, covariate); with notes.

    Raises:
        DataError: the model takes covariates and there is no table, or it lacks some.
    """
    everyone = np.arange(genotypes.n_samples)
    if not model.covariate_names:
        return everyone, np.empty((len(everyone), 0), dtype=np.float32), ()
    named = ", ".join(model.covariate_names)
    if table is None:
        raise DataError(f"the model takes covariates ({named}); name a table of the samples that has them (--samples).")
    found = read_table(locate(table.parent, table.name))
    match = match_samples(genotypes.samples, found, match_by=None, fam_label=genotypes.samples_label)
    values = np.stack([_column(found, name) for name in model.covariate_names], axis=1)[match.rows]
    values[match.rows < 0] = np.nan
    if model.fills_covariates:
        return everyone, values.astype(np.float32), (*match.notes, *_filled(values, named))
    has_all = np.isfinite(values).all(axis=1)
    if not has_all.any():
        raise DataError(f"{found.label}: no sample of {genotypes.samples_label} has all covariates ({named}).")
    n_out = int(np.count_nonzero(~has_all))
    notes = (f"{n_out:,} samples lack a covariate ({named}); nothing is predicted for them.",) if n_out else ()
    return everyone[has_all], values[has_all].astype(np.float32), (*match.notes, *notes)


def _filled(values: Values, named: str) -> tuple[str, ...]:
    n = int(np.count_nonzero(~np.isfinite(values).all(axis=1)))
    words = f"{n:,} samples lack a covariate ({named}); it is filled in as it was for the training samples."
    return (words,) if n else ()


def _column(table: PhenotypeTable, name: str) -> Values:
    """(row,) a covariate as the model was given it: a number, or whether the cell is a level of its column."""
    column, _, level = name.partition("=")
    if name in table.columns:
        column, level = name, ""
    fault = column_problem(table, column)
    if fault is not None:
        raise DataError(f"{fault} The model takes it as a covariate.")
    cells = read_cells(table.columns[column], DEFAULT_MISSING)
    if level:
        return np.where(cells.is_missing, np.nan, cells.texts == level)
    strange = [str(text) for text in cells.texts[np.isnan(cells.numbers) & ~cells.is_missing][:_MOST_NAMED]]
    if strange:
        found = ", ".join(map(repr, strange))
        raise DataError(f"{table.label}: {column}: {found}: no number; the model takes numbers here.")
    return cells.numbers

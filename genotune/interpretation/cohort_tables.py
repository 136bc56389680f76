"""Further tables of another cohort, as a model of genotypes takes their columns."""

from collections.abc import KeysView, Mapping
from pathlib import Path

import numpy as np

from genotune.data.files import kept_in, locate
from genotune.data.further_tables import TableFile, read_known_columns
from genotune.data.genotype_file import GenotypeFile
from genotune.data.table_settings import TableSettings
from genotune.errors import DataError
from genotune.genome.contig_names import name_some
from genotune.store import FloatArray, TableColumn
from genotune.trainables.model import GenotypeModel


def cohort_features(
    model: GenotypeModel, genotypes: GenotypeFile, tables: Mapping[str, Path], *, fills: bool
) -> tuple[FloatArray, tuple[str, ...]]:
    """(sample, column) of the model's tables for every sample of the cohort, and what a person should know of them.

    Args:
        model: that predicts.
        genotypes: of the cohort.
        tables: by the names that the model knows them under.
        fills: whether columns that are not there are taken as unknown.

    Raises:
        DataError: a table isn't there, isn't known to the model, or lacks columns.
    """
    wanted: dict[str, list[tuple[int, TableColumn]]] = {}
    for place, column in enumerate(model.table_columns):
        table, _, name = column.name.partition(":")
        wanted.setdefault(table, []).append((place, column._replace(name=name)))
    _check_names(wanted.keys(), tables.keys(), fills=fills)
    values = np.full((genotypes.n_samples, len(model.table_columns)), np.nan, dtype=np.float32)
    faults: list[str] = []
    notes: list[str] = []
    for name, path in tables.items():
        places, columns = zip(*wanted[name], strict=True)
        one = TableFile(name, locate(path.parent, path.name), TableSettings(path=str(path)))
        with kept_in(faults):
            found = read_known_columns(one, columns, genotypes.samples, fam_label=genotypes.samples_label, fills=fills)
            values[:, np.array(places)] = found.values
            notes += found.notes
    if faults:
        raise DataError("\n".join(faults))
    return values, tuple(notes)


def _check_names(wanted: KeysView[str], given: KeysView[str], *, fills: bool) -> None:
    """Nothing, if the tables that were given are those that the model takes."""
    unknown, lacking = sorted(given - wanted), sorted(wanted - given)
    if unknown:
        has = f"it takes {name_some(sorted(wanted), most=8)}" if wanted else "it takes none"
        raise DataError(f"--table: the model knows no table {name_some(unknown)}; {has}.")
    if lacking and not fills:
        named = " ".join(f"--table {name}=PATH" for name in lacking)
        raise DataError(
            f"the model takes columns of further tables: {name_some(lacking, most=8)}. Name them with {named}, or take "
            "them as unknown with --fill-columns."
        )

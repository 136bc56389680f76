"""How the tables of a PLINK fileset and its phenotypes are read and fitted together, every fault at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genotune.data.covariates import Covariates, read_covariates
from genotune.data.files import InputFile, kept_in, locate
from genotune.data.phenotypes import Trait, read_trait
from genotune.data.plink import PlinkPlan, PlinkSettings, n_without_place
from genotune.data.plink_files import BimTable, FamTable, Fileset, check_bed, find_fileset, read_bim, read_fam
from genotune.data.plink_samples import SampleFacts
from genotune.data.sample_matching import match_samples
from genotune.data.sample_table import PhenotypeTable, column_problem, read_table
from genotune.errors import DataError
from genotune.genome.splits import SampleTable
from genotune.store import FloatArray, IntArray, TextArray


class _Matched(NamedTuple):
    """Samples of the .fam that the phenotypes know, with their rows there."""

    rows: IntArray
    in_table: IntArray
    notes: tuple[str, ...]


def make_plan(settings: PlinkSettings, folder: Path) -> PlinkPlan:
    """Read everything but genotypes.

    Raises:
        DataError: with every fault of every file, one a line.
    """
    faults: list[str] = []
    table = None
    if settings.phenotypes is not None:
        with kept_in(faults):
            table = read_table(locate(folder, settings.phenotypes))
            _check_columns(settings, table)
    elif settings.covariates:
        faults.append("data.covariates: a .fam has none; name a table in data.phenotypes.")
    fileset, fam, variants = _read_fileset(settings, folder, faults)
    if faults or fam is None or variants is None or fileset is None:
        raise DataError("\n".join(faults))
    samples, notes = _samples(settings, fam, table, file=fileset.fam)
    if settings.match_by is not None and table is None:
        notes += ("data.match_by has no effect without a table in data.phenotypes. Remove it.",)
    n_nowhere = n_without_place(variants)
    if n_nowhere:
        notes += (
            f"{fileset.bim.label}: {n_nowhere:,} of {len(variants.ids):,} variants have no position (0 or less); "
            "they are used, but lie on no interval.",
        )
    return PlinkPlan(
        settings=settings,
        fileset=fileset,
        files=_files(settings, folder, fileset),
        variants=variants,
        n_fileset_samples=len(fam.iids),
        samples=samples,
        notes=notes,
    )


def _read_fileset(
    settings: PlinkSettings, folder: Path, faults: list[str]
) -> tuple[Fileset | None, FamTable | None, BimTable | None]:
    fileset, fam, variants = None, None, None
    with kept_in(faults):
        fileset = find_fileset(folder, settings.genotypes)
    if fileset is not None:
        with kept_in(faults):
            fam = read_fam(fileset.fam)
        with kept_in(faults):
            variants = read_bim(fileset.bim)
        if fam is not None and variants is not None:
            with kept_in(faults):
                check_bed(fileset.bed, n_samples=len(fam.iids), n_variants=len(variants.ids), fileset=fileset)
    return fileset, fam, variants


def _files(settings: PlinkSettings, folder: Path, fileset: Fileset) -> Mapping[str, InputFile]:
    files = {"genotypes": fileset.bed, "variants": fileset.bim, "samples": fileset.fam}
    if settings.phenotypes is not None:
        files["phenotypes"] = locate(folder, settings.phenotypes)
    return files


def _check_columns(settings: PlinkSettings, table: PhenotypeTable) -> None:
    """Nothing, if the table has the columns that the spec names.

    Raises:
        DataError: with every one that it lacks.
    """
    faults = []
    if settings.trait is None:
        listed = ", ".join(table.columns) or "none"
        faults.append(f"{table.label}: which column is the trait? Name it in data.trait; there are: {listed}.")
    named = [("trait", name) for name in (settings.trait,) if name is not None]
    named += [("covariates", name) for name in dict.fromkeys(settings.covariates)]
    for setting, name in named:
        fault = column_problem(table, name)
        if fault is not None:
            faults.append(f"{fault} It is named in data.{setting}.")
        elif setting == "covariates" and name == settings.trait:
            faults.append(f"data.covariates: {name} is the trait itself. Remove it.")
        elif settings.covariates.count(name) > 1:
            faults.append(f"data.covariates: {name} is named twice. Remove one.")
    if faults:
        raise DataError("\n".join(faults))


def _samples(
    settings: PlinkSettings, fam: FamTable, table: PhenotypeTable | None, *, file: InputFile
) -> tuple[SampleFacts, tuple[str, ...]]:
    """The samples that have everything, and what a person should know of the others."""
    matched = _match(settings, fam, table, fam_label=file.label)
    trait, covariates = _values(settings, fam, table, matched=matched, file=file)
    complete = np.isfinite(covariates.values).all(axis=1)
    known = ~np.isnan(trait.values)
    notes = (*matched.notes, *trait.notes, *covariates.notes)
    n_incomplete = int(np.count_nonzero(known & ~complete))
    if n_incomplete:
        notes += (f"covariates ({', '.join(settings.covariates)}): missing in {n_incomplete:,} samples; left out.",)
    kept = np.flatnonzero(known & complete)
    name = settings.trait or "phenotype"
    fault = _fault_of_rest(trait, kept, name=name)
    if fault is not None:
        raise DataError(f"{file.label if table is None else table.label}: {name}: {fault}")
    rows = matched.rows[kept]
    columns = _columns(settings, fam, table, matched)
    facts = SampleFacts(
        rows=rows.astype(np.int64),
        ids=np.stack([fam.fids[rows], fam.iids[rows]], axis=1),
        values=trait.values[kept],
        covariates=_float32(covariates.values[kept]),
        trait=name,
        kind=trait.kind,
        classes=trait.classes,
        covariate_names=covariates.names,
        table=SampleTable(fam.fids[rows], {column: cells[kept] for column, cells in columns.items()}),
        sexes=np.full(len(rows), "0") if fam.sexes is None else fam.sexes[rows],
    )
    return facts, notes


def _match(settings: PlinkSettings, fam: FamTable, table: PhenotypeTable | None, *, fam_label: str) -> _Matched:
    if table is None:
        return _Matched(np.arange(len(fam.iids)), np.arange(len(fam.iids)), ())
    found = match_samples(fam, table, match_by=settings.match_by, fam_label=fam_label)
    rows = np.flatnonzero(found.rows >= 0)
    return _Matched(rows, found.rows[rows], found.notes)


def _values(
    settings: PlinkSettings, fam: FamTable, table: PhenotypeTable | None, *, matched: _Matched, file: InputFile
) -> tuple[Trait, Covariates]:
    """Trait and covariates of the samples that were matched.

    Raises:
        DataError: with the faults of both.
    """
    faults: list[str] = []
    trait, covariates = None, None
    with kept_in(faults):
        trait = (
            _trait_of_fam(settings, fam, file) if table is None else _trait_of_table(settings, table, matched.in_table)
        )
    with kept_in(faults):
        covariates = _covariates(settings, table, matched)
    if trait is None or covariates is None:
        raise DataError("\n".join(faults))
    return trait, covariates


def _fault_of_rest(trait: Trait, kept: IntArray, *, name: str) -> str | None:
    """What can't be learned from the samples that have all covariates, though all together could teach it."""
    left = {*trait.values[kept].tolist()}
    if not left:
        return "no sample has both the trait and all covariates. Remove those from data.covariates that are missing."
    lost = [label for index, label in enumerate(trait.classes) if index not in left]
    if lost:
        fault = f"no sample with {name} {' or '.join(lost)} has all covariates"
    elif len(left) == 1:
        fault = f"all {len(kept):,} samples that have all covariates have the value {left.pop():g}"
    else:
        return None
    return f"{fault}. Remove those from data.covariates that are missing, or complete them."


def _trait_of_fam(settings: PlinkSettings, fam: FamTable, file: InputFile) -> Trait:
    with file.path.open(encoding="utf-8-sig") as text:
        places = [f"{file.label}:{line}" for line, cells in enumerate(text, start=1) if cells.strip(" \t\n")]
    return read_trait(
        fam.phenotypes,
        name=settings.trait or "phenotype",
        label=file.label,
        places=places,
        kind=settings.trait_kind,
        missing=settings.missing,
        is_fam=True,
    )


def _trait_of_table(settings: PlinkSettings, table: PhenotypeTable, rows: IntArray) -> Trait:
    assert settings.trait is not None
    return read_trait(
        table.columns[settings.trait][rows],
        name=settings.trait,
        label=table.label,
        places=[table.place(int(row)) for row in rows],
        kind=settings.trait_kind,
        missing=settings.missing,
    )


def _covariates(settings: PlinkSettings, table: PhenotypeTable | None, matched: _Matched) -> Covariates:
    if table is None or not settings.covariates:
        return Covariates(np.empty((len(matched.rows), 0), dtype=np.float32), (), ())
    cells = {name: table.columns[name][matched.in_table] for name in settings.covariates}
    try:
        return read_covariates(cells, missing=settings.missing)
    except DataError as error:
        raise DataError("\n".join(f"{table.label}: {fault}" for fault in str(error).splitlines())) from error


def _columns(
    settings: PlinkSettings, fam: FamTable, table: PhenotypeTable | None, matched: _Matched
) -> dict[str, TextArray]:
    """(sample,) cells of everything that samples can be split by, '' where missing: the parents of the .fam too."""
    columns = {"father": fam.fathers[matched.rows], "mother": fam.mothers[matched.rows]}
    columns = {name: np.where(cells == "0", "", cells) for name, cells in columns.items()}
    if table is not None:
        columns |= {name: cells[matched.in_table] for name, cells in table.columns.items()}
    marks = np.array(settings.missing, dtype=np.str_)
    return {name: np.where(np.isin(np.char.strip(cells), marks), "", cells) for name, cells in columns.items()}


def _float32(values: FloatArray) -> FloatArray:
    return np.ascontiguousarray(values, dtype=np.float32)

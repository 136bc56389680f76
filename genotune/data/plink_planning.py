"""How the tables of genotypes and their phenotypes are read and fitted together, every fault at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genotune.data.bed_file import FAM_PHENOTYPE
from genotune.data.covariates import Covariates, read_covariates
from genotune.data.files import InputFile, kept_in, locate
from genotune.data.genotype_file import GenotypeFile
from genotune.data.genotype_opening import open_genotypes
from genotune.data.phenotypes import Trait, read_trait
from genotune.data.plink import PlinkPlan, n_without_place
from genotune.data.plink2_tables import SEX
from genotune.data.plink_samples import SampleFacts
from genotune.data.plink_settings import PlinkSettings
from genotune.data.sample_matching import match_samples
from genotune.data.sample_table import PhenotypeTable, column_problem, read_table
from genotune.data.summary_matching import match_statistics
from genotune.data.summary_statistics import SummaryStatistics, leak_warning, read_summary_statistics
from genotune.data.vcf_file import VCF_ENDINGS
from genotune.errors import DataError
from genotune.genome.allele_matching import VariantTable
from genotune.genome.contig_names import name_some
from genotune.genome.splits import SampleTable
from genotune.store import FloatArray, IntArray, TextArray


class _Matched(NamedTuple):
    """Samples with genotypes that the phenotypes know, with their rows there."""

    rows: IntArray
    in_table: IntArray
    notes: tuple[str, ...]


def make_plan(settings: PlinkSettings, folder: Path, *, genotypes: GenotypeFile | None = None) -> PlinkPlan:
    """Read everything but genotypes.

    Args:
        settings: of the source.
        folder: the spec's, to which paths are relative.
        genotypes: those that the settings name, where they are open; None: opened here.

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
    if genotypes is None:
        with kept_in(faults):
            genotypes = open_genotypes(folder, settings.genotypes, field=settings.dosage_field)
    summary: SummaryStatistics | None = None
    summary_notes: tuple[str, ...] = ()
    if settings.summary_statistics is not None and genotypes is not None:
        with kept_in(faults):
            summary, summary_notes = _summary(locate(folder, settings.summary_statistics), genotypes)
    if faults or genotypes is None:
        raise DataError("\n".join(faults))
    samples, notes = _samples(settings, genotypes, table)
    notes += genotypes.notes + _fraction_notes(settings, genotypes) + summary_notes
    if settings.match_by is not None and table is None:
        notes += ("data.match_by has no effect without a table in data.phenotypes. Remove it.",)
    n_nowhere = n_without_place(genotypes.variants)
    if n_nowhere:
        notes += (
            f"{genotypes.variants_label}: {n_nowhere:,} of {genotypes.n_variants:,} variants have no position (0 or "
            "less); they are used, but lie on no interval.",
        )
    return PlinkPlan(
        settings=settings,
        genotypes=genotypes,
        files=_files(settings, folder, genotypes),
        samples=samples,
        notes=notes,
        summary=summary,
    )


def _summary(file: InputFile, genotypes: GenotypeFile) -> tuple[SummaryStatistics, tuple[str, ...]]:
    """The other study's results, with what a person should know of it.

    Raises:
        DataError: it can't be read, or none of its variants is there.
    """
    statistics = read_summary_statistics(file)
    # Which A/T and C/G variants can be told is known once the training samples' frequencies are.
    match_statistics(statistics, VariantTable(*genotypes.variants))
    return statistics, (*statistics.notes, leak_warning(file.label))


def _files(settings: PlinkSettings, folder: Path, genotypes: GenotypeFile) -> Mapping[str, InputFile]:
    named = {"phenotypes": settings.phenotypes, "summary statistics": settings.summary_statistics}
    beside = {role: locate(folder, name) for role, name in named.items() if name is not None}
    return {**genotypes.files, **beside}


def _fraction_notes(settings: PlinkSettings, genotypes: GenotypeFile) -> tuple[str, ...]:
    """What a person should know of dosages in fractions of a copy."""
    notes: tuple[str, ...] = ()
    if genotypes.decoder.is_fractional:
        notes += (f"{genotypes.label}: dosages in fractions of a copy are kept as such, in two bytes each.",)
    is_vcf = any(file.label.endswith(VCF_ENDINGS) for file in genotypes.files.values())
    if settings.dosage_field is not None and not is_vcf:
        notes += ("data.dosage_field has no effect without a VCF or BCF. Remove it.",)
    return notes


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
    settings: PlinkSettings, genotypes: GenotypeFile, table: PhenotypeTable | None
) -> tuple[SampleFacts, tuple[str, ...]]:
    """The samples that have everything, and what a person should know of the others."""
    fam = genotypes.samples
    matched = _match(settings, genotypes, table)
    trait, covariates = _values(settings, genotypes, table, matched=matched)
    complete = np.isfinite(covariates.values).all(axis=1)
    known = ~np.isnan(trait.values)
    notes = (*matched.notes, *trait.notes, *covariates.notes)
    n_incomplete = int(np.count_nonzero(known & ~complete))
    if n_incomplete:
        notes += (f"covariates ({', '.join(settings.covariates)}): missing in {n_incomplete:,} samples; left out.",)
    kept = np.flatnonzero(known & complete)
    name = settings.trait or (_own_trait(settings, genotypes) if table is None else "")
    fault = _fault_of_rest(trait, kept, name=name)
    if fault is not None:
        raise DataError(f"{genotypes.samples_label if table is None else table.label}: {name}: {fault}")
    rows = matched.rows[kept]
    columns = _columns(settings, genotypes, table, matched)
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


def _match(settings: PlinkSettings, genotypes: GenotypeFile, table: PhenotypeTable | None) -> _Matched:
    if table is None:
        everyone = np.arange(genotypes.n_samples)
        return _Matched(everyone, everyone, ())
    found = match_samples(genotypes.samples, table, match_by=settings.match_by, fam_label=genotypes.samples_label)
    rows = np.flatnonzero(found.rows >= 0)
    return _Matched(rows, found.rows[rows], found.notes)


def _values(
    settings: PlinkSettings, genotypes: GenotypeFile, table: PhenotypeTable | None, *, matched: _Matched
) -> tuple[Trait, Covariates]:
    """Trait and covariates of the samples that were matched.

    Raises:
        DataError: with the faults of both.
    """
    faults: list[str] = []
    trait, covariates = None, None
    with kept_in(faults):
        trait = (
            _trait_of_samples(settings, genotypes)
            if table is None
            else _trait_of_table(settings, table, matched.in_table)
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


def _trait_of_samples(settings: PlinkSettings, genotypes: GenotypeFile) -> Trait:
    """From the file of samples itself."""
    column = _own_trait(settings, genotypes)
    is_fam = {*genotypes.columns.columns} == {FAM_PHENOTYPE}
    return read_trait(
        genotypes.columns.columns[FAM_PHENOTYPE if is_fam else column],
        name=column,
        label=genotypes.samples_label,
        places=genotypes.columns.places,
        kind=settings.trait_kind,
        missing=settings.missing,
        is_fam=True,
    )


def _own_trait(settings: PlinkSettings, genotypes: GenotypeFile) -> str:
    """What the trait in the file of samples is called: by the spec, whose choice it is in a .psam.

    Raises:
        DataError: the file has no trait, several to choose from, or not the one that the spec names.
    """
    names = [name for name in genotypes.columns.columns if name != SEX]
    label = genotypes.samples_label
    if names == [FAM_PHENOTYPE]:
        return settings.trait or FAM_PHENOTYPE
    if settings.trait is not None and settings.trait in genotypes.columns.columns:
        return settings.trait
    if not names:
        raise DataError(f"{label}: has no trait. Name a table of samples in data.phenotypes, and data.trait in it.")
    listed = name_some(names, most=8)
    if settings.trait is not None:
        raise DataError(f"{label}: no column {settings.trait}, which data.trait names; there is {listed}.")
    if len(names) > 1:
        raise DataError(
            f"{label}: which column is the trait? Name it in data.trait (genotune new: --trait); there is {listed}."
        )
    return names[0]


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
    settings: PlinkSettings, genotypes: GenotypeFile, table: PhenotypeTable | None, matched: _Matched
) -> dict[str, TextArray]:
    """(sample,) cells of what samples can be split by, '' where missing: parents and the columns of a .psam too."""
    fam = genotypes.samples
    columns = {"father": fam.fathers[matched.rows], "mother": fam.mothers[matched.rows]}
    columns = {name: np.where(cells == "0", "", cells) for name, cells in columns.items()}
    own = {name: cells[matched.rows] for name, cells in genotypes.columns.columns.items() if name != FAM_PHENOTYPE}
    columns = own | columns
    if table is not None:
        columns |= {name: cells[matched.in_table] for name, cells in table.columns.items()}
    marks = np.array(settings.missing, dtype=np.str_)
    return {name: np.where(np.isin(np.char.strip(cells), marks), "", cells) for name, cells in columns.items()}


def _float32(values: FloatArray) -> FloatArray:
    return np.ascontiguousarray(values, dtype=np.float32)

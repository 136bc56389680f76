"""How the tables of genotypes and their phenotypes are read and fitted together, every fault at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genotune.data.bed_file import FAM_PHENOTYPE
from genotune.data.covariate_checks import covariate_fault, telltale_notes
from genotune.data.covariates import Covariates, read_covariates
from genotune.data.files import InputFile, kept_in, locate
from genotune.data.further_tables import TableFile, read_features
from genotune.data.genotype_file import GenotypeFile
from genotune.data.genotype_opening import open_genotypes
from genotune.data.phenotypes import Trait, read_trait
from genotune.data.plink import PlinkPlan, n_without_place
from genotune.data.plink2_tables import SEX
from genotune.data.plink_samples import SampleFacts, SampleTrait
from genotune.data.plink_settings import PlinkSettings
from genotune.data.sample_lists import Chosen, choose_samples
from genotune.data.sample_matching import match_samples
from genotune.data.sample_table import PhenotypeTable, column_problem, read_table
from genotune.data.several_traits import fault_of_kinds, trait_notes
from genotune.data.summary_matching import match_statistics
from genotune.data.summary_statistics import SummaryStatistics, leak_warning, read_summary_statistics
from genotune.data.vcf_file import VCF_ENDINGS
from genotune.errors import DataError
from genotune.genome.allele_matching import VariantTable
from genotune.genome.chromosomes import haploid_note
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
    chosen: Chosen | None = None
    if genotypes is not None:
        with kept_in(faults):
            chosen = _chosen(settings, folder, genotypes)
    summary: SummaryStatistics | None = None
    summary_notes: tuple[str, ...] = ()
    if settings.summary_statistics is not None and genotypes is not None:
        with kept_in(faults):
            summary, summary_notes = _summary(locate(folder, settings.summary_statistics), genotypes)
    if faults or genotypes is None or chosen is None:
        raise DataError("\n".join(faults))
    samples, notes = _samples(settings, genotypes, table, chosen=chosen)
    if settings.tables:
        samples, more = _with_tables(settings, folder, genotypes, samples)
        notes += more
    notes += genotypes.notes + _fraction_notes(settings, genotypes) + summary_notes
    if settings.match_by is not None and table is None:
        notes += ("data.match_by has no effect without a table in data.phenotypes. Remove it.",)
    n_nowhere = n_without_place(genotypes.variants)
    if n_nowhere:
        notes += (
            f"{genotypes.variants_label}: {n_nowhere:,} of {genotypes.n_variants:,} variants have no position (0 or "
            "less); they are used, but lie on no interval.",
        )
    label, n_autosomes = genotypes.variants_label, settings.n_autosomes
    notes += haploid_note(genotypes.variants.contigs, label=label, n_autosomes=n_autosomes)
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


def _with_tables(
    settings: PlinkSettings, folder: Path, genotypes: GenotypeFile, samples: SampleFacts
) -> tuple[SampleFacts, tuple[str, ...]]:
    """The samples with their columns of further tables, and what a person should know of these.

    Raises:
        DataError: with every fault of every table.
    """
    tables = [TableFile(name, locate(folder, table.path), table) for name, table in settings.tables.items()]
    found = read_features(
        tables,
        genotypes.samples,
        samples.rows,
        match_by=settings.match_by,
        fam_label=genotypes.samples_label,
        trait=samples.trait,
    )
    return samples._replace(features=found.values, table_columns=found.columns), found.notes


def _chosen(settings: PlinkSettings, folder: Path, genotypes: GenotypeFile) -> Chosen:
    """The samples that the spec's lists leave."""
    keep, drop = (
        None if name is None else locate(folder, name) for name in (settings.keep_samples, settings.drop_samples)
    )
    return choose_samples(genotypes.samples, keep=keep, drop=drop, fam_label=genotypes.samples_label)


def _files(settings: PlinkSettings, folder: Path, genotypes: GenotypeFile) -> Mapping[str, InputFile]:
    named = {
        "phenotypes": settings.phenotypes,
        "summary statistics": settings.summary_statistics,
        "kept samples": settings.keep_samples,
        "dropped samples": settings.drop_samples,
    }
    named |= {f"table {name}": table.path for name, table in settings.tables.items()}
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
    named = [("trait", name) for name in settings.trait or ()]
    named += [("covariates", name) for name in dict.fromkeys(settings.covariates)]
    for setting, name in named:
        fault = column_problem(table, name)
        if fault is not None:
            faults.append(f"{fault} It is named in data.{setting}.")
        elif setting == "covariates" and name in (settings.trait or ()):
            faults.append(f"data.covariates: {name} is the trait itself. Remove it.")
        elif settings.covariates.count(name) > 1:
            faults.append(f"data.covariates: {name} is named twice. Remove one.")
    if faults:
        raise DataError("\n".join(faults))


def _samples(
    settings: PlinkSettings, genotypes: GenotypeFile, table: PhenotypeTable | None, *, chosen: Chosen
) -> tuple[SampleFacts, tuple[str, ...]]:
    """The samples that have everything, and what a person should know of the others."""
    fam = genotypes.samples
    matched = _among(_match(settings, genotypes, table), chosen, genotypes, table)
    traits, covariates = _values(settings, genotypes, table, matched=matched)
    has_all = np.isfinite(covariates.values).all(axis=1)
    fills = settings.covariates_missing == "impute"
    complete = has_all | fills
    known = np.any([~np.isnan(trait.values) for trait in traits.values()], axis=0)
    notes = (*matched.notes, *trait_notes(traits), *covariates.notes)
    n_incomplete = int(np.count_nonzero(known & ~has_all))
    if n_incomplete:
        becomes = "filled in from the training samples of each fit" if fills else "left out"
        notes += (f"covariates ({', '.join(settings.covariates)}): missing in {n_incomplete:,} samples; {becomes}.",)
    kept = np.flatnonzero(known & complete)
    label = genotypes.samples_label if table is None else table.label
    faults = {name: _fault_of_rest(trait, kept, name=name) for name, trait in traits.items()}
    faults |= {"data.trait": fault_of_kinds(traits)}
    if any(faults.values()):
        raise DataError("\n".join(f"{label}: {name}: {fault}" for name, fault in faults.items() if fault))
    fault = covariate_fault(covariates._replace(values=covariates.values[known & has_all]))
    if fault is not None:
        raise DataError(f"{label}: {fault}")
    for name, trait in traits.items():
        some = has_all & ~np.isnan(trait.values)
        of_some = covariates._replace(values=covariates.values[some])
        notes += telltale_notes(trait.values[some], of_some, trait=name, kind=trait.kind)
    rows = matched.rows[kept]
    columns = _columns(settings, genotypes, table, matched)
    facts = SampleFacts(
        rows=rows.astype(np.int64),
        ids=np.stack([fam.fids[rows], fam.iids[rows]], axis=1),
        traits=tuple(
            SampleTrait(name, trait.values[kept], trait.kind, trait.classes) for name, trait in traits.items()
        ),
        covariates=_float32(covariates.values[kept]),
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


def _among(matched: _Matched, chosen: Chosen, genotypes: GenotypeFile, table: PhenotypeTable | None) -> _Matched:
    """Those of the matched samples that the spec's lists leave.

    Raises:
        DataError: there is none.
    """
    stays = chosen.flags[matched.rows]
    if not stays.any():
        label = genotypes.samples_label if table is None else table.label
        raise DataError(f"{label}: has no row of the samples that data.keep_samples and data.drop_samples leave.")
    return _Matched(matched.rows[stays], matched.in_table[stays], chosen.notes + matched.notes)


def _values(
    settings: PlinkSettings, genotypes: GenotypeFile, table: PhenotypeTable | None, *, matched: _Matched
) -> tuple[dict[str, Trait], Covariates]:
    """Each trait by its name, and the covariates, of the samples that were matched.

    Raises:
        DataError: with the faults of all.
    """
    faults: list[str] = []
    traits: dict[str, Trait] = {}
    covariates = None
    with kept_in(faults):
        # A table has the traits that the spec names; a file of samples may have but one, whatever it is called.
        for name in _own_traits(settings, genotypes) if table is None else settings.trait or ():
            with kept_in(faults):
                traits[name] = (
                    _trait_of_samples(settings, genotypes, matched.rows, name=name)
                    if table is None
                    else _trait_of_table(settings, table, matched.in_table, name=name)
                )
    with kept_in(faults):
        covariates = _covariates(settings, table, matched)
    if faults or covariates is None:
        raise DataError("\n".join(faults))
    return traits, covariates


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


def _trait_of_samples(settings: PlinkSettings, genotypes: GenotypeFile, rows: IntArray, *, name: str) -> Trait:
    """From the file of samples itself."""
    is_fam = {*genotypes.columns.columns} == {FAM_PHENOTYPE}
    return read_trait(
        genotypes.columns.columns[FAM_PHENOTYPE if is_fam else name][rows],
        name=name,
        label=genotypes.samples_label,
        places=[genotypes.columns.places[row] for row in rows],
        kind=settings.trait_kind,
        missing=settings.missing,
        is_fam=True,
    )


def _own_traits(settings: PlinkSettings, genotypes: GenotypeFile) -> tuple[str, ...]:
    """What the traits in the file of samples are called: by the spec, whose choice they are in a .psam.

    Raises:
        DataError: the file has no trait, several to choose from, or not those that the spec names.
    """
    names = [name for name in genotypes.columns.columns if name != SEX]
    label = genotypes.samples_label
    if names == [FAM_PHENOTYPE]:
        if settings.trait is not None and len(settings.trait) > 1:
            asked = ", ".join(settings.trait)
            raise DataError(f"{label}: has one trait, not {asked}. Name a table of samples in data.phenotypes.")
        return settings.trait or (FAM_PHENOTYPE,)
    absent = [name for name in settings.trait or () if name not in genotypes.columns.columns]
    if settings.trait is not None and not absent:
        return settings.trait
    if not names:
        raise DataError(f"{label}: has no trait. Name a table of samples in data.phenotypes, and data.trait in it.")
    listed = name_some(names, most=8)
    if absent:
        raise DataError(f"{label}: no column {' or '.join(absent)}, which data.trait names; there is {listed}.")
    if len(names) > 1:
        raise DataError(
            f"{label}: which column is the trait? Name it in data.trait (genotune new: --trait); there is {listed}."
        )
    return (names[0],)


def _trait_of_table(settings: PlinkSettings, table: PhenotypeTable, rows: IntArray, *, name: str) -> Trait:
    return read_trait(
        table.columns[name][rows],
        name=name,
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

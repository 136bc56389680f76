"""How the tables of genotypes and their phenotypes are read and fitted together, every fault at once."""

from collections.abc import Mapping
from pathlib import Path

from genotune.data.files import InputFile, kept_in, locate
from genotune.data.genotype_file import GenotypeFile
from genotune.data.genotype_opening import open_genotypes
from genotune.data.plink import PlinkPlan, n_without_place
from genotune.data.plink_sample_reading import check_columns, read_samples, with_tables
from genotune.data.plink_settings import PlinkSettings
from genotune.data.sample_lists import Chosen, choose_samples
from genotune.data.sample_table import read_table
from genotune.data.summary_matching import match_statistics
from genotune.data.summary_statistics import SummaryStatistics, leak_warning, read_summary_statistics
from genotune.data.vcf_file import VCF_ENDINGS
from genotune.errors import DataError
from genotune.genome.allele_matching import VariantTable
from genotune.genome.chromosomes import haploid_note


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
            check_columns(settings, table)
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
    samples, notes = read_samples(settings, genotypes, table, chosen=chosen)
    if settings.tables:
        samples, more = with_tables(settings, folder, genotypes, samples)
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

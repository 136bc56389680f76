"""The search-space file that `genotune new` writes for genotypes and a trait."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from genotune.columns import TargetKind
from genotune.data.cells import DEFAULT_MISSING, read_cells, read_levels
from genotune.data.covariates import read_covariates
from genotune.data.files import kept_in, locate
from genotune.data.genotype_opening import read_samples
from genotune.data.new_plink_split import SplitChoice, choose_split, in_comment, is_kinship, split_text
from genotune.data.new_spec import GenotypeFiles, SpecBody, relative, scalar, scalars
from genotune.data.phenotypes import read_trait
from genotune.data.plink import PlinkPlan
from genotune.data.plink_files import FamTable
from genotune.data.plink_settings import PlinkSettings
from genotune.data.sample_matching import Match, MatchBy, match_samples
from genotune.data.sample_table import PhenotypeTable, column_problem, read_table
from genotune.data.vcf_decoder import VcfDecoder
from genotune.errors import DataError
from genotune.genome.contig_names import name_some
from genotune.metrics import DEFAULT_METRIC
from genotune.settings import build
from genotune.store import TextArray

KEPT_VARIANTS: Final = 20_000

_FEWEST_GROUPS_FOR_FOLDS: Final = 20
_N_FOLDS: Final = 5
_FOLDS_TEXT: Final = """\
evaluation: {folds: 5, finalists: 2}  # the best two of each family meet again on five folds: one split decides little
"""
_MOST_CLASSES: Final = 10
_MOST_LISTED: Final = 12
_COVARIATE: Final = re.compile(r"sex|gender|male|female|(age|batch)([ _.-].*)?|pc[ _.-]?\d+", re.IGNORECASE)
_METRIC_WORDS: Final[Mapping[str, str]] = {
    "pearson": "correlation of predicted and measured trait",
    "auroc": "chance to rank a case above a control; 0.5: guessing",
    "balanced_accuracy": "mean share recognised, class by class",
    "poisson_deviance_explained": "0 is as good as the mean",
}


def genotype_body(files: GenotypeFiles, folder: Path, *, trait: str | None) -> SpecBody:
    """Boosted trees against GBLUP on a trait, with relatives held out together.

    Args:
        files: that a person named.
        folder: of the spec.
        trait: the column to predict; None: the only one that can be.

    Raises:
        DataError: files are missing or don't fit each other, or it can't be told which column is the trait.
    """
    plan = _plan(files, trait)
    n_samples, n_variants = len(plan.samples.rows), len(plan.variants.ids)
    keep = KEPT_VARIANTS if n_variants > KEPT_VARIANTS else None
    title = f"The best model of {in_comment(plan.samples.trait)} on {n_variants:,} variants of {n_samples:,} samples"
    split = choose_split(plan)
    text = (
        _data_text(plan, folder, keep=keep)
        + split_text(split)
        + _model_text(n_samples, n_kept=keep or n_variants)
        + _sweep_text(plan.target)
        + (_FOLDS_TEXT if _can_be_folded(plan, split) else "")
    )
    return SpecBody(title, text)


def _can_be_folded(plan: PlinkPlan, split: SplitChoice) -> bool:
    """Whether there are groups enough for five folds, and samples of each class in all of them."""
    if split.n_groups < _FEWEST_GROUPS_FOR_FOLDS or plan.split_problems(split.settings):
        return False
    folds = plan.folds(plan.resolve(split.settings), split.settings, n_folds=_N_FOLDS)
    return plan.fold_fault(folds) is None


def choose_trait(table: PhenotypeTable) -> str:
    """The only column that can be a trait.

    Columns that are named as kinship or as a covariate (sex, age) count only where there are no others.

    Raises:
        DataError: there are several, which are listed with their kinds, or none.
    """
    kinds = {name: kind for name, cells in table.columns.items() if (kind := told_kind(cells)) is not None}
    likely = {name: kind for name, kind in kinds.items() if not is_kinship(name) and not _COVARIATE.fullmatch(name)}
    likely = likely or kinds
    if len(likely) == 1:
        return next(iter(likely))
    if not likely:
        has = f"it has {name_some(table.columns, most=8)}" if table.columns else "it has none beside the IDs"
        raise DataError(
            f"{table.label}: no column can be a trait; {has}. A trait is numbers, or text of two to {_MOST_CLASSES} "
            "classes, and varies. Add its column to the table."
        )
    listed = [f"{name} ({kind})" for name, kind in likely.items()]
    more = f" and {len(listed) - _MOST_LISTED} more" if len(listed) > _MOST_LISTED else ""
    listed = listed[:_MOST_LISTED]
    raise DataError(f"{table.label}: which column is the trait? Give --trait: {', '.join(listed)}{more}.")


def told_kind(cells: TextArray) -> TargetKind | None:
    """The kind of trait that a column would be, as its reader tells it; of text by its classes; None if it is none.

    Args:
        cells: (sample,) text.
    """
    read = read_cells(cells, DEFAULT_MISSING)
    if read.are_numbers:
        try:
            places = [""] * len(cells)
            return read_trait(cells, name="", label="", places=places, kind=None, missing=DEFAULT_MISSING).kind
        except DataError:
            return None
    n_classes = len(read_levels(read).names)
    if not np.isnan(read.numbers).all() or not 2 <= n_classes <= _MOST_CLASSES:
        return None
    return "binary" if n_classes == 2 else "multiclass"


def _plan(files: GenotypeFiles, trait: str | None) -> PlinkPlan:
    """The plan of the files as the person named them, so that faults name them so too."""
    values: dict[str, object] = {"kind": "plink", "genotypes": str(files.genotypes), "trait": trait or None}
    if files.table is not None:
        values |= _table_values(files, trait)
    settings: PlinkSettings = build(PlinkSettings, values)
    plan = settings.plan(Path.cwd())
    assert isinstance(plan, PlinkPlan)
    return plan


def _table_values(files: GenotypeFiles, trait: str | None) -> dict[str, object]:
    """What the data's settings say of the table."""
    here, faults = Path.cwd(), list[str]()
    table = samples = None
    with kept_in(faults):
        table = read_table(locate(here, str(files.table)))
        fault = None if trait is None else column_problem(table, trait)
        if fault is not None:
            faults.append(f"{fault} It is named by --trait.")
    with kept_in(faults):
        samples = read_samples(here, str(files.genotypes))
    if faults or table is None or samples is None:
        raise DataError("\n".join(faults))
    match, match_by = _match(samples.table, table, fam_label=samples.label)
    rows = match.rows[match.rows >= 0]
    matched = table._replace(columns={name: cells[rows] for name, cells in table.columns.items()})
    trait = choose_trait(matched) if trait is None else trait
    return {
        "phenotypes": str(files.table),
        "trait": trait,
        "trait_kind": _class_kind(matched.columns[trait]),
        "match_by": match_by,
    }


def _match(fam: FamTable, table: PhenotypeTable, *, fam_label: str) -> tuple[Match, MatchBy | None]:
    """The row of each sample: by IID alone where FIDs of the two files have nothing in common."""
    try:
        return match_samples(fam, table, match_by=None, fam_label=fam_label), None
    except DataError:
        if table.fids is None or not np.isin(fam.iids, table.iids).any():
            raise
        return match_samples(fam, table, match_by="iid", fam_label=fam_label), "iid"


def _class_kind(cells: TextArray) -> TargetKind | None:
    """The kind of a trait of text, which its reader wants to be told; None of numbers."""
    return None if read_cells(cells, DEFAULT_MISSING).are_numbers else told_kind(cells)


def _data_text(plan: PlinkPlan, folder: Path, *, keep: int | None) -> str:
    settings, facts = plan.settings, plan.samples
    [named] = settings.genotypes
    lines = [
        "data:",
        "  kind: plink",
        f"  genotypes: {relative(named, folder)}  # {_file_words(plan)}",
    ]
    if settings.phenotypes is None:
        own = "column 6 of the .fam" if Path(named).suffix == ".bed" else "a column of the .psam"
        lines.append(f"  # the trait is {own}; for another: phenotypes: table.tsv, trait: its column")
        lines += [] if settings.trait is None else [f"  trait: {scalar(facts.trait)}  # what to call it"]
    else:
        lines.append(f"  phenotypes: {relative(settings.phenotypes, folder)}  # a row for each sample")
        lines.append(f"  trait: {scalar(facts.trait)}  # the column that the model learns to predict")
    lines.append(f"  trait_kind: {facts.kind}  # {_kind_words(plan)}")
    if settings.match_by is not None:
        lines.append(f"  match_by: {settings.match_by}  # the family IDs of table and genotypes have nothing in common")
    if settings.phenotypes is not None:
        lines.append(f"  covariates: []  # {_covariate_words(plan)}")
    words = "all that pass are kept" if keep is None else "those most associated with the trait in training samples"
    lines += [
        "  filters: {min_maf: 0.01, min_call_rate: 0.95}  # leaves out rare variants, and those often not called",
        f"  keep_variants: {'null' if keep is None else keep}  # {words}",
        "  drop_duplicates: true  # of a person genotyped twice, or identical twins, the better called sample stays",
    ]
    return "".join(f"{line}\n" for line in lines)


def _file_words(plan: PlinkPlan) -> str:
    """What belongs to the file that is named, and what is read of it."""
    genotypes = plan.genotypes
    if isinstance(genotypes.decoder, VcfDecoder):
        fields = "called genotypes (GT)"
        return f"{fields} are read; for dosages in fractions of a copy: dosage_field: DS"
    beside = f"its {Path(genotypes.variants_label).suffix} and {Path(genotypes.samples_label).suffix} lie beside it"
    return beside.replace(".zst", ".pvar.zst")


def _kind_words(plan: PlinkPlan) -> str:
    """How the kind of the trait was told."""
    facts = plan.samples
    values = np.unique(facts.values)
    if facts.kind == "binary":
        control, case = map(in_comment, facts.classes)
        return f"told from its two values; predicted is the chance of {case} against {control}"
    if facts.kind == "count":
        ends = f"{values[0]:.0f} to {values[-1]:.0f}"
        return f"told from its whole numbers, {ends}; if they aren't counts: quantitative"
    if facts.kind == "multiclass":
        names = f"{in_comment(facts.classes[0])} to {in_comment(facts.classes[-1])}"
        if _classes_are_text(facts.classes):
            return f"told from its {len(values)} words, {names}"
        return f"told from its whole numbers, {names}; if they aren't classes: quantitative or count"
    if len(values) == 2:
        return "told from its two values, which are neither 0/1 nor 1/2; if they are classes: binary"
    return "told from its values, some of which are no whole numbers, or below zero"


def _classes_are_text(classes: Sequence[str]) -> bool:
    return not read_cells(np.array(classes), DEFAULT_MISSING).are_numbers


def _covariate_words(plan: PlinkPlan) -> str:
    """What covariates are, and which columns might be some."""
    table = plan.samples.table
    found = []
    for name, cells in table.columns.items():
        if name != plan.samples.trait and _COVARIATE.fullmatch(name):
            try:
                read_covariates({name: cells}, missing=DEFAULT_MISSING)
            except DataError:
                continue
            found.append(name)
    if not found:
        return "columns of the table that are known beside the genotype, e.g. sex and age"
    more = f" and {len(found) - _MOST_LISTED} more" if len(found) > _MOST_LISTED else ""
    listed = in_comment(scalars(found[:_MOST_LISTED]))
    return f"known beside the genotype; not used unless named here. There is {listed}{more}"


def _model_text(n_samples: int, *, n_kept: int) -> str:
    n_variants = _variant_choices(n_kept)
    # More samples in each leaf than a small cohort has would leave trees without a single split.
    most_in_leaf = max(2, min(30, n_samples // 40))
    return f"""\
models:  # two families compete
  - family: boosted_trees  # XGBoost: many small trees; finds what variants do together (epistasis, dominance)
    params:  # a value is fixed; choice, int, uniform and log_uniform are searched, both ends included
      rounds_per_epoch: 50  # trees that are added before trials are compared
      n_variants: {n_variants}  # the most associated ones are used; null: all that are kept
      max_depth: {{int: [2, 4]}}  # how many variants a tree can combine
      learning_rate: {{log_uniform: [0.03, 0.1]}}  # how much of each tree is believed
      min_child_weight: {{log_uniform: [1, {most_in_leaf}]}}  # samples that a leaf needs, about; more: more cautious
      subsample: {{uniform: [0.6, 1.0]}}  # share of the samples that a tree sees
      colsample_bytree: {{uniform: [0.3, 1.0]}}  # share of the variants that a tree sees
      reg_lambda: {{log_uniform: [0.3, 30]}}  # how much effects are shrunk
  - family: ridge  # GBLUP: all variants at once, each with a small additive effect
    params:
      penalty: null  # shrinkage; null: what REML makes of the training samples
      standardize: {{choice: [false, true]}}  # true: rare variants have larger effects
"""


def _variant_choices(n_kept: int) -> str:
    """Numbers of variants to try, as YAML: about four tenths of those kept, and all."""
    fewer = _rounded(0.4 * n_kept)
    return f"{{choice: [{fewer}, null]}}" if 0 < fewer < n_kept else "null"


def _rounded(number: float) -> int:
    """To its first digit."""
    return int(float(f"{number:.0e}"))


def _sweep_text(kind: TargetKind) -> str:
    metric = DEFAULT_METRIC[kind]
    return f"""\
search: {{kind: tpe, seed: 7}}  # learns from earlier trials where to look; the seed makes it repeatable
scheduler: {{kind: asha, max_epochs: 9, reduction_factor: 3, min_epochs: 3}}  # stops trials that lag behind after 3
objective: {{metric: {metric}, split: validation}}  # what 'best' means: {_METRIC_WORDS[metric]}
budget: {{trials: 24, hours: 1}}  # the search ends at whichever comes first
resources: {{boosted_trees: {{cpus: 1}}, ridge: {{cpus: 1}}}}  # of one trial
"""

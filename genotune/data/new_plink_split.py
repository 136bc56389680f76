"""How `genotune new` holds samples out: what keeps relatives together, as far as the files say who is related."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np

from genotune.data.new_spec import scalar, scalars
from genotune.data.plink import PlinkPlan
from genotune.data.relatedness import MOST_SAMPLES
from genotune.genome.splits import (
    ColumnSplitSettings,
    FamilySplitSettings,
    KinshipSplitSettings,
    RandomSplitSettings,
    SampleTable,
    SplitSettings,
)
from genotune.settings import build

_SHARE: Final = 0.2
_SEEDS: Final = (7, *range(8, 27))
_RELATED: Final = (
    ("sire", "dam"),
    ("father", "mother"),
    ("mother",),
    ("dam",),
    ("father",),
    ("sire",),
    ("pair",),
    ("litter",),
    ("family",),
    ("fam",),
)
"""Names of columns that relatives share, the surest first."""
_FEWEST_GROUPS: Final = 3
_FEWEST_FAMILIES: Final = 10
_FAMILIES_PER_SAMPLE: Final = 0.9
_NEARLY_ALL: Final = 0.9
"""Where the groups of so many samples are known, no other way to group them is looked for."""
_LEAST_KNOWN: Final = 0.5
"""Samples without a group train, so below this share too few would be left to hold out."""

_DEGREES: Final = (2, 1)
"""Of kinship, the wider one first: where that joins nearly all samples, the nearer one may not."""

GroupSettings = ColumnSplitSettings | FamilySplitSettings | KinshipSplitSettings | RandomSplitSettings


class SplitChoice(NamedTuple):
    """How samples are held out.

    Attributes:
        settings: of the split.
        n_groups: of samples that stay together.
    """

    settings: GroupSettings
    n_groups: int


def choose_split(plan: PlinkPlan) -> SplitChoice:
    """The way to hold out that keeps relatives together: by a column that names them, by family, else by kinship.

    At random where genotypes can't tell who is related either. The seed is the first whose splits have all classes of
    the trait; the first of all if there is none.

    Raises:
        DataError: genotypes that are decoded to tell kin are damaged.
    """
    table = plan.samples.table._replace(kin=lambda: plan.kin)
    n = len(table.families)
    able = [settings for settings in _groupings(table, trait=plan.samples.trait) if not settings.problems(table)]
    sure = [settings for settings in able if _sizes(settings, table)[1] >= _NEARLY_ALL * n]
    chosen = (sure or able or _by_kinship(table) or [_settings({"by": "random"})])[0]
    for seed in _SEEDS:
        seeded = chosen.model_copy(update={"seed": seed})
        if not plan.split_problems(seeded):
            chosen = seeded
            break
    return SplitChoice(chosen, _sizes(chosen, table)[0])


def _groupings(table: SampleTable, *, trait: str) -> Iterator[GroupSettings]:
    """Splits whose groups are several samples each, the surest kinship first."""
    n = len(table.families)
    for names in _RELATED:
        columns = [column for name in names if (column := _column_of(name, table)) not in (None, trait)]
        if len(columns) < len(names):
            continue
        settings = _settings({"by": "column", "column": columns if len(columns) > 1 else columns[0]})
        n_groups, n_known = _sizes(settings, table)
        if n_groups >= _FEWEST_GROUPS and n_known > n_groups and n_known >= _LEAST_KNOWN * n:
            yield settings
    settings = _settings({"by": "family"})
    n_groups, n_known = _sizes(settings, table)
    if _FEWEST_FAMILIES <= n_groups < _FAMILIES_PER_SAMPLE * n_known and n_known >= _LEAST_KNOWN * n:
        yield settings


def _by_kinship(table: SampleTable) -> list[GroupSettings]:
    """The split by the widest kinship that genotypes tell and that leaves enough to hold out, if there is one."""
    if len(table.families) > MOST_SAMPLES:
        return []
    wider = (_settings({"by": "kinship", "degree": degree}) for degree in _DEGREES)
    return [settings for settings in wider if not settings.problems(table)][:1]


def _settings(values: Mapping[str, object]) -> GroupSettings:
    shares = {"validation": _SHARE, "test": _SHARE, "seed": _SEEDS[0]}
    settings: GroupSettings = build(SplitSettings, {**values, **shares})
    return settings


def _sizes(settings: GroupSettings, table: SampleTable) -> tuple[int, int]:
    """Groups, and samples that are in one."""
    groups = settings.groups(table)
    return int(groups.max()) + 1, int((groups >= 0).sum())


def _column_of(name: str, table: SampleTable) -> str | None:
    """The column of this name, whatever its case; of several the fullest, as the .fam has father and mother too."""
    named = [column for column in table.columns if _bare(column) == name]
    return max(named, key=lambda column: np.count_nonzero(table.columns[column] != ""), default=None)


def _bare(column: str) -> str:
    return re.sub(r"(?<=.)[ _.-]?id$", "", column.lower())


def is_kinship(column: str) -> bool:
    """Whether a column is named as one that relatives share."""
    return any(_bare(column) in names for names in _RELATED)


def split_text(choice: SplitChoice) -> str:
    """The choice as it stands in a spec, with what a person should know of it."""
    settings, n_groups = choice.settings, choice.n_groups
    first = "" if settings.seed == _SEEDS[0] else f"; with seed {_SEEDS[0]} a split lacks a class of the trait"
    shares = f"""\
  validation: {_SHARE}  # share of the samples on which trials are compared
  test: {_SHARE}  # scored once, by the winner. The other {100 * (1 - 2 * _SHARE):.0f} % train
  seed: {settings.seed}  # of the draw{first}
"""
    if isinstance(settings, ColumnSplitSettings):
        names = (settings.column,) if isinstance(settings.column, str) else settings.column
        column = scalar(names[0]) if len(names) == 1 else scalars(names)
        common = in_comment(" and ".join(names))
        return f"""\
split:  # relatives are held out together: they resemble each other too much for a fair test
  by: column
  column: {column}  # {n_groups:,} groups of samples with the same {common}
{shares}"""
    if isinstance(settings, FamilySplitSettings):
        return f"""\
split:  # relatives are held out together: they resemble each other too much for a fair test
  by: family  # {n_groups:,} families, by the FID of the .fam
{shares}"""
    if isinstance(settings, KinshipSplitSettings):
        kin = "parents, children and full siblings" if settings.degree == 1 else "kin up to half siblings and uncles"
        return f"""\
split:  # relatives are held out together: they resemble each other too much for a fair test
  by: kinship  # {n_groups:,} groups of kin, told from the genotypes: no column or family ID says who is related
  degree: {settings.degree}  # {kin}
{shares}"""
    assert isinstance(settings, RandomSplitSettings)
    return f"""\
# Nothing in the files says who is related. Genotypes could not tell either: too few common variants, too many samples,
# or nearly all are kin. If samples are related, a random split parts relatives, and the score tells how well the model
# recognises them, not how well it predicts for new families. Better: a column that relatives share in the table
# (mother, litter, family), and by: column, column: that name; or families as FIDs in the .fam, and by: family.
split:
  by: random  # each sample on its own
{shares}"""


def in_comment(text: str) -> str:
    """Text that ends no line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)

"""What a model on genotypes leans on: a row for each variant and covariate that it uses, with the model's own labels.

The labels are the variants that the model itself carries in the order of its features, never those of a store, whose
columns may be more, or in another order. No sample's data is in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from genotune.columns import TargetKind
from genotune.genome.contig_names import natural_order
from genotune.store import NO_POSITION, FloatArray, IntArray, Values, Variants

IMPORTANCE_FILE: Final = "importance.tsv"
"""What the table is called in the model's folder, in the sweep's, and in the record."""

FeatureKind = Literal["variant", "component", "covariate", "feature"]

EFFECT: Final = "effect"
"""In the units of the trait, of one more copy of the counted allele or one unit more of a covariate."""

LINEAR_EFFECT: Final[Mapping[TargetKind, str]] = {
    "quantitative": EFFECT,
    "count": "effect_log_rate",
    "binary": "effect_log_odds",
    "multiclass": "effect_linear",
}
"""What such an effect is called where a generalised linear model adds it up: on the scale of its link. Of several
classes at once only differences between them mean something: the log-odds of one class against another."""

_RANKS: Final[Mapping[FeatureKind, int]] = {"variant": 0, "feature": 1, "component": 2, "covariate": 3}

_LABELS: Final = ("kind", "id", "contig", "position", "counted", "other", "frequency")


class Importance(NamedTuple):
    """How much each feature of a model counts for.

    Attributes:
        variants: of the first rows.
        others: names of the covariates, components and columns of further tables of the rows after them.
        n_components: so many of the others, those before the columns of tables, are components of the genotypes.
        measures: names of the columns of `values`.
        values: (variant + other, measure); NaN where a measure is not given of a feature.
        size: (variant + other,) what features are sorted by; 0 of one that the model doesn't use.
        n_of_tables: so many of the others, the last ones, are columns of further tables.
    """

    variants: Variants
    others: tuple[str, ...]
    n_components: int
    measures: tuple[str, ...]
    values: Values
    size: Values
    n_of_tables: int = 0

    @property
    def order(self) -> IntArray:
        """(used,) rows that the model uses: variants, columns of tables, components, covariates, the largest first.

        Of equal ones the first in the genome comes first. A copy of an allele and a year of age are not to be compared,
        so the kinds aren't mixed.
        """
        n = len(self.variants.ids)
        rank = np.array([0] * n + [_RANKS[self._kind_of(n + place)] for place in range(len(self.others))])
        place = np.concatenate([np.lexsort(_genome_keys(self.variants)).argsort(), n + np.arange(len(self.others))])
        order = np.lexsort((place, -self.size, rank))
        return order[self.size[order] > 0].astype(np.int64)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each feature that the model uses, in order, as plain values by column; None where it has no such value."""
        return (self._row(int(place)) for place in self.order)

    def _row(self, place: int) -> dict[str, Any]:
        values = {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(self.measures, self.values[place], strict=True)
        }
        return dict(zip(_LABELS, self._labels(place), strict=True)) | values

    def _labels(self, place: int) -> tuple[str | int | float | None, ...]:
        """Cells of the columns `_LABELS`; of a covariate or component the kind and the name alone."""
        n = len(self.variants.ids)
        if place >= n:
            return (self._kind_of(place), self.others[place - n], *(None,) * (len(_LABELS) - 2))
        name, contig, start, counted, other, frequency = (array[place].item() for array in self.variants)
        position = None if start == NO_POSITION else start + 1
        return ("variant", name, contig, position, counted, other, None if np.isnan(frequency) else frequency)

    def _kind_of(self, place: int) -> FeatureKind:
        """What a row is of, that is of no variant."""
        of_tables = len(self.variants.ids) + len(self.others) - self.n_of_tables
        if place >= of_tables:
            return "feature"
        return "component" if place >= of_tables - self.n_components else "covariate"

    def table_text(self) -> str:
        """The rows as a table with tabs between: kind, id, contig, 1-based position, alleles, frequency, measures."""
        lines = [(*_LABELS, *self.measures)]
        lines += [tuple(map(_cell, row.values())) for row in self.rows()]
        return "".join("\t".join(line) + "\n" for line in lines)

    def with_regression(self, names: tuple[str, ...], effects: Values, *, n_components: int) -> "Importance":
        """The same of a model from whose trait a regression on covariates and components was taken out before.

        Args:
            names: of the covariates and then the components; the model itself has columns of tables at most.
            effects: (name,) of one unit, in the units of the trait.
            n_components: so many of the names, the last ones, are components.
        """
        assert len(self.others) == self.n_of_tables, self.others
        measures = self.measures if EFFECT in self.measures else (*self.measures, EFFECT)
        n = len(self.variants.ids)
        mine = np.full((len(self.values), len(measures)), np.nan)
        mine[:, : len(self.measures)] = self.values
        taken_out = np.full((len(names), len(measures)), np.nan)
        taken_out[:, measures.index(EFFECT)] = effects
        return self._replace(
            others=(*names, *self.others),
            n_components=n_components,
            measures=measures,
            values=np.concatenate([mine[:n], taken_out, mine[n:]]),
            size=np.concatenate([self.size[:n], np.abs(effects), self.size[n:]]),
        )

    def of_tables(self, scales: FloatArray) -> "Importance":
        """The same, the last of the others being columns of tables that had been divided by these.

        Their effects become those of one unit in the table; they stay sorted by those of a scaled one.

        Args:
            scales: (column,).
        """
        values = self.values.copy()
        first = len(values) - len(scales)
        for column, name in enumerate(self.measures):
            if name.startswith(EFFECT):
                values[first:, column] /= scales
        return self._replace(values=values, n_of_tables=len(scales))


def table_of_traits(importances: Mapping[str, Importance]) -> str:
    """The tables of several traits as one, the trait's name first; a cell is empty where it has no such measure."""
    measures = dict.fromkeys(name for one in importances.values() for name in one.measures)
    lines = [("trait", *_LABELS, *measures)]
    lines += [
        (trait, *(_cell(row.get(name)) for name in (*_LABELS, *measures)))
        for trait, one in importances.items()
        for row in one.rows()
    ]
    return "".join("\t".join(line) + "\n" for line in lines)


def importance_of_effects(
    variants: Variants,
    covariate_names: tuple[str, ...],
    *,
    of_variants: Values,
    of_covariates: Values,
    measure: str,
    classes: Sequence[str] = (),
) -> Importance:
    """That of a model that adds up effects; its size is the largest of a feature over the classes, whatever its sign.

    Args:
        variants: of the model.
        covariate_names: of the model.
        of_variants: (variant, output) of one more copy of the counted allele.
        of_covariates: (covariate, output) of one unit more, on the covariate's own scale.
        measure: what an effect is called; see `LINEAR_EFFECT`.
        classes: names of the outputs, where there are several.
    """
    values = np.concatenate([of_variants, of_covariates]).astype(np.float64)
    measures = (measure,) if values.shape[1] == 1 else tuple(f"{measure}:{name}" for name in classes)
    assert values.shape == (len(variants.ids) + len(covariate_names), len(measures)), values.shape
    return Importance(variants, covariate_names, 0, measures, values, np.abs(values).max(axis=1, initial=0))


def _genome_keys(variants: Variants) -> tuple[IntArray, ...]:
    """Keys of a lexsort, the last one first: without a position last, by contig as people order them, by position."""
    unplaced = (variants.starts == NO_POSITION).astype(np.int64)
    return variants.starts, natural_order(variants.contigs), unplaced


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.7g}" if isinstance(value, float) else str(value)

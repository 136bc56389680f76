"""Columns of further tables as a family is to see them: filled in, coded and scaled by the training samples alone."""

from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from genotune.store import FloatArray, IntArray, TableColumn
from genotune.trainables.preparation import TablePreparation

_NUMBER: Final = -1
"""Stands for the level of a column that is made of numbers."""

_ABSENT: Final = -2
"""Stands for the level of a column that says where a category is missing."""


class TableRecipe(NamedTuple):
    """How columns of further tables of any samples are prepared as those of the training samples were.

    Attributes:
        columns: that are needed; of a category the levels that some training sample has.
        fill: (column,) float32, what stands for an unknown value; NaN where nothing does.
        source: (made,) which column each one that is made comes from.
        level: (made,) of a category the level that it is an indicator of; `_NUMBER` or `_ABSENT` otherwise.
        centre: (made,) float32, what is subtracted.
        scale: (made,) float32, what is divided by then.
    """

    columns: tuple[TableColumn, ...]
    fill: FloatArray
    source: IntArray
    level: IntArray
    centre: FloatArray
    scale: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that are made: 'table:column', of a category 'table:column=level'."""
        return tuple(map(self._name, self.source.tolist(), self.level.tolist()))

    def _name(self, source: int, level: int) -> str:
        column = self.columns[source]
        if level == _NUMBER:
            return column.name
        return f"{column.name} (missing)" if level == _ABSENT else f"{column.name}={column.levels[level]}"

    def made(self, values: FloatArray) -> FloatArray:
        """(sample, made) of (sample, column) values; an unknown number that nothing stands for stays NaN."""
        filled = np.where(np.isnan(values), self.fill, values)[:, self.source]
        is_number = self.level == _NUMBER
        indicator = np.where(self.level == _ABSENT, np.isnan(filled), filled == self.level)
        return ((np.where(is_number, filled, indicator) - self.centre) / self.scale).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All but the columns, by name."""
        return {name: part for name, part in self._asdict().items() if name != "columns"}

    def record(self) -> list[dict[str, Any]]:
        """The columns as plain values."""
        return [{"name": column.name, "levels": list(column.levels)} for column in self.columns]

    @classmethod
    def of_record(cls, columns: list[dict[str, Any]], arrays: dict[str, NDArray[Any]]) -> Self:
        """What `record` and `arrays` told of."""
        return cls(tuple(TableColumn(one["name"], tuple(one["levels"])) for one in columns), **arrays)


def fit_tables(
    chosen: TablePreparation, values: FloatArray, columns: tuple[TableColumn, ...], *, samples: IntArray
) -> TableRecipe:
    """The recipe of these samples; columns that don't vary among them are left out.

    Args:
        chosen: what to do.
        values: (sample, column) of all samples, see `GenotypeStore.features`.
        columns: what they are.
        samples: (n,) indices of the training samples; no other is looked at.
    """
    training = values[samples]
    kept: list[TableColumn] = []
    fills: list[float] = []
    sources: list[int] = []
    levels: list[int] = []
    for place, column in enumerate(columns):
        known = training[:, place][~np.isnan(training[:, place])]
        if not len(known):
            continue
        own = known_levels(column, known)
        fill, made = (
            _of_category(chosen, column, training[:, place], own=own)
            if column.levels
            else (_of_numbers(chosen, known), [_NUMBER])
        )
        sources += [len(kept)] * len(made)
        levels += made
        fills.append(fill)
        kept.append(TableColumn(column.name, own))
    recipe = TableRecipe(
        columns=tuple(kept),
        fill=np.array(fills, dtype=np.float32),
        source=np.array(sources, dtype=np.int64),
        level=np.array(levels, dtype=np.int64),
        centre=np.zeros(len(sources), dtype=np.float32),
        scale=np.ones(len(sources), dtype=np.float32),
    )
    return _scaled(recipe, in_levels_of(recipe.columns, values, columns, samples=samples), scale=chosen.scale)


def in_levels_of(
    wanted: tuple[TableColumn, ...], values: FloatArray, columns: tuple[TableColumn, ...], *, samples: IntArray
) -> FloatArray:
    """(n, wanted) values of these samples, a category's as indices of the levels that the wanted column knows.

    Args:
        wanted: among the columns, by their names.
        values: (sample, column) of all samples.
        columns: what they are.
        samples: (n,) indices.
    """
    place = {column.name: index for index, column in enumerate(columns)}
    lacking = [column.name for column in wanted if column.name not in place]
    assert not lacking, f"the store lacks {lacking[:3]}"
    found = values[samples[:, None], np.array([place[column.name] for column in wanted], dtype=np.int64)]
    for index, column in enumerate(wanted):
        theirs = columns[place[column.name]].levels
        if theirs != column.levels:
            own = {level: code for code, level in enumerate(column.levels)}
            codes = np.array([own.get(level, len(own)) for level in theirs] + [len(own)], dtype=np.float32)
            known = ~np.isnan(found[:, index])
            found[known, index] = codes[found[known, index].astype(np.int64)]
    return found


def known_levels(column: TableColumn, known: FloatArray) -> tuple[str, ...]:
    """The levels that stand among known values, in order; none of numbers."""
    return tuple(column.levels[code] for code in np.unique(known).astype(np.int64)) if column.levels else ()


def _of_numbers(chosen: TablePreparation, known: FloatArray) -> float:
    """What stands for an unknown number."""
    if chosen.numbers == "none":
        return np.nan
    return float(np.median(known) if chosen.numbers == "median" else known.mean(dtype=np.float64))


def _of_category(
    chosen: TablePreparation, column: TableColumn, training: FloatArray, *, own: tuple[str, ...]
) -> tuple[float, list[int]]:
    """What stands for an unknown level, and the levels that get a column, as indices among those that are known."""
    made = list(range(len(own)))
    if chosen.categories == "level":
        return np.nan, [*made, _ABSENT]
    counts = np.bincount(training[~np.isnan(training)].astype(np.int64), minlength=len(column.levels))
    return float(own.index(column.levels[int(counts.argmax())])), made


def _scaled(recipe: TableRecipe, training: FloatArray, *, scale: bool) -> TableRecipe:
    """The recipe without what doesn't vary among the training samples, and with mean 0 and variance 1 if asked for."""
    made = recipe.made(training).astype(np.float64)
    means, deviations = np.nanmean(made, axis=0), np.nanstd(made, axis=0)
    # Float32 can't tell a smaller spread from rounding.
    varies = np.flatnonzero(deviations > 1e-6 * np.abs(means))
    used, source = np.unique(recipe.source[varies], return_inverse=True)
    return TableRecipe(
        columns=tuple(recipe.columns[place] for place in used),
        fill=recipe.fill[used],
        source=source.astype(np.int64),
        level=recipe.level[varies],
        centre=means[varies].astype(np.float32) if scale else recipe.centre[varies],
        scale=deviations[varies].astype(np.float32) if scale else recipe.scale[varies],
    )

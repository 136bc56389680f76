"""Configurations of a person's own, to be tried before all others, found in the space of the sweep."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import Field

from genotune.errors import Problem
from genotune.settings import Settings
from genotune.tuning.domain_reading import YamlPath
from genotune.tuning.placing import Point, place
from genotune.tuning.space import Space


class OwnPoint(Settings):
    """A configuration of a person's own.

    Attributes:
        family: of the model; may be left out where there is one.
        params: a value for every parameter that is searched; fixed ones may be left out.
    """

    family: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)


class PlacedPoint(NamedTuple):
    """A person's point in the space; None, with the reasons, if it has no place there."""

    point: Point | None
    problems: list[Problem]


def place_all(points: Sequence[OwnPoint], space: Space) -> list[PlacedPoint]:
    """Each of a person's points in the space, the paths of its problems starting below `search`."""
    places: list[PlacedPoint] = []
    for index, own in enumerate(points):
        found = _place_of(own, space, ("points", index))
        seen = [one.point for one in places]
        if found.point is not None and found.point in seen:
            message = f"the same as point {seen.index(found.point) + 1} of this list; keep one."
            found = PlacedPoint(None, [Problem(("points", index), message)])
        places.append(found)
    return places


def _place_of(own: OwnPoint, space: Space, path: YamlPath) -> PlacedPoint:
    if own.family is None and len(space) != 1:
        message = f"family is missing: there are several, {', '.join(space)}."
        return PlacedPoint(None, [Problem(path, message)] if space else [])
    family = next(iter(space)) if own.family is None else own.family
    if family not in space:
        message = f"no model of this family in `models`. There: {', '.join(space)}."
        return PlacedPoint(None, [Problem((*path, "family"), f"found {family!r}; {message}")])
    picks, problems = place(space[family], own.params)
    if problems:
        return PlacedPoint(None, [Problem((*path, "params", *one.path), one.message) for one in problems])
    return PlacedPoint(Point(family, picks), [])

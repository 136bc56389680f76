"""What the sections of a bigWig hold, as runs: all items of many sections at once, by numpy.

Source of the layout: Kent et al. 2010, BigWig and BigBed, supplementary tables 5-16.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.genome.runs import Runs

_HEADER: Final = (
    *(("contig", "u4"), ("start", "u4"), ("end", "u4"), ("step", "u4"), ("span", "u4")),
    *(("kind", "u1"), ("reserved", "u1"), ("n_items", "u2")),
)
_BED_GRAPH, _VARIABLE_STEP, _FIXED_STEP = 1, 2, 3
# By kind; nothing where there is no such kind.
_ITEM_BYTES: Final = np.zeros(256, dtype=np.int64)
_ITEM_BYTES[[_BED_GRAPH, _VARIABLE_STEP, _FIXED_STEP]] = 12, 8, 4
_HEADER_BYTES: Final = 24
MOST_SECTION_BYTES: Final = _HEADER_BYTES + (2**16 - 1) * 12
_MOST_POSITION: Final = 2**32 - 1


class DamageError(Exception):
    """What is wrong with a file; who knows the place adds it."""


class Items(NamedTuple):
    """Items of sections, in the order of the file; they may overlap."""

    starts: NDArray[np.uint32]
    ends: NDArray[np.uint32]
    values: NDArray[np.float32]


def headers_of(sections: Sequence[bytes], order: str) -> NDArray[np.void]:
    """What sections say of themselves: (section,) with the fields of `_HEADER`.

    Args:
        sections: inflated.
        order: of bytes, '<' or '>'.

    Raises:
        DamageError: one is of no known kind, or too short for what it says.
    """
    sizes = np.array([len(section) for section in sections], dtype=np.int64)
    if (sizes < _HEADER_BYTES).any():
        raise DamageError(f"a section has {sizes.min()} bytes, its header alone takes {_HEADER_BYTES}")
    layout = np.dtype([(name, f"{order}{kind}") for name, kind in _HEADER])
    headers = np.frombuffer(b"".join([section[:_HEADER_BYTES] for section in sections]), dtype=layout)
    item_bytes = _ITEM_BYTES[headers["kind"]]
    if not item_bytes.all():
        raise DamageError(f"a section is of the unknown kind {headers['kind'][item_bytes.argmin()]}")
    short = np.flatnonzero(sizes < _ends(headers))
    if short.size:
        raise DamageError(f"a section has {sizes[short[0]]} bytes, not {_ends(headers)[short[0]]}")
    return headers


def _ends(headers: NDArray[np.void]) -> NDArray[np.int64]:
    """(section,) past its last item."""
    ends: NDArray[np.int64] = _HEADER_BYTES + headers["n_items"] * _ITEM_BYTES[headers["kind"]]
    return ends


def items_of(headers: NDArray[np.void], sections: Sequence[bytes], order: str) -> Items:
    """The items of sections of one contig.

    Raises:
        DamageError: one ends past the greatest position that there is.
    """
    kinds = headers["kind"]
    if len(set(kinds.tolist())) == 1:
        return _items_of_a_kind(headers, sections, order)
    # Each kind at once, and then each item to its place in the file.
    of_item = np.repeat(kinds, headers["n_items"])
    total = len(of_item)
    items = Items(np.empty(total, np.uint32), np.empty(total, np.uint32), np.empty(total, np.float32))
    for kind in set(kinds.tolist()):
        chosen = np.flatnonzero(kinds == kind)
        part = _items_of_a_kind(headers[chosen], [sections[index] for index in chosen.tolist()], order)
        for whole, some in zip(items, part, strict=True):
            whole[of_item == kind] = some
    return items


def _items_of_a_kind(headers: NDArray[np.void], sections: Sequence[bytes], order: str) -> Items:
    kind = int(headers["kind"][0])
    n_words = int(_ITEM_BYTES[kind]) // 4
    ends_of_sections = _ends(headers).tolist()
    content = b"".join(
        [memoryview(section)[_HEADER_BYTES:end] for section, end in zip(sections, ends_of_sections, strict=True)]
    )
    words = np.frombuffer(content, dtype=f"{order}u4").reshape(-1, n_words)
    values = np.frombuffer(content, dtype=f"{order}f4")[n_words - 1 :: n_words].astype(np.float32)
    if kind == _BED_GRAPH:
        return Items(words[:, 0].astype(np.uint32), words[:, 1].astype(np.uint32), values)
    begins, steps, spans, counts = (headers[name].astype(np.int64) for name in ("start", "step", "span", "n_items"))
    if kind == _VARIABLE_STEP:
        starts = words[:, 0].astype(np.int64)
    else:
        place = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = np.repeat(begins, counts) + place * np.repeat(steps, counts)
    ends = starts + np.repeat(spans, counts)
    if ends.size and ends.max() > _MOST_POSITION:
        raise DamageError(f"an item ends at {ends.max()}")
    return Items(starts.astype(np.uint32), ends.astype(np.uint32), values)


def clipped(items: Items, start: int, end: int) -> Runs:
    """The part of the items that lies in an interval, counted from its start.

    Where items overlap, what comes later in the file counts; a NaN is no value.

    Raises:
        DamageError: an item ends before it starts, or a value is infinite.
    """
    starts, ends, values = items
    is_finite = bool(np.isfinite(values).all())
    if not is_finite and np.isinf(values).any():
        raise DamageError("it holds infinite values, its summary tells of none")
    if (starts >= ends).any() or (starts[1:] < ends[:-1]).any():
        return _painted(items, start, end)
    inside = slice(ends.searchsorted(start, side="right"), starts.searchsorted(end, side="left"))
    starts, ends, values = starts[inside], ends[inside], values[inside]
    starts[:1] = np.maximum(starts[:1], start)
    ends[-1:] = np.minimum(ends[-1:], end)
    # Positions within a stretch are far below the greatest int32.
    runs = Runs((starts - np.uint32(start)).view(np.int32), (ends - np.uint32(start)).view(np.int32), values)
    if is_finite:
        return runs
    has_value = ~np.isnan(values)
    return Runs(runs.starts[has_value], runs.ends[has_value], values[has_value])


def _painted(items: Items, start: int, end: int) -> Runs:
    """The same of items that overlap, are out of order or empty: base by base, one over the other."""
    bases = np.full(end - start, np.nan, dtype=np.float32)
    for first, past, value in zip(*(column.tolist() for column in items), strict=True):
        if past < first:
            raise DamageError(f"an item at {first} ends at {past}")
        bases[max(first - start, 0) : max(past - start, 0)] = value
    places = np.flatnonzero(~np.isnan(bases)).astype(np.int32)
    return Runs(places, places + 1, bases[places])

"""A bigWig's values in any interval: its index tells which sections to inflate.

Source of the layout: Kent et al. 2010, BigWig and BigBed, supplementary tables 5-16.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from genotune.data.bigwig_sections import MOST_SECTION_BYTES, DamageError, Items, clipped, headers_of, items_of
from genotune.errors import DataError
from genotune.genome.runs import Runs

_MAGIC: Final = 0x888FFC26
_TREE_MAGIC: Final = 0x78CA8C91
_INDEX_MAGIC: Final = 0x2468ACE0
_HEADER: Final = "IHHQQQHHQQIQ"
_TREE_HEADER: Final = "IIIIQQ"
_INDEX_HEADER_BYTES: Final = 48
_KEPT_BYTES: Final = 1 << 24
_PLACE: Final = (("first_contig", "u4"), ("first_base", "u4"), ("last_contig", "u4"), ("last_base", "u4"))
_BRANCH: Final = (*_PLACE, ("offset", "u8"))
_LEAF: Final = (*_BRANCH, ("n_bytes", "u8"))


class PackedSection(NamedTuple):
    """Where a section lies in the file, and whether it may be another contig's."""

    offset: int
    n_bytes: int
    is_shared: bool


class _Node(NamedTuple):
    """Of the index.

    Attributes:
        is_leaf: whether items are sections; else further nodes.
        begins: (item,) where the first value lies, a contig and a base as one number.
        ends: (item,) past the last value, as one number.
        items: (item,) as in the file.
    """

    is_leaf: bool
    begins: NDArray[np.uint64]
    ends: NDArray[np.uint64]
    items: NDArray[np.void]


class BigWigReader:
    """An open bigWig. Not for several threads."""

    def __init__(self, path: Path, label: str) -> None:
        """Opens a file whose header `read_header` has found whole.

        Args:
            path: the file.
            label: what to call it in a fault.

        Raises:
            DataError: its header or its list of contigs is damaged.
        """
        self._label = label
        self._file = path.open("rb")
        # The C library hands what is freed back to the system, and for each stretch asks for it again, which takes as
        # long as inflating; once a block of this size was freed it keeps as much.
        np.empty(_KEPT_BYTES, dtype=np.uint8)
        self._nodes: dict[int, _Node] = {}
        # A section that reaches over a stretch's end begins the next stretch.
        self._last: tuple[int, bytes] = (-1, b"")
        try:
            self._n_bytes = os.fstat(self._file.fileno()).st_size
            self._order = _byte_order(self._read(0, 4))
            _, _, _, contigs, _, index, _, _, _, _, unpacked, _ = self._unpack(_HEADER, 0)
            # A file that names no size of its unpacked sections isn't compressed.
            self._inflate = _inflater(unpacked) if unpacked else _as_they_are
            self._contigs = dict(self._read_contigs(contigs))
            self._root = self._find_index(index)
        except DamageError as error:
            self._file.close()
            raise _as_fault(f"{label}: the header", error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def runs(self, contig: str, start: int, end: int) -> Runs:
        """The values of an interval; positions count from its start.

        Where items overlap, what comes later in the file counts; a stored NaN is no value.

        Raises:
            DataError: the file is damaged.
        """
        try:
            return clipped(self._items(self._number(contig), start, end), start, end)
        except DamageError as error:
            raise _as_fault(f"{self._label}: {contig}:{start}-{end}", error) from error

    def sections(self, contig: str, start: int, end: int) -> list[PackedSection]:
        """Those that may hold values of an interval, in the order of the index.

        Raises:
            DataError: the file is damaged.
        """
        try:
            return self._sections(self._number(contig), start, end)
        except DamageError as error:
            raise _as_fault(f"{self._label}: {contig}:{start}-{end}", error) from error

    def _read(self, offset: int, n_bytes: int) -> bytes:
        # Asked first: a size out of a damaged index may be more than there is memory.
        if offset + n_bytes > self._n_bytes:
            raise DamageError(f"byte {offset + n_bytes} is asked for, the file has {self._n_bytes}")
        content = os.pread(self._file.fileno(), n_bytes, offset)
        if len(content) != n_bytes:
            raise DamageError(f"it ends at byte {offset + len(content)}, it had {self._n_bytes}")
        return content

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        layout = f"{self._order}{layout}"
        return struct.unpack(layout, self._read(offset, struct.calcsize(layout)))

    def _find_index(self, offset: int) -> int:
        if self._unpack("I", offset)[0] != _INDEX_MAGIC:
            raise DamageError("no index where one should begin")
        return offset + _INDEX_HEADER_BYTES

    def _number(self, contig: str) -> int:
        if contig not in self._contigs:
            raise DamageError("its list of contigs lacks this one")
        return self._contigs[contig]

    def _read_contigs(self, offset: int) -> Iterator[tuple[str, int]]:
        """Name and number of each contig, from the B+ tree."""
        magic, _, key_bytes, value_bytes, _, _ = self._unpack(_TREE_HEADER, offset)
        if magic != _TREE_MAGIC or value_bytes != 8:
            raise DamageError("no list of contigs where one should begin")
        nodes, seen = [offset + struct.calcsize(f"<{_TREE_HEADER}")], set[int]()
        while nodes:
            node = nodes.pop()
            if node in seen:
                raise DamageError("its list of contigs runs in a circle")
            seen.add(node)
            is_leaf, _, n_items = self._unpack("BBH", node)
            layout = f"{self._order}{key_bytes}s" + ("II" if is_leaf else "Q")
            content = self._read(node + 4, n_items * struct.calcsize(layout))
            for key, *rest in struct.iter_unpack(layout, content):
                if is_leaf:
                    yield key.rstrip(b"\0").decode(errors="replace"), rest[0]
                else:
                    nodes.append(rest[0])

    def _node(self, offset: int) -> _Node:
        if offset not in self._nodes:
            is_leaf, _, n_items = self._unpack("BBH", offset)
            fields = _LEAF if is_leaf else _BRANCH
            layout = np.dtype([(name, f"{self._order}{kind}") for name, kind in fields])
            items = np.frombuffer(self._read(offset + 4, n_items * layout.itemsize), dtype=layout)
            begins = _place(items["first_contig"], items["first_base"])
            ends = _place(items["last_contig"], items["last_base"])
            self._nodes[offset] = _Node(bool(is_leaf), begins, ends, items)
        return self._nodes[offset]

    def _sections(self, contig: int, start: int, end: int) -> list[PackedSection]:
        sections: list[PackedSection] = []
        nodes, seen = [self._root], set[int]()
        while nodes:
            offset = nodes.pop()
            if offset in seen:
                raise DamageError("its index runs in a circle")
            seen.add(offset)
            node = self._node(offset)
            found = (node.begins < (contig << 32) + end) & (node.ends > (contig << 32) + start)
            items = node.items[found].tolist()
            if node.is_leaf:
                sections += [
                    PackedSection(place, n_bytes, first != last) for first, _, last, _, place, n_bytes in items
                ]
            else:
                nodes += [place for *_, place in reversed(items)]
        return sections

    def _items(self, contig: int, start: int, end: int) -> Items:
        """Items of all sections that touch the interval."""
        packed = self._sections(contig, start, end)
        sections = self._inflated(packed)
        headers = headers_of(sections, self._order)
        is_ours = headers["contig"] == contig
        # A leaf of the index may reach from one contig to the next.
        if not all(one.is_shared or ours for one, ours in zip(packed, is_ours.tolist(), strict=True)):
            raise DamageError("a section is another contig's than its index says")
        mine = np.flatnonzero(is_ours).tolist()
        return items_of(headers[mine], [sections[index] for index in mine], self._order)

    def _inflated(self, packed: Sequence[PackedSection]) -> list[bytes]:
        is_known = bool(packed) and packed[0].offset == self._last[0]
        sections = [self._last[1]] if is_known else []
        sections += self._inflate(self._read_all(packed[is_known:]))
        if packed:
            self._last = (packed[-1].offset, sections[-1])
        return sections

    def _read_all(self, packed: Sequence[PackedSection]) -> list[memoryview]:
        """Sections as they lie in the file, which they do one after the other, as a rule: one read for all."""
        first = min((one.offset for one in packed), default=0)
        span = max((one.offset + one.n_bytes for one in packed), default=0) - first
        if span > 2 * sum(one.n_bytes for one in packed):
            return [memoryview(self._read(one.offset, one.n_bytes)) for one in packed]
        content = memoryview(self._read(first, span))
        return [content[one.offset - first : one.offset - first + one.n_bytes] for one in packed]


def _place(contigs: NDArray[np.uint32], bases: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """The number that sorts as contig and base do."""
    places: NDArray[np.uint64] = np.bitwise_or(contigs.astype(np.uint64) << 32, bases)
    return places


def _byte_order(magic: bytes) -> str:
    for order in "<>":
        if magic == struct.pack(f"{order}I", _MAGIC):
            return order
    raise DamageError("it doesn't begin as a bigWig")


def _inflater(n_bytes: int) -> Callable[[Iterable[memoryview]], list[bytes]]:
    """What inflates sections of about this size, at most."""
    from isal import igzip_lib, isal_zlib

    # The library's stubs take this class for an error of it.
    broken = cast("type[Exception]", igzip_lib.IsalError)
    # A size out of a damaged header may be more than there is memory.
    n_bytes = min(n_bytes, MOST_SECTION_BYTES)

    def inflate(packed: Iterable[memoryview]) -> list[bytes]:
        try:
            return [isal_zlib.decompress(one, zlib.MAX_WBITS, n_bytes) for one in packed]
        except broken as error:
            raise DamageError(str(error)) from error

    return inflate


def _as_they_are(sections: Iterable[memoryview]) -> list[bytes]:
    return [bytes(one) for one in sections]


def _as_fault(place: str, error: DamageError) -> DataError:
    return DataError(f"{place} can't be read ({error}): the file is damaged. Copy it again.")

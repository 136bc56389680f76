"""What a bigWig says of itself, read with care: readers in C and Rust trust the offsets of a file that was cut short.

Source of the layout: Kent et al. 2010, BigWig and BigBed, supplementary tables 5-16.
"""

import contextlib
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from genotune.errors import DataError

_BIGWIG_MAGIC: Final = 0x888FFC26
_BIGBED_MAGIC: Final = 0x8789F2EB
_INDEX_MAGIC: Final = 0x2468ACE0
_HEADER_BYTES: Final = 64
_ZOOM_BYTES: Final = 24
_INDEX_HEADER_BYTES: Final = 48
_LEAF_BYTES: Final = 32
_BRANCH_BYTES: Final = 24
_SUMMARY_BYTES: Final = 40
_AGAIN: Final = "Copy it again."


class BigWigHeader(NamedTuple):
    """A bigWig that was found whole.

    Attributes:
        lengths: length of each contig in bp, in the order of the file.
        n_bases: bases with a value.
        minimum: the least value.
        maximum: the greatest value.
        total: sum of the values over all bases.
    """

    lengths: dict[str, int]
    n_bases: int
    minimum: float
    maximum: float
    total: float


class _Layout(NamedTuple):
    """Byte order, and where the parts lie."""

    order: str
    chromosomes: int
    data: int
    data_index: int
    summary: int
    zoom_indexes: tuple[int, ...]
    zoom_data: tuple[int, ...]


def read_header(path: Path, label: str) -> BigWigHeader:
    """Contigs and summary of a bigWig; no data is read.

    Args:
        path: the file.
        label: what to call it in a fault.

    Raises:
        DataError: it is missing, empty, something else, cut short, or holds nothing.
    """
    if not path.is_file():
        raise DataError(f"{label}: no such file (looked for {path}). Paths are relative to the spec's folder.")
    n_bytes = path.stat().st_size
    if n_bytes == 0:
        raise DataError(f"{label}: the file is empty; a bigWig is wanted.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        order = _byte_order(content, label)
        layout = _layout(content, order, label)
        _check_whole(content, layout, label)
    return _facts(path, label)


@contextlib.contextmanager
def damage_named(place: str) -> Iterator[None]:
    """What pybigtools raises over a damaged file, as a DataError that begins with the place.

    Raises:
        DataError: the file is damaged.
    """
    import pybigtools

    try:
        yield
    except BaseException as error:
        # A panic in Rust is no Exception, and its class can't be imported.
        is_panic = type(error).__name__ == "PanicException"
        if not (is_panic or isinstance(error, pybigtools.BBIReadError | KeyError)):
            raise
        raise DataError(f"{place} can't be read ({error}): the file is damaged. {_AGAIN}") from error


def _facts(path: Path, label: str) -> BigWigHeader:
    import pybigtools

    with damage_named(f"{label}: the header"), pybigtools.open(str(path)) as bigwig:
        summary, lengths = bigwig.info()["summary"], bigwig.chroms()
    return BigWigHeader(
        lengths=lengths,
        n_bases=summary["basesCovered"],
        minimum=summary["min"],
        maximum=summary["max"],
        total=summary["sum"],
    )


def _byte_order(content: mmap.mmap, label: str) -> str:
    head = content[:16]
    for order in "<>":
        if len(head) < 4:
            break
        (magic,) = struct.unpack_from(f"{order}I", head)
        if magic == _BIGWIG_MAGIC:
            return order
        if magic == _BIGBED_MAGIC:
            raise DataError(f"{label}: a bigBed, which holds intervals; a bigWig, which holds a signal, is wanted.")
    if head.startswith(b"\x1f\x8b"):
        raise DataError(f"{label}: gzipped; a bigWig is compressed inside already. Run: gunzip {label}")
    if head.isascii() and head[:4].decode().isprintable():
        text = head.split(b"\n")[0].decode()
        raise DataError(
            f"{label}: text, not a bigWig: it begins with {text!r}. Convert it with wigToBigWig or bedGraphToBigWig."
        )
    raise DataError(f"{label}: not a bigWig: it begins with the bytes {head[:4].hex(' ')}.")


def _layout(content: mmap.mmap, order: str, label: str) -> _Layout:
    n_bytes = len(content)
    if n_bytes < _HEADER_BYTES:
        raise DataError(f"{label}: cut short: it has {n_bytes} bytes, a header alone takes {_HEADER_BYTES}. {_AGAIN}")
    _, _, n_zooms, chromosomes, data, index, _, _, _, summary = struct.unpack_from(f"{order}IHHQQQHHQQ", content)
    if n_bytes < _HEADER_BYTES + n_zooms * _ZOOM_BYTES:
        raise DataError(f"{label}: cut short: it ends after {n_bytes} bytes, within its header. {_AGAIN}")
    zooms = [
        struct.unpack_from(f"{order}IIQQ", content, _HEADER_BYTES + level * _ZOOM_BYTES) for level in range(n_zooms)
    ]
    # A level that was set aside and never filled is all zeros.
    zooms = [zoom for zoom in zooms if zoom[0]]
    return _Layout(
        order, chromosomes, data, index, summary, tuple(zoom[3] for zoom in zooms), tuple(zoom[2] for zoom in zooms)
    )


def _check_whole(content: mmap.mmap, layout: _Layout, label: str) -> None:
    n_bytes = len(content)
    if layout.data_index == 0:
        raise DataError(f"{label}: holds no values. Was its making cut off?")
    parts = {
        "list of contigs": layout.chromosomes,
        "data": layout.data,
        "index": layout.data_index + _INDEX_HEADER_BYTES,
        "summary": layout.summary + _SUMMARY_BYTES if layout.summary else 0,
        "coarser levels": max(
            *layout.zoom_data, *(offset + _INDEX_HEADER_BYTES for offset in layout.zoom_indexes), 0, 0
        ),
    }
    for part, offset in parts.items():
        if offset > n_bytes:
            raise DataError(
                f"{label}: cut short: its {part} should reach byte {offset} at least, the file has {n_bytes}. {_AGAIN}"
            )
    # Writers close a file with its magic, though not all: then the part that was written last tells.
    if content[-4:] != struct.pack(f"{layout.order}I", _BIGWIG_MAGIC):
        last_index = max(layout.data_index, *layout.zoom_indexes, 0)
        if max(_reach(content, last_index, layout.order), default=n_bytes + 1) > n_bytes:
            raise DataError(
                f"{label}: cut short: it doesn't end as a bigWig ends, and its last index isn't whole. {_AGAIN}"
            )


def _reach(content: mmap.mmap, offset: int, order: str) -> Iterator[int]:
    """The end of each node of an index and of each block that it points to; past the file's end if it isn't whole."""
    beyond = len(content) + 1
    (magic,) = struct.unpack_from(f"{order}I", content, offset)
    if magic != _INDEX_MAGIC:
        yield beyond
        return
    nodes = [offset + _INDEX_HEADER_BYTES]
    seen: set[int] = set()
    while nodes:
        node = nodes.pop()
        if node + 4 > len(content) or node in seen:
            yield beyond
            return
        seen.add(node)
        is_leaf, _, n_items = struct.unpack_from(f"{order}BBH", content, node)
        item_bytes = _LEAF_BYTES if is_leaf else _BRANCH_BYTES
        end = node + 4 + n_items * item_bytes
        yield end
        if end > len(content):
            return
        for item in range(node + 4, end, item_bytes):
            (place,) = struct.unpack_from(f"{order}Q", content, item + 16)
            if is_leaf:
                yield place + struct.unpack_from(f"{order}Q", content, item + 24)[0]
            else:
                nodes.append(place)

"""The blocks of a bgzip file, without inflating them.

Source of the layout: SAM/BAM format specification, section 4.1, "The BGZF compression format".
"""

import mmap
import struct
from pathlib import Path
from typing import Final

from genotune.errors import DataError

GZIP_MAGIC: Final = b"\x1f\x8b"

_BLOCK_START: Final = b"\x1f\x8b\x08\x04"
_FIXED_HEADER: Final = 12
_AGAIN: Final = "Copy it again."


def text_size(path: Path, label: str) -> int:
    """Bytes of the text that a bgzip file holds.

    Args:
        path: a file that begins with gzip's magic.
        label: what to call it in a fault.

    Raises:
        DataError: it is plain gzip, cut short, or damaged.
    """
    n_bytes = path.stat().st_size
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        offset = total = n_text = 0
        while offset < n_bytes:
            block_size = _block_size(content, offset)
            if block_size is None:
                raise DataError(_not_a_block(content, offset, label))
            offset += block_size
            if offset > n_bytes:
                raise DataError(f"{label}: cut short: a block ends at byte {offset}, the file at {n_bytes}. {_AGAIN}")
            (n_text,) = struct.unpack_from("<I", content, offset - 4)
            total += n_text
    if n_text:
        raise DataError(f"{label}: cut short: the empty block that ends a bgzip file is missing. {_AGAIN}")
    return total


def _block_size(content: mmap.mmap, offset: int) -> int | None:
    """Of the block at an offset; None where none begins, or its header isn't whole."""
    if content[offset : offset + 4] != _BLOCK_START or offset + _FIXED_HEADER > len(content):
        return None
    (n_extra,) = struct.unpack_from("<H", content, offset + 10)
    field, end = offset + _FIXED_HEADER, offset + _FIXED_HEADER + n_extra
    while field + 6 <= min(end, len(content)):
        tag, length = content[field : field + 2], struct.unpack_from("<H", content, field + 2)[0]
        if tag == b"BC" and length == 2:
            return int(struct.unpack_from("<H", content, field + 4)[0]) + 1
        field += 4 + length
    return None


def _not_a_block(content: mmap.mmap, offset: int, label: str) -> str:
    n_bytes = len(content)
    if n_bytes - offset < _FIXED_HEADER + 6:
        return f"{label}: cut short: its last block ends after {n_bytes - offset} bytes. {_AGAIN}"
    if offset:
        return f"{label}: damaged: no bgzip block begins at byte {offset}, where one should. {_AGAIN}"
    plain = label.removesuffix(".gz")
    return (
        f"{label}: plain gzip, in which no place can be found without reading all before it. "
        f"Run: gunzip {label} && bgzip {plain}"
    )

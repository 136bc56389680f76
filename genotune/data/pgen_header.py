"""What the header of a .pgen says: how much is in it, whether in fractions of a copy, and where it ends.

Source of the layout: PLINK 2 file format specification, PGEN, header.
"""

from typing import Final, NamedTuple

import numpy as np

from genotune.data.files import InputFile
from genotune.errors import DataError
from genotune.store import IntArray

PGEN_MAGIC: Final = b"\x6c\x1b"

_BED: Final = (0x00, 0x01)
_FIXED_WIDTH: Final = 0x02
_STANDARD: Final = (0x10, 0x11)
_APART: Final = (0x20, 0x21)
_INDEX: Final = (0x30, 0x31)
_FIXED_BYTES: Final = 12
_BLOCK: Final = 1 << 16
_LONG_TYPES: Final = 4
"""From this way of storing records on, a record's type has 8 bits: of 4 bits none says that there are dosages."""

_HAS_DOSAGES: Final = 0x60


class PgenHeader(NamedTuple):
    """What a .pgen holds.

    Attributes:
        n_samples: of them.
        n_variants: of them.
        is_fractional: some variants have dosages in fractions of a copy.
    """

    n_samples: int
    n_variants: int
    is_fractional: bool


def read_pgen_header(file: InputFile) -> PgenHeader:
    """The header of a .pgen; no genotype is read.

    Raises:
        DataError: it is something else, stored in a way that isn't known or split from its index, or cut short.
    """
    size = file.path.stat().st_size
    with file.path.open("rb") as content:
        head = content.read(_FIXED_BYTES)
        _check_mode(file, head)
        if len(head) < _FIXED_BYTES:
            raise _cut_short(file, size)
        n_variants, n_samples = (int(number) for number in np.frombuffer(head[3:11], dtype="<u4"))
        if not n_variants or not n_samples:
            raise DataError(f"{file.label}: holds {n_variants} variants of {n_samples} samples. Write it again.")
        if head[2] == _FIXED_WIDTH:
            if size < _FIXED_BYTES + n_variants * -(-n_samples // 4):
                raise _cut_short(file, size)
            return PgenHeader(n_samples, n_variants, is_fractional=False)
        rest = content.read(_rest_nbytes(n_variants, head[11]))
    if len(rest) < _rest_nbytes(n_variants, head[11]):
        raise _cut_short(file, size)
    types, end = _records(rest, n_variants, how=head[11])
    if size < end:
        raise _cut_short(file, size, wanted=end)
    return PgenHeader(n_samples, n_variants, bool((types & _HAS_DOSAGES).any()))


def _check_mode(file: InputFile, head: bytes) -> None:
    label, stem = file.label, file.label.removesuffix(".pgen")
    if not head:
        raise DataError(f"{label}: the file is empty; a .pgen of PLINK 2 is wanted.")
    if head[:2] != PGEN_MAGIC:
        raise DataError(
            f"{label}: begins with {head[:3].hex(' ')}; not a .pgen of PLINK 2 ({PGEN_MAGIC.hex(' ')}). "
            "Name the .pgen of a fileset."
        )
    if len(head) < 3:
        raise _cut_short(file, len(head))
    mode = head[2]
    if mode in _BED:
        raise DataError(f"{label}: a .bed of PLINK 1 under another name. Rename it to {stem}.bed.")
    if mode in (*_APART, *_INDEX):
        found = "an index of a .pgen" if mode in _INDEX else "a .pgen whose index is a file of its own (.pgen.pgi)"
        raise DataError(
            f"{label}: {found}; one with its index within is wanted. Write it so: "
            f"plink2 --pfile {stem} --make-pgen --out {stem}-new"
        )
    if mode not in (_FIXED_WIDTH, *_STANDARD):
        raise DataError(
            f"{label}: a .pgen in storage mode {mode:#04x}; 0x02, 0x10 and 0x11 can be read. Write it so: "
            f"plink2 --pfile {stem} --make-pgen --out {stem}-new"
        )


def _cut_short(file: InputFile, size: int, *, wanted: int | None = None) -> DataError:
    lacks = "less than its header says" if wanted is None else f"its header says {wanted}"
    return DataError(f"{file.label}: cut short: it has {size} bytes, {lacks}. Copy it again.")


def _block_sizes(n_variants: int) -> list[int]:
    return [min(_BLOCK, n_variants - first) for first in range(0, n_variants, _BLOCK)]


def _parts_nbytes(n: int, how: int) -> tuple[int, int, int]:
    """Of a block of n variants, bytes of its records' types, their lengths, and what else is said of them."""
    way, allele_count, reference = how & 0xF, how >> 4 & 3, how >> 6
    types = n if way >= _LONG_TYPES else -(-n // 2)
    return types, n * (1 + way % 4), n * allele_count + (-(-n // 8) if reference == 3 else 0)


def _rest_nbytes(n_variants: int, how: int) -> int:
    """Bytes of the header after its fixed part."""
    return sum(8 + sum(_parts_nbytes(n, how)) for n in _block_sizes(n_variants))


def _records(rest: bytes, n_variants: int, *, how: int) -> tuple[IntArray, int]:
    """(variant,) types of the records, as far as they may have dosages, and where the last one ends."""
    sizes = _block_sizes(n_variants)
    content = np.frombuffer(rest, dtype=np.uint8)
    offsets = content[: 8 * len(sizes)].view("<u8")
    at, types, end = 8 * len(sizes), [np.zeros(0, dtype=np.int64)], 0
    for offset, n in zip(offsets.tolist(), sizes, strict=True):
        n_types, n_lengths, n_more = _parts_nbytes(n, how)
        if how & 0xF >= _LONG_TYPES:
            types.append(content[at : at + n_types].astype(np.int64))
        width = n_lengths // n
        lengths = content[at + n_types : at + n_types + n_lengths].reshape(n, width).astype(np.int64)
        end = max(end, offset + int((lengths << (8 * np.arange(width))).sum()))
        at += n_types + n_lengths + n_more
    return np.concatenate(types), end

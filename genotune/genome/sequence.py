"""Base codes: A C G T N as 0 1 2 3 4."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from genotune.errors import DataError
from genotune.store import N_CODE, CodeArray

_LETTERS: Final = b"ACGTN"
_AMBIGUOUS: Final = b"NRYSWKMBDHVUX-"
_INVALID: Final = 255


def _code_table() -> CodeArray:
    table = np.full(256, _INVALID, dtype=np.uint8)
    for letters in (_AMBIGUOUS, _AMBIGUOUS.lower()):
        table[list(letters)] = N_CODE
    for code, letter in enumerate(_LETTERS[:N_CODE]):
        table[[letter, ord(chr(letter).lower())]] = code
    return table


_CODES: Final = _code_table()
_COMPLEMENT: Final = np.array([3, 2, 1, 0, N_CODE], dtype=np.uint8)
_ONE_HOT: Final = np.vstack([np.eye(N_CODE, dtype=np.float32), np.zeros((1, N_CODE), dtype=np.float32)])


def encode(text: bytes) -> CodeArray:
    """Codes of a sequence in IUPAC letters; lower case (soft-masked) as upper, every ambiguous letter as N.

    Returns:
        (base,).

    Raises:
        DataError: a byte is no IUPAC letter of a nucleotide.
    """
    codes: CodeArray = _CODES[np.frombuffer(text, dtype=np.uint8)]
    strange = np.flatnonzero(codes == _INVALID)
    if strange.size:
        found = text[strange[0] : strange[0] + 1]
        raise DataError(f"{found!r} at base {strange[0]} is no letter of a nucleotide (IUPAC: ACGT, N, RYSWKMBDHV).")
    return codes


def decode(codes: CodeArray) -> str:
    """The letters of codes (base,)."""
    return np.frombuffer(_LETTERS, dtype=np.uint8)[codes].tobytes().decode()


def reverse_complement(codes: CodeArray) -> CodeArray:
    """Codes of the other strand, read in its own direction; (..., base)."""
    return _COMPLEMENT[codes[..., ::-1]]


def one_hot(codes: CodeArray) -> NDArray[np.float32]:
    """One-hot of codes (..., base), channels first: (..., 4, base); N is zero in all four."""
    return np.moveaxis(_ONE_HOT[codes], -1, -2)

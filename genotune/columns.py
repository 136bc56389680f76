"""The names of what flows from a source to a trainable. A source yields columns; a family needs some of them."""

from typing import Final

SEQUENCE: Final = "sequence"
"""Base codes, uint8: A C G T N as 0 1 2 3 4."""

SIGNAL: Final = "signal"
"""Mean signal per base in a bin, float32, (track, bin); NaN where there is no value or the bin is excluded."""

CONTIG: Final = "contig"
"""Index of the contig that a stretch lies on."""

START: Final = "start"
"""First base of a stretch on its contig, 0-based."""

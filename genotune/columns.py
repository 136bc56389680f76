"""The names of what flows from a source to a trainable. A source yields columns; a family needs some of them."""

from typing import Final, Literal

SEQUENCE: Final = "sequence"
"""Base codes, uint8: A C G T N as 0 1 2 3 4."""

SIGNAL: Final = "signal"
"""Mean signal per base in a bin, float32, (track, bin); NaN where there is no value or the bin is excluded."""

CONTIG: Final = "contig"
"""Index of the contig that a stretch lies on."""

START: Final = "start"
"""First base of a stretch on its contig, 0-based."""

VARIANT: Final = "variant"
"""Index of a variant in its fileset."""

DOSAGE: Final = "dosage"
"""Copies of the counted allele of a variant, (sample,), in the code of a store: see `store.copies`."""

PHENOTYPE: Final = "phenotype"
"""A sample's value of the trait, float64: a number, or the index of its class."""

COVARIATE: Final = "covariate"
"""What is known of a sample beside its genotype, float32, (covariate,)."""

TargetKind = Literal["signal", "quantitative", "binary", "multiclass", "count"]
"""What is predicted: a track's signal; a real number, one of two classes, one of several, or a count of a sample."""

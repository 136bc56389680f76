"""What a source makes and a trainable reads: a few contiguous arrays, shared by all trials of a node.

All arrays are read-only in a trial: they lie in shared memory. An outline is what is known of a store before that.
"""

from genotune.store.arrays import CodeArray, DosageArray, FloatArray, IntArray, Splits, TextArray, TrackSplits, Values
from genotune.store.genotypes import (
    DOSAGE_STEPS,
    MISSING_DOSAGE,
    MISSING_STEPS,
    NO_POSITION,
    GenotypeOutline,
    GenotypeStore,
    TableColumn,
    TraitsStore,
    Variants,
    copies,
    missing_code,
)
from genotune.store.sequence import LABEL_SHARE, N_CODE, Peaks, SequenceOutline, SequenceStore, Windows

Outline = SequenceOutline | GenotypeOutline

Store = SequenceStore | GenotypeStore | TraitsStore

__all__ = [
    "DOSAGE_STEPS",
    "LABEL_SHARE",
    "MISSING_DOSAGE",
    "MISSING_STEPS",
    "NO_POSITION",
    "N_CODE",
    "CodeArray",
    "DosageArray",
    "FloatArray",
    "GenotypeOutline",
    "GenotypeStore",
    "IntArray",
    "Outline",
    "Peaks",
    "SequenceOutline",
    "SequenceStore",
    "Splits",
    "Store",
    "TableColumn",
    "TextArray",
    "TrackSplits",
    "TraitsStore",
    "Values",
    "Variants",
    "Windows",
    "copies",
    "missing_code",
]

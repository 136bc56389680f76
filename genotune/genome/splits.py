"""How a spec may split its data. To add a way: a file here, and its name in the union below."""

from typing import Annotated

from pydantic import Field

from genotune.genome.contig_splits import ContigGroupSplitSettings, ContigSplits, ContigSplitSettings
from genotune.genome.fold import Fold
from genotune.genome.genome_table import GenomeSplitSettings, GenomeTable
from genotune.genome.homology_splits import HomologySplitSettings
from genotune.genome.kinship_splits import KinshipSplitSettings
from genotune.genome.sample_groups import SampleTable
from genotune.genome.sample_splits import (
    ColumnSplitSettings,
    FamilySplitSettings,
    RandomSplitSettings,
    SampleSplitSettings,
)
from genotune.genome.track_splits import TrackSplitSettings

__all__ = [
    "ColumnSplitSettings",
    "ContigGroupSplitSettings",
    "ContigSplitSettings",
    "ContigSplits",
    "FamilySplitSettings",
    "Fold",
    "GenomeSplitSettings",
    "GenomeTable",
    "HomologySplitSettings",
    "KinshipSplitSettings",
    "RandomSplitSettings",
    "SampleSplitSettings",
    "SampleTable",
    "SplitSettings",
    "TrackSplitSettings",
]

SplitSettings = Annotated[
    ContigSplitSettings
    | ContigGroupSplitSettings
    | TrackSplitSettings
    | HomologySplitSettings
    | ColumnSplitSettings
    | FamilySplitSettings
    | KinshipSplitSettings
    | RandomSplitSettings,
    Field(discriminator="by"),
]
"""The registry."""

"""How a spec may split its data. To add a way: a file here, and its name in the union below."""

from typing import Annotated, Final, get_args

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
    "NESTED",
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

NESTED: Final = frozenset(
    get_args(kind.model_fields["by"].annotation)[0]
    for kind in get_args(get_args(SplitSettings)[0])
    if "outer_folds" in kind.model_fields
)
"""The words of those that may hold out each part in turn, as nested folds."""

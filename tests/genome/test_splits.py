"""The registry of splits."""

import pytest
from pydantic import ValidationError

from genotune.genome.splits import SplitSettings
from genotune.settings import build


def test_a_split_is_of_contigs_tracks_or_samples():
    kinds = "'contig', 'contig_group', 'track', 'homology', 'column', 'family', 'kinship', 'random'"
    with pytest.raises(ValidationError, match=kinds):
        build(SplitSettings, {"by": "chance"})

"""Near-identical sequences are never in two splits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from genotune.genome.genome_table import GenomeTable
from genotune.genome.splits import SplitSettings
from genotune.settings import build


def split(**values):
    return build(SplitSettings, {"by": "homology", "validation": 0.25, "test": 0.25, "seed": 1, **values})


def table_of(kinds, *, n_bases=2000, resolution_bp=1):
    """A contig for each number; those with the same number have the same sequence."""
    codes = [np.random.default_rng(kind).integers(0, 4, n_bases).astype(np.uint8) for kind in kinds]
    contigs = {f"c{index}": n_bases for index in range(len(kinds))}
    return GenomeTable(contigs, resolution_bp=resolution_bp, read=lambda: codes)


@settings(max_examples=30, deadline=None)
@given(kinds=st.lists(st.integers(0, 6), min_size=3, max_size=12), seed=st.integers(0, 20))
def test_what_is_alike_is_in_one_split_and_no_split_is_empty(kinds, seed):
    table, settings = table_of(kinds), split(seed=seed)
    if settings.problems(table):
        assert len({*kinds}) < 3
        return
    fold = settings.resolve(table)
    assert sorted(np.concatenate([*fold]).tolist()) == [*range(len(kinds))]
    assert all(map(len, fold))
    seen = [{kinds[index] for index in part} for part in fold]
    assert sum(map(len, seen)) == len({*kinds})


def test_shares_are_of_bases():
    lengths = [1000, 3000, 4000, 2000, 6000, 4000]
    codes = [np.random.default_rng(seed).integers(0, 4, n).astype(np.uint8) for seed, n in enumerate(lengths)]
    table = GenomeTable({f"c{index}": n for index, n in enumerate(lengths)}, read=lambda: codes)
    for seed in range(10):
        held = [
            sum(lengths[index] for index in part) for part in split(seed=seed, validation=0.2, test=0.3).resolve(table)
        ]
        assert held[1] == pytest.approx(4000, abs=2000)
        assert held[2] == pytest.approx(6000, abs=2000)


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    table = table_of(range(12))
    first, again, other = (split(seed=seed).resolve(table).test.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_folds_keep_together_what_is_alike():
    kinds = [0, 0, 1, 1, 2, 3, 4, 4]
    table, settings = table_of(kinds), split()
    fold = settings.resolve(table)
    folds = settings.folds(table, fold, n_folds=3)
    assert len(folds) == 3
    for one in folds:
        assert one.test.tolist() == fold.test.tolist()
        assert not {kinds[index] for index in one.train} & {kinds[index] for index in one.validation}


@pytest.mark.parametrize(
    ("kinds", "held"),
    [([0, 0, 0, 0], "make 1 group of near-identical"), ([0, 1, 0, 1], "make 2 groups of near-identical")],
)
def test_too_few_groups_are_a_fault_that_says_what_may_help(kinds, held):
    (problem,) = split().problems(table_of(kinds))
    assert problem.path == ("by",)
    assert held in problem.message
    assert "Raise identity, give block_bp, to split within contigs, or split by: contig." in problem.message
    (problem,) = split(block_bp=2000).problems(table_of(kinds))
    assert "the 4 blocks make" in problem.message
    assert "give a smaller block_bp" in problem.message


def test_blocks_must_be_whole_bins_and_nothing_is_read_before_they_are():
    table = GenomeTable({"c": 9000}, resolution_bp=32)
    (problem,) = split(block_bp=1000).problems(table)
    assert problem == (("block_bp",), "found 1000; must be a whole multiple of data.resolution_bp (32), e.g. 1024.")


def test_the_sequence_is_read_once():
    table, n_read = table_of(range(6)), []
    counted = GenomeTable(table.contigs, read=lambda: n_read.append(1) or table.read())
    settings = split()
    assert settings.problems(counted) == []
    settings.folds(counted, settings.resolve(counted), n_folds=2)
    settings.notes(counted)
    assert len(n_read) == 1


def test_a_note_says_what_was_read_and_found():
    (note,) = split().notes(table_of([0, 0, 1, 2, 3, 4, 5, 6]))
    assert note == (
        "the whole reference (16,000 bp) was read to compare sequences: 8 contigs make 7 groups, the largest of 25.0% "
        "of the bases."
    )


def test_a_split_far_from_its_share_gets_a_note():
    notes = split(validation=0.05, test=0.05).notes(table_of(range(4)))
    assert notes[1:] == (
        "validation holds 25.0% of the bases, where 5.0% was asked for: groups are taken whole. Another seed may come "
        "nearer.",
        "test holds 25.0% of the bases, where 5.0% was asked for: groups are taken whole. Another seed may come "
        "nearer.",
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"test": 0.8}, r"validation \(0.25\) and test \(0.8\) leave nothing to train on"),
        ({"test": 1.5}, "must be a share of the bases between 0 and 1, e.g. 0.2"),
        ({"test": ["chrI"]}, "must be a share of the bases between 0 and 1"),
        ({"identity": 0.5}, "greater than or equal to 0.8"),
        ({"block_bp": 10}, "greater than or equal to 1000"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        split(**values)

"""Splits of tracks by track, by groups of contigs and by homology, from files to the store."""

import numpy as np
import pytest

from genotune.data import AnySourceSettings
from genotune.errors import DataError
from genotune.genome.splits import SplitSettings
from genotune.settings import build


def random_bases(n_bases, *, seed):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), n_bases))


def planned(files, split, **values):
    """The plan of the two tracks a and b, cut for a split."""
    settings = build(SplitSettings, split)
    return build(AnySourceSettings, files.data(**values)).plan(files.folder).cut_for(settings), settings


def test_tracks_of_a_split_are_shown_and_recorded(files):
    tracks = {name: {"path": f"{'ab'[index % 2]}.bw"} for index, name in enumerate(("liver", "lung", "heart"))}
    split = {"by": "track", "validation": ["lung"], "test": ["heart"]}
    plan, settings = planned(files, split, tracks=tracks)
    assert plan.split_problems(settings) == []
    fold = plan.resolve(settings)
    assert [part.tolist() for part in fold.tracks] == [[0], [1], [2]]
    headers, rows = plan.split_table(fold, settings)
    assert headers[0] == "tracks on contigs"
    assert rows["test"][0] == "heart on chrI, chrII, chrIII" == plan.name_split(fold.test, fold.tracks.test)
    assert plan.record(fold)["track_splits"] == {"train": ["liver"], "validation": ["lung"], "test": ["heart"]}
    assert [one.tracks.test.tolist() for one in plan.folds(fold, settings, n_folds=2)] == [[2], [2]]


def test_a_record_of_contigs_alone_tells_of_no_split_of_tracks(files):
    plan, settings = planned(files, {"by": "contig", "validation": ["chrII"], "test": ["chrIII"]})
    assert "track_splits" not in plan.record(plan.resolve(settings))


def test_strands_of_the_data_are_not_parted(files):
    tracks = {name: {"path": f"{'ab'[index % 2]}.bw"} for index, name in enumerate(("p", "m", "other"))}
    split = {"by": "track", "validation": ["m"], "test": ["other"]}
    plan, settings = planned(files, split, tracks=tracks, strands=[["p", "m"]])
    (problem,) = plan.split_problems(settings)
    assert problem.path == ("validation", 0)


HOMOLOGY = {"by": "homology", "validation": 0.25, "test": 0.25}


def test_whole_contigs_are_compared_unless_blocks_are_asked_for(files, build_fasta):
    first = random_bases(1003, seed=0)
    build_fasta(
        files.folder / "ref.fa", {"chrI": first, "chrII": first[200:840].lower(), "chrIII": random_bases(77, seed=1)}
    )
    plan, settings = planned(files, HOMOLOGY)
    assert plan.members == plan.contigs
    (problem,) = plan.split_problems(settings)
    assert "the 3 contigs make 2 groups" in problem.message


@pytest.mark.parametrize(("resolution_bp", "block_bp"), [(1, 1000), (20, 1000), (167, 1002)])
def test_a_store_of_blocks_holds_what_the_contigs_hold(files, resolution_bp, block_bp):
    files.folder.joinpath("peaks.bed").write_text("chrI\t900\t1003\nchrII\t10\t40\n")
    values = {"resolution_bp": resolution_bp, "peaks": {"p": {"path": "peaks.bed"}}}
    whole, _ = planned(files, {"by": "contig", "validation": ["chrII"], "test": ["chrIII"]}, **values)
    plan, settings = planned(files, {**HOMOLOGY, "block_bp": block_bp}, **values)
    assert plan.split_problems(settings) == []
    fold = plan.resolve(settings)
    cut, store = plan.read_store_here(fold).store, whole.read_store_here(fold).store
    np.testing.assert_array_equal(cut.signal, store.signal)
    np.testing.assert_array_equal(cut.sequence, store.sequence)
    assert cut.contigs == (f"chrI:0-{block_bp}", f"chrI:{block_bp}-1003", "chrII:0-640", "chrIII:0-77")
    assert sorted(np.concatenate([*fold]).tolist()) == [0, 1, 2, 3]
    assert cut.peaks["p"].contigs.tolist() == [0, 1, 2]
    assert sum(plan.outline(part).n_peaks["p"] for part in fold) == 3
    assert plan.n_bins == whole.n_bins == cut.offsets[-1]


def test_blocks_that_are_not_whole_bins_are_a_fault_and_cut_nothing(files):
    plan, settings = planned(files, {**HOMOLOGY, "block_bp": 1001})
    assert plan.members == plan.contigs
    (problem,) = plan.split_problems(settings)
    assert problem.path == ("block_bp",)
    assert "must be a whole multiple of data.resolution_bp (32), e.g. 1024." in problem.message


def test_blocks_of_the_same_sequence_are_in_one_split(files, build_fasta, build_bigwig):
    """Six blocks on two contigs; the third is the sixth read from its other end."""
    parts = [random_bases(1024, seed=seed) for seed in range(6)]
    parts[5] = parts[2][::-1].translate(str.maketrans("ACGT", "TGCA"))
    sequences = {"chrI": "".join(parts[:3]), "chrII": "".join(parts[3:])}
    build_fasta(files.folder / "ref.fa", sequences)
    for name in "ab":
        build_bigwig(files.folder / f"{name}.bw", {contig: np.ones(3072) for contig in sequences})
    for seed in range(8):
        plan, settings = planned(files, {**HOMOLOGY, "block_bp": 1024, "seed": seed})
        assert plan.split_problems(settings) == []
        fold = plan.resolve(settings)
        (holder,) = [part.tolist() for part in fold if 2 in part]
        assert 5 in holder
        for one in plan.folds(fold, settings, n_folds=2):
            assert any({2, 5} <= {*part.tolist()} for part in one)
    assert "6 blocks of 1,024 bp make 5 groups" in plan.split_notes(settings)[0]
    assert plan.name_split(np.array([0, 1])) == "2 blocks of 1,024 bp"


def test_a_reference_that_is_damaged_is_told_when_it_is_compared(files):
    path = files.folder / "ref.fa"
    plan, settings = planned(files, HOMOLOGY)
    text = path.read_text()
    path.write_text(text.replace("A", "!", 1))
    with pytest.raises(DataError, match=r"ref\.fa: chrI:.*is no letter of a nucleotide"):
        plan.split_problems(settings)

"""Tracks of labels, and assemblies of thousands of scaffolds."""

import numpy as np
import pysam
import pytest

from genotune.data import AnySourceSettings
from genotune.genome.sequence import encode
from genotune.genome.splits import ContigSplitSettings, Fold
from genotune.settings import build

NO_FOLD = Fold(*(np.empty(0, dtype=np.int64) for _ in range(3)))


def plan(files, **values):
    return build(AnySourceSettings, files.data(**values)).plan(files.folder)


def share_by_hand(path, contig, length, *, resolution_bp):
    """(bin,) share of the bases that lie in a peak, base by base and line by line."""
    shares = []
    lines = [line.split() for line in path.read_text().splitlines() if not line.startswith(("#", "track"))]
    for start in range(0, length, resolution_bp):
        bases = range(start, min(start + resolution_bp, length))
        inside = [any(line[0] == contig and int(line[1]) <= base < int(line[2]) for line in lines) for base in bases]
        shares.append(sum(inside) / len(inside))
    return np.array(shares, dtype=np.float32)


@pytest.fixture
def label_files(files):
    """Two sets of peaks on the reference: some overlap, some lie side by side, one ends with its contig."""
    first = "track name=x\nchrI\t3\t40\nchrI\t30\t64\nchrI\t64\t70\nchrII\t630\t640\nchrI\t990\t1003\nchrI\t10\t12\n"
    (files.folder / "a.bed").write_text(first)
    (files.folder / "b.narrowPeak").write_text(
        "chrIII\t0\t77\tp\t1\t.\t0\t0\t0\t70\nchrII\t0\t1\tp\t1\t.\t0\t0\t0\t0\n"
    )
    return files


LABELS = {"a": {"peaks": "a.bed"}, "b": {"peaks": "b.narrowPeak"}}


@pytest.mark.parametrize("resolution_bp", [1, 7, 32, 1000])
def test_a_label_is_the_share_of_a_bin_that_lies_in_a_peak(label_files, resolution_bp):
    store = plan(label_files, tracks=LABELS, resolution_bp=resolution_bp).read_store_here(NO_FOLD).store
    assert store.kind == "binary"
    for index, (contig, length) in enumerate(zip(store.contigs, store.lengths.tolist(), strict=True)):
        paths = [label_files.folder / track["peaks"] for track in LABELS.values()]
        expected = [share_by_hand(path, contig, length, resolution_bp=resolution_bp) for path in paths]
        np.testing.assert_array_equal(store.contig_signal(index), expected)


def test_labels_are_without_value_where_a_bin_is_excluded(label_files):
    (label_files.folder / "x.bed").write_text("chrI\t31\t33\n")
    (label_files.folder / "y.bed").write_text("chrIII\t70\t71\n")
    whole = plan(label_files, tracks=LABELS).read_store_here(NO_FOLD).store
    masked = plan(label_files, tracks=LABELS, exclude=["x.bed", "y.bed"]).read_store_here(NO_FOLD).store
    empty = [0, 1, 32 + 20 + 2]
    assert np.flatnonzero(np.isnan(masked.signal).all(axis=0)).tolist() == empty
    np.testing.assert_array_equal(np.delete(masked.signal, empty, axis=1), np.delete(whole.signal, empty, axis=1))


def test_labels_of_several_classes_are_named_so(label_files):
    planned = plan(label_files, tracks=LABELS, labels="multiclass")
    assert planned.target == planned.outline(np.array([0])).kind == "multiclass"
    assert planned.read_store_here(NO_FOLD).store.kind == "multiclass"
    assert planned.notes == (
        "labels: multiclass (one class a bin, or none of them): a bin is positive if half of it lies in a peak.",
    )


def test_sets_of_peaks_come_into_the_store_by_contig_and_start(label_files):
    planned = plan(label_files, peaks={"one": {"path": "a.bed"}, "two": {"path": "b.narrowPeak"}})
    peaks = planned.read_store_here(NO_FOLD).store.peaks
    assert [column.tolist() for column in peaks["two"]] == [[1, 2], [0, 0], [1, 77], [0, 70]]
    assert peaks["one"].starts.tolist() == [3, 10, 30, 64, 990, 630]
    assert peaks["one"].summits.tolist() == [21, 11, 47, 67, 996, 635]
    assert planned.outline(np.array([0, 2])).n_peaks == {"one": 5, "two": 1}


def test_the_table_of_splits_counts_peaks_and_labelled_bases(label_files):
    planned = plan(label_files, tracks=LABELS, peaks={"one": {"path": "a.bed"}})
    fold = Fold(np.array([0]), np.array([1]), np.array([2]))
    headers, rows = planned.split_table(fold, ContigSplitSettings(by="contig", validation=("x",), test=("y",)))
    assert headers == ("contigs", "bases", "bins", "peaks (one)", "in a", "in b")
    assert rows["train"] == ("chrI", "1,003", "32", "5", "8.0%", "0.0%")
    assert rows["test"] == ("chrIII", "77", "3", "0", "0.0%", "100.0%")


def test_the_record_says_how_tracks_are_transformed_paired_and_which_peaks_they_have(label_files):
    tracks = {"a": {"path": "a.bw", "transform": ["scale", "arcsinh"]}, "b": {"path": "b.bw"}}
    planned = plan(label_files, tracks=tracks, strands=[["b", "a"]], peaks={"one": {"path": "a.bed"}})
    store = planned.read_store_here(NO_FOLD).store
    assert store.strand_pairs == ((1, 0),)
    assert [[step.kind for step in transform] for transform in store.transforms] == [["scale", "arcsinh"], ["none"]]
    record = planned.record(Fold(np.array([0]), np.array([1]), np.array([2])))
    assert record["target"] == "signal"
    assert record["transforms"]["a"] == [{"kind": "scale", "depth": 1.0}, {"kind": "arcsinh"}]
    assert record["strands"] == [["b", "a"]]
    assert record["peaks"] == {"one": {"train": 5, "validation": 1, "test": 0}}
    assert planned.notes == (
        "transforms: a scale then arcsinh.",
        "strands: b and a swap places where a window is read from its other strand.",
    )


def test_soft_masked_and_ambiguous_bases_are_read_as_bases_and_n(files, build_fasta):
    build_fasta(files.folder / "ref.fa", {**files.sequences, "chrIII": "acgtACGTnNRy" + "a" * 65})
    codes = plan(files).read_store_here(NO_FOLD).store.contig_sequence(2)
    assert codes[:12].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 4, 4, 4]
    assert codes[12:77].tolist() == [0] * 65


@pytest.fixture
def scaffolds(files, build_fasta, build_bigwig):
    """An assembly of one chromosome and four thousand scaffolds, three of which the track has."""
    lengths = {"chr1": 5_000, **{f"scaffold_{n}": 20 + n % 7 for n in range(4_000)}}
    rng = np.random.default_rng(1)
    texts = {contig: "".join(rng.choice(list("ACGT"), size=length)) for contig, length in lengths.items()}
    build_fasta(files.folder / "ref.fa", texts)
    values = {
        contig: rng.poisson(2.0, size=lengths[contig]) * 1.0 for contig in ("chr1", "scaffold_5", "scaffold_3999")
    }
    build_bigwig(files.folder / "a.bw", values, lengths=lengths)
    (files.folder / "p.bed").write_text("".join(f"scaffold_{n}\t2\t{9 + n % 7}\n" for n in range(0, 4_000, 3)))
    return files


def test_thousands_of_scaffolds_are_read_as_few_contigs_are(scaffolds, by_hand):
    planned = plan(scaffolds, tracks={"a": {"path": "a.bw"}}, resolution_bp=4, exclude="p.bed")
    assert len(planned.stretches()) == 1
    store = planned.read_store_here(NO_FOLD).store
    assert len(store.contigs) == 4_001
    for contig in ("chr1", "scaffold_5", "scaffold_3999"):
        index = store.contigs.index(contig)
        length = int(store.lengths[index])
        expected = by_hand(scaffolds.folder / "a.bw", contig, length, resolution_bp=4, missing="zero")
        if contig == "scaffold_3999":
            expected[: -(-(9 + 3999 % 7) // 4)] = np.nan
        np.testing.assert_allclose(store.contig_signal(index)[0], expected, rtol=1e-6)
    rest = [
        index for index, contig in enumerate(store.contigs) if contig not in ("chr1", "scaffold_5", "scaffold_3999")
    ]
    assert all(np.nansum(store.contig_signal(index)) == 0 for index in rest)
    with pysam.FastaFile(str(scaffolds.folder / "ref.fa")) as fasta:
        for index, contig in enumerate(store.contigs):
            text = fasta.fetch(contig)
            assert store.contig_sequence(index)[: len(text)].tolist() == encode(text.encode()).tolist()


def test_thousands_of_scaffolds_are_never_listed(scaffolds):
    planned = plan(scaffolds, tracks={"a": {"path": "a.bw"}})
    fold = Fold(np.arange(2, 4_001), np.array([0]), np.array([1]))
    assert planned.name_split(fold.train) == "scaffold_1, scaffold_2, scaffold_3, and 3,996 more"
    _, rows = planned.split_table(fold, ContigSplitSettings(by="contig", validation=("x",), test=("y",)))
    assert rows["train"][0] == planned.name_split(fold.train)
    record, other = planned.record(fold), planned.record(Fold(np.arange(3, 4_001), fold.validation, fold.test))
    assert len(str(record)) < 1_000
    assert record["splits"]["train"][-1] == "and 3,996 more"
    # Names that aren't listed still tell two records apart.
    assert record["splits_sha256"] != other["splits_sha256"]

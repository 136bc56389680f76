import hashlib
import subprocess
import sys

import numpy as np
import pybigtools
import pyBigWig
import pytest

from genotune.columns import SEQUENCE, SIGNAL
from genotune.data import AnySourceSettings
from genotune.data.source import SourceSettings
from genotune.errors import DataError
from genotune.genome.sequence import encode
from genotune.genome.splits import ContigSplitSettings, Fold
from genotune.settings import build

NO_FOLD = Fold(*(np.empty(0, dtype=np.int64) for _ in range(3)))
"""Nothing is learned from the data here, so any fold gives the same store."""


def plan(files, **values):
    return build(AnySourceSettings, files.data(**values)).plan(files.folder)


def faults(files, **values):
    with pytest.raises(DataError) as caught:
        plan(files, **values)
    return str(caught.value)


def renamed(values, rename):
    return {rename(contig): signal for contig, signal in values.items()}


@pytest.fixture
def rewrite(files, build_bigwig):
    """Write track a again."""
    return lambda values, **options: build_bigwig(files.folder / "a.bw", values, **options)


def test_the_source_keeps_the_contract(files):
    settings = build(AnySourceSettings, files.data())
    assert isinstance(settings, SourceSettings)
    assert {SEQUENCE, SIGNAL} <= settings.yields


def test_settings_load_neither_ray_nor_a_reader():
    code = "import genotune.data, sys; print(*{'ray', 'pandas', 'pysam', 'pybigtools', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("missing", ["zero", "nan"])
@pytest.mark.parametrize("resolution_bp", [1, 7, 32, 1000])
def test_signal_equals_the_oracle_with_gaps_and_partial_last_bins(files, by_hand, missing, resolution_bp):
    store = plan(files, missing=missing, resolution_bp=resolution_bp).read_store_here(NO_FOLD).store
    for index, (contig, length) in enumerate(zip(store.contigs, store.lengths, strict=True)):
        expected = [
            by_hand(files.folder / f"{track}.bw", contig, length, resolution_bp=resolution_bp, missing=missing)
            for track in store.tracks
        ]
        np.testing.assert_allclose(store.contig_signal(index), expected, rtol=1e-6)


def test_sequence_is_that_of_the_fasta_padded_with_n_to_whole_bins(files):
    store = plan(files).read_store_here(NO_FOLD).store
    for index, text in enumerate(files.sequences.values()):
        codes = store.contig_sequence(index)
        np.testing.assert_array_equal(codes[: len(text)], encode(text.encode()))
        assert len(codes) == -(-len(text) // 32) * 32
        assert set(codes[len(text) :].tolist()) <= {4}


def test_a_bgzipped_reference_gives_the_same_store(files, build_fasta):
    plain = plan(files).read_store_here(NO_FOLD).store
    build_fasta(files.folder / "ref.fa.gz", files.sequences)
    packed = plan(files, reference="ref.fa.gz").read_store_here(NO_FOLD).store
    np.testing.assert_array_equal(plain.sequence, packed.sequence)


def test_the_plan_knows_sizes_before_anything_is_decoded(files):
    planned = plan(files)
    assert list(planned.contigs.items()) == [("chrI", 1003), ("chrII", 640), ("chrIII", 77)]
    assert planned.n_bins == 32 + 20 + 3
    assert planned.notes == ()
    assert planned.store_nbytes == planned.read_store_here(NO_FOLD).store.nbytes


def test_fingerprints_name_each_file_as_the_spec_does(files):
    (files.folder / "x.bed").write_text("chrI\t0\t5\n")
    facts = plan(files, exclude="x.bed").fingerprints()
    assert [(one["role"], one["path"]) for one in facts] == [
        ("reference", "ref.fa"),
        ("track a", "a.bw"),
        ("track b", "b.bw"),
        ("exclude", "x.bed"),
    ]
    content = (files.folder / "b.bw").read_bytes()
    assert (facts[2]["n_bytes"], facts[2]["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_a_stored_nan_is_a_gap(files):
    with pyBigWig.open(str(files.folder / "a.bw"), "w") as bigwig:
        bigwig.addHeader([("chrI", 1003)])
        bigwig.addEntries("chrI", [0, 2], values=[4.0, float("nan")], span=2)
    planned = plan(files, tracks={"a": {"path": "a.bw"}}, resolution_bp=4)
    assert planned.read_store_here(NO_FOLD).store.signal[0, 0] == 2.0


@pytest.mark.parametrize(("missing", "expected"), [("zero", 0.0), ("nan", np.nan)])
def test_a_contig_that_a_track_lacks_counts_as_missing(files, rewrite, missing, expected):
    rewrite({"chrI": files.values["a"]["chrI"]})
    planned = plan(files, missing=missing)
    meaning = "zero" if missing == "zero" else "no value"
    assert planned.notes == (f"a.bw: lacks 'chrII' and 'chrIII'; counts as {meaning} there (data.missing).",)
    np.testing.assert_array_equal(planned.read_store_here(NO_FOLD).store.contig_signal(1)[0], expected)


def test_a_contig_that_the_reference_lacks_is_left_out_and_reported(files, rewrite):
    rewrite({**files.values["a"], "chrM": np.ones(50)})
    planned = plan(files)
    assert planned.notes == ("a.bw: 'chrM' left out: ref.fa lacks it.",)
    assert "chrM" not in planned.contigs


def test_short_contigs_are_left_out_on_request(files):
    planned = plan(files, min_contig_bp=640)
    assert list(planned.contigs) == ["chrI", "chrII"]
    assert planned.notes == ("ref.fa: contigs shorter than 640 bp left out: 1.",)
    assert planned.read_store_here(NO_FOLD).store.contigs == ("chrI", "chrII")
    assert "its longest contig has 1003 bp" in faults(files, min_contig_bp=2000)


def test_every_bin_that_touches_an_excluded_interval_is_without_value_in_all_tracks(files):
    (files.folder / "x.bed").write_text("track\nchrI\t31\t33\nchrI\t1000\t1003\nchrIII\t64\t65\nchrM\t1\t2\n")
    planned = plan(files, exclude="x.bed")
    assert planned.notes == ("x.bed: 1 interval on 'chrM' left out: ref.fa lacks it.",)
    masked, whole = planned.read_store_here(NO_FOLD).store.signal, plan(files).read_store_here(NO_FOLD).store.signal
    empty = [0, 1, 31, 32 + 20 + 2]
    assert np.flatnonzero(np.isnan(masked).any(axis=0)).tolist() == empty
    np.testing.assert_array_equal(np.delete(masked, empty, axis=1), np.delete(whole, empty, axis=1))


@pytest.mark.parametrize(
    ("theirs", "style"), [(lambda contig: contig[3:], "ensembl"), (lambda contig: f"chr{contig}", "ucsc")]
)
def test_contigs_of_another_naming_style_are_found_with_the_fix_that_is_offered(
    files, build_fasta, build_bigwig, theirs, style
):
    expected = plan(files).read_store_here(NO_FOLD).store
    if style == "ucsc":
        build_fasta(files.folder / "ref.fa", renamed(files.sequences, lambda contig: contig[3:]))
        (files.folder / "ref.fa.fai").unlink()
    else:
        for track, values in files.values.items():
            build_bigwig(files.folder / f"{track}.bw", renamed(values, theirs))
    wanted, found = ("I", "chrI") if style == "ucsc" else ("chrI", "I")
    assert faults(files).splitlines()[0] == (
        f"a.bw: no contig {wanted!r}; it has {found!r}, {found + 'I'!r} and {found + 'II'!r}. "
        f"Set data.contig_names: {style}."
    )
    store = plan(files, contig_names=style).read_store_here(NO_FOLD).store
    np.testing.assert_array_equal(store.signal, expected.signal)
    assert store.contigs[0] == wanted


def test_the_bed_is_renamed_as_the_tracks_are(files):
    (files.folder / "x.bed").write_text("I\t0\t5\nMT\t0\t5\n")
    assert faults(files, exclude="x.bed") == (
        "x.bed: no contig 'chrI'; it has 'I' and 'MT'. Set data.contig_names: ensembl."
    )
    planned = plan(files, exclude="x.bed", contig_names="ensembl")
    assert [column.tolist() for column in planned.excluded] == [[0], [0], [5]]
    assert planned.notes == ("x.bed: 1 interval on 'MT' left out: ref.fa lacks it.",)


def test_a_naming_style_without_effect_is_reported(files):
    note = "data.contig_names: ucsc changes nothing here: the names are equal. Remove it."
    assert plan(files, contig_names="ucsc").notes == (note,)


def test_no_contig_in_common_is_refused(files, rewrite):
    rewrite({"scaffold_1": np.ones(20)})
    assert faults(files) == (
        "a.bw: no contig in common with ref.fa: it has 'scaffold_1', the FASTA 'chrI', 'chrII' and 'chrIII'. "
        "Were both made on the same assembly?"
    )


def test_a_track_of_another_assembly_is_refused(files, rewrite):
    rewrite({"chrI": np.ones(1000), "chrII": np.ones(640), "chrIII": np.ones(80)})
    assert faults(files) == (
        "a.bw: contigs differ in length from ref.fa: 'chrI' has 1000 bp, not 1003; 'chrIII' has 80 bp, not 77. "
        "Was the track made on another assembly?"
    )


def test_at_most_three_differing_lengths_are_named(tmp_path, files, build_fasta, rewrite):
    build_fasta(files.folder / "ref.fa", {f"c{n}": "ACGT" for n in range(6)})
    rewrite({f"c{n}": np.ones(5) for n in range(6)})
    assert "'c2' has 5 bp, not 4 and 3 more. Was" in faults(files, tracks={"a": {"path": "a.bw"}})


def test_a_plain_fasta_that_ends_within_its_last_contig_is_cut_short(files):
    text = (files.folder / "ref.fa").read_text()
    (files.folder / "ref.fa").write_text(text[:-10])
    assert faults(files).splitlines()[0] == (
        "ref.fa: cut short: it ends within 'chrIII', after 68 bp; a.bw has 77 bp. Copy it again, and delete its .fai."
    )


def test_all_faults_of_all_files_come_at_once(files):
    (files.folder / "a.bw").write_bytes((files.folder / "a.bw").read_bytes()[:100])
    (files.folder / "ref.fa").unlink()
    starts = ["ref.fa: no such file", "a.bw: cut short", "c.bw: no such file"]
    found = faults(files, tracks={"a": {"path": "a.bw"}, "c": {"path": "c.bw"}}).splitlines()
    assert [fault.startswith(start) for fault, start in zip(found, starts, strict=True)] == [True] * 3


def test_faults_of_tracks_and_bed_come_at_once(files, rewrite):
    rewrite({"chrI": np.ones(1000)})
    (files.folder / "x.bed").write_text("chrI\t5\n")
    found = faults(files, exclude="x.bed").splitlines()
    assert found[0].startswith("a.bw: contigs differ in length")
    assert found[1].startswith("x.bed:1: found 2 columns")


def test_infinite_values_are_refused(files):
    pybigtools.open(str(files.folder / "a.bw"), "w").write(files.lengths, [("chrI", 0, 5, 1.0), ("chrI", 5, 6, np.inf)])
    assert "a.bw: holds infinite values (1.0 to inf). Cap them first." in faults(files)


def test_a_track_damaged_inside_is_named_when_it_is_decoded(files):
    content = bytearray((files.folder / "a.bw").read_bytes())
    content[440:520] = bytes(80)
    (files.folder / "a.bw").write_bytes(content)
    planned = plan(files)
    with pytest.raises(DataError, match=r"^a\.bw: chrI:0-1003 can't be read \(.*\): the file is damaged. Copy"):
        planned.read_store_here(NO_FOLD)


def test_a_reference_that_shrank_since_it_was_planned_is_named(files):
    planned = plan(files)
    text = (files.folder / "ref.fa").read_text()
    (files.folder / "ref.fa").write_text(text[:-10])
    with pytest.raises(DataError, match=r"^ref\.fa: (cut short: )?chrIII:0-77 .*Copy it again"):
        planned.read_store_here(NO_FOLD)


def test_a_reference_that_is_no_dna_is_named(files, build_fasta):
    build_fasta(files.folder / "ref.fa", {**files.sequences, "chrII": "E" * 640})
    with pytest.raises(DataError, match=r"^ref\.fa: chrII:0-640: b'E' at base 0 is no letter of a nucleotide"):
        plan(files).read_store_here(NO_FOLD)


def test_the_real_demo_data_leaves_out_the_mitochondrion_and_the_rdna(demo):
    values = {
        "kind": "bigwig",
        "reference": "sacCer3.fa.gz",
        "tracks": {"cutsites": {"path": "cutsites.bw", "transform": "none"}},
        "resolution_bp": 32,
        "missing": "zero",
    }
    whole = build(AnySourceSettings, values).plan(demo)
    assert whole.notes == ("cutsites.bw: 'chrM' left out: sacCer3.fa.gz lacks it.",)
    store = whole.read_store_here(NO_FOLD).store
    with pyBigWig.open(str(demo / "cutsites.bw")) as bigwig:
        total = bigwig.header()["sumData"] - np.nansum(bigwig.values("chrM", 0, 85_779, numpy=True))
    # The last bin of a contig is the mean of fewer bases.
    widths = np.full(store.signal.shape[1], 32.0)
    widths[store.offsets[1:] - 1] = (store.lengths - 1) % 32 + 1
    assert round(float((store.signal[0].astype(np.float64) * widths).sum())) == total
    masked = build(AnySourceSettings, {**values, "exclude": "exclude.bed"}).plan(demo).read_store_here(NO_FOLD).store
    first = int(masked.offsets[masked.contigs.index("chrXII")])
    empty = np.flatnonzero(np.isnan(masked.signal[0]))
    np.testing.assert_array_equal(empty, np.arange(first + 451_000 // 32, first + -(-491_500 // 32)))


def test_splits_are_resolved_to_places_in_the_store(files):
    planned = plan(files, resolution_bp=7)
    names = list(planned.contigs)
    split = ContigSplitSettings(by="contig", validation=(names[2],), test=(names[0],))
    assert planned.split_problems(split) == []
    fold = planned.resolve(split)
    assert [part.tolist() for part in fold] == [[1], [2], [0]]
    assert planned.name_split(fold.test) == names[0]
    length = planned.contigs[names[1]]
    assert planned.outline(fold.train) == (7, ("a", "b"), (length,), "signal", {})
    headers, rows = planned.split_table(fold, split)
    assert headers == ("contigs", "bases", "bins")
    assert rows["train"] == (names[1], f"{length:,}", f"{-(-length // 7):,}")
    assert planned.record(fold)["splits"] == {"train": [names[1]], "validation": [names[2]], "test": [names[0]]}
    assert planned.target == planned.settings.known_target == "signal"


def test_folds_hold_out_whole_contigs(files):
    planned = plan(files)
    fold = Fold(np.array([0]), np.array([2]), np.array([1]))
    folds = planned.folds(fold, ContigSplitSettings(by="contig", validation=("x",), test=("y",)), n_folds=5)
    assert sorted((one.train.tolist(), one.validation.tolist(), one.test.tolist()) for one in folds) == [
        ([0], [2], [1]),
        ([2], [0], [1]),
    ]


def test_the_objectives_bins_are_whole_multiples_of_the_stores(files):
    settings = plan(files, resolution_bp=32).settings
    assert settings.objective_bin_bp(None) == 32
    assert settings.objective_bin_bp(128) == 128
    assert settings.bin_fault(None) is None
    assert settings.bin_fault(64) is None
    assert settings.bin_fault(50) == "found 50; must be a whole multiple of data.resolution_bp (32), e.g. 64."

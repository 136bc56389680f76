"""Files that don't fit each other, or from which a model can't learn, are told before anything is decoded."""

import numpy as np
import pybigtools
import pytest

from genotune.data import AnySourceSettings
from genotune.errors import DataError
from genotune.settings import build

NARROW = "{}\t{}\t{}\tp\t1\t.\t0\t0\t0\t{}\n".format


def plan(files, **values):
    return build(AnySourceSettings, files.data(**values)).plan(files.folder)


def faults(files, **values):
    with pytest.raises(DataError, match=r"\S+: ") as caught:
        plan(files, **values)
    return str(caught.value).splitlines()


@pytest.fixture(params=["a set of peaks", "a track of peaks"])
def with_peaks(request, files):
    """What a spec says of a file x.narrowPeak with this text."""

    def values(text):
        (files.folder / "x.narrowPeak").write_text(text)
        if request.param == "a set of peaks":
            return {"peaks": {"x": {"path": "x.narrowPeak"}}}
        return {"tracks": {"x": {"peaks": "x.narrowPeak"}}}

    return values


def test_tracks_of_two_assemblies_are_refused(files, build_bigwig):
    build_bigwig(files.folder / "b.bw", {"chrI": np.ones(1003), "chrII": np.ones(655)})
    assert faults(files) == [
        "b.bw: contigs differ in length from ref.fa: 'chrII' has 655 bp, not 640. "
        "Was the track made on another assembly?"
    ]


def test_a_peak_beyond_its_contigs_end_is_named_by_line(files, with_peaks):
    values = with_peaks("track x\n" + NARROW("chrI", 5, 1003, 0) + NARROW("chrIII", 70, 78, 0))
    assert faults(files, **values) == [
        "x.narrowPeak:3: end 78 lies past the end of chrIII (77 bp in ref.fa). Was the BED made on another assembly?"
    ]


def test_a_summit_outside_its_peak_is_named_by_line(files, with_peaks):
    (fault,) = faults(files, **with_peaks(NARROW("chrI", 5, 10, 5)))
    assert fault.startswith("x.narrowPeak:1: summit 5 (column 10) lies outside the peak, which has 5 bp.")


def test_a_file_without_a_peak_is_refused(files, with_peaks):
    assert faults(files, **with_peaks("track x\n# none\n")) == [
        "x.narrowPeak: holds no peak. Give a BED or narrowPeak with at least one."
    ]


def test_peaks_on_contigs_that_the_reference_lacks_are_left_out_and_reported(files, with_peaks):
    planned = plan(files, **with_peaks(NARROW("chrM", 1, 5, 0) * 2 + NARROW("chrI", 1, 5, 0)))
    assert "x.narrowPeak: 2 peaks on 'chrM' left out: ref.fa lacks it." in planned.notes
    (fault,) = faults(files, **with_peaks(NARROW("chrM", 1, 5, 0)))
    assert fault.startswith("x.narrowPeak: no contig in common with ref.fa: it has 'chrM', the FASTA 'chrI'")


def test_peaks_under_other_names_get_the_setting_that_mends_it(files, with_peaks):
    values = with_peaks(NARROW("I", 1, 5, 0) + NARROW("II", 600, 640, 20))
    assert faults(files, **values) == [
        "x.narrowPeak: no contig 'chrI'; it has 'I' and 'II'. Set data.contig_names: ensembl."
    ]
    planned = plan(files, contig_names="ensembl", **values)
    assert not any("changes nothing" in note for note in planned.notes)
    spans = planned.labels[0] if planned.labels else planned.peaks["x"]
    assert [spans.contigs.tolist(), spans.starts.tolist(), spans.ends.tolist()] == [[0, 1], [1, 600], [5, 640]]


def test_peaks_of_contigs_that_are_too_short_are_left_out(files, with_peaks):
    values = with_peaks(NARROW("chrIII", 1, 5, 0) + NARROW("chrI", 1, 5, 0))
    planned = plan(files, min_contig_bp=640, **values)
    spans = planned.labels[0] if planned.labels else planned.peaks["x"]
    assert spans.contigs.tolist() == [0]
    assert faults(files, min_contig_bp=640, **with_peaks(NARROW("chrIII", 1, 5, 0))) == [
        "x.narrowPeak: its peaks lie on contigs shorter than data.min_contig_bp (640), all."
    ]


def test_every_file_is_in_the_record_of_files(files):
    for name in ("p.bed", "x.bed", "y.bed"):
        (files.folder / name).write_text("chrI\t0\t5\n")
    planned = plan(files, peaks={"p": {"path": "p.bed"}}, exclude=["x.bed", "y.bed"])
    assert {role: file.label for role, file in planned.files.items()} == {
        "reference": "ref.fa",
        "track a": "a.bw",
        "track b": "b.bw",
        "peaks p": "p.bed",
        "exclude": "x.bed",
        "exclude 2": "y.bed",
    }


def test_faults_of_tracks_peaks_and_every_bed_come_at_once(files, build_bigwig):
    build_bigwig(files.folder / "b.bw", {"chrI": np.ones(1000)})
    for name in ("p.bed", "x.bed", "y.bed"):
        (files.folder / name).write_text("chrI\t5\n")
    found = faults(files, peaks={"p": {"path": "p.bed"}, "q": {"path": "q.bed"}}, exclude=["x.bed", "y.bed"])
    starts = ["b.bw: contigs differ", "p.bed:1: found 2", "q.bed: no such file", "x.bed:1: found 2", "y.bed:1: found 2"]
    assert [fault[: len(start)] for fault, start in zip(found, starts, strict=True)] == starts


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_infinite_values_are_refused(files, infinite):
    path = str(files.folder / "a.bw")
    pybigtools.open(path, "w").write(files.lengths, [("chrI", 0, 5, 1.0), ("chrI", 5, 6, infinite)])
    least, most = sorted((1.0, infinite))
    assert faults(files) == [f"a.bw: holds infinite values ({least} to {most}). Cap them first."]


def test_a_track_that_is_zero_everywhere_is_named(files, build_bigwig):
    build_bigwig(files.folder / "b.bw", {contig: np.zeros(length) for contig, length in files.lengths.items()})
    # The two writers disagree about the greatest value of zeros.
    pybigtools.open(str(files.folder / "a.bw"), "w").write(files.lengths, [(name, 0, 5, 0.0) for name in files.lengths])
    what = "is zero everywhere (its header says so): nothing can be learned from it."
    assert plan(files).notes == (f"a.bw: {what}", f"b.bw: {what}")


def test_a_track_whose_values_cancel_out_is_not_taken_for_zero(files, build_bigwig):
    build_bigwig(files.folder / "b.bw", {"chrI": np.tile([1.0, -1.0], 500)}, lengths=files.lengths)
    assert plan(files).headers["b"].total == 0
    assert not any("zero everywhere" in note for note in plan(files).notes)


def test_values_below_zero_are_named(files, build_bigwig):
    build_bigwig(files.folder / "b.bw", {**files.values["b"], "chrI": np.full(1003, -0.5)})
    assert plan(files).notes == (
        "b.bw: holds values below zero (the least is -0.5), which a Poisson loss and trees that count can't have. "
        "Use loss: mse, or a track of counts or coverage.",
    )


def test_log1p_of_values_below_zero_is_refused(files, build_bigwig):
    build_bigwig(files.folder / "b.bw", {**files.values["b"], "chrI": np.full(1003, -0.5)})
    tracks = {"a": {"path": "a.bw", "transform": "log1p"}, "b": {"path": "b.bw", "transform": ["scale", "log1p"]}}
    assert faults(files, tracks=tracks) == [
        "b.bw: transform log1p is for values from zero on, the least is -0.5. Use arcsinh."
    ]


def test_the_real_peaks_leave_out_those_of_the_mitochondrion(demo):
    values = {
        "kind": "bigwig",
        "reference": "sacCer3.fa.gz",
        "tracks": {"open": {"peaks": "peaks.narrowPeak"}},
        "resolution_bp": 32,
    }
    planned = build(AnySourceSettings, values).plan(demo)
    assert "peaks.narrowPeak: 46 peaks on 'chrM' left out: sacCer3.fa.gz lacks it." in planned.notes
    assert planned.labels[0].contigs.max() == 15

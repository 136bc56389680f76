import gzip

import pytest

from genotune.errors import DataError
from genotune.genome.intervals import Bed, Interval, LineError, read_bed, read_lines

LENGTHS = {"chr1": 100, "chr2": 50}


def bed(tmp_path, text):
    path = tmp_path / "x.bed"
    path.write_text(text)
    return path


def faults(path, **options):
    with pytest.raises(DataError) as caught:
        read_bed(path, LENGTHS, reference="hg38.fa", label="x.bed", **options)
    return str(caught.value)


def test_header_comment_and_blank_lines_are_skipped(tmp_path):
    path = bed(tmp_path, "track name=x\nbrowser position chr1\n# why\n\nchr1\t5\t10\tname\t0\t+\nchr2 0 50\n")
    assert read_bed(path, LENGTHS) == Bed((Interval("chr1", 5, 10), Interval("chr2", 0, 50)), {})


def test_intervals_on_unknown_contigs_are_counted(tmp_path):
    path = bed(tmp_path, "chrM\t0\t5\nchr1\t0\t5\nchrM\t7\t9\nchrUn\t1\t2\n")
    assert read_bed(path, LENGTHS) == Bed((Interval("chr1", 0, 5),), {"chrM": 2, "chrUn": 1})


def test_contigs_take_the_names_of_the_reference(tmp_path):
    path = bed(tmp_path, "1\t0\t5\n")
    assert read_bed(path, LENGTHS, names={"1": "chr1"}).intervals == (Interval("chr1", 0, 5),)


def test_a_gzipped_bed_is_read(tmp_path):
    path = tmp_path / "x.bed.gz"
    path.write_bytes(gzip.compress(b"chr1\t0\t5\n", mtime=0))
    assert read_bed(path, LENGTHS).intervals == (Interval("chr1", 0, 5),)


def test_every_line_at_fault_is_named(tmp_path):
    path = bed(tmp_path, "# first\nchr1\t0\t5\nchr1\t90\t105\nchr1\t7\t7\nchr2\t3\nchr2\ta\t5\nchr2\t-1\t5\n")
    assert faults(path).splitlines() == [
        "x.bed:3: end 105 lies past the end of chr1 (100 bp in hg38.fa). Was the BED made on another assembly?",
        "x.bed:4: start 7 is not below end 7. BED counts from 0 and leaves the end out.",
        "x.bed:5: found 2 columns; a BED line has at least contig, start and end.",
        "x.bed:6: start 'a' and end '5' must be whole numbers from 0.",
        "x.bed:7: start '-1' and end '5' must be whole numbers from 0.",
    ]


def test_many_faults_are_cut_short(tmp_path):
    lines = faults(bed(tmp_path, "chr1\t5\n" * 30)).splitlines()
    assert (len(lines), lines[-1]) == (21, "x.bed: and 10 lines more.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x6c\x1b\x01\xff", "x.bed: a PLINK genotype file"),
        (b"\xff\xfe\x00", "x.bed: not a BED file: it isn't text"),
        (gzip.compress(b"chr1\t0\t5\n", mtime=0)[:-4], "x.bed: the gzip file is cut short or damaged"),
    ],
)
def test_what_is_no_bed_is_refused(tmp_path, content, message):
    path = tmp_path / "x.bed"
    path.write_bytes(content)
    assert message in faults(path)


def test_a_missing_bed_is_named(tmp_path):
    assert "x.bed: no such file (looked for" in faults(tmp_path / "x.bed")


def test_who_reads_more_of_a_line_may_find_fault_with_it(tmp_path):
    def strand(interval, line):
        if not line.endswith(("+", "-")):
            raise LineError("no strand.")
        return interval.start, line[-1]

    path = bed(tmp_path, "chr1\t5\t10\tx\t0\t+\n")
    assert read_lines(path, LENGTHS, strand).intervals == ((5, "+"),)
    with pytest.raises(DataError, match=r"^x\.bed:1: no strand\.$"):
        read_lines(bed(tmp_path, "chr1\t5\t10\n"), LENGTHS, strand, label="x.bed")

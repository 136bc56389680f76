import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.errors import DataError
from genotune.genome.intervals import Bed
from genotune.genome.peaks import Peak, arrange, count_by_contig, covered, read_peaks

LENGTHS = {"chr1": 1000, "chr2": 500}


def narrow(contig, start, end, summit):
    return f"{contig}\t{start}\t{end}\ta name\t268\t.\t0\t0\t0\t{summit}\n"


def read(tmp_path, text, **options):
    path = tmp_path / "x.narrowPeak"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_peaks(path, LENGTHS, label="x.narrowPeak", **options)


def test_the_summit_of_a_narrowpeak_is_counted_from_its_start(tmp_path):
    assert read(tmp_path, narrow("chr1", 100, 140, 7)).intervals == (Peak("chr1", 100, 140, 107),)


def test_a_summit_that_was_not_called_is_the_middle(tmp_path):
    assert read(tmp_path, narrow("chr1", 100, 140, -1)).intervals == (Peak("chr1", 100, 140, 120),)


def test_the_summit_of_a_plain_bed_is_the_middle(tmp_path):
    assert [peak.summit for peak in read(tmp_path, "chr1\t0\t1\nchr2 10 15\n").intervals] == [0, 12]


def test_column_ten_of_a_bed_of_twelve_is_no_summit(tmp_path):
    line = "chr1\t100\t140\tname\t0\t+\t100\t140\t0\t2\t5,5\t0,35\n"
    assert read(tmp_path, line).intervals == (Peak("chr1", 100, 140, 120),)


def test_columns_may_be_parted_by_blanks(tmp_path):
    assert read(tmp_path, "chr1 100 140 p 268 . 0 0 0 39\n").intervals[0].summit == 139


def test_header_lines_are_skipped_and_gzip_is_read(tmp_path):
    text = 'track type=narrowPeak name="peak"\nbrowser position chr1\n# why\n\n' + narrow("chr2", 5, 9, 0)
    expected = Bed((Peak("chr2", 5, 9, 5),), {})
    assert read(tmp_path, text) == read(tmp_path, gzip.compress(text.encode(), mtime=0)) == expected


def test_peaks_on_contigs_that_the_reference_lacks_are_counted(tmp_path):
    assert read(tmp_path, narrow("chrM", 5, 9, 0) * 2) == Bed((), {"chrM": 2})


def test_contigs_take_the_names_of_the_reference(tmp_path):
    assert read(tmp_path, narrow("1", 5, 9, 1), names={"1": "chr1"}).intervals == (Peak("chr1", 5, 9, 6),)


def test_every_line_at_fault_is_named(tmp_path):
    faulty = [narrow("chr1", 0, 9, 9), narrow("chr2", 480, 501, 3), narrow("chr1", 0, 9, "x"), narrow("chr1", 0, 9, -2)]
    with pytest.raises(DataError, match=r"^x\.narrowPeak:") as caught:
        read(tmp_path, "track\n" + narrow("chr1", 0, 9, 8) + "".join(faulty), reference="hg38.fa")
    assert str(caught.value).splitlines() == [
        "x.narrowPeak:3: summit 9 (column 10) lies outside the peak, which has 9 bp. "
        "A narrowPeak counts it from the start of the peak.",
        "x.narrowPeak:4: end 501 lies past the end of chr2 (500 bp in hg38.fa). Was the BED made on another assembly?",
        "x.narrowPeak:5: summit 'x' (column 10) must be a whole number from 0 on, or -1 for none.",
        "x.narrowPeak:6: summit '-2' (column 10) must be a whole number from 0 on, or -1 for none.",
    ]


def test_peaks_are_arranged_by_contig_and_start():
    peaks = [Peak("b", 7, 9, 8), Peak("a", 5, 9, 6), Peak("x", 0, 1, 0), Peak("a", 5, 8, 5), Peak("a", 2, 9, 3)]
    arranged = arrange(peaks, {"a": 0, "b": 1})
    assert [column.tolist() for column in arranged] == [[0, 0, 0, 1], [2, 5, 5, 7], [9, 8, 9, 9], [3, 5, 6, 8]]
    assert all(column.dtype == np.int64 and column.flags.c_contiguous for column in arranged)
    assert count_by_contig(arranged, 3).tolist() == [3, 1, 0]


def test_no_peaks_are_four_empty_columns():
    assert [column.shape for column in arrange([], {"a": 0})] == [(0,)] * 4


@given(st.permutations([Peak("a", 1, 5, 2), Peak("a", 1, 5, 4), Peak("b", 0, 3, 1), Peak("b", 0, 4, 1)]))
def test_the_order_in_the_file_doesnt_matter(peaks):
    positions = {"b": 0, "a": 1}
    for column, other in zip(arrange(peaks, positions), arrange(sorted(peaks), positions), strict=True):
        np.testing.assert_array_equal(column, other)


def test_a_base_in_several_peaks_is_covered_once():
    spans = covered(arrange([Peak("a", 1, 5, 2), Peak("a", 3, 9, 4)], {"a": 0}))
    assert [column.tolist() for column in spans] == [[0], [1], [9]]

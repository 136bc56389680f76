import gzip
import struct

import numpy as np
import pybigtools
import pyBigWig
import pytest

from genotune.data.bigwig_header import read_header
from genotune.errors import DataError

VALUES = {"chrI": np.array([1.0, 2.0, np.nan, 4.0] * 500), "chrII": np.array([0.5, np.nan] * 300)}
END_MAGIC_BYTES = 4


@pytest.fixture
def path(tmp_path, build_bigwig):
    return build_bigwig(tmp_path / "a.bw", VALUES)


def refuse(path, message):
    with pytest.raises(DataError, match=message):
        read_header(path, "a.bw")


def test_the_header_tells_contigs_and_summary(path):
    header = read_header(path, "a.bw")
    assert header.lengths == {"chrI": 2000, "chrII": 600}
    assert (header.n_bases, header.minimum, header.maximum, header.total) == (1800, 0.5, 4.0, 3650.0)


def test_a_file_of_another_writer_is_whole_too(tmp_path):
    path = tmp_path / "b.bw"
    entries = [("a", start, start + 10, 1.0) for start in range(0, 1000, 10)]
    pybigtools.open(str(path), "w").write({"a": 1000}, entries)
    assert read_header(path, "b.bw").n_bases == 1000


def test_the_real_demo_track_is_whole(demo):
    header = read_header(demo / "cutsites.bw", "cutsites.bw")
    assert (len(header.lengths), header.total) == (17, 575_022)


def test_a_file_cut_anywhere_is_refused_before_a_reader_opens_it(path):
    whole = path.read_bytes()
    last_index_ends = len(whole) - END_MAGIC_BYTES
    for n_bytes in [*range(4, 400, 3), *range(400, last_index_ends, 31), *range(last_index_ends - 60, last_index_ends)]:
        path.write_bytes(whole[:n_bytes])
        refuse(path, r"^a\.bw: cut short: .*Copy it again\.$")


def test_a_file_that_lacks_nothing_but_its_end_mark_is_taken(path):
    whole = read_header(path, "a.bw")
    path.write_bytes(path.read_bytes()[:-END_MAGIC_BYTES])
    assert read_header(path, "a.bw") == whole


def test_a_track_without_values_is_refused(tmp_path):
    with pyBigWig.open(str(tmp_path / "a.bw"), "w") as bigwig:
        bigwig.addHeader([("chrI", 100)])
    refuse(tmp_path / "a.bw", r"^a\.bw: holds no values")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"^a\.bw: the file is empty"),
        (b"\x26\xfc", r"^a\.bw: not a bigWig: it begins with the bytes 26 fc"),
        (b"track type=bigWig\n", r"^a\.bw: text, not a bigWig: it begins with 'track type=bigWi'.*wigToBigWig"),
        (gzip.compress(b"x", mtime=0), r"^a\.bw: gzipped; .*Run: gunzip a\.bw"),
        (struct.pack("<I", 0x8789F2EB) + bytes(100), r"^a\.bw: a bigBed, which holds intervals"),
        (bytes(100), r"^a\.bw: not a bigWig: it begins with the bytes 00 00 00 00"),
        (struct.pack(">I", 0x888FFC26) + bytes(20), r"^a\.bw: cut short: it has 24 bytes"),
    ],
)
def test_what_is_no_bigwig_is_refused(tmp_path, content, message):
    (tmp_path / "a.bw").write_bytes(content)
    refuse(tmp_path / "a.bw", message)


def test_a_missing_file_is_named(tmp_path):
    refuse(tmp_path / "a.bw", r"^a\.bw: no such file \(looked for .*Paths are relative")

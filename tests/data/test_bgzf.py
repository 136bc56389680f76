import gzip

import pysam
import pytest

from genotune.data.bgzf import text_size
from genotune.errors import DataError


@pytest.fixture
def compressed(tmp_path):
    """Several blocks of text."""
    plain = tmp_path / "x.fa"
    plain.write_text("".join(f">{n}\n{n * 7919 % 1000003}\n" for n in range(20_000)))
    pysam.tabix_compress(str(plain), str(tmp_path / "x.fa.gz"))
    return tmp_path / "x.fa.gz"


def test_the_size_of_the_text_is_known_without_inflating_it(compressed, tmp_path):
    assert text_size(compressed, "x.fa.gz") == (tmp_path / "x.fa").stat().st_size


def test_a_file_cut_anywhere_is_refused(compressed):
    whole = compressed.read_bytes()
    for n_bytes in [*range(2, 40), *range(40, len(whole), 997), *range(len(whole) - 40, len(whole))]:
        compressed.write_bytes(whole[:n_bytes])
        with pytest.raises(DataError, match=r"^x\.fa\.gz: (cut short|plain gzip)"):
            text_size(compressed, "x.fa.gz")


def test_a_file_without_its_last_block_is_cut_short(compressed):
    compressed.write_bytes(compressed.read_bytes()[:-28])
    with pytest.raises(DataError, match="the empty block that ends a bgzip file is missing"):
        text_size(compressed, "x.fa.gz")


def test_plain_gzip_is_refused_with_the_fix(tmp_path):
    path = tmp_path / "x.fa.gz"
    path.write_bytes(gzip.compress(b">a\nACGT\n" * 10, mtime=0))
    with pytest.raises(DataError, match=r"x\.fa\.gz: plain gzip.*Run: gunzip x\.fa\.gz && bgzip x\.fa"):
        text_size(path, "x.fa.gz")


def test_bytes_between_blocks_are_damage(compressed):
    compressed.write_bytes(compressed.read_bytes() + b"something that is not a block")
    with pytest.raises(DataError, match="damaged: no bgzip block begins at byte"):
        text_size(compressed, "x.fa.gz")

import gzip
import re

import pytest

from genotune.data.fasta import read_reference
from genotune.data.files import InputFile
from genotune.errors import DataError

SEQUENCES = {"chrI": "ACGTN" * 50, "chrII": "acgt" * 33}
LENGTHS = {"chrI": 250, "chrII": 132}


def fetch(reference, contig):
    with reference.open() as fasta:
        return fasta.fetch(contig)


def refuse(path, message):
    with pytest.raises(DataError, match=message):
        read_reference(InputFile(path, path.name))


@pytest.mark.parametrize("name", ["ref.fa", "ref.fa.gz"])
def test_contigs_come_in_the_order_of_the_file(tmp_path, build_fasta, name):
    reference = read_reference(InputFile(build_fasta(tmp_path / name, SEQUENCES), name))
    assert list(reference.lengths.items()) == list(LENGTHS.items())
    assert fetch(reference, "chrII") == SEQUENCES["chrII"]


@pytest.mark.parametrize("name", ["ref.fa", "ref.fa.gz"])
def test_a_missing_index_is_made_beside_the_file(tmp_path, build_fasta, name):
    read_reference(InputFile(build_fasta(tmp_path / name, SEQUENCES), name))
    made = {path.name for path in tmp_path.iterdir()} - {name}
    assert made == {f"{name}.fai", *([f"{name}.gzi"] if name.endswith("gz") else [])}


def test_the_index_goes_to_the_cache_where_it_cant_lie_beside_the_file(tmp_path, build_fasta, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = build_fasta(tmp_path / "ref.fa", SEQUENCES)
    (tmp_path / "ref.fa.fai").mkdir()
    assert fetch(read_reference(InputFile(path, "ref.fa")), "chrI") == SEQUENCES["chrI"]
    assert len(list((tmp_path / "cache" / "genotune" / "fasta").glob("*/ref.fa.fai"))) == 1


def test_without_a_place_for_the_index_the_fix_is_told(tmp_path, build_fasta, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    path = build_fasta(tmp_path / "ref.fa", SEQUENCES)
    (tmp_path / "ref.fa.fai").mkdir()
    refuse(path, r"ref\.fa: has no \.fai, and none can be written.*Run: samtools faidx ref\.fa")


@pytest.mark.parametrize("name", ["ref.fa", "ref.fa.gz"])
def test_a_file_cut_short_is_refused(tmp_path, build_fasta, name):
    path = build_fasta(tmp_path / name, SEQUENCES)
    read_reference(InputFile(path, name))
    whole = path.read_bytes()
    # The last byte of plain text is a line break, without which every base is there.
    last = len(whole) - 1 if name == "ref.fa" else len(whole)
    for n_bytes in range(20, last):
        path.write_bytes(whole[:n_bytes])
        refuse(path, rf"^{re.escape(name)}: cut short: .*Copy it again")


def test_an_index_of_another_file_is_found_out(tmp_path, build_fasta):
    path = build_fasta(tmp_path / "ref.fa", SEQUENCES)
    read_reference(InputFile(path, "ref.fa"))
    build_fasta(path, {**SEQUENCES, "chrIII": "ACGT" * 2000})
    refuse(path, r"the index is another file's\. Delete ref\.fa\.fai")


def test_what_is_no_index_is_found_out(tmp_path, build_fasta):
    path = build_fasta(tmp_path / "ref.fa", SEQUENCES)
    (tmp_path / "ref.fa.fai").write_text("chrI 250\n")
    refuse(path, r"ref\.fa\.fai: not an index of a FASTA: found the line 'chrI 250'\. Delete it")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"^x\.fa: the file is empty"),
        (b"hello\n", r"^x\.fa: not a FASTA: it begins with b'hell'; a FASTA begins with '>'"),
        (b"\x43\x27\x41\x1a\0\0", r"^x\.fa: a 2bit file; a FASTA is wanted. Run: twoBitToFa x\.fa"),
        (gzip.compress(b">a\nACGT\n", mtime=0), r"^x\.fa: plain gzip"),
        (b">a\nACGT\nAC\nACGT\n", r"^x\.fa: can't be indexed: all lines of a sequence.*seqkit seq"),
    ],
)
def test_what_is_no_fasta_is_refused(tmp_path, content, message):
    (tmp_path / "x.fa").write_bytes(content)
    refuse(tmp_path / "x.fa", message)


def test_a_missing_file_is_named(tmp_path):
    refuse(tmp_path / "x.fa", r"^x\.fa: no such file \(looked for .*Paths are relative")

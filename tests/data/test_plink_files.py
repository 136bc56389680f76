import gzip
import re

import numpy as np
import pytest
from data.plink_builders import MAGIC, default_bim, default_fam, packed, write_fileset, write_rows
from hypothesis import given
from hypothesis import strategies as st

from genotune.data.files import InputFile
from genotune.data.plink_files import check_bed, find_fileset, read_bim, read_fam
from genotune.errors import DataError
from genotune.store import NO_POSITION

DOSAGE = np.array([[0, 1, 2], [2, -1, 0], [1, 1, 1], [0, 0, 0], [2, 2, -1]], dtype=np.int8)


def file_of(path):
    return InputFile(path, path.name)


def refuse_fam(tmp_path, content, message):
    path = tmp_path / "x.fam"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=f"^{message}"):
        read_fam(file_of(path))


def refuse_bim(tmp_path, content, message):
    path = tmp_path / "x.bim"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=f"^{message}"):
        read_bim(file_of(path))


def refuse_bed(tmp_path, content, message, *, n_samples=5, n_variants=3):
    write_fileset(tmp_path, "x", DOSAGE)
    (tmp_path / "x.bed").write_bytes(content)
    fileset = find_fileset(tmp_path, "x.bed")
    with pytest.raises(DataError, match=f"^{message}"):
        check_bed(fileset.bed, n_samples=n_samples, n_variants=n_variants, fileset=fileset)


def test_the_builder_packs_as_the_example_of_plinks_documentation():
    snp1, snp2, snp3 = [2, 0, -1, 0, 0, 0], [0, -1, 1, 0, 0, 0], [0, 1, 1, -1, -1, 2]
    dosage = np.array([snp1, snp2, snp3], dtype=np.int8).T
    assert (MAGIC + packed(dosage)).hex(" ") == "6c 1b 01 dc 0f e7 0f 6b 01"


@pytest.mark.parametrize("label", ["x", "x.bed", "x.bim", "x.fam"])
def test_a_fileset_is_found_by_any_of_its_names(tmp_path, label):
    write_fileset(tmp_path, "x", DOSAGE)
    fileset = find_fileset(tmp_path, label)
    assert [file.label for file in fileset] == ["x.bed", "x.bim", "x.fam"]
    assert [file.path for file in fileset] == [tmp_path / name for name in ("x.bed", "x.bim", "x.fam")]


def test_labels_keep_the_folder_and_the_dots_of_a_prefix(tmp_path):
    (tmp_path / "cohort").mkdir()
    write_fileset(tmp_path / "cohort", "mice.v2", DOSAGE)
    assert find_fileset(tmp_path, "cohort/mice.v2").bim.label == "cohort/mice.v2.bim"


def test_a_missing_file_of_a_fileset_is_named(tmp_path):
    write_fileset(tmp_path, "x", DOSAGE)
    (tmp_path / "x.bim").unlink()
    message = r"^x\.bim: no such file; a PLINK fileset is three files: x\.bed, x\.bim, x\.fam\.$"
    with pytest.raises(DataError, match=message):
        find_fileset(tmp_path, "x.bed")


def test_all_missing_files_are_named_at_once(tmp_path):
    write_fileset(tmp_path, "x", DOSAGE)
    (tmp_path / "x.bim").unlink()
    (tmp_path / "x.fam").unlink()
    with pytest.raises(DataError, match=r"^x\.bim, x\.fam: no such files; a PLINK fileset is three files"):
        find_fileset(tmp_path, "x")


def test_a_fileset_that_is_not_there_tells_where_it_was_looked_for(tmp_path):
    message = rf"^a/x\.bed, a/x\.bim, a/x\.fam: no such files; .* Looked in {re.escape(str(tmp_path / 'a'))}\.$"
    with pytest.raises(DataError, match=message):
        find_fileset(tmp_path, "a/x")


def test_a_fileset_of_plink_2_is_pointed_at_where_one_of_plink_1_is_named(tmp_path):
    (tmp_path / "x.pgen").touch()
    message = r"^x\.bed, x\.bim, x\.fam: no such files; .* x\.pgen of PLINK 2 is there: name that\.$"
    with pytest.raises(DataError, match=message):
        find_fileset(tmp_path, "x.bed")


def test_a_fam_gives_its_samples_in_order(tmp_path):
    path = tmp_path / "x.fam"
    path.write_text("F1 I1 P M 1 -9\nF1\tI2  0 0\t2 0.5\r\n\n \t\nNA nan 0 0 0 NA")
    fam = read_fam(file_of(path))
    assert fam.fids.tolist() == ["F1", "F1", "NA"]
    assert fam.iids.tolist() == ["I1", "I2", "nan"]
    assert fam.fathers.tolist() == ["P", "0", "0"]
    assert fam.mothers.tolist() == ["M", "0", "0"]
    assert fam.phenotypes.tolist() == ["-9", "0.5", "NA"]
    assert all(column.dtype.kind == "U" for column in fam)


def test_a_byte_order_mark_and_quotes_are_no_trouble(tmp_path):
    path = tmp_path / "x.fam"
    path.write_bytes(b'\xef\xbb\xbfF1 "I1 0 0 1 1\nF2 I2" 0 0 1 1\n')
    fam = read_fam(file_of(path))
    assert fam.fids.tolist() == ["F1", "F2"]
    assert fam.iids.tolist() == ['"I1', 'I2"']


GEMMA = "F1 I1 0 0 1 0.2 0.2 NA 1 NA -0.3\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            GEMMA,
            r"x\.fam:1: 11 columns; a \.fam has 6 \(family, individual, father, mother, sex, phenotype\)\. "
            r"Put further phenotypes into a table and name it in data\.phenotypes\.$",
        ),
        (GEMMA * 3, r"x\.fam:1: 11 columns; .*data\.phenotypes\. And 2 more\.$"),
        ("F1 I1 0 0 1 -9 7\n", r"x\.fam:1: 7 columns; .*data\.phenotypes"),
        ("F1 I1 0 0 1 -9\n\nF2 I2 0 0 1 -9 7\n", r"x\.fam:3: 7 columns"),
        ("F1 I1 0 0 1 -9\n" + GEMMA, r"x\.fam:2: 11 columns"),
        ("F1 I1 0 0 1 -9\nF2 I2 0\n", r"x\.fam:2: 3 columns; a \.fam has 6 .* The fileset is torn: copy all three"),
        ("I1\n", r"x\.fam:1: 1 column; a \.fam has 6"),
        (
            "F1 I1 0 0 1 -9\n\nF2 I2 0 0 1 -9\nF1 I1 0 0 2 1\n",
            r"x\.fam:4: family 'F1', individual 'I1' stands in line 1 too; a sample has one line\.$",
        ),
        ("F1 I1 0 0 1 1\nF2 I2 0 0 1 1\n" * 2, r"x\.fam:3: family 'F1'.* line 1 too.* And 1 more\.$"),
        ("FID IID PAT MAT SEX PHENO\nF1 I1 0 0 1 1\n", r"x\.fam:1: a header; a \.fam has none\. Delete this line\."),
        (b"", r"x\.fam: the file is empty\."),
        ("\n \n", r"x\.fam: holds no line; 6 columns are wanted \(family, individual"),
        (b"F1 I\xe4 0 0 1 -9\n", r"x\.fam: not text: it holds the byte e4, which is no UTF-8\. Write it in UTF-8\."),
        (b"F1 I1 0 0 1 \0\n", r"x\.fam: not text: it holds zero bytes"),
        (gzip.compress(b"F1 I1 0 0 1 -9\n", mtime=0), r"x\.fam: gzipped; plain text is wanted\. Run: gunzip x\.fam"),
    ],
)
def test_a_faulty_fam_is_refused_with_the_place(tmp_path, content, message):
    refuse_fam(tmp_path, content, message)


def test_one_individual_id_may_stand_in_two_families(tmp_path):
    path = write_rows(tmp_path / "x.fam", [("F1", "I1", 0, 0, 1, 1), ("F2", "I1", 0, 0, 1, 1)], separator=" ")
    assert read_fam(file_of(path)).fids.tolist() == ["F1", "F2"]


def test_a_bim_gives_its_variants_with_positions_counted_from_zero(tmp_path):
    rows = [("1", "rs1", 0, 1, "A", "G"), ("X", ".", 0.5, 0, "NA", "0"), ("chrUn_1", "rs3", 0, -9, "ACG", "T")]
    bim = read_bim(file_of(write_rows(tmp_path / "x.bim", rows, separator="\t")))
    assert bim.contigs.tolist() == ["1", "X", "chrUn_1"]
    assert bim.ids.tolist() == ["rs1", ".", "rs3"]
    assert bim.starts.tolist() == [0, NO_POSITION, NO_POSITION]
    assert bim.starts.dtype == np.int64
    assert bim.counted.tolist() == ["A", "NA", "ACG"]
    assert bim.other.tolist() == ["G", "0", "T"]


TEXT = st.text("ABCabc019_.:-", min_size=1, max_size=5)


@given(st.lists(st.tuples(TEXT, TEXT, st.integers(-9, 2**31 - 2), TEXT, TEXT), min_size=1, max_size=8))
def test_a_bim_comes_back_as_it_was_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("bim") / "x.bim"
    write_rows(path, [(contig, name, 0, place, a1, a2) for contig, name, place, a1, a2 in rows], separator=" ")
    bim = read_bim(file_of(path))
    starts = [place - 1 if place > 0 else NO_POSITION for _, _, place, _, _ in rows]
    columns = zip(bim.contigs.tolist(), bim.ids.tolist(), bim.counted.tolist(), bim.other.tolist(), strict=True)
    assert list(columns) == [(contig, name, a1, a2) for contig, name, _, a1, a2 in rows]
    assert bim.starts.tolist() == starts


GOOD = "1 rs1 0 10 A G\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + "1 rs2 0 20 A\n", r"x\.bim:2: 5 columns; a \.bim has 6 \(contig, ID, centimorgans, position, allele 1"),
        ("1 rs1 0 10 A G x\n", r"x\.bim:1: 7 columns; .*Do names hold blanks\? Delete what is too much\.$"),
        (GOOD * 2 + "1 rs 3 x 0 30 A G\n", r"x\.bim:3: 8 columns"),
        (
            GOOD + "1 rs2 0 2e3 A G\n",
            r"x\.bim:2: position '2e3'; column 4 is a whole number of bp \(0 where it is unknown\)\.$",
        ),
        (GOOD + "\n1 rs2 0 7.0 A G\n", r"x\.bim:3: position '7\.0'; column 4"),
        ("1 rs2 0 0x1F A G\n", r"x\.bim:1: position '0x1F'"),
        ("1 rs2 0 \u0663 A G\n", r"x\.bim:1: position '\u0663'"),
        ("CHR SNP CM BP A1 A2\n" + GOOD, r"x\.bim:1: position 'BP'; .* A \.bim has no header\.$"),
        (GOOD + "1 rs2 0 2147483647 A G\n", r"x\.bim:2: position 2147483647 lies past 2147483646, the end of any"),
        (GOOD + "1 rs2 0 99999999999999999999 A G\n", r"x\.bim:2: position 9{20} lies past 2147483646"),
        (b"", r"x\.bim: the file is empty\."),
        ("\n", r"x\.bim: holds no line; 6 columns are wanted"),
        (b"1 rs\xff 0 1 A G\n", r"x\.bim: not text: it holds the byte ff"),
        (
            f"1 rs1 0 10 A {'A' * 1_100_000}\n" + GOOD * 1000,
            r"x\.bim:1: an allele of 1100000 letters; with 1001 variants, one of 1072669 letters is the longest that "
            r"can be kept\. .*plink2 --bfile x --snps-only --make-bed --out x-snps$",
        ),
    ],
)
def test_a_faulty_bim_is_refused_with_the_place(tmp_path, content, message):
    refuse_bim(tmp_path, content, message)


@pytest.mark.parametrize("n_samples", [1, 3, 4, 5, 8, 9])
def test_a_whole_fileset_passes(tmp_path, n_samples):
    write_fileset(tmp_path, "x", np.zeros((n_samples, 3), dtype=np.int8))
    fileset = find_fileset(tmp_path, "x")
    fam, bim = read_fam(fileset.fam), read_bim(fileset.bim)
    check_bed(fileset.bed, n_samples=len(fam.iids), n_variants=len(bim.ids), fileset=fileset)
    assert len(fam.iids) == n_samples
    assert len(bim.ids) == 3


@pytest.mark.parametrize("mode", [b"\x02", b"\x10", b"\x20"])
def test_a_pgen_under_the_name_of_a_bed_is_told_its_own(tmp_path, mode):
    message = (
        r"x\.bed: a \.pgen of PLINK 2 under another name\. Rename it to x\.pgen, beside its \.pvar and \.psam, and "
        r"name that\.$"
    )
    refuse_bed(tmp_path, MAGIC[:2] + mode + bytes(6), message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"x\.bed: the file is empty; a PLINK \.bed is wanted\."),
        (MAGIC, r"x\.bed: cut short: it has 3 bytes and no genotypes\. The fileset is torn: copy all three files"),
        (MAGIC[:2], r"x\.bed: cut short: it has 2 bytes and no genotypes"),
        (
            b"\x89PNG\r\n",
            r"x\.bed: begins with 89 50 4e; not a PLINK \.bed \(6c 1b 01\)\. Name the \.bed of a PLINK fileset\.$",
        ),
        (b"\x6c\x1b\x07\0\0", r"x\.bed: begins with 6c 1b 07; not a PLINK \.bed \(6c 1b 01\)"),
        (
            b"chr1\t100\t200\nchr1\t300\t400\n",
            r"x\.bed: begins with 'chr1\\t100\\t200'; not a PLINK \.bed \(6c 1b 01\), but text\. "
            r"Is it a list of intervals, the BED of UCSC\?",
        ),
        (gzip.compress(MAGIC, mtime=0), r"x\.bed: gzipped, not a PLINK \.bed \(6c 1b 01\)\. Run: gunzip x\.bed"),
        (
            b"\x6c\x1b\x00" + bytes(6),
            r"x\.bed: a sample-major \.bed of an old PLINK; .* Write it again: "
            r"plink --bfile x --keep-allele-order --make-bed --out x-new",
        ),
    ],
)
def test_what_is_no_bed_is_refused(tmp_path, content, message):
    refuse_bed(tmp_path, content, message)


def test_a_bed_of_another_number_of_variants_is_torn(tmp_path):
    message = (
        r"x\.bed: its size fits 4 variants of 5 samples, x\.bim lists 3\. "
        r"The fileset is torn: copy all three files again\.$"
    )
    refuse_bed(tmp_path, MAGIC + bytes(8), message)


def test_a_bed_cut_within_a_variant_is_torn(tmp_path):
    message = (
        r"x\.bed: its size is no whole number of variants of 5 samples \(2 bytes each\): it has 2 and a part, "
        r"x\.bim lists 3\. The fileset is torn: copy all three files again\.$"
    )
    refuse_bed(tmp_path, MAGIC + bytes(5), message)


def test_a_bed_of_another_number_of_samples_points_at_the_fam(tmp_path):
    message = r"x\.bed: its size fits 3 variants of 9 to 12 samples, x\.fam lists 5\. Is it another's\?"
    refuse_bed(tmp_path, MAGIC + bytes(9), message)


def test_a_size_that_fits_in_two_ways_tells_both(tmp_path):
    message = (
        r"x\.bed: its size fits 6 variants of 5 samples, x\.bim lists 3\..* fits 3 variants of 13 to 16 samples too"
    )
    refuse_bed(tmp_path, MAGIC + bytes(12), message)


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 40), st.integers(1, 6))
def test_only_the_right_size_passes(tmp_path_factory, n_samples, n_variants, fam_samples, bim_variants):
    folder = tmp_path_factory.mktemp("bed")
    dosage = np.zeros((n_samples, n_variants), dtype=np.int8)
    write_fileset(folder, "x", dosage, fam=default_fam(fam_samples), bim=default_bim(bim_variants))
    fileset = find_fileset(folder, "x")
    is_right = -(-n_samples // 4) * n_variants == -(-fam_samples // 4) * bim_variants
    try:
        check_bed(fileset.bed, n_samples=fam_samples, n_variants=bim_variants, fileset=fileset)
        passed = True
    except DataError:
        passed = False
    assert passed == is_right

import gzip
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from genotune.data.files import InputFile
from genotune.data.plink_settings import PlinkSettings
from genotune.data.summary_matching import match_statistics
from genotune.data.summary_statistics import leak_warning, read_summary_statistics
from genotune.errors import DataError
from genotune.genome.allele_matching import VariantTable
from genotune.genome.association import scan_linear
from genotune.settings import build
from genotune.store import NO_POSITION
from genotype_builders import build_variants

MICE = Path(__file__).parents[2] / "search_spaces" / "demo" / "mouse_hs1940"

PLINK_2 = """#CHROM\tPOS\tID\tREF\tALT\tA1\tTEST\tOBS_CT\tBETA\tSE\tT_STAT\tP\tERRCODE
1\t100\trs1\tA\tG\tG\tADD\t90\t0.5\t0.1\t5\t1e-6\t.
1\t100\trs1\tA\tG\tG\tmale\t90\t0.2\t0.1\t2\t0.05\t.
X\t200\trs2\tC\tT\tC\tADD\t90\t-0.25\t0.5\t-0.5\t0.6\t.
X\t300\trs3\tC\tT\tC\tADD\t90\tNA\tNA\tNA\tNA\tCONST_ALLELE
"""
PLINK_1 = """ CHR         SNP         BP   A1      F_A      F_U   A2        CHISQ            P           OR
   1         rs1        100    G   0.1500   0.1000    A        1.234       0.2666        2.000
  23         rs2          0    t   0.4000   0.5000    c        4.000      0.04550        0.500
"""
SSF = """chromosome base_pair_location effect_allele other_allele beta standard_error eaf p_value rsid
1 100 G A 0.5 0.1 0.3 1e-400 rs1
1 200 T C 4 0.1 0.4 0 rs2
""".replace(" ", "\t")
HARMONISED = """hm_code hm_rsid hm_chrom hm_pos hm_other_allele hm_effect_allele hm_beta hm_odds_ratio beta p_value
15 rs1 1 100 A G NA 2 NA 0.01
""".replace(" ", "\t")


def read(folder, text, name="gwas.tsv"):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if name.endswith("gz") else text.encode())
    return read_summary_statistics(InputFile(path, name))


@pytest.mark.parametrize("name", ["x.glm.linear", "x.glm.linear.gz", "x.bgz"])
def test_plink_2_is_read_with_the_additive_test_of_each_variant(tmp_path, name):
    found = read(tmp_path, PLINK_2, name)
    assert found.ids.tolist() == ["rs1", "rs2"]
    assert found.contigs.tolist() == ["1", "X"]
    assert found.starts.tolist() == [99, 199]
    assert found.effect_allele.tolist() == ["G", "C"]
    assert found.other_allele.tolist() == ["A", "T"]
    assert found.effect.tolist() == [0.5, -0.25]
    assert found.standard_error.tolist() == [0.1, 0.5]
    np.testing.assert_allclose(found.log10_p, np.log10([1e-6, 0.6]))
    assert found.lines.tolist() == [2, 4]
    assert found.notes == (
        f"{name}: 1 rows of other tests than ADD, left out.",
        f"{name}: 1 variants without a p-value, left out.",
    )


def test_plink_1_is_read_with_odds_as_their_logarithm(tmp_path):
    found = read(tmp_path, PLINK_1, "x.assoc")
    assert found.starts.tolist() == [99, NO_POSITION]
    assert found.effect_allele.tolist() == ["G", "T"]
    np.testing.assert_allclose(found.effect, [np.log(2), -np.log(2)])
    assert np.isnan(found.standard_error).all()


def test_the_gwas_catalog_is_read_and_tiny_p_values_keep_their_size(tmp_path):
    found = read(tmp_path, SSF)
    assert found.frequency.tolist() == [0.3, 0.4]
    np.testing.assert_allclose(found.log10_p[0], -400)
    # z is 40: the tail is its density over z, and that twice.
    expected = (-800 - np.log(40) - 0.5 * np.log(2 * np.pi) + np.log(2)) / np.log(10)
    np.testing.assert_allclose(found.log10_p[1], expected, rtol=1e-5)


def test_harmonised_columns_come_before_the_original_ones(tmp_path):
    found = read(tmp_path, HARMONISED)
    assert (found.contigs.tolist(), found.starts.tolist()) == (["1"], [99])
    np.testing.assert_allclose(found.effect, [np.log(2)])


def test_minus_log10_p_is_read_and_a_byte_order_mark_and_comments_are_no_matter(tmp_path):
    found = read(tmp_path, "\ufeff## made by hand\nSNP,neg_log_10_p_value\nrs1,12.5\n", "x.csv")
    assert found.log10_p.tolist() == [-12.5]
    assert found.lines.tolist() == [3]
    assert found.starts.tolist() == [NO_POSITION]
    assert found.effect_allele.tolist() == [""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "gwas.tsv: the file is empty"),
        ("SNP\tBETA\nrs1\t1\n", "gwas.tsv: the header names 'SNP' and 'BETA'. It needs a p-value"),
        ("A1\tP\nG\t0.1\n", "gwas.tsv: the header names 'A1' and 'P'. It needs a p-value"),
        ("SNP\tP\n", "gwas.tsv: holds a header and no rows"),
        ("SNP\tP\nrs1\t0.1\nrs2\tx\nrs3\ty\n", "gwas.tsv:3: P: 'x' is no number. Mend it, or write NA. And 1 more."),
        ("SNP\tP\nrs1\t1.5\n", "gwas.tsv:2: P: '1.5' is out of range: from 0 to 1"),
        ("SNP\tP\tSE\nrs1\t1\t-1\n", "gwas.tsv:2: SE: '-1' is out of range: 0 or above"),
        ("SNP\tP\tBP\tCHR\nrs1\t1\t1.5\t1\n", "gwas.tsv:2: BP: '1.5' is no whole number"),
        ("SNP\tP\nrs1\t0.1\nrs2\n", "gwas.tsv:3: 1 cells; the header names 2 columns"),
        ("SNP\tP\nrs1\t0.1\nrs2\t0.1\t7\n", "gwas.tsv:3: 3 cells; the header names 2 columns"),
        ("SNP P\nrs1  0.1\n rs2\n", "gwas.tsv:3: 1 cells; the header names 2 columns"),
        ("SNP\tP\nrs1\tNA\n", "gwas.tsv: none of its 1 rows holds a p-value"),
    ],
)
def test_a_bad_table_is_refused_with_its_place(tmp_path, text, message):
    with pytest.raises(DataError, match=message.replace("(", r"\(").replace(".", r"\.")):
        read(tmp_path, text)


def test_a_blank_line_is_counted_and_left_out(tmp_path):
    found = read(tmp_path, "SNP\tP\nrs1\t0.1\n\nrs2\t0.2\n")
    assert found.lines.tolist() == [2, 4]
    assert found.place(1) == "gwas.tsv:4"


def test_a_torn_archive_or_a_missing_file_is_refused(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(PLINK_2.encode() * 500, mtime=0)[:-40])
    with pytest.raises(DataError, match=r"x\.gz: can't be read .* Copy it again"):
        read_summary_statistics(InputFile(tmp_path / "x.gz", "x.gz"))
    with pytest.raises(DataError, match=r"y\.tsv: no such file"):
        read_summary_statistics(InputFile(tmp_path / "y.tsv", "y.tsv"))


def variants_of(n, *, frequency=None):
    """n variants on contig 1, 1000 bp apart, A counted, G the other allele."""
    return VariantTable(*build_variants(n)[:5], None if frequency is None else np.array(frequency, np.float32))


def table(rows, header="CHR BP SNP A1 A2 BETA SE P"):
    return "\n".join(line.replace(" ", "\t") for line in [header, *rows]) + "\n"


def test_effects_are_those_of_the_counted_allele(tmp_path):
    # Counted A, other G, at 1, 1001, 2001 and 3001 of contig 1.
    rows = ["chr1 1001 x g a 0.5 0.1 0.01", "chr1 2001 x A G -0.25 0.1 0.02", "chr1 3001 x A T 1 0.1 0.03"]
    found = match_statistics(read(tmp_path, table(rows)), variants_of(5))
    assert found.rows.tolist() == [-1, 0, 1, -1, -1]
    np.testing.assert_array_equal(found.effect, [np.nan, -0.5, -0.25, np.nan, np.nan])
    np.testing.assert_array_equal(found.standard_error, [np.nan, 0.1, 0.1, np.nan, np.nan])
    np.testing.assert_allclose(found.log10_p, [np.nan, -2, np.log10(0.02), np.nan, np.nan])
    assert found.notes == (
        "gwas.tsv: 2 of 5 variants are found; of these 1 count the other allele. Of the others 2 are absent, 1 have "
        "other alleles there.",
    )


def test_effects_of_the_other_strand_are_those_of_the_counted_allele(tmp_path):
    rows = ["1 1 x T C 0.5 0.1 0.01", "1 1001 x C T 0.25 0.1 0.02"]
    found = match_statistics(read(tmp_path, table(rows)), variants_of(3))
    assert found.rows.tolist() == [0, 1, -1]
    np.testing.assert_array_equal(found.effect, [0.5, -0.25, np.nan])


def test_complementary_alleles_are_told_by_frequency_or_left_out_and_counted(tmp_path):
    rows = [f"1 {1000 * i + 1} x T A 0.5 0.1 0.01 {f}" for i, f in enumerate(("0.1", "0.9", "0.45", "NA"))]
    study = read(tmp_path, table(rows, "CHR BP SNP A1 A2 BETA SE P EAF"))
    variants = variants_of(4, frequency=[0.12, 0.12, 0.12, 0.12])
    variants = variants._replace(counted=np.full(4, "T"), other=np.full(4, "A"))
    found = match_statistics(study, variants)
    np.testing.assert_array_equal(found.effect, [0.5, -0.5, np.nan, np.nan])
    assert "2 are ambiguous (A/T or C/G" in found.notes[0]
    unknown = match_statistics(study, variants._replace(frequency=None))
    assert unknown.rows.tolist() == [-1, -1, -1, -1]
    assert "4 are ambiguous" in unknown.notes[0]


def test_an_id_counts_only_where_one_side_has_no_position(tmp_path):
    variants = variants_of(4)
    variants.starts[3] = NO_POSITION
    rows = ["1 NA rs1 A G 0.5 0.1 0.01", "1 9999 rs2 A G 0.5 0.1 0.02", "1 777 rs3 A G 0.5 0.1 0.03"]
    found = match_statistics(read(tmp_path, table(rows)), variants)
    assert found.rows.tolist() == [-1, 0, -1, 2]


def test_a_table_with_one_allele_or_none_is_matched_by_what_it_has(tmp_path):
    one = read(tmp_path, table(["1 1 x G 0.5 0.01", "1 1001 x C 0.5 0.01"], "CHR BP SNP A1 BETA P"))
    assert match_statistics(one, variants_of(2)).effect[0] == -0.5
    assert match_statistics(one, variants_of(2)).rows.tolist() == [0, -1]
    none = match_statistics(
        read(tmp_path, table(["rs1 0.5 0.01"], "SNP BETA P")), variants_of(2)._replace(starts=np.array([-1, -1]))
    )
    assert none.rows.tolist() == [-1, 0]
    assert np.isnan(none.effect).all()


def test_a_variant_that_stands_twice_or_a_table_of_others_is_refused(tmp_path):
    rows = ["1 1001 x A G 0.5 0.1 0.01", "1 1001 y G A 0.5 0.1 0.02"]
    with pytest.raises(DataError, match=r"gwas\.tsv:3: rs1 stands in line 2 too\. Delete one"):
        match_statistics(read(tmp_path, table(rows)), variants_of(3))
    with pytest.raises(DataError, match=r"none of its 1 variants is one of the 3 of the genotypes"):
        match_statistics(read(tmp_path, table(["7 5 x A G 1 1 0.1"])), variants_of(3))


def test_rows_of_one_place_with_other_alleles_are_other_variants(tmp_path):
    rows = ["1 1001 x A C 0.5 0.1 0.01", "1 1001 y A G 0.5 0.1 0.02"]
    assert match_statistics(read(tmp_path, table(rows)), variants_of(3)).rows.tolist() == [-1, 1, -1]


def test_a_study_that_numbers_x_23_is_matched_to_a_fileset_that_names_it(tmp_path):
    variants = variants_of(3)._replace(contigs=np.array(["1", "X", "X"]))
    rows = ["23 1001 x A G 0.5 0.1 0.01", "1 1 y A G 0.5 0.1 0.02"]
    assert match_statistics(read(tmp_path, table(rows)), variants).rows.tolist() == [1, 0, -1]


def test_the_warning_says_what_leaks():
    assert "it has seen validation and test samples" in leak_warning("gwas.tsv")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("plink2") is None, reason="needs plink2")
def test_what_plink_writes_is_read_back_as_the_scan_of_these_mice(tmp_path):
    command = ["plink2", "--bfile", MICE / "mouse_hs1940", "--chr-set", "19", "--threads", "1", "--chr", "1-3"]
    command += ["--pheno", MICE / "phenotypes.tsv", "--pheno-name", "CD8", "--glm", "allow-no-covars"]
    subprocess.run([*map(str, command), "--out", str(tmp_path / "o")], check=True, capture_output=True, timeout=120)
    path = tmp_path / "o.CD8.glm.linear"
    values = {"kind": "plink", "genotypes": "mouse_hs1940.bed", "phenotypes": "phenotypes.tsv", "trait": "CD8"}
    plan = build(PlinkSettings, values).plan(MICE)
    matched = match_statistics(read_summary_statistics(InputFile(path, path.name)), VariantTable(*plan.variants))
    has_one = np.flatnonzero(matched.rows >= 0)
    assert len(has_one) > 1000
    (dosage,) = plan.decode([has_one])
    scan = scan_linear(
        dosage,
        np.arange(len(dosage)),
        traits=plan.samples.values[:, None],
        covariates=np.empty((len(dosage), 0), np.float32),
    )
    np.testing.assert_allclose(matched.effect[has_one], scan.effect[0], rtol=1e-5)
    np.testing.assert_allclose(matched.log10_p[has_one], scan.log10_p[0], atol=1e-5)
    assert (scan.effect[0] > 0).any()
    assert (scan.effect[0] < 0).any()

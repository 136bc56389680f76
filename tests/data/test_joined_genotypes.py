import numpy as np
import pytest
from data.genotype_file_builders import default_psam, write_pfileset, write_vcf
from data.plink_builders import default_bim, default_fam, write_fileset

from genotune.data.genotype_opening import open_genotypes
from genotune.data.plink_datasource import DosageReader
from genotune.errors import DataError
from genotune.store import DOSAGE_STEPS, MISSING_STEPS

N_SAMPLES = 9
TEXT = {-1: "./.", 0: "0/0", 1: "0|1", 2: "1/1"}


def draw(n_variants, *, seed):
    return np.random.default_rng(seed).choice([0, 1, 2, -1], size=(N_SAMPLES, n_variants)).astype(np.int8)


def everything(genotypes):
    return genotypes.decoder.decode(np.arange(genotypes.n_samples), np.arange(genotypes.n_variants))


def bed_of(folder, contig, n_variants, *, order=None):
    """A .bed of one contig, whose samples may stand in another order; gives the dosages in the usual one."""
    dosage = draw(n_variants, seed=len(contig) + n_variants)
    order = np.arange(N_SAMPLES) if order is None else order
    fam = [default_fam(N_SAMPLES)[sample] for sample in order]
    bim = [(contig, f"{contig}_{i}", *row[2:]) for i, row in enumerate(default_bim(n_variants))]
    write_fileset(folder, f"chr{contig}", dosage[order], fam=fam, bim=bim)
    return dosage


@pytest.mark.parametrize("named", ["chr*.bed", "chr*", ["chrX.bed", "chr2.bed", "chr10.bed"], ["chr[12]*.bed", "chrX"]])
def test_files_of_a_cohort_are_one_in_the_order_of_contigs(tmp_path, named):
    parts = {contig: bed_of(tmp_path, contig, n) for contig, n in (("10", 4), ("2", 3), ("X", 5))}
    genotypes = open_genotypes(tmp_path, named)
    assert genotypes.variants.contigs.tolist() == ["2"] * 3 + ["10"] * 4 + ["X"] * 5
    assert genotypes.variants.ids[:4].tolist() == ["2_0", "2_1", "2_2", "10_0"]
    expected = np.concatenate([parts["2"], parts["10"], parts["X"]], axis=1)
    np.testing.assert_array_equal(everything(genotypes), expected)
    samples, variants = np.array([7, 2, 0]), np.array([11, 0, 5, 2])
    found = genotypes.decoder.decode(samples, variants)
    np.testing.assert_array_equal(found, expected[np.ix_(samples, variants)])
    assert len(genotypes.files) == 9


def test_samples_are_found_whatever_their_order(tmp_path):
    order = np.random.default_rng(0).permutation(N_SAMPLES)
    one, two = bed_of(tmp_path, "1", 4), bed_of(tmp_path, "2", 3, order=order)
    genotypes = open_genotypes(tmp_path, "chr*.bed")
    np.testing.assert_array_equal(everything(genotypes), np.concatenate([one, two], axis=1))


def test_formats_may_be_mixed_and_whole_dosages_become_steps(tmp_path):
    one = bed_of(tmp_path, "1", 4)
    two = draw(3, seed=5)
    copies = np.where(two < 0, np.nan, two / 2 + 0.25)
    pvar = "#CHROM POS ID REF ALT\n" + "".join(f"2 {i + 1} r{i} G A\n" for i in range(3))
    write_pfileset(tmp_path, "chr2", copies, pvar=pvar, psam=default_psam(N_SAMPLES))
    genotypes = open_genotypes(tmp_path, ["chr2.pgen", "chr1.bed"])
    found = everything(genotypes)
    assert found.dtype == genotypes.decoder.dtype == np.uint16
    expected = np.concatenate([np.where(one < 0, np.nan, one), copies], axis=1)
    np.testing.assert_array_equal(np.where(found == MISSING_STEPS, np.nan, found / DOSAGE_STEPS), expected)


def test_vcfs_without_an_index_are_read_block_by_block(tmp_path):
    parts = [draw(n, seed=n) for n in (5, 8)]
    for number, dosage in enumerate(parts, start=1):
        sites = [(f"chr{number}", i + 1, f"r{number}_{i}", "G", "A") for i in range(dosage.shape[1])]
        write_vcf(tmp_path / f"c{number}.vcf", [[TEXT[int(c)] for c in v] for v in dosage.T], sites=sites)
    genotypes = open_genotypes(tmp_path, "c*.vcf")
    assert genotypes.decoder.is_sequential
    expected = np.concatenate(parts, axis=1)
    reader = DosageReader(genotypes.decoder, np.array([4, 1]))
    blocks = np.array_split(np.arange(13), 4)
    tables = list(reader.tables(blocks))
    assert [table.num_rows for table in tables] == [4, 3, 3, 3]
    found = np.concatenate(list(genotypes.decoder.decode_in_turn(np.array([4, 1]), blocks)), axis=1)
    np.testing.assert_array_equal(found, expected[[4, 1]])


def test_other_samples_are_refused(tmp_path):
    bed_of(tmp_path, "1", 4)
    bed_of(tmp_path, "2", 3)
    text = (tmp_path / "chr2.fam").read_text()
    (tmp_path / "chr2.fam").write_text(text.replace("I4", "I44").replace("I8", "I88"))
    message = (
        r"^chr2\.fam: lacks 2 of the 9 samples of chr1\.fam and has 2 others, e\.g\. family 'F2', individual 'I4'\. "
        r"Files of one cohort hold the same samples, by FID and IID, in any order: keep those that all have\.$"
    )
    with pytest.raises(DataError, match=message):
        open_genotypes(tmp_path, "chr*.bed")


@pytest.mark.parametrize(("contig", "counted"), [("1", "A"), ("chr1", "A"), ("1", "G")])
def test_a_variant_that_two_files_hold_is_refused(tmp_path, contig, counted):
    other = {"A": "G", "G": "A"}[counted]
    write_fileset(tmp_path, "a", draw(3, seed=0), bim=[("1", f"a{i}", 0, i + 1, "A", "G") for i in range(3)])
    write_fileset(tmp_path, "b", draw(2, seed=0), bim=[(contig, f"b{i}", 0, 3 - i, counted, other) for i in range(2)])
    message = (
        r"^a\.bim, b\.bim: both hold the variant (chr)?1:[32] [AG]/[AG]\. A variant is counted once: .* And 1 more\.$"
    )
    with pytest.raises(DataError, match=message):
        open_genotypes(tmp_path, ["a.bed", "b.bed"])


def test_x_of_one_file_is_23_of_another(tmp_path):
    write_fileset(tmp_path, "a", draw(1, seed=0), bim=[("X", "a", 0, 5, "A", "G")])
    write_fileset(tmp_path, "b", draw(1, seed=0), bim=[("23", "b", 0, 5, "A", "G")])
    with pytest.raises(DataError, match=r"^a\.bim, b\.bim: both hold the variant 23:5 A/G\."):
        open_genotypes(tmp_path, ["a.bed", "b.bed"])


def test_other_alleles_at_one_place_and_other_ids_without_a_place_are_other_variants(tmp_path):
    write_fileset(tmp_path, "a", draw(2, seed=0), bim=[("1", "a", 0, 5, "A", "G"), ("1", "b", 0, 0, "A", "G")])
    write_fileset(tmp_path, "b", draw(2, seed=0), bim=[("1", "a", 0, 5, "A", "T"), ("1", "c", 0, 0, "A", "G")])
    assert open_genotypes(tmp_path, ["a.bed", "b.bed"]).n_variants == 4


def test_a_pattern_without_files_is_named(tmp_path):
    (tmp_path / "chr1.txt").touch()
    with pytest.raises(
        DataError, match=r"^chr\*: no file of genotypes \(\.bed, \.pgen, .*\) matches .* 1 other files match"
    ):
        open_genotypes(tmp_path, "chr*")


def test_a_file_that_is_named_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"^data\.genotypes: a\.bed is named twice\. Remove one\.$"):
        open_genotypes(tmp_path, ["a.bed", "a.bed"])


def test_a_fileset_that_is_named_by_two_of_its_files_is_refused(tmp_path):
    bed_of(tmp_path, "1", 4)
    with pytest.raises(DataError, match=r"^data\.genotypes: chr1\.bed is named twice\. Remove one\.$"):
        open_genotypes(tmp_path, ["chr1.bed", "chr1.fam"])


def test_the_faults_of_all_files_are_told_at_once(tmp_path):
    with pytest.raises(DataError, match=r"^a\.bed, .*no such files.*\nb\.vcf: no such file\."):
        open_genotypes(tmp_path, ["a.bed", "b.vcf"])

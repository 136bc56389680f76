import shutil
import subprocess

import numpy as np
import pytest
import zstandard
from data.genotype_file_builders import default_psam, default_pvar, write_pfileset, write_vcf
from data.one_training_set import block_statistics

from genotune.data.genotype_opening import open_genotypes
from genotune.data.variant_statistics import trait_basis
from genotune.errors import DataError
from genotune.genome.hardy_weinberg import hardy_weinberg_p
from genotune.store import DOSAGE_STEPS, MISSING_STEPS

N_SAMPLES, N_VARIANTS = 13, 50
PLINK = shutil.which("plink2")


def draw(*, seed=0):
    return np.random.default_rng(seed).choice([0, 1, 2, -1], size=(N_SAMPLES, N_VARIANTS)).astype(np.int8)


def fractions(*, seed=0):
    rng = np.random.default_rng(seed)
    copies = np.rint(rng.uniform(0, 2, (N_SAMPLES, N_VARIANTS)) * DOSAGE_STEPS) / DOSAGE_STEPS
    copies[rng.random(copies.shape) < 0.1] = np.nan
    return copies


def everything(genotypes):
    return genotypes.decoder.decode(np.arange(genotypes.n_samples), np.arange(genotypes.n_variants))


def refuse(folder, message, *, label="x.pgen"):
    with pytest.raises(DataError, match=message):
        open_genotypes(folder, label)


@pytest.mark.parametrize("label", ["x", "x.pgen", "x.pvar", "x.psam"])
def test_calls_are_whole_copies_of_the_alternate_allele(tmp_path, label):
    write_pfileset(tmp_path, "x", draw())
    genotypes = open_genotypes(tmp_path, label)
    assert everything(genotypes).dtype == genotypes.decoder.dtype == np.int8
    np.testing.assert_array_equal(everything(genotypes), draw())
    assert {*genotypes.variants.counted} == {"A"}
    assert {*genotypes.variants.other} == {"G"}
    assert genotypes.variants.starts[:2].tolist() == [1000, 2000]
    assert {role: file.label for role, file in genotypes.files.items()} == {
        "genotypes": "x.pgen",
        "variants": "x.pvar",
        "samples": "x.psam",
    }


def test_dosages_are_kept_to_the_step(tmp_path):
    write_pfileset(tmp_path, "x", fractions())
    genotypes = open_genotypes(tmp_path, "x.pgen")
    found = everything(genotypes)
    assert found.dtype == genotypes.decoder.dtype == np.uint16
    expected = np.where(np.isnan(fractions()), MISSING_STEPS, fractions() * DOSAGE_STEPS)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("drawn", [draw, fractions])
def test_samples_and_variants_come_in_the_order_that_is_asked_for(tmp_path, drawn):
    write_pfileset(tmp_path, "x", drawn())
    genotypes = open_genotypes(tmp_path, "x.pgen")
    samples, variants = np.array([11, 0, 7]), np.array([49, 3, 4, 0])
    found = genotypes.decoder.decode(samples, variants)
    np.testing.assert_array_equal(found, everything(genotypes)[np.ix_(samples, variants)])


def test_of_no_samples_or_variants_nothing_is_decoded(tmp_path):
    write_pfileset(tmp_path, "x", draw())
    decoder = open_genotypes(tmp_path, "x.pgen").decoder
    none, some = np.empty(0, dtype=np.int64), np.arange(3)
    assert decoder.decode(none, some).shape == (0, 3)
    assert decoder.decode(some, none).shape == (3, 0)


def test_a_compressed_pvar_of_several_frames_is_read_to_its_end(tmp_path):
    write_pfileset(tmp_path, "x", draw())
    text = (tmp_path / "x.pvar").read_bytes()
    (tmp_path / "x.pvar").unlink()
    frames = [zstandard.compress(part) for part in (text[:300], text[300:301], text[301:])]
    (tmp_path / "x.pvar.zst").write_bytes(b"".join(frames))
    genotypes = open_genotypes(tmp_path, "x.pgen")
    assert genotypes.variants.ids.tolist() == [f"rs{i}" for i in range(N_VARIANTS)]
    assert genotypes.files["variants"].label == "x.pvar.zst"
    np.testing.assert_array_equal(everything(genotypes), draw())


@pytest.mark.parametrize("n_cut", [1, 7, 100])
def test_a_compressed_pvar_that_is_cut_short_is_refused(tmp_path, n_cut):
    write_pfileset(tmp_path, "x", draw())
    packed = zstandard.compress((tmp_path / "x.pvar").read_bytes())
    (tmp_path / "x.pvar").unlink()
    (tmp_path / "x.pvar.zst").write_bytes(packed[:-n_cut])
    refuse(tmp_path, r"^x\.pvar\.zst: cut short: the last Zstandard frame has no end\. Copy it again\.$")


def test_tables_without_headers_are_those_of_plink_1(tmp_path):
    pvar = "".join(f"chr2\trs{i}\t0\t{i}\tA\tG\n" for i in range(N_VARIANTS))
    psam = "".join(f"F{i} I{i} P M 1 {i}.5\n" for i in range(N_SAMPLES))
    write_pfileset(tmp_path, "x", draw(), psam=psam, pvar=pvar)
    genotypes = open_genotypes(tmp_path, "x")
    assert genotypes.variants.counted[0] == "A"
    assert genotypes.variants.other[0] == "G"
    assert genotypes.variants.starts[:3].tolist() == [-1, 0, 1]
    assert genotypes.samples.fathers[0] == "P"
    assert genotypes.columns.columns["PHENO1"][2] == "2.5"
    assert genotypes.columns.places[2] == "x.psam:3"


def test_a_psam_may_lack_families_and_parents_and_have_several_columns(tmp_path):
    psam = "#IID\tSEX\theight\tsite\n" + "".join(f"S{i}\tNA\t{i}\tOslo\n" for i in range(N_SAMPLES))
    write_pfileset(tmp_path, "x", draw(), psam=psam)
    genotypes = open_genotypes(tmp_path, "x")
    assert {*genotypes.samples.fids} == {"0"}
    assert {*genotypes.samples.mothers} == {"0"}
    assert genotypes.samples.iids[:2].tolist() == ["S0", "S1"]
    assert [*genotypes.columns.columns] == ["SEX", "height", "site"]
    assert genotypes.columns.places[0] == "x.psam:2"


def test_variants_without_an_id_are_named_by_place_and_alleles(tmp_path):
    pvar = "#CHROM POS ID REF ALT\n" + "".join(f"7 {i} . C T\n" for i in range(N_VARIANTS))
    write_pfileset(tmp_path, "x", draw(), pvar=pvar)
    assert open_genotypes(tmp_path, "x").variants.ids[:2].tolist() == ["7:0:C:T", "7:1:C:T"]


def test_variants_with_several_alternate_alleles_are_left_out_and_counted(tmp_path):
    lines = default_pvar(N_VARIANTS).splitlines(keepends=True)
    for row in (0, 7, 49):
        lines[2 + row] = lines[2 + row].replace("\tA\n", "\tA,T\n")
    write_pfileset(tmp_path, "x", draw(), pvar="".join(lines))
    genotypes = open_genotypes(tmp_path, "x")
    kept = [i for i in range(N_VARIANTS) if i not in (0, 7, 49)]
    assert genotypes.variants.ids.tolist() == [f"rs{i}" for i in kept]
    assert genotypes.notes == ("x.pvar: 3 of 50 variants have more than two alleles; they are left out.",)
    np.testing.assert_array_equal(everything(genotypes), draw()[:, kept])
    samples, variants = np.array([3, 1]), np.array([5, 46])
    np.testing.assert_array_equal(genotypes.decoder.decode(samples, variants), draw()[np.ix_(samples, [6, 48])])


@pytest.mark.parametrize(
    ("n_samples", "n_variants", "message"),
    [
        (12, 50, r"^x\.pgen: holds 13 samples, x\.psam lists 12\. The fileset is torn: copy all three files again\.$"),
        (13, 51, r"^x\.pgen: holds 50 variants, x\.pvar lists 51\. The fileset is torn"),
        (14, 49, r"^x\.pgen: holds 13 samples, x\.psam lists 14\. .*\nx\.pgen: holds 50 variants, x\.pvar lists 49\."),
    ],
)
def test_tables_of_another_size_are_refused(tmp_path, n_samples, n_variants, message):
    write_pfileset(tmp_path, "x", draw(), psam=default_psam(n_samples), pvar=default_pvar(n_variants))
    refuse(tmp_path, message)


@pytest.mark.parametrize("drawn", [draw, fractions])
@pytest.mark.parametrize("left", [0, 2, 3, 11, 12, 40, -1])
def test_a_pgen_that_is_cut_short_is_refused_at_planning(tmp_path, drawn, left):
    path = write_pfileset(tmp_path, "x", drawn())
    path.write_bytes(path.read_bytes()[:left])
    refuse(tmp_path, r"^x\.pgen: (cut short: it has \d+ bytes, .*\. Copy it again\.|the file is empty; .*)$")


@pytest.mark.parametrize("left", [0, 3, 12, 60, -1])
def test_a_pgen_that_was_cut_short_since_it_was_planned_is_named(tmp_path, left):
    path = write_pfileset(tmp_path, "x", draw())
    genotypes = open_genotypes(tmp_path, "x")
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DataError, match=r"^x\.pgen: can't be decoded: .*\. Copy it again\.$"):
        everything(genotypes)


def test_a_pgen_that_was_replaced_is_opened_anew(tmp_path):
    write_pfileset(tmp_path, "x", draw())
    genotypes = open_genotypes(tmp_path, "x")
    everything(genotypes)
    (tmp_path / "x.pgen").unlink()
    write_pfileset(tmp_path, "x", draw(seed=1))
    np.testing.assert_array_equal(everything(genotypes), draw(seed=1))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"PNG", r"^x\.pgen: begins with 50 4e 47; not a \.pgen of PLINK 2 \(6c 1b\)\."),
        (b"\x6c\x1b\x01", r"^x\.pgen: a \.bed of PLINK 1 under another name\. Rename it to x\.bed\.$"),
        (b"\x6c\x1b\x20", r"^x\.pgen: a \.pgen whose index is a file of its own .*plink2 --pfile x --make-pgen"),
        (b"\x6c\x1b\x30", r"^x\.pgen: an index of a \.pgen; .*plink2 --pfile x --make-pgen"),
        (b"\x6c\x1b\x7f", r"^x\.pgen: a \.pgen in storage mode 0x7f; 0x02, 0x10 and 0x11 can be read\. "),
    ],
)
def test_what_is_no_pgen_that_can_be_read_is_named(tmp_path, head, message):
    path = write_pfileset(tmp_path, "x", draw())
    path.write_bytes(head + path.read_bytes()[3:])
    refuse(tmp_path, message)


def test_an_index_is_told_to_be_one(tmp_path):
    refuse(tmp_path, r"^x\.pgen\.pgi: the index of a \.pgen\. Name the \.pgen itself\.$", label="x.pgen.pgi")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "psam",
            "F1\tI3",
            "F1\tI2",
            r"^x\.psam:5: family 'F1', individual 'I2' stands in line 4 too; a sample has one",
        ),
        (
            "psam",
            "F0\tI1\t0\t0\t2\t171",
            "F0 I1 0",
            r"^x\.psam:3: 3 columns; there are 6 \(FID, IID, PAT, MAT, SEX, hei",
        ),
        (
            "psam",
            "I1\t0",
            "I1 b\t0",
            r"^x\.psam:3: 7 columns; there are 6 \(FID, .*\)\. Do names hold blanks\? Delete what is too much\.$",
        ),
        ("psam", "I1\t0\t0", "I1\t0\t0\t1\t2\t3\t4\t5", r"^x\.psam:3: 11 columns; there are 6 \(FID, .*\)\. Do names"),
        ("pvar", "2001\trs1", "2001\trs1 or rs2", r"^x\.pvar:4: 7 columns; there are 5 \(CHROM, POS, ID, REF, ALT\)\."),
        ("psam", "SEX", "IID", r"^x\.psam:1: two columns are called IID\. Rename one\.$"),
        ("psam", "#FID", "#FAM", r"^x\.psam:1: no header line that begins with #FID or #IID\. The fileset is torn"),
        ("psam", "#FID", "FID", r"^x\.pgen: holds 13 samples, x\.psam lists 14\."),
        ("pvar", "2001", "here", r"^x\.pvar:4: position 'here'; column POS is a whole number of bp"),
        ("pvar", "2001", "2147483648", r"^x\.pvar:4: position 2147483648 lies past 2147483646, the end of any contig"),
        ("pvar", "\tREF\t", "\tREV\t", r"^x\.pvar:2: the header has no REF\. The fileset is torn"),
        ("pvar", "2001\trs1\tG\tA", "2001", r"^x\.pvar:4: 2 columns; there are 5 \(CHROM, POS, ID, REF, ALT\)\."),
    ],
)
def test_a_fault_of_a_table_is_named_with_its_line(tmp_path, name, old, new, message):
    write_pfileset(tmp_path, "x", draw())
    path = tmp_path / f"x.{name}"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    refuse(tmp_path, message)


def test_missing_files_are_named_at_once(tmp_path):
    write_pfileset(tmp_path, "x", draw())
    (tmp_path / "x.pvar").unlink()
    (tmp_path / "x.psam").unlink()
    refuse(
        tmp_path, r"^x\.psam, x\.pvar: no such files; a PLINK 2 fileset is three files: x\.pgen, x\.pvar \(or x\.pvar\."
    )


@pytest.mark.slow
@pytest.mark.skipif(PLINK is None, reason="needs plink2")
def test_dosages_of_a_vcf_that_plink_converts_are_those_that_it_exports(tmp_path):
    """Also with calls beside dosages, haploid ones, and phase."""
    rng = np.random.default_rng(3)
    calls = ["0/0", "0/1", "1/1", "./.", "0|1", "1|0"]
    lines = ["##fileformat=VCFv4.3", "##contig=<ID=1>"]
    lines += [
        f'##FORMAT=<ID={name},Number=1,Type={kind},Description="x">'
        for name, kind in (("GT", "String"), ("DS", "Float"))
    ]
    lines.append(
        "\t".join(
            ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *[f"I{i}" for i in range(40)]]
        )
    )
    for row in range(200):
        fields = [f"{rng.choice(calls)}:{rng.choice(['.', f'{rng.uniform(0, 2):.4f}'])}" for _ in range(40)]
        lines.append("\t".join(["1", str(row + 1), f"rs{row}", "C", "T", ".", ".", ".", "GT:DS", *fields]))
    (tmp_path / "x.vcf").write_text("\n".join(lines) + "\n")
    command = [PLINK, "--vcf", "x.vcf", "dosage=DS", "--make-pgen", "vzs", "--out", "x", "--threads", "1"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "counted.txt").write_text("".join(f"rs{row}\tT\n" for row in range(200)))
    command = [PLINK, "--pfile", "x", "vzs", "--export", "A", "--export-allele", "counted.txt", "--out", "x"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    header, *rows = [line.split("\t") for line in (tmp_path / "x.raw").read_text().splitlines()]
    exported = np.array([[np.nan if cell == "NA" else float(cell) for cell in row[6:]] for row in rows])
    assert header[6:] == [f"rs{row}_T" for row in range(200)]
    from_pgen = everything(open_genotypes(tmp_path, "x.pgen"))
    assert from_pgen.dtype == np.uint16
    found = np.where(from_pgen == MISSING_STEPS, np.nan, from_pgen / DOSAGE_STEPS)
    # PLINK writes four digits of a fraction.
    np.testing.assert_allclose(found, exported, atol=5.1e-5)
    from_vcf = everything(open_genotypes(tmp_path, "x.vcf", field="DS"))
    np.testing.assert_array_equal(from_vcf, from_pgen)


@pytest.mark.slow
@pytest.mark.skipif(PLINK is None, reason="needs plink2")
def test_frequencies_and_hardy_weinberg_of_dosages_are_those_of_plink(tmp_path):
    """Frequencies from dosages, counts of genotypes from those within 0.1 of a whole copy."""
    rng = np.random.default_rng(4)
    share = rng.uniform(0.1, 0.9, 100)
    near = np.clip(rng.binomial(2, share, (60, 100)) + rng.normal(0, 0.08, (60, 100)), 0, 2)
    cells = [[f"{copies:.3f}" if rng.random() > 0.05 else "." for copies in variant] for variant in near.T]
    write_vcf(tmp_path / "x.vcf", cells, fields="DS")
    command = [PLINK, "--vcf", "x.vcf", "dosage=DS", "--make-pgen", "--out", "x", "--threads", "1"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    command = [PLINK, "--pfile", "x", "--freq", "--hardy", "--nonfounders", "--out", "x", "--threads", "1"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    basis = trait_basis(rng.normal(size=60), np.empty((60, 0), dtype=np.float32), kind="quantitative")
    found = block_statistics(everything(open_genotypes(tmp_path, "x.pgen")), basis)
    frequency = [row.split("\t") for row in (tmp_path / "x.afreq").read_text().splitlines()]
    hardy = [row.split("\t") for row in (tmp_path / "x.hardy").read_text().splitlines()]
    of = frequency[0].index("ALT_FREQS")
    np.testing.assert_allclose(found.frequency, [float(row[of]) for row in frequency[1:]], rtol=2e-5)
    columns = [hardy[0].index(name) for name in ("HOM_A1_CT", "HET_A1_CT", "TWO_AX_CT")]
    theirs = np.array([[int(row[column]) for column in columns] for row in hardy[1:]])
    np.testing.assert_array_equal(np.stack([found.n_none, found.n_one, found.n_two], axis=1), theirs)
    assert (found.n_called < found.n_known).any()
    np.testing.assert_allclose(
        hardy_weinberg_p(found.n_two, found.n_one, n_none=found.n_none),
        [float(row[hardy[0].index("P")]) for row in hardy[1:]],
        rtol=1e-5,
    )

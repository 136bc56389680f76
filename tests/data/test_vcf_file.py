import numpy as np
import pytest
from data.genotype_file_builders import write_vcf

from genotune.data import vcf_decoder
from genotune.data.genotype_opening import open_genotypes
from genotune.errors import DataError
from genotune.store import DOSAGE_STEPS, MISSING_STEPS

TEXT = {-1: "./.", 0: "0/0", 1: "0|1", 2: "1/1"}
N_SAMPLES, N_VARIANTS = 7, 60
KINDS = [("x.vcf", False), ("x.vcf.gz", False), ("x.vcf.gz", True), ("x.bcf", False), ("x.bcf", True)]


def draw(n_variants=N_VARIANTS):
    return np.random.default_rng(0).choice([0, 1, 2, -1], size=(N_SAMPLES, n_variants)).astype(np.int8)


def texts(dosage):
    return [[TEXT[int(copies)] for copies in variant] for variant in dosage.T]


def everything(genotypes):
    return genotypes.decoder.decode(np.arange(genotypes.n_samples), np.arange(genotypes.n_variants))


def one_variant(folder, *calls, field=None, **values):
    """The dosages of a file with one variant."""
    write_vcf(folder / "x.vcf", [list(calls)], **values)
    return everything(open_genotypes(folder, "x.vcf", field=field))[:, 0].tolist()


def refuse(folder, message, *, label="x.vcf", field=None):
    with pytest.raises(DataError, match=message):
        open_genotypes(folder, label, field=field)


@pytest.mark.parametrize(("name", "index"), KINDS)
def test_calls_are_copies_of_the_alternate_allele(tmp_path, name, index):
    write_vcf(tmp_path / name, texts(draw()), index=index)
    genotypes = open_genotypes(tmp_path, name)
    assert genotypes.decoder.is_sequential == (not index)
    np.testing.assert_array_equal(everything(genotypes), draw())
    assert everything(genotypes).dtype == np.int8
    assert genotypes.samples.iids.tolist() == [f"I{i}" for i in range(N_SAMPLES)]
    assert {*genotypes.samples.fids} == {"0"}
    assert (genotypes.variants.counted[0], genotypes.variants.other[0]) == ("A", "G")
    assert genotypes.variants.starts[:2].tolist() == [1000, 2000]
    assert ("index" in genotypes.files) == index


@pytest.mark.parametrize(("name", "index"), KINDS)
def test_samples_and_variants_come_in_the_order_that_is_asked_for(tmp_path, name, index, monkeypatch):
    monkeypatch.setattr(vcf_decoder, "_FAR", 5)
    write_vcf(tmp_path / name, texts(draw()), index=index)
    decoder = open_genotypes(tmp_path, name).decoder
    samples, variants = np.array([5, 0, 3]), np.array([59, 3, 4, 0, 30])
    np.testing.assert_array_equal(decoder.decode(samples, variants), draw()[np.ix_(samples, variants)])
    blocks = [np.array([1, 2]), np.array([10, 7]), np.array([2, 59]), np.empty(0, dtype=np.int64), np.array([0])]
    for block, found in zip(blocks, decoder.decode_in_turn(samples, blocks), strict=True):
        np.testing.assert_array_equal(found, draw()[np.ix_(samples, block)])


def test_without_an_index_rising_blocks_are_read_in_one_pass(tmp_path, monkeypatch):
    write_vcf(tmp_path / "x.vcf", texts(draw()))
    decoder, opened = open_genotypes(tmp_path, "x.vcf").decoder, []
    monkeypatch.setattr(
        vcf_decoder, "open_quietly", lambda *a, _open=vcf_decoder.open_quietly: opened.append(1) or _open(*a)
    )
    list(decoder.decode_in_turn(np.arange(N_SAMPLES), np.array_split(np.arange(1, N_VARIANTS, 2), 5)))
    assert opened == [1]


@pytest.mark.parametrize("index", [False, True])
def test_several_variants_at_one_place_and_long_deletions_are_told_apart(tmp_path, index):
    sites = [
        ("1", 10, "a", "GATTACA", "G"),
        ("1", 12, "b", "T", "A"),
        ("1", 12, "c", "T", "C,G"),
        ("1", 12, "d", "T", "G"),
    ]
    sites += [("1", 13, "e", "T", "A"), ("2", 12, "f", "T", "A"), ("2", 12, "g", "T", "A")]
    write_vcf(tmp_path / "x.vcf.gz", texts(draw(7)), sites=sites, index=index)
    genotypes = open_genotypes(tmp_path, "x.vcf.gz")
    assert genotypes.variants.ids.tolist() == ["a", "b", "d", "e", "f", "g"]
    assert genotypes.variants.contigs.tolist() == ["1"] * 4 + ["2"] * 2
    kept = [0, 1, 3, 4, 5, 6]
    np.testing.assert_array_equal(everything(genotypes), draw(7)[:, kept])
    for variant, column in enumerate(kept):
        found = genotypes.decoder.decode(np.arange(N_SAMPLES), np.array([variant]))
        np.testing.assert_array_equal(found[:, 0], draw(7)[:, column])
    assert genotypes.notes[0] == "x.vcf.gz: 1 of 7 variants have more than two alleles; they are left out."


def test_haploid_calls_count_double_and_half_calls_are_missing(tmp_path):
    assert one_variant(tmp_path, "0", "1", ".", "./1", "0/.", "1|0", "./.") == [0, 2, -1, -1, -1, 1, -1]


def test_a_variant_without_calls_is_missing(tmp_path):
    assert one_variant(tmp_path, "0.5", "1", fields="DS") == [-1, -1]


def test_dosages_are_read_where_they_are_asked_for(tmp_path):
    found = one_variant(
        tmp_path, "0/0:0.25", "0/1:.", "./.:1.3", "1:0.8", "./1:1.5", "./.:.", fields="GT:DS", field="DS"
    )
    one = DOSAGE_STEPS
    # Beside a missing dosage the call counts; of a haploid call the dosage counts double.
    assert found == [one // 4, one, round(1.3 * one), round(1.6 * one), one * 3 // 2, MISSING_STEPS]


@pytest.mark.parametrize(("call", "dosage"), [("0/0", "-0.1"), ("0/1", "2.1"), ("1", "1.1")])
def test_a_dosage_that_is_none_is_named_with_its_place(tmp_path, call, dosage):
    message = rf"^x\.vcf: 1:1001:G:A: DS {dosage}.* of I1; a dosage lies between 0 and 2"
    with pytest.raises(DataError, match=message):
        one_variant(tmp_path, "0/0:0", f"{call}:{dosage}", fields="GT:DS", field="DS")


def test_that_there_are_dosages_is_told(tmp_path):
    write_vcf(tmp_path / "x.vcf", texts(draw()))
    assert (
        "x.vcf: called genotypes (GT) are read. For its dosages set data.dosage_field: DS."
        in open_genotypes(tmp_path, "x.vcf").notes
    )
    assert not any("GT" in note for note in open_genotypes(tmp_path, "x.vcf", field="DS").notes)


def test_a_variant_without_an_id_is_named_by_place_and_alleles(tmp_path):
    write_vcf(tmp_path / "x.vcf", texts(draw(2)), sites=[("X", 7, ".", "C", "CT"), ("X", 9, "rs9", "C", "<DEL>")])
    assert open_genotypes(tmp_path, "x.vcf").variants.ids.tolist() == ["X:7:C:CT", "rs9"]


def test_more_than_two_alleles_in_one_genotype_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"^x\.vcf: 1:1001:G:A: the genotype 0/0/1; those of one or two"):
        one_variant(tmp_path, "0/0", "0/0/1")


@pytest.mark.parametrize(
    ("formats", "field", "message"),
    [
        (("GL",), None, r"^x\.vcf: the header names no FORMAT GT; it has GL\. Name a file with genotypes\.$"),
        ((), None, r"^x\.vcf: the header names no FORMAT GT; it has none\."),
        (
            ("GT",),
            "DS",
            r"^x\.vcf: the header names no FORMAT DS; it has GT\. Leave data\.dosage_field out to read GT\.$",
        ),
    ],
)
def test_a_file_without_the_field_is_refused(tmp_path, formats, field, message):
    write_vcf(tmp_path / "x.vcf", [["0", "0"]], formats=formats, fields=(formats or ("GT",))[0])
    refuse(tmp_path, message, field=field)


def test_a_list_of_sites_is_refused(tmp_path):
    write_vcf(tmp_path / "x.vcf", [[]], sites=[("1", 5, "a", "A", "C")], samples=[])
    refuse(tmp_path, r"^x\.vcf: has no samples: a list of sites\. Name a file with genotypes\.$")


def test_a_file_of_variants_with_many_alleles_only_is_refused(tmp_path):
    write_vcf(tmp_path / "x.vcf", texts(draw(1)), sites=[("1", 5, "a", "A", "C,G")])
    refuse(tmp_path, r"^x\.vcf: all 1 variants have more than two alleles; nothing is left to learn from\.$")


def test_a_sample_that_stands_twice_is_refused(tmp_path):
    write_vcf(tmp_path / "x.vcf", [["0/0", "0/1"]])
    path = tmp_path / "x.vcf"
    path.write_text(path.read_text().replace("\tI1", "\tI0"))
    refuse(tmp_path, r"^x\.vcf: can't be read as VCF or BCF: ")


@pytest.mark.parametrize("name", ["x.vcf", "x.vcf.gz", "x.bcf"])
@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_refused_at_planning(tmp_path, name, share):
    path = write_vcf(tmp_path / name, texts(draw(3000)))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refuse(tmp_path, rf"^{name}: (cut short|the file is empty|damaged)", label=name)


def test_a_file_that_was_cut_short_since_it_was_planned_is_named(tmp_path):
    path = write_vcf(tmp_path / "x.vcf", texts(draw()))
    genotypes = open_genotypes(tmp_path, "x.vcf")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-3]))
    with pytest.raises(
        DataError, match=r"^x\.vcf: ends before record 58 of those that were planned\. Copy it again\.$"
    ):
        everything(genotypes)
    path.write_text("".join(lines)[:-9])
    with pytest.raises(DataError, match=r"^x\.vcf: can't be decoded: .*\. Copy it again\.$"):
        everything(genotypes)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.vcf", b"hello\tworld\n", r"^x\.vcf: can't be read as VCF or BCF: "),
        (
            "x.vcf.gz",
            b"##fileformat=VCFv4.3\n",
            r"^x\.vcf\.gz: not compressed; a VCF that bgzip compressed is wanted\.",
        ),
        ("x.bcf", b"##fileformat=VCFv4.3\n", r"^x\.bcf: not compressed; a BCF is wanted\."),
        ("x.vcf", bytes(range(256)) + b"\n", r"^x\.vcf: can't be read as VCF or BCF: "),
    ],
)
def test_what_is_no_vcf_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    refuse(tmp_path, message, label=name)


def test_a_file_that_is_not_there_is_named(tmp_path):
    refuse(tmp_path, r"^x\.vcf: no such file\. Looked in ")


def test_an_index_of_another_file_is_named(tmp_path):
    sites = [("1", 20_000_000 + i, f"r{i}", "A", "C") for i in range(9)]
    write_vcf(tmp_path / "other.vcf.gz", texts(draw(9)), sites=sites, index=True)
    write_vcf(tmp_path / "x.vcf.gz", texts(draw(9)))
    (tmp_path / "other.vcf.gz.tbi").rename(tmp_path / "x.vcf.gz.tbi")
    genotypes = open_genotypes(tmp_path, "x.vcf.gz")
    with pytest.raises(DataError, match=r"^x\.vcf\.gz: (its index leads to no record at 1:1001|can't be decoded)"):
        everything(genotypes)

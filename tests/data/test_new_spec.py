from pathlib import Path

import numpy as np
import pytest
import yaml
from data.plink_builders import MAGIC, write_fileset

from genotune.data.new_spec import GenotypeFiles, TrackFiles, scalar, sort_inputs, write_spec
from genotune.errors import DataError
from genotune.spec.yaml_source import parse_yaml


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    """A folder to be in, with two filesets, a table and a BED of intervals."""
    monkeypatch.chdir(tmp_path)
    dosage = np.zeros((6, 3), dtype=np.int8)
    write_fileset(tmp_path, "mice.v2", dosage)
    write_fileset(tmp_path, "rats", dosage)
    (tmp_path / "traits.tsv").write_text("IID\theight\n" + "".join(f"I{i}\t{i}.5\n" for i in range(6)))
    (tmp_path / "peaks.bed").write_text("chr1\t0\t10\n")
    return tmp_path


def sort(*names):
    return sort_inputs([Path(name) for name in names])


def test_tracks_are_told_apart_by_their_endings():
    files = sort("x.BED", "b.bigWig", "ref.fna.gz", "a.bw")
    assert files == TrackFiles((Path("b.bigWig"), Path("a.bw")), Path("ref.fna.gz"), Path("x.BED"))


@pytest.mark.parametrize(
    "names",
    [
        ["mice.v2.bed"],
        ["mice.v2.bim"],
        ["mice.v2.fam"],
        ["mice.v2"],
        ["mice.v2.fam", "mice.v2.bed", "mice.v2.bim"],
        ["./mice.v2", "mice.v2.bed"],
    ],
)
def test_a_fileset_is_known_by_any_of_its_names(cohort, names):
    assert sort(*names) == GenotypeFiles(Path("mice.v2.bed"), None)


@pytest.mark.parametrize("name", ["t.tsv", "t.CSV", "t.txt", "t.tsv.gz", "t.csv.gz", "t.txt.gz", "t.parquet"])
def test_a_table_of_each_kind_goes_with_a_fileset(cohort, name):
    assert sort(name, "rats.bed") == GenotypeFiles(Path("rats.bed"), Path(name))


def test_a_bed_that_begins_as_plink_is_genotypes_though_its_fellows_are_missing(cohort):
    (cohort / "alone.bed").write_bytes(MAGIC)
    assert sort("alone.bed") == GenotypeFiles(Path("alone.bed"), None)


def test_a_bed_between_its_fellows_is_genotypes_though_it_begins_otherwise(cohort):
    (cohort / "rats.bed").write_bytes(b"torn")
    assert sort("rats.bed") == GenotypeFiles(Path("rats.bed"), None)


def test_a_bed_of_intervals_goes_with_tracks(cohort):
    assert sort("a.bw", "ref.fa", "peaks.bed") == TrackFiles((Path("a.bw"),), Path("ref.fa"), Path("peaks.bed"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.bw", "ref.fa", "x.bam"], r"^x\.bam: neither a bigWig \(\.bw\), a FASTA .* table of samples \(\.tsv"),
        (["ref.fa"], "^No bigWig among the files; name at least one"),
        (["peaks.bed"], "^No bigWig among the files; name at least one"),
        (["a.bw"], "^0 FASTA files; name the one"),
        (["a.bw", "a.fa", "b.fa"], "^2 FASTA files; name the one"),
        (["a.bw", "a.fa", "a.bed", "b.bed"], "^2 BED files; name one"),
        (
            ["rats.bed", "mice.v2"],
            r"^rats\.bed, mice\.v2\.bed: 2 PLINK filesets; name one\. .*--bfile rats --bmerge mice",
        ),
        (["rats", "a.tsv", "b.csv"], r"^a\.tsv, b\.csv: 2 tables of samples; name one, with all columns"),
        (["traits.tsv"], r"^traits\.tsv: a table of samples, but no genotypes\. Name their PLINK fileset too"),
        (["traits.tsv", "peaks.bed"], r"^peaks\.bed: not the \.bed of a PLINK fileset: it doesn't begin with 6c 1b"),
        (
            ["rats.bed", "a.bw", "traits.tsv", "ref.fa", "peaks.bed"],
            r"tracks on a genome are a\.bw, ref\.fa, peaks\.bed; of samples and their genotypes are rats\.bed, traits",
        ),
        (["a.bw", "ref.fa", "traits.tsv"], r"^Files of two sources, .* genotypes are traits\.tsv\. Name only those"),
    ],
)
def test_a_set_of_files_that_makes_no_spec_is_refused(cohort, names, message):
    with pytest.raises(DataError, match=message):
        sort(*names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["none.bed"], r"^none\.bed, none\.bim, none\.fam: no such files; a PLINK fileset is three files"),
        (["none.bed", "traits.tsv"], r"^none\.bed, none\.bim, none\.fam: no such files"),
        (["rats.bed", "none.tsv"], r"^none\.tsv: no such file"),
        (
            ["new.pgen", "traits.tsv"],
            r"^new\.pgen, new\.psam, new\.pvar: no such files; a PLINK 2 fileset is three files",
        ),
    ],
)
def test_a_file_that_cant_be_read_is_named_as_it_was_typed(cohort, names, message):
    with pytest.raises(DataError, match=message):
        write_spec([Path(name) for name in names], Path("x.yaml"))
    assert not Path("x.yaml").exists()


def test_a_trait_of_tracks_is_refused():
    with pytest.raises(DataError, match=r"^--trait CD8: a trait belongs to genotypes .* Leave --trait out"):
        write_spec([Path("a.bw"), Path("ref.fa")], Path("x.yaml"), trait="CD8")


def test_the_text_is_written_and_given_back_under_the_name_of_its_file(cohort):
    out = cohort / "my specs" / "first try.yaml"
    text = write_spec([Path("rats.bed"), Path("traits.tsv")], out)
    assert out.read_text() == text
    lines = text.splitlines()
    assert lines[0].endswith(". Written by `genotune new`; change what you like.")
    assert lines[1] == "# What it would do:  genotune check 'first try.yaml'"
    spec = yaml.safe_load(text)
    assert (spec["name"], spec["tracking"]) == ("first-try", {"experiment": "first-try"})
    assert spec["data"]["genotypes"] == "../rats.bed"


@pytest.mark.parametrize(
    "text",
    [
        "CD8",
        "blood pressure",
        "no",
        "1e5",
        "007",
        "1_000",
        "-9",
        "a: b",
        "a #b",
        "Größe",
        '"',
        "[x]",
        "a\nb",
        " a",
        "~",
    ],
)
def test_a_name_comes_back_from_yaml_as_it_was(text):
    assert parse_yaml(f"key: [{scalar(text)}]").values == {"key": [text]}
    assert yaml.safe_load(f"key: [{scalar(text)}]") == {"key": [text]}

"""What of a spec travels to a cluster, and what is refused because it can't."""

import os

import pytest

from builders import SPEC, write_genome
from genotune import packing
from genotune.errors import SpecError
from genotune.packing import pack
from genotune.spec import read_sweeps


def packed(spec, tmp_path):
    (tmp_path / "package").mkdir()
    return pack(read_sweeps(spec), tmp_path / "package")


def files_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_spec_travels_with_the_files_that_it_names_and_their_indexes(tiny, tmp_path):
    (tmp_path / "genome.fa.fai").write_text("index")
    (tmp_path / "unrelated.txt").write_text("stays")
    package = packed(tiny, tmp_path)
    assert package.spec == "tiny.yaml"
    assert files_in(package.folder) == {"tiny.yaml", "genome.fa", "genome.fa.fai", "sites.bw"}
    assert package.n_bytes == sum(path.stat().st_size for path in package.folder.rglob("*"))
    assert (package.folder / "tiny.yaml").read_text() == tiny.read_text()


def test_files_beside_and_above_the_spec_lie_to_each_other_as_before(tmp_path, monkeypatch):
    (tmp_path / "project" / "specs").mkdir(parents=True)
    (tmp_path / "project" / "data").mkdir()
    write_genome(tmp_path / "project" / "data", lengths={"chrA": 4000, "chrB": 1200, "chrC": 1200})
    text = SPEC.replace("genome.fa", "../data/genome.fa").replace("sites.bw", "../data/sites.bw")
    (tmp_path / "project" / "specs" / "tiny.yaml").write_text(text)
    monkeypatch.chdir(tmp_path / "project" / "specs")
    package = packed(type(tmp_path)("tiny.yaml"), tmp_path)
    assert package.spec == "specs/tiny.yaml"
    assert files_in(package.folder) == {"specs/tiny.yaml", "data/genome.fa", "data/sites.bw"}
    described = read_sweeps(package.folder / package.spec)
    described.settings.data.plan(described.folder)


def test_a_fileset_travels_whole_and_a_pattern_with_all_that_it_stands_for(tmp_path):
    for name in (
        "chr1.pgen",
        "chr1.pvar.zst",
        "chr1.psam",
        "chr2.pgen",
        "chr2.pvar",
        "chr2.psam",
        "notes.pdf",
        "p.tsv",
    ):
        (tmp_path / name).write_text(name)
    (tmp_path / "mice.yaml").write_text(
        """\
name: mice
data: {kind: plink, genotypes: chr*.pgen, phenotypes: p.tsv, trait: weight}
split: {by: column, column: litter, validation: 0.25, test: 0.25, seed: 1}
models: [{family: ridge, params: {n_variants: {choice: [10, 20]}}}]
search: {kind: random, seed: 3}
scheduler: {kind: none, max_epochs: 1}
budget: {trials: 2}
"""
    )
    package = packed(tmp_path / "mice.yaml", tmp_path)
    assert files_in(package.folder) == {
        *("chr1.pgen", "chr1.pvar.zst", "chr1.psam", "chr2.pgen", "chr2.pvar", "chr2.psam"),
        *("p.tsv", "mice.yaml"),
    }


def test_the_python_files_of_a_network_travel(edited, tmp_path):
    (tmp_path / "network.py").write_text(
        "from torch import nn\n\nclass Network(nn.Module):\n    def __init__(self): pass\n"
    )
    text = SPEC[: SPEC.index("models:")] + (
        "models:\n  - family: torch_module\n    params:\n      module: network.py:Network\n      bin_bp: 16\n"
        "      windows: {length_bp: 256, stride_bp: 256, select: tiles}\n"
    )
    (tmp_path / "tiny.yaml").write_text(text + SPEC[SPEC.index("search:") :])
    assert "network.py" in files_in(packed(tmp_path / "tiny.yaml", tmp_path).folder)


def test_what_an_address_or_an_absolute_path_names_stays_where_it_is(edited, tmp_path):
    spec = edited(("path: sites.bw", "path: s3://box/sites.bw"), ("genome.fa", "/nfs/genome.fa"))
    assert files_in(packed(spec, tmp_path).folder) == {"tiny.yaml"}


def test_a_file_that_is_not_there_is_told_with_its_line(edited, tmp_path):
    with pytest.raises(SpecError, match=r"tiny\.yaml:4: data\.reference: no file of that name is there \(looked in "):
        packed(edited(("genome.fa", "other.fa")), tmp_path)


def test_files_that_are_too_large_to_travel_are_told_with_the_fix_the_small_ones_not(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "MOST_BYTES", 10**6)
    with (tmp_path / "genome.fa").open("r+b") as file:
        os.truncate(file.fileno(), 3 * 10**6)
    with pytest.raises(SpecError) as raised:
        packed(tiny, tmp_path)
    assert raised.value.lines == (
        f"{tiny}:4: data.reference: 3 MB; 1 MB at most travel with a spec. Put it where the cluster's machines can "
        "read it and name it so: s3://..., gs://..., https://..., or the absolute path in a folder that all of them "
        "see.",
    )

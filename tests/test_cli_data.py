"""Bad data, places and addresses through the command line: one plain message and exit code 2, never a traceback."""

import shutil
import socket

import pytest

from builders import write_genome


def refused(result):
    """What a refused command says."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    return result.stderr


def compress(tmp_path, edited):
    """The tiny spec on a bgzipped FASTA."""
    import pysam

    pysam.tabix_compress(str(tmp_path / "genome.fa"), str(tmp_path / "genome.fa.gz"))
    return edited(("reference: genome.fa", "reference: genome.fa.gz"))


@pytest.mark.parametrize(("name", "command"), [("genome.fa", "check"), ("sites.bw", "check"), ("sites.bw", "run")])
def test_a_file_that_is_missing_is_named(genotune, tiny, tmp_path, name, command):
    (tmp_path / name).unlink()
    assert f"{name}: no such file" in refused(genotune(command, tiny))
    assert not (tmp_path / ".genotune").exists()


def test_all_files_that_are_missing_are_named_at_once(genotune, tiny, tmp_path):
    for name in ("genome.fa", "sites.bw"):
        (tmp_path / name).unlink()
    message = refused(genotune("check", tiny))
    assert "genome.fa: no such file" in message
    assert "sites.bw: no such file" in message


@pytest.mark.parametrize("share", [0.3, 0.6, 0.999])
def test_a_bgzipped_fasta_that_was_cut_short_is_told(genotune, edited, tmp_path, share):
    spec = compress(tmp_path, edited)
    path = tmp_path / "genome.fa.gz"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "genome.fa.gz: cut short" in refused(genotune("check", spec))


def test_a_plain_fasta_that_was_cut_short_after_it_was_indexed_is_told(genotune, tiny, tmp_path):
    assert genotune("check", tiny).returncode == 0
    path = tmp_path / "genome.fa"
    path.write_bytes(path.read_bytes()[:-5000])
    assert "genome.fa: cut short" in refused(genotune("check", tiny))


@pytest.mark.parametrize("size", [0, 3, 40, 100, 0.1, 0.5, 0.9, 0.999])
def test_a_bigwig_that_was_cut_short_is_told_wherever_it_ends(genotune, tiny, tmp_path, size):
    """Readers in C and Rust trust a file's offsets: none may be asked before the file was found whole."""
    path = tmp_path / "sites.bw"
    content = path.read_bytes()
    path.write_bytes(content[: size if isinstance(size, int) else int(len(content) * size)])
    message = refused(genotune("check", tiny))
    assert "sites.bw: " in message
    assert "cut short" in message or "empty" in message or "not a bigWig" in message


def test_a_bigwig_of_another_assembly_is_told_by_the_lengths(genotune, tiny, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_genome(other, lengths={"chrA": 40_000, "chrB": 12_345, "chrC": 12_000})
    shutil.move(other / "sites.bw", tmp_path / "sites.bw")
    message = refused(genotune("check", tiny))
    assert "sites.bw: contigs differ in length from genome.fa: 'chrB' has 12345 bp, not 12000." in message
    assert "another assembly" in message


def renamed(folder, tiny, *, tracks, genome, splits):
    """The tiny project with contigs of other names in the tracks than in the FASTA."""
    lengths = (40_000, 12_000, 12_000)
    write_genome(folder, lengths=dict(zip(tracks, lengths, strict=True)))
    text = (folder / "genome.fa").read_text()
    for old, new in zip(tracks, genome, strict=True):
        text = text.replace(f">{old}\n", f">{new}\n")
    (folder / "genome.fa").write_text(text)
    tiny.write_text(tiny.read_text().replace("chrB", splits[0]).replace("chrC", splits[1]))
    return tiny


@pytest.mark.parametrize(("prefixes", "style"), [(("", "chr"), "ensembl"), (("chr", ""), "ucsc")])
def test_contigs_that_are_merely_called_otherwise_get_a_fix_that_works(genotune, tiny, tmp_path, prefixes, style):
    tracks, genome = ([f"{prefix}{number}" for number in ("I", "II", "III")] for prefix in prefixes)
    spec = renamed(tmp_path, tiny, tracks=tracks, genome=genome, splits=genome[1:])
    message = refused(genotune("check", spec))
    assert f"sites.bw: no contig {genome[0]!r}" in message
    assert f"Set data.contig_names: {style}." in message
    spec.write_text(spec.read_text().replace("  missing: zero", f"  missing: zero\n  contig_names: {style}"))
    result = genotune("check", spec)
    assert result.returncode == 0, result.stderr


def test_a_split_under_the_other_names_is_told_the_right_one(genotune, edited):
    message = refused(genotune("check", edited(("validation: [chrB]", "validation: [B]"))))
    assert "tiny.yaml:9: split.validation[0]: the data has no contig 'B'. Did you mean 'chrB'?" in message


def test_files_without_a_common_contig_are_told(genotune, tiny, tmp_path):
    spec = renamed(tmp_path, tiny, tracks=("x", "y", "z"), genome=("one", "two", "three"), splits=("two", "three"))
    message = refused(genotune("check", spec))
    assert "sites.bw: no contig in common with genome.fa: it has 'x', 'y' and 'z'" in message
    assert "same assembly" in message


def test_a_split_without_contigs_is_told(genotune, edited):
    message = refused(genotune("check", edited(("test: [chrC]", "test: []"))))
    assert "tiny.yaml:9: split.test: no contig is named, so the split is empty." in message


def test_a_split_that_leaves_nothing_to_learn_from_is_told(genotune, edited):
    message = refused(genotune("check", edited(("validation: [chrB]", "validation: [chrA, chrB]"))))
    assert "tiny.yaml:9: split: validation and test take all 3 contigs" in message


def test_a_contig_in_two_splits_is_told(genotune, edited):
    message = refused(genotune("check", edited(("test: [chrC]", "test: [chrB, chrC]"))))
    assert "tiny.yaml:9: split.test[0]: 'chrB' is in validation too" in message


@pytest.fixture
def silent_port():
    """A port of this machine on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.parametrize("command", ["check", "run"])
def test_an_address_where_no_ray_answers_is_told_soon(genotune, tiny, silent_port, command):
    message = refused(genotune(command, tiny, "--address", f"127.0.0.1:{silent_port}", timeout_s=60))
    assert f"--address 127.0.0.1:{silent_port}: no Ray answers there" in message


@pytest.mark.parametrize("address", ["127.0.0.1", "no-such-host.invalid:6379", "127.0.0.1:none", "http://x"])
def test_an_address_that_names_no_ray_is_told(genotune, tiny, address):
    assert f"--address {address}: no Ray answers there" in refused(
        genotune("check", tiny, "--address", address, timeout_s=60)
    )


def test_a_server_that_is_no_ray_is_told(genotune, tiny):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        message = refused(genotune("check", tiny, "--address", address, timeout_s=120))
    assert f"--address {address}: no Ray answers there" in message


@pytest.mark.parametrize("workspace", ["sites.bw", "sites.bw/below", "/dev/null/below"])
def test_a_workspace_that_cannot_be_written_is_told(genotune, tiny, workspace):
    message = refused(genotune("run", tiny, "--workspace", workspace))
    assert workspace.split("/below")[0] in message
    assert "can't be read or written: Not a directory." in message


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_spec_that_is_a_folder_is_told(genotune, tmp_path, command):
    assert f"{tmp_path}: a folder; give the search-space file in it." in refused(genotune(command, tmp_path))


def test_a_spec_below_a_file_is_told(genotune, tiny):
    assert "tiny.yaml/x.yaml: " in refused(genotune("check", tiny / "x.yaml"))


def test_a_spec_that_is_no_text_is_told(genotune, tiny, tmp_path):
    assert "sites.bw:1: not text in UTF-8; a search-space file is YAML." in refused(
        genotune("check", tmp_path / "sites.bw")
    )

"""Splits of tracks through the command line: by groups of contigs, by track, by homology; and strata of the metrics."""

import shutil

import pytest

DATA = """\
  tracks:
    liver: {path: liver.bw}
    lung: {path: lung.bw}
    plus: {path: plus.bw}
    minus: {path: minus.bw}
  strands: [[plus, minus]]
  peaks: {summits: {path: peaks.bed}}
"""
MODELS = "models:\n  - family: ridge\nsearch:"


def refused(result):
    """What a refused command says."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    return result.stderr


@pytest.fixture
def split_by(tiny, tmp_path):
    """The tiny project with four tracks, a set of peaks and ridge alone, split as is said."""

    def write(split, *, more=""):
        for name in ("liver", "lung", "plus", "minus"):
            shutil.copy(tmp_path / "sites.bw", tmp_path / f"{name}.bw")
        (tmp_path / "peaks.bed").write_text("chrA\t100\t400\nchrB\t5000\t5600\nchrC\t11000\t12000\n")
        text = tiny.read_text().replace("  tracks:\n    sites: {path: sites.bw, transform: none}\n", DATA)
        head, rest = text.split("models:")
        head = head.replace("{by: contig, validation: [chrB], test: [chrC]}", split)
        tiny.write_text(f"{head}{MODELS}{rest.split('search:')[1]}{more}")
        return tiny

    return write


def test_groups_of_contigs_are_checked_and_their_folds_are_the_groups(genotune, split_by):
    groups = "{one: [chrA], two: [chrB], three: [chrC]}"
    spec = split_by(
        f"{{by: contig_group, groups: {groups}, validation: two, test: three}}", more="evaluation: {folds: 2}\n"
    )
    result = genotune("check", spec)
    assert result.returncode == 0, result.stderr
    assert "compared again on 2 folds" in result.stdout


def test_other_folds_than_the_groups_make_are_refused_with_their_number(genotune, split_by):
    groups = "{one: [chrA], two: [chrB], three: [chrC]}"
    spec = split_by(
        f"{{by: contig_group, groups: {groups}, validation: two, test: three}}", more="evaluation: {folds: 5}\n"
    )
    message = refused(genotune("check", spec))
    assert "evaluation.folds: found 5; split.groups has 2 groups beside that of test, and each is held out" in message
    assert "Write folds: 2." in message


def test_a_group_that_is_named_twice_is_told(genotune, split_by):
    groups = "{one: [chrA], two: [chrB], one: [chrC]}"
    message = refused(
        genotune("check", split_by(f"{{by: contig_group, groups: {groups}, validation: two, test: one}}"))
    )
    assert "split.groups.one: " in message
    assert "twice" in message


def test_a_contig_in_two_groups_is_told(genotune, split_by):
    groups = "{one: [chrA, chrB], two: [chrB], three: [chrC]}"
    message = refused(
        genotune("check", split_by(f"{{by: contig_group, groups: {groups}, validation: two, test: three}}"))
    )
    assert "split.groups.two[0]: 'chrB' is in one too; a contig belongs to one split" in message


def test_tracks_are_split_and_shown(genotune, split_by):
    result = genotune("check", split_by("{by: track, validation: [liver], test: [lung]}"))
    assert result.returncode == 0, result.stderr
    assert "note split.contigs is null" in result.stdout
    assert "plus, minus on chrA, chrB, chrC" in result.stdout
    assert "lung on chrA, chrB, chrC" in result.stdout


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("validation: [liver], test: [liver]", "split.test[0]: 'liver' is in validation too; a track belongs to one"),
        ("validation: [liver], test: [lungs]", "split.test[0]: the data has no track 'lungs'. Did you mean 'lung'?"),
        (
            "validation: [plus], test: [lung]",
            "split.validation[0]: 'plus' and 'minus' are the strands of one signal, and belong to one split: name both",
        ),
        (
            "validation: [liver], test: [lung], contigs: {validation: [chrB], test: [chrX]}",
            "split.contigs.test[0]: the data has no contig 'chrX'. Did you mean 'chr",
        ),
        (
            "validation: [liver], test: [lung], contigs: {validation: [chrB]}",
            "split.contigs.test: is missing",
        ),
    ],
)
def test_faults_of_a_split_by_track_are_told_at_their_place(genotune, split_by, split, message):
    assert message in refused(genotune("check", split_by(f"{{by: track, {split}}}")))


def test_blocks_of_contigs_are_split_by_homology(genotune, split_by):
    result = genotune("check", split_by("{by: homology, validation: 0.2, test: 0.2, block_bp: 4000}"))
    assert result.returncode == 0, result.stderr
    assert "note the whole reference (64,000 bp) was read to compare sequences: 16 blocks of 4,000 bp" in result.stdout
    assert "3 blocks of 4,000 bp" in result.stdout


def test_homology_that_leaves_an_empty_split_is_told(genotune, split_by, tmp_path):
    text = (tmp_path / "genome.fa").read_text().splitlines()
    parts = {">chrA": text[1], ">chrB": text[1][:12_000], ">chrC": text[1][20_000:32_000]}
    (tmp_path / "genome.fa").write_text("".join(f"{name}\n{bases}\n" for name, bases in parts.items()))
    message = refused(genotune("check", split_by("{by: homology, validation: 0.2, test: 0.2}")))
    assert "split.by: the 3 contigs make 1 group of near-identical sequence" in message
    assert "Raise identity, give block_bp" in message


def test_strata_that_are_no_set_of_peaks_are_told(genotune, split_by):
    spec = split_by("{by: contig, validation: [chrB], test: [chrC]}", more="evaluation: {strata: [summits, summit]}\n")
    message = refused(genotune("check", spec))
    assert "evaluation.strata[1]: there is no set of peaks 'summit'. Did you mean 'summits'?" in message


def test_strata_without_any_peaks_are_told(genotune, edited):
    spec = edited(("budget: {trials: 5}", "budget: {trials: 5}\nevaluation: {strata: [summits]}"))
    message = refused(genotune("check", spec))
    assert "evaluation.strata[0]: there is no set of peaks 'summits'. The data has none" in message

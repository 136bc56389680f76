"""What a contig's name says of it."""

import numpy as np
import pytest

from genotune.genome.chromosomes import chromosome_kinds, common_names, haploid_note, is_kind

HUMAN = [str(number) for number in range(1, 27)]
MOUSE = [str(number) for number in range(1, 20)]
YEAST = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI", "Mito"]
WORM = ["I", "II", "III", "IV", "V", "X", "MtDNA"]


def kinds(contigs, **values):
    return dict(chromosome_kinds(contigs, **values))


@pytest.mark.parametrize("prefix", ["", "chr", "Chr"])
def test_human_codes_after_22_are_those_of_plink(prefix):
    found = kinds([prefix + name for name in HUMAN])
    assert [found[prefix + name] for name in HUMAN] == ["autosome"] * 22 + ["x", "y", "xy", "mt"]


@pytest.mark.parametrize("names", [["X", "Y", "XY", "MT"], ["chrX", "chrY", "PAR1", "chrM"]])
def test_sex_chromosomes_and_the_mitochondrion_have_names(names):
    found = kinds([*MOUSE, *names])
    assert [found[name] for name in names] == ["x", "y", "xy", "mt"]
    assert {found[name] for name in MOUSE} == {"autosome"}


def test_of_a_mouse_the_numbers_after_19_are_known_only_if_it_is_said():
    names = [*MOUSE, "20", "21", "23"]
    assert [kinds(names, n_autosomes=19)[name] for name in ("19", "20", "21", "23")] == ["autosome", "x", "y", "mt"]
    assert [kinds(names)[name] for name in ("20", "21", "23")] == ["autosome", "autosome", "x"]


def test_where_numbers_go_past_26_all_are_autosomes():
    dog = [str(number) for number in range(1, 39)]
    assert {*kinds([*dog, "X"]).values()} == {"autosome", "x"}
    assert kinds([*dog, "X"])["23"] == "autosome"
    assert kinds([*dog, "39"], n_autosomes=38)["39"] == "x"


def test_x_is_the_tenth_chromosome_of_a_yeast_and_the_sex_of_a_worm():
    assert kinds(YEAST) == dict.fromkeys(YEAST[:-1], "autosome") | {"Mito": "mt"}
    assert kinds([f"chr{name}" for name in YEAST])["chrX"] == "autosome"
    assert kinds(WORM) == dict.fromkeys(WORM[:5], "autosome") | {"X": "x", "MtDNA": "other"}


def test_arms_and_subgenomes_are_autosomes_and_what_is_unplaced_is_none():
    assert {*kinds(["2L", "2R", "3L", "3R", "4"]).values()} == {"autosome"}
    assert {*kinds(["1A", "7D"]).values()} == {"autosome"}
    assert {*kinds(["0", "chrUn", "GL000192.1", "1_random", "-9"]).values()} == {"other"}


def test_variants_are_told_by_their_contig():
    contigs = np.array(["X", "1", "X", "0", "22"])
    assert is_kind(contigs, "x").tolist() == [True, False, True, False, False]
    assert is_kind(contigs, "autosome").tolist() == [False, True, False, False, True]
    assert is_kind(np.empty(0, dtype=np.str_), "x").tolist() == []


def test_a_chromosome_has_one_name_however_files_write_it():
    names = ["X", "chrX", "23", "chr23", "24", "Y", "25", "XY", "26", "chrM", "MT", "7", "chr7", "chrUn"]
    assert {name: common_names(names)[name] for name in names} == {
        **dict.fromkeys(("X", "chrX", "23", "chr23"), "X"),
        **dict.fromkeys(("24", "Y"), "Y"),
        **dict.fromkeys(("25", "XY"), "XY"),
        **dict.fromkeys(("26", "chrM", "MT"), "MT"),
        **dict.fromkeys(("7", "chr7"), "7"),
        "chrUn": "Un",
    }


def test_where_one_file_has_more_than_26_numbers_23_is_a_number_in_all():
    assert common_names(["23", "X", "38"]) == {"23": "23", "X": "X", "38": "38"}


def test_the_tenth_chromosome_of_a_yeast_is_no_x():
    assert common_names(["chrX", "chrIX", "chrII"])["chrX"] == "X"
    assert chromosome_kinds(["chrX", "chrIX", "chrII"])["chrX"] == "autosome"


def test_single_copies_that_count_as_two_are_told():
    [note] = haploid_note(np.array(["1", "X", "X", "chrM", "XY"]), label="x.bim")
    assert note.startswith(
        "x.bim: 2 on X, 1 on chrM: a single copy (of X in males, of Y and MT) counts as two, as plink2"
    )
    assert haploid_note(np.array(["1", "25", "chrUn"]), label="x.bim") == ()
    assert haploid_note(np.array(["20"]), label="x.bim") == ()
    assert haploid_note(np.array(["20"]), label="x.bim", n_autosomes=19) != ()

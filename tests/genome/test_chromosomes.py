"""What a contig's name says of it."""

import numpy as np
import pytest

from genotune.genome.chromosomes import chromosome_kinds, is_kind

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

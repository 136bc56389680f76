import numpy as np
import pytest

from genotune.genome.contig_names import is_mitochondrion, match_contigs, name_some, natural_order, style_of

UCSC = ["chr1", "chr2", "chrX", "chrM"]
ENSEMBL = ["1", "2", "X", "MT"]


def test_equal_names_need_no_style():
    assert match_contigs(UCSC, ["chr2", "chr1", "chrUn"]) == {"chr1": "chr1", "chr2": "chr2"}


@pytest.mark.parametrize(("ours", "theirs", "style"), [(ENSEMBL, UCSC, "ucsc"), (UCSC, ENSEMBL, "ensembl")])
def test_a_style_maps_all_contigs_with_the_mitochondrion(ours, theirs, style):
    assert match_contigs(ours, theirs) == {}
    assert match_contigs(ours, theirs, style=style) == dict(zip(ours, theirs, strict=True))
    assert style_of(theirs, ours) == style


def test_the_mitochondrion_of_yeast_goes_by_its_own_name():
    assert match_contigs(["chrI", "chrM"], ["I", "Mito"], style="ensembl") == {"chrI": "I", "chrM": "Mito"}
    assert match_contigs(["I", "Mito"], ["chrI", "chrM"], style="ucsc") == {"I": "chrI", "Mito": "chrM"}


def test_an_equal_name_comes_before_a_renamed_one():
    assert match_contigs(["chr1"], ["1", "chr1"], style="ensembl") == {"chr1": "chr1"}


def test_no_style_is_offered_where_none_helps_or_none_is_needed():
    assert style_of(["scaffold_1"], UCSC) is None
    assert style_of(["chr1", "2"], UCSC) is None


def test_the_usual_names_of_the_mitochondrion_are_known():
    assert [is_mitochondrion(name) for name in ("chrM", "MT", "Mito", "chrX")] == [True, True, True, False]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a"], "'a'"),
        (["a", "b"], "'a' and 'b'"),
        (["a", "b", "c"], "'a', 'b' and 'c'"),
        (["a", "b", "c", "d"], "'a', 'b' and 2 more"),
    ],
)
def test_names_are_listed_in_words(names, words):
    assert name_some(names) == words


def test_contigs_stand_in_their_natural_order():
    names = np.array(["chrX", "10", "chr2", "MT", "Y", "GL02.10", "GL02.9", "1", "X", "chrM", "1"])
    ranks = natural_order(names)
    assert [names[i] for i in np.argsort(ranks, kind="stable")] == [
        *("1", "1", "chr2", "10", "chrX", "X", "Y", "MT", "chrM", "GL02.9", "GL02.10")
    ]
    assert ranks[0] == ranks[8]
    assert natural_order(np.empty(0, dtype=np.str_)).shape == (0,)

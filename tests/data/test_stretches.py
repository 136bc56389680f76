from hypothesis import given
from hypothesis import strategies as st

from genotune.data.stretches import cut_into_stretches
from genotune.genome.intervals import Interval
from genotune.genome.spans import spans_of


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 5_000) | st.integers(1, 5_000_000), min_size=1),
    st.sampled_from([1, 32, 1000]),
    st.integers(0, 3),
    st.integers(0, 2),
)
def test_stretches_cover_each_contig_once_in_the_order_of_the_store(contigs, resolution_bp, n_tracks, n_labels):
    labels = [spans_of([], {})] * n_labels
    stretches = cut_into_stretches(contigs, names=[{}] * n_tracks, labels=labels, resolution_bp=resolution_bp)
    parts = [part for stretch in stretches for part in stretch.parts]
    assert list(dict.fromkeys(part.name for part in parts)) == list(contigs)
    for name, length in contigs.items():
        mine = [part for part in parts if part.name == name]
        assert [part.start for part in mine] == [0, *(part.end for part in mine[:-1])]
        assert mine[-1].end == length
        assert all(part.start % resolution_bp == 0 for part in mine)
    for stretch in stretches:
        assert list(contigs)[stretch.contig] == stretch.parts[0].name
        assert stretch.n_bins == sum(-(-(part.end - part.start) // resolution_bp) for part in stretch.parts)
        assert 0 < stretch.n_bins <= max(1, 1_000_000 // resolution_bp)
        assert stretch.n_bins * (resolution_bp + 4 * (n_tracks + n_labels)) <= 16_000_000


def test_many_short_contigs_share_a_stretch():
    contigs = {f"scaffold_{n}": 1_000 for n in range(2_500)}
    stretches = cut_into_stretches(contigs, names=[{}], resolution_bp=1)
    assert [(stretch.contig, len(stretch.parts)) for stretch in stretches] == [(0, 1_000), (1_000, 1_000), (2_000, 500)]


def test_a_stretch_is_filled_to_the_last_bin():
    stretches = cut_into_stretches({"a": 999_999, "b": 1, "c": 1}, names=[{}], resolution_bp=1)
    assert [[part.name for part in stretch.parts] for stretch in stretches] == [["a", "b"], ["c"]]


def test_a_part_carries_what_touches_it():
    intervals = [Interval("a", 999_990, 1_000_010), Interval("a", 5, 10), Interval("b", 0, 10)]
    spans = spans_of(intervals, {"a": 0, "b": 1})
    stretches = cut_into_stretches(
        {"a": 2_000_000, "b": 20}, names=[{"a": "A"}], excluded=spans, labels=[spans], resolution_bp=10
    )
    first, second, third = [part for stretch in stretches for part in stretch.parts]
    assert [len(stretch.parts) for stretch in stretches] == [1, 1, 1]
    assert [part.excluded.starts.tolist() for part in (first, second, third)] == [[5, 999_990], [999_990], [0]]
    assert [part.labels[0].ends.tolist() for part in (first, second, third)] == [[10, 1_000_010], [1_000_010], [10]]
    assert [part.names for part in (first, third)] == [("A",), (None,)]

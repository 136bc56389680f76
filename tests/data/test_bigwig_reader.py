import struct
import tempfile
from pathlib import Path

import numpy as np
import pybigtools
import pyBigWig
import pytest
from data.bigwig_builders import BED_GRAPH, FIXED_STEP, VARIABLE_STEP, Section, write_sections
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.data.bigwig_reader import BigWigReader
from genotune.errors import DataError

NAN = np.nan
LENGTHS = {"a": 400, "b": 300}
VALUES = st.floats(-(2.0**100), 2.0**100, width=32) | st.just(NAN)
GAPS = st.integers(0, 3) | st.integers(0, 40)
WIDTHS = st.integers(1, 20)


@st.composite
def sections(draw):
    """Sections of all kinds in the order of an index (b is numbered before a), with at least one value."""
    made = [Section("b", BED_GRAPH, [(0, 1, 1.0)])]
    for contig, length in reversed(LENGTHS.items()):
        position = draw(GAPS) + (contig == "b")
        while position < length - 60 and draw(st.integers(0, 4)):
            kind, span, step = draw(st.sampled_from([1, 2, 3])), draw(WIDTHS), draw(GAPS)
            values = draw(st.lists(VALUES, min_size=1, max_size=6))
            gaps = draw(st.lists(GAPS, min_size=len(values), max_size=len(values)))
            starts = [position + index * span + sum(gaps[:index]) for index in range(len(values))]
            items = {
                BED_GRAPH: [(start, start + span, value) for start, value in zip(starts, values, strict=True)],
                VARIABLE_STEP: list(zip(starts, values, strict=True)),
                FIXED_STEP: [(value,) for value in values],
            }[kind]
            section = Section(contig, kind, items, start=position, step=span + step, span=span)
            if section.bounds[1] > length:
                break
            made.append(section)
            position = section.bounds[1] + draw(GAPS)
    return made


def values_of(path, contig, start, end):
    """(base,) values as the reader gives them, NaN where there is none."""
    with BigWigReader(path, path.name) as reader:
        runs = reader.runs(contig, start, end)
    assert (runs.ends > runs.starts).all()
    assert (runs.starts[1:] >= runs.ends[:-1]).all()
    bases = np.full(end - start, NAN, dtype=np.float32)
    for first, past, value in zip(*runs, strict=True):
        assert 0 <= first < past <= end - start
        bases[first:past] = value
    return bases


def values_of_oracle(path, contig, start, end):
    with pyBigWig.open(str(path)) as bigwig:
        return bigwig.values(contig, start, end, numpy=True)


def refuse(path, message, place=("a", 0, 400)):
    with pytest.raises(DataError, match=message):
        values_of(path, *place)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.bw"


@settings(max_examples=40, deadline=None)
@given(sections(), st.booleans(), st.integers(2, 5), st.data())
def test_any_sections_are_read_as_pybigwig_reads_them(sections, is_packed, fan_out, data):
    with tempfile.TemporaryDirectory() as folder:
        path = write_sections(Path(folder) / "a.bw", LENGTHS, sections, is_packed=is_packed, fan_out=fan_out)
        for contig, length in LENGTHS.items():
            start = data.draw(st.integers(0, length - 1))
            end = data.draw(st.integers(start + 1, length))
            for part in ((0, length), (start, end)):
                np.testing.assert_array_equal(values_of(path, contig, *part), values_of_oracle(path, contig, *part))


@settings(max_examples=40, deadline=None)
@given(sections())
def test_the_order_of_bytes_makes_no_difference(sections):
    with tempfile.TemporaryDirectory() as folder:
        little = write_sections(Path(folder) / "little.bw", LENGTHS, sections)
        big = write_sections(Path(folder) / "big.bw", LENGTHS, sections, order=">")
        for contig, length in LENGTHS.items():
            np.testing.assert_array_equal(values_of(big, contig, 0, length), values_of(little, contig, 0, length))


@pytest.mark.parametrize(
    "sections",
    [
        [Section("a", BED_GRAPH, [(0, 10, 1.0), (5, 8, 2.0)])],
        [Section("a", BED_GRAPH, [(5, 8, 2.0), (0, 10, 1.0)])],
        [Section("a", BED_GRAPH, [(0, 10, 1.0), (2, 5, NAN)])],
        [Section("a", BED_GRAPH, [(0, 10, 1.0)]), Section("a", BED_GRAPH, [(5, 12, 3.0)])],
        [Section("a", BED_GRAPH, [(5, 5, 1.0), (6, 7, 1.0)])],
        [Section("a", FIXED_STEP, [(1.0,), (2.0,)], start=2, step=2, span=3)],
    ],
    ids=["over", "out of order", "NaN over", "sections", "empty", "step less than span"],
)
def test_of_items_that_overlap_the_later_counts_as_in_pybigwig(path, sections):
    write_sections(path, {"a": 20}, sections)
    for part in ((0, 20), (3, 9)):
        np.testing.assert_array_equal(values_of(path, "a", *part), values_of_oracle(path, "a", *part))


@pytest.mark.parametrize("form", ["bedGraph", "variableStep", "fixedStep"])
def test_what_pybigwig_writes_is_read_as_pybigwig_reads_it(path, form):
    rng = np.random.default_rng(0)
    starts = np.cumsum(rng.integers(7, 20, size=50_000))
    values = rng.normal(size=50_000).astype(np.float32).astype(float)
    length = int(starts[-1]) + 500_000
    with pyBigWig.open(str(path), "w") as bigwig:
        bigwig.addHeader([("a", length), ("b", 100)])
        if form == "bedGraph":
            bigwig.addEntries(["a"] * len(starts), starts, ends=starts + 7, values=values)
        elif form == "variableStep":
            bigwig.addEntries("a", starts, values=values, span=7)
        else:
            bigwig.addEntries("a", 11, values=values, span=3, step=9)
    for part in ((0, length), (123_456, 234_567), (length - 10, length)):
        np.testing.assert_array_equal(values_of(path, "a", *part), values_of_oracle(path, "a", *part))
    assert np.isnan(values_of(path, "b", 0, 100)).all()


def test_what_pybigtools_writes_is_read_as_pybigwig_reads_it(path):
    entries = [("a", start, start + 3 + start % 5, start / 7) for start in range(0, 90_000, 8)]
    pybigtools.open(str(path), "w").write({"a": 100_000}, entries)
    np.testing.assert_array_equal(values_of(path, "a", 0, 100_000), values_of_oracle(path, "a", 0, 100_000))


def test_the_real_demo_tracks_are_read_as_pybigwig_reads_them(demo):
    for path in (demo / "cutsites.bw", demo.parent / "yeast_mini" / "mini.cutsites.bw"):
        with pyBigWig.open(str(path)) as bigwig:
            lengths = bigwig.chroms()
        for contig, length in lengths.items():
            with BigWigReader(path, path.name) as reader:
                runs = reader.runs(contig, 0, length)
            bases = np.full(length, NAN, dtype=np.float32)
            places = np.repeat(runs.starts - np.cumsum(runs.ends - runs.starts), runs.ends - runs.starts)
            places += np.repeat(runs.ends - runs.starts, runs.ends - runs.starts) + np.arange(len(places))
            bases[places] = np.repeat(runs.values, runs.ends - runs.starts)
            np.testing.assert_array_equal(bases, values_of_oracle(path, contig, 0, length))


def test_an_open_file_serves_any_intervals_in_any_order(path):
    items = [(start, start + 2, float(start)) for start in range(0, 390, 3)]
    blocks = [Section("a", BED_GRAPH, items[first : first + 10]) for first in range(0, len(items), 10)]
    write_sections(path, LENGTHS, blocks)
    with BigWigReader(path, "a.bw") as reader:
        for start, end in [(0, 40), (35, 90), (0, 400), (20, 21), (399, 400)]:
            runs = reader.runs("a", start, end)
            assert runs.values.tolist() == [value for first, past, value in items if past > start and first < end]


def test_a_section_of_two_contigs_in_the_index_is_asked_for_its_own(path):
    write_sections(path, LENGTHS, [Section("b", BED_GRAPH, [(1, 2, 5.0)]), Section("a", BED_GRAPH, [(3, 4, 6.0)])])
    content = bytearray(path.read_bytes())
    index = content.index(struct.pack("<I", 0x2468ACE0)) + 48 + 4
    # b is contig 0 and a is 1: both leaves are said to reach from one to the other.
    for leaf in (index, index + 32):
        struct.pack_into("<IIII", content, leaf, 0, 0, 1, 400)
    path.write_bytes(content)
    assert np.flatnonzero(~np.isnan(values_of(path, "a", 0, 400))).tolist() == [3]
    assert np.flatnonzero(~np.isnan(values_of(path, "b", 0, 300))).tolist() == [1]


def test_a_flipped_bit_is_named_or_changes_nothing(path, build_bigwig):
    rng = np.random.default_rng(0)
    build_bigwig(path, {"a": rng.integers(0, 9, size=400).astype(float)})
    whole, values = path.read_bytes(), values_of(path, "a", 0, 400)
    refused = 0
    for bit in range(0, 8 * len(whole), 13):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            found = values_of(path, "a", 0, 400)
        except DataError as error:
            assert str(error).startswith("a.bw: ")  # noqa: PT017
            assert str(error).endswith("the file is damaged. Copy it again.")  # noqa: PT017
            refused += 1
            continue
        # A bit of the index may hide the section, and of the data none.
        assert np.isnan(found).all() or np.array_equal(found, values)
    assert refused > 20


def damaged(path, sections, *, at, by, is_packed=False, **options):
    """A file whose section was changed: these bytes, so far from the first section."""
    write_sections(path, {"a": 400}, sections, is_packed=is_packed, **options)
    content = bytearray(path.read_bytes())
    first = struct.unpack_from("<Q", content, 16)[0] + 8
    content[first + at : first + at + len(by)] = by
    path.write_bytes(content)


ONE = [Section("a", BED_GRAPH, [(0, 10, 1.0), (20, 30, 2.0)])]


@pytest.mark.parametrize(
    ("at", "by", "message"),
    [
        (0, struct.pack("<I", 7), "a section is another contig's than its index says"),
        (20, b"\x04", "a section is of the unknown kind 4"),
        (22, struct.pack("<H", 3), "a section has 48 bytes, not 60"),
        (24, struct.pack("<I", 11), r"an item at 11 ends at 10"),
        (32, struct.pack("<f", np.inf), r"it holds infinite values, its summary tells of none"),
    ],
)
def test_a_section_that_cannot_be_is_named(path, at, by, message):
    damaged(path, ONE, at=at, by=by)
    refuse(path, rf"^a\.bw: a:0-400 can't be read \({message}\): the file is damaged\. Copy it again\.$")


def test_a_section_without_room_for_its_header_is_named(path):
    write_sections(path, {"a": 400}, ONE, is_packed=False)
    content = bytearray(path.read_bytes())
    leaf = content.index(struct.pack("<I", 0x2468ACE0)) + 48 + 4
    struct.pack_into("<Q", content, leaf + 24, 10)
    path.write_bytes(content)
    refuse(path, r"^a\.bw: a:0-400 can't be read \(a section has 10 bytes, its header alone takes 24\): the file is")


def test_a_section_past_the_greatest_position_is_named(path):
    sections = [Section("a", FIXED_STEP, [(1.0,), (2.0,)], start=0, step=10, span=10)]
    damaged(path, sections, at=4, by=struct.pack("<III", 2**32 - 15, 30, 10))
    refuse(path, r"^a\.bw: a:0-400 can't be read \(an item ends at 4294967301\): the file is damaged")


def test_a_section_that_cannot_be_inflated_is_named(path):
    damaged(path, ONE, at=2, by=bytes(10), is_packed=True)
    refuse(path, r"^a\.bw: a:0-400 can't be read \(Error .*\): the file is damaged")


def test_a_file_cut_within_its_data_or_its_index_is_named(path):
    write_sections(path, LENGTHS, [Section("a", BED_GRAPH, [(start, start + 1, 1.0)]) for start in range(300)])
    whole = path.read_bytes()
    index = whole.index(struct.pack("<I", 0x2468ACE0))
    place = r"(the header|a:0-400)"
    for n_bytes in [*range(0, 300, 9), *range(index - 200, index + 300, 7)]:
        path.write_bytes(whole[:n_bytes])
        refuse(path, rf"^a\.bw: {place} can't be read \(byte \d+ is asked for, the file has \d+\): the file is damaged")


@pytest.mark.parametrize(
    ("offset", "message"),
    [(0, "it doesn't begin as a bigWig"), (104, "no list of contigs where"), (-1, "no index where one should begin")],
)
def test_a_part_that_does_not_begin_as_it_should_is_named(path, offset, message):
    write_sections(path, LENGTHS, ONE)
    content = bytearray(path.read_bytes())
    place = content.index(struct.pack("<I", 0x2468ACE0)) if offset < 0 else offset
    content[place : place + 4] = b"\1\2\3\4"
    path.write_bytes(content)
    refuse(path, rf"^a\.bw: the header can't be read \({message}.*\): the file is damaged")


def test_an_index_that_runs_in_a_circle_is_named(path):
    write_sections(path, LENGTHS, [Section("a", BED_GRAPH, [(start, start + 1, 1.0)]) for start in range(30)])
    content = bytearray(path.read_bytes())
    root = content.index(struct.pack("<I", 0x2468ACE0)) + 48
    struct.pack_into("<Q", content, root + 4 + 16, root)
    path.write_bytes(content)
    refuse(path, r"^a\.bw: a:0-400 can't be read \(its index runs in a circle\): the file is damaged")


def test_a_list_of_contigs_that_runs_in_a_circle_is_named(path):
    write_sections(path, LENGTHS, ONE)
    content = bytearray(path.read_bytes())
    node = 104 + 32
    # The root made a branch whose first child is itself.
    content[node] = 0
    struct.pack_into("<Q", content, node + 4 + 8, node)
    path.write_bytes(content)
    refuse(path, r"^a\.bw: the header can't be read \((its list of contigs runs in a circle|byte \d+ is asked for.*)\)")


def test_a_contig_that_the_file_lacks_is_named(path):
    write_sections(path, LENGTHS, ONE)
    refuse(path, r"^a\.bw: c:0-9 can't be read \(its list of contigs lacks this one\)", place=("c", 0, 9))

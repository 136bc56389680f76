import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genotune.data.files import InputFile
from genotune.data.sample_table import column_problem, read_table
from genotune.errors import DataError

TSV = "FID\tIID\tCD8\tbatch\nF1\tI1\t0.50\tA\nF1\tI2\t\t B \n"


def read(tmp_path, content, name="t.tsv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(InputFile(path, f"in/{name}"))


def read_parquet(tmp_path, columns):
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    return read_table(InputFile(tmp_path / "t.parquet", "t.parquet"))


def refuse(tmp_path, content, message, name="t.tsv"):
    with pytest.raises(DataError, match=f"^in/{message}"):
        read(tmp_path, content, name)


def test_cells_stay_as_they_are_in_the_file(tmp_path):
    table = read(tmp_path, TSV)
    assert table.label == "in/t.tsv"
    assert table.fids.tolist() == ["F1", "F1"]
    assert table.iids.tolist() == ["I1", "I2"]
    assert {name: cells.tolist() for name, cells in table.columns.items()} == {
        "CD8": ["0.50", ""],
        "batch": ["A", " B "],
    }
    assert all(cells.dtype.kind == "U" for cells in table.columns.values())
    assert table.first_line == 2
    assert table.place(1) == "in/t.tsv:3"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "FID,IID,CD8,batch\nF1,I1,0.5,A 1\n"),
        ("t.csv", b'\xef\xbb\xbf"FID","IID","CD8","batch"\r\n"F1","I1","0.5","A 1"\r\n'),
        ("t.TSV", "FID\tIID\tCD8\tbatch\nF1\tI1\t0.5\tA 1"),
        ("t.txt", "FID\tIID\tCD8\tbatch\nF1\tI1\t0.5\tA 1\n"),
        ("t.txt", '  FID IID   CD8 batch \n F1\tI1  0.5 "A 1"\n'),
        ("t.tsv.gz", gzip.compress(b"FID\tIID\tCD8\tbatch\nF1\tI1\t0.5\tA 1\n", mtime=0)),
        ("t.csv.gz", gzip.compress(b"FID,IID,CD8,batch\nF1,I1,0.5,A 1\n", mtime=0)),
        ("t.csv", "FID,IID,CD8,batch\nF1,I1,0.5,A 1\n\n \n"),
    ],
)
def test_text_is_read_by_its_ending(tmp_path, name, content):
    table = read(tmp_path, content, name)
    assert (table.fids.tolist(), table.iids.tolist()) == (["F1"], ["I1"])
    assert {column: cells.tolist() for column, cells in table.columns.items()} == {"CD8": ["0.5"], "batch": ["A 1"]}
    assert table.first_line == 2


def test_a_quoted_cell_may_hold_the_separator(tmp_path):
    table = read(tmp_path, 'IID,city\nI1,"Oslo, ""N"""\n', "t.csv")
    assert table.columns["city"].tolist() == ['Oslo, "N"']


def test_blank_lines_before_the_header_count_as_lines(tmp_path):
    assert read(tmp_path, "\n\nIID\tx\nI1\t1\n").first_line == 4


@pytest.mark.parametrize("header", ["#FID\tIID", "fid\tiid", "#fid\t#iid", " FID \tIid"])
def test_columns_of_ids_may_be_spelled_in_several_ways(tmp_path, header):
    table = read(tmp_path, f"{header}\tx\n F1 \tI1 \t1\n")
    assert (table.fids.tolist(), table.iids.tolist(), list(table.columns)) == (["F1"], ["I1"], ["x"])


def test_a_table_may_lack_family_ids(tmp_path):
    table = read(tmp_path, "#IID\tx\nI1\t1\n")
    assert table.fids is None
    assert table.iids.tolist() == ["I1"]


def test_one_individual_id_may_stand_in_two_families(tmp_path):
    assert read(tmp_path, "FID\tIID\nF1\tI1\nF2\tI1\n").iids.tolist() == ["I1", "I1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "FID\tname\tCD8\nF1\tI1\t1\n",
            r"t\.tsv: no column IID; the first line names 'FID', 'name' and 'CD8'\. "
            r"The first line must name the columns, IID among them \(and FID, if samples have a family ID\)\.$",
        ),
        ("F1\tI1\t0.5\nF1\tI2\t0.7\n", r"t\.tsv: no column IID; the first line names 'F1', 'I1' and '0\.5'\."),
        ("IID;CD8\nI1;1\n", r"t\.tsv: no column IID; .* Is it separated by ';'\? A \.csv has commas, a \.tsv tabs\.$"),
        ("IID,CD8\nI1,1\n", r"t\.tsv: no column IID; .* Is it separated by ','\?"),
        (
            "IID\tx\ty\nI1\t1\t2\nI2\t1\nI3\t1\n",
            r"t\.tsv:3: 2 cells; the header names 3 columns\. An empty cell still needs its separator\. "
            r"And 1 more\.$",
        ),
        ("IID\tx\nI1\t1\nI2\t1\t7\n", r"t\.tsv:3: 3 cells; the header names 2 columns\."),
        ("IID\tx\n1\tI1\t1\n2\tI2\t7\n", r"t\.tsv:2: 3 cells; .*R's names of rows\? Write it with row\.names = FALSE"),
        ("IID\tx\tx\ty\nI1\t1\t2\t3\n", r"t\.tsv: column 'x' stands twice in the header\. Rename or delete one\.$"),
        ("IID\tiid\tx\nI1\tI1\t1\n", r"t\.tsv: 'IID' and 'iid' are all columns IID\. Rename or delete one\.$"),
        ("FID\t#FID\tIID\nI1\tI1\t1\n", r"t\.tsv: 'FID' and '#FID' are all columns FID\."),
        (
            "FID\tIID\nF1\tI1\nF1\tI2\nF1\tI1 \n",
            r"t\.tsv:4: FID 'F1', IID 'I1' stands in line 2 too; a sample has one row\. Delete one\.$",
        ),
        ("IID\tx\nI1\t1\nI1\t2\nI1\t3\n", r"t\.tsv:3: IID 'I1' stands in line 2 too; .* And 1 more\.$"),
        ("IID\tx\nI1\t1\n\t2\n", r"t\.tsv:3: IID is empty; each row says whose it is\. Delete the row or name it\.$"),
        ("IID\tx\nI1\t1\n\nI2\t2\n", r"t\.tsv:3: an empty line among the rows\. Delete it\.$"),
        ("IID\tx\nI1\t1\n\t\nI2\t2\n", r"t\.tsv:3: an empty line among the rows"),
        ('IID\tx\nI1\t"1\nI2\t2\n', r't\.tsv:2: a quote \("\) is opened and not closed in its line\. Close or delete'),
        (f"IID\tx\nI1\t{'1' * 200_000}\n", r"t\.tsv:2: can't be read as a table \(field larger than field limit"),
        (b"", r"t\.tsv: the file is empty\. The first line must name the columns"),
        ("\n \n", r"t\.tsv: holds blank lines only\. The first line must name"),
        ("IID\tx\n\n", r"t\.tsv: holds a header and no rows\. Copy it again\.$"),
        (
            b"IID\tx\nI1\t1\nI\xe4\t2\n",
            r"t\.tsv:3: not text: the byte e4 is no UTF-8\. Save the table as text in UTF-8",
        ),
        ("IID\tx\n".encode("utf-16"), r"t\.tsv:1: not text: the byte ff is no UTF-8"),
        (b"IID\tx\nI1\t\0\n", r"t\.tsv:2: not text: it holds zero bytes\."),
        (
            gzip.compress(TSV.encode() * 9, mtime=0)[:-10],
            r"t\.tsv: can't be unpacked \(.*\): cut short or damaged\. Copy it again",
        ),
    ],
)
def test_a_faulty_table_is_refused_with_the_place(tmp_path, content, message):
    refuse(tmp_path, content, message)


def test_a_file_of_another_kind_is_refused(tmp_path):
    message = (
        r"t\.xlsx: of no known kind; a table ends with \.tsv, \.csv or \.txt \(also with \.gz after it\) or \.parquet"
    )
    refuse(tmp_path, "x", message, name="t.xlsx")


def test_a_missing_table_is_named_with_the_place_it_was_looked_for(tmp_path):
    with pytest.raises(
        DataError, match=r"^in/t\.tsv: no such file \(looked for .*t\.tsv\)\. Paths are relative to the"
    ):
        read_table(InputFile(tmp_path / "t.tsv", "in/t.tsv"))


def test_parquet_gives_the_text_that_a_person_would_write(tmp_path):
    table = read_parquet(
        tmp_path,
        {
            "FID": pa.array([1, 1, 2]),
            "IID": pa.array(["I1", "I2", "I3"]).dictionary_encode(),
            "real": pa.array([0.5, None, 1.0]),
            "single": pa.array([0.1, float("nan"), 2.0], pa.float32()),
            "gaps": pa.array([1, None, 3], pa.int64()),
            "yes": pa.array([True, False, None]),
            "text": pa.array(["a ", None, ""], pa.large_string()),
            "level": pa.array(["x", None, "y"]).dictionary_encode(),
        },
    )
    assert (table.fids.tolist(), table.iids.tolist()) == (["1", "1", "2"], ["I1", "I2", "I3"])
    assert {name: cells.tolist() for name, cells in table.columns.items()} == {
        "real": ["0.5", "", "1.0"],
        "single": ["0.1", "", "2.0"],
        "gaps": ["1", "", "3"],
        "yes": ["1", "0", ""],
        "text": ["a ", "", ""],
        "level": ["x", "", "y"],
    }
    assert table.place(0) == "t.parquet: row 1"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"name": ["I1"], "x": [1]}, r"no column IID; the first line names 'name' and 'x'"),
        ({"IID": ["I1", "I2", "I1"]}, r" row 3: IID 'I1' stands in row 1 too; a sample has one row"),
        ({"IID": ["I1", None]}, r" row 2: IID is empty"),
        (
            {"IID": [1001.0, 1002.0]},
            r"column IID holds numbers with a decimal point \(double\); an ID is text or a whole number\. "
            r"Write the table again with the IDs as text\.$",
        ),
        ({"IID": pa.array([], pa.string())}, r"holds columns and no rows"),
    ],
)
def test_a_faulty_parquet_is_refused(tmp_path, columns, message):
    with pytest.raises(DataError, match=rf"^t\.parquet: ?{message}"):
        read_parquet(tmp_path, columns)


def test_a_column_that_stands_twice_in_a_parquet_is_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array(["I1"]), pa.array([1]), pa.array([2])], names=["IID", "x", "x"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"^t\.parquet: column 'x' stands twice in the header"):
        read_table(InputFile(tmp_path / "t.parquet", "t.parquet"))


def test_what_is_no_parquet_is_refused(tmp_path):
    refuse(
        tmp_path, "IID\tx\n", r"t\.parquet: can't be read as a \.parquet \(.*\)\. Copy it again\.$", name="t.parquet"
    )


def test_floats_of_a_parquet_lose_no_digit(tmp_path):
    values = np.random.default_rng(0).normal(size=50)
    table = read_parquet(tmp_path, {"IID": [f"I{i}" for i in range(50)], "x": values})
    np.testing.assert_array_equal(table.columns["x"].astype(np.float64), values)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CD8", None),
        ("CD9", r"in/t.tsv has no column 'CD9'. Did you mean 'CD8'?"),
        ("cd8", r"in/t.tsv has no column 'cd8'. Did you mean 'CD8'?"),
        ("height", r"in/t.tsv has no column 'height'. It has 'CD8' and 'batch'."),
        ("IID", r"'IID' holds the IDs of in/t.tsv; name another column."),
    ],
)
def test_a_column_that_is_not_there_brings_a_hint(tmp_path, name, message):
    assert column_problem(read(tmp_path, TSV), name) == message


def test_a_table_of_ids_alone_has_no_column_to_name(tmp_path):
    problem = column_problem(read(tmp_path, "IID\nI1\n"), "CD8")
    assert problem == "in/t.tsv has no column 'CD8'. It has none beside the IDs."

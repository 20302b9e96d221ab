"""Files as programs write them, each with its right numbers; and broken ones, each with its way out."""

import bz2
import gzip
import io
import lzma
import sys
import zipfile

import numpy as np
import pytest

from fastkb.cli.errors import CommandError
from fastkb.cli.reading.sources import Reading
from fastkb.cli.reading.table import read_table

X = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
Y = np.array([2.5, 4.0, 5.25, 4.0, 6.0, 1234.5])
PLAIN = "x,y\n1,2.5\n2,4\n3,5.25\n4,4.0\n5,6\n6,1234.5\n"
GERMAN = "x;y\n1;2,5\n2;4\n3;5,25\n4;4,0\n5;6\n6;1.234,5\n"


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def by_r():
    """What R's write.table writes: a name for each row, and none for their column."""
    rows = [f'"{i + 1}" {x:g} {y:g}' for i, (x, y) in enumerate(zip(X, Y, strict=True))]
    return '"x" "y"\n' + "\n".join(rows) + "\n"


FILES = {
    "commas": PLAIN,
    "semicolons": PLAIN.replace(",", ";"),
    "tabs": PLAIN.replace(",", "\t"),
    "bars": PLAIN.replace(",", "|"),
    "blanks": PLAIN.replace(",", "  "),
    "aligned with blanks": PLAIN.replace(",", "     ").replace("\n", "\n   "),
    "of R": by_r(),
    "of R, with tabs": by_r().replace(" ", "\t"),
    "carriage returns": PLAIN.replace("\n", "\r\n"),
    "old carriage returns": PLAIN.replace("\n", "\r"),
    "no last line end": PLAIN.rstrip("\n"),
    "blank lines": PLAIN.replace("\n", "\n\n"),
    "blank lines above": "\n\n" + PLAIN,
    "comments above": "# of the station\n# 2020\n" + PLAIN,
    "header in a comment": "# " + PLAIN,
    "header in a comment, blanks": "# of the station\n# " + PLAIN.replace(",", " "),
    "a separator above": "sep=;\n" + PLAIN.replace(",", ";"),
    "trailing separators": PLAIN.replace("\n", ",\n"),
    "trailing separators below the header": PLAIN.replace("\n", ",\n").replace("y,", "y", 1),
    "all quoted": '"' + PLAIN.strip().replace(",", '","').replace("\n", '"\n"') + '"\n',
    "decimal commas": GERMAN,
    "decimal commas in quotes": 'x,y\n1,"2,5"\n2,4\n3,"5,25"\n4,"4,0"\n5,6\n6,"1.234,5"\n',
    "thousands by commas": PLAIN.replace("1234.5", '"1,234.5"'),
    "thousands by blanks": PLAIN.replace("1234.5", "1 234.5"),
    "thousands by thin blanks": PLAIN.replace("1234.5", "1\u202f234.5"),
    "thousands by apostrophes": PLAIN.replace("1234.5", "1'234.5"),
    "dollars": 'x,y\n1,$2.5\n2,$4\n3,$5.25\n4,$4.0\n5,$6\n6,"$1,234.50"\n',
    "euros behind": GERMAN.replace("\n2", " €\n2").replace(",5\n", ",5 €\n"),
    "codes of a currency": PLAIN.replace("\n2,", "\n2,EUR "),
    "percent": "x,y\n1,2.5%\n2,4 %\n3,5.25%\n4,4%\n5,6%\n6,1234.5%\n",
    "exponents": PLAIN.replace("1234.5", "1.2345E+03"),
    "plus signs": PLAIN.replace(",6", ",+6"),
    "byte order mark": "\ufeff" + PLAIN,
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-32": PLAIN.encode("utf-32"),
    "Windows-1252": "x,y,größe\n1,2.5,a\n2,4,a\n3,5.25,a\n4,4,a\n5,6,a\n6,1234.5,a\n".encode(
        "cp1252"
    ),
    "gzip": gzip.compress(PLAIN.encode(), mtime=0),
    "bzip2": bz2.compress(PLAIN.encode()),
    "xz": lzma.compress(PLAIN.encode()),
    "zip": zipped(data=PLAIN),
    "line breaks inside cells": PLAIN.replace("x,y", "x,y,n")
    .replace("\n", ',"a\nb"\n')
    .replace('n,"a\nb"', "n"),
    "other columns of text": "name,x,y\n"
    + "".join(f'"Smith, J",{x},{y}\n' for x, y in zip(X, Y, strict=True)),
    "a bar in a quoted name": 'x,y,"a|b"\n'
    + "".join(f"{x},{y},1\n" for x, y in zip(X, Y, strict=True)),
    "more commas in quoted names than between": '"a,b,c";x;y\n'
    + "".join(f"1;{x};{y}\n" for x, y in zip(X, Y, strict=True)),
}


@pytest.fixture
def write(tmp_path):
    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.mark.parametrize("kind", FILES)
def test_files_as_programs_write_them(write, kind):
    table = read_table(write(FILES[kind]), "x", "y")
    np.testing.assert_array_equal(table.X[:, 0], X)
    np.testing.assert_array_equal(table.y, Y)
    assert table.n_dropped == 0


def test_a_column_alone_may_have_decimal_commas(write):
    from fastkb.cli.reading.table import Wanted, read_columns

    columns = read_columns(write("y\n2,5\n4\n5,25\n4\n6\n1.234,5\n"), [Wanted("--column", "y", "")])
    np.testing.assert_array_equal(columns.values[:, 0], Y)
    assert columns.notes == [("column y", "decimal commas, thousands are grouped")]


def test_names_over_two_lines(write):
    text = PLAIN.replace("x,y", '"size\n(m2)",y')
    assert read_table(write(text), "size (m2)", "y").x_names == ["size (m2)"]


@pytest.mark.parametrize("compress", [gzip.compress, bytes])
def test_standard_input_is_read_as_a_file_is(monkeypatch, compress):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(compress(PLAIN.encode()))))
    np.testing.assert_array_equal(read_table("-", "x", "y").y, Y)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        (PLAIN.replace(",", "~"), Reading(sep="~")),
        (PLAIN.replace(",", "\t"), Reading(sep="tab")),
        (PLAIN.replace(",", " "), Reading(sep="blank")),
        (GERMAN, Reading(decimal=",")),
        (PLAIN.encode("utf-16-le"), Reading(encoding="utf-16-le")),
        (("\ufeff" + PLAIN).encode(), Reading(encoding="utf-8")),
        (
            ("x,y,я\n" + "".join(f"{x},{y},1\n" for x, y in zip(X, Y, strict=True))).encode(
                "koi8-r"
            ),
            Reading(encoding="koi8-r"),
        ),
    ],
)
def test_what_the_user_says_of_a_file(write, text, reading):
    table = read_table(write(text), "x", "y", reading)
    np.testing.assert_array_equal(table.y, Y)
    assert not any(name == "encoding" for name, _ in table.notes)


def test_more_words_for_no_value(write):
    path = write(PLAIN + "7,-999\n8,void\n")
    table = read_table(path, "x", "y", Reading(na=("-999", "Void")))
    np.testing.assert_array_equal(table.y, Y)
    assert table.n_dropped == 2


def notes(path):
    return dict(read_table(path, "x", "y").notes)


def test_what_is_assumed_is_said(write):
    assert notes(write(FILES["commas"])) == {}
    assert "read as Windows-1252" in notes(write(FILES["Windows-1252"]))["encoding"]
    assert notes(write(FILES["comments above"]))["comments"].startswith("2 lines before the header")
    assert "the last line from '#'" in notes(write(FILES["header in a comment"]))["header"]
    assert "no column name" in notes(write(FILES["of R"]))["row names"]
    assert notes(write(GERMAN))["column y"] == "decimal commas, thousands are grouped"
    assert notes(write(FILES["percent"]))["column y"] == "in percent (12% is 12)"
    assert notes(write(FILES["dollars"]))["column y"] == "in $, thousands are grouped"


# --- Excel and Parquet ----------------------------------------------------------------------------


def workbook(**sheets):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


ROWS = [["x", "y", "word"], *([x, y, "a"] for x, y in zip(X.tolist(), Y.tolist(), strict=True))]


def test_excel(write):
    path = write(workbook(data=[[None], *ROWS, [7, None, "b"]]), "data.xlsx")
    table = read_table(path, "x", "y")
    np.testing.assert_array_equal(table.X[:, 0], X)
    np.testing.assert_array_equal(table.y, Y)
    assert (table.n_dropped, table.notes) == (1, [])
    with pytest.raises(CommandError, match="row 3, column 'word': expected a number, got 'a'"):
        read_table(path, "x", "word")


def test_sheets(write):
    path = write(workbook(other=[["x", "y"]], data=ROWS), "data.bin")  # whatever it is called
    for sheet in ("data", "2"):
        np.testing.assert_array_equal(read_table(path, "x", "y", Reading(sheet=sheet)).y, Y)
    with pytest.raises(CommandError, match=r"--sheet '3': .* has the sheets 'other', 'data'"):
        read_table(path, "x", "y", Reading(sheet="3"))
    with pytest.raises(CommandError, match="0 rows"):
        read_table(path, "x", "y")
    both = write(workbook(data=ROWS, other=[["x"]]))
    assert "the first of 2" in notes(both)["sheet"]
    with pytest.raises(CommandError, match="sheet 'empty' is empty"):
        read_table(write(workbook(empty=[])), "x", "y")
    with pytest.raises(CommandError, match="--sheet is for Excel files"):
        read_table(write(PLAIN), "x", "y", Reading(sheet="1"))
    for told in (Reading(sep=";"), Reading(encoding="latin-1")):
        with pytest.raises(CommandError, match=r"is for text, and .* is an Excel file"):
            read_table(write(workbook(data=ROWS)), "x", "y", told)


def test_excel_with_numbers_as_text_and_truths(write):
    rows = [["x", "y"], *([f"{x:g}", bool(i % 2)] for i, x in enumerate(X))]
    table = read_table(write(workbook(data=rows)), "x", "y")
    np.testing.assert_array_equal(table.X[:, 0], X)
    np.testing.assert_array_equal(table.y, [0, 1, 0, 1, 0, 1])
    assert table.notes == [("column y", "true and yes are 1, false and no are 0")]


def test_parquet(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = tmp_path / "data.parquet"
    frame = pd.DataFrame({"x": X, "y": Y, "day": pd.date_range("2020-01-01", periods=6)})
    frame.loc[6] = [7.0, None, None]
    frame.to_parquet(path)
    table = read_table(str(path), "x", "y")
    np.testing.assert_array_equal(table.y, Y)
    assert table.n_dropped == 1
    np.testing.assert_array_equal(read_table(str(path), "day", "y").X[:, 0], 18262 + X - 1)


def test_parquet_needs_a_package(write, monkeypatch):
    import pandas as pd

    def read_parquet(file):
        raise ImportError("pyarrow")

    monkeypatch.setattr(pd, "read_parquet", read_parquet)
    with pytest.raises(CommandError, match="pip install pyarrow"):
        read_table(write(b"PAR1 and more"), "x", "y")


# --- what is wrong with a file --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('x,y\n1,2\n2,"3\n4,5\n6,7\n8,9\n', "line 3: a quote .* never closed"),
        ('x,y\n1,2\n2,"3"4\n', "line 3 or below: after a closing quote"),
        ('x y\n1 2\n2 "3\n', "line 3: a quote .* never closed"),
        ("x;y\n1.234;1,5\n2.345;2,5\n", "'1.234' may be 1234, as column 'y' has decimal commas"),
        ("x,y\n1,2\n2,3,4\n", r"line 3: 3 values under 2 column names.*--sep"),
        ("x,y\n1,2\n2\n", "line 3: 1 values under 2 column names"),
        (
            "a;b,c\n1;2,3\n2;3,4\n",
            "commas and semicolons between its columns: say which with --sep",
        ),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-9], "compressed, and damaged or cut off"),
        (bz2.compress(PLAIN.encode())[:-9], "compressed, and damaged or cut off"),
        (lzma.compress(PLAIN.encode())[:-9], "compressed, and damaged or cut off"),
        (zipped(a=PLAIN, b=PLAIN), r"archive of 2 files \(a, b\)"),
        (b"PK\x03\x04 no archive", "compressed, and damaged"),
        (b"%PDF-1.7 ...", "is a PDF document"),
        (b"\xd0\xcf\x11\xe0 ...", "Excel file of the old kind"),
        (b"\x28\xb5\x2f\xfd ...", "compressed by Zstandard"),
        (b"x,y\n\x00\x01\xff\n", "not a table in text"),
        (PLAIN.encode("utf-16-le"), "--encoding utf-16"),
        (b"", "the file is empty"),
        ("# comment\n# x,y\n", "no column 'x'"),
        ("# 1,2\n" + PLAIN.partition("\n")[2], "no column 'x'"),
        ("# only one word\n" + PLAIN.partition("\n")[2], "no column 'x'"),
        (b"PAR1" + b"\0" * 20, "(no Parquet file that can be read|pip install pyarrow)"),
    ],
)
def test_broken_files(write, content, message):
    with pytest.raises(CommandError, match=message) as caught:
        read_table(write(content), "x", "y")
    assert "\n" not in str(caught.value)


def test_a_damaged_workbook(write):
    data = workbook(data=ROWS)
    with pytest.raises(CommandError, match=r"damaged|no Excel file that can be read"):
        read_table(write(data.replace(b"xl/workbook.xml", b"xl/workbook.xxx")), "x", "y")


def test_options_that_say_nothing(write):
    path = write(PLAIN)
    with pytest.raises(CommandError, match="--sep 'ab': expected one character"):
        read_table(path, "x", "y", Reading(sep="ab"))
    with pytest.raises(CommandError, match="--encoding 'utf-9' is not known"):
        read_table(path, "x", "y", Reading(encoding="utf-9"))
    with pytest.raises(CommandError, match="is not in the encoding 'ascii'"):
        read_table(write("x,y,ä\n"), "x", "y", Reading(encoding="ascii"))


def test_points_beside_decimal_commas(write):
    """They are asked about, unless the column itself or the user tells."""
    text = "x;y\n" + "".join(f"{i}.234;{i},5\n" for i in range(1, 7))
    table = read_table(write(text), "x", "y", Reading(decimal=","))
    np.testing.assert_array_equal(table.X[:, 0], 1000 * X + 234)
    clear = read_table(write(text.replace("6.234", "0.5")), "x", "y")
    np.testing.assert_allclose(clear.X[:, 0], [1.234, 2.234, 3.234, 4.234, 5.234, 0.5])


def test_a_number_for_no_value_in_excel(write):
    path = write(workbook(data=[*ROWS, [7, -999, "a"]]))
    table = read_table(path, "x", "y", Reading(na=("-999",)))
    np.testing.assert_array_equal(table.y, Y)
    assert table.n_dropped == 1


def test_parquet_with_an_index_and_its_own_kind_of_no_value(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    y = pd.array([2, 4, 5, 4, 6, 1, None], dtype="Int64")
    frame = pd.DataFrame({"y": y}, index=pd.Index([*X, 7.0], name="x"))
    path = tmp_path / "data.parquet"
    frame.to_parquet(path)
    table = read_table(str(path), "x", "y")
    np.testing.assert_array_equal(table.X[:, 0], X)
    np.testing.assert_array_equal(table.y, [2, 4, 5, 4, 6, 1])
    with pytest.raises(CommandError, match="--sheet is for Excel files"):
        read_table(str(path), "x", "y", Reading(sheet="1"))

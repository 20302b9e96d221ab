import io
import os
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes

from fastkb.cli.errors import CommandError
from fastkb.cli.reading.numerals import MISSING
from fastkb.cli.reading.table import Wanted, deviation, read_columns, read_table

ROWS = "x,y,z\n1,2,9\n2,4,8\n3,5,7\n4,4,6\n5,6,6\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def failure(*arguments):
    with pytest.raises(CommandError) as caught:
        read_table(*arguments)
    return str(caught.value)


def test_reads_the_named_columns(write):
    table = read_table(write(ROWS), "z,x", "y")
    np.testing.assert_array_equal(table.X, [[9, 1], [8, 2], [7, 3], [6, 4], [6, 5]])
    np.testing.assert_array_equal(table.y, [2, 4, 5, 4, 6])
    assert (table.x_names, table.y_name, table.n_dropped) == (["z", "x"], "y", 0)
    assert table.label("x") == table.meaning("x") == "x"


def test_reads_what_the_options_ask_for(write):
    columns = read_columns(write(ROWS), [Wanted("--a", "z", ""), Wanted("--b", "x", "")])
    assert columns.names == ["z", "x"]
    np.testing.assert_array_equal(columns.values, [[9, 1], [8, 2], [7, 3], [6, 4], [6, 5]])
    with pytest.raises(CommandError, match="column 'z' is in both --a and --b"):
        read_columns(write(ROWS), [Wanted("--a", "z", ""), Wanted("--b", "z", "")])


def test_deviation():
    assert deviation("x", np.array([1.0, 3.0])) == 1.0
    for wrong in ([1.5e308, -1.5e308], [1e-300, 2e-300]):
        with pytest.raises(CommandError, match="column 'x' has values too large or too close"):
            deviation("x", np.array(wrong))


def test_default_is_the_diabetes_data_in_real_units():
    table = read_table(None, None, None)
    data = load_diabetes(scaled=False)
    np.testing.assert_array_equal(table.X[:, 0], data.data[:, data.feature_names.index("bmi")])
    np.testing.assert_array_equal(table.y, data.target)
    assert (table.x_names, table.y_name, table.n_dropped) == (["bmi"], "target", 0)
    assert table.label("bmi") == "body-mass index (bmi)"
    assert table.meaning("bmi") == "body-mass index"
    two = read_table(None, "bp,s5", "bmi")
    assert (two.x_names, two.y_name, two.X.shape) == (["bp", "s5"], "bmi", (442, 2))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_line_ends_byte_order_marks_and_blank_lines(write, separator, end):
    text = "\ufeff" + ROWS.replace("\n", "\n\n").replace(",", separator).replace("\n", end)
    table = read_table(write(text), "x", "y")
    np.testing.assert_array_equal(table.X[:, 0], [1, 2, 3, 4, 5])


def test_names_with_commas_quotes_and_blanks(write):
    path = write('"size, m2", price ,"a ""b"""\n1,2,3\n2,3,4\n3,5,4\n4,4,5\n5,2,7\n')
    assert read_table(path, "size, m2", "price").x_names == ["size, m2"]
    both = read_table(path, '"size, m2", price', 'a "b"')
    assert (both.x_names, both.y_name) == (["size, m2", "price"], 'a "b"')


def test_standard_input(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(ROWS.encode()))
    monkeypatch.setattr(sys, "stdin", stream)
    assert read_table("-", "x", "y").source == "standard input"


@pytest.mark.parametrize("word", [*sorted(MISSING), " NA ", "NaN", "Null"])
def test_rows_with_missing_values_are_dropped_and_counted(write, word):
    table = read_table(write(f'{ROWS}"{word}",3,1\n7,"{word}",2\n'), "x", "y")
    assert (len(table.y), table.n_dropped) == (5, 2)


def test_a_missing_value_in_another_column_drops_nothing(write):
    table = read_table(write(ROWS + "6,7,\n"), "x", "y")
    assert (len(table.y), table.n_dropped) == (6, 0)


cells = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=64))


@given(
    rows=st.lists(st.tuples(cells, cells), min_size=0, max_size=30),
    separator=st.sampled_from(",;\t"),
)
def test_numbers_survive_to_the_last_bit(tmp_path_factory, rows, separator):
    kept = [row for row in rows if None not in row]
    lines = [separator.join("" if v is None else repr(v) for v in row) for row in rows]
    path = tmp_path_factory.mktemp("table") / "t.csv"
    # A third column keeps rows with two missing values from being blank lines.
    path.write_text(
        separator.join("xyz") + "\n" + "".join(f"{line}{separator}k\n" for line in lines)
    )
    xs, ys = ([row[i] for row in kept] for i in (0, 1))
    if len(kept) < 5 or len(set(xs)) < 2 or len(set(ys)) < 2:
        failure(str(path), "x", "y")
        return
    table = read_table(str(path), "x", "y")
    np.testing.assert_array_equal(table.X[:, 0], xs)
    np.testing.assert_array_equal(table.y, ys)
    assert table.n_dropped == len(rows) - len(kept)


# --- what is wrong with the file ------------------------------------------------------------------


def test_no_such_file_and_unreadable_files(write, tmp_path):
    assert failure("no/such.csv", "x", "y") == "no such file: no/such.csv"
    assert "cannot read" in failure(str(tmp_path), "x", "y")
    assert "not a table in text" in failure(write(b"x,y\n\xff\x00\n"), "x", "y")
    assert "not a table" in failure(write('x,y\n1,"' + "9" * 200_000 + '"\n'), "x", "y")


@pytest.mark.parametrize("text", ["", "\n\n", "  \n"])
def test_empty_file(write, text):
    assert "is empty" in failure(write(text), "x", "y")


def test_header_only(write):
    assert "0 rows" in failure(write("x,y\n"), "x", "y")


def test_fewer_than_five_rows(write):
    four = "".join(ROWS.splitlines(keepends=True)[:5])
    assert "4 rows, and at least 5 are needed" in failure(write(four), "x", "y")
    dropped = failure(write(four + "1,,2\n,,2\n"), "x", "y")
    assert "4 rows after dropping 2 with missing values, and at least 5 are needed" in dropped


def test_options_are_needed_with_a_file(write):
    path = write(ROWS)
    assert failure(path, None, "y") == f"--x is needed with {path}: name one of x, y, z"
    assert "--y is needed" in failure(path, "x", None)


def test_unknown_columns_get_the_closest_names(write):
    path = write("height,weight,age\n" + "1,2,3\n" * 5)
    assert "no column 'hieght'; the closest names are height, weight" in failure(
        path, "hieght", "age"
    )
    assert "the closest names are height" in failure(path, "HEIGHT", "age")
    assert "no column 'qqq'; its columns are height, weight, age" in failure(path, "age", "qqq")
    assert "no column 'weight,age'" in failure(path, "height", "weight,age")
    many = write(",".join(f"column{i}" for i in range(40)) + "\n" + "1," * 39 + "1\n")
    assert failure(many, "qqq", "age").endswith("column11 and 28 more")


def test_columns_named_twice(write):
    path = write(ROWS)
    assert failure(path, "x,x", "y") == "column 'x' is named twice in --x"
    assert failure(path, "x,y", "y") == "column 'y' is in both --x and --y"
    assert "an empty name" in failure(path, "x,", "y")
    assert "has 2 columns named 'x'" in failure(write(ROWS.replace("z", "x")), "x", "y")


@pytest.mark.parametrize("word", ["tall", "1,5,7", "inf", "-Infinity", "0x10", "2_000", "١"])
def test_text_where_numbers_are_needed(write, word):
    path = write(ROWS + f'6,"{word}",3\n7,worse,3\n')
    assert failure(path, "x", "y") == f"{path}, line 7, column 'y': expected a number, got {word!r}"


def test_text_is_found_behind_missing_values(write):
    assert "line 7, column 'y'" in failure(write(ROWS + ",tall,3\n"), "x", "y")


def test_ragged_rows(write):
    assert "line 7: 2 values under 3 column names" in failure(write(ROWS + "1,2\n"), "x", "y")
    assert "line 7: 4 values" in failure(write(ROWS + "1,2,3,4\n"), "x", "y")


def test_line_numbers_count_lines_not_records(write):
    path = write('x,y,z\n1,2,"two\nlines"\n\n2,3,a\nthree,4,a\n')
    assert "line 6, column 'x'" in failure(path, "x", "y")


def test_constant_columns(write):
    path = write("x,y,z\n" + "".join(f"{i},5,{i % 2}\n" for i in range(6)))
    assert failure(path, "x", "y") == "column 'y' is constant (5 in all 6 rows)"
    assert "column 'y' is constant" in failure(path, "y", "x")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_no_permission(write):
    path = write(ROWS)
    os.chmod(path, 0)
    assert "Permission denied" in failure(path, "x", "y")

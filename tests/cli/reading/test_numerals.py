import datetime
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.cli.errors import CommandError
from fastkb.cli.reading.numerals import Column, date_of, read_numbers


def read(cells, decimal=None, missing=(), dates=False):
    cells = list(cells)
    where = [f"line {i + 2}" for i in range(len(cells))]
    return read_numbers(Column("y", "t.csv", cells, where), decimal, missing, dates)


def message(cells, **options):
    with pytest.raises(CommandError) as caught:
        read(cells, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["1", "-2.5", "+.5", "3.", "1e3"], [1, -2.5, 0.5, 3, 1000]),
        (["1,5", "2", "-,5"], [1.5, 2, -0.5]),
        (["1.234,5", "2.345"], [1234.5, 2345]),
        (["1,234.5", "2,345"], [1234.5, 2345]),
        (["1,234,567", "12"], [1234567, 12]),
        (["1.234.567", "1.234"], [1234567, 1234]),
        (["1,234", "1,5"], [1.234, 1.5]),
        (["1,234", "0.5"], [1234, 0.5]),
        (["1'234.5", "1"], [1234.5, 1]),
        (["1 234,5", "1"], [1234.5, 1]),
        (["12 345", "1"], [12345, 1]),
        (["\u22125", "5"], [-5, 5]),
        (["($1,234.50)", "$2"], [-1234.5, 2]),
        (["-$5", "$ 6", "7"], [-5, 6, 7]),
        (["US$5", "US$6"], [5, 6]),
        (["5 EUR", "6,5 EUR"], [5, 6.5]),
        (["12%", "3.5 %"], [12, 3.5]),
        (["true", "False", "TRUE"], [1, 0, 1]),
        (["yes", "no"], [1, 0]),
        ([True, False, np.True_], [1, 0, 1]),
        ([1, 2.5, np.float32(0.5), None], [1, 2.5, 0.5, math.nan]),
        (["1", "NA", "", " ? "], [1, math.nan, math.nan, math.nan]),
    ],
)
def test_ways_to_write_numbers(cells, wanted):
    np.testing.assert_array_equal(read(cells).values, wanted)


def test_the_user_decides_where_nothing_else_does():
    cells = ["1,234", "5,678", "9"]
    assert "'1,234' may be 1.234 or 1234: say --decimal , or --decimal ." in message(cells)
    assert "t.csv, line 2, column 'y'" in message(cells)
    np.testing.assert_array_equal(read(cells, ",").values, [1.234, 5.678, 9])
    np.testing.assert_array_equal(read(cells, ".").values, [1234, 5678, 9])
    np.testing.assert_array_equal(read(["1.234", "2.345"]).values, [1.234, 2.345])
    np.testing.assert_array_equal(read(["1.234", "2.345"], ",").values, [1234, 2345])
    assert "expected a number with ','" in message(["1.5"], decimal=",")


@pytest.mark.parametrize(
    "word",
    [
        "tall",
        "2_000",
        "١٢٣",
        "0x10",
        "1,23,4",
        "1.2.3",
        "12,34.5",
        "1 23",
        "--5",
        "5-",
        "1e",
        "e5",
        "%",
        "12€50",
        "5$6",
    ],
)
def test_what_is_no_number(word):
    assert message(["1", word]) == f"t.csv, line 3, column 'y': expected a number, got {word!r}"


@pytest.mark.parametrize("word", ["1e999", "-1e999"])
def test_what_is_not_finite(word):
    assert "expected a finite number" in message(["1", word])


def test_infinity_is_no_number():
    for word in ("inf", "-Infinity"):
        assert "expected a number" in message(["1", word])
    assert "expected a finite number" in message([1.0, math.inf])


def test_columns_that_contradict_themselves():
    assert "one kind of decimal sign ('1,5' in line 2), got '2.5'" in message(["1,5", "2.5"])
    assert "one currency ('$' before)" in message(["$1", "€2"])
    assert "line 3" in message(["1%", "2", "3%"])


def test_how_they_were_read():
    assert read(["1", "2.5"]).note is None
    assert read(["$1,234.5"]).note == "in $, thousands are grouped"
    assert read(["1,5%"]).note == "in percent (12% is 12), decimal commas"
    assert read(["(5)", "6"]).note == "negative in parentheses"
    assert read(["true"]).note == "true and yes are 1, false and no are 0"


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=20),
    st.sampled_from([".", ","]),
)
def test_numbers_survive_to_the_last_bit(numbers, sign):
    cells = [repr(number).replace(".", sign) for number in numbers]
    np.testing.assert_array_equal(read(cells, sign).values, numbers)


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=20), st.sampled_from(",.' "))
def test_grouped_whole_numbers(numbers, group):
    cells = [f"{number:,}".replace(",", group) for number in numbers]
    decimal = {",": ".", ".": ","}.get(group)
    np.testing.assert_array_equal(read(cells, decimal).values, numbers)


# --- dates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cells",
    [
        ["2020-01-02", "2020-01-14"],
        ["2020/1/2", "2020/01/14"],
        ["2020.01.02", "2020-01-14"],
        ["2.1.2020", "14.1.2020"],
        ["1/2/2020", "1/14/2020"],
        ["02-01-2020", "14-01-2020"],
        ["2020-01-02T00:00:00", "2020-01-14 00:00"],
        ["2020-01-02T01:00+01:00", "2020-01-14T00:00Z"],
        [datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 14)],
        [np.datetime64("2020-01-02"), "2020-01-14"],
    ],
)
def test_dates(cells):
    found = read([*cells, ""], dates=True)
    assert found.is_date
    np.testing.assert_array_equal(found.values, [18263, 18275, math.nan])
    assert found.note.startswith("dates")


def test_dates_of_one_order():
    assert "can be read in one way, such as 2020-04-03" in message(
        ["1/2/2020", "3/4/2020"], dates=True
    )
    assert "dates of one order" in message(["13/2/2020", "3/14/2020"], dates=True)
    assert "a date that exists" in message(["2020-02-30"], dates=True)
    assert "a date as in the rest" in message(["2020-02-03", 5], dates=True)
    assert "a number (dates can be an input" in message(["2020-02-03"])
    # A column of dates and words is no column of dates.
    assert "expected a number, got '2020-02-03'" in message(["2020-02-03", "later"], dates=True)
    assert read(["2020", "2021"], dates=True).values.tolist() == [2020, 2021]


@given(st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2250, 1, 1)))
def test_dates_survive_to_the_microsecond(moment):
    moment = moment.replace(microsecond=moment.microsecond // 100 * 100)
    (value,) = read([moment], dates=True).values
    back = datetime.datetime.fromisoformat(date_of(value))
    assert abs(back - moment) <= datetime.timedelta(microseconds=5)


def test_a_date_of_no_time_is_a_day():
    assert date_of(18263.0) == "2020-01-02"
    assert date_of(18263.5) == "2020-01-02T12:00:00.000000"

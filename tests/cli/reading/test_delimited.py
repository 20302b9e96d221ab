"""Text is taken apart by lines and separators; what is wrong is named by its line."""

import pytest

from fastkb.cli.errors import CommandError
from fastkb.cli.reading.delimited import read_delimited


def read(text, sep=None):
    source = read_delimited(text, "data", sep, [])
    return source.names, list(source.records), dict(source.notes)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
def test_the_separator_of_the_header(separator):
    text = "\n".join(separator.join(row) for row in (["x", "y"], ["1", "2"], ["3", "4"]))
    names, records, notes = read(text)
    assert names == ["x", "y"]
    assert records == [("line 2", ["1", "2"]), ("line 3", ["3", "4"])]
    assert notes == {}


def test_comments_and_excels_line_stand_before_the_header():
    names, records, notes = read("sep=;\n# of 1990\nx;y\n1;2\n")
    assert names == ["x", "y"]
    assert records == [("line 4", ["1", "2"])]
    assert notes == {"comments": "1 lines before the header, from '#', left out"}


def test_a_header_in_a_comment():
    names, records, _ = read("# x,y\n1,2\n")
    assert (names, records) == (["x", "y"], [("line 2", ["1", "2"])])


@pytest.mark.parametrize(
    ("text", "sep", "message"),
    [
        ("", None, "data: the file is empty"),
        ("x,y\n1,2,3,4\n", None, "data, line 2: 4 values under 2 column names"),
        ('x,y\n"1,2\n', None, "data, line 2: a quote"),
        ("a,b;c\n", None, "can be read with commas and semicolons"),
        ("x,y\n", "ab", "--sep 'ab': expected one character"),
    ],
)
def test_text_that_is_no_table(text, sep, message):
    with pytest.raises(CommandError, match=message):
        read(text, sep)

"""Takes delimited text apart into records.

Python's own ``csv`` does it, which knows the line of every record and refuses a quote that is never
closed; ``pandas.read_csv`` fills up short rows, takes surplus values for an index and forgets the lines,
all without a word. What stands before the header, and what separates its columns, is worked out from the
text, or asked for.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fastkb.cli.errors import CommandError

# Separators that headers are searched for.
_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_SPELLED = {"tab": "\t", r"\t": "\t", "comma": ",", "semicolon": ";", "space": " ", "blank": " "}
# Records that tell which separator fits.
_SAMPLE = 50
# A value between blanks: quoted, with quotes doubled inside, or up to the next blank.
_BETWEEN_BLANKS = re.compile(r'"((?:[^"]|"")*)"(?=\s|$)|([^\s"]\S*)')
Record = tuple[str, Sequence[Any]]  # where it stands, such as "line 7", and its cells


class Source(NamedTuple):
    """A table, not yet read as numbers."""

    names: list[str]
    records: Iterator[Record]
    notes: list[tuple[str, str]]  # what was assumed, for the summary


def read_delimited(text: str, source: str, sep: str | None, notes: list[tuple[str, str]]) -> Source:
    """The records under a header.

    Parameters
    ----------
    text : str
    source : str
        What errors call it.
    sep : str or None
        What separates columns; None: what the text says.
    notes : list of (str, str)
        What has been assumed so far.

    Raises
    ------
    CommandError
        If the text is no table, or one that can be read in several ways.
    """
    text, first_line, said = _without_preamble(text)
    hidden = _header_in_comment(said.last, text, sep or said.separator)
    if hidden is not None:
        text, first_line = f"{hidden}\n{text}", first_line - 1
        said = said._replace(skipped=said.skipped - 1)
        notes = [*notes, ("header", "the last line from '#', since numbers follow it")]
    if said.skipped:
        notes = [
            *notes,
            ("comments", f"{said.skipped} lines before the header, from '#', left out"),
        ]
    if not text.strip():
        raise CommandError(
            f"{source}: the file is empty; a header line and rows of numbers are needed"
        )
    if sep is not None:
        separator = _spelled(sep)
    else:
        separator = said.separator or _separator(text, source)
    records = _records(text, separator, source, first_line)
    _, header = next(records)
    names = [" ".join(str(name).split()) for name in header]
    return Source(names, _checked(records, names, separator, source, notes), notes)


class _Preamble(NamedTuple):
    skipped: int  # comments
    separator: str | None  # by a line such as "sep=;", as Excel writes
    last: str  # of the comments, without its sign


def _without_preamble(text: str) -> tuple[str, int, _Preamble]:
    """The text from its header on, the number of that line less one, and what stood before it."""
    skipped, separator, line, last = 0, None, 0, ""
    while True:
        head, end, rest = text.partition("\n")
        named = re.fullmatch(r"\s*sep=(.)\s*", head) if line == 0 else None
        if named:
            separator = named[1]
        elif head.startswith("#") and rest.strip():
            skipped, last = skipped + 1, head.lstrip("#").strip()
        elif head.strip() or not end:
            return text, line, _Preamble(skipped, separator, last)
        text, line = rest, line + 1


def _header_in_comment(comment: str, text: str, sep: str | None) -> str | None:
    """The comment before the first row if it is the header, as numpy.savetxt writes it.

    It is if that row holds numbers alone, and the comment as many words.
    """
    row, _, _ = text.partition("\n")
    for one in [_spelled(sep)] if sep is not None else [*_SEPARATORS, " "]:
        # savetxt puts blanks between numbers, and commas where it is told.
        between = None if one == " " else one
        values, names = row.split(between), comment.split(between)
        if len(names) == len(values) and (len(names) > 1 or one == " "):
            numbers = all(_is_number(value) for value in values)
            return comment if numbers and not any(map(_is_number, names)) else None
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _spelled(sep: str) -> str:
    separator = _SPELLED.get(sep.lower(), sep)
    if len(separator) != 1 or separator in '"\r\n':
        raise CommandError(
            f"--sep {sep!r}: expected one character, or one of comma, semicolon, tab, blank"
        )
    return separator


def _separator(text: str, source: str) -> str:
    """The separator of a header, by what stands between its quotes and by the rows below."""
    samples = {one: _some_records(text, one) for one in (*_SEPARATORS, " ")}
    words = samples.pop(" ")
    found = [one for one, sample in samples.items() if len(sample[0]) > 1]
    if len(found) > 1:  # a name holds another one: the rows tell which
        even = [one for one in found if _is_even(samples[one])]
        # Where no separator fits, the most frequent one leads to the row that is wrong.
        found = even or [max(found, key=lambda one: len(samples[one][0]))]
    if len(found) > 1:
        both = " and ".join(_NAMES[one] for one in found)
        raise CommandError(
            f"{source} can be read with {both} between its columns: say which with --sep"
        )
    if found:
        return found[0]
    if len(words[0]) > 1 and (_is_even(words) or _have_row_names(words)):
        return " "
    # One column, whose numbers may have decimal commas.
    return next((one for one in _SEPARATORS if one not in text), ",")


def _some_records(text: str, separator: str) -> list[Sequence[Any]]:
    """The first records; errors below them do not matter."""
    found: list[Sequence[Any]] = []
    with contextlib.suppress(csv.Error):
        for _, cells in itertools.islice(_split(text, separator, strict=False), _SAMPLE):
            found.append(cells)
    return found or [[]]


def _is_even(records: list[Sequence[Any]]) -> bool:
    return len({len(cells) for cells in records}) == 1


def _have_row_names(records: list[Sequence[Any]]) -> bool:
    lengths = {len(cells) for cells in records[1:]}
    return lengths == {len(records[0]) + 1}


def _split(
    text: str, separator: str, *, strict: bool = True
) -> Iterator[tuple[int, Sequence[str]]]:
    """The last line of each record that is not blank, and its cells."""
    if separator == " ":
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                found = _BETWEEN_BLANKS.findall(line)
                if strict and _BETWEEN_BLANKS.sub("", line).strip():
                    raise csv.Error("unexpected end of data")
                yield number, [a.replace('""', '"') if a else b for a, b in found]
        return
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=strict
    )
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _records(text: str, separator: str, source: str, before: int) -> Iterator[Record]:
    records = _split(text, separator)
    line = 0
    while True:
        try:
            line, cells = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            raise CommandError(_csv_error(error, text, separator, source, line, before)) from None
        yield f"line {line + before}", cells


def _csv_error(
    error: csv.Error, text: str, separator: str, source: str, line: int, before: int
) -> str:
    begin = f"{source}, line {line + 1 + before}"
    if "unexpected end of data" in str(error):
        return f'{begin}: a quote (") is opened in this row and never closed'
    if "expected after" in str(error):
        return f'{begin} or below: after a closing quote (") expected {separator!r}: {error}'
    return f"{begin}: not a table: {error}"


def _checked(
    records: Iterator[Record],
    names: list[str],
    separator: str,
    source: str,
    notes: list[tuple[str, str]],
) -> Iterator[Record]:
    """Records of as many cells as there are names.

    Rows that all end with a separator have an empty cell more. Where blanks or tabs separate (as in
    what R writes) the first cell without a name of its own is that of the row.
    """
    cut: slice | None = None
    n, first = len(names), True
    for where, cells in records:
        if first and len(cells) == n + 1:
            if not str(cells[-1]).strip():
                cut = slice(0, n)
            elif separator in " \t":
                cut = slice(1, n + 1)
                notes.append(("row names", "the first value of each row, which has no column name"))
        first = False
        if cut is not None and len(cells) == n + 1:
            cells = cells[cut]
        if len(cells) != n:
            hint = ""
            if len(cells) > n and separator == ",":
                hint = " (decimal commas or thousands would have to stand in quotes)"
            raise CommandError(
                f"{source}, {where}: {len(cells)} values under {n} column names{hint}; columns are "
                f"separated by {_NAMES.get(separator, repr(separator))} (--sep names another)"
            )
        yield where, cells

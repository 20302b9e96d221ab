"""Opens the file that a user names, whatever wrote it, and hands out its records.

Delimited text is taken apart by Python's own ``csv``, which knows the line of every record and refuses
a quote that is never closed; ``pandas.read_csv`` fills up short rows, takes surplus values for an index
and forgets the lines, all without a word. Excel and Parquet files are read by pandas.

What a file does not say for certain is either worked out from all of it or asked for; where something
is assumed, a note says so.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import re
import sys
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

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "lzma"}
# (The long ones first: that of UTF-32 begins with that of UTF-16.)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KNOWN = {
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"\xd0\xcf\x11\xe0": "an Excel file of the old kind (.xls)",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard",
    b"SQLite": "an SQLite database",
}

Record = tuple[str, Sequence[Any]]  # where it stands, such as "line 7", and its cells


class Reading(NamedTuple):
    """What the user says of the file; None where the file is asked."""

    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    na: tuple[str, ...] = ()


class Source(NamedTuple):
    """A table, not yet read as numbers."""

    names: list[str]
    records: Iterator[Record]
    notes: list[tuple[str, str]]  # what was assumed, for the summary


def open_source(path: str, source: str, reading: Reading) -> Source:
    """Open a file, or standard input for "-".

    Raises
    ------
    CommandError
        If it cannot be read, or does not say for certain how.
    """
    data = _decompressed(_bytes(path, source), source)
    is_excel, is_parquet = data[:4] == b"PK\x03\x04", data[:4] == b"PAR1"
    for option in ("sep", "encoding"):
        if (is_excel or is_parquet) and getattr(reading, option) is not None:
            what = "an Excel" if is_excel else "a Parquet"
            raise CommandError(f"--{option} is for text, and {source} is {what} file")
    if is_excel:
        return _excel(data, source, reading.sheet)
    if reading.sheet is not None:
        raise CommandError(f"--sheet is for Excel files, and {source} is none")
    if is_parquet:
        return _parquet(data, source)
    for mark, what in _KNOWN.items():
        if data.startswith(mark):
            raise CommandError(
                f"{source} is {what}, which is not read: save it as CSV, .xlsx or Parquet"
            )
    text, notes = _decoded(data, source, reading.encoding)
    return _delimited(text, source, reading.sep, notes)


def _bytes(path: str, source: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise CommandError(f"no such file: {path}") from None
    except OSError as error:
        raise CommandError(f"cannot read {source}: {error.strerror}") from None


def _decompressed(data: bytes, source: str) -> bytes:
    """What a compressed file holds, whatever its name says; others as they are."""
    import importlib
    import zipfile
    import zlib

    try:
        for mark, module in _COMPRESSED.items():
            if data.startswith(mark):
                return importlib.import_module(module).decompress(data)
        if data[:4] != b"PK\x03\x04":
            return data
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if any(name.startswith("xl/") for name in names):
                return data
            if len(names) != 1:
                raise CommandError(
                    f"{source} is an archive of {len(names)} files ({', '.join(names[:5])}): "
                    "expected one; unpack the one that is meant"
                )
            return archive.read(names[0])
    except (EOFError, OSError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise CommandError(f"{source} is compressed, and damaged or cut off: {error}") from None
    except Exception as error:
        if type(error).__name__ != "LZMAError":
            raise
        raise CommandError(f"{source} is compressed, and damaged or cut off: {error}") from None


def _decoded(data: bytes, source: str, encoding: str | None) -> tuple[str, list[tuple[str, str]]]:
    """The text, and what was assumed of it."""
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is not None:
        try:
            codecs.lookup(encoding)
            text = data.decode(
                marked if marked and encoding.lower() in ("utf-8", "utf8") else encoding
            )
        except LookupError:
            raise CommandError(
                f"--encoding {encoding!r} is not known: expected a name such as utf-8, latin-1, "
                "cp1252 or utf-16"
            ) from None
        except (UnicodeDecodeError, ValueError) as error:
            raise CommandError(f"{source} is not in the encoding {encoding!r}: {error}") from None
        return text, []
    try:
        text = data.decode(marked or "utf-8")
    except UnicodeDecodeError as error:
        if marked or b"\0" in data[:4096]:
            raise CommandError(
                f"{source} is not a table in text: byte {error.start} is none of a text's"
            ) from None
        # Most other files of the West; where it is wrong the user sees odd names, and reads why.
        text = data.decode("cp1252", errors="replace")
        assumed = "not UTF-8; read as Windows-1252 (--encoding names another)"
        return text, [("encoding", assumed)]
    if "\0" in text:
        raise CommandError(
            f"{source} is not a table in text: it holds bytes of 0 (--encoding utf-16 for one in UTF-16)"
        )
    return text, []


# --- delimited text -------------------------------------------------------------------------------


def _delimited(text: str, source: str, sep: str | None, notes: list[tuple[str, str]]) -> Source:
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
        # (savetxt puts blanks between numbers, and commas where it is told.)
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
        # (Where none fits the most frequent one leads to the row that is wrong.)
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
    """The first ones, whatever is wrong further down."""
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


# --- Excel and Parquet ----------------------------------------------------------------------------


def _excel(data: bytes, source: str, sheet: str | None) -> Source:
    import pandas as pd

    try:
        book = pd.ExcelFile(io.BytesIO(data), engine="openpyxl")
    except ImportError:
        raise CommandError(
            f"{source} is an Excel file, which takes the package openpyxl: pip install openpyxl"
        ) from None
    except Exception as error:  # (a damaged file raises whatever its parts raise)
        raise CommandError(f"{source} is no Excel file that can be read: {error}") from None
    sheets, notes = [str(name) for name in book.sheet_names], []
    if sheet is None:
        chosen = sheets[0]
        if len(sheets) > 1:
            said = f"{chosen!r}, the first of {len(sheets)} (--sheet names another)"
            notes.append(("sheet", said))
    elif sheet in sheets:
        chosen = sheet
    elif sheet.isdecimal() and 1 <= int(sheet) <= len(sheets):
        chosen = sheets[int(sheet) - 1]
    else:
        raise CommandError(
            f"--sheet {sheet!r}: {source} has the sheets {', '.join(map(repr, sheets))}"
        )
    # (Texts such as NA stay texts: which of them are missing values is asked elsewhere.)
    frame = pd.read_excel(
        book, sheet_name=chosen, header=None, dtype=object, na_values=[], keep_default_na=False
    )
    filled = ((where, row) for where, row in _rows(frame) if any(str(cell).strip() for cell in row))
    header = next(filled, None)
    if header is None:
        raise CommandError(f"{source}: sheet {chosen!r} is empty")
    names = [" ".join(str(name).split()) for name in header[1]]
    return Source(names, filled, notes)


def _parquet(data: bytes, source: str) -> Source:
    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except ImportError:
        raise CommandError(
            f"{source} is a Parquet file, which takes the package pyarrow: pip install pyarrow"
        ) from None
    except Exception as error:  # (a damaged file raises whatever its parts raise)
        raise CommandError(f"{source} is no Parquet file that can be read: {error}") from None
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()  # (an index with a name is a column like the others)
    return Source([str(name) for name in frame.columns], _rows(frame), [])


def _rows(frame: Any) -> Iterator[Record]:
    """The records of a data frame, without a value where a cell is empty."""
    import pandas as pd

    def is_empty(cell: Any) -> bool:
        return cell is None or cell is pd.NaT or cell is pd.NA

    for index, row in enumerate(frame.itertuples(index=False, name=None), 1):
        yield f"row {index}", ["" if is_empty(cell) else cell for cell in row]

"""Opens the file that a user names, of any of several formats, and hands out its records.

Text is taken apart in `delimited.py`; Excel and Parquet files are read by pandas.

What a file does not say for certain is either worked out from all of it or asked for; where something
is assumed, a note says so.
"""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastkb.cli.errors import CommandError
from fastkb.cli.reading.delimited import Record, Source, read_delimited

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "lzma"}
# Long marks come first: that of UTF-32 begins with that of UTF-16.
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


class Reading(NamedTuple):
    """What the user says of the file; None where the file is asked."""

    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    na: tuple[str, ...] = ()


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
        raise CommandError(f"--sheet is for Excel files, and {source} is not one")
    if is_parquet:
        return _parquet(data, source)
    for mark, what in _KNOWN.items():
        if data.startswith(mark):
            raise CommandError(
                f"{source} is {what}, which is not read: save it as CSV, .xlsx or Parquet"
            )
    text, notes = _decoded(data, source, reading.encoding)
    return read_delimited(text, source, reading.sep, notes)


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
    """The content of a compressed file, told by its first bytes; other data as they are."""
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
                f"{source} is not a table in text: byte {error.start} belongs to no text"
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


# --- Excel and Parquet ----------------------------------------------------------------------------


def _excel(data: bytes, source: str, sheet: str | None) -> Source:
    import pandas as pd

    try:
        book = pd.ExcelFile(io.BytesIO(data), engine="openpyxl")
    except ImportError:
        raise CommandError(
            f"{source} is an Excel file, which takes the package openpyxl: pip install openpyxl"
        ) from None
    except Exception as error:  # a damaged file may raise any error
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
    # Texts such as NA stay texts: `numerals.py` finds the missing values among them.
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
    except Exception as error:  # a damaged file may raise any error
        raise CommandError(f"{source} is no Parquet file that can be read: {error}") from None
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()  # an index with a name is a column
    return Source([str(name) for name in frame.columns], _rows(frame), [])


def _rows(frame: Any) -> Iterator[Record]:
    """The records of a data frame, without a value where a cell is empty."""
    import pandas as pd

    def is_empty(cell: Any) -> bool:
        return cell is None or cell is pd.NaT or cell is pd.NA

    for index, row in enumerate(frame.itertuples(index=False, name=None), 1):
        yield f"row {index}", ["" if is_empty(cell) else cell for cell in row]

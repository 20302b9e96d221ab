"""Makes numbers of the cells of a column, in all usual spellings.

A column is read as a whole: ``1,234`` alone may be 1.234 or 1234, and what else stands in the column
tells which. Where nothing does, that is an error, which names the option that says so. Besides plain
numbers: decimal commas; thousands between commas, points, blanks and apostrophes; signs of a currency
or of percent, and parentheses around what is negative; true and false; dates and times.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastkb.cli.errors import CommandError

# How tables spell "no value" (compared in lower case, without surrounding blanks).
MISSING = frozenset(
    [
        "",
        "na",
        "n/a",
        "#n/a",
        "<na>",
        "nan",
        "-nan",
        "null",
        "none",
        "nil",
        "missing",
        "?",
        "-",
        ".",
    ]
)

_BLANKS = "\u00a0\u202f\u2009 "
# Digits of other scripts and 2_000 are numbers to Python, and no numbers of a table.
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def _grouped(decimal: str, thousands: str) -> re.Pattern[str]:
    """Numbers in the decimal notation, thousands grouped or not, or grouped by blanks and apostrophes."""
    point = re.escape(decimal)
    tails = "|".join(rf"(?:[{group}]\d{{3}})+" for group in (re.escape(thousands), "'’", _BLANKS))
    whole = rf"(?:\d{{1,3}}(?:{tails})|\d+)"
    number = rf"[+-]?(?:{whole}{point}?\d*|{point}\d+)(?:[eE][+-]?\d+)?"
    return re.compile(number, re.ASCII)


# By their decimal sign: what numbers look like, and what else than digits is in them.
_NOTATIONS = {".": _grouped(".", ","), ",": _grouped(",", ".")}
_GROUPING = re.compile(f"['’{_BLANKS}]")

_MARKS = "$€£¥₹₩₽₺₫₴₦฿₪"
_CODES = "USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|CZK"
_CURRENCY = re.compile(rf"(?:[A-Z]{{0,2}}[{_MARKS}]|\b(?:{_CODES})\b)")
_TRUTHS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
# Dates that are written from the year down mean one thing; anything with two more separators may be one.
_ISO = re.compile(
    r"\d{4}([-/.])\d{1,2}\1\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?"
    r"|\d{4}-\d{2}",
    re.ASCII,
)
_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1(\d{4}|\d{2})( \d{1,2}:\d{2}(:\d{2})?)?", re.ASCII)
_EPOCH = np.datetime64("1970-01-01T00:00:00", "us")
_DAY = np.timedelta64(86_400_000_000, "us")


class Numbers(NamedTuple):
    """A column as numbers."""

    values: np.ndarray  # NaN where there is none; dates as days since 1970.  shape: (n,)
    is_date: bool
    note: str | None = None  # how the cells were read, unless they are plain numbers
    sign: str | None = None  # the decimal sign, where a cell tells
    unclear: int | None = None  # the first cell whose point might group thousands, where none tells
    levels: list[str] | None = None  # of labels: what the values count, in order of appearance


class Column(NamedTuple):
    """The cells of a column."""

    name: str
    source: str
    cells: Sequence[Any]
    where: Sequence[str]

    def error(self, index: int, expected: str = "a number") -> CommandError:
        """The message about one cell."""
        return CommandError(
            f"{self.source}, {self.where[index]}, column {self.name!r}: expected {expected}, got "
            f"{self.cells[index]!r}"
        )


def read_numbers(
    column: Column, decimal: str | None, missing: Iterable[str] = (), dates: bool = False
) -> Numbers:
    """The numbers of a column.

    Parameters
    ----------
    column : Column
    decimal : {".", ","} or None
        The decimal sign, if the user says which.
    missing : iterable of str
        More words for no value.
    dates : bool, default False
        Whether dates and times are wanted, too.

    Raises
    ------
    CommandError
        If a cell is no number, or the column can be read in two ways.
    """
    words = MISSING | {word.strip().lower() for word in missing}
    # Cells of Excel and Parquet hold numbers: a word such as -999 is compared as one.
    codes = {float(word) for word in words if _PLAIN.fullmatch(word)}
    values = np.full(len(column.cells), math.nan)
    texts: dict[int, str] = {}
    moments: dict[int, Any] = {}
    truths = 0
    for index, cell in enumerate(column.cells):
        if isinstance(cell, str):
            text = cell.strip()
            if text.lower() not in words:
                texts[index] = text
        elif isinstance(cell, (bool, np.bool_)):
            values[index], truths = float(cell), truths + 1
        elif isinstance(cell, (datetime.date, np.datetime64)):
            moments[index] = cell
        elif cell is not None:
            value = _number_of(column, index)
            values[index] = math.nan if value in codes else value
    if not texts and not moments:
        return Numbers(values, False, _TRUE_IS_1 if truths else None)
    if moments or all(map(_looks_like_a_date, texts.values())):
        return _dates(column, values, texts, moments, dates)
    if all(text.lower() in _TRUTHS for text in texts.values()):
        for index, text in texts.items():
            values[index] = _TRUTHS[text.lower()]
        return Numbers(values, False, _TRUE_IS_1)
    return _read_texts(column, values, texts, decimal)


def check_one_sign(columns: Sequence[Column], numbers: Sequence[Numbers]) -> None:
    """Where one column has decimal commas, the points of another one may group thousands.

    Raises
    ------
    CommandError
        If nothing in that other column tells.
    """
    comma = next((c for c, n in zip(columns, numbers, strict=True) if n.sign == ","), None)
    for column, found in zip(columns, numbers, strict=True):
        if comma is not None and found.unclear is not None:
            cell = str(column.cells[found.unclear])
            raise CommandError(
                f"{column.source}, {column.where[found.unclear]}, column {column.name!r}: {cell!r} may "
                f"be {cell.replace('.', '')}, as column {comma.name!r} has decimal commas: say --decimal "
                ", or write one kind of number"
            )


def read_labels(column: Column, missing: Iterable[str] = ()) -> Numbers:
    """The groups of a column, counted in the order in which they appear.

    Texts are compared without the blanks around them; numbers are labels, too.
    """
    words = MISSING | {word.strip().lower() for word in missing}
    levels: dict[str, int] = {}
    values = np.full(len(column.cells), math.nan)
    for index, cell in enumerate(column.cells):
        text = "" if cell is None or cell != cell else str(cell).strip()
        if text.lower() not in words:
            values[index] = levels.setdefault(text, len(levels))
    return Numbers(values, False, levels=list(levels))


_TRUE_IS_1 = "true and yes are 1, false and no are 0"


def _number_of(column: Column, index: int) -> float:
    """A cell that is no text: of Excel or Parquet."""
    try:
        value = float(column.cells[index])
    except (TypeError, ValueError):
        raise column.error(index) from None
    if math.isinf(value):
        raise column.error(index, "a finite number")
    return value


def _read_texts(
    column: Column, values: np.ndarray, texts: dict[int, str], decimal: str | None
) -> Numbers:
    """Put the numbers of texts among the values."""
    if decimal != "," and all(map(_PLAIN.fullmatch, texts.values())):
        for index, text in texts.items():
            values[index] = _finite(column, index, text)
        return Numbers(values, False, unclear=None if decimal else _unclear_point(texts))
    bare, signs = _without_signs(texts)
    sign = _decimal_sign(column, bare, decimal)
    notes = _kinds(column, texts, signs)
    if sign == ",":
        notes.append("decimal commas")
    other = "." if sign == "," else ","
    if any(other in text or _GROUPING.search(text) for text in bare.values()):
        notes.append("thousands are grouped")
    for index, text in bare.items():
        digits = _GROUPING.sub("", text).replace(other, "").replace(sign, ".")
        values[index] = _finite(column, index, digits)
    unclear = _unclear_point(bare) if sign == "." and not decimal else None
    return Numbers(values, False, ", ".join(notes) or None, sign, unclear)


def _unclear_point(texts: dict[int, str]) -> int | None:
    """The first text with a point, if all could be numbers whose points group thousands."""
    if not all(map(_NOTATIONS[","].fullmatch, texts.values())):
        return None
    return next((index for index, text in texts.items() if "." in text), None)


def _finite(column: Column, index: int, digits: str) -> float:
    value = float(digits)
    if math.isinf(value):  # 1e999: no number to fit a curve to
        raise column.error(index, "a finite number")
    return value


class _Signs(NamedTuple):
    """What stands beside the numbers."""

    currencies: dict[str, int]  # and where each is first
    percent: set[int]
    has_parentheses: bool


def _without_signs(texts: dict[int, str]) -> tuple[dict[int, str], _Signs]:
    """The texts without signs of currency, of percent and around what is negative; which there were."""
    bare: dict[int, str] = {}
    currencies: dict[str, int] = {}
    percent: set[int] = set()
    has_parentheses = False
    for index, text in texts.items():
        inner = text.replace("\u2212", "-")
        if inner.startswith("(") and inner.endswith(")"):
            inner, has_parentheses = "-" + inner[1:-1].strip(), True
        found = _CURRENCY.search(inner)
        # Only at one end: 12€50 is not 1250.
        if found and (
            inner[: found.start()].strip() in ("", "+", "-") or found.end() == len(inner)
        ):
            currencies.setdefault(found[0], index)
            inner = (inner[: found.start()] + inner[found.end() :]).strip()
            inner = re.sub(r"^([+-])\s+", r"\1", inner)
        if inner.endswith("%"):
            percent.add(index)
            inner = inner[:-1].rstrip()
        bare[index] = inner
    return bare, _Signs(currencies, percent, has_parentheses)


def _kinds(column: Column, texts: dict[int, str], signs: _Signs) -> list[str]:
    """What the signs say of the whole column, which has one kind of them."""
    currencies, percent, has_parentheses = signs
    notes = ["negative in parentheses"] if has_parentheses else []
    if len(currencies) > 1:
        second = list(currencies.values())[1]
        raise column.error(second, f"one currency ({next(iter(currencies))!r} before)")
    if currencies:
        notes.append(f"in {next(iter(currencies))}")
    if percent and len(percent) < len(texts):
        other = next(index for index in texts if index not in percent)
        raise column.error(other, "a number with '%' as in the rest of the column")
    if percent:
        notes.append("in percent (12% is 12)")
    return notes


def _decimal_sign(column: Column, texts: dict[int, str], decimal: str | None) -> str:
    """The decimal sign with which every text is a number."""
    fits = [sign for sign in _NOTATIONS if decimal in (None, sign)]
    clear: dict[str, int] = {}  # by sign: the first text that is a number with that one alone
    for index, text in texts.items():
        of_this = [sign for sign in fits if _NOTATIONS[sign].fullmatch(text)]
        if not of_this:
            raise column.error(index, "a number" + (f" with {decimal!r}" if decimal else ""))
        if len(of_this) == 1:
            clear.setdefault(of_this[0], index)
    if len(clear) == 2 and decimal is None:
        one, two = sorted(clear.values())
        raise column.error(
            two, f"one kind of decimal sign ({column.cells[one]!r} in {column.where[one]})"
        )
    if clear:
        return next(iter(clear))
    if decimal is not None:
        return decimal
    # Each is a number in both notations: without a sign it is the same one.
    unclear = next((i for i, text in texts.items() if "," in text), None)
    if unclear is None:
        return "."
    raise CommandError(
        f"{column.source}, {column.where[unclear]}, column {column.name!r}: "
        f"{column.cells[unclear]!r} may be {texts[unclear].replace(',', '.')} or "
        f"{texts[unclear].replace(',', '')}: say --decimal , or --decimal ."
    )


# --- dates ----------------------------------------------------------------------------------------


def date_of(days: float) -> str:
    """Days since 1970 as a date, with the time where it is not midnight."""
    moment = _EPOCH + np.timedelta64(round(days * 86_400_000_000), "us")
    return str(moment).removesuffix("T00:00:00.000000")


def _looks_like_a_date(text: str) -> bool:
    return bool(_ISO.fullmatch(text) or _DATE.fullmatch(text))


def _dates(
    column: Column,
    values: np.ndarray,
    texts: dict[int, str],
    moments: dict[int, Any],
    wanted: bool,
) -> Numbers:
    import pandas as pd

    first = min([*texts, *moments])
    if not wanted:
        raise column.error(first, "a number (dates can be an input of 'fastkb band', --x)")
    numbers = np.flatnonzero(~np.isnan(values))
    if numbers.size:
        raise column.error(int(numbers[0]), "a date as in the rest of the column")
    odd = next((i for i, text in texts.items() if not _looks_like_a_date(text)), None)
    if odd is not None:
        raise column.error(odd, "a date as in the rest of the column")
    note = "dates"
    iso = all(map(_ISO.fullmatch, texts.values()))
    days_first = None
    if not iso:
        days_first = _days_come_first(column, texts)
        note = f"dates, the {'day' if days_first else 'month'} first"
    for index, cell in [*texts.items(), *moments.items()]:
        try:
            if isinstance(cell, str) and not _ISO.fullmatch(cell):
                moment = pd.to_datetime(cell, dayfirst=bool(days_first))
            else:
                moment = pd.Timestamp(cell)
        except (ValueError, OverflowError):
            raise column.error(index, "a date that exists") from None
        if moment.tzinfo is not None:
            moment, note = moment.tz_convert("UTC").tz_localize(None), "dates, in UTC"
        values[index] = float((moment.to_datetime64().astype("datetime64[us]") - _EPOCH) / _DAY)
    return Numbers(values, True, note)


def _days_come_first(column: Column, texts: dict[int, str]) -> bool:
    """Whether 3/4/2020 is in April: told by a number above 12, or by points between."""
    first, second = False, False
    for text in texts.values():
        if _ISO.fullmatch(text):
            continue
        a, b = (int(part) for part in re.split("[./-]", text)[:2])
        first, second = first or a > 12, second or b > 12
    if first and second:
        index = next(iter(texts))
        raise column.error(index, "dates of one order, days or months first throughout")
    points = all("." in text or _ISO.fullmatch(text) for text in texts.values())
    if not first and not second and not points:
        index = next(i for i, text in texts.items() if not _ISO.fullmatch(text))
        raise column.error(index, "a date that can be read in one way, such as 2020-04-03")
    return first or (points and not second)

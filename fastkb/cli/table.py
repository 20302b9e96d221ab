"""Reads the columns that a command needs, and says exactly what is wrong with them.

Python's own ``csv`` reads the file: it keeps the line number of every record, which the messages
need, and saves the half second that importing a data-frame library takes.
"""

from __future__ import annotations

import contextlib
import csv
import difflib
import io
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastkb.cli import CommandError

MIN_ROWS = 5
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

# What the columns of scikit-learn's diabetes data mean, for the picture.
_DIABETES = {
    "age": "age in years",
    "bmi": "body-mass index",
    "bp": "average blood pressure",
    "s1": "total serum cholesterol",
    "s2": "low-density lipoproteins",
    "s3": "high-density lipoproteins",
    "s4": "cholesterol ratio",
    "s5": "log of serum triglycerides",
    "s6": "blood sugar",
    "target": "disease progression after one year",
}


class _Named:
    """Columns whose meaning may be known."""

    meanings: dict[str, str]  # of the columns, where they are known

    def meaning(self, name: str) -> str:
        """What the column is, in words; its name where nothing more is known."""
        return self.meanings.get(name, name)

    def label(self, name: str) -> str:
        """The column for an axis of the picture: in words, and its name."""
        return f"{self.meanings[name]} ({name})" if name in self.meanings else name


@dataclass(frozen=True)
class Columns(_Named):
    """The numbers of some columns, in the units of the source."""

    source: str
    names: list[str]
    meanings: dict[str, str]
    values: np.ndarray  # shape: (n, len(names))
    n_dropped: int


@dataclass(frozen=True)
class Table(_Named):
    """The numbers of a regression, in the units of the source."""

    source: str
    x_names: list[str]
    y_name: str
    meanings: dict[str, str]
    X: np.ndarray  # shape: (n, d)
    y: np.ndarray  # shape: (n,)
    n_dropped: int


class Wanted(NamedTuple):
    """What an option asks for."""

    option: str
    spec: str | None  # a column, or several with commas; None or "" if the user gave none
    default: str  # in the diabetes data
    several: bool = False


def read_table(path: str | None, x: str | None, y: str | None) -> Table:
    """Read the columns `x` (one name, or several with commas) and `y` of the table at `path`.

    ``None`` reads the diabetes data of scikit-learn, ``"-"`` standard input.
    """
    wanted = [Wanted("--x", x, "bmi", several=True), Wanted("--y", y, "target")]
    columns = read_columns(path, wanted)
    *x_names, y_name = columns.names
    return Table(
        columns.source,
        x_names,
        y_name,
        columns.meanings,
        np.ascontiguousarray(columns.values[:, :-1]),
        np.ascontiguousarray(columns.values[:, -1]),
        columns.n_dropped,
    )


def read_columns(path: str | None, wanted: Sequence[Wanted]) -> Columns:
    """Read the columns that the options ask for; rows that miss a value in one of them are dropped.

    ``None`` reads the diabetes data of scikit-learn, ``"-"`` standard input.
    """
    if path is None:
        source = "diabetes data of scikit-learn"
        names, rows = _diabetes()
        wanted = [w._replace(spec=w.spec or w.default) for w in wanted]
        meanings = _DIABETES
    else:
        source = "standard input" if path == "-" else path
        names, rows = _records(path, source)
        meanings = {}
    chosen: dict[str, str] = {}  # column -> option
    for option, spec, _, _ in wanted:
        if not spec:
            raise CommandError(f"{option} is needed with {source}: name one of {_list(names)}")
    for option, spec, _, several in wanted:
        assert spec is not None
        for name in _columns(spec, names, option, source, several):
            if name in chosen:
                raise CommandError(f"column {name!r} is in both {chosen[name]} and {option}")
            chosen[name] = option
    values, n_dropped = _numbers(rows, [names.index(name) for name in chosen], names, source)
    columns = Columns(source, list(chosen), meanings, values, n_dropped)
    _check_usable(columns)
    return columns


def _check_usable(columns: Columns) -> None:
    n = len(columns.values)
    if n < MIN_ROWS:
        dropped = (
            f" after dropping {columns.n_dropped} with missing values" if columns.n_dropped else ""
        )
        raise CommandError(
            f"{columns.source}: {n} rows{dropped}, and at least {MIN_ROWS} are needed"
        )
    for name, column in zip(columns.names, columns.values.T, strict=True):
        if column.min() == column.max():
            raise CommandError(f"column {name!r} is constant ({column[0]:g} in all {n} rows)")


def deviation(name: str, column: np.ndarray) -> float:
    """The standard deviation of a column, whose square must be neither infinite nor 0."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        value = float(column.std())
    # Numbers near the ends of the floating-point range.
    if not 0 < value < math.inf:
        raise CommandError(f"column {name!r} has values too large or too close to compute with")
    return value


def _diabetes() -> tuple[list[str], Iterable[tuple[str, list]]]:
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    rows = np.column_stack([data.data, data.target])
    return [*data.feature_names, "target"], ((f"row {i + 1}", list(r)) for i, r in enumerate(rows))


def _records(path: str, source: str) -> tuple[list[str], Iterable[tuple[str, list]]]:
    """The column names, and an iterable of (where, cells) over the records that are not blank."""
    text = _text(path, source)
    header = text.lstrip("\r\n").split("\n", 1)[0]
    if not header.strip():
        raise CommandError(
            f"{source}: the file is empty; a header line and rows of numbers are needed"
        )
    # The header decides the separator: decimal commas in the rows cannot mislead it.
    separator = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    records = (
        (f"line {reader.line_num}", cells)
        for cells in reader
        if any(cell.strip() for cell in cells)
    )
    with _clear_csv_errors(source):
        names = [name.strip() for name in next(records)[1]]

    def checked() -> Iterable[tuple[str, list]]:
        with _clear_csv_errors(source):
            for where, cells in records:
                if len(cells) != len(names):
                    raise CommandError(
                        f"{source}, {where}: {len(cells)} values under {len(names)} column names"
                    )
                yield where, cells

    return names, checked()


def _text(path: str, source: str) -> str:
    try:
        if path == "-":
            return sys.stdin.buffer.read().decode("utf-8-sig")
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except FileNotFoundError:
        raise CommandError(f"no such file: {path}") from None
    except OSError as error:
        raise CommandError(f"cannot read {source}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{source} is not a text file in UTF-8 (byte {error.start})") from None


@contextlib.contextmanager
def _clear_csv_errors(source: str):
    try:
        yield
    except csv.Error as error:
        raise CommandError(f"{source} is not a table: {error}") from None


def _list(names: list[str], at_most: int = 12) -> str:
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more


def _columns(
    spec: str, names: list[str], option: str, source: str, several: bool = True
) -> list[str]:
    """The columns that `spec` names; a column's name may itself hold a comma, whole or quoted."""
    if spec in names or not several:
        chosen = [spec.strip()]
    else:
        chosen = [name.strip() for name in next(csv.reader([spec], skipinitialspace=True))]
    for i, name in enumerate(chosen):
        if not name:
            raise CommandError(f"{option} {spec!r} has an empty name")
        if name in chosen[:i]:
            raise CommandError(f"column {name!r} is named twice in {option}")
        count = names.count(name)
        if count > 1:
            raise CommandError(f"{source} has {count} columns named {name!r}: rename all but one")
        if not count:
            lower = {known.lower(): known for known in reversed(names)}
            close = difflib.get_close_matches(name.lower(), list(lower), n=3, cutoff=0.5)
            hint = (
                f"the closest names are {_list([lower[c] for c in close])}"
                if close
                else f"its columns are {_list(names)}"
            )
            raise CommandError(f"{source} has no column {name!r}; {hint}")
    return chosen


def _numbers(
    rows: Iterable[tuple[str, list]], indices: list[int], names: list[str], source: str
) -> tuple[np.ndarray, int]:
    """The chosen cells as numbers, without the rows that miss one.  # shape: (n, len(indices))"""
    kept, n_dropped = [], 0
    for where, cells in rows:
        chosen = [cells[i] for i in indices]
        missing = [isinstance(cell, str) and cell.strip().lower() in MISSING for cell in chosen]
        values = []
        for i, cell, is_missing in zip(indices, chosen, missing, strict=True):
            try:
                value = math.nan if is_missing else float(cell)
            except ValueError:
                value = math.inf
            # float() also reads "inf" and "1e999": no numbers to fit a curve to.
            if math.isinf(value):
                raise CommandError(
                    f"{source}, {where}, column {names[i]!r}: expected a number, got {cell!r}"
                )
            values.append(value)
        if any(missing):
            n_dropped += 1
        else:
            kept.append(values)
    return np.array(kept, dtype=float).reshape(len(kept), len(indices)), n_dropped

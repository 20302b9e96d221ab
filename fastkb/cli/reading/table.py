"""Reads the columns that a command needs, and says exactly what is wrong with them."""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fastkb.checks.choices import closest_names
from fastkb.cli.errors import CommandError
from fastkb.cli.reading.numerals import Column, Numbers, check_one_sign, read_labels, read_numbers
from fastkb.cli.reading.sources import Reading, Record, open_source

MIN_ROWS = 5

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
    """The numbers of the chosen columns, in the units of the source."""

    source: str
    names: list[str]
    meanings: dict[str, str]
    values: np.ndarray  # shape: (n, len(names))
    n_dropped: int
    are_dates: list[bool]  # columns of dates are days since 1970
    notes: list[tuple[str, str]]  # what was assumed of the file, for the summary
    levels: dict[str, list[str]] = field(default_factory=dict)  # of columns of labels: their codes

    def column(self, name: str) -> np.ndarray:
        """One of the columns; of labels, the places in `levels`.  # shape: (n,)"""
        return np.ascontiguousarray(self.values[:, self.names.index(name)])


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
    are_dates: list[bool]  # of the inputs: days since 1970
    notes: list[tuple[str, str]]  # what was assumed of the file, for the summary


class Wanted(NamedTuple):
    """What an option asks for."""

    option: str
    spec: str | None  # a column, or several with commas; None or "" if the user gave none
    default: str  # in the diabetes data
    several: bool = False
    dates: bool = False  # whether dates will do
    labels: bool = False  # whether it holds the names of groups, and no numbers


def reading_of(options: argparse.Namespace) -> Reading:
    """What the command line says of the table."""
    words = tuple(word for word in options.na.split(",") if word.strip())
    return Reading(options.sep, options.decimal, options.encoding, options.sheet, words)


def read_table(
    path: str | None, x: str | None, y: str | None, reading: Reading | None = None
) -> Table:
    """Read the columns `x` (one name, or several with commas) and `y` of the table at `path`.

    ``None`` reads the diabetes data of scikit-learn, ``"-"`` standard input.
    """
    wanted = [Wanted("--x", x, "bmi", several=True, dates=True), Wanted("--y", y, "target")]
    columns = read_columns(path, wanted, reading)
    *x_names, y_name = columns.names
    return Table(
        columns.source,
        x_names,
        y_name,
        columns.meanings,
        np.ascontiguousarray(columns.values[:, :-1]),
        np.ascontiguousarray(columns.values[:, -1]),
        columns.n_dropped,
        columns.are_dates[:-1],
        columns.notes,
    )


def read_columns(
    path: str | None, wanted: Sequence[Wanted], reading: Reading | None = None
) -> Columns:
    """Read the columns that the options ask for; rows that miss a value in one of them are dropped.

    ``None`` reads the diabetes data of scikit-learn, ``"-"`` standard input.
    """
    reading = reading or Reading()
    notes: list[tuple[str, str]] = []
    if path is None:
        source = "diabetes data of scikit-learn"
        names, records = _diabetes()
        wanted = [w._replace(spec=w.spec or w.default) for w in wanted]
        meanings = _DIABETES
    else:
        source = "standard input" if path == "-" else path
        names, records, notes = open_source(path, source, reading)
        meanings = {}
    chosen: dict[str, Wanted] = {}
    for one in wanted:
        if not one.spec:
            raise CommandError(f"{one.option} is needed with {source}: name one of {_list(names)}")
    for one in wanted:
        assert one.spec is not None
        for name in _columns(one.spec, names, one.option, source, one.several):
            if name in chosen:
                both = f"{chosen[name].option} and {one.option}"
                raise CommandError(f"column {name!r} is in both {both}")
            chosen[name] = one
    found = _numbers(records, names, chosen, source, reading)
    for name, numbers in zip(chosen, found, strict=True):
        if numbers.note is not None:
            notes.append((f"column {name}", numbers.note))
    values = np.stack([numbers.values for numbers in found], axis=1)
    complete = ~np.isnan(values).any(axis=1)
    are_dates = [numbers.is_date for numbers in found]
    n_dropped = int(np.count_nonzero(~complete))
    levels = {
        name: numbers.levels
        for name, numbers in zip(chosen, found, strict=True)
        if numbers.levels is not None
    }
    columns = Columns(
        source, list(chosen), meanings, values[complete], n_dropped, are_dates, notes, levels
    )
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
        if name not in columns.levels and column.min() == column.max():
            raise CommandError(f"column {name!r} is constant ({column[0]:g} in all {n} rows)")


def deviation(name: str, column: np.ndarray) -> float:
    """The standard deviation of a column, whose square must be neither infinite nor 0."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        value = float(column.std())
    # Numbers near the ends of the floating-point range.
    if not 0 < value < math.inf:
        raise CommandError(f"column {name!r} has values too large or too close to compute with")
    return value


def _diabetes() -> tuple[list[str], Iterable[Record]]:
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    rows = np.column_stack([data.data, data.target])
    return [*data.feature_names, "target"], ((f"row {i + 1}", list(r)) for i, r in enumerate(rows))


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
            close = closest_names(name, names)
            hint = (
                f"the closest names are {_list(close)}"
                if close
                else f"its columns are {_list(names)}"
            )
            raise CommandError(f"{source} has no column {name!r}; {hint}")
    return chosen


def _numbers(
    records: Iterable[Record],
    names: list[str],
    chosen: dict[str, Wanted],
    source: str,
    reading: Reading,
) -> list[Numbers]:
    """The chosen columns."""
    indices = [names.index(name) for name in chosen]
    places: list[str] = []
    cells: list[list] = [[] for _ in indices]
    for where, record in records:
        places.append(where)
        for i, part in zip(indices, cells, strict=True):
            part.append(record[i])
    described = [Column(n, source, part, places) for n, part in zip(chosen, cells, strict=True)]
    found = []
    for one, column in zip(chosen.values(), described, strict=True):
        if one.labels:
            found.append(read_labels(column, reading.na))
        else:
            found.append(read_numbers(column, reading.decimal, reading.na, one.dates))
    check_one_sign(described, found)
    return found

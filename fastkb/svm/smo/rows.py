"""Rows of the kernel matrix, computed when they are asked for and kept within a number of bytes.

Of a matrix that fits, all rows are there. Else the rows that were not asked for the longest time make
room. Columns that are no longer needed are dropped from every row, which leaves room for more rows.
"""

from __future__ import annotations

import numpy as np

from fastkb.runtime.memory import empty
from fastkb.svm.kernel import Source
from fastkb.svm.smo.gradient import put, squeeze

# A matrix of so many rows is computed at once: half of it, and mirrored.
WHOLE = 4000

# Rows at least, whatever is granted: those of a pair.
LEAST = 2


class KernelRows:
    """Rows of a kernel matrix, at some or all columns."""

    def __init__(
        self, source: Source, dtype: type, budget: int, columns: np.ndarray | None = None
    ) -> None:
        """Keep rows within `budget` bytes; `columns` of them, or all."""
        self._source, self._columns = source, columns
        self.width = source.n if columns is None else len(columns)
        self.dtype = np.dtype(dtype)
        capacity = min(source.n, max(LEAST, budget // (self.width * self.dtype.itemsize)))
        self.capacity = capacity
        self._slot_of = np.full(source.n, -1)
        self._row_of = np.full(capacity, -1)
        self._asked = np.zeros(capacity, np.int64)
        self._clock = 0
        self._in_order = self._given = False
        self._buffer = np.empty(0, self.dtype)  # for rows whose places are not next to each other
        given = source.whole() if columns is None and self.dtype == np.float64 else None
        if given is not None:
            self.values, self._given = given, True
        elif capacity == source.n and source.n <= WHOLE and columns is None:
            self.values = source.matrix(self.dtype)
        else:
            self.values = empty((capacity, self.width), self.dtype, "rows of the kernel matrix")
            return
        self.capacity, self._in_order = source.n, True
        self._slot_of = np.arange(source.n)
        self._row_of = np.arange(source.n)
        self._asked = np.zeros(source.n, np.int64)

    @property
    def has_all(self) -> bool:
        """Whether `values` is the whole matrix, in its order."""
        return self._columns is None and self.capacity == self._source.n and self._in_order

    @property
    def is_exact(self) -> bool:
        """Whether it is, and in float64."""
        return self.has_all and self.dtype == np.float64

    def slots(self, rows: np.ndarray) -> np.ndarray:
        """Where these rows stand in `values`; at most `capacity` different ones.  # shape: (k,)"""
        self._clock += 1
        found = self._slot_of[rows]
        missing = np.unique(rows[found < 0])
        self._asked[found[found >= 0]] = self._clock
        if len(missing):
            assert len(np.unique(rows)) <= self.capacity
            self._compute(missing)
        return self._slot_of[rows]

    def _compute(self, rows: np.ndarray) -> None:
        free = np.flatnonzero(self._row_of < 0)[: len(rows)]
        if len(free) < len(rows):
            # What was asked for now is newest, so never among those that make room.
            oldest = np.argsort(self._asked, kind="stable")
            oldest = oldest[self._row_of[oldest] >= 0][: len(rows) - len(free)]
            self._slot_of[self._row_of[oldest]] = -1
            free = np.sort(np.concatenate([free, oldest]))
        first, last = int(free[0]), int(free[-1])
        if last - first + 1 == len(free):
            self._source.block(rows, self._columns, self.values[first : last + 1])
        else:
            size = len(rows) * self.width
            if self._buffer.size < size:
                self._buffer = empty((size,), self.dtype, "rows of the kernel matrix")
            block = self._buffer[:size].reshape(len(rows), self.width)
            self._source.block(rows, self._columns, block)
            put(block, free, self.values)
        self._slot_of[rows] = free
        self._row_of[free] = rows
        self._asked[free] = self._clock

    def narrowed(self, places: np.ndarray) -> None:
        """Keep these of the columns alone, by their places; ascending."""
        if self._given:
            raise ValueError("a matrix that was given cannot be narrowed: it is the user's")
        self._in_order = False
        columns = np.arange(self._source.n) if self._columns is None else self._columns
        flat = self.values.reshape(-1)
        held = np.flatnonzero(self._row_of >= 0)
        squeeze(flat, self.width, held, places)
        capacity = min(self._source.n, flat.size // len(places))
        row_of = np.full(capacity, -1)
        row_of[: len(held)] = self._row_of[held]
        asked = np.zeros(capacity, np.int64)
        asked[: len(held)] = self._asked[held]
        self._slot_of[self._row_of[held]] = np.arange(len(held))
        self._row_of, self._asked, self.capacity = row_of, asked, capacity
        self._columns, self.width = columns[places], len(places)
        self.values = flat[: capacity * self.width].reshape(capacity, self.width)

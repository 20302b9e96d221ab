"""What moved coefficients do to the gradient of all rows, and the small matrix of a working set."""

from __future__ import annotations

from numba.core import types

from fastkb.runtime import inline, jit, prange, vector

# Rows of a block: its gradient stays in the first-level cache while kernel rows stream by.
BLOCK = 1024


@inline
def _add_four(rows, slots, by, first, begin, end, out):
    a, b = rows[slots[first], begin:end], rows[slots[first + 1], begin:end]
    c, d = rows[slots[first + 2], begin:end], rows[slots[first + 3], begin:end]
    by_a, by_b, by_c, by_d = by[first], by[first + 1], by[first + 2], by[first + 3]
    for k in range(end - begin):
        out[begin + k] += (by_a * a[k] + by_b * b[k]) + (by_c * c[k] + by_d * d[k])


@inline
def _add_one(rows, slots, by, first, begin, end, out):
    a, by_a = rows[slots[first], begin:end], by[first]
    for k in range(end - begin):
        out[begin + k] += by_a * a[k]


def _rows_type(T):
    return types.Array(T, 2, "C", readonly=True)


@jit(
    parallel=True,
    signature=lambda T: (
        _rows_type(T),
        types.Array(types.intp, 1, "C"),
        vector(types.float64),
        vector(types.float64),
    ),
)
def add_rows(rows, slots, by, out):
    """out += Σₛ by[s] · rows[slots[s]], each element in the order of s: the same for any threads."""
    n = len(out)
    for block in prange((n + BLOCK - 1) // BLOCK):
        begin = block * BLOCK
        end = min(n, begin + BLOCK)
        whole = len(slots) // 4 * 4
        for first in range(0, whole, 4):
            _add_four(rows, slots, by, first, begin, end, out)
        for first in range(whole, len(slots)):
            _add_one(rows, slots, by, first, begin, end, out)


@jit(
    parallel=True,
    signature=lambda T: (
        _rows_type(T),
        types.Array(types.intp, 1, "C"),
        types.Array(types.intp, 1, "C"),
        types.Array(T, 2, "C"),
    ),
)
def pick(rows, slots, columns, out):
    """out[s, c] = rows[slots[s], columns[c]]."""
    for s in prange(len(slots)):
        row, line = rows[slots[s]], out[s]
        for c in range(len(columns)):
            line[c] = row[columns[c]]


@jit(
    parallel=True,
    signature=lambda T: (
        types.Array(T, 2, "C"),
        types.Array(types.intp, 1, "C"),
        types.Array(T, 2, "C"),
    ),
)
def put(block, slots, rows):
    """rows[slots[s]] = block[s]."""
    for s in prange(len(slots)):
        line, row = block[s], rows[slots[s]]
        for c in range(len(line)):
            row[c] = line[c]


@jit(
    signature=lambda T: (
        types.Array(T, 1, "C"),
        types.intp,
        types.Array(types.intp, 1, "C"),
        types.Array(types.intp, 1, "C"),
    )
)
def squeeze(values, width, rows, places):
    """Move the elements at `places` of these rows of `width` elements together, row after row.

    Rows and places ascend, so nothing is read after it was written over.
    """
    at = 0
    for row in rows:
        for place in places:
            values[at] = values[row * width + place]
            at += 1

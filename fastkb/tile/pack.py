"""Packing: rows of the data laid out as the micro-kernel reads them.

A panel holds `rows` consecutive rows, column by column, so that the micro-kernel's loop over columns
reads memory in one direction::

      X (n, d)                    panel 0          panel 1
      r0  a b c …                 a e i m  b f j n  c …   |  q …
      r1  e f g …       rows=4
      r2  i j k …      ───────►   column 0 column 1
      r3  m n o …
      r4  q …

The last panel is filled up with zeros, so that no loop needs a remainder.
"""

from __future__ import annotations

from numba.core import types

from fastkb.runtime import jit, matrix, prange, vector
from fastkb.scalar.sums import two_product, two_sum


def packed_length(n: int, d: int, rows: int, lead: int = 0) -> int:
    """Number of elements of the packed form of an (n, d) matrix behind `lead` rows of zeros."""
    return -(-(n + lead) // rows) * rows * d


@jit(parallel=True, signature=lambda T: (matrix(T), vector(T), types.intp, types.intp, vector(T)))
def pack(X, packed, rows, lead, centre):
    """Write `lead` rows of zeros and X (n, d), any strides, as panels into `packed`
    (:func:`packed_length`).

    A `centre` of d numbers is subtracted from every row; an empty one is not.
    """
    n, d = X.shape
    panels = (n + lead + rows - 1) // rows
    for panel in prange(panels):
        start = panel * rows * d
        for i in range(rows):
            row = panel * rows + i - lead
            if 0 <= row < n and len(centre):
                for k in range(d):
                    packed[start + k * rows + i] = X[row, k] - centre[k]
            elif 0 <= row < n:
                for k in range(d):
                    packed[start + k * rows + i] = X[row, k]
            else:
                for k in range(d):
                    packed[start + k * rows + i] = 0.0


@jit(
    parallel=True,
    signature=lambda T: (vector(T), types.intp, types.intp, vector(T), matrix(T, readonly=False)),
)
def packed_norms(packed, rows, d, out, scratch):
    """Σ_k x_k² of every packed row, with an error of hardly more than its last rounding.

    Products and sums are kept with what they round away (Ogita, Rump, Oishi 2005, Dot2). `scratch` has
    `rows` numbers for each panel.
    """
    for panel in prange(len(out) // rows):
        totals, rests = out[panel * rows : (panel + 1) * rows], scratch[panel]
        totals[:] = 0.0
        rests[:] = 0.0
        for k in range(d):
            start = (panel * d + k) * rows
            column = packed[start : start + rows]
            for i in range(rows):
                square, lost = two_product(column[i], column[i])
                totals[i], error = two_sum(totals[i], square)
                rests[i] += lost + error
        for i in range(rows):
            totals[i] += rests[i]


# Columns whose sums are formed together: a few cache lines of each row.
_COLUMNS = 64


@jit(parallel=True, signature=lambda T: (matrix(T), types.Array(types.float64, 1, "C")))
def column_sums(X, out):
    """The sum of each column of X, row after row, in double precision."""
    n, d = X.shape
    for block in prange((d + _COLUMNS - 1) // _COLUMNS):
        first, last = block * _COLUMNS, min(d, (block + 1) * _COLUMNS)
        mine = out[first:last]
        mine[:] = 0.0
        for row in range(n):
            for k in range(last - first):
                mine[k] += X[row, first + k]

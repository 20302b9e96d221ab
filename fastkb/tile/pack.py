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


def packed_length(n: int, d: int, rows: int, lead: int = 0) -> int:
    """Number of elements of the packed form of an (n, d) matrix behind `lead` rows of zeros."""
    return -(-(n + lead) // rows) * rows * d


@jit(parallel=True, signature=lambda T: (matrix(T), vector(T), types.intp, types.intp))
def pack(X, packed, rows, lead):
    """Write `lead` rows of zeros and X (n, d), any strides, as panels into `packed`
    (:func:`packed_length`).
    """
    n, d = X.shape
    panels = (n + lead + rows - 1) // rows
    for panel in prange(panels):
        start = panel * rows * d
        for i in range(rows):
            row = panel * rows + i - lead
            if 0 <= row < n:
                for k in range(d):
                    packed[start + k * rows + i] = X[row, k]
            else:
                for k in range(d):
                    packed[start + k * rows + i] = 0.0

"""The one product: the only loop nest around the micro-kernel.

    c[i, j] = base[i, j] ⊕ a[i, 0] ∘ b[0, j] ⊕ a[i, 1] ∘ b[1, j] ⊕ …

Gram matrices, the layers of networks, the products of a low-rank basis and Cholesky updates are all of
this form. What differs is where their matrices stand: an :class:`Operand` says it, so the same loops
read packed panels, matrices and their transposes. Rows are taken in micro-tiles of `mr`, columns in
panels of `nr`, terms in runs of `kc`, of which a panel of b stays in the first-level cache::

    for k in 0, kc, 2 kc, …                        ─┐
        for each panel of b (nr columns)            │  c is visited once for each k
            for each micro-tile of a (mr rows)     ─┘
                micro-kernel: mr x nr sums in registers

An element is always added up by the same operations in the same order, in whatever part of a matrix it
is computed: results depend neither on tiles nor on threads.

To multiply, a room takes one of the nests below. They differ in what is added up, in the blocking, and
in whether edges have micro-kernels of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastkb.runtime import inline
from fastkb.tile import vector as simd
from fastkb.tile.blocking import blocking, network_blocking
from fastkb.tile.micro_kernel import ACCUMULATE, micro_kernel


class Operand(NamedTuple):
    """Where a matrix stands in a flat array.

    Element (i, k) of panel q is at start + q·panel + i·row + k·step. A panel of a is a micro-tile's rows;
    a panel of b, base and c is nr columns, which are contiguous: their `step` is the distance of rows.
    """

    data: np.ndarray
    start: int
    row: int
    step: int
    panel: int


class Part(NamedTuple):
    """Some of the micro-tiles of a result."""

    row: int  # the first row, a multiple of mr
    row_stop: int
    panel: int
    panel_stop: int
    # Of the whole result, where there are edges; else not read.
    rows: int
    columns: int


def _make_nest(
    accumulate: Callable,
    sizes: Callable,
    *,
    edges: bool = False,
    one_row: bool = False,
    references: bool = True,
) -> Any:
    """A nest ``(a, b, base, c, depth, part, from_zero, weights)``.

    Parameters
    ----------
    accumulate : callable
        One of :data:`fastkb.tile.micro_kernel.ACCUMULATE`.
    sizes : callable
        The blocking, by element type.
    edges : bool, default False
        Whether the last panel, if one vector holds it, and the last micro-tile, if half of it has no
        rows, have smaller micro-kernels.
    one_row : bool, default False
        Whether a micro-tile is one row.
    references : bool, default True
        As for :func:`fastkb.runtime.inline`.
    """
    mr = simd.constant("mr", lambda dtype: 1 if one_row else sizes(dtype).mr)
    nr = simd.constant("nr", lambda dtype: sizes(dtype).nr)
    kc = simd.constant("kc", lambda dtype: sizes(dtype).kc)
    whole = micro_kernel("whole", accumulate, sizes, share=0.0 if one_row else 1.0)
    narrow = micro_kernel("narrow", accumulate, sizes, vectors=1) if edges else whole
    half = micro_kernel("half", accumulate, sizes, share=0.5) if edges else whole

    @inline(references=references)
    def multiply(a, b, base, c, depth, part, from_zero, weights):
        down, across, deep = mr(c.data), nr(c.data), kc(c.data)
        last = (part.columns - 1) // across
        thin = edges and part.columns - last * across <= simd.width(c.data)
        for k in range(0, depth, deep):
            terms = min(deep, depth - k)
            for panel in range(part.panel, part.panel_stop):
                b_start = b.start + panel * b.panel + k * b.step
                for row in range(part.row, part.row_stop, down):
                    a_start = a.start + row // down * a.panel + k * a.step
                    c_start = c.start + row * c.row + panel * c.panel
                    # The first terms are added to the base, later ones to what is there.
                    at = c.data if k > 0 else base.data
                    at_start = (
                        c_start if k > 0 else base.start + row * base.row + panel * base.panel
                    )
                    at_row = c.row if k > 0 else base.row
                    anew = from_zero and k == 0
                    if thin and panel == last:
                        narrow(
                            a.data, a_start, a.row, a.step, b.data, b_start, b.step, terms,
                            anew, at, at_start, at_row, c.data, c_start, c.row, weights, k,
                        )  # fmt: skip
                    elif edges and part.rows - row <= down // 2:
                        half(
                            a.data, a_start, a.row, a.step, b.data, b_start, b.step, terms,
                            anew, at, at_start, at_row, c.data, c_start, c.row, weights, k,
                        )  # fmt: skip
                    else:
                        whole(
                            a.data, a_start, a.row, a.step, b.data, b_start, b.step, terms,
                            anew, at, at_start, at_row, c.data, c_start, c.row, weights, k,
                        )  # fmt: skip

    return multiply


#: Of packed panels, by :class:`fastkb.scalar.kernels.Form`: what Gram matrices are made of.
OF_FORM = tuple(_make_nest(accumulate, blocking) for accumulate in ACCUMULATE)
#: Sums of products of packed panels.
multiply_panels = OF_FORM[0]
#: Sums of products for layers of networks: matrices as they stand, with edges.
multiply_layers = _make_nest(ACCUMULATE[0], network_blocking, edges=True, references=False)
#: The same, a row at a time.
multiply_rows = _make_nest(ACCUMULATE[0], network_blocking, one_row=True, references=False)

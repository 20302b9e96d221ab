"""The CPU driver: a Gram matrix, or its product with coefficients, tile by tile, over all threads."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba.core import types

from fastkb.runtime import inline, jit, matrix, prange, vector
from fastkb.runtime.jit import switch
from fastkb.runtime.stack import stack_array
from fastkb.scalar.kernels import N_PARAMETERS
from fastkb.tile import sinks
from fastkb.tile import vector as simd
from fastkb.tile.blocking import TILES_AT_A_TIME, TILES_REDUCED, blocking
from fastkb.tile.epilogue import apply
from fastkb.tile.multiply import OF_FORM, Operand, Part
from fastkb.tile.sinks import AREA, REDUCE, TILE, Place

_mr = simd.constant("mr", lambda dtype: blocking(dtype).mr)
_nr = simd.constant("nr", lambda dtype: blocking(dtype).nr)


class Task(NamedTuple):
    """What one run of the engine computes (all whole numbers)."""

    form: int  # fastkb.scalar.kernels.Form
    code: int  # the epilogue's code
    sink: int  # fastkb.tile.sinks.Sink
    symmetric: int  # 1: b is a, only tiles on and above the diagonal are computed, and mirrored
    n: int  # rows of the matrix
    m: int  # columns of the matrix
    d: int  # columns of the data
    streaming: int  # 1: the result goes past the caches
    lead: int  # rows of zeros before b, and before a if symmetric: see gram_tiles
    tile: int  # rows and columns of a tile: at most TILE, a multiple of mr and nr
    distances: int  # 1: inner products become squared distances, of the rows' norms
    first: int  # the first tile of this run; with REDUCE, the first strip of tiles
    stop: int  # and the one after its last


class TilePlace(NamedTuple):
    """Which tile."""

    row: int  # of tiles
    column: int
    group: int  # with REDUCE, the group of columns of tiles


class Span(NamedTuple):
    """Rows or columns `first` up to `stop` of a tile that begins at the packed row `origin`."""

    origin: int
    first: int
    stop: int


class Packed(NamedTuple):
    """What the engine reads."""

    a: np.ndarray  # panels of the left rows
    b: np.ndarray  # panels of the right rows
    weights: np.ndarray  # of a weighted form, a number for each column; of the others not read
    coefficients: np.ndarray  # of a reduction.  # shape: (targets, m)
    # Squared norms of all packed rows, where inner products become distances; else empty.
    a_norms: np.ndarray
    b_norms: np.ndarray


@inline
def _span(place, tile, lead, n):
    origin = place * tile
    return Span(origin, max(0, lead - origin), min(tile, n + lead - origin))


def _from_zero(multiply: Any) -> Any:
    @inline
    def add_up(a, b, c, depth, part, weights):
        multiply(a, b, c, c, depth, part, True, weights)

    return add_up


# add_up(form, a, b, c, depth, part, weights): c = the sums of this form.
_add_up = switch([_from_zero(multiply) for multiply in OF_FORM])


@inline
def _sums(a, b, values, down, across, task, weights):
    """values[row, column] = the accumulated form of the rows of a and b in the two spans."""
    mr, nr, d = _mr(values), _nr(values), task.d
    _add_up(
        task.form,
        Operand(a, down.origin * d, 1, mr, mr * d),
        Operand(b, across.origin * d, 0, nr, nr * d),
        Operand(values, 0, TILE, 0, nr),
        d,
        Part(
            down.first // mr * mr, down.stop, across.first // nr, (across.stop + nr - 1) // nr, 0, 0
        ),
        weights,
    )


@inline
def _distances(values, a_norms, b_norms, down, across):
    """values[row, column] = ‖x‖² + ‖y‖² - 2·values[row, column]; never below 0.

    Both norms are added first: the distance of x and y is that of y and x to the last bit.
    """
    right = b_norms[across.origin + across.first : across.origin + across.stop]
    for row in range(down.first, down.stop):
        left, start = a_norms[down.origin + row], row * TILE + across.first
        run = values[start : start + len(right)]
        for j in range(len(run)):
            both = left + right[j]
            run[j] = max(both - (run[j] + run[j]), run.dtype.type(0))


@inline
def _tile(packed, out, place, task, numbers):
    """One tile: sums, epilogue, factor, sink."""
    a, b, weights, coefficients, a_norms, b_norms = packed
    factor, p = numbers
    above = task.lead if task.symmetric == 1 else 0
    down = _span(place.row, task.tile, above, task.n)
    across = _span(place.column, task.tile, task.lead, task.m)
    values = stack_array(AREA, a)
    _sums(a, b, values, down, across, task, weights)
    if task.distances == 1:
        _distances(values, a_norms, b_norms, down, across)
        if task.symmetric == 1 and place.row == place.column:
            for row in range(down.first, down.stop):
                values[row * TILE + row] = 0.0
    # A tile of full width is one run of elements; another, one for each row.
    whole = across.stop - across.first == TILE
    length = (down.stop - down.first) * TILE if whole else across.stop - across.first
    for row in range(down.first, down.first + 1 if whole else down.stop):
        start = row * TILE + across.first
        run = values[start : start + length]
        apply(task.code, run, p)
        if factor != 1.0:
            for j in range(len(run)):
                run[j] *= factor
    at = Place(
        down.origin + down.first - above, across.origin + across.first - task.lead,
        down.first, down.stop, across.first, across.stop,
    )  # fmt: skip
    if task.sink == REDUCE:
        sinks.reduce(values, coefficients, out, place.group * task.n, at)
        return
    sinks.write(task.sink, values, out, at, task.streaming == 1)
    if task.symmetric == 1 and place.row != place.column:
        sinks.mirror(values, out, at, task.streaming == 1)
    if task.streaming == 1:
        simd.fence()  # another thread may read the result once this one has reported back


@inline
def _upper_place(t):
    """Tile t of the upper triangle, column by column: row and column, row ≤ column."""
    column = int((math.sqrt(8.0 * t + 1.0) - 1.0) * 0.5)
    if column * (column + 1) // 2 > t:
        column -= 1
    elif (column + 1) * (column + 2) // 2 <= t:
        column += 1
    return t - column * (column + 1) // 2, column


def _signature(T):
    whole = types.NamedUniTuple(types.intp, len(Task._fields), Task)
    parameters = types.UniTuple(T, N_PARAMETERS)
    read = types.Array(T, 2, "C", readonly=True)
    one = vector(T)
    packed = types.NamedTuple((one, one, one, read, one, one), Packed)
    return packed, matrix(T, readonly=False), whole, T, parameters


@jit(parallel=True, signature=_signature, chunk=TILES_AT_A_TIME)
def gram_tiles(packed, out, task, factor, p):
    """out[i, j] = factor · g(Σ form(x_i, y_j)) for packed a (n, d) and b (m, d), in some of the tiles.

    With the sink REDUCE `out` has n rows for each group of TILES_REDUCED columns of tiles, zero before,
    and gets the sums over the group's columns j of the values times ``coefficients[k, j]``, in its column
    k. Neither the groups nor the order of their tiles depend on threads.

    Where the result's first element stands `lead` elements after the beginning of a cache line, so
    does every row's (:func:`fastkb.gram.engine.plan` sees to that), and the tiles are shifted so as to
    begin where a line does: b, and for a symmetric result a, is packed behind `lead` rows of zeros.
    No line is then shared by two tiles, which would have to be read before it is written.
    """
    across = (task.m + task.lead + task.tile - 1) // task.tile
    down = (task.n + task.tile - 1) // task.tile
    for t in prange(task.first, task.stop):
        row, first, count, group = t // across, t % across, 1, 0
        if task.sink == REDUCE:
            row, group = t % down, t // down
            first = group * TILES_REDUCED
            count = min(TILES_REDUCED, across - first)
        elif task.symmetric == 1:
            row, first = _upper_place(t)
        for column in range(first, first + count):
            place = TilePlace(row, column, group)
            _tile(packed, out, place, task, (factor, p))

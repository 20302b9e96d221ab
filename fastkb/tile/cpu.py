"""The CPU driver: a Gram matrix, or its product with coefficients, tile by tile, over all threads."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

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
from fastkb.tile.sinks import AREA, TILE, Place

_mr = simd.constant("mr", lambda dtype: blocking(dtype).mr)
_nr = simd.constant("nr", lambda dtype: blocking(dtype).nr)


class Task(NamedTuple):
    """What one run of the engine computes (all whole numbers)."""

    form: int  # fastkb.scalar.kernels.Form
    code: int  # the epilogue's code
    sink: int  # fastkb.tile.sinks.Sink
    symmetric: int  # 1: b is a, only tiles on and above the diagonal are computed, and mirrored
    d: int  # columns of the data
    streaming: int  # 1: the result goes past the caches
    lead: int  # rows of zeros before b, and before a if symmetric: see gram_tiles
    tile: int  # rows and columns of a tile: at most TILE, a multiple of mr and nr
    first: int  # the first tile of this run
    stop: int  # and the one after its last


class Span(NamedTuple):
    """Rows or columns `first` up to `stop` of a tile that begins at the packed row `origin`."""

    origin: int
    first: int
    stop: int


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
def _fill(a, b, weights, values, spans, task, factor, p):
    """values[row, column] = factor · g of the sums of the rows of a and b in the two spans."""
    down, across = spans
    _sums(a, b, values, down, across, task, weights)
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


@inline
def _tile(a, b, weights, out, place, task, factor, p):
    """One tile: values, sink."""
    above = task.lead if task.symmetric == 1 else 0
    down = _span(place[0], task.tile, above, out.shape[0])
    across = _span(place[1], task.tile, task.lead, out.shape[1])
    values = stack_array(AREA, a)
    _fill(a, b, weights, values, (down, across), task, factor, p)
    at = Place(
        down.origin + down.first - above, across.origin + across.first - task.lead,
        down.first, down.stop, across.first, across.stop,
    )  # fmt: skip
    sinks.write(task.sink, values, out, at, task.streaming == 1)
    if task.symmetric == 1 and place[0] != place[1]:
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
    return vector(T), vector(T), vector(T), matrix(T, readonly=False), whole, T, parameters


@jit(parallel=True, signature=_signature, chunk=TILES_AT_A_TIME)
def gram_tiles(a, b, weights, out, task, factor, p):
    """out[i, j] = factor · g(Σ form(x_i, y_j)) for packed a (n, d) and b (m, d), in some of the tiles.

    Of a weighted form, `weights` has a number for each column; of the others it is not read.

    Where the result's first element stands `lead` elements after the beginning of a cache line, so
    does every row's (:func:`fastkb.gram.engine.plan` sees to that), and the tiles are shifted so as to
    begin where a line does: b, and for a symmetric result a, is packed behind `lead` rows of zeros.
    No line is then shared by two tiles, which would have to be read before it is written.
    """
    across = (out.shape[1] + task.lead + task.tile - 1) // task.tile
    for t in prange(task.first, task.stop):
        place = _upper_place(t) if task.symmetric == 1 else (t // across, t % across)
        _tile(a, b, weights, out, place, task, factor, p)


@inline
def _strip(a, b, weights, coefficients, out, place, task, p):
    """Some tiles side by side, reduced one after the other."""
    group, row = place
    m = coefficients.shape[1]
    down = _span(row, task.tile, 0, out.shape[1])
    values = stack_array(AREA, a)
    for column in range(
        group * TILES_REDUCED,
        min((group + 1) * TILES_REDUCED, (m + task.tile - 1) // task.tile),
    ):
        across = _span(column, task.tile, 0, m)
        _fill(a, b, weights, values, (down, across), task, values.dtype.type(1), p)
        at = Place(down.origin, across.origin, 0, down.stop, 0, across.stop)
        sinks.reduce(values, coefficients, out, group, at)


def _reducing(T):
    whole = types.NamedUniTuple(types.intp, len(Task._fields), Task)
    parameters = types.UniTuple(T, N_PARAMETERS)
    read, partial = types.Array(T, 2, "C", readonly=True), types.Array(T, 3, "C")
    return vector(T), vector(T), vector(T), read, partial, whole, parameters


@jit(parallel=True, signature=_reducing, chunk=1)
def reduce_tiles(a, b, weights, coefficients, out, task, p):
    """out[group, i, k] = Σ_j g(Σ form(x_i, y_j)) · coefficients[k, j], over the group's columns j.

    A group has TILES_REDUCED tiles; their number, and that of columns in a tile, depends on no thread.
    ``task.first`` to ``task.stop`` count rows of tiles, group after group. `out` is zero before.
    """
    rows = (out.shape[1] + task.tile - 1) // task.tile
    for t in prange(task.first, task.stop):
        _strip(a, b, weights, coefficients, out, (t // rows, t % rows), task, p)

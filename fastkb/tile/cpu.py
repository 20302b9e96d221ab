"""The CPU driver: a Gram matrix, tile by tile, over all threads."""

from __future__ import annotations

import math
from typing import NamedTuple

from numba.core import types

from fastkb.runtime import inline, jit, matrix, prange, vector
from fastkb.runtime.stack import stack_array
from fastkb.scalar.kernels import Form, Parameters
from fastkb.tile import vector as simd
from fastkb.tile.blocking import TILES_AT_A_TIME, blocking
from fastkb.tile.epilogue import apply

TILE = blocking("float64").tile
AREA = TILE * TILE
STRIP = TILE * blocking("float32").width
DOT, SQDIFF = int(Form.DOT), int(Form.SQDIFF)


class Task(NamedTuple):
    """What one run of the engine computes (all whole numbers)."""

    form: int  # fastkb.scalar.kernels.Form
    code: int  # the epilogue's code
    symmetric: int  # 1: b is a, only tiles on and above the diagonal are computed, and mirrored
    d: int  # columns of the data
    streaming: int  # 1: the result goes past the caches
    lead: int  # rows of zeros before b, and before a if symmetric: see gram_tiles
    tile: int  # rows and columns of a tile: at most TILE, a multiple of mr and nr
    first: int  # the first tile of this run
    stop: int  # and the one after its last


class Span(NamedTuple):
    """Rows (or columns) `first` up to `stop` of a tile that begins at the packed row `origin`."""

    origin: int
    first: int
    stop: int


@inline
def _span(place, tile, lead, n):
    origin = place * tile
    return Span(origin, max(0, lead - origin), min(tile, n + lead - origin))


@inline
def _multiply(a, b, values, down, across, sizes, form, d):
    """values[row, column] = the accumulated form of the rows of a and b in the two spans."""
    mr, nr, kc = sizes
    stride = TILE
    for k in range(0, d, kc):
        depth = min(kc, d - k)
        for column in range(across.first // nr * nr, across.stop, nr):
            b_offset = (across.origin + column) * d + k * nr
            for row in range(down.first // mr * mr, down.stop, mr):
                a_offset = (down.origin + row) * d + k * mr
                c_offset = row * stride + column
                if form == SQDIFF:
                    simd.sqdiff(a, a_offset, b, b_offset, depth, values, c_offset, stride, k == 0)
                elif form == DOT:
                    simd.dot(a, a_offset, b, b_offset, depth, values, c_offset, stride, k == 0)
                else:
                    simd.absdiff(a, a_offset, b, b_offset, depth, values, c_offset, stride, k == 0)


@inline
def _write_row(values, offset, out, row, column, count, streaming):
    """out[row, column : column + count] = values[offset : offset + count]."""
    width = simd.width(values)
    done = 0
    if out.strides[1] == values.itemsize:
        if streaming:
            # Non-temporal stores must be aligned: single elements up to the first whole vector.
            size = width * values.itemsize
            address = out.ctypes.data + row * out.strides[0] + column * values.itemsize
            ahead = min(count, ((-address) % size) // values.itemsize)
            while done < ahead:
                out[row, column + done] = values[offset + done]
                done += 1
            while done + width <= count:
                simd.stream(values, offset + done, out, row, column + done)
                done += width
        else:
            while done + width <= count:
                simd.store(values, offset + done, out, row, column + done)
                done += width
    while done < count:
        out[row, column + done] = values[offset + done]
        done += 1


@inline
def _write(values, out, down, across, task):
    """The tile's place in the result."""
    column = across.origin + across.first - task.lead
    count = across.stop - across.first
    above = down.origin - (task.lead if task.symmetric == 1 else 0)
    for row in range(down.first, down.stop):
        start = row * TILE + across.first
        _write_row(values, start, out, above + row, column, count, task.streaming == 1)


@inline
def _write_transposed(values, out, down, across, task):
    """The tile's mirror image, a strip of one vector's width at a time."""
    width = simd.width(values)
    strip = stack_array(STRIP, values)
    left = down.origin + down.first - task.lead
    count = down.stop - down.first
    for column in range(across.first // width * width, across.stop, width):
        for row in range(down.first // width * width, down.stop, width):
            simd.transpose_block(values, row * TILE + column, TILE, strip, row, TILE)
        for k in range(max(column, across.first), min(column + width, across.stop)):
            start = (k - column) * TILE + down.first
            row = across.origin + k - task.lead
            _write_row(strip, start, out, row, left, count, task.streaming == 1)


@inline
def _tile(a, b, out, place, task, sizes, p):
    """One tile: multiply, epilogue, write, mirror."""
    down = _span(place[0], task.tile, task.lead if task.symmetric == 1 else 0, out.shape[0])
    across = _span(place[1], task.tile, task.lead, out.shape[1])
    values = stack_array(AREA, a)
    _multiply(a, b, values, down, across, sizes, task.form, task.d)
    # A tile of full width is one run of elements; another, one for each row.
    whole = across.stop - across.first == TILE
    length = (down.stop - down.first) * TILE if whole else across.stop - across.first
    for row in range(down.first, down.first + 1 if whole else down.stop):
        start = row * TILE + across.first
        apply(task.code, values[start : start + length], p)
    _write(values, out, down, across, task)
    if task.symmetric == 1 and place[0] != place[1]:
        _write_transposed(values, out, down, across, task)
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
    parameters = types.NamedUniTuple(T, len(Parameters._fields), Parameters)
    sizes = types.UniTuple(types.intp, 3)
    return vector(T), vector(T), matrix(T, readonly=False), whole, sizes, parameters


@jit(parallel=True, signature=_signature, chunk=TILES_AT_A_TIME)
def gram_tiles(a, b, out, task, sizes, p):
    """out[i, j] = g(Σ form(x_i, y_j)) for packed a (n, d) and b (m, d), in some of the tiles.

    Where the result's first element stands `lead` elements after the beginning of a cache line, so
    does every row's (:func:`fastkb.gram.engine.plan` sees to that), and the tiles are shifted so as to
    begin where a line does: b, and for a symmetric result a, is packed behind `lead` rows of zeros.
    No line is then shared by two tiles, which would have to be read before it is written.
    """
    across = (out.shape[1] + task.lead + task.tile - 1) // task.tile
    for t in prange(task.first, task.stop):
        place = _upper_place(t) if task.symmetric == 1 else (t // across, t % across)
        _tile(a, b, out, place, task, sizes, p)

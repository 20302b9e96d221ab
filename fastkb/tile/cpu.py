"""The CPU driver: a Gram matrix, tile by tile, over all threads."""

from __future__ import annotations

import math
from typing import NamedTuple

from numba.core import types

from fastkb.runtime import inline, jit, matrix, prange, vector
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


@inline
def _multiply(a, b, values, i, j, rows, columns, sizes, form, d):
    """values[: rows, : columns] = the accumulated form of rows i… of a and rows j… of b."""
    mr, nr, kc = sizes
    stride = TILE
    for k in range(0, d, kc):
        depth = min(kc, d - k)
        for column in range(0, columns, nr):
            b_offset = (j + column) * d + k * nr
            for row in range(0, rows, mr):
                a_offset = (i + row) * d + k * mr
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
def _write(values, out, i, j, rows, columns, streaming):
    """The tile's place in the result."""
    for row in range(rows):
        _write_row(values, row * TILE, out, i + row, j, columns, streaming)


@inline
def _write_transposed(values, out, i, j, rows, columns, streaming):
    """The tile's mirror image, a strip of one vector's width at a time."""
    width = simd.width(values)
    strip = simd.scratch(STRIP, values)
    for column in range(0, columns, width):
        for row in range(0, rows, width):
            simd.transpose_block(values, row * TILE + column, TILE, strip, row, TILE)
        for k in range(min(width, columns - column)):
            _write_row(strip, k * TILE, out, j + column + k, i, rows, streaming)


@inline
def _tile(a, b, out, place, task, sizes, p):
    """One tile: multiply, epilogue, write, mirror."""
    i = place[0] * TILE
    j = place[1] * TILE
    rows = min(TILE, out.shape[0] - i)
    columns = min(TILE, out.shape[1] - j)
    values = simd.scratch(AREA, a)
    _multiply(a, b, values, i, j, rows, columns, sizes, task.form, task.d)
    # A tile of full width is one run of elements; another, one for each row.
    whole = columns == TILE
    length = rows * TILE if whole else columns
    for line in range(1 if whole else rows):
        apply(task.code, values[line * TILE : line * TILE + length], p)
    _write(values, out, i, j, rows, columns, task.streaming == 1)
    if task.symmetric == 1 and i != j:
        _write_transposed(values, out, i, j, rows, columns, task.streaming == 1)


@inline
def _upper_place(t, side):
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
    """out[i, j] = g(Σ form(x_i, y_j)) for packed a (n, d) and b (m, d)."""
    down = (out.shape[0] + TILE - 1) // TILE
    across = (out.shape[1] + TILE - 1) // TILE
    count = down * (down + 1) // 2 if task.symmetric == 1 else down * across
    for t in prange(count):
        place = _upper_place(t, down) if task.symmetric == 1 else (t // across, t % across)
        _tile(a, b, out, place, task, sizes, p)
    simd.fence()

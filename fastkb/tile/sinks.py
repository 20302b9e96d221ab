"""Sinks: what becomes of a tile whose values are final.

========== ====================================================================================
sink       what it does
========== ====================================================================================
store      out = values
mirror     the same, and the transposed tile on the other side of the diagonal
add        out = out + values
multiply   out = out · values
reduce     out = out + values · coefficients: the matrix itself is never stored
========== ====================================================================================

A symmetric result is mirrored, whatever else is done to it. Adding and multiplying combine the values
with what stands in the result, then store: k1 + k2 and k1 · k2 need no second matrix.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

from fastkb.runtime import inline
from fastkb.runtime.stack import stack_array
from fastkb.tile import vector as simd
from fastkb.tile.blocking import blocking

TILE = blocking("float64").tile
AREA = TILE * TILE
STRIP = TILE * blocking("float32").width


class Sink(IntEnum):
    """How values meet what stands in the result."""

    STORE = 0
    ADD = 1
    MULTIPLY = 2
    REDUCE = 3


ADD, MULTIPLY, REDUCE = int(Sink.ADD), int(Sink.MULTIPLY), int(Sink.REDUCE)


class Into(NamedTuple):
    """Where values go: out ← factor · values, or out + …, or out · …."""

    out: Any  # an array of NumPy's, or of a device
    sink: Sink = Sink.STORE
    factor: float = 1.0


class Place(NamedTuple):
    """Rows and columns of a tile that lie in the result, and where."""

    row: int  # the first one's number in the result
    column: int
    first: int  # in the tile
    stop: int
    left: int
    right: int  # one past its last column


@inline
def write(sink, values, out, place, streaming):
    """The tile's place in the result."""
    combine(sink, values, out, place)
    count = place.right - place.left
    for row in range(place.first, place.stop):
        start = row * TILE + place.left
        at = place.row + row - place.first
        _write_row(values, start, out, at, place.column, count, streaming)


@inline
def combine(sink, values, out, place):
    """values ← out + values, or out · values."""
    if sink == ADD:
        for row in range(place.first, place.stop):
            before = out[place.row + row - place.first, place.column :]
            mine = values[row * TILE + place.left : row * TILE + place.right]
            for j in range(len(mine)):
                mine[j] += before[j]
    elif sink == MULTIPLY:
        for row in range(place.first, place.stop):
            before = out[place.row + row - place.first, place.column :]
            mine = values[row * TILE + place.left : row * TILE + place.right]
            for j in range(len(mine)):
                mine[j] *= before[j]


@inline
def reduce(values, coefficients, out, first, place):
    """out[first + row, k] += Σ values[row, j] · coefficients[k, j] over the tile's columns."""
    end = place.column + place.right - place.left
    for k in range(len(coefficients)):
        mine = coefficients[k, place.column : end]
        for row in range(place.first, place.stop):
            run = values[row * TILE + place.left : row * TILE + place.right]
            out[first + place.row + row - place.first, k] += _dot(run, mine)


@inline(any_order=True)
def _dot(values, coefficients):
    total = values.dtype.type(0)
    for j in range(len(values)):
        total += values[j] * coefficients[j]
    return total


@inline
def mirror(values, out, place, streaming):
    """The tile's mirror image, a strip of one vector's width at a time."""
    width = simd.width(values)
    strip = stack_array(STRIP, values)
    count = place.stop - place.first
    for column in range(place.left // width * width, place.right, width):
        for row in range(place.first // width * width, place.stop, width):
            simd.transpose_block(values, row * TILE + column, TILE, strip, row, TILE)
        for k in range(max(column, place.left), min(column + width, place.right)):
            start = (k - column) * TILE + place.first
            at = place.column + k - place.left
            _write_row(strip, start, out, at, place.row, count, streaming)


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

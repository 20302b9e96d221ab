"""From rows to lanes and back: what stands between operations that read values differently.

In rows an image stands channel by channel, as PyTorch has it; in lanes see
:mod:`fastkb.tile.lanes.windows`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fastkb.nn.ops.operation import ANY, LANES, ROWS, Layer, Operation, Row, Shape, nothing
from fastkb.runtime import inline
from fastkb.tile import vector as simd

CHANNELS, PLACES = 0, 1  # whole numbers of a row: channels, and elements of each


@dataclass(frozen=True)
class Flatten(Layer):
    """Images as rows: channel by channel, and each of them row by row.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Flatten().shape_of((16, 6, 6))
    (576,)
    """

    @property
    def takes(self) -> Shape:
        return ()

    def shape_of(self, shape: Shape) -> Shape:
        if shape is None or any(size is None for size in shape):
            return (None,)
        return (math.prod(size for size in shape if size is not None),)

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        return [to_rows(read, shape)]


def to_rows(read: int, shape: tuple[int, ...]) -> Row:
    """The row that makes rows of a value of this shape."""
    size = math.prod(shape)
    return Row(TO_ROWS, (read,), size, {}, window=(shape[0], size // shape[0]))


def to_lanes(read: int, shape: tuple[int, ...]) -> Row:
    """The row that makes lanes of a value of this shape."""
    size = math.prod(shape)
    return Row(TO_LANES, (read,), size, {}, window=(shape[0], size // shape[0]))


# --- rules --------------------------------------------------------------------------------------


@inline(references=False)
def _rows_to_lanes(source, at, stride, target, to, row, sizes, count):
    """One vector of observations, of which the first `count` are there; the others are zero."""
    channels, places, width = row.window[CHANNELS], row.window[PLACES], sizes.width
    for channel in range(channels):
        begin = at + channel * places
        place = 0
        if count == width:
            while place + width <= places:
                simd.transpose_block(
                    source, begin + place, stride, target, to + (place * channels + channel) * width,
                    channels * width,
                )  # fmt: skip
                place += width
        for p in range(place, places):
            into = to + (p * channels + channel) * width
            for lane in range(width):
                target[into + lane] = (
                    source[begin + lane * stride + p] if lane < count else source.dtype.type(0.0)
                )


@inline(references=False)
def _lanes_to_rows(source, at, target, to, stride, row, sizes, added):
    """One vector of observations, which take the place of what is there or are added to it."""
    channels, places, width = row.window[CHANNELS], row.window[PLACES], sizes.width
    for channel in range(channels):
        begin = to + channel * places
        place = 0
        if not added:
            while place + width <= places:
                simd.transpose_block(
                    source, at + (place * channels + channel) * width, channels * width, target,
                    begin + place, stride,
                )  # fmt: skip
                place += width
        for p in range(place, places):
            some = at + (p * channels + channel) * width
            for lane in range(width):
                into = begin + lane * stride + p
                target[into] = target[into] + source[some + lane] if added else source[some + lane]


def lanes_of_rows(row, parameters, values, span, sizes):
    """The images of each vector of observations."""
    source, target = row.source * sizes.capacity, row.kept * sizes.capacity
    for begin in range(span.begin, span.stop, sizes.width):
        count = max(0, min(sizes.width, sizes.observations - begin))
        _rows_to_lanes(
            values, source + begin * row.source_stride, row.source_stride, values,
            target + begin * row.target_stride, row, sizes, count,
        )  # fmt: skip


def lanes_of_rows_backward(row, parameters, transposed, values, deltas, span, sizes):
    """The deltas of the images, in rows."""
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    for begin in range(span.begin, span.stop, sizes.width):
        _lanes_to_rows(
            deltas, target + begin * row.target_stride, deltas, source + begin * row.source_stride,
            row.source_stride, row, sizes, row.accumulate & 1 == 1,
        )  # fmt: skip


def rows_of_lanes(row, parameters, values, span, sizes):
    """A row for each observation."""
    source, target = row.source * sizes.capacity, row.kept * sizes.capacity
    for begin in range(span.begin, span.stop, sizes.width):
        _lanes_to_rows(
            values, source + begin * row.source_stride, values, target + begin * row.target_stride,
            row.target_stride, row, sizes, False,
        )  # fmt: skip


def rows_of_lanes_backward(row, parameters, transposed, values, deltas, span, sizes):
    """The deltas in lanes; those of observations that the batch does not have are zero."""
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    for begin in range(span.begin, span.stop, sizes.width):
        count = max(0, min(sizes.width, sizes.observations - begin))
        at, to = target + begin * row.target_stride, source + begin * row.source_stride
        if row.accumulate & 1:
            _add_rows_to_lanes(deltas, at, row.target_stride, to, row, sizes, count)
        else:
            _rows_to_lanes(deltas, at, row.target_stride, deltas, to, row, sizes, count)


@inline(references=False)
def _add_rows_to_lanes(deltas, at, stride, to, row, sizes, count):
    channels, places, width = row.window[CHANNELS], row.window[PLACES], sizes.width
    for channel in range(channels):
        for p in range(places):
            into, begin = to + (p * channels + channel) * width, at + channel * places + p
            for lane in range(count):
                deltas[into + lane] += deltas[begin + lane * stride]


TO_LANES = Operation(
    "to lanes", lanes_of_rows, lanes_of_rows_backward, nothing, nothing, reads=ROWS, writes=LANES
)
# No function is computed in its place: where its value stands in rows already, it is no row.
TO_ROWS = Operation(
    "to rows", rows_of_lanes, rows_of_lanes_backward, nothing, nothing, reads=LANES, writes=ROWS,
    closed=True,
)  # fmt: skip


def arranged(rows: list[Row], shape: tuple[int, ...]) -> list[Row]:
    """Rows of which each reads its values as it wants them; what the last one gives stands in rows.

    Parameters
    ----------
    rows : list of Row
        See :class:`Row`; of what they read and write the shapes are known, not how it stands.
    shape : tuple of int
        Of the inputs, which stand in rows.
    """
    made: list[Row] = []
    # Of each value: its number, by how it stands; and its shape.
    known: list[dict[str, int]] = [{ROWS: 0}]
    shapes = [shape]

    def number(value: int, layout: str) -> int:
        found = known[value]
        if layout not in found:
            convert = to_lanes if layout == LANES else to_rows
            row = convert(next(iter(found.values())), _of_image(shapes[value]))
            made.append(row._replace(lanes=layout == LANES))
            found[layout] = len(made)
        return found[layout]

    for row in rows:
        layout = row.operation.reads
        if row.operation is TO_ROWS:
            known.append({ROWS: number(row.reads[0], ROWS)})
        else:
            if layout == ANY:
                first = known[row.reads[0]]
                layout = LANES if LANES in first and ROWS not in first else ROWS
            reads = tuple(number(value, layout) for value in row.reads)
            written = layout if row.operation.writes == ANY else row.operation.writes
            made.append(row._replace(reads=reads, lanes=written == LANES))
            known.append({written: len(made)})
        shapes.append(row.shape or (row.outputs,))
    number(len(rows), ROWS)
    return made


def _of_image(shape: tuple[int, ...]) -> tuple[int, int]:
    """Channels, and elements of each."""
    return shape[0], math.prod(shape[1:])

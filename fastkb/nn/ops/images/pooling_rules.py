"""The rules of pooling: the largest value or the mean of each window, channel by channel.

All loops run over the channels of one element of an image with all their observations, which stand beside
each other.
"""

from __future__ import annotations

from fastkb.nn.ops.operation import LANES, Operation, nothing
from fastkb.nn.optim.updates import scale
from fastkb.nn.program.passes import clear
from fastkb.runtime import inline
from fastkb.tile.lanes.loops import largest_of, where_equal

# Whole numbers of a row.
(
    CHANNELS, ROWS, COLUMNS, OUTPUT_ROWS, OUTPUT_COLUMNS, KERNEL_ROWS, KERNEL_COLUMNS, STRIDE_DOWN,
    STRIDE_ALONG, PADDING_DOWN, PADDING_ALONG, DILATION_DOWN, DILATION_ALONG, WITH_PADDING, ADAPTIVE,
) = range(15)  # fmt: skip


@inline(references=False)
def _side(output, stride, padding, kernel, dilation, size):
    """The places of a window along a side: the first, one past the last, and how far apart."""
    first = output * stride - padding
    stop = min(first + (kernel - 1) * dilation + 1, size)
    if first < 0:
        first += (dilation - 1 - first) // dilation * dilation
    return first, stop


@inline(references=False)
def _window(row, y, x):
    """The places of a window: rows from and to, columns from and to, and what a mean is divided by."""
    w = row.window
    if w[ADAPTIVE]:
        top, bottom = y * w[ROWS] // w[OUTPUT_ROWS], -(-(y + 1) * w[ROWS] // w[OUTPUT_ROWS])
        left = x * w[COLUMNS] // w[OUTPUT_COLUMNS]
        right = -(-(x + 1) * w[COLUMNS] // w[OUTPUT_COLUMNS])
        return top, bottom, left, right, (bottom - top) * (right - left)
    top, bottom = _side(
        y, w[STRIDE_DOWN], w[PADDING_DOWN], w[KERNEL_ROWS], w[DILATION_DOWN], w[ROWS]
    )
    left, right = _side(
        x, w[STRIDE_ALONG], w[PADDING_ALONG], w[KERNEL_COLUMNS], w[DILATION_ALONG], w[COLUMNS]
    )
    count = (bottom - top) * (right - left)
    if w[WITH_PADDING]:
        # A last window that begins in the image may reach beyond the padding, which does not count.
        down = min(w[KERNEL_ROWS], w[ROWS] + 2 * w[PADDING_DOWN] - y * w[STRIDE_DOWN])
        along = min(w[KERNEL_COLUMNS], w[COLUMNS] + 2 * w[PADDING_ALONG] - x * w[STRIDE_ALONG])
        count = down * along
    return top, bottom, left, right, count


@inline(references=False)
def _is_square_of_two(row, top, bottom, left, right):
    """Whether a window has four elements, two by two: most have."""
    w = row.window
    return bottom - top == w[DILATION_DOWN] + 1 and right - left == w[DILATION_ALONG] + 1


@inline(references=False)
def _is_covered(row):
    """Whether windows of two by two, which stand apart, meet every element."""
    w = row.window
    return (
        w[KERNEL_ROWS] == 2
        and w[KERNEL_COLUMNS] == 2
        and w[OUTPUT_ROWS] * 2 == w[ROWS]
        and w[OUTPUT_COLUMNS] * 2 == w[COLUMNS]
        and w[STRIDE_DOWN] == 2
        and w[STRIDE_ALONG] == 2
        and w[PADDING_DOWN] == 0
        and w[PADDING_ALONG] == 0
    )


def largest(row, parameters, values, span, sizes):
    """The largest value of each window, and at which place it stands."""
    w = row.window
    size = w[CHANNELS] * sizes.width
    source, target = row.source * sizes.capacity, row.kept * sizes.capacity
    extra = row.extra * sizes.capacity
    down, along, kind = w[DILATION_DOWN], w[DILATION_ALONG], values.dtype.type
    for group in range(span.begin // sizes.width, span.stop // sizes.width):
        image = source + group * w[ROWS] * w[COLUMNS] * size
        at = group * w[OUTPUT_ROWS] * w[OUTPUT_COLUMNS] * size
        for y in range(w[OUTPUT_ROWS]):
            for x in range(w[OUTPUT_COLUMNS]):
                top, bottom, left, right, _ = _window(row, y, x)
                best = values[target + at : target + at + size]
                which = values[extra + at : extra + at + size]
                at += size
                place = top * w[COLUMNS] + left
                first = values[image + place * size : image + (place + 1) * size]
                if _is_square_of_two(row, top, bottom, left, right):
                    at_first = image + place * size
                    below, beside = down * w[COLUMNS], along
                    largest_of(
                        values,
                        (at_first, at_first + beside * size, at_first + below * size,
                         at_first + (below + beside) * size),
                        values, (at_first,), values, (target + at - size, extra + at - size),
                        (kind(place), kind(place + beside), kind(place + below),
                         kind(place + below + beside)),
                        size,
                    )  # fmt: skip
                    continue
                _take(best, which, first, place)
                for i in range(top, bottom, down):
                    for j in range(left, right, along):
                        place = i * w[COLUMNS] + j
                        some = values[image + place * size : image + (place + 1) * size]
                        _take_larger(best, which, some, place)


@inline(references=False)
def _take(best, which, values, place):
    for k in range(len(best)):
        best[k] = values[k]
        which[k] = place


@inline(references=False)
def _take_larger(best, which, values, place):
    here = values.dtype.type(place)
    for k in range(len(best)):
        value, before, place_before = values[k], best[k], which[k]
        larger = value > before or value != value  # NaN is handed on
        best[k] = value if larger else before
        which[k] = here if larger else place_before


def largest_backward(row, parameters, transposed, values, deltas, span, sizes):
    """Each output's delta, to where its value stands."""
    w = row.window
    size = w[CHANNELS] * sizes.width
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    extra = row.extra * sizes.capacity
    down, along, kind = w[DILATION_DOWN], w[DILATION_ALONG], deltas.dtype.type
    apart = (
        w[STRIDE_DOWN] > down * (w[KERNEL_ROWS] - 1)
        and w[STRIDE_ALONG] > along * (w[KERNEL_COLUMNS] - 1)
        and not row.accumulate & 1
    )
    if not (row.accumulate & 1 or (apart and _is_covered(row))):
        clear(
            deltas[source + span.begin * row.source_stride : source + span.stop * row.source_stride]
        )
    for group in range(span.begin // sizes.width, span.stop // sizes.width):
        image = source + group * w[ROWS] * w[COLUMNS] * size
        at = group * w[OUTPUT_ROWS] * w[OUTPUT_COLUMNS] * size
        for y in range(w[OUTPUT_ROWS]):
            for x in range(w[OUTPUT_COLUMNS]):
                top, bottom, left, right, _ = _window(row, y, x)
                mine = deltas[target + at : target + at + size]
                which = values[extra + at : extra + at + size]
                at += size
                if apart and _is_square_of_two(row, top, bottom, left, right):
                    place = top * w[COLUMNS] + left
                    at_first, below, beside = image + place * size, down * w[COLUMNS], along
                    where_equal(
                        deltas, (target + at - size,), values, (extra + at - size,), deltas,
                        (at_first, at_first + beside * size, at_first + below * size,
                         at_first + (below + beside) * size),
                        (kind(place), kind(place + beside), kind(place + below),
                         kind(place + below + beside)),
                        size,
                    )  # fmt: skip
                    continue
                for i in range(top, bottom, down):
                    for j in range(left, right, along):
                        place = i * w[COLUMNS] + j
                        into = deltas[image + place * size : image + (place + 1) * size]
                        _add_where(into, mine, which, place)


@inline(references=False)
def _add_where(into, deltas, which, place):
    here, zero = deltas.dtype.type(place), deltas.dtype.type(0.0)
    for k in range(len(into)):
        into[k] += deltas[k] if which[k] == here else zero


def mean(row, parameters, values, span, sizes):
    """The mean of each window."""
    w = row.window
    size = w[CHANNELS] * sizes.width
    source, target = row.source * sizes.capacity, row.kept * sizes.capacity
    for group in range(span.begin // sizes.width, span.stop // sizes.width):
        image = source + group * w[ROWS] * w[COLUMNS] * size
        for output in range(w[OUTPUT_ROWS] * w[OUTPUT_COLUMNS]):
            y, x = output // w[OUTPUT_COLUMNS], output % w[OUTPUT_COLUMNS]
            top, bottom, left, right, count = _window(row, y, x)
            at = target + (group * w[OUTPUT_ROWS] * w[OUTPUT_COLUMNS] + output) * size
            into = values[at : at + size]
            clear(into)
            for i in range(top, bottom):
                for j in range(left, right):
                    place = image + (i * w[COLUMNS] + j) * size
                    _add_share(into, values[place : place + size], 1.0)
            scale(into, 1.0 / count)


def mean_backward(row, parameters, transposed, values, deltas, span, sizes):
    """A share of each output's delta, to all of its window."""
    w = row.window
    size = w[CHANNELS] * sizes.width
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    if not row.accumulate & 1:
        clear(
            deltas[source + span.begin * row.source_stride : source + span.stop * row.source_stride]
        )
    for group in range(span.begin // sizes.width, span.stop // sizes.width):
        image = source + group * w[ROWS] * w[COLUMNS] * size
        for output in range(w[OUTPUT_ROWS] * w[OUTPUT_COLUMNS]):
            y, x = output // w[OUTPUT_COLUMNS], output % w[OUTPUT_COLUMNS]
            top, bottom, left, right, count = _window(row, y, x)
            at = target + (group * w[OUTPUT_ROWS] * w[OUTPUT_COLUMNS] + output) * size
            mine = deltas[at : at + size]
            for i in range(top, bottom):
                for j in range(left, right):
                    place = image + (i * w[COLUMNS] + j) * size
                    _add_share(deltas[place : place + size], mine, 1.0 / count)


@inline(references=False)
def _add_share(into, values, share):
    share = into.dtype.type(share)
    for k in range(len(into)):
        into[k] += share * values[k]


LARGEST = Operation(
    "largest", largest, largest_backward, nothing, nothing, reads=LANES, writes=LANES
)
MEAN = Operation("mean", mean, mean_backward, nothing, nothing, reads=LANES, writes=LANES)

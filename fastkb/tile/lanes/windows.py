"""Convolutions: the loop nests around the micro-kernels of windows.

Images stand in *lanes*: each element is a vector of as many observations as it has lanes, so that neither
the number of channels nor the size of an image wastes a part of a vector::

    element (row, column, channel) of observation n
        at  (((n // width · rows + row) · columns + column) · channels + channel) · width + n % width

An output is a sum over the taps of its window and the channels of each. Taps of one row of a window
stand beside each other with their channels: they are one run of terms. A window that reaches over an edge
of the image has fewer runs, or shorter ones: there is neither padding nor a copy of windows, and no
product with what is not there.

Weights stand in panels of as many outputs as a micro-tile has rows, tap by tap and channel by channel::

    weight (output o, channel c, tap (i, j))
        at  ((o // height · taps + tap) · channels + c) · height + o % height

with taps in the order of the window's rows, i · columns + j.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastkb.runtime import inline
from fastkb.tile import vector as simd
from fastkb.tile.lanes.loops import copy_vectors
from fastkb.tile.lanes.window_kernel import (
    ACROSS,
    FROM_THERE,
    FROM_ZERO,
    heights,
    numbers_by_vectors,
    vectors_by_vectors,
)


def panel_height(outputs: int, mr: int) -> int:
    """Outputs of a panel of weights: as many as waste least of the last panel.

    Examples
    --------
    >>> [panel_height(outputs, 8) for outputs in (1, 6, 10, 16)]
    [4, 6, 6, 8]
    """
    return min(heights(mr), key=lambda height: (-(-outputs // height) * height, -height))


class Image(NamedTuple):
    """Where some channels of images stand, in lanes."""

    data: np.ndarray
    start: int  # of the first channel of the first observations
    rows: int
    columns: int
    channels: int  # of the whole image
    used: int  # from the first


class Axis(NamedTuple):
    """Which places the windows meet along one side of an image.

    Tap k of output i stands at (i · stride - padding + k · dilation) / every, where that is a whole
    number and within the image. `every` is 1 but for the reverse of a convolution with strides.
    """

    kernel: int
    stride: int
    padding: int
    dilation: int
    every: int
    tap_step: int  # between taps that stand at whole numbers
    place_step: int  # between their places


class Weights(NamedTuple):
    """Weights, and intercepts or what else sums start from: see :mod:`.window_kernel`."""

    data: np.ndarray
    start: int
    height: int
    first: int
    base: int  # of the intercepts, in `data`


class Taps(NamedTuple):
    """Those of one window that are within the image."""

    first: int
    taps: int  # how many
    place: int  # of the first


@inline(references=False)
def taps_of(axis, output, size):
    """The taps of a window, along a side of so many elements."""
    start = output * axis.stride - axis.padding
    first = (axis.dilation - 1 - start) // axis.dilation if start < 0 else 0
    if axis.every > 1:
        while first < axis.kernel and (start + first * axis.dilation) % axis.every != 0:
            first += 1
    place = (start + first * axis.dilation) // axis.every
    count = 0
    if first < axis.kernel and place < size:
        more = (axis.kernel - 1 - first) // axis.tap_step
        count = 1 + min(more, (size - 1 - place) // axis.place_step)
    return Taps(first, count, place)


@inline(references=False)
def inner(axis, size, outputs):
    """Outputs whose windows are whole: the first, and one past the last. Of a reverse there are none."""
    begin = max(0, (axis.padding + axis.stride - 1) // axis.stride)
    reach = size - 1 + axis.padding - (axis.kernel - 1) * axis.dilation
    end = reach // axis.stride + 1 if reach >= 0 else 0
    if axis.every > 1:
        end = 0
    begin = min(begin, outputs)
    return begin, max(begin, min(end, outputs))


@inline(references=False)
def together(rest):
    """Columns of the next micro-tile, of so many that are left: a tile of one alone would be slow."""
    return rest if rest <= ACROSS else (2 if rest == ACROSS + 1 else ACROSS)


@inline(references=False)
def convolve(weights, source, target, vertical, horizontal, span, lines):
    """Sums over windows of `source`, for the channels of `target` and some observations.

    Parameters
    ----------
    weights : Weights
    source, target : Image
    vertical, horizontal : Axis
    span : Span
        Observations: a whole number of vectors.
    lines : Range
        Rows of the target.
    """
    width = simd.width(source.data)
    begin, end = inner(horizontal, source.columns, target.columns)
    merged = (
        horizontal.tap_step == 1 and horizontal.place_step == 1 and source.used == source.channels
    )
    h = weights.height
    panel = vertical.kernel * horizontal.kernel * source.used * h
    row = source.columns * source.channels * width
    for group in range(span.begin // width, span.stop // width):
        for y in range(lines.begin, lines.stop):
            down = taps_of(vertical, y, source.rows)
            from_row = (group * source.rows + down.place) * row + source.start
            to_row = (group * target.rows + y) * target.columns * target.channels * width
            for p in range((target.used + h - 1) // h):
                x = 0
                while x < target.columns:
                    whole = begin <= x < end
                    if whole:
                        taps = Taps(
                            0, horizontal.kernel, x * horizontal.stride - horizontal.padding
                        )
                    else:
                        taps = taps_of(horizontal, x, source.columns)
                    across = together(end - x) if whole else 1
                    times, depth = (1, taps.taps * source.used) if merged else (
                        taps.taps, source.used,
                    )  # fmt: skip
                    first = weights.first
                    # A window that meets nothing gives what its sum starts from.
                    for t in range(max(times, 1)):
                        tap = down.first * horizontal.kernel + taps.first + t * horizontal.tap_step
                        place = taps.place + t * horizontal.place_step
                        numbers_by_vectors(
                            weights.data,
                            weights.start + p * panel + tap * source.used * h,
                            1,
                            vertical.tap_step * horizontal.kernel * source.used * h,
                            h,
                            source.data,
                            from_row + place * source.channels * width,
                            horizontal.stride * source.channels * width,
                            vertical.place_step * row,
                            width,
                            down.taps if times > 0 else 0,
                            depth,
                            first,
                            weights.data,
                            weights.base + p * h,
                            target.data,
                            target.start + to_row + (x * target.channels + p * h) * width,
                            width,
                            target.channels * width,
                            min(h, target.used - p * h),
                            h,
                            across,
                        )
                        first = FROM_THERE
                    x += across


def sums_of(weights: int, height: int, width: int) -> int:
    """Elements that :func:`correlate` needs for the sums of so many weights."""
    return (weights + height + 1 + _TURN * height) * width


# Positions of one turn, at most: their deltas stay in the first-level cache while all taps meet them.
_TURN = 42


@inline(references=False)
def correlate(sums, height, deltas, source, vertical, horizontal, span, rows):
    """Add up deltas times what their windows meet, lane by lane: the gradient of one panel's weights.

    Behind these sums stand those of the deltas alone, the gradient of the intercepts; a vector of ones;
    and the deltas of a turn, side by side: where the panel's channels stand among many, the distance from
    position to position would leave most of the cache unused.

    Parameters
    ----------
    sums : array
        Of some rows of taps, in the order of a panel, each a vector; see :func:`sums_of`.
    height : int
        Of a panel.
    deltas : Image
        Those of the panel's channels.
    source : Image
    vertical, horizontal : Axis
        Of the convolution; its `every` is 1.
    span : Span
        Observations, from the first one, whose sums start from zero.
    rows : Span
        Of taps.
    """
    width = simd.width(source.data)
    # Where all windows are whole, all taps of a row are columns of one product.
    joint = horizontal.padding <= 0 and horizontal.dilation == 1 and source.used == source.channels
    times = 1 if joint else horizontal.kernel
    columns = source.used * (horizontal.kernel if joint else 1)
    parts = (deltas.columns + _TURN - 1) // _TURN
    across = (deltas.columns + parts - 1) // parts
    down = _TURN // across
    row = source.columns * source.channels * width
    delta_row = deltas.columns * deltas.channels * width
    size = height * width
    none = sums.dtype.type(0.0)
    # Few channels stand close enough together, and few products are not worth a copy.
    beside = deltas.channels <= height or source.used < ACROSS
    alone = (rows.stop - rows.begin) * times * columns * size
    ones, turn = alone + size, alone + size + width
    for lane in range(width):
        sums[ones + lane] = 1.0
    for group in range(span.begin // width, span.stop // width):
        from_group = group * source.rows * row + source.start
        delta_group = group * deltas.rows * delta_row + deltas.start
        for part in range((deltas.rows + down - 1) // down * parts):
            # Rows y to y_stop and columns x to x_stop of the deltas.
            y, x = part // parts * down, part % parts * across
            y_stop, x_stop = min(y + down, deltas.rows), min(x + across, deltas.columns)
            anew = FROM_ZERO if group == span.begin // width and part == 0 else FROM_THERE
            here, start, step = sums, turn, size
            at = turn
            if beside:
                here, step = deltas.data, deltas.channels * width
                start = delta_group + y * delta_row + x * step
            for i in range(y, y if beside else y_stop):
                for j in range(x, x_stop):
                    there = delta_group + i * delta_row + j * deltas.channels * width
                    copy_vectors(
                        deltas.data, (there,), deltas.data, (there,), sums, (at,), (none,), size
                    )
                    at += size
            turn_row = delta_row if beside else (x_stop - x) * size
            for i in range(rows.begin, rows.stop):
                # The outputs whose taps of this row are within the image.
                top, bottom = outputs_of(vertical, i, source.rows, deltas.rows)
                top, bottom = max(top, y), min(bottom, y_stop)
                place = top * vertical.stride - vertical.padding + i * vertical.dilation
                c = 0
                while c < columns:
                    some = together(columns - c)
                    # All taps of a row while the first-level cache has what they meet.
                    for j in range(times):
                        left, right = outputs_of(horizontal, j, source.columns, deltas.columns)
                        if joint:
                            left, right = 0, deltas.columns
                        left, right = max(left, x), min(right, x_stop)
                        along = (
                            left * horizontal.stride - horizontal.padding + j * horizontal.dilation
                        )
                        tap = (i - rows.begin) * times + j
                        vectors_by_vectors(
                            here,
                            start + (top - y) * turn_row + (left - x) * step,
                            width,
                            turn_row,
                            step,
                            source.data,
                            from_group + place * row + (along * source.channels + c) * width,
                            width,
                            vertical.stride * row,
                            horizontal.stride * source.channels * width,
                            bottom - top,
                            right - left,
                            anew,
                            sums,
                            0,
                            sums,
                            (tap * columns + c) * size,
                            width,
                            size,
                            height,
                            height,
                            some,
                        )
                    c += some
            vectors_by_vectors(
                here,
                start,
                width,
                turn_row,
                step,
                sums,
                ones,
                0,
                0,
                0,
                y_stop - y,
                x_stop - x,
                anew,
                sums,
                0,
                sums,
                alone,
                width,
                width,
                height,
                height,
                1,
            )


@inline(references=False)
def outputs_of(axis, tap, size, outputs):
    """Outputs whose tap is within an image of so many elements: the first, and one past the last."""
    start = tap * axis.dilation - axis.padding
    first = (axis.stride - 1 - start) // axis.stride if start < 0 else 0
    stop = (size - 1 - start) // axis.stride + 1 if size > start else 0
    stop = min(stop, outputs)
    return min(first, stop), stop

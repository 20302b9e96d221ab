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
def convolve(weights, source, target, vertical, horizontal, span):
    """Sums over windows of `source`, for the channels of `target` and some observations.

    Parameters
    ----------
    weights : Weights
    source, target : Image
    vertical, horizontal : Axis
    span : Span
        Observations: a whole number of vectors.
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
        for y in range(target.rows):
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
                    across = ACROSS if whole and x + ACROSS <= end else 1
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
    return (weights + height + 1) * width


# Positions of one turn, about: their deltas stay in the first-level cache while all taps meet them.
_TURN = 28


@inline(references=False)
def correlate(sums, height, deltas, source, vertical, horizontal, span, rows):
    """Add up deltas times what their windows meet, lane by lane: the gradient of one panel's weights.

    Behind these sums stand those of the deltas alone, the gradient of the intercepts, and a vector of
    ones.

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
    turn = max(1, _TURN // deltas.columns)
    row = source.columns * source.channels * width
    delta_row = deltas.columns * deltas.channels * width
    taps = (rows.stop - rows.begin) * times
    alone = taps * columns * height * width
    ones = alone + height * width
    for lane in range(width):
        sums[ones + lane] = 1.0
    for group in range(span.begin // width, span.stop // width):
        from_group = group * source.rows * row + source.start
        delta_group = group * deltas.rows * delta_row + deltas.start
        for y in range(0, deltas.rows, turn):
            anew = FROM_ZERO if group == span.begin // width and y == 0 else FROM_THERE
            for tap in range(taps):
                i, j = rows.begin + tap // times, tap % times
                # The outputs whose tap (i, j) is within the image.
                first, stop = outputs_of(vertical, i, source.rows, deltas.rows)
                first, stop = max(first, y), min(stop, y + turn)
                left, right = outputs_of(horizontal, j, source.columns, deltas.columns)
                if joint:
                    left, right = 0, deltas.columns
                down = first * vertical.stride - vertical.padding + i * vertical.dilation
                along = left * horizontal.stride - horizontal.padding + j * horizontal.dilation
                c = 0
                while c < columns:
                    across = ACROSS if c + ACROSS <= columns else 1
                    vectors_by_vectors(
                        deltas.data,
                        delta_group + first * delta_row + left * deltas.channels * width,
                        width,
                        delta_row,
                        deltas.channels * width,
                        source.data,
                        from_group + down * row + (along * source.channels + c) * width,
                        width,
                        vertical.stride * row,
                        horizontal.stride * source.channels * width,
                        stop - first,
                        right - left,
                        anew,
                        sums,
                        0,
                        sums,
                        (tap * columns + c) * height * width,
                        width,
                        height * width,
                        height,
                        height,
                        across,
                    )
                    c += across
            vectors_by_vectors(
                deltas.data,
                delta_group + y * delta_row,
                width,
                delta_row,
                deltas.channels * width,
                sums,
                ones,
                0,
                0,
                0,
                min(turn, deltas.rows - y),
                deltas.columns,
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

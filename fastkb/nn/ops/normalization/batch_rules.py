"""The rules of batch normalisation, by a batch's statistics and by the running ones.

The statistics need all observations of the batch before any of them goes on: :class:`Across` says what is
done then. With N values of a channel, x̂ = (x - mean) / √(variance + ε), y = γ x̂ + β, and the derivatives
δ of the loss in y::

    d/dγ = Σ δ x̂        d/dβ = Σ δ        d/dx = γ / √(variance + ε) · (δ - Σ δ / N - x̂ Σ δ x̂ / N)

Sums over a batch are taken lane by lane within a vector of observations, and then in float64 over lanes
and vectors, the same for any number of threads. The running statistics are numbers: d/dx is its first
term alone.
"""

from __future__ import annotations

import math

from fastkb.nn.ops.operation import ELEMENTS, LANES, Across, Operation, nothing
from fastkb.nn.optim.updates import scale
from fastkb.nn.program.passes import WHOLE, Span, clear
from fastkb.runtime import inline
from fastkb.tile.lanes.loops import (
    denormalize_channels,
    denormalize_more_channels,
    multiply_channels,
    normalize_channels,
    square_channels,
    sum_channels,
)

# Whole numbers of a row; its own numbers; and what stands at `row.shared`, of each channel.
CHANNELS, POSITIONS = 0, 1
EPS, MOMENTUM = 0, 1
(
    CENTER, SCALE, SHIFT, TOTAL, PRODUCT, UNBIASED, INVERSE, BY_WEIGHT, BY_BIAS
) = range(9)  # fmt: skip
SHARED = 9
# Vectors of each channel at `row.extra`: means and squares of the observations, and those of a band.
KEPT = 4


@inline(references=False)
def _shared(row, sizes, what):
    return sizes.shared + row.shared + what * row.window[CHANNELS]


def reduce(row, values, deltas, span, sizes):
    """Lane by lane: the mean over positions, and the sum of squared distances to it."""
    channels = row.window[CHANNELS]
    before, positions = _positions(row, span)
    size = channels * sizes.width
    for begin in range(span.begin, span.stop, sizes.width):
        x = row.source * sizes.capacity + begin * row.source_stride + before * size
        all_bands = row.extra * sizes.capacity + begin * KEPT * channels
        at = all_bands + (2 * size if before > 0 else 0)
        clear(values[at : at + 2 * size])
        sum_channels(values, (x,), values, (x,), values, (0,), values, (at,), (positions, channels))
        scale(values[at : at + size], 1.0 / positions)
        square_channels(
            values, (x,), values, (x,), values, (0,), values, (at, at + size), (positions, channels)
        )
        if before > 0:
            _merge(
                values[all_bands : all_bands + size], values[all_bands + size : all_bands + 2 * size],
                values[at : at + size], values[at + size : at + 2 * size], before, positions,
            )  # fmt: skip


@inline(references=False)
def _merge(means, squares, more_means, more_squares, count, more):
    """Means and sums of squared distances of two sets of numbers: the first's become those of both.

    Chan, Golub, LeVeque (1983), The American Statistician 37(3).
    """
    share = means.dtype.type(more / (count + more))
    weight = means.dtype.type(count * (more / (count + more)))
    for k in range(len(means)):
        distance = more_means[k] - means[k]
        means[k] += share * distance
        squares[k] += more_squares[k] + weight * distance * distance


@inline(references=False)
def _positions(row, span):
    """Of a band: positions before it, and its own."""
    channels = row.window[CHANNELS]
    first = span.first // channels
    return first, min(span.last // channels, row.window[POSITIONS]) - first


def combine(row, parameters, values, deltas, sizes):
    """Mean and variance over the batch, of the means and squares of each observation."""
    channels, positions, width = row.window[CHANNELS], row.window[POSITIONS], sizes.width
    count = sizes.observations * positions
    first = row.extra * sizes.capacity
    for c in range(channels):
        mean, squares = 0.0, 0.0
        for n in range(sizes.observations):
            mean += values[first + (n // width * KEPT * channels + c) * width + n % width]
        mean /= sizes.observations
        for n in range(sizes.observations):
            at = first + (n // width * KEPT * channels + c) * width + n % width
            distance = values[at] - mean
            squares += values[at + channels * width] + positions * distance * distance
        inverse = 1.0 / math.sqrt(squares / count + row.numbers[EPS])
        weight = parameters[row.weights + c] if row.has_weights else 1.0
        values[_shared(row, sizes, CENTER) + c] = mean
        values[_shared(row, sizes, INVERSE) + c] = inverse
        values[_shared(row, sizes, SCALE) + c] = weight * inverse
        values[_shared(row, sizes, SHIFT) + c] = (
            parameters[row.biases + c] if row.has_biases else 0.0
        )
        values[_shared(row, sizes, UNBIASED) + c] = squares / max(count - 1, 1)


def forward(row, parameters, values, span, sizes):
    """Centred and scaled, by the batch's statistics or by the running ones."""
    if sizes.training:
        statistics = (
            _shared(row, sizes, CENTER), _shared(row, sizes, SCALE), _shared(row, sizes, SHIFT)
        )  # fmt: skip
        _normalize(row, statistics, values, span, sizes)
    else:
        _by_running(row, parameters, values, span, sizes)


def by_running(row, parameters, values, span, sizes):
    """Centred and scaled by the running statistics."""
    _by_running(row, parameters, values, span, sizes)


@inline(references=False)
def _by_running(row, parameters, values, span, sizes):
    # Each thread has its own, where the statistics of its observations would be.
    channels = row.window[CHANNELS]
    center = row.extra * sizes.capacity + span.begin * KEPT * channels
    statistics = center, center + channels, center + 2 * channels
    for c in range(channels if span.first == 0 else 0):
        weight = parameters[row.weights + c] if row.has_weights else 1.0
        inverse = 1.0 / math.sqrt(parameters[row.buffers + channels + c] + row.numbers[EPS])
        values[center + c] = parameters[row.buffers + c]
        values[center + channels + c] = weight * inverse
        values[center + 2 * channels + c] = parameters[row.biases + c] if row.has_biases else 0.0
        values[center + 3 * channels + c] = inverse
    _normalize(row, statistics, values, span, sizes)


@inline(references=False)
def _normalize(row, statistics, values, span, sizes):
    """(x - center) · scale + shift, channel by channel."""
    channels = row.window[CHANNELS]
    before, positions = _positions(row, span)
    for begin in range(span.begin, span.stop, sizes.width):
        at = begin * row.target_stride + before * channels * sizes.width
        x, y = row.source * sizes.capacity + at, row.kept * sizes.capacity + at
        normalize_channels(
            values, (x,), values, (x,), values, statistics, values, (y,), (positions, channels)
        )


def reduce_back(row, values, deltas, span, sizes):
    """Lane by lane: the sums of deltas, and of deltas times distances to the mean."""
    _reduce_back(row, _shared(row, sizes, CENTER), values, deltas, span, sizes)


@inline(references=False)
def _reduce_back(row, center, values, deltas, span, sizes):
    channels = row.window[CHANNELS]
    before, positions = _positions(row, span)
    size = channels * sizes.width
    for begin in range(span.begin, span.stop, sizes.width):
        first = begin * row.target_stride + before * size
        x, d = row.source * sizes.capacity + first, row.target * sizes.capacity + first
        at = row.extra * sizes.capacity + begin * KEPT * channels
        if before == 0:
            clear(deltas[at : at + 2 * size])
        multiply_channels(
            deltas, (d,), values, (x,), values, (center,), deltas, (at, at + size),
            (positions, channels),
        )  # fmt: skip


@inline(references=False)
def _sums_back(row, c, deltas, sizes):
    """Of a channel, over the batch: deltas, and deltas times distances to the center."""
    channels, width = row.window[CHANNELS], sizes.width
    first = row.extra * sizes.capacity
    total, product = 0.0, 0.0
    for n in range(sizes.observations):
        at = first + (n // width * KEPT * channels + c) * width + n % width
        total += deltas[at]
        product += deltas[at + channels * width]
    return total, product


def combine_back(row, parameters, values, deltas, sizes):
    """The sums over the batch: derivatives by γ and β, and what the deltas lose."""
    count = sizes.observations * row.window[POSITIONS]
    for c in range(row.window[CHANNELS]):
        total, product = _sums_back(row, c, deltas, sizes)
        inverse = float(values[_shared(row, sizes, INVERSE) + c])
        values[_shared(row, sizes, TOTAL) + c] = total / count
        values[_shared(row, sizes, PRODUCT) + c] = product * inverse * inverse / count
        values[_shared(row, sizes, BY_WEIGHT) + c] = product * inverse
        values[_shared(row, sizes, BY_BIAS) + c] = total


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """The deltas of what it takes."""
    channels, width = row.window[CHANNELS], sizes.width
    before, positions = _positions(row, span)
    center, scale = _shared(row, sizes, CENTER), _shared(row, sizes, SCALE)
    total, product = _shared(row, sizes, TOTAL), _shared(row, sizes, PRODUCT)
    for begin in range(span.begin, span.stop, width):
        first = begin * row.target_stride + before * channels * width
        x, d = row.source * sizes.capacity + first, row.target * sizes.capacity + first
        if row.accumulate & 1:
            denormalize_more_channels(
                deltas, (d, x), values, (x,), values, (center, scale, total, product), deltas, (x,),
                (positions, channels),
            )  # fmt: skip
        else:
            denormalize_channels(
                deltas, (d,), values, (x,), values, (center, scale, total, product), deltas, (x,),
                (positions, channels),
            )  # fmt: skip
        for lane in range(max(0, sizes.observations - begin), width):
            for k in range(positions * channels):
                deltas[x + k * width + lane] = 0.0


def gradients_of(row, block, gradients, values, deltas, ones, room, sizes):
    """Those of γ and β, which are summed up already."""
    for c in range(row.window[CHANNELS]):
        gradients[block.begin + c] = values[_shared(row, sizes, BY_WEIGHT) + c]
        gradients[block.bias_begin + c] = values[_shared(row, sizes, BY_BIAS) + c]


def settle(row, parameters, values, sizes):
    """Let the running statistics follow the batch's."""
    channels = row.window[CHANNELS]
    batches = row.buffers + 2 * channels
    parameters[batches] += 1.0
    share = row.numbers[MOMENTUM]
    if share < 0.0:
        share = 1.0 / parameters[batches]
    for c in range(channels):
        for what, at in (
            (CENTER, row.buffers + c),
            (UNBIASED, row.buffers + channels + c),
        ):
            new = values[_shared(row, sizes, what) + c]
            parameters[at] = (1.0 - share) * parameters[at] + share * new


BATCH_NORM = Operation(
    "batch normalisation", forward, backward, gradients_of, nothing, reads=LANES, writes=LANES,
    bands=ELEMENTS,
    across=Across(reduce, combine, reduce_back, combine_back, settle),
)  # fmt: skip


def backward_running(row, parameters, transposed, values, deltas, span, sizes):
    """The deltas of what it takes, where the running statistics serve: scaled alone."""
    channels, width = row.window[CHANNELS], sizes.width
    before, positions = _positions(row, span)
    by = row.extra * sizes.capacity + span.begin * KEPT * channels + channels
    for begin in range(span.begin, span.stop, width):
        first = begin * row.target_stride + before * channels * width
        x, d = row.source * sizes.capacity + first, row.target * sizes.capacity + first
        for k in range(positions * channels):
            factor = values[by + k % channels]
            for lane in range(width):
                delta = factor * deltas[d + k * width + lane]
                if row.accumulate & 1:
                    delta += deltas[x + k * width + lane]
                deltas[x + k * width + lane] = delta


def gradients_by_running(row, block, gradients, values, deltas, ones, room, sizes):
    """Those of γ and β: sums over all observations."""
    channels = row.window[CHANNELS]
    center = row.extra * sizes.capacity  # as the first of the observations' spans has left it
    units = (sizes.observations + sizes.width - 1) // sizes.width
    _reduce_back(row, center, values, deltas, Span(0, units * sizes.width, 0, WHOLE), sizes)
    for c in range(channels):
        total, product = _sums_back(row, c, deltas, sizes)
        gradients[block.begin + c] = product * values[center + 3 * channels + c]
        gradients[block.bias_begin + c] = total


BATCH_NORM_BY_RUNNING = Operation(
    "batch normalisation by running statistics", by_running, backward_running, gradients_by_running,
    nothing, reads=LANES, writes=LANES, bands=ELEMENTS,
)  # fmt: skip

r"""Softmax along an axis, and its logarithm.

With the largest element m of a vector x::

    softmax(x) = exp(x - m) / Σ exp(x - m)          d/dx of the deltas δ: y (δ - Σ δ y)
    log softmax(x) = x - m - log Σ exp(x - m)                             δ - exp(y) Σ δ

so that nothing overflows, and derivatives are made of the outputs y. Vectors that stand side by side, as
those of several observations do in lanes, are computed together, element by element of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fastkb.checks.scalars import check_whole
from fastkb.nn.ops.operation import ANY, Layer, Operation, Row, Shape, nothing, shown
from fastkb.nn.ops.tensors.shapes import together
from fastkb.nn.ops.tensors.strided import total
from fastkb.nn.optim.updates import scale
from fastkb.nn.program.passes import clear, copy
from fastkb.runtime import inline
from fastkb.scalar.elementary import exp_nonpositive
from fastkb.scalar.smooth import log_from_one

# The largest number of an axis.
_MOST = 8

# Whole numbers of a row: whether the logarithm is wanted; and in rows, and then in lanes, how many blocks
# of vectors there are, the vectors' length, and how many stand side by side in a block.
_LOGARITHM, _IN_ROWS, _IN_LANES = 0, 1, 4


class _Softmax(Layer):
    """What both have in common."""

    dim: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", check_whole("dim", self.dim, -_MOST, _MOST))
        if self.dim == 0:
            raise ValueError(
                "dim must not be 0, the axis of the observations, which do not depend on each other"
            )

    def _axis(self, shape: tuple[int | None, ...]) -> int:
        """The axis, counted without the observations."""
        axis = self.dim - 1 if self.dim > 0 else self.dim + len(shape)
        if axis == -1:
            raise ValueError(
                f"gets values of shape {shown(shape)}, of which dim={self.dim} is the axis of the "
                "observations, which do not depend on each other"
            )
        if not 0 <= axis < len(shape):
            raise ValueError(
                f"gets values of shape {shown(shape)}, which have no dim={self.dim}: it is from 1 to "
                f"{len(shape)}, or from {-len(shape)} to -1"
            )
        return axis

    def shape_of(self, shape: Shape) -> Shape:
        if shape is not None:
            self._axis(shape)
        return shape

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        axis, outputs = self._axis(shape), math.prod(shape)
        length, side = shape[axis], math.prod(shape[axis + 1 :])
        in_rows = math.prod(shape[:axis]), length, side
        # In lanes the first axis is the last one, before the observations of a vector.
        in_lanes = math.prod(shape[1:]), length, 1
        if axis > 0:
            in_lanes = math.prod(shape[1:axis]), length, side * shape[0]
        window = int(isinstance(self, LogSoftmax)), *in_rows, *in_lanes
        # Two numbers of each of the vectors that are computed together.
        kept = 2 * max(in_rows[2], in_lanes[2])
        return [Row(SOFTMAX, (read,), outputs, {}, window=window, kept=kept, work=4 * outputs)]


@dataclass(frozen=True)
class Softmax(_Softmax):
    r"""Positive numbers whose sum along an axis is one.

    .. math:: y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}

    ``loss="cross_entropy"`` takes what stands before it, the logits.

    Parameters
    ----------
    dim : int, default -1
        The axis, counted with the observations as PyTorch does: 1 has the columns of rows, or the
        channels of images, and -1 is the last. Not 0, the observations.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1), rng=0)
    >>> np.allclose(net.forward(np.eye(4)).sum(axis=1), 1.0)
    True
    """

    dim: int = -1


@dataclass(frozen=True)
class LogSoftmax(_Softmax):
    r"""The logarithm of :class:`Softmax`, which has its accuracy where that is nearly zero, too.

    .. math:: y_i = x_i - \log \sum_j e^{x_j}

    Parameters
    ----------
    dim : int, default -1
        As for :class:`Softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(dim=1), rng=0)
    >>> np.allclose(np.exp(net.forward(np.eye(4))).sum(axis=1), 1.0)
    True
    """

    dim: int = -1


# --- rules --------------------------------------------------------------------------------------


@inline(references=False)
def _blocks(row, sizes):
    """Blocks of an observation or of a vector of them, the vectors' length, how many are side by side."""
    w = row.window
    if row.lanes:
        return w[_IN_LANES], w[_IN_LANES + 1], w[_IN_LANES + 2] * sizes.width
    return w[_IN_ROWS], w[_IN_ROWS + 1], w[_IN_ROWS + 2]


@inline(references=False)
def _shared(row, buffer, r, side, sizes):
    """Two numbers of each vector of a block."""
    at = row.extra * sizes.capacity + r * 2 * max(
        row.window[_IN_ROWS + 2], row.window[_IN_LANES + 2]
    )
    return buffer[at : at + side], buffer[at + side : at + 2 * side]


def forward(row, parameters, values, span, sizes):
    """Of all vectors."""
    count, length, side = _blocks(row, sizes)
    size, logarithm = length * side, row.window[_LOGARITHM] == 1
    stop = span.stop if row.lanes else min(span.stop, sizes.observations)
    for r in range(span.begin, stop, together(row, sizes)):
        source = row.source * sizes.capacity + r * row.source_stride
        target = row.kept * sizes.capacity + r * row.target_stride
        largest, totals = _shared(row, values, r, side, sizes)
        for k in range(count):
            x = values[source + k * size : source + (k + 1) * size]
            y = values[target + k * size : target + (k + 1) * size]
            if side == 1:
                _one(x, y, logarithm)
            else:
                _several(x, y, largest, totals, logarithm)


@inline(references=False)
def _one(x, y, logarithm):
    largest = x[0]
    for j in range(1, len(x)):
        largest = x[j] if x[j] > largest else largest
    for j in range(len(y)):
        y[j] = exp_nonpositive(x[j] - largest)
    whole = total(y)
    if logarithm:
        rest = log_from_one(whole)
        for j in range(len(y)):
            y[j] = (x[j] - largest) - rest
    else:
        scale(y, y.dtype.type(1.0) / whole)


@inline(references=False)
def _several(x, y, largest, totals, logarithm):
    side = len(largest)
    copy(largest, x[:side])
    clear(totals)
    for begin in range(side, len(x), side):
        _raise(largest, x[begin : begin + side])
    for begin in range(0, len(x), side):
        _add_exponentials(y[begin : begin + side], totals, x[begin : begin + side], largest)
    if logarithm:
        _take_logarithms(totals)
        for begin in range(0, len(x), side):
            _subtract(y[begin : begin + side], x[begin : begin + side], largest, totals)
    else:
        _invert(totals)
        for begin in range(0, len(x), side):
            _multiply(y[begin : begin + side], totals)


@inline(references=False)
def _raise(largest, x):
    for i in range(len(x)):
        largest[i] = x[i] if x[i] > largest[i] else largest[i]


@inline(references=False)
def _add_exponentials(y, totals, x, largest):
    for i in range(len(y)):
        part = exp_nonpositive(x[i] - largest[i])
        y[i] = part
        totals[i] += part


@inline(references=False)
def _take_logarithms(values):
    for i in range(len(values)):
        values[i] = log_from_one(values[i])


@inline(references=False)
def _invert(values):
    one = values.dtype.type(1.0)
    for i in range(len(values)):
        values[i] = one / values[i]


@inline(references=False)
def _subtract(y, x, one, other):
    for i in range(len(y)):
        y[i] = (x[i] - one[i]) - other[i]


@inline(references=False)
def _multiply(values, factors):
    for i in range(len(values)):
        values[i] *= factors[i]


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """The deltas of all vectors, from the outputs."""
    count, length, side = _blocks(row, sizes)
    size, logarithm = length * side, row.window[_LOGARITHM] == 1
    stop = span.stop if row.lanes else min(span.stop, sizes.observations)
    for r in range(span.begin, stop, together(row, sizes)):
        source = row.source * sizes.capacity + r * row.source_stride
        target = row.target * sizes.capacity + r * row.target_stride
        totals, _ = _shared(row, deltas, r, side, sizes)
        if not row.accumulate & 1:
            clear(deltas[source : source + count * size])
        for k in range(count):
            into = deltas[source + k * size : source + (k + 1) * size]
            theirs = deltas[target + k * size : target + (k + 1) * size]
            y = values[target + k * size : target + (k + 1) * size]
            if side == 1 and logarithm:
                _add_of_logarithm(into, theirs, y, total(theirs))
            elif side == 1:
                _add_of_shares(into, theirs, y, _dot(theirs, y))
            else:
                _add_of_several(into, theirs, y, totals, logarithm)


@inline(any_order=True, references=False)
def _dot(one, other):
    found = one.dtype.type(0.0)
    for j in range(len(one)):
        found += one[j] * other[j]
    return found


@inline(references=False)
def _add_of_logarithm(into, deltas, y, whole):
    for j in range(len(into)):
        into[j] += deltas[j] - exp_nonpositive(y[j]) * whole


@inline(references=False)
def _add_of_shares(into, deltas, y, whole):
    for j in range(len(into)):
        into[j] += y[j] * (deltas[j] - whole)


@inline(references=False)
def _add_of_several(into, deltas, y, totals, logarithm):
    side = len(totals)
    clear(totals)
    for begin in range(0, len(y), side):
        some, share = deltas[begin : begin + side], y[begin : begin + side]
        for i in range(side):
            totals[i] += some[i] if logarithm else some[i] * share[i]
    for begin in range(0, len(y), side):
        mine, some = into[begin : begin + side], deltas[begin : begin + side]
        share = y[begin : begin + side]
        if logarithm:
            for i in range(side):
                mine[i] += some[i] - exp_nonpositive(share[i]) * totals[i]
        else:
            for i in range(side):
                mine[i] += share[i] * (some[i] - totals[i])


SOFTMAX = Operation(
    "softmax", forward, backward, nothing, nothing, reads=ANY, writes=ANY, closed=True
)

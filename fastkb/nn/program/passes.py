"""What all rows have in common: which observations they compute, and the function behind an operation."""

from __future__ import annotations

from typing import NamedTuple

from fastkb.runtime import inline
from fastkb.scalar.activations import activate, times_derivative


class Sizes(NamedTuple):
    """Whole numbers that all layers share."""

    mr: int
    nr: int
    width: int
    capacity: int  # observations that the buffers hold: a multiple of `unit`
    observations: int  # of this batch
    unit: int  # observations that are computed together
    shared: int = 0  # where in the values what all observations share begins
    training: int = 0  # 1: statistics are those of the batch
    lanes: int = 0  # 1: there are values in lanes, those of images
    seed: int = 0  # of the member's masks
    step: int = 0  # updates of the member before this batch


class Range(NamedTuple):
    """Whole numbers from `begin` to `stop`, which is not among them."""

    begin: int
    stop: int


# An end beyond all elements of a value.
WHOLE = 2**62


class Span(NamedTuple):
    """Some observations of a batch: whole units, of which the last may reach beyond the batch.

    A *band* is a part of what each of them has in lanes: some elements of one vector of observations. See
    :mod:`fastkb.nn.program.bands`.
    """

    begin: int
    stop: int
    first: int = 0  # of the elements
    last: int = WHOLE  # one past the last of them


@inline(references=False)
def reach(stride, span, sizes):
    """Where a span's elements stand in a value: the first, and one past the last."""
    begin = span.begin * stride
    if span.first == 0 and span.last >= stride:
        return begin, span.stop * stride
    return begin + span.first * sizes.width, begin + span.last * sizes.width


@inline(references=False)
def activate_row(row, values, span, sizes):
    """A row's function, of what its rule has left at `kept`."""
    kept, target = row.kept * sizes.capacity, row.target * sizes.capacity
    stride = row.target_stride
    begin, end = reach(stride, span, sizes)
    if row.apart:
        copy(values[target + begin : target + end], values[kept + begin : kept + end])
    if row.activation != 0:
        activate(row.activation, values[target + begin : target + end], row.parameter)
        if row.outputs < stride:  # g(0) need not be zero, infinity · 0 is not, and padding is.
            for r in range(span.begin, span.stop):
                clear(values[target + r * stride + row.outputs : target + (r + 1) * stride])
                if row.apart:
                    clear(values[kept + r * stride + row.outputs : kept + (r + 1) * stride])


@inline(references=False)
def copy(target, source):
    """target ← source."""
    for j in range(len(target)):
        target[j] = source[j]


@inline(references=False)
def add(target, source):
    """target ← target + source."""
    for j in range(len(target)):
        target[j] += source[j]


@inline(references=False)
def clear(values):
    """values ← 0."""
    for j in range(len(values)):
        values[j] = 0.0


@inline(references=False)
def clear_beyond(row, buffer, place, stride, span, sizes):
    """Zeros for observations of a span that the batch does not have.

    Of a function of what stands there by chance, such as 1/x, all that is not a number would spread over
    sums of whole vectors, and times a delta of zero it is no zero.

    Parameters
    ----------
    row : record of LAYER
        Whose value stands in lanes or in rows.
    buffer : array
        Values or deltas.
    place, stride : int
        Of one observation.
    span : Span
    sizes : Sizes
    """
    at, width = place * sizes.capacity, sizes.width
    first = max(span.begin, sizes.observations)
    if not row.lanes:
        if first < span.stop:
            clear(buffer[at + first * stride : at + span.stop * stride])
        return
    for begin in range(first // width * width, span.stop, width):
        absent = max(0, sizes.observations - begin)
        for element in range(stride):
            start = at + begin * stride + element * width
            clear(buffer[start + absent : start + width])


@inline(references=False)
def differentiate(row, values, deltas, span, sizes):
    """Turn derivatives with respect to a layer's outputs into those before its activation."""
    if row.activation != 0:
        begin, end = reach(row.target_stride, span, sizes)
        target = row.target * sizes.capacity
        of = (row.target if row.from_output else row.kept) * sizes.capacity
        times_derivative(
            row.activation, deltas[target + begin : target + end], values[of + begin : of + end],
            row.parameter,
        )  # fmt: skip

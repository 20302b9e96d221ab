"""What two values give: sums with factors, products, quotients, and one behind the other.

Both values may be the same one; then the rules add the second's deltas to the first's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fastkb.nn.ops.operation import ANY, ELEMENTS, Join, Operation, Row, nothing, shown
from fastkb.nn.ops.tensors.shapes import check_axes, runs, together
from fastkb.nn.program.passes import add, clear, clear_beyond, copy, reach
from fastkb.runtime import inline


class _Elementwise(Join):
    """Base of functions of two elements at the same place."""

    described: ClassVar[bool] = False

    def joined(self, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
        one, other = shapes
        if one != other:
            raise ValueError(
                f"takes two values of one shape, and gets {shown(one)} and {shown(other)}"
            )
        return one

    def joining(
        self, reads: tuple[int, ...], shapes: tuple[tuple[int, ...], ...], following: int
    ) -> list[Row]:
        outputs = math.prod(shapes[0])
        operation, numbers = self._computed()
        return [Row(operation, reads, outputs, {}, numbers, work=outputs)]

    def _computed(self) -> tuple[Operation, tuple[float, ...]]:
        """Its operation, and what the rules read as numbers."""
        raise NotImplementedError


@dataclass(frozen=True)
class Combination(_Elementwise):
    """alpha · a + beta · b of two values of one shape.

    Parameters
    ----------
    alpha, beta : float, default 1.0

    Examples
    --------
    >>> from fastkb.nn.ops.tensors.joins import Combination
    >>> Combination(beta=-1.0).joined(((3, 4), (3, 4)))
    (3, 4)
    """

    alpha: float = 1.0
    beta: float = 1.0

    def _computed(self) -> tuple[Operation, tuple[float, ...]]:
        return ADD, (self.alpha, self.beta)


@dataclass(frozen=True)
class Product(_Elementwise):
    """a · b, element by element, of two values of one shape."""

    def _computed(self) -> tuple[Operation, tuple[float, ...]]:
        return PRODUCT, ()


@dataclass(frozen=True)
class Quotient(_Elementwise):
    """a / b, element by element, of two values of one shape."""

    def _computed(self) -> tuple[Operation, tuple[float, ...]]:
        return QUOTIENT, ()


@dataclass(frozen=True)
class Concatenate(Join):
    """Two values one behind the other along an axis; in all others they are of one size.

    Parameters
    ----------
    axis : int
        Without the observations: 0 has the channels of images, or the columns of rows.

    Examples
    --------
    >>> from fastkb.nn.ops.tensors.joins import Concatenate
    >>> Concatenate(0).joined(((3, 8, 8), (5, 8, 8)))
    (8, 8, 8)
    """

    described: ClassVar[bool] = False

    axis: int

    def joined(self, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
        one, other = shapes
        check_axes("axis", (self.axis,), one)
        before, after = one[: self.axis], one[self.axis + 1 :]
        agree = before == other[: self.axis] and after == other[self.axis + 1 :]
        if len(one) != len(other) or not agree:
            raise ValueError(
                f"takes two values that agree in all axes but {self.axis}, and gets {shown(one)} and "
                f"{shown(other)}"
            )
        return (*before, one[self.axis] + other[self.axis], *after)

    def joining(
        self, reads: tuple[int, ...], shapes: tuple[tuple[int, ...], ...], following: int
    ) -> list[Row]:
        outputs = math.prod(self.joined(shapes))
        window = *blocks(shapes[0], self.axis), *blocks(shapes[1], self.axis)
        return [Row(CONCATENATE, reads, outputs, {}, window=window, work=outputs)]


def blocks(shape: tuple[int, ...], axis: int) -> tuple[int, int, int, int]:
    """The blocks that an axis and those behind it make: how many, and how long; in rows, and in lanes.

    In lanes the first axis, of the channels, is the last one, and an element is a vector of observations.
    """
    rows = math.prod(shape[:axis]), math.prod(shape[axis:])
    if axis == 0:
        return *rows, math.prod(shape[1:]), shape[0]
    return *rows, math.prod(shape[1:axis]), math.prod(shape[axis:]) * shape[0]


# --- rules: sums with factors -------------------------------------------------------------------


def forward(row, parameters, values, span, sizes):
    """The sum."""
    begin, end = reach(row.target_stride, span, sizes)
    source, other = row.source * sizes.capacity, row.other * sizes.capacity
    target = row.kept * sizes.capacity
    _combine(
        values[target + begin : target + end],
        values[source + begin : source + end],
        values[other + begin : other + end],
        row.numbers,
    )


@inline(references=False)
def _combine(target, one, other, numbers):
    alpha, beta = target.dtype.type(numbers[0]), target.dtype.type(numbers[1])
    for k in range(len(target)):
        target[k] = alpha * one[k] + beta * other[k]


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """The sum's deltas times the factors."""
    begin, end = reach(row.target_stride, span, sizes)
    target = row.target * sizes.capacity
    theirs = deltas[target + begin : target + end]
    for j in range(2):
        place = (row.source if j == 0 else row.other) * sizes.capacity
        into = deltas[place + begin : place + end]
        if row.wanted >> j & 1 and place != target:  # else the sum has taken the term's place
            if row.accumulate >> j & 1:
                _add_multiple(into, theirs, row.numbers[j])
            else:
                _multiply_by(into, theirs, row.numbers[j])


@inline(references=False)
def _multiply_by(target, source, factor):
    factor = target.dtype.type(factor)
    for k in range(len(target)):
        target[k] = factor * source[k]


@inline(references=False)
def _add_multiple(target, source, factor):
    factor = target.dtype.type(factor)
    for k in range(len(target)):
        target[k] += factor * source[k]


ADD = Operation(
    "add", forward, backward, nothing, nothing, reads=ANY, writes=ANY, bands=ELEMENTS,
    takes_over=True,
)  # fmt: skip


# --- products -----------------------------------------------------------------------------------


def product(row, parameters, values, span, sizes):
    """Element times element."""
    begin, end = span.begin * row.target_stride, span.stop * row.target_stride
    source, other = row.source * sizes.capacity, row.other * sizes.capacity
    target = row.kept * sizes.capacity
    _multiply(
        values[target + begin : target + end],
        values[source + begin : source + end],
        values[other + begin : other + end],
    )
    clear_beyond(row, values, row.kept, row.target_stride, span, sizes)


@inline(references=False)
def _multiply(target, one, other):
    for k in range(len(target)):
        target[k] = one[k] * other[k]


def product_backward(row, parameters, transposed, values, deltas, span, sizes):
    """The product's deltas times the other value."""
    begin, end = span.begin * row.target_stride, span.stop * row.target_stride
    target = row.target * sizes.capacity
    theirs = deltas[target + begin : target + end]
    for j in range(2):
        mine = (row.source if j == 0 else row.other) * sizes.capacity
        factor = (row.other if j == 0 else row.source) * sizes.capacity
        into, by = deltas[mine + begin : mine + end], values[factor + begin : factor + end]
        if row.wanted >> j & 1:
            if row.accumulate >> j & 1:
                _add_product(into, theirs, by)
            else:
                _multiply(into, theirs, by)


@inline(references=False)
def _add_product(target, one, other):
    for k in range(len(target)):
        target[k] += one[k] * other[k]


PRODUCT = Operation("product", product, product_backward, nothing, nothing, reads=ANY, writes=ANY)


# --- quotients ----------------------------------------------------------------------------------


def quotient(row, parameters, values, span, sizes):
    """Element by element; of padding, which is 0 / 0, nothing."""
    stride = row.target_stride
    source, other = row.source * sizes.capacity, row.other * sizes.capacity
    target = row.kept * sizes.capacity
    count, length = runs(row, span, sizes)
    for k in range(count):
        at = (span.begin + k) * stride
        _divide(
            values[target + at : target + at + length],
            values[source + at : source + at + length],
            values[other + at : other + at + length],
        )
    clear_beyond(row, values, row.kept, stride, span, sizes)


@inline(references=False)
def _divide(target, one, other):
    for k in range(len(target)):
        target[k] = one[k] / other[k]


def quotient_backward(row, parameters, transposed, values, deltas, span, sizes):
    """d/da = 1 / b, d/db = -a / b²."""
    stride, capacity = row.target_stride, sizes.capacity
    begin, end = span.begin * stride, span.stop * stride
    source, other, target = row.source * capacity, row.other * capacity, row.target * capacity
    count, length = runs(row, span, sizes)
    for j in range(2):
        place = row.source if j == 0 else row.other
        if row.wanted >> j & 1:
            mine = place * capacity
            if not row.accumulate >> j & 1:
                clear(deltas[mine + begin : mine + end])
            for k in range(count):
                at = (span.begin + k) * stride
                into = deltas[mine + at : mine + at + length]
                theirs = deltas[target + at : target + at + length]
                one = values[source + at : source + at + length]
                two = values[other + at : other + at + length]
                if j == 0:
                    _add_quotient(into, theirs, two)
                else:
                    _subtract_by_divisor(into, theirs, one, two)
            clear_beyond(row, deltas, place, stride, span, sizes)


@inline(references=False)
def _add_quotient(into, deltas, divisors):
    for k in range(len(into)):
        into[k] += deltas[k] / divisors[k]


@inline(references=False)
def _subtract_by_divisor(into, deltas, ones, divisors):
    for k in range(len(into)):
        into[k] -= deltas[k] / divisors[k] * (ones[k] / divisors[k])


QUOTIENT = Operation(
    "quotient", quotient, quotient_backward, nothing, nothing, reads=ANY, writes=ANY
)


# --- one behind the other -----------------------------------------------------------------------


def concatenate(row, parameters, values, span, sizes):
    """Blocks of the first value and of the second one in turn."""
    w, unit = row.window, together(row, sizes)
    first = 2 if row.lanes else 0
    count, one, two = w[first], w[first + 1] * unit, w[first + 5] * unit
    source, other = row.source * sizes.capacity, row.other * sizes.capacity
    target = row.kept * sizes.capacity
    for r in range(span.begin, span.stop, unit):
        at = target + r * row.target_stride
        for k in range(count):
            begin = source + r * row.source_stride + k * one
            copy(values[at : at + one], values[begin : begin + one])
            begin = other + r * row.other_stride + k * two
            copy(values[at + one : at + one + two], values[begin : begin + two])
            at += one + two


def concatenate_backward(row, parameters, transposed, values, deltas, span, sizes):
    """Each value's blocks of the deltas."""
    w, unit = row.window, together(row, sizes)
    first = 2 if row.lanes else 0
    whole = (w[first + 1] + w[first + 5]) * unit
    for j in range(2):
        length = w[first + 1 + 4 * j] * unit
        place = (row.source if j == 0 else row.other) * sizes.capacity
        stride = row.source_stride if j == 0 else row.other_stride
        skipped = 0 if j == 0 else whole - length
        if row.wanted >> j & 1:
            for r in range(span.begin, span.stop, unit):
                at = row.target * sizes.capacity + r * row.target_stride + skipped
                for k in range(w[first]):
                    begin = place + r * stride + k * length
                    into = deltas[begin : begin + length]
                    if row.accumulate >> j & 1:
                        add(into, deltas[at : at + length])
                    else:
                        copy(into, deltas[at : at + length])
                    at += whole


CONCATENATE = Operation(
    "concatenate", concatenate, concatenate_backward, nothing, nothing, reads=ANY, writes=ANY
)

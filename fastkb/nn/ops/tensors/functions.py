"""Functions of one number, applied to every element of a value.

**To add a function**, write it and its derivative below and list them in :data:`FUNCTIONS`. Both work on
one number and have no branch; t is the number, a what the function gives for it, and p the one parameter,
in the element type of the computation. NaN is passed on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastkb.checks.choices import check_choice
from fastkb.nn.ops.operation import ANY, Operation, Row, nothing
from fastkb.nn.ops.tensors.shapes import Known, runs
from fastkb.nn.program.passes import clear, clear_beyond
from fastkb.runtime import inline
from fastkb.runtime.jit import switch
from fastkb.scalar import elementary, smooth


class Entry(NamedTuple):
    """One row of the table."""

    name: str
    function: Callable[[float, float], float]  # (t, p)
    derivative: Callable[[float, float, float], float]  # (t, a, p)


@dataclass(frozen=True)
class Function(Known):
    """A function of the table, of every element.

    Parameters
    ----------
    name : str
        See :data:`FUNCTIONS`.
    parameter : float, default 0.0
        p; most have none.

    Examples
    --------
    >>> from fastkb.nn.ops.tensors.functions import Function
    >>> Function("power", 1.5).gives((3, 4))
    (3, 4)
    """

    name: str
    parameter: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in _CODES:
            check_choice("name", self.name, tuple(_CODES))

    def gives(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        name = self.name
        if name == "power" and self.parameter in _WHOLE:
            name = "whole_power"
        outputs = math.prod(shape)
        window = (_CODES[name],)
        return [Row(FUNCTION, (read,), outputs, {}, (float(self.parameter),), window, work=outputs)]


# --- the table ----------------------------------------------------------------------------------

# Constants are of the element type, type(t)(1): a float64, 1.0, would widen the loop of float32.


def exp(t, p):
    """eᵗ."""
    return elementary.exp(t)


def exp_derivative(t, a, p):
    """The function itself."""
    return a


def log(t, p):
    """log t."""
    return smooth.log(t)


def log_derivative(t, a, p):
    """1 / t."""
    return type(t)(1) / t


def sqrt(t, p):
    """√t."""
    return elementary.sqrt(t)


def sqrt_derivative(t, a, p):
    """1 / (2 √t)."""
    return type(t)(0.5) / a


def absolute(t, p):
    """|t|."""
    return abs(t)


def sign(t, a, p):
    """The derivative of |t|, which is taken as 0 at 0."""
    one = type(t)(1)
    return one if t > 0 else (-one if t < 0 else t)


def square(t, p):
    """t²."""
    return t * t


def square_derivative(t, a, p):
    """2 t."""
    return type(t)(2) * t


def reciprocal(t, p):
    """1 / t."""
    return type(t)(1) / t


def reciprocal_derivative(t, a, p):
    """-1 / t²."""
    return -a * a


def power(t, p):
    """tᵖ."""
    return elementary.real_power(t, p)


def power_derivative(t, a, p):
    """p tᵖ⁻¹."""
    return p * elementary.real_power(t, p - type(t)(1))


def whole_power(t, p):
    """tᵖ for a whole number p from 0 to 63; 0⁰ is 1."""
    return elementary.whole_power(t, p)


def whole_power_derivative(t, a, p):
    """p tᵖ⁻¹, and 0 for p = 0."""
    one = type(t)(1)
    return p * elementary.whole_power(t, p - one if p > one else type(t)(0))


def scale(t, p):
    """p t."""
    return p * t


def scale_derivative(t, a, p):
    """p."""
    return p


def shift(t, p):
    """t + p."""
    return t + p


def shift_derivative(t, a, p):
    """1."""
    return type(t)(1)


def smooth_l1(t, p):
    """t² / (2 p) for |t| < p, else |t| - p / 2, as PyTorch has it with beta=p."""
    size, half = abs(t), type(t)(0.5)
    inner = half * t * t / p
    return inner if size < p else size - half * p


def smooth_l1_derivative(t, a, p):
    """t / p for |t| < p, else the sign."""
    one, inner = type(t)(1), t / p
    outer = one if t > 0 else (-one if t < 0 else t)
    return inner if abs(t) < p else outer


def sin(t, p):
    """sin t."""
    return math.sin(t)


def sin_derivative(t, a, p):
    """cos t."""
    return math.cos(t)


def cos(t, p):
    """cos t."""
    return math.cos(t)


def cos_derivative(t, a, p):
    """-sin t."""
    return -math.sin(t)


def clamp_min(t, p):
    """max(t, p)."""
    return p if t < p else t


def clamp_min_derivative(t, a, p):
    """1 where t ≥ p, else 0."""
    return type(t)(1) if t >= p else type(t)(0)


def clamp_max(t, p):
    """min(t, p)."""
    return p if t > p else t


def clamp_max_derivative(t, a, p):
    """1 where t ≤ p, else 0."""
    return type(t)(1) if t <= p else type(t)(0)


def log_probability(t, p):
    """log t, -100 at least, as PyTorch has it in the loss of probabilities."""
    found, least = smooth.log(t), type(t)(-100)
    return least if found < least else found


def log_probability_derivative(t, a, p):
    """1 / t = (1 - t) / (t (1 - t)), whose denominator is 1e-12 at least, likewise."""
    rest = type(t)(1) - t
    product, least = t * rest, type(t)(1e-12)
    return rest / (least if product < least else product)


def log_of_rest(t, p):
    """log(1 - t), likewise."""
    found, least = math.log1p(-t), type(t)(-100)
    return least if found < least else found


def log_of_rest_derivative(t, a, p):
    """-1 / (1 - t) = -t / (t (1 - t)), likewise."""
    product, least = t * (type(t)(1) - t), type(t)(1e-12)
    return -t / (least if product < least else product)


FUNCTIONS: tuple[Entry, ...] = (
    Entry("exp", exp, exp_derivative),
    Entry("log", log, log_derivative),
    Entry("sqrt", sqrt, sqrt_derivative),
    Entry("abs", absolute, sign),
    Entry("square", square, square_derivative),
    Entry("reciprocal", reciprocal, reciprocal_derivative),
    Entry("power", power, power_derivative),
    Entry("whole_power", whole_power, whole_power_derivative),  # what "power" is for whole numbers
    Entry("scale", scale, scale_derivative),
    Entry("shift", shift, shift_derivative),
    Entry("smooth_l1", smooth_l1, smooth_l1_derivative),
    Entry("sin", sin, sin_derivative),
    Entry("cos", cos, cos_derivative),
    Entry("clamp_min", clamp_min, clamp_min_derivative),
    Entry("clamp_max", clamp_max, clamp_max_derivative),
    Entry("log_probability", log_probability, log_probability_derivative),
    Entry("log_of_rest", log_of_rest, log_of_rest_derivative),
)
_CODES = {entry.name: code for code, entry in enumerate(FUNCTIONS)}
_WHOLE = frozenset(range(64))


# --- rules --------------------------------------------------------------------------------------


def _applying(entry: Entry) -> Any:
    compiled = inline(entry.function)

    @inline(references=False)
    def apply(target, source, p):
        parameter = target.dtype.type(p)
        for k in range(len(target)):
            target[k] = compiled(source[k], parameter)

    return apply


def _differentiating(entry: Entry) -> Any:
    compiled = inline(entry.derivative)

    @inline(references=False)
    def apply(into, deltas, arguments, values, p):
        parameter = into.dtype.type(p)
        for k in range(len(into)):
            into[k] += deltas[k] * compiled(arguments[k], values[k], parameter)

    return apply


_apply = switch(list(map(_applying, FUNCTIONS)), references=False)
_add_derivative = switch(list(map(_differentiating, FUNCTIONS)), references=False)


def forward(row, parameters, values, span, sizes):
    """The function of every element; of padding, which stays zero, nothing."""
    stride = row.target_stride
    source, target = row.source * sizes.capacity, row.kept * sizes.capacity
    count, length = runs(row, span, sizes)
    for k in range(count):
        at = (span.begin + k) * stride
        _apply(
            row.window[0],
            values[target + at : target + at + length],
            values[source + at : source + at + length],
            row.numbers[0],
        )
    clear_beyond(row, values, row.kept, stride, span, sizes)


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """The deltas times the derivatives."""
    stride = row.target_stride
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    if not row.accumulate & 1:
        clear(deltas[source + span.begin * stride : source + span.stop * stride])
    count, length = runs(row, span, sizes)
    for k in range(count):
        at = (span.begin + k) * stride
        _add_derivative(
            row.window[0],
            deltas[source + at : source + at + length],
            deltas[target + at : target + at + length],
            values[source + at : source + at + length],
            values[target + at : target + at + length],
            row.numbers[0],
        )
    clear_beyond(row, deltas, row.source, stride, span, sizes)


FUNCTION = Operation(
    "function", forward, backward, nothing, nothing, reads=ANY, writes=ANY, closed=True
)

"""Layer normalisation: the last axes of each observation, centred and scaled by their mean and variance.

A *group* is what one mean is taken of: an observation of shape (leading…, *normalized_shape) has as many
groups as its leading axes have elements. With N values of a group, x̂ = (x - mean) / √(variance + ε),
y = γ x̂ + β, and the derivatives δ of the loss in y::

    d/dγ = Σ δ x̂        d/dβ = Σ δ        d/dx = (γ δ - Σ γ δ / N - x̂ Σ γ δ x̂ / N) / √(variance + ε)

The first two sums are over observations and groups, those of the last over the elements of a group.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastkb.checks.scalars import check_flag, check_number, check_whole
from fastkb.nn.ops.operation import Layer, Operation, Row, Shape, nothing, shown
from fastkb.nn.ops.storage import BIAS, WEIGHT, Piece, Storage
from fastkb.nn.program.passes import add, clear
from fastkb.runtime import inline
from fastkb.tile.blocking import NetworkBlocking

# Whole numbers of a row: groups of an observation, and elements of a group; and its own number.
GROUPS, SIZE = 0, 1
EPS = 0
# What the forward rule keeps of each group.
MEAN, INVERSE = 0, 1
_KEPT = 2

# Elements of a block, at most: each thread passes over its part of all observations.
_BLOCK = 2**12


@dataclass(frozen=True)
class LayerNorm(Layer):
    r"""Layer normalisation: the last axes of each observation by their own mean and variance.

    .. math:: y = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}}\, \gamma + \beta

    Other than with batch normalisation no observation depends on the others, and there is no difference
    between training and evaluation.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        Sizes of the last axes, over which μ and σ² are taken: of all axes or of some. An int is one axis.
    eps : float, default 1e-5
        ε.
    elementwise_affine : bool, default True
        Whether there are γ and β, ``"weight"`` and ``"bias"`` of shape `normalized_shape`; else they are
        1 and 0.
    bias : bool, default True
        Whether there is β, where there is γ.

    References
    ----------
    Ba, Kiros, Hinton (2016), Layer normalization, arXiv:1607.06450.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.LayerNorm(8).shape_of((5, 8))
    (5, 8)
    >>> nn.LayerNorm(8).normalized_shape
    (8,)
    """

    normalized_shape: Any
    eps: float = 1e-5
    elementwise_affine: bool = True
    bias: bool = True

    def __post_init__(self) -> None:
        self._set("normalized_shape", _check_shape(self.normalized_shape))
        self._set("eps", check_number("eps", self.eps, 0.0))
        for name in ("elementwise_affine", "bias"):
            self._set(name, check_flag(name, getattr(self, name)))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def widths(self) -> tuple[int, int] | None:
        sizes: tuple[int, ...] = self.normalized_shape
        return (sizes[0], sizes[0]) if len(sizes) == 1 else None

    @property
    def takes(self) -> Shape:
        return None

    @property
    def smallest(self) -> tuple[int, ...]:
        found: tuple[int, ...] = self.normalized_shape
        return found

    def shape_of(self, shape: Shape) -> Shape:
        if shape is None:
            return None
        count = len(self.normalized_shape)
        last = shape[-count:]
        if len(last) < count or any(
            size not in (None, own) for size, own in zip(last, self.normalized_shape, strict=True)
        ):
            raise ValueError(
                f"takes values whose last axes are {shown(self.normalized_shape)}, and gets shape "
                f"{shown(shape)}"
            )
        return shape[:-count] + self.normalized_shape

    def shapes(self) -> dict[str, tuple[int, ...]]:
        if not self.elementwise_affine:
            return {}
        shape: tuple[int, ...] = self.normalized_shape
        return {WEIGHT: shape} | ({BIAS: shape} if self.bias else {})

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        first = {WEIGHT: 1.0, BIAS: 0.0}
        return {name: np.full(shape, first[name]) for name, shape in self.shapes().items()}

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        outputs, size = math.prod(shape), math.prod(self.normalized_shape)
        groups = outputs // size
        return [
            Row(
                LAYER_NORM,
                (read,),
                outputs,
                self.shapes(),
                numbers=(self.eps,),
                window=(groups, size),
                kept=_KEPT * groups,
                work=outputs,
            )
        ]


def _check_shape(given: Any) -> tuple[int, ...]:
    """One size or several, as a tuple."""
    sizes = (given,)
    if isinstance(given, Sequence) and not isinstance(given, str):
        sizes = tuple(given)
        if not sizes:
            raise ValueError(f"normalized_shape must have one size at least, got {given!r}")
    return tuple(check_whole("normalized_shape", size, 1) for size in sizes)


# --- rules --------------------------------------------------------------------------------------


@inline(any_order=True, references=False)
def _mean(x):
    """Of distances to the first, so that numbers which all are large lose no digits."""
    total, first = x.dtype.type(0.0), x[0]
    for j in range(len(x)):
        total += x[j] - first
    return first + total / len(x)


@inline(any_order=True, references=False)
def _squares(x, mean):
    total = x.dtype.type(0.0)
    for j in range(len(x)):
        total += (x[j] - mean) * (x[j] - mean)
    return total


@inline(references=False)
def _normalize(y, x, mean, inverse):
    for j in range(len(y)):
        y[j] = (x[j] - mean) * inverse


@inline(references=False)
def _multiply(y, weights):
    for j in range(len(y)):
        y[j] *= weights[j]


def forward(row, parameters, values, span, sizes):
    """Each group centred and scaled; its mean, and what it was multiplied by, are kept."""
    groups, size, kind = row.window[GROUPS], row.window[SIZE], values.dtype.type
    for r in range(span.begin, span.stop):
        to = row.kept * sizes.capacity + r * row.target_stride
        if r >= sizes.observations:  # what no observation has need not be finite
            clear(values[to : to + row.outputs])
            continue
        at = row.source * sizes.capacity + r * row.source_stride
        numbers = row.extra * sizes.capacity + r * _KEPT * groups
        for _ in range(groups):
            x, y = values[at : at + size], values[to : to + size]
            mean = kind(_mean(x))
            inverse = kind(1.0 / math.sqrt(_squares(x, mean) / size + row.numbers[EPS]))
            _normalize(y, x, mean, inverse)
            if row.has_weights:
                _multiply(y, parameters[row.weights : row.weights + size])
            if row.has_biases:
                add(y, parameters[row.biases : row.biases + size])
            values[numbers + MEAN], values[numbers + INVERSE] = mean, inverse
            at, to, numbers = at + size, to + size, numbers + _KEPT


@inline(any_order=True, references=False)
def _sums(deltas, weights, weighted, x, mean):
    """Σ γ δ, and Σ γ δ (x - mean)."""
    one, total, product = x.dtype.type(1.0), x.dtype.type(0.0), x.dtype.type(0.0)
    for j in range(len(x)):
        delta = deltas[j] * (weights[j] if weighted else one)
        total += delta
        product += delta * (x[j] - mean)
    return total, product


@inline(references=False)
def _hand_back(into, added, deltas, weights, weighted, x, factors):
    """The deltas of x take the place of what is there or are added to it."""
    one, zero = x.dtype.type(1.0), x.dtype.type(0.0)
    mean, inverse, share, slope = factors
    for j in range(len(x)):
        delta = deltas[j] * (weights[j] if weighted else one)
        new = inverse * delta - share - slope * (x[j] - mean)
        into[j] = (into[j] if added else zero) + new


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """The deltas of each group."""
    groups, size, kind = row.window[GROUPS], row.window[SIZE], values.dtype.type
    weighted, added = row.has_weights == 1, row.accumulate & 1 == 1
    for r in range(span.begin, span.stop):
        at = row.source * sizes.capacity + r * row.source_stride
        if r >= sizes.observations:
            if not added:
                clear(deltas[at : at + row.outputs])
            continue
        to = row.target * sizes.capacity + r * row.target_stride
        numbers = row.extra * sizes.capacity + r * _KEPT * groups
        for _ in range(groups):
            x, theirs = values[at : at + size], deltas[to : to + size]
            weights = x  # of those that there are not none is used
            if weighted:
                weights = parameters[row.weights : row.weights + size]
            mean, inverse = values[numbers + MEAN], values[numbers + INVERSE]
            total, product = _sums(theirs, weights, weighted, x, mean)
            factors = (
                mean,
                inverse,
                kind(inverse * total / size),
                kind(inverse * inverse * inverse * product / size),
            )
            _hand_back(deltas[at : at + size], added, theirs, weights, weighted, x, factors)
            at, to, numbers = at + size, to + size, numbers + _KEPT


@inline(references=False)
def _add_products(total, deltas, x, mean, inverse):
    for j in range(len(total)):
        total[j] += deltas[j] * ((x[j] - mean) * inverse)


def gradients_of(row, block, gradients, values, deltas, ones, room, sizes):
    """Those of some elements of γ and β, from all observations and groups."""
    groups, size = row.window[GROUPS], row.window[SIZE]
    by_weight = gradients[block.begin : block.end]
    by_bias = gradients[block.bias_begin : block.bias_end]
    clear(by_weight)
    clear(by_bias)
    count = block.input_stop - block.input
    for r in range(sizes.observations):
        at = row.source * sizes.capacity + r * row.source_stride + block.input
        to = row.target * sizes.capacity + r * row.target_stride + block.input
        numbers = row.extra * sizes.capacity + r * _KEPT * groups
        for _ in range(groups):
            theirs = deltas[to : to + count]
            mean, inverse = values[numbers + MEAN], values[numbers + INVERSE]
            _add_products(by_weight, theirs, values[at : at + count], mean, inverse)
            if row.has_biases:
                add(by_bias, theirs)
            at, to, numbers = at + size, to + size, numbers + _KEPT


# --- storage ------------------------------------------------------------------------------------


class Elements(Storage):
    """One element after the other, in blocks of some elements of both tensors."""

    def pieces(self, row: Any, sizes: NetworkBlocking) -> Iterator[Piece]:
        size = int(row["window"][SIZE])
        weights, biases = int(row["weights"]), int(row["biases"])
        for first in range(0, size, _BLOCK):
            stop = min(first + _BLOCK, size)
            begin, end = (biases + place * int(row["has_biases"]) for place in (first, stop))
            yield Piece(0, first, stop, weights + first, weights + stop, begin, end)


LAYER_NORM = Operation("layer normalisation", forward, backward, gradients_of, nothing, Elements())

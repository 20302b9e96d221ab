"""Numbers of a module's own as values: parameters and buffers, the same for each observation.

Such a value reads another one for the number of observations alone, and stands as that does, in rows or
in lanes. Its elements are those of the tensor, met by strides: along an axis on which it is broadcast
the stride is 0.

A gradient is the sum of the deltas over all observations. Each observation's deltas are first added up
to as many numbers as the tensor has, by the thread that has the observation; then each block of the
tensor is added up over the batch, in the order of the observations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastkb.nn.ops.operation import ANY, Layer, Operation, Row, Shape, nothing
from fastkb.nn.ops.storage import OWN, Piece, Size, Storage
from fastkb.nn.ops.tensors.shapes import strides_of
from fastkb.nn.ops.tensors.strided import add_into, take_into, walk
from fastkb.nn.program.passes import add, clear
from fastkb.runtime import inline
from fastkb.tile.blocking import NetworkBlocking

# Whole numbers of a row: the walk through a value in rows, which ends with the first element of the
# tensor, and that in lanes; how many elements the tensor has; whether the value in rows is the tensor as
# it stands; whether the tensor is a buffer.
_FIRST, _LANES, _COUNT, _WHOLE, _BUFFER = 10, 11, 21, 22, 23

# Elements of a block, at least, and blocks, at most: each of them is a pass over the batch.
_BLOCK, _MOST_BLOCKS = 2**12, 16


@dataclass(frozen=True)
class Own(Layer):
    """A parameter or a buffer, or some of its elements, as a value.

    Parameters
    ----------
    shape : tuple of int
        Of the tensor.
    sizes : tuple of int
        Of the value, without the observations; one axis at least.
    strides : tuple of int
        How many elements of the tensor lie between neighbours along each axis of the value.
    first : int, default 0
        The tensor's element that the value begins with.
    trained : bool, default True
        Whether it is a parameter, and not a buffer.

    Examples
    --------
    >>> from fastkb.nn.ops.tensors.own import Own
    >>> Own((3,), (3, 8, 8), (1, 0, 0)).gives((5,))  # of each channel of images, beside any value
    (3, 8, 8)
    """

    described: ClassVar[bool] = False

    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    first: int = 0
    trained: bool = True

    def __repr__(self) -> str:
        return f"{'parameter' if self.trained else 'buffer'} of shape {self.shape}"

    @classmethod
    def whole(cls, shape: tuple[int, ...], trained: bool) -> Own:
        """A tensor as it is."""
        sizes = shape or (1,)
        return cls(shape, sizes, strides_of(sizes), 0, trained)

    @property
    def takes(self) -> Shape:
        return ()

    def shape_of(self, shape: Shape) -> Shape:
        return self.sizes

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {OWN: self.shape} if self.trained else {}

    def buffers(self) -> dict[str, tuple[int, ...]]:
        return {} if self.trained else {OWN: self.shape}

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        outputs, count = math.prod(self.sizes), math.prod(self.shape)
        in_rows = walk(self.sizes, self.strides, self.first)
        # In lanes the first axis, of the channels, is the last one.
        in_lanes = walk(
            (*self.sizes[1:], self.sizes[0]), (*self.strides[1:], self.strides[0]), self.first
        )
        whole = outputs == count and in_rows == walk((count,), (1,))
        window = *in_rows, *in_lanes[:_FIRST], count, int(whole), int(not self.trained)
        kept = count if self.trained else 0
        return [
            Row(
                OWN_VALUE, (read,), outputs, self.shapes(), window=window, kept=kept,
                buffers=self.buffers(), work=outputs,
            )
        ]  # fmt: skip


class Held(Layer):
    """A tensor of a module's own, as what a store has: its shape, and the numbers that it begins with.

    Parameters
    ----------
    numbers : ndarray
        What a parameter begins with; what a buffer holds at present.
    trained : bool
        Whether it is a parameter, and not a buffer.
    persistent : bool, default True
        Whether a buffer is part of the ``state_dict``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.nn.ops.tensors.own import Held
    >>> Held(np.ones(3), trained=True).shapes()
    {'': (3,)}
    """

    described: ClassVar[bool] = False

    def __init__(self, numbers: np.ndarray, trained: bool, persistent: bool = True) -> None:
        self.numbers, self.trained, self.persistent = numbers, trained, persistent

    def __repr__(self) -> str:
        return repr(self._value)

    @property
    def _value(self) -> Own:
        return Own.whole(self.numbers.shape, self.trained)

    @property
    def smallest(self) -> tuple[int, ...]:
        return (1,)

    def shape_of(self, shape: Shape) -> Shape:
        return self._value.sizes

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self._value.shapes()

    def buffers(self) -> dict[str, tuple[int, ...]]:
        return self._value.buffers()

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {OWN: self.numbers}

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        return self._value.rows(read, shape, following)


# --- rules --------------------------------------------------------------------------------------


def forward(row, parameters, values, span, sizes):
    """The tensor's elements, for each observation."""
    target, stride = row.kept * sizes.capacity, row.target_stride
    begin = row.buffers if row.window[_BUFFER] else row.weights
    if row.lanes:
        for r in range(span.begin, span.stop, sizes.width):
            _fill(values, target + r * stride, parameters, begin + row.window[_FIRST], row, sizes)
    else:
        one = values.dtype.type(1.0)
        for r in range(span.begin, span.stop):
            take_into(values, target + r * stride, parameters, begin, row, one, False)


@inline(references=False)
def _fill(values, at, parameters, begin, row, sizes):
    """A vector of observations for each element."""
    w = row.window
    length, step = w[_LANES + 4], w[_LANES + 9]
    for a in range(w[_LANES]):
        for b in range(w[_LANES + 1]):
            for c in range(w[_LANES + 2]):
                place = begin + a * w[_LANES + 5] + b * w[_LANES + 6] + c * w[_LANES + 7]
                for _ in range(w[_LANES + 3]):
                    for k in range(length):
                        number = parameters[place + k * step]
                        for lane in range(sizes.width):
                            values[at + lane] = number
                        at += sizes.width
                    place += w[_LANES + 8]


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """Each observation's deltas, or those of a vector of observations, added up for each element.

    What it reads has none of it.
    """
    if row.wanted & 1 and not row.accumulate & 1:
        source, stride = row.source * sizes.capacity, row.source_stride
        clear(deltas[source + span.begin * stride : source + span.stop * stride])
    if row.window[_BUFFER] or (row.window[_WHOLE] and not row.lanes):
        return
    target, extra, count = (
        row.target * sizes.capacity,
        row.extra * sizes.capacity,
        row.window[_COUNT],
    )
    for r in range(span.begin, min(span.stop, sizes.observations), sizes.width if row.lanes else 1):
        at, to = target + r * row.target_stride, extra + r * count
        clear(deltas[to : to + count])
        if row.lanes:
            there = min(sizes.width, sizes.observations - r)
            _gather(deltas, to + row.window[_FIRST], at, there, row, sizes)
        else:
            add_into(deltas, to, deltas, at, row)


@inline(references=False)
def _gather(deltas, begin, at, there, row, sizes):
    """Sums over the observations of a vector."""
    w = row.window
    length, step = w[_LANES + 4], w[_LANES + 9]
    for a in range(w[_LANES]):
        for b in range(w[_LANES + 1]):
            for c in range(w[_LANES + 2]):
                place = begin + a * w[_LANES + 5] + b * w[_LANES + 6] + c * w[_LANES + 7]
                for _ in range(w[_LANES + 3]):
                    for k in range(length):
                        found = deltas.dtype.type(0.0)
                        for lane in range(there):
                            found += deltas[at + lane]
                        deltas[place + k * step] += found
                        at += sizes.width
                    place += w[_LANES + 8]


def gradients_of(row, block, gradients, values, deltas, ones, room, sizes):
    """The sums over the batch of some elements."""
    clear(gradients[block.begin : block.end])
    begin, stride, step = row.extra * sizes.capacity, row.window[_COUNT], 1
    if row.lanes:
        step = sizes.width
    elif row.window[_WHOLE]:
        begin, stride = row.target * sizes.capacity, row.target_stride
    for r in range(0, sizes.observations, step):
        at = begin + r * stride
        add(gradients[block.begin : block.end], deltas[at + block.input : at + block.input_stop])


# --- storage ------------------------------------------------------------------------------------


class Elements(Storage):
    """A tensor's elements in C order, in blocks of some."""

    def place(
        self, row: Any, shapes: Mapping[str, tuple[int, ...]], sizes: NetworkBlocking
    ) -> Size:
        return Size(-(-math.prod(shapes[OWN]) // sizes.nr) * sizes.nr, 0, 0)

    def pieces(self, row: Any, sizes: NetworkBlocking) -> Iterator[Piece]:
        count, start, biases = int(row["window"][_COUNT]), int(row["weights"]), int(row["biases"])
        height = max(_BLOCK, -(-count // _MOST_BLOCKS))
        for first in range(0, count, height):
            stop = min(first + height, count)
            yield Piece(0, first, stop, start + first, start + stop, biases, biases)


OWN_VALUE = Operation(
    "own", forward, backward, gradients_of, nothing, Elements(), reads=ANY, writes=ANY, independent=True,
)  # fmt: skip

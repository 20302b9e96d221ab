"""Embeddings: whole numbers, such as those of words, as rows of a table that is learnt.

The gradient of a row is the sum of the deltas wherever its number stood, observation by observation, in
blocks of rows: each thread looks through the batch for the numbers of its block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastkb.checks.scalars import check_whole
from fastkb.nn.ops.operation import Layer, Node, Operation, Row, Shape, nothing, shown
from fastkb.nn.ops.storage import WEIGHT, Piece, Storage
from fastkb.nn.program.passes import add, clear, copy
from fastkb.runtime import inline
from fastkb.tile.blocking import NetworkBlocking

# Whole numbers of a row: of the table, rows and columns; and numbers of an observation.
COUNT, WIDTH, NUMBERS = 0, 1, 2

# float32 has all whole numbers up to here, and inputs are of the network's element type.
_MOST_NUMBERS = 2**24

# Elements of a block, at least, and blocks, at most: each of them is a pass over the batch.
_BLOCK, _MOST_BLOCKS = 2**14, 16


@dataclass(frozen=True)
class Embedding(Layer):
    """Rows of a table for whole numbers: of k numbers the values of shape (k, embedding_dim).

    It takes the network's inputs: rows of k whole numbers, which an array of any type may hold.

    Parameters
    ----------
    num_embeddings : int
        Rows of the table, 2**24 at most: numbers are from 0 to num_embeddings - 1.
    embedding_dim : int
        Columns of the table.

    Notes
    -----
    The table is ``"weight"`` of shape (num_embeddings, embedding_dim). At first it is drawn from the
    standard normal distribution, as PyTorch's.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> network = nn.Sequential(nn.Embedding(10, 3), rng=0, dtype="float32")
    >>> network.forward(np.array([[4, 4, 9, 0], [1, 2, 3, 4]])).shape
    (2, 4, 3)
    """

    num_embeddings: int
    embedding_dim: int

    def __post_init__(self) -> None:
        for name, most in (("num_embeddings", _MOST_NUMBERS), ("embedding_dim", None)):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), 1, most))

    @property
    def takes(self) -> Shape:
        return (None,)

    @property
    def smallest(self) -> tuple[int, ...]:
        return (1,)

    def shape_of(self, shape: Shape) -> Shape:
        if shape is not None and len(shape) != 1:
            raise ValueError(f"takes rows of whole numbers, and gets shape {shown(shape)}")
        return (None if shape is None else shape[0]), self.embedding_dim

    def check_values(self, values: np.ndarray) -> None:
        wrong = (values < 0) | (values >= self.num_embeddings) | (values != np.floor(values))
        if wrong.any():
            raise ValueError(
                f"takes whole numbers from 0 to {self.num_embeddings - 1}, and gets {values[wrong][0]}"
            )

    def record(self, value: Node, name: str) -> Node:
        # Of these alone it is known that they are whole.
        if value.layer is not None:
            raise ValueError(
                f"layer {name}, {self!r}, takes the network's inputs, which must be whole numbers, and "
                f"gets what {value.layer!r} gives"
            )
        return super().record(value, name)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {WEIGHT: (self.num_embeddings, self.embedding_dim)}

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {name: rng.standard_normal(shape) for name, shape in self.shapes().items()}

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        outputs = shape[0] * self.embedding_dim
        window = self.num_embeddings, self.embedding_dim, shape[0]
        return [Row(EMBEDDING, (read,), outputs, self.shapes(), window=window, work=outputs)]


# --- rules --------------------------------------------------------------------------------------


@inline(references=False)
def _place(number, count):
    """The row of a number; behind a batch there may be anything, for which any row will do."""
    return np.int64(number) if number >= 0.0 and number < count else np.int64(0)


def forward(row, parameters, values, span, sizes):
    """The rows of the numbers, side by side."""
    count, width = row.window[COUNT], row.window[WIDTH]
    for r in range(span.begin, span.stop):
        at = row.source * sizes.capacity + r * row.source_stride
        to = row.kept * sizes.capacity + r * row.target_stride
        for k in range(row.window[NUMBERS]):
            begin = row.weights + _place(values[at + k], count) * width
            copy(values[to : to + width], parameters[begin : begin + width])
            to += width


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """Numbers have none."""
    if not row.accumulate & 1:
        source, stride = row.source * sizes.capacity, row.source_stride
        clear(deltas[source + span.begin * stride : source + span.stop * stride])


def gradients_of(row, block, gradients, values, deltas, ones, room, sizes):
    """Those of some rows: the deltas wherever their numbers stand."""
    count, width = row.window[COUNT], row.window[WIDTH]
    clear(gradients[block.begin : block.end])
    for r in range(sizes.observations):
        at = row.source * sizes.capacity + r * row.source_stride
        to = row.target * sizes.capacity + r * row.target_stride
        for k in range(row.window[NUMBERS]):
            place = _place(values[at + k], count)
            if place >= block.input and place < block.input_stop:
                begin = block.begin + (place - block.input) * width
                delta = to + k * width
                add(gradients[begin : begin + width], deltas[delta : delta + width])


# --- storage ------------------------------------------------------------------------------------


class Table(Storage):
    """One row of the table after the other, in blocks of some rows."""

    def pieces(self, row: Any, sizes: NetworkBlocking) -> Iterator[Piece]:
        count, width = (int(row["window"][k]) for k in (COUNT, WIDTH))
        start, biases = int(row["weights"]), int(row["biases"])
        height = max(-(-_BLOCK // width), -(-count // _MOST_BLOCKS))
        for first in range(0, count, height):
            stop = min(first + height, count)
            begin, end = start + first * width, start + stop * width
            yield Piece(0, first, stop, begin, end, biases, biases)


EMBEDDING = Operation("embedding", forward, backward, gradients_of, nothing, Table())

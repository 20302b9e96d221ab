"""How the tensors of an operation stand in the flat buffers of a network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastkb.tile.blocking import NetworkBlocking

#: Names of tensors, as PyTorch has them: weights, and intercepts, which a penalty spares.
WEIGHT, BIAS = "weight", "bias"

#: Name of a tensor that is a value of its own: its layer's name within the network is the tensor's, too.
OWN = ""


def named(layer: str, kind: str) -> str:
    """A tensor's name within a network.

    Parameters
    ----------
    layer : str
        The layer's name.
    kind : str
        The tensor's name within the layer.

    Examples
    --------
    >>> from fastkb.nn.ops.storage import OWN, WEIGHT, named
    >>> named("body.fc", WEIGHT), named("body.scale", OWN)
    ('body.fc.weight', 'body.scale')
    """
    return f"{layer}.{kind}" if layer and kind else layer or kind


class Size(NamedTuple):
    """Elements that a row takes of the buffers."""

    weights: int
    biases: int
    transposed: int


class Piece(NamedTuple):
    """A block of a row's parameters, as its own rules read it, and the runs of the buffer that it is."""

    panel: int
    input: int  # of a convolution: rows of taps
    input_stop: int
    begin: int
    end: int
    bias_begin: int
    bias_end: int


class Storage:
    """How a row's tensors stand in the buffers: in C order, and in one block.

    A row is an element of :data:`fastkb.nn.program.layout.LAYER`. Whatever else an operation stores its
    tensors as, padding holds zeros.
    """

    def place(
        self, row: Any, shapes: Mapping[str, tuple[int, ...]], sizes: NetworkBlocking
    ) -> Size:
        """What the row takes; what its rules read of the row beside that is written there."""
        counts = (math.prod(shapes.get(name, (0,))) for name in (WEIGHT, BIAS))
        weights, biases = (-(-count // sizes.nr) * sizes.nr for count in counts)
        return Size(weights, biases, 0)

    def pieces(self, row: Any, sizes: NetworkBlocking) -> Iterator[Piece]:
        """Cut the row's parameters, the same for any number of threads."""
        begin, end, bias_end = (int(row[name]) for name in ("weights", "biases", "biases_end"))
        yield Piece(0, 0, 0, begin, end, end, bias_end)

    def room(self, row: Any, sizes: NetworkBlocking) -> int:
        """Elements that a thread needs for itself while it computes the gradient of a block."""
        return 0

    def put(
        self, row: Any, name: str, buffer: np.ndarray, tensor: np.ndarray, sizes: NetworkBlocking
    ) -> None:
        """Store a tensor of PyTorch's shape."""
        self.run(row, name, buffer)[: tensor.size] = tensor.ravel()

    def take(
        self, row: Any, name: str, buffer: np.ndarray, shape: Sequence[int], sizes: NetworkBlocking
    ) -> np.ndarray:
        """The tensor, of PyTorch's shape: a copy."""
        return self.run(row, name, buffer)[: math.prod(shape)].reshape(shape).copy()

    @staticmethod
    def run(row: Any, name: str, buffer: np.ndarray) -> np.ndarray:
        """The part of a buffer where a tensor of this name stands: a view."""
        ends = ("biases", "biases_end") if name == BIAS else ("weights", "biases")
        begin, end = (int(row[each]) for each in ends)
        return buffer[begin:end]

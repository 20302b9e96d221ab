"""Where the parameters of a network stand: by its layers alone, whatever the size of its images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastkb.nn.ops.arrangement import arranged
from fastkb.nn.ops.operation import Layer
from fastkb.nn.program.layout import Program, make_program, put_tensor, take_tensor
from fastkb.nn.program.step import State
from fastkb.runtime.memory import require, zeros


class _Tensors(NamedTuple):
    """A program of one layer, its tensors where they stand among those of all, and the row of them."""

    program: Program
    row: int


class Store:
    """The parameters of networks of one architecture and element type, in a flat buffer.

    Parameters
    ----------
    layers : sequence of Layer
        Checked.
    dtype : numpy.dtype
    """

    def __init__(self, layers: Sequence[Layer], dtype: np.dtype) -> None:
        self._layers = tuple(layers)
        self.dtype = np.dtype(dtype)
        # Before anything is laid out, which takes long for a network that no memory holds: its
        # parameters, and a copy of the largest tensor on its way into them or out.
        tensors = [math.prod(shape) for layer in layers for shape in layer.shapes().values()]
        self._largest = max(tensors)
        size = (sum(tensors) + self._largest) * self.dtype.itemsize
        require(size, "a network of these widths")
        self._tensors: dict[int, _Tensors] = {}
        #: Elements of the buffer.
        self.parameters = 0
        for place, layer in enumerate(layers):
            if layer.shapes():
                self._add(place, layer)

    def _add(self, place: int, layer: Layer) -> None:
        """Place a layer's tensors behind those before it, as a program does with its rows."""
        shape = layer.smallest
        rows = arranged([*layer.rows(0, shape, 1)], shape)
        operations = [row.operation for row in rows]
        program = make_program(math.prod(shape), rows, self.dtype.name, operations)
        (index,) = (k for k, row in enumerate(rows) if row.shapes)
        for name in ("weights", "biases", "biases_end"):
            program.layers[index][name] += self.parameters
        self._tensors[place] = _Tensors(program, index)
        self.parameters += program.parameters

    def empty_state(self, members: int, first: bool, second: bool) -> State:
        """Parameters and the optimiser's state, all zero."""

        def of(used: bool) -> np.ndarray:
            size = self.parameters if used else 0
            return zeros((members, size), self.dtype, "the networks' parameters")

        return State(of(True), of(first), of(second))

    def put(self, name: str, value: np.ndarray, buffer: np.ndarray) -> None:
        """Store a parameter of a member under its name in :meth:`take`."""
        place, _, kind = name.partition(".")
        program, row = self._tensors[int(place)]
        put_tensor(program, row, kind, buffer, value)

    def take(self, buffer: np.ndarray) -> dict[str, np.ndarray]:
        """What a buffer of the parameters' form holds, by torch's names: copies.

        ``"0.weight"`` (out, in) and ``"0.bias"`` (out,) for a Linear layer at place 0.
        """
        return {
            f"{place}.{kind}": take_tensor(program, row, kind, buffer)
            for place, (program, row) in self._tensors.items()
            for kind in program.made_of[row].shapes
        }

    def initialize(self, key: np.ndarray, member: int, buffer: np.ndarray) -> None:
        """Draw a member's first parameters, layer by layer, from its own stream."""
        # Parameters are drawn in float64.
        size = self._largest * (8 + self.dtype.itemsize)
        require(size, "drawing a network's first parameters")
        rng = np.random.default_rng(np.random.SeedSequence(key.tolist(), spawn_key=(0, member)))
        for place, layer in enumerate(self._layers):
            for kind, tensor in layer.draw(rng).items():
                self.put(f"{place}.{kind}", tensor, buffer)

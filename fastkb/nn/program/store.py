"""Where the parameters of a network stand: by its layers alone, whatever the size of its images."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from fastkb.nn.ops.arrangement import arranged
from fastkb.nn.ops.graph import Network, leaves
from fastkb.nn.ops.operation import Layer
from fastkb.nn.ops.storage import BIAS, OWN, named
from fastkb.nn.program.layout import Places, Program, make_program, put_tensor, take_tensor
from fastkb.nn.program.step import State
from fastkb.runtime.memory import require, zeros


class Tensors(NamedTuple):
    """A program of one layer, its tensors where they stand among those of all, and the row of them."""

    program: Program
    row: int


class Store:
    """The parameters of networks of one architecture and element type, in a flat buffer.

    Parameters
    ----------
    layers : sequence of Layer, or Layer
        Checked.
    dtype : numpy.dtype
    """

    def __init__(self, layers: Network, dtype: np.dtype) -> None:
        self._begin(layers, dtype)
        self._place()

    def _begin(self, layers: Network, dtype: np.dtype) -> None:
        """Take note of the layers; no tensor has a place yet."""
        #: The layers that have rows, by their names.
        self.leaves = dict(leaves(layers))
        self.dtype = np.dtype(dtype)
        # Before anything is laid out, which takes long for a network that no memory holds: its
        # parameters, and a copy of the largest tensor on its way into them or out.
        tensors = [
            math.prod(shape) for layer in self.leaves.values() for shape in layer.shapes().values()
        ]
        self._largest = max(tensors, default=0)
        size = (sum(tensors) + self._largest) * self.dtype.itemsize
        require(size, "a network of these widths")
        self._tensors: dict[str, Tensors] = {}
        #: Elements of the buffer that are trained, and all of them: a network's buffers stand behind.
        self.parameters = self.size = 0

    def _place(self) -> None:
        """Give each layer's tensors a place, one behind the other."""
        for name, layer in self._with_tensors():
            self._add(name, layer)
        for program, row in self._tensors.values():
            program.layers[row]["buffers"] += self.parameters
        self.size += self.parameters

    def _with_tensors(self) -> Iterator[tuple[str, Layer]]:
        for name, layer in self.leaves.items():
            if layer.shapes() or layer.buffers():
                yield name, layer

    def _add(self, name: str, layer: Layer) -> None:
        """Place a layer's tensors behind those before it, as a program does with its rows."""
        shape = layer.smallest
        rows = arranged([*layer.rows(0, shape, 1)], shape)
        operations = [row.operation for row in rows]
        program = make_program(math.prod(shape), rows, self.dtype.name, operations)
        (index,) = (k for k, row in enumerate(rows) if row.shapes or row.buffers)
        record = program.layers[index]
        record["buffers"] -= program.parameters
        for field in ("weights", "biases", "biases_end"):
            record[field] += self.parameters
        record["buffers"] += self.size
        self._tensors[name] = Tensors(program, index)
        self.parameters += program.parameters
        self.size += program.buffers

    def places(self) -> Places:
        """Where the tensors stand, for a program that reads them."""
        rows = {name: program.layers[row] for name, (program, row) in self._tensors.items()}
        return Places(rows, self.parameters, self.size - self.parameters)

    def empty_state(self, members: int, first: bool, second: bool) -> State:
        """Parameters with buffers, and the optimiser's state, all zero."""

        def of(size: int) -> np.ndarray:
            return zeros((members, size), self.dtype, "the networks' parameters")

        return State(of(self.size), of(self.parameters * first), of(self.parameters * second))

    def put(self, name: str, value: np.ndarray, buffer: np.ndarray) -> None:
        """Store a parameter or a buffer of a member under its name in :meth:`take`."""
        program, row, kind = self._find(name)
        if kind in program.made_of[row].buffers:
            self._run(program, row, kind, buffer)[...] = np.ravel(value)
        else:
            put_tensor(program, row, kind, buffer, value)

    def take_one(self, name: str, buffer: np.ndarray) -> np.ndarray:
        """One of :meth:`take`."""
        program, row, kind = self._find(name)
        made_of = program.made_of[row]
        if kind in made_of.buffers:
            return self._run(program, row, kind, buffer).reshape(made_of.buffers[kind]).copy()
        return take_tensor(program, row, kind, buffer)

    def ends(self, name: str) -> tuple[int, int]:
        """Where a parameter begins and ends in the buffer, with its padding."""
        program, row, kind = self._find(name)
        record = program.layers[row]
        if kind == BIAS:
            return int(record["biases"]), int(record["biases_end"])
        return int(record["weights"]), int(record["biases"])

    def _find(self, name: str) -> tuple[Program, int, str]:
        """A program with a tensor's row, and the tensor's name within its layer."""
        found, kind = self._tensors.get(name), OWN
        if found is None:
            layer, _, kind = name.rpartition(".")
            found = self._tensors[layer]
        return found.program, found.row, kind

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters by their names, in the order in which they stand."""
        found = {
            named(layer, kind): shape
            for layer, (program, row) in self._tensors.items()
            for kind, shape in program.made_of[row].shapes.items()
        }
        return dict(sorted(found.items(), key=lambda each: self.ends(each[0])))

    def spans(self, names: Collection[str], *, apart: bool = False) -> np.ndarray:
        """Where some parameters begin and end in the buffer, in the order in which they stand.

        Neighbours are one span, with the padding between them, unless they shall be `apart`.
        # shape: (count, 2)
        """
        found: list[list[int]] = []
        joined = False  # whether the parameter before is one of them
        for name in self.shapes():
            chosen = name in names
            if chosen:
                begin, end = self.ends(name)
                if joined and not apart:
                    found[-1][1] = end
                else:
                    found.append([begin, end])
            joined = chosen
        return np.array(found, np.intp).reshape(-1, 2)

    def take(self, buffer: np.ndarray) -> dict[str, np.ndarray]:
        """What a buffer of the parameters' form holds, by torch's names: copies.

        ``"0.weight"`` (out, in) and ``"0.bias"`` (out,) for a Linear layer at place 0. What is as long as
        the trained ones alone, such as gradients, has no others.
        """
        found = {}
        for layer, (program, row) in self._tensors.items():
            made_of = program.made_of[row]
            for kind in made_of.shapes:
                found[named(layer, kind)] = take_tensor(program, row, kind, buffer)
            if len(buffer) == self.size:
                for kind, shape in made_of.buffers.items():
                    run = self._run(program, row, kind, buffer)
                    found[named(layer, kind)] = run.reshape(shape).copy()
        return found

    @staticmethod
    def _run(program: Program, row: int, kind: str, buffer: np.ndarray) -> np.ndarray:
        """Where one of a row's buffers stands: a view."""
        begin = int(program.layers[row]["buffers"])
        for name, shape in program.made_of[row].buffers.items():
            if name == kind:
                break
            begin += math.prod(shape)
        return buffer[begin : begin + math.prod(shape)]

    def initialize(self, key: np.ndarray, member: int, buffer: np.ndarray) -> None:
        """Draw a member's first parameters, layer by layer, from its own stream."""
        # Parameters are drawn in float64.
        size = self._largest * (8 + self.dtype.itemsize)
        require(size, "drawing a network's first parameters")
        rng = np.random.default_rng(np.random.SeedSequence(key.tolist(), spawn_key=(0, member)))
        for name, layer in self.leaves.items():
            for kind, tensor in layer.draw(rng).items():
                self.put(named(name, kind), tensor, buffer)

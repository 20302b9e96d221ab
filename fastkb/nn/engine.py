"""From a network's layers to the compiled interpreter: buffers, and the calls with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastkb.nn.layers import Linear, lower
from fastkb.nn.losses import Loss
from fastkb.nn.passes import Sizes
from fastkb.nn.program import (
    Program,
    biases_of,
    make_program,
    set_weights,
    weights_of,
)
from fastkb.nn.training import (
    Data,
    Scratch,
    State,
    Steps,
    evaluate,
    loss_and_gradients,
    train_members,
    train_threads,
)
from fastkb.nn.updates import Hyper
from fastkb.runtime.memory import check_available
from fastkb.runtime.threads import n_threads
from fastkb.validation.networks import Observations

# Observations that are evaluated at a time: enough for the weights to be read from memory rarely, and
# few enough for all layers' values to stay in the second-level cache.
_EVALUATED = 128

# Multiply-adds from which the threads share a step: its eight or so parallel regions cost some 20 µs, in
# which a thread does two million.
_SHARED_FROM = 6_000_000

# Parts for each thread, so that one that is held up holds up the others less.
_PARTS = 2


class Engine:
    """The compiled side of networks of one architecture and element type.

    Parameters
    ----------
    layers : sequence of layers
        Checked.
    dtype : numpy.dtype
    """

    def __init__(self, layers: Sequence[Any], dtype: np.dtype) -> None:
        self._layers = tuple(layers)
        rows, self._places = lower(layers)
        self.dtype = np.dtype(dtype)
        self.program: Program = make_program(rows, self.dtype.name)
        self._scratch: tuple[tuple[int, int, bool], Scratch] | None = None

    def empty_state(self, members: int, first: bool, second: bool) -> State:
        """Parameters and the optimiser's state, all zero."""
        size = self.program.parameters

        def zeros(used: bool) -> np.ndarray:
            return np.zeros((members, size if used else 0), self.dtype)

        return State(zeros(True), zeros(first), zeros(second))

    def put(self, name: str, value: np.ndarray, buffer: np.ndarray) -> None:
        """Store a parameter of a member under its name in :meth:`take`."""
        place, _, kind = name.partition(".")
        row = self._places[int(place)]
        if kind == "weight":
            set_weights(self.program, row, buffer, value)
        else:
            biases_of(self.program, row, buffer)[:] = value

    def take(self, buffer: np.ndarray) -> dict[str, np.ndarray]:
        """What a buffer of the parameters' form holds, by torch's names: copies.

        ``"0.weight"`` (out, in) and ``"0.bias"`` (out,) for a Linear layer at place 0.
        """
        found = {}
        for place, row in self._places.items():
            found[f"{place}.weight"] = weights_of(self.program, row, buffer)
            if self.program.layers[row]["has_biases"]:
                found[f"{place}.bias"] = biases_of(self.program, row, buffer).copy()
        return found

    def initialize(self, key: np.ndarray, member: int, buffer: np.ndarray) -> None:
        """Draw a member's first parameters, layer by layer, from its own stream."""
        rng = np.random.default_rng(np.random.SeedSequence(key.tolist(), spawn_key=(0, member)))
        for place, layer in enumerate(self._layers):
            if isinstance(layer, Linear):
                weights, biases = layer.draw(rng)
                self.put(f"{place}.weight", weights, buffer)
                if biases is not None:
                    self.put(f"{place}.bias", biases, buffer)

    def _sizes(self, capacity: int) -> Sizes:
        blocking = self.program.blocking
        rows = -(-capacity // blocking.mr) * blocking.mr
        return Sizes(blocking.mr, blocking.nr, blocking.width, blocking.kc, rows, 0)

    def _room(self, workers: int, capacity: int, training: bool) -> Scratch:
        """Scratch for so many workers and observations; kept for the next call like this."""
        wanted = (workers, capacity, training)
        if self._scratch is not None and self._scratch[0] == wanted:
            return self._scratch[1]
        program, nr = self.program, self.program.blocking.nr
        values = program.values * capacity
        backward = (program.parameters, program.transposed, values) if training else (0, 0, 0)
        size = workers * (values + sum(backward)) * self.dtype.itemsize
        check_available(size, "the values of a network's layers")

        def zeros(count: int) -> np.ndarray:
            return np.zeros((workers, count), self.dtype)

        gradients, transposed, deltas = (zeros(count) for count in backward)
        room = Scratch(
            gradients,
            transposed,
            zeros(values),
            deltas,
            zeros(nr),
            np.ones((workers, 1), self.dtype),
        )
        self._scratch = wanted, room
        return room

    def forward(self, parameters: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Outputs of one member.  # shape: (n, outputs)"""
        sizes = self._sizes(min(len(inputs), _EVALUATED))
        workers = min(n_threads(), -(-len(inputs) // sizes.capacity))
        room = self._room(workers, sizes.capacity, False)
        out = np.empty((len(inputs), self.program.outputs), self.dtype)
        evaluate(parameters, self.program.layers, room, inputs, sizes, out)
        return out

    def loss_and_gradients(
        self, parameters: np.ndarray, observations: Observations, loss: str, l2: float
    ) -> tuple[float, np.ndarray]:
        """Loss over all observations, and the gradients in a buffer of the parameters' form: a view."""
        sizes = self._sizes(len(observations.inputs))
        room = self._room(1, sizes.capacity, True)
        steps = Steps(loss_code(loss), l2, 0, 0.0, 0.0, len(observations.inputs), 0)
        data = _data(observations, 1)
        value = loss_and_gradients(parameters, self.program.layers, room, data, steps, sizes)
        return value, room.gradients[0]

    def train(
        self,
        state: State,
        observations: Observations,
        order: np.ndarray,
        steps: Steps,
        hyper: Hyper,
    ) -> np.ndarray:
        """Run the steps that `order` (members, count) holds; each step's loss, (members, steps).

        A member whose loss is not finite stops before that step's update.
        """
        members, count = order.shape
        sizes = self._sizes(min(steps.batch, count))
        room = self._room(min(n_threads(), members), sizes.capacity, True)
        losses = np.zeros((members, math.ceil(count / steps.batch)))
        data = _data(observations, members)
        arguments = (state, self.program.layers, room, data, order, steps, hyper, sizes)
        if members == 1 and n_threads() > 1 and self.work(steps.batch) >= _SHARED_FROM:
            train_threads(*arguments, _PARTS * n_threads(), losses)
        else:
            train_members(*arguments, losses)
        return losses

    def work(self, batch: int) -> int:
        """Multiply-adds of a step."""
        rows = self.program.layers[self.program.layers["has_weights"] == 1]
        return 3 * batch * int((rows["inputs"] * rows["outputs"]).sum())


def _data(observations: Observations, members: int) -> Data:
    inputs, targets, labels, weights = observations
    each = weights if weights.ndim == 2 else np.broadcast_to(weights, (members, len(weights)))
    return Data(inputs, targets, labels, np.ascontiguousarray(each))


def loss_code(loss: str) -> int:
    """The compiled code's number of a loss."""
    return int(Loss[loss.upper()])

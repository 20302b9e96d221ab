"""From a network's layers to the compiled interpreter: buffers, and the calls with them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.observations import Observations
from fastkb.nn.ops.graph import Network, in_order, input_shape, recorded
from fastkb.nn.ops.layers import rows_of, whole_shape
from fastkb.nn.ops.losses import NamedLoss, named
from fastkb.nn.ops.operation import Node, Row
from fastkb.nn.optim.updates import Hyper
from fastkb.nn.program.interpreter import interpreter
from fastkb.nn.program.layout import Places, Program, make_program
from fastkb.nn.program.passes import Sizes
from fastkb.nn.program.schedule import MOST_TASKS, new_control, no_control
from fastkb.nn.program.step import (
    BY_NOTHING,
    GRADIENTS_ONLY,
    LOSS_ONLY,
    RECORDED,
    Data,
    Each,
    Run,
    Scratch,
    State,
    Steps,
    new_scratch,
    shared_place,
)
from fastkb.nn.program.store import Store, Tensors
from fastkb.runtime.memory import check_available
from fastkb.runtime.threads import n_threads
from fastkb.runtime.workers import call_each, call_together

# Observations that are evaluated at a time: enough for the weights to be read from memory rarely, and
# few enough for all layers' values to stay in the second-level cache.
_EVALUATED = 128

# Bytes of the values of images that are evaluated at a time, if one unit of them is not more.
_CACHED = 2**20

# Multiply-adds of a step that are worth a thread: some five microseconds; the ends of phases cost it one.
_A_THREAD = 400_000

# Multiply-adds of an evaluation from which threads are worth their waking.
_APART = 6_000_000

# Scratch of so many kinds of calls is kept.
_KEPT = 3

# Parts for each thread, so that one that is held up holds up the others less.
_PARTS = 2


class Draw(NamedTuple):
    """Which random numbers are drawn: the masks of dropout."""

    seed: int = 0
    step: int = 0


class Passed(NamedTuple):
    """What a graph gives for some observations."""

    loss: float
    outputs: np.ndarray  # shape: (n, outputs)
    gradients: np.ndarray  # in a buffer of the parameters' form
    by_inputs: np.ndarray  # derivatives with respect to the inputs.  # shape: (n, inputs)


class Engine(Store):
    """The compiled side of networks of one architecture, element type and shape of inputs.

    Parameters
    ----------
    layers : sequence of Layer, or Layer
        Checked.
    dtype : numpy.dtype
    shape : tuple of int, optional
        Of the inputs, without the observations; None: the layers know it.
    """

    def __init__(
        self, layers: Network, dtype: np.dtype, shape: tuple[int, ...] | None = None
    ) -> None:
        self._begin(layers, dtype)
        taken: Any = input_shape(layers) if shape is None else shape
        end = recorded(layers, taken)
        rows = rows_of(end)
        named = [row.layer for row in rows if row.layer]
        if named == [name for name, _ in self._with_tensors()]:
            self._lay_out(end, rows, taken)
            # The program's own rows say where the tensors are.
            self._tensors = {
                row.layer: Tensors(self.program, k) for k, row in enumerate(rows) if row.layer
            }
            self.parameters = self.program.parameters
            self.size = self.parameters + self.program.buffers
        else:
            self._place()
            self._lay_out(end, rows, taken, self.places())

    @classmethod
    def of_graph(cls, store: Store, end: Node, *, inputs_trained: bool) -> Engine:
        """The engine of a graph, whose layers have their parameters in a store."""
        made = cls.__new__(cls)
        vars(made).update(vars(store))
        shape = whole_shape([node for node in in_order(end) if node.layer is None])
        made._lay_out(end, rows_of(end), shape, store.places(), inputs_trained=inputs_trained)
        return made

    def _lay_out(
        self,
        end: Node,
        rows: list[Row],
        shape: tuple[int, ...],
        places: Places | None = None,
        *,
        inputs_trained: bool = False,
    ) -> None:
        #: Of the outputs, without the observations.
        self.output_shape = end.shape
        self._interpreter = interpreter(frozenset(row.operation for row in rows))
        self.program: Program = make_program(
            math.prod(shape), rows, self.dtype.name, self._interpreter.operations, places,
            inputs_trained=inputs_trained,
        )  # fmt: skip
        #: Whether numbers are drawn in training.
        self.draws = any(row.operation.draws for row in rows)
        self._work = sum(row.work for row in rows)
        self._evaluated = _evaluated(self.program)
        self._kept: dict[tuple[int, int, bool, int], list[Scratch]] = {}

    def _sizes(self, capacity: int) -> Sizes:
        blocking, unit = self.program.blocking, self.program.unit
        rows = -(-capacity // unit) * unit
        shared = shared_place(self.program, rows)
        return Sizes(
            blocking.mr, blocking.nr, blocking.width, rows, 0, unit, shared, 0, self.program.lanes
        )

    @contextlib.contextmanager
    def _rooms(self, count: int, capacity: int, training: bool) -> Iterator[list[Scratch]]:
        """Scratch for so many threads, or one that all of them share; kept for the next such call."""
        threads = n_threads() if training and count == 1 else 1
        wanted = (count, capacity, training, threads)
        rooms = self._kept.pop(wanted, None)  # another thread that comes now makes its own
        if rooms is None:
            program = self.program
            backward = program.parameters + program.transposed if training else 0
            size = program.values * capacity * (2 if training else 1) + backward
            check_available(count * size * self.dtype.itemsize, "the values of a network's layers")
            rooms = [
                new_scratch(program, capacity, training=training, threads=threads)
                for _ in range(count)
            ]
        yield rooms
        # Training and validation take turns.
        self._kept = dict([*self._kept.items(), (wanted, rooms)][-_KEPT:])

    def forward(self, parameters: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Outputs of one member.  # shape: (n, outputs)"""
        n = len(inputs)
        inputs = inputs.reshape(n, -1)
        unit = self.program.unit
        # What a thread evaluates at a time: some of it, where that is not worth waking another.
        threads = n_threads() if self.work(n) // 3 >= _APART else 1
        size = min(self._evaluated, -(-n // (unit * threads)) * unit)
        threads = min(threads, -(-n // size))
        sizes = self._sizes(threads * size)._replace(observations=size)
        out = np.empty((n, self.program.outputs), self.dtype)
        with self._rooms(1, sizes.capacity, False) as rooms:
            evaluate = self._interpreter.evaluate
            if threads > 1:
                # Compiled before there are others: an interrupt of the compiler leaves no thread at work.
                evaluate = evaluate.compiled(self.dtype)
            call_together(
                evaluate,
                (parameters, self.program.layers, rooms[0], inputs, sizes, out, no_control()),
                threads,
            )
        return out

    def loss_and_gradients(
        self,
        parameters: np.ndarray,
        observations: Observations,
        loss: str | NamedLoss,
        l2: float,
        seed: int = 0,
    ) -> tuple[float, np.ndarray]:
        """Loss over all observations, and the gradients in a buffer of the parameters' form.

        As in the first step of a training whose masks have this seed.
        """
        n, told = len(observations.inputs), named(loss)
        steps = Steps(told.code, l2, BY_NOTHING, 0.0, 0.0, n, number=told.number)
        unused = np.zeros((1, 0), self.dtype)
        state = State(parameters[None, :], unused, unused)
        hyper = Hyper(GRADIENTS_ONLY, 0.0)
        order = np.arange(n)[None, :]
        losses = np.zeros((1, 1))
        sizes = self._sizes(n)
        with self._rooms(1, sizes.capacity, True) as rooms:
            data, rows = data_of(observations, 1), self.program.rows
            each = each_of(1, seeds=np.array([seed], np.int64))
            self.one(Run(state, rows, rooms[0], data, order, steps, hyper, each, sizes, losses))
            return float(losses[0, 0]), rooms[0].gradients.copy()

    def run_graph(
        self,
        parameters: np.ndarray,
        observations: Observations,
        loss: NamedLoss | None,
        code: int,
        draw: Draw,
    ) -> Passed:
        """All observations at once, as they are in training; see :class:`Passed`."""
        n = len(observations.inputs)
        steps = Steps(-1, 0.0, BY_NOTHING, 0.0, 0.0, n)
        if loss is not None:
            steps = steps._replace(loss=loss.code, number=loss.number)
        unused = np.zeros((1, 0), self.dtype)
        losses = np.zeros((1, 1))
        sizes = self._sizes(n)
        with self._rooms(1, sizes.capacity, True) as rooms:
            values, deltas = rooms[0].values, rooms[0].deltas
            run = Run(
                State(parameters[None, :], unused, unused), self.program.rows, rooms[0],
                data_of(observations, 1), np.arange(n)[None, :], steps, Hyper(code, 0.0),
                each_of(1, updates=draw.step, seeds=np.array([draw.seed], np.int64)), sizes, losses,
            )  # fmt: skip
            self.one(run)
            last, first = self.program.layers[-1], self.program.layers[0]
            begin, stride = int(last["target"]) * sizes.capacity, int(last["target_stride"])
            outputs = values[begin : begin + n * stride].reshape(n, stride)
            stride = int(first["source_stride"])
            by_inputs = deltas[: n * stride].reshape(n, stride)[:, : self.program.inputs]
            wanted = code == RECORDED and self.program.inputs_trained
            return Passed(
                float(losses[0, 0]), outputs[:, : self.program.outputs].copy(), rooms[0].gradients.copy(),
                by_inputs.copy() if wanted else by_inputs[:0],
            )  # fmt: skip

    def loss(
        self, parameters: np.ndarray, observations: Observations, loss: str | NamedLoss
    ) -> float:
        """The loss of observations without weights, some at a time."""
        n = len(observations.inputs)
        batch, told = min(n, self._evaluated), named(loss)
        steps = Steps(told.code, 0.0, BY_NOTHING, 0.0, 0.0, batch, number=told.number)
        unused = np.zeros((1, 0), self.dtype)
        losses = np.zeros((1, -(-n // batch)))
        sizes = self._sizes(batch)
        with self._rooms(1, sizes.capacity, True) as rooms:
            run = Run(
                State(parameters[None, :], unused, unused), self.program.rows, rooms[0],
                data_of(observations, 1), np.arange(n)[None, :], steps, Hyper(LOSS_ONLY, 0.0),
                each_of(1), sizes, losses,
            )  # fmt: skip
            self._interpreter.run_steps(run, 0, new_control())
        return float(losses[0] @ batch_sizes(n, batch)) / n

    def losses(
        self, parameters: np.ndarray, observations: Observations, chosen: np.ndarray, steps: Steps
    ) -> np.ndarray:
        """Each member's loss of one batch, `chosen` (members, count), as a step finds it: (members,)."""
        members, count = chosen.shape
        unused = np.zeros((members, 0), self.dtype)
        losses = np.zeros((members, 1))
        sizes = self._sizes(count)
        with self._rooms(1, sizes.capacity, True) as rooms:
            run = Run(
                State(parameters, unused, unused), self.program.rows, rooms[0],
                data_of(observations, members), chosen, steps, Hyper(LOSS_ONLY, 0.0),
                each_of(members), sizes, losses,
            )  # fmt: skip
            self._interpreter.run_steps(run, 0, new_control())
        return losses[:, 0]

    def train(
        self,
        state: State,
        observations: Observations,
        order: np.ndarray,
        steps: Steps,
        hyper: Hyper,
        each: Each,
    ) -> np.ndarray:
        """Run the steps that `order` (members, count) holds; each step's loss, (members, steps).

        A member whose loss is not finite stops before that step's update, and is marked in `each`.
        """
        members, count = order.shape
        batches = batch_sizes(count, steps.batch, steps.epoch)
        sizes = self._sizes(int(batches[0]))
        losses = np.zeros((members, len(batches)))
        data = data_of(observations, members)
        spans = deal(members, n_threads())
        with self._rooms(len(spans), sizes.capacity, True) as rooms:
            run = Run(
                state, self.program.rows, rooms[0], data, order, steps, hyper, each, sizes, losses
            )
            if members == 1:
                self.one(run)
            else:
                parts = [
                    (some_of(run, part, room), 0, new_control())
                    for room, part in zip(rooms, spans, strict=True)
                ]
                call_each(self._interpreter.run_steps, parts)
        return losses

    def one(self, run: Run) -> None:
        """Steps of one member, on all threads if there is work for them."""
        threads = self.threads(min(run.steps.batch, run.order.shape[1]))
        if threads > 1:
            # Compiled before there are others: an interrupt of the compiler leaves no thread at work.
            shared = self._interpreter.run_steps.compiled(self.dtype)
            call_together(shared, (run, _PARTS * threads, new_control()), threads)
        else:
            self._interpreter.run_steps(run, 0, new_control())

    def threads(self, batch: int) -> int:
        """Threads that share a step."""
        if len(self.program.blocks) > MOST_TASKS:
            return 1
        return max(1, min(n_threads(), self.work(batch) // _A_THREAD))

    def work(self, batch: int) -> int:
        """Multiply-adds of a step."""
        return 3 * batch * self._work


def _evaluated(program: Program) -> int:
    """Observations that are evaluated at a time: whole units, and as many as the cache holds."""
    if not program.lanes:
        return _EVALUATED
    size = program.values * program.dtype.itemsize * program.unit
    return program.unit * max(1, min(_EVALUATED // program.unit, _CACHED // size))


def deal(n: int, threads: int) -> list[slice]:
    """n things in at most so many parts, as even as can be."""
    count = max(1, min(n, threads))
    return [slice(n * k // count, n * (k + 1) // count) for k in range(count)]


def some_of(run: Run, part: slice, scratch: Scratch) -> Run:
    """The steps of some members, in scratch of their own."""
    return run._replace(
        state=State(*(array[part] for array in run.state)),
        scratch=scratch,
        data=run.data._replace(weights=run.data.weights[part]),
        order=run.order[part],
        each=Each(*(array[part] for array in run.each)),
        losses=run.losses[part],
    )


def each_of(
    members: int, rate: float = 0.0, updates: int = 0, seeds: np.ndarray | None = None
) -> Each:
    """Members that have all the same rate, and have been updated as often; seeds of masks, or zeros."""
    none = np.zeros(members, np.int64)
    return Each(
        np.full(members, rate),
        np.full(members, updates, np.int64),
        none,
        none.copy() if seeds is None else seeds,
    )


def batch_sizes(n: int, batch: int, epoch: int = 0) -> np.ndarray:
    """Observations of each step, of n in all; 0: they are of one epoch."""
    epoch = epoch or n
    sizes = np.full(-(-epoch // batch), batch)
    sizes[-1] = epoch - batch * (len(sizes) - 1)
    return sizes if epoch == n else np.tile(sizes, n // epoch)


def data_of(observations: Observations, members: int) -> Data:
    """Observations as the interpreter reads them, with weights for each member."""
    inputs, targets, labels, weights = observations
    inputs = inputs.reshape(len(inputs), -1)
    if weights.ndim == 1:
        weights = np.repeat(weights[None, :], members, axis=0)
    return Data(inputs, targets, labels, weights)


def loss_code(loss: str | NamedLoss) -> int:
    """The compiled code's number of a loss."""
    return named(loss).code

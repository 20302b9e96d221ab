"""Recorded graphs as programs: values, losses and their derivatives.

A graph that was met before is looked up: by its layers, who reads whom, and the shapes of its data.
"""

from __future__ import annotations

import math
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.observations import Observations
from fastkb.nn.ops.graph import in_order
from fastkb.nn.ops.losses import NamedLoss
from fastkb.nn.ops.operation import Node
from fastkb.nn.ops.storage import named
from fastkb.nn.program.engine import Draw, Engine, Passed
from fastkb.nn.program.step import FORWARD_ONLY, RECORDED
from fastkb.nn.program.store import Store
from fastkb.nn.recording.tensor import Leaf, Tensor, uses
from fastkb.nn.training.masks import mask_seeds

_KEPT = 32  # programs of a network

# The masks of calls are those of no epoch of a training.
_CALLS = 2**32 - 1


class Compiled(NamedTuple):
    """The program of a graph."""

    engine: Engine
    names: frozenset[str]  # of the layers whose parameters it reads
    in_training: bool  # whether it is another one in training
    layers: list[Any]  # kept, as the key tells them by their places in memory


class Gradients:
    """Derivatives of losses with respect to a network's parameters, as they add up.

    Attributes
    ----------
    present : set of str
        The parameters that have some.
    frozen : set of str
        Those that are not trained.
    """

    def __init__(self, network: Any) -> None:
        # Weak: the network holds this, and is freed at once where nobody holds it. The memory that it
        # has computed in then serves the next one.
        self._reference = weakref.ref(network)
        self.buffer: np.ndarray | None = None
        self.present: set[str] = set()
        self.frozen: set[str] = set()

    @property
    def _network(self) -> Any:
        network = self._reference()
        assert network is not None
        return network

    def add(self, found: np.ndarray, names: Iterable[str]) -> None:
        """Add those of a loss; of parameters with these names."""
        names = set(names) - self.frozen
        if self.buffer is None or not self.present:
            self.buffer = found
        elif names == self.present:
            self.buffer += found
        else:
            for name in names:
                begin, end = self._network._store.ends(name)
                before = self.buffer[begin:end] if name in self.present else 0.0
                self.buffer[begin:end] = found[begin:end] + before
        self.present |= names

    def take(self, name: str) -> np.ndarray | None:
        """Those with respect to one parameter: a copy."""
        if name not in self.present or self.buffer is None:
            return None
        found: np.ndarray = self._network._store.take_one(name, self.buffer)
        return found

    def put(self, name: str, shape: tuple[int, ...], values: Any) -> None:
        """Put others in their place; None: there are none."""
        if values is None:
            self.present.discard(name)
            return
        array = np.asarray(values)
        if array.shape != shape:
            raise ValueError(f"grad of {name} must have shape {shape}, got {array.shape}")
        store, _, _ = self._network._ready(np.dtype(np.float64))
        if self.buffer is None:
            self.buffer = np.zeros(store.parameters, store.dtype)
        store.put(name, array, self.buffer)
        self.present.add(name)


class Loose:
    """In the place of a network, for graphs without parameters."""

    def __init__(self, dtype: np.dtype) -> None:
        self._store = Store((), dtype)
        self._state = self._store.empty_state(1, False, False)
        self._programs: OrderedDict[Any, Compiled] = OrderedDict()

    def _ready(self, dtype: np.dtype) -> tuple[Any, Any, None]:
        return self._store, self._state, None


_loose = {kind: Loose(np.dtype(kind)) for kind in (np.float32, np.float64)}


def compiled(nodes: list[Node], network: Any, wanted: frozenset[int]) -> Compiled:
    """The program of a graph, given by :func:`in_order`, which may have been made before."""
    numbers = {id(node): place for place, node in enumerate(nodes)}
    key: list[Any] = [wanted]
    for node in nodes:
        if node.layer is None:
            key.append(node.shape)
        else:
            key.append((id(node.layer), node.name, *[numbers[id(read)] for read in node.reads]))
    programs = network._programs
    whole = network._store.dtype, *key
    found = programs.get(whole)
    if found is None:
        engine = Engine.of_graph(network._store, nodes[-1], inputs_trained=bool(wanted))
        rows = engine.program.made_of
        names = frozenset(
            named(row.layer, kind) for row in rows if row.layer for kind in row.shapes
        )
        in_training = engine.draws or any(row.operation.across for row in rows)
        layers = [node.layer for node in nodes]
        programs[whole] = found = Compiled(engine, names, in_training, layers)
        if len(programs) > _KEPT:
            programs.popitem(last=False)
    else:
        programs.move_to_end(whole)
    return found


def element_of(value: Tensor) -> np.dtype:
    """The element type in which a tensor is computed."""
    network = value._network
    if network is not None and network._dtype is not None:
        return np.dtype(network._dtype)
    leaves = leaves_of(value._node)
    if not leaves:
        raise ValueError(
            "numbers of a tensor are asked for while forward is recorded for fit or predict, which has "
            "none: call the network, and train it by backward() and step()"
        )
    if network is not None:  # of its inputs, which come first
        return np.dtype(leaves[0].array.dtype)
    return np.result_type(*(leaf.array for leaf in leaves))


def leaves_of(end: Node) -> list[Leaf]:
    """The data that a graph begins with."""
    return [node for node in in_order(end) if isinstance(node, Leaf)]


class Ready(NamedTuple):
    """A program, and what it runs on."""

    found: Compiled
    parameters: np.ndarray  # with buffers
    inputs: np.ndarray
    leaves: list[Leaf]
    nodes: list[Node]


def _prepare(value: Tensor) -> Ready:
    """The program of a tensor, its parameters and its data."""
    nodes = in_order(value._node)
    network = value._network
    if network is None:
        network = _loose[element_of(value).type]
    elif value._version != network._version:
        raise ValueError(
            "the network's parameters have changed since this tensor was recorded, and its numbers were "
            "not asked for before: call numpy() or item() before the optimiser's step"
        )
    _, state, _ = network._ready(element_of(value))
    leaves = [node for node in nodes if isinstance(node, Leaf)]
    wanted = frozenset(k for k, leaf in enumerate(leaves) if _wants(leaf))
    found = compiled(nodes, network, wanted)
    array = leaves[0].array
    if len(leaves) > 1:
        array = np.concatenate([leaf.array.reshape(value._n, -1) for leaf in leaves], axis=1)
    if array.dtype != found.engine.dtype:
        array = array.astype(found.engine.dtype)
    return Ready(found, state.parameters[0], array, leaves, nodes)


def _wants(leaf: Leaf) -> bool:
    tensor = leaf.tensor()
    return tensor is not None and tensor.requires_grad


def _without_answers(inputs: np.ndarray, outputs: int) -> Observations:
    empty = np.zeros((0, outputs), inputs.dtype)
    return Observations(inputs, empty, np.zeros(0, np.int64), np.zeros(0, inputs.dtype))


def evaluate(value: Tensor) -> np.ndarray:
    """The numbers of a tensor."""
    ready = _prepare(value)
    engine = ready.found.engine
    if ready.found.in_training:
        data = _without_answers(ready.inputs, engine.program.outputs)
        outputs = _run(value, ready, data, None, FORWARD_ONLY).outputs
    else:
        outputs = engine.forward(ready.parameters, ready.inputs)
    return outputs.reshape(value.shape)


def _run(
    value: Tensor, ready: Ready, data: Observations, loss: NamedLoss | None, code: int
) -> Passed:
    """Run a program; running statistics follow once, however often the same tensors are asked for."""
    engine, parameters = ready.found.engine, ready.parameters
    counted = []
    if ready.found.in_training:
        for node in ready.nodes:
            check_batch_of(node, value._n)
        counted = [node for node in ready.nodes if node.layer and node.layer.buffers()]
    draw = _draw(value) if engine.draws else Draw()
    settled = [
        (named(node.name, kind), engine.take_one(named(node.name, kind), parameters))
        for node in counted
        if node.settled and node.layer is not None
        for kind in node.layer.buffers()
    ]
    passed = engine.run_graph(parameters, data, loss, code, draw)
    for name, array in settled:
        engine.put(name, array, parameters)
    for node in counted:
        node.settled = True
    return passed


def _draw(value: Tensor) -> Draw:
    """The masks of the call that has recorded a tensor."""
    if value._network is None:
        return Draw(0, value._call)
    _, _, key = value._network._ready(element_of(value))
    return Draw(int(mask_seeds(key, _CALLS, 0, 1)[0]), value._call)


def check_batch_of(node: Node, observations: int) -> None:
    """Refuse a batch of so many observations, where a value's layer does, naming it."""
    if node.layer is not None and node.reads:
        try:
            node.layer.check_batch(node.reads[0].shape, observations)
        except ValueError as error:
            raise ValueError(f"layer {node.name}, {node.layer!r}, {error}") from None


def loss_of(value: Tensor, loss: NamedLoss, answers: Observations) -> float:
    """The mean loss of a tensor."""
    ready = _prepare(value)
    data = answers._replace(inputs=ready.inputs)
    passed = _run(value, ready, data, loss, FORWARD_ONLY)
    if value._array is None:
        value._array = passed.outputs.reshape(value.shape)
    return passed.loss


def differentiate(value: Tensor, loss: NamedLoss, answers: Observations, factor: float) -> float:
    """The mean loss of a tensor. Its derivatives, times a factor, are added to those that there are.

    Raises
    ------
    FloatingPointError
        If the loss is not finite. No derivatives are added.
    """
    ready = _prepare(value)
    data = answers._replace(inputs=ready.inputs)
    passed = _run(value, ready, data, loss, RECORDED)
    if value._array is None:
        value._array = passed.outputs.reshape(value.shape)
    if not math.isfinite(passed.loss):
        raise FloatingPointError(
            f"the loss is {passed.loss}, and has no derivatives: a smaller learning rate may help"
        )
    if factor != 1.0:
        passed.gradients[...] *= passed.gradients.dtype.type(factor)
    if value._network is not None:
        value._network._gradients.add(passed.gradients, ready.found.names)
    begin = 0
    for leaf in ready.leaves:
        stop = begin + math.prod(leaf.shape)
        tensor = leaf.tensor()
        if tensor is not None and tensor.requires_grad:
            by_this = (factor * passed.by_inputs[:, begin:stop]).reshape(leaf.array.shape)
            by_this = by_this.astype(leaf.array.dtype, copy=False)
            tensor.grad = by_this if tensor.grad is None else tensor.grad + by_this
        begin = stop
    return passed.loss


uses["evaluate"], uses["element_of"] = evaluate, element_of

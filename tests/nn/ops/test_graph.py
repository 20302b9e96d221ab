"""Graphs of layers: their order, values of several readers, and parameters that several rows read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.observations import Observations
from fastkb.nn.ops.graph import in_order, leaves, output_shape, recorded
from fastkb.nn.ops.layers import lower
from fastkb.nn.ops.operation import Layer, Node
from fastkb.nn.ops.tensors.joins import Combination
from fastkb.nn.program.engine import Engine
from fastkb.nn.program.store import Store
from fastkb.runtime.threads import use_threads


@dataclass(frozen=True)
class Wired(Layer):
    """Layers that a function puts together."""

    layers: Any
    wire: Any

    @property
    def parts(self):
        return self.layers

    def shape_of(self, shape):
        return self.record(Node(None, (), shape), "").shape

    def record(self, value, name):
        def call(own, *values):
            return self.layers[own].record(*values, f"{name}{own}")

        return self.wire(call, value)


def total(*values):
    """The sum of two or more values."""
    found = values[0]
    for each in values[1:]:
        found = Combination().record_all((found, each))
    return found


def fan(call, x):
    """The first layer is met last, and a value is read by three."""
    h = call("tanh", call("b", x))
    return call("a", total(h, call("c", h), call("c2", h)))


def again(call, x):
    """One layer three times."""
    h = call("tanh", call("a", x))
    h = call("tanh", call("a", h))
    return call("b", call("a", h))


DENSE = {
    "a": nn.Linear(4, 4), "b": nn.Linear(4, 4), "c": nn.Linear(4, 4), "c2": nn.Linear(4, 4, bias=False),
    "tanh": nn.Tanh(),
}  # fmt: skip
IMAGES = {
    "a": nn.Conv2d(2, 2, 3, padding=1), "b": nn.Conv2d(2, 2, 1), "c": nn.BatchNorm2d(2),
    "c2": nn.AvgPool2d(3, 1, 1), "tanh": nn.Tanh(),
}  # fmt: skip
LARGE = {**DENSE, **{name: nn.Linear(200, 200) for name in ("a", "b")}}


def draw(layers, dtype):
    rng = np.random.default_rng(0)
    shape = {id(DENSE): (4,), id(LARGE): (200,), id(IMAGES): (2, 4, 5)}[id(layers)]
    X = rng.standard_normal((19, *shape)).astype(dtype)
    y = rng.standard_normal((19, int(np.prod(shape)))).astype(dtype)
    return X, Observations(X, y, np.zeros(0, np.int64), np.zeros(0, dtype))


def parameters_of(engine, seed=1):
    key = np.arange(seed, seed + 4, dtype=np.uint32)
    parameters = engine.empty_state(1, False, False).parameters
    engine.initialize(key, 0, parameters[0])
    return parameters[0]


@pytest.mark.parametrize("wire", [fan, again])
@pytest.mark.parametrize("layers", [DENSE, IMAGES], ids=["dense", "images"])
def test_gradients_are_those_of_differences(layers, wire):
    X, data = draw(layers, np.float64)
    engine = Engine(Wired(layers, wire), X.dtype, X.shape[1:])
    parameters = parameters_of(engine)
    _, gradients = engine.loss_and_gradients(parameters, data, "squared_error", 0.1)
    found, rng = engine.take(gradients), np.random.default_rng(2)
    for name, tensor in engine.take(parameters).items():
        if name not in found:
            continue
        for place in rng.choice(tensor.size, min(4, tensor.size), replace=False):
            ends = []
            for step in (1e-6, -1e-6):
                moved = tensor.copy()
                moved.flat[place] += step
                engine.put(name, moved, parameters)
                ends.append(engine.loss_and_gradients(parameters, data, "squared_error", 0.1)[0])
            engine.put(name, tensor, parameters)
            assert found[name].flat[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("wire", [fan, again])
@pytest.mark.parametrize("layers", [DENSE, IMAGES, LARGE], ids=["dense", "images", "large"])
def test_threads_bring_the_same_bits(layers, wire, dtype):
    if layers is LARGE and wire is fan:
        pytest.skip("its layers do not fit")
    X, data = draw(layers, dtype)
    found = []
    for threads in (1, 2):
        with use_threads(threads):
            engine = Engine(Wired(layers, wire), X.dtype, X.shape[1:])
            engine.threads = lambda batch, threads=threads: threads
            found.append(
                engine.loss_and_gradients(parameters_of(engine), data, "squared_error", 0.0)[1]
            )
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("layers", [DENSE, IMAGES], ids=["dense", "images"])
def test_parameters_stand_where_the_store_has_them(layers):
    """Whatever order the graph meets them in, and whether it meets them at all."""
    X, _ = draw(layers, np.float64)
    store = Store(Wired(layers, fan), X.dtype)
    for wire in (fan, again):
        engine = Engine(Wired(layers, wire), X.dtype, X.shape[1:])
        assert (engine.parameters, engine.size) == (store.parameters, store.size)
        np.testing.assert_array_equal(parameters_of(engine), parameters_of(store))


def test_a_value_stands_behind_those_that_it_reads():
    graph = recorded(Wired(DENSE, fan), (4,))
    nodes = in_order(graph)
    assert nodes[0].layer is None
    assert nodes[-1] is graph
    for place, node in enumerate(nodes):
        assert all(nodes.index(read) < place for read in node.reads)
    assert len({id(node) for node in nodes}) == len(nodes) == 8


def test_the_order_of_a_deep_graph_takes_no_stack():
    value = Node(None, (), (4,))
    for _ in range(5000):
        value = total(value, nn.Tanh().record(value, ""))
    assert len(in_order(value)) == 10001


def test_rows_grow_with_operations():
    """A value of many readers is one row, however many ways lead to it."""
    lengths = []
    for depth in (10, 20, 40):
        value = nn.Linear(4, 4).record(Node(None, (), (4,)), "a")
        for _ in range(depth):
            value = total(value, value)
        lengths.append(len(lower(Wired({}, lambda _, x, value=value: value), (4,))))
    assert lengths == [11, 21, 41]


def test_an_activation_is_computed_with_a_row_that_is_no_neighbour():
    def wire(call, x):
        first, second = call("a", x), call("b", x)
        return total(call("tanh", first), second)

    assert [row.activation != 0 for row in lower(Wired(DENSE, wire), (4,))] == [True, False, False]


def test_what_hands_on_leaves_the_number_of_readers():
    """The identity of a value that two read is no reason to change it in its place."""

    def wire(call, x):
        value = nn.Identity().record(call("a", x), "")
        return total(call("tanh", value), value)

    names = [row.operation.name for row in lower(Wired(DENSE, wire), (4,))]
    assert names == ["dense", "elementwise", "add"]


def test_a_network_that_gives_its_input_has_a_row():
    assert len(lower(Wired({}, lambda _, x: x), (4,))) == 1


def test_names_and_shapes():
    network = Wired({"body": Wired(DENSE, again), "last": nn.Tanh()}, None)
    assert list(dict(leaves(network)))[:2] == ["body.a", "body.b"]
    assert output_shape(Wired(DENSE, again), (4,)) == (4,)

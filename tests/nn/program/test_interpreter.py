"""Operations that another package defines: trained, saved, shared by threads, in ensembles.

The layer here is x + slope · (weight · x + bias), column by column: two operations, of which one has
parameters and the other reads two values, one of them read twice in the program.
"""

import json
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.ops.layers import DENSE_OPERATIONS, IMAGE_OPERATIONS, OPERATIONS
from fastkb.nn.ops.operation import Layer, Operation, Row, nothing
from fastkb.nn.program import engine as engine_module
from fastkb.nn.program.interpreter import interpreter
from fastkb.runtime.threads import n_threads

FLOATS = ("float32", "float64")
each_dtype = pytest.mark.parametrize("dtype", FLOATS)


# --- the operations -------------------------------------------------------------------------------


def _scale(row, parameters, values, span, sizes):
    source, target = row.source * sizes.capacity, row.kept * sizes.capacity
    for r in range(span.begin, span.stop):
        for j in range(row.outputs):
            values[target + r * row.target_stride + j] = (
                parameters[row.weights + j] * values[source + r * row.source_stride + j]
                + parameters[row.biases + j]
            )


def _scale_backward(row, parameters, transposed, values, deltas, span, sizes):
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    for r in range(span.begin, span.stop):
        for j in range(row.outputs):
            into = source + r * row.source_stride + j
            delta = parameters[row.weights + j] * deltas[target + r * row.target_stride + j]
            deltas[into] = deltas[into] + delta if row.accumulate & 1 else delta


def _scale_gradients(row, block, gradients, values, deltas, ones, room, sizes):
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    for j in range(row.outputs):
        weight = bias = 0.0
        for r in range(sizes.observations):
            delta = deltas[target + r * row.target_stride + j]
            weight += delta * values[source + r * row.source_stride + j]
            bias += delta
        gradients[block.begin + j], gradients[block.bias_begin + j] = weight, bias


SCALE = Operation("scale", _scale, _scale_backward, _scale_gradients, nothing)


def _add(row, parameters, values, span, sizes):
    first, second = row.source * sizes.capacity, row.other * sizes.capacity
    target = row.kept * sizes.capacity
    for r in range(span.begin, span.stop):
        for j in range(row.outputs):
            values[target + r * row.target_stride + j] = (
                values[first + r * row.source_stride + j]
                + row.numbers[0] * values[second + r * row.other_stride + j]
            )


def _add_backward(row, parameters, transposed, values, deltas, span, sizes):
    target = row.target * sizes.capacity
    for r in range(span.begin, span.stop):
        for j in range(row.outputs):
            delta = deltas[target + r * row.target_stride + j]
            if row.wanted & 1:
                into = row.source * sizes.capacity + r * row.source_stride + j
                deltas[into] = deltas[into] + delta if row.accumulate & 1 else delta
            if row.wanted & 2:
                into = row.other * sizes.capacity + r * row.other_stride + j
                delta = row.numbers[0] * delta
                deltas[into] = deltas[into] + delta if row.accumulate & 2 else delta


ADD = Operation("weighted sum", _add, _add_backward, nothing, nothing)


@dataclass(frozen=True)
class Shortcut(Layer):
    """x + slope · (weight · x + bias)."""

    features: int
    slope: float = 0.5

    @property
    def widths(self):
        return self.features, self.features

    def shapes(self):
        return {"weight": (self.features,), "bias": (self.features,)}

    def draw(self, rng):
        return {"weight": rng.normal(size=self.features), "bias": np.ones(self.features)}

    def rows(self, read, shape, following):
        return [
            Row(SCALE, (read,), shape[0], self.shapes()),
            Row(ADD, (read, following), shape[0], {}, (self.slope,)),
        ]


# --- the same by hand -------------------------------------------------------------------------------


def layers_of(features=5, hidden=12):
    return (
        Shortcut(features, 0.3),
        nn.Linear(features, hidden),
        Shortcut(hidden),
        nn.GELU(),  # needs what it was computed from for its derivative
        nn.Linear(hidden, hidden),
        nn.Tanh(),
        Shortcut(hidden, -0.7),
        nn.Linear(hidden, 2),
    )


def network(dtype="float64", **sizes):
    return nn.Sequential(*layers_of(**sizes), rng=3, dtype=dtype)


def problem(n=37, features=5, dtype="float64"):
    X = np.random.default_rng(8).normal(size=(n, features)).astype(dtype)
    return X, np.stack([X[:, 0] * X[:, 1], np.sin(X[:, 2])], axis=1)


def by_hand(state, layers, X):
    from scipy.special import ndtr

    values = X
    for place, layer in enumerate(layers):
        weight, bias = (state.get(f"{place}.{name}") for name in ("weight", "bias"))
        if isinstance(layer, Shortcut):
            values = values + layer.slope * (weight * values + bias)
        elif isinstance(layer, nn.Linear):
            values = values @ weight.T + bias
        else:
            values = np.tanh(values) if isinstance(layer, nn.Tanh) else values * ndtr(values)
    return values


def loss_by_hand(state, layers, X, y, l2):
    penalty = sum((tensor**2).sum() for name, tensor in state.items() if name.endswith("weight"))
    return ((by_hand(state, layers, X) - y) ** 2).mean() + l2 / 2 * penalty


# --- tests ----------------------------------------------------------------------------------------


def test_the_packages_own_networks_share_one_interpreter():
    plain = interpreter(frozenset())
    assert plain.operations == DENSE_OPERATIONS
    assert interpreter(frozenset(plain.operations)) is plain
    other = interpreter(frozenset({SCALE}))
    assert other is interpreter(frozenset({SCALE, *plain.operations}))
    assert other.operations == (*DENSE_OPERATIONS, SCALE)


def test_networks_of_images_share_another_and_all_others_a_third():
    tables = DENSE_OPERATIONS, IMAGE_OPERATIONS, OPERATIONS
    dense, images, whole = (interpreter(frozenset(table)) for table in tables)
    assert [each.operations for each in (dense, images, whole)] == list(tables)
    assert len({id(dense), id(images), id(whole)}) == 3
    for operation in OPERATIONS:
        place = [operation in table for table in tables].index(True)
        assert interpreter(frozenset({operation})) is (dense, images, whole)[place]


@each_dtype
def test_values(dtype):
    net = network(dtype)
    X, _ = problem(150, dtype=dtype)
    expected = by_hand(net.state_dict(), net.layers, X)
    np.testing.assert_allclose(net.forward(X), expected, atol=40 * np.finfo(dtype).eps)


def test_first_tensors_are_those_that_the_layer_draws():
    state = network().state_dict()
    assert list(state)[:4] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert (state["2.bias"] == 1).all()
    assert len(set(state["2.weight"])) == 12


def test_gradients_are_those_of_differences():
    net = network()
    X, y = problem()
    value, gradients = net.loss_and_gradients(X, y, l2=0.3)
    state = net.state_dict()
    assert value == pytest.approx(loss_by_hand(state, net.layers, X, y, 0.3), rel=1e-12)
    assert list(gradients) == list(state)
    for name, tensor in state.items():
        for place in np.ndindex(tensor.shape):
            slopes = []
            for step in (1e-6, -1e-6):
                moved = {**state, name: tensor.copy()}
                moved[name][place] += step
                slopes.append(loss_by_hand(moved, net.layers, X, y, 0.3))
            expected = (slopes[0] - slopes[1]) / 2e-6
            assert gradients[name][place] == pytest.approx(expected, abs=1e-7)


@each_dtype
@pytest.mark.parametrize("optimizer", [nn.SGD(0.05, 0.9), nn.LAMB(0.01), nn.AdamW(0.01)])
def test_training_goes_down_and_goes_on_from_a_file(tmp_path, dtype, optimizer, assert_same):
    X, y = problem(dtype=dtype)
    whole, half = network(dtype), network(dtype)
    options = {"optimizer": optimizer, "batch_size": 9, "l2": 1e-3}
    whole.fit(X, y, epochs=12, **options)
    assert min(whole.history["loss"]) < 0.7 * whole.history["loss"][0]
    half.fit(X, y, epochs=5, **options)
    copied = pickle.loads(pickle.dumps(half))
    assert_same(copied.fit(X, y, epochs=7, **options), whole)
    for suffix in (".npz", ".safetensors"):
        half.save(tmp_path / f"net{suffix}")
        loaded = nn.load(tmp_path / f"net{suffix}")
        assert loaded.layers == half.layers
        assert_same(loaded.fit(X, y, epochs=7, **options), whole)


def test_one_step_is_that_of_the_gradient():
    net, (X, y) = network(), problem()
    before, (_, gradients) = net.state_dict(), net.loss_and_gradients(X, y, l2=0.1)
    net.fit(X, y, optimizer=nn.SGD(0.1), epochs=1, batch_size=len(X), shuffle=False, l2=0.1)
    for name, tensor in net.state_dict().items():
        np.testing.assert_allclose(tensor, before[name] - 0.1 * gradients[name], atol=1e-14)


@pytest.mark.skipif(n_threads() < 2, reason="needs two threads")
@pytest.mark.parametrize("hidden", [12, 200])  # below and above the size whose updates are at once
@pytest.mark.parametrize("optimizer", [nn.Adam(0.01), nn.LAMB(0.01)])
def test_threads_share_its_steps(monkeypatch, hidden, optimizer, assert_same):
    X, y = problem(100)
    nets = []
    for work in (1, 10**12):
        monkeypatch.setattr(engine_module, "_A_THREAD", work)
        net = network(hidden=hidden)
        nets.append(net.fit(X, y, optimizer=optimizer, epochs=3, batch_size=40))
    assert_same(*nets)


def test_members_of_an_ensemble():
    X, y = problem(30)
    net = nn.Sequential(*layers_of())
    options = {"optimizer": "adam", "epochs": 4, "batch_size": 8}
    many = nn.bootstrap_fit(net, X, y, n_resamples=5, rng=1, **options)
    few = nn.bootstrap_fit(net, X, y, n_resamples=2, rng=1, **options)
    for member in range(2):
        one, other = many.state_dict(member), few.state_dict(member)
        for name, tensor in one.items():
            np.testing.assert_array_equal(tensor, other[name])
        expected = by_hand(one, net.layers, X)
        np.testing.assert_allclose(many.forward(X)[member], expected, rtol=1e-12, atol=1e-12)
    first, second = (many.state_dict(member)["0.weight"] for member in range(2))
    assert (first != second).all()
    copied = pickle.loads(pickle.dumps(many))
    np.testing.assert_array_equal(copied.predict(X), many.predict(X))


def test_a_gradient_that_overflows_ends_the_training_before_its_update():
    """The gradients of a large network are looked at, where no norms bound them."""
    net = network(hidden=200)
    X, y = problem(20)
    state = net.state_dict()
    net.load_state_dict({**state, "7.weight": state["7.weight"] * 1e200})
    before = net.state_dict()
    with pytest.raises(FloatingPointError, match="epoch 1"):
        net.fit(X * 1e100, y, optimizer=nn.SGD(1.0), epochs=1)
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor, before[name])


def test_a_file_names_the_layer_with_its_module(tmp_path):
    path = tmp_path / "net.npz"
    network().save(path)
    with np.load(path) as content:
        text = content["fastkb"].tobytes().decode()
    assert json.loads(text)["layers"][0] == {
        "name": f"{__name__}:Shortcut",
        "arguments": {"features": 5, "slope": 0.3},
    }


def test_a_file_of_a_layer_that_nobody_has_defined(tmp_path, monkeypatch):
    from fastkb.nn.ops import operation

    path = tmp_path / "net.npz"
    network().save(path)
    monkeypatch.delitem(operation.CLASSES, f"{__name__}:Shortcut")
    with pytest.raises(ValueError, match=r"the name of layer 0 must be one of .*Shortcut"):
        nn.load(path)


def test_widths_must_fit():
    with pytest.raises(ValueError, match=r"layer 1, Shortcut\(.*\), takes 4 inputs, and gets 3"):
        nn.Sequential(nn.Linear(2, 3), Shortcut(4))


def test_a_network_of_such_layers_alone():
    X = np.random.default_rng(0).normal(size=(40, 3))
    net = nn.Sequential(Shortcut(3), rng=0)
    net.fit(X, 2 * X + 1, optimizer=nn.Adam(0.1), epochs=200)
    assert net.history["loss"][-1] < 1e-4

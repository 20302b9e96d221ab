"""Softmax and its logarithm: against NumPy and PyTorch, in rows and in lanes, of large numbers; files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from fastkb import nn
from fastkb.nn.ops.tensors.functions import Function
from fastkb.nn.ops.tensors.joins import Combination, Product
from tests.nn.ops.tensors.graphs import BATCHES, SIZES, check, in_lanes, run

KINDS = {nn.Softmax: special.softmax, nn.LogSoftmax: special.log_softmax}
each_kind = pytest.mark.parametrize("kind", KINDS)


def data(*shape, reach=3.0):
    return np.random.default_rng(0).uniform(-reach, reach, shape)


@each_kind
def test_of_columns(kind):
    @settings(max_examples=25)
    @given(st.sampled_from(SIZES), st.sampled_from(BATCHES))
    def of_shape(size, n):
        check(lambda x: kind(1).record(x, ""), data(n, size), lambda x: KINDS[kind](x, axis=1))

    of_shape()


@each_kind
@pytest.mark.parametrize("shape", [(3, 4), (2, 5, 3), (3, 2, 2, 4), (2, 3, 2, 2, 3)])
def test_of_any_axis(kind, shape):
    for dim in (*range(1, len(shape) + 1), *range(-len(shape), 0)):
        check(
            lambda x, dim=dim: kind(dim).record(x, ""),
            data(17, *shape),
            lambda x, dim=dim: KINDS[kind](x, axis=dim),
        )


@each_kind
@pytest.mark.parametrize("dim", [1, 2, 3, -1])
def test_of_images_in_lanes(kind, dim):
    for n, shape in ((1, (3, 2, 4)), (15, (1, 3, 2)), (17, (5, 2, 3))):
        check(
            lambda x: in_lanes(kind(dim).record(in_lanes(x), "")),
            data(n, *shape),
            lambda x: KINDS[kind](x, axis=dim),
        )


@each_kind
@pytest.mark.parametrize("begin", [lambda x: x, in_lanes], ids=["rows", "lanes"])
def test_with_other_readers(kind, begin):
    """One before it, one behind it, and a function that is a row of its own."""

    def build(x):
        value = begin(Function("scale", 1.5).record(x, ""))
        one = nn.Sigmoid().record(kind(1).record(value, ""), "")
        return Combination().record_all((Product().record_all((one, value)), value))

    check(
        build,
        data(17, 3, 2, 2),
        lambda x: special.expit(KINDS[kind](1.5 * x, axis=1)) * 1.5 * x + 1.5 * x,
    )


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5,), (5, 2, 2)])
def test_large_numbers(kind, dtype, shape):
    """Nothing overflows, and shifting all changes little."""
    X = data(9, *shape, reach=30.0)
    X[:, 0] += 3e4
    X = X.astype(dtype)
    exact = KINDS[kind](X.astype(float), axis=1)
    found, deltas, _ = run(lambda x: kind(1).record(x, ""), X, np.zeros((9, X[0].size)))
    # An input of 3e4 is known to some eps of itself, and so is a difference to it.
    tolerance = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(
        found.reshape(X.shape), exact, rtol=tolerance * (1 if kind is nn.LogSoftmax else 50), atol=1e-30
    )  # fmt: skip
    assert np.isfinite(deltas).all()


@each_kind
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "dim"), [((7,), 1), ((4, 3), -1), ((4, 3, 2), 1), ((4, 3, 2), 2)]
)
def test_values_and_derivatives_are_torchs(kind, dtype, shape, dim):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    X = data(6, *shape, reach=10.0).astype(dtype)
    x = torch.tensor(X, requires_grad=True)
    outputs = getattr(torch.nn, kind.__name__)(dim=dim)(x)
    targets = data(6, X[0].size).astype(dtype)
    torch.nn.functional.mse_loss(outputs.reshape(6, -1), torch.tensor(targets)).backward()
    found, deltas, _ = run(lambda node: kind(dim).record(node, ""), X, targets)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(
        found, outputs.detach().numpy().reshape(6, -1), rtol=tolerance, atol=tolerance
    )
    np.testing.assert_allclose(deltas, x.grad.numpy(), rtol=tolerance, atol=tolerance)


def test_its_logarithm_keeps_small_probabilities():
    X = np.array([[0.0, -2000.0]])
    found, _, _ = run(lambda x: nn.LogSoftmax().record(x, ""), X, np.zeros((1, 2)))
    np.testing.assert_array_equal(found, [[0.0, -2000.0]])
    found, _, _ = run(lambda x: nn.Softmax().record(x, ""), X, np.zeros((1, 2)))
    np.testing.assert_array_equal(found, [[1.0, 0.0]])


@each_kind
def test_in_networks(kind, tmp_path):
    """Behind dense layers and convolutions; trained to the same bits; from a file."""
    X = np.random.default_rng(0).standard_normal((19, 1, 4, 4))
    y = np.random.default_rng(1).uniform(size=(19, 3))
    layers = nn.Conv2d(1, 3, 3), kind(1), nn.Flatten(), nn.Linear(12, 3), kind()
    network = nn.Sequential(*layers, rng=0)
    network.fit(X, y, epochs=3, batch_size=8, rng=1)
    network.save(tmp_path / "network.npz")
    loaded = nn.load(tmp_path / "network.npz")
    assert loaded.layers == layers
    np.testing.assert_array_equal(loaded.forward(X), network.forward(X))
    state = network.state_dict()
    inner = nn.Sequential(*layers[:1], rng=0)
    inner.load_state_dict({name: state[name] for name in ("0.weight", "0.bias")})
    hidden = KINDS[kind](inner.forward(X), axis=1).reshape(19, 12)
    expected = KINDS[kind](hidden @ state["3.weight"].T + state["3.bias"], axis=1)
    np.testing.assert_allclose(network.forward(X), expected, rtol=1e-12)


@each_kind
def test_of_columns_in_lanes(kind):
    """Batch normalisation leaves its columns there."""
    X = data(19, 5)
    norm = nn.BatchNorm1d(5, eps=0.0, affine=False)
    network = nn.Sequential(nn.Linear(5, 5, bias=False), norm, kind(), rng=0)
    network.load_state_dict({**network.state_dict(), "0.weight": np.eye(5)})
    np.testing.assert_allclose(network.forward(X), KINDS[kind](X, axis=1), rtol=1e-12)
    y = data(19, 5)
    loss, _ = network.loss_and_gradients(X, y)
    normal = (X - X.mean(axis=0)) / X.std(axis=0)
    assert loss == pytest.approx(np.mean((KINDS[kind](normal, axis=1) - y) ** 2), rel=1e-12)


@each_kind
@pytest.mark.parametrize("dim", [0, 9, -9, 1.0, "1", None, True])
def test_bad_axes(kind, dim):
    with pytest.raises((TypeError, ValueError), match="dim must"):
        kind(dim)


@each_kind
@pytest.mark.parametrize(
    ("dim", "message"),
    [
        (2, r"layer 1, .*dim=2.*, gets values of shape \(3,\), which have no dim=2: it is from 1 to 1"),
        (-3, r"which have no dim=-3: it is from 1 to 1, or from -1 to -1"),
        (-2, r"layer 1, .*, gets values of shape \(3,\), of which dim=-2 is the axis of the observ"),
    ],
)  # fmt: skip
def test_axes_that_values_do_not_have(kind, dim, message):
    with pytest.raises(ValueError, match=message):
        nn.Sequential(nn.Linear(4, 3), kind(dim))


def test_shapes_that_are_not_known_yet():
    assert nn.Softmax(1).shape_of((3, None, None)) == (3, None, None)
    assert nn.Softmax(1).shape_of(None) is None
    assert nn.Softmax(np.int64(1)) == nn.Softmax(1)
    assert repr(nn.Softmax()) == "Softmax(dim=-1)"

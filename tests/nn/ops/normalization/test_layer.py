"""Layer normalisation beside the definition, differences and PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import nn
from fastkb.reference import normalization as reference
from tests.nn.ops.differences import assert_gradients, assert_same_bits
from tests.nn.ops.test_graph import Wired, total


def only(layer, dtype="float64"):
    """A network of the layer alone, whose numbers differ from element to element."""
    network = nn.Sequential(layer, rng=0, dtype=dtype)
    state, rng = network.state_dict(), np.random.default_rng(0)
    state = {name: rng.standard_normal(value.shape).astype(dtype) for name, value in state.items()}
    network.load_state_dict(state)
    return network, state


def test_first_parameters_change_nothing():
    state = nn.Sequential(nn.LayerNorm((2, 3)), rng=0).state_dict()
    np.testing.assert_array_equal(state["0.weight"], np.ones((2, 3)))
    np.testing.assert_array_equal(state["0.bias"], np.zeros((2, 3)))
    assert list(nn.Sequential(nn.LayerNorm(4, bias=False)).state_dict()) == ["0.weight"]


WIDTHS = st.sampled_from([1, 2, 3, 7, 8, 15, 16, 17, 33])


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.sampled_from([1, 2, 3]), WIDTHS),
    st.sampled_from([1, 15, 16, 17, 33]),
    st.integers(1, 2),
    st.booleans(),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([0.0, 1e3]),
)
def test_loss_and_gradients_are_those_of_the_definition(shape, n, axes, bias, dtype, offset):
    layer = nn.LayerNorm(shape[-axes:], eps=0.01, bias=bias)
    network, state = only(layer, dtype)
    rng = np.random.default_rng(n)
    X = (offset + rng.standard_normal((n, *shape))).astype(dtype)
    y = rng.standard_normal((n, X[0].size)).astype(dtype)
    x = X.astype(float)
    weight, bias = (
        None if each is None else each.astype(float)
        for each in (state["0.weight"], state.get("0.bias"))
    )
    outputs = reference.layer_norm(x, axes, weight, bias, layer.eps)
    # Inputs are known to `eps` of their size, and are divided by a tenth at least.
    tolerance = 40 * float(np.finfo(dtype).eps) * (10 + 10 * offset)
    np.testing.assert_allclose(network.forward(X), outputs, rtol=0, atol=tolerance)
    difference = outputs.reshape(n, -1) - y
    delta = (2 * difference / difference.size).reshape(X.shape)
    _, by_weight, by_bias = reference.layer_norm_backward(delta, x, axes, weight, layer.eps)
    loss, gradients = network.loss_and_gradients(X, y)
    assert loss == pytest.approx(float(np.mean(difference**2)), rel=tolerance)
    np.testing.assert_allclose(gradients["0.weight"], by_weight, rtol=0, atol=10 * tolerance)
    if bias is not None:
        np.testing.assert_allclose(gradients["0.bias"], by_bias, rtol=0, atol=10 * tolerance)


def around(call, x):
    """Its deltas are added to those of another reader, and another's to its own."""
    h = call("a", x)
    return call("b", total(call("norm", h), h, call("plain", h), call("norm", call("tanh", h))))


def layers(width, bias=True):
    return {
        "a": nn.Linear(3, width), "norm": nn.LayerNorm(width, eps=1e-3, bias=bias), "tanh": nn.Tanh(),
        "plain": nn.LayerNorm(width, elementwise_affine=False), "b": nn.Linear(width, 2),
    }  # fmt: skip


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("width", [2, 7, 16, 17])
def test_gradients_are_those_of_differences(width, bias):
    X = np.random.default_rng(0).standard_normal((17, 3))
    assert_gradients(Wired(layers(width, bias), around), X)


IMAGES = [
    nn.Conv2d(2, 3, 3, padding=1), nn.LayerNorm((3, 4, 5)), nn.ReLU(), nn.LayerNorm(5),
    nn.Conv2d(3, 2, 1),
]  # fmt: skip


@pytest.mark.parametrize("n", [1, 17])
def test_images_are_normalised(n):
    """What stands in lanes before and behind it."""
    assert_gradients(IMAGES, np.random.default_rng(0).standard_normal((n, 2, 4, 5)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (Wired(layers(17), around), (3,)),
        (IMAGES, (2, 4, 5)),
        ([nn.LayerNorm((2, 4500))], (2, 4500)),  # in several blocks
    ],
    ids=["dense", "images", "long"],
)
def test_threads_bring_the_same_bits(network, shape, dtype):
    X = np.random.default_rng(0).standard_normal((33, *shape)).astype(dtype)
    assert_same_bits(network, X)


def test_blocks_are_parts_of_both_tensors():
    shape = (2, 4500)
    network, state = only(nn.LayerNorm(shape))
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((3, *shape)), rng.standard_normal((3, 9000))
    difference = reference.layer_norm(X, 2, *state.values(), 1e-5).reshape(3, -1) - y
    delta = (2 * difference / difference.size).reshape(X.shape)
    expected = reference.layer_norm_backward(delta, X, 2, state["0.weight"], 1e-5)[1:]
    _, gradients = network.loss_and_gradients(X, y)
    for name, value in zip(("0.weight", "0.bias"), expected, strict=True):
        np.testing.assert_allclose(gradients[name], value, rtol=1e-9, atol=1e-12)


def test_what_no_observation_has_is_no_division_by_zero():
    """With ε = 0 rows of zeros have no normalisation; those behind a batch are such."""
    network = nn.Sequential(nn.LayerNorm(3, eps=0.0), nn.Linear(3, 1), rng=0)
    X = np.random.default_rng(0).standard_normal((5, 3))
    network.fit(X, np.zeros(5), epochs=2, batch_size=3)
    loss, gradients = network.loss_and_gradients(X, np.zeros(5))
    assert np.isfinite(loss)
    assert all(np.isfinite(value).all() for value in gradients.values())


def test_steps_are_torchs():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 6)), rng.standard_normal((40, 2))
    network = nn.Sequential(
        nn.Linear(6, 9), nn.LayerNorm(9), nn.GELU(), nn.LayerNorm(9, 0.1, bias=False),
        nn.Linear(9, 2), rng=0,
    )  # fmt: skip
    T = torch.nn
    theirs = T.Sequential(
        T.Linear(6, 9), T.LayerNorm(9), T.GELU(), T.LayerNorm(9, 0.1, bias=False), T.Linear(9, 2)
    ).double()
    state = network.state_dict()
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    for begin in [0, 16, 32] * 10:
        optimizer.zero_grad()
        batch = slice(begin, begin + 16)
        T.functional.mse_loss(theirs(torch.tensor(X[batch])), torch.tensor(y[batch])).backward()
        optimizer.step()
    network.fit(X, y, optimizer=nn.SGD(0.1, 0.9), epochs=10, batch_size=16, shuffle=False)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(network.state_dict()[name], value.numpy(), atol=1e-9)


def test_files_hold_it(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4, 6)), rng.standard_normal(20)
    layers = nn.LayerNorm((4, 6)), nn.LayerNorm(6, bias=False), nn.Flatten(), nn.Linear(24, 1)
    network = nn.Sequential(*layers, rng=0).fit(X, y, epochs=2, optimizer=nn.Adam())
    network.save(tmp_path / "network.npz")
    loaded = nn.load(tmp_path / "network.npz")
    assert loaded.layers == layers
    np.testing.assert_array_equal(loaded.forward(X), network.forward(X))
    for each in (network, loaded):
        each.fit(X, y, epochs=2, optimizer=nn.Adam())
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LayerNorm(0), "normalized_shape must be a whole number of at least 1, got 0"),
        (lambda: nn.LayerNorm((3, 2.5)), "normalized_shape must be a whole number"),
        (lambda: nn.LayerNorm(()), r"normalized_shape must have one size at least, got \(\)"),
        (lambda: nn.LayerNorm("3"), "normalized_shape must be a whole number"),
        (lambda: nn.LayerNorm(3, eps=-1.0), "eps must be"),
        (lambda: nn.LayerNorm(3, elementwise_affine=1), "elementwise_affine must be True or False"),
        (lambda: nn.LayerNorm(3, bias="no"), "bias must be True or False"),
        (lambda: nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(3)),
         r"layer 1, LayerNorm.*takes values whose last axes are \(3,\), and gets shape \(4,\)"),
        (lambda: nn.Sequential(nn.LayerNorm(3), nn.Linear(4, 1)),
         r"layer 0, LayerNorm.*last axes are \(3,\), and gets shape \(4,\)"),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.LayerNorm((3, 5, 5))),
         r"layer 1, .*last axes are \(3, 5, 5\), and gets shape \(4, \?, \?\)"),
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.LayerNorm((1, 3))), "layer 1, .*gets shape"),
        (lambda: nn.Sequential(nn.LayerNorm(3)).forward(np.zeros((2, 4))),
         "X of shape .* does not fit the network: layer 0, LayerNorm"),
    ],
)  # fmt: skip
def test_bad_arguments(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()

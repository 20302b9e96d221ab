"""Networks of images beside the definitions: outputs, losses and gradients of chains drawn at random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import nn
from fastkb.runtime.threads import use_threads
from tests.nn import image_chains

ACTIVATIONS = [
    nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.Sigmoid(), nn.Tanh(),
    nn.Softplus(), nn.GELU(),
]  # fmt: skip


def sides(draw, low, high, axes=2):
    return tuple(draw(st.integers(low, high)) for _ in range(axes))


def drawn_layer(draw, shape):
    """A layer that takes values of this shape, or None if the one that was drawn does not."""
    axes = len(shape) - 1
    convolution, largest, mean = {
        1: (nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d),
        2: (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d),
    }[axes]
    kinds = ["convolution"] * 3 + ["largest", "mean", "activation"] + ["adaptive"] * (axes == 2)
    kind = draw(st.sampled_from(kinds))
    if kind == "activation":
        return draw(st.sampled_from(ACTIVATIONS))
    if kind == "adaptive":
        return nn.AdaptiveAvgPool2d(sides(draw, 1, 4))
    kernel, stride, dilation = (sides(draw, 1, most, axes) for most in (3, 3, 2))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    ceil = draw(st.booleans())
    if kind == "mean":
        layer = mean(kernel, stride, padding, ceil, draw(st.booleans()))
    elif kind == "largest":
        # Dilated windows that have nothing of the image give -infinity, as PyTorch's.
        layer = largest(kernel, stride, padding, 1 if any(padding) else dilation, ceil)
    else:
        groups = draw(st.sampled_from([g for g in (1, 2, 3) if shape[0] % g == 0]))
        outputs = groups * draw(st.integers(1, 6))
        layer = convolution(
            shape[0], outputs, kernel, stride, padding, dilation, groups, draw(st.booleans())
        )
    try:
        layer.shape_of(shape)
    except ValueError:
        return None
    return layer


@st.composite
def networks(draw, axes=2):
    """(layers, X, y) of a network with parameters."""
    shape = (draw(st.integers(1, 4)), *sides(draw, 1, 9 if axes == 2 else 20, axes))
    layers, given_shape = [], shape
    for _ in range(draw(st.integers(1, 5))):
        layer = drawn_layer(draw, given_shape)
        if layer is not None:
            layers.append(layer)
            given_shape = layer.gives(given_shape)
    if draw(st.booleans()) or not any(layer.shapes() for layer in layers):
        layers += [nn.Flatten(), nn.Linear(int(np.prod(given_shape)), draw(st.integers(1, 4)))]
        given_shape = (layers[-1].out_features,)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 37))
    X = rng.standard_normal((n, *shape))
    return layers, X, rng.standard_normal((n, int(np.prod(given_shape))))


@settings(max_examples=150, deadline=None)
@given(networks(), st.sampled_from(["float32", "float64"]))
def test_outputs_and_gradients_are_those_of_the_definitions(drawn, dtype):
    check(drawn, dtype)


@settings(max_examples=60, deadline=None)
@given(networks(axes=1), st.sampled_from(["float32", "float64"]))
def test_those_of_sequences_are_those_of_images_of_one_row(drawn, dtype):
    check(drawn, dtype)


def check(drawn, dtype):
    """A network's outputs, loss and gradients are those of the definitions."""
    layers, X, y = drawn
    X, y = X.astype(dtype), y.astype(dtype)
    network = nn.Sequential(*layers, rng=0, dtype=dtype)
    state = network.state_dict()
    tolerance = 300 * float(np.finfo(dtype).eps)
    expected = image_chains.forward(layers, state, X)[-1]
    found = network.forward(X)
    assert found.shape == expected.shape
    largest = 1.0 + np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * largest)
    loss, gradients = image_chains.loss_and_gradients(layers, state, X, y)
    ours, found = network.loss_and_gradients(X, y)
    assert ours == pytest.approx(loss, rel=tolerance * 10)
    assert found.keys() == gradients.keys()
    largest = 1.0 + max(np.abs(each).max() for each in gradients.values())
    for name, gradient in gradients.items():
        np.testing.assert_allclose(
            found[name], gradient, rtol=0, atol=20 * tolerance * largest, err_msg=name
        )


LENET = [
    nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(576, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
]  # fmt: skip


@pytest.mark.parametrize("optimizer", [nn.SGD(0.05, 0.9), nn.Adam(1e-3), nn.LAMB(1e-3)])
@pytest.mark.parametrize("options", [{}, {"l2": 1e-3}, {"batch_size": 50}])
def test_training_gives_the_same_bits_on_any_number_of_threads(optimizer, options):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((75, 1, 32, 32), np.float32), rng.integers(0, 10, 75)
    found = []
    for threads in (1, 2, 3):
        with use_threads(threads):
            network = nn.Sequential(*LENET, rng=0, dtype="float32")
            options = {"epochs": 3, "batch_size": 33, "rng": 1} | options
            network.fit(X, y, loss="cross_entropy", optimizer=optimizer, **options)
            found.append({**network.state_dict(), "outputs": network.forward(X)})
    for other in found[1:]:
        for name, value in other.items():
            np.testing.assert_array_equal(value, found[0][name], err_msg=name)


@pytest.fixture
def torch():
    """PyTorch on one thread: the networks are so small that others would only wait."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


def torchs(torch, state, name, X, y, order):
    """The parameters that PyTorch has after a step for each row of `order`."""
    T = torch.nn
    net = T.Sequential(
        T.Conv2d(1, 6, 3), T.ReLU(), T.MaxPool2d(2), T.Conv2d(6, 16, 3), T.ReLU(), T.MaxPool2d(2),
        T.Flatten(), T.Linear(576, 120), T.ReLU(), T.Linear(120, 84), T.ReLU(), T.Linear(84, 10),
    ).to(getattr(torch, X.dtype.name))  # fmt: skip
    net.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    if name == "momentum":
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    else:
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for batch in order:
        optimizer.zero_grad()
        T.functional.cross_entropy(net(torch.tensor(X[batch])), torch.tensor(y[batch])).backward()
        optimizer.step()
    return {key: value.numpy() for key, value in net.state_dict().items()}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-9)])
@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_a_hundred_steps_are_torchs(torch, dtype, tolerance, name):
    """Adam divides by gradients that may be rounding errors: there PyTorch does not agree with itself.

    With the observations of each batch in another order, it finds parameters that differ by 2e-2.
    """
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((16 * 100, 1, 32, 32)).astype(dtype), rng.integers(0, 10, 1600)
    network = nn.Sequential(*LENET, rng=0, dtype=dtype)
    state = network.state_dict()
    ours = {"momentum": nn.SGD(0.01, 0.9), "adam": nn.Adam(1e-3)}[name]
    network.fit(X, y, loss="cross_entropy", optimizer=ours, epochs=1, batch_size=16, shuffle=False)
    order = np.arange(1600).reshape(100, 16)
    theirs = torchs(torch, state, name, X, y, order)
    if (dtype, name) == ("float32", "adam"):
        others = torchs(torch, state, name, X, y, rng.permuted(order, axis=1))
        changed = max(np.abs(others[key] - theirs[key]).max() for key in theirs)
        tolerance = max(tolerance, 3 * changed)
    for key, value in network.state_dict().items():
        np.testing.assert_allclose(value, theirs[key], rtol=0, atol=tolerance, err_msg=key)


def test_observations_beyond_the_batch_have_no_part_in_it():
    """What stood in the lanes of a larger batch before, NaN even, is not met again."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((5, 1, 32, 32)), rng.standard_normal((5, 10))
    fresh = nn.Sequential(*LENET, rng=0).loss_and_gradients(X, y)
    network = nn.Sequential(*LENET, rng=0)
    network.loss_and_gradients(1e3 * rng.standard_normal((30, 1, 32, 32)), np.zeros((30, 10)))
    engine, _, _ = network._ready_for(X)
    for rooms in engine._kept.values():
        for room in rooms:
            room.values[:], room.deltas[:] = 1e300, 1e300
    loss, gradients = network.loss_and_gradients(X, y)
    assert loss == fresh[0]
    for name, value in gradients.items():
        np.testing.assert_array_equal(value, fresh[1][name], err_msg=name)

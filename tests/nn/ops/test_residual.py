"""Layers with a way around them: sums, deltas of both ways, shapes, files."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.ops.layers import lower
from tests.nn import image_chains

BLOCK = nn.Residual(nn.Conv2d(3, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, 3, 3, padding=1))
CHANGED = nn.Residual(
    nn.ReLU(), nn.Conv2d(3, 5, 3, 2, 1), nn.Tanh(), shortcut=nn.Conv2d(3, 5, 1, 2, bias=False)
)
POOLED = nn.Residual(nn.MaxPool2d(3, 1, 1))


def numerical(network, X, y, name, places):
    """The derivative by some elements of a parameter, by differences."""
    state, found = network.state_dict(), []
    for place in places:
        ends = []
        for step in (1e-6, -1e-6):
            moved = state[name].copy()
            moved.flat[place] += step
            network.load_state_dict({**state, name: moved})
            ends.append(network.loss_and_gradients(X, y)[0])
        found.append((ends[0] - ends[1]) / 2e-6)
    network.load_state_dict(state)
    return np.array(found)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(1, 3, 3), nn.Tanh(), BLOCK, nn.ReLU(), POOLED],
        [nn.Conv2d(1, 3, 3), CHANGED, nn.Softplus()],
        [nn.Conv2d(1, 3, 1), nn.Residual(BLOCK, nn.GELU(), BLOCK), nn.Flatten(), nn.Linear(192, 2)],
        [nn.Linear(5, 4), nn.Residual(nn.Tanh(), nn.Linear(4, 4)), nn.ReLU(),
         nn.Residual(nn.Linear(4, 3), nn.Tanh(), shortcut=nn.Linear(4, 3)), nn.Linear(3, 2)],
    ],
)  # fmt: skip
def test_gradients_are_those_of_differences(layers):
    network = nn.Sequential(*layers, rng=0, dtype="float64")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((19, 5) if isinstance(layers[0], nn.Linear) else (19, 1, 8, 8))
    y = rng.standard_normal((19, network.forward(X)[0].size))
    _, gradients = network.loss_and_gradients(X, y)
    largest = max(np.abs(each).max() for each in gradients.values())
    for name, gradient in gradients.items():
        places = rng.choice(gradient.size, min(8, gradient.size), replace=False)
        found = numerical(network, X, y, name, places)
        np.testing.assert_allclose(gradient.flat[places], found, atol=1e-7 * largest, err_msg=name)


def test_the_first_layer_leaves_what_goes_around():
    """A function at the front of the block is not computed in the place of what others read."""
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Residual(nn.ReLU()), rng=0, dtype="float64")
    X = np.random.default_rng(0).standard_normal((3, 1, 4, 4))
    inner = image_chains.forward([network.layers[0]], network.state_dict(), X)[-1]
    np.testing.assert_allclose(network.forward(X), inner + np.maximum(inner, 0), rtol=1e-12)
    rows = lower(network.layers, (1, 4, 4))
    assert [row.operation.name for row in rows] == [
        "to lanes", "convolution", "elementwise", "add", "to rows",
    ]  # fmt: skip


def test_names_are_those_of_nested_modules():
    network = nn.Sequential(
        nn.Conv2d(1, 3, 1), CHANGED, nn.Residual(nn.Residual(nn.Conv2d(5, 5, 1)))
    )
    assert list(network.state_dict()) == [
        "0.weight", "0.bias", "1.1.weight", "1.1.bias", "1.shortcut.weight", "2.0.0.weight",
        "2.0.0.bias",
    ]  # fmt: skip


def test_files_hold_layers_within_layers(tmp_path):
    layers = nn.Conv2d(1, 3, 1), CHANGED, nn.Residual(nn.Residual(nn.Conv2d(5, 5, 1)))
    network = nn.Sequential(*layers, rng=0)
    network.save(tmp_path / "network.npz")
    loaded = nn.load(tmp_path / "network.npz")
    assert loaded.layers == layers
    X = np.random.default_rng(0).standard_normal((2, 1, 4, 4))
    np.testing.assert_array_equal(loaded.forward(X), network.forward(X))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.Residual(nn.Linear(3, 4))),
         r"layer 1, .*, gives shape \(4,\), and what is added to it has shape \(3,\)"),
        (lambda: nn.Sequential(nn.Residual(nn.Linear(3, 3), 5)), "layer 0.1 must be one of fastkb.nn's"),
        (lambda: nn.Sequential(nn.Residual(nn.Linear)), "layer 0.0 must be an instance, got the class"),
        (lambda: nn.Sequential(nn.Residual(shortcut=nn.Linear(2, 3))), "has no layers"),
        (lambda: nn.Sequential(nn.Residual(nn.Tanh(), nn.Linear(3, 3)), nn.Residual(nn.Sign())).fit(
            np.zeros((4, 3)), np.zeros((4, 3))), "layer 1.0 is Sign"),
    ],
)  # fmt: skip
def test_bad_arguments(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_equality_and_text():
    again = nn.Residual(nn.Conv2d(3, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, 3, 3, padding=1))
    assert again == BLOCK
    assert hash(again) == hash(BLOCK)
    assert eval(repr(CHANGED), vars(nn)) == CHANGED

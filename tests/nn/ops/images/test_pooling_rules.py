"""The rules of pooling between two convolutions, beside the definitions; ties, and infinite values."""

import numpy as np
import pytest

from fastkb import nn
from tests.nn import image_chains

POOLS = [
    nn.MaxPool2d(2), nn.MaxPool2d(2, 1), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(2, 3, 1, 1, True),
    nn.MaxPool2d((1, 2), (2, 1), 0, (1, 3)), nn.MaxPool2d(2, 2, 0, 2), nn.MaxPool2d(2, 4),
    nn.AvgPool2d(2), nn.AvgPool2d(3, 2, 1, True), nn.AvgPool2d(3, 2, 1, True, False),
    nn.AdaptiveAvgPool2d((3, 5)), nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((9, 9)),
]  # fmt: skip


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("sides", [(8, 8), (7, 9)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_deltas_come_through(pool, sides, dtype):
    layers = [nn.Conv2d(1, 5, 1), pool, nn.Conv2d(5, 2, 1)]
    network = nn.Sequential(*layers, rng=0, dtype=dtype)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((19, 1, *sides)).astype(dtype)
    y = rng.standard_normal((19, int(np.prod(layers[1].gives((2, *sides)))))).astype(dtype)
    state = network.state_dict()
    loss, expected = image_chains.loss_and_gradients(layers, state, X, y)
    ours, found = network.loss_and_gradients(X, y)
    tolerance = 1e3 * float(np.finfo(dtype).eps)
    assert ours == pytest.approx(loss, rel=tolerance)
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.MaxPool2d(3, 1)])
def test_of_equal_values_the_first_has_the_delta(pool):
    """Few values, so that most windows have ties; the deltas of the first convolution tell which won."""
    layers = [nn.Conv2d(1, 1, 1, bias=False), pool, nn.Conv2d(1, 1, 1, bias=False)]
    network = nn.Sequential(*layers, rng=0, dtype="float64")
    X = np.random.default_rng(0).integers(0, 2, (9, 1, 6, 6)).astype(float)
    state = network.state_dict()
    y = np.random.default_rng(1).standard_normal((9, int(np.prod(pool.gives((1, 6, 6))))))
    _, expected = image_chains.loss_and_gradients(layers, state, X, y)
    _, found = network.loss_and_gradients(X, y)
    np.testing.assert_allclose(found["0.weight"], expected["0.weight"], rtol=1e-12)


def test_a_function_that_falls_is_not_moved_behind_the_largest():
    layers = [nn.Conv2d(1, 2, 1), nn.GELU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, rng=0, dtype="float64")
    X = np.random.default_rng(0).standard_normal((3, 1, 4, 4))
    expected = image_chains.forward(layers, network.state_dict(), X)[-1]
    np.testing.assert_allclose(network.forward(X), expected, rtol=1e-12)

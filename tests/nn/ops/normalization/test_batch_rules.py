"""Batch normalisation where nothing is trained: outputs, deltas and gradients by running statistics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.ops.normalization.batch_rules import BATCH_NORM, BATCH_NORM_BY_RUNNING
from fastkb.runtime.threads import use_threads


class Normal(nn.Module):
    def __init__(self, channels, affine, dtype):
        super().__init__(rng=0, dtype=dtype)
        self.bn = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x):
        return self.bn(x) + x if x.shape[2] % 2 else self.bn(x)


def network(channels, affine, dtype):
    net, rng = Normal(channels, affine, dtype), np.random.default_rng(1)
    state = net.state_dict()
    for name in state:
        if not name.endswith("tracked"):
            state[name] = rng.uniform(0.5, 2.0, channels)
    net.load_state_dict(state)
    return net.eval(), state


@given(
    n=st.sampled_from([1, 2, 15, 16, 17, 33]),
    channels=st.sampled_from([1, 3, 8, 17]),
    side=st.integers(1, 4),
    affine=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_they_are_those_of_the_formula(n, channels, side, affine, dtype):
    net, state = network(channels, affine, dtype)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, channels, side, 2)).astype(dtype)
    D = rng.standard_normal(X.shape).astype(dtype)
    x = nn.Tensor(X, requires_grad=True)
    y = net(x)
    (y * D).sum().backward()
    mean, variance = (state[f"bn.running_{name}"].reshape(-1, 1, 1) for name in ("mean", "var"))
    gamma = state["bn.weight"].reshape(-1, 1, 1) if affine else 1.0
    beta = state["bn.bias"].reshape(-1, 1, 1) if affine else 0.0
    normal = (X - mean) / np.sqrt(variance + 1e-5)
    skip = side % 2
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    scale = np.sqrt(n * side * 2)
    np.testing.assert_allclose(
        y.numpy(), gamma * normal + beta + skip * X, rtol=tolerance, atol=10 * tolerance
    )
    np.testing.assert_allclose(
        x.grad, D * (gamma / np.sqrt(variance + 1e-5) + skip), rtol=tolerance, atol=10 * tolerance
    )
    if affine:
        np.testing.assert_allclose(
            net.bn.weight.grad, (D * normal).sum((0, 2, 3)), atol=50 * scale * tolerance
        )
        np.testing.assert_allclose(net.bn.bias.grad, D.sum((0, 2, 3)), atol=50 * scale * tolerance)
    for name in state:
        np.testing.assert_array_equal(net.state_dict()[name], state[name].astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_bring_the_same_bits(dtype):
    X = np.random.default_rng(0).standard_normal((70, 5, 4, 4)).astype(dtype)
    found = []
    for threads in (1, 2, 3):
        with use_threads(threads):
            net, _ = network(5, True, dtype)
            net(X).square().mean().backward()
            (compiled,) = net._programs.values()
            compiled.engine.threads = lambda batch, threads=threads: threads
            net.zero_grad()
            net(X).square().mean().backward()
            found.append((net.bn.weight.grad, net.bn.bias.grad))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_names():
    assert BATCH_NORM.across is not None
    assert BATCH_NORM_BY_RUNNING.across is None

"""Derivatives that are scaled down or cut off: against torch, and against the formulas."""

import math

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.utils import clip_grad_norm_, clip_grad_value_
from fastkb.reference import networks

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def network(dtype, seed=0):
    """A network with derivatives, whose tensors have padding behind them."""
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(27, 2), rng=0, dtype=np.dtype(dtype).name
    )
    rng = np.random.default_rng(seed)
    for parameter in net.parameters():
        parameter.grad = rng.standard_normal(parameter.shape)
    return net


def grads(net):
    return [parameter.grad for parameter in net.parameters()]


def twin_of(net, torch):
    found = []
    for parameter in net.parameters():
        found.append(torch.nn.Parameter(torch.tensor(parameter.numpy())))
        if parameter.grad is not None:
            found[-1].grad = torch.tensor(parameter.grad)
    return found


@each_dtype
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3, 0.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e6, math.inf])
def test_norms_are_those_of_torch(norm_type, max_norm, dtype):
    torch = pytest.importorskip("torch")
    net = network(dtype)
    net[0].bias.grad = None
    twin = twin_of(net, torch)
    before = grads(net)
    norm = clip_grad_norm_(net.parameters(), max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(twin, max_norm, norm_type)
    assert type(norm) is float
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(norm, expected.item(), rtol=rtol)
    for one, two, was in zip(grads(net), twin, before, strict=True):
        if two.grad is None:
            assert one is None
        else:
            np.testing.assert_allclose(one, two.grad.numpy(), rtol=rtol)
            if max_norm >= 1e6:
                np.testing.assert_array_equal(one, was)


@each_dtype
def test_formulas(dtype):
    net = network(dtype)
    before = [each.astype(np.float64) for each in grads(net)]
    norm = clip_grad_norm_(list(net.parameters()), 0.7)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(norm, math.sqrt(sum((g**2).sum() for g in before)), rtol=2 * eps)
    for one, two in zip(grads(net), networks.clip_by_norm(before, 0.7), strict=True):
        np.testing.assert_allclose(one, two, rtol=4 * eps)
    assert clip_grad_value_(net.parameters(), 0.01) is None
    for one, two in zip(
        grads(net),
        networks.clip_by_value(networks.clip_by_norm(before, 0.7), 0.01),
        strict=True,
    ):
        np.testing.assert_allclose(one, two, rtol=4 * eps)
        assert np.abs(one).max() == dtype(0.01)


@each_dtype
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_derivatives_that_are_not_finite(wrong, dtype):
    torch = pytest.importorskip("torch")
    net = network(dtype)
    given = net[2].weight.grad
    given[1, 3] = wrong
    net[2].weight.grad = given
    before, twin = grads(net), twin_of(net, torch)
    for norm_type in (2.0, 1.0, math.inf):
        with pytest.raises(RuntimeError, match=f"the norm of the derivatives is {wrong}"):
            clip_grad_norm_(net.parameters(), 1.0, norm_type, error_if_nonfinite=True)
    for one, two in zip(grads(net), before, strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_equal(clip_grad_norm_(net.parameters(), 1.0), wrong)
    torch.nn.utils.clip_grad_norm_(twin, 1.0)
    for one, two in zip(grads(net), twin, strict=True):
        np.testing.assert_array_equal(one, two.grad.numpy())
    net[2].weight.grad = given
    twin[2].grad = torch.tensor(given.astype(dtype))
    clip_grad_value_(net.parameters(), 0.5)
    torch.nn.utils.clip_grad_value_(twin, 0.5)
    for one, two in zip(grads(net), twin, strict=True):
        np.testing.assert_array_equal(one, two.grad.numpy())


@each_dtype
@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_squares_may_overflow_and_underflow(size, dtype):
    net = network(dtype)
    power = 1.0 if dtype == np.float32 else 8.0
    for parameter in net.parameters():
        parameter.grad = np.full(parameter.shape, size**power)
    count = sum(parameter.numel() for parameter in net.parameters())
    norm = clip_grad_norm_(net.parameters(), 1.0)
    expected = math.sqrt(count) * float(dtype(size**power))
    np.testing.assert_allclose(norm, expected, rtol=1e-6)


def test_parameters_that_count():
    net, other = network(np.float64), network(np.float64, seed=1)
    norms = [clip_grad_norm_(net[0].weight, 1e9), clip_grad_norm_(other.parameters(), 1e9)]
    before = net[2].weight.grad
    both = clip_grad_norm_([net[0].weight, *other.parameters()], 0.5)
    np.testing.assert_allclose(both, math.hypot(*norms))
    np.testing.assert_array_equal(net[2].weight.grad, before)
    left = math.hypot(
        clip_grad_norm_([net[0].weight], 1e9), clip_grad_norm_(other.parameters(), 1e9)
    )
    np.testing.assert_allclose(left, 0.5, rtol=1e-5)
    net.zero_grad()
    assert clip_grad_norm_(net.parameters(), 1.0) == 0.0
    assert clip_grad_norm_([], 1.0) == 0.0
    assert nn.utils.clip_grad_norm_ is clip_grad_norm_


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: clip_grad_norm_(p, -1.0), "max_norm must be"),
        (lambda p: clip_grad_norm_(p, math.nan), "max_norm must be"),
        (lambda p: clip_grad_norm_(p, 1.0, 0), "norm_type must be a finite real number above 0"),
        (lambda p: clip_grad_norm_(p, 1.0, "inf"), "norm_type must be"),
        (lambda p: clip_grad_norm_(p, 1.0, 2.0, 1), "error_if_nonfinite must be True or False"),
        (
            lambda p: clip_grad_norm_(3, 1.0),
            "parameters must be a Parameter or an iterable of some",
        ),
        (lambda p: clip_grad_value_([p], 1.0), "parameters must be a Parameter or an iterable"),
        (lambda p: clip_grad_value_(p, -0.5), "clip_value must be"),
    ],
)
def test_what_is_refused(call, message):
    net = network(np.float64)
    with pytest.raises(ValueError, match=message):
        call(net.parameters())

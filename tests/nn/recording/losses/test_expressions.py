"""Losses as numbers: arithmetic, derivatives of sums, errors."""

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((9, 3))
Y = RNG.standard_normal((9, 4))
SHARES = RNG.uniform(size=(9, 4))
LABELS = RNG.integers(0, 4, 9)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), rng=0)


def derived(make):
    """A loss of a network's outputs, and its derivatives."""
    net = network()
    loss = make(net(X))
    loss.backward()
    return loss.item(), [parameter.grad for parameter in net.parameters()]


KINDS = {
    "squared": lambda y: F.mse_loss(y, Y),
    "labels": lambda y: F.cross_entropy(y, LABELS),
    "weighted": lambda y: F.cross_entropy(y, LABELS, weight=[1.0, 2.0, 0.5, 3.0]),
    "logits": lambda y: F.binary_cross_entropy_with_logits(y, (Y > 0) * 1.0),
    "smooth": lambda y: F.smooth_l1_loss(y, Y, beta=0.5),
    "absolute": lambda y: F.l1_loss(y, Y),
    "huber": lambda y: F.huber_loss(y, Y, delta=0.5),
    "smoothed": lambda y: F.cross_entropy(
        y, LABELS, weight=[1.0, 2.0, 0.5, 3.0], label_smoothing=0.2
    ),
    "logarithms": lambda y: F.nll_loss(y, LABELS, weight=[1.0, 2.0, 0.5, 3.0]),
    "positive": lambda y: F.binary_cross_entropy_with_logits(y, SHARES, pos_weight=3.0),
    "probabilities": lambda y: F.binary_cross_entropy(y.sigmoid(), SHARES, weight=2.0),
    "mean": lambda y: y.square().mean(),
    "sum": lambda y: y.tanh().sum(),
}


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_a_sum_has_the_sum_of_derivatives(first, second):
    one, by_one = derived(KINDS[first])
    other, by_other = derived(KINDS[second])
    loss, gradients = derived(lambda y: 2.0 * KINDS[first](y) - KINDS[second](y) / 4 + 1.5)
    assert loss == pytest.approx(2 * one - other / 4 + 1.5, rel=1e-12)
    for found, a, b in zip(gradients, by_one, by_other, strict=True):
        np.testing.assert_allclose(found, 2 * a - b / 4, rtol=1e-9, atol=1e-13)


def test_numbers():
    y = nn.Tensor(np.array([[1.0, 2.0], [3.0, 6.0]]), requires_grad=True)
    loss = y.mean()
    assert (loss.item(), float(loss), loss.shape, loss.ndim) == (3.0, 3.0, (), 0)
    assert f"{loss:.2f}" == "3.00"
    assert (1.0 - loss).item() == -2.0
    assert (-loss * 2).item() == -6.0
    assert sum([y.mean(), y.sum()]).item() == 15.0
    assert loss.numpy().dtype == np.float64
    (3.0 - 2.0 * loss).backward()
    np.testing.assert_allclose(y.grad, np.full((2, 2), -0.5))


def test_errors():
    y = nn.Tensor(X, requires_grad=True)
    loss = y.mean()
    loss.backward()
    with pytest.raises(ValueError, match="added already"):
        loss.backward()
    with pytest.raises(ValueError, match="from data without requires_grad=True"):
        nn.Tensor(X).mean().backward()
    with pytest.raises(TypeError, match="a loss is multiplied by a number, got Tensor"):
        _ = loss * y
    with pytest.raises(TypeError, match="is added to a loss, got ndarray"):
        _ = loss + np.ones(3)
    with pytest.raises(ValueError, match="of 9 and of 2 observations"):
        _ = loss + nn.Tensor(X[:2], requires_grad=True).mean()


def test_functions_are_of_its_number():
    y = nn.Tensor(X, requires_grad=True)
    loss = F.mse_loss(y, Y[:, :3])
    assert loss.detach().item() == loss.item() == loss.mean().item()
    assert 1.0 + loss.detach() == 1.0 + loss.item()
    for make in (loss.sqrt, lambda: loss**2, loss.exp, lambda: 1.0 / loss, lambda: loss.view(1, 1)):
        with pytest.raises(TypeError, match="a loss is one number"):
            make()
    with pytest.raises(TypeError, match="a loss is multiplied by a number, got Tensor"):
        _ = y * loss
    with pytest.raises(TypeError, match="a loss is one number, and no operand of tensors"):
        F.cat([y, y])._join(loss, None)

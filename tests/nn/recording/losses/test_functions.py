"""Losses against PyTorch's, with their derivatives; what they refuse."""

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
theirs = torch.nn.functional

RNG = np.random.default_rng(0)
Z = RNG.standard_normal((7, 4))
Y = RNG.standard_normal((7, 4))
SHARES = RNG.uniform(size=(7, 4))
LABELS = RNG.integers(0, 4, 7)
SOME = np.array([0, 3, -100, 1, -100, 2, 2])
IMAGES = RNG.standard_normal((5, 3, 2, 4))
PLACES = RNG.integers(0, 3, (5, 2, 4))
WEIGHT = np.array([0.5, 2.0, 1.0, 3.0])

CASES = {
    "mse": ("mse_loss", Z, Y, {}),
    "mse of images": ("mse_loss", IMAGES, 2 * IMAGES[::-1], {}),
    "l1": ("l1_loss", Z, Y, {}),
    "smooth_l1": ("smooth_l1_loss", Z, Y, {"beta": 0.7}),
    "smooth_l1 of images": ("smooth_l1_loss", IMAGES, IMAGES[::-1].copy(), {}),
    "huber": ("huber_loss", Z, Y, {"delta": 0.7}),
    "huber of images": ("huber_loss", IMAGES, IMAGES[::-1].copy(), {}),
    "logits": ("binary_cross_entropy_with_logits", Z, SHARES, {}),
    "logits, weight": ("binary_cross_entropy_with_logits", Z, SHARES, {"weight": WEIGHT}),
    "logits, pos_weight": ("binary_cross_entropy_with_logits", Z, SHARES, {"pos_weight": WEIGHT}),
    "probabilities": ("binary_cross_entropy", np.clip(SHARES, 0.1, 0.9), SHARES[::-1].copy(), {}),
    "probabilities, weight": (
        "binary_cross_entropy", np.clip(SHARES, 0.1, 0.9), SHARES[::-1].copy(), {"weight": WEIGHT},
    ),
    "logits of images": (
        "binary_cross_entropy_with_logits", IMAGES, abs(np.tanh(IMAGES[::-1])),
        {"weight": np.array([0.5, 1.0, 2.0, 0.0]), "pos_weight": np.array(3.0)},
    ),
    "cross": ("cross_entropy", Z, LABELS, {}),
    "cross, weight": ("cross_entropy", Z, LABELS, {"weight": WEIGHT}),
    "cross, ignored": ("cross_entropy", Z, SOME, {}),
    "cross, ignored, weight": ("cross_entropy", Z, SOME, {"weight": WEIGHT}),
    "cross, smooth": ("cross_entropy", Z, LABELS, {"label_smoothing": 0.2}),
    "cross, smooth, weight": ("cross_entropy", Z, SOME, {"label_smoothing": 0.3, "weight": WEIGHT}),
    "cross, smooth, no weight": (
        "cross_entropy", Z, SOME, {"label_smoothing": 0.3, "weight": WEIGHT * [1, 1, 0, 1]},
    ),
    "cross, shares": ("cross_entropy", Z, SHARES / SHARES.sum(1, keepdims=True), {}),
    "cross, shares, all": (
        "cross_entropy", Z, SHARES, {"label_smoothing": 0.1, "weight": WEIGHT},
    ),
    "cross of images": ("cross_entropy", IMAGES, PLACES, {}),
    "cross of images, ignored": ("cross_entropy", IMAGES, PLACES, {"ignore_index": 1}),
    "nll": ("nll_loss", -SHARES, LABELS, {"weight": WEIGHT}),
    "nll, ignored": ("nll_loss", -SHARES, SOME, {}),
    "nll of images": ("nll_loss", -abs(IMAGES), PLACES, {"ignore_index": 2}),
}  # fmt: skip


def torchs(value):
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("case", CASES)
def test_they_are_torchs(case, reduction):
    name, input, target, options = CASES[case]
    x = nn.Tensor(input, requires_grad=True)
    y = torch.tensor(input, requires_grad=True)
    ours = getattr(F, name)(x, target, reduction=reduction, **options)
    other = getattr(theirs, name)(
        y, torch.tensor(target), reduction=reduction,
        **{key: torchs(value) for key, value in options.items()},
    )  # fmt: skip
    if reduction == "none":
        np.testing.assert_allclose(
            ours.numpy().reshape(other.shape), other.detach(), rtol=1e-12, atol=1e-14
        )
        ours, other = ours.square().mean(), other.square().mean()
    ours.backward()
    other.backward()
    assert ours.item() == pytest.approx(other.item(), rel=1e-12)
    np.testing.assert_allclose(x.grad, y.grad, rtol=1e-10, atol=1e-14)


ENDS = np.array([[0.0, 1.0, 1e-40], [0.5, 1e-13, 1 - 1e-13]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("answer", [0.0, 1.0, 0.3])
def test_probabilities_at_the_ends_are_torchs(answer, reduction, dtype):
    x = nn.Tensor(ENDS.astype(dtype), requires_grad=True)
    y = torch.tensor(ENDS.astype(dtype), requires_grad=True)
    target = np.full(ENDS.shape, answer, dtype)
    ours = F.binary_cross_entropy(x, target, reduction=reduction)
    other = theirs.binary_cross_entropy(y, torch.tensor(target), reduction=reduction)
    # torch's bound of the denominator is 1e-12 in float32, 4e-9 of it away.
    rtol = 1e-8 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(ours.numpy(), other.detach(), rtol=rtol, atol=rtol / 10)
    ours.sum().backward()
    other.sum().backward()
    np.testing.assert_allclose(x.grad, y.grad, rtol=rtol)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_targets_that_have_derivatives(name):
    x, t = nn.Tensor(Z, requires_grad=True), nn.Tensor(Y, requires_grad=True)
    getattr(F, name)(x, t).backward()
    y, s = torch.tensor(Z, requires_grad=True), torch.tensor(Y, requires_grad=True)
    getattr(theirs, name)(y, s).backward()
    np.testing.assert_allclose(x.grad, y.grad, rtol=1e-12)
    np.testing.assert_allclose(t.grad, s.grad, rtol=1e-12)


def test_extreme_logits_are_finite():
    z = np.array([[800.0, -800.0], [-800.0, 800.0]])
    for loss in (
        F.cross_entropy(nn.Tensor(z), [1, 1]),
        F.cross_entropy(nn.Tensor(z), [1, 1], label_smoothing=0.1),
        F.binary_cross_entropy_with_logits(nn.Tensor(z), np.eye(2)),
        F.binary_cross_entropy_with_logits(nn.Tensor(z), np.eye(2), pos_weight=[2.0, 2.0]),
    ):
        assert np.isfinite(loss.item())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.mse_loss(Z, Y[:, :2]), r"target must have shape \(n, 4\)|input's shape"),
        (lambda: F.mse_loss(IMAGES, IMAGES[0]), "input's shape"),
        (lambda: F.mse_loss(Z, Y, reduction="max"), "reduction"),
        (lambda: F.l1_loss(Z, Y[:3]), r"target must have the input's shape \(7, 4\), got \(3, 4\)"),
        (lambda: F.l1_loss(Z, np.full((7, 4), np.nan)), "NaN"),
        (lambda: F.smooth_l1_loss(Z, Y, beta=-1.0), "beta must be"),
        (lambda: F.huber_loss(Z, Y, delta=0.0), "delta must be"),
        (
            lambda: F.binary_cross_entropy(SHARES, SHARES[:, :2]),
            "target must have the input's shape",
        ),
        (lambda: F.binary_cross_entropy(SHARES, SHARES, weight=[1.0, 2.0]), "weight of shape"),
        (lambda: F.binary_cross_entropy(SHARES, SHARES, weight=-1.0), "weight must be finite"),
        (lambda: F.binary_cross_entropy(SHARES, 3 * SHARES), "target must be from 0 to 1"),
        (
            lambda: F.cross_entropy(Z, LABELS + 9, label_smoothing=0.1),
            "target must be labels",
        ),
        (lambda: F.nll_loss(Z, LABELS + 9), "target must be labels from 0 to 3"),
        (lambda: F.cross_entropy(Z, LABELS + 9), "target must be labels from 0 to 3"),
        (lambda: F.cross_entropy(Z, LABELS, label_smoothing=2.0), "label_smoothing must be"),
        (lambda: F.cross_entropy(Z, LABELS, weight=[1.0]), "weight must be 4 numbers"),
        (lambda: F.cross_entropy(Z, LABELS, weight=[1.0, -1.0, 1, 1]), "at least 0"),
        (lambda: F.cross_entropy(Z, np.full(7, -100)), "all are ignored"),
        (lambda: F.cross_entropy(IMAGES, np.full((5, 2, 4), -100)), "all are ignored"),
        (lambda: F.cross_entropy(IMAGES, PLACES[0]), r"whole numbers of shape \(5, 2, 4\)"),
        (lambda: F.cross_entropy(Z, SHARES[:3]), "target must be probabilities of shape"),
        (lambda: F.nll_loss(Z, SHARES), "target must be whole numbers"),
        (
            lambda: F.binary_cross_entropy_with_logits(Z, 2 + Y**2, pos_weight=0.0),
            "target must be from",
        ),
        (lambda: F.binary_cross_entropy_with_logits(Z, 2 + Y**2), "target must be from 0 to 1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()

"""Parameters as operands: views, functions and arithmetic of them, against NumPy."""

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn

IMAGES = np.random.default_rng(0).standard_normal((6, 3, 4, 5))
W = np.random.default_rng(1).standard_normal((3, 4, 5))


class Own(nn.Module):
    """What a function makes of the input and of a parameter or a buffer."""

    def __init__(self, function, numbers, buffer=False):
        super().__init__(rng=0, dtype="float64")
        self.function = function
        if buffer:
            self.register_buffer("w", numbers)
        else:
            self.w = nn.Parameter(numbers)

    def forward(self, x):
        return self.function(x, self.w)


def softmax(array, axis):
    powers = np.exp(array - array.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


# A function of tensors, and the same of arrays.
CASES = {
    "broadcast": (lambda x, w: x * w, lambda x, w: x * w),
    "one axis in front": (lambda x, w: x + w.view(1, 3, 4, 5), lambda x, w: x + w),
    "on the left": (lambda x, w: w - x, lambda x, w: w - x),
    "divided": (lambda x, w: w / (x.square() + 1), lambda x, w: w / (x**2 + 1)),
    "divisor": (lambda x, w: x / (w.square() + 1), lambda x, w: x / (w**2 + 1)),
    "number over": (lambda x, w: x * (1 / (w.abs() + 1)), lambda x, w: x / (np.abs(w) + 1)),
    "numbers": (lambda x, w: x + (2 - w * 3), lambda x, w: x + 2 - 3 * w),
    "array on the left": (lambda x, w: x * (np.ones(5) - w), lambda x, w: x * (1 - w)),
    "array": (lambda x, w: x * (w + np.arange(5.0)), lambda x, w: x * (w + np.arange(5.0))),
    "of itself": (lambda x, w: x * (w * w - w / 2), lambda x, w: x * (w**2 - w / 2)),
    "one": (lambda x, w: w[1, 2, 3] * x, lambda x, w: x * w[1, 2, 3]),
    "rows": (lambda x, w: x * w[0, :, None, 1], lambda x, w: x * w[0, :, None, 1]),
    "slices": (lambda x, w: x[:, 1:, 1:] * w[1:, :-1], lambda x, w: x[:, 1:, 1:] * w[1:, :-1]),
    "steps": (lambda x, w: x[:, :, :2] * w[..., ::2, :], lambda x, w: x[:, :, :2] * w[..., ::2, :]),
    "permuted": (
        lambda x, w: x * w.permute(2, 0, 1)[:3, :1, :1],
        lambda x, w: x * w.transpose(2, 0, 1)[:3, :1, :1],
    ),
    "transposed": (
        lambda x, w: x.flatten(2) * w.transpose(1, 2).flatten(1),
        lambda x, w: x.reshape(6, 3, 20) * w.transpose(0, 2, 1).reshape(3, 20),
    ),
    "unsqueezed": (lambda x, w: x * w[:, 0, 0].unsqueeze(-1).unsqueeze(2), lambda x, w: x * w[:, :1, :1]),
    "squeezed": (
        lambda x, w: x * w[0, :1, :].squeeze(0) + w[:1, :1, :1].squeeze(),
        lambda x, w: x * w[0, 0] + w[0, 0, 0],
    ),
    "expanded": (lambda x, w: x * w[:1].expand(3, -1, -1), lambda x, w: x * w[:1]),
    "summed": (lambda x, w: x * w.sum(), lambda x, w: x * w.sum()),
    "means": (lambda x, w: x * w.mean(0) * w.mean((1, 2), keepdim=True),
              lambda x, w: x * w.mean(0) * w.mean((1, 2), keepdims=True)),
    "shares": (lambda x, w: x * F.softmax(w, dim=0), lambda x, w: x * softmax(w, 0)),
    "shares behind": (lambda x, w: x * F.softmax(w, dim=-1), lambda x, w: x * softmax(w, 2)),
    "shares by a layer": (lambda x, w: x * nn.Softmax(dim=1)(w), lambda x, w: x * softmax(w, 1)),
    "logarithms": (
        lambda x, w: x * F.log_softmax(w, 1)[0], lambda x, w: x * np.log(softmax(w, 1))[0],
    ),
    "functions": (
        lambda x, w: x * F.relu(w) + w.sigmoid(),
        lambda x, w: x * np.maximum(w, 0) + 1 / (1 + np.exp(-w)),
    ),
    "functions moved": (
        lambda x, w: (
            x * w.exp()[:, None, 0, :] * (w * 1).permute(1, 0, 2)[0][:, None] * (w + 0).view(60)[7]
        ),
        lambda x, w: x * np.exp(w)[:, :1] * w[:, :1] * w.flat[7],
    ),
    "joined": (
        lambda x, w: x * F.cat([w[:1], w[1:]], 0), lambda x, w: x * w,
    ),
    "alone": (lambda x, w: F.tanh(w), lambda x, w: np.tanh(w) + 0 * x),
}  # fmt: skip


@pytest.mark.parametrize("buffer", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_it_is_what_numpy_has(case, buffer):
    function, plain = CASES[case]
    net = Own(function, W, buffer)
    expected = plain(IMAGES, W)
    output = net(IMAGES)
    if not output._stands:
        assert output.shape == expected.shape
        np.testing.assert_allclose(output.numpy(), expected, rtol=1e-12, atol=1e-12)
    if "array" not in case:  # arrays beside x are none that fit records
        np.testing.assert_allclose(
            net.predict(IMAGES), expected.reshape(net.predict(IMAGES).shape), rtol=1e-12, atol=1e-12
        )
    x = nn.Tensor(IMAGES, requires_grad=True)
    if buffer or output._stands:
        return
    weights = np.random.default_rng(2).standard_normal(expected.shape)
    (net(x) * weights).sum().backward()

    def total(x, w):
        return (plain(x, w) * weights).sum()

    for array, found in ((W, net.w.grad), (IMAGES, x.grad)):
        for place in np.random.default_rng(3).choice(array.size, 6, replace=False):
            ends = []
            for step in (1e-6, -1e-6):
                moved = array.copy()
                moved.flat[place] += step
                ends.append(total(*((IMAGES, moved) if array is W else (moved, W))))
            assert found.flat[place] == pytest.approx(
                (ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-6
            )


def test_a_token_for_each_observation():
    """As vision transformers have one in front of all others."""

    def function(x, token):
        x = F.cat([token.expand(x.shape[0], -1, -1), x], dim=1)
        return x.mean(1)

    X, token = IMAGES.reshape(6, 12, 5), np.arange(5.0).reshape(1, 1, 5)
    net = Own(function, token)
    expected = (X.sum(axis=1) + token[0]) / 13
    np.testing.assert_allclose(net(X).numpy(), expected)
    np.testing.assert_allclose(net.predict(X), expected)


def test_numbers_in_a_loop():
    seen = []

    def function(x, w):
        seen.append(
            (w[0].numpy(), w.exp().numpy(), np.asarray(w.detach()), len(w * 1), w.sum().item())
        )
        return x * w

    net = Own(function, W)
    net(IMAGES)
    first, powers, whole, length, total = seen[0]
    np.testing.assert_array_equal(first, W[0])
    np.testing.assert_allclose(powers, np.exp(W))
    np.testing.assert_array_equal(whole, W)
    assert (length, total) == (3, pytest.approx(W.sum()))


def test_no_derivatives_of_what_is_detached():
    net = Own(lambda x, w: x * w.detach() + w, np.ones(5))
    net(IMAGES).sum().backward()
    np.testing.assert_allclose(net.w.grad, np.full(5, 72.0))


def test_errors():
    for function, kind, message in (
        (lambda x, w: x * w[[0, 1]], TypeError, "an index must be a whole number, a slice or None"),
        (lambda x, w: x * w[:, 9:], ValueError, "leaves nothing"),
        (lambda x, w: x * w.permute(0, 0, 1), ValueError, "dims must be the axes in an order"),
        (lambda x, w: w * (x * x).mean(), TypeError, "a loss is one number"),
        (lambda x, w: x * w.anything, AttributeError, "anything"),
        (lambda x, w: x * (w * 2).anything, AttributeError, "anything"),
    ):
        with pytest.raises(kind, match=message):
            Own(function, W)(IMAGES)
    net = Own(lambda x, w: w.exp(), W)
    with pytest.raises(ValueError, match="as many observations as what its module is called with"):
        net(3)
    scalar = Own(lambda x, w: x * len(w * 1), np.array(1.0))
    with pytest.raises(TypeError, match="without axes has no length"):
        scalar(IMAGES)

"""Operators and methods of tensors against PyTorch's, with their derivatives."""

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn
from fastkb.nn.recording.operators import axis_of, function, layer_of, reshaped

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

SHAPE = (5, 2, 3, 4)
VECTOR = np.array([0.5, -1.5, 2.0, 3.0])
COLUMN = np.arange(1.0, 4.0).reshape(3, 1)
WHOLE = np.random.default_rng(3).uniform(0.5, 2.0, SHAPE)

# What is done with x, of numbers from 0.2 to 2, in words that both packages take; p is its own WHOLE.
CASES = {
    "add a number": lambda x, p: 2.0 + x + 1,
    "subtract": lambda x, p: (x - 0.5) + (3.0 - x) * 0.3,
    "multiply": lambda x, p: 2.0 * x * -0.5,
    "divide": lambda x, p: x / 4 + 1.0 / x,
    "negative": lambda x, p: -x,
    "powers": lambda x, p: x**2 + x**3 + x**0.5 + x**-1 + x**1.7,
    "two": lambda x, p: (x + p) * (x - p) / p,
    "an array before": lambda x, p: p - x,
    "an array divided": lambda x, p: p / x,
    "an array times": lambda x, p: p * x + p,
    "the same twice": lambda x, p: x * x + x / x - (x - x),
    "abs": lambda x, p: abs(x - 1.0) + (x - 1.3).abs(),
    "exp": lambda x, p: x.exp(),
    "log": lambda x, p: x.log(),
    "sqrt": lambda x, p: x.sqrt(),
    "square": lambda x, p: x.square() + x.pow(3),
    "sin": lambda x, p: x.sin() * x.cos(),
    "functions": lambda x, p: x.relu() + x.sigmoid() * x.tanh(),
    "clamp": lambda x, p: x.clamp(0.5, 1.5) + x.clamp(min=1.0) + x.clamp(max=0.7),
    "mean": lambda x, p: x.mean(3),
    "means": lambda x, p: x.mean((2, 3)) * x.mean(dim=(-1, 2)),
    "mean kept": lambda x, p: x - x.mean((1, 2, 3), keepdim=True),
    "sum": lambda x, p: x.sum(1) + x.sum(dim=-3),
    "view": lambda x, p: x.view(5, -1) * 2.0,
    "view of a size": lambda x, p: x.view(x.size(0), 6, 4).view(-1, 24),
    "reshape": lambda x, p: x.reshape(5, 4, 6)[:, 1:3],
    "flatten": lambda x, p: x.flatten(1) + x.flatten(2).flatten(1),
    "squeeze": lambda x, p: x.unsqueeze(1).squeeze(1) + x.unsqueeze(-1).squeeze(),
    "permute": lambda x, p: x.permute(0, 3, 1, 2) * x.permute(0, 3, 1, 2),
    "transpose": lambda x, p: x.transpose(1, 3) + x.transpose(-3, -1),
    "expand": lambda x, p: x[:, :1].expand(-1, 2, -1, -1) * x,
    "parts": lambda x, p: x[:, 1] + x[:, 0:1, :, :].squeeze(1),
    "one column": lambda x, p: x[:, 0, 1:, 2] - x[..., 3][:, 1, :2],
    "broadcast": lambda x, p: x * x[:, :1, :, :1] + x[:, 1:, :1, :],
    "normalised": lambda x, p: (
        (x - x.mean(1, keepdim=True)) / (x.square().mean(1, keepdim=True) + 1.0).sqrt()
    ),
}  # fmt: skip


def both(give, dtype=np.float64):
    """(numbers, derivatives) of this package, and of torch."""
    data = np.random.default_rng(0).uniform(0.2, 2.0, SHAPE)
    found = []
    x = nn.Tensor(data.astype(dtype), requires_grad=True)
    y = give(x, WHOLE.astype(dtype))
    (y.square() * 0.5 + y).mean().backward()
    found.append((y.numpy(), x.grad))
    x = torch.tensor(data, requires_grad=True)
    y = give(x, torch.tensor(WHOLE))
    (y.square() * 0.5 + y).mean().backward()
    found.append((y.detach().numpy(), x.grad.numpy()))
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_they_are_torchs(case, dtype):
    (ours, by_ours), (theirs, by_theirs) = both(CASES[case], dtype)
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    assert ours.shape == theirs.shape
    assert ours.dtype == by_ours.dtype == dtype
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(by_ours, by_theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "array", [VECTOR, COLUMN, np.float64(3.0), np.arange(2.0).reshape(2, 1, 1)]
)
def test_arrays_without_observations_are_repeated(array):
    def give(x, _):
        other = torch.tensor(array) if isinstance(x, torch.Tensor) else array
        return x * other + other

    (ours, by_ours), (theirs, by_theirs) = both(give)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_allclose(by_ours, by_theirs, rtol=1e-12, atol=1e-15)


def test_several_tensors_of_data_have_derivatives():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((4, 3), (4, 2, 3), (4, 1))]
    ours = [nn.Tensor(array, requires_grad=k != 1) for k, array in enumerate(arrays)]
    theirs = [torch.tensor(array, requires_grad=k != 1) for k, array in enumerate(arrays)]
    for values, cat in ((ours, F.cat), (theirs, torch.cat)):
        a, b, c = values
        total = cat([a, b[:, 0] * c, c], 1).square().mean() + (a * b[:, 1]).sum() * 0.1
        total.backward()
    for one, other in zip(ours, theirs, strict=True):
        assert (one.grad is None) == (other.grad is None)
        if other.grad is not None:
            np.testing.assert_allclose(one.grad, other.grad, rtol=1e-12)


def test_a_graph_is_looked_up_where_it_was_met():
    class Net(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.fc = nn.Linear(24, 3)

        def forward(self, x):
            x = (
                (x * 2.0 - 1.0)
                .permute(0, 2, 1, 3)[:, 1:, :, :2]
                .mean(3)
                .expand(-1, 2, 2)
                .flatten(1)
            )
            return self.fc(F.cat([x, x, x, x, x, x], 1))

    net, X = Net(), np.random.default_rng(0).uniform(0.2, 2.0, SHAPE)
    for _ in range(3):
        net(X).square().mean().backward()
        net(X).numpy()
    assert len(net._programs) == 2


def test_layers_are_the_same_objects():
    assert function("exp") is function("exp")
    assert function("power", 2.5) is not function("power", 3.5)
    assert layer_of(nn.MaxPool2d, 2) is layer_of(nn.MaxPool2d, 2)


@pytest.mark.parametrize(
    ("give", "error", "message"),
    [
        (lambda x: x.view(4, 30), ValueError, "first axis counts the 5 observations and stays"),
        (lambda x: x.view(5, 7), ValueError, r"has no shape \(5, 7\): it has 120 elements"),
        (lambda x: x.view(-1), ValueError, "first axis counts"),
        (lambda x: x.flatten(), ValueError, "start_dim must be 1 at least"),
        (lambda x: x.mean(0), ValueError, "dim 0 counts observations"),
        (lambda x: x.mean((1, 2, 3)), ValueError, "keepdim=True"),
        (lambda x: x.mean(4), ValueError, "dim must be from -4 to 3, got 4"),
        (lambda x: x[0], ValueError, "all observations are computed together"),
        (lambda x: x[:, ::2], TypeError, "slice of step 1"),
        (lambda x: x[:, 5], ValueError, "dim must be from -2 to 1"),
        (lambda x: x[:, 2:2], ValueError, "leaves nothing"),
        (lambda x: x.permute(1, 0, 2, 3), ValueError, "an order that begins with 0"),
        (lambda x: x + np.ones((5, 3, 3, 4)), ValueError, "shape mismatch|broadcast"),
        (lambda x: x + nn.Tensor(np.ones((4, 2, 3, 4))), ValueError, "of 5 and of 4 observations"),
        (lambda x: x @ x, TypeError, "Linear"),
        (lambda x: x**x, TypeError, "exponent must be a number"),
        (lambda x: x + "a", (TypeError, ValueError), "numbers|text|str|dtype"),
        (lambda x: F.cat([x, x], 0), ValueError, "dim must be 1 at least"),
        (lambda x: F.cat([], 1), ValueError, "one at least"),
        (lambda x: F.cat([x, x[:, :, 1:]], 1), ValueError, "Concatenate"),
        (lambda x: x.expand(5, 3, 3, 4), ValueError, "Expand"),
    ],
)  # fmt: skip
def test_what_cannot_be_given(give, error, message):
    with pytest.raises(error, match=message):
        give(nn.Tensor(np.ones(SHAPE)))


def test_sizes():
    assert reshaped((4, 6), (4, -1, 3)) == (4, 2, 3)
    assert axis_of(-1, 3) == 2

"""Gradients of graphs that are drawn at random: against PyTorch, and against differences.

A graph is a list of steps over a pool of values; each step reads one or two of them, so values have many
readers, and some have none. Both packages run the same code.
"""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastkb.nn.functional as F
from fastkb import nn
from fastkb.runtime.threads import use_threads

ONE = ("relu", "tanh", "sigmoid", "softplus", "gelu", "square", "scale", "shift", "exp", "sin")
IMAGE = ("conv", "pointwise", "norm", "max_pool", "avg_pool", "part")
ROW = ("linear", "norm_rows", "layer_norm", "softmax", "log_softmax", "part")
TWO = ("add", "subtract", "multiply", "cat")


class Step:
    """What is done to which values of the pool."""

    def __init__(self, name, first, second):
        self.name, self.first, self.second = name, first, second

    def __repr__(self):
        return f"{self.name}({self.first}, {self.second})"


@st.composite
def graphs(draw):
    images = draw(st.booleans())
    count = draw(st.integers(1, 9))
    names = (*ONE, *TWO, *(IMAGE if images else ROW))
    return images, [
        Step(draw(st.sampled_from(names)), draw(st.integers(0, 20)), draw(st.integers(0, 20)))
        for _ in range(count)
    ]


class Graph:
    """What modules of both packages have in common."""

    def build(self, nn, images, steps, shape):
        """Make the layers, for values of shapes that are followed here."""
        self.images, self.steps = images, steps
        shapes = [shape]
        for place, step in enumerate(steps):
            taken = shapes[step.first % len(shapes)]
            layer, given = None, taken
            if step.name == "conv":
                layer, given = nn.Conv2d(taken[0], 3, 3, padding=1), (3, *taken[1:])
            elif step.name == "pointwise":
                layer, given = nn.Conv2d(taken[0], 2, 1, bias=False), (2, *taken[1:])
            elif step.name == "norm":
                layer = nn.BatchNorm2d(taken[0])
            elif step.name == "max_pool":
                layer = nn.MaxPool2d(3, 1, 1)
            elif step.name == "avg_pool":
                layer = nn.AvgPool2d(3, 1, 1)
            elif step.name == "linear":
                layer, given = nn.Linear(taken[0], 4), (4,)
            elif step.name == "norm_rows":
                layer = nn.BatchNorm1d(taken[0])
            elif step.name == "layer_norm":
                layer = nn.LayerNorm(taken[0])
            elif step.name in ("softmax", "log_softmax"):
                layer = {"softmax": nn.Softmax, "log_softmax": nn.LogSoftmax}[step.name](1)
            elif step.name == "part" and taken[0] > 1:
                given = (taken[0] - 1, *taken[1:])
            elif step.name == "cat":
                other = self.partner(step, shapes, taken)
                given = (taken[0] + other[0], *taken[1:])
            if layer is not None:
                setattr(self, f"layer{place}", layer)
            shapes.append(given)
        self.shapes = shapes

    @staticmethod
    def partner(step, shapes, taken):
        """The first value from some place on that goes with the one that is taken."""
        for k in range(len(shapes)):
            other = shapes[(step.second + k) % len(shapes)]
            if step.name == "cat" or other == taken:
                return other
        raise AssertionError("a value goes with itself")

    def give(self, F, cat, x):
        """The mean of squares of all values that nobody reads."""
        values, read = [x], set()
        for place, step in enumerate(self.steps):
            first = step.first % len(values)
            value = values[first]
            read.add(first)
            if step.name in TWO:
                second = next(
                    k % len(values)
                    for k in range(step.second, step.second + len(values))
                    if step.name == "cat" or self.shapes[k % len(values)] == self.shapes[first]
                )
                read.add(second)
                other = values[second]
                if step.name == "cat":
                    made = cat([value, other], 1)
                else:
                    made = {
                        "add": lambda a, b: a + b,
                        "subtract": lambda a, b: a - b,
                        "multiply": lambda a, b: a * b,
                    }[step.name](value, other)
            elif hasattr(self, f"layer{place}"):
                made = getattr(self, f"layer{place}")(value)
            elif step.name == "part":
                made = value[:, 1:] if value.shape[1] > 1 else value
            elif step.name in ("square", "exp", "sin"):
                made = getattr(value.tanh(), step.name)()
            elif step.name == "scale":
                made = value * -0.7
            elif step.name == "shift":
                made = 1.5 - value
            else:
                made = getattr(F, step.name)(value)
            values.append(made)
        loss = 0.0
        for k, value in enumerate(values):
            if k not in read:
                loss = loss + value.square().mean()
        return loss


class Ours(nn.Module, Graph):
    def forward(self, x):
        return x


@functools.cache
def theirs():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    class Theirs(torch.nn.Module, Graph):
        pass

    return torch, Theirs


def made(images, steps, dtype):
    shape = (2, 4, 5) if images else (5,)
    net = Ours(rng=0, dtype=dtype)
    net.build(nn, images, steps, shape)
    X = np.random.default_rng(1).standard_normal((17, *shape)).astype(dtype)
    return net, X


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60)
@given(graph=graphs())
def test_gradients_are_those_of_torch(dtype, graph):
    torch, Theirs = theirs()
    images, steps = graph
    net, X = made(images, steps, dtype)
    twin = Theirs()
    twin.build(torch.nn, images, steps, X.shape[1:])
    twin = twin.double()
    if net._modules:
        twin.load_state_dict(
            {name: torch.tensor(array) for name, array in net.state_dict().items()}
        )
    x = nn.Tensor(X, requires_grad=True)
    y = torch.tensor(X, dtype=torch.float64, requires_grad=True)
    loss = net.give(F, F.cat, x)
    loss.backward()
    expected = twin.give(torch.nn.functional, torch.cat, y)
    expected.backward()
    tolerance = 1e-9 if dtype == np.float64 else 2e-3
    assert loss.item() == pytest.approx(expected.item(), rel=tolerance)
    pairs = [(x.grad, y.grad.numpy())]
    pairs += [
        (ours.grad, other.grad)
        for ours, other in zip(net.parameters(), twin.parameters(), strict=True)
    ]
    scale = max([1e-3, *(float(abs(other).max()) for _, other in pairs if other is not None)])
    for ours, other in pairs:
        assert (ours is None) == (other is None)
        if other is not None:
            np.testing.assert_allclose(ours, other, atol=tolerance * scale)


@settings(max_examples=15)
@given(graph=graphs())
def test_gradients_are_those_of_differences(graph):
    images, steps = graph
    smooth = [step for step in steps if step.name not in ("relu", "max_pool")]
    net, X = made(images, smooth, np.float64)
    x = nn.Tensor(X, requires_grad=True)
    net.give(F, F.cat, x).backward()
    along = np.random.default_rng(2).standard_normal(X.shape)
    ends = [net.give(F, F.cat, nn.Tensor(X + step * along)).item() for step in (1e-5, -1e-5)]
    derivative = float((x.grad * along).sum())
    assert derivative == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-6)


@settings(max_examples=15)
@given(graph=graphs())
def test_threads_bring_the_same_bits(graph):
    found = []
    for threads in (1, 2):
        with use_threads(threads):
            net, X = made(*graph, np.float32)
            x = nn.Tensor(np.vstack([X] * 3), requires_grad=True)
            net.give(F, F.cat, x).backward()
            for compiled in net._programs.values():
                compiled.engine.threads = lambda batch, threads=threads: threads
            x = nn.Tensor(np.vstack([X] * 3), requires_grad=True)
            net.zero_grad()
            net.give(F, F.cat, x).backward()
            found.append([x.grad, *(parameter.grad for parameter in net.parameters())])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)

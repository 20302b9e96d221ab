"""Functions of every element: values, derivatives, kinks, and what belongs to no observation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.observations import Observations
from fastkb.nn.ops.tensors.functions import FUNCTIONS, Function
from fastkb.nn.ops.tensors.joins import Combination, Product
from fastkb.nn.program.engine import Engine
from tests.nn.ops.tensors.graphs import BATCHES, SIZES, Built, check, in_lanes, run


def huber(x, beta):
    return np.where(np.abs(x) < beta, 0.5 * x * x / (beta or 1.0), np.abs(x) - 0.5 * beta)


# A function, what it is in NumPy, and whether it wants positive numbers.
CASES = [
    (Function("exp"), np.exp, False),
    (Function("log"), np.log, True),
    (Function("sqrt"), np.sqrt, True),
    (Function("abs"), np.abs, False),
    (Function("square"), np.square, False),
    (Function("reciprocal"), lambda x: 1 / x, False),
    (Function("power", 1.5), lambda x: x**1.5, True),
    (Function("power", -2.0), lambda x: x**-2.0, False),
    (Function("power", 3.0), lambda x: x**3, False),
    (Function("power", 1), lambda x: x, False),
    (Function("power"), np.ones_like, False),
    (Function("scale", -0.7), lambda x: -0.7 * x, False),
    (Function("shift", 2.5), lambda x: x + 2.5, False),
    (Function("smooth_l1", 1.0), lambda x: huber(x, 1.0), False),
    (Function("smooth_l1", 0.9), lambda x: huber(x, 0.9), False),
    (Function("smooth_l1"), np.abs, False),
    (Function("sin"), np.sin, False),
    (Function("cos"), np.cos, False),
    (Function("clamp_min", 0.8), lambda x: np.maximum(x, 0.8), False),
    (Function("clamp_max", -0.8), lambda x: np.minimum(x, -0.8), False),
]
each_case = pytest.mark.parametrize(
    ("function", "expected", "positive"), CASES, ids=[repr(case[0]) for case in CASES]
)


def data(positive, *shape):
    """Away from zero."""
    rng = np.random.default_rng(0)
    signs = 1.0 if positive else rng.choice([-1.0, 1.0], shape)
    return rng.uniform(0.5, 2.0, shape) * signs


def test_every_function_is_tested():
    found = {case[0].name for case in CASES}
    # The last two are functions of probabilities.
    assert found | {"whole_power", "log_probability", "log_of_rest"} == {
        entry.name for entry in FUNCTIONS
    }


@each_case
def test_in_rows(function, expected, positive):
    @settings(max_examples=12)
    @given(st.sampled_from(SIZES), st.sampled_from(BATCHES))
    def of_shape(size, n):
        check(lambda x: function.record(x, ""), data(positive, n, size), expected)

    of_shape()


@each_case
def test_in_lanes(function, expected, positive):
    for n in (1, 15, 16):
        check(
            lambda x: in_lanes(function.record(in_lanes(x), "")),
            data(positive, n, 3, 2, 3),
            expected,
        )


@each_case
@pytest.mark.parametrize("begin", [lambda x: x, in_lanes], ids=["rows", "lanes"])
def test_with_other_readers(function, expected, positive, begin):
    """One before it, and one behind it."""

    def build(x):
        value = begin(x)
        one = function.record(value, "")
        return Combination().record_all((Product().record_all((value, one)), value))

    check(build, data(positive, 9, 2, 3, 2), lambda x: x * expected(x) + x)


@each_case
def test_an_activation_behind_it(function, expected, positive):
    """It is a row of its own: the derivative is taken from what the function gives."""
    check(
        lambda x: nn.Tanh().record(function.record(x, ""), ""),
        data(positive, 9, 5),
        lambda x: np.tanh(expected(x)),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("function", "x", "values", "derivatives"),
    [
        (Function("abs"), [-2, 0, 3], [2, 0, 3], [-1, 0, 1]),
        (Function("smooth_l1", 2.0), [-2, -1, 0, 2], [1, 0.25, 0, 1], [-1, -0.5, 0, 1]),
        (Function("smooth_l1"), [-2, 0, 2], [2, 0, 2], [-1, 0, 1]),
        (Function("clamp_min", 1.0), [0, 1, 2], [1, 1, 2], [0, 1, 1]),
        (Function("clamp_max", 1.0), [0, 1, 2], [0, 1, 1], [1, 1, 0]),
        (Function("power", 2.0), [0, -3], [0, 9], [0, -6]),
        (Function("power", 1.0), [0, -3], [0, -3], [1, 1]),
        (Function("power", 0.0), [0, -3], [1, 1], [0, 0]),
        (Function("power", 63.0), [1, -1], [1, -1], [63, 63]),
        (Function("power", 64.0), [1, -1], [1, 1], [64, -64]),
        (Function("sqrt"), [4, 0.25], [2, 0.5], [0.25, 1]),
    ],
    ids=repr,
)
def test_kinks_and_special_values(function, x, values, derivatives, dtype):
    X = np.array([x], dtype)
    # The mean squared error has a derivative of 1 there.
    targets = np.array([values], float) - len(x) / 2
    found, deltas, _ = run(lambda node: function.record(node, ""), X, targets)
    np.testing.assert_array_equal(found, np.array([values], dtype))
    np.testing.assert_allclose(deltas, np.array([derivatives], dtype), rtol=1e-6)


@pytest.mark.parametrize("name", ["smooth_l1", "clamp_min", "clamp_max"])
def test_kinks_are_torchs(name):
    torch = pytest.importorskip("torch")
    theirs = {
        "smooth_l1": lambda x: torch.nn.functional.smooth_l1_loss(
            x, torch.zeros_like(x), beta=0.5, reduction="none"
        ),
        "clamp_min": lambda x: torch.clamp(x, min=0.5),
        "clamp_max": lambda x: torch.clamp(x, max=0.5),
    }[name]
    X = np.array([[-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0]])
    x = torch.tensor(X, requires_grad=True)
    outputs = theirs(x)
    outputs.sum().backward()
    targets = outputs.detach().numpy() - X.size / 2
    found, deltas, _ = run(lambda node: Function(name, 0.5).record(node, ""), X, targets)
    np.testing.assert_allclose(found, outputs.detach().numpy(), rtol=1e-15)
    np.testing.assert_allclose(deltas, x.grad.numpy(), rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["log", "sqrt", "reciprocal", "exp"])
@pytest.mark.parametrize("n", [1, 15, 16, 17])
def test_lanes_without_observations_leave_no_trace(name, n, dtype):
    """A convolution's gradient is a sum over whole vectors: 0 times infinity would be in it.

    Without intercepts what has no observation is zero, where these have no value or no derivative.
    """
    layers = nn.Conv2d(2, 3, 1, bias=False), nn.Conv2d(3, 2, 2, bias=False)

    class Network(Built):
        @property
        def parts(self):
            return {"first": layers[0], "second": layers[1]}

        def record(self, value, name):
            value = layers[0].record(value, f"{name}first")
            return layers[1].record(self.build(value), f"{name}second")

    network = Network(lambda x: Function(name).record(Function("square").record(x, ""), ""), None)
    rng = np.random.default_rng(0)
    X = rng.uniform(0.5, 1.5, (n, 2, 3, 3)).astype(dtype)
    y = np.zeros((n, 8), dtype)
    engine = Engine(network, X.dtype, X.shape[1:])
    parameters = np.zeros(engine.size, dtype)
    first, second = (rng.uniform(0.5, 1.5, shape) for shape in ((3, 2, 1, 1), (2, 3, 2, 2)))
    engine.put("first.weight", first, parameters)
    engine.put("second.weight", second, parameters)
    data = Observations(X, y, np.zeros(0, np.int64), np.zeros(0, dtype))
    loss, gradients = engine.loss_and_gradients(parameters, data, "squared_error", 0.0)
    assert math.isfinite(loss)
    found = engine.take(gradients)
    # The whole is homogeneous in the second weights, of degree two.
    total = np.sum(found["second.weight"].astype(float) * second)
    assert total == pytest.approx(2 * loss, rel=1e-4 if dtype == np.float32 else 1e-12)
    assert np.isfinite(found["first.weight"]).all()
    assert found["first.weight"].any()


def test_names():
    with pytest.raises(ValueError, match=r"name must be one of exp, log, .*, got 'sine'"):
        Function("sine")
    assert len({Function("exp"), Function("exp", 0.0), Function("power", 2)}) == 2


def test_whole_powers_are_multiplications():
    codes = [entry.name for entry in FUNCTIONS]

    def name(p):
        (row,) = Function("power", p).rows(0, (3,), 1)
        return codes[row.window[0]]

    assert [name(p) for p in (0, 2.0, 63)] == ["whole_power"] * 3
    assert [name(p) for p in (-1.0, 0.5, 64.0)] == ["power"] * 3


def test_logarithms_of_probabilities():
    right, wrong = Function("log_probability"), Function("log_of_rest")
    for n in (1, 15, 16, 17):
        p = np.random.default_rng(n).uniform(0.05, 0.95, (n, 7))
        check(lambda x: right.record(x, ""), p, np.log)
        check(lambda x: wrong.record(x, ""), p, lambda x: np.log1p(-x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logarithms_of_probabilities_at_the_ends(dtype):
    eps = float(np.finfo(dtype).eps)
    given = np.array([[0.0, 1e-40, 1e-13, 1.0, 1 - eps]], dtype)
    small = float(given[0, 1])
    bounds = [[1e-12, 1e-12, 1e-12, 1e-12, max(eps * (1 - eps), 1e-12)]]
    expected = {
        "log_probability": ([[-100, np.log(small), np.log(1e-13), 0, np.log1p(-eps)]], 1 - given),
        "log_of_rest": ([[0, -small, np.log1p(-1e-13), -100, np.log(eps)]], -given),
    }
    for name, (values, slopes) in expected.items():
        p = nn.Tensor(given, requires_grad=True)
        found = p._record(Function(name))
        np.testing.assert_allclose(found.numpy(), values, rtol=1e-6 if eps > 1e-9 else 4 * eps)
        found.sum().backward()
        np.testing.assert_allclose(p.grad, slopes / np.array(bounds), rtol=1e-6)

"""The activations: true to the formulas, their derivatives too, and compiled as vectors."""

import math
import re

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.runtime import jit
from fastkb.runtime.cpu import cpu
from fastkb.scalar.activations import (
    ACTIVATIONS,
    activate,
    activation_code,
    find,
    times_derivative,
)

FLOATS = [np.float32, np.float64]
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda row: row.name)
each_smooth_one = pytest.mark.parametrize(
    "activation", [row for row in ACTIVATIONS if row.derivative], ids=lambda row: row.name
)


@jit(cache=False)
def _activate(code, values, start, length, p):
    activate(code, values[start : start + length], p)


@jit(cache=False)
def _times_derivative(code, gradient, values, start, length, p):
    times_derivative(code, gradient[start : start + length], values[start : start + length], p)


def _parameter(activation, kind=float):
    return kind(0.5 if activation.parameter is None else activation.parameter)


def _outputs(activation, x, p):
    values = x.copy()
    _activate(activation_code(activation), values, 0, len(x), p)
    return values


def _derivatives(activation, x, p):
    """g'(x), by way of the outputs where the derivative takes those."""
    gradient = np.ones_like(x)
    values = _outputs(activation, x, p) if activation.from_output else x
    _times_derivative(activation_code(activation), gradient, values, 0, len(x), p)
    return gradient


def _normal(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def _sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


EXACT = {
    "identity": (lambda x, p: x, lambda x, p: 1),
    "sign": (lambda x, p: mpmath.sign(x), None),
    "relu": (lambda x, p: max(x, 0), lambda x, p: x > 0),
    "leaky_relu": (lambda x, p: x if x > 0 else p * x, lambda x, p: 1 if x > 0 else p),
    "elu": (
        lambda x, p: x if x > 0 else p * mpmath.expm1(x),
        lambda x, p: 1 if x > 0 else p * mpmath.exp(x),
    ),
    "sigmoid": (lambda x, p: _sigmoid(x), lambda x, p: _sigmoid(x) * _sigmoid(-x)),
    "tanh": (lambda x, p: mpmath.tanh(x), lambda x, p: mpmath.sech(x) ** 2),
    "softplus": (lambda x, p: mpmath.log1p(mpmath.exp(x)), lambda x, p: _sigmoid(x)),
    "gelu": (lambda x, p: x * _normal(x), lambda x, p: _normal(x) + x * mpmath.npdf(x)),
}


def _exact(activation, which, x, p):
    with mpmath.workdps(40):
        formula = EXACT[activation.name][which]
        # (In their own type, numbers below float's range would be lost.)
        return np.array([float(formula(mpmath.mpf(float(v)), mpmath.mpf(float(p)))) for v in x])


def _arguments(kind):
    generator = np.random.default_rng(0)
    sizes = 10 ** generator.uniform(-30, 4, 300)
    parts = [generator.uniform(-reach, reach, 300) for reach in (1, 8, 110, 800)]
    return np.concatenate([*parts, sizes, -sizes, [0.0]]).astype(kind)


@each_activation
@pytest.mark.parametrize("kind", FLOATS)
def test_every_code_is_its_formula(activation, kind):
    x, p = _arguments(kind), _parameter(activation, kind)
    info = np.finfo(kind)
    np.testing.assert_allclose(
        _outputs(activation, x, p),
        _exact(activation, 0, x, p),
        rtol=4 * info.eps,
        atol=2 * info.smallest_subnormal,
    )


@each_smooth_one
@pytest.mark.parametrize("kind", FLOATS)
def test_every_derivative_is_its_formula(activation, kind):
    x, p = _arguments(kind), _parameter(activation, kind)
    np.testing.assert_allclose(
        _derivatives(activation, x, p),
        _exact(activation, 1, x, p),
        rtol=0,
        atol=4 * np.finfo(kind).eps,
    )


@each_smooth_one
@settings(max_examples=100)
@given(x=st.floats(-1e6, 1e6), p=st.floats(0, 2))
def test_any_number_and_parameter(activation, x, p):
    values = np.array([x])
    largest = max(p, 1)
    for which, found in enumerate((_outputs, _derivatives)):
        got, exact = found(activation, values, p), _exact(activation, which, values, p)
        eps = np.finfo(float).eps
        scale = np.abs(exact) if which == 0 else largest
        np.testing.assert_array_less(np.abs(got - exact), 4 * eps * scale + 1e-320)


@each_smooth_one
def test_python_versions_agree_with_the_mathematics(activation):
    p = _parameter(activation)
    x = [-30.0, -2.5, -0.3, 0.0, 0.7, 4.0, 800.0]
    outputs = [activation.function(value, p) for value in x]
    np.testing.assert_allclose(outputs, _exact(activation, 0, x, p), rtol=1e-12)
    arguments = outputs if activation.from_output else x
    derivatives = [activation.derivative(value, p) for value in arguments]
    np.testing.assert_allclose(derivatives, _exact(activation, 1, x, p), rtol=0, atol=1e-15)


def test_sign_in_python():
    assert [find("sign").function(t, 0.0) for t in (-2.0, 0.0, 3.0)] == [-1, 0, 1]


# g at -∞, -0, 0 and ∞, and g' there.
LIMITS = {
    "identity": ([-np.inf, -0.0, 0, np.inf], [1, 1, 1, 1]),
    "sign": ([-1, -0.0, 0, 1], None),
    "relu": ([0, 0, 0, np.inf], [0, 0, 0, 1]),
    "leaky_relu": ([-np.inf, -0.0, 0, np.inf], [0.1, 0.1, 0.1, 1]),
    "elu": ([-1, -0.0, 0, np.inf], [0, 1, 1, 1]),
    "sigmoid": ([0, 0.5, 0.5, 1], [0, 0.25, 0.25, 0]),
    "tanh": ([-1, -0.0, 0, 1], [0, 1, 1, 0]),
    "softplus": ([0, math.log(2), math.log(2), np.inf], [0, 0.5, 0.5, 1]),
    "gelu": ([-0.0, -0.0, 0, np.inf], [0, 0.5, 0.5, 1]),
}


@each_activation
@pytest.mark.parametrize("kind", FLOATS)
def test_limits(activation, kind):
    x = np.array([-np.inf, -0.0, 0.0, np.inf], kind)
    p = _parameter(activation, kind)
    values, derivatives = LIMITS[activation.name]
    eps = np.finfo(kind).eps
    np.testing.assert_allclose(_outputs(activation, x, p), values, rtol=eps)
    if derivatives is not None:
        np.testing.assert_allclose(_derivatives(activation, x, p), derivatives, rtol=eps, atol=eps)


@each_activation
@pytest.mark.parametrize("kind", FLOATS)
def test_nan_is_passed_on(activation, kind):
    x = np.linspace(-3, 3, 40).astype(kind)
    x[[3, 30]] = np.nan
    p = _parameter(activation, kind)
    np.testing.assert_array_equal(np.isnan(_outputs(activation, x, p)), np.isnan(x))
    if activation.name not in ("identity", "sign"):  # those leave the gradient alone
        np.testing.assert_array_equal(np.isnan(_derivatives(activation, x, p)), np.isnan(x))


@each_activation
@pytest.mark.parametrize("kind", FLOATS)
def test_only_the_range_changes_and_the_gradient_is_multiplied(activation, kind):
    x = np.random.default_rng(0).normal(size=100).astype(kind)
    code, p = activation_code(activation), _parameter(activation, kind)
    values, gradient = x.copy(), 3 * np.abs(x) + 1
    before = gradient.copy()
    _activate(code, values, 7, 61, p)
    inside = slice(7, 68)
    np.testing.assert_array_equal(values[inside], _outputs(activation, x[inside].copy(), p))
    np.testing.assert_array_equal(np.delete(values, inside), np.delete(x, inside))
    arguments = (values if activation.from_output else x).copy()
    expected = before.copy()
    expected[inside] *= _derivatives(activation, x[inside].copy(), p)
    _times_derivative(code, gradient, arguments, 7, 61, p)
    # (Multiplied and subtracted in one rounding, or in two.)
    np.testing.assert_allclose(gradient, expected, rtol=4 * np.finfo(kind).eps)
    np.testing.assert_array_equal(np.delete(gradient, inside), np.delete(before, inside))


def test_an_unknown_code_changes_nothing():
    values, gradient = np.arange(5.0), np.arange(5.0)
    _activate(len(ACTIVATIONS), values, 0, 5, 1.0)
    _times_derivative(len(ACTIVATIONS), gradient, values, 0, 5, 1.0)
    np.testing.assert_array_equal(values, np.arange(5.0))
    np.testing.assert_array_equal(gradient, np.arange(5.0))


def test_the_parameter_takes_the_type_of_the_values():
    values = np.array([-1.0, 2.0], np.float32)
    _activate(activation_code(find("leaky_relu")), values, 0, 2, 0.1)
    np.testing.assert_array_equal(values, np.array([-0.1, 2], np.float32))


@pytest.mark.skipif(cpu().vector_bytes < 32, reason="two numbers at a time are not always worth it")
@pytest.mark.parametrize("kind", FLOATS)
def test_all_loops_are_vectorised(kind):
    x = np.zeros(4, kind)
    _activate(0, x, 0, 4, kind(1))
    _times_derivative(0, x, x.copy(), 0, 4, kind(1))
    loops = len(ACTIVATIONS) - 1  # the identity has none
    for compiled, expected in ((_activate, loops), (_times_derivative, loops - 1)):
        text = "".join(
            text
            for types, text in compiled.inspect_llvm().items()
            if types[1].dtype.name == np.dtype(kind).name
        )
        assert len(set(re.findall(r"^(vector\.body\S*):", text, re.MULTILINE))) >= expected


def test_table():
    names = [row.name for row in ACTIVATIONS]
    assert names == [
        "identity",
        "sign",
        "relu",
        "leaky_relu",
        "elu",
        "sigmoid",
        "tanh",
        "softplus",
        "gelu",
    ]
    for code, row in enumerate(ACTIVATIONS):
        assert find(row.name) is row
        assert activation_code(row) == code
        assert (row.parameter is None) == (row.parameter_name == "")
    assert find("leaky_relu").parameter == 0.1
    assert find("elu").parameter == 1.0
    assert find("sign").derivative is None
    assert [row.name for row in ACTIVATIONS if not row.from_output] == ["gelu"]

"""Kernels at the edges of a float's range, against exact rational arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb import (
    gram,
    kernels,
    laplacian_kernel,
    pairwise_kernels,
    polynomial_kernel,
    rbf_kernel,
    sigmoid_kernel,
)
from fastkb.gram import units
from fastkb.scalar.kernels import Form

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
EDGES = {
    np.float64: [1e-300, 1e-200, 1e-155, 1.0, 1e155, 1e200, 1e300],
    np.float32: [1e-37, 1e-30, 1e-20, 1.0, 1e20, 1e30, 1e37],
}


def exact(X, form):
    """t between all rows, as fractions.  # shape: (n, n)"""
    rows = [[Fraction(float(x)) for x in row] for row in X]
    of_pair = {
        Form.DOT: lambda a, b: a * b,
        Form.SQDIFF: lambda a, b: (a - b) ** 2,
        Form.ABSDIFF: lambda a, b: abs(a - b),
    }[form]
    return [[sum(map(of_pair, a, b)) for b in rows] for a in rows]


def values(table, function):
    return np.array([[function(t) for t in row] for row in table])


def rounded(fraction):
    try:
        return float(fraction)
    except OverflowError:
        return math.inf if fraction > 0 else -math.inf


def rows(size, dtype):
    return (size * np.array([[0.0, 0.5], [1.0, -0.25], [0.5, 0.5], [1.0, 1.0]])).astype(dtype)


@dtypes
@pytest.mark.parametrize("place", range(7))
def test_a_width_counts_in_its_own_units(place, dtype):
    size = EDGES[dtype][place]
    X = rows(size, dtype)
    rbf = values(exact(X, Form.SQDIFF), lambda t: math.exp(-rounded(t / 2 / Fraction(size) ** 2)))
    rtol = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(gram(kernels.RBF(size), X), rbf, rtol=rtol)
    np.testing.assert_allclose(gram(kernels.RBF(size), X, X[1:]), rbf[:, 1:], rtol=rtol)
    np.testing.assert_allclose(pairwise_kernels(X, metric=kernels.RBF(size)), rbf, rtol=rtol)
    # The textbook's number: one width away.
    assert gram(kernels.RBF(size), X[:1] * 0, X[:1] * 0 + [[size, 0.0]])[0, 0] == pytest.approx(
        math.exp(-0.5), rel=1e-6
    )


@dtypes
@pytest.mark.parametrize("place", range(7))
@pytest.mark.parametrize("name", ["rbf", "laplacian", "poly", "sigmoid"])
def test_gamma_counts_in_the_units_of_the_rows(name, place, dtype):
    """γ is as large as one number can say: t may be out of range, γt is not."""
    size = EDGES[dtype][place]
    power = 1 if name == "laplacian" else 2
    gamma = float(min(max(Fraction(size) ** -power, Fraction(5e-324)), Fraction(1.7e308)))
    X = rows(size, dtype)
    g = {
        "rbf": lambda t: math.exp(-rounded(t)),
        "laplacian": lambda t: math.exp(-rounded(t)),
        "poly": lambda t: rounded((t + 1) ** 3),
        "sigmoid": lambda t: math.tanh(rounded(t + 1)),
    }[name]
    form = {"rbf": Form.SQDIFF, "laplacian": Form.ABSDIFF}.get(name, Form.DOT)
    expected = values(exact(X, form), lambda t: g(Fraction(gamma) * t))
    # What a float32 cannot hold is infinite there.
    expected[expected > np.finfo(dtype).max] = np.inf
    rtol = 40 * np.finfo(dtype).eps
    actual = pairwise_kernels(X, metric=name, gamma=gamma)
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=np.finfo(dtype).tiny)
    function = {
        "rbf": rbf_kernel,
        "laplacian": laplacian_kernel,
        "poly": polynomial_kernel,
        "sigmoid": sigmoid_kernel,
    }[name]
    many = function(X, gamma=np.full((4, 4), gamma))
    np.testing.assert_allclose(many, expected, rtol=rtol, atol=np.finfo(dtype).tiny)


@dtypes
@pytest.mark.parametrize("place", range(7))
def test_no_gamma_is_a_constant(place, dtype):
    X = rows(EDGES[dtype][place], dtype)
    for gamma in (0, 0.0, np.zeros((4, 4)), np.zeros(4)):
        np.testing.assert_array_equal(rbf_kernel(X, gamma=gamma), 1.0)
        np.testing.assert_array_equal(rbf_kernel(X, X[:2], gamma=0.0), 1.0)
        np.testing.assert_array_equal(polynomial_kernel(X, gamma=gamma, coef0=2), 8.0)
        np.testing.assert_allclose(sigmoid_kernel(X, gamma=gamma, coef0=1), math.tanh(1), rtol=1e-6)
    np.testing.assert_array_equal(gram(kernels.Polynomial(2, 3.0, gamma=0.0), X), 9.0)
    np.testing.assert_array_equal(gram(kernels.Sigmoid(0.0), X), 0.0)


@given(
    dtype=st.sampled_from([np.float32, np.float64]),
    form=st.sampled_from(list(Form)),
    size=st.integers(-1000, 1000),
    gamma=st.floats(min_value=5e-324, allow_infinity=False),
    shift=st.integers(-2000, 2000),
)
def test_the_product_is_kept_and_nothing_overflows(dtype, form, size, gamma, shift):
    if dtype == np.float32:
        size //= 8
    X = np.ldexp(np.array([[0.75, -0.5], [0.25, 1.0]], dtype=dtype), size)
    found = units.in_range(form, gamma, shift, X, None)
    assert np.isfinite(found.X).all()
    assert math.isfinite(found.gamma)
    if found.X[0, 0] == 0.0 or found.gamma == np.finfo(np.float64).max:
        return  # rows so small, or so large, in units of γ that g is at its end
    before = Fraction(gamma) * Fraction(2) ** shift * exact(X, form)[0][1]
    after = Fraction(found.gamma) * exact(found.X, form)[0][1]
    if abs(before) > Fraction(2) ** -1000:
        assert abs(after - before) <= abs(before) * Fraction(1e-6)

"""Kernels at the edges of a float's range, against exact rational arithmetic."""

import math
from dataclasses import replace
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
from fastkb.scalar.kernels import Form, sums

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
@pytest.mark.parametrize("weighted", [False, True])
def test_a_length_counts_in_its_own_units(place, dtype, weighted):
    """The new kernels, with the length as their own, or as that of the columns."""
    size = EDGES[dtype][place]
    X = rows(size, dtype)
    squares = [[float(t / Fraction(size) ** 2) for t in row] for row in exact(X, Form.SQDIFF)]
    r = np.sqrt(np.array(squares))
    g = {
        kernels.Matern(0.5): np.exp(-r),
        kernels.Matern(1.5): (1 + np.sqrt(3) * r) * np.exp(-np.sqrt(3) * r),
        kernels.Matern(2.5): (1 + np.sqrt(5) * r + 5 / 3 * r**2) * np.exp(-np.sqrt(5) * r),
        kernels.RationalQuadratic(0.25): (1 + 2 * r**2) ** -0.25,
    }
    for kernel, expected in g.items():
        same = kernel.scaled([size] * 2) if weighted else replace(kernel, length_scale=size)
        for actual in (same(X), same(X, X.copy())):
            np.testing.assert_allclose(actual, expected, rtol=40 * np.finfo(dtype).eps)
    # A period of four: sin² of π/4 times the differences in its units.
    u = (X[:, None].astype(np.longdouble) - X) / np.longdouble(size)
    expected = np.exp(-2 * (np.sin(np.pi / 4 * u) ** 2).sum(axis=2)).astype(float)
    period = kernels.Periodic(4.0).scaled([size] * 2) if weighted else kernels.Periodic(4 * size)
    if size < np.finfo(dtype).max / 8:
        np.testing.assert_allclose(period(X), expected, rtol=40 * np.finfo(dtype).eps)


STATIONARY = [
    kernels.RBF(),
    kernels.Matern(0.5),
    kernels.Matern(1.5),
    kernels.Matern(2.5),
    kernels.RationalQuadratic(1.5),
    kernels.RationalQuadratic(1e-3),
]


@dtypes
@pytest.mark.parametrize("kernel", STATIONARY, ids=repr)
@pytest.mark.parametrize("length", [1e-300, 1e-200, 1e-60, 1e60, 1e200, 1e300])
def test_extreme_lengths_have_their_limits(kernel, length, dtype):
    """No NaN, no warning: 0 between rows that are far apart in units of the length, 1 else."""
    largest = 1e160 if dtype == np.float64 else 1e18
    for scale in (1.0, largest, 1 / largest):
        X = (scale * np.array([[0.0, 1.0], [2.0, -1.0]])).astype(dtype)
        apart = math.log(8) / 2 + math.log(scale) - math.log(length)
        expected = 0.0 if apart > 0 else 1.0
        if isinstance(kernel, kernels.RationalQuadratic) and apart > 0:
            expected = math.exp(-kernel.alpha * (2 * apart - math.log(2 * kernel.alpha)))
            if 2 * apart > math.log(np.finfo(dtype).max) - 10:
                expected = None  # the squared distance is out of range: some number below
        own = "sigma" if isinstance(kernel, kernels.RBF) else "length_scale"
        for same in (
            replace(kernel, **{own: length}),
            kernel.scaled([length, length]),
            replace(kernel, **{own: math.sqrt(length)}).scaled([math.sqrt(length)] * 2),
        ):
            K = same(X)
            assert np.isfinite(K).all()
            np.testing.assert_array_equal(np.diag(K), 1.0)
            assert 0.0 <= K[0, 1] == K[1, 0] <= 1.0
            if expected is not None:
                assert K[0, 1] == pytest.approx(expected, rel=1e-4, abs=1e-30)


@dtypes
def test_columns_of_very_different_sizes(dtype):
    """Each column in units of its own, by its own length."""
    sizes = np.array([1e-200, 1.0, 1e200] if dtype == np.float64 else [1e-30, 1.0, 1e30])
    Z = np.random.default_rng(0).uniform(-1, 1, (9, 3)).astype(dtype)
    X = (Z * sizes).astype(dtype)
    rtol = 100 * np.finfo(dtype).eps
    for kernel in (*STATIONARY, kernels.Laplacian(), kernels.Periodic(3.0)):
        np.testing.assert_allclose(kernel.scaled(sizes)(X), kernel(Z), rtol=rtol)
    for kernel in (kernels.Polynomial(2), kernels.Linear(), kernels.Cosine(), kernels.Sigmoid()):
        np.testing.assert_allclose(kernel.scaled(sizes)(X), kernel(Z), rtol=rtol, atol=rtol)
        np.testing.assert_allclose(kernel.scaled(sizes).diag(X), kernel.diag(Z), rtol=rtol)


@given(
    dtype=st.sampled_from([np.float32, np.float64]),
    form=st.sampled_from([Form.SQDIFF, Form.ABSDIFF]),
    size=st.integers(-1000, 1000),
    lengths=st.tuples(*[st.integers(-1000, 1000)] * 2),
    shift=st.integers(-1000, 1000),
)
def test_weighted_sums_are_kept_and_nothing_overflows(dtype, form, size, lengths, shift):
    if dtype == np.float32:
        size, shift, lengths = size // 8, shift // 8, tuple(e // 8 for e in lengths)
    X = np.ldexp(np.array([[0.75, -0.5], [0.25, 1.0]], dtype=dtype), size)
    scales = np.ldexp([1.25, 1.75], lengths)
    found = units.weighted_in_range(sums(form), 0.75, shift, scales, X, None)
    assert np.isfinite(found.X).all()
    assert np.isfinite(found.weights).all()
    assert math.isfinite(found.gamma)
    power = units.power_of(form)

    def term(gamma, weight, x, y):
        return (
            Fraction(gamma)
            * (Fraction(float(weight)) * abs(Fraction(float(x)) - Fraction(float(y)))) ** power
        )

    for k in range(2):
        x, y = found.X[:, k]
        if (
            x == 0.0
            or y == 0.0
            or found.weights[k] == np.finfo(dtype).max
            or found.weights[k] == 0.0
        ):
            continue  # so small, or so large, in units of the lengths that g is at its end
        if min(abs(x), abs(y), found.weights[k]) < 1e3 * np.finfo(dtype).tiny:
            continue
        before = Fraction(0.75) * Fraction(2) ** shift
        before *= (
            abs(Fraction(float(X[0, k])) - Fraction(float(X[1, k]))) / Fraction(scales[k])
        ) ** power
        after = term(found.gamma, found.weights[k], x, y)
        assert abs(after - before) <= before * Fraction(1e-6)


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
    form=st.sampled_from([Form.DOT, Form.SQDIFF, Form.ABSDIFF]),
    slow=st.booleans(),
    size=st.integers(-1000, 1000),
    gamma=st.floats(min_value=5e-324, allow_infinity=False),
    shift=st.integers(-2000, 2000),
)
def test_the_product_is_kept_and_nothing_overflows(dtype, form, slow, size, gamma, shift):
    if dtype == np.float32:
        size //= 8
    X = np.ldexp(np.array([[0.75, -0.5], [0.25, 1.0]], dtype=dtype), size)
    found = units.in_range(sums(form)._replace(slow=slow), gamma, shift, X, None)
    assert np.isfinite(found.X).all()
    assert math.isfinite(found.gamma)
    if found.X[0, 0] == 0.0 or found.gamma == np.finfo(np.float64).max:
        return  # rows so small, or so large, in units of γ that g is at its end
    before = Fraction(gamma) * Fraction(2) ** shift * exact(X, form)[0][1]
    after = Fraction(found.gamma) * exact(found.X, form)[0][1]
    if abs(before) > Fraction(2) ** -1000:
        assert abs(after - before) <= abs(before) * Fraction(1e-6)

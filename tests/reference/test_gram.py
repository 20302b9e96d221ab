"""The oracles of Gram matrices, against sums written out for single pairs."""

import math

import numpy as np
import pytest

from fastkb.reference import gram

X = np.array([[0.5, -1.0], [2.0, 0.25], [1.5, 3.0]])
Y = np.array([[1.0, 1.0], [0.0, -2.0]])

PAIRS = {
    "linear": (gram.linear, lambda x, y: sum(a * b for a, b in zip(x, y, strict=True))),
    "polynomial": (
        lambda X, Y=None: gram.polynomial(X, Y, degree=3, gamma=0.5, coef0=2.0),
        lambda x, y: (0.5 * sum(a * b for a, b in zip(x, y, strict=True)) + 2.0) ** 3,
    ),
    "sigmoid": (
        lambda X, Y=None: gram.sigmoid(X, Y, gamma=0.5, coef0=0.1),
        lambda x, y: math.tanh(0.5 * sum(a * b for a, b in zip(x, y, strict=True)) + 0.1),
    ),
    "rbf": (
        lambda X, Y=None: gram.rbf(X, Y, gamma=0.3),
        lambda x, y: math.exp(-0.3 * sum((a - b) ** 2 for a, b in zip(x, y, strict=True))),
    ),
    "laplacian": (
        lambda X, Y=None: gram.laplacian(X, Y, gamma=0.3),
        lambda x, y: math.exp(-0.3 * sum(abs(a - b) for a, b in zip(x, y, strict=True))),
    ),
    "cosine": (
        gram.cosine,
        lambda x, y: (
            sum(a * b for a, b in zip(x, y, strict=True)) / math.hypot(*x) / math.hypot(*y)
        ),
    ),
    "matern12": (
        lambda X, Y=None: gram.matern(X, Y, 0.5, 0.7),
        lambda x, y: math.exp(-math.dist(x, y) / 0.7),
    ),
    "matern32": (
        lambda X, Y=None: gram.matern(X, Y, 1.5, 0.7),
        lambda x, y: polynomial_times_exp(math.sqrt(3) * math.dist(x, y) / 0.7, 1, 1),
    ),
    "matern52": (
        lambda X, Y=None: gram.matern(X, Y, 2.5, [0.7, 0.7]),
        lambda x, y: polynomial_times_exp(math.sqrt(5) * math.dist(x, y) / 0.7, 1, 1, 1 / 3),
    ),
    "rational_quadratic": (
        lambda X, Y=None: gram.rational_quadratic(X, Y, 0.6, 0.7),
        lambda x, y: (1 + math.dist(x, y) ** 2 / (2 * 0.6 * 0.7**2)) ** -0.6,
    ),
    "periodic": (
        lambda X, Y=None: gram.periodic(X, Y, 0.9, 0.7),
        lambda x, y: math.exp(
            -2
            * sum((math.sin(math.pi * (a - b) / 0.9) / 0.7) ** 2 for a, b in zip(x, y, strict=True))
        ),
    ),
}


def polynomial_times_exp(s, *coefficients):
    return sum(c * s**k for k, c in enumerate(coefficients)) * math.exp(-s)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("other", [None, Y], ids=["X", "XY"])
def test_every_pair(name, other):
    oracle, pair = PAIRS[name]
    expected = [[pair(x, y) for y in (X if other is None else other)] for x in X]
    np.testing.assert_allclose(oracle(X, other), expected, rtol=1e-14)


def test_gamma_is_one_over_the_number_of_columns():
    for oracle in (gram.rbf, gram.laplacian, gram.sigmoid, gram.polynomial):
        np.testing.assert_array_equal(oracle(X), oracle(X, gamma=0.5))


def test_taylor_features_of_one_column_are_the_textbooks():
    x, sigma = 0.7, 1.3
    scale = math.exp(-(x**2) / (2 * sigma**2))
    expected = [scale * x**m / math.sqrt(math.factorial(m) * sigma ** (2 * m)) for m in range(5)]
    got = gram.taylor_features(np.array([[x]]), sigma, 4)
    np.testing.assert_allclose(got[0], expected, rtol=1e-14)

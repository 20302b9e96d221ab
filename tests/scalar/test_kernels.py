"""The table of kernels: complete, consistent, and true to the formulas."""

import math

import numpy as np
import pytest

from fastkb.scalar.kernels import FUNCTIONS, KERNELS, Form, Parameters, epilogue_code, find

P = Parameters(gamma=0.7, coef0=0.3, degree=4.0)
EXPECTED = {
    "linear": lambda t: t,
    "polynomial": lambda t: (0.7 * t + 0.3) ** 4,
    "polynomial_real": lambda t: (0.7 * t + 0.3) ** 4,
    "polynomial2": lambda t: (0.7 * t + 0.3) ** 2,
    "polynomial3": lambda t: (0.7 * t + 0.3) ** 3,
    "rbf": lambda t: math.exp(-0.7 * t),
    "laplacian": lambda t: math.exp(-0.7 * t),
    "sigmoid": lambda t: math.tanh(0.7 * t + 0.3),
    "sqeuclidean": lambda t: t,
    "manhattan": lambda t: t,
}


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_formula_in_plain_python(kernel):
    for t in (0.0, 0.5, 2.0):
        assert kernel.function(t, P) == pytest.approx(EXPECTED[kernel.name](t), rel=1e-15)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_metadata_is_true(kernel):
    """Positive definite kernels have no negative eigenvalue, and unit diagonals are ones."""
    X = np.random.default_rng(0).standard_normal((20, 3))
    difference = X[:, None] - X[None]
    t = {
        Form.DOT: X @ X.T,
        Form.SQDIFF: (difference**2).sum(axis=2),
        Form.ABSDIFF: np.abs(difference).sum(axis=2),
    }[kernel.form]
    K = np.array([[kernel.function(value, P) for value in row] for row in t])
    if kernel.positive_definite:
        assert np.linalg.eigvalsh(K).min() > -1e-10
    if kernel.unit_diagonal:
        np.testing.assert_array_equal(np.diag(K), 1.0)


def test_names_and_codes():
    names = [kernel.name for kernel in KERNELS]
    assert len(set(names)) == len(names)
    for kernel in KERNELS:
        assert find(kernel.name) is kernel
        assert FUNCTIONS[epilogue_code(kernel)] is kernel.function

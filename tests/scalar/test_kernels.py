"""The table of kernels: complete, consistent, and true to the formulas."""

import math

import numpy as np
import pytest

from fastkb.scalar.kernels import (
    ELSEWHERE,
    FUNCTIONS,
    KERNELS,
    N_PARAMETERS,
    Form,
    epilogue_code,
    find,
    n_parameters,
    named,
    sums,
)

P = {"gamma": 0.7, "coef0": 0.3, "degree": 4.0, "alpha": 0.8, "frequency": 0.4, "rate": 1.2}


def matern(t, nu):
    s = math.sqrt(2 * nu * 0.7 * t)
    return {0.5: 1, 1.5: 1 + s, 2.5: 1 + s + s**2 / 3}[nu] * math.exp(-s)


EXPECTED = {
    "linear": lambda t: t,
    "polynomial": lambda t: (0.7 * t + 0.3) ** 4,
    "polynomial_real": lambda t: (0.7 * t + 0.3) ** 4,
    "polynomial2": lambda t: (0.7 * t + 0.3) ** 2,
    "polynomial3": lambda t: (0.7 * t + 0.3) ** 3,
    "rbf": lambda t: math.exp(-0.7 * t),
    "laplacian": lambda t: math.exp(-0.7 * t),
    "sigmoid": lambda t: math.tanh(0.7 * t + 0.3),
    "cosine": lambda t: t,
    "matern12": lambda t: matern(t, 0.5),
    "matern32": lambda t: matern(t, 1.5),
    "matern52": lambda t: matern(t, 2.5),
    "rational_quadratic": lambda t: (1 + 0.7 * t / 0.8) ** -0.8,
    "periodic": lambda t: math.exp(-2 * (1.2 * math.sin(math.pi * 0.4 * t)) ** 2),
    "sqeuclidean": lambda t: t,
    "manhattan": lambda t: t,
}


def parameters_of(kernel):
    return tuple(P[parameter.name] for parameter in kernel.parameters)


def value(kernel, t):
    return kernel.function(t, *parameters_of(kernel)[: n_parameters(kernel.function)])


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_formula_in_plain_python(kernel):
    for t in (0.0, 0.5, 2.0):
        assert value(kernel, t) == pytest.approx(EXPECTED[kernel.name](t), rel=2e-15)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_metadata_is_true(kernel):
    """Positive definite kernels have no negative eigenvalue, and unit diagonals are ones."""
    X = np.random.default_rng(0).standard_normal((20, 3))
    if kernel.unit_rows:
        X /= np.linalg.norm(X, axis=1, keepdims=True)
    difference = X[:, None] - X[None]
    columns = [difference[:, :, [j]] for j in range(3)] if kernel.by_column else [difference]
    K = np.ones((20, 20))
    for part in columns:
        t = {
            Form.DOT: X @ X.T,
            Form.SQDIFF: (part**2).sum(axis=2),
            Form.ABSDIFF: np.abs(part).sum(axis=2),
        }[kernel.form]
        K *= np.vectorize(lambda t: value(kernel, t))(t)
    if kernel.is_positive_semidefinite(*parameters_of(kernel)):
        assert np.linalg.eigvalsh(K).min() > -1e-10
    if kernel.unit_diagonal:
        np.testing.assert_array_equal(np.diag(K), 1.0)


def test_polynomials_are_positive_semidefinite_for_whole_degrees_and_no_negative_constant():
    for name in ("polynomial", "polynomial2", "polynomial3", "polynomial_real"):
        claimed = find(name).is_positive_semidefinite
        assert claimed(0.7, 0.0, 3.0)
        assert not claimed(0.7, -0.1, 3.0)
        assert not claimed(0.7, 0.3, 2.5)


def test_names_and_codes():
    names = [kernel.name for kernel in KERNELS]
    assert len(set(names)) == len(names)
    for kernel in KERNELS:
        assert find(kernel.name) is kernel
        assert FUNCTIONS[epilogue_code(kernel)] is kernel.function


def test_a_row_names_the_parameters_of_its_function_in_order():
    for kernel in KERNELS:
        code = kernel.function.__code__
        names = code.co_varnames[1 : code.co_argcount]
        assert tuple(p.name for p in kernel.parameters)[: len(names)] == names
        assert len(kernel.parameters) <= N_PARAMETERS


def test_scikit_learns_names():
    from sklearn.metrics.pairwise import PAIRWISE_KERNEL_FUNCTIONS

    known = [name for kernel in KERNELS for name in kernel.names]
    assert len(set(known)) == len(known)
    assert {*known, *ELSEWHERE} == set(PAIRWISE_KERNEL_FUNCTIONS)
    assert named("poly") is named("polynomial") is find("polynomial")
    assert named("matern32") is None


def test_the_sums_themselves():
    assert [sums(form).name for form in (Form.DOT, Form.SQDIFF, Form.ABSDIFF)] == [
        "linear",
        "sqeuclidean",
        "manhattan",
    ]

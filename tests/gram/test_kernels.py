"""Kernel objects: immutable values that check their parameters."""

import pickle

import numpy as np
import pytest

from fastkb import gram, kernels


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.Linear(),
        kernels.Polynomial(2),
        kernels.RBF(0.3),
        kernels.Laplacian(2.0),
        kernels.Sigmoid(0.1, -1.0),
    ],
    ids=repr,
)
def test_objects_are_values(kernel):
    assert pickle.loads(pickle.dumps(kernel)) == kernel
    assert hash(kernel) == hash(eval(f"kernels.{kernel!r}"))
    with pytest.raises(AttributeError):
        kernel.sigma = 3.0
    X = np.random.default_rng(0).standard_normal((6, 2))
    np.testing.assert_array_equal(kernel(X), gram(kernel, X))
    np.testing.assert_array_equal(kernel(X, X[:2]), gram(kernel, X, X[:2]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kernels.RBF(0), "sigma must be a finite real number above 0, got 0"),
        (lambda: kernels.RBF("1"), "sigma must be a finite real number above 0, got '1'"),
        (lambda: kernels.Laplacian(-1.0), "gamma must be a finite real number above 0, got -1.0"),
        (
            lambda: kernels.Polynomial(-0.5),
            "degree must be a finite real number of at least 0, got -0.5",
        ),
        (
            lambda: kernels.Polynomial(2, coef0=np.inf),
            "coef0 must be a finite real number, got inf",
        ),
        (
            lambda: kernels.Sigmoid(gamma=-2),
            "gamma must be a finite real number of at least 0, got -2",
        ),
    ],
)
def test_bad_parameters_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("degree", "row"),
    [(0, "polynomial"), (1, "polynomial"), (2, "polynomial2"), (3.0, "polynomial3"),
     (63, "polynomial"), (64, "polynomial_real"), (0.5, "polynomial_real")],
)  # fmt: skip
def test_the_cheapest_polynomial_is_chosen(degree, row):
    assert kernels.Polynomial(degree).row.name == row


def test_the_base_class_says_what_is_missing():
    with pytest.raises(TypeError, match="Kernel does not say which row"):
        gram(kernels.Kernel(), [[1.0]])


@pytest.mark.parametrize("sigma", [np.int8(100), np.int32(50_000), np.float16(300), 300])
def test_numpy_numbers_do_not_overflow(sigma):
    kernel = kernels.RBF(sigma)
    assert type(kernel.sigma) is float
    assert kernel.parameters.gamma == pytest.approx(1 / (2 * float(sigma) ** 2), rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sigma", [1e-200, 1e-160, 1e-20, 1e200])
def test_extreme_widths_keep_the_diagonal(sigma, dtype):
    K = gram(kernels.RBF(sigma), np.array([[0.0], [1.0]], dtype=dtype))
    np.testing.assert_array_equal(np.diag(K), 1.0)
    assert K[0, 1] == (0.0 if sigma < 1 else 1.0)

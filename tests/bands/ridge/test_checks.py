"""The data of a band of kernel ridge regression."""

import numpy as np
import pytest
from scipy import sparse

import fastkb
from fastkb.bands.ridge import checks as validation

X = np.random.default_rng(0).normal(size=(12, 2))
Y = X[:, 0]
RIDGE = fastkb.KernelRidge()


@pytest.mark.parametrize(("alpha", "n_targets"), [(1, 3), ([1.0], 2), ([1, 2, 3], 3), (0, 1)])
def test_penalties(alpha, n_targets):
    got = validation.check_alpha(alpha, n_targets)
    np.testing.assert_array_equal(got, np.broadcast_to(alpha, (n_targets,)))
    assert got.dtype == np.float64


@pytest.mark.parametrize("alpha", [-1.0, np.nan, [1.0, np.inf], [1.0, 2.0, 3.0], [[1.0], [2.0]]])
def test_penalties_of_the_wrong_size(alpha):
    with pytest.raises(ValueError, match="alpha"):
        validation.check_alpha(alpha, 2)


def test_penalties_that_are_no_numbers():
    with pytest.raises(TypeError, match="alpha must be numbers"):
        validation.check_alpha("large", 2)


def test_band_data_are_float64_and_c_ordered():
    strided = np.asfortranarray(X.astype(np.float32))[::-1]
    data = validation.check_band_data(RIDGE, strided, Y.astype(np.float32), X[:3].tolist())
    assert data.X.dtype == data.y.dtype == data.X_eval.dtype == np.float64
    assert data.X.flags.c_contiguous
    assert data.dtype == np.float32
    assert data.single_target
    np.testing.assert_array_equal(data.y[:, 0], Y.astype(np.float32))
    assert validation.check_band_data(RIDGE, X.astype(np.float32), Y, X).dtype == np.float64


def test_band_data_may_be_sparse():
    data = validation.check_band_data(RIDGE, sparse.csr_matrix(X), Y, X[:3])
    assert sparse.issparse(data.X)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((X[:, 0], Y, X), "^X: Expected 2D"),
        ((np.empty((0, 2)), np.empty(0), X), "^X: Found array with 0 sample"),
        ((X, Y[:-1], X), "y has 11 rows and X has 12"),
        ((X, Y, X[:, :1]), "X_eval has 1 columns, expected 2"),
        ((X, Y, np.full((2, 2), np.nan)), "X_eval contains NaN"),
        ((np.full((12, 2), np.inf), Y, X), "X contains infinity"),
        ((X, np.full(12, np.nan), X), "y contains NaN"),
        ((X, np.ones((12, 1, 1)), X), "^y: .*dim 3"),
        ((X.astype(complex), Y, X), "[Cc]omplex"),
        ((X, np.array(["a"] * 12), X), "could not convert"),
    ],
)
def test_bad_band_data(arguments, words):
    with pytest.raises(ValueError, match=words):
        validation.check_band_data(RIDGE, *arguments)


def test_precomputed_band_data():
    model = fastkb.KernelRidge(kernel="precomputed")
    K = X @ X.T
    assert validation.check_band_data(model, K, Y, K[:4]).X_eval.shape == (4, 12)
    with pytest.raises(ValueError, match=r"must be square, X has shape \(12, 2\)"):
        validation.check_band_data(model, X, Y, X)
    with pytest.raises(ValueError, match=r"K\(X_eval, X\) has 3 columns, expected 12"):
        validation.check_band_data(model, K, Y, K[:4, :3])


def test_gram_matrices():
    K = np.eye(2)
    assert validation.check_gram("K", K) is K
    with pytest.raises(ValueError, match="K has NaN or infinity"):
        validation.check_gram("K", np.array([1.0, np.inf]))

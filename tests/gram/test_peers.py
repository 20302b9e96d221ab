"""Scikit-learn's kernels: its numbers, in any units."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import pairwise

from fastkb import KernelRidge, pairwise_kernels

X = np.random.default_rng(0).uniform(size=(6, 3))
Y = np.random.default_rng(1).uniform(size=(4, 3))


@pytest.mark.parametrize("metric", ["chi2", "additive_chi2", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, int])
def test_names_give_scikit_learns_numbers(metric, dtype):
    A, B = (10 * X).astype(dtype), (10 * Y).astype(dtype)
    given = {"gamma": 0.7} if metric == "chi2" else {}
    for other in (None, B):
        expected = pairwise.pairwise_kernels(A, other, metric, **given)
        actual = pairwise_kernels(A, other, metric, **given)
        assert actual.dtype == (np.float32 if dtype == np.float32 else np.float64)
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("exponent", [-1000, -600, 600, 1000])
def test_units_alter_nothing(exponent, dtype):
    exponent //= 8 if dtype == np.float32 else 1
    A, B = X.astype(dtype), Y.astype(dtype)
    large, other = np.ldexp(A, exponent), np.ldexp(B, exponent)
    rtol = 1e-12 if dtype == np.float64 else 1e-3  # (subnormal rows have fewer digits)
    gamma = np.ldexp(1.0, -exponent)
    np.testing.assert_allclose(
        pairwise_kernels(large, other, "chi2", gamma=gamma),
        pairwise_kernels(A, B, "chi2", gamma=1.0),
        rtol=rtol,
    )
    np.testing.assert_array_equal(pairwise_kernels(large, metric="chi2", gamma=0), 1.0)
    np.testing.assert_allclose(
        pairwise_kernels(large, metric="additive_chi2"),
        np.ldexp(pairwise_kernels(A, metric="additive_chi2"), exponent),
        rtol=rtol,
        atol=np.finfo(dtype).tiny,
    )
    np.testing.assert_allclose(
        pairwise_kernels(large, other, "cosine"), pairwise_kernels(A, B, "cosine"), rtol=rtol
    )
    mixed = np.ldexp(A, np.arange(-3, 3)[:, None] * (abs(exponent) // 4))
    np.testing.assert_allclose(
        pairwise_kernels(mixed, metric="cosine"), pairwise_kernels(A, metric="cosine"), rtol=rtol
    )


def test_chi2_has_its_own_default():
    expected = pairwise.chi2_kernel(X, gamma=1.0)
    np.testing.assert_array_equal(pairwise_kernels(X, metric="chi2"), expected)
    np.testing.assert_array_equal(pairwise_kernels(X, metric="chi2", gamma=None), expected)
    model = KernelRidge(kernel="chi2").fit(X, X[:, 0])
    np.testing.assert_allclose(
        model.dual_coef_, np.linalg.solve(expected + np.eye(6), X[:, 0]), rtol=1e-12
    )


@pytest.mark.parametrize("metric", ["chi2", "additive_chi2", "cosine"])
def test_bad_rows_are_named(metric):
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="X contains NaN"):
        pairwise_kernels(bad, metric=metric)
    with pytest.raises(ValueError, match="Y contains NaN"):
        pairwise_kernels(X, bad, metric=metric)


@pytest.mark.parametrize("gamma", ["x", -1.0, np.nan, 1j])
def test_a_bad_gamma_of_chi2_is_named(gamma):
    with pytest.raises(ValueError, match="gamma must be"):
        pairwise_kernels(X, metric="chi2", gamma=gamma)


def test_sparse_rows_are_scikit_learns_affair():
    np.testing.assert_allclose(
        pairwise_kernels(sp.csr_array(X), metric="cosine"), pairwise.cosine_similarity(X)
    )
    with pytest.raises(TypeError):
        pairwise_kernels(sp.csr_array(X), metric="chi2")
    with pytest.raises(ValueError, match="negative"):
        pairwise_kernels(-X, metric="chi2")

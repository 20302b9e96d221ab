"""The Taylor feature map against its definition, and its products against the kernel."""

from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastkb import TaylorFeatures, rbf_kernel
from fastkb.reference import gram as reference


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 12),
    d=st.integers(1, 3),
    degree=st.integers(0, 6),
    sigma=st.floats(0.3, 3.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_definition(n, d, degree, sigma, seed):
    X = np.random.default_rng(seed).standard_normal((n, d))
    features = TaylorFeatures(sigma, degree=degree).fit_transform(X)
    expected = reference.taylor_features(X, sigma, degree)
    # Each feature is a product of at most d + degree + 1 rounded factors.
    np.testing.assert_allclose(features, expected, rtol=40 * np.finfo(float).eps, atol=1e-300)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_products_converge_to_the_kernel_within_the_bound(d):
    X = np.random.default_rng(d).uniform(-0.8, 0.8, (40, d))
    sigma = 1.1
    exact = rbf_kernel(X, gamma=1 / (2 * sigma**2))
    radius = np.max(np.sum(X**2, axis=1)) / sigma**2
    errors = []
    for degree in (1, 3, 5, 9, 15):
        features = TaylorFeatures(sigma, degree=degree).fit_transform(X)
        errors.append(np.abs(features @ features.T - exact).max())
        bound = radius ** (degree + 1) / factorial(degree + 1)
        assert errors[-1] <= bound + 1e-14
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-10


def test_float32_stays():
    X = np.ones((3, 2), dtype=np.float32)
    assert TaylorFeatures().fit_transform(X).dtype == np.float32


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sigma": 0.0}, "sigma must be a finite real number above 0, got 0.0"),
        ({"sigma": "1"}, "sigma must be a finite real number above 0, got '1'"),
        ({"degree": -1}, "degree must be a whole number of at least 0, got -1"),
        ({"degree": 2.5}, "degree must be a whole number of at least 0, got 2.5"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        TaylorFeatures(**parameters).fit(np.ones((3, 2)))


def test_too_many_features_are_refused_before_the_work():
    with pytest.raises(MemoryError, match="Taylor features of degree 60"):
        TaylorFeatures(degree=60).fit(np.ones((3, 30)))


@parametrize_with_checks([TaylorFeatures(degree=2)])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)

"""OneClassSVM: the region that holds most of the rows."""

import numpy as np
import pytest
import sklearn.svm as peer
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import is_outlier_detector

from fastkb import OneClassSVM
from fastkb.reference import svm as reference


def gram(X, gamma=0.5):
    return np.exp(-gamma * ((X[:, None] - X[None]) ** 2).sum(axis=2))


@given(
    n=st.integers(1, 30),
    nu=st.sampled_from([0.05, 0.43, 1.0]),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_numbers_of_the_definition(n, nu, weighted, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    weight = rng.uniform(0.2, 2.0, n) if weighted else np.ones(n)
    K = gram(X)
    problem = reference.one_class(nu, weight)
    best = reference.objective(K, problem, reference.solve(K, problem, 1e-8))
    model = OneClassSVM(nu=nu, gamma=0.5, tol=1e-8).fit(X, None, weight)
    found = np.zeros(n)
    found[model.support_] = model.dual_coef_[0]
    assert (found >= 0.0).all()
    assert (found <= weight).all()
    assert found.sum() == pytest.approx(nu * weight.sum(), rel=1e-12)
    assert abs(reference.objective(K, problem, found) - best) <= 2e-8 * weight.sum()
    assert reference.most_violating(K, problem, found)[0] <= 1e-8 + 1e-13 * n


@pytest.mark.parametrize("nu", [0.03, 0.43, 0.87])
@pytest.mark.parametrize("kernel", ["rbf", "poly"])
def test_values_are_the_peers(kernel, nu, data, assert_alike):
    X, _ = data("diabetes")
    choice = {"kernel": kernel, "nu": nu, "tol": 1e-6}
    a, b = OneClassSVM(**choice).fit(X), peer.OneClassSVM(**choice).fit(X)
    assert_alike(a, b, X, 1e-4)
    np.testing.assert_allclose(a.offset_, b.offset_, rtol=0, atol=1e-4)
    np.testing.assert_allclose(a.score_samples(X), b.score_samples(X), rtol=0, atol=2e-4)


def test_scores_are_values_without_the_offset(data):
    X, _ = data("iris")
    model = OneClassSVM().fit(X)
    assert model.offset_.shape == (1,)
    np.testing.assert_array_equal(model.offset_, -model.intercept_)
    values = model.decision_function(X)
    assert values.shape == (149,)
    np.testing.assert_array_equal(model.score_samples(X), values + model.offset_)
    found = model.predict(X)
    assert found.dtype == np.intp
    np.testing.assert_array_equal(found, np.where(values > 0, 1, -1))
    np.testing.assert_array_equal(OneClassSVM().fit_predict(X), found)
    assert is_outlier_detector(model)


def test_nu_bounds_novelties_and_support(data):
    X, _ = data("diabetes")
    for nu in (0.1, 0.3, 0.6):
        model = OneClassSVM(nu=nu, tol=1e-6).fit(X)
        assert np.mean(model.decision_function(X) < -1e-5) <= nu
        assert len(model.support_) >= nu * 200 - 1e-9


def test_far_points_are_novelties():
    rng = np.random.default_rng(0)
    X = 0.3 * rng.normal(size=(100, 2))
    model = OneClassSVM(nu=0.1, gamma=0.1).fit(np.concatenate([X - 2, X + 2]))
    assert np.mean(model.predict([[-2.0, -2.0], [2.0, 2.0]])) == 1
    assert np.mean(model.predict([[-4.0, 4.0], [0.0, 9.0], [1e9, 0.0]])) == -1


def test_labels_are_ignored(data):
    X, y = data("iris")
    once = OneClassSVM().fit(X)
    for labels in (y, "anything", np.nan):
        np.testing.assert_array_equal(OneClassSVM().fit(X, labels).dual_coef_, once.dual_coef_)


def test_a_weight_of_two_is_a_row_twice(data):
    X, _ = data("diabetes")
    weight = np.random.default_rng(0).integers(0, 4, 200)
    choice = {"nu": 0.43, "gamma": 0.1, "tol": 1e-9}
    weighted = OneClassSVM(**choice).fit(X, None, weight)
    repeated = OneClassSVM(**choice).fit(np.repeat(X, weight, axis=0))
    found, expected = weighted.decision_function(X), repeated.decision_function(X)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_equal_rows(data):
    model = OneClassSVM().fit(np.ones((10, 3)))
    assert model.fit_status_ == 0
    np.testing.assert_allclose(model.decision_function(np.ones((1, 3))), [0.0], atol=1e-12)
    zeros = OneClassSVM(kernel="linear").fit(np.zeros((10, 3)))
    np.testing.assert_array_equal(zeros.decision_function(np.ones((2, 3))), [0.0, 0.0])


@pytest.mark.parametrize("shrinking", [True, False])
def test_many_rows(shrinking, assert_alike):
    X = np.random.default_rng(0).normal(size=(1300, 3))
    model = OneClassSVM(nu=0.23, shrinking=shrinking).fit(X)
    assert model.fit_status_ == 0
    assert_alike(model, peer.OneClassSVM(nu=0.23).fit(X), X, 4e-3)


@pytest.mark.parametrize("nu", [0, 1.5, -0.1, np.nan, "0.5", None, True])
def test_a_bad_nu_is_named(nu):
    with pytest.raises(ValueError, match="nu must be a number above 0 to 1, got"):
        OneClassSVM(nu=nu).fit([[0.0], [1.0]])

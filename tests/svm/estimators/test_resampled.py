"""Fits on one kernel matrix are the fits of the machine itself with the same weights."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import fastkb
from fastkb.svm.estimators.resampled import Resampled, why_not


def rows(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    return X, X[:, 0] * X[:, 1] + 0.3 * rng.standard_normal(n), rng.integers(0, 4, (6, n))


MACHINES = {
    "svc": fastkb.SVC(gamma=0.7, tol=1e-7),
    "balanced": fastkb.SVC(gamma=0.7, tol=1e-7, class_weight="balanced"),
    "svr": fastkb.SVR(gamma=0.7, tol=1e-7, C=3.0),
    "object": fastkb.SVC(kernel=fastkb.kernels.Matern(nu=2.5), tol=1e-7),
    "function": fastkb.SVC(kernel=lambda A, B: (A @ B.T + 1.0) ** 2, tol=1e-7),
}


@pytest.mark.parametrize("name", MACHINES)
def test_each_resample_is_a_fit_with_its_weights(name):
    machine = MACHINES[name]
    X, y, weights = rows()
    y = y if name == "svr" else y > 0.0
    points = X[:7] + 0.1
    resampled = Resampled(machine, X, y)
    functions = resampled.fit(weights.astype(float))
    values = resampled.values(functions, points)
    at_rows = resampled.values_at_rows(functions)
    for k, weight in enumerate(weights):
        if name == "balanced":  # the weights of classes stay those of all rows
            given = dict(zip([False, True], resampled.machine.class_weight_, strict=True))
            alone = fastkb.SVC(gamma=0.7, tol=1e-7, class_weight=given)
        else:
            alone = machine
        alone = alone.fit(X, y, weight)
        method = alone.predict if name == "svr" else alone.decision_function
        np.testing.assert_allclose(values[k], method(points), atol=2e-6)
        np.testing.assert_allclose(at_rows[k], method(X), atol=2e-6)
        if name != "svr":
            np.testing.assert_array_equal(resampled.answers(at_rows[k]), alone.predict(X))
    assert not functions.of_one_class.any()
    assert not functions.unfinished.any()


def test_gamma_is_that_of_all_rows():
    X, y, _ = rows()
    resampled = Resampled(fastkb.SVC(), X, y > 0.0)
    assert resampled.gamma == pytest.approx(1.0 / (2 * X.var()))


def test_one_class_alone_is_its_sign():
    X, y, _ = rows()
    y = y > 0.0
    weights = np.array([np.where(y, 1.0, 0.0), np.where(y, 0.0, 1.0), np.ones(len(y))])
    resampled = Resampled(fastkb.SVC(), X, y)
    functions = resampled.fit(weights)
    np.testing.assert_array_equal(functions.of_one_class, [True, True, False])
    np.testing.assert_array_equal(resampled.values(functions, X[:3])[:2], [[1.0] * 3, [-1.0] * 3])


def test_the_weights_of_the_user_multiply():
    X, y, weights = rows()
    own = np.linspace(0.5, 2.0, len(y))
    resampled = Resampled(fastkb.SVR(tol=1e-7), X, y, own)
    values = resampled.values(resampled.fit(weights[:1].astype(float)), X[:5])
    gamma = 1.0 / (2 * X.var())
    alone = fastkb.SVR(gamma=gamma, tol=1e-7).fit(X, y, weights[0] * own)
    np.testing.assert_allclose(values[0], alone.predict(X[:5]), atol=2e-6)


def test_max_iter_is_told():
    X, y, weights = rows()
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        resampled = Resampled(fastkb.SVR(max_iter=2), X, y)
    assert resampled.fit(weights.astype(float)).unfinished.all()


def test_a_slow_resample_is_solved_alone(monkeypatch):
    from fastkb.svm.estimators import resampled as module

    X, y, weights = rows()
    X = X * [1.0, 100.0]
    machine = fastkb.SVC(kernel="linear", tol=1e-6)
    whole = Resampled(machine, X, y > 0.0)
    first = whole.values(whole.fit(weights.astype(float)), X[:5])
    monkeypatch.setattr(module, "_PAIRS_TOGETHER", 3)
    again = whole.fit(weights.astype(float))
    assert not again.unfinished.any()
    np.testing.assert_allclose(whole.values(again, X[:5]), first, atol=1e-2)


def test_why_not():
    assert why_not(fastkb.SVC(), None, 100, 2) == ""
    assert "3 classes" in why_not(fastkb.SVC(), None, 100, 3)
    assert "neither SVC nor SVR" in why_not(fastkb.NuSVC(), None, 100, 2)
    assert "5000 rows" in why_not(fastkb.SVR(), None, 5000, None)
    assert "cache_size=0.01 MB" in why_not(fastkb.SVR(cache_size=0.01), None, 100, None)

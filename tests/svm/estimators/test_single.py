"""Machines of one function: which rows take part, targets, what goes on."""

import numpy as np
import pytest
import sklearn.svm as peer
from sklearn.exceptions import DataConversionWarning

from fastkb import SVR, NuSVR, OneClassSVM
from fastkb.svm.estimators.single import SingleMachine

MACHINES = {each.__name__: each for each in (SVR, NuSVR, OneClassSVM)}
each_machine = pytest.mark.parametrize("name", MACHINES)
NU = {"NuSVR": {"nu": 0.43}, "OneClassSVM": {"nu": 0.43}}


def ours(name, **parameters):
    return MACHINES[name](**{**NU.get(name, {}), **parameters})


def theirs(name, **parameters):
    return getattr(peer, name)(**{**NU.get(name, {}), **parameters})


def test_which_machines_have_one_function():
    assert all(issubclass(each, SingleMachine) for each in MACHINES.values())


@each_machine
def test_shapes_and_types(name, data):
    X, y = data("diabetes")
    model = ours(name).fit(X, y)
    s = len(model.support_)
    assert model.dual_coef_.shape == (1, s)
    assert model.support_vectors_.shape == (s, 10)
    assert model.n_support_.tolist() == [s]
    assert model.intercept_.shape == (1,)
    assert type(model.n_iter_) is int
    assert model.n_iter_ > 0
    assert (np.diff(model.support_) > 0).all()
    assert (model.dual_coef_ != 0.0).all()
    np.testing.assert_array_equal(model.support_vectors_, X[model.support_])
    np.testing.assert_array_equal(model.dual_coef_, model._dual_coef_)
    np.testing.assert_array_equal(model.intercept_, model._intercept_)
    assert not np.shares_memory(model.intercept_, model._intercept_)


@each_machine
def test_the_function_is_a_sum_over_support_vectors(name, data, values):
    X, y = data("diabetes")
    model = ours(name, gamma=0.1).fit(X[:100], y[:100])
    K = np.exp(-0.1 * ((X[:, None] - model.support_vectors_[None]) ** 2).sum(axis=2))
    expected = K @ model.dual_coef_[0] + model.intercept_
    scale = 1000 * np.finfo(float).eps * np.abs(model.dual_coef_).sum()
    np.testing.assert_allclose(values(model, X), expected, rtol=0, atol=scale)


@each_machine
def test_support_counts_all_rows(name, data):
    """Where some are left out, numbers are still those of the data."""
    X, y = data("diabetes")
    weight = np.ones(200)
    weight[:50] = 0.0
    model = ours(name, gamma=0.1).fit(X, y, weight)
    assert model.support_.min() >= 50
    np.testing.assert_array_equal(model.support_vectors_, X[model.support_])
    alike = ours(name, gamma=0.1).fit(X[50:], y[50:])
    np.testing.assert_array_equal(model.support_, alike.support_ + 50)
    K = ours(name, kernel="precomputed").fit(X @ X.T, y, weight)
    direct = ours(name, kernel="linear").fit(X, y, weight)
    np.testing.assert_allclose(K.intercept_, direct.intercept_, rtol=0, atol=2e-3)


@each_machine
def test_one_row(name):
    a, b = MACHINES[name]().fit([[1.0]], [2.0]), getattr(peer, name)().fit([[1.0]], [2.0])
    np.testing.assert_array_equal(a.predict([[1.0], [3.0]]), b.predict([[1.0], [3.0]]))
    for key in ("support_", "dual_coef_", "intercept_", "support_vectors_"):
        np.testing.assert_array_equal(getattr(a, key), getattr(b, key))


@pytest.mark.parametrize("name", ["SVR", "NuSVR"])
def test_targets_of_other_types(name, data):
    X, y = data("diabetes")
    whole = np.rint(10 * y)
    direct = ours(name).fit(X, whole)
    wide = np.zeros((200, 2))
    wide[:, 0] = whole
    for case in (whole.astype(int), whole.astype("f4"), whole.tolist(), wide[:, 0]):
        np.testing.assert_array_equal(ours(name).fit(X, case).dual_coef_, direct.dual_coef_)
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        column = ours(name).fit(X, whole[:, None])
    np.testing.assert_array_equal(column.dual_coef_, direct.dual_coef_)
    truth = ours(name).fit(X, y > 0)
    np.testing.assert_array_equal(truth.dual_coef_, ours(name).fit(X, (y > 0) * 1.0).dual_coef_)


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (np.ones((6, 2)), r"y should be a 1d array, got an array of shape \(6, 2\)"),
        (["a", "b"] * 3, "y: could not convert string to float"),
        (np.ones(6) + 0j, "y must be real numbers, got complex128"),
        (np.ma.array(np.ones(6), mask=[True] + [False] * 5), "y must have no masked values; got 1"),
        (np.zeros(6, "M8[s]"), r"y must be numbers, got datetime64\[s\]"),
        (1.0, "y should be a 1d array"),
    ],
)
@pytest.mark.parametrize("name", ["SVR", "NuSVR"])
def test_bad_targets_are_named(name, targets, words):
    for kernel in ("rbf", lambda A, B: A @ B.T):
        with pytest.raises((ValueError, TypeError), match=words):
            MACHINES[name](kernel=kernel).fit(np.arange(6.0)[:, None], targets)


@each_machine
def test_a_warm_start_that_has_nothing_to_do(name, data):
    """From the end of one fit the next moves nothing, to the bit."""
    X, y = data("diabetes")
    model = ours(name, warm_start=True).fit(X, y)
    support, before = model.support_, model.dual_coef_
    model.fit(X, y)
    assert model.n_iter_ == 0
    np.testing.assert_array_equal(model.support_, support)
    np.testing.assert_allclose(model.dual_coef_, before, rtol=1e-12)


@each_machine
def test_a_warm_start_follows_weights(name, data, values):
    """Rows that had none get one, and the other way round."""
    X, y = data("diabetes")
    weight = np.ones(200)
    weight[::4] = 0.0
    model = ours(name, warm_start=True, gamma=0.1, tol=1e-5).fit(X, y, weight)
    model.fit(X, y, 1.0 - 0.9 * weight)
    cold = ours(name, gamma=0.1, tol=1e-5).fit(X, y, 1.0 - 0.9 * weight)
    np.testing.assert_allclose(values(model, X), values(cold, X), rtol=0, atol=1e-3)


@each_machine
def test_without_warm_start_nothing_is_kept(name, data):
    X, y = data("diabetes")
    model = ours(name).fit(X, y)
    assert model._state is None
    once = model.n_iter_
    assert model.set_params(warm_start=True).fit(X, y).n_iter_ == once
    assert model._state.shape == ((2, 200) if name == "NuSVR" else (1, 200))

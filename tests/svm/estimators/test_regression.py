"""SVR and NuSVR: the problems of the textbook, and what C, ε and ν do."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.svm as peer
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import is_regressor
from sklearn.metrics import r2_score

from fastkb import SVR, NuSVR
from fastkb.reference import svm as reference


def gram(X, gamma=0.5):
    return np.exp(-gamma * ((X[:, None] - X[None]) ** 2).sum(axis=2))


def coefficients(model, n):
    """Of every row.  # shape: (n,)"""
    found = np.zeros(n)
    found[model.support_] = model.dual_coef_[0]
    return found


def of_rows(K, problem, beta):
    """The objective's terms, for a coefficient of either sign of each row."""
    n = len(K)
    both = np.concatenate([np.maximum(beta, 0.0), np.minimum(beta, 0.0)])
    assert len(problem.row) == 2 * n
    return both


draws = given(
    n=st.integers(2, 30),
    C=st.sampled_from([0.1, 1.0, 30.0]),
    amount=st.sampled_from([0.0, 0.1, 0.43, 0.9]),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)


@draws
def test_the_numbers_of_the_definition(n, C, amount, weighted, seed):
    """The amount is ε."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, 2)), rng.normal(size=n)
    weight = rng.uniform(0.2, 2.0, n) if weighted else np.ones(n)
    K = gram(X)
    problem = reference.epsilon_svr(y, C * weight, amount)
    best = reference.objective(K, problem, reference.solve(K, problem, 1e-8))
    model = SVR(C=C, epsilon=amount, gamma=0.5, tol=1e-8).fit(X, y, weight)
    found = of_rows(K, problem, coefficients(model, n))
    assert (problem.lower <= found).all()
    assert (found <= problem.upper).all()
    assert abs(found.sum()) <= 1e-12 * np.abs(found).sum() + 1e-300
    assert abs(reference.objective(K, problem, found) - best) <= 4e-8 * C * weight.sum()
    assert reference.most_violating(K, problem, found)[0] <= 1e-8 + 1e-12 * C * n


@draws
def test_the_numbers_of_nus_definition(n, C, amount, weighted, seed):
    """The amount is ν."""
    if amount == 0.0:
        return
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, 2)), rng.normal(size=n)
    weight = rng.uniform(0.2, 2.0, n) if weighted else np.ones(n)
    K = gram(X)
    problem = reference.nu_svr(y, C * weight, amount)
    best = reference.objective(K, problem, reference.solve(K, problem, 1e-8))
    model = NuSVR(C=C, nu=amount, gamma=0.5, tol=1e-8).fit(X, y, weight)
    found = of_rows(K, problem, coefficients(model, n))
    # A row may be on both sides at once: what its coefficient says of either is a lower bound.
    half = amount * C * weight.sum() / 2
    assert found[:n].sum() <= half * (1 + 1e-12)
    assert -found[n:].sum() <= half * (1 + 1e-12)
    assert abs(reference.objective(K, problem, found) - best) <= 4e-8 * C * weight.sum() + 1e-12


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("C", [0.1, 1.0, 20.0])
def test_values_are_the_peers(C, epsilon, data, assert_alike):
    X, y = data("diabetes")
    choice = {"C": C, "epsilon": epsilon, "tol": 1e-6}
    assert_alike(SVR(**choice).fit(X, y), peer.SVR(**choice).fit(X, y), X, 1e-4)


@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6])
def test_the_conditions_hold_to_tol(tol, data):
    """Errors of less than ε have no coefficient, those of more the largest."""
    X, y = data("diabetes")
    model = SVR(C=2.0, epsilon=0.3, tol=tol).fit(X, y)
    beta, errors = coefficients(model, 200), y - model.predict(X)
    assert (np.abs(beta) <= 2.0).all()
    slack = tol + 1e-9
    assert (np.abs(errors[beta == 0.0]) <= 0.3 + slack).all()
    assert (np.sign(beta) * errors >= 0.3 - slack)[beta != 0.0].all()
    assert (np.abs(errors) <= 0.3 + slack)[np.abs(beta) < 2.0].all()


def test_errors_below_epsilon_cost_nothing(data):
    X, y = data("diabetes")
    for form in (np.asarray, sp.csr_matrix):
        model = SVR(epsilon=10.0).fit(form(X), y)
        assert model.support_.shape == (0,)
        assert model.dual_coef_.shape == (1, 0)
        assert model.support_vectors_.shape == (0, 10)
        np.testing.assert_allclose(model.predict(form(X)), (y.max() + y.min()) / 2, rtol=1e-14)
        linear = SVR(epsilon=10.0, kernel="linear").fit(form(X), y)
        assert linear.coef_.shape == (1, 10)


@pytest.mark.parametrize("kind", [SVR, NuSVR])
def test_constant_targets(kind):
    X = np.arange(10.0)[:, None]
    model = kind().fit(X, np.full(10, 7.0))
    np.testing.assert_allclose(model.predict(X), 7.0, rtol=1e-12)


def test_an_infinite_cost_interpolates():
    X = np.linspace(0.0, 3.0, 12)[:, None]
    y = np.sin(3 * X[:, 0])
    model = SVR(C=np.inf, epsilon=1e-3, gamma=3.0, tol=1e-6).fit(X, y)
    assert (np.abs(model.predict(X) - y) <= 1e-3 + 2e-6).all()
    with pytest.raises(ValueError, match=r"C must be a finite number above 0 for ν-reg.*got inf"):
        NuSVR(C=np.inf).fit(X, y)


@pytest.mark.parametrize("shift", [-3.0, 1e4])
@pytest.mark.parametrize("kind", [SVR, NuSVR])
def test_a_constant_added_to_the_targets_is_added_to_the_values(kind, shift, data):
    X, y = data("diabetes")
    one, other = kind(tol=1e-6).fit(X, y), kind(tol=1e-6).fit(X, y + shift)
    np.testing.assert_allclose(other.predict(X), one.predict(X) + shift, rtol=0, atol=1e-4)


def test_scaled_targets():
    """c y with c C, c ε and c tol has values c f."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), rng.normal(size=60)
    one = SVR(C=1.0, epsilon=0.2, tol=1e-6).fit(X, y)
    other = SVR(C=8.0, epsilon=1.6, tol=8e-6).fit(X, 8.0 * y)
    np.testing.assert_array_equal(other.predict(X), 8.0 * one.predict(X))


@pytest.mark.parametrize("kind", ["SVR", "NuSVR"])
def test_scores_are_the_peers(kind, data):
    X, y = data("diabetes")
    model = {"SVR": SVR, "NuSVR": NuSVR}[kind](tol=1e-6).fit(X, y)
    theirs = getattr(peer, kind)(tol=1e-6).fit(X, y)
    assert model.score(X, y) == r2_score(y, model.predict(X))
    assert model.score(X, y) == pytest.approx(theirs.score(X, y), abs=1e-4)
    assert is_regressor(model)
    assert model.predict(X[:1]).shape == (1,)


# --- ν ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nu", [0.13, 0.51, 0.87, 1.0])
@pytest.mark.parametrize("C", [0.1, 20.0])
def test_nus_values_are_the_peers(C, nu, data, assert_alike):
    X, y = data("diabetes")
    if nu == 1.0:
        C = 0.01  # or every row is free, and ε is nothing
    choice = {"C": C, "nu": nu, "tol": 1e-6}
    assert_alike(NuSVR(**choice).fit(X, y), peer.NuSVR(**choice).fit(X, y), X, 1e-3)


def test_nu_bounds_errors_and_support(data):
    X, y = data("diabetes")
    for nu in (0.2, 0.4, 0.6):
        model = NuSVR(nu=nu, tol=1e-6).fit(X, y)
        beta, errors = np.abs(coefficients(model, 200)), np.abs(y - model.predict(X))
        epsilon = errors[(beta > 0) & (beta < 1)].mean()
        assert np.mean(errors > epsilon + 1e-5) <= nu
        assert np.mean(beta > 0) >= nu


def test_it_is_the_machine_of_the_epsilon_that_belongs_to_nu(data, assert_alike):
    X, y = data("diabetes")
    model = NuSVR(nu=0.43, tol=1e-9).fit(X, y)
    beta, errors = np.abs(coefficients(model, 200)), np.abs(y - model.predict(X))
    epsilon = float(errors[(beta > 0) & (beta < 1)].mean())
    assert_alike(model, SVR(epsilon=epsilon, tol=1e-9).fit(X, y), X, 1e-6)


@pytest.mark.parametrize("shrinking", [True, False])
@pytest.mark.parametrize("kind", ["SVR", "NuSVR"])
def test_many_rows(kind, shrinking, assert_alike):
    """Working sets need pairs of both signs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1300, 3))
    y = np.sin(2 * X[:, 0]) + 0.2 * rng.normal(size=1300)
    model = {"SVR": SVR, "NuSVR": NuSVR}[kind](shrinking=shrinking).fit(X, y)
    assert model.fit_status_ == 0
    assert_alike(model, getattr(peer, kind)().fit(X, y), X, 4e-3)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [-0.1, np.nan, np.inf, "0.1", None])
def test_a_bad_epsilon_is_named(epsilon):
    with pytest.raises(ValueError, match="epsilon must be a finite real number of at least 0, got"):
        SVR(epsilon=epsilon).fit([[0.0], [1.0]], [0.0, 1.0])


@pytest.mark.parametrize("kind", [SVR, NuSVR])
def test_a_bad_cost_is_named(kind):
    for C in (0, -1.0, np.nan, "1", None, True):
        with pytest.raises(ValueError, match="C must be a finite real number above 0, got"):
            kind(C=C).fit([[0.0], [1.0]], [0.0, 1.0])


@pytest.mark.parametrize("nu", [0, 1.5, np.nan, "0.5", None, True])
def test_a_bad_nu_is_named(nu):
    with pytest.raises(ValueError, match="nu must be a number above 0 to 1, got"):
        NuSVR(nu=nu).fit([[0.0], [1.0]], [0.0, 1.0])

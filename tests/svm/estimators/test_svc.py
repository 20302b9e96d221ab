"""SVC and NuSVC: the problems of the textbook, and what C and ν do."""

import numpy as np
import pytest
import sklearn.svm as peer
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV

from fastkb import SVC, NuSVC
from fastkb.reference import svm as reference


def draw(n=60, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = np.where(X[:, 0] + X[:, 1] ** 2 - 1 + noise * rng.normal(size=n) > 0, 1, -1)
    return X, y


def gram(X, Y=None, gamma=0.5):
    Y = X if Y is None else Y
    return np.exp(-gamma * ((X[:, None] - Y[None]) ** 2).sum(axis=2))


def coefficients(model, n):
    """Of every row, with the sign of its class.  # shape: (n,)"""
    found = np.zeros(n)
    found[model.support_] = model.dual_coef_[0]
    return found


def by_definition(K, problem, scale=1.0, tol=1e-8):
    """Coefficients and b of the reference's solver."""
    beta = reference.solve(K, problem, tol)
    offsets = reference.offsets(K, problem, beta)
    if len(offsets) == 1:
        return reference.coefficients(K, problem, beta), -offsets[0]
    # Of two groups, those of positive and of negative rows: -offset = b ∓ margin.
    first, second = offsets
    margin = (second - first) / 2.0
    return reference.coefficients(K, problem, beta) / -margin, (first + second) / 2.0 / margin


# --- the hinge loss -----------------------------------------------------------------------------


@given(
    n=st.integers(4, 30),
    C=st.sampled_from([0.1, 1.0, 30.0]),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_numbers_of_the_definition(n, C, weighted, seed):
    """Both solutions violate the conditions by at most 10⁻⁸, so objectives are right to n C of it."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    y = np.where(rng.permutation(n) % 2, 1, -1)
    weight = rng.uniform(0.2, 2.0, n) if weighted else np.ones(n)
    K = gram(X)
    problem = reference.c_svc(y, C * weight)
    beta = reference.solve(K, problem, 1e-8)
    model = SVC(C=C, gamma=0.5, tol=1e-8).fit(X, y, weight)
    found = coefficients(model, n)
    assert (problem.lower <= found).all()
    assert (found <= problem.upper).all()
    assert abs(found.sum()) <= 1e-12 * np.abs(found).sum() + 1e-300
    best = reference.objective(K, problem, beta)
    assert abs(reference.objective(K, problem, found) - best) <= 2e-8 * C * weight.sum()
    violation, _, _ = reference.most_violating(K, problem, found)
    assert violation <= 1e-8 + 100 * n * np.finfo(float).eps * C


@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_the_conditions_hold_to_tol(tol, kernel):
    """By the decision function: y f ≥ 1 outside, ≤ 1 at the bound, = 1 between, but for tol."""
    X, y = draw(200)
    model = SVC(C=2.0, tol=tol, kernel=kernel).fit(X, y)
    alpha, margins = y * coefficients(model, 200), y * model.decision_function(X)
    assert (alpha >= 0).all()
    assert (alpha <= 2.0).all()
    slack = tol + 1e-9
    assert (margins[alpha < 2.0] >= 1 - slack).all()
    assert (margins[alpha > 0.0] <= 1 + slack).all()


@pytest.mark.parametrize("C", [1e-3, 1.0, 100.0])
def test_values_are_the_peers_for_any_cost(C, assert_alike):
    X, y = draw()
    a, b = SVC(C=C, tol=1e-6).fit(X, y), peer.SVC(C=C, tol=1e-6).fit(X, y)
    assert_alike(a, b, X, 1e-4)


def test_weights_multiply_the_cost():
    X, y = draw()
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 60)
    one = SVC(C=4.0, gamma=0.5).fit(X, y, weight)
    other = SVC(C=1.0, gamma=0.5).fit(X, y, 4.0 * weight)
    np.testing.assert_array_equal(one.dual_coef_, other.dual_coef_)


def test_a_weight_of_two_is_a_row_twice():
    X, y = draw(30)
    weight = np.random.default_rng(1).integers(1, 4, 30)
    weighted = SVC(gamma=0.5, tol=1e-9).fit(X, y, weight)
    repeated = SVC(gamma=0.5, tol=1e-9).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    found, expected = weighted.decision_function(X), repeated.decision_function(X)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_an_infinite_cost_allows_no_errors(assert_alike):
    """The widest street between two classes, as of any C that is large enough."""
    X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [3.0, 3.0], [4.0, 3.0]])
    y = [-1, -1, -1, 1, 1]
    model = SVC(C=np.inf, kernel="linear", tol=1e-9).fit(X, y)
    np.testing.assert_allclose(model.coef_, [[0.4, 0.4]], atol=1e-8)
    np.testing.assert_allclose(model.intercept_, [-1.4], atol=1e-8)
    assert_alike(model, SVC(C=1e10, kernel="linear", tol=1e-9).fit(X, y), X, 1e-8)
    weighted = SVC(C=np.inf, kernel="linear", tol=1e-9).fit(X, y, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert_alike(weighted, model, X, 1e-8)


@pytest.mark.parametrize(("first", "second"), [(1.0, np.inf), (np.inf, 1.0), (np.inf, np.inf)])
def test_a_warm_start_from_or_to_an_infinite_cost(first, second, assert_alike):
    X, y = draw()
    model = SVC(C=first, gamma=2.0, tol=1e-6, warm_start=True).fit(X, y)
    weight = np.random.default_rng(0).uniform(-0.2, 2.0, 60)
    for weights in (None, weight):
        model.set_params(C=first).fit(X, y)
        model.set_params(C=second).fit(X, y, weights)
        cold = SVC(C=second, gamma=2.0, tol=1e-6).fit(X, y, weights)
        assert_alike(model, cold, X, 1e-4)


def test_rows_that_contradict_each_other():
    """Of equal rows with both labels nothing can be learned but b."""
    X, y = np.ones((8, 2)), [-1, 1, 1, 1, 1, -1, 1, 1]
    for kernel in ("linear", "rbf"):
        a, b = SVC(kernel=kernel).fit(X, y), peer.SVC(kernel=kernel).fit(X, y)
        np.testing.assert_allclose(a.decision_function(X), b.decision_function(X), atol=2e-3)
    zeros = SVC(kernel="linear").fit(np.zeros((8, 2)), y)
    np.testing.assert_allclose(zeros.decision_function(np.zeros((1, 2))), [1.0], atol=2e-3)


@pytest.mark.parametrize("kernel", ["linear", "poly"])
def test_rows_of_zeros_among_others(kernel):
    """Their kernel is zero, on the diagonal too."""
    X, y = draw(40)
    X[::3] = 0.0
    a, b = SVC(kernel=kernel).fit(X, y), peer.SVC(kernel=kernel).fit(X, y)
    np.testing.assert_allclose(a.decision_function(X), b.decision_function(X), rtol=0, atol=5e-3)
    assert a.fit_status_ == 0


@pytest.mark.parametrize("shrinking", [True, False])
@pytest.mark.parametrize("cache_size", [1e-4, 0.05, 1.0, 200])
def test_many_rows(shrinking, cache_size, assert_alike):
    """Working sets of kernel rows that are computed when they are asked for; none fits, ten, all."""
    X, y = draw(1300, 0.3)
    choice = {"C": 10.0, "tol": 1e-4}
    model = SVC(**choice, shrinking=shrinking, cache_size=cache_size).fit(X, y)
    assert model.fit_status_ == 0
    assert_alike(model, peer.SVC(**choice).fit(X, y), X, 4e-3)


def test_offset_data_keep_their_digits(assert_alike):
    """Rows 10⁵ times their spread away from zero: float32 has no digit left of a difference."""
    X, y = draw(1300, 0.3)
    near, far = SVC(gamma=0.5).fit(X, y), SVC(gamma=0.5).fit(X + 1e5, y)
    found, expected = far.decision_function(X + 1e5), near.decision_function(X)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3)


# --- ν ------------------------------------------------------------------------------------------


@given(
    n=st.integers(6, 30),
    nu=st.sampled_from([0.31, 0.53, 0.77]),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_numbers_of_nus_definition(n, nu, weighted, seed):
    """The coefficients times the margin are the problem's own."""
    rng = np.random.default_rng(seed)
    n -= n % 2
    X = rng.normal(size=(n, 2))
    y = np.where(rng.permutation(n) % 2, 1, -1)
    weight = rng.uniform(0.9, 1.1, n) if weighted else np.ones(n)
    K = gram(X, gamma=2.0)
    problem = reference.nu_svc(y, nu, weight)
    best = reference.objective(K, problem, reference.solve(K, problem, 1e-9))
    model = NuSVC(nu=nu, gamma=2.0, tol=1e-9).fit(X, y, weight)
    found = coefficients(model, n)
    margin = nu * weight.sum() / np.abs(found).sum()
    found *= margin
    assert np.abs(found[y > 0].sum() - nu * weight.sum() / 2) <= 1e-12 * n
    assert (np.abs(found) <= weight * (1 + 1e-12)).all()
    value = reference.objective(K, problem, found)
    assert value <= best + 1e-9 * weight.sum() + 1e-12


def test_nu_bounds_errors_and_support():
    X, y = draw(200)
    for nu in (0.2, 0.4, 0.6):
        model = NuSVC(nu=nu, tol=1e-6).fit(X, y)
        margins = y * model.decision_function(X)
        assert np.mean(margins < 1 - 1e-4) <= nu + 1e-9
        assert np.mean(np.abs(coefficients(model, 200)) > 0) >= nu - 1e-9


def test_it_is_the_machine_of_the_c_that_belongs_to_nu(assert_alike):
    """C = 1 / margin, which the coefficients at the bound are."""
    X, y = draw(80)
    model = NuSVC(nu=0.53, gamma=0.5, tol=1e-9).fit(X, y)
    C = float(np.abs(model.dual_coef_).max())
    assert_alike(model, SVC(C=C, gamma=0.5, tol=1e-9).fit(X, y), X, 1e-6)


@pytest.mark.parametrize("nu", [0.33, 0.53, 0.93])
def test_nus_values_are_the_peers(nu, assert_alike):
    X, y = draw(80, seed=3)
    some = np.concatenate([np.flatnonzero(y > 0)[:30], np.flatnonzero(y < 0)[:30]])
    X, y = X[some], y[some]
    a = NuSVC(nu=nu, tol=1e-7).fit(X, y)
    b = peer.NuSVC(nu=nu, tol=1e-7).fit(X, y)
    assert_alike(a, b, X, 1e-4)


def test_the_largest_nu():
    """Of two classes of one size every row is at its bound."""
    X, y = draw(80, seed=3)
    some = np.concatenate([np.flatnonzero(y > 0)[:30], np.flatnonzero(y < 0)[:30]])
    model = NuSVC(nu=1.0).fit(X[some], y[some])
    assert model.n_support_.tolist() == [30, 30]
    assert np.ptp(np.abs(model.dual_coef_)) == 0.0


@pytest.mark.parametrize("shrinking", [True, False])
@pytest.mark.parametrize("nu", [0.21, 0.51])
def test_many_rows_of_nu(nu, shrinking):
    """Working sets need pairs of both classes."""
    X, y = draw(1300, 0.3)
    a = NuSVC(nu=nu, shrinking=shrinking).fit(X, y)
    assert a.fit_status_ == 0
    found, expected = a.decision_function(X), peer.NuSVC(nu=nu).fit(X, y).decision_function(X)
    atol = 4e-3 * np.abs(a.dual_coef_).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def test_an_infeasible_nu_says_which_would_do():
    X, y = np.arange(10.0)[:, None], [0] * 2 + [1] * 8
    with pytest.raises(
        ValueError, match=r"specified nu is infeasible: nu=0.5 .* nu of at most 0.4"
    ):
        NuSVC().fit(X, y)
    NuSVC(nu=0.4).fit(X, y)
    with pytest.raises(ValueError, match=r"specified nu is infeasible"):
        NuSVC().fit(X, y, [0.0] * 2 + [1.0] * 8)


def test_classes_that_cannot_be_told_apart_have_no_margin():
    for kernel in ("linear", "rbf"):
        for X in (np.zeros((6, 2)), np.tile([[0.0, 1.0], [2.0, 1.0]], (3, 1))):
            y = [0, 1] * 3 if not X.any() else [0, 0, 1, 1, 0, 0]
            with pytest.raises(
                ValueError, match="not finite, as the margin is 0: two classes have"
            ):
                NuSVC(nu=0.5, kernel=kernel).fit(X, y)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("C", [0, -1.0, np.nan, -np.inf, "1", None, True, 1j])
def test_a_bad_cost_is_named(C):
    X, y = draw(10)
    with pytest.raises(ValueError, match=r"C must be a finite real number above 0, got .*infinity"):
        SVC(C=C).fit(X, y)


@pytest.mark.parametrize("nu", [0, 1.5, -0.1, np.nan, "0.5", None, True])
def test_a_bad_nu_is_named(nu):
    X, y = draw(10)
    with pytest.raises(ValueError, match=r"nu must be a number above 0 to 1, got "):
        NuSVC(nu=nu).fit(X, y)


@pytest.mark.parametrize("kind", [SVC, NuSVC])
def test_probabilities_are_not_offered(kind):
    """By another machine they are."""
    X, y = draw(40)
    choice = {"nu": 0.4} if kind is NuSVC else {}
    with pytest.raises(
        ValueError, match=r"probability must be False or left out, got True; for .*CV"
    ):
        kind(probability=True, **choice).fit(X, y)
    kind(probability=False, **choice).fit(X, y)
    assert not hasattr(kind(), "predict_proba")
    model = CalibratedClassifierCV(kind(**choice), ensemble=False, cv=2).fit(X, y)
    assert model.predict_proba(X).shape == (40, 2)

"""The hinge loss with λ is SVC's objective with C = 1 / (2 n λ)."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from fastkb import SVC, NuSVC, kernels
from fastkb.reference import svm as reference
from fastkb.svm import hinge_objective, regularization_to_C


def draw(n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = np.where(X[:, 0] + 0.5 * rng.normal(size=n) > 0, "yes", "no")
    return X, y


def gram(X, Y):
    return np.exp(-0.5 * ((X[:, None] - Y[None]) ** 2).sum(axis=2))


def parts(model, n):
    """Coefficients of all training rows, and b."""
    found = np.zeros(n)
    found[model.support_] = model.dual_coef_[0]
    return found, model.intercept_[0]


# --- C and λ ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lam", "n", "C"), [(0.01, 50, 1.0), (0.5, 1, 1.0), (1e-3, 4, 125.0)])
def test_the_cost_that_belongs_to_lambda(lam, n, C):
    assert regularization_to_C(lam, n) == pytest.approx(C, rel=1e-15)
    assert type(regularization_to_C(np.float32(lam), np.int64(n))) is float


@pytest.mark.parametrize(
    ("lam", "n", "words"),
    [
        (0.0, 5, "lam must be a finite real number above 0, got 0.0"),
        (np.inf, 5, "lam must be .*got inf"),
        ("1", 5, "lam must be .*got '1'"),
        (1.0, 0, "n must be a whole number of at least 1, got 0"),
        (1.0, 2.5, "n must be a whole number of at least 1, got 2.5"),
    ],
)
def test_bad_penalties_are_named(lam, n, words):
    for error in (ValueError, TypeError):
        with pytest.raises(error, match=words):
            regularization_to_C(lam, n)


def smallest_linear_objective(X, signs, lam):
    """min over w, b of the mean hinge loss + λ |w|², by a solver of another kind.

    The loss is a maximum of two straight lines for each row: with a variable ξ for each, a smooth
    problem with linear constraints.
    """
    n, d = X.shape
    start = np.concatenate([np.zeros(d + 1), np.ones(n)])
    rows = np.hstack([signs[:, None] * X, signs[:, None], np.eye(n)])
    found = minimize(
        lambda v: v[d + 1 :].mean() + lam * v[:d] @ v[:d],
        start,
        jac=lambda v: np.concatenate([2 * lam * v[:d], [0.0], np.full(n, 1 / n)]),
        bounds=[(None, None)] * (d + 1) + [(0.0, None)] * n,
        constraints={"type": "ineq", "fun": lambda v: rows @ v - 1.0, "jac": lambda v: rows},
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert found.success
    return found.fun


@pytest.mark.parametrize("lam", [1e-3, 0.02, 0.5])
def test_a_linear_machine_is_the_minimum_of_the_textbooks_problem(lam):
    X, y = draw()
    C = regularization_to_C(lam, len(X))
    model = SVC(C=C, kernel="linear", tol=1e-9).fit(X, y)
    found = hinge_objective(model, X, y)
    best = smallest_linear_objective(X, np.where(y == "yes", 1.0, -1.0), lam)
    # Half the squared distance of a fit that violates the conditions by tol is at most n C tol.
    assert found == pytest.approx(best, rel=0, abs=1e-7)
    assert found == hinge_objective(model, X, y, lam=lam)


@given(
    n=st.integers(4, 25),
    lam=st.sampled_from([1e-3, 0.02, 0.5]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_other_coefficients_have_a_smaller_objective(n, lam, seed):
    """Of a problem that is convex in (a, b): not those of any direction, at any small distance."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    y = np.arange(n) % 2
    model = SVC(C=regularization_to_C(lam, n), kernel="rbf", gamma=0.5, tol=1e-10).fit(X, y)
    K, signs = gram(X, X), np.where(y, 1.0, -1.0)
    a, b = parts(model, n)
    best = reference.hinge_objective(K, signs, a, b, lam)
    assert hinge_objective(model, X, y) == pytest.approx(best, rel=1e-11, abs=1e-13)
    for distance in (1e-4, 1e-2, 1.0):
        other = a + distance * rng.normal(size=n), b + distance * rng.normal()
        assert reference.hinge_objective(K, signs, *other, lam) >= best - 1e-9


def test_as_lambda_vanishes_separable_classes_have_no_loss():
    """The linear program of a separating plane says that there is one."""
    X, y = draw()
    X[:, 1] += np.where(y == "yes", 3.0, -3.0)
    signs = np.where(y == "yes", 1.0, -1.0)
    rows = -signs[:, None] * np.hstack([X, np.ones((len(X), 1))])
    assert linprog(np.zeros(4), rows, -np.ones(len(X)), bounds=[(None, None)] * 4).status == 0
    model = SVC(C=regularization_to_C(1e-6, len(X)), kernel="linear", tol=1e-6).fit(X, y)
    assert hinge_objective(model, X, y, lam=1e-12) <= 1e-5


# --- the objective ------------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [None, 0.3])
@pytest.mark.parametrize("way", ["dense", "sparse", "precomputed", "function", "object"])
def test_the_objective_is_that_of_the_definition(way, lam):
    X, y = draw()
    kernel = {"precomputed": "precomputed", "function": gram, "object": kernels.RBF(1.0)}
    data = {"sparse": sp.csr_matrix(X), "precomputed": gram(X, X)}.get(way, X)
    model = SVC(C=3.0, kernel=kernel.get(way, "rbf"), gamma=0.5).fit(data, y)
    a, b = parts(SVC(C=3.0, gamma=0.5).fit(X, y), 40) if way == "sparse" else parts(model, 40)
    K, signs = gram(X, X), np.where(y == "yes", 1.0, -1.0)
    margins = signs * (b + K @ a)
    penalty = 1 / (2 * 40 * 3.0) if lam is None else lam
    expected = np.mean([max(0.0, 1.0 - margin) for margin in margins]) + penalty * a @ K @ a
    tight = {"rel": 1e-11}
    assert hinge_objective(model, data, y, lam=lam) == pytest.approx(expected, **tight)
    assert reference.hinge_objective(K, signs, a, b, penalty) == pytest.approx(expected, **tight)


def test_rows_of_another_set():
    """The loss is of the rows that are given, the norm of the function."""
    X, y = draw()
    model = SVC(gamma=0.5).fit(X[:30], y[:30])
    a, b = parts(model, 30)
    signs = np.where(y[30:] == "yes", 1.0, -1.0)
    loss = np.maximum(0.0, 1.0 - signs * (b + gram(X[30:], X[:30]) @ a)).mean()
    norm = a @ gram(X[:30], X[:30]) @ a
    assert hinge_objective(model, X[30:], y[30:]) == pytest.approx(loss + norm / 20, rel=1e-11)
    assert hinge_objective(model, X[30:], y[30:].tolist(), lam=2.0) == pytest.approx(
        loss + 2 * norm, rel=1e-11
    )
    of_function = SVC(kernel=gram).fit(X[:30], y[:30])
    found = hinge_objective(of_function, X[30:], y[30:])
    assert found == pytest.approx(loss + norm / 20, rel=1e-2)
    one = hinge_objective(model, X[:1], y[:1], lam=1.0)
    assert type(one) is float


def test_the_norm_of_a_given_kernel_is_of_its_training_matrix():
    X, y = draw()
    K = gram(X, X)
    model = SVC(kernel="precomputed").fit(K[:30, :30], y[:30])
    with pytest.raises(
        ValueError, match=r"the Gram matrix .*shape \(30, 30\).*got shape \(10, 30\)"
    ):
        hinge_objective(model, K[30:, :30], y[30:])


def test_which_class_is_positive():
    X, y = draw()
    model = SVC(gamma=0.5).fit(X, y)
    again = SVC(gamma=0.5).fit(X, np.where(y == "yes", "a", "b"))
    found = hinge_objective(again, X, np.where(y == "yes", "a", "b"))
    assert found == pytest.approx(hinge_objective(model, X, y), rel=0, abs=2e-3)
    worst = hinge_objective(model, X, np.where(y == "yes", "no", "yes"))
    assert worst > hinge_objective(model, X, y)


def test_what_is_refused():
    X, y = draw()
    model = SVC().fit(X, y)
    with pytest.raises(ValueError, match=r"y has the label .*'maybe'"):
        hinge_objective(model, X[:2], ["yes", "maybe"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        hinge_objective(model, X, y[:-1])
    with pytest.raises(ValueError, match=r"lam must be .*got -1"):
        hinge_objective(model, X, y, lam=-1)
    with pytest.raises(ValueError, match="fitted to two classes, got 3 of them"):
        hinge_objective(SVC().fit(X, np.arange(40) % 3), X, np.arange(40) % 3)
    with pytest.raises(ValueError, match="SVC instance is not fitted"):
        hinge_objective(SVC(), X, y)
    infinite = SVC(C=np.inf, kernel="rbf", gamma=5.0).fit(X, y)
    assert hinge_objective(infinite, X, y, lam=1e-9) < 0.01


def test_of_a_nu_classifier_lambda_must_be_given():
    """It has no C to take it from."""
    X, y = draw()
    model = NuSVC(nu=0.3, gamma=0.5).fit(X, y)
    a, b = parts(model, 40)
    signs = np.where(y == "yes", 1.0, -1.0)
    expected = reference.hinge_objective(gram(X, X), signs, a, b, 0.1)
    assert hinge_objective(model, X, y, lam=0.1) == pytest.approx(expected, rel=1e-11)
    with pytest.raises(ValueError, match="lam must be given for NuSVC"):
        hinge_objective(model, X, y)

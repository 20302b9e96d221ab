"""The oracle itself: against scikit-learn, the optimality conditions, the primal, and by hand."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn import svm as peer

from fastkb.reference import gram
from fastkb.reference import svm as reference

EPS = np.finfo(float).eps
N = 30
TOL = 1e-9
MACHINES = ("c_svc", "nu_svc", "epsilon_svr", "nu_svr", "one_class")
each_machine = pytest.mark.parametrize("name", MACHINES)


class Case(NamedTuple):
    K: np.ndarray
    new: np.ndarray  # the kernel of points with the rows
    y: np.ndarray
    weight: np.ndarray
    problem: reference.Problem
    peer: object  # scikit-learn's machine, fitted


def draw(name, weighted=False, tol=TOL):
    """A problem of each machine, and the machine of scikit-learn that solves it."""
    rng = np.random.default_rng(0)
    X, points = rng.normal(size=(N, 3)), rng.normal(size=(7, 3))
    K, new = gram.rbf(X, gamma=0.3), gram.rbf(points, X, gamma=0.3)
    weight = rng.uniform(0.5, 2.0, N) if weighted else np.ones(N)
    classes = name in ("c_svc", "nu_svc")
    y = X[:, 0] + 0.5 * rng.normal(size=N)
    y = np.where(y > 0, 1.0, -1.0) if classes else y
    keywords = {"kernel": "precomputed", "tol": tol}
    problem, model = {
        "c_svc": lambda: (reference.c_svc(y, 3.0 * weight), peer.SVC(C=3.0, **keywords)),
        "nu_svc": lambda: (reference.nu_svc(y, 0.4, weight), peer.NuSVC(nu=0.4, **keywords)),
        "epsilon_svr": lambda: (
            reference.epsilon_svr(y, 2.0 * weight, 0.2),
            peer.SVR(C=2.0, epsilon=0.2, **keywords),
        ),
        "nu_svr": lambda: (
            reference.nu_svr(y, 2.0 * weight, 0.4),
            peer.NuSVR(C=2.0, nu=0.4, **keywords),
        ),
        "one_class": lambda: (
            reference.one_class(0.3, weight),
            peer.OneClassSVM(nu=0.3, **keywords),
        ),
    }[name]()
    model.fit(K, y, sample_weight=weight)
    return Case(K, new, y, weight, problem, model)


def of_the_peer(case):
    """The coefficient of each row in scikit-learn's solution."""
    found = np.zeros(N)
    found[case.peer.support_] = np.ravel(case.peer.dual_coef_)
    return found


def gap(problem, tol=2 * TOL):
    """How far above the minimum a violation of `tol` can be: each pair gains at most that for a unit."""
    return tol * np.sum(problem.upper - problem.lower) / 2


def split(coefficients):
    """The positive and the negative parts: what a regression has as variables."""
    return np.concatenate([np.maximum(coefficients, 0.0), np.minimum(coefficients, 0.0)])


@pytest.mark.parametrize("weighted", [False, True])
@each_machine
def test_the_objective_is_that_of_scikit_learn(name, weighted):
    case = draw(name, weighted)
    K, problem = case.K, case.problem
    beta = reference.solve(K, problem, TOL)
    theirs = of_the_peer(case)
    if name == "nu_svc":  # libsvm divides by half of the margin: the sums of both classes are known
        theirs *= 0.4 * case.weight.sum() / np.abs(theirs).sum()
    theirs = split(theirs) if name.endswith("svr") else theirs
    ours = reference.objective(K, problem, beta)
    # (In ν-regression a row may be in both sums: the objective knows its difference alone.)
    assert abs(ours - reference.objective(K, problem, theirs)) <= gap(problem)


@pytest.mark.parametrize("weighted", [False, True])
@each_machine
def test_decisions_are_those_of_scikit_learn(name, weighted):
    case = draw(name, weighted)
    K, problem = case.K, case.problem
    beta = reference.solve(K, problem, TOL)
    rho, scale = reference.offsets(K, problem, beta), 1.0
    if name == "nu_svc":
        scale = (rho[0] - rho[1]) / 2
    ours = reference.decision(case.new, problem, beta, np.mean(rho)) / scale
    model = case.peer
    theirs = model.predict(case.new) if name.endswith("svr") else model.decision_function(case.new)
    # The functions differ by a norm of √(2 gap), here and at the free rows that give ρ.
    bound = (4 * np.sqrt(2 * gap(problem)) + 2 * TOL) / scale
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)
    assert np.ptp(ours) > 100 * bound


@each_machine
def test_the_start_is_within_bounds_and_its_sums_are_kept(name):
    case = draw(name, weighted=True)
    problem = case.problem
    beta = reference.solve(case.K, problem, TOL)
    for values in (problem.start, beta):
        assert (values >= problem.lower).all()
        assert (values <= problem.upper).all()
    total = case.weight.sum()
    half = {"nu_svc": 0.4 * total / 2, "nu_svr": 0.4 * 2.0 * total / 2}.get(name, 0.0)
    wanted = [0.3 * total] if name == "one_class" else [half, -half]
    for group in np.unique(problem.group):
        mine = problem.group == group
        for values in (problem.start, beta):
            assert values[mine].sum() == pytest.approx(wanted[group], abs=1e3 * N * EPS)


@each_machine
def test_no_pair_can_be_moved_to_lower_the_objective(name):
    case = draw(name)
    problem = case.problem
    beta = reference.solve(case.K, problem, TOL)
    assert reference.most_violating(case.K, problem, beta)[0] <= TOL
    lowest = reference.objective(case.K, problem, beta)
    rng = np.random.default_rng(1)
    moved = 0
    for _ in range(300):
        i, j = rng.choice(len(beta), 2, replace=False)
        by = min(1e-2, problem.upper[i] - beta[i], beta[j] - problem.lower[j])
        if problem.group[i] != problem.group[j] or by <= 0.0:
            continue
        other = beta.copy()
        other[i] += by
        other[j] -= by
        assert reference.objective(case.K, problem, other) >= lowest - TOL * by
        moved += 1
    assert moved > 20


@each_machine
def test_the_gradient_is_the_slope_of_the_objective(name):
    case = draw(name)
    beta = case.problem.start + np.random.default_rng(2).normal(size=len(case.problem.start))
    found = reference.gradient(case.K, case.problem, beta)
    step = 1e-3
    for t in range(len(beta)):
        ahead, behind = beta.copy(), beta.copy()
        ahead[t] += step
        behind[t] -= step
        slope = reference.objective(case.K, case.problem, ahead)
        slope -= reference.objective(case.K, case.problem, behind)
        # Of a quadratic function this quotient is exact.
        assert slope / (2 * step) == pytest.approx(found[t], abs=1e-9)


@each_machine
def test_the_most_violating_pair_is_the_worst_of_all_pairs(name):
    case = draw(name)
    problem = case.problem
    beta = reference.solve(case.K, problem, 0.05)
    g = reference.gradient(case.K, problem, beta)
    pairs = [
        (g[j] - g[i], i, j)
        for i in range(len(beta))
        for j in range(len(beta))
        if problem.group[i] == problem.group[j]
        and beta[i] < problem.upper[i]
        and beta[j] > problem.lower[j]
    ]
    assert reference.most_violating(case.K, problem, beta)[0] == max(pairs)[0]


def test_a_classifier_meets_the_conditions_of_its_margins():
    case = draw("c_svc", weighted=True)
    beta = reference.solve(case.K, case.problem, TOL)
    (rho,) = reference.offsets(case.K, case.problem, beta)
    margin = case.y * reference.decision(case.K, case.problem, beta, rho)
    alpha, C = case.y * beta, 3.0 * case.weight
    assert (margin[alpha == 0.0] >= 1.0 - TOL).all()
    assert (margin[alpha == C] <= 1.0 + TOL).all()
    free = (alpha > 0.0) & (alpha < C)
    np.testing.assert_allclose(margin[free], 1.0, rtol=0, atol=TOL)
    assert free.any()
    assert (alpha == 0.0).any()
    assert (alpha == C).any()


def test_a_regression_meets_the_conditions_of_its_tube():
    case = draw("epsilon_svr", weighted=True)
    beta = reference.solve(case.K, case.problem, TOL)
    (rho,) = reference.offsets(case.K, case.problem, beta)
    error = case.y - reference.decision(case.K, case.problem, beta, rho)
    above, below, C = beta[:N], beta[N:], 2.0 * case.weight
    assert not (above * below).any()  # never both
    assert (np.abs(error[(above == 0.0) & (below == 0.0)]) <= 0.2 + TOL).all()
    assert (error[above == C] >= 0.2 - TOL).all()
    assert (error[below == -C] <= -0.2 + TOL).all()
    free = (above > 0.0) & (above < C)
    np.testing.assert_allclose(error[free], 0.2, rtol=0, atol=TOL)
    assert free.any()


@pytest.mark.parametrize("name", ["nu_svc", "nu_svr", "one_class"])
def test_nu_lies_between_the_shares_of_errors_and_of_support_vectors(name):
    case = draw(name)
    nu = 0.3 if name == "one_class" else 0.4
    beta = reference.solve(case.K, case.problem, TOL)
    support = np.abs(reference.coefficients(case.K, case.problem, beta)) > 0.0
    at_bound = np.zeros(N, bool)
    limits = (beta == case.problem.upper) | (beta == case.problem.lower)
    at_bound[case.problem.row[limits & (beta != 0.0)]] = True
    assert at_bound.mean() <= nu + EPS * N
    assert support.mean() >= nu - EPS * N
    assert at_bound.any()


def test_the_tube_of_nu_regression_is_the_epsilon_that_gives_the_same_function():
    case = draw("nu_svr")
    beta = reference.solve(case.K, case.problem, TOL)
    low, high = reference.offsets(case.K, case.problem, beta)
    epsilon = (high - low) / 2
    assert epsilon > 0.01
    other = reference.epsilon_svr(case.y, 2.0, epsilon)
    alike = reference.solve(case.K, other, TOL)
    (rho,) = reference.offsets(case.K, other, alike)
    bound = 8 * np.sqrt(2 * gap(other))
    ours = reference.decision(case.new, case.problem, beta, (low + high) / 2)
    theirs = reference.decision(case.new, other, alike, rho)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)


# --- the primal ---------------------------------------------------------------------------------


def test_the_hinge_objective_is_that_of_the_primal():
    """½|w|² + C Σ ξ with its constraints, by another method, on a few points in the plane."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(12, 2))
    y = np.where(X[:, 0] + rng.normal(size=12) > 0, 1.0, -1.0)
    lam = 0.1
    problem = reference.c_svc(y, 1.0 / (2 * lam * 12))
    K = gram.linear(X)
    beta = reference.solve(K, problem, 1e-10)
    (rho,) = reference.offsets(K, problem, beta)
    found = reference.hinge_objective(K, y, beta, -rho, lam)

    def primal(v):  # of w, b and ξ
        return v[3:].mean() + lam * v[:2] @ v[:2]

    inequality = {"type": "ineq", "fun": lambda v: v[3:] - 1.0 + y * (X @ v[:2] + v[2])}
    start = np.concatenate([np.zeros(3), np.ones(12)])
    limits = [(None, None)] * 3 + [(0.0, None)] * 12
    best = minimize(primal, start, constraints=inequality, bounds=limits, tol=1e-12)
    assert best.success
    assert found == pytest.approx(best.fun, abs=1e-7)
    np.testing.assert_allclose(X.T @ beta, best.x[:2], atol=1e-5)
    # No duality gap: the same number from below.
    assert -2 * lam * reference.objective(K, problem, beta) == pytest.approx(found, abs=1e-9)


def test_no_step_lowers_the_hinge_objective():
    case = draw("c_svc")
    lam = 1.0 / (2 * 3.0 * N)
    beta = reference.solve(case.K, case.problem, TOL)
    (rho,) = reference.offsets(case.K, case.problem, beta)
    lowest = reference.hinge_objective(case.K, case.y, beta, -rho, lam)
    # The duality gap of a violation of TOL, in units of this objective.
    below = 2 * lam * gap(case.problem, TOL) + N * EPS
    rng = np.random.default_rng(4)
    for size in (1e-1, 1e-3):
        for step in size * rng.normal(size=(50, N + 1)):
            other = reference.hinge_objective(case.K, case.y, beta + step[:N], -rho + step[N], lam)
            assert other >= lowest - below


def test_the_hinge_objective_by_hand():
    # Margins 0.5 and -1 (wrong side): hinges 0.5 and 2; aᵀKa = 0.25 + 1.
    found = reference.hinge_objective(np.eye(2), [1, -1], np.array([0.5, 1.0]), 0.0, 0.1)
    assert found == pytest.approx(1.25 + 0.1 * 1.25, rel=4 * EPS)


# --- by hand ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("C", "alpha"), [(10.0, 1.0), (0.25, 0.25)])
def test_two_rows_by_hand(C, alpha):
    # ½(α² + α²) - 2α is least at α = 1; a smaller C stops it.
    problem = reference.c_svc([1, -1], C)
    beta = reference.solve(np.eye(2), problem, 1e-12)
    np.testing.assert_allclose(beta, [alpha, -alpha], rtol=1e-12)
    assert reference.objective(np.eye(2), problem, beta) == pytest.approx(alpha**2 - 2 * alpha)
    assert reference.offsets(np.eye(2), problem, beta) == pytest.approx([0.0], abs=1e-12)
    values = reference.decision(np.array([[3.0, 1.0]]), problem, beta, 0.5)
    assert values == pytest.approx([2 * alpha - 0.5])


def test_offsets_by_hand():
    # Without free coefficients it is the middle of its range.
    # β = (½, -½) stands at its bounds, with the gradient (2·½ - 1, -½ + 1).
    problem = reference.c_svc([1, -1], 0.5)
    beta = np.array([0.5, -0.5])
    K = np.diag([2.0, 1.0])
    assert reference.gradient(K, problem, beta) == pytest.approx([0.0, 0.5])
    # Row 0 may only fall and row 1 only rise: ρ is between 0 and ½.
    assert reference.offsets(K, problem, beta) == pytest.approx([0.25])
    # Free ones count alone, and alike: 2·¼ - 1 and -¼ + 1.
    assert reference.offsets(K, problem, beta / 2) == pytest.approx([0.125])


def test_a_negative_curvature_ends_at_the_bounds():
    y = np.array([1.0, 1.0, -1.0, -1.0])
    beta = reference.solve(-np.eye(4), reference.c_svc(y, 2.0), 1e-6)
    np.testing.assert_array_equal(beta, 2.0 * y)


def test_what_is_not_solved_in_time_says_so():
    case = draw("c_svc")
    with pytest.raises(ArithmeticError, match="left after 3 pairs"):
        reference.solve(case.K, case.problem, TOL, max_iter=3)

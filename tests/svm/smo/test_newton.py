"""Free coefficients moved all at once: downhill, between their bounds, with the sums kept."""

import numpy as np
import pytest

from fastkb.reference import svm as reference
from fastkb.svm.smo import newton
from fastkb.svm.smo.newton import move_free
from fastkb.svm.smo.pairs import Rule, Work, solve_pairs


def work_at(K, problem, beta):
    gradient = reference.gradient(K, problem, beta)
    q = len(beta)
    return Work(
        beta.copy(),
        gradient,
        problem.lower.astype(float),
        problem.upper.astype(float),
        np.ascontiguousarray(np.diagonal(K)),
        np.empty(q),
        np.empty(q),
    )


def rows(n, d, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * np.logspace(-1, 2, d)
    return X, np.where(X @ rng.standard_normal(d) + rng.standard_normal(n) > 0, 1.0, -1.0)


def started(n=60, d=4, C=10.0, seed=0, pairs=400):
    """A classifier's problem on columns of unlike scales, after some pairs."""
    X, y = rows(n, d, seed)
    K = X @ X.T
    problem = reference.c_svc(y, C)
    work = work_at(K, problem, np.zeros(n))
    solve_pairs(K, work, Rule(0.0, n, 1e-9, pairs))
    return K, problem, work


@pytest.mark.parametrize("seed", range(8))
def test_the_objective_falls_and_bounds_and_sums_are_kept(seed):
    K, problem, work = started(seed=seed)
    before = reference.objective(K, problem, work.beta)
    assert move_free(K, work, len(work.beta), 0.0) > 0
    after = reference.objective(K, problem, work.beta)
    assert after <= before + 1e-12 * abs(before)
    assert (work.beta >= problem.lower).all()
    assert (work.beta <= problem.upper).all()
    assert abs(work.beta.sum()) < 1e-9
    np.testing.assert_allclose(
        work.gradient, reference.gradient(K, problem, work.beta), atol=1e-8 * np.abs(K).max()
    )


def test_free_coefficients_are_optimal_where_no_bound_is_in_the_way():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 3))
    K = np.exp(-0.5 * ((X[:, None] - X) ** 2).sum(-1)) + 10.0 * np.eye(12)
    problem = reference.c_svc(np.repeat([1.0, -1.0], 6), 1e6)
    beta = np.repeat([1.0, -1.0], 6)
    work = work_at(K, problem, beta)
    assert move_free(K, work, 12, 0.0) == 1
    assert np.ptp(work.gradient) < 1e-6
    assert abs(work.beta.sum()) < 1e-9


def test_a_kink_at_zero_is_a_bound():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((30, 2))
    K, y = X @ X.T + np.eye(30), rng.standard_normal(30)
    work = Work(
        np.repeat([0.5, -0.5], 15),
        np.empty(30),
        np.full(30, -9.0),
        np.full(30, 9.0),
        np.ascontiguousarray(np.diagonal(K)),
        np.empty(30),
        np.empty(30),
    )
    work.gradient[:] = K @ work.beta - y

    def objective():
        beta = work.beta
        return 0.5 * beta @ K @ beta - y @ beta + 0.3 * np.abs(beta).sum()

    before, signs = objective(), np.sign(work.beta)
    assert move_free(K, work, 30, 0.3) > 0
    assert objective() < before
    assert (work.beta * signs >= 0.0).all()


def test_sums_of_two_groups_are_kept_apart():
    X, y = rows(40, 3, 2)
    order = np.argsort(-y, kind="stable")
    X, y = X[order], y[order]
    K, split = X @ X.T, int((y > 0).sum())
    problem = reference.nu_svc(y, 0.3, np.ones(40))
    work = work_at(K, problem, np.clip(problem.start, -0.9, 0.9))
    sums = work.beta[:split].sum(), work.beta[split:].sum()
    move_free(K, work, split, 0.0)
    np.testing.assert_allclose((work.beta[:split].sum(), work.beta[split:].sum()), sums, atol=1e-9)


def test_nothing_moves_where_there_is_nothing_to_gain():
    K, _, work = started(pairs=100_000)
    move_free(K, work, len(work.beta), 0.0)
    beta = work.beta.copy()
    for _ in range(3):
        move_free(K, work, len(work.beta), 0.0)
    np.testing.assert_allclose(work.beta, beta, atol=1e-6)


def test_an_indefinite_matrix_is_left_alone(monkeypatch):
    K, _, work = started()
    before = work.beta.copy()
    assert move_free(-K, work, len(before), 0.0) == 0
    np.testing.assert_array_equal(work.beta, before)
    monkeypatch.setattr(newton, "LARGEST", 1)
    assert move_free(K, work, len(before), 0.0) == 0

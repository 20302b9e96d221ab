"""Which factorisation serves, when a low-rank one is certified, and what stands in for one that fails."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.reference import gram as reference_gram
from fastkb.ridge.scaling import ScaledProblem
from fastkb.ridge.selection import factorisation as module
from fastkb.ridge.selection.factorisation import (
    LeftOut,
    certified_factor,
    measure_penalties,
    plan_factorisation,
)

EPS = np.finfo(float).eps


def measure(operator):
    return operator.residuals(), operator.diagonal()


def problem_of(K, fit_intercept=False, weight=None, y=None):
    y = np.ones((len(K), 1)) if y is None else y
    return ScaledProblem.in_place(K.copy(), y, weight, fit_intercept)


def smooth(n, gamma=0.5):
    return reference_gram.rbf(np.linspace(-1, 1, n)[:, None], gamma=gamma)


@given(
    n=st.integers(1, 5000),
    n_alphas=st.integers(1, 50),
    rank=st.one_of(st.none(), st.integers(1, 5000)),
)
def test_the_plan_takes_the_least_cost(n, n_alphas, rank):
    rank = None if rank is None else min(rank, n)
    costs = {"eigh": module._EIGH_COST, "cholesky": n_alphas * module._INVERSE_COST}
    if rank is not None:
        costs["lowrank"] = 3 * (rank / n) ** 2 + module._EIGH_COST * (rank / n) ** 3
    plan = plan_factorisation(n, n_alphas, rank)
    assert costs[plan.solver] == min(costs.values())
    assert plan.reason


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_smooth_kernels_are_recognised(fit_intercept):
    measured = measure_penalties(
        problem_of(smooth(200), fit_intercept),
        np.logspace(-6, 2, 9),
        measure,
        positive_semidefinite=True,
    )
    assert measured.solver == "lowrank"
    assert "rank" in measured.reason
    assert [array.shape for array in measured.values] == [(200, 1, 9), (200, 9)]


@pytest.mark.parametrize(("n_alphas", "solver"), [(3, "cholesky"), (20, "eigh")])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_rough_kernels_take_the_dense_solvers(n_alphas, solver, known, fit_intercept):
    rng = np.random.default_rng(0)
    K = reference_gram.rbf(rng.normal(size=(40, 5)), gamma=5.0)
    y = rng.normal(size=(40, 2))
    alphas = np.logspace(-3, 1, n_alphas)
    measured = measure_penalties(
        problem_of(K, fit_intercept, y=y), alphas, measure, positive_semidefinite=known
    )
    assert measured.solver == solver
    # Whatever was tried first, the matrix that they got was whole: each way gives the same numbers.
    problem = problem_of(K, fit_intercept, y=y)
    problem.centre()
    for found, expected in zip(
        measured.values, measure(module.Eigenvectors(problem, alphas)), strict=True
    ):
        # n·eps cond(K + αI), where the trace bounds K.
        np.testing.assert_allclose(found, expected, rtol=0, atol=20 * 40 * EPS * (1 + 40 / 1e-3))


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_inverses_that_fail_give_way_to_eigenvectors(fit_intercept):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(8, 8))
    K, y = root + root.T, rng.normal(size=(8, 1))
    # The first two inverses exist: what they left behind must not matter.
    alphas = np.array([50.0, 40.0, 0.5])
    measured = measure_penalties(
        problem_of(K, fit_intercept, y=y), alphas, measure, positive_semidefinite=False
    )
    assert measured.solver == "eigh"
    assert "not positive definite" in measured.reason
    problem = problem_of(K, fit_intercept, y=y)
    problem.centre()
    expected = measure(module.Eigenvectors(problem, alphas))
    for found, wanted in zip(measured.values, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e5 * EPS)


@pytest.mark.parametrize("n_alphas", [1, 20])
def test_a_dominating_part_takes_sums_of_positive_terms(n_alphas):
    measured = measure_penalties(
        problem_of(smooth(30), fit_intercept=True),
        np.full(n_alphas, 0.1),
        measure,
        positive_semidefinite=True,
        left_out=LeftOut(1, 1e-5),
    )
    assert measured.solver == "eigh"
    assert "all of the weight but 1.0e-05" in measured.reason
    # Without an intercept nothing is subtracted.
    plain = measure_penalties(
        problem_of(smooth(200)),
        np.full(n_alphas, 0.1),
        measure,
        positive_semidefinite=True,
        left_out=LeftOut(1, 1e-5),
    )
    assert plain.solver == "lowrank"


# --- the certificate ----------------------------------------------------------------------------


def test_a_penalty_too_small_for_the_certificate_is_refused():
    K = smooth(100)
    assert certified_factor(problem_of(K), 1e-6) is not None
    assert certified_factor(problem_of(K), 1e-12) is None


def test_large_folds_and_light_rests_ask_for_more():
    K = smooth(100)
    rank = certified_factor(problem_of(K), 1e-6).shape[1]
    # The smallest penalties that the certificate's two terms allow.
    least, large = (EPS * (200 + rank * np.sqrt(size)) / module.LOWRANK_BOUND for size in (1, rank))
    for size, allowed in ((1, least), (rank, large), (80, large)):
        assert certified_factor(problem_of(K), 1.001 * allowed, LeftOut(size)) is not None
        assert certified_factor(problem_of(K), 0.999 * allowed, LeftOut(size)) is None
    assert certified_factor(problem_of(K, True), 1e-6, LeftOut(1, 0.5)) is not None
    assert certified_factor(problem_of(K, True), 1e-6, LeftOut(1, 1e-3)) is None


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_the_certificate_holds(fit_intercept):
    """The trace of what the factor leaves, on which the bound stands, is what was claimed."""
    for gamma in (0.1, 1.0, 10.0):
        K = smooth(400, gamma)
        factor = certified_factor(problem_of(K, fit_intercept), 1e-6)
        if fit_intercept:
            K = K - K.mean(axis=0) - K.mean(axis=1)[:, None] + K.mean()
            assert np.abs(factor.sum(axis=0)).max() <= 4 * 400 * EPS
        left = K - factor @ factor.T
        # Forming the products here rounds each entry by rank·eps more, and centring by some eps.
        rank = factor.shape[1]
        assert np.abs(left).max() <= (8 + rank) * EPS
        assert np.abs(np.linalg.eigvalsh(left)).max() <= module.LOWRANK_BOUND * 1e-6


def test_a_refused_factor_leaves_the_matrix_whole():
    rng = np.random.default_rng(0)
    K = reference_gram.rbf(rng.normal(size=(60, 8)), gamma=1.0)
    problem = problem_of(K)
    certified_factor(problem, 1e-6)
    module.restore_from_lower(problem.K, K.diagonal())
    np.testing.assert_array_equal(problem.K, K)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_kernel_of_nothing_has_rank_none(fit_intercept):
    y = np.array([[1.0], [2.0], [6.0]])
    measured = measure_penalties(
        problem_of(np.zeros((3, 3)), fit_intercept, y=y),
        np.array([0.5, 2.0]),
        measure,
        positive_semidefinite=True,
    )
    assert measured.solver == "lowrank"
    expected = y - 3.0 if fit_intercept else y
    for index in range(2):
        np.testing.assert_allclose(measured.values[0][..., index], expected, atol=8 * EPS)

"""Leave-one-out residuals, against refitting n times, for every solver."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.reference import gram as reference_gram
from fastkb.reference import ridge as reference
from fastkb.ridge import leave_one_out as loo

EPS = np.finfo(float).eps


def solvers(K, y, alphas):
    """Residuals by each factorisation that applies, whatever the plan would choose."""
    diagonal = K.diagonal().copy()
    results = {
        "eigh": loo._from_eigenvectors(K.copy(), y, alphas),
        "cholesky": loo._from_inverses(K.copy(), diagonal, y, alphas),
    }
    factor = loo._pivoted_cholesky(K.copy(), diagonal, alphas.min())
    if factor is not None:
        results["lowrank"] = loo._from_lowrank(factor, y, alphas)
    return {name: result for name, result in results.items() if result is not None}


def bound(K, y, alpha):
    """How far rounding may take a residual c/Gᵢᵢ: cond(K + αI) n eps for c and for Gᵢᵢ each."""
    values = np.linalg.eigvalsh(K)
    condition = (values[-1] + alpha) / alpha
    return 20 * len(K) * EPS * condition * np.abs(y).max()


@given(
    n=st.integers(2, 25),
    n_features=st.integers(1, 4),
    n_targets=st.integers(1, 3),
    sigma=st.sampled_from([0.1, 1.0, 10.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_solver_agrees_with_refitting(n, n_features, n_targets, sigma, seed):
    rng = np.random.default_rng(seed)
    K = reference_gram.rbf(rng.normal(size=(n, n_features)), gamma=1 / (2 * sigma**2))
    y = rng.normal(size=(n, n_targets))
    alphas = np.array([1e-4, 1e-1, 10.0])
    found = solvers(K, y, alphas)
    assert "eigh" in found
    for index, alpha in enumerate(alphas):
        expected = reference.leave_one_out_residuals(K, y, alpha)
        for name, residuals in found.items():
            assert residuals.shape == (n, n_targets, alphas.size)
            error = np.abs(residuals[:, :, index] - expected).max()
            assert error <= bound(K, y, alpha), (name, alpha)


@pytest.mark.parametrize("seed", range(3))
def test_the_low_rank_path_is_exact_to_rounding(seed):
    """Against an eigendecomposition at every λ, where the two share no step but the Gram matrix."""
    rng = np.random.default_rng(seed)
    n = 300
    K = reference_gram.rbf(rng.uniform(-2, 2, size=(n, 1)), gamma=0.5)
    y = rng.normal(size=(n, 1))
    alphas = np.logspace(-6, 2, 9)
    found = solvers(K, y, alphas)
    difference = np.abs(found["lowrank"] - found["eigh"]).max(axis=(0, 1))
    for index, alpha in enumerate(alphas):
        assert difference[index] <= bound(K, y, alpha)


def test_smooth_kernels_are_recognised():
    rng = np.random.default_rng(0)
    K = reference_gram.rbf(rng.uniform(-2, 2, size=(200, 1)), gamma=0.5)
    y = rng.normal(size=(200, 1))
    result = loo.leave_one_out(K, y, np.logspace(-6, 2, 9), positive_semidefinite=True)
    assert result.solver == "lowrank"
    assert "rank" in result.reason


@pytest.mark.parametrize(("n_alphas", "solver"), [(3, "cholesky"), (20, "eigh")])
@pytest.mark.parametrize("known", [False, True])
def test_rough_kernels_take_the_dense_solvers(n_alphas, solver, known):
    rng = np.random.default_rng(0)
    K = reference_gram.rbf(rng.normal(size=(40, 5)), gamma=5.0)
    y = rng.normal(size=(40, 2))
    alphas = np.logspace(-3, 1, n_alphas)
    result = loo.leave_one_out(K.copy(), y, alphas, positive_semidefinite=known)
    assert result.solver == solver
    for index in (0, -1):
        expected = reference.leave_one_out_residuals(K, y, alphas[index])
        error = np.abs(result.residuals[:, :, index] - expected).max()
        assert error <= bound(K, y, alphas[index])


@given(
    n=st.integers(1, 5000),
    n_alphas=st.integers(1, 50),
    rank=st.one_of(st.none(), st.integers(1, 5000)),
)
def test_the_plan_takes_the_least_cost(n, n_alphas, rank):
    rank = None if rank is None else min(rank, n)
    costs = {"eigh": loo._EIGH_COST, "cholesky": n_alphas * loo._INVERSE_COST}
    if rank is not None:
        costs["lowrank"] = 3 * (rank / n) ** 2 + loo._EIGH_COST * (rank / n) ** 3
    plan = loo.plan_leave_one_out(n, n_alphas, rank)
    assert costs[plan.solver] == min(costs.values())
    assert plan.reason


def test_a_penalty_too_small_for_the_certificate_is_refused():
    K = reference_gram.rbf(np.linspace(-1, 1, 100)[:, None], gamma=0.5)
    assert loo._pivoted_cholesky(K.copy(), K.diagonal().copy(), 1e-6) is not None
    assert loo._pivoted_cholesky(K.copy(), K.diagonal().copy(), 1e-12) is None


def test_the_certificate_holds():
    """The trace of what the factor leaves, on which the bound stands, is what was claimed."""
    for gamma in (0.1, 1.0, 10.0):
        K = reference_gram.rbf(np.linspace(-1, 1, 400)[:, None], gamma=gamma)
        factor = loo._pivoted_cholesky(K.copy(), K.diagonal().copy(), 1e-6)
        left = K - factor @ factor.T
        # Forming the product here rounds each entry by rank·eps more.
        rank = factor.shape[1]
        assert np.abs(left).max() <= (2 + rank) * EPS
        assert np.abs(np.linalg.eigvalsh(left)).max() <= loo.LOWRANK_BOUND * 1e-6


def test_a_refused_factor_leaves_the_matrix_whole():
    rng = np.random.default_rng(0)
    K = reference_gram.rbf(rng.normal(size=(60, 8)), gamma=1.0)
    spoilt = K.copy()
    loo._pivoted_cholesky(spoilt, K.diagonal().copy(), 1e-6)
    loo.restore_from_lower(spoilt, K.diagonal())
    np.testing.assert_array_equal(spoilt, K)


@pytest.mark.parametrize("alpha", [1e-10, 1e-14, 1e-18, 1e-300])
def test_a_tiny_penalty_gives_finite_and_sensible_residuals(alpha):
    """Where K + αI is singular to working precision the residuals are those of a nearby kernel.

    Nothing predicts pure noise of variance one: each squared residual is one on average or more,
    and their mean over 80 rows strays from that by √(2/80) = 0.16. A search must not be lured
    below.
    """
    rng = np.random.default_rng(0)
    K = reference_gram.rbf(np.linspace(-1, 1, 80)[:, None], gamma=0.5)
    y = rng.normal(size=(80, 1))
    for alphas in (np.array([alpha]), np.full(20, alpha)):
        result = loo.leave_one_out(K.copy(), y, alphas, positive_semidefinite=True)
        assert np.isfinite(result.residuals).all()
        assert np.mean(result.residuals[:, 0, 0] ** 2) > 1 - 3 * np.sqrt(2 / 80)


@pytest.mark.parametrize("alpha", [1e-6, 1e-9])
def test_small_penalties_against_fifty_digits(alpha):
    """Refitting in extended precision: the kernel of the data, not its rounded Gram matrix."""
    n, gamma = 10, 0.5
    x = np.linspace(-1, 1, n)
    y = np.sin(2 * x) + np.random.default_rng(0).normal(size=n)
    with mpmath.workdps(50):
        exact_K = mpmath.matrix(n, n)
        for i in range(n):
            for j in range(n):
                exact_K[i, j] = mpmath.exp(-gamma * (mpmath.mpf(x[i]) - mpmath.mpf(x[j])) ** 2)
        expected = []
        for i in range(n):
            rest = [j for j in range(n) if j != i]
            K = mpmath.matrix([[exact_K[j, k] for k in rest] for j in rest])
            system = K + alpha * mpmath.eye(n - 1)
            coefficients = mpmath.lu_solve(system, mpmath.matrix([y[j] for j in rest]))
            expected.append(
                float(
                    y[i] - sum(exact_K[i, j] * c for j, c in zip(rest, coefficients, strict=True))
                )
            )
    K = reference_gram.rbf(x[:, None], gamma=gamma)
    for name, residuals in solvers(K, y[:, None], np.array([alpha])).items():
        error = np.abs(residuals[:, 0, 0] - expected).max()
        assert error <= bound(K, y, alpha), name


def test_a_far_away_row_is_predicted_by_nothing():
    """Leverage near one: 1 - Hᵢᵢ is lost to cancellation at λ=1e-12, and the residual must be y."""
    X = np.array([0.0, 0.1, 0.2, 0.3, 1e3])[:, None]
    K = reference_gram.rbf(X, gamma=0.5)
    y = np.array([1.0, 2.0, 3.0, 4.0, 5.0])[:, None]
    for alphas in (np.array([1e-12]), np.array([1e-6]), np.logspace(-12, 0, 20)):
        residuals = loo.leave_one_out(K.copy(), y, alphas, positive_semidefinite=True).residuals
        # c = y/(1 + λ) and G = 1/(1 + λ) for a row that no other touches.
        np.testing.assert_allclose(residuals[4, 0], 5.0, rtol=1e3 * EPS)


def test_duplicated_rows_predict_each_other():
    x = np.linspace(-1, 1, 20)
    X = np.concatenate([x, x])[:, None]
    y = np.concatenate([np.sin(3 * x), np.sin(3 * x)])[:, None]
    K = reference_gram.rbf(X, gamma=10.0)
    alphas = np.array([1e-6])
    residuals = loo.leave_one_out(K.copy(), y, alphas, positive_semidefinite=True).residuals
    expected = reference.leave_one_out_residuals(K, y, 1e-6)
    assert np.abs(residuals[:, :, 0] - expected).max() <= bound(K, y, 1e-6)


def test_an_indefinite_kernel_has_no_fit_where_a_penalty_cancels_an_eigenvalue():
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    K = rotation @ np.diag([-1.0, -0.5, 0.5, 1.0, 2.0, 3.0]) @ rotation.T
    K = (K + K.T) / 2
    y = rng.normal(size=(6, 1))
    alphas = np.array([0.25, 0.5, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    result = loo.leave_one_out(K.copy(), y, alphas, positive_semidefinite=False)
    assert result.solver == "eigh"
    assert np.isinf(result.residuals[:, :, 1]).all()
    for index in (0, 2):
        expected = reference.leave_one_out_residuals(K, y, alphas[index])
        np.testing.assert_allclose(result.residuals[:, :, index], expected, rtol=1e5 * EPS)


def test_a_row_whose_absence_makes_the_rest_singular_has_no_prediction():
    # Without row 0 there is K₁₁ + λ = 0: G₀₀ vanishes, up to the rounding of its two terms.
    K = np.array([[1.0, 2.0], [2.0, -0.5]])
    result = loo.leave_one_out(K, np.ones((2, 1)), np.array([0.5]), positive_semidefinite=False)
    assert np.abs(result.residuals[0, 0, 0]) > 0.01 / EPS
    exact = 1 - 2 / (1 + 0.5)
    np.testing.assert_allclose(result.residuals[1, 0, 0], exact, rtol=64 * EPS)


def test_inverses_that_fail_give_way_to_eigenvectors():
    K = np.diag([1.0, -1.0])
    y = np.ones((2, 1))
    result = loo.leave_one_out(K, y, np.array([0.5]), positive_semidefinite=False)
    assert result.solver == "eigh"
    assert "not positive definite" in result.reason
    # A diagonal K: nobody predicts anybody.
    np.testing.assert_allclose(result.residuals[:, 0, 0], [1.0, 1.0], rtol=4 * EPS)


@pytest.mark.parametrize("n", [511, 512, 513])
def test_blocks_of_rows_leave_no_seam(n):
    rng = np.random.default_rng(n)
    K = reference_gram.rbf(rng.normal(size=(n, 1)), gamma=1.0)
    y = rng.normal(size=(n, 1))
    found = solvers(K, y, np.array([1e-2]))
    difference = np.abs(found["eigh"] - found["cholesky"])
    assert difference.max() <= bound(K, y, 1e-2)

"""Predictions of what was left out, against refitting without it, for every factorisation."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.reference import gram as reference_gram
from fastkb.reference import ridge as reference
from fastkb.ridge.scaling import ScaledProblem
from fastkb.ridge.selection import leave_one_out as loo
from fastkb.ridge.selection.factorisation import LeftOut, certified_factor, measure_penalties
from fastkb.ridge.selection.residual_operator import Eigenvectors, LowRank, inverses

EPS = np.finfo(float).eps


def solvers(K, y, alphas, weight=None, fit_intercept=False, folds=None):
    """Residuals by each factorisation that applies, whatever the plan would choose."""

    def read(operator):
        residuals = operator.residuals()
        if folds is None:
            return loo.leave_one_out(operator, residuals)
        return loo.leave_folds_out(operator, residuals, folds)

    def problem(centred):
        result = ScaledProblem.in_place(K.copy(), y, weight, fit_intercept)
        if centred:
            result.centre()
        return result

    results = {"eigh": read(Eigenvectors(problem(True), alphas))}
    parts = [read(operator) for operator in inverses(problem(True), alphas)]
    results["cholesky"] = np.concatenate(parts, axis=-1)
    low = problem(False)
    factor = certified_factor(low, alphas.min())
    if factor is not None:
        results["lowrank"] = read(LowRank(low, alphas, factor))
    return results


def by_plan(K, y, alphas, *, positive_semidefinite, fit_intercept=False):
    """Residuals and solver by the factorisation that the plan chooses."""
    measured = measure_penalties(
        ScaledProblem.in_place(K.copy(), y, None, fit_intercept),
        alphas,
        lambda operator: (loo.leave_one_out(operator, operator.residuals()),),
        positive_semidefinite=positive_semidefinite,
    )
    return measured.values[0], measured.solver


def bound(K, y, alpha):
    """How far rounding may take a residual e/Mᵢᵢ: cond(K + αI) n eps for e and for Mᵢᵢ each."""
    values = np.linalg.eigvalsh(K)
    condition = (values[-1] + alpha) / alpha
    return 20 * len(K) * EPS * condition * np.abs(y).max()


@given(
    n=st.integers(2, 25),
    n_features=st.integers(1, 4),
    n_targets=st.integers(1, 3),
    sigma=st.sampled_from([0.1, 1.0, 10.0]),
    fit_intercept=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_solver_agrees_with_refitting(n, n_features, n_targets, sigma, fit_intercept, seed):
    rng = np.random.default_rng(seed)
    K = reference_gram.rbf(rng.normal(size=(n, n_features)), gamma=1 / (2 * sigma**2))
    y = rng.normal(size=(n, n_targets))
    alphas = np.array([1e-4, 1e-1, 10.0])
    found = solvers(K, y, alphas, fit_intercept=fit_intercept)
    for index, alpha in enumerate(alphas):
        expected = reference.leave_one_out_residuals(K, y, alpha, fit_intercept=fit_intercept)
        for name, residuals in found.items():
            assert residuals.shape == (n, n_targets, alphas.size)
            error = np.abs(residuals[:, :, index] - expected).max()
            # The condition number that an intercept leaves is that of the uncentred matrix.
            assert error <= 4 * bound(K, y, alpha), (name, alpha)


@pytest.mark.parametrize("weights", ["none", "all", "zeros"])
@pytest.mark.parametrize("n", [2, 3, 40])
def test_with_an_intercept_to_nine_digits(n, weights):
    rng = np.random.default_rng(n)
    K = reference_gram.rbf(rng.normal(size=(n, 2)), gamma=0.5)
    y = 100.0 + rng.normal(size=(n, 2))
    weight = None if weights == "none" else rng.uniform(0.2, 3.0, size=n)
    if weights == "zeros":
        weight[2::3] = 0.0
    alphas = np.array([1e-3, 0.1, 10.0])
    root = 1.0 if weight is None else np.sqrt(weight)[:, None]
    for name, residuals in solvers(K, y, alphas, weight, True).items():
        for index, alpha in enumerate(alphas):
            expected = reference.leave_one_out_residuals(K, y, alpha, weight, True)
            error = np.abs(residuals[..., index] - root * expected).max()
            assert error <= 1e-9 * np.ptp(y), (name, alpha)


@given(
    n=st.integers(3, 30),
    n_folds=st.integers(2, 5),
    sigma=st.sampled_from([0.1, 1.0, 10.0]),
    weighted=st.booleans(),
    fit_intercept=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_solver_agrees_with_refitting_without_a_fold(
    n, n_folds, sigma, weighted, fit_intercept, seed
):
    rng = np.random.default_rng(seed)
    K = reference_gram.rbf(rng.normal(size=(n, 2)), gamma=1 / (2 * sigma**2))
    y = rng.normal(size=(n, 2))
    weight = rng.uniform(0.2, 3.0, size=n) if weighted else None
    folds = [rows for rows in np.array_split(rng.permutation(n), n_folds) if rows.size]
    splits = [(np.setdiff1d(np.arange(n), rows), rows) for rows in folds]
    alphas = np.array([1e-3, 1e-1, 10.0])
    rows = np.concatenate(folds)
    root = 1.0 if weight is None else np.sqrt(weight[rows])[:, None]
    found = solvers(K, y, alphas, weight, fit_intercept, folds)
    for index, alpha in enumerate(alphas):
        expected = root * reference.fold_residuals(K, y, alpha, splits, weight, fit_intercept)
        for name, residuals in found.items():
            error = np.abs(residuals[:, :, index] - expected).max()
            # A block's inverse is as large as the fold, and the weights lie between 0.2 and 3.
            assert error <= 50 * n * bound(K, y, alpha), (name, alpha)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_the_low_rank_path_is_exact_to_rounding(seed, fit_intercept):
    """Against an eigendecomposition at every λ, where the two share no step but the Gram matrix."""
    rng = np.random.default_rng(seed)
    n = 300
    K = reference_gram.rbf(rng.uniform(-2, 2, size=(n, 1)), gamma=0.5)
    y = rng.normal(size=(n, 1))
    alphas = np.logspace(-6, 2, 9)
    found = solvers(K, y, alphas, fit_intercept=fit_intercept)
    difference = np.abs(found["lowrank"] - found["eigh"]).max(axis=(0, 1))
    for index, alpha in enumerate(alphas):
        assert difference[index] <= bound(K, y, alpha)


@pytest.mark.parametrize("alpha", [1e-10, 1e-14, 1e-18, 1e-300])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_tiny_penalty_gives_finite_and_sensible_residuals(alpha, fit_intercept):
    """Where K + αI is singular to working precision the residuals are those of a nearby kernel.

    Nothing predicts pure noise of variance one: each squared residual is one on average or more,
    and their mean over 80 rows strays from that by √(2/80) = 0.16. A search must not be lured
    below.
    """
    rng = np.random.default_rng(0)
    K = reference_gram.rbf(np.linspace(-1, 1, 80)[:, None], gamma=0.5)
    y = rng.normal(size=(80, 1))
    for alphas in (np.array([alpha]), np.full(20, alpha)):
        residuals, _ = by_plan(
            K, y, alphas, positive_semidefinite=True, fit_intercept=fit_intercept
        )
        assert np.isfinite(residuals).all()
        assert np.mean(residuals[:, 0, 0] ** 2) > 1 - 3 * np.sqrt(2 / 80)


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
        for fit_intercept in (False, True):
            expected = []
            for i in range(n):
                rest = [j for j in range(n) if j != i]
                # With an intercept the system has a border of ones: K a + λ a + b = y, Σ a = 0.
                size = n if fit_intercept else n - 1
                system = mpmath.matrix(size, size)
                right_side = mpmath.matrix(size, 1)
                border = mpmath.matrix(size, 1)
                for row, j in enumerate(rest):
                    for column, k in enumerate(rest):
                        system[row, column] = exact_K[j, k] + (alpha if j == k else 0)
                    right_side[row], border[row] = y[j], exact_K[i, j]
                    if fit_intercept:
                        system[row, n - 1] = system[n - 1, row] = border[n - 1] = 1
                solution = mpmath.lu_solve(system, right_side)
                expected.append(float(y[i] - (border.T * solution)[0]))
            K = reference_gram.rbf(x[:, None], gamma=gamma)
            found = solvers(K, y[:, None], np.array([alpha]), fit_intercept=fit_intercept)
            for name, residuals in found.items():
                error = np.abs(residuals[:, 0, 0] - expected).max()
                assert error <= bound(K, y, alpha), (name, fit_intercept)


def test_a_far_away_row_is_predicted_by_nothing():
    """Leverage near one: 1 - Hᵢᵢ is lost to cancellation at λ=1e-12, and the residual must be y."""
    X = np.array([0.0, 0.1, 0.2, 0.3, 1e3])[:, None]
    K = reference_gram.rbf(X, gamma=0.5)
    y = np.array([1.0, 2.0, 3.0, 4.0, 5.0])[:, None]
    for alphas in (np.array([1e-12]), np.array([1e-6]), np.logspace(-12, 0, 20)):
        residuals, _ = by_plan(K, y, alphas, positive_semidefinite=True)
        # c = y/(1 + λ) and G = 1/(1 + λ) for a row that no other touches.
        np.testing.assert_allclose(residuals[4, 0], 5.0, rtol=1e3 * EPS)


def test_with_an_intercept_a_far_away_row_is_predicted_by_the_constant():
    X = np.array([0.0, 0.0, 0.0, 1e3])[:, None]
    K = reference_gram.rbf(X, gamma=0.5)
    y = np.array([1.0, 2.0, 3.0, 5.0])[:, None]
    for alphas in (np.array([1e-9]), np.logspace(-9, 0, 20)):
        residuals, _ = by_plan(K, y, alphas, positive_semidefinite=True, fit_intercept=True)
        # Three copies of a row: f is constant on them, and b alone fits their mean.
        np.testing.assert_allclose(residuals[3, 0], 3.0, rtol=4 * 20 * EPS / 1e-9)


def test_duplicated_rows_predict_each_other():
    x = np.linspace(-1, 1, 20)
    X = np.concatenate([x, x])[:, None]
    y = np.concatenate([np.sin(3 * x), np.sin(3 * x)])[:, None]
    K = reference_gram.rbf(X, gamma=10.0)
    residuals, _ = by_plan(K, y, np.array([1e-6]), positive_semidefinite=True)
    expected = reference.leave_one_out_residuals(K, y, 1e-6)
    assert np.abs(residuals[:, :, 0] - expected).max() <= bound(K, y, 1e-6)


@pytest.mark.parametrize("share", [1e-3, 1e-6])
def test_a_row_of_nearly_all_weight_is_left_out_like_any_other(share):
    rng = np.random.default_rng(0)
    K = reference_gram.rbf(rng.normal(size=(12, 2)), gamma=0.5)
    y = rng.normal(size=(12, 1))
    weight = np.ones(12)
    weight[3] = 11 / share
    measured = measure_penalties(
        ScaledProblem.in_place(K.copy(), y, weight, True),
        np.array([0.1, 10.0]),
        lambda operator: (loo.leave_one_out(operator, operator.residuals()),),
        positive_semidefinite=True,
        left_out=LeftOut(1, share),
    )
    for index, alpha in enumerate((0.1, 10.0)):
        expected = reference.leave_one_out_residuals(K, y, alpha, weight, True)
        found = measured.values[0][:, :, index] / np.sqrt(weight)[:, None]
        # n·eps cond(S K S + αI); the root of the share is what the row's eigenvectors are of.
        bound = 20 * 12 * EPS * weight[3] / alpha + 12 * EPS / np.sqrt(share)
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


def test_an_indefinite_kernel_has_no_fit_where_a_penalty_cancels_an_eigenvalue():
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    K = rotation @ np.diag([-1.0, -0.5, 0.5, 1.0, 2.0, 3.0]) @ rotation.T
    K = (K + K.T) / 2
    y = rng.normal(size=(6, 1))
    alphas = np.array([0.25, 0.5, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    residuals, solver = by_plan(K, y, alphas, positive_semidefinite=False)
    assert solver == "eigh"
    assert np.isinf(residuals[:, :, 1]).all()
    for index in (0, 2):
        expected = reference.leave_one_out_residuals(K, y, alphas[index])
        np.testing.assert_allclose(residuals[:, :, index], expected, rtol=1e5 * EPS)


def test_a_row_whose_absence_makes_the_rest_singular_has_no_prediction():
    # Without row 0 there is K₁₁ + λ = 0: G₀₀ vanishes, up to the rounding of its two terms.
    K = np.array([[1.0, 2.0], [2.0, -0.5]])
    residuals, _ = by_plan(K, np.ones((2, 1)), np.array([0.5]), positive_semidefinite=False)
    assert np.abs(residuals[0, 0, 0]) > 0.01 / EPS
    exact = 1 - 2 / (1 + 0.5)
    np.testing.assert_allclose(residuals[1, 0, 0], exact, rtol=64 * EPS)


def test_nobody_predicts_anybody_on_a_diagonal():
    residuals, _ = by_plan(
        np.diag([1.0, -1.0]), np.ones((2, 1)), np.array([0.5]), positive_semidefinite=False
    )
    np.testing.assert_allclose(residuals[:, 0, 0], [1.0, 1.0], rtol=4 * EPS)

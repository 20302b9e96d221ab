"""The restricted likelihood against a normal density, and who wins a tie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import helmert
from scipy.stats import multivariate_normal

from fastkb.reference import gram as reference_gram
from fastkb.reference import ridge as reference
from fastkb.ridge.scaling import ScaledProblem
from fastkb.ridge.selection.criterion import (
    TIE_OF_ERRORS,
    TIE_OF_LIKELIHOODS,
    TieRule,
    choose,
    restricted_likelihood,
)
from fastkb.ridge.selection.factorisation import certified_factor
from fastkb.ridge.selection.residual_operator import Eigenvectors, LowRank, inverses

EPS = np.finfo(float).eps
ALPHAS = np.array([1e-3, 1e-1, 10.0])


def likelihoods(K, y, weight=None, fit_intercept=False, alphas=ALPHAS):
    """By each factorisation that applies.  # shape of each: (n_targets, n_alphas)"""

    def problem(centred):
        result = ScaledProblem.in_place(K.copy(), y, weight, fit_intercept)
        if centred:
            result.centre()
        return result

    def read(operator):
        return restricted_likelihood(operator, operator.residuals())

    results = {"eigh": read(Eigenvectors(problem(True), alphas))}
    if np.linalg.eigvalsh(K)[0] > -1e-10:
        parts = [read(operator) for operator in inverses(problem(True), alphas)]
        results["cholesky"] = np.concatenate(parts, axis=-1)
        low = problem(False)
        factor = certified_factor(low, alphas.min())
        if factor is not None:
            results["lowrank"] = read(LowRank(low, alphas, factor))
    return results


@given(
    n=st.integers(2, 30),
    n_targets=st.integers(1, 3),
    sigma=st.sampled_from([0.1, 1.0, 10.0]),
    weights=st.sampled_from(["none", "all", "zeros"]),
    fit_intercept=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_the_likelihood_of_the_definition(n, n_targets, sigma, weights, fit_intercept, seed):
    rng = np.random.default_rng(seed)
    K = reference_gram.rbf(rng.normal(size=(n, 2)), gamma=1 / (2 * sigma**2))
    y = 2.0 + rng.normal(size=(n, n_targets))
    weight = None if weights == "none" else rng.uniform(0.2, 3.0, size=n)
    if weights == "zeros":
        weight[2:][rng.uniform(size=n - 2) < 0.4] = 0.0
    for name, found in likelihoods(K, y, weight, fit_intercept).items():
        for index, alpha in enumerate(ALPHAS):
            expected = reference.restricted_likelihood(K, y, alpha, weight, fit_intercept)
            # Both logarithms are right to cond(K + αI) n·eps, times n for the sums.
            bound = 40 * n * n * EPS * (1 + 3 * n / alpha)
            np.testing.assert_allclose(
                found[:, index], expected, rtol=0, atol=bound, err_msg=f"{name} {alpha}"
            )


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_differences_are_those_of_a_normal_density_of_contrasts(fit_intercept, weighted):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(15, 2)), 3.0 + rng.normal(size=(15, 1))
    weight = rng.uniform(0.5, 2.0, size=15) if weighted else np.ones(15)
    contrasts = helmert(15) if fit_intercept else np.eye(15)
    z = (contrasts @ y)[:, 0]
    found, expected = [], []
    for gamma in (0.1, 1.0):
        K = reference_gram.rbf(X, gamma=gamma)
        found.append(likelihoods(K, y, weight if weighted else None, fit_intercept)["eigh"][0])
        for alpha in ALPHAS:
            covariance = contrasts @ (K / alpha + np.diag(1 / weight)) @ contrasts.T
            variance = z @ np.linalg.solve(covariance, z) / z.size
            density = multivariate_normal(np.zeros(z.size), variance * covariance)
            expected.append(-2 * density.logpdf(z))
    found = np.concatenate(found)
    np.testing.assert_allclose(found - found[0], np.subtract(expected, expected[0]), atol=1e-9)


def test_scaling_and_moving_the_targets_alters_a_constant():
    rng = np.random.default_rng(0)
    K = reference_gram.rbf(rng.normal(size=(20, 2)), gamma=1.0)
    y = rng.integers(-64, 64, size=(20, 1)) / 64.0
    plain = likelihoods(K, y, None, True)
    other = likelihoods(K, 4.0 * (y + 2.0**20), None, True)
    for name, values in plain.items():
        np.testing.assert_allclose(
            other[name], values + 19 * np.log(16.0), rtol=0, atol=1e5 * EPS * 20
        )


@pytest.mark.parametrize("target", ["constant", "zero", "rounded constant"])
def test_an_exact_fit_is_finite_and_wants_the_largest_penalty(target):
    K = reference_gram.rbf(np.linspace(-1, 1, 20)[:, None], gamma=1.0)
    y = np.full((20, 1), 0.0 if target == "zero" else 0.1)
    if target == "rounded constant":
        y[3] = np.nextafter(0.1, 1.0)
    for name, values in likelihoods(K, y, None, True).items():
        assert np.isfinite(values).all(), name
        assert (np.diff(values[0]) < 0).all(), name


def test_an_interpolating_fit_tends_to_the_likelihood_without_noise():
    """As λ → 0 the criterion becomes n log(yᵀK⁻¹y/n) + log det K: the two terms in λ cancel."""
    K = reference_gram.rbf(np.arange(12.0)[:, None], gamma=0.5)
    y = np.sin(np.arange(12.0))[:, None]
    expected = 12 * np.log(np.sum(y * np.linalg.solve(K, y)) / 12) + np.linalg.slogdet(K)[1]
    alphas = np.array([1e-12, 1e-18, 1e-30, 1e-100])
    found = likelihoods(K, y, alphas=alphas)["eigh"][0]
    # To first order in λ/l, where the least eigenvalue of this K is about 0.005.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_a_kernel_that_is_not_positive_has_no_likelihood_where_it_shows():
    K = np.diag([-1.0, 0.5, 1.0, 2.0])
    found = likelihoods(K, np.ones((4, 1)), alphas=np.array([0.5, 1.0, 2.0]))["eigh"]
    np.testing.assert_array_equal(np.isposinf(found[0]), [True, True, False])


# --- ties ---------------------------------------------------------------------------------------

GAMMAS, PENALTIES = np.array([0.1, 1.0, 10.0]), np.array([1e-3, 1.0, 1e3])


def place(table, ties=TIE_OF_ERRORS, gammas=GAMMAS, alphas=PENALTIES):
    row, columns = choose(np.asarray(table, float)[:, :, None], alphas, gammas, ties)
    return row, int(columns[0])


def test_the_least_wins():
    assert place([[3, 2, 3], [3, 1, 3], [3, 3, 2]]) == (1, 1)
    assert place([[3, 2, 3]], gammas=None) == (0, 1)


def test_of_equals_the_smallest_gamma_then_the_largest_penalty():
    nearly = 1.0 + 1e-10
    assert place([[3, nearly, 3], [1, 1, 1], [3, 3, 1]]) == (0, 1)
    assert place([[nearly, nearly, 3], [1, 1, 1], [3, 3, 1]]) == (0, 1)
    assert place([[3, 3, 3], [1, nearly, 3], [1, 1, 1]]) == (1, 1)
    # In whatever order the candidates come.
    reverse = {"gammas": GAMMAS[::-1], "alphas": PENALTIES[::-1]}
    assert place([[1, 1, 1], [1, nearly, 3], [3, 3, 3]], **reverse) == (1, 0)


def test_a_difference_beyond_rounding_is_no_tie():
    assert place([[1 + 2e-9, 3, 3], [3, 1, 3]], gammas=GAMMAS[:2]) == (1, 1)
    assert place([[-50 + 2e-6, 3, 3], [3, -50, 3]], TIE_OF_LIKELIHOODS, GAMMAS[:2]) == (1, 1)
    assert place([[-50 + 5e-7, 3, 3], [3, -50, 3]], TIE_OF_LIKELIHOODS, GAMMAS[:2]) == (0, 0)


def test_what_is_not_finite_never_wins():
    inf = np.inf
    for ties in (TIE_OF_ERRORS, TIE_OF_LIKELIHOODS):
        assert place([[inf, inf, inf], [inf, 5, inf], [np.nan, inf, np.nan]], ties) == (1, 1)
    assert place([[inf, 0, inf], [0, 0, 0], [inf, inf, inf]]) == (0, 1)


def test_each_column_has_a_penalty_of_its_own_and_shares_gamma():
    table = np.array([[[1.0, 9.0], [9.0, 9.0]], [[2.0, 9.0], [9.0, 3.0]]])
    row, columns = choose(table, PENALTIES[:2], GAMMAS[:2], TIE_OF_ERRORS)
    assert row == 1
    np.testing.assert_array_equal(columns, [0, 1])


def test_a_rule_is_relative_or_absolute():
    assert TieRule(1e-3, 0.0).limit(np.array(-2.0)) == -2.0 + 2e-3
    assert TieRule(0.0, 1e-3).limit(np.array(0.0)) == 1e-3
    assert TieRule(0.0, 1e-3).limit(np.array(np.inf)) == np.inf

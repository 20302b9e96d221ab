import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.bands.coverage.jackknife import interval, jackknife_plus, left_out_errors
from fastkb.bands.coverage.spectrum import from_matrix
from fastkb.reference import confidence as plain
from tests.bands.conftest import make_problem


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 500),
    n=st.integers(11, 40),
    width=st.sampled_from([0.15, 0.6, 2.0]),
    alpha=st.sampled_from([1e-3, 0.1, 10.0]),
    level=st.sampled_from([0.5, 0.8, 0.9]),
)
def test_the_band_is_that_of_n_refits(seed, n, width, alpha, level):
    problem = make_problem(seed, n)
    K, cross = problem.kernel(width)
    one = from_matrix(K.copy(), cross, np.ones(len(cross)), True)
    smoother = (one.rows * (one.values / (one.values + alpha))) @ one.axes.T + 1 / n
    errors = left_out_errors(one, alpha, problem.y)
    low, high = jackknife_plus(smoother @ problem.y, smoother, errors, level)
    wanted = plain.jackknife_plus(K, cross, problem.y, alpha, level)
    np.testing.assert_allclose(np.array([low, high]), np.array(wanted), atol=1e-7)


@pytest.mark.parametrize("centred", [False, True])
def test_left_out_errors_of_an_interpolating_fit(centred):
    """No penalty: residuals are 0 and leverages 1, and the errors are what they are."""
    problem = make_problem(0, 12)
    K, cross = problem.kernel(0.1)
    errors = left_out_errors(from_matrix(K.copy(), cross, np.ones(8), centred), 0.0, problem.y)
    for i in range(12):
        rest = np.delete(np.arange(12), i)
        k = K[np.ix_(rest, rest)]
        constant = 0.0
        dual = np.linalg.solve(k, problem.y[rest])
        if centred:
            of_ones = np.linalg.solve(k, np.ones(11))
            constant = dual.sum() / of_ones.sum()
            dual = dual - constant * of_ones
        wanted = problem.y[i] - K[i, rest] @ dual - constant
        assert errors[i] == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def test_places_of_the_interval():
    curves = np.zeros((1, 9))
    errors = np.arange(1.0, 10.0)
    # 0.9 · 10 = 9: the largest; 0.5 · 10 = 5: the fifth.
    np.testing.assert_array_equal(interval(curves, errors, 0.9), [[-9.0], [9.0]])
    np.testing.assert_array_equal(interval(curves, errors, 0.5), [[-5.0], [5.0]])
    # Nine observations cannot say what holds 95 of 100.
    np.testing.assert_array_equal(interval(curves, errors, 0.95), [[-np.inf], [np.inf]])


def test_new_observations_are_held_at_the_level():
    """2000 new ones under 40 data sets: within four standard errors of a share of 0.9."""
    held = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        problem = make_problem(seed, 60)
        K, cross = problem.kernel(0.6)
        one = from_matrix(K.copy(), cross, np.ones(8), True)
        smoother = (one.rows * (one.values / (one.values + 0.3))) @ one.axes.T + 1 / 60
        errors = left_out_errors(one, 0.3, problem.y)
        low, high = jackknife_plus(smoother @ problem.y, smoother, errors, 0.9)
        inside = (problem.X_eval[:, 0] > 0) & (problem.X_eval[:, 0] < 3)
        new = np.sin(2 * problem.X_eval[:, 0]) + 0.3 * rng.standard_normal((50, 8))
        held.append(((low <= new) & (new <= high))[:, inside].mean())
    assert abs(np.mean(held) - 0.9) < 4 * np.std(held) / np.sqrt(len(held)) + 1e-3

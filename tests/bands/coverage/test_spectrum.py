import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.bands.coverage.spectrum import from_factor, from_matrix, spectrum, truncated_spectrum
from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.ridge.kernel_matrix import KernelChoice
from tests.bands.conftest import make_problem


def smoother(one, alpha):
    matrix = (one.rows * (one.values / (one.values + alpha))) @ one.axes.T
    return matrix + 1 / len(one.axes) if one.centred else matrix


def exact_smoother(K, cross, alpha, centred):
    """By the bordered system of the regression with an intercept."""
    n = len(K)
    if not centred:
        return np.linalg.solve(K + alpha * np.eye(n), cross.T).T
    system = np.block([[K + alpha * np.eye(n), np.ones((n, 1))], [np.ones(n), 0.0]])
    right = np.concatenate([cross, np.ones((len(cross), 1))], axis=1)
    return np.linalg.solve(system, right.T).T[:, :n]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 500),
    n=st.integers(3, 60),
    d=st.integers(1, 3),
    width=st.sampled_from([0.1, 0.5, 2.0]),
    centred=st.booleans(),
)
def test_the_smoother_is_that_of_the_regression(seed, n, d, width, centred):
    problem = make_problem(seed, n, 6, d)
    K, cross = problem.kernel(width)
    source = KernelSource(KernelChoice("rbf", 0.5 / width**2), problem.X, problem.X_eval)
    for found in (
        from_matrix(K.copy(), cross, np.ones(6), centred),
        spectrum(source, centred, 0.01, n, n),
    ):
        for alpha in (0.01, 1.0):
            wanted = exact_smoother(K, cross, alpha, centred)
            np.testing.assert_allclose(smoother(found, alpha), wanted, atol=2e-3 * 0.01 / alpha)
        mean = K.mean() - 2 * cross.mean(axis=1) if centred else 0.0
        np.testing.assert_allclose(found.prior, 1.0 + mean, atol=1e-4)
        assert found.centred is centred


def test_axes_are_orthonormal_and_have_no_constant_part():
    problem = make_problem(1, 40)
    K, cross = problem.kernel(0.4)
    one = from_matrix(K.copy(), cross, np.ones(8), True)
    np.testing.assert_allclose(one.axes.T @ one.axes, np.eye(len(one.values)), atol=1e-12)
    np.testing.assert_allclose(one.axes.sum(axis=0), 0.0, atol=1e-6)
    assert (one.values > 0).all()


def test_many_rows_of_high_rank_are_refused_and_cut_off():
    problem = make_problem(2, 200, d=3)
    source = KernelSource(KernelChoice("laplacian", 5.0), problem.X, problem.X_eval)
    assert spectrum(source, True, 1e-6, 20, 100) is None
    cut = truncated_spectrum(source, True, 20)
    assert len(cut.values) <= 20
    assert cut.left > 1.0
    # The variance that the axes miss is in the prior: there is no more and no less of it.
    np.testing.assert_allclose(cut.prior, 1.0, atol=0.2)
    assert ((cut.rows**2) @ cut.values < cut.prior).all()


@pytest.mark.parametrize("centred", [False, True])
def test_a_constant_kernel_has_no_axis_beside_the_intercept(centred):
    one = from_matrix(np.full((5, 5), 2.0), np.full((3, 5), 2.0), np.full(3, 2.0), centred)
    assert len(one.values) == (0 if centred else 1)
    one = from_factor(np.full((1, 8), 2.0), np.zeros(8), 5, centred)
    assert len(one.values) == (0 if centred else 1)
    np.testing.assert_allclose(one.prior, 0.0 if centred else 4.0)

"""Candidates for the parameters: they must follow the scale of the data, and never fail."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from fastkb.ridge.grid import DEFAULT_ALPHAS, default_gammas, median_distance


def test_alphas_ascend_from_near_interpolation_to_strong_shrinkage():
    assert (np.diff(DEFAULT_ALPHAS) > 0).all()
    assert DEFAULT_ALPHAS[[0, -1]] == pytest.approx([1e-6, 1e2], rel=1e-12)


@pytest.mark.parametrize(("metric", "expected"), [("euclidean", 5.0), ("cityblock", 7.0)])
def test_the_median_of_one_pair_is_its_distance(metric, expected):
    assert median_distance(np.array([[0.0, 0.0], [3.0, 4.0]]), metric) == expected


def test_pairs_of_equal_rows_do_not_count():
    X = np.array([[0.0]] * 10 + [[2.0]])
    assert median_distance(X, "euclidean") == 2.0
    assert median_distance(np.ones((5, 2)), "euclidean") == 1.0


def test_sparse_rows_have_the_same_distances():
    X = np.random.default_rng(0).normal(size=(20, 3))
    assert median_distance(sp.csr_array(X), "euclidean") == median_distance(X, "euclidean")


def test_a_part_of_many_rows_has_nearly_the_same_median_and_always_the_same():
    X = np.random.default_rng(0).normal(size=(3000, 2))
    part = median_distance(X, "euclidean")
    assert part == median_distance(X, "euclidean")
    # The median of |x - x'| for two standard normal vectors in the plane: √2·√(2 ln 2). The spread
    # of a median of m draws is about 0.5/(√m·density) with 500 independent rows behind it.
    exact = np.sqrt(2) * np.sqrt(2 * np.log(2))
    density = exact / 2 * np.exp(-(exact**2) / 4)
    assert abs(part - exact) < 4 * 0.5 / (np.sqrt(500) * density)


@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 2**32 - 1))
def test_gammas_scale_with_the_data(scale, seed):
    X = np.random.default_rng(seed).normal(size=(15, 2))
    for kernel, power in (("rbf", -2), ("laplacian", -1)):
        np.testing.assert_allclose(
            default_gammas(scale * X, kernel),
            default_gammas(X, kernel) * scale**power,
            # Each distance is right to (d + 3) eps, and so is their median; its square twice that.
            rtol=20 * np.finfo(float).eps,
        )


def test_sigma_runs_from_a_tenth_of_the_median_to_ten_of_it():
    X = np.random.default_rng(0).normal(size=(50, 1))
    sigma = np.sqrt(1 / (2 * default_gammas(X, "rbf"))) / median_distance(X, "euclidean")
    assert sigma[[0, 4, -1]] == pytest.approx([10.0, 1.0, 0.1], rel=1e-12)


@pytest.mark.parametrize("kernel", ["linear", "poly", "sigmoid", "chi2", "precomputed", max])
def test_other_kernels_keep_their_default(kernel):
    assert default_gammas(np.ones((3, 1)), kernel) is None


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_extreme_data_give_finite_candidates(scale):
    X = np.array([[1.0], [2.0], [4.0]]) * scale
    for kernel in ("rbf", "laplacian"):
        gammas = default_gammas(X, kernel)
        assert np.isfinite(gammas).all()
        assert (gammas > 0).all()

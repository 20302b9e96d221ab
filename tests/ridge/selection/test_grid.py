"""Candidates for the parameters: they must follow the scale of the data, and never fail."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from fastkb import KernelRidgeCV
from fastkb.ridge.selection import grid as module
from fastkb.ridge.selection.grid import DEFAULT_ALPHAS, data_scales, default_gammas


def median_distance(X, metric):
    return data_scales(X, metric).median


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


# --- rows that are equal ------------------------------------------------------------------------


def test_nearly_equal_rows_are_no_scale():
    X = np.array([[0.3], [0.1 * 3], [1.0], [2.0], [4.0]])
    assert X[0, 0] != X[1, 0]
    exact = np.where(X == 0.1 * 3, 0.3, X)
    for kernel in ("rbf", "laplacian"):
        gammas = default_gammas(X, kernel)
        np.testing.assert_allclose(gammas, default_gammas(exact, kernel), rtol=1e-12)
        assert gammas.max() < 1e3
    scales = data_scales(np.array([[0.3], [0.1 * 3]]), "euclidean")
    assert scales.median == 0.1 * 3 - 0.3, "the only distance there is"


@pytest.mark.parametrize("kernel", ["rbf", "laplacian"])
@pytest.mark.parametrize(
    ("n", "d", "draw"),
    [
        (100, 1, "uniform"),
        (1000, 1, "uniform"),
        (50, 1, "normal"),
        (1000, 2, "normal"),
        (300, 10, "normal"),
        (2, 10, "normal"),
    ],
)
def test_rows_that_are_all_different_keep_every_candidate(kernel, n, d, draw):
    rng = np.random.default_rng(0)
    X = getattr(rng, draw)(size=(n, d))
    assert default_gammas(X, kernel).size == (9 if n > 2 else 1)
    if d > 1 and n > 2:
        # A few copies, as in a bootstrap resample, do not alter that.
        X[: n // 4] = X[n // 2 : n // 2 + n // 4]
        assert default_gammas(X, kernel).size == 9


def collapse_of(kernel, gamma, gap):
    """What is left of two equal values half way between their levels, by interpolation."""
    exponent = {"rbf": 2, "laplacian": 1}[kernel]
    return 2 * np.exp(-gamma * (gap / 2) ** exponent) / (1 + np.exp(-gamma * gap**exponent))


LEVELS = {
    "three": np.arange(3.0),
    "cylinders": np.array([3.0, 4.0, 5.0, 6.0, 8.0]),
    "magnitudes": np.round(np.arange(4.0, 6.2, 0.1), 1),
}


def draw_levels(name, n=1000, seed=0):
    rng = np.random.default_rng(seed)
    levels = LEVELS[name]
    shares = np.exp(-np.arange(levels.size) / 5)
    x = rng.choice(levels, size=n, p=shares / shares.sum())
    x[: levels.size] = levels
    return x


@pytest.mark.parametrize("kernel", ["rbf", "laplacian"])
@pytest.mark.parametrize("name", LEVELS)
def test_no_candidate_collapses_between_levels(kernel, name):
    gammas = default_gammas(draw_levels(name)[:, None], kernel)
    gap = data_scales(draw_levels(name)[:, None], "euclidean").gap
    assert gap == pytest.approx({"three": 1.0, "cylinders": 2.0, "magnitudes": 0.1}[name])
    assert 3 <= gammas.size < 9
    for gamma in gammas:
        assert collapse_of(kernel, gamma, gap) > 0.88
    # The next would have been the first to do so, by half a decade of candidates at most.
    assert collapse_of(kernel, gammas[-1] * np.sqrt(10.0) * 1.001, gap) < 1.07


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("kernel", ["rbf", "laplacian"])
@pytest.mark.parametrize("criterion", ["loo", "reml"])
@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_fitted_curves_go_from_level_to_level(name, kernel, criterion, noise):
    x = draw_levels(name)
    levels = np.unique(x)
    y = 30.0 + np.sin(3 * (x - levels[0]) / np.ptp(levels))
    y += noise * np.random.default_rng(1).normal(size=x.size)
    model = KernelRidgeCV(kernel=kernel, criterion=criterion, fit_intercept=True)
    model.fit(x[:, None], y)
    at = model.predict(levels[:, None])
    between = model.predict(((levels[1:] + levels[:-1]) / 2)[:, None])
    low, high = np.minimum(at[1:], at[:-1]), np.maximum(at[1:], at[:-1])
    # A smooth curve may pass a level's value on its way, by some part of its range.
    slack = 0.2 * np.ptp(at)
    assert (between >= low - slack).all()
    assert (between <= high + slack).all()


def test_a_level_of_its_own_between_equal_ones_is_joined_to_them():
    """y is the same at three neighbours and far off elsewhere: between them it must stay."""
    x = np.repeat([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 40)
    y = np.where((x >= 2) & (x <= 4), 10.0, 0.0)
    y += 0.1 * np.random.default_rng(0).normal(size=x.size)
    for kernel in ("rbf", "laplacian"):
        for criterion in ("loo", "reml"):
            model = KernelRidgeCV(kernel=kernel, criterion=criterion, fit_intercept=True)
            model.fit(x[:, None], y)
            assert (model.predict([[2.5], [3.5]]) > 8.5).all()
            narrow = KernelRidgeCV(
                kernel=kernel, criterion=criterion, fit_intercept=True, gammas=[100.0]
            ).fit(x[:, None], y)
            # What is prevented: the mean, and no error of a left out row tells.
            assert (np.abs(narrow.predict([[2.5], [3.5]]) - y.mean()) < 0.1).all()
            assert narrow.path_.best_error < 1.1 * model.path_.best_error


@pytest.mark.parametrize("kernel", ["rbf", "laplacian"])
def test_two_levels_have_the_widest_candidate_alone(kernel):
    widest = default_gammas(np.array([[0.0], [1.0], [2.0]]), kernel)[0]
    for X in ([[0.0], [1.0], [1.0]], [[0.0], [1.0]], [[0.0, 0.0], [0.6, 0.8], [0.6, 0.8]]):
        gammas = default_gammas(np.array(X), kernel)
        assert gammas.size == 1
    assert default_gammas(np.array([[0.0], [1.0], [1.0]]), kernel)[0] == widest
    assert default_gammas(np.ones((5, 2)), kernel).size == 1


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("n_seen", [1, 2])
def test_a_rare_level_that_the_sample_has_not_seen_counts(d, n_seen):
    n = 3000
    chosen = np.sort(np.random.default_rng(0).choice(n, module._ROWS_FOR_MEDIAN, replace=False))
    rare = np.setdiff1d(np.arange(n), chosen)[-1]
    X = np.repeat((np.arange(n) % n_seen)[:, None].astype(float), d, axis=1)
    few = default_gammas(X, "rbf")
    assert few.size == 1
    X[rare] = 2.0
    assert default_gammas(X, "rbf").size > 1
    assert default_gammas(sp.csr_array(X), "rbf").size > 1


def test_rows_of_a_grid_keep_to_its_spacing():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 5, size=(300, 2)).astype(float)
    scales = data_scales(X, "euclidean")
    assert (scales.is_tied, scales.n_distinct, scales.gap) == (True, 25, 1.0)
    sigmas = np.sqrt(1 / (2 * default_gammas(X, "rbf")))
    assert 0.5 <= sigmas.min() < 0.5 * np.sqrt(np.sqrt(10.0)) * 1.001


def test_a_bound_above_all_candidates_is_the_one():
    # Two levels near each other in nearly all rows, and lonely rows far away.
    X = np.array([[0.0], [1e-3]] * 50 + [[1e3], [2e3], [3e3], [4e3]])
    gammas = default_gammas(X, "rbf")
    assert np.sqrt(1 / (2 * gammas)) == pytest.approx([500.0])
    assert 1 / default_gammas(X, "laplacian") == pytest.approx([1000.0])


@pytest.mark.parametrize("exponent", [-1000, -600, 600, 900])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock"])
def test_scales_are_those_of_the_data_at_any_size(exponent, metric):
    for X in (np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0)[:, None] // 3):
        one, other = data_scales(X, metric), data_scales(np.ldexp(X, exponent), metric)
        assert (other.n_distinct, other.is_tied) == (one.n_distinct, one.is_tied)
        assert other.median == np.ldexp(one.median, exponent)
        assert other.gap == np.ldexp(one.gap, exponent)
    import scipy.sparse as sp

    assert data_scales(sp.csr_array(np.ldexp(X, exponent)), metric) == other

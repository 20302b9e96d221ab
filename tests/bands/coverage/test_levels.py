import numpy as np
import pytest

import fastkb
from fastkb.bands.coverage.levels import (
    different_rows,
    few_levels,
    gentle,
    keeps_means,
    through_means,
)


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        ([0.0, 1.0] * 20, 2),
        ([0.3, 0.1 * 3, 1.0] * 20, 2),
        (list(range(8)) * 5, 8),
        (list(range(9)) * 9, None),
        (list(range(8)) * 4, None),  # too few rows each
        (list(range(24)) * 40, 24),
        (list(range(24)) * 39, None),
        (list(range(25)) * 50, None),
        ([1.0] * 30, None),
        (list(range(100)), None),
    ],
)
def test_few_levels(column, wanted):
    found = few_levels(np.array(column, float)[:, None])
    if wanted is None:
        assert found is None
        return
    rows, counts = found
    assert rows.shape == (wanted, 1)
    assert counts.sum() == len(column)


@pytest.mark.parametrize("offset", [0.0, -7.0, 1e9])
def test_an_offset_changes_no_level(offset):
    column = offset + np.repeat([0.0, 1.0, 2.0, 3.0], 10)
    assert few_levels(column[:, None])[1].tolist() == [10, 10, 10, 10]


def test_levels_that_show_up_late_are_seen():
    X = np.concatenate([np.repeat([0.0, 1.0], 100), np.linspace(2, 3, 50)])[:, None]
    assert few_levels(X) is None


def test_gentle_penalties():
    alphas = np.array([0.01, 0.5, 1.0])
    np.testing.assert_array_equal(gentle(alphas, np.array([100.0, 10.0])), [True, True, False])


def test_different_rows():
    first, level, counts = different_rows(np.array([[3.0], [1.0], [0.1 * 30], [1.0], [1.0]]))
    assert first.tolist() == [1, 0]
    assert level.tolist() == [1, 0, 1, 0, 0]
    assert counts.tolist() == [3, 2]


def test_a_level_of_many_rows_decides_its_fitted_value():
    X = np.repeat([0.0, 1.0], [40, 2])[:, None]
    leverage = np.zeros((42, 3))
    leverage[:40] = np.array([1.0, 0.96, 0.94]) / 40
    # Two rows may be smoothed.
    np.testing.assert_array_equal(keeps_means(leverage, X), [True, True, False])


@pytest.mark.parametrize("kernel", ["rbf", "laplacian"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_the_fit_goes_through_the_means(kernel, offset):
    rng = np.random.default_rng(0)
    x = np.repeat([0.0, 1.0, 3.0], [30, 50, 20])
    y = offset + 3 * (x == 1) + rng.standard_normal(100)
    model = through_means(x[:, None], y, kernel)
    fitted = model.fit(x[:, None], y).predict([[0.0], [1.0], [3.0]])
    means = np.array([y[x == level].mean() for level in (0.0, 1.0, 3.0)])
    spread = 1 / np.sqrt([30, 50, 20])
    assert (np.abs(fitted - means) < 0.25 * spread).all()


def test_several_inputs_of_two_levels():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (200, 2)).astype(float)
    y = X[:, 0] - 2 * X[:, 1] + 0.1 * rng.standard_normal(200)
    model = through_means(X, y, "rbf").fit(X, y)
    for level in ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]):
        mean = y[(level == X).all(axis=1)].mean()
        assert abs(model.predict([level])[0] - mean) < 0.01


def test_many_levels_are_smoothed():
    x = np.linspace(0, 1, 50)[:, None]
    assert through_means(x, x[:, 0], "rbf") is None


def test_a_band_at_a_level_is_that_of_its_mean():
    """No other candidate than gentle ones is plausible; and between levels little is known."""
    rng = np.random.default_rng(3)
    x = np.repeat([0.0, 1.0, 2.0], [60, 60, 60])
    y = 0.1 * x + rng.standard_normal(180)
    model = through_means(x[:, None], y, "rbf")
    at = np.array([[0.0], [1.0], [2.0], [0.5]])
    band = fastkb.bootstrap_band(model, x[:, None], y, at, kind="confidence", rng=0)
    half = (band.high - band.low)[:3] / 2
    wanted = 1.645 * np.array([y[x == level].std() for level in (0.0, 1.0, 2.0)]) / np.sqrt(60)
    np.testing.assert_allclose(half, wanted, rtol=0.2)
    assert (band.high - band.low)[3] > 2 * half.max()

import numpy as np
import pytest

from fastkb.bands.coverage.after_bootstrap import AfterBootstrap


def replicates(seed, n_resamples=40, m=3, n=15, n_targets=2):
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n, np.full(n, 1 / n), n_resamples)
    at_points = rng.standard_normal((n_resamples, m, n_targets))
    at_data = rng.standard_normal((n_resamples, n, n_targets))
    return weights, at_points, at_data, rng.standard_normal((n, n_targets))


@pytest.mark.parametrize("together", [1, 2**22])
def test_left_out_curves_are_means_of_replicates_without_the_row(monkeypatch, together):
    monkeypatch.setattr("fastkb.bands.coverage.after_bootstrap._WEIGHTS", together)
    weights, at_points, at_data, y = replicates(0)
    found = AfterBootstrap(
        at_points, at_data, lambda first, count: weights[first : first + count], y
    )
    low, high = found.prediction(0.8)
    for t in range(2):
        lower, upper = [], []
        for i in range(15):
            without = weights[:, i] == 0
            error = abs(y[i, t] - at_data[without, i, t].mean())
            curve = at_points[without, :, t].mean(axis=0)
            lower.append(curve - error)
            upper.append(curve + error)
        place = int(np.ceil(0.8 * 16))
        np.testing.assert_allclose(high[:, t], np.sort(upper, axis=0)[place - 1])
        np.testing.assert_allclose(low[:, t], np.sort(lower, axis=0)[15 - place])


def test_rows_that_are_in_every_replicate_have_no_say():
    weights, at_points, at_data, y = replicates(1)
    weights[:, 4] = 1
    y[4] = 1e9
    found = AfterBootstrap(
        at_points, at_data, lambda first, count: weights[first : first + count], y
    )
    low, high = found.prediction(0.9)
    assert np.abs(np.array([low, high])).max() < 10


def test_no_row_is_left_out():
    _, at_points, at_data, y = replicates(2)
    with pytest.raises(ValueError, match="none of the 40 replicates leaves a row out"):
        AfterBootstrap(at_points, at_data, lambda first, count: np.ones((count, 15)), y)

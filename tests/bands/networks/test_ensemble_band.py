"""The band of an ensemble: percentiles of its members' responses."""

import numpy as np
import pandas as pd
import pytest

from fastkb import nn
from fastkb.bands.networks.ensemble_band import ensemble_band

X = np.linspace(-1.0, 1.0, 24).reshape(12, 2)
Y = X.sum(axis=1)


@pytest.fixture(scope="module")
def ensemble():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1), rng=0)
    return nn.bootstrap_fit(net, X, Y, n_resamples=7, epochs=2, rng=0)


def test_a_band_holds_the_percentiles_of_the_members(ensemble):
    band = ensemble_band(ensemble, X, 0.8)
    members = ensemble.forward(X)[..., 0]
    low, high = np.quantile(members, [0.1, 0.9], axis=0)
    for found, wanted in ((band.low, low), (band.high, high), (band.mean, members.mean(axis=0))):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(band.center, ensemble.network.forward(X)[:, 0])
    assert (band.confidence_level, band.n_resamples, band.solver) == (0.8, 7, "ensemble")


def test_it_is_what_the_ensemble_returns(ensemble):
    frame = pd.DataFrame(X, columns=["a", "b"])
    band = ensemble.band(frame, confidence_level=0.8)
    np.testing.assert_array_equal(band.low, ensemble_band(ensemble, X, 0.8).low)
    assert band.x_names == ("a", "b")


def test_a_level_outside_is_named(ensemble):
    with pytest.raises(ValueError, match="confidence_level"):
        ensemble_band(ensemble, X, 1.5)

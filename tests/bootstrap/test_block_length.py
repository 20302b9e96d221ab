"""Automatic block lengths, against the arch package."""

import numpy as np
import pytest

from fastkb import schemes


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, -0.5])
def test_optimal_lengths_are_those_of_arch(seed, phi):
    arch = pytest.importorskip("arch.bootstrap")
    noise = np.random.default_rng(seed).standard_normal(400)
    x = np.zeros(400)
    for k in range(1, 400):
        x[k] = phi * x[k - 1] + noise[k]
    theirs = arch.optimal_block_length(x)
    expected = theirs["stationary"].iloc[0], theirs["circular"].iloc[0]
    assert schemes.optimal_block_length(x) == pytest.approx(expected, rel=1e-9)


def test_lengths_of_series_without_spread():
    assert schemes.optimal_block_length(np.ones(50)) == (1.0, 1.0)

import numpy as np

from fastkb.bands.simultaneous import studentized_maximum


def test_the_band_holds_the_share_of_replicates_whole():
    rng = np.random.default_rng(0)
    distribution = rng.standard_normal((1000, 20)) * np.linspace(0.1, 3, 20) + 5
    low, high = studentized_maximum(distribution.mean(axis=0), distribution, 0.9)
    inside = ((low <= distribution) & (distribution <= high)).all(axis=1)
    assert abs(inside.mean() - 0.9) <= 0.001
    np.testing.assert_allclose(
        (high - low) / distribution.std(axis=0), (high - low)[0] / distribution.std(axis=0)[0]
    )


def test_targets_are_apart_and_points_without_spread_have_no_width():
    rng = np.random.default_rng(1)
    distribution = rng.standard_normal((200, 4, 2))
    distribution[:, 2] = 1.0
    center = distribution.mean(axis=0)
    low, high = studentized_maximum(center, distribution, 0.5)
    np.testing.assert_allclose(low[2], 1.0)
    np.testing.assert_allclose(high[2], 1.0)
    for t in range(2):
        alone = studentized_maximum(center[:, t], distribution[:, :, t], 0.5)
        np.testing.assert_allclose(alone, np.array([low, high])[:, :, t])

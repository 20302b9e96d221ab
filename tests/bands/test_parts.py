import numpy as np
import pytest

from fastkb.bands.parts import Parts

DRAWS = np.random.default_rng(0).standard_normal((100, 5))


class Study:
    center = np.ones((5, 1))

    def prediction(self, level):
        return self.center - level, self.center + level

    def confidence(self, level, share):
        return self.center - share, self.center + share


def parts(kind, distribution=DRAWS, study=None):
    return Parts(kind, np.ones(5), distribution, study, np.dtype(float), 100, {})


def test_edges_of_each_kind():
    low, high = parts("percentile").edges(0.5)
    np.testing.assert_allclose([low, high], np.quantile(DRAWS, [0.25, 0.75], axis=0))
    low, high = parts("simultaneous").edges(0.9)
    np.testing.assert_allclose(low + high, 2.0)
    low, high = parts("prediction", None, Study()).edges(0.8)
    np.testing.assert_allclose([low[0], high[0]], [0.2, 1.8])
    assert low.shape == (5,)
    low, high = parts("confidence", DRAWS, Study()).edges(0.8)
    np.testing.assert_allclose([low[0], high[0]], [0.25, 1.75])


@pytest.mark.parametrize(
    ("distribution", "mean"), [(DRAWS, DRAWS.mean(axis=0)), (None, np.ones(5))]
)
def test_mean(distribution, mean):
    np.testing.assert_allclose(parts("prediction", distribution).mean, mean)

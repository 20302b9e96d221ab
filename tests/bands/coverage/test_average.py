import numpy as np
import pytest

from fastkb.bands.coverage.average import Averager
from fastkb.bands.coverage.candidates import Candidates
from fastkb.bands.coverage.spectrum import from_matrix
from tests.bands.conftest import make_problem

ALPHAS = np.array([0.05, 0.5, 5.0])


def make(seed=0, n=30):
    problem = make_problem(seed, n)
    spectra = []
    for width in (1.5, 0.4):
        K, cross = problem.kernel(width)
        spectra.append(from_matrix(K, cross, np.ones(len(cross)), True))
    candidates = Candidates(spectra, ALPHAS, np.ones((2, 3)))
    y = np.stack([problem.y, np.cos(problem.y)], axis=1)
    return candidates, y, [candidates.project(i, y) for i in range(2)]


def test_one_candidate_is_its_own_average():
    candidates, y, projected = make()
    weights = np.zeros((2, 3, 2))
    weights[1, 2] = 1.0
    average = Averager(candidates)(y, projected, weights, at_data=True)
    smoother = candidates.smoother(1, 2)
    np.testing.assert_allclose(average.curve, smoother @ y, atol=1e-12)
    table = candidates.tables[1]
    np.testing.assert_allclose(average.leverage, np.tile(table.leverage[:, [2]], 2))
    residuals = (y - average.fitted) / (1 - table.leverage[:, [2]])
    variance = smoother**2 @ residuals**2 + table.bias[:, [2]] * projected[1].noise[2]
    np.testing.assert_allclose(average.variance, variance, rtol=1e-10)


def test_disagreement_of_candidates_is_variance():
    candidates, y, projected = make(1)
    alone = []
    for index in (0, 1):
        weights = np.zeros((2, 3, 2))
        weights[index, 0] = 1.0
        alone.append(Averager(candidates)(y, projected, weights))
    weights = np.zeros((2, 3, 2))
    weights[:, 0] = [[0.3], [0.7]]
    both = Averager(candidates)(y, projected, weights)
    np.testing.assert_allclose(both.curve, 0.3 * alone[0].curve + 0.7 * alone[1].curve)
    within = 0.3 * alone[0].variance + 0.7 * alone[1].variance
    between = 0.21 * (alone[0].curve - alone[1].curve) ** 2
    np.testing.assert_allclose(both.variance, within + between, rtol=1e-9)


@pytest.mark.parametrize(("little", "exact"), [(0.0, True), (1.0, False)])
def test_random_signs_leave_squares_as_they_are(monkeypatch, little, exact):
    """What a fit of few degrees of freedom takes of residuals is left out; else nothing is."""
    monkeypatch.setattr("fastkb.bands.coverage.average._LITTLE", little)
    candidates, y, _ = make(2, 60)
    errors = np.abs(y - y.mean(axis=0))
    signs = np.where(np.random.default_rng(0).random((60, 2)) < 0.5, -1.0, 1.0)
    responses = y.mean(axis=0) + signs * errors
    projected = [candidates.project(i, responses) for i in range(2)]
    weights = np.zeros((2, 3, 2))
    weights[0, 2] = 1.0
    averager = Averager(candidates)
    wanted = averager(responses, projected, weights).variance
    found = averager(responses, projected, weights, errors=errors).variance
    if exact:
        np.testing.assert_array_equal(found, wanted)
    else:
        trace = candidates.tables[0].leverage[:, 2].sum()
        np.testing.assert_allclose(found, wanted, rtol=4 * trace / 60)
        assert (found != wanted).any()

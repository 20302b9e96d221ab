import numpy as np
import pytest

import fastkb
from fastkb.bands.coverage.candidates import Candidates
from fastkb.bands.coverage.own_fit import ChosenFit, FixedFit
from fastkb.bands.coverage.spectrum import from_matrix
from tests.bands.conftest import make_problem

ALPHAS = np.array([0.01, 0.1, 1.0])
GAMMAS = np.array([0.2, 2.0, 20.0])  # the widest first


@pytest.mark.parametrize("criterion", ["loo", "reml"])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("per_target", [True, False])
def test_the_choice_is_the_estimators(criterion, centred, per_target):
    problem = make_problem(4, 40)
    y = np.stack([problem.y, np.cos(8 * problem.X[:, 0]) + 0.1 * problem.y], axis=1)
    spectra = []
    for gamma in GAMMAS:
        K, cross = problem.kernel(np.sqrt(0.5 / gamma))
        spectra.append(from_matrix(K, cross, np.ones(8), centred))
    everything = np.ones((3, 3), bool)
    candidates = Candidates(spectra, ALPHAS, everything)
    own = ChosenFit(candidates, everything, criterion, per_target)
    assert own.centred is centred
    projected = [candidates.project(i, y) for i in range(3)]
    criteria = np.stack([part.criterion for part in projected])
    chosen = own.choose(y, projected, criteria, 2)
    search = fastkb.KernelRidgeCV(
        ALPHAS,
        gammas=GAMMAS,
        criterion=criterion,
        fit_intercept=centred,
        alpha_per_target=per_target,
    ).fit(problem.X, y)
    kernels, penalties = np.divmod(chosen, 3)
    np.testing.assert_array_equal(GAMMAS[kernels], search.gamma_)
    np.testing.assert_array_equal(ALPHAS[penalties], np.broadcast_to(search.alpha_, 2))
    curves = own.curves(y, projected, criteria, 2)
    np.testing.assert_allclose(curves, search.predict(problem.X_eval), atol=1e-7)


def test_a_fixed_smoother_serves_its_target():
    smoothers = np.array([[[1.0, 0.0]], [[0.0, 2.0]]])
    y = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    found = FixedFit(smoothers, True).curves(y, [], np.empty(0), 2)
    np.testing.assert_array_equal(found, [[1.0, 2.0, 14.0, 16.0]])

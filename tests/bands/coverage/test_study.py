import pickle

import numpy as np
import pytest

import fastkb
from fastkb.bands.coverage.plausible import Data
from fastkb.bands.coverage.study import RidgeStudy, choose, in_threads
from fastkb.random.streams import key_from_rng
from fastkb.reference import confidence as plain
from tests.bands.conftest import make_problem


def study_of(estimator, problem, alpha, n_resamples=30):
    data = Data(problem.X, problem.y[:, None], problem.X_eval)
    return RidgeStudy(estimator, data, alpha, key_from_rng(0), n_resamples)


@pytest.mark.parametrize("criterion", ["loo", "reml"])
def test_the_choice_is_that_of_fit(criterion):
    problem = make_problem(0, 60)
    search = fastkb.KernelRidgeCV(criterion=criterion, fit_intercept=True)
    study = study_of(search, problem, None)
    fitted = fastkb.KernelRidgeCV(criterion=criterion, fit_intercept=True)
    fitted.fit(problem.X, problem.y)
    assert study.choice.gamma == fitted.gamma_
    assert study.choice.alpha.tolist() == [fitted.alpha_]
    assert study.choice.criterion == criterion
    assert study.choice.n_judged is None
    np.testing.assert_array_equal(study.choice.gammas, fitted.path_.gammas)
    np.testing.assert_array_equal(study.choice.alphas, fitted.path_.alphas)
    fixed, choice = choose(search, problem.X, problem.y)
    assert (fixed.alpha, fixed.gamma) == (fitted.alpha_, fitted.gamma_)
    assert choice.gamma == fixed.gamma
    assert not hasattr(search, "alpha_")


def test_given_parameters_are_no_choice():
    problem = make_problem(1)
    model = fastkb.KernelRidge(0.1, kernel="rbf")
    assert study_of(model, problem, np.array([0.1])).choice is None
    assert choose(model, problem.X, problem.y) == (model, None)


def test_wider_for_more():
    problem = make_problem(2, 50)
    study = study_of(fastkb.KernelRidgeCV(criterion="reml", fit_intercept=True), problem, None, 200)
    study.center = center = study.wild_bootstrap().center
    widths = []
    for low, high in (
        study.confidence(0.5, 0.75),
        study.confidence(0.9, 0.75),
        study.confidence(0.9, 1.0),
        study.simultaneous(0.9),
    ):
        np.testing.assert_allclose((low + high) / 2, center)
        widths.append(float((high - low).mean()))
    assert widths == sorted(widths)


def test_the_prediction_band_is_that_of_n_refits():
    problem = make_problem(3, 25)
    model = fastkb.KernelRidge(0.3, kernel="rbf", gamma=2.0, fit_intercept=True)
    study = study_of(model, problem, np.array([0.3]))
    study.center = model.fit(problem.X, problem.y).predict(problem.X_eval)[:, None]
    found = study.prediction(0.8)
    K, cross = problem.kernel(0.5)
    wanted = plain.jackknife_plus(K, cross, problem.y, 0.3, 0.8)
    np.testing.assert_allclose(np.array(found)[..., 0], wanted, atol=1e-8)


def test_a_study_travels():
    problem = make_problem(4)
    study = study_of(fastkb.KernelRidgeCV(criterion="reml"), problem, None)
    study.center = study.wild_bootstrap().center
    other = pickle.loads(pickle.dumps(study))
    for one, two in zip(study.simultaneous(0.9), other.simultaneous(0.9), strict=True):
        np.testing.assert_array_equal(one, two)


def test_mapping_keeps_the_order_and_passes_errors_on():
    with in_threads() as mapping:
        assert list(mapping(lambda x: x**2, range(20))) == [x**2 for x in range(20)]
        with pytest.raises(ZeroDivisionError):
            list(mapping(lambda x: 1 / x, [1, 0]))


def test_a_band_does_not_depend_on_what_is_looked_at_far_outside():
    problem = make_problem(5, 60)
    search = fastkb.KernelRidgeCV(criterion="reml", fit_intercept=True)
    inside = np.linspace(0.2, 2.8, 9)[:, None]
    outside = np.linspace(30, 40, 50)[:, None]
    bands = []
    for points in (inside, np.concatenate([inside, outside])):
        study = study_of(search, problem._replace(X_eval=points), None, 200)
        study.center = study.wild_bootstrap().center
        bands.append(np.array(study.confidence(0.9, 0.75))[:, :9])
    np.testing.assert_allclose(*bands, rtol=1e-6)

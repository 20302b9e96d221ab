import numpy as np
import pytest

import fastkb
from fastkb.bands.coverage import plausible
from fastkb.bands.coverage.own_fit import ChosenFit, FixedFit
from fastkb.bands.coverage.study import choose
from tests.bands.conftest import make_problem


def data_of(problem):
    return plausible.Data(problem.X, problem.y[:, None], problem.X_eval)


def names(found):
    return [
        (entry.kernel.kernel, entry.centred, entry.plausible, entry.own) for entry in found.entries
    ]


def test_an_estimator_of_given_parameters():
    problem = make_problem(0, 40)
    model = fastkb.KernelRidge(0.2, kernel="rbf", gamma=3.0, fit_intercept=True)
    found = plausible.of_fixed(model, data_of(problem), np.array([0.2]), map)
    assert isinstance(found.own, FixedFit)
    assert {name for name, *_ in names(found)} == {"rbf", "laplacian"}
    curve = found.own.curves(problem.y[:, None], [], np.empty(0), 1)[:, 0]
    wanted = model.fit(problem.X, problem.y).predict(problem.X_eval)
    np.testing.assert_allclose(curve, wanted, atol=1e-8)


def test_its_own_kernel_is_plausible_too():
    problem = make_problem(1, 40)
    model = fastkb.KernelRidge(0.2, kernel="poly", degree=2, fit_intercept=False)
    found = plausible.of_fixed(model, data_of(problem), np.array([0.2]), map)
    assert names(found)[-1] == ("poly", True, True, False)
    # The sigmoid kernel is no covariance.
    model = fastkb.KernelRidge(5.0, kernel="sigmoid", gamma=0.1)
    found = plausible.of_fixed(model, data_of(problem), np.array([5.0]), map)
    assert {name for name, *_ in names(found)} == {"rbf", "laplacian"}
    curve = found.own.curves(problem.y[:, None], [], np.empty(0), 1)[:, 0]
    wanted = model.fit(problem.X, problem.y).predict(problem.X_eval)
    np.testing.assert_allclose(curve, wanted, atol=1e-8)


@pytest.mark.parametrize("centred", [True, False])
def test_an_estimator_that_chooses_shares_what_is_plausible(centred):
    problem = make_problem(2, 40)
    search = fastkb.KernelRidgeCV(criterion="reml", fit_intercept=centred)
    found = plausible.of_search(search, data_of(problem), map)
    assert isinstance(found.own, ChosenFit)
    own = [entry for entry in found.entries if entry.own]
    assert len(own) == 9
    assert all(entry.kernel.kernel == "rbf" and entry.centred is centred for entry in own)
    # Without an intercept its candidates are others than the plausible curves.
    assert len(found.entries) == (18 if centred else 27)
    assert found.candidates.prior.any(axis=1).sum() == 19
    # A constant stands for the penalties above the largest one, up to 100 n, of all radial kernels.
    assert len(found.candidates.spectra) == len(found.entries) + 1
    assert found.candidates.prior[-1].sum() == pytest.approx(18 * 2 * np.log10(40))
    assert not found.own.allowed[-1].any()


def test_its_penalties_are_not_those_of_plausible_curves():
    problem = make_problem(3, 40)
    search = fastkb.KernelRidgeCV([0.123], gammas=[2.0], fit_intercept=True)
    found = plausible.of_search(search, data_of(problem), map)
    assert 0.123 in found.candidates.alphas
    assert found.own.allowed.sum() == 1
    column = list(found.candidates.alphas).index(0.123)
    assert not found.candidates.prior[:, column].any()
    assert found.own.allowed[:, column].any()


def test_many_rows(monkeypatch):
    """Kernels of low rank on all rows, the others if they are likely on some."""
    monkeypatch.setattr(plausible, "JUDGED_ROWS", 150)
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 6, (600, 1))
    points = np.linspace(0, 6, 9)[:, None]
    search = fastkb.KernelRidgeCV(criterion="reml", fit_intercept=True)
    smooth = np.sin(X[:, 0]) + 0.2 * rng.standard_normal(600)
    found = plausible.of_search(search, plausible.Data(X, smooth[:, None], points), map)
    assert found.n_judged == 150
    assert {entry.kernel.kernel for entry in found.entries} == {"rbf"}
    exact = fastkb.KernelRidgeCV(criterion="reml", fit_intercept=True).fit(X, smooth)
    gammas = [entry.kernel.gamma for entry in found.entries]
    assert exact.gamma_ in gammas
    np.testing.assert_array_equal(found.gammas, exact.path_.gammas)
    rough = np.sign(np.sin(40 * X[:, 0])) + 0.1 * rng.standard_normal(600)
    rough[X[:, 0] < 3] = 0.0
    found = plausible.of_search(search, plausible.Data(X, rough[:, None], points), map)
    assert "laplacian" in {entry.kernel.kernel for entry in found.entries}


def test_an_estimator_keeps_its_kernels_where_others_are_far_likelier(monkeypatch):
    monkeypatch.setattr(plausible, "JUDGED_ROWS", 150)
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 6, (900, 1))
    y = np.sign(np.sin(15 * X[:, 0])) + 0.01 * rng.standard_normal(900)
    search = fastkb.KernelRidgeCV(criterion="reml", fit_intercept=True)
    found = plausible.of_search(search, plausible.Data(X, y[:, None], X[:5]), map)
    assert found.own.allowed.any()
    smooth = {e.kernel.gamma for e in found.entries if e.own}
    assert fastkb.KernelRidgeCV(criterion="reml", fit_intercept=True).fit(X, y).gamma_ in smooth


def test_a_kernel_too_rough_for_so_many_rows(monkeypatch):
    monkeypatch.setattr(plausible, "_OWN_ROWS", 50)
    monkeypatch.setattr(plausible, "JUDGED_ROWS", 40)
    problem = make_problem(4, 80)
    model = fastkb.KernelRidge(0.1, kernel="laplacian", gamma=30.0)
    with pytest.raises(ValueError, match="X has 80 rows and the kernel is too rough for so many"):
        plausible.of_fixed(model, data_of(problem), np.array([0.1]), map)
    smooth = fastkb.KernelRidge(0.1, kernel="rbf", gamma=0.5)
    plausible.of_fixed(smooth, data_of(problem), np.array([0.1]), map)


@pytest.mark.parametrize("criterion", ["reml", "loo"])
def test_the_choice_among_kernels_of_high_rank_is_that_of_fit(monkeypatch, criterion):
    monkeypatch.setattr(plausible, "JUDGED_ROWS", 150)
    monkeypatch.setattr(plausible, "_LOW_RANK", 60)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3))
    y = np.sin(3 * X[:, 0]) * np.cos(3 * X[:, 1]) + X[:, 2] + 0.05 * rng.standard_normal(400)
    search = fastkb.KernelRidgeCV(criterion=criterion, fit_intercept=True)
    _, choice = choose(search, X, y)
    fitted = search.fit(X, y)
    assert (choice.gamma, choice.alpha[0]) == (fitted.gamma_, fitted.alpha_)
    assert choice.n_judged == 150


def test_many_kernels_that_are_equally_likely(monkeypatch):
    """None of which has a large part of the posterior."""
    monkeypatch.setattr(plausible, "JUDGED_ROWS", 60)
    monkeypatch.setattr(plausible, "_LOW_RANK", 15)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((100, 4)), rng.standard_normal(100)
    gammas = np.linspace(1, 1.001, 25)
    search = fastkb.KernelRidgeCV([0.1], kernel="laplacian", gammas=gammas, fit_intercept=True)
    for kind in ("percentile", "confidence", "prediction"):
        band = fastkb.bootstrap_band(search, X, y, X[:4], kind=kind, n_resamples=5, rng=0)
        assert band.choice.alpha.tolist() == [0.1]
        assert band.choice.gamma in gammas

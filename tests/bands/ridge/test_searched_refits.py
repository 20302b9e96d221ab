import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastkb
from fastkb.bands.coverage.plausible import Data
from fastkb.bands.coverage.study import RidgeStudy
from fastkb.bands.ridge.searched_refits import SearchedRefits
from tests.bands.conftest import make_problem


def refits_of(search, problem, y):
    data = Data(problem.X, y, problem.X_eval)
    found = RidgeStudy(search, data, None, np.zeros(4, np.uint32), 0).searched()
    return SearchedRefits(found.candidates, found.own, y)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(8, 60),
    criterion=st.sampled_from(["loo", "reml"]),
    centred=st.booleans(),
    kernel=st.sampled_from(["rbf", "laplacian", "linear"]),
    n_targets=st.sampled_from([1, 2]),
    per_target=st.booleans(),
)
def test_a_refit_is_the_search_on_weighted_rows(
    seed, n, criterion, centred, kernel, n_targets, per_target
):
    problem = make_problem(seed, n)
    rng = np.random.default_rng(seed)
    y = np.stack([problem.y, np.cos(5 * problem.X[:, 0])], axis=1)[:, :n_targets]
    y = y + 0.2 * rng.standard_normal(y.shape)
    weights = rng.multinomial(n, np.full(n, 1 / n)).astype(float)
    search = fastkb.KernelRidgeCV(
        np.logspace(-3, 2, 6),
        kernel=kernel,
        criterion=criterion,
        fit_intercept=centred,
        alpha_per_target=per_target,
    )
    found = refits_of(search, problem, y).curves(weights)
    used = weights > 0
    # The candidates are those of all rows, as for every replicate.
    if kernel != "linear":
        from fastkb.ridge.selection.grid import default_gammas

        search.set_params(gammas=default_gammas(problem.X, kernel))
    fitted = search.fit(problem.X[used], y[used], sample_weight=weights[used])
    wanted = fitted.predict(problem.X_eval).reshape(found.shape)
    close = np.abs(found - wanted).max() <= 1e-6 * np.ptp(y)
    if not close:  # another choice, of which both are equally good but for rounding
        errors = fitted.path_.table.mean(axis=2)
        order = np.sort(errors.ravel())
        assert order[1] - order[0] <= 1e-6 * (1 + abs(order[0]))


def test_all_data_is_a_resample_too():
    problem = make_problem(7, 50)
    search = fastkb.KernelRidgeCV(criterion="reml", fit_intercept=True)
    found = refits_of(search, problem, problem.y[:, None]).curves(np.ones(50))
    wanted = search.fit(problem.X, problem.y).predict(problem.X_eval)
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-6)


@pytest.mark.parametrize("criterion", ["loo", "reml"])
def test_a_resample_of_one_row_many_times(criterion):
    """Two rows are left: whatever is chosen is finite."""
    problem = make_problem(8, 20)
    search = fastkb.KernelRidgeCV(criterion=criterion, fit_intercept=True)
    weights = np.zeros(20)
    weights[[3, 4]] = [19.0, 1.0]
    assert np.isfinite(refits_of(search, problem, problem.y[:, None]).curves(weights)).all()

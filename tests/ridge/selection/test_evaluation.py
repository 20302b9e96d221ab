"""One kernel at every penalty, against refitting: rows, folds of every kind, and the likelihood."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold, RepeatedKFold, ShuffleSplit, TimeSeriesSplit, check_cv

from fastkb.reference import gram as reference_gram
from fastkb.reference import ridge as reference
from fastkb.ridge.selection.evaluation import TrainingData, evaluate
from fastkb.ridge.selection.folds import make_folds, what_is_left_out

EPS = np.finfo(float).eps


def data_of(X, y, weight=None, fit_intercept=False, cv=None):
    folds = None if cv is None else make_folds(check_cv(cv), X, y, None, weight)
    left_out = what_is_left_out(len(y), weight, folds, fit_intercept)
    return TrainingData(X, y, weight, fit_intercept, folds, left_out)


def problem(n=24, n_targets=2, seed=0, weighted=False):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    y = 7.0 + np.sin(X[:, :1]) + rng.normal(size=(n, n_targets))
    return X, y, rng.uniform(0.2, 3.0, size=n) if weighted else None


SPLITTERS = {
    "k-fold": KFold(3),
    "two shuffled halves": KFold(2, shuffle=True, random_state=0),
    "repeated": RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    "time series": TimeSeriesSplit(4),
    "small shuffles": ShuffleSplit(3, train_size=0.5, test_size=0.2, random_state=0),
}


@pytest.mark.parametrize("name", SPLITTERS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("n_alphas", [2, 9])
@pytest.mark.parametrize("gamma", [0.01, 0.5, 30.0])
def test_folds_are_predicted_as_by_refitting_to_nine_digits(
    name, weighted, fit_intercept, n_alphas, gamma
):
    X, y, weight = problem(weighted=weighted)
    data = data_of(X, y, weight, fit_intercept, SPLITTERS[name])
    K = reference_gram.rbf(X, gamma=gamma)
    alphas = np.logspace(-3, 1, n_alphas)
    result = evaluate(K.copy(), data, alphas, positive_semidefinite=True)
    splits = list(SPLITTERS[name].split(X))
    rows = np.concatenate([test for _, test in splits])
    root = 1.0 if weight is None else np.sqrt(weight[rows])[:, None]
    assert result.reml is None
    assert result.solver in ("lowrank", "eigh", "cholesky")
    assert result.residuals.shape == (rows.size, 2, n_alphas)
    for index, alpha in enumerate(alphas):
        expected = root * reference.fold_residuals(K, y, alpha, splits, weight, fit_intercept)
        error = np.abs(result.residuals[:, :, index] - expected).max()
        assert error <= 1e-9 * np.ptp(y)


@given(
    n=st.integers(2, 20),
    weighted=st.booleans(),
    fit_intercept=st.booleans(),
    known=st.booleans(),
    n_alphas=st.sampled_from([1, 3, 8]),
    seed=st.integers(0, 2**32 - 1),
)
def test_rows_and_likelihoods_are_those_of_the_definition(
    n, weighted, fit_intercept, known, n_alphas, seed
):
    X, y, weight = problem(n, 2, seed, weighted)
    K = reference_gram.rbf(X, gamma=0.5)
    alphas = np.logspace(-2, 1, n_alphas)
    data = data_of(X, y, weight, fit_intercept)
    result = evaluate(K.copy(), data, alphas, positive_semidefinite=known)
    root = 1.0 if weight is None else np.sqrt(weight)[:, None]
    for index, alpha in enumerate(alphas):
        expected = reference.leave_one_out_residuals(K, y, alpha, weight, fit_intercept)
        # cond(K + αI) n·eps for e and Mᵢᵢ each.
        bound = 80 * n * EPS * (1 + 3 * n / alpha) * np.abs(y).max()
        assert np.abs(result.residuals[:, :, index] - root * expected).max() <= bound
        likelihood = reference.restricted_likelihood(K, y, alpha, weight, fit_intercept)
        assert np.abs(result.reml[:, index] - likelihood).max() <= n * bound


def test_an_indefinite_kernel_is_infinite_where_a_fold_has_no_fit():
    K = np.diag([-1.0, 0.5, 1.0, 2.0])
    X, y = np.arange(4.0)[:, None], np.ones((4, 1))
    for cv in ([([2, 3], [0, 1]), ([0, 1], [2, 3])], [([0, 1], [2])]):
        data = data_of(X, y, cv=cv)
        result = evaluate(K.copy(), data, np.array([0.5, 1.0]), positive_semidefinite=False)
        assert np.isfinite(result.residuals[..., 0]).all()
        assert np.isinf(result.residuals[..., 1]).any()


def test_it_says_what_was_done_for_the_folds():
    X, y, _ = problem()
    K = reference_gram.rbf(X, gamma=0.5)
    alphas = np.logspace(-3, 1, 9)
    refitted = evaluate(
        K.copy(), data_of(X, y, cv=[([0, 1, 2], [5])]), alphas, positive_semidefinite=True
    )
    assert refitted.reason.startswith("by a fit to each fold: ")
    closed = evaluate(K.copy(), data_of(X, y, cv=3), alphas, positive_semidefinite=True)
    assert "fit to each fold" not in closed.reason

"""KernelRidgeCV: the choice, and scikit-learn's manners."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    RepeatedKFold,
    TimeSeriesSplit,
    check_cv,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastkb import KernelRidge, KernelRidgeCV
from fastkb.reference import ridge as reference

EPS = np.finfo(float).eps

COPIES = (
    "a row is left out whole: of two copies of it one would stay and predict the other, so that "
    "the choice for repeated rows is not the choice for weighted ones"
)
OBSERVATIONS = (
    "in a likelihood a weight of two is an observation of twice the precision, and two copies are "
    "two observations"
)


@parametrize_with_checks(
    [
        KernelRidgeCV(),
        KernelRidgeCV([1.0], gammas=[0.1]),
        KernelRidgeCV([1.0], gammas=[0.1], fit_intercept=True),
        KernelRidgeCV([0.1, 1.0], gammas=[0.1], cv=2, criterion="loo", fit_intercept=True),
        KernelRidgeCV([0.1, 1.0], gammas=[0.1], criterion="reml", fit_intercept=True),
    ],
    expected_failed_checks=lambda estimator: (
        {}
        # A single candidate is no choice, and those folds choose the same: there all checks pass.
        if estimator.alphas == [1.0] or estimator.cv
        else {
            f"check_sample_weight_equivalence_on_{kind}_data": (
                COPIES if estimator.criterion == "loo" else OBSERVATIONS
            )
            for kind in ("dense", "sparse")
        }
    ),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_it_is_an_estimator_of_scikit_learn(estimator, check):
    check(estimator)


def noisy_sine(n=80, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 6, size=(n, 1))
    return X, np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=n)


def test_the_fit_is_that_of_the_choice():
    X, y = noisy_sine()
    model = KernelRidgeCV().fit(X, y)
    chosen = KernelRidge(model.alpha_, kernel="rbf", gamma=model.gamma_).fit(X, y)
    np.testing.assert_array_equal(model.dual_coef_, chosen.dual_coef_)
    np.testing.assert_array_equal(model.predict(X), chosen.predict(X))
    assert model.best_score_ == -model.path_.best_error
    assert (model.alpha_, model.gamma_) == (model.path_.best_alpha, model.path_.best_gamma)
    np.testing.assert_array_equal(model.X_fit_, X)
    assert not hasattr(model, "cv_results_")


def test_diabetes_gets_a_smooth_curve():
    data = load_diabetes()
    x, y = data.data[:, [2]], data.target
    x = (x - x.mean()) / x.std()
    model = KernelRidgeCV().fit(x, y)
    curve = model.predict(np.linspace(x.min(), x.max(), 200)[:, None])
    # Disease progression rises with body mass, with no wiggles, and stays within what was measured.
    assert (np.diff(curve[20:-20]) > 0).all()
    assert y.min() < curve.min()
    assert curve.max() < y.max()
    # As good as the least squares line, whose residual standard deviation is 62.4.
    assert np.sqrt(-model.best_score_) < 63


def test_a_linear_kernel_chooses_as_ridge_regression_does():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)), rng.normal(size=60)
    alphas = np.logspace(-2, 3, 11)
    ours = KernelRidgeCV(alphas, kernel="linear", store_cv_results=True).fit(X, y)
    theirs = RidgeCV(alphas, fit_intercept=False, store_cv_results=True).fit(X, y)
    assert ours.alpha_ == theirs.alpha_
    assert ours.gamma_ is None
    # cond(K + αI) ≤ 1 + trace K/α.
    rtol = 40 * 60 * EPS * (1 + np.sum(X**2) / alphas[0])
    assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=rtol)
    np.testing.assert_allclose(ours.cv_results_[:, 0], theirs.cv_results_, rtol=0, atol=rtol * 9)


def test_stored_results_are_the_squared_errors():
    X, y = noisy_sine(30)
    weight = np.linspace(0.5, 1.5, 30)
    model = KernelRidgeCV([0.1, 1.0], gammas=[0.5, 1.0, 2.0], store_cv_results=True)
    model.fit(X, y, weight)
    assert model.cv_results_.shape == (30, 3, 2)
    np.testing.assert_allclose(
        model.cv_results_.sum(axis=0) / weight.sum(), model.path_.loo_errors, rtol=60 * EPS
    )
    K = KernelRidge(kernel="rbf", gamma=1.0)._get_kernel(X)
    expected = weight * reference.leave_one_out_residuals(K, y, 0.1, weight) ** 2
    rtol = 40 * 30 * EPS * (1 + 30 * 1.5 / 0.1)
    np.testing.assert_allclose(model.cv_results_[:, 1, 0], expected, rtol=rtol, atol=rtol)
    two = clone(model).fit(X, np.stack([y, -y], axis=1))
    assert two.cv_results_.shape == (30, 2, 3, 2)


def test_a_scorer_sees_the_leave_one_out_predictions():
    X, y = noisy_sine(40)
    y[3] = 50.0  # an outlier, which the two measures judge differently
    alphas, gammas = np.logspace(-3, 1, 7), [0.1, 1.0, 10.0]
    model = KernelRidgeCV(
        alphas, gammas=gammas, scoring="neg_mean_absolute_error", store_cv_results=True
    ).fit(X, y)
    predictions = model.cv_results_  # shape: (n, n_gammas, n_alphas)
    scores = np.array(
        [[-mean_absolute_error(y, predictions[:, g, a]) for a in range(7)] for g in range(3)]
    )
    row, column = np.unravel_index(np.argmax(scores), scores.shape)
    assert (model.gamma_, model.alpha_) == (gammas[row], alphas[column])
    assert model.best_score_ == scores.max()
    K = KernelRidge(kernel="rbf", gamma=1.0)._get_kernel(X)
    expected = y - reference.leave_one_out_residuals(K, y, alphas[0])
    rtol = 40 * 40 * EPS * (1 + 40 / alphas[0])
    np.testing.assert_allclose(predictions[:, 1, 0], expected, rtol=0, atol=rtol * 50)


def test_a_scorer_gets_the_weights_and_no_row_without_one():
    X, y = noisy_sine(40)
    weight = np.random.default_rng(1).uniform(0.2, 3.0, size=40)
    weight[::5] = 0.0
    y[::5] = np.where(np.arange(8) % 2, 1e3, -1e3)  # rows that must have no say
    by_name = KernelRidgeCV(scoring="neg_mean_squared_error").fit(X, y, weight)
    by_default = KernelRidgeCV().fit(X, y, weight)
    assert (by_name.alpha_, by_name.gamma_) == (by_default.alpha_, by_default.gamma_)
    assert by_name.best_score_ == pytest.approx(by_default.best_score_, rel=1e4 * EPS)


@pytest.mark.parametrize("scoring", [None, "neg_mean_squared_error"])
def test_several_targets_share_the_penalty_that_serves_them_best_together(scoring):
    X, y = noisy_sine(60)
    noise = 0.5 * np.random.default_rng(5).normal(size=60)
    model = KernelRidgeCV(scoring=scoring).fit(X, np.stack([y, noise], axis=1))
    path = model.path_
    assert (model.alpha_, model.gamma_) == (path.best_alpha, path.best_gamma)
    assert model.best_score_ == pytest.approx(-path.best_error, rel=1e4 * EPS)
    alone = [KernelRidgeCV().fit(X, target) for target in (y, noise)]
    assert len({model.alpha_, alone[0].alpha_, alone[1].alpha_}) > 1
    assert -model.best_score_ >= np.mean([-one.best_score_ for one in alone])


@pytest.mark.parametrize("scoring", [None, "r2"])
def test_each_target_may_have_its_own_penalty(scoring):
    X, y = noisy_sine(60)
    noise = np.random.default_rng(5).normal(size=60)
    both = np.stack([y, noise], axis=1)
    model = KernelRidgeCV(gammas=[1.0], alpha_per_target=True, scoring=scoring).fit(X, both)
    assert model.alpha_.shape == model.best_score_.shape == (2,)
    assert model.alpha_[0] < model.alpha_[1], "noise wants more shrinkage than a signal"
    for target in (0, 1):
        alone = KernelRidgeCV(gammas=[1.0], scoring=scoring).fit(X, both[:, target])
        assert alone.alpha_ == model.alpha_[target]
        assert alone.best_score_ == pytest.approx(model.best_score_[target], rel=1e6 * EPS)
    fitted = KernelRidge(model.alpha_, kernel="rbf", gamma=1.0).fit(X, both)
    np.testing.assert_array_equal(model.dual_coef_, fitted.dual_coef_)


def test_one_target_in_a_column_keeps_its_shape():
    X, y = noisy_sine(30)
    flat, column = KernelRidgeCV().fit(X, y), KernelRidgeCV().fit(X, y[:, None])
    assert flat.alpha_ == column.alpha_
    assert column.predict(X).shape == (30, 1)
    np.testing.assert_array_equal(column.predict(X)[:, 0], flat.predict(X))


def test_other_kernels_serve():
    X, y = noisy_sine(30)
    assert KernelRidgeCV(kernel="laplacian").fit(X, y).gamma_ > 0
    assert KernelRidgeCV(kernel="poly", gammas=[0.1, 1.0], degree=5).fit(X, y).gamma_ in (0.1, 1.0)
    K = KernelRidge(kernel="rbf", gamma=1.0)._get_kernel(X)
    precomputed = KernelRidgeCV(kernel="precomputed").fit(K, y)
    named = KernelRidgeCV(gammas=[1.0]).fit(X, y)
    assert precomputed.alpha_ == named.alpha_
    assert precomputed.__sklearn_tags__().input_tags.pairwise

    def scaled(a, b, factor):
        return factor * float(np.exp(-np.sum((a - b) ** 2)))

    called = KernelRidgeCV(kernel=scaled, kernel_params={"factor": 2.0}).fit(X, y)
    doubled = KernelRidgeCV(kernel="precomputed").fit(2.0 * K, y)
    assert called.alpha_ == doubled.alpha_
    assert called.best_score_ == pytest.approx(doubled.best_score_, rel=1e6 * EPS)


def test_float32_data_give_a_float32_model():
    X, y = noisy_sine(40)
    single = KernelRidgeCV(gammas=[1.0], alphas=[0.1, 1.0]).fit(X.astype("f4"), y.astype("f4"))
    assert single.dual_coef_.dtype == np.float32
    assert single.path_.loo_errors.dtype == np.float64


# --- intercepts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", ["loo", "reml"])
@pytest.mark.parametrize("n_targets", [None, 2])
def test_the_fit_with_an_intercept_is_that_of_the_choice(criterion, n_targets):
    X, y = noisy_sine()
    y = 100.0 + (y if n_targets is None else np.stack([y, -y], axis=1))
    model = KernelRidgeCV(criterion=criterion, fit_intercept=True).fit(X, y)
    chosen = KernelRidge(model.alpha_, kernel="rbf", gamma=model.gamma_, fit_intercept=True)
    chosen.fit(X, y)
    np.testing.assert_array_equal(model.dual_coef_, chosen.dual_coef_)
    np.testing.assert_array_equal(model.intercept_, chosen.intercept_)
    np.testing.assert_array_equal(model.predict(X), chosen.predict(X))
    assert (model.alpha_, model.gamma_) == (model.path_.best_alpha, model.path_.best_gamma)
    if criterion == "loo":
        assert model.best_score_ == -model.path_.best_error
    else:
        total = model.path_.reml if n_targets is None else model.path_.reml.sum(axis=2)
        assert model.best_score_ == pytest.approx(-total[model.path_.best_index], rel=8 * EPS)
    assert KernelRidgeCV().fit(X, y).intercept_ == 0.0


def test_a_linear_kernel_with_an_intercept_chooses_as_ridge_regression_does():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)), 30.0 + rng.normal(size=60)
    alphas = np.logspace(-2, 3, 11)
    weight = rng.uniform(0.5, 2.0, size=60)
    ours = KernelRidgeCV(alphas, kernel="linear", fit_intercept=True).fit(X, y, weight)
    theirs = RidgeCV(alphas).fit(X, y, weight)
    assert ours.alpha_ == theirs.alpha_
    rtol = 40 * 60 * EPS * (1 + 2 * np.sum(X**2) / alphas[0])
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=rtol)
    assert ours.predict(np.zeros((1, 5)))[0] == pytest.approx(theirs.intercept_, rel=rtol)


def test_predictions_of_left_out_rows_have_their_intercepts():
    X, y = noisy_sine(30)
    y = y + 50.0
    model = KernelRidgeCV(
        [0.1, 1.0],
        gammas=[1.0],
        scoring="neg_mean_squared_error",
        store_cv_results=True,
        fit_intercept=True,
    ).fit(X, y)
    K = KernelRidge(kernel="rbf", gamma=1.0)._get_kernel(X)
    expected = y - reference.leave_one_out_residuals(K, y, 0.1, fit_intercept=True)
    np.testing.assert_allclose(model.cv_results_[:, 0, 0], expected, rtol=1e-11)


# --- the likelihood -----------------------------------------------------------------------------


def test_each_target_may_have_the_penalty_of_its_likelihood():
    X, y = noisy_sine(60)
    both = np.stack([y, np.random.default_rng(5).normal(size=60)], axis=1)
    options = {"gammas": [1.0], "criterion": "reml", "fit_intercept": True}
    model = KernelRidgeCV(alpha_per_target=True, **options).fit(X, both)
    assert model.alpha_[0] < model.alpha_[1], "noise wants more shrinkage than a signal"
    for target in (0, 1):
        alone = KernelRidgeCV(**options).fit(X, both[:, target])
        assert alone.alpha_ == model.alpha_[target]
        assert alone.best_score_ == pytest.approx(model.best_score_[target], abs=1e-6)


def test_the_likelihood_recovers_what_made_the_data():
    """Draws of the process itself: λ = s²/v, within a factor of three for 300 rows."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 10, size=(300, 1))
    K = KernelRidge(kernel="rbf", gamma=1.0)._get_kernel(X)
    y = 20.0 + rng.multivariate_normal(np.zeros(300), K) + 0.3 * rng.normal(size=300)
    model = KernelRidgeCV(criterion="reml", gammas=[0.1, 1.0, 10.0], fit_intercept=True)
    model.fit(X, y)
    assert model.gamma_ == 1.0
    assert 0.3**2 / 3.2 < model.alpha_ < 0.3**2 * 3.2


# --- folds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_groups_are_left_out_together(fit_intercept, weighted):
    rng = np.random.default_rng(0)
    subject = rng.integers(0, 12, size=80)
    X = rng.normal(size=(12, 2))[subject] + 0.05 * rng.normal(size=(80, 2))
    y = 3.0 + rng.normal(size=12)[subject] + 0.1 * rng.normal(size=80)  # nothing but the subject
    weight = rng.uniform(0.5, 2.0, size=80) if weighted else None
    grid = {"alphas": np.logspace(-3, 2, 11), "gammas": [0.1, 10.0]}
    model = KernelRidgeCV(
        **grid, cv=LeaveOneGroupOut(), fit_intercept=fit_intercept, store_cv_results=True
    ).fit(X, y, weight, groups=subject)
    splits = list(LeaveOneGroupOut().split(X, y, subject))
    rows = np.concatenate([test for _, test in splits])
    shares = np.ones(80) if weight is None else weight
    for g, gamma in enumerate(grid["gammas"]):
        K = KernelRidge(kernel="rbf", gamma=gamma)._get_kernel(X)
        for a in (0, 5, 10):
            residuals = reference.fold_residuals(
                K, y, grid["alphas"][a], splits, weight, fit_intercept
            )
            squares = shares[rows] * residuals**2
            np.testing.assert_allclose(model.cv_results_[:, g, a], squares, rtol=0, atol=1e-9)
            error = squares.sum() / shares.sum()
            assert model.path_.loo_errors[g, a] == pytest.approx(error, abs=1e-9)
    assert model.path_.criterion == "cv"
    assert model.path_.reml is None
    assert model.best_score_ == -model.path_.best_error == -model.path_.loo_errors.min()
    # One row at a time looks easy, since the others of its subject tell the answer.
    assert KernelRidgeCV(**grid).fit(X, y, weight).path_.best_error < 0.1 * model.path_.best_error


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
def test_folds_choose_as_a_grid_search_does(scoring):
    X, y = noisy_sine(60)
    alphas, gammas = [1e-3, 1e-1, 10.0], [0.1, 1.0, 10.0]
    ours = KernelRidgeCV(alphas, gammas=gammas, cv=KFold(4), scoring=scoring).fit(X, y)
    theirs = GridSearchCV(
        KernelRidge(kernel="rbf"),
        {"alpha": alphas, "gamma": gammas},
        cv=KFold(4),
        scoring=scoring or "neg_mean_squared_error",
    ).fit(X, y)
    assert theirs.best_params_ == {"alpha": ours.alpha_, "gamma": ours.gamma_}
    # Folds of equal size: the mean over them is the mean over the rows.
    assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=1e-9)


@pytest.mark.parametrize("cv", [TimeSeriesSplit(3), RepeatedKFold(n_repeats=2, random_state=0), 3])
def test_predictions_come_fold_after_fold(cv):
    X, y = noisy_sine(40)
    both = np.stack([y, 2 * y], axis=1)
    model = KernelRidgeCV(
        [0.1, 1.0],
        gammas=[1.0],
        cv=cv,
        scoring="r2",
        store_cv_results=True,
        alpha_per_target=True,
    ).fit(X, both)
    splits = list(check_cv(cv).split(X))
    rows = np.concatenate([test for _, test in splits])
    assert model.cv_results_.shape == (rows.size, 2, 1, 2)
    K = KernelRidge(kernel="rbf", gamma=1.0)._get_kernel(X)
    expected = both[rows] - reference.fold_residuals(K, both, 0.1, splits)
    np.testing.assert_allclose(model.cv_results_[:, :, 0, 0], expected, rtol=0, atol=1e-9)
    scores = [r2_score(both[rows], model.cv_results_[:, :, 0, a]) for a in (0, 1)]
    assert model.best_score_.mean() == pytest.approx(max(scores), rel=1e-9)


def test_an_iterable_of_splits_and_any_kernel_serve():
    X, y = noisy_sine(30)
    splits = [(np.arange(20), np.arange(20, 30)), (np.arange(10, 30), np.arange(10))]
    K = KernelRidge(kernel="rbf", gamma=1.0)._get_kernel(X)
    grid = {"alphas": [1e-2, 1.0], "fit_intercept": True}
    named = KernelRidgeCV(gammas=[1.0], cv=splits, **grid).fit(X, y)
    others = [
        KernelRidgeCV(kernel="precomputed", cv=splits, **grid).fit(K, y),
        KernelRidgeCV(
            kernel=lambda a, b: float(np.exp(-np.sum((a - b) ** 2))), cv=iter(splits), **grid
        ).fit(X, y),
        KernelRidgeCV(gammas=[1.0], cv=splits, **grid).fit(sp.csr_array(X), y),
    ]
    for other in others:
        np.testing.assert_allclose(other.path_.loo_errors, named.path_.loo_errors, rtol=1e-9)


def test_groups_are_metadata():
    X, y = noisy_sine(40)
    groups = np.arange(40) // 8
    alone = KernelRidgeCV(cv=GroupKFold(5)).fit(X, y, groups=groups)
    with sklearn.config_context(enable_metadata_routing=True):
        search = KernelRidgeCV(cv=GroupKFold(5)).set_fit_request(groups=True)
        routed = make_pipeline(FunctionTransformer(), search).fit(X, y, groups=groups)
        assert routed[-1].path_.best_index == alone.path_.best_index
        np.testing.assert_array_equal(routed[-1].path_.loo_errors, alone.path_.loo_errors)
    by_name = make_pipeline(FunctionTransformer(), KernelRidgeCV(cv=GroupKFold(5)))
    by_name.fit(X, y, kernelridgecv__groups=groups)
    np.testing.assert_array_equal(by_name[-1].path_.loo_errors, alone.path_.loo_errors)


@pytest.mark.parametrize(
    ("parameters", "groups", "error", "words"),
    [
        ({}, np.zeros(30), ValueError, "groups has no use with cv=None.*LeaveOneGroupOut"),
        ({"cv": GroupKFold(2)}, np.zeros(7), ValueError, r"groups has shape \(7,\).*n_samples=30"),
        ({"cv": GroupKFold(2)}, None, ValueError, "groups"),
        ({"cv": "loo"}, None, ValueError, "Expected `?cv`? as an integer.*loo"),
        ({"cv": 1}, None, ValueError, "n_splits=1"),
        ({"cv": 31}, None, ValueError, "n_splits=31"),
        ({"cv": 3, "criterion": "reml"}, None, ValueError, "cv=3 has no use with criterion='reml'"),
        ({"scoring": "r2", "criterion": "reml"}, None, ValueError, "scoring='r2' has no use with"),
        ({"criterion": "gcv"}, None, ValueError, "criterion must be one of loo, reml, got 'gcv'"),
        ({"fit_intercept": "yes"}, None, TypeError, "fit_intercept must be True or False"),
    ],
)
def test_what_does_not_go_together_is_refused(parameters, groups, error, words):
    X, y = noisy_sine(30)
    with pytest.raises(error, match=words):
        KernelRidgeCV(**parameters).fit(X, y, groups=groups)


def test_a_fold_of_all_weight_leaves_an_intercept_nothing():
    X, y = noisy_sine(30)
    weight = np.where(np.arange(30) < 10, 1.0, 1e-12)
    with pytest.raises(ValueError, match=r"the rows left out together have all but 2\.0e-12"):
        KernelRidgeCV(cv=3, fit_intercept=True).fit(X, y, weight)


# --- manners ------------------------------------------------------------------------------------


def test_it_pickles_and_clones():
    X, y = noisy_sine(30)
    model = KernelRidgeCV().fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert not hasattr(clone(model), "alpha_")


def test_a_second_fit_forgets_the_first():
    X, y = noisy_sine(40)
    model = KernelRidgeCV(kernel="rbf").fit(X, y)
    model.set_params(kernel="linear").fit(X, y)
    assert model.gamma_ is None
    np.testing.assert_array_equal(
        model.dual_coef_, KernelRidge(model.alpha_, kernel="linear").fit(X, y).dual_coef_
    )


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"alphas": [0.0]}, ValueError, r"alphas must be finite and positive, got alphas\[0\]=0"),
        ({"gammas": "auto"}, TypeError, "gammas must be "),
        ({"kernel": "rfb"}, ValueError, "did you mean 'rbf'"),
        ({"coef0": None}, TypeError, "coef0 must be"),
        ({"scoring": "nonsense"}, ValueError, "nonsense"),
    ],
)
def test_bad_parameters_are_refused(parameters, error, words):
    X, y = noisy_sine(10)
    with pytest.raises(error, match=words):
        KernelRidgeCV(**parameters).fit(X, y)


@pytest.mark.parametrize(
    "missing",
    [np.nan, None, np.datetime64("NaT", "s"), "masked"],
    ids=["NaN", "None", "NaT", "masked"],
)
def test_every_row_has_a_group(missing):
    X, y = np.arange(12.0)[:, None], np.arange(12.0)
    groups = np.repeat(np.arange(4), 3).astype(object)
    if isinstance(missing, str):
        groups = np.ma.masked_array(groups.astype(int), mask=np.arange(12) == 5)
    elif missing is not None and isinstance(missing, np.datetime64):
        groups = np.full(12, np.datetime64("2020-01-01"))
        groups[5] = missing
    elif missing is not None:
        groups = groups.astype(float)
        groups[5] = missing
    else:
        groups[5] = missing
    with pytest.raises(ValueError, match=r"groups must name the group of each.*1 of the 12.*at 5"):
        KernelRidgeCV(cv=GroupKFold(2)).fit(X, y, groups=groups)

"""What a model is, and what may be asked of it: one clear error, before any work."""

import warnings

import numpy as np
import pytest
import sklearn.kernel_ridge
import sklearn.linear_model
import sklearn.svm
from scipy import sparse
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastkb
from fastkb import nn
from fastkb.bands.models import checks as validation

X = np.random.default_rng(0).normal(size=(12, 2))
Y = X[:, 0]
RIDGE = fastkb.KernelRidge()
NETWORK = nn.Sequential(nn.Linear(2, 1))


def test_solvers():
    assert validation.check_solver("lowrank") == "lowrank"
    with pytest.raises(
        ValueError, match="solver must be one of auto, lowrank, cholesky, search, ensemble"
    ):
        validation.check_solver("qr")


def test_estimators():
    others = (sklearn.linear_model.Ridge(), lambda X, y, w, X_eval: X_eval)
    for model in (RIDGE, sklearn.kernel_ridge.KernelRidge()):
        assert validation.is_ridge(model)
        assert validation.check_refittable(model) is model

    class Same(fastkb.KernelRidge):
        """With another kernel, which is asked for."""

        def _get_kernel(self, X, Y=None):
            return super()._get_kernel(X, Y) + 1.0

    class Other(sklearn.kernel_ridge.KernelRidge):
        def predict(self, X):
            return super().predict(X) + 1.0

    class Further(Other):
        pass

    assert validation.is_ridge(Same())
    patched = fastkb.KernelRidge()
    patched.predict = lambda X: X[:, 0]
    for model in (Other(), Further(), patched):
        assert not validation.is_ridge(model)
    assert validation.is_ridge_behind_steps(make_pipeline(StandardScaler(), RIDGE))
    for model in (make_pipeline(RIDGE), make_pipeline(StandardScaler(), others[0]), RIDGE):
        assert not validation.is_ridge_behind_steps(model)
    for model in others:
        assert not validation.is_ridge(model)
        assert validation.check_refittable(model) is model
    assert validation.is_network(NETWORK)
    assert validation.check_refittable(NETWORK) is NETWORK
    assert not any(map(validation.is_network, (RIDGE, *others, nn.Sequential, None)))
    with pytest.raises(TypeError, match=r"got the class KernelRidge: write KernelRidge\(\.\.\.\)"):
        validation.check_refittable(fastkb.KernelRidge)
    for wrong in (None, "rbf"):
        with pytest.raises(
            TypeError,
            match=r"estimator must have fit and predict, be a fastkb\.nn\.Sequential, or be a fun",
        ):
            validation.check_refittable(wrong)


def test_solvers_of_other_models():
    other = sklearn.linear_model.Ridge()
    for solver, model in (("weights", other), ("lowrank", RIDGE), ("ensemble", NETWORK)):
        validation.check_solver_of(solver, model)
    with pytest.raises(ValueError, match="solver='lowrank' is for KernelRidge"):
        validation.check_solver_of("lowrank", other)
    with pytest.raises(ValueError, match="solver='ensemble' is for networks"):
        validation.check_solver_of("ensemble", RIDGE)
    with pytest.raises(
        ValueError, match="solver of a network must be 'auto' or 'ensemble', got 'r"
    ):
        validation.check_solver_of("rows", NETWORK)


def test_parameters_of_fits():
    weights = {"sample_weight": np.ones(12)}
    ridge, neighbours = sklearn.linear_model.Ridge(), KNeighborsRegressor()
    pipeline = make_pipeline(ridge)
    assert validation.check_fit_params_of(ridge, None, False) is None
    for model, given in (
        (ridge, weights),
        (neighbours, {}),
        (NETWORK, weights),
        (pipeline, {"ridge__sample_weight": 3}),  # whatever a fit with ** takes
    ):
        assert validation.check_fit_params_of(model, given, False) is given
    for model, given, is_ridge, words in (
        (RIDGE, weights, True, "KernelRidge is with solver='weights' or 'rows'"),
        (lambda: 0, weights, False, "the estimator is a function"),
        (ridge, {"weight": 1}, False, "unknown 'weight': those of the fit of Ridge are sample_weigh"
         r"t; did you mean 'sample_weight'\?"),
        (neighbours, weights, False, "those of the fit of KNeighborsRegressor are none$"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            validation.check_fit_params_of(model, given, is_ridge)
    with pytest.raises(TypeError, match=r"fit_params must be a dict, got \[3\]"):
        validation.check_fit_params_of(ridge, [3], False)


def test_weights_are_for_all_rows():
    for given in (None, {}, {"other": [1]}, {"sample_weight": None}, {"sample_weight": 2}):
        validation.check_weights_of_rows(given, 12)
    validation.check_weights_of_rows({"sample_weight": [1] * 12}, 12)
    with pytest.raises(ValueError, match=r"one number or have shape \(12,\), .* got \(11,\)"):
        validation.check_weights_of_rows({"sample_weight": [1] * 11}, 12)


def test_response_methods():
    regressor, classifier = sklearn.linear_model.Ridge(), sklearn.linear_model.LogisticRegression()
    support = sklearn.svm.SVC()
    assert validation.check_response_method(regressor, "auto", False) == "predict"
    assert validation.check_response_method(classifier, "auto", True) == "predict_proba"
    assert validation.check_response_method(support, "auto", True) == "decision_function"
    with pytest.raises(ValueError, match="response_method must be one of auto, predict"):
        validation.check_response_method(regressor, "proba", False)
    with pytest.raises(ValueError, match="has no predict_proba"):
        validation.check_response_method(regressor, "predict_proba", False)


def test_schemes_of_bands():
    for scheme in (None, fastkb.schemes.Bayesian(), fastkb.schemes.Wild()):
        assert validation.check_scheme_of_band(scheme) is scheme
    with pytest.raises(TypeError, match=r"got <class .*write Wild\(…\)"):
        validation.check_scheme_of_band(fastkb.schemes.Wild)
    with pytest.raises(ValueError, match="draws fewer rows than there are"):
        validation.check_scheme_of_band(fastkb.schemes.MOutOfN(5))


def test_out_of_bag():
    assert validation.check_out_of_bag(True, fastkb.schemes.Clusters([0, 1]))
    with pytest.raises(ValueError, match="leaves no row out"):
        validation.check_out_of_bag(True, fastkb.schemes.Bayesian())
    with pytest.raises(TypeError, match="out_of_bag must be True or False"):
        validation.check_out_of_bag("yes", None)


def test_checkpoints_need_a_seed():
    validation.check_seed_for_checkpoint(None, None)
    with pytest.raises(ValueError, match="needs a seed, and rng is None"):
        validation.check_seed_for_checkpoint("a.npz", None)


def test_training_data():
    X, X_eval = [[1], [2]], [[3]]
    got = validation.check_training(X, ["a", "b"], X_eval)
    assert got[0] is X
    assert got[1].tolist() == ["a", "b"]
    assert got[2] is X_eval
    thin = sparse.coo_array(np.eye(2))
    assert [a.format for a in validation.check_training(thin, X, thin)[::2]] == ["csr", "csr"]
    with pytest.raises(ValueError, match="y has 1 rows and X has 2"):
        validation.check_training(X, ["a"], X_eval)
    with pytest.raises(ValueError, match="X must have two rows at least, got 1"):
        validation.check_training([[1]], ["a"], X_eval)
    with pytest.raises(TypeError, match=r"^X: "):
        validation.check_training(3, ["a"], X_eval)


class Foreign:
    """An estimator without scikit-learn's base class."""


def test_kinds_of_estimators():
    foreign = Foreign()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # scikit-learn's, of such estimators
        assert not validation.is_classifier(foreign)
        assert not validation.is_pairwise(foreign)
        foreign.decision_function = len
        assert validation.is_classifier(foreign)
    assert validation.is_classifier(sklearn.linear_model.LogisticRegression())
    assert not validation.is_classifier(sklearn.linear_model.Ridge())
    assert validation.is_pairwise(sklearn.svm.SVC(kernel="precomputed"))
    assert not validation.is_pairwise(sklearn.svm.SVC())


def test_out_of_bag_values():
    for values in (np.array([1.0, 2.0]), np.array(["a", "b"]), np.array([1, 2])):
        assert validation.check_out_of_bag_values(values, 3) is values
    with pytest.raises(ValueError, match=r"replicate 3: .* NaN or infinity at rows"):
        validation.check_out_of_bag_values(np.array([1.0, np.inf]), 3)


def test_models():
    model = sklearn.linear_model.Ridge()
    assert validation.check_model(model) is model
    for wrong in (sklearn.linear_model.Ridge, None, lambda x: x):
        with pytest.raises(TypeError, match="with fit and predict"):
            validation.check_model(wrong)


def test_samplers():
    with pytest.raises(TypeError, match="sampler must be a function"):
        validation.check_sampler(X)
    assert validation.check_sample((1, 2), 0) == (1, 2)
    for wrong in (X, (X,), (X, Y, Y)):
        with pytest.raises(TypeError, match=r"pair \(X, y\).* for replicate 3"):
            validation.check_sample(wrong, 3)


def test_predictions():
    values = np.ones(3)
    np.testing.assert_array_equal(validation.check_predictions(values, 0, None), values)
    with pytest.raises(ValueError, match=r"shape \(3,\) in replicate 2, and \(4,\) in the first"):
        validation.check_predictions(values, 2, (4,))
    with pytest.raises(ValueError, match="replicate 1: the estimator predicted NaN"):
        validation.check_predictions(np.array([1.0, np.nan]), 1, None)


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1, -2, np.int64(3)])
def test_numbers_of_workers(n_jobs):
    assert validation.check_n_jobs(n_jobs) == n_jobs


@pytest.mark.parametrize(
    ("n_jobs", "error"),
    [("x", TypeError), (1.5, TypeError), (True, TypeError), ([1], TypeError), (0, ValueError),
     (2**70, ValueError), (-(2**31), ValueError)],
)  # fmt: skip
def test_wrong_numbers_of_workers_are_named(n_jobs, error):
    with pytest.raises(error, match=r"n_jobs must be None or a whole number other than 0.*got"):
        validation.check_n_jobs(n_jobs)
    with pytest.raises(error, match="n_jobs must be"):
        fastkb.bootstrap_band(RIDGE, X, Y, X, n_jobs=n_jobs)


def test_a_flag_is_no_array():
    with pytest.raises(TypeError, match="out_of_bag must be True or False"):
        validation.check_out_of_bag(np.array([1, 2]), None)

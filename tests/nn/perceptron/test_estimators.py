"""The perceptrons as estimators of scikit-learn: its checks, classes, probabilities, scores."""

import contextlib
import pickle
import warnings

import numpy as np
import pytest
import sklearn.neural_network as peer
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastkb import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# check -> why it fails, for one of the estimators below. The peer's fails it as well.
EXPECTED = {
    "lbfgs": {
        "check_classifiers_multilabel_output_format_predict_proba": (
            "asks for probabilities below 1, and separable labels give some that round to 1"
        )
    }
}


@parametrize_with_checks(
    [
        MLPClassifier(max_iter=100),
        MLPRegressor(max_iter=100),
        MLPClassifier(solver="lbfgs"),
        MLPRegressor(solver="lbfgs", max_iter=50),
    ],
    expected_failed_checks=lambda estimator: (
        EXPECTED.get(estimator.solver, {}) if is_classifier(estimator) else {}
    ),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:batch_size=:UserWarning")
def test_they_are_estimators_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_the_peers_parameters_and_defaults(name):
    ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name]()
    theirs = getattr(peer, name)()
    assert list(ours.get_params()) == list(theirs.get_params())
    assert ours.get_params() == theirs.get_params()
    assert is_classifier(ours) == is_classifier(theirs)
    assert is_regressor(ours) == is_regressor(theirs)
    assert repr(clone(ours).set_params(max_iter=3)) == f"{name}(max_iter=3)"


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_lbfgs_has_no_partial_fit(kind):
    assert hasattr(kind(), "partial_fit")
    assert not hasattr(kind(solver="lbfgs"), "partial_fit")


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_pickle_predicts_the_same(data, kind):
    X, y = data()
    model = kind(hidden_layer_sizes=6, max_iter=3).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


# --- what is given as numbers -------------------------------------------------------------------

NO_NUMBERS = {
    "masked": np.ma.array(np.ones((8, 3)), mask=np.eye(8, 3, dtype=bool)),
    "dates": np.zeros((8, 3), "datetime64[s]"),
    "durations": np.zeros((8, 3), "timedelta64[s]"),
    "complex": np.ones((8, 3), complex),
    "texts": np.full((8, 3), "a"),
    "things": np.full((8, 3), object()),
    "digits": np.full((8, 3), 10**400, object),
}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("case", NO_NUMBERS)
def test_data_that_are_no_numbers_are_named(case, solver):
    wrong, X = NO_NUMBERS[case], np.random.default_rng(0).normal(size=(8, 3))
    for kind, y in ((MLPRegressor, X[:, 0]), (MLPClassifier, X[:, 0] > 0)):
        model = kind(hidden_layer_sizes=2, solver=solver, max_iter=1, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = clone(model).fit(X, y)
        for call in (lambda m=model, y=y: m.fit(wrong, y), lambda f=fitted: f.predict(wrong)):
            with pytest.raises(ValueError, match=r"^X must "):
                call()
        with pytest.raises(ValueError, match=r"^sample_weight must "):
            model.fit(X, y, sample_weight=wrong[:, 0])
    for y in (wrong, wrong[:, 0]):
        with pytest.raises(ValueError, match=r"^y must "):
            MLPRegressor(hidden_layer_sizes=2, solver=solver, max_iter=1).fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("scale", [1e-300, 1e300, 1.7e308])
def test_extreme_numbers_give_no_warnings(scale, solver):
    """They are accepted, or refused with a ValueError."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (30, 3))
    targets = [(MLPRegressor, X[:, 0] * scale), (MLPClassifier, X[:, 0] > 0)]
    targets += [(MLPRegressor, X[:, :2] * scale), (MLPClassifier, rng.integers(0, 3, 30))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for kind, y in targets:
            for data in (X, X * scale, X.astype(np.float32)):
                for early in (False, True) if solver != "lbfgs" else (False,):
                    model = kind(
                        hidden_layer_sizes=2,
                        solver=solver,
                        max_iter=3,
                        random_state=0,
                        early_stopping=early,
                    )
                    with contextlib.suppress(ValueError):
                        model.fit(data, y)
                        for method in ("predict", "predict_proba", "predict_log_proba"):
                            for points in (X * scale, X.astype(np.longdouble)):
                                if hasattr(model, method):
                                    getattr(model, method)(points)


@pytest.mark.parametrize("random_state", [-1, 2**32, 10**400, "x", 1.5, [1], np.nan])
def test_seeds_that_are_none_are_named(random_state):
    X = np.random.default_rng(0).normal(size=(8, 3))
    for kind in (MLPRegressor, MLPClassifier):
        for call in ("fit", "partial_fit"):
            model = kind(hidden_layer_sizes=2, max_iter=1, random_state=random_state)
            with pytest.raises(
                ValueError, match="random_state must be None, a whole number from 0"
            ):
                getattr(model, call)(X, X[:, 0] > 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 0.0, "0.1", None, 10**400, 1j])
def test_learning_rates_that_are_none_are_named(value):
    X = np.random.default_rng(0).normal(size=(8, 3))
    with pytest.raises(ValueError, match="learning_rate_init must be "):
        MLPRegressor(hidden_layer_sizes=2, learning_rate_init=value).fit(X, X[:, 0])


@pytest.mark.parametrize("large", [2**63, 2**70, 10**400])
def test_whole_numbers_of_any_size(large):
    """What compiled code cannot hold never gets there."""
    X = np.random.default_rng(0).normal(size=(30, 3))
    y = X[:, 0]

    def trained(**parameters):
        given = {"tol": 10.0, "n_iter_no_change": 2, "random_state": 0, **parameters}
        return MLPRegressor(hidden_layer_sizes=2, **given).fit(X, y).coefs_[0]

    expected = trained()
    np.testing.assert_array_equal(trained(max_iter=large), expected)
    with pytest.warns(UserWarning, match="batch_size=.* is clipped to 30"):
        np.testing.assert_array_equal(trained(batch_size=large), expected)
    with pytest.warns(ConvergenceWarning):
        trained(n_iter_no_change=large, max_iter=3)
    once = trained(solver="lbfgs")
    np.testing.assert_array_equal(trained(solver="lbfgs", max_fun=large, max_iter=large), once)

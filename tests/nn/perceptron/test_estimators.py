"""The perceptrons as estimators of scikit-learn: its checks, classes, probabilities, scores."""

import contextlib
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network as peer
from scipy.special import expit, softmax
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
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


def data(n=80, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    return X, np.digitize(X[:, 0] + X[:, 1] ** 2, [0.0, 1.0])


LABELS = {
    "two": lambda y: y > 0,
    "three": lambda y: y,
    "words": lambda y: np.array(["low", "middle", "high"])[y],
    "objects": lambda y: np.array(["low", "middle", "high"], dtype=object)[y],
    "not from 0": lambda y: 10.0 - 2.0 * y,
    "one": lambda y: np.full(len(y), 7),
    "column": lambda y: y[:, None],
    "labels": lambda y: (y[:, None] >= [0, 1, 2]).astype(int),
    "sparse labels": lambda y: sp.csr_array((y[:, None] >= [0, 1, 2]).astype(int)),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("labels", LABELS)
def test_classes_are_the_peers(labels):
    X, y = data()
    y = LABELS[labels](y)
    choice = {"solver": "sgd", "max_iter": 20, "random_state": 0, "learning_rate_init": 0.1}
    ours = MLPClassifier(6, **choice).fit(X, y)
    theirs = peer.MLPClassifier(6, **choice).fit(X, y)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.out_activation_ == theirs.out_activation_
    # (Twenty steps of rounding errors, and no logit so near to its rival.)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-12)
    found, expected = ours.predict(X), theirs.predict(X)
    assert sp.issparse(found) == sp.issparse(expected)
    if sp.issparse(found):
        found, expected, y = found.toarray(), expected.toarray(), y.toarray()
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    assert ours.score(X, y) == accuracy_score(y, expected)


@pytest.mark.parametrize("labels", ["two", "three", "labels"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_probabilities(labels, dtype):
    X, y = data()
    X, y = X.astype(dtype), LABELS[labels](y)
    model = MLPClassifier(6, max_iter=5, random_state=0).fit(X, y)
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    logits = hidden @ model.coefs_[1] + model.intercepts_[1]
    if labels == "two":
        expected = np.hstack([1 - expit(logits), expit(logits)])
    else:
        expected = softmax(logits, axis=1) if labels == "three" else expit(logits)
    found = model.predict_proba(X)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=50 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(model.predict_log_proba(X), np.log(found))


def test_impossible_classes_have_the_logarithm_minus_infinity():
    X, y = data()
    model = MLPClassifier(6, max_iter=2).fit(X, y > 0)
    model.coefs_[1] *= 1e5
    logarithms = model.predict_log_proba(X)  # (no warning of a division by zero)
    assert np.isneginf(logarithms).any()
    assert (logarithms <= 0).all()


@pytest.mark.parametrize("labels", ["two", "three", "words", "labels"])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_early_stopping(labels, weighted):
    """Accuracy on what is set aside is that of the peer's function on the peer's predictions."""
    X, y = data()
    y = LABELS[labels](y)
    weights = np.random.default_rng(0).uniform(0.1, 2.0, len(X)) if weighted else None
    choice = {"solver": "sgd", "max_iter": 8, "random_state": 0, "early_stopping": True}
    ours = MLPClassifier(6, learning_rate_init=0.1, **choice).fit(X, y, weights)
    theirs = peer.MLPClassifier(6, learning_rate_init=0.1, **choice)
    try:
        theirs.fit(X, y, weights)
    except TypeError as error:
        if labels == "words" and "isnan" in str(error):
            pytest.skip("scikit-learn before 1.8 looks for NaN among words")
        raise
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-15)


def test_scores_of_regression():
    X, y = data()
    model = MLPRegressor(hidden_layer_sizes=6, solver="lbfgs", max_iter=50, random_state=0).fit(
        X, y
    )
    assert model.score(X, y) == r2_score(y, model.predict(X))
    assert model.predict(X).shape == (80,)
    several = MLPRegressor(hidden_layer_sizes=6, max_iter=2).fit(X, np.stack([y, -y], axis=1))
    assert several.predict(X).shape == (80, 2)


def test_partial_fit_needs_classes_once():
    X, y = data()
    model = MLPClassifier(6)
    with pytest.raises(ValueError, match="classes must be given"):
        model.partial_fit(X, y)
    model.partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (80, 3)
    model.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"y has the classes \[3\]"):
        model.partial_fit(X[:3], [1, 2, 3])
    with pytest.raises(ValueError, match="not those of the first call"):
        model.partial_fit(X, y, classes=[0, 1])


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_lbfgs_has_no_partial_fit(kind):
    assert hasattr(kind(), "partial_fit")
    assert not hasattr(kind(solver="lbfgs"), "partial_fit")


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_pickle_predicts_the_same(kind):
    X, y = data()
    model = kind(hidden_layer_sizes=6, max_iter=3).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_poisson_is_refused():
    X, y = data()
    with pytest.raises(ValueError, match="loss='poisson' is not supported"):
        MLPRegressor("poisson").fit(X, y)


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


def test_masked_classes_are_refused_and_others_are_classes():
    """Dates are labels as good as any, for scikit-learn too."""
    X = np.random.default_rng(0).normal(size=(8, 3))
    model = MLPClassifier(2, max_iter=1, random_state=0)
    labels = np.ma.array([0, 1] * 4, mask=[False] * 7 + [True])
    for call in (model.fit, lambda X, y: model.partial_fit(X, y, classes=[0, 1])):
        with pytest.raises(ValueError, match="y must have no masked values; got 1 of them"):
            call(X, labels)
    days = np.array(["2020-01-01", "2020-01-02"] * 4, "datetime64[D]")
    with pytest.warns(ConvergenceWarning):
        assert model.fit(X, days).classes_.dtype == days.dtype


@pytest.mark.parametrize("y", [[np.inf] + [1.0] * 7, ["inf"] + ["1"] * 7, [np.nan] + [1.0] * 7])
@pytest.mark.parametrize("dtype", [object, str])
def test_infinity_among_objects_and_texts(y, dtype):
    X, y = np.random.default_rng(0).normal(size=(8, 3)), np.array(y, object).astype(dtype)
    for targets in (y, y[:, None], np.column_stack([y, y])):
        with pytest.raises(ValueError, match=r"Input y contains (infinity|NaN)"):
            MLPRegressor(hidden_layer_sizes=2, max_iter=1).fit(X, targets)


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


def test_targets_that_are_too_large_for_single_precision():
    X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    with pytest.raises(ValueError, match="y has numbers that are too large for float32"):
        MLPRegressor(hidden_layer_sizes=2, max_iter=1).fit(X, np.full(8, 1e300))


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


def test_complex_labels_are_named():
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2 + 1j
    with pytest.raises(ValueError, match="y must be real labels, got complex128: Complex data not"):
        MLPClassifier(max_iter=2).fit(X, y)

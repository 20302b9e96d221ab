import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from fastkb import KernelRidge, MLPClassifier, MLPRegressor, nn
from fastkb.plot import checks


def test_curves_become_arrays():
    curves = checks.check_curves({"loss": [2, 1], "validation_loss": [np.nan, 1.5]})
    assert curves["loss"].dtype == np.float64
    np.testing.assert_array_equal(curves["validation_loss"], [np.nan, 1.5])


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ({"loss": [1.0], "accuracy": [1.0]}, "got 'accuracy'"),
        ({"learning_rate": [1.0]}, "must have the key 'loss'"),
        ({"loss": [1.0, 2.0], "validation_loss": [1.0]}, "has 1 values and .* 2: which epochs"),
        ({"loss": [[1.0]]}, r"one number for each epoch, got shape \(1, 1\)"),
        ({"loss": ["a"]}, "must be numbers, got"),
        ({"loss": []}, "empty: there has been no training yet"),
    ],
)
def test_bad_histories(history, words):
    with pytest.raises(ValueError, match=words):
        checks.check_curves(history)


def test_points():
    points = checks.check_points([[1, 2], [3, 4]], [["a"], ["b"]])
    assert points.X.dtype == np.float64
    assert points.y.tolist() == ["a", "b"]
    assert points.names == ("", "")
    assert checks.check_points(np.ones((1, 2), np.float32), [1]).X.dtype == np.float32


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        (np.ones((3, 3)), [0, 1, 0], "X must have 2 columns, the two axes of the picture, got 3"),
        (np.full((2, 2), np.nan), [0, 1], "X contains NaN"),
        (np.ones(3), [0, 1, 0], "Expected 2D array"),
        (np.ones((3, 2)), [0, 1], "y has 2 rows and X has 3"),
        (np.ones((2, 2)), [[0, 1], [1, 0]], r"y must have shape \(n,\).* got \(2, 2\)"),
        (np.ones((2, 2)), [0.0, 0.5], "y must be classes: whole numbers or text, got 0.5"),
        (np.ones((2, 2)), [0.0, np.nan], "y must be classes.* got nan"),
        (np.ones((2, 2)), [0.0, np.inf], "y must be classes.* got inf"),
        (np.ones((2, 2)), [0j, 1j], "y must be classes.* got complex128"),
        (np.ones((2, 2)), np.array([0, "a"], object), "y must be classes of one kind"),
    ],
)
def test_bad_points(X, y, words):
    with pytest.raises(ValueError, match=words):
        checks.check_points(X, y)


@pytest.mark.parametrize("resolution", [1, 2001, 2.5, True, "many"])
def test_bad_resolutions(resolution):
    with pytest.raises(ValueError, match="resolution must be"):
        checks.check_resolution(resolution)


def test_resolution():
    assert checks.check_resolution(np.int64(2000)) == 2000


def test_class_names():
    assert checks.check_class_names(None, [3, "b"]) == ["3", "b"]
    assert checks.check_class_names(np.array(["x", "y"]), [3, 4]) == ["x", "y"]
    with pytest.raises(TypeError, match="class_names must be a sequence of names, got 'xy'"):
        checks.check_class_names("xy", [3, 4])
    with pytest.raises(ValueError, match="2 names, for the classes 3, 4; got 1"):
        checks.check_class_names(["x"], [3, 4])
    with pytest.raises(ValueError, match="class_names must differ, got 'x' twice"):
        checks.check_class_names(["x", "x"], [3, 4])


@pytest.mark.parametrize(
    ("labels", "outputs", "names", "expected"),
    [
        ([0, 1, 1], 1, None, [0, 1]),
        ([1, 1], 1, None, [0, 1]),
        ([-1, 1], 1, None, [-1, 1]),
        ([0.0, 1.0], 1, None, [0, 1]),
        ([True, False], 1, None, [0, 1]),
        ([0, 3], 5, None, [0, 1, 2, 3, 4]),
        (["b"], 2, ["b", "a"], ["b", "a"]),
    ],
)
def test_classes_of_a_network(labels, outputs, names, expected):
    classes = checks.check_network_classes(np.array(labels), outputs, names)
    assert classes.tolist() == expected


@pytest.mark.parametrize(
    ("labels", "outputs", "names", "words"),
    [
        ([0, 1, 2], 1, None, "with 1 output is trained on, 0, 1 or -1, 1; got 0, 1, 2"),
        ([-1, 1], 2, None, "with 2 outputs is trained on, 0, 1; got -1, 1"),
        ([1, 2, 3], 3, None, "trained on, 0, 1, 2; got 1, 2, 3"),
        (["a", "b"], 1, None, "y is text.* say which is which by class_names"),
        (["a", "b"], 3, ["a", "b"], "class_names must have 3 names"),
    ],
)
def test_bad_classes_of_a_network(labels, outputs, names, words):
    with pytest.raises(ValueError, match=words):
        checks.check_network_classes(np.array(labels), outputs, names)


def test_places_of_known_classes():
    codes = checks.check_known(np.array(["b", "a", "b"]), np.array(["a", "b", "c"]))
    assert codes.tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="y has the class 'd', and the classifier knows 'a', 'b'"):
        checks.check_known(np.array(["d"]), np.array(["a", "b"]))


@pytest.mark.parametrize("shape", [(4,), (5, 2, 1), ()])
def test_responses_of_a_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"classifier.predict_proba must give a row for each"):
        checks.check_responses("predict_proba", np.zeros(shape), 5)


def test_predictions():
    assert checks.check_class_predictions(["a", "b"], 2).tolist() == ["a", "b"]
    with pytest.raises(ValueError, match=r"one class for each point.* got \(2, 1\)"):
        checks.check_class_predictions([[1], [2]], 2)
    with pytest.raises(ValueError, match=r"what classifier.predict gives must be classes"):
        checks.check_class_predictions([0.25], 1)


class Regression:
    """Of another make."""

    def predict(self, points):
        return points[:, 0]


@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(),
        MLPClassifier(),
        nn.Sequential(nn.Linear(2, 1)),
        Regression(),  # what it predicts will tell
    ],
    ids=lambda c: type(c).__name__,
)
def test_classifiers(classifier):
    checks.check_classifier(classifier)


@pytest.mark.parametrize(
    ("classifier", "words"),
    [
        (LogisticRegression, "an instance, got the class LogisticRegression"),
        (LinearRegression(), "LinearRegression is a regressor"),
        (KernelRidge(), "KernelRidge is a regressor"),
        (MLPRegressor(), "MLPRegressor is a regressor"),
        (3, "must have a method predict, or be a network of fastkb.nn; got int"),
    ],
)
def test_what_is_no_classifier(classifier, words):
    with pytest.raises(TypeError, match=words):
        checks.check_classifier(classifier)


def test_an_ensemble_of_regressions():
    X = np.random.default_rng(0).normal(size=(20, 2))
    net = nn.Sequential(nn.Linear(2, 1))
    ensemble = nn.bootstrap_fit(net, X, X[:, 0], n_resamples=2, epochs=1, rng=0)
    assert checks.is_ensemble(ensemble)
    assert not checks.is_network(ensemble)
    with pytest.raises(ValueError, match="trained with the loss 'squared_error'"):
        checks.check_classifier(ensemble)

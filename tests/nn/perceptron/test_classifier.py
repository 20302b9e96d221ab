"""Classes, probabilities and scores are the peer's."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network as peer
from scipy.special import expit, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score

from fastkb import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

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
def test_classes_are_the_peers(data, labels):
    X, y = data()
    y = LABELS[labels](y)
    choice = {"solver": "sgd", "max_iter": 20, "random_state": 0, "learning_rate_init": 0.1}
    ours = MLPClassifier(6, **choice).fit(X, y)
    theirs = peer.MLPClassifier(6, **choice).fit(X, y)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.out_activation_ == theirs.out_activation_
    # Twenty steps of rounding errors, and no logit so near to its rival.
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
def test_probabilities(data, labels, dtype):
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


def test_impossible_classes_have_the_logarithm_minus_infinity(data):
    X, y = data()
    model = MLPClassifier(6, max_iter=2).fit(X, y > 0)
    model.coefs_[1] *= 1e5
    logarithms = model.predict_log_proba(X)  # no warning of a division by zero
    assert np.isneginf(logarithms).any()
    assert (logarithms <= 0).all()


@pytest.mark.parametrize("labels", ["two", "three", "words", "labels"])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_early_stopping(data, labels, weighted):
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


def test_partial_fit_needs_classes_once(data):
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


def test_complex_labels_are_named():
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2 + 1j
    with pytest.raises(ValueError, match="y must be real labels, got complex128: Complex data not"):
        MLPClassifier(max_iter=2).fit(X, y)

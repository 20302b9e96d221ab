"""Classes, pairs of them, votes, weights: what classifiers share."""

import sys
from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.svm as peer
from sklearn.base import is_classifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.svm import SVC as PeerSVC
from sklearn.utils import compute_class_weight

from fastkb import SVC, NuSVC
from fastkb.svm.estimators import machine as module
from fastkb.svm.smo import several

CLASSIFIERS = {"SVC": SVC, "NuSVC": NuSVC}
each_classifier = pytest.mark.parametrize("name", CLASSIFIERS)
NU = {"NuSVC": {"nu": 0.17}}


def ours(name, **parameters):
    return CLASSIFIERS[name](**{**NU.get(name, {}), **parameters})


def theirs(name, **parameters):
    return getattr(peer, name)(**{**NU.get(name, {}), **parameters})


LABELS = {
    "two": lambda y: y > 0,
    "minus and plus": lambda y: np.where(y > 0, 1, -1),
    "three": lambda y: y,
    "words": lambda y: np.array(["setosa", "versicolor", "virginica"])[y],
    "objects": lambda y: np.array(["c", "a", "b"], dtype=object)[y],
    "not from 0": lambda y: 10.0 - 2.0 * y,
    "list": lambda y: y.tolist(),
    "column": lambda y: y[:, None],
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("labels", LABELS)
@each_classifier
def test_classes_are_the_peers(name, labels, data, assert_alike):
    X, y = data("iris")
    y = LABELS[labels](y)
    a, b = ours(name, tol=1e-6).fit(X, y), theirs(name, tol=1e-6).fit(X, y)
    np.testing.assert_array_equal(a.classes_, b.classes_)
    assert a.classes_.dtype == b.classes_.dtype
    assert_alike(a, b, X, 1e-4)
    assert a.score(X, np.ravel(y)) == b.score(X, np.ravel(y))
    assert is_classifier(a)


def test_a_column_of_labels_warns(data):
    X, y = data("iris")
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        SVC().fit(X, y[:, None])


@pytest.mark.parametrize("name_of_data", ["iris", "digits"])
@each_classifier
def test_coefficients_stand_where_the_peers_do(name, name_of_data, data):
    """Each pair of classes is a machine of two of its own."""
    X, y = data(name_of_data)
    model = ours(name, tol=1e-6, gamma=0.05).fit(X, y)
    k, s = len(model.classes_), len(model.support_)
    assert model.dual_coef_.shape == (k - 1, s)
    assert model.n_support_.shape == (k,)
    assert model.n_support_.sum() == s
    assert model.intercept_.shape == model.n_iter_.shape == (k * (k - 1) // 2,)
    np.testing.assert_array_equal(np.diff(y[model.support_]) >= 0, True)
    np.testing.assert_array_equal(np.bincount(y[model.support_]), model.n_support_)
    np.testing.assert_array_equal(model.support_vectors_, X[model.support_])
    for column, (i, j) in enumerate(combinations(range(k), 2)):
        rows = np.flatnonzero((y == i) | (y == j))
        two = ours(name, tol=1e-6, gamma=0.05).fit(X[rows], y[rows])
        expected = np.zeros(len(y))
        expected[rows[two.support_]] = -two.dual_coef_[0]  # of two classes the second is positive
        row = np.where(y[model.support_] == i, j - 1, i)
        mine = np.isin(y[model.support_], (i, j))
        found = np.zeros(len(y))
        found[model.support_[mine]] = model.dual_coef_[row[mine], np.flatnonzero(mine)]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale)
        np.testing.assert_allclose(model.intercept_[column], -two.intercept_[0], rtol=0, atol=1e-4)


def test_the_signs_of_two_classes(data):
    """Positive for the second class; what is underscored has the sign of LIBSVM."""
    X, y = data("iris")
    X, y = X[y < 2], y[y < 2]
    model = SVC(kernel="linear").fit(X, y)
    assert (model.decision_function(X)[y == 1] > 0).all()
    assert (model.dual_coef_[0, y[model.support_] == 1] > 0).all()
    np.testing.assert_array_equal(model._dual_coef_, -model.dual_coef_)
    np.testing.assert_array_equal(model._intercept_, -model.intercept_)
    assert model.dual_coef_.sum() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("labels", ["two", "three"])
@each_classifier
def test_weights_of_columns_are_the_peers(name, labels, container, data):
    X, y = data("iris")
    y = LABELS[labels](y)
    a = ours(name, kernel="linear", tol=1e-6).fit(container(X), y)
    b = theirs(name, kernel="linear", tol=1e-6).fit(container(X), y)
    found, expected = a.coef_, b.coef_
    assert type(found) is type(expected)
    if sp.issparse(found):
        found, expected = found.toarray(), expected.toarray()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


# --- votes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("break_ties", [False, True])
@each_classifier
def test_one_value_for_each_class(name, break_ties, data):
    X, y = data("digits")
    a = ours(name, break_ties=break_ties, tol=1e-6).fit(X, y)
    b = theirs(name, break_ties=break_ties, tol=1e-6).fit(X, y)
    found, expected = a.decision_function(X), b.decision_function(X)
    assert found.shape == (200, 10)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(a.predict(X), b.predict(X))
    a.decision_function_shape = b.decision_function_shape = "ovo"
    found, expected = a.decision_function(X), b.decision_function(X)
    assert found.shape == (200, 45)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    two = ours(name).fit(X, y > 4)
    values = two.decision_function(X)
    assert values.shape == (200,)
    two.decision_function_shape = "ovo"
    np.testing.assert_array_equal(two.decision_function(X), values)


@each_classifier
def test_equal_votes(name):
    """Far from all rows, most points have a vote for each class."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 2)), np.arange(20) % 3
    points = rng.uniform(-3, 3, (500, 2))
    parameters = {"gamma": 1e6, "nu": 0.5} if name == "NuSVC" else {"gamma": 1e6}
    first = ours(name, break_ties=False, **parameters).fit(X, y)
    values = first.decision_function(points)
    assert not np.array_equal(first.predict(points), np.argmax(values, axis=1))
    broken = ours(name, break_ties=True, **parameters).fit(X, y)
    np.testing.assert_array_equal(broken.predict(points), np.argmax(values, axis=1))


@each_classifier
def test_ties_of_pairs_cannot_be_broken(name, data):
    X, y = data("iris")
    for labels in (y, y > 0):
        model = ours(name, decision_function_shape="ovo", break_ties=True).fit(X, labels)
        with pytest.raises(ValueError, match=r"break_ties must be False when .* is 'ovo'"):
            model.predict(X)


def test_a_point_on_the_boundary_is_of_the_first_class():
    X, y = [[-1.0], [1.0]], ["a", "b"]
    a, b = SVC(kernel="linear").fit(X, y), PeerSVC(kernel="linear").fit(X, y)
    assert a.decision_function([[0.0]]) == 0.0
    assert a.predict([[0.0]]) == b.predict([[0.0]])


# --- weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", [{0: 0.5, 2: 3.0}, "balanced", {}, None])
@pytest.mark.parametrize("labels", ["two", "three"])
def test_weights_of_classes_are_the_peers(labels, class_weight, data, assert_alike):
    X, y = data("iris")
    y = y[20:] if labels == "three" else np.where(y == 2, 2, 0)[20:]
    X = X[20:]
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    for weights in (None, weight):
        choice = {"class_weight": class_weight, "tol": 1e-6}
        a = SVC(**choice).fit(X, y, weights)
        b = PeerSVC(**choice).fit(X, y, weights)
        np.testing.assert_array_equal(a.class_weight_, b.class_weight_)
        assert_alike(a, b, X, 1e-4)


@each_classifier
def test_weights_of_classes_multiply_those_of_rows(name, data):
    """Also ν's, whose classes the peer does not weigh."""
    X, y = data("iris")
    class_weight = {0: 0.8, 1: 1.1, 2: 1.2}
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    a = ours(name, class_weight=class_weight).fit(X, y, weight)
    b = ours(name).fit(X, y, weight * np.array([0.8, 1.1, 1.2])[y])
    np.testing.assert_array_equal(a.dual_coef_, b.dual_coef_)
    np.testing.assert_array_equal(a.intercept_, b.intercept_)
    balanced = ours(name, class_weight="balanced").fit(X[30:], y[30:])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y[30:])
    np.testing.assert_array_equal(balanced.class_weight_, expected)


@each_classifier
def test_a_class_without_weight_is_refused(name, data):
    X, y = data("iris")
    words = "all samples with positive weights belong to the same class|nu is infeasible"
    for class_weight, weight in (({1: 0.0}, None), ({1: -1.0}, None), (None, y != 1)):
        for rows in (slice(None), y < 2):
            with pytest.raises(ValueError, match=words):
                ours(name, class_weight=class_weight).fit(
                    X[rows], y[rows], None if weight is None else weight[rows]
                )


# --- labels that are none -----------------------------------------------------------------------


@each_classifier
def test_one_class_is_refused(name):
    X = np.arange(6.0)[:, None]
    with pytest.raises(ValueError, match="classes has to be greater than one; got 1 class: expect"):
        ours(name).fit(X, ["a"] * 6)
    with pytest.raises(ValueError, match="got 1 class"):
        ours(name, kernel=lambda A, B: A @ B.T).fit(X, np.zeros(6))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.arange(6) + 0.5, "y: Unknown label type: continuous"),
        (np.ones((6, 2)), r"y should be a 1d array, got an array of shape \(6, 2\)"),
        (np.arange(6) % 2 + 1j, "y must be real labels, got complex128: Complex data not"),
        (np.ma.array([0, 1] * 3, mask=[True] + [False] * 5), "y must have no masked values; got 1"),
        (np.array([0, 1, None] * 2), "y: Unknown label type: unknown"),
        ([0.0, 1.0, np.nan] * 2, "Input y contains NaN"),
        (1, "y should be a 1d array"),
    ],
)
@each_classifier
def test_labels_that_are_none_are_named(name, labels, words):
    X = np.arange(6.0)[:, None]
    with pytest.raises(ValueError, match=words):
        ours(name).fit(X, labels)


@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [
        ("class_weight", "balance", "must be 'balanced', a dict or None, got 'balance'; did you"),
        ("class_weight", [1, 2], r"must be 'balanced', a dict or None, got \[1, 2\]"),
        ("class_weight", {0: "a"}, r"class_weight\[0\] must be a finite real number, got 'a'"),
        ("class_weight", {0: np.nan}, r"class_weight\[0\] must be a finite real number, got nan"),
        ("class_weight", {5: 1.0}, r"The classes, \[0, 1\], are not in class_weight"),
        ("decision_function_shape", "ovrr", "must be one of ovr, ovo, got 'ovrr'; did you"),
        ("break_ties", 1, "break_ties must be True or False, got 1"),
        ("random_state", -1, r"must be None, a whole number from 0 to 2\*\*32 - 1 or .*got -1"),
    ],
)
@each_classifier
def test_bad_parameters_are_named(name, parameter, value, words):
    X = np.arange(6.0)[:, None]
    with pytest.raises(ValueError, match=words):
        ours(name, **{parameter: value}).fit(X, [0, 1] * 3)


# --- going on -----------------------------------------------------------------------------------


@each_classifier
def test_a_warm_start_with_other_classes_is_refused(name, data):
    X, y = data("iris")
    model = ours(name, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"warm_start=True goes on .* 3 classes; got 2: fit to"):
        model.fit(X, y > 0)
    names = np.array(["a", "b", "c"])[y]  # other names are the same problem
    before = np.sum(model.n_iter_)
    assert np.sum(model.fit(X, names).n_iter_) < before
    np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])


@each_classifier
def test_a_warm_start_with_other_labels_ends_where_a_cold_one_does(name, data, values):
    X, y = data("iris")
    other = np.roll(y, 3)
    model = ours(name, warm_start=True, tol=1e-4).fit(X, y).fit(X, other)
    cold = ours(name, tol=1e-4).fit(X, other)
    scale = np.abs(cold.dual_coef_).max() if name == "NuSVC" else 1.0
    np.testing.assert_allclose(values(model, X), values(cold, X), rtol=0, atol=2e-3 * scale)


class Impatient:
    """A standard error at which someone presses Ctrl-C when so many lines were written."""

    def __init__(self, lines):
        self._left = lines

    def write(self, text):
        self._left -= text.count("[fastkb]")
        if self._left <= 0:
            raise KeyboardInterrupt

    def flush(self):
        pass


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("lines", [1, 2, 3])
@each_classifier
def test_ctrl_c_keeps_the_pairs_that_were_solved(name, lines, together, data, values, monkeypatch):
    """Whether pairs are solved side by side on one matrix, or one after the other."""
    X, y = data("digits")
    cold = ours(name, cache_size=200 if together else 0.1).fit(X, y)
    model = ours(name, cache_size=200 if together else 0.1, verbose=1)
    with monkeypatch.context() as patched:
        patched.setattr(module, "_EVERY", 0.0)
        patched.setattr(several, "_COEFFICIENTS", 100)
        patched.setattr(sys, "stderr", Impatient(lines))
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.set_params(verbose=0, warm_start=True).fit(X, y)
    assert np.sum(model.n_iter_) <= np.sum(cold.n_iter_)
    if lines > 1:
        assert np.sum(model.n_iter_) < np.sum(cold.n_iter_)
    scale = np.abs(cold.dual_coef_).max() if name == "NuSVC" else 1.0
    np.testing.assert_allclose(values(model, X), values(cold, X), rtol=0, atol=2e-3 * scale)


@each_classifier
def test_ctrl_c_forgets_no_pair_of_the_fit_before(name, data, monkeypatch):
    X, y = data("digits")
    model = ours(name, warm_start=True, cache_size=0.1).fit(X, y)
    cold = model.n_iter_.sum()
    with monkeypatch.context() as patched:
        patched.setattr(module, "_EVERY", 0.0)
        patched.setattr(sys, "stderr", Impatient(3))
        with pytest.raises(KeyboardInterrupt):
            model.set_params(verbose=1).fit(X, y)
    assert model.set_params(verbose=0).fit(X, y).n_iter_.sum() < 0.1 * cold


@each_classifier
def test_a_small_cache_gives_the_same_machines(name, data, values):
    """Kilobytes, of which one matrix of a pair takes more."""
    X, y = data("digits")
    for labels in (y, y > 4):
        large = ours(name, tol=1e-6, nu=0.17) if name == "NuSVC" else SVC(tol=1e-6)
        small = ours(name, tol=1e-6, cache_size=1e-3)
        expected = values(large.fit(X, labels), X)
        found = values(small.fit(X, labels), X)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from fastkb import MLPClassifier, nn
from fastkb.plot.responses import respond_at

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 2))
TWO = (X[:, 0] > 0.3).astype(np.int64)
FOUR = np.array(["a", "b", "c", "d"])[2 * (X[:, 0] > 0) + (X[:, 1] > 0)]
GRID = RNG.normal(size=(500, 2))


def network(*layers, weights, bias=None):
    """A linear layer of these weights, and the layers behind it."""
    weights = np.atleast_2d(weights)
    net = nn.Sequential(nn.Linear(2, len(weights)), *layers)
    bias = np.zeros(len(weights)) if bias is None else np.asarray(bias)
    net.load_state_dict({"0.weight": weights, "0.bias": bias})
    return net


def predicted(response):
    return response.classes[response.scores.argmax(axis=1)]


@pytest.mark.parametrize(
    ("model", "y", "kind"),
    [
        (LogisticRegression(), TWO, "probabilities"),
        (LogisticRegression(), FOUR, "probabilities"),
        (make_pipeline(StandardScaler(), LogisticRegression()), FOUR, "probabilities"),
        (KNeighborsClassifier(4), FOUR, "probabilities"),  # has ties
        (DecisionTreeClassifier(random_state=0), FOUR, "probabilities"),
        (MLPClassifier((5,), solver="lbfgs", max_iter=500, random_state=0), FOUR, "probabilities"),
        (LinearSVC(), TWO, "scores"),
        (LinearSVC(), FOUR, "scores"),
        (SVC(), TWO, "scores"),
        # Six columns, one for each pair: no scores of classes.
        (SVC(decision_function_shape="ovo"), FOUR, "classes"),
        # Class 1 from a probability of 0.9: not where it is the more probable one.
        (FixedThresholdClassifier(LogisticRegression(), threshold=0.9), TWO, "classes"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_classifiers_of_any_make(model, y, kind):
    model.fit(X, y)
    response = respond_at(model, GRID, y)
    assert response.kind == kind
    assert response.classes.tolist() == sorted(set(y.tolist()))
    # Of equal scores either may be the predicted one.
    ranked = np.sort(response.scores, axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > 1e-12
    assert clear.any()
    np.testing.assert_array_equal(predicted(response)[clear], model.predict(GRID)[clear])
    if kind == "probabilities":
        np.testing.assert_array_equal(response.scores, model.predict_proba(GRID))


def test_two_scores_of_one():
    model = LinearSVC().fit(X, TWO)
    decision = model.decision_function(GRID)
    np.testing.assert_array_equal(
        respond_at(model, GRID, TWO).scores, np.column_stack([-decision, decision])
    )


def test_classes_of_what_names_none():
    class Sign:
        def predict(self, points):
            return np.where(points[:, 0] > 0, 2, -1)

    response = respond_at(Sign(), GRID, np.array([-1, 5]))
    assert response.classes.tolist() == [-1, 2, 5]
    np.testing.assert_array_equal(predicted(response), Sign().predict(GRID))


def test_one_logit():
    weights, bias = np.array([1.0, -2.0]), 0.5
    response = respond_at(network(weights=weights, bias=[bias]), GRID, TWO)
    second = expit(GRID @ weights + bias)
    eps = np.finfo(float).eps
    np.testing.assert_allclose(
        response.scores, np.column_stack([1 - second, second]), rtol=64 * eps, atol=8 * eps
    )
    assert (response.kind, response.classes.tolist()) == ("probabilities", [0, 1])


def test_several_logits():
    weights = RNG.normal(size=(4, 2))
    response = respond_at(network(weights=weights), GRID, np.array([0, 2]))
    expected = softmax(GRID @ weights.T, axis=1)
    np.testing.assert_allclose(response.scores, expected, rtol=64 * np.finfo(float).eps)
    assert (response.kind, response.classes.tolist()) == ("probabilities", [0, 1, 2, 3])


def test_a_probability_from_the_network_itself():
    weights = np.array([1.0, 1.0])
    response = respond_at(network(nn.Sigmoid(), weights=weights), GRID, TWO)
    assert response.kind == "probabilities"
    # Above one half, not above 0, where it always is.
    np.testing.assert_array_equal(predicted(response), (GRID.sum(axis=1) > 0).astype(int))


@pytest.mark.parametrize("last", [(), (nn.Tanh(),), (nn.Sign(),)], ids=str)
def test_minus_one_and_one(last):
    response = respond_at(network(*last, weights=[1.0, 1.0]), GRID, np.array([-1, 1, 1]))
    assert (response.kind, response.classes.tolist()) == ("scores", [-1, 1])
    np.testing.assert_array_equal(predicted(response), np.sign(GRID.sum(axis=1)))


def test_a_node_with_a_sign_is_as_sharp_as_its_sum():
    plain, signed = (network(*last, weights=[3.0, -1.0]) for last in [(nn.Tanh(),), (nn.Sign(),)])
    before = signed.state_dict()
    response = respond_at(signed, GRID, TWO)
    assert response.classes.tolist() == [0, 1]
    total = GRID @ [3.0, -1.0]
    np.testing.assert_allclose(response.scores[:, 1], total, atol=1e-14)
    np.testing.assert_array_equal(
        predicted(response), predicted(respond_at(plain, GRID, np.array([0, 1])))
    )
    assert signed.state_dict().keys() == before.keys()
    assert set(signed.forward(GRID).ravel()) == {-1.0, 1.0}


def test_signs_of_several_nodes_are_classes():
    response = respond_at(network(nn.Sign(), weights=np.eye(2)), GRID, TWO)
    assert response.kind == "classes"


@pytest.mark.parametrize("outputs", [1, 3])
def test_an_ensemble_gives_the_mean_of_its_probabilities(outputs):
    loss = "binary_cross_entropy" if outputs == 1 else "cross_entropy"
    ensemble = nn.bootstrap_fit(
        nn.Sequential(nn.Linear(2, outputs)), X, TWO, n_resamples=4, loss=loss, epochs=2, rng=0
    )
    response = respond_at(ensemble, GRID, TWO)
    assert response.kind == "probabilities"
    mean = ensemble.predict(GRID)
    np.testing.assert_array_equal(response.scores[:, 1 - 2 * (outputs == 1) :], mean[:, -2:])
    np.testing.assert_allclose(response.scores.sum(axis=1), 1, rtol=64 * np.finfo(float).eps)


def test_text_is_looked_up_among_the_names():
    net = network(weights=RNG.normal(size=(3, 2)))
    response = respond_at(net, GRID, np.array(["y", "x"]), ["x", "z", "y"])
    assert response.classes.tolist() == ["x", "z", "y"]


def test_what_is_not_finite():
    class Broken(LogisticRegression):
        def predict_proba(self, points):
            return super().predict_proba(points) * np.nan

    with pytest.raises(ValueError, match=r"classifier.predict_proba gives NaN or infinity"):
        respond_at(Broken().fit(X, TWO), GRID, TWO)


def test_several_labels_for_each_point():
    both = np.column_stack([TWO, 1 - TWO])
    model = KNeighborsClassifier().fit(X, both)
    with pytest.raises(ValueError, match=r"one class for each point.* got \(500, 2\)"):
        respond_at(model, GRID, TWO)

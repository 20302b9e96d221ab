"""What classifiers of any make say at points of the plane: classes, and scores of each."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from fastkb.plot.checks import (
    check_class_predictions,
    check_network_classes,
    check_responses,
    is_ensemble,
    is_network,
)

# Scores of two classes that differ by no more, in units in the last place, are of one size: where a
# classifier adds in another order, either may be the greater.
_TIE = 64


Kind = Literal["probabilities", "scores", "classes"]


class Response(NamedTuple):
    """What a classifier says at m points."""

    classes: np.ndarray  # shape: (n_classes,)
    scores: np.ndarray  # shape: (m, n_classes): the class of the greatest is the predicted one
    kind: Kind  # what the scores are; classes: 1 for the predicted one, else 0 or -1


def respond_at(classifier: Any, points: Any, labels: np.ndarray, names: Any = None) -> Response:
    """Evaluate a classifier, each of its methods in one call.

    Parameters
    ----------
    classifier : classifier, Sequential or Ensemble
        Checked.
    points : ndarray or data frame of shape (m, 2)
    labels : ndarray of shape (n,)
        Classes of observations, for classifiers that do not know their classes.
    names : sequence of str, optional
        Of a network's classes, if the labels are such names.

    Returns
    -------
    Response

    Raises
    ------
    ValueError
        For classes that a network does not have; for what are no classes or not finite.
    """
    if is_ensemble(classifier):
        classes = check_network_classes(labels, classifier.network.out_features, names)
        return _of_two(classes, classifier.predict(points), "probabilities")
    if is_network(classifier):
        return _of_network(classifier, points, labels, names)
    return _of_estimator(classifier, points, labels)


def _of_two(classes: np.ndarray, outputs: np.ndarray, kind: Kind) -> Response:
    """Scores of both classes, where there is one output: the probability of the second, or its lead."""
    if outputs.shape[1] == 1:
        rest = 1 - outputs if kind == "probabilities" else -outputs
        outputs = np.hstack([rest, outputs])
    return Response(classes, outputs, kind)


def _of_network(network: Any, points: Any, labels: np.ndarray, names: Any) -> Response:
    from fastkb.nn.ensemble import respond

    classes = check_network_classes(labels, network.out_features, names)
    one = network.out_features == 1
    last = getattr(network.layers[-1], "name", "identity")
    if one and last == "sign":
        # The argument of the sign tells the class as well, and also where the boundary lies.
        network, last = _without_last(network), "none"
    outputs = network.forward(points)
    # Classes of -1 and 1 are no probabilities: what was trained on them has no logits.
    if last == "identity" and classes[0] != -1:
        loss = "binary_cross_entropy" if one else "cross_entropy"
        return _of_two(classes, respond(outputs, loss), "probabilities")
    if one and last == "sigmoid":
        return _of_two(classes, outputs, "probabilities")
    return _of_two(classes, outputs, "classes" if last == "sign" else "scores")


def _without_last(network: Any) -> Any:
    """The network without its last activation."""
    from fastkb.nn.network import Sequential

    inner = Sequential(*network.layers[:-1], dtype=network.dtype)
    inner.load_state_dict(network.state_dict())
    return inner


def _of_estimator(estimator: Any, points: Any, labels: np.ndarray) -> Response:
    predicted = check_class_predictions(estimator.predict(points), len(points))
    known = getattr(estimator, "classes_", None)
    classes = np.unique(np.concatenate([labels, predicted]) if known is None else known)
    for method in ("predict_proba", "decision_function"):
        if not hasattr(estimator, method):
            continue
        values = check_responses(method, getattr(estimator, method)(points), len(points))
        outputs = values[:, None] if values.ndim == 1 else values
        kind: Kind = "probabilities" if method == "predict_proba" else "scores"
        response = _of_two(classes, outputs, kind)
        if _agrees(response, predicted):
            return response
    return Response(classes, (predicted[:, None] == classes).astype(np.float64), "classes")


def _agrees(response: Response, predicted: np.ndarray) -> bool:
    """Whether the predicted classes are those of the greatest scores.

    They are not of a classifier with a threshold of its own, or whose probabilities come from another
    model (Platt's), or whose scores are of pairs of classes.
    """
    scores = response.scores
    if scores.shape[1] != len(response.classes):
        return False
    best = scores.argmax(axis=1)
    first, second = -np.partition(-scores, 1, axis=1)[:, :2].T
    eps = np.finfo(np.result_type(scores, np.float32)).eps
    tied = first - second <= _TIE * eps * np.abs(scores).max(axis=1)
    return bool((tied | (response.classes[best] == predicted)).all())

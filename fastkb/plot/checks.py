"""Checks of what pictures are made of: curves of training, classified points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastkb.checks.scalars import check_whole

CURVES = ("loss", "validation_loss", "learning_rate")

# Two axes of them are evaluated together: 4 million points.
_FINEST = 2000


def check_curves(history: Mapping[str, Any], name: str = "history") -> dict[str, np.ndarray]:
    """A network's history: the same number of values, one for each epoch, under known names.

    Parameters
    ----------
    history : mapping of str to array_like
    name : str
        What it is called in errors.

    Raises
    ------
    ValueError
    """
    unknown = [key for key in history if key not in CURVES]
    if unknown:
        raise ValueError(f"{name} must have no keys but {', '.join(CURVES)}; got {unknown[0]!r}")
    if "loss" not in history:
        raise ValueError(f"{name} must have the key 'loss', got {list(history)}")
    curves = {key: check_curve(f"{name}[{key!r}]", values) for key, values in history.items()}
    epochs = len(curves["loss"])
    for key, values in curves.items():
        if len(values) != epochs:
            raise ValueError(
                f"{name}[{key!r}] has {len(values)} values and {name}['loss'] {epochs}: which epochs "
                "they are of is not known. Pass a dict of the epochs that belong together, or NaN where "
                "there is no value"
            )
    return curves


def check_curve(name: str, values: Any) -> np.ndarray:
    """One number for each epoch, one epoch at least; NaN and infinity are left to be gaps."""
    try:
        curve = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers, got {values!r}") from None
    if curve.ndim != 1:
        raise ValueError(f"{name} must have one number for each epoch, got shape {curve.shape}")
    if not len(curve):
        raise ValueError(f"{name} is empty: there has been no training yet")
    return curve


class Points(NamedTuple):
    """Classified points of the plane."""

    X: np.ndarray  # shape: (n, 2)
    y: np.ndarray  # shape: (n,)
    names: tuple[str, str]  # of the columns, or empty


def check_points(X: Any, y: Any) -> Points:
    """Two finite columns, and a class for each row.

    Parameters
    ----------
    X : array_like or data frame of shape (n, 2)
    y : array_like of shape (n,) or (n, 1)

    Raises
    ------
    ValueError
    """
    from sklearn.utils.validation import check_array

    points = check_array(X, dtype=(np.float64, np.float32), input_name="X")
    if points.shape[1] != 2:
        raise ValueError(
            f"X must have 2 columns, the two axes of the picture, got {points.shape[1]}"
        )
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"y must have shape (n,), a class for each row, got {labels.shape}")
    if len(labels) != len(points):
        raise ValueError(f"y has {len(labels)} rows and X has {len(points)}: they must agree")
    check_labels("y", labels)
    first, second = map(str, X.columns) if hasattr(X, "columns") else ("", "")
    return Points(points, labels, (first, second))


def check_labels(name: str, labels: np.ndarray) -> None:
    """Classes, not measurements."""
    kind = labels.dtype.kind
    if kind == "f":
        # NaN and infinity are no whole numbers, either.
        with np.errstate(invalid="ignore"):
            wrong = labels[labels % 1 != 0]
        if len(wrong):
            raise ValueError(f"{name} must be classes: whole numbers or text, got {wrong[0]}")
    elif kind not in "iubOUST":
        raise ValueError(f"{name} must be classes: whole numbers or text, got {labels.dtype}")
    try:
        np.unique(labels)
    except TypeError as error:
        raise ValueError(f"{name} must be classes of one kind: {error}") from None


def check_resolution(resolution: Any) -> int:
    """Points of the grid along each axis."""
    return check_whole("resolution", resolution, 2, _FINEST)


def check_class_names(class_names: Any, classes: Sequence[Any]) -> list[str]:
    """A name for each class; None: the classes themselves."""
    if class_names is None:
        return [str(label) for label in classes]
    if isinstance(class_names, str) or not isinstance(class_names, Sequence | np.ndarray):
        raise TypeError(f"class_names must be a sequence of names, got {class_names!r}")
    if len(class_names) != len(classes):
        raise ValueError(
            f"class_names must have {len(classes)} names, for the classes "
            f"{', '.join(map(str, classes))}; got {len(class_names)}"
        )
    names = [str(name) for name in class_names]
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise ValueError(f"class_names must differ, got {twice[0]!r} twice")
    return names


def check_network_classes(labels: np.ndarray, outputs: int, names: Any) -> np.ndarray:
    """The classes of a network's outputs, in their order.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Of the observations: 0, 1, …, or for one output -1 and 1; some may be missing. Or names.
    outputs : int
        Columns of the network's outputs; one for two classes.
    names : sequence of str or None
        The names, in the order of the outputs.

    Raises
    ------
    TypeError, ValueError
        If a label is none of them. Text without names: a network does not know which class is which.
    """
    expected = max(outputs, 2)
    numbers = np.arange(expected)
    if labels.dtype.kind in "iufb":
        classes = [numbers] + ([np.array([-1, 1])] if outputs == 1 else [])
        for known in classes:
            if np.isin(labels, known).all():
                return known
        shown = " or ".join(", ".join(map(str, known.tolist())) for known in classes)
        raise ValueError(
            f"y must be the numbers that a network with {outputs} output{'s' * (outputs > 1)} is "
            f"trained on, {shown}; got {', '.join(map(str, np.unique(labels)[:6].tolist()))}"
        )
    if names is None:
        raise ValueError(
            "y is text, and a network numbers its classes: say which is which by class_names, in the "
            "order of its outputs"
        )
    return np.array(check_class_names(names, numbers.tolist()), dtype=object)


def check_known(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The place of each observation's class among those that the classifier knows."""
    places = {label: place for place, label in enumerate(classes.tolist())}
    found, inverse = np.unique(labels, return_inverse=True)
    unknown = [label for label in found.tolist() if label not in places]
    if unknown:
        raise ValueError(
            f"y has the class {unknown[0]!r}, and the classifier knows "
            f"{', '.join(map(repr, classes.tolist()))}"
        )
    return np.array([places[label] for label in found.tolist()])[inverse.reshape(-1)]


def check_responses(method: str, values: Any, n: int) -> np.ndarray:
    """What a classifier's `method` gave for n points: finite numbers, a row or one for each."""
    responses = np.asarray(values)
    if responses.ndim not in (1, 2) or len(responses) != n:
        raise ValueError(
            f"classifier.{method} must give a row for each of the {n} points; got an array of shape "
            f"{responses.shape}"
        )
    if not np.isfinite(responses).all():
        raise ValueError(f"classifier.{method} gives NaN or infinity")
    return responses


def check_class_predictions(predicted: Any, n: int) -> np.ndarray:
    """What a classifier's `predict` gave: a class for each point."""
    labels = np.asarray(predicted)
    if labels.shape != (n,):
        raise ValueError(
            f"classifier.predict must give one class for each point, an array of shape ({n},); got "
            f"{labels.shape}"
        )
    check_labels("what classifier.predict gives", labels)
    return labels


def check_classifier(classifier: Any) -> None:
    """Something that classifies: a network, or with a method `predict`, and no regressor.

    Raises
    ------
    TypeError, ValueError
    """
    if isinstance(classifier, type):
        raise TypeError(
            f"classifier must be an instance, got the class {classifier.__name__}: write "
            f"{classifier.__name__}(...)"
        )
    if is_ensemble(classifier):
        if not classifier.loss.endswith("cross_entropy"):
            raise ValueError(
                "classifier must tell classes apart, and this ensemble was trained with the loss "
                f"{classifier.loss!r}: its outputs are no logits"
            )
        return
    if is_network(classifier):
        return
    if not hasattr(classifier, "predict"):
        raise TypeError(
            "classifier must have a method predict, or be a network of fastkb.nn; got "
            f"{type(classifier).__name__}"
        )
    if _is_regressor(classifier):
        raise TypeError(
            f"classifier must tell classes apart, and {type(classifier).__name__} is a regressor"
        )


def _is_regressor(estimator: Any) -> bool:
    from sklearn.base import is_regressor

    # scikit-learn before 1.8 warns where there are no tags, and guesses them.
    if not hasattr(estimator, "__sklearn_tags__"):
        return False
    try:
        return bool(is_regressor(estimator))
    except AttributeError:  # of another make than scikit-learn's
        return False


def is_network(classifier: Any) -> bool:
    """Whether it is a `fastkb.nn.Sequential`."""
    return hasattr(classifier, "loss_and_gradients")


def is_ensemble(classifier: Any) -> bool:
    """Whether it is what `fastkb.nn.bootstrap_fit` gives."""
    return is_network(getattr(classifier, "network", None))

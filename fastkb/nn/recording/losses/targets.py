"""What compiled code is told for a loss: targets and weights, of what users say of it."""

from __future__ import annotations

from typing import Any

import numpy as np

# The weight of an observation whose own class has none, but of which label smoothing counts others: its
# targets are divided by it. It changes no sum of weights.
_ALMOST_NOTHING = 2.0**-64


def by_class(weight: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Weights of the classes, to be multiplied by arrays of a shape."""
    classes = shape[1]
    found = np.ones(classes) if weight is None else np.asarray(weight, float)
    if found.shape != (classes,) or not np.isfinite(found).all() or (found < 0).any():
        raise ValueError(f"weight must be {classes} numbers, finite and at least 0, got {weight!r}")
    return found.reshape(-1, *[1] * (len(shape) - 2))


def by_label(labels: np.ndarray, weight: Any) -> np.ndarray:
    """The weights of labels, of as many classes as there are weights; None: all are 1."""
    if weight is None:
        return np.ones(labels.shape)
    found = by_class(weight, (len(labels), len(np.atleast_1d(weight))))
    check_classes("y", labels, len(found), f"there are weights of {len(found)} classes")
    return found[labels]


def check_classes(name: str, labels: np.ndarray, classes: int, reason: str) -> None:
    """Whether labels are places of so many classes."""
    if labels.dtype.kind not in "iub" or (labels.size and not _inside(labels, classes)):
        raise ValueError(f"{name} must be labels from 0 to {classes - 1}, as {reason}")


def _inside(labels: np.ndarray, classes: int) -> bool:
    return bool(labels.min() >= 0 and labels.max() < classes)


def counted(
    labels: np.ndarray, weight: Any, ignore_index: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels, those that are ignored as 0, and the weight of each observation; None: all are 1."""
    ignored = labels == ignore_index
    if weight is None and not np.any(ignored):
        return labels, None
    labels = np.where(ignored, 0, labels)
    return labels, np.where(ignored, 0.0, by_label(labels, weight))


def smoothed(
    labels: np.ndarray, classes: int, weight: Any, ignore_index: int, smoothing: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """What a cross-entropy with label smoothing is of: targets, and weights as those of :func:`counted`.

    The classes' own weights are in the targets; an observation counts as its label does.

    # shapes: (n, classes), (n,)
    """
    places, weights = counted(labels, weight, ignore_index)
    check_classes("y", places, classes, f"the network has {classes} outputs")
    shares = (1.0 - smoothing) * (places[:, None] == np.arange(classes)) + smoothing / classes
    if weights is None:
        return shares, None
    each, ignored = by_class(weight, (len(labels), classes)), labels == ignore_index
    own = each[places]
    own = np.where(own > 0.0, own, _ALMOST_NOTHING)
    return shares * each / own[:, None], np.where(ignored, 0.0, own)


def shared(shares: np.ndarray, weight: Any, smoothing: float) -> np.ndarray:
    """Probabilities of classes as targets, likewise; all observations count alike.

    # shape: (n, classes)
    """
    classes = shares.shape[1]
    return ((1.0 - smoothing) * shares + smoothing / classes) * by_class(weight, shares.shape)


def weighted(answers: np.ndarray, weight: Any, pos_weight: Any = None) -> np.ndarray:
    """Targets from 0 to 1, and behind them a weight for each.

    With p for `pos_weight`, p y log σ(z) + (1 - y) log(1 - σ(z)) is the same of the target
    p y / (1 - y + p y), times the denominator as its weight.

    # shape: (n, 2 · outputs)
    """
    answers = np.asarray(answers, float)
    if ((answers < 0) | (answers > 1)).any():
        raise ValueError(
            f"y must be from 0 to 1, got values from {answers.min():g} to {answers.max():g}"
        )
    share = np.ones_like(answers)
    if pos_weight is not None:
        positive = _positive("pos_weight", pos_weight, answers.shape) * answers
        share = 1.0 - answers + positive
        answers = np.divide(positive, share, out=np.zeros_like(answers), where=share != 0.0)
    if weight is not None:
        share = share * _positive("weight", weight, answers.shape)
    n = len(answers)
    return np.concatenate([answers.reshape(n, -1), share.reshape(n, -1)], axis=1)


def _positive(name: str, weight: Any, shape: tuple[int, ...]) -> np.ndarray:
    found = np.asarray(weight, float)
    try:
        whole = np.broadcast_to(found, shape)
    except ValueError:
        raise ValueError(
            f"{name} of shape {found.shape} does not go with targets of {shape}"
        ) from None
    if not np.isfinite(found).all() or (found < 0).any():
        raise ValueError(f"{name} must be finite and at least 0, got {weight!r}")
    return whole

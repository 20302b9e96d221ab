"""Losses by their definitions, with the derivatives by their inputs; the values are PyTorch's means.

Every function returns the loss, a float, and its derivatives, of the shape and type of its first
argument. Arrays of a floating-point type are computed with in that type, all others in float64.
"""

from __future__ import annotations

import math

import numpy as np

from fastkb.reference.networks import _floating, sigmoid, softplus
from fastkb.reference.normalization import log_softmax, log_softmax_backward

# --- regression: outputs z and targets y of one shape --------------------------------------------


def mse_loss(z, y):
    """The mean of (z - y)² over all elements."""
    z, y = _outputs_and_targets(z, y)
    return _mean((z - y) ** 2, 2 * (z - y))


def l1_loss(z, y):
    """The mean of |z - y| over all elements, whose derivative is 0 where z = y."""
    z, y = _outputs_and_targets(z, y)
    return _mean(np.abs(z - y), np.sign(z - y))


def smooth_l1_loss(z, y, beta=1.0):
    """The mean of (z - y)² / (2 beta) where |z - y| < beta, else of |z - y| - beta / 2.

    Huber's loss over beta (Girshick 2015, equation 3); at beta = 0 it is `l1_loss`.
    """
    if beta < 0:
        raise ValueError(f"beta is at least 0, not {beta}")
    if beta == 0:
        return l1_loss(z, y)
    z, y = _outputs_and_targets(z, y)
    distance = np.abs(z - y)
    near = distance < beta
    losses = np.where(near, distance**2 / (2 * beta), distance - beta / 2)
    return _mean(losses, np.where(near, (z - y) / beta, np.sign(z - y)))


def huber_loss(z, y, delta=1.0):
    """The mean of (z - y)² / 2 where |z - y| < delta, else delta (|z - y| - delta / 2); Huber's."""
    if delta <= 0:
        raise ValueError(f"delta is above 0, not {delta}")
    value, derivatives = smooth_l1_loss(z, y, delta)
    return delta * value, delta * derivatives


def binary_cross_entropy(p, y, weight=None):
    """The mean of -weight (y log p + (1 - y) log(1 - p)), of probabilities p.

    Logarithms are -100 at least, and the derivatives weight (p - y) / (p (1 - p)) have denominators of
    1e-12 at least, as PyTorch's.

    Parameters
    ----------
    p, y : arrays of one shape
        From 0 to 1.
    weight : array that broadcasts against p, or None for 1
    """
    p, y = _outputs_and_targets(p, y)
    weight = np.asarray(1 if weight is None else weight, p.dtype)
    with np.errstate(divide="ignore"):  # of probabilities that are 0
        right, wrong = np.maximum(np.log(p), -100), np.maximum(np.log1p(-p), -100)
    slopes = (p - y) / np.maximum(p * (1 - p), 1e-12)
    return _mean(-weight * (y * right + (1 - y) * wrong), weight * slopes)


def binary_cross_entropy_with_logits(z, y, weight=None, pos_weight=None):
    """The mean of -weight (pos_weight y log σ(z) + (1 - y) log(1 - σ(z))), σ the sigmoid function.

    The mean is over the number of elements, whatever the weights.

    Parameters
    ----------
    z, y : arrays of one shape
        Logits, and targets in [0, 1].
    weight, pos_weight : arrays that broadcast against z, or None for 1
    """
    z, y = _outputs_and_targets(z, y)
    weight = np.asarray(1 if weight is None else weight, z.dtype)
    positive = y * np.asarray(1 if pos_weight is None else pos_weight, z.dtype)
    # -log σ(z) is softplus(-z), and -log(1 - σ(z)) softplus(z).
    losses = weight * (positive * softplus(-z) + (1 - y) * softplus(z))
    return _mean(losses, weight * ((1 - y) * sigmoid(z) - positive * sigmoid(-z)))


def _outputs_and_targets(z, y):
    z = _floating(z)
    y = np.asarray(y, z.dtype)
    if y.shape != z.shape:
        raise ValueError(f"outputs of shape {z.shape}, but targets of shape {y.shape}")
    return z, y


def _mean(losses, derivatives):
    return float(losses.mean()), derivatives / losses.size


# --- classification -----------------------------------------------------------------------------


def nll_loss(log_probabilities, labels, weight=None, ignore_index=-100):
    """-Σᵢ wᵢ log pᵢ / Σᵢ wᵢ, where log pᵢ is that of label i and wᵢ the weight of its class.

    Parameters
    ----------
    log_probabilities : array  # shape: (classes,), (n, classes) or (n, classes, …)
    labels : array of int, 0, …, classes - 1 or `ignore_index`  # shape: (), (n,) or (n, …)
    weight : array or None for 1  # shape: (classes,)
    ignore_index : int
        Labels that do not count. Where none counts the loss is NaN, as PyTorch's.
    """
    shares, has_weight = _shares(log_probabilities, labels, weight, ignore_index, smoothing=0.0)
    return _expected(_floating(log_probabilities), shares, has_weight), -shares


def cross_entropy(z, labels, weight=None, ignore_index=-100, label_smoothing=0.0):
    """-Σᵢ Σ_c w_c qᵢ_c log pᵢ_c / Σᵢ w_labelᵢ, where pᵢ is the softmax of zᵢ.

    qᵢ_c is label_smoothing / classes, and for c = labelᵢ 1 - label_smoothing more (Szegedy et al. 2016,
    section 7). Weights are inside of the sum over classes, but labels' alone are divided by, as in
    PyTorch's. Without smoothing this is `nll_loss` of log p.

    Parameters
    ----------
    z : array  # shape: (classes,), (n, classes) or (n, classes, …)
    labels, weight, ignore_index
        As in `nll_loss`.
    label_smoothing : float in [0, 1]
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is in [0, 1], not {label_smoothing}")
    shares, has_weight = _shares(z, labels, weight, ignore_index, label_smoothing)
    axis = _class_axis(shares)
    log_p = log_softmax(z, axis)
    return _expected(log_p, shares, has_weight), log_softmax_backward(-shares, log_p, axis)


def _shares(z, labels, weight, ignore_index, smoothing):
    """w_c qᵢ_c / Σᵢ w_labelᵢ, 0 for labels that are ignored, and whether the sum is above 0.

    Of the shape of z.
    """
    z, labels = _floating(z), np.asarray(labels)
    axis = _class_axis(z)
    classes = z.shape[axis]
    if labels.shape != z.shape[:axis] + z.shape[axis + 1 :]:
        raise ValueError(f"outputs of shape {z.shape}, but labels of shape {labels.shape}")
    counted = labels != ignore_index
    if np.any(counted & ((labels < 0) | (labels >= classes))):
        raise IndexError(f"a label outside of 0, …, {classes - 1}")
    weight = np.ones(classes, z.dtype) if weight is None else np.asarray(weight, z.dtype)
    # The classes are put last, where they broadcast, and moved to their axis in the end.
    chosen = labels[..., None] == np.arange(classes)
    q = (1 - smoothing) * chosen + smoothing / classes
    total = float(weight[labels[counted]].sum())
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 where nothing has a weight
        shares = np.where(counted[..., None] & (q > 0), weight * q / total, 0)
    return np.moveaxis(shares, -1, axis).astype(z.dtype), total > 0


def _expected(log_p, shares, has_weight):
    """-Σ shares log p, where a share of 0 of an event that cannot be adds nothing."""
    if not has_weight:
        return math.nan
    return -float(np.sum(shares * np.where(shares == 0, 0, log_p)))


def _class_axis(z):
    return min(1, z.ndim - 1)

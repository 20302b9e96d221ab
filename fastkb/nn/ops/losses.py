"""The losses: of the network's last outputs, with their derivatives.

All are means over observations, weighted if there are weights w: Σ wᵢ lᵢ / Σ wᵢ. Those of classes take
all outputs of an observation together; the others are means over outputs, too. Cross-entropies of logits
z are computed in forms that neither overflow nor cancel; their derivatives are a - y, divided by the
number of observations, for a = σ(z) and a = softmax(z).
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from fastkb.runtime import inline
from fastkb.scalar.elementary import exp_nonpositive
from fastkb.scalar.smooth import log, log_from_one


class Loss(IntEnum):
    """Codes of the losses; b is the number that goes with a loss."""

    SQUARED_ERROR = 0  # (z - y)²
    BINARY_CROSS_ENTROPY = 1  # log(1 + eᶻ) - y z
    CROSS_ENTROPY = 2  # log Σ_k e^(z_k) - z_y
    HALF_SQUARED_ERROR = 3  # (z - y)² / 2
    MEAN = 4  # z: of networks that compute their losses themselves
    SMOOTH_L1 = 5  # d² / (2 b) where |d| < b, else |d| - b / 2, of d = z - y
    HUBER = 6  # b times that
    SOFT_CROSS_ENTROPY = 7  # Σ_k y_k (log Σ_j e^(z_j) - z_k)
    LOG_CROSS_ENTROPY = 8  # -z_y: z are logarithms of probabilities
    # Of these the targets have twice as many columns: behind those of y those of weights w.
    WEIGHTED_BINARY_CROSS_ENTROPY = 9  # w (log(1 + eᶻ) - y z)
    PLAIN_BINARY_CROSS_ENTROPY = 10  # -w (y log z + (1 - y) log(1 - z)): z are probabilities


#: Losses whose outputs are of classes, one of which is right; and of things that are, or are not.
OF_CLASSES = "cross_entropy", "soft_cross_entropy", "log_cross_entropy"
OF_TWO = "binary_cross_entropy", "weighted_binary_cross_entropy", "plain_binary_cross_entropy"
#: Losses of labels, and of targets with weights of their own; all others are of targets.
OF_LABELS = "cross_entropy", "log_cross_entropy"
WITH_WEIGHTS = "weighted_binary_cross_entropy", "plain_binary_cross_entropy"


class NamedLoss(NamedTuple):
    """A loss that compiled code knows, and the number that goes with it."""

    name: str  # of a Loss, in lower case
    number: float = 0.0

    @property
    def code(self) -> int:
        """The compiled code's number of the loss."""
        return int(Loss[self.name.upper()])


def named(loss: str | NamedLoss) -> NamedLoss:
    """A loss by its name; one without a number may be the name alone."""
    return NamedLoss(loss) if isinstance(loss, str) else loss


class Answers(NamedTuple):
    """What the outputs of a batch should be."""

    targets: np.ndarray  # shape: (n, outputs); empty for labels
    labels: np.ndarray  # shape: (n,); empty for targets
    weights: np.ndarray  # shape: (n,), or (0,): all are one
    chosen: np.ndarray  # the batch's observations
    number: float = 0.0  # of the loss


class Outputs(NamedTuple):
    """Where the network's outputs stand, and their deltas: observation i at start + i·stride."""

    start: int
    stride: int
    columns: int
    padded: int  # the same, up to whole vectors


BINARY_CROSS_ENTROPY = int(Loss.BINARY_CROSS_ENTROPY)
CROSS_ENTROPY, HALF_SQUARED_ERROR = int(Loss.CROSS_ENTROPY), int(Loss.HALF_SQUARED_ERROR)
MEAN, SMOOTH_L1, HUBER = int(Loss.MEAN), int(Loss.SMOOTH_L1), int(Loss.HUBER)
SOFT_CROSS_ENTROPY = int(Loss.SOFT_CROSS_ENTROPY)
LOG_CROSS_ENTROPY = int(Loss.LOG_CROSS_ENTROPY)
WEIGHTED_BINARY_CROSS_ENTROPY = int(Loss.WEIGHTED_BINARY_CROSS_ENTROPY)
# Logarithms of probabilities, and products of p and 1 - p, are no less: as PyTorch has it.
LEAST_LOGARITHM, LEAST_PRODUCT = -100.0, 1e-12


@inline(references=False)
def _squared_error(z, y, deltas, at, row, outputs, factor):
    total = 0.0
    for j in range(outputs):
        difference = z[at + j] - y[row, j]
        deltas[at + j] = factor * difference
        total += difference * difference
    return total


@inline(references=False)
def _mean(z, deltas, at, outputs, factor):
    total = 0.0
    for j in range(outputs):
        deltas[at + j] = factor
        total += z[at + j]
    return total


@inline(references=False)
def _binary_cross_entropy(z, y, deltas, at, row, outputs, factor):
    total = 0.0
    for j in range(outputs):
        logit = z[at + j]
        small = exp_nonpositive(-abs(logit))
        probability = (z.dtype.type(1.0) if logit >= 0 else small) / (z.dtype.type(1.0) + small)
        deltas[at + j] = factor * (probability - y[row, j])
        # In this order: near the right answer the first two cancel without a rounding error.
        total += (max(logit, 0.0) - y[row, j] * logit) + math.log1p(small)
    return total


@inline(any_order=True, references=False)
def _sum(values):
    total = values.dtype.type(0.0)
    for j in range(len(values)):
        total += values[j]
    return total


@inline(references=False)
def _cross_entropy(z, label, deltas, at, outputs, factor):
    """The derivatives; the loss is the logarithm of the first number returned, and the second."""
    largest = z[at]
    for j in range(1, outputs.columns):
        largest = z[at + j] if z[at + j] > largest else largest
    # Whole vectors, padding included: the loops have no remainder. And no calls, which would cost more
    # than all else (of memset, if padding were cleared by itself).
    logits, parts = z[at : at + outputs.padded], deltas[at : at + outputs.padded]
    columns, zero = np.int32(outputs.columns), z.dtype.type(0.0)
    for j in range(len(parts)):
        below = logits[j] - largest
        part = exp_nonpositive(zero if below > zero else below)
        parts[j] = part if j < columns else zero
    total = _sum(parts)
    share = factor / total
    for j in range(len(parts)):
        parts[j] = parts[j] * share if j < columns else zero
    deltas[at + label] -= factor
    return total, largest - z[at + label]


# --- losses that are rarer ----------------------------------------------------------------------


@inline(references=False)
def _smooth_l1(z, y, deltas, at, row, outputs, factor, beta):
    one, half, bound, total = (
        z.dtype.type(1.0),
        z.dtype.type(0.5),
        z.dtype.type(beta),
        0.0,
    )
    for j in range(outputs):
        difference = z[at + j] - y[row, j]
        size = abs(difference)
        slope = one if difference > 0 else (-one if difference < 0 else difference)  # NaN stays
        loss = size - half * bound
        if size < bound:
            slope = difference / bound
            loss = half * difference * slope
        deltas[at + j] = factor * slope
        total += loss
    return total


@inline(references=False)
def _soft_cross_entropy(z, y, deltas, at, row, outputs, factor):
    zero, largest = z.dtype.type(0.0), z[at]
    for j in range(1, outputs):
        largest = z[at + j] if z[at + j] > largest else largest
    total, whole, apart = zero, zero, 0.0
    for j in range(outputs):
        below = z[at + j] - largest
        part = exp_nonpositive(zero if below > zero else below)
        deltas[at + j] = part
        total += part
        whole += y[row, j]
        apart -= y[row, j] * below
    share = whole / total
    for j in range(outputs):
        deltas[at + j] = factor * (share * deltas[at + j] - y[row, j])
    return whole * log_from_one(total) + apart


@inline(references=False)
def _log_cross_entropy(z, label, deltas, at, outputs, factor):
    for j in range(outputs):
        deltas[at + j] = 0.0
    deltas[at + label] = -factor
    return -z[at + label]


@inline(references=False)
def _weighted_binary_cross_entropy(z, y, deltas, at, row, outputs, factor):
    total = 0.0
    for j in range(outputs):
        logit, weight = z[at + j], y[row, outputs + j]
        small = exp_nonpositive(-abs(logit))
        probability = (z.dtype.type(1.0) if logit >= 0 else small) / (z.dtype.type(1.0) + small)
        deltas[at + j] = factor * weight * (probability - y[row, j])
        total += weight * ((max(logit, 0.0) - y[row, j] * logit) + math.log1p(small))
    return total


@inline(references=False)
def _plain_binary_cross_entropy(z, y, deltas, at, row, outputs, factor):
    one, least = z.dtype.type(1.0), z.dtype.type(LEAST_PRODUCT)
    total = 0.0
    for j in range(outputs):
        p, answer, weight = z[at + j], y[row, j], y[row, outputs + j]
        product = p * (one - p)
        product = least if product < least else product
        deltas[at + j] = factor * weight * ((p - answer) / product)
        right, wrong = log(p), math.log1p(-p)
        right = LEAST_LOGARITHM if right < LEAST_LOGARITHM else right
        wrong = LEAST_LOGARITHM if wrong < LEAST_LOGARITHM else wrong
        total -= weight * (answer * right + (one - answer) * wrong)
    return total


@inline(references=False)
def _rarer(code, outputs, answers, share, span, scratch):
    """What :func:`losses_and_deltas` does, of the codes beyond :data:`MEAN`."""
    values, deltas, losses = scratch.values, scratch.deltas, scratch.losses
    kind, columns, targets = values.dtype.type, outputs.columns, answers.targets
    for i in range(span.begin, min(span.stop, len(answers.chosen))):
        at, row = outputs.start + i * outputs.stride, answers.chosen[i]
        weight = share * answers.weights[row] if len(answers.weights) > 0 else share
        factor = kind(weight)
        if code in (SMOOTH_L1, HUBER):
            loss = _smooth_l1(values, targets, deltas, at, row, columns, factor, answers.number)
        elif code == SOFT_CROSS_ENTROPY:
            loss = _soft_cross_entropy(values, targets, deltas, at, row, columns, factor)
        elif code == LOG_CROSS_ENTROPY:
            loss = _log_cross_entropy(values, answers.labels[row], deltas, at, columns, factor)
        elif code == WEIGHTED_BINARY_CROSS_ENTROPY:
            loss = _weighted_binary_cross_entropy(values, targets, deltas, at, row, columns, factor)
        else:
            loss = _plain_binary_cross_entropy(values, targets, deltas, at, row, columns, factor)
        losses[i] = weight * loss


# --- all of them --------------------------------------------------------------------------------


@inline(references=False)
def share_of_one(code, outputs, answers):
    """What a weight of one counts in the mean over a batch."""
    whole = float(len(answers.chosen))
    if len(answers.weights) > 0:
        whole = 0.0
        for i in range(len(answers.chosen)):
            whole += answers.weights[answers.chosen[i]]
    share = 1.0 / whole if whole > 0.0 else 0.0
    if code != CROSS_ENTROPY and code != SOFT_CROSS_ENTROPY and code != LOG_CROSS_ENTROPY:
        share /= outputs.columns
    if code == HALF_SQUARED_ERROR:
        share *= 0.5
    if code == HUBER:
        share *= answers.number
    return share


@inline(references=False)
def losses_and_deltas(code, outputs, answers, share, span, scratch):
    """Each observation's part of the loss; its derivatives in the outputs go to ``scratch.deltas``.

    For the observations of a batch from `span.begin` to `span.stop`, as far as there are any. The sum of
    all ``scratch.losses`` is the batch's.
    """
    if code > MEAN:
        _rarer(code, outputs, answers, share, span, scratch)
        return
    values, deltas, losses, room = scratch.values, scratch.deltas, scratch.losses, scratch.room
    kind = values.dtype.type
    weighted = len(answers.weights) > 0
    end = min(span.stop, len(answers.chosen))
    for i in range(span.begin, end):
        at, row = outputs.start + i * outputs.stride, answers.chosen[i]
        weight = share * answers.weights[row] if weighted else share
        if code == CROSS_ENTROPY:
            room[i], losses[i] = _cross_entropy(
                values, answers.labels[row], deltas, at, outputs, kind(weight)
            )
        elif code == BINARY_CROSS_ENTROPY:
            losses[i] = weight * _binary_cross_entropy(
                values, answers.targets, deltas, at, row, outputs.columns, kind(weight)
            )
        elif code == MEAN:
            losses[i] = weight * _mean(values, deltas, at, outputs.columns, kind(weight))
        else:
            losses[i] = weight * _squared_error(
                values, answers.targets, deltas, at, row, outputs.columns, kind(2.0 * weight)
            )
    if code == CROSS_ENTROPY:
        logarithms = room[span.begin : end]
        for k in range(len(logarithms)):
            logarithms[k] = log_from_one(logarithms[k])
        for i in range(span.begin, end):
            weight = share * answers.weights[answers.chosen[i]] if weighted else share
            losses[i] = weight * (room[i] + losses[i])

"""The losses: of the network's last outputs, with their derivatives.

All are means over observations, weighted if there are weights w: Σ wᵢ lᵢ / Σ wᵢ. With several outputs,
squared error and binary cross-entropy are means over them too. Both cross-entropies are computed from
logits z, in forms that neither overflow nor cancel; their derivatives are a - y, divided by the number of
observations, for a = σ(z) and a = softmax(z).
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from fastkb.runtime import inline
from fastkb.scalar.elementary import exp_nonpositive
from fastkb.scalar.smooth import log_from_one


class Loss(IntEnum):
    """Codes of the losses."""

    SQUARED_ERROR = 0  # (z - y)²
    BINARY_CROSS_ENTROPY = 1  # log(1 + eᶻ) - y z
    CROSS_ENTROPY = 2  # log Σ_k e^(z_k) - z_y
    HALF_SQUARED_ERROR = 3  # (z - y)² / 2
    MEAN = 4  # z: of networks that compute their losses themselves


class Answers(NamedTuple):
    """What the outputs of a batch should be."""

    targets: np.ndarray  # shape: (n, outputs); empty for labels
    labels: np.ndarray  # shape: (n,); empty for targets
    weights: np.ndarray  # shape: (n,), or (0,): all are one
    chosen: np.ndarray  # the batch's observations


class Outputs(NamedTuple):
    """Where the network's outputs stand, and their deltas: observation i at start + i·stride."""

    start: int
    stride: int
    columns: int
    padded: int  # the same, up to whole vectors


BINARY_CROSS_ENTROPY = int(Loss.BINARY_CROSS_ENTROPY)
CROSS_ENTROPY, HALF_SQUARED_ERROR = int(Loss.CROSS_ENTROPY), int(Loss.HALF_SQUARED_ERROR)
MEAN = int(Loss.MEAN)


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


@inline(references=False)
def share_of_one(code, outputs, answers):
    """What a weight of one counts in the mean over a batch."""
    whole = float(len(answers.chosen))
    if len(answers.weights) > 0:
        whole = 0.0
        for i in range(len(answers.chosen)):
            whole += answers.weights[answers.chosen[i]]
    share = 1.0 / whole if whole > 0.0 else 0.0
    if code != CROSS_ENTROPY:
        share /= outputs.columns
    if code == HALF_SQUARED_ERROR:
        share *= 0.5
    return share


@inline(references=False)
def losses_and_deltas(code, outputs, answers, share, span, scratch):
    """Each observation's part of the loss; its derivatives in the outputs go to ``scratch.deltas``.

    For the observations of a batch from `span.begin` to `span.stop`, as far as there are any. The sum of
    all ``scratch.losses`` is the batch's.
    """
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

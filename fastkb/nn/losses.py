"""The losses: of the network's last outputs, with their derivatives.

All are means over observations, weighted if there are weights w: Σ wᵢ lᵢ / Σ wᵢ. With several outputs,
squared error and binary cross-entropy are means over them too. Both cross-entropies are computed from
logits z, in forms that neither overflow nor cancel; their derivatives are a - y, divided by the number of
observations, for a = σ(z) and a = softmax(z).
"""

from __future__ import annotations

import math
from enum import IntEnum

from fastkb.runtime import inline
from fastkb.scalar.elementary import exp_nonpositive


class Loss(IntEnum):
    """Codes of the losses."""

    SQUARED_ERROR = 0  # (z - y)²
    BINARY_CROSS_ENTROPY = 1  # log(1 + eᶻ) - y z
    CROSS_ENTROPY = 2  # log Σ_k e^(z_k) - z_y
    HALF_SQUARED_ERROR = 3  # (z - y)² / 2


BINARY_CROSS_ENTROPY = int(Loss.BINARY_CROSS_ENTROPY)
CROSS_ENTROPY, HALF_SQUARED_ERROR = int(Loss.CROSS_ENTROPY), int(Loss.HALF_SQUARED_ERROR)


@inline
def _squared_error(z, y, deltas, at, row, outputs, factor):
    total = 0.0
    for j in range(outputs):
        difference = z[at + j] - y[row, j]
        deltas[at + j] = factor * difference
        total += difference * difference
    return total


@inline
def _binary_cross_entropy(z, y, deltas, at, row, outputs, factor):
    total = 0.0
    for j in range(outputs):
        logit = z[at + j]
        small = exp_nonpositive(-abs(logit))
        probability = (z.dtype.type(1.0) if logit >= 0 else small) / (z.dtype.type(1.0) + small)
        deltas[at + j] = factor * (probability - y[row, j])
        # (In this order: near the right answer the first two cancel without a rounding error.)
        total += (max(logit, 0.0) - y[row, j] * logit) + math.log1p(small)
    return total


@inline
def _cross_entropy(z, label, deltas, at, outputs, factor):
    largest = z[at]
    for j in range(1, outputs):
        largest = max(largest, z[at + j])
    total = z.dtype.type(0.0)
    for j in range(outputs):
        deltas[at + j] = exp_nonpositive(z[at + j] - largest)
    for j in range(outputs):
        total += deltas[at + j]
    part = factor / total
    for j in range(outputs):
        deltas[at + j] *= part
    deltas[at + label] -= factor
    return math.log(total) + (largest - z[at + label])


@inline
def loss_and_deltas(code, last, values, deltas, targets, labels, weights, chosen, capacity):
    """The loss of a batch; its derivatives with respect to the last outputs go to `deltas`.

    `chosen` are the observations; `last` is the program's last row. Of `targets` (n, outputs) and
    `labels` (n,) the one that the loss needs is read; `weights` (n,) may be empty: all are one.
    """
    kind = values.dtype.type
    start, stride, outputs = last.target * capacity, last.target_stride, last.outputs
    weighted = len(weights) > 0
    whole = float(len(chosen))
    if weighted:
        whole = 0.0
        for i in range(len(chosen)):
            whole += weights[chosen[i]]
    share = 1.0 / whole if whole > 0.0 else 0.0
    if code != CROSS_ENTROPY:
        share /= outputs
    if code == HALF_SQUARED_ERROR:
        share *= 0.5
    total = 0.0
    for i in range(len(chosen)):
        at, row = start + i * stride, chosen[i]
        weight = share * weights[row] if weighted else share
        if code == CROSS_ENTROPY:
            total += weight * _cross_entropy(values, labels[row], deltas, at, outputs, kind(weight))
        elif code == BINARY_CROSS_ENTROPY:
            total += weight * _binary_cross_entropy(
                values, targets, deltas, at, row, outputs, kind(weight)
            )
        else:
            total += weight * _squared_error(
                values, targets, deltas, at, row, outputs, kind(2.0 * weight)
            )
    return total

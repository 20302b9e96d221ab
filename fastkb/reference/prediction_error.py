"""Bootstrap estimates of prediction error by their definitions, loop by loop."""

from __future__ import annotations

import math


def squared_error(y, prediction):
    """(y - f)², averaged over targets where there are several."""
    try:
        pairs = list(zip(y, prediction, strict=True))
    except TypeError:
        pairs = [(y, prediction)]
    return math.fsum((float(a) - float(b)) ** 2 for a, b in pairs) / len(pairs)


def zero_one(y, prediction):
    """1 for a wrong label, 0 for the right one."""
    return 0.0 if y == prediction else 1.0


def training_error(y, fitted, loss):
    """Mean loss of the model at the observations that it was fitted on."""
    return math.fsum(loss(y[i], fitted[i]) for i in range(len(y))) / len(y)


def leave_one_out_bootstrap(y, predictions, weights, loss):
    """Err^(1), and how many observations no replicate has left out (Efron & Tibshirani 1997, eq. 17).

    `predictions[b][i]` is replicate b's at observation i, which it contains `weights[b][i]` times.
    """
    means, never = [], 0
    for i in range(len(y)):
        losses = [loss(y[i], f[i]) for f, w in zip(predictions, weights, strict=True) if w[i] == 0]
        if losses:
            means.append(math.fsum(losses) / len(losses))
        else:
            never += 1
    return math.fsum(means) / len(means), never


def no_information(y, fitted, loss):
    """γ: the mean loss over all pairs of an observation and a prediction."""
    return math.fsum(loss(a, f) for a in y for f in fitted) / len(y) ** 2


def err632(training, out_of_bag):
    """Efron's (1983) weighted mean."""
    return 0.368 * training + 0.632 * out_of_bag


def err632plus(training, out_of_bag, gamma):
    """(.632+ estimate, relative overfitting R) of Efron and Tibshirani (1997), eq. 28 and 32."""
    capped = min(out_of_bag, gamma)
    if out_of_bag > training and gamma > training:
        relative = (capped - training) / (gamma - training)
    else:
        relative = 0.0
    shift = (capped - training) * 0.368 * 0.632 * relative / (1 - 0.368 * relative)
    return err632(training, out_of_bag) + shift, relative

"""What multi-layer perceptrons of scikit-learn's interface minimise, and in which parameters.

Of m outputs, scikit-learn follows the gradient of the sum over outputs, and the engine's losses are means
over them. So the engine's loss is minimised with the penalty alpha/m.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.observations import Observations
from fastkb.nn.ops.layers import Identity, Linear, ReLU, Sigmoid, Tanh
from fastkb.nn.program.engine import Engine
from fastkb.runtime.memory import require

_ACTIVATIONS = {"identity": Identity, "logistic": Sigmoid, "tanh": Tanh, "relu": ReLU}
_LOSSES = {
    "identity": "half_squared_error",
    "logistic": "binary_cross_entropy",
    "softmax": "cross_entropy",
}


def draw(
    random: np.random.RandomState, widths: Sequence[int], activation: str, dtype: np.dtype
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """First coefficients and intercepts, the same as scikit-learn draws.

    Even from -r to r, r² = 6/(inputs + outputs), or 2/(inputs + outputs) for the logistic function
    (Glorot, Bengio 2010), layer by layer.

    Parameters
    ----------
    random : numpy.random.RandomState
    widths : sequence of int
        Of the inputs, the hidden layers and the outputs.
    activation : str
    dtype : numpy.dtype
    """
    coefs, intercepts = [], []
    # Drawn in float64, and put into the engine's form besides.
    size = sum(inputs * outputs for inputs, outputs in pairwise(widths))
    itemsize = np.dtype(dtype).itemsize
    require(size * (8 + itemsize), "a network of these hidden_layer_sizes")
    for inputs, outputs in pairwise(widths):
        r = np.sqrt((2.0 if activation == "logistic" else 6.0) / (inputs + outputs))
        coefs.append(random.uniform(-r, r, (inputs, outputs)).astype(dtype, copy=False))
        intercepts.append(random.uniform(-r, r, outputs).astype(dtype, copy=False))
    return coefs, intercepts


def make_engine(shapes: Sequence[tuple[int, ...]], activation: str, dtype: np.dtype) -> Engine:
    """The engine of a network with coefficients of these shapes, whose outputs are linear."""
    layers: list[Any] = []
    for inputs, outputs in shapes:
        layers += [Linear(inputs, outputs), _ACTIVATIONS[activation]()]
    return Engine(layers[:-1], dtype)


@functools.lru_cache(maxsize=4)
def evaluator(shapes: tuple[tuple[int, ...], ...], activation: str, dtype: np.dtype) -> Engine:
    """An engine of :func:`make_engine`, kept with its scratch for the next predictions.

    Making both anew would take longer than to predict a thousand small observations.
    """
    return make_engine(shapes, activation, dtype)


def pack(
    engine: Engine, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]
) -> np.ndarray:
    """Coefficients and intercepts in the engine's form.  # shape: (parameters,)"""
    buffer = engine.empty_state(1, False, False).parameters[0]
    for place, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
        engine.put(f"{2 * place}.weight", coef.T, buffer)
        engine.put(f"{2 * place}.bias", intercept, buffer)
    return buffer


def unpack(engine: Engine, buffer: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Coefficients and intercepts out of the engine's form: copies."""
    found = engine.take(buffer)
    coefs = [np.ascontiguousarray(each.T) for name, each in found.items() if "weight" in name]
    return coefs, [each for name, each in found.items() if "bias" in name]


class Objective(NamedTuple):
    """What is minimised: `scale` times the engine's loss of the data, its penalty included."""

    engine: Engine
    data: Observations
    loss: str  # the engine's
    penalty: float  # of the sum over all observations
    scale: int

    @property
    def reported(self) -> int:
        """The factor of the engine's loss in `loss_`: squared errors are means over outputs there."""
        return 1 if self.loss == "half_squared_error" else self.scale


def make_objective(
    engine: Engine,
    X: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None,
    out_activation: str,
    alpha: float,
) -> Objective:
    """The objective of checked data.

    Parameters
    ----------
    engine : Engine
    X : ndarray of shape (n, inputs)
    targets : ndarray of shape (n, outputs)
        For "softmax" one is true in each row.
    weights : ndarray of shape (n,) or (members, n), or None
    out_activation : {"identity", "logistic", "softmax"}
    alpha : float
    """
    dtype, outputs = engine.dtype, targets.shape[1]
    labels = np.zeros(0, np.int64)
    scale = outputs
    if out_activation == "softmax":
        labels = targets.argmax(axis=1).astype(np.int64, copy=False)
        targets, scale = np.zeros((0, outputs)), 1
    data = Observations(
        np.ascontiguousarray(X, dtype),
        np.ascontiguousarray(targets, dtype),
        labels,
        np.zeros(0, dtype) if weights is None else np.ascontiguousarray(weights, dtype),
    )
    return Objective(engine, data, _LOSSES[out_activation], float(alpha) / scale, scale)

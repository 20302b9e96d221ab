"""What multi-layer perceptrons of scikit-learn's interface compute: its parameters, steps and orders.

Of m outputs, scikit-learn follows the gradient of the sum over outputs, and the engine's losses are means
over them. So the engine's loss is minimised with the penalty alpha/m and m times the learning rate; Adam,
whose steps do not depend on the gradient's scale, takes epsilon/m instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.engine import Engine
from fastkb.nn.fitting import Fit, Pace, train_epoch
from fastkb.nn.layers import Identity, Linear, ReLU, Sigmoid, Tanh
from fastkb.nn.optimizers import SGD, Adam, Optimizer
from fastkb.nn.training import State
from fastkb.validation.networks import Observations

_ACTIVATIONS = {"identity": Identity, "logistic": Sigmoid, "tanh": Tanh, "relu": ReLU}
_LOSSES = {
    "identity": "half_squared_error",
    "logistic": "binary_cross_entropy",
    "softmax": "cross_entropy",
}

# The learning rate is not followed below this part of its first value. What was collected with the larger
# rate is divided by the smaller one, and must not overflow; such steps change no parameter any more.
_SMALLEST_RATE = 1e-30


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
    for inputs, outputs in pairwise(widths):
        r = np.sqrt((2.0 if activation == "logistic" else 6.0) / (inputs + outputs))
        coefs.append(random.uniform(-r, r, (inputs, outputs)).astype(dtype, copy=False))
        intercepts.append(random.uniform(-r, r, outputs).astype(dtype, copy=False))
    return coefs, intercepts


def make_engine(coefs: Sequence[np.ndarray], activation: str, dtype: np.dtype) -> Engine:
    """The engine of a network with coefficients of these shapes, whose outputs are linear."""
    layers: list[Any] = []
    for coef in coefs:
        layers += [Linear(*coef.shape), _ACTIVATIONS[activation]()]
    return Engine(layers[:-1], dtype)


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
    weights : ndarray of shape (n,) or None
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


@dataclass(frozen=True)
class _Momentum(SGD):
    """Momentum that has been checked already, and may be 1."""

    def __post_init__(self) -> None:
        pass


@dataclass
class Descent:
    """A stochastic solver between two epochs: its learning rate, and what it remembers of gradients.

    It remembers by the names of :meth:`Engine.take`, not in the engine's form, which differs between
    processors: a pickle is trained on wherever it is loaded.
    """

    rule: Optimizer
    schedule: str
    power_t: float
    learning_rate_init: float
    learning_rate: float
    rate_of_first: float  # which the momentum is to be multiplied by
    updates: int = 0
    first: dict[str, np.ndarray] = field(default_factory=dict)
    second: dict[str, np.ndarray] = field(default_factory=dict)

    def end_epoch(self, seen: int) -> None:
        """Change the learning rate as scheduled, after so many observations in all."""
        if self.schedule == "invscaling":
            self.learning_rate = self.learning_rate_init / (seen + 1) ** self.power_t

    def ends(self) -> str:
        """What to do when there has been no progress for long: why training ends, or nothing."""
        if self.schedule != "adaptive":
            return "Training ends"
        if self.learning_rate <= 1e-6:
            return "The learning rate is small enough. Training ends"
        self.learning_rate /= 5.0
        return ""


def make_descent(parameters: dict[str, Any], scale: int) -> Descent:
    """A solver that has done nothing yet, from an estimator's parameters.

    Parameters
    ----------
    parameters : dict
        By scikit-learn's names.
    scale : int
        Of the :class:`Objective`.
    """
    lr = float(parameters["learning_rate_init"])
    if parameters["solver"] == "adam":
        betas = float(parameters["beta_1"]), float(parameters["beta_2"])
        rule: Optimizer = Adam(lr, betas, parameters["epsilon"] / scale)
        return Descent(rule, "constant", 0.0, lr, lr, lr)
    momentum = float(parameters["momentum"])
    rule = _Momentum(lr * scale, momentum, bool(parameters["nesterovs_momentum"]))
    schedule, power_t = parameters["learning_rate"], float(parameters["power_t"])
    return Descent(rule, schedule, power_t, lr, lr, lr)


class Training:
    """A stochastic solver at work on an objective.

    Parameters
    ----------
    descent : Descent
        Goes on from where it is.
    objective : Objective
    parameters : ndarray of shape (parameters,)
        In the engine's form; changed in place.
    batch_size : int
    """

    def __init__(
        self, descent: Descent, objective: Objective, parameters: np.ndarray, batch_size: int
    ) -> None:
        engine, rule = objective.engine, descent.rule
        empty = engine.empty_state(1, rule.uses_first, rule.uses_second)
        self._state = State(parameters[None, :], empty.first, empty.second)
        for remembered, buffers in ((descent.first, empty.first), (descent.second, empty.second)):
            for name, value in remembered.items():
                engine.put(name, value, buffers[0])
        self._descent, self._objective, self._batch_size = descent, objective, batch_size
        # (Of Adam's two rates, that of its `rule` is the objective's.)
        self._scale = objective.scale if isinstance(rule, SGD) else 1
        pace = Pace(engine.work(batch_size))
        self._job = Fit(
            engine, rule, objective.loss, objective.penalty,
            1, batch_size, False, None, (), False, pace, True,
        )  # fmt: skip

    def epoch(self, order: np.ndarray) -> float:
        """Take the observations in this order; the mean of the steps' losses.

        Raises
        ------
        Diverged
            If a loss is not finite.
        """
        rate = self._rate()
        if len(self._objective.data.weights):
            total = self._weighted(order, rate)
        else:
            total = self._steps(self._job, order, rate)
        return self._objective.reported * total / len(order)

    def _rate(self) -> float:
        """The learning rate; the momentum is put in terms of it.

        (With scikit-learn the momentum is one of steps, which have been multiplied by the rate of their
        time. Here it is one of gradients.)
        """
        descent = self._descent
        rate = max(descent.learning_rate, _SMALLEST_RATE * descent.learning_rate_init)
        if rate != descent.rate_of_first:
            self._state.first[...] *= descent.rate_of_first / rate
            descent.rate_of_first = rate
        return rate * self._scale

    def _steps(self, job: Fit, order: np.ndarray, rate: float) -> float:
        """Sum over the steps of loss times observations."""
        total = 0.0
        descent, data = self._descent, self._objective.data
        parts = train_epoch(job, data, self._state, order[None, :], rate, descent.updates)
        for part, steps in parts:
            total += float(part[0])
            descent.updates += steps
        return total

    def _weighted(self, order: np.ndarray, rate: float) -> float:
        """An epoch with weights, step by step: each divides the penalty by the weights of its batch.

        A batch without any weight is passed over, as if its observations were not there.
        """
        total, weights = 0.0, self._objective.data.weights
        for begin in range(0, len(order), self._batch_size):
            chosen = order[begin : begin + self._batch_size]
            weight = float(weights[chosen].sum())
            if weight > 0.0:
                job = self._job._replace(l2=self._objective.penalty / weight, l2_shared=False)
                total += self._steps(job, chosen, rate)
        return total

    def close(self) -> None:
        """Have the solver remember the gradients, for another training."""
        rule, take = self._descent.rule, self._objective.engine.take
        self._descent.first = take(self._state.first[0]) if rule.uses_first else {}
        self._descent.second = take(self._state.second[0]) if rule.uses_second else {}


class Minimum(NamedTuple):
    """What L-BFGS found."""

    loss: float
    n_iter: int
    message: str  # why it is none; empty if it is one
    interrupted: bool


def minimize(
    objective: Objective,
    parameters: np.ndarray,
    *,
    tol: float,
    max_iter: int,
    max_fun: int,
    each: Callable[[int, float], None] | None = None,
) -> Minimum:
    """Minimise over all observations together by L-BFGS (Byrd, Lu, Nocedal, Zhu 1995).

    Parameters
    ----------
    objective : Objective
        In float64.
    parameters : ndarray of shape (parameters,)
        In the engine's form; changed in place.
    tol : float
        Bound of the gradient's elements.
    max_iter, max_fun : int
        Iterations and evaluations at most.
    each : callable, optional
        Told the number and the loss of every iteration. A KeyboardInterrupt ends with the parameters
        of the last.
    """
    import scipy.optimize

    engine, data, scale = objective.engine, objective.data, objective.scale
    l2 = objective.penalty / float(data.weights.sum() if len(data.weights) else len(data.inputs))
    factor = objective.reported / scale
    last = [np.nan]
    done = 0

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradients = engine.loss_and_gradients(x, data, objective.loss, l2)
        return scale * value, scale * gradients

    def accepted(intermediate_result: Any) -> None:
        nonlocal done
        parameters[:], last[0] = intermediate_result.x, factor * intermediate_result.fun
        done += 1
        if each is not None:
            each(done, last[0])

    options = {"maxfun": max_fun, "maxiter": max_iter, "gtol": tol}
    try:
        found = scipy.optimize.minimize(
            evaluate, parameters.copy(), method="L-BFGS-B", jac=True, options=options,
            callback=accepted,
        )  # fmt: skip
    except KeyboardInterrupt:
        return Minimum(last[0], done, "interrupted", True)
    parameters[:] = found.x
    message = "" if found.status == 0 else str(found.message)
    return Minimum(factor * float(found.fun), min(int(found.nit), max_iter), message, False)

"""L-BFGS for multi-layer perceptrons: all observations together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.perceptron.objective import Objective


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

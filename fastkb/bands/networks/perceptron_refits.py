"""Bands of multi-layer perceptrons: the replicates are trained side by side, in compiled code."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from fastkb.bands.models.models import (
    GivenData,
    Model,
    Prediction,
    columns_of_classes,
    failed,
    random_states,
    weighted_by,
)
from fastkb.bands.models.refits import Draws, Refits, collect, on_all_data
from fastkb.checks.weights import check_sample_weight
from fastkb.runtime.callers import stacklevel
from fastkb.runtime.progress import ProgressLike
from fastkb.runtime.threads import n_threads
from fastkb.storage.checkpoint import Checkpoint

SIDE_BY_SIDE = (
    "all replicates are trained side by side, on weights; solver='weights' refits one by one"
)


def refit_side_by_side(
    model: Model,
    data: GivenData,
    draws: Draws,
    n_resamples: int,
    out_of_bag: str,
    checkpoint: Checkpoint | None,
    progress: ProgressLike,
) -> Refits:
    """:func:`fastkb.bands.models.refits.refit` for perceptrons.

    A replicate is what the estimator's own fit makes of all rows and the replicate's weights.

    Parameters
    ----------
    model : Model
        Whose estimator is a perceptron.
    data, n_resamples, out_of_bag, checkpoint, progress
        As there.
    draws : Draws
        Weights.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If `max_iter` ended the training of a replicate.
    """
    from sklearn.exceptions import ConvergenceWarning

    from fastkb.nn.training.members import Groups

    start = time.perf_counter()
    center = on_all_data(model, data, bool(out_of_bag))
    groups = Groups(len(data.y), (time.perf_counter() - start) / n_threads())
    side_by_side = _SideBySide(model, data, bool(out_of_bag))
    assert draws.weights is not None
    weights: Callable[[int, int], np.ndarray] = draws.weights
    n_trained = n_unfinished = 0

    def predict(done: int) -> Generator[list[Prediction], None, None]:
        nonlocal n_trained, n_unfinished
        for first, count in groups(done, n_resamples):
            predictions, unfinished = side_by_side.predict(first, weights(first, count))
            n_trained += count
            n_unfinished += unfinished
            yield predictions

    refits = collect(predict, center, data.y, n_resamples, out_of_bag, checkpoint, progress)
    if n_unfinished:
        warnings.warn(
            f"{n_unfinished} of {n_trained} replicates have not converged after "
            f"max_iter={model.estimator.max_iter} epochs",
            ConvergenceWarning,
            stacklevel=stacklevel(),
        )
    return refits


class _SideBySide:
    """A perceptron that has seen the data, and what it is asked for.

    Parameters
    ----------
    model : Model
    data : GivenData
    out_of_bag : bool
        Whether predictions at the rows that a replicate left out are wanted.
    """

    def __init__(self, model: Model, data: GivenData, out_of_bag: bool) -> None:
        from fastkb.nn.perceptron.stochastic import read_rows

        self._model, self._out_of_bag = model, out_of_bag
        self._template, self._rows = read_rows(model.estimator, data.X, data.y)
        self._points = self._template._read_inputs(data.X_eval)
        weight = (model.fit_params or {}).get("sample_weight")
        self._weight = check_sample_weight(weight, len(self._rows.X))

    def predict(self, first: int, weights: np.ndarray) -> tuple[list[Prediction], int]:
        """Replicates `first`, `first` + 1, …, and how many of them have not converged.

        Parameters
        ----------
        first : int
        weights : ndarray
            Of the replicates.  # shape: (count, n)
        """
        from fastkb.nn.perceptron.stochastic import floating, train_members

        model, rows = self._model, self._rows
        each = weighted_by(np.asarray(weights, np.float64), self._weight)
        for member, row in enumerate(each):
            try:
                check_sample_weight(row, len(row))
            except ValueError as error:
                raise failed(model, first + member, error) from error
        runners = train_members(
            self._template, rows._replace(weights=each), self._seeds(first, each)
        )
        lead = runners[0].model
        at_points = lead._engine(floating(np.result_type(self._points.dtype, rows.X.dtype)))
        at_data = lead._engine(floating(rows.X.dtype))
        predictions = []
        for member, runner in enumerate(runners):
            if runner.failure is not None:
                raise failed(model, first + member, runner.failure) from runner.failure
            fitted = runner.model
            answers = fitted._answers(fitted._outputs(self._points, at_points), model.response)
            values = columns_of_classes(model, fitted, answers)
            out = at_out = None
            if self._out_of_bag:
                out = np.flatnonzero(weights[member] == 0)
            if out is not None and len(out):
                at_out = fitted._answers(fitted._outputs(rows.X[out], at_data), "predict")
            predictions.append(Prediction(values, out, at_out))
        return predictions, sum(not runner.is_over for runner in runners)

    def _seeds(self, first: int, weights: np.ndarray) -> list[Any]:
        """The replicates' `random_state`: the user's number, or one that depends on the replicate."""
        given, key = self._model.estimator.random_state, self._model.key
        if given is None or isinstance(given, np.random.RandomState):
            return [random_states(key, first + b, 1)[0] for b in range(len(weights))]
        return [given] * len(weights)

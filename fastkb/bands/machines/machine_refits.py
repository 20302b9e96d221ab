"""Bands of support vector machines: the replicates are solved side by side, on one kernel matrix."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from fastkb.bands.models.models import GivenData, Model, Prediction
from fastkb.bands.models.refits import Draws, Refits, collect, on_all_data
from fastkb.runtime.callers import stacklevel
from fastkb.runtime.progress import ProgressLike
from fastkb.storage.checkpoint import Checkpoint

# Replicates of a batch: between two Ctrl-C is answered.
_TOGETHER = 32


def why_not_on_one_matrix(estimator: Any, X: Any, y: Any) -> str:
    """Why the replicates of a machine are fitted one by one; "" if they are not."""
    from sklearn.base import is_classifier

    from fastkb.svm.estimators.resampled import why_not

    n_classes = len(np.unique(np.asarray(y))) if is_classifier(estimator) else None
    return why_not(estimator, X, len(y), n_classes)


def is_machine(estimator: Any) -> bool:
    """Whether it is one of fastkb's support vector machines."""
    from fastkb.svm.estimators.machine import Machine

    return isinstance(estimator, Machine)


def refit_on_one_matrix(
    model: Model,
    data: GivenData,
    draws: Draws,
    n_resamples: int,
    out_of_bag: str,
    checkpoint: Checkpoint | None,
    progress: ProgressLike,
) -> tuple[Refits, str]:
    """:func:`fastkb.bands.models.refits.refit` for support vector machines, and how it was done.

    A replicate is the machine of all rows with the replicate's weights and the kernel of the fit to all
    data; it begins with that fit's coefficients.

    Parameters
    ----------
    model : Model
        Whose estimator is an SVC or an SVR.
    data, n_resamples, out_of_bag, checkpoint, progress
        As there.
    draws : Draws
        Weights.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If `max_iter` ended the fit of a replicate.
    UserWarning
        If resamples of a classifier had one class alone.
    """
    from sklearn.exceptions import ConvergenceWarning

    from fastkb.svm.estimators.resampled import Resampled

    center = on_all_data(model, data, bool(out_of_bag))
    weight = (model.fit_params or {}).get("sample_weight")
    machine = Resampled(model.estimator, data.X, data.y, weight)
    assert draws.weights is not None
    weights: Callable[[int, int], np.ndarray] = draws.weights
    n_solved = n_lost = n_unfinished = 0

    def predict(done: int) -> Generator[list[Prediction], None, None]:
        nonlocal n_solved, n_lost, n_unfinished
        for first in range(done, n_resamples, _TOGETHER):
            each = weights(first, min(_TOGETHER, n_resamples - first))
            functions = machine.fit(np.asarray(each, np.float64))
            values = machine.values(functions, data.X_eval)
            at_rows = machine.answers(machine.values_at_rows(functions)) if out_of_bag else None
            if model.response == "predict":
                values = machine.answers(values)
            predictions = []
            for k, one in enumerate(values):
                out = np.flatnonzero(each[k] == 0) if at_rows is not None else None
                at_out = at_rows[k, out] if at_rows is not None and out is not None else None
                predictions.append(
                    Prediction(one, out, at_out if out is not None and len(out) else None)
                )
            n_solved += len(each)
            n_lost += int(functions.of_one_class.sum())
            n_unfinished += int(functions.unfinished.sum())
            yield predictions

    refits = collect(predict, center, data.y, n_resamples, out_of_bag, checkpoint, progress)
    how = f"all replicates are solved side by side on one kernel matrix{_of_gamma(machine)}"
    if n_lost:
        how += (
            f"; {n_lost} of {n_solved} resamples had one class alone, and its sign for a function"
        )
        warnings.warn(
            f"{n_lost} of {n_solved} resamples had one class alone, and their function is its sign, -1 "
            "or 1: draw within the classes, with scheme=fastkb.schemes.Stratified(y)",
            stacklevel=stacklevel(),
        )
    if n_unfinished:
        warnings.warn(
            f"{n_unfinished} of {n_solved} replicates violate their conditions by more than "
            f"tol={model.estimator.tol:g} after max_iter={model.estimator.max_iter} pairs",
            ConvergenceWarning,
            stacklevel=stacklevel(),
        )
    return refits, how


def _of_gamma(machine: Any) -> str:
    given = machine.machine.gamma
    if not isinstance(given, str) or machine.machine._is_given:
        return ""
    return f", with the gamma={machine.gamma:.6g} of all rows (gamma={given!r})"

"""Bands of any model: every replicate is fitted by the model itself, on joblib's workers."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import _num_samples

from fastkb.bands.models.checks import check_out_of_bag_values, check_predictions
from fastkb.bands.models.models import (
    ALL_DATA,
    GivenData,
    Model,
    Prediction,
    fit,
    predict_replicate,
    predict_replicates,
    respond,
)
from fastkb.bands.models.prediction_error import OutOfBag, PredictionError
from fastkb.runtime.memory import empty, require
from fastkb.runtime.progress import ProgressLike, counted
from fastkb.runtime.threads import limit_blas
from fastkb.storage.checkpoint import Checkpoint

# Seconds that a task of a worker should take at least: handing it over costs milliseconds.
_SECONDS_A_TASK = 0.25


class Refits(NamedTuple):
    """Predictions of all replicates."""

    center: np.ndarray  # shape: (n_eval, …)
    distribution: np.ndarray  # shape: (n_resamples, n_eval, …)
    prediction_error: PredictionError | None


class Center(NamedTuple):
    """Predictions of the fit on all data."""

    values: np.ndarray  # at the evaluation points.  # shape: (n_eval, …)
    at_data: Any  # at the data, if wanted; labels of a classifier.  # shape: (n, …)


class Draws(NamedTuple):
    """What replicates are fitted on; one of the two is given."""

    weights: Callable[[int, int], np.ndarray] | None  # (first, count) -> (count, n)
    # From the fitted values at the data: (first, count) -> responses of shape (count, n, …)
    responses: Callable[[np.ndarray], Callable[[int, int], np.ndarray]] | None


Where = tuple[int | None, Callable[[Any, int], Generator[list[Prediction], None, None]] | None]


def refit(
    model: Model,
    data: GivenData,
    draws: Draws,
    n_resamples: int,
    out_of_bag: str,
    where: Where,
    checkpoint: Checkpoint | None,
    progress: ProgressLike,
) -> Refits:
    """Fit all data and all replicates, and evaluate.

    Parameters
    ----------
    model : Model
    data : GivenData
    draws : Draws
    n_resamples : int
    out_of_bag : str
        The loss of the out-of-bag error, or "" for none.
    where : (int or None, callable or None)
        joblib's number of workers; or what yields the replicates from a number on, from the fitted values
        at the data and that number.
    checkpoint : Checkpoint or None
        Finished replicates are loaded from it, and saved to it.
    progress : bool
    """
    # The number of columns of predictions is known only after the first fit.
    require(4 * n_resamples * _num_samples(data.X_eval), "the predictions of all replicates")
    start = time.perf_counter()
    center = on_all_data(model, data, bool(out_of_bag or draws.responses))
    seconds = time.perf_counter() - start

    n_jobs, elsewhere = where

    def predict(first: int) -> Generator[list[Prediction], None, None]:
        if elsewhere is not None:
            return elsewhere(center.at_data, first)
        span = first, n_resamples
        return _tasks(model, data, draws, center.at_data, span, bool(out_of_bag), n_jobs, seconds)

    return collect(predict, center, data.y, n_resamples, out_of_bag, checkpoint, progress)


def collect(
    predict: Callable[[int], Generator[list[Prediction], None, None]],
    center: Center,
    y: Any,
    n_resamples: int,
    out_of_bag: str,
    checkpoint: Checkpoint | None,
    progress: ProgressLike,
) -> Refits:
    """Put all replicates' predictions together.

    Parameters
    ----------
    predict : callable
        From the first replicate that is wanted: the predictions of it and all further ones in their
        order, some at a time.
    center : Center
    y : array-like
        For the out-of-bag error.
    n_resamples, out_of_bag, checkpoint, progress
        As for :func:`refit`.
    """
    saved = (checkpoint.load() if checkpoint else None) or {}
    shape = (n_resamples, *center.values.shape)
    distribution = empty(shape, center.values.dtype, "the predictions of all replicates")
    done = len(saved.get("distribution", ()))
    distribution[:done] = saved.get("distribution", distribution[:0])
    totals = (saved["loss_sums"], saved["loss_counts"]) if "loss_sums" in saved else None
    errors = OutOfBag(y, out_of_bag, totals) if out_of_bag else None

    def state() -> dict[str, np.ndarray]:
        kept = {"distribution": distribution[:done]}
        if errors is not None:
            kept["loss_sums"], kept["loss_counts"] = errors.totals
        return kept

    finished = state()
    tasks = predict(done)
    try:
        with counted(progress, "replicates", n_resamples) as bar, contextlib.closing(tasks):
            bar.update(done)
            for part in tasks:
                for one in part:
                    values = check_predictions(one.values, done, center.values.shape)
                    if errors is not None and one.at_out is not None:
                        errors.add(check_out_of_bag_values(one.at_out, done), one.out)
                    distribution[done] = values
                    done += 1
                finished = state()  # replaced at once, since Ctrl-C may come at any time
                bar.update(len(part))
                if checkpoint is not None:
                    checkpoint.save_if_due(lambda kept=finished: kept)  # type: ignore[misc]
    finally:
        # Ctrl-C, a failing replicate: what is finished is kept.
        if checkpoint is not None and len(finished["distribution"]):
            checkpoint.save(finished)
    error = None if errors is None else errors.result(center.at_data)
    return Refits(center.values, distribution, error)


def on_all_data(model: Model, data: GivenData, at_data: bool) -> Center:
    """Predictions of the fit on all data: at the evaluation points, and at the data if wanted."""
    with limit_blas():
        return _on_all_data(model, data, at_data)


def _on_all_data(model: Model, data: GivenData, at_data: bool) -> Center:
    if model.is_function:
        one = predict_replicate(model, data, ALL_DATA, None, False)
        center = check_predictions(one.values, ALL_DATA, None)
        if not at_data:
            return Center(_as_float(center), None)
        again = predict_replicate(model, data._replace(X_eval=data.X), ALL_DATA, None, False)
        return Center(_as_float(center), again.values)
    fitted = fit(model, data, ALL_DATA, None)
    center = check_predictions(respond(model, fitted, data.X_eval), ALL_DATA, None)
    known = np.asarray(fitted.estimator.predict(data.X)) if at_data else None
    return Center(_as_float(center), known)


def _as_float(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32 if values.dtype == np.float32 else np.float64, copy=False)


def _tasks(
    model: Model,
    data: GivenData,
    draws: Draws,
    at_data: Any,
    span: tuple[int, int],
    out_of_bag: bool,
    n_jobs: int | None,
    seconds: float,
) -> Generator[list[Prediction], None, None]:
    """The replicates of `span` in their order, a part at a time."""
    import joblib
    from joblib.parallel import get_active_backend

    first, last = span
    jobs = joblib.effective_n_jobs(n_jobs)
    count = max(
        1, min(int(_SECONDS_A_TASK / max(seconds, 1e-6)), math.ceil((last - first) / (4 * jobs)))
    )
    responses = draws.responses(at_data) if draws.responses else None

    def work() -> Iterator[Any]:
        for begin in range(first, last, count):
            some = min(count, last - begin)
            weights = draws.weights(begin, some) if draws.weights else None
            new = responses(begin, some) if responses else None
            task = joblib.delayed(predict_replicates)
            yield task(model, data, begin, weights, new, out_of_bag)

    # Results in the order of the replicates; backends that cannot hand them over one by one give a list.
    ordered = getattr(get_active_backend()[0], "supports_return_generator", False)
    yield from joblib.Parallel(n_jobs=n_jobs, return_as="generator" if ordered else "list")(work())

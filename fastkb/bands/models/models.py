"""Models that are refitted: any scikit-learn estimator, or a function that fits and predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fastkb.runtime.threads import limit_blas

# Where the fit on all data stands in the sequence of random states; replicate b is at b + 1.
ALL_DATA = -1


class GivenData(NamedTuple):
    """Data of a band, as the user gave them."""

    X: Any
    y: Any
    X_eval: Any


class Model(NamedTuple):
    """How a replicate is fitted and what is asked of it."""

    estimator: Any  # with fit, or a function fit_predict(X, y, w, X_eval)
    weighted: bool  # fitted with sample_weight, else on repeated rows
    response: str  # the method that is called, "" for a function
    classes: np.ndarray | None
    key: np.ndarray  # names the random states.  # shape: (4,)
    pairwise: bool = False  # X holds kernels or distances of rows with rows
    fit_params: Mapping[str, Any] | None = None  # for its fit, beside the data

    @property
    def is_function(self) -> bool:
        """Whether it is a function fit_predict(X, y, w, X_eval)."""
        return not hasattr(self.estimator, "fit")


class Fitted(NamedTuple):
    """A fitted estimator."""

    estimator: Any
    columns: np.ndarray | None  # of a pairwise X that it expects; None: all


class Prediction(NamedTuple):
    """What one replicate gave."""

    values: np.ndarray  # at the evaluation points.   # shape: (n_eval, …)
    out: np.ndarray | None  # rows that were left out
    at_out: np.ndarray | None  # predictions there.   # shape: (len(out), …)


def seeded(estimator: Any, key: np.ndarray, replicate: int) -> Any:
    """An unfitted copy whose random states are those of this replicate.

    A `random_state` that is a number stays: the user fixed it.
    """
    from sklearn.base import clone

    copy = clone(estimator)
    parameters = copy.get_params(deep=True) if hasattr(copy, "get_params") else {}
    names = [
        name
        for name, value in sorted(parameters.items())
        if name.rpartition("__")[2] == "random_state"
        and (value is None or isinstance(value, np.random.RandomState))
    ]
    if names:
        copy.set_params(**dict(zip(names, random_states(key, replicate, len(names)), strict=True)))
    return copy


def random_states(key: np.ndarray, replicate: int, count: int) -> list[int]:
    """Numbers in place of a replicate's random states that are None."""
    sequence = np.random.SeedSequence([int(k) for k in key], spawn_key=(replicate + 1,))
    return (sequence.generate_state(count) >> 1).tolist()  # scikit-learn takes 31 bits


def fit(model: Model, data: GivenData, replicate: int, weights: np.ndarray | None) -> Fitted:
    """The estimator, fitted on the rows that have a weight; on all rows if `weights` is None."""
    from sklearn.utils import _safe_indexing
    from sklearn.utils.validation import _check_method_params

    estimator = seeded(model.estimator, model.key, replicate)
    given = dict(model.fit_params or {})
    if weights is None:
        return Fitted(estimator.fit(data.X, data.y, **given), None)
    if model.weighted:
        weights = weighted_by(weights, given.pop("sample_weight", None))
        # Rows of weight zero are left out: not every fit gives them no say.
        rows = np.flatnonzero(weights)
        options = _check_method_params(data.X, given, rows)
        options["sample_weight"] = np.asarray(weights[rows], np.float64)
    else:
        rows = np.repeat(np.arange(len(weights)), weights)
        options = _check_method_params(data.X, given, rows)
    fitted_on = rows if model.pairwise else None
    X = against(_safe_indexing(data.X, rows), fitted_on)
    return Fitted(estimator.fit(X, _safe_indexing(data.y, rows), **options), fitted_on)


def weighted_by(counts: np.ndarray, sample_weight: Any) -> np.ndarray:
    """Counts times the weights that the user gave, if any were given."""
    return counts if sample_weight is None else counts * np.asarray(sample_weight, np.float64)


def against(X: Any, columns: np.ndarray | None) -> Any:
    """The kernels or distances to the rows that a model was fitted on; else X as it is."""
    from sklearn.utils import _safe_indexing

    return X if columns is None else _safe_indexing(X, columns, axis=1)


def respond(model: Model, fitted: Fitted, points: Any) -> np.ndarray:
    """Predictions at `points`; of a classifier as :func:`columns_of_classes` has them."""
    values = np.asarray(getattr(fitted.estimator, model.response)(against(points, fitted.columns)))
    return columns_of_classes(model, fitted.estimator, values)


def columns_of_classes(model: Model, estimator: Any, values: np.ndarray) -> np.ndarray:
    """What a fitted classifier has answered: one column a class, or the second of two alone."""
    if model.classes is None or model.response == "predict":
        return values
    seen = estimator.classes_
    if len(seen) < len(model.classes):
        if model.response != "predict_proba":
            missing = sorted(set(model.classes.tolist()) - set(seen.tolist()))
            raise ValueError(
                f"the resample has no row of class {missing[0]!r}: draw within the classes, with "
                "scheme=fastkb.schemes.Stratified(y)"
            )
        # Classes that were not in the resample have probability 0.
        all_classes = np.zeros((len(values), len(model.classes)))
        all_classes[:, np.searchsorted(model.classes, seen)] = values
        values = all_classes
    return values[:, 1] if model.response == "predict_proba" and values.shape[1] == 2 else values


def predict_replicate(
    model: Model,
    data: GivenData,
    replicate: int,
    weights: np.ndarray | None,
    out_of_bag: bool,
) -> Prediction:
    """Fit one replicate and evaluate it, also at the rows that it left out if they are asked for."""
    from sklearn.utils import _safe_indexing

    out = np.flatnonzero(weights == 0) if out_of_bag and weights is not None else None
    try:
        if model.is_function:
            n = len(data.y)
            w = np.ones(n) if weights is None else np.asarray(weights, np.float64)
            values = np.asarray(model.estimator(data.X, data.y, w, data.X_eval))
            if out is None or not len(out):
                return Prediction(values, out, None)
            left = np.asarray(model.estimator(data.X, data.y, w, _safe_indexing(data.X, out)))
            return Prediction(values, out, left)
        fitted = fit(model, data, replicate, weights)
        values = respond(model, fitted, data.X_eval)
        if out is None or not len(out):
            return Prediction(values, out, None)
        left = against(_safe_indexing(data.X, out), fitted.columns)
        return Prediction(values, out, np.asarray(fitted.estimator.predict(left)))
    except Exception as error:
        raise failed(model, replicate, error) from error


def failed(model: Model, replicate: int, error: Exception) -> ValueError:
    """What users are told of a fit that failed."""
    which = "all data" if replicate == ALL_DATA else f"replicate {replicate}"
    hint = ""
    if model.weighted and not model.is_function and "weight" in str(error):
        hint = "; solver='rows' repeats rows instead of weighting them"
    return ValueError(f"the estimator failed on {which}: {type(error).__name__}: {error}{hint}")


def predict_replicates(
    model: Model,
    data: GivenData,
    first: int,
    weights: np.ndarray | None,
    responses: np.ndarray | None,
    out_of_bag: bool,
) -> list[Prediction]:
    """Replicates `first`, `first` + 1, …: a task of a worker process.

    BLAS has one thread, as it has in workers that share a machine: the bits do not depend on where.

    Parameters
    ----------
    model : Model
    data : GivenData
    first : int
    weights : ndarray or None
        # shape: (count, n)
    responses : ndarray or None
        In place of y.  # shape: (count, n) or (count, n, n_targets)
    out_of_bag : bool
    """
    with limit_blas():
        if weights is not None:
            return [
                predict_replicate(model, data, first + k, row, out_of_bag)
                for k, row in enumerate(weights)
            ]
        return [
            predict_replicate(model, data._replace(y=y), first + k, None, False)
            for k, y in enumerate([] if responses is None else responses)
        ]

"""Checks of what users pass to the bootstrap: data, estimators, levels, seeds, solvers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import numpy as np

from fastkb.checks.choices import check_choice, check_names
from fastkb.checks.numbers import check_unmasked
from fastkb.checks.scalars import check_flag, unexpected
from fastkb.resample.row_schemes import RowScheme
from fastkb.resample.scheme import Scheme

SOLVERS = ("auto", "lowrank", "cholesky", "search", "ensemble", "weights", "rows")
RESPONSE_METHODS = ("auto", "predict", "predict_proba", "decision_function")

_RIDGE_PARAMETERS = ("alpha", "kernel", "gamma", "degree", "coef0", "kernel_params")


def check_solver(solver: Any) -> str:
    """One of the names of solvers."""
    return check_choice("solver", solver, SOLVERS)


def check_n_jobs(n_jobs: Any) -> int | None:
    """joblib's number of workers: None, or a number other than 0; negative ones count from the end."""
    if n_jobs is None:
        return None
    whole = isinstance(n_jobs, Integral) and not isinstance(n_jobs, bool)
    if not whole or not 0 < abs(int(n_jobs)) < 2**31:
        expected = "None or a whole number other than 0, such as -1 for all processors"
        raise unexpected("n_jobs", n_jobs, expected)
    return int(n_jobs)


def is_ridge(estimator: Any) -> bool:
    """Whether it is a KernelRidge: fastkb's, scikit-learn's or one with their parameters.

    A subclass with a `fit` or a `predict` of its own is another model, whatever its parameters are.
    """
    if isinstance(estimator, type) or not hasattr(estimator, "_get_kernel"):
        return False
    if fits_its_own_way(estimator):
        return False
    parameters = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    return all(name in parameters for name in _RIDGE_PARAMETERS)


def fits_its_own_way(estimator: Any) -> bool:
    """Whether a subclass of a kernel ridge regression, or an object of it, has its own fit or predict."""
    own = ("fit", "predict")
    classes = type(estimator).__mro__
    ridge = [
        place
        for place, cls in enumerate(classes)
        if cls.__name__.startswith("KernelRidge")
        and cls.__module__.startswith(("fastkb.ridge.", "sklearn.kernel_ridge"))
    ]
    if not ridge:
        return False
    given = [vars(estimator), *(vars(cls) for cls in classes[: ridge[0]])]
    return any(name in known for known in given for name in own)


def is_ridge_behind_steps(estimator: Any) -> bool:
    """Whether it is a pipeline that ends in a kernel ridge regression."""
    steps = getattr(estimator, "steps", None)
    return isinstance(steps, list) and len(steps) > 1 and is_ridge(steps[-1][1])


def is_network(estimator: Any) -> bool:
    """Whether it is a fastkb.nn.Sequential."""
    return hasattr(estimator, "loss_and_gradients") and not isinstance(estimator, type)


def _tags(estimator: Any) -> Any:
    """scikit-learn's tags, or None for estimators of another make."""
    from sklearn.utils import get_tags

    # scikit-learn before 1.8 warns where there are no tags, and guesses them.
    if not hasattr(estimator, "__sklearn_tags__"):
        return None
    try:
        return get_tags(estimator)
    except AttributeError:  # no BaseEstimator
        return None


def is_classifier(estimator: Any) -> bool:
    """Whether it says so; of another make than scikit-learn's: whether it knows probabilities."""
    tags = _tags(estimator)
    if tags is None:
        return any(hasattr(estimator, name) for name in RESPONSE_METHODS[2:])
    return tags.estimator_type == "classifier"


def is_pairwise(estimator: Any) -> bool:
    """Whether X holds kernels or distances of rows with rows."""
    tags = _tags(estimator)
    return tags is not None and tags.input_tags.pairwise


def check_pairwise(X: Any, X_eval: Any) -> dict[str, Any]:
    """Kernels or distances of the rows with themselves, and of evaluation points with them."""
    from scipy import sparse

    shape, points = np.shape(X), np.shape(X_eval)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"X of a precomputed kernel or metric must be square, got shape {shape}")
    if len(points) != 2 or points[1] != shape[0]:
        raise ValueError(
            f"X_eval must hold the kernels or distances of the evaluation points and the {shape[0]} "
            f"rows of X, shape (n_eval, {shape[0]}), got {points}"
        )
    arrays = {"X": X, "X_eval": X_eval}  # no data frames: a column drawn twice has one name twice
    return {name: a if sparse.issparse(a) else np.asarray(a) for name, a in arrays.items()}


def check_labels_are_numbers(y: Any) -> None:
    """A band of predicted labels."""
    dtype = np.asarray(y).dtype
    if dtype.kind not in "biuf":
        raise ValueError(
            f"response_method='predict' gives labels, a band is of numbers, and y has {dtype}: take "
            "'predict_proba' or 'decision_function', or number the classes"
        )


def check_refittable(estimator: Any) -> Any:
    """An instance with `fit` and something that predicts, or a function that does both."""
    if isinstance(estimator, type):
        raise TypeError(
            f"estimator must be an instance, got the class {estimator.__name__}: write "
            f"{estimator.__name__}(...)"
        )
    if is_network(estimator):
        return estimator
    predicts = any(hasattr(estimator, name) for name in RESPONSE_METHODS[1:])
    if hasattr(estimator, "fit") and (predicts or hasattr(estimator, "get_params")):
        return estimator
    if callable(estimator) and not hasattr(estimator, "fit"):
        return estimator
    raise TypeError(
        "estimator must have fit and predict, be a fastkb.nn.Sequential, or be a function "
        f"fit_predict(X, y, w, X_eval), got {estimator!r}"
    )


def check_response_method(estimator: Any, method: Any, classifier: bool) -> str:
    """The method of an estimator whose values the band is of."""
    check_choice("response_method", method, RESPONSE_METHODS)
    if method == "auto":
        if not classifier:
            return "predict"
        method = next((m for m in RESPONSE_METHODS[2:] if hasattr(estimator, m)), "predict")
    if not hasattr(estimator, method):
        raise ValueError(f"response_method: {estimator!r} has no {method}")
    if method in RESPONSE_METHODS[2:] and not classifier:
        raise ValueError(f"response_method={method!r} is for classifiers, got {estimator!r}")
    return method


def check_solver_of(solver: str, estimator: Any) -> None:
    """A solver that serves the model."""
    ridge = is_ridge(estimator)
    if not ridge and solver in ("lowrank", "cholesky"):
        raise ValueError(
            f"solver={solver!r} is for KernelRidge: other models take 'auto', 'weights' or 'rows'"
        )
    if ridge and solver == "ensemble":
        raise ValueError(f"solver='ensemble' is for networks, got {estimator!r}")
    if is_network(estimator) and solver not in ("auto", "ensemble"):
        raise ValueError(f"solver of a network must be 'auto' or 'ensemble', got {solver!r}")


def check_fit_params_of(estimator: Any, fit_params: Any, ridge: bool) -> Mapping[str, Any] | None:
    """Parameters of the fit of a model that is refitted; those of networks are checked elsewhere."""
    if fit_params is None:
        return None
    if not isinstance(fit_params, Mapping):
        raise TypeError(f"fit_params must be a dict, got {fit_params!r}")
    if is_network(estimator) or not fit_params:
        return fit_params
    if ridge:
        raise ValueError(
            "fit_params is for models that are refitted: KernelRidge is with solver='weights' or 'rows'"
        )
    if not hasattr(estimator, "fit"):
        raise ValueError("fit_params is for models with fit, and the estimator is a function")
    parameters = inspect.signature(estimator.fit).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        known = [name for name in parameters if name not in ("X", "y")]
        check_names(fit_params, known, f"those of the fit of {type(estimator).__name__}")
    return fit_params


def check_weights_of_rows(fit_params: Mapping[str, Any] | None, n: int) -> None:
    """A weight in `fit_params` is one number, or one for each row."""
    weight = (fit_params or {}).get("sample_weight")
    if weight is not None and np.shape(weight) not in ((), (n,)):
        raise ValueError(
            f"fit_params: sample_weight must be one number or have shape ({n},), as X has {n} rows, got "
            f"{np.shape(weight)}"
        )


def check_scheme_of_band(scheme: Any) -> Any:
    """None, or a scheme whose resamples are as large as the data."""
    if scheme is None:
        return None
    if isinstance(scheme, type) or not isinstance(scheme, Scheme):
        hint = f": write {scheme.__name__}(…)" if isinstance(scheme, type) else ""
        raise TypeError(f"scheme must be None or one of fastkb.schemes, got {scheme!r}{hint}")
    if scheme.draws_fewer:
        raise ValueError(
            f"scheme {scheme!r} draws fewer rows than there are, and a fit to fewer rows is another "
            "model: it serves fastkb.bootstrap alone"
        )
    return scheme


def check_out_of_bag(out_of_bag: Any, scheme: Any) -> bool:
    """Whether the error at rows that were left out is asked for, and can be had."""
    out_of_bag = check_flag("out_of_bag", out_of_bag)
    if out_of_bag and scheme is not None and not isinstance(scheme, RowScheme):
        raise ValueError(f"out_of_bag=True: scheme {scheme!r} leaves no row out")
    return out_of_bag


def check_seed_for_checkpoint(checkpoint: Any, rng: Any) -> None:
    """A job that can be resumed has a seed."""
    if checkpoint is not None and rng is None:
        raise ValueError(
            "checkpoint: resuming to identical results needs a seed, and rng is None: pass a number"
        )


def check_training(X: Any, y: Any, X_eval: Any) -> tuple[Any, Any, Any]:
    """Data of one length whose rows can be taken; what else they must be, the model knows itself."""
    from scipy import sparse
    from sklearn.utils.validation import _num_samples

    lengths = {}
    for name, array in (("X", X), ("y", y), ("X_eval", X_eval)):
        check_unmasked(name, array)
    for name, array in (("X", X), ("y", y)):
        try:
            lengths[name] = _num_samples(array)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
    if lengths["X"] != lengths["y"]:
        raise ValueError(f"y has {lengths['y']} rows and X has {lengths['X']}: they must agree")
    if lengths["X"] < 2:
        raise ValueError(f"X must have two rows at least, got {lengths['X']}")
    X, X_eval = (array.tocsr() if sparse.issparse(array) else array for array in (X, X_eval))
    return X, y if hasattr(y, "shape") else np.asarray(y), X_eval


def check_model(estimator: Any) -> Any:
    """An instance with `fit` and `predict`."""
    if isinstance(estimator, type) or not (
        hasattr(estimator, "fit") and hasattr(estimator, "predict")
    ):
        raise TypeError(f"estimator must be an instance with fit and predict, got {estimator!r}")
    return estimator


def check_sampler(sampler: Any) -> Callable:
    """A callable that makes a data set from a generator."""
    if not callable(sampler):
        raise TypeError(
            "sampler must be a function that takes a numpy.random.Generator and returns (X, y), got "
            f"{sampler!r}"
        )
    return sampler


def check_sample(sample: Any, replicate: int) -> tuple[Any, Any]:
    """What a sampler returned."""
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise TypeError(
            f"sampler must return a pair (X, y), got {type(sample).__name__} for replicate {replicate}"
        )
    return sample[0], sample[1]


def check_predictions(values: Any, replicate: int, shape: tuple | None) -> np.ndarray:
    """Finite predictions of the shape that the first replicate had."""
    values = np.asarray(values)
    if shape is not None and values.shape != shape:
        raise ValueError(
            f"the estimator's predictions have shape {values.shape} in replicate {replicate}, and "
            f"{shape} in the first"
        )
    if not _all_finite(values):
        raise ValueError(f"{_which(replicate)}: the estimator predicted NaN or infinity")
    return values


def check_out_of_bag_values(values: np.ndarray, replicate: int) -> np.ndarray:
    """Finite predictions, or labels, at the rows that were left out."""
    if values.dtype.kind in "fc" and not _all_finite(values):
        raise ValueError(
            f"{_which(replicate)}: the estimator predicted NaN or infinity at rows that were left out"
        )
    return values


def _all_finite(values: np.ndarray) -> bool:
    return math.isfinite(float(np.sum(values))) or bool(np.isfinite(values).all())


def _which(replicate: int) -> str:
    return f"replicate {replicate}" if replicate >= 0 else "the fit on all data"

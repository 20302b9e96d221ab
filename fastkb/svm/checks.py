"""Checks of what users pass to support vector machines."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from fastkb.checks.choices import check_choice
from fastkb.checks.numbers import check_kinds, naming, wrong
from fastkb.checks.scalars import check_flag, check_number, check_whole, unexpected
from fastkb.gram.checks import check_kernel

# A gamma of the data: 1 / (columns · variance), or 1 / columns.
GAMMAS = ("scale", "auto")


def check_parameters(machine: Any) -> None:
    """Refuse parameters that no machine can have."""
    gamma = machine.gamma
    check_kernel(
        machine.kernel,
        None if isinstance(gamma, str) else gamma,
        machine.degree,
        machine.coef0,
        None,
    )
    if isinstance(gamma, str):
        check_choice("gamma", gamma, GAMMAS, " or a number of at least 0")
    elif gamma is None:
        raise unexpected("gamma", gamma, "'scale', 'auto' or a number of at least 0")
    check_number("tol", machine.tol, 0.0, open_below=True)
    check_number("cache_size", machine.cache_size, 0.0, open_below=True, hint=" (megabytes)")
    check_whole("max_iter", machine.max_iter, -1)
    for name in ("shrinking", "warm_start"):
        check_flag(name, getattr(machine, name))
    if not isinstance(machine.verbose, bool | np.bool_):
        check_whole("verbose", machine.verbose)
    for name, check in _OWN.items():
        if hasattr(machine, name):
            check(name, getattr(machine, name))
    with naming("random_state"):
        check_random_state(getattr(machine, "random_state", None))


def _check_cost(name: str, value: Any) -> None:
    if not (isinstance(value, Real) and value == math.inf):
        check_number(name, value, 0.0, open_below=True, hint="; infinity stands for no errors")


def _check_nu(name: str, value: Any) -> None:
    check_number(name, value, 0.0, 1.0, open_below=True)


def _check_epsilon(name: str, value: Any) -> None:
    check_number(name, value, 0.0)


def _check_shape(name: str, value: Any) -> None:
    check_choice(name, value, ("ovr", "ovo"))


def _check_class_weight(name: str, value: Any) -> None:
    if isinstance(value, str):
        check_choice(name, value, ("balanced",), ", a dict or None")
    elif value is not None and not isinstance(value, dict):
        raise unexpected(name, value, "'balanced', a dict or None")


_OWN = {
    "C": _check_cost,
    "nu": _check_nu,
    "epsilon": _check_epsilon,
    "decision_function_shape": _check_shape,
    "break_ties": check_flag,
    "class_weight": _check_class_weight,
}


def check_weights(sample_weight: Any, n_samples: int) -> np.ndarray:
    """A weight for each row; rows of weights that are not positive are left out.  # shape: (n,)"""
    if sample_weight is None:
        return np.ones(n_samples)
    check_kinds("sample_weight", sample_weight)
    with naming("sample_weight"):
        weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.ndim == 0:
        weight = np.full(n_samples, weight)
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight and X have incompatible shapes: sample_weight has shape {weight.shape}, "
            f"expected one number or a vector of n_samples={n_samples} of them "
            "(Sample weights must be 1D array or scalar)"
        )
    if not np.isfinite(weight).all():
        raise ValueError("sample_weight contains NaN or infinity: expected finite numbers")
    if (weight <= 0.0).all():
        raise ValueError(
            "Invalid input - all samples have zero or negative weights. Expected a sample_weight above "
            "0 for one sample at least"
        )
    return weight


def check_both_classes(n_first: int, n: int) -> None:
    """Refuse two classes of which one has no row of positive weight."""
    if not 0 < n_first < n:
        raise ValueError(
            "Invalid input - all samples with positive weights belong to the same class: expected a "
            "positive weight (sample_weight times class_weight) for a sample of each class"
        )


def check_square(K: Any) -> None:
    """Refuse a precomputed matrix that cannot be of rows with themselves."""
    if K.shape[0] != K.shape[1]:
        raise ValueError(
            "Precomputed matrix must be a square matrix. Input is a "
            f"{K.shape[0]}x{K.shape[1]} matrix: expected the kernel of the training rows with themselves"
        )


def check_not_sparse(X: Any) -> None:
    """Refuse a sparse Gram matrix."""
    if sparse.issparse(X):
        raise TypeError(
            "Sparse precomputed kernels are not supported: expected a dense X, such as X.toarray()"
        )


def check_finite_result(coefficients: np.ndarray, intercepts: np.ndarray) -> None:
    """Refuse to return what overflowed on the way."""
    if not (np.isfinite(coefficients).all() and np.isfinite(intercepts).all()):
        raise ValueError(
            "The dual coefficients or intercepts are not finite: X may hold numbers whose kernel "
            "overflows. Scale its columns, with StandardScaler for instance"
        )


def check_same_problem(before: int, now: int, what: str) -> None:
    """Refuse to go on from a fit to other data."""
    if before != now:
        raise ValueError(
            f"warm_start=True goes on from the fit before, to {before} {what}; got {now}: fit to the "
            "same rows, or set warm_start=False"
        )


def check_predicted(model: Any, X: Any, is_sparse: bool) -> None:
    """Refuse points of another kind than the training data."""
    if sparse.issparse(X) and not is_sparse:
        raise ValueError(
            f"cannot use sparse input in {type(model).__name__!r} trained on dense data: expected a "
            "dense X, such as X.toarray()"
        )


def check_given(K: np.ndarray, n_samples: int) -> None:
    """Refuse a kernel matrix that is not of points with the training rows."""
    if K.ndim != 2 or K.shape[1] != n_samples:
        width = K.shape[1] if K.ndim == 2 else K.shape
        raise ValueError(
            f"X.shape[1] = {width} should be equal to {n_samples}, the number of samples at training time"
        )


def check_untouched(model: Any) -> None:
    """Refuse a model whose parts no longer go together."""
    vectors = model.support_vectors_
    if vectors.shape[0] and int(model.n_support_.sum()) != vectors.shape[0]:
        raise ValueError(
            f"The internal representation of {type(model).__name__} was altered: n_support_ counts "
            f"{int(model.n_support_.sum())} support vectors, support_vectors_ holds {vectors.shape[0]}"
        )


def check_coef_kernel(kernel: Any) -> None:
    """Only a linear kernel has weights of columns."""
    if not (isinstance(kernel, str) and kernel == "linear"):
        raise AttributeError("coef_ is only available when using a linear kernel")


def check_lambda(lam: Any) -> float:
    """A penalty above 0."""
    return check_number("lam", lam, 0.0, open_below=True)


def check_signs(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Labels of two classes as -1 and 1, the second being positive.  # shape: (n,)"""
    unknown = ~np.isin(y, classes)
    if unknown.any():
        raise ValueError(
            f"y has the label {y[unknown][0]!r}: expected those of the model, {classes.tolist()}"
        )
    return np.where(y == classes[1], 1.0, -1.0)


def check_two_classes(classes: np.ndarray) -> None:
    """The hinge loss is one of two classes."""
    if len(classes) != 2:
        raise wrong(f"model must be fitted to two classes, got {len(classes)} of them")


def check_finite_cost(C: Any) -> None:
    """ν-regression fixes a sum of costs, which an infinite one has not."""
    if math.inf == C:
        raise unexpected("C", C, "a finite number above 0 for ν-regression")


def check_training_matrix(K: Any, n_samples: int) -> None:
    """The norm of a function of a precomputed kernel is known from the training matrix alone."""
    if np.shape(K) != (n_samples, n_samples):
        raise ValueError(
            f"X must be the Gram matrix that the model was fitted to, of shape {(n_samples, n_samples)}, "
            f"for kernel='precomputed'; got shape {np.shape(K)}"
        )

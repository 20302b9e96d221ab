"""Checks of what users pass to support vector machines."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from fastkb.checks.choices import check_choice
from fastkb.checks.numbers import check_kinds, check_unmasked, naming, wrong
from fastkb.checks.scalars import check_flag, check_number, check_whole, unexpected
from fastkb.gram.checks import check_kernel
from fastkb.scalar.kernels import named

# A gamma of the data: 1 / (columns · variance), or 1 / columns.
GAMMAS = ("scale", "auto")


def check_parameters(machine: Any) -> None:
    """Refuse parameters that no machine can have."""
    check_kernel(machine.kernel, None, machine.degree, machine.coef0, None)
    if isinstance(machine.gamma, str):
        check_choice("gamma", machine.gamma, GAMMAS, " or a number of at least 0")
    else:
        check_number("gamma", machine.gamma, 0.0, hint="; or 'scale' or 'auto'")
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
    _check_random_state(getattr(machine, "random_state", None))


def _check_random_state(value: Any) -> None:
    try:
        check_random_state(value)
    except (ValueError, TypeError):
        expected = "None, a whole number from 0 to 2**32 - 1 or a numpy.random.RandomState"
        raise unexpected("random_state", value, expected) from None


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
    elif isinstance(value, dict):
        for label, weight in value.items():
            check_number(f"{name}[{label!r}]", weight)
    elif value is not None:
        raise unexpected(name, value, "'balanced', a dict or None")


def _check_probability(name: str, value: Any) -> None:
    off = isinstance(value, bool | np.bool_) and not value
    if not off and not (isinstance(value, str) and value == "deprecated"):
        raise unexpected(
            name,
            value,
            "False or left out",
            "; for probabilities, wrap the machine in sklearn.calibration.CalibratedClassifierCV",
        )


_OWN = {
    "probability": _check_probability,
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
    with np.errstate(over="ignore"):
        if not np.isfinite(weight.sum()):
            raise ValueError(
                f"sample_weight has a sum beyond the largest float, its largest is {weight.max():g}: "
                "expected smaller numbers"
            )
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


def check_target_given(model: Any, y: Any) -> None:
    """Refuse a fit without targets to a machine that learns from them."""
    if y is None and model.__sklearn_tags__().target_tags.required:
        raise ValueError(
            f"This {type(model).__name__} estimator requires y to be passed, but the target y is None: "
            "expected one for each row of X"
        )


def check_labels(y: Any) -> None:
    """Refuse masked and complex labels; others may be texts, dates and objects."""
    check_unmasked("y", y)
    dtype = getattr(y, "dtype", None)
    if getattr(dtype, "kind", "") == "c":
        raise wrong(f"y must be real labels, got {dtype}: Complex data not supported")


def check_scaled_gamma(kernel: Any, gamma: float) -> None:
    """Refuse gamma='scale' for data whose variance is beyond the floats, if the kernel has a gamma."""
    row = named(kernel) if isinstance(kernel, str) else None
    takes_gamma = row is not None and "gamma" in [known.name for known in row.parameters]
    if takes_gamma and not 0.0 < gamma < math.inf:
        raise ValueError(
            f"gamma='scale' is {gamma:g}, as the variance of X is beyond the floats. The dual "
            "coefficients or intercepts are not finite then. Scale the columns of X, with "
            "StandardScaler for instance, or give gamma as a number"
        )


def check_called(K: np.ndarray, n: int, n_fit: int) -> None:
    """Refuse what a user's function returned, if it is not the kernel of n points with n_fit rows."""
    if K.shape != (n, n_fit):
        raise ValueError(
            f"kernel returned a matrix of shape {K.shape}: expected {(n, n_fit)}, a row for each row of "
            "its first argument and a column for each of its second"
        )
    if not np.isfinite(K).all():
        raise ValueError("kernel returned NaN or infinity: expected finite numbers")


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


def check_finite_kernel(diagonal: np.ndarray) -> None:
    """Refuse rows whose kernel overflows, before any work."""
    if not np.isfinite(diagonal).all():
        raise ValueError(
            f"The dual coefficients or intercepts are not finite, as the kernel of row "
            f"{int(np.argmin(np.isfinite(diagonal)))} of X with itself is infinite or NaN. Scale the "
            "columns, with StandardScaler for instance"
        )


def check_finite_result(coefficients: np.ndarray, intercepts: np.ndarray) -> None:
    """Refuse to return what overflowed on the way."""
    if not (np.isfinite(coefficients).all() and np.isfinite(intercepts).all()):
        raise ValueError(
            "The dual coefficients or intercepts are not finite: X may hold numbers whose kernel "
            "overflows. Scale its columns, with StandardScaler for instance"
        )


def check_margin(margin: float) -> None:
    """Refuse a ν-classifier whose coefficients would be divided by nothing."""
    if abs(margin) < np.finfo(np.float64).tiny:
        raise ValueError(
            f"The dual coefficients or intercepts are not finite, as the margin is {margin:g}: two "
            "classes have rows in common, or in the middle of one another. Expected a larger nu, or rows "
            "that differ between classes"
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


def check_has_cost(model: Any) -> None:
    """Refuse to take λ from a machine that has no C."""
    if not hasattr(model, "C"):
        raise wrong(
            f"lam must be given for {type(model).__name__}, which has no C: expected a finite real "
            "number above 0"
        )


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

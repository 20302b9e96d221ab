"""Checks of the data of a band of kernel ridge regression."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastkb.checks.numbers import check_kinds, check_targets, naming
from fastkb.checks.values import real_array


class BandData(NamedTuple):
    """Checked data of a band."""

    X: Any  # shape: (n, d), or (n, n) if precomputed
    y: np.ndarray  # shape: (n, n_targets), float64
    X_eval: Any  # shape: (n_eval, d), or (n_eval, n) if precomputed
    alpha: np.ndarray  # shape: (n_targets,), float64
    single_target: bool
    dtype: np.dtype  # of the result: float32 if X and y are, else float64


def check_alpha(alpha: Any, n_targets: int) -> np.ndarray:
    """The penalty of each target.  # shape: (n_targets,)"""
    values = real_array("the estimator's alpha", alpha, texts=False)
    if values.ndim > 1 or values.size not in (1, n_targets):
        raise ValueError(
            f"the estimator's alpha has shape {values.shape}, expected one number or one for each of "
            f"the {n_targets} targets"
        )
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(f"the estimator's alpha must be finite and at least 0, got {alpha!r}")
    return np.array(np.broadcast_to(values.ravel(), (n_targets,)))


def check_band_data(estimator: Any, X: Any, y: Any, X_eval: Any) -> BandData:
    """Training data and evaluation points that fit together, as C-ordered native float64."""
    from sklearn.utils.validation import check_array

    def check(array: Any, name: str, **options: Any) -> Any:
        check_kinds(name, array)
        with naming(name):
            return check_array(array, dtype=np.float64, order="C", input_name=name, **options)

    precomputed = isinstance(estimator.kernel, str) and estimator.kernel == "precomputed"
    single = all(getattr(array, "dtype", None) == np.float32 for array in (X, y))
    X = check(X, "X", accept_sparse="csr")
    X_eval = check(X_eval, "X_eval", accept_sparse="csr")
    y = check(check_targets(y), "y", ensure_2d=False)
    if y.ndim not in (1, 2):
        raise ValueError(f"y must have shape (n,) or (n, n_targets), got {y.shape}")
    if y.shape[0] != X.shape[0]:
        raise ValueError(f"y has {y.shape[0]} rows and X has {X.shape[0]}: they must agree")
    if precomputed and X.shape[0] != X.shape[1]:
        raise ValueError(f"a precomputed Gram matrix must be square, X has shape {X.shape}")
    if X_eval.shape[1] != X.shape[1]:
        what = "K(X_eval, X)" if precomputed else "X_eval"
        raise ValueError(
            f"{what} has {X_eval.shape[1]} columns, expected {X.shape[1]} as X has: X_eval has shape "
            f"{X_eval.shape}"
        )
    targets = np.ascontiguousarray(y.reshape(len(y), -1))
    dtype = np.dtype(np.float32 if single else np.float64)
    alpha = check_alpha(estimator.alpha, targets.shape[1])
    return BandData(X, targets, X_eval, alpha, y.ndim == 1, dtype)


def check_gram(what: str, K: np.ndarray) -> np.ndarray:
    """Finite kernel values."""
    if not np.isfinite(K).all():
        raise ValueError(
            f"{what} has NaN or infinity: the kernel's parameters make it overflow, or the kernel is "
            "undefined on this data"
        )
    return K

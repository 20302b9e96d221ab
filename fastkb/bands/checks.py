"""Checks of what users ask of a band: its kind, and whether the model and the options allow it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.bands.kinds import KINDS
from fastkb.bands.models.checks import fits_its_own_way, is_classifier
from fastkb.checks.choices import check_choice
from fastkb.checks.scalars import check_flag, check_number
from fastkb.gram.checks import check_kernel
from fastkb.resample.response_schemes import ResponseScheme
from fastkb.resample.row_schemes import RowScheme
from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.ridge.path import CRITERIA, check_alphas, check_gammas
from fastkb.ridge.search import KernelRidgeCV


def check_kind(kind: Any) -> str:
    """One of the names of kinds of band."""
    return check_choice("kind", kind, KINDS)


def check_share(share: Any) -> float:
    """The share of the evaluation points at which a confidence band holds its level."""
    return check_number("share", share, 0.0, 1.0)


def check_kind_of_ridge(
    estimator: Any, kind: str, scheme: Any, out_of_bag: bool, checkpoint: Any
) -> None:
    """Kinds of kernel ridge regression that resample no rows take no options of those that do."""
    if kind == "percentile":
        return
    given = {"scheme": scheme is not None, "out_of_bag": out_of_bag, "checkpoint": bool(checkpoint)}
    for name, wrong in given.items():
        if wrong:
            raise ValueError(
                f"{name} is for kind='percentile': a band of kind {kind!r} of kernel ridge regression "
                "draws no rows"
            )
    if kind != "prediction":
        check_rows_are_known(estimator, kind)


def check_rows_are_known(estimator: Any, kind: str) -> None:
    """Bands around plausible curves need the rows themselves, not their kernels."""
    if isinstance(estimator.kernel, str) and estimator.kernel == "precomputed":
        raise ValueError(
            f"a band of kind {kind!r} needs the rows of X, and kernel='precomputed' has their kernel "
            "alone: give the kernel by its name, or take another kind"
        )


def check_two_rows(n: int, kind: str) -> None:
    """One row has no spread."""
    if n < 2:
        raise ValueError(f"X has {n} row: a band of kind {kind!r} needs two at least")


def check_kind_of_model(estimator: Any, kind: str, scheme: Any) -> None:
    """Kinds that models which are refitted have."""
    if kind == "confidence":
        raise ValueError(
            "kind='confidence' is for KernelRidge and KernelRidgeCV with a solver other than 'weights' "
            f"and 'rows', whose bias of smoothing can be estimated: for {_name(estimator)} that is "
            "refitted take 'percentile', 'simultaneous' or 'prediction'"
        )
    if kind != "prediction":
        return
    if hasattr(estimator, "fit") and is_classifier(estimator):
        raise ValueError(
            f"kind='prediction' holds new observations that are numbers, and {_name(estimator)} is a "
            "classifier: take 'percentile' or 'simultaneous'"
        )
    if scheme is not None and not isinstance(scheme, RowScheme):
        raise ValueError(f"kind='prediction': scheme {scheme!r} leaves no row out")


def check_search(search: KernelRidgeCV) -> None:
    """The parameters of an estimator that chooses its own, before any data are looked at."""
    check_kernel(search.kernel, None, search.degree, search.coef0, search.kernel_params)
    check_choice("criterion", search.criterion, CRITERIA)
    check_flag("fit_intercept", search.fit_intercept)
    check_alphas(search.alphas)
    check_gammas(search.gammas)


def why_refitted(search: KernelRidgeCV, scheme: Any) -> str | None:
    """Why replicates of a search are fitted by itself; None if its candidates' spectra serve them."""
    for name in ("cv", "scoring"):
        if getattr(search, name) is not None:
            return f"the estimator has {name}={getattr(search, name)!r}"
    choice = KernelChoice.of(search)
    if choice.kernel == "precomputed" or not choice.is_positive_semidefinite:
        return f"kernel={search.kernel!r} is precomputed, or not known to be positive semidefinite"
    if isinstance(scheme, ResponseScheme):
        return f"scheme {scheme!r} draws responses"
    return None


def check_solver_of_search(estimator: Any, solver: str, scheme: Any) -> None:
    """The solver "search" for what it serves."""
    if solver != "search":
        return
    if not isinstance(estimator, KernelRidgeCV) or fits_its_own_way(estimator):
        raise ValueError(f"solver='search' is for KernelRidgeCV, got {_name(estimator)}")
    why = why_refitted(estimator, scheme)
    if why is not None:
        raise ValueError(f"solver='search': {why}")


def check_search_is_linear(search: KernelRidgeCV, kind: str) -> None:
    """Choices that can be made again for a thousand responses at once."""
    for name in ("cv", "scoring"):
        if getattr(search, name) is not None:
            raise ValueError(
                f"kind={kind!r} of KernelRidgeCV takes a choice by leave-one-out or by restricted "
                f"likelihood, and the estimator has {name}={getattr(search, name)!r}: expected None. "
                "(solver='weights' refits the model, for bands that are not of kind 'confidence'.)"
            )
    choice = KernelChoice.of(search)
    if kind != "percentile" and not choice.is_positive_semidefinite:
        raise ValueError(
            f"kind={kind!r} of KernelRidgeCV needs a kernel that is known to be positive semidefinite, "
            f"got kernel={search.kernel!r}: give its parameters to KernelRidge instead"
        )


def check_stacked_data(X: Any, X_eval: Any) -> Any:
    """The evaluation points, followed by the data.

    Raises
    ------
    ValueError
        If they have not the same columns.
    """
    if hasattr(X, "iloc") and hasattr(X_eval, "iloc"):
        import pandas as pd

        return pd.concat([X_eval, X], ignore_index=True)
    from scipy import sparse

    if sparse.issparse(X) or sparse.issparse(X_eval):
        return sparse.vstack([X_eval, X], format="csr")
    X, X_eval = np.asarray(X), np.asarray(X_eval)
    if X.shape[1:] != X_eval.shape[1:]:
        raise ValueError(
            f"X_eval must have the columns of X: got shapes {X_eval.shape} and {X.shape}"
        )
    return np.concatenate([X_eval, X])


def _name(estimator: Any) -> str:
    return getattr(estimator, "__name__", type(estimator).__name__)

"""Checks of what users pass to kernel ridge regression."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from fastkb.checks.labels import check_all_labelled
from fastkb.checks.numbers import wrong
from fastkb.checks.scalars import check_number
from fastkb.checks.values import real_array

# With an intercept, what is predicted without some rows loses as many digits as the share of the
# weight that the others have falls short of one: at this share half of them are left.
LEAST_SHARE = 1e-8


def check_alpha(alpha: Any, n_targets: int) -> np.ndarray:
    """One penalty for all targets or one for each, as an array.  # shape: (1,) or (n_targets,)"""
    if isinstance(alpha, Real):
        return np.array([check_number("alpha", alpha, 0.0)])
    values = real_array("alpha", alpha, texts=False)
    if values.ndim > 1 or values.size not in (1, n_targets):
        raise wrong(
            f"alpha has shape {values.shape}, but y has n_targets={n_targets}: expected one "
            f"number, or one for each target"
        )
    values = values.reshape(-1)
    if not np.isfinite(values).all() or (values < 0.0).any():
        raise wrong(f"alpha must be finite and at least 0 for every target, got {alpha!r}")
    return values


def check_use_of_criterion(criterion: str, scoring: Any, cv: Any) -> None:
    """Refuse what a likelihood has no use for: it predicts nothing that was left out."""
    for name, value in (("scoring", scoring), ("cv", cv)):
        if criterion == "reml" and value is not None:
            raise wrong(
                f"{name}={value!r} has no use with criterion='reml', which scores no predictions: "
                f"expected {name}=None, or criterion='loo'"
            )


def check_groups(groups: Any, n_samples: int, splitter: Any) -> np.ndarray | None:
    """The group of each sample, for the splitter that is to hold groups together."""
    if groups is None:
        return None
    if splitter is None:
        raise ValueError(
            "groups has no use with cv=None, which leaves out one row at a time: expected a splitter "
            "that reads groups, such as cv=LeaveOneGroupOut() or cv=GroupKFold()"
        )
    array = np.asarray(groups)
    if array.shape != (n_samples,):
        raise ValueError(
            f"groups has shape {array.shape}: expected a vector of n_samples={n_samples} labels"
        )
    check_all_labelled("groups", groups, array)
    return array


def check_split(
    number: int, train: Any, test: Any, n_samples: int, sample_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the rows that fold `number` of a cross-validation is trained on and predicts."""
    parts = []
    for name, rows in (("train", train), ("test", test)):
        index = np.asarray(rows)
        if index.dtype == bool and index.shape == (n_samples,):
            index = np.flatnonzero(index)
        if index.ndim != 1 or index.size == 0:
            raise ValueError(
                f"the {name} part of fold {number} of cv must hold at least one row, got shape "
                f"{index.shape}"
            )
        if index.dtype.kind not in "iu" or index.min() < 0 or index.max() >= n_samples:
            raise ValueError(
                f"the {name} part of fold {number} of cv must hold indices of rows from 0 to "
                f"{n_samples - 1}, got {rows!r}"
            )
        parts.append(index.astype(np.intp))
    if sample_weight is not None and not sample_weight[parts[0]].any():
        raise ValueError(
            f"sample_weight is zero for all training rows of fold {number} of cv: at least one must "
            f"have a positive weight"
        )
    return parts[0], parts[1]


def check_weight_outside(share: float) -> None:
    """Refuse weights of which next to nothing remains for an intercept where some rows are left out."""
    if share < LEAST_SHARE:
        raise ValueError(
            f"sample_weight must leave each fit without some rows at least {LEAST_SHARE:g} of all "
            f"weight, or fit_intercept=True has no intercept to find: the rows left out together "
            f"have all but {share:.1e} of it"
        )


def check_own_gammas(gammas: np.ndarray | None) -> np.ndarray | None:
    """Refuse candidates that the data would have beyond the range of floats, where they were clipped."""
    limits = np.finfo(np.float64)
    if gammas is not None and ((gammas <= limits.tiny) | (gammas >= limits.max)).any():
        what = "large" if (gammas <= limits.tiny).any() else "small"
        raise wrong(
            f"X has rows so {what} a distance apart that no gamma of its scale is a finite positive "
            "number: multiply X by a constant, or take a kernel of fastkb.kernels with its own width"
        )
    return gammas


def check_grid(name: str, values: Any, *, allow_zero: bool) -> np.ndarray:
    """A vector of candidates for a parameter, in the order given.  # shape: (n_candidates,)"""
    grid = np.atleast_1d(real_array(name, values, texts=False))
    sign = "at least 0" if allow_zero else "positive"
    if grid.ndim != 1 or grid.size == 0:
        raise wrong(f"{name} must be a vector of at least one number, got shape {grid.shape}")
    good = np.isfinite(grid) & ((grid >= 0.0) if allow_zero else (grid > 0.0))
    if not good.all():
        index = int(np.argmin(good))
        raise wrong(f"{name} must be finite and {sign}, got {name}[{index}]={grid[index]:g}")
    return grid

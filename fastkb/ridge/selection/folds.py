"""Which rows are left out together, as a splitter of scikit-learn says.

=========================================== ========================================================
a fold whose training part is               costs
=========================================== ========================================================
all rows but its test rows (k-fold, groups) blocks of the residual operator that is there anyway:
                                            :func:`fastkb.ridge.selection.leave_one_out.leave_folds_out`
anything else (time series, small shuffles) a factorisation of its own for each kernel:
                                            :func:`fastkb.ridge.selection.evaluation.evaluate`
=========================================== ========================================================
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastkb.ridge.checks import check_split, check_weight_outside
from fastkb.ridge.selection.factorisation import ONE_ROW, LeftOut


class Folds(NamedTuple):
    """Test rows, and the training rows where they are not all others.

    Each prediction has a place: the test rows of the first fold, of the second, and so on.
    """

    tests: tuple[np.ndarray, ...]
    trains: tuple[np.ndarray | None, ...]  # None: all rows but the test rows

    @property
    def is_complement(self) -> np.ndarray:
        """Whether a prediction's fold is trained on all other rows.  # shape: (n_predictions,)"""
        which = [train is None for train in self.trains]
        return np.repeat(which, [test.size for test in self.tests])

    @property
    def rows(self) -> np.ndarray:
        """The row of each prediction.  # shape: (n_predictions,)"""
        return np.concatenate(self.tests)

    @property
    def complements(self) -> tuple[np.ndarray, ...]:
        """The test rows of the folds that are trained on all others."""
        return tuple(
            test for test, train in zip(self.tests, self.trains, strict=True) if train is None
        )

    @property
    def refits(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Training and test rows of the other folds."""
        return tuple(
            (train, test)
            for test, train in zip(self.tests, self.trains, strict=True)
            if train is not None
        )


def make_folds(
    splitter: Any, X: Any, y: np.ndarray, groups: Any, sample_weight: np.ndarray | None
) -> Folds:
    """The folds of a splitter of scikit-learn's, checked.

    Parameters
    ----------
    splitter : cross-validator
        What :func:`sklearn.model_selection.check_cv` returns.
    X, y : array or sparse matrix
        The data, with n rows.
    groups : array-like or None
        What the splitter is to hold together.  # shape: (n,)
    sample_weight : ndarray or None
        # shape: (n,)

    Raises
    ------
    ValueError
        If a fold has no row to predict or none to be trained on, or the splitter refuses the data.
    """
    n = y.shape[0]
    tests, trains = [], []
    for number, (train, test) in enumerate(splitter.split(X, y, groups)):
        train, test = check_split(number, train, test, n, sample_weight)
        counts = np.bincount(np.concatenate([train, test]), minlength=n)
        tests.append(test)
        trains.append(None if (counts == 1).all() else train)
    if not tests:
        raise ValueError(f"cv={splitter!r} gives no folds: expected at least one (train, test)")
    folds = Folds(tuple(tests), tuple(trains))
    if sample_weight is not None and not sample_weight[folds.rows].any():
        raise ValueError(
            "sample_weight is zero for all test rows of the folds of cv: at least one must have a "
            "positive weight"
        )
    return folds


def what_is_left_out(
    n: int, sample_weight: np.ndarray | None, folds: Folds | None, fit_intercept: bool
) -> LeftOut:
    """The most rows, and the most of the weight, that a fit goes without.

    Parameters
    ----------
    n : int
        Number of rows.
    sample_weight : ndarray or None
        # shape: (n,)
    folds : Folds or None
        None: one row at a time.
    fit_intercept : bool
        Whether it matters what the others weigh.

    Raises
    ------
    ValueError
        If the others have no weight to fit an intercept with.
    """
    weight = np.ones(n) if sample_weight is None else sample_weight
    if folds is None:
        sets: tuple[np.ndarray, ...] = (np.array([np.argmax(weight)]),)
    elif folds.complements:
        sets = folds.complements
    else:
        return ONE_ROW
    kept = 1.0
    if fit_intercept:
        # Summed rather than subtracted, so that it is right for the smallest shares, too.
        kept = min(float(np.delete(weight, rows).sum()) for rows in sets) / float(weight.sum())
        check_weight_outside(kept)
    return LeftOut(max(rows.size for rows in sets), kept)

"""Predictions of rows by a fit to the others, without that fit.

With the residual operator M and the residuals e = M z (`residual_operator.py`), leaving out the
rows T and fitting all others gives them the residuals

    √w (y - b₋T - f₋T(x)) = (M_TT)⁻¹ e_T            for a single row eᵢ / Mᵢᵢ

Proof: change z in the rows T to what the fit without them predicts. The fit to all rows is then
that one, and has no residuals in T: e_T less M_TT times the change is zero.

Source: Rifkin and Lippert (2007), Notes on Regularized Least Squares, MIT-CSAIL-TR-2007-025,
section 3; Cawley and Talbot (2004), Fast exact leave-one-out cross-validation of sparse
least-squares support vector machines, Neural Networks 17(10), for the intercept; An, Liu, Venkatesh
(2007), Fast cross-validation algorithms for least squares support vector machine and kernel ridge
regression, Pattern Recognition 40(8), for the folds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastkb.ridge.selection.residual_operator import ResidualOperator


def leave_one_out(operator: ResidualOperator, residuals: np.ndarray) -> np.ndarray:
    """Every row predicted by all others.

    Parameters
    ----------
    operator : ResidualOperator
        M, of which the diagonal is read.
    residuals : ndarray
        e; overwritten.  # shape: (n, n_targets, n_alphas)

    Returns
    -------
    ndarray
        √wᵢ (yᵢ - b₋ᵢ - f₋ᵢ(xᵢ)); infinite where a system is singular, which only a kernel that is not
        positive semidefinite can bring about.  # shape: (n, n_targets, n_alphas)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals /= operator.diagonal()[:, None, :]
    return _infinite_where_undefined(residuals, operator)


def leave_folds_out(
    operator: ResidualOperator, residuals: np.ndarray, folds: Sequence[np.ndarray]
) -> np.ndarray:
    """The rows of every fold predicted by all rows that are not in it.

    Parameters
    ----------
    operator : ResidualOperator
        M, of which blocks are read.
    residuals : ndarray
        e.  # shape: (n, n_targets, n_alphas)
    folds : sequence of ndarray of int
        Rows of each fold, all different.

    Returns
    -------
    ndarray
        As of :func:`leave_one_out`, one fold after the other.
        # shape: (n_rows_of_all_folds, n_targets, n_alphas)
    """
    parts = []
    for rows in folds:
        left = np.moveaxis(residuals[rows], 2, 0)  # shape: (n_alphas, n_rows, n_targets)
        parts.append(np.moveaxis(operator.solve_block(rows, left), 0, 2))
    return _infinite_where_undefined(np.concatenate(parts), operator)


def _infinite_where_undefined(residuals: np.ndarray, operator: ResidualOperator) -> np.ndarray:
    residuals[np.isnan(residuals)] = np.inf
    residuals[:, :, operator.singular] = np.inf
    return residuals

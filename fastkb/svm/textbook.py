"""The hinge-loss problem as textbooks write it, and how it is SVC's."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from fastkb.checks.scalars import check_whole
from fastkb.svm import checks
from fastkb.svm.estimators.svc import SVC


def regularization_to_C(lam: float, n: int) -> float:
    r"""The C of :class:`fastkb.SVC` that belongs to the textbook's λ.

    :math:`\tfrac1n \sum_i \max(0, 1 - y_i (b + f(x_i))) + \lambda \|f\|^2` is :math:`2 \lambda` times
    SVC's objective with :math:`C = 1 / (2 n \lambda)`.

    Parameters
    ----------
    lam : float
        The penalty λ, above 0.
    n : int
        The number of rows.

    Returns
    -------
    float

    Examples
    --------
    >>> from fastkb.svm import regularization_to_C
    >>> regularization_to_C(0.01, 50)
    1.0
    """
    return 1.0 / (2.0 * check_whole("n", n, 1) * checks.check_lambda(lam))


def hinge_objective(model: SVC, X: Any, y: Any, *, lam: float | None = None) -> float:
    r"""The regularised hinge loss of a fitted machine on rows with labels.

    .. math:: \frac1n \sum_i \max\{0, 1 - y_i (b + \sum_j a_j K(x_j, x_i))\} + \lambda\, a^T K a

    Parameters
    ----------
    model : SVC
        Fitted to two classes.
    X : array or sparse matrix of shape (n_samples, n_features)
        Rows, as for :meth:`fastkb.SVC.decision_function`.
    y : array-like of shape (n_samples,)
        Their labels; ``model.classes_[1]`` counts as 1, the other as -1.
    lam : float, optional
        The penalty λ, above 0; the model's own, 1 / (2 n C), where left out.

    Returns
    -------
    float

    Examples
    --------
    >>> from fastkb import SVC
    >>> from fastkb.svm import hinge_objective
    >>> X, y = [[-1.0], [1.0]], [0, 1]
    >>> hinge_objective(SVC(kernel="linear", C=10.0).fit(X, y), X, y)
    0.025
    """
    check_is_fitted(model)
    checks.check_two_classes(model.classes_)
    y = column_or_1d(y)
    check_consistent_length(X, y)
    signs = checks.check_signs(y, model.classes_)
    n = len(signs)
    values = model.decision_function(X)
    if lam is None:
        checks.check_has_cost(model)
        penalty = 1.0 / (2.0 * n * float(model.C))
    else:
        penalty = checks.check_lambda(lam)
    loss = np.maximum(0.0, 1.0 - signs * values).mean()
    return float(loss + penalty * _squared_norm(model, X))


def _squared_norm(model: SVC, X: Any) -> float:
    """aᵀ K a, from the function's values at the support vectors."""
    if model._is_called:
        values = model.decision_function(model._X_fit)[model.support_]
    elif model._is_given:
        checks.check_training_matrix(X, model.shape_fit_[0])
        values = model.decision_function(X)[model.support_]
    else:
        values = model.decision_function(model.support_vectors_)
    return float(-model._coefficients()[0] @ (values - model.intercept_))

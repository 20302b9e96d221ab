"""Novelty detection: the region that holds most of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import OutlierMixin

from fastkb.runtime.cuda import from_host, is_device_array, to_host
from fastkb.svm.estimators.single import SingleMachine
from fastkb.svm.problem import Problem, density, filled


class OneClassSVM(OutlierMixin, SingleMachine):
    r"""The region that holds most of the rows: novelties are those outside.

    A drop-in for :class:`sklearn.svm.OneClassSVM` on all cores.

    Parameters
    ----------
    kernel, degree, gamma, coef0, tol
        As for :class:`fastkb.SVC`.
    nu : float, default 0.5
        At most this share of the rows is outside, at least this share supports; above 0, at most 1.
    shrinking, cache_size, verbose, max_iter, warm_start
        As for :class:`fastkb.SVC`.

    Attributes
    ----------
    support_, support_vectors_, n_support_, dual_coef_, coef_, intercept_, fit_status_, n_iter_, \
shape_fit_, n_features_in_, feature_names_in_
        As for :class:`fastkb.SVC`, of one function.
    offset_ : float
        What `decision_function` subtracts from `score_samples`.

    References
    ----------
    Schölkopf, Platt, Shawe-Taylor, Smola, Williamson (2001), Estimating the Support of a High-Dimensional
    Distribution, Neural Computation 13.

    Examples
    --------
    >>> from fastkb import OneClassSVM
    >>> X = [[0.0], [0.44], [0.45], [0.46], [1.0]]
    >>> OneClassSVM(gamma="auto").fit(X).predict([[0.45], [2.0]]).tolist()
    [1, -1]
    """

    def __init__(
        self,
        *,
        kernel: Any = "rbf",
        degree: float = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        tol: float = 1e-3,
        nu: float = 0.5,
        shrinking: bool = True,
        cache_size: float = 200,
        verbose: Any = False,
        max_iter: int = -1,
        warm_start: bool = False,
    ) -> None:
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.tol = tol
        self.nu = nu
        self.shrinking = shrinking
        self.cache_size = cache_size
        self.verbose = verbose
        self.max_iter = max_iter
        self.warm_start = warm_start

    def _problem(self, y: Any, weight: np.ndarray) -> tuple[Problem, np.ndarray]:
        return density(weight), filled(float(self.nu) * weight.sum(), weight)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> OneClassSVM:
        """Fit the machine.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Training rows; for ``kernel="precomputed"`` their Gram matrix of shape (n_samples,
            n_samples); for a function of your own whatever it takes.
        y : ignored
            For the sake of pipelines.
        sample_weight : float or array-like of shape (n_samples,), optional
            Weights; a row whose weight is not above 0 is left out.

        Returns
        -------
        self : OneClassSVM
            This estimator, fitted.
        """
        self._fit(X, None, sample_weight)
        self.offset_ = -self._intercept_
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """How far inside the region each point is; negative outside.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_points, n_features)
            As for :meth:`fastkb.SVC.decision_function`.

        Returns
        -------
        ndarray of shape (n_points,)
        """
        return self._function_values(X)

    def score_samples(self, X: Any) -> np.ndarray:
        """The same without the offset.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_points, n_features)
            As for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n_points,)
        """
        if is_device_array(X):
            values = to_host(self.decision_function(X)) + self.offset_
            return from_host(values, X)
        return self.decision_function(X) + self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """1 for points inside the region, -1 for those outside.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_points, n_features)
            As for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n_points,)
        """
        return np.where(to_host(self.decision_function(X)) > 0.0, 1, -1).astype(np.intp)

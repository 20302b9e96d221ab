"""The truncated Taylor feature map of the RBF kernel."""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb, sqrt
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fastkb.checks.numbers import check_kinds, naming
from fastkb.checks.scalars import check_number, check_whole
from fastkb.runtime.memory import check_available, require


class TaylorFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Explicit features whose inner products converge to the RBF kernel.

    In one dimension

    .. math::

        \phi(x) = e^{-x^2/2\sigma^2} \left[1, \frac{x}{\sqrt{1!\,\sigma^2}},
        \frac{x^2}{\sqrt{2!\,\sigma^4}}, \frac{x^3}{\sqrt{3!\,\sigma^6}}, \dots\right]^T

    and in several all the products of such terms of total order at most `degree`: the Taylor expansion
    of :math:`e^{x^T x'/\sigma^2}`. Then :math:`\phi(x)^T\phi(x')` differs from
    :math:`e^{-\|x-x'\|^2/2\sigma^2}` by at most

    .. math:: \frac{1}{(m+1)!} \left(\frac{\|x\| \|x'\|}{\sigma^2}\right)^{m+1}

    for degree m: few features suffice when the data lie within a few σ of the origin (centre them).

    Parameters
    ----------
    sigma : float, default 1.0
        The kernel's bandwidth σ > 0, in the units of x.
    degree : int, default 10
        The highest total order m ≥ 0.

    Attributes
    ----------
    n_features_in_ : int
        d.
    n_output_features_ : int
        The number of features, C(d + m, d).
    exponents_ : ndarray of shape (n_output_features_, d)
        The multi-index of each feature, by total order, then lexicographically.

    References
    ----------
    Cotter, Keshet and Srebro, "Explicit approximations of the Gaussian kernel", arXiv 1109.4603, eq. 6.

    Examples
    --------
    >>> import numpy as np, fastkb
    >>> X = np.array([[0.0], [0.5], [1.0]])
    >>> features = fastkb.TaylorFeatures(sigma=1.0, degree=8).fit_transform(X)
    >>> bool(np.allclose(features @ features.T, fastkb.rbf_kernel(X, gamma=0.5), atol=1e-5))
    True
    """

    def __init__(self, sigma: float = 1.0, *, degree: int = 10) -> None:
        self.sigma = sigma
        self.degree = degree

    def fit(self, X: Any, y: Any = None) -> TaylorFeatures:
        """Check the parameters and list the multi-indices for the number of columns of X.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : ignored

        Returns
        -------
        self
        """
        check_number("sigma", self.sigma, 0, open_below=True)
        degree = check_whole("degree", self.degree)
        check_kinds("X", X)
        with naming("X"):
            X = validate_data(self, X, dtype=[np.float64, np.float32])
        d = X.shape[1]
        count = comb(d + degree, d)
        check_available(8 * count * (d + len(X)), f"{count} Taylor features of degree {degree}")
        rows = np.zeros((count, d), dtype=np.intp)
        place = 0
        for order in range(degree + 1):
            for choice in combinations_with_replacement(range(d), order):
                np.add.at(rows[place], list(choice), 1)
                place += 1
        self.exponents_ = rows
        self.n_output_features_ = count
        self._n_features_out = count
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The features of each row.

        Parameters
        ----------
        X : array-like of shape (n, d)

        Returns
        -------
        ndarray of shape (n, n_output_features_)
            float32 if X is, else float64.
        """
        check_is_fitted(self)
        check_kinds("X", X)
        with naming("X"):
            X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        size = X.dtype.itemsize * 2 * len(X) * self.n_output_features_
        require(size, f"{self.n_output_features_} Taylor features of {len(X)} rows")
        # Far from the origin all features are 0, though their factors overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            return self._features(X)

    def _features(self, X: np.ndarray) -> np.ndarray:
        scaled = np.divide(X, self.sigma, dtype=np.float64).astype(X.dtype)
        # term[k, i, m] = x_i^m / sqrt(m!) by the recurrence, so that neither factor overflows.
        terms = np.ones((len(X), X.shape[1], self.degree + 1), dtype=X.dtype)
        for m in range(1, self.degree + 1):
            terms[:, :, m] = terms[:, :, m - 1] * scaled / X.dtype.type(sqrt(m))
        gauss = np.exp(-0.5 * np.sum(scaled * scaled, axis=1, keepdims=True))
        features = np.repeat(gauss, self.n_output_features_, axis=1)
        for i in range(X.shape[1]):
            features *= terms[:, i, self.exponents_[:, i]]
        features[gauss[:, 0] == 0.0] = 0.0
        return features

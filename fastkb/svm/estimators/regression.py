"""Regression by support vector machines: errors up to ε are forgiven, or a share ν of errors allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from fastkb.svm import checks
from fastkb.svm.estimators.single import SingleMachine
from fastkb.svm.problem import Problem, epsilon_regression, nu_regression, start_of_sides


class Regressor(RegressorMixin, SingleMachine):
    """A function near the targets."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit the machine.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Training rows; for ``kernel="precomputed"`` their Gram matrix of shape (n_samples,
            n_samples); for a function of your own whatever it takes.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), optional
            Weights; C is multiplied by them. A row whose weight is not above 0 is left out.

        Returns
        -------
        self
            This estimator, fitted.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not what is expected.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `max_iter` pairs were moved and the conditions are still violated by more than `tol`.
        """
        self._fit(X, y, sample_weight)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Values of the fitted function.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_points, n_features)
            Where to evaluate; for ``kernel="precomputed"`` the Gram matrix of these points with the
            training rows, of shape (n_points, n_samples). An array on a GPU stays there (float64).

        Returns
        -------
        ndarray of shape (n_points,)
            f(x) = b + Σᵢ cᵢ K(x, xᵢ).
        """
        return self._function_values(X)


class SVR(Regressor):
    r"""Regression that forgives errors up to ε: :math:`\tfrac12 \|f\|^2 + \sum_i C_i \max(0, |y_i -
    f(x_i) - b| - \varepsilon)`.

    A drop-in for :class:`sklearn.svm.SVR` on all cores.

    Parameters
    ----------
    kernel, degree, gamma, coef0
        As for :class:`fastkb.SVC`.
    tol : float, default 1e-3
        How much the optimality conditions may be violated, exactly.
    C : float, default 1.0
        Cost of errors, above 0; infinity allows none.
    epsilon : float, default 0.1
        Errors up to this cost nothing; at least 0.
    shrinking, cache_size, verbose, max_iter, warm_start
        As for :class:`fastkb.SVC`.

    Attributes
    ----------
    support_, support_vectors_, n_support_, dual_coef_, coef_, intercept_, fit_status_, n_iter_, \
shape_fit_, n_features_in_, feature_names_in_
        As for :class:`fastkb.SVC`, of one function.

    References
    ----------
    Smola, Schölkopf (2004), A Tutorial on Support Vector Regression, Statistics and Computing 14.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import SVR
    >>> X = np.linspace(0.0, 3.0, 20)[:, None]
    >>> model = SVR(C=100.0, epsilon=0.01).fit(X, np.sin(X[:, 0]))
    >>> bool(abs(model.predict([[1.5]])[0] - np.sin(1.5)) < 0.02)
    True
    """

    def __init__(
        self,
        *,
        kernel: Any = "rbf",
        degree: float = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        tol: float = 1e-3,
        C: float = 1.0,
        epsilon: float = 0.1,
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
        self.C = C
        self.epsilon = epsilon
        self.shrinking = shrinking
        self.cache_size = cache_size
        self.verbose = verbose
        self.max_iter = max_iter
        self.warm_start = warm_start

    def _problem(self, y: Any, weight: np.ndarray) -> tuple[Problem, np.ndarray]:
        problem = epsilon_regression(y, float(self.C) * weight, float(self.epsilon))
        return problem, np.zeros(len(y))


class NuSVR(Regressor):
    r"""Regression with a share ν of support vectors; ε is found.

    The machine of :class:`SVR` for the ε that belongs to ν. A drop-in for :class:`sklearn.svm.NuSVR` on
    all cores.

    Parameters
    ----------
    nu : float, default 0.5
        At most this share of the rows has errors beyond ε, at least this share supports; above 0, at
        most 1.
    C : float, default 1.0
        Cost of errors, above 0 and finite.
    kernel, degree, gamma, coef0, shrinking, tol, cache_size, verbose, max_iter, warm_start
        As for :class:`fastkb.SVC`.

    Attributes
    ----------
    support_, support_vectors_, n_support_, dual_coef_, coef_, intercept_, fit_status_, n_iter_, \
shape_fit_, n_features_in_, feature_names_in_
        As for :class:`fastkb.SVC`, of one function.

    References
    ----------
    Schölkopf, Smola, Williamson, Bartlett (2000), New Support Vector Algorithms, Neural Computation 12.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import NuSVR
    >>> X = np.linspace(0.0, 3.0, 20)[:, None]
    >>> model = NuSVR(C=100.0).fit(X, np.sin(X[:, 0]))
    >>> bool(abs(model.predict([[1.5]])[0] - np.sin(1.5)) < 0.1)
    True
    """

    def __init__(
        self,
        *,
        nu: float = 0.5,
        C: float = 1.0,
        kernel: Any = "rbf",
        degree: float = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        shrinking: bool = True,
        tol: float = 1e-3,
        cache_size: float = 200,
        verbose: Any = False,
        max_iter: int = -1,
        warm_start: bool = False,
    ) -> None:
        self.nu = nu
        self.C = C
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.shrinking = shrinking
        self.tol = tol
        self.cache_size = cache_size
        self.verbose = verbose
        self.max_iter = max_iter
        self.warm_start = warm_start

    def _problem(self, y: Any, weight: np.ndarray) -> tuple[Problem, np.ndarray]:
        checks.check_finite_cost(self.C)
        problem = nu_regression(y, float(self.C) * weight)
        return problem, start_of_sides(problem, float(self.nu))

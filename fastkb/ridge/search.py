"""Kernel ridge regression that chooses λ and γ by leave-one-out."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import check_scoring

from fastkb.ridge.estimator import KernelModel
from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.ridge.path import check_alphas, check_gammas, errors_over_grid
from fastkb.validation.ridge import check_kernel, check_sample_weight


class KernelRidgeCV(KernelModel):
    r"""Kernel ridge regression with λ and γ chosen by leave-one-out cross-validation.

    The conventions are those of :class:`sklearn.linear_model.RidgeCV`; the errors are exact and
    take one factorisation for each γ, as in :func:`fastkb.kernel_ridge_path`.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,), optional
        Penalties λ > 0 to try. 17 from 1e-6 to 1e2 where left out.
    kernel : str, callable or kernel object, default "rbf"
        As in :class:`fastkb.KernelRidge`.
    gammas : array-like of shape (n_gammas,), optional
        Values of the kernel's γ to try; where left out, nine around the inverse of the squared
        median distance for ``rbf``, likewise for ``laplacian``, and the kernel's own default for
        others.
    degree : float, default 3
        Degree of the polynomial kernel.
    coef0 : float, default 1
        Constant of the polynomial and sigmoid kernels.
    kernel_params : dict, optional
        Keyword arguments for a callable kernel.
    scoring : str or callable, optional
        A scorer of scikit-learn, applied to all leave-one-out predictions at once; the greater the
        better. The negative mean squared error where left out.
    store_cv_results : bool, default False
        Whether to keep ``cv_results_``.
    alpha_per_target : bool, default False
        Whether each target has a λ of its own. γ is common to all targets.

    Attributes
    ----------
    alpha_ : float or ndarray of shape (n_targets,)
        The λ chosen.
    gamma_ : float or None
        The γ chosen; None where the kernel has none to choose.
    best_score_ : float or ndarray of shape (n_targets,)
        The score of the choice.
    path_ : KernelRidgePath
        The mean squared leave-one-out errors of all candidates.
    cv_results_ : ndarray of shape (n_samples, n_gammas, n_alphas) or \
            (n_samples, n_targets, n_gammas, n_alphas)
        With ``store_cv_results=True``: the squared leave-one-out errors times the weights, or with
        `scoring` the leave-one-out predictions.
    dual_coef_, X_fit_, n_features_in_, feature_names_in_
        As in :class:`fastkb.KernelRidge`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import KernelRidgeCV
    >>> rng = np.random.default_rng(0)
    >>> X = np.linspace(0.0, 6.0, 200)[:, None]
    >>> model = KernelRidgeCV().fit(X, np.sin(X[:, 0]) + 0.1 * rng.normal(size=200))
    >>> bool(abs(model.predict([[2.0]])[0] - np.sin(2.0)) < 0.05)
    True
    """

    def __init__(
        self,
        alphas: Any = None,
        *,
        kernel: Any = "rbf",
        gammas: Any = None,
        degree: float = 3,
        coef0: float = 1,
        kernel_params: dict | None = None,
        scoring: Any = None,
        store_cv_results: bool = False,
        alpha_per_target: bool = False,
    ) -> None:
        self.alphas = alphas
        self.kernel = kernel
        self.gammas = gammas
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.scoring = scoring
        self.store_cv_results = store_cv_results
        self.alpha_per_target = alpha_per_target

    def _kernel_choice(self) -> KernelChoice:
        gamma = getattr(self, "gamma_", None)
        return KernelChoice(self.kernel, gamma, self.degree, self.coef0, self.kernel_params)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KernelRidgeCV:
        """Choose λ and γ, and fit with them.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Training data; the Gram matrix for ``kernel="precomputed"``.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), optional
            Weights, at least 0, in the fits and in the mean of the errors; a row is left out whole.

        Returns
        -------
        self : KernelRidgeCV
            This estimator, fitted.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not what is expected.
        numpy.linalg.LinAlgError
            If no candidate has a finite error.
        """
        check_kernel(self.kernel, None, self.degree, self.coef0, self.kernel_params)
        alphas, gammas = check_alphas(self.alphas), check_gammas(self.gammas)
        X, y = self._validate_data(X, y, minimum=2)
        weight = check_sample_weight(sample_weight, y.shape[0], minimum=2)
        choice = KernelChoice(self.kernel, None, self.degree, self.coef0, self.kernel_params)
        scores = _Scores(self, y, weight)
        self.path_ = errors_over_grid(choice, X, y, alphas, gammas, weight, scores.visit)
        self._choose(scores, y.ndim == 1)
        penalties = np.atleast_1d(np.asarray(self.alpha_, dtype=np.float64))
        self._fit_dual(X, y, penalties, weight)
        return self

    def _choose(self, scores: _Scores, one_target: bool) -> None:
        """Set `gamma_`, `alpha_`, `best_score_` and, if asked for, `cv_results_`."""
        path = self.path_
        if self.scoring is None:
            errors = path.loo_errors[:, :, None] if one_target else path.loo_errors
            table = -errors  # shape: (n_gammas, n_alphas, n_targets)
        else:
            table = np.stack(scores.tables)
        if not self.alpha_per_target or one_target:
            table = table.mean(axis=2, keepdims=True)
        # Each target takes its best λ under every γ; the γ that serves them best together stands.
        row = int(np.argmax(table.max(axis=1).mean(axis=1)))
        columns = np.argmax(table[row], axis=0)
        best = table[row, columns, np.arange(columns.size)]
        self.gamma_ = None if path.gammas is None else float(path.gammas[row])
        if self.alpha_per_target and not one_target:
            self.alpha_, self.best_score_ = path.alphas[columns], best
        else:
            self.alpha_, self.best_score_ = float(path.alphas[columns[0]]), float(best[0])
        if self.store_cv_results:
            results = np.stack(scores.kept, axis=2)  # shape: (n, n_targets, n_gammas, n_alphas)
            self.cv_results_ = results[:, 0] if one_target else results


class _Scores:
    """What the candidates' leave-one-out predictions are worth to a scorer."""

    def __init__(
        self, estimator: KernelRidgeCV, y: np.ndarray, sample_weight: np.ndarray | None
    ) -> None:
        self.by_target = estimator.alpha_per_target and y.ndim == 2
        self.keep = estimator.store_cv_results
        self.y = y
        self.weight = sample_weight
        self.scorer: Any = None
        if estimator.scoring is not None:
            self.scorer = check_scoring(_Identity(), scoring=estimator.scoring)
        self.tables: list[np.ndarray] = []  # of shape: (n_alphas, n_targets or 1)
        self.kept: list[np.ndarray] = []  # of shape: (n, n_targets, n_alphas)

    def visit(self, index: int, residuals: np.ndarray) -> None:
        """Take the weighted residuals of one γ.  # residuals: shape (n, n_targets, n_alphas)"""
        if self.scorer is None:
            if self.keep:
                self.kept.append(residuals**2)
            return
        used = np.ones(self.y.shape[0], dtype=bool)
        if self.weight is not None:
            # A row of weight zero has no weighted residual, and no say.
            used = self.weight > 0.0
            residuals = residuals / np.sqrt(np.where(used, self.weight, 1.0))[:, None, None]
        targets = self.y.reshape(self.y.shape[0], -1)
        predictions = targets[:, :, None] - residuals
        if self.keep:
            self.kept.append(predictions)
        weight = None if self.weight is None else self.weight[used]
        self.tables.append(
            np.array(
                [
                    self._score(predictions[used, :, alpha], targets[used], weight)
                    for alpha in range(residuals.shape[2])
                ]
            )
        )

    def _score(
        self, predictions: np.ndarray, targets: np.ndarray, weight: np.ndarray | None
    ) -> list[float]:
        if not np.isfinite(predictions).all():
            return [-np.inf] * (targets.shape[1] if self.by_target else 1)
        pairs = [(predictions, targets)]
        if self.by_target:
            pairs = list(zip(predictions.T[:, :, None], targets.T[:, :, None], strict=True))
        options = {} if weight is None else {"sample_weight": weight}
        return [
            float(self.scorer(_Identity(), _flat(guess), _flat(truth), **options))
            for guess, truth in pairs
        ]


def _flat(columns: np.ndarray) -> np.ndarray:
    """One target as a vector, as scorers of one target want it."""
    return columns[:, 0] if columns.shape[1] == 1 else columns


class _Identity(RegressorMixin, BaseEstimator):
    """An estimator whose predictions are its input: scorers take estimators, not predictions."""

    def fit(self, X: Any, y: Any = None) -> _Identity:
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X

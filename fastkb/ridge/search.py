"""Kernel ridge regression that chooses λ and γ by leave-one-out, by folds, or by likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv

from fastkb.checks.choices import check_choice
from fastkb.checks.scalars import check_flag, check_progress
from fastkb.checks.weights import check_sample_weight
from fastkb.gram.checks import check_kernel
from fastkb.ridge.checks import check_groups, check_use_of_criterion
from fastkb.ridge.estimator import KernelModel
from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.ridge.path import (
    CRITERIA,
    check_alphas,
    check_gammas,
    errors_over_grid,
    of_one_target,
    training_data,
)
from fastkb.ridge.selection.criterion import TIE_OF_ERRORS, choose
from fastkb.ridge.selection.folds import make_folds
from fastkb.runtime.progress import ProgressLike


class KernelRidgeCV(KernelModel):
    r"""Kernel ridge regression with λ and γ chosen by cross-validation or by likelihood.

    The conventions are those of :class:`sklearn.linear_model.RidgeCV`. Errors are exact, and take one
    factorisation for each γ, as in :func:`fastkb.kernel_ridge_path`: of all leave-one-out fits, and of
    the fits to all folds but one.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,), optional
        Penalties λ > 0 to try. 17 from 1e-6 to 1e2 where left out.
    kernel : str, callable or kernel object, default "rbf"
        As in :class:`fastkb.KernelRidge`.
    gammas : array-like of shape (n_gammas,), optional
        Values of the kernel's γ to try; where left out, nine around the inverse of the squared
        median distance for ``rbf``, likewise for ``laplacian`` (fewer where many rows are equal, see
        :mod:`fastkb.ridge.selection.grid`), and the kernel's own default for all other kernels.
    degree : float, default 3
        Degree of the polynomial kernel.
    coef0 : float, default 1
        Constant of the polynomial and sigmoid kernels.
    kernel_params : dict, optional
        Keyword arguments for a callable kernel.
    scoring : str or callable, optional
        A scorer of scikit-learn, applied to all predictions of left out rows at once; the greater
        the better. The negative mean squared error where left out.
    store_cv_results : bool, default False
        Whether to keep ``cv_results_``.
    alpha_per_target : bool, default False
        Whether each target has a λ of its own. γ is common to all targets.
    criterion : {"loo", "reml"}, default "loo"
        ``"loo"``: the error of predictions of left out rows. ``"reml"``: the restricted likelihood
        of :func:`fastkb.kernel_ridge_path`, summed over the targets; takes neither `scoring` nor `cv`.
    cv : int, splitter or iterable, optional
        Which rows are left out together: the number of folds, a splitter of scikit-learn, or pairs of
        training and test indices. Every row by itself where left out. The error is the (weighted)
        mean over all predictions: a row that is in several test parts counts in each.
    fit_intercept : bool, default False
        Whether every fit has a constant without a penalty.
    progress : bool or callable, default False
        True shows a bar on standard error. A function is called with what is counted, how many are
        done, and how many there will be.

    Attributes
    ----------
    alpha_ : float or ndarray of shape (n_targets,)
        The λ chosen.
    gamma_ : float or None
        The γ chosen; None where the kernel has none to choose.
    best_score_ : float or ndarray of shape (n_targets,)
        The score of the choice; with ``criterion="reml"`` minus ``path_.reml``.
    path_ : KernelRidgePath
        The mean squared errors and the likelihoods of all candidates. Its ``edges`` tell whether a
        wider grid may help.
    cv_results_ : ndarray of shape (n_samples, n_gammas, n_alphas) or \
            (n_samples, n_targets, n_gammas, n_alphas)
        With ``store_cv_results=True``: the squared errors times the weights, or with `scoring` the
        predictions. With `cv` the first axis is that of the test rows, one fold after the other.
    dual_coef_, intercept_, X_fit_, n_features_in_, feature_names_in_
        As in :class:`fastkb.KernelRidge`.

    Notes
    -----
    Candidates that are equal but for rounding errors (1e-9 of the score, 1e-6 of the likelihood's
    logarithm) are ties, and the smoothest is taken: the smallest γ, then the largest λ.

    Folds whose training part is all that is not tested (k-fold, groups) are read off the one
    factorisation; other folds (``TimeSeriesSplit``) take one each for each γ. Metadata: `groups` go to
    the splitter; with metadata routing ask for them by ``set_fit_request(groups=True)``.

    For any number of threads the results are the same to the last bit, with the exception that
    :func:`fastkb.kernel_ridge_path` names.

    References
    ----------
    An, Liu, Venkatesh (2007), Fast cross-validation algorithms for least squares support vector
    machine and kernel ridge regression, Pattern Recognition 40(8), for the folds; and those of
    :func:`fastkb.kernel_ridge_path`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import KernelRidgeCV
    >>> rng = np.random.default_rng(0)
    >>> X = np.linspace(0.0, 6.0, 200)[:, None]
    >>> model = KernelRidgeCV().fit(X, np.sin(X[:, 0]) + 0.1 * rng.normal(size=200))
    >>> bool(abs(model.predict([[2.0]])[0] - np.sin(2.0)) < 0.05)
    True

    Ten rows were measured on each day; a day is to be predicted by all other days.

    >>> from sklearn.model_selection import LeaveOneGroupOut
    >>> day = np.arange(200) // 10
    >>> y = np.sin(X[:, 0]) + 0.1 * rng.normal(size=20)[day]
    >>> model = KernelRidgeCV(cv=LeaveOneGroupOut(), fit_intercept=True).fit(X, y, groups=day)
    >>> model.path_.criterion, bool(abs(model.predict([[2.0]])[0] - np.sin(2.0)) < 0.15)
    ('cv', True)
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
        criterion: str = "loo",
        cv: Any = None,
        fit_intercept: bool = False,
        progress: ProgressLike = False,
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
        self.criterion = criterion
        self.cv = cv
        self.fit_intercept = fit_intercept
        self.progress = progress

    def _kernel_choice(self) -> KernelChoice:
        gamma = getattr(self, "gamma_", None)
        return KernelChoice(self.kernel, gamma, self.degree, self.coef0, self.kernel_params)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> KernelRidgeCV:
        """Choose λ and γ, and fit with them.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Training data; the Gram matrix for ``kernel="precomputed"``.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), optional
            Weights, at least 0, in the fits and in the mean of the errors; a row is left out whole.
            In the likelihood they are precisions, of as many observations as there are rows.
        groups : array-like of shape (n_samples,), optional
            What the splitter `cv` is to hold together, such as the subject of each row.

        Returns
        -------
        self : KernelRidgeCV
            This estimator, fitted.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not what is expected; among them with an intercept rows
            of nearly all weight (1 - 1e-8) that are left out.
        numpy.linalg.LinAlgError
            If no candidate has a finite error, or a finite likelihood.
        """
        check_kernel(self.kernel, None, self.degree, self.coef0, self.kernel_params)
        check_choice("criterion", self.criterion, CRITERIA)
        check_use_of_criterion(self.criterion, self.scoring, self.cv)
        check_flag("fit_intercept", self.fit_intercept)
        check_progress(self.progress)
        alphas, gammas = check_alphas(self.alphas), check_gammas(self.gammas)
        splitter = None if self.cv is None else check_cv(self.cv)
        X, y = self._validate_data(X, y, minimum=2)
        weight = check_sample_weight(sample_weight, y.shape[0], minimum=2)
        groups = check_groups(groups, y.shape[0], splitter)
        folds = None if splitter is None else make_folds(splitter, X, y, groups, weight)
        data = training_data(X, y, weight, self.fit_intercept, folds)
        choice = KernelChoice(self.kernel, None, self.degree, self.coef0, self.kernel_params)
        scores = _Scores(self, y, weight, None if folds is None else folds.rows)
        path = errors_over_grid(
            choice, alphas, gammas, data, self.criterion, scores.visit, self.progress
        )
        self.path_ = path if y.ndim == 2 else of_one_target(path)
        self._choose(scores, y.ndim == 1)
        penalties = np.atleast_1d(np.asarray(self.alpha_, dtype=np.float64))
        self._fit_dual(X, y, penalties, weight)
        return self

    def _choose(self, scores: _Scores, one_target: bool) -> None:
        """Set `gamma_`, `alpha_`, `best_score_` and, if asked for, `cv_results_`."""
        path = self.path_
        if self.scoring is None:
            table, ties = path.table, path.ties  # shape: (n_gammas, n_alphas, n_targets)
        else:
            table, ties = -np.stack(scores.tables), TIE_OF_ERRORS
        if not self.alpha_per_target or one_target:
            table = table.mean(axis=2, keepdims=True)
        # Each target takes its best λ under every γ; the γ that serves them best together stands.
        row, columns = choose(table, path.alphas, path.gammas, ties)
        best = -table[row, columns, np.arange(columns.size)]
        self.gamma_ = None if path.gammas is None else float(path.gammas[row])
        if self.alpha_per_target and not one_target:
            self.alpha_, self.best_score_ = path.alphas[columns], best
        else:
            self.alpha_, self.best_score_ = float(path.alphas[columns[0]]), float(best[0])
            if self.criterion == "reml":
                self.best_score_ *= path.table.shape[2]  # the sum over the targets
        if self.store_cv_results:
            # shape: (n_predictions, n_targets, n_gammas, n_alphas)
            results = np.stack(scores.kept, axis=2)
            self.cv_results_ = results[:, 0] if one_target else results


class _Scores:
    """What the candidates' predictions of left out rows are worth to a scorer.

    Parameters
    ----------
    estimator : KernelRidgeCV
        Whose parameters say what is wanted.
    y : ndarray
        # shape: (n,) or (n, n_targets)
    sample_weight : ndarray or None
        # shape: (n,)
    rows : ndarray of int or None
        The row of each prediction; None where there is one for each row.  # shape: (n_predictions,)
    """

    def __init__(
        self,
        estimator: KernelRidgeCV,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        rows: np.ndarray | None,
    ) -> None:
        self.by_target = estimator.alpha_per_target and y.ndim == 2
        self.keep = estimator.store_cv_results
        self.y = y if rows is None else y[rows]
        self.weight = sample_weight
        if sample_weight is not None and rows is not None:
            self.weight = sample_weight[rows]
        self.scorer: Any = None
        if estimator.scoring is not None:
            self.scorer = check_scoring(_Identity(), scoring=estimator.scoring)
        self.tables: list[np.ndarray] = []  # of shape: (n_alphas, n_targets or 1)
        self.kept: list[np.ndarray] = []  # of shape: (n_predictions, n_targets, n_alphas)

    def visit(self, index: int, residuals: np.ndarray) -> None:
        """Take the weighted residuals of one γ.

        # residuals: shape (n_predictions, n_targets, n_alphas)
        """
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

"""Errors and likelihoods of kernel ridge regression over a grid of λ and γ."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError
from sklearn.utils.validation import check_X_y

from fastkb.checks.choices import check_choice
from fastkb.checks.numbers import check_kinds, check_squares, check_targets, naming
from fastkb.checks.scalars import check_flag, check_progress
from fastkb.checks.weights import check_sample_weight
from fastkb.gram.checks import check_kernel
from fastkb.ridge.checks import check_grid, check_own_gammas
from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.ridge.selection.criterion import TIE_OF_ERRORS, TIE_OF_LIKELIHOODS, TieRule, choose
from fastkb.ridge.selection.evaluation import TrainingData
from fastkb.ridge.selection.folds import Folds, what_is_left_out
from fastkb.ridge.selection.grid import DEFAULT_ALPHAS, default_gammas
from fastkb.ridge.selection.sweep import sweep
from fastkb.runtime.progress import ProgressLike, counted

CRITERIA = ("loo", "reml")


@dataclass(frozen=True)
class KernelRidgePath:
    r"""Leave-one-out errors over a grid, as :func:`kernel_ridge_path` returns them.

    Parameters
    ----------
    alphas : ndarray
        Penalties λ.  # shape: (n_alphas,)
    gammas : ndarray or None
        The kernel's γ, or None where the kernel has none to choose.  # shape: (n_gammas,)
    loo_errors : ndarray
        Mean squared leave-one-out errors; infinite where a system is singular.
        # shape: (n_gammas, n_alphas) or (n_gammas, n_alphas, n_targets); n_gammas is 1 without
        # gammas
    solvers : tuple of str
        For each γ ``"lowrank"``, ``"eigh"`` or ``"cholesky"``.
    reasons : tuple of str
        Why that one.
    criterion : {"loo", "reml", "cv"}, default "loo"
        What the best candidates are best in: ``loo_errors``, ``reml``, or errors of the folds of a
        :class:`fastkb.KernelRidgeCV` with ``cv=``, which ``loo_errors`` then holds.
    reml : ndarray or None, default None
        Minus twice the logarithm of the restricted likelihood, up to a constant that is the same
        for all candidates: the smaller the better. Infinite where K + λI is not positive definite;
        None for folds.  # shape: as loo_errors

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import kernel_ridge_path
    >>> X = np.linspace(0.0, 6.0, 40)[:, None]
    >>> path = kernel_ridge_path(X, np.sin(X[:, 0]), alphas=[1e-6, 1.0], gammas=[0.1, 1.0, 10.0])
    >>> path.loo_errors.shape, path.best_alpha
    ((3, 2), 1e-06)
    >>> path.edges()
    {'alpha': 'smallest', 'gamma': 'smallest'}
    """

    alphas: np.ndarray
    gammas: np.ndarray | None
    loo_errors: np.ndarray = field(repr=False)
    solvers: tuple[str, ...]
    reasons: tuple[str, ...] = field(repr=False)
    criterion: str = "loo"
    reml: np.ndarray | None = field(default=None, repr=False)

    @property
    def sigmas(self) -> np.ndarray | None:
        """The bandwidths σ = √(1/(2γ)) of the RBF kernel exp(-|x - x'|²/(2σ²))."""
        if self.gammas is None:
            return None
        with np.errstate(divide="ignore"):
            return np.sqrt(1.0 / (2.0 * self.gammas))

    @property
    def mean_errors(self) -> np.ndarray:
        """The errors, averaged over the targets.  # shape: (n_gammas, n_alphas)"""
        return self.loo_errors if self.loo_errors.ndim == 2 else self.loo_errors.mean(axis=2)

    @property
    def table(self) -> np.ndarray:
        """What the criterion wants small, a column for each target: errors or likelihoods.

        # shape: (n_gammas, n_alphas, n_targets)
        """
        table = self.loo_errors
        if self.criterion == "reml" and self.reml is not None:
            table = self.reml
        return table.reshape(*table.shape[:2], -1)

    @property
    def ties(self) -> TieRule:
        """Which candidates the criterion cannot tell apart."""
        return TIE_OF_LIKELIHOODS if self.criterion == "reml" else TIE_OF_ERRORS

    @property
    def best_index(self) -> tuple[int, int]:
        """Where the criterion's mean over the targets is least: indices into gammas and alphas.

        Of candidates that are equal but for rounding errors (1e-9 of the error, 1e-6 of the
        likelihood's logarithm) the smoothest: the smallest γ, then the largest λ. For likelihoods
        the mean is least where their sum is.
        """
        table = self.table.mean(axis=2, keepdims=True)
        row, columns = choose(table, self.alphas, self.gammas, self.ties)
        return row, int(columns[0])

    @property
    def best_alpha(self) -> float:
        """The λ of the best candidate."""
        return float(self.alphas[self.best_index[1]])

    @property
    def best_gamma(self) -> float | None:
        """The γ of the best candidate, or None where the kernel has none to choose."""
        return None if self.gammas is None else float(self.gammas[self.best_index[0]])

    @property
    def best_error(self) -> float:
        """The error of the best candidate, which is the least where the criterion is the error."""
        return float(self.mean_errors[self.best_index])

    def edges(self, alpha: float | None = None, gamma: float | None = None) -> dict[str, str]:
        """Which parameters are chosen at an edge of their candidates, where a wider grid may help.

        Parameters
        ----------
        alpha, gamma : float, optional
            A choice to look at, such as a scorer's; the best candidates where left out.

        Returns
        -------
        dict
            ``"alpha"`` and ``"gamma"``, each only where it is the ``"smallest"`` or the
            ``"largest"`` of two or more candidates.
        """
        chosen = {
            "alpha": (self.best_alpha if alpha is None else alpha, self.alphas),
            "gamma": (self.best_gamma if gamma is None else gamma, self.gammas),
        }
        found = {}
        for name, (value, candidates) in chosen.items():
            if candidates is None or candidates.min() == candidates.max():
                continue
            if value == candidates.min():
                found[name] = "smallest"
            elif value == candidates.max():
                found[name] = "largest"
        return found


def kernel_ridge_path(
    X: Any,
    y: Any,
    *,
    alphas: Any = None,
    gammas: Any = None,
    kernel: Any = "rbf",
    degree: float = 3,
    coef0: float = 1,
    sample_weight: Any = None,
    criterion: str = "loo",
    fit_intercept: bool = False,
    progress: ProgressLike = False,
) -> KernelRidgePath:
    r"""Leave-one-out errors and likelihoods for a grid of λ and γ, from one factorisation for each γ.

    .. math:: \mathrm{err}(\gamma, \lambda) = \frac{1}{\sum_i w_i} \sum_i w_i
              \left(\frac{c_i}{G_{ii}} \right)^2, \qquad G = (K_\gamma + \lambda W^{-1})^{-1},
              \quad c = G y

    where :math:`c_i / G_{ii} = y_i - f_{-i}(x_i)` exactly, with :math:`f_{-i}` fitted to all rows
    but the i-th: no refitting takes place. With an intercept
    :math:`G - G 1 1^T G / (1^T G 1)` takes the place of G.

    .. math:: \mathrm{reml}(\gamma, \lambda) = (n - 1) \log \frac{c^T y}{n - 1}
              - \log \det\nolimits^* G + \text{constant}

    is minus twice the logarithm of the restricted likelihood of
    :math:`y \sim N(b 1, s^2 (K_\gamma / \lambda + W^{-1}))` at its best :math:`s^2`, where
    :math:`\det^*` is the product of the eigenvalues but the one that is zero; without an intercept n
    stands for n - 1. See :mod:`fastkb.ridge.selection.criterion`.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, n_features)
        Training data; the Gram matrix for ``kernel="precomputed"``.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Targets.
    alphas : array-like of shape (n_alphas,), optional
        Penalties λ > 0. 17 from 1e-6 to 1e2 where left out.
    gammas : array-like of shape (n_gammas,), optional
        Values of the kernel's γ. For ``rbf`` nine from 1/100 to 100 times 1/(2m²), where m is the
        median distance between rows (σ from m/10 to 10m); for ``laplacian`` likewise around 1/m;
        for other kernels their own default. Where many rows are equal, none so narrow that the
        fitted curve would collapse between them. Ignored by kernels that have no γ.
    kernel : str, callable or kernel object, default "rbf"
        As in :class:`fastkb.KernelRidge`.
    degree : float, default 3
        Degree of the polynomial kernel.
    coef0 : float, default 1
        Constant of the polynomial and sigmoid kernels.
    sample_weight : float or array-like of shape (n_samples,), optional
        Weights w, at least 0. They count in the fits and in the mean. A row is left out whole,
        whatever its weight: leaving one of two copies in would let the other predict it. In the
        likelihood they are precisions, of as many observations as there are rows with a weight.
    criterion : {"loo", "reml"}, default "loo"
        What the best candidates are best in; both are computed.
    fit_intercept : bool, default False
        Whether every fit has a constant without a penalty.
    progress : bool or callable, default False
        True shows a bar on standard error. A function is called with what is counted, how many are
        done, and how many there will be.

    Returns
    -------
    KernelRidgePath
        Errors and the best candidates.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is expected; among them an alpha that is not positive, and with
        an intercept a row of nearly all weight (1 - 1e-8), whose absence leaves nothing to fit.
    numpy.linalg.LinAlgError
        If no candidate has a finite error, or with ``criterion="reml"`` a finite likelihood.

    Notes
    -----
    Computed in float64, since an error of 6e-8 in K would drown penalties below 1e-3. The cost is
    that of one factorisation for each γ: some n·r² flops where the Gram matrix has the numerical rank r,
    and about 7n³ where it has full rank (0.2 s for n=1000 on one thread, and eight times that for each
    doubling). Several γ run at once, a thread each. Memory: three matrices of n² float64 at most for
    each γ that runs, of which so many run as fit 1 GiB.

    Results are the same to the last bit for any number of threads, but for one γ alone of more than
    1000 rows, whose decomposition takes all threads of BLAS. Where K is singular to working precision, a
    penalty below its rounding error (n eps times the largest eigenvalue) counts as large as that.

    References
    ----------
    Rifkin and Lippert (2007), Notes on Regularized Least Squares, MIT-CSAIL-TR-2007-025.
    Cawley and Talbot (2004), Fast exact leave-one-out cross-validation of sparse least-squares
    support vector machines, Neural Networks 17(10), for the intercept.
    Patterson and Thompson (1971), Recovery of inter-block information when block sizes are unequal,
    Biometrika 58(3). Wahba (1985), A comparison of GCV and GML for choosing the smoothing parameter
    in the generalized spline smoothing problem, Annals of Statistics 13(4).

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import kernel_ridge_path
    >>> rng = np.random.default_rng(0)
    >>> X = np.linspace(0.0, 6.0, 200)[:, None]
    >>> path = kernel_ridge_path(X, np.sin(X[:, 0]) + 0.1 * rng.normal(size=200))
    >>> path.loo_errors.shape
    (9, 17)
    >>> bool(path.best_error < 0.1**2 * 1.2)
    True
    >>> path = kernel_ridge_path(X, 50 + np.sin(X[:, 0]), criterion="reml", fit_intercept=True)
    >>> path.reml.shape, path.criterion
    ((9, 17), 'reml')
    """
    check_kernel(kernel, None, degree, coef0, None)
    check_choice("criterion", criterion, CRITERIA)
    check_flag("fit_intercept", fit_intercept)
    check_progress(progress)
    alphas, gammas = check_alphas(alphas), check_gammas(gammas)
    check_kinds("X", X)
    y = check_targets(y)
    with naming("X", "y"):
        X, y = check_X_y(
            X,
            y,
            accept_sparse=("csr", "csc"),
            dtype=np.float64,
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=2,
        )
    weight = check_sample_weight(sample_weight, y.shape[0], minimum=2)
    data = training_data(X, y, weight, fit_intercept)
    choice = KernelChoice(kernel, None, degree, coef0, None)
    path = errors_over_grid(choice, alphas, gammas, data, criterion, progress=progress)
    return path if y.ndim == 2 else of_one_target(path)


def check_alphas(alphas: Any) -> np.ndarray:
    """The penalties to try.  # shape: (n_alphas,)"""
    return DEFAULT_ALPHAS if alphas is None else check_grid("alphas", alphas, allow_zero=False)


def check_gammas(gammas: Any) -> np.ndarray | None:
    """The values of γ to try, or None where the data are to decide.  # shape: (n_gammas,)"""
    return None if gammas is None else check_grid("gammas", gammas, allow_zero=True)


def training_data(
    X: Any,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    fit_intercept: bool,
    folds: Folds | None = None,
) -> TrainingData:
    """Checked data for :func:`errors_over_grid`.

    Raises
    ------
    ValueError
        If a fit with an intercept would go without nearly all of the weight, or squares of y are out
        of range.
    """
    left_out = what_is_left_out(y.shape[0], sample_weight, folds, fit_intercept)
    targets = y.reshape(y.shape[0], -1).astype(np.float64)
    check_squares("y", targets)
    return TrainingData(X, targets, sample_weight, fit_intercept, folds, left_out)


def errors_over_grid(
    choice: KernelChoice,
    alphas: np.ndarray,
    gammas: np.ndarray | None,
    data: TrainingData,
    criterion: str,
    visit: Callable[[int, np.ndarray], None] | None = None,
    progress: ProgressLike = False,
) -> KernelRidgePath:
    """The path for checked arguments, with a last axis for the targets.

    `visit` is called with the index of each γ and the residuals √w (y - f(x)) of the predictions,
    which it may keep.
    # residuals: shape (n_predictions, n_targets, n_alphas)
    """
    weight = data.sample_weight
    if not choice.takes_gamma:
        gammas = None
    elif gammas is None:
        used = data.X if weight is None else data.X[weight > 0]
        gammas = check_own_gammas(default_gammas(used, choice.kernel))
    candidates = [choice.gamma] if gammas is None else [float(gamma) for gamma in gammas]
    rows = slice(None) if data.folds is None else data.folds.rows
    total_weight = float((np.ones(len(data.y)) if weight is None else weight)[rows].sum())
    errors = np.empty((len(candidates), alphas.size, data.y.shape[1]))
    likelihoods = None if data.folds is not None else np.empty_like(errors)
    solvers, reasons = [], []
    # Closed at once after an error, too: its threads and the limit on those of BLAS end with it.
    with (
        closing(sweep(choice, candidates, alphas, data)) as results,
        counted(progress, "kernels", len(candidates)) as bar,
    ):
        for index, result in enumerate(results):
            with np.errstate(over="ignore"):
                errors[index] = np.sum(result.residuals**2, axis=0).T / total_weight
            if likelihoods is not None and result.reml is not None:
                likelihoods[index] = result.reml.T
            solvers.append(result.solver)
            reasons.append(result.reason)
            if visit is not None:
                visit(index, result.residuals)
            bar.update(1)
    path = KernelRidgePath(
        alphas=alphas,
        gammas=gammas,
        loo_errors=errors,
        solvers=tuple(solvers),
        reasons=tuple(reasons),
        criterion="cv" if data.folds is not None else criterion,
        reml=likelihoods,
    )
    if not np.isfinite(path.table).any():
        what = {"loo": "leave-one-out error", "cv": "error", "reml": "likelihood"}[path.criterion]
        raise LinAlgError(f"no candidate for alpha and gamma has a finite {what}")
    return path


def of_one_target(path: KernelRidgePath) -> KernelRidgePath:
    """The path of a single target, without the last axis."""
    reml = None if path.reml is None else path.reml[:, :, 0]
    return replace(path, loo_errors=path.loo_errors[:, :, 0], reml=reml)

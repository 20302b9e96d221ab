"""Leave-one-out errors of kernel ridge regression over a grid of λ and γ."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError
from sklearn.utils.validation import check_X_y

from fastkb.ridge.grid import DEFAULT_ALPHAS, default_gammas
from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.ridge.sweep import sweep
from fastkb.validation.ridge import check_grid, check_kernel, check_sample_weight


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

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import kernel_ridge_path
    >>> X = np.linspace(0.0, 6.0, 40)[:, None]
    >>> path = kernel_ridge_path(X, np.sin(X[:, 0]), alphas=[1e-6, 1.0], gammas=[0.1, 1.0, 10.0])
    >>> path.loo_errors.shape, path.best_alpha
    ((3, 2), 1e-06)
    """

    alphas: np.ndarray
    gammas: np.ndarray | None
    loo_errors: np.ndarray = field(repr=False)
    solvers: tuple[str, ...]
    reasons: tuple[str, ...] = field(repr=False)

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
    def best_index(self) -> tuple[int, int]:
        """Where the error, averaged over the targets, is least: indices into gammas and alphas."""
        row, column = np.unravel_index(np.argmin(self.mean_errors), self.mean_errors.shape)
        return int(row), int(column)

    @property
    def best_alpha(self) -> float:
        """The λ of the least error."""
        return float(self.alphas[self.best_index[1]])

    @property
    def best_gamma(self) -> float | None:
        """The γ of the least error, or None where the kernel has none to choose."""
        return None if self.gammas is None else float(self.gammas[self.best_index[0]])

    @property
    def best_error(self) -> float:
        """The least error."""
        return float(self.mean_errors[self.best_index])


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
) -> KernelRidgePath:
    r"""Leave-one-out errors for a grid of λ and γ, from one factorisation for each γ.

    .. math:: \mathrm{err}(\gamma, \lambda) = \frac{1}{\sum_i w_i} \sum_i w_i
    \left(\frac{c_i}{G_{ii}}
              \right)^2, \qquad G = (K_\gamma + \lambda W^{-1})^{-1}, \quad c = G y

    where :math:`c_i / G_{ii} = y_i - f_{-i}(x_i)` exactly, with :math:`f_{-i}` fitted to all rows
    but the i-th: no refitting takes place.

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
        for other kernels their own default. Ignored by kernels that have no γ.
    kernel : str, callable or kernel object, default "rbf"
        As in :class:`fastkb.KernelRidge`.
    degree : float, default 3
        Degree of the polynomial kernel.
    coef0 : float, default 1
        Constant of the polynomial and sigmoid kernels.
    sample_weight : float or array-like of shape (n_samples,), optional
        Weights w, at least 0. They count in the fits and in the mean. A row is left out whole,
        whatever its weight: leaving one of two copies in would let the other predict it.

    Returns
    -------
    KernelRidgePath
        Errors and the best candidates.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is expected; among them an alpha that is not positive.
    numpy.linalg.LinAlgError
        If no candidate has a finite error.

    Notes
    -----
    Computed in float64, since an error of 6e-8 in K would drown penalties below 1e-3. The cost is
    that of :mod:`fastkb.ridge.leave_one_out`: for each γ some n·r² flops where the Gram matrix has
    the numerical rank r, and about 7n³ where it has full rank (0.2 s for n=1000 on one thread, and
    eight times that for each doubling). Several γ run at once, a thread each: see
    :mod:`fastkb.ridge.sweep`. Memory: three matrices of n² float64 at most for each γ that runs, of
    which so many run as fit 1 GiB.

    References
    ----------
    Rifkin and Lippert (2007), Notes on Regularized Least Squares, MIT-CSAIL-TR-2007-025.

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
    """
    check_kernel(kernel, None, degree, coef0, None)
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
    choice = KernelChoice(kernel, None, degree, coef0, None)
    return errors_over_grid(choice, X, y, check_alphas(alphas), check_gammas(gammas), weight)


def check_alphas(alphas: Any) -> np.ndarray:
    """The penalties to try.  # shape: (n_alphas,)"""
    return DEFAULT_ALPHAS if alphas is None else check_grid("alphas", alphas, allow_zero=False)


def check_gammas(gammas: Any) -> np.ndarray | None:
    """The values of γ to try, or None where the data are to decide.  # shape: (n_gammas,)"""
    return None if gammas is None else check_grid("gammas", gammas, allow_zero=True)


def errors_over_grid(
    choice: KernelChoice,
    X: Any,
    y: np.ndarray,
    alphas: np.ndarray,
    gammas: np.ndarray | None,
    sample_weight: np.ndarray | None,
    visit: Callable[[int, np.ndarray], None] | None = None,
) -> KernelRidgePath:
    """The path for checked arguments.

    `visit` is called with the index of each γ and the residuals √wᵢ (yᵢ - f₋ᵢ(xᵢ)), which it may
    keep.
    # residuals: shape (n, n_targets, n_alphas)
    """
    if not choice.takes_gamma:
        gammas = None
    elif gammas is None:
        gammas = default_gammas(X if sample_weight is None else X[sample_weight > 0], choice.kernel)
    candidates = [choice.gamma] if gammas is None else [float(gamma) for gamma in gammas]
    targets = y.reshape(y.shape[0], -1).astype(np.float64)
    total_weight = y.shape[0] if sample_weight is None else sample_weight.sum()
    errors = np.empty((len(candidates), alphas.size, targets.shape[1]))
    solvers, reasons = [], []
    # Closed at once after an error, too: its threads and the limit on those of BLAS end with it.
    with closing(sweep(choice, candidates, X, targets, alphas, sample_weight)) as results:
        for index, result in enumerate(results):
            with np.errstate(over="ignore"):
                errors[index] = np.sum(result.residuals**2, axis=0).T / total_weight
            solvers.append(result.solver)
            reasons.append(result.reason)
            if visit is not None:
                visit(index, result.residuals)
    if not np.isfinite(errors).any():
        raise LinAlgError("no candidate for alpha and gamma has a finite leave-one-out error")
    return KernelRidgePath(
        alphas=alphas,
        gammas=gammas,
        loo_errors=errors[:, :, 0] if y.ndim == 1 else errors,
        solvers=tuple(solvers),
        reasons=tuple(reasons),
    )

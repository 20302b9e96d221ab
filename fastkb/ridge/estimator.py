"""Kernel ridge regression with scikit-learn's interface."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fastkb.checks.choices import check_choice
from fastkb.checks.numbers import check_kinds, check_targets, naming
from fastkb.checks.scalars import check_flag
from fastkb.checks.weights import check_sample_weight
from fastkb.gram import engine
from fastkb.gram.checks import check_kernel
from fastkb.gram.products import Function, check_dense
from fastkb.ridge.checks import check_alpha
from fastkb.ridge.dual import solve_dual
from fastkb.ridge.kernel_matrix import KernelChoice, to_dense
from fastkb.runtime.cuda import Copies, is_device_array, load
from fastkb.runtime.threads import limit_blas
from fastkb.scalar.kernels import find

# Predictions are made for as many rows at a time as fit a Gram matrix of this many bytes: memory
# stays bounded, and compiled threads and BLAS threads take turns at intervals that cost them
# nothing.
_PREDICTION_BYTES = 256 * 2**20

# With so many targets the product of kernel and coefficients costs more than reading the kernel.
_MANY_TARGETS = 16


class KernelModel(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """What every kernel ridge estimator has in common: its data, f(x) = b + Σᵢ aᵢ K(x, xᵢ)."""

    kernel: Any
    fit_intercept: bool
    device: str = "cpu"
    # Parameters that files of earlier versions do not know, and what they were then.
    _later_parameters: ClassVar[dict[str, str]] = {"device": "cpu"}
    dual_coef_: np.ndarray
    intercept_: float | np.ndarray
    X_fit_: Any

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.pairwise = isinstance(self.kernel, str) and self.kernel == "precomputed"
        return tags

    def _kernel_choice(self) -> KernelChoice:
        raise NotImplementedError

    def _get_kernel(self, X: Any, Y: Any = None) -> Any:
        """The Gram matrix of this estimator's kernel."""
        return self._kernel_choice().matrix(X, Y)

    def _validate_data(self, X: Any, y: Any, minimum: int = 1) -> tuple[Any, np.ndarray]:
        """`X` and `y` checked, in float32 where both are and in float64 otherwise."""
        for name, values in (("X", X), ("y", y)):
            if is_device_array(values):
                raise TypeError(
                    f"{name} must be an array of the CPU for fit; got one on a GPU: copy it to the CPU "
                    "(the fitted model predicts arrays on a GPU there)"
                )
        check_kinds("X", X)
        y = check_targets(y)
        with naming("X", "y"):
            X, y = validate_data(
                self,
                X,
                y,
                accept_sparse=("csr", "csc"),
                multi_output=True,
                y_numeric=True,
                ensure_min_samples=minimum,
            )
        dtype = np.float32 if X.dtype == np.float32 and y.dtype == np.float32 else np.float64
        if X.dtype == np.float32 and dtype == np.float64:
            # A Gram matrix rounded to float32 would spoil coefficients that are kept in float64.
            X = X.astype(dtype)
        return X, y.astype(dtype, copy=False)

    def _fit_dual(
        self, X: Any, y: np.ndarray, alpha: np.ndarray, sample_weight: np.ndarray | None
    ) -> None:
        """Set `dual_coef_`, `intercept_` and `X_fit_` for checked data."""
        choice = self._kernel_choice()
        with limit_blas():
            K = choice.fresh_matrix(X, y.dtype)
            coefficients, intercept = solve_dual(
                K,
                y.reshape(y.shape[0], -1),
                alpha,
                sample_weight,
                positive_semidefinite=choice.is_positive_semidefinite,
                fit_intercept=self.fit_intercept,
            )
        self._keep(X, y, coefficients, intercept)

    def _keep(
        self, X: Any, y: np.ndarray, coefficients: np.ndarray, intercept: np.ndarray | None
    ) -> None:
        self.dual_coef_ = coefficients.reshape(y.shape)
        if intercept is None:
            self.intercept_ = 0.0
        elif y.ndim == 1:
            self.intercept_ = float(intercept[0])
        else:
            self.intercept_ = intercept.astype(coefficients.dtype)
        self.X_fit_ = X

    def predict(self, X: Any) -> np.ndarray:
        """Values of the fitted function.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_points, n_features)
            Where to evaluate; for ``kernel="precomputed"`` the Gram matrix of these points with the
            training points, of shape (n_points, n_samples). An array on a GPU stays there.

        Returns
        -------
        y : ndarray of shape (n_points,) or (n_points, n_targets)
            f(x) = b + Σᵢ aᵢ K(x, xᵢ) for each row; an array of X's kind if X is on a GPU.
        """
        check_is_fitted(self)
        if is_device_array(X):
            found = self._function().values(X)
            return found.reshape(-1) if self.dual_coef_.ndim == 1 else found
        check_kinds("X", X)
        with naming("X"):
            X = validate_data(self, X, accept_sparse=("csr", "csc"), reset=False)
        if self.device == "cuda":
            from fastkb.ridge import cuda

            check_dense(X)
            return cuda.predict(self._function(), X).reshape(-1, *self.dual_coef_.shape[1:])
        return self._combined(X) + self.intercept_

    def _function(self) -> Function:
        """The model as it is computed on a GPU."""
        if type(self)._get_kernel is not KernelModel._get_kernel:
            raise TypeError(
                f"{type(self).__name__} has a kernel of its own, which is computed on the CPU alone"
            )
        if not hasattr(self, "_copies"):
            self._copies = Copies()
        product, arrays = self._kernel_choice().product, (self.X_fit_, self.dual_coef_)
        return Function(product, arrays, self.intercept_, self._copies)

    def _combined(self, X: Any) -> np.ndarray:
        """Σᵢ aᵢ K(x, xᵢ) for each row of checked points."""
        coefficients = self.dual_coef_
        if coefficients.ndim == 1 or coefficients.shape[1] < _MANY_TARGETS:
            columns = coefficients.reshape(len(coefficients), -1)
            if type(self)._get_kernel is KernelModel._get_kernel:
                values = self._kernel_choice().product(X, self.X_fit_, columns)
                if values is not None:
                    return values.reshape(-1, *coefficients.shape[1:])
        step = max(1, _PREDICTION_BYTES // (8 * self.dual_coef_.shape[0]))
        with limit_blas():
            parts = [
                _product(
                    to_dense(self._get_kernel(X[start : start + step], self.X_fit_)), coefficients
                )
                for start in range(0, X.shape[0], step)
            ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _product(K: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """K times coefficients; of many targets on the engine, whose threads alter no bit."""
    if coefficients.ndim == 1 or coefficients.shape[1] < _MANY_TARGETS:
        return K @ coefficients
    dtype = np.result_type(K, coefficients)
    rows = np.ascontiguousarray(coefficients.T, dtype=dtype)
    return engine.compute(find("linear"), (), K.astype(dtype, copy=False), rows)


class KernelRidge(KernelModel):
    r"""Kernel ridge regression: least squares in the space that a kernel spans, with an L2 penalty.

    Minimises :math:`\sum_i w_i (y_i - f(x_i))^2 + \lambda \|f\|^2`; the minimiser is
    :math:`f(x) = \sum_i a_i K(x, x_i)` with :math:`(K + \lambda W^{-1}) a = y`. A drop-in for
    :class:`sklearn.kernel_ridge.KernelRidge`.

    With ``fit_intercept=True`` it minimises :math:`\sum_i w_i (y_i - b - f(x_i))^2 + \lambda
    \|f\|^2` over f and a constant b, which bears no penalty: then
    :math:`(K + \lambda W^{-1}) a + b 1 = y` and :math:`\sum_i a_i = 0`, a constant added to y is
    a constant added to the predictions, and far from all points an RBF model is b.

    Parameters
    ----------
    alpha : float or array-like of shape (n_targets,), default 1
        The penalty λ, at least 0; one for all targets, or one for each.
    kernel : str, callable or kernel object, default "linear"
        A name (``linear``, ``rbf``, ``laplacian``, ``poly``, ``polynomial``, ``sigmoid``,
        ``cosine``, ``chi2``, ``additive_chi2``), ``"precomputed"`` where the data are Gram
        matrices, a kernel of :mod:`fastkb.kernels`, or a callable of two rows that returns a
        number.
    gamma : float, optional
        The kernel's γ (of ``rbf``: 1/(2σ²)). The kernel's own default where left out, 1/n_features
        for all but ``chi2``. Other kernels ignore it.
    degree : float, default 3
        Degree of the polynomial kernel.
    coef0 : float, default 1
        Constant of the polynomial and sigmoid kernels.
    kernel_params : dict, optional
        Keyword arguments for a callable kernel.
    fit_intercept : bool, default False
        Whether to fit a constant without a penalty. The peer has none.
    device : {"cpu", "cuda"}, default "cpu"
        With ``"cuda"`` predictions are computed on the GPU, some rows at a time, and come back as NumPy
        arrays. `fit` uses the CPU; where the Gram matrix does not fit its memory, conjugate gradients on
        the GPU. The kernel must be one of the package, the data dense. (A model predicts arrays that are
        on a GPU there, whatever its device.)

    Attributes
    ----------
    dual_coef_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
        The coefficients a: float32 where X and y both are, float64 otherwise.
    intercept_ : float or ndarray of shape (n_targets,)
        The constant b; 0.0 without an intercept.
    X_fit_ : array or sparse matrix of shape (n_samples, n_features)
        The training data that predictions need; the Gram matrix where it was precomputed.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where all are strings.
    n_iter_ : int or None
        Iterations of conjugate gradients; None where they were not used.

    See Also
    --------
    fastkb.KernelRidgeCV : chooses λ and γ by leave-one-out.

    Notes
    -----
    One Cholesky factorisation, n³/3 flops, in the memory of the Gram matrix. Distinct penalties for
    different targets take one each, or one eigendecomposition for all where that is cheaper: see
    :func:`fastkb.ridge.dual.plan_dual`. An intercept centres that matrix in place, see
    :mod:`fastkb.ridge.scaling`.

    Coefficients and predictions are the same to the last bit for any number of threads, those of BLAS
    included.

    Conjugate gradients end when the residual of :math:`(K + \lambda W^{-1}) a = y`, scaled by the roots
    of the weights, is :math:`10^{-10}` of y in float64 and :math:`10^{-5}` in float32, or after 1000
    iterations: see :mod:`fastkb.ridge.conjugate`.

    References
    ----------
    Saunders, Gammerman, Vovk (1998), Ridge Regression Learning Algorithm in Dual Variables, ICML.
    Murphy (2012), Machine Learning: A Probabilistic Perspective, section 14.4.3.
    Suykens, Van Gestel, De Brabanter, De Moor, Vandewalle (2002), Least Squares Support Vector
    Machines, World Scientific, section 3.1, for the intercept.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import KernelRidge
    >>> X = np.linspace(0.0, 3.0, 20)[:, None]
    >>> model = KernelRidge(alpha=1e-3, kernel="rbf", gamma=1.0).fit(X, np.sin(X[:, 0]))
    >>> bool(abs(model.predict([[1.5]])[0] - np.sin(1.5)) < 1e-3)
    True
    >>> model = KernelRidge(alpha=1e-3, kernel="rbf", gamma=1.0, fit_intercept=True)
    >>> model = model.fit(X, 1e6 + np.sin(X[:, 0]))
    >>> bool(abs(model.predict([[1.5]])[0] - 1e6 - np.sin(1.5)) < 1e-3)
    True
    """

    def __init__(
        self,
        alpha: Any = 1,
        *,
        kernel: Any = "linear",
        gamma: float | None = None,
        degree: float = 3,
        coef0: float = 1,
        kernel_params: dict | None = None,
        fit_intercept: bool = False,
        device: str = "cpu",
    ) -> None:
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.fit_intercept = fit_intercept
        self.device = device

    def _kernel_choice(self) -> KernelChoice:
        return KernelChoice(self.kernel, self.gamma, self.degree, self.coef0, self.kernel_params)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KernelRidge:
        """Fit the coefficients.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Training data; for ``kernel="precomputed"`` the Gram matrix of shape (n_samples,
            n_samples), which is left as it is.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), optional
            Weights w, at least 0; a sample of weight k counts as k samples.

        Returns
        -------
        self : KernelRidge
            This estimator, fitted.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not what is expected; among them an `alpha` of neither
            one value nor one for each target.
        CudaUnavailableError
            With ``device="cuda"``, if there is none.

        Warns
        -----
        scipy.linalg.LinAlgWarning
            If the system is singular to working precision; least squares solves it where Cholesky's
            method cannot, or would divide by what rounding errors left of zero.
        sklearn.exceptions.ConvergenceWarning
            If conjugate gradients end far from a solution.
        """
        check_kernel(self.kernel, self.gamma, self.degree, self.coef0, self.kernel_params)
        check_flag("fit_intercept", self.fit_intercept)
        there = check_choice("device", self.device, ("cpu", "cuda")) == "cuda"
        if there:
            from fastkb.ridge import cuda

            load()
            cuda.check_kernel_there(self.kernel)
        X, y = self._validate_data(X, y)
        alpha = check_alpha(self.alpha, 1 if y.ndim == 1 else y.shape[1])
        weights = check_sample_weight(sample_weight, y.shape[0])
        self.n_iter_ = None
        if there:
            check_dense(X)
            choice = self._kernel_choice()
            if choice.is_positive_semidefinite and cuda.has_no_room(len(X), y.dtype):
                columns = y.reshape(len(y), -1)
                found = cuda.fit(choice, X, columns, alpha, weights, self.fit_intercept)
                self._keep(X, y, found.dual_coef.astype(y.dtype), found.intercept)
                self.n_iter_ = found.iterations
                return self
        self._fit_dual(X, y, alpha, weights)
        return self

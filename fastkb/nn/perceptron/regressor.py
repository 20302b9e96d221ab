"""The multi-layer perceptron for real targets, with scikit-learn's interface."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from fastkb.checks.values import real_values
from fastkb.nn.perceptron.base import Perceptron, trains_in_steps
from fastkb.nn.perceptron.checks import check_targets


class MLPRegressor(RegressorMixin, Perceptron):
    r"""Multi-layer perceptron for real targets, trained by backpropagation.

    Minimises :math:`\frac{1}{2n} \sum_i w_i \|f(x_i) - y_i\|^2 + \frac{\alpha}{2n} \|W\|^2`, in which n
    is the sum of the weights :math:`w_i`. A drop-in for :class:`sklearn.neural_network.MLPRegressor`.

    Parameters
    ----------
    loss : {"squared_error"}, default "squared_error"
        Half of it, as above.
    hidden_layer_sizes, activation, solver, …, max_fun
        As for :class:`fastkb.MLPClassifier`, with the same defaults.

    Attributes
    ----------
    validation_scores_ : list of float or None
        R² of what was set aside, after each epoch.
    out_activation_ : str
        "identity".
    coefs_, intercepts_, loss_, loss_curve_, best_loss_, best_validation_score_, n_iter_, t_, …
        As for :class:`fastkb.MLPClassifier`.

    See Also
    --------
    fastkb.MLPClassifier : for classes; its notes hold here, too.
    fastkb.nn.Sequential : any layers, losses and optimisers.

    Notes
    -----
    Of m targets, `loss_` is the mean over them of what is minimised: squares and penalty are divided by
    m. (scikit-learn's has the whole penalty, and its gradient is that of the sum over targets, as here;
    so the coefficients are the same, but for ``lbfgs``, whose steps depend on the loss, too.)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import MLPRegressor
    >>> X = np.linspace(-1.0, 1.0, 50)[:, None]
    >>> model = MLPRegressor(hidden_layer_sizes=20, activation="tanh", solver="lbfgs", random_state=0)
    >>> model.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.99
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

    def _validate_input(
        self, X: Any, y: Any, incremental: bool, reset: bool
    ) -> tuple[Any, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            # None and sparse matrices are for scikit-learn's own errors.
            y if y is None or issparse(y) else real_values("y", y, frames=False),
            accept_sparse=("csr", "csc"),
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_targets(y, np.dtype(np.float64) if self.solver == "lbfgs" else X.dtype)
        return X, y

    def _output(self) -> str:
        return "identity"

    def _score_outputs(
        self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None
    ) -> float:
        """R², mean over targets."""
        return float(r2_score(targets, outputs, sample_weight=weights))

    @property
    def _stratified(self) -> bool:
        return False

    @available_if(trains_in_steps)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train one epoch more.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        self : MLPRegressor
            This estimator.

        Raises
        ------
        ValueError, TypeError
            As `fit`; for `early_stopping`.
        """
        self._check(incremental=True)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> np.ndarray:
        """Values of the fitted function.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n,) or (n, n_targets)
        """
        check_is_fitted(self)
        return self._answers(self._forward(X), "predict")

    def _answers(self, outputs: np.ndarray, method: str) -> np.ndarray:
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

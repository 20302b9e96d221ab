"""What both perceptrons with scikit-learn's interface have in common: how they are fitted."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from fastkb.checks.values import real_array, real_values
from fastkb.checks.weights import check_sample_weight
from fastkb.nn.perceptron.checks import (
    check_hidden_layer_sizes,
    check_outputs,
    check_perceptron,
    check_seed,
)
from fastkb.nn.perceptron.lbfgs import minimize
from fastkb.nn.perceptron.objective import (
    Objective,
    draw,
    evaluator,
    make_engine,
    make_objective,
    pack,
    unpack,
)
from fastkb.nn.perceptron.records import Records
from fastkb.nn.perceptron.stochastic import Rows, SideBySide, floating, not_finite
from fastkb.nn.program.engine import Engine
from fastkb.runtime.callers import stacklevel

# Rows of a sparse matrix that are made dense at a time: 64 MB of them.
_DENSE_BYTES = 64 * 2**20

_OF_ONE_FIT = (
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
    "_no_improvement_count",
    "_optimizer",
)


def trains_in_steps(estimator: Any) -> bool:
    """Whether `partial_fit` can serve; the error says why it cannot."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit is for the solvers sgd and adam, and this one is lbfgs")
    return True


class Perceptron(Records, BaseEstimator):
    """Layers of one activation behind each other, with scikit-learn's parameters and attributes."""

    hidden_layer_sizes: Any
    activation: str
    solver: str
    alpha: float
    batch_size: Any
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: Any
    warm_start: bool
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: float
    max_fun: int
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    out_activation_: str

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # The next methods differ between classes and real targets.

    def _validate_input(
        self, X: Any, y: Any, incremental: bool, reset: bool
    ) -> tuple[Any, np.ndarray]:
        raise NotImplementedError

    def _output(self) -> str:
        """The last activation for the data."""
        raise NotImplementedError

    def _score_outputs(
        self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None
    ) -> float:
        """The score of what the last layer adds up."""
        raise NotImplementedError

    def _answers(self, outputs: np.ndarray, method: str) -> np.ndarray:
        """What a method makes of what the last layer adds up."""
        raise NotImplementedError

    @property
    def _stratified(self) -> bool:
        """Whether each class gives its part of what is set aside."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train until there is no more progress.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, n_features)
            Inputs.
        y : array-like of shape (n,) or (n, n_outputs)
            Targets: classes, an indicator of labels, or real numbers.
        sample_weight : float or array-like of shape (n,), optional
            Weights, at least 0.

        Returns
        -------
        self : estimator
            This estimator, fitted.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not what is expected, or if training diverges.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `max_iter` or `max_fun` ends the training.
        """
        self._check(incremental=False)
        return self._fit(X, y, sample_weight, incremental=False)

    def _check(self, incremental: bool) -> None:
        check_perceptron(self.get_params(deep=False))
        check_seed(self.random_state)
        if incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: a part of the data that is set "
                "aside in one call would be trained on in the next"
            )

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._read(X, y, incremental, reset=first)
        weights = None
        if sample_weight is not None:
            given = real_array("sample_weight", sample_weight, np.dtype(np.float64))
            weights = check_sample_weight(given, X.shape[0])
        random = check_random_state(self.random_state)
        if first:
            self._initialize(random, X, y)
        check_outputs(y, self.coefs_[-1].shape[1])
        self.n_outputs_ = y.shape[1]
        rows = Rows(X, y, weights)
        if self.solver == "lbfgs":
            self._fit_together(rows)
        else:
            self._fit_in_steps(rows, random, incremental)
        if not all(np.isfinite(each).all() for each in (*self.coefs_, *self.intercepts_)):
            raise not_finite("coefs_ or intercepts_ are not finite")
        return self

    def _read(
        self, X: Any, y: Any, incremental: bool, reset: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Checked data, dense, with a column for each output."""
        X = real_values("X", X)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused as infinite
            X, y = self._validate_input(X, y, incremental, reset)
        return X.toarray() if issparse(X) else X, y.reshape(len(y), -1)

    def _initialize(self, random: np.random.RandomState, X: Any, y: np.ndarray) -> None:
        """Forget what was learnt, and draw first coefficients."""
        for name in _OF_ONE_FIT:
            self.__dict__.pop(name, None)
        hidden = check_hidden_layer_sizes(self.hidden_layer_sizes)
        widths = (X.shape[1], *hidden, y.shape[1])
        self.n_layers_ = len(widths)
        self.n_iter_ = self.t_ = 0
        self.out_activation_ = self._output()
        self.coefs_, self.intercepts_ = draw(random, widths, self.activation, X.dtype)

    def _engine(self, dtype: Any) -> Engine:
        return evaluator(
            tuple(coef.shape for coef in self.coefs_), self.activation, np.dtype(dtype)
        )

    def _objective(self, engine: Engine, rows: Rows) -> Objective:
        return make_objective(engine, *rows, self.out_activation_, self.alpha)

    def _keep(self, engine: Engine, parameters: np.ndarray, dtype: Any) -> None:
        coefs, intercepts = unpack(engine, parameters)
        self.coefs_ = [each.astype(dtype, copy=False) for each in coefs]
        self.intercepts_ = [each.astype(dtype, copy=False) for each in intercepts]

    def _fit_together(self, rows: Rows) -> None:
        """L-BFGS, in float64 for data of any type: its line search needs the digits."""
        dtype = floating(self.coefs_[0].dtype)
        shapes = [coef.shape for coef in self.coefs_]
        engine = make_engine(shapes, self.activation, np.dtype(np.float64))
        parameters = pack(engine, self.coefs_, self.intercepts_)

        def say(n: int, loss: float) -> None:
            print(f"Iteration {n}, loss = {loss:.8f}")

        found = minimize(
            self._objective(engine, rows),
            parameters,
            tol=self.tol,
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            each=say if self.verbose else None,
        )
        self.loss_, self.n_iter_ = found.loss, found.n_iter
        self._keep(engine, parameters, dtype)
        if found.interrupted:
            _warn_interrupted()
        elif found.message:
            warnings.warn(
                f"lbfgs has not converged after {found.n_iter} iterations: {found.message}. More "
                "iterations (max_iter, max_fun) or scaled inputs may help",
                ConvergenceWarning,
                stacklevel=stacklevel(),
            )

    def _fit_in_steps(self, rows: Rows, random: np.random.RandomState, incremental: bool) -> None:
        """Stochastic gradient descent or Adam, epoch by epoch."""
        training = SideBySide([self], rows, [random], incremental)
        (runner,) = training.runners
        interrupted = False
        try:
            training.run(1 if incremental else self.max_iter)
        except KeyboardInterrupt:
            interrupted = True
            _warn_interrupted()
        finally:
            training.close()
        if runner.failure is not None:
            raise runner.failure
        if not (runner.is_over or incremental or interrupted):
            warnings.warn(
                f"training has not converged after max_iter={self.max_iter} epochs",
                ConvergenceWarning,
                stacklevel=stacklevel(),
            )

    def _forward(self, X: Any) -> np.ndarray:
        """What the last layer adds up, for data that are checked here.  # shape: (n, n_outputs_)"""
        X = self._read_inputs(X)
        dtype = floating(np.result_type(X.dtype, self.coefs_[0].dtype))
        return self._outputs(X, self._engine(dtype))

    def _read_inputs(self, X: Any) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):
            return validate_data(
                self,
                real_values("X", X),
                accept_sparse=("csr", "csc"),
                dtype=(np.float64, np.float32),
                reset=False,
            )

    def _outputs(self, X: Any, engine: Engine) -> np.ndarray:
        """What the last layer adds up, for checked data."""
        parameters, dtype = pack(engine, self.coefs_, self.intercepts_), engine.dtype
        if not issparse(X):
            return engine.forward(parameters, np.ascontiguousarray(X, dtype))
        X = X.tocsr()
        step = max(1, _DENSE_BYTES // (dtype.itemsize * X.shape[1]))
        return np.concatenate(
            [
                engine.forward(
                    parameters, np.ascontiguousarray(X[begin : begin + step].toarray(), dtype)
                )
                for begin in range(0, X.shape[0], step)
            ]
        )


def _warn_interrupted() -> None:
    warnings.warn("training was interrupted; what has been learnt is kept", stacklevel=stacklevel())


def is_perceptron(estimator: Any) -> bool:
    """Whether it is one of fastkb's; not a subclass of a user's, which may have changed anything."""
    own = type(estimator).__module__.startswith("fastkb.")
    return isinstance(estimator, Perceptron) and own


def why_alone(perceptron: Perceptron) -> str:
    """Why resamples are not trained side by side; "" if they are."""
    if perceptron.solver == "lbfgs":
        return "solver='lbfgs' has steps of its own for each"
    if perceptron.verbose:
        return f"verbose={perceptron.verbose!r} prints the losses of each by itself"
    return ""

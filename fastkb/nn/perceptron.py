"""What both perceptrons with scikit-learn's interface have in common: how they are fitted."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from fastkb.nn.descent import (
    Objective,
    Training,
    draw,
    make_descent,
    make_engine,
    make_objective,
    minimize,
    pack,
    unpack,
)
from fastkb.nn.engine import Engine
from fastkb.nn.fitting import Diverged
from fastkb.validation.perceptron import (
    check_batch_size,
    check_hidden_layer_sizes,
    check_outputs,
    check_perceptron,
)
from fastkb.validation.ridge import check_sample_weight

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


class _Rows(NamedTuple):
    """Checked observations, dense."""

    X: np.ndarray
    y: np.ndarray  # shape: (n, outputs)
    weights: np.ndarray | None


class Perceptron(BaseEstimator):
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

    # What differs between classes and real targets.

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
        if incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: a part of the data that is set "
                "aside in one call would be trained on in the next"
            )

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._validate_input(X, y, incremental, reset=first)
        weights = check_sample_weight(sample_weight, X.shape[0])
        y = y.reshape(len(y), -1)
        random = check_random_state(self.random_state)
        if first:
            self._initialize(random, X, y)
        check_outputs(y, self.coefs_[-1].shape[1])
        self.n_outputs_ = y.shape[1]
        rows = _Rows(X.toarray() if issparse(X) else X, y, weights)
        if self.solver == "lbfgs":
            self._fit_together(rows)
        else:
            self._fit_in_steps(rows, random, incremental)
        if not all(np.isfinite(each).all() for each in (*self.coefs_, *self.intercepts_)):
            raise _not_finite("coefs_ or intercepts_ are not finite")
        return self

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
        return make_engine(self.coefs_, self.activation, np.dtype(dtype))

    def _objective(self, engine: Engine, rows: _Rows) -> Objective:
        return make_objective(engine, *rows, self.out_activation_, self.alpha)

    def _keep(self, engine: Engine, parameters: np.ndarray, dtype: Any) -> None:
        coefs, intercepts = unpack(engine, parameters)
        self.coefs_ = [each.astype(dtype, copy=False) for each in coefs]
        self.intercepts_ = [each.astype(dtype, copy=False) for each in intercepts]

    def _fit_together(self, rows: _Rows) -> None:
        """L-BFGS, in float64 whatever the data are: its line search needs the digits."""
        dtype = _floating(self.coefs_[0].dtype)
        engine = self._engine(np.float64)
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
                stacklevel=4,
            )

    def _fit_in_steps(self, rows: _Rows, random: np.random.RandomState, incremental: bool) -> None:
        """Stochastic gradient descent or Adam, epoch by epoch."""
        train, aside = self._set_aside(rows, random) if self.early_stopping else (rows, None)
        n = len(train.X)
        batch_size = check_batch_size(self.batch_size, n)
        dtype = _floating(self.coefs_[0].dtype)
        engine = self._engine(dtype)
        scorer = self._engine(dtype) if aside else engine  # each keeps its scratch
        parameters = pack(engine, self.coefs_, self.intercepts_)
        objective = self._objective(engine, train)
        if not (incremental and hasattr(self, "_optimizer")):
            self._optimizer = make_descent(self.get_params(deep=False), objective.scale)
        training = Training(self._optimizer, objective, parameters, batch_size)
        self._open_records()
        best = parameters.copy() if aside else parameters
        order = np.arange(n)
        self.n_iter_ = 0
        try:
            for _ in range(1 if incremental else self.max_iter):
                if self.shuffle:
                    order = order[random.permutation(n)]
                loss = training.epoch(order)
                self._record_loss(loss, n)
                if aside:
                    score = self._score_of(scorer.forward(parameters, aside.X), aside)
                    if self._record_score(score):
                        best[:] = parameters
                self._optimizer.end_epoch(self.t_)
                if self._is_over():
                    break
            else:
                if not incremental:
                    warnings.warn(
                        f"training has not converged after max_iter={self.max_iter} epochs",
                        ConvergenceWarning,
                        stacklevel=4,
                    )
        except KeyboardInterrupt:
            _warn_interrupted()
        except Diverged as diverged:
            self._record_divergence(diverged, n)
        finally:
            training.close()
            self._keep(engine, best, dtype)

    def _set_aside(self, rows: _Rows, random: np.random.RandomState) -> tuple[_Rows, _Rows]:
        """The data to train on, and to score on."""
        arrays = [each for each in rows if each is not None]
        parts = train_test_split(
            *arrays,
            random_state=random,
            test_size=self.validation_fraction,
            stratify=rows.y if self._stratified else None,
        )
        train, aside = (
            _Rows(*part, *[None] * (3 - len(part))) for part in (parts[::2], parts[1::2])
        )
        if len(aside.X) < 2:
            raise ValueError(
                f"The validation set is too small: validation_fraction={self.validation_fraction} of "
                f"{len(rows.X)} observations are {len(aside.X)}, and two are needed"
            )
        return train, aside._replace(X=np.ascontiguousarray(aside.X))

    def _score_of(self, outputs: np.ndarray, aside: _Rows) -> float:
        """NaN where there is none."""
        unweighted = aside.weights is not None and not aside.weights.any()
        if unweighted or not np.isfinite(outputs).all():
            return float("nan")
        return self._score_outputs(outputs, aside.y, aside.weights)

    def _open_records(self) -> None:
        """Go on with the records of an earlier fit, where there are such."""
        known = dict(vars(self))
        scores, score = known.get("validation_scores_"), known.get("best_validation_score_")
        loss = known.get("best_loss_")
        early = self.early_stopping
        self.loss_curve_: list[float] = known.get("loss_curve_", [])
        self._no_improvement_count: int = known.get("_no_improvement_count", 0)
        self.validation_scores_: list[float] | None = (scores or []) if early else None
        best = -np.inf if score is None else score
        self.best_validation_score_: float | None = best if early else None
        smallest = np.inf if loss is None else loss
        self.best_loss_: float | None = None if early else smallest

    def _record_loss(self, loss: float, n: int) -> None:
        self.n_iter_ += 1
        self.t_ += n
        self.loss_ = loss
        self.loss_curve_.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
        if self.best_loss_ is not None:
            self._count_progress(loss <= self.best_loss_ - self.tol)
            self.best_loss_ = min(self.best_loss_, loss)

    def _record_score(self, score: float) -> bool:
        """Whether the score is the best so far."""
        assert self.validation_scores_ is not None
        assert self.best_validation_score_ is not None
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        self._count_progress(score >= self.best_validation_score_ + self.tol)
        better = score > self.best_validation_score_
        if better:
            self.best_validation_score_ = score
        return better

    def _count_progress(self, progress: bool) -> None:
        self._no_improvement_count = 0 if progress else self._no_improvement_count + 1

    def _is_over(self) -> bool:
        """Whether there has been no progress for too long; the learning rate may be lowered instead."""
        if self._no_improvement_count <= self.n_iter_no_change:
            return False
        ending = self._optimizer.ends()
        if self.verbose:
            what = "validation score" if self.early_stopping else "training loss"
            then = ending or f"The learning rate is {self._optimizer.learning_rate:g} from now on"
            print(
                f"No {what} better by tol={self.tol:g} for {self.n_iter_no_change} epochs. {then}."
            )
        if ending:
            return True
        self._no_improvement_count = 0
        return False

    def _record_divergence(self, diverged: Diverged, n: int) -> None:
        """End with a warning where the best coefficients are kept, else with an error."""
        where = f"the loss became {diverged.loss} in epoch {self.n_iter_ + 1}, step {diverged.place + 1}"
        if self.validation_scores_ is None:
            raise _not_finite(where) from None
        self._record_loss(diverged.loss, n)
        self._record_score(float("nan"))
        warnings.warn(
            f"{where}; training ends, and coefs_ are the best before. A smaller learning_rate_init or "
            "scaled inputs may help",
            ConvergenceWarning,
            stacklevel=5,
        )

    def _forward(self, X: Any) -> np.ndarray:
        """What the last layer adds up, for data that are checked here.  # shape: (n, n_outputs_)"""
        X = validate_data(self, X, accept_sparse=("csr", "csc"), reset=False)
        dtype = _floating(np.result_type(X.dtype, self.coefs_[0].dtype))
        engine = self._engine(dtype)
        parameters = pack(engine, self.coefs_, self.intercepts_)
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


def _floating(dtype: Any) -> np.dtype:
    return np.dtype(np.float32 if dtype == np.float32 else np.float64)


def _warn_interrupted() -> None:
    warnings.warn("training was interrupted; what has been learnt is kept", stacklevel=5)


def _not_finite(reason: str) -> ValueError:
    return ValueError(
        f"Training diverged: {reason}. Solver produced non-finite parameter weights. The input data "
        "may contain large values and need to be preprocessed. A smaller learning_rate_init may help, "
        "too; coefs_ are those before that step"
    )

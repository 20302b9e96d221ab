"""Perceptrons with scikit-learn's interface that are trained epoch by epoch: one, or many side by side.

A perceptron that makes no more progress stops, and the remaining ones go on without it.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from fastkb.nn.perceptron.checks import check_aside, check_batch_size
from fastkb.nn.perceptron.descent import Training, make_descent
from fastkb.nn.perceptron.objective import evaluator, make_engine, make_objective, pack
from fastkb.nn.training.fitting import Diverged
from fastkb.random.legacy import Orders
from fastkb.runtime.callers import stacklevel


class Rows(NamedTuple):
    """Checked observations, dense."""

    X: np.ndarray
    y: np.ndarray  # shape: (n, outputs)
    weights: np.ndarray | None  # shape: (n,), or (members, n)


class Runner:
    """One perceptron on its way.

    Attributes
    ----------
    model : Perceptron
        It keeps the records.
    order : ndarray of int
        The observations that it is trained on.
    is_over : bool
        Whether it has stopped by itself, and not for the last epoch.
    failure : ValueError or None
        That it has diverged.
    """

    def __init__(self, model: Any, random: np.random.RandomState, rows: Rows) -> None:
        self.model = model
        self.order = np.arange(len(rows.X))
        self.is_over = False
        self.failure: ValueError | None = None
        self._aside: Rows | None = None
        self._best: np.ndarray | None = None
        if model.early_stopping:
            self.order, aside = train_test_split(
                self.order,
                random_state=random,
                test_size=model.validation_fraction,
                stratify=rows.y if model._stratified else None,
            )
            check_aside(len(aside), len(rows.X), model.validation_fraction)
            weights = None if rows.weights is None else rows.weights[aside]
            self._aside = Rows(rows.X[aside], rows.y[aside], weights)
        own = isinstance(model.random_state, Integral)  # then `random` was made for this fit
        self._orders = Orders(random, self.order, own=own) if model.shuffle else None

    def begin(self, parameters: np.ndarray) -> None:
        """Without a score the first parameters are the best."""
        if self._aside is not None:
            self._best = parameters.copy()

    def certain(self) -> float:
        """How many epochs there will be whatever their losses: training goes on, at the same rate."""
        if self._aside is not None or self.model._optimizer.schedule == "invscaling":
            return 1
        return self.model._epochs_left()

    def next_orders(self, epochs: int) -> np.ndarray:
        """In which the observations are taken.  # shape: (epochs, n)"""
        if self._orders is None:
            return np.tile(self.order, (epochs, 1))
        return self._orders.next(epochs)

    def end_epoch(
        self, loss: float, diverged: Diverged | None, scorer: Any, parameters: np.ndarray
    ) -> bool:
        """Note down an epoch; whether it was the last."""
        model, n = self.model, len(self.order)
        if diverged is not None:
            self._diverge(diverged)
            return True
        model._record_loss(loss, n)
        if self._aside is not None:
            better = model._record_score(self._score(scorer.forward(parameters, self._aside.X)))
            if better:
                self._best = parameters.copy()
        model._optimizer.end_epoch(model.t_)
        self.is_over = model._is_over()
        return self.is_over

    def _score(self, outputs: np.ndarray) -> float:
        """NaN where there is none."""
        assert self._aside is not None
        _, y, weights = self._aside
        unweighted = weights is not None and not weights.any()
        if unweighted or not np.isfinite(outputs).all():
            return float("nan")
        return self.model._score_outputs(outputs, y, weights)

    def _diverge(self, diverged: Diverged) -> None:
        """End with a warning where the best coefficients are kept, else with an error."""
        model = self.model
        epoch = model.n_iter_ + 1
        where = f"the loss became {diverged.loss} in epoch {epoch}, step {diverged.place + 1}"
        self.is_over = True
        if self._aside is None:
            self.failure = not_finite(where)
            return
        model._record_loss(diverged.loss, len(self.order))
        model._record_score(float("nan"))
        warnings.warn(
            f"{where}; training ends, and coefs_ are the best before. A smaller learning_rate_init or "
            "scaled inputs may help",
            ConvergenceWarning,
            stacklevel=stacklevel(),
        )

    def best(self, parameters: np.ndarray) -> np.ndarray:
        """The parameters to keep: these, or those of the best score."""
        return parameters if self._best is None else self._best


class SideBySide:
    """Perceptrons of the same parameters, but for their random states, on the same data.

    Parameters
    ----------
    models : sequence of Perceptron
        With first coefficients; they are changed.
    rows : Rows
        One model may have no weights; several have their own.
    randoms : sequence of numpy.random.RandomState
        Each has drawn its model's first coefficients.
    incremental : bool, default False
        Whether the solver goes on where it was.
    """

    def __init__(
        self,
        models: Sequence[Any],
        rows: Rows,
        randoms: Sequence[np.random.RandomState],
        incremental: bool = False,
    ) -> None:
        lead = models[0]
        self.runners = []
        for member, (model, random) in enumerate(zip(models, randoms, strict=True)):
            own = rows
            if rows.weights is not None and rows.weights.ndim == 2:
                own = rows._replace(weights=rows.weights[member])
            self.runners.append(Runner(model, random, own))
        batch_size = check_batch_size(lead.batch_size, len(self.runners[0].order))
        dtype = floating(lead.coefs_[0].dtype)
        shapes = tuple(coef.shape for coef in lead.coefs_)
        self._engine = make_engine(shapes, lead.activation, dtype)
        self._scorer = evaluator(shapes, lead.activation, dtype)
        parameters = np.array([pack(self._engine, m.coefs_, m.intercepts_) for m in models])
        objective = make_objective(
            self._engine, rows.X, rows.y, rows.weights, lead.out_activation_, lead.alpha
        )
        chosen = lead.get_params(deep=False)
        for model, runner, first in zip(models, self.runners, parameters, strict=True):
            runner.begin(first)
            if not (incremental and hasattr(model, "_optimizer")):
                model._optimizer = make_descent(chosen, objective.scale)
            model._open_records()
            model.n_iter_ = 0
        descents = [model._optimizer for model in models]
        self._training = Training(descents, objective, parameters, batch_size)
        self._running = list(self.runners)

    def run(self, epochs: int) -> None:
        """Train until all have stopped, so many epochs at most."""
        while epochs > 0 and self._running:
            count = min(epochs, self._ahead())
            epochs -= count
            order = np.array([runner.next_orders(count) for runner in self._running])
            losses = self._training.together(order) if count > 1 else None
            if losses is not None:
                for each in losses:
                    self._end_epoch(each, {})
                continue
            for epoch in range(count):
                (losses,), diverged = self._training.epochs(order[:, epoch : epoch + 1])
                order = order[self._end_epoch(losses, diverged)]
                if not len(order):
                    return

    def _ahead(self) -> int:
        """How many epochs to train at once: no more than all will take whatever their losses."""
        certain = min(runner.certain() for runner in self._running)
        return int(min(certain, self._training.most_together(len(self._running[0].order))))

    def _end_epoch(self, losses: np.ndarray, diverged: dict[int, Diverged]) -> np.ndarray:
        """Note down an epoch, retire members that end; which are left.  # shape: (running,)"""
        over = np.zeros(len(self._running), bool)
        for member, runner in enumerate(self._running):
            parameters = self._training.parameters[member]
            over[member] = runner.end_epoch(
                float(losses[member]), diverged.get(member), self._scorer, parameters
            )
        if over.any():
            self._retire(over)
        return ~over

    def close(self) -> None:
        """Have those that have not stopped keep what they have learnt."""
        self._retire(np.ones(len(self._running), bool))

    def _retire(self, over: np.ndarray) -> None:
        for member in np.flatnonzero(over).tolist():
            runner = self._running[member]
            self._training.close(member)
            best = runner.best(self._training.parameters[member])
            runner.model._keep(self._engine, best, self._engine.dtype)
        pairs = zip(self._running, over, strict=True)
        self._running = [runner for runner, stops in pairs if not stops]
        if self._running:
            self._training.keep(~over)


def read_rows(estimator: Any, X: Any, y: Any) -> tuple[Any, Rows]:
    """A copy of a perceptron that has seen the data, and the data, without weights."""
    model = clone(estimator)
    model._check(incremental=False)
    inputs, targets = model._read(X, y, incremental=False, reset=True)
    rows = Rows(inputs, targets, None)
    model.n_outputs_ = rows.y.shape[1]
    return model, rows


def train_members(template: Any, rows: Rows, seeds: Sequence[Any]) -> list[Runner]:
    """Train copies of a perceptron side by side, as `fit` of each would with its weights.

    Parameters
    ----------
    template : Perceptron
        Which has seen the data, and is not changed.
    rows : Rows
        With weights of shape (members, n).
    seeds : sequence of int
        The members' `random_state`.
    """
    models, randoms = [], []
    for seed in seeds:
        model, random = copy.copy(template), check_random_state(seed)
        model.random_state = seed
        model._initialize(random, rows.X, rows.y)
        models.append(model)
        randoms.append(random)
    together = SideBySide(models, rows, randoms)
    together.run(template.max_iter)
    together.close()
    return together.runners


def floating(dtype: Any) -> np.dtype:
    """The element type that is computed in."""
    return np.dtype(np.float32 if dtype == np.float32 else np.float64)


def not_finite(reason: str) -> ValueError:
    """What users are told of a training that has diverged."""
    return ValueError(
        f"Training diverged: {reason}. Solver produced non-finite parameter weights. The input data "
        "may contain large values and need to be preprocessed. A smaller learning_rate_init may help, "
        "too; coefs_ are those before that step"
    )

"""The stochastic solvers of perceptrons with scikit-learn's interface, of one or of many side by side.

Their gradient is m times that of the engine's loss, for m outputs (`objective.py`). So they take m
times the learning rate; Adam, whose steps do not depend on the gradient's scale, takes epsilon/m
instead.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastkb.nn.optim.optimizers import SGD, Adam, Optimizer
from fastkb.nn.optim.updates import Hyper
from fastkb.nn.perceptron.objective import Objective
from fastkb.nn.program.engine import batch_sizes, loss_code
from fastkb.nn.program.step import BY_OBSERVATIONS, BY_WEIGHTS, Each, State, Steps
from fastkb.nn.training.fitting import Diverged, Fit, Pace, sums_of_epochs, train_epochs

# The learning rate is not followed below this part of its first value. What was collected with the larger
# rate is divided by the smaller one, and must not overflow; such steps change no parameter any more.
_SMALLEST_RATE = 1e-30


@dataclass(frozen=True)
class _Momentum(SGD):
    """Momentum that has been checked already, and may be 1."""

    def __post_init__(self) -> None:
        pass


@dataclass(frozen=True)
class _PeersAdam(Adam):
    """ε is added before the bias correction, as in scikit-learn."""

    def hyper(self, lr: float, step: int) -> Hyper:
        return super().hyper(lr, step)._replace(eps_first=1)


@dataclass
class Descent:
    """A stochastic solver between two epochs: its learning rate, and what it remembers of gradients.

    It remembers by the names of :meth:`Engine.take`, not in the engine's form, which differs between
    processors: a pickle is trained on wherever it is loaded.
    """

    rule: Optimizer
    schedule: str
    power_t: float
    learning_rate_init: float
    learning_rate: float
    rate_of_first: float  # which the momentum is to be multiplied by
    steps: int = 0
    first: dict[str, np.ndarray] = field(default_factory=dict)
    second: dict[str, np.ndarray] = field(default_factory=dict)

    def end_epoch(self, seen: int) -> None:
        """Change the learning rate as scheduled, after so many observations in all."""
        if self.schedule == "invscaling":
            self.learning_rate = self.learning_rate_init / (seen + 1) ** self.power_t

    def ends(self) -> str:
        """What to do when there has been no progress for long: why training ends, or nothing."""
        if self.schedule != "adaptive":
            return "Training ends"
        if self.learning_rate <= 1e-6:
            return "The learning rate is small enough. Training ends"
        self.learning_rate /= 5.0
        return ""


def make_descent(parameters: dict[str, Any], scale: int) -> Descent:
    """A solver that has done nothing yet, from an estimator's parameters.

    Parameters
    ----------
    parameters : dict
        By scikit-learn's names.
    scale : int
        Of the :class:`Objective`.
    """
    lr = float(parameters["learning_rate_init"])
    if parameters["solver"] == "adam":
        betas = float(parameters["beta_1"]), float(parameters["beta_2"])
        rule: Optimizer = _PeersAdam(lr, betas, parameters["epsilon"] / scale)
        return Descent(rule, "constant", 0.0, lr, lr, lr)
    momentum = float(parameters["momentum"])
    rule = _Momentum(lr * scale, momentum, bool(parameters["nesterovs_momentum"]))
    schedule, power_t = parameters["learning_rate"], float(parameters["power_t"])
    return Descent(rule, schedule, power_t, lr, lr, lr)


class Training:
    """Stochastic solvers at work on an objective, each on parameters and weights of its own.

    Parameters
    ----------
    descents : sequence of Descent
        Of one solver; each goes on from where it is.
    objective : Objective
        With weights for each member. One member may have none.
    parameters : ndarray of shape (members, parameters)
        In the engine's form; changed in place.
    batch_size : int
    """

    def __init__(
        self,
        descents: Sequence[Descent],
        objective: Objective,
        parameters: np.ndarray,
        batch_size: int,
    ) -> None:
        engine, rule = objective.engine, descents[0].rule
        empty = engine.empty_state(len(descents), rule.uses_first, rule.uses_second)
        self._state = State(parameters, empty.first, empty.second)
        for member, descent in enumerate(descents):
            for remembered, buffers in (
                (descent.first, empty.first),
                (descent.second, empty.second),
            ):
                for name, value in remembered.items():
                    engine.put(name, value, buffers[member])
        self._descents, self._objective = list(descents), objective
        self._engine = engine
        self._batch_size = batch_size
        weights = objective.data.weights
        self._weights = weights if weights.ndim == 2 else weights[None, :]
        # Of Adam's two rates, that of its `rule` is the objective's.
        self._scale = objective.scale if isinstance(rule, SGD) else 1
        pace = Pace(engine.work(batch_size))
        self._job = Fit(
            engine, rule, objective.loss, objective.penalty,
            1, batch_size, False, None, (), False, pace, BY_OBSERVATIONS,
        )  # fmt: skip

    @property
    def parameters(self) -> np.ndarray:
        """Of those that are still trained.  # shape: (members, parameters)"""
        return self._state.parameters

    def epochs(self, order: np.ndarray) -> tuple[np.ndarray, dict[int, Diverged]]:
        """Take the observations in these orders; means of the steps' losses, and members that diverged.

        Parameters
        ----------
        order : ndarray of int
            Of several epochs, a member that diverged in none has losses.  # shape: (members, epochs, n)

        Returns
        -------
        losses : ndarray
            # shape: (epochs, members)
        diverged : dict
            By the number of the member.
        """
        rates = self._rates()
        if not self._weights.size:
            totals, diverged = self._unweighted(order, rates)
        else:
            totals, diverged = self._weighted(order, rates)
        with np.errstate(over="ignore", invalid="ignore"):
            losses = self._objective.reported * totals.T / order.shape[2]
        # A step, or a sum of losses, may overflow where no gradient did.
        finite = np.isfinite(self.parameters).all(axis=1) & np.isfinite(losses).all(axis=0)
        last = -(-order.shape[2] // self._batch_size) - 1
        for member in np.flatnonzero(~finite):
            diverged.setdefault(int(member), Diverged(np.inf, int(member), last))
        return losses, diverged

    def together(self, order: np.ndarray) -> np.ndarray | None:
        """:meth:`epochs`, or nothing: None where a member diverges, and all is as before."""
        before = [array.copy() for array in self._state]
        solvers = [(each, each.steps, each.rate_of_first) for each in self._descents]
        losses, diverged = self.epochs(order)
        if not diverged:
            return losses
        for array, values in zip(self._state, before, strict=True):
            array[...] = values
        for descent, steps, rate in solvers:
            descent.steps, descent.rate_of_first = steps, rate
        return None

    def most_together(self, n: int) -> int:
        """How many epochs of n observations are worth training at once."""
        return self._job.pace.epochs(len(self._descents), -(-n // self._batch_size))

    def _rates(self) -> np.ndarray:
        """The learning rates; the momentum is put in terms of them.

        (With scikit-learn the momentum is one of steps, which have been multiplied by the rate of their
        time. Here it is one of gradients.)
        """
        rates = np.empty(len(self._descents))
        for member, descent in enumerate(self._descents):
            rate = max(descent.learning_rate, _SMALLEST_RATE * descent.learning_rate_init)
            if rate != descent.rate_of_first:
                self._state.first[member] *= descent.rate_of_first / rate
                descent.rate_of_first = rate
            rates[member] = rate * self._scale
        return rates

    def _unweighted(
        self, order: np.ndarray, rates: np.ndarray
    ) -> tuple[np.ndarray, dict[int, Diverged]]:
        """Epochs of one member without weights: sums over their steps of loss times observations."""
        (descent,), data = self._descents, self._objective.data
        try:
            totals = train_epochs(self._job, data, self._state, order, float(rates[0]), descent)
        except Diverged as diverged:
            return np.full((1, order.shape[1]), diverged.loss), {0: diverged}
        return totals, {}

    def _weighted(
        self, order: np.ndarray, rates: np.ndarray
    ) -> tuple[np.ndarray, dict[int, Diverged]]:
        """Epochs with weights, some steps of all members at a time; several short ones at once."""
        members, epochs, n = order.shape
        job, batch, rule = self._job, self._batch_size, self._job.optimizer
        data = self._objective.data._replace(weights=self._weights)
        updates = np.array([descent.steps for descent in self._descents])
        none = np.zeros(members, np.int64)
        each = Each(rates, updates, none, none.copy())
        steps = Steps(loss_code(job.loss), job.l2, BY_WEIGHTS, 0.0, 0.0, batch)
        flat, sizes = order.reshape(members, epochs * n), batch_sizes(n, batch)
        found, begin = [], 0
        while begin < epochs * n:
            together = epochs * n if epochs > 1 else job.pace.steps(members) * batch
            some = np.ascontiguousarray(flat[:, begin : begin + together])
            now = steps._replace(epoch=min(n, some.shape[1]))
            start = time.perf_counter()
            losses = self._engine.train(self._state, data, some, now, rule.hyper(0.0, 1), each)
            job.pace.measured(time.perf_counter() - start, losses.size)
            found.append(losses)
            begin += some.shape[1]
        for descent, count in zip(self._descents, each.updates.tolist(), strict=True):
            descent.steps = count
        losses, diverged = np.concatenate(found, axis=1), {}
        for member, step in np.argwhere(~np.isfinite(losses)).tolist():
            loss = float(losses[member, step])
            diverged[member] = Diverged(loss, member, step % len(sizes))
        return sums_of_epochs(losses.reshape(members, epochs, -1), sizes), diverged

    def keep(self, chosen: np.ndarray) -> None:
        """Train on with some members only.

        Parameters
        ----------
        chosen : ndarray of bool
            # shape: (members,)
        """
        self._state = State(*(np.ascontiguousarray(array[chosen]) for array in self._state))
        self._weights = self._weights[chosen]
        pairs = zip(self._descents, chosen, strict=True)
        self._descents = [descent for descent, kept in pairs if kept]

    def close(self, member: int) -> None:
        """Have a member's solver remember the gradients, for another training."""
        descent, take = self._descents[member], self._objective.engine.take
        rule = descent.rule
        descent.first = take(self._state.first[member]) if rule.uses_first else {}
        descent.second = take(self._state.second[member]) if rule.uses_second else {}

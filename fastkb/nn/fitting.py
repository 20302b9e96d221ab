"""Training from epoch to epoch: orders, rates, validation, patience, the history."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.engine import Engine, batch_sizes, loss_code
from fastkb.nn.optimizers import Optimizer
from fastkb.nn.training import State, Steps
from fastkb.random.orders import permutations
from fastkb.random.streams import key_from_rng
from fastkb.validation.networks import Observations

# Between two looks at the keyboard.
_SECONDS_A_CALL = 0.25
# A second on one core, cautiously.
_MULTIPLY_ADDS = 1e10


class Pace:
    """How many steps a call may take: about a quarter of a second.

    Parameters
    ----------
    multiply_adds : int
        Of a step: what the first guess is made of.
    """

    def __init__(self, multiply_adds: int) -> None:
        self._seconds = 1e-6 + multiply_adds / _MULTIPLY_ADDS  # of a member's step

    def steps(self, members: int) -> int:
        """Of the next call."""
        return max(1, int(_SECONDS_A_CALL / (self._seconds * members)))

    def measured(self, seconds: float, steps: int) -> None:
        """What a call has taken, for so many steps of all members together."""
        # (The first call may have compiled: never ten times slower at once.)
        self._seconds = min(max(seconds / steps, self._seconds / 10), self._seconds * 10)


class Fit(NamedTuple):
    """What is asked for."""

    engine: Engine
    optimizer: Optimizer
    loss: str
    l2: float
    epochs: int
    batch_size: int
    shuffle: bool
    patience: int | None
    callbacks: tuple[Any, ...]
    progress: bool
    pace: Pace
    l2_shared: bool = False  # the penalty is divided by a batch's observations


@dataclass
class Progress:
    """How far a network has been trained: what the next call goes on from."""

    epochs: int = 0  # in all: they number the orders
    optimizer: Optimizer | None = None
    steps: int = 0  # updates with this optimiser
    losses: list[float] = field(default_factory=list)  # monitored, of this optimiser's epochs


def fit(
    network: Any,
    job: Fit,
    data: Observations,
    validation: Observations | None,
    state: State,
    progress: Progress,
    key: np.ndarray,
) -> State:
    """Train, and keep the network's history; the state that it has then.

    Parameters
    ----------
    network : Sequential
        For its callbacks and its history.
    job : Fit
    data : Observations
    validation : Observations or None
    state : State
        Of one member; changed in place.
    progress : Progress
        Changed in place.
    key : ndarray
        Of the orders.
    """
    if progress.optimizer != job.optimizer:
        progress.optimizer = None  # whose state is given up here, whatever interrupts this
        fresh = job.engine.empty_state(1, job.optimizer.uses_first, job.optimizer.uses_second)
        network._state = state = State(state.parameters, fresh.first, fresh.second)
        progress.steps, progress.losses = 0, []
        progress.optimizer = job.optimizer
    best = _Best(job.patience, state)
    with _bar(job) as bar:
        for _ in range(job.epochs):
            rate = job.optimizer.rate(len(progress.losses), progress.losses)
            loss = _epoch(job, data, state, key, rate, progress)
            record = {"loss": loss, "learning_rate": rate}
            if validation is not None:
                record["validation_loss"] = job.engine.loss(
                    state.parameters[0], validation, job.loss
                )
            monitored = record.get("validation_loss", loss)
            progress.epochs += 1
            progress.losses.append(monitored)
            for name, value in record.items():
                network.history.setdefault(name, []).append(value)
            if bar is not None:
                bar.update(1)
                bar.set_postfix(loss=f"{monitored:.4g}")
            over = best.is_over(monitored)
            answers = [callback(network, record) for callback in job.callbacks]
            if over or any(isinstance(a, (bool, np.bool_)) and a for a in answers):
                break
    best.restore()
    return state


def _bar(job: Fit) -> Any:
    """A progress bar, or None: making one that shows nothing would take longer than an epoch."""
    if not job.progress:
        return contextlib.nullcontext()
    from tqdm import tqdm

    return tqdm(total=job.epochs, unit=" epochs")


def orders(key: np.ndarray, epoch: int, first: int, count: int, n: int) -> np.ndarray:
    """The orders in which members `first`, `first` + 1, … take the observations in an epoch.

    # shape: (count, n)
    """
    return permutations(derived_key(key, 1, epoch), first, count, n)


def derived_key(key: np.ndarray, *path: int) -> np.ndarray:
    """The key of another family of streams: (1, epoch) for orders, 2 for resamples."""
    # The words that SeedSequence(key, spawn_key=path) hashes, as one array: it converts lists slowly.
    return key_from_rng(np.random.SeedSequence(np.array([*key.tolist(), *path], np.uint32)))


def train_epoch(
    job: Fit, data: Observations, state: State, order: np.ndarray, rate: float, done: int
) -> Iterator[tuple[np.ndarray, int]]:
    """Train every member one epoch, some steps at a time: after each call its part of the loss.

    Yields the sum over the call's steps of loss times observations, of each member, and the number of its
    steps. The caller may stop in between.

    Parameters
    ----------
    job : Fit
    data : Observations
        With weights for each member, or none.
    state : State
    order : ndarray
        # shape: (members, n)
    rate : float
    done : int
        Updates so far.

    Raises
    ------
    Diverged
        If a member's loss, gradient or parameters are not finite.
    """
    n, begin = order.shape[1], 0
    optimizer = job.optimizer
    while begin < n:
        together = job.pace.steps(len(order)) * job.batch_size
        some = np.ascontiguousarray(order[:, begin : begin + together])
        steps = Steps(
            loss_code(job.loss),
            job.l2,
            int(job.l2_shared),
            optimizer.clip_norm or 0.0,
            optimizer.clip_value or 0.0,
            job.batch_size,
            done,
        )
        start = time.perf_counter()
        losses = job.engine.train(state, data, some, steps, optimizer.hyper(rate, done + 1))
        seconds = time.perf_counter() - start
        finite = np.isfinite(losses)
        if not finite.all():
            member, step = (int(k) for k in np.argwhere(~finite)[0])
            raise Diverged(
                float(losses[member, step]), member, step, begin // job.batch_size + step
            )
        sizes = batch_sizes(some.shape[1], job.batch_size)
        done += len(sizes)
        begin += some.shape[1]
        job.pace.measured(seconds, losses.size)
        yield losses @ sizes, len(sizes)
    # A step may overflow where its gradient did not.
    finite = np.isfinite(state.parameters)
    if not finite.all():
        member = int(np.argmin(finite.all(axis=1)))
        raise Diverged(math.inf, member, 0, math.ceil(n / job.batch_size) - 1)


class Diverged(Exception):
    """A loss that is not finite."""

    def __init__(self, loss: float, member: int, steps: int, place: int) -> None:
        self.loss, self.member, self.steps, self.place = loss, member, steps, place

    def error(self, epoch: int, who: str = "the loss") -> FloatingPointError:
        """What users are told."""
        return FloatingPointError(
            f"{who} became {self.loss} in epoch {epoch + 1}, step {self.place + 1}: it or its gradient "
            "overflowed. A smaller learning rate, clip_norm or scaled inputs may help. The parameters "
            "are the last finite ones"
        )


def _epoch(
    job: Fit, data: Observations, state: State, key: np.ndarray, rate: float, progress: Progress
) -> float:
    """Train one epoch; the mean of its steps' losses, each weighing as its observations."""
    n = len(data.inputs)
    order = orders(key, progress.epochs, 0, 1, n) if job.shuffle else np.arange(n)[None, :]
    total, before = 0.0, state.parameters.copy()
    try:
        for part, steps in train_epoch(job, data, state, order, rate, progress.steps):
            total += float(part[0])
            progress.steps += steps
    except Diverged as diverged:
        progress.steps += diverged.steps
        if not np.isfinite(state.parameters).all():
            state.parameters[...] = before
        if not (np.isfinite(state.first).all() and (state.second >= 0).all()):
            progress.optimizer = None  # nothing can be gone on from
        raise diverged.error(progress.epochs) from None
    return total / n


class _Best:
    """The best parameters so far, where training may stop early."""

    def __init__(self, patience: int | None, state: State) -> None:
        self._patience = patience
        self._state = state
        self._loss = math.inf
        self._parameters: np.ndarray | None = None
        self._since = 0

    def is_over(self, loss: float) -> bool:
        """Note the loss of an epoch; whether none was smaller for long enough."""
        if self._patience is None:
            return False
        if loss < self._loss:
            self._loss, self._since = loss, 0
            self._parameters = self._state.parameters.copy()
            return False
        self._since += 1
        return self._since >= self._patience

    def restore(self) -> None:
        """Go back to the best parameters."""
        if self._parameters is not None:
            self._state.parameters[...] = self._parameters

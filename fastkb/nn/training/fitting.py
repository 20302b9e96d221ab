"""Training from epoch to epoch: orders, rates, validation, patience, the history."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastkb.nn.observations import Observations
from fastkb.nn.ops.losses import NamedLoss, named
from fastkb.nn.optim.optimizers import Optimizer
from fastkb.nn.program.engine import Engine, batch_sizes, each_of
from fastkb.nn.program.step import BY_NOTHING, State, Steps
from fastkb.nn.training.batches import Batches
from fastkb.nn.training.masks import mask_seeds
from fastkb.nn.training.pace import Pace
from fastkb.random.orders import permutations
from fastkb.random.streams import key_from_rng
from fastkb.runtime.progress import ProgressLike, counted


class Fit(NamedTuple):
    """What is asked for."""

    engine: Engine
    optimizer: Optimizer
    loss: str | NamedLoss
    l2: float
    epochs: int
    batch_size: int
    shuffle: bool
    patience: int | None
    callbacks: tuple[Any, ...]
    progress: ProgressLike
    pace: Pace
    penalty: int = BY_NOTHING  # what the penalty is divided by
    seeds: np.ndarray | None = None  # of each member's masks

    def together(self, members: int, n: int, most: float) -> int:
        """How many epochs of n observations to train at once, of `most` that may be."""
        return int(min(most, self.pace.epochs(members, -(-n // self.batch_size))))


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
    data: Observations | Batches,
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
        Of the orders and masks.
    """
    lengths = state.first.shape[1] > 0, state.second.shape[1] > 0
    needed = job.optimizer.uses_first, job.optimizer.uses_second
    if progress.optimizer != job.optimizer or lengths != needed:
        progress.optimizer = None  # whose state is given up here, whatever interrupts this
        fresh = job.engine.empty_state(1, job.optimizer.uses_first, job.optimizer.uses_second)
        network._state = state = State(state.parameters, fresh.first, fresh.second)
        progress.steps, progress.losses = 0, []
        progress.optimizer = job.optimizer
    # Steps are counted from this optimiser's first epoch on.
    if job.engine.draws:
        job = job._replace(seeds=mask_seeds(key, progress.epochs - len(progress.losses), 0, 1))
    best, over = _Best(job.patience, state), False
    one_by_one = job.patience is not None or validation is not None or bool(job.callbacks)
    end = progress.epochs + job.epochs
    with _bar(job) as bar:
        while progress.epochs < end and not over:
            finished = len(progress.losses)
            rate, count = job.optimizer.rate(finished, progress.losses), 1
            if not one_by_one and isinstance(data, Observations):
                most = min(end - progress.epochs, job.optimizer.rate_lasts(finished))
                count = job.together(1, len(data.inputs), most)
            # A callback may end the training after any epoch.
            last = progress.epochs + count == end or bool(job.callbacks)
            losses = _train(job, data, state, key, rate, progress, count, last)
            # The loss is no longer finite somewhere in these epochs: the error will name it.
            one_by_one |= not losses
            for loss in losses:
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
                    if hasattr(bar, "set_postfix"):
                        bar.set_postfix(loss=f"{monitored:.4g}")
                over = best.is_over(monitored)
                answers = [callback(network, record) for callback in job.callbacks]
                over |= any(isinstance(a, (bool, np.bool_)) and bool(a) for a in answers)
    best.restore()
    return state


def _bar(job: Fit) -> Any:
    """What counts the epochs, or None: counting for nobody would take longer than an epoch."""
    if not job.progress:
        return contextlib.nullcontext()
    return counted(job.progress, "epochs", job.epochs)


def orders(key: np.ndarray, epoch: int, epochs: int, first: int, count: int, n: int) -> np.ndarray:
    """The orders in which members `first`, … take the observations in epochs `epoch`, ….

    # shape: (count, epochs, n)
    """
    keys = np.tile(derived_key(key, 1), (epochs, 1))
    # The last word of a key counts, see fastkb.random.streams.
    keys[:, 3] += np.arange(epoch, epoch + epochs).astype(np.uint32)
    return np.ascontiguousarray(permutations(keys, first, count, n).transpose(1, 0, 2))


def derived_key(key: np.ndarray, family: int) -> np.ndarray:
    """The key of another family of streams: 1 for orders, 2 for resamples."""
    # The words that SeedSequence(key, spawn_key=(family,)) hashes; lists would be converted slowly.
    return key_from_rng(np.random.SeedSequence(np.array([*key.tolist(), family], np.uint32)))


class Counter(Protocol):
    """Who counts updates."""

    steps: int


def train_epochs(
    job: Fit,
    data: Observations,
    state: State,
    order: np.ndarray,
    rate: float,
    counter: Counter,
    last: bool = False,
) -> np.ndarray:
    """Train every member for one epoch, some steps at a time, or for a few short ones at once.

    Parameters
    ----------
    job : Fit
    data : Observations
        With weights for each member, or none.
    state : State
    order : ndarray
        Several epochs are one call: see :meth:`Fit.together`.  # shape: (members, epochs, n)
    rate : float
    counter : Counter
        Of the updates, before and after.
    last : bool, default False
        Whether there may be no more steps, which would find out what the last one has done.

    Returns
    -------
    ndarray of float64
        Sums over an epoch's steps of loss times observations.  # shape: (members, epochs)

    Raises
    ------
    Diverged
        If a member's loss, gradient or parameters are not finite: at its step of the call that is the
        first, and with the parameters that members have by then.
    """
    members, epochs, n = order.shape
    optimizer, batch, loss = job.optimizer, job.batch_size, named(job.loss)
    sizes = batch_sizes(n, batch)
    found, begin = [], 0
    flat = order.reshape(members, epochs * n)
    while begin < epochs * n:
        together = epochs * n if epochs > 1 else job.pace.steps(members) * batch
        some = np.ascontiguousarray(flat[:, begin : begin + together])
        steps = Steps(
            loss.code,
            job.l2,
            job.penalty,
            optimizer.clip_norm or 0.0,
            optimizer.clip_value or 0.0,
            batch,
            min(n, some.shape[1]),
            loss.number,
        )
        hyper = optimizer.hyper(rate, counter.steps + 1)
        each = each_of(members, rate, counter.steps, job.seeds)
        start = time.perf_counter()
        losses = job.engine.train(state, data, some, steps, hyper, each)
        job.pace.measured(time.perf_counter() - start, losses.size)
        finite = np.isfinite(losses)
        if not finite.all():
            step, member = (int(k) for k in np.argwhere(~finite.T)[0])
            counter.steps += step
            place = (begin // batch + step) % len(sizes)
            raise Diverged(float(losses[member, step]), member, place)
        counter.steps += losses.shape[1]
        found.append(losses)
        begin += some.shape[1]
    # A step may overflow where its gradient did not.
    finite = np.isfinite(state.parameters)
    if not finite.all():
        raise Diverged(math.inf, int(np.argmin(finite.all(axis=1))), len(sizes) - 1)
    totals = sums_of_epochs(np.concatenate(found, axis=1).reshape(members, epochs, -1), sizes)
    finite = np.isfinite(totals).all(axis=1)
    if not finite.all():
        raise Diverged(math.inf, int(np.argmin(finite)), len(sizes) - 1)
    if last:
        _check_last_step(
            job, data, state, np.ascontiguousarray(order[:, -1, :batch]), len(sizes) - 1
        )
    return totals


def _check_last_step(
    job: Fit, data: Observations, state: State, chosen: np.ndarray, place: int
) -> None:
    """Whether the loss is still finite, of observations `chosen` for each member."""
    loss, count = named(job.loss), chosen.shape[1]
    steps = Steps(loss.code, job.l2, job.penalty, 0.0, 0.0, count, number=loss.number)
    losses = job.engine.losses(state.parameters, data, chosen, steps)
    for member in np.flatnonzero(~np.isfinite(losses)).tolist()[:1]:
        raise Diverged(float(losses[member]), member, place)


def sums_of_epochs(losses: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Sums over each epoch's steps of loss times observations.

    One after the other, so that none depends on how an epoch was cut, or on other members.

    Parameters
    ----------
    losses : ndarray
        # shape: (members, epochs, steps)
    sizes : ndarray
        # shape: (steps,)
    """
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks whether they are finite
        return np.add.accumulate(losses * sizes, axis=-1)[..., -1]


def train_together(
    job: Fit,
    data: Observations,
    state: State,
    order: np.ndarray,
    rate: float,
    counter: Counter,
    last: bool = False,
) -> np.ndarray | None:
    """:func:`train_epochs`, or nothing: None where a member diverges, and all is as before."""
    before, steps = [array.copy() for array in state], counter.steps
    try:
        return train_epochs(job, data, state, order, rate, counter, last)
    except Diverged:
        for array, values in zip(state, before, strict=True):
            array[...] = values
        counter.steps = steps
        return None


class Diverged(Exception):
    """A loss that is not finite: of which member, at which step of an epoch."""

    def __init__(self, loss: float, member: int, place: int) -> None:
        self.loss, self.member, self.place = loss, member, place

    def error(self, epoch: int, what: str = "the loss") -> FloatingPointError:
        """What users are told."""
        return FloatingPointError(
            f"{what} became {self.loss} in epoch {epoch + 1}, step {self.place + 1}: it or its gradient "
            "overflowed. A smaller learning rate, clip_norm or scaled inputs may help. The parameters "
            "are the last finite ones"
        )


def _train_batches(
    job: Fit, batches: Batches, state: State, rate: float, progress: Progress
) -> float:
    """Train one epoch of batches as they come; the mean of its steps' losses."""
    total, count = 0.0, 0
    for place, part in enumerate(batches):
        n = len(part.inputs)
        try:
            order = np.arange(n).reshape(1, 1, n)
            sums = train_epochs(job._replace(batch_size=n), part, state, order, rate, progress)
        except Diverged as diverged:
            progress.optimizer = None  # its state may have overflowed
            raise Diverged(diverged.loss, 0, place).error(progress.epochs) from None
        total, count = total + float(sums[0, 0]), count + n
    return total / count


def _train(
    job: Fit,
    data: Observations | Batches,
    state: State,
    key: np.ndarray,
    rate: float,
    progress: Progress,
    count: int,
    last: bool,
) -> list[float]:
    """Train so many epochs; for each the mean of its steps' losses, which weigh as their observations.

    An empty list, and nothing is done, if one of several epochs diverges.
    """
    if isinstance(data, Batches):
        return [_train_batches(job, data, state, rate, progress)]
    n = len(data.inputs)
    if job.shuffle:
        order = orders(key, progress.epochs, count, 0, 1, n)
    else:
        order = np.tile(np.arange(n), (1, count, 1))
    if count > 1:
        totals = train_together(job, data, state, order, rate, progress, last)
        return [] if totals is None else (totals[0] / n).tolist()
    before = state.parameters.copy()
    try:
        totals = train_epochs(job, data, state, order, rate, progress, last)
    except Diverged as diverged:
        if not np.isfinite(state.parameters).all():
            state.parameters[...] = before
        if not (np.isfinite(state.first).all() and (state.second >= 0).all()):
            progress.optimizer = None  # nothing can be gone on from
        raise diverged.error(progress.epochs) from None
    return (totals[0] / n).tolist()


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

"""Learning-rate schedules: the rate of an epoch, from the base rate and what happened before.

A schedule has no state: the rate is a function of the number of finished epochs and of their losses, so
that resumed training has the rates of training that was not interrupted.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastkb.checks.choices import check_name
from fastkb.checks.scalars import LARGEST_WHOLE, check_number, check_whole
from fastkb.nn.optim.checks import check_kept, check_losses, check_positive, check_schedule

# PyTorch leaves a rate alone that a plateau would cut by no more than this.
_SMALLEST_CUT = 1e-8


class Schedule(ABC):
    """What all schedules have in common.

    Raises
    ------
    TypeError, ValueError
        For parameters of another type, or out of their range.
    """

    @abstractmethod
    def rate(self, base: float, epoch: int, losses: Sequence[float] = ()) -> float:
        """The learning rate of the next epoch.

        Parameters
        ----------
        base : float
            The optimiser's `lr`.
        epoch : int
            How many epochs are finished: 0 for the first.
        losses : sequence of float
            The monitored loss of each finished epoch. Only :class:`ReduceOnPlateau` looks at them.
        """

    def lasts(self, epoch: int) -> float:
        """For how many epochs the next one's rate stays, whatever their losses.

        Parameters
        ----------
        epoch : int
            How many epochs are finished.
        """
        return 1


@dataclass(frozen=True)
class Constant(Schedule):
    """rate = base.

    Examples
    --------
    >>> from fastkb.nn.optim.schedules import Constant
    >>> Constant().rate(0.1, epoch=7)
    0.1
    """

    def rate(self, base: float, epoch: int, losses: Sequence[float] = ()) -> float:
        return base

    def lasts(self, epoch: int) -> float:
        return math.inf


@dataclass(frozen=True)
class Step(Schedule):
    """rate = base · gamma^⌊epoch / step_size⌋, as PyTorch's StepLR.

    Parameters
    ----------
    step_size : int
        Epochs between two cuts, at least 1.
    gamma : float, default 0.1
        What a cut multiplies the rate by, above 0.

    Examples
    --------
    >>> from fastkb.nn.optim.schedules import Step
    >>> [Step(2, gamma=0.5).rate(1.0, epoch) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check_whole("step_size", self.step_size, 1, LARGEST_WHOLE)
        check_positive("gamma", self.gamma)

    def rate(self, base: float, epoch: int, losses: Sequence[float] = ()) -> float:
        return base * self.gamma ** (epoch // self.step_size)

    def lasts(self, epoch: int) -> float:
        return self.step_size - epoch % self.step_size


@dataclass(frozen=True)
class Cosine(Schedule):
    """rate = minimum + (base − minimum)·(1 + cos(π·epoch/epochs))/2, and minimum after `epochs`.

    PyTorch's CosineAnnealingLR up to `epochs`, where that one rises again.

    Parameters
    ----------
    epochs : int
        After how many epochs the minimum is reached, at least 1.
    minimum : float, default 0.0
        The last rate, at least 0.

    References
    ----------
    Loshchilov, Hutter (2017), SGDR: stochastic gradient descent with warm restarts, ICLR, equation 5.

    Examples
    --------
    >>> from fastkb.nn.optim.schedules import Cosine
    >>> [round(Cosine(4).rate(1.0, epoch), 3) for epoch in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    epochs: int
    minimum: float = 0.0

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs, 1, LARGEST_WHOLE)
        check_number("minimum", self.minimum, 0.0)

    def rate(self, base: float, epoch: int, losses: Sequence[float] = ()) -> float:
        if epoch >= self.epochs:
            return float(self.minimum)
        share = (1.0 + math.cos(math.pi * epoch / self.epochs)) / 2.0
        return self.minimum + (base - self.minimum) * share


@dataclass(frozen=True)
class WarmUp(Schedule):
    """rate = base · (start_factor + (1 − start_factor)·epoch/epochs), then another schedule.

    PyTorch's LinearLR followed by another by SequentialLR: `then` begins at its own epoch 0 after
    `epochs`, and sees the losses from there on.

    Parameters
    ----------
    epochs : int
        How long the rate rises, at least 1.
    then : schedule, default Constant()
        What follows.
    start_factor : float, default 0.1
        The first rate in units of `base`, above 0 to 1.

    References
    ----------
    Goyal et al. (2017), Accurate, large minibatch SGD, arXiv:1706.02677, section 2.2.

    Examples
    --------
    >>> from fastkb.nn.optim.schedules import Step, WarmUp
    >>> schedule = WarmUp(2, then=Step(1, gamma=0.5), start_factor=0.5)
    >>> [schedule.rate(1.0, epoch) for epoch in range(5)]
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    epochs: int
    then: Schedule = Constant()
    start_factor: float = 0.1

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs, 1, LARGEST_WHOLE)
        check_schedule("then", self.then)
        check_number("start_factor", self.start_factor, 0.0, 1.0, open_below=True)

    def rate(self, base: float, epoch: int, losses: Sequence[float] = ()) -> float:
        if epoch >= self.epochs:
            return self.then.rate(base, epoch - self.epochs, losses[self.epochs :])
        return base * (self.start_factor + (1.0 - self.start_factor) * epoch / self.epochs)

    def lasts(self, epoch: int) -> float:
        known = epoch >= self.epochs and isinstance(self.then, Schedule)
        return self.then.lasts(epoch - self.epochs) if known else 1


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """rate = base / (epoch + 1)^power.

    With a power above 1/2 to 1, the rates of Robbins and Monro: their sum is infinite, that of their
    squares is not.

    Parameters
    ----------
    power : float, default 0.5
        At least 0.

    References
    ----------
    Robbins, Monro (1951), A stochastic approximation method, Annals of Mathematical Statistics 22(3).

    Examples
    --------
    >>> from fastkb.nn.optim.schedules import InverseScaling
    >>> [InverseScaling().rate(1.0, epoch) for epoch in (0, 3, 15)]
    [1.0, 0.5, 0.25]
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        check_number("power", self.power, 0.0)

    def rate(self, base: float, epoch: int, losses: Sequence[float] = ()) -> float:
        return base * float(epoch + 1) ** -self.power


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """rate ← max(factor · rate, minimum) whenever the loss has not fallen for `patience` epochs.

    PyTorch's ReduceLROnPlateau with its defaults: an epoch is good where its loss is below (1 − tol)
    times the loss of the last good one; more than `patience` epochs in a row that are not good cut the
    rate, unless by 1e-8 or less, and are counted from 0 again. A loss of NaN is never good. Each call
    reads all losses.

    Parameters
    ----------
    factor : float, default 0.1
        What a cut multiplies the rate by, above 0 to below 1.
    patience : int, default 10
        How many epochs in a row may bring nothing, at least 0.
    tol : float, default 1e-4
        By what share of itself the loss must fall to count, from 0 to below 1.
    minimum : float, default 0.0
        No cut goes below it; at least 0.

    Raises
    ------
    TypeError, ValueError
        As all schedules do; by `rate` for fewer losses than epochs.

    Examples
    --------
    >>> from fastkb.nn.optim.schedules import ReduceOnPlateau
    >>> losses = [1.0, 0.9, 0.9, 0.9]
    >>> [ReduceOnPlateau(0.5, patience=1).rate(1.0, epoch, losses) for epoch in range(5)]
    [1.0, 1.0, 1.0, 1.0, 0.5]
    """

    factor: float = 0.1
    patience: int = 10
    tol: float = 1e-4
    minimum: float = 0.0

    def __post_init__(self) -> None:
        check_number("factor", self.factor, 0.0, 1.0, open_below=True, open_above=True)
        check_whole("patience", self.patience, 0, LARGEST_WHOLE)
        check_kept("tol", self.tol)
        check_number("minimum", self.minimum, 0.0)

    def rate(self, base: float, epoch: int, losses: Sequence[float] = ()) -> float:
        rate, best, waited = base, math.inf, 0
        for loss in check_losses(losses, epoch):
            if loss < best * (1.0 - self.tol):
                best, waited = loss, 0
                continue
            waited += 1
            if waited > self.patience:
                cut = max(rate * self.factor, self.minimum)
                rate = cut if rate - cut > _SMALLEST_CUT else rate
                waited = 0
        return rate


_NAMED = {
    "constant": Constant,
    "inverse_scaling": InverseScaling,
    "reduce_on_plateau": ReduceOnPlateau,
}


def find_schedule(schedule: Any) -> Schedule:
    """A schedule by its name, with default parameters; an instance is returned as it is.

    Parameters
    ----------
    schedule : schedule or {"constant", "inverse_scaling", "reduce_on_plateau"}
        In any case, with hyphens, underscores or neither.

    Raises
    ------
    ValueError
        For other names; those that are close are suggested.

    Examples
    --------
    >>> from fastkb.nn.optim.schedules import find_schedule
    >>> find_schedule("InverseScaling")
    InverseScaling(power=0.5)
    """
    if not isinstance(schedule, str):
        return check_schedule("schedule", schedule)
    return _NAMED[check_name("schedule", schedule, _NAMED, ("step", "cosine", "warm_up"))]()

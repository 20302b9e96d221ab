"""Rates that are multiplied by a factor, at each step or at some."""

from __future__ import annotations

import copy
import types
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fastkb.checks.scalars import check_number, check_whole, unexpected
from fastkb.optim.base import Optimizer
from fastkb.optim.lr_scheduler.base import LRScheduler

_FUNCTIONS = types.FunctionType | types.BuiltinFunctionType


class StepLR(LRScheduler):
    """The rate is multiplied by `gamma` after every `step_size` steps.

    Parameters
    ----------
    optimizer, last_epoch
        As for :class:`LRScheduler`.
    step_size : int
        At least 1.
    gamma : float, default 0.1
        At least 0.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> optimizer = optim.SGD(nn.Sequential(nn.Linear(2, 1)).parameters(), lr=1.0)
    >>> scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(4):
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = check_whole("step_size", step_size, 1)
        self.gamma = check_number("gamma", gamma, 0.0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates, from those before."""
        if self.last_epoch == 0 or self.last_epoch % self.step_size != 0:
            return self._rates()
        return [rate * self.gamma for rate in self._rates()]

    def _closed_form(self) -> list[float]:
        return [rate * self.gamma ** (self.last_epoch // self.step_size) for rate in self.base_lrs]


class MultiStepLR(LRScheduler):
    """The rate is multiplied by `gamma` after so many steps as `milestones` say.

    Parameters
    ----------
    optimizer, last_epoch
        As for :class:`LRScheduler`.
    milestones : iterable of int
        One that is there twice multiplies twice.
    gamma : float, default 0.1
        At least 0.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> optimizer = optim.SGD(nn.Sequential(nn.Linear(2, 1)).parameters(), lr=1.0)
    >>> scheduler = optim.lr_scheduler.MultiStepLR(optimizer, [1, 3], gamma=0.5)
    >>> for epoch in range(3):
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = Counter(check_whole("milestones", each, 0) for each in milestones)
        self.gamma = check_number("gamma", gamma, 0.0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates, from those before."""
        if self.last_epoch not in self.milestones:
            return self._rates()
        return [rate * self.gamma ** self.milestones[self.last_epoch] for rate in self._rates()]

    def _closed_form(self) -> list[float]:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [rate * self.gamma**passed for rate in self.base_lrs]


class ExponentialLR(LRScheduler):
    """The rate is multiplied by `gamma` after every step.

    Parameters
    ----------
    optimizer, last_epoch
        As for :class:`LRScheduler`.
    gamma : float
        At least 0.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> optimizer = optim.SGD(nn.Sequential(nn.Linear(2, 1)).parameters(), lr=1.0)
    >>> scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for epoch in range(3):
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = check_number("gamma", gamma, 0.0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates, from those before."""
        rates = self._rates()
        return rates if self._is_initial else [rate * self.gamma for rate in rates]

    def _closed_form(self) -> list[float]:
        return [rate * self.gamma**self.last_epoch for rate in self.base_lrs]


class LinearLR(LRScheduler):
    """The rate is the first one times a factor on a line from `start_factor` to `end_factor`.

    Parameters
    ----------
    optimizer, last_epoch
        As for :class:`LRScheduler`.
    start_factor : float, default 1/3
        Above 0 to 1.
    end_factor : float, default 1.0
        From 0 to 1.
    total_iters : int, default 5
        After how many steps the end is reached, at least 1.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> optimizer = optim.SGD(nn.Sequential(nn.Linear(2, 1)).parameters(), lr=1.0)
    >>> scheduler = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> rates = []
    >>> for epoch in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> rates
    [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0,
        total_iters: int = 5, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.start_factor = check_number("start_factor", start_factor, 0.0, 1.0, open_below=True)
        self.end_factor = check_number("end_factor", end_factor, 0.0, 1.0)
        self.total_iters = check_whole("total_iters", total_iters, 1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates, from those before."""
        rates, rise = self._rates(), self.end_factor - self.start_factor
        if self.last_epoch == 0:
            return [rate * self.start_factor for rate in rates]
        if self._is_initial or self.last_epoch > self.total_iters:
            return rates
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return [rate * (1.0 + rise / before) for rate in rates]

    def _closed_form(self) -> list[float]:
        rise = self.end_factor - self.start_factor
        passed = min(self.total_iters, self.last_epoch)
        factor = self.start_factor + rise * passed / self.total_iters
        return [rate * factor for rate in self.base_lrs]


class LambdaLR(LRScheduler):
    """The rate is the first one times what a function gives for the number of steps.

    Parameters
    ----------
    optimizer, last_epoch
        As for :class:`LRScheduler`.
    lr_lambda : callable, or list of callable
        One for all groups, or one for each. Of objects that are called the state holds the attributes; of
        functions nothing.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> optimizer = optim.SGD(nn.Sequential(nn.Linear(2, 1)).parameters(), lr=1.0)
    >>> scheduler = optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    _apart = (*LRScheduler._apart, "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(getattr(optimizer, "param_groups", ()))
        lambdas = list(lr_lambda) if isinstance(lr_lambda, Sequence) else [lr_lambda] * groups
        if len(lambdas) != groups or not all(callable(each) for each in lambdas):
            raise unexpected("lr_lambda", lr_lambda, f"a function, or a list of {groups} of them")
        self.lr_lambdas = lambdas
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates after `last_epoch` steps."""
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [rate * function(self.last_epoch) for rate, function in pairs]

    def state_dict(self) -> dict[str, Any]:
        """All attributes but for the optimiser and functions: copies."""
        states = [
            None if isinstance(each, _FUNCTIONS) else copy.deepcopy(vars(each))
            for each in self.lr_lambdas
        ]
        return {**super().state_dict(), "lr_lambdas": states}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state; see :meth:`LRScheduler.load_state_dict`."""
        states, rest = None, state_dict
        if isinstance(state_dict, Mapping):
            rest = {name: each for name, each in state_dict.items() if name != "lr_lambdas"}
            states = state_dict.get("lr_lambdas")
        own = self._checked_state(rest)
        if not isinstance(states, Sequence) or len(states) != len(self.lr_lambdas):
            raise ValueError(
                f"state_dict must have 'lr_lambdas' of {len(self.lr_lambdas)} groups, got {states!r}"
            )
        vars(self).update(own)
        for function, state in zip(self.lr_lambdas, states, strict=True):
            if state is not None:
                vars(function).update(copy.deepcopy(state))

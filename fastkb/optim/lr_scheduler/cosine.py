"""Rates that fall along half a cosine, once or again and again (Loshchilov, Hutter 2017)."""

from __future__ import annotations

import math

from fastkb.checks.scalars import check_number, check_whole
from fastkb.optim.base import Optimizer
from fastkb.optim.lr_scheduler.base import LRScheduler


class CosineAnnealingLR(LRScheduler):
    """rate = eta_min + (base − eta_min)·(1 + cos(π·steps/T_max))/2, which rises again after `T_max`.

    Parameters
    ----------
    optimizer, last_epoch
        As for :class:`LRScheduler`.
    T_max : int
        After how many steps the rate is `eta_min`, at least 1.
    eta_min : float, default 0.0
        At least 0.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> optimizer = optim.SGD(nn.Sequential(nn.Linear(2, 1)).parameters(), lr=1.0)
    >>> scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    >>> rates = []
    >>> for epoch in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> [round(rate, 3) for rate in rates]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = check_whole("T_max", T_max, 1)
        self.eta_min = check_number("eta_min", eta_min, 0.0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates, from those before."""
        rates, now, least = self._rates(), self.last_epoch, self.eta_min
        if self._is_initial:
            return rates
        if self._step_count == 1 and now > 0:
            return self._closed_form()
        if (now - 1 - self.T_max) % (2 * self.T_max) == 0:
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            pairs = zip(rates, self.base_lrs, strict=True)
            return [rate + (base - least) * rise for rate, base in pairs]
        ratio = (1 + math.cos(math.pi * now / self.T_max)) / (
            1 + math.cos(math.pi * (now - 1) / self.T_max)
        )
        return [ratio * (rate - least) + least for rate in rates]

    def _closed_form(self) -> list[float]:
        share = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """The rate falls to `eta_min` along half a cosine, again and again, each time `T_mult` times as long.

    Parameters
    ----------
    optimizer, last_epoch
        As for :class:`LRScheduler`.
    T_0 : int
        Steps until it begins anew for the first time, at least 1.
    T_mult : int, default 1
        At least 1.
    eta_min : float, default 0.0
        At least 0.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> optimizer = optim.SGD(nn.Sequential(nn.Linear(2, 1)).parameters(), lr=1.0)
    >>> scheduler = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> rates = []
    >>> for epoch in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> [round(rate, 3) for rate in rates]
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.T_0 = self.T_i = check_whole("T_0", T_0, 1)
        self.T_mult = check_whole("T_mult", T_mult, 1)
        self.eta_min = check_number("eta_min", eta_min, 0.0)
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates after `T_cur` of `T_i` steps."""
        share = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Set the rates of the next epoch.

        Parameters
        ----------
        epoch : float, optional
            Another than the one after the last; it may lie between two.
        """
        self._step_count += 1
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            self._begin_at(check_number("epoch", epoch, 0.0))
        self._set(math.floor(epoch))

    def _begin_at(self, epoch: float) -> None:
        begin, self.T_i = 0, self.T_0
        if self.T_mult == 1:
            begin = math.floor(epoch / self.T_0) * self.T_0
        while epoch >= begin + self.T_i:
            begin += self.T_i
            self.T_i *= self.T_mult
        self.T_cur = epoch - begin

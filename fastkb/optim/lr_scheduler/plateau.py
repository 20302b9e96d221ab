"""Rates that are cut where a measure stays as it is."""

from __future__ import annotations

import math
from typing import Any

from fastkb.checks.choices import check_choice
from fastkb.checks.scalars import check_number, check_whole, unexpected
from fastkb.optim.base import Optimizer
from fastkb.optim.lr_scheduler.base import LRScheduler, check_optimizer


class ReduceLROnPlateau(LRScheduler):
    """The rate is multiplied by `factor` where a measure has not become better for `patience` epochs.

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
        Whether less is better, or more.
    factor : float, default 0.1
        At least 0 to below 1.
    patience : int, default 10
        How many epochs in a row may bring nothing before the one that cuts, at least 0.
    threshold : float, default 1e-4
        By how much a measure must be better to count, at least 0.
    threshold_mode : {"rel", "abs"}
        Whether `threshold` is a share of the best measure, or a difference.
    cooldown : int, default 0
        For how many epochs after a cut none is counted, at least 0.
    min_lr : float, or list of float, default 0
        No cut goes below it: of all groups, or of each.
    eps : float, default 1e-8
        A cut by no more than this is left out.

    Attributes
    ----------
    best : float
        The best measure.
    num_bad_epochs : int
        How many epochs in a row have brought nothing.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> optimizer = optim.SGD(nn.Sequential(nn.Linear(2, 1)).parameters(), lr=1.0)
    >>> scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in [1.0, 0.9, 0.9, 0.9]:
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.1]
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
        threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0, min_lr: Any = 0,
        eps: float = 1e-8,
    ) -> None:  # fmt: skip
        self.optimizer = check_optimizer(optimizer)
        self.mode = check_choice("mode", mode, ("min", "max"))
        self.factor = check_number("factor", factor, 0.0, 1.0, open_above=True)
        self.patience = check_whole("patience", patience, 0)
        self.threshold = check_number("threshold", threshold, 0.0)
        self.threshold_mode = check_choice("threshold_mode", threshold_mode, ("rel", "abs"))
        self.cooldown = check_whole("cooldown", cooldown, 0)
        self.eps = check_number("eps", eps, 0.0)
        groups = len(optimizer.param_groups)
        several = isinstance(min_lr, list | tuple)
        if several and len(min_lr) != groups:
            raise unexpected("min_lr", min_lr, f"a number, or a list of {groups} of them")
        lows = [check_number("min_lr", each, 0.0) for each in (min_lr if several else [min_lr])]
        self.min_lrs = lows if several else lows * groups
        self.default_min_lr = None if several else lows[0]
        self.last_epoch = 0
        self._last_lr = self._rates()
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.best = self.mode_worse
        self.cooldown_counter = self.num_bad_epochs = 0

    @property
    def in_cooldown(self) -> bool:
        """Whether epochs are not counted now."""
        return self.cooldown_counter > 0

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Look at a measure, and set the rates of the next epoch.

        Parameters
        ----------
        metrics : float
            Such as the loss of validation. NaN is never better.
        epoch : int, optional
            Another number of it than the one after the last.
        """
        measure = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(measure):
            self.best, self.num_bad_epochs = measure, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._cut()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._rates()

    def _cut(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise ValueError(
                    f"min_lrs must have a number for each of {len(groups)} groups, got "
                    f"{len(self.min_lrs)}: set it again after add_param_group"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, low in zip(groups, self.min_lrs, strict=True):
            rate = max(group["lr"] * self.factor, low)
            if group["lr"] - rate > self.eps:
                group["lr"] = rate

    def _is_better(self, measure: float) -> bool:
        sign = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "rel":
            limit = self.best * (1.0 + sign * self.threshold)
        else:
            limit = self.best + sign * self.threshold
        return measure > limit if self.mode == "max" else measure < limit

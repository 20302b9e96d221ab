"""One cycle: rates rise and fall, once (Smith, Topin 2017)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastkb.checks.choices import check_choice
from fastkb.checks.scalars import check_flag, check_number, check_whole, unexpected
from fastkb.optim.base import Optimizer
from fastkb.optim.lr_scheduler.base import LRScheduler, check_optimizer


class _Phase(NamedTuple):
    """A part of the cycle: when it ends, and the names of what stands in a group at both ends."""

    end: float
    rates: tuple[str, str]
    momenta: tuple[str, str]


class OneCycleLR(LRScheduler):
    """The rate rises from max_lr/div_factor to `max_lr`, and falls to a last one; momentum the other way.

    A step of it follows each step of the optimiser. The last rate is max_lr/div_factor/final_div_factor.

    Parameters
    ----------
    optimizer, last_epoch
        As for :class:`LRScheduler`.
    max_lr : float, or list of float
        Of all groups, or of each; above 0.
    total_steps : int, optional
        Of the cycle. None: epochs · steps_per_epoch.
    epochs, steps_per_epoch : int, optional
    pct_start : float, default 0.3
        The share of the steps in which the rate rises, from 0 to 1.
    anneal_strategy : {"cos", "linear"}
    cycle_momentum : bool, default True
        Whether the momentum, or β₁, goes from `max_momentum` to `base_momentum` and back.
    base_momentum, max_momentum : float, or list of float, default 0.85 and 0.95
        From 0 to below 1.
    div_factor, final_div_factor : float, default 25.0 and 1e4
        Above 0.
    three_phase : bool, default False
        Whether the rate falls in as many steps as it rises to the first one, and then to the last.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> optimizer = optim.Adam(nn.Sequential(nn.Linear(2, 1)).parameters())
    >>> scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> rates = []
    >>> for step in range(9):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> [round(rate, 2) for rate in rates]
    [0.04, 0.52, 1.0, 0.95, 0.81, 0.61, 0.39, 0.19, 0.05]
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: Any, total_steps: int | None = None,
        epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: Any = 0.85,
        max_momentum: Any = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4,
        three_phase: bool = False, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        groups = check_optimizer(optimizer).param_groups
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("total_steps must be given, or both epochs and steps_per_epoch")
            total_steps = check_whole("epochs", epochs, 1) * check_whole(
                "steps_per_epoch", steps_per_epoch, 1
            )
        self.total_steps = check_whole("total_steps", total_steps, 1)
        share = check_number("pct_start", pct_start, 0.0, 1.0)
        self.anneal_strategy = check_choice("anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.cycle_momentum = check_flag("cycle_momentum", cycle_momentum)
        first = check_number("div_factor", div_factor, 0.0, open_below=True)
        last = check_number("final_div_factor", final_div_factor, 0.0, open_below=True)
        highest = _each("max_lr", max_lr, len(groups))
        most = _each("max_momentum", max_momentum, len(groups), 1.0)
        least = _each("base_momentum", base_momentum, len(groups), 1.0)
        self._phases = self._phases_of(share, check_flag("three_phase", three_phase))
        names = optimizer.defaults
        if self.cycle_momentum and not {"momentum", "betas"} & set(names):
            raise ValueError(
                f"cycle_momentum=True needs momentum, and {type(optimizer).__name__} has none"
            )
        self.use_beta1 = "betas" in names
        if last_epoch == -1:
            for place, group in enumerate(groups):
                group["initial_lr"] = highest[place] / first
                group["max_lr"] = highest[place]
                group["min_lr"] = group["initial_lr"] / last
                if self.cycle_momentum:
                    group["max_momentum"], group["base_momentum"] = most[place], least[place]
        super().__init__(optimizer, last_epoch)

    def _phases_of(self, share: float, three: bool) -> list[_Phase]:
        up, down = ("max_momentum", "base_momentum"), ("base_momentum", "max_momentum")
        end = share * self.total_steps
        rise = _Phase(end - 1, ("initial_lr", "max_lr"), up)
        if not three:
            return [rise, _Phase(self.total_steps - 1, ("max_lr", "min_lr"), down)]
        fall = _Phase(2 * end - 2, ("max_lr", "initial_lr"), down)
        rest = ("max_momentum", "max_momentum")
        return [rise, fall, _Phase(self.total_steps - 1, ("initial_lr", "min_lr"), rest)]

    def get_lr(self) -> list[float]:
        """The rates after `last_epoch` steps; momenta are set."""
        now = self.last_epoch
        if now > self.total_steps:
            raise ValueError(
                f"the cycle has {self.total_steps} steps, and this would be step {now}"
            )
        begin = 0.0
        for phase in self._phases:
            if now <= phase.end or phase is self._phases[-1]:
                break
            begin = phase.end
        # A phase without steps is at its end.
        length = phase.end - begin
        share = (now - begin) / length if length != 0.0 else 1.0
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group, phase.rates, share))
            if self.cycle_momentum:
                momentum = self._between(group, phase.momenta, share)
                if self.use_beta1:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return rates

    def _between(self, group: Mapping[str, Any], names: tuple[str, str], share: float) -> float:
        start, end = group[names[0]], group[names[1]]
        if self.anneal_strategy == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)


def _each(name: str, value: Any, groups: int, below: float = math.inf) -> list[float]:
    """A number for each group."""
    values = list(value) if isinstance(value, list | tuple) else [value] * groups
    if len(values) != groups:
        raise unexpected(name, value, f"a number, or a list of {groups} of them")
    if below < math.inf:
        return [check_number(name, each, 0.0, below, open_above=True) for each in values]
    return [check_number(name, each, 0.0, open_below=True) for each in values]

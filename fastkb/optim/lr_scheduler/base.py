"""What all schedulers have in common: they count steps, and set the rates of an optimiser's groups."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from fastkb.checks.scalars import check_whole
from fastkb.optim.base import Optimizer


class LRScheduler:
    """Base of schedulers: derive a class and define :meth:`get_lr`.

    Parameters
    ----------
    optimizer : Optimizer
        Its groups get the rates; they keep the first ones as "initial_lr".
    last_epoch : int, default -1
        The last step of before, of an optimiser whose groups have "initial_lr"; -1: it begins now.

    Attributes
    ----------
    optimizer : Optimizer
    base_lrs : list of float
        What the groups begin with.
    last_epoch : int
        Steps so far.

    Raises
    ------
    TypeError, ValueError
        For what is no optimiser, and for parameters out of their range.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> class Halved(optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [rate / 2**self.last_epoch for rate in self.base_lrs]
    >>> optimizer = optim.SGD(nn.Sequential(nn.Linear(2, 1)).parameters(), lr=0.1)
    >>> scheduler = Halved(optimizer)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.05]
    """

    # Whether the step is the one that a scheduler begins with, which leaves rates of before alone.
    _is_initial = False
    # What the state is without: the optimiser, and what it is made of that has a state of its own.
    _apart: tuple[str, ...] = ("optimizer", "_is_initial")

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = check_optimizer(optimizer)
        check_whole("last_epoch", last_epoch, -1)
        for place, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(
                    f"last_epoch={last_epoch} goes on from an optimiser whose groups have 'initial_lr', "
                    f"and group {place} has none: load its state_dict before, or leave out last_epoch"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _rates(self) -> list[float]:
        """Those that the groups have."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float]:
        """The rates of all groups after `last_epoch` steps, from those before; for derived classes."""
        raise NotImplementedError(f"{type(self).__name__} must define get_lr")

    def get_last_lr(self) -> list[float]:
        """The rates of all groups."""
        return list(self._last_lr)

    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next epoch.

        Parameters
        ----------
        epoch : int, optional
            Another than the one after the last.
        """
        self._step_count += 1
        self._set(epoch)

    def _set(self, epoch: int | None = None) -> None:
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            rates = self._closed_form()
        groups = self.optimizer.param_groups
        if len(rates) != len(groups):
            raise ValueError(
                f"the optimiser has {len(groups)} groups, and the scheduler was made for {len(rates)}"
            )
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = self._rates()

    def _closed_form(self) -> list[float]:
        """The rates after `last_epoch` steps, whatever the groups have."""
        return self.get_lr()

    def state_dict(self) -> dict[str, Any]:
        """All attributes but for the optimiser: copies."""
        return {k: copy.deepcopy(v) for k, v in vars(self).items() if k not in self._apart}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state. The optimiser has its rates by its own.

        Parameters
        ----------
        state_dict : dict
            What :meth:`state_dict` gave, of a scheduler of the same class.

        Raises
        ------
        TypeError, ValueError
            For what does not fit. Nothing is changed then.
        """
        vars(self).update(self._checked_state(state_dict))

    def _checked_state(self, state_dict: Any) -> dict[str, Any]:
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"state_dict must be a dict, got {type(state_dict).__name__}")
        known = {name for name in vars(self) if name not in self._apart}
        # What torch's have besides begins with a line.
        other = {name for name in state_dict if not str(name).startswith("_")} - known
        if other or not known <= set(state_dict):
            name = min(other or known - set(state_dict), key=str)
            raise ValueError(
                f"state_dict must be of a {type(self).__name__}, which has other names: {name!r} is in "
                "one of them alone"
            )
        return copy.deepcopy({name: state_dict[name] for name in known})


def check_optimizer(optimizer: Any) -> Optimizer:
    """Refuse what has no parameter groups."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be one of fastkb.optim, got {type(optimizer).__name__}")
    return optimizer

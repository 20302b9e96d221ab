"""One scheduler after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from fastkb.checks.scalars import check_whole, unexpected
from fastkb.optim.base import Optimizer
from fastkb.optim.lr_scheduler.base import LRScheduler, check_optimizer
from fastkb.optim.lr_scheduler.plateau import ReduceLROnPlateau


class SequentialLR(LRScheduler):
    """Schedulers one after the other: each begins at its own epoch 0 at one of the milestones.

    Parameters
    ----------
    optimizer : Optimizer
    schedulers : list of LRScheduler
        Of the optimiser; none that waits for a measure.
    milestones : list of int
        After how many steps the second begins, and so on, in rising order.
    last_epoch : int, default -1

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> from fastkb.optim import lr_scheduler
    >>> optimizer = optim.SGD(nn.Sequential(nn.Linear(2, 1)).parameters(), lr=1.0)
    >>> warm_up = lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> then = lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = lr_scheduler.SequentialLR(optimizer, [warm_up, then], milestones=[2])
    >>> rates = []
    >>> for epoch in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    _apart = (*LRScheduler._apart, "_schedulers")

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.optimizer = check_optimizer(optimizer)
        if not isinstance(schedulers, Sequence) or not schedulers:
            raise unexpected("schedulers", schedulers, "a list of schedulers")
        for place, each in enumerate(schedulers):
            if not isinstance(each, LRScheduler) or isinstance(each, ReduceLROnPlateau):
                raise unexpected(f"schedulers[{place}]", each, "a scheduler that needs no measure")
            if each.optimizer is not optimizer:
                raise ValueError(f"schedulers[{place}] is of another optimiser")
        found = [check_whole(f"milestones[{k}]", each, 0) for k, each in enumerate(milestones)]
        if len(found) != len(schedulers) - 1 or found != sorted(found):
            raise unexpected(
                "milestones", milestones, f"{len(schedulers) - 1} whole numbers in rising order"
            )
        self._schedulers, self._milestones = list(schedulers), found
        self.last_epoch = check_whole("last_epoch", last_epoch, -1) + 1
        # All of them have begun when they were made: one alone shall have.
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self._undo()
        self._initial_step()

    def _undo(self) -> None:
        """Take back the first step of the parts."""
        for each in self._schedulers:
            if isinstance(each, SequentialLR):
                each._undo()
            else:
                each.last_epoch -= 1

    def _initial_step(self) -> None:
        """Begin, as the first part of another sequence."""
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def _set(self, epoch: int | None = None) -> None:
        """Begin, as another part of another sequence."""
        self.last_epoch = 0
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._set(0)
        self._last_lr = first.get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next epoch."""
        if epoch is not None:
            raise ValueError(
                f"epoch must be None: each scheduler follows the one before, got {epoch!r}"
            )
        self.last_epoch += 1
        place = bisect_right(self._milestones, self.last_epoch)
        now = self._schedulers[place]
        if place > 0 and self._milestones[place - 1] == self.last_epoch:
            now._set(0)
        else:
            now.step()
        self._last_lr = now.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """All attributes but for the optimiser: copies, and those of the schedulers."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state; see :meth:`LRScheduler.load_state_dict`."""
        own = self._checked_state(state_dict)
        states = state_dict.get("_schedulers")
        if not isinstance(states, Sequence) or len(states) != len(self._schedulers):
            raise ValueError(
                f"state_dict must have the states of {len(self._schedulers)} schedulers, got {states!r}"
            )
        # All are looked at before one is changed.
        for scheduler, state in zip(self._schedulers, states, strict=True):
            if not isinstance(scheduler, SequentialLR):
                scheduler._checked_state(state)
        for scheduler, state in zip(self._schedulers, states, strict=True):
            scheduler.load_state_dict(state)
        vars(self).update(own)

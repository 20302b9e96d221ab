"""The optimisers that users name: PyTorch's parameters, checked once and never changed.

What they do, and the sources, are in :mod:`fastkb.nn.optim.updates`; here are the numbers of a step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from fastkb.checks.choices import check_name
from fastkb.checks.scalars import LARGEST_WHOLE, check_whole
from fastkb.nn.optim.checks import check_optimizer, check_parameters
from fastkb.nn.optim.schedules import Schedule, find_schedule
from fastkb.nn.optim.updates import Hyper, Rule


@dataclass(frozen=True)
class Optimizer(ABC):
    """What all optimisers have in common.

    Parameters
    ----------
    lr : float
        The learning rate, above 0; what a schedule starts from.
    schedule : schedule, {"constant", "inverse_scaling", "reduce_on_plateau"} or None
        How the learning rate changes from epoch to epoch (:mod:`fastkb.nn.optim.schedules`); None: not.
    clip_norm : float or None
        A gradient, of all parameters together, is scaled down to this Euclidean norm where it is longer.
    clip_value : float or None
        Each element of the gradient is cut off at plus and minus this.

    Raises
    ------
    TypeError, ValueError
        For parameters of another type, or out of their range.
    """

    lr: float
    schedule: Any = field(default=None, kw_only=True)
    clip_norm: float | None = field(default=None, kw_only=True)
    clip_value: float | None = field(default=None, kw_only=True)

    _rule: ClassVar[Rule]

    def __post_init__(self) -> None:
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        schedule = given.pop("schedule")
        checked = check_parameters(given)
        checked["schedule"] = None if schedule is None else find_schedule(schedule)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @abstractmethod
    def hyper(self, lr: float, step: int) -> Hyper:
        """The numbers of one step, for :func:`fastkb.nn.optim.updates.update`.

        Parameters
        ----------
        lr : float
            The learning rate of the epoch, see :meth:`rate`.
        step : int
            Which step it is, from 1.
        """

    def rate(self, epoch: int, losses: Sequence[float] = ()) -> float:
        """The learning rate after `epoch` finished epochs with these losses: `lr`, or the schedule's."""
        return self.lr if self.schedule is None else self.schedule.rate(self.lr, epoch, losses)

    def rate_lasts(self, epoch: int) -> float:
        """For how many epochs the rate after `epoch` finished ones stays, whatever their losses."""
        if self.schedule is None:
            return math.inf
        # Anything with a `rate` is a schedule.
        return self.schedule.lasts(epoch) if isinstance(self.schedule, Schedule) else 1

    @property
    def uses_first(self) -> bool:
        """Whether there is a first state: momentum, or a running mean of gradients."""
        return self._rule in (Rule.ADAM, Rule.ADAMW, Rule.LAMB)

    @property
    def uses_second(self) -> bool:
        """Whether there is a second state: a sum or running mean of squared gradients."""
        return self._rule is not Rule.SGD


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: θ ← θ − lr·g, or with momentum m ← μ·m + g, θ ← θ − lr·m.

    Nesterov's momentum looks ahead: θ ← θ − lr·(g + μ·m). (Polyak 1964; Sutskever et al. 2013.)

    Parameters
    ----------
    lr : float, default 0.01
        Above 0.
    momentum : float, default 0.0
        μ, from 0 to below 1.
    nesterov : bool, default False
        Needs momentum.
    schedule, clip_norm, clip_value
        As for :class:`Optimizer`, and the same errors.

    Examples
    --------
    >>> from fastkb.nn.optim.optimizers import SGD
    >>> SGD(lr=0.1, momentum=0.9).uses_first
    True
    """

    lr: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    _rule = Rule.SGD

    def hyper(self, lr: float, step: int) -> Hyper:
        nesterov = int(self.nesterov)
        return Hyper(int(self._rule), float(lr), momentum=self.momentum, nesterov=nesterov)

    @property
    def uses_first(self) -> bool:
        """Whether there is a first state: the momentum."""
        return self.momentum > 0.0


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Steps divided by the root of all squared gradients: v ← v + g², θ ← θ − lr·g/(√v + ε).

    (Duchi, Hazan, Singer 2011.)

    Parameters
    ----------
    lr, eps : float, default 0.01 and 1e-10
        Above 0.
    schedule, clip_norm, clip_value
        As for :class:`Optimizer`, and the same errors.

    Examples
    --------
    >>> from fastkb.nn.optim.optimizers import Adagrad
    >>> Adagrad(lr=0.1).hyper(lr=0.05, step=1).lr
    0.05
    """

    lr: float = 0.01
    eps: float = 1e-10
    _rule = Rule.ADAGRAD

    def hyper(self, lr: float, step: int) -> Hyper:
        return Hyper(int(self._rule), float(lr), eps=self.eps)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps divided by a running root mean square: v ← α·v + (1 − α)·g², θ ← θ − lr·g/(√v + ε).

    (Tieleman, Hinton 2012, lecture 6.5.)

    Parameters
    ----------
    lr : float, default 0.01
        Above 0.
    alpha : float, default 0.99
        α, from 0 to below 1.
    eps : float, default 1e-8
        ε, above 0.
    schedule, clip_norm, clip_value
        As for :class:`Optimizer`, and the same errors.

    Examples
    --------
    >>> from fastkb.nn.optim.optimizers import RMSprop
    >>> RMSprop(schedule="inverse_scaling").rate(epoch=3)
    0.005
    """

    lr: float = 0.01
    alpha: float = 0.99
    eps: float = 1e-8
    _rule = Rule.RMSPROP

    def hyper(self, lr: float, step: int) -> Hyper:
        return Hyper(int(self._rule), float(lr), beta2=self.alpha, eps=self.eps)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Momentum divided by a running root mean square, both corrected for having begun at 0.

    m ← β₁·m + (1 − β₁)·g, v ← β₂·v + (1 − β₂)·g², and in step t = 1, 2, …
    θ ← θ − lr · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε). (Kingma, Ba 2015, algorithm 1.)

    Parameters
    ----------
    lr : float, default 0.001
        Above 0.
    betas : pair of float, default (0.9, 0.999)
        β₁ and β₂, from 0 to below 1.
    eps : float, default 1e-8
        ε, above 0.
    schedule, clip_norm, clip_value
        As for :class:`Optimizer`, and the same errors.

    Examples
    --------
    >>> from fastkb.nn.optim.optimizers import Adam
    >>> Adam(betas=(0.5, 0.9), clip_norm=1.0).hyper(0.001, step=2).correction1
    0.75
    """

    lr: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    _rule = Rule.ADAM

    def hyper(self, lr: float, step: int) -> Hyper:
        step = check_whole("step", step, 1, LARGEST_WHOLE)
        beta1, beta2 = self.betas
        return Hyper(
            int(self._rule),
            float(lr),
            beta1=beta1,
            beta2=beta2,
            eps=self.eps,
            correction1=1.0 - beta1**step,
            correction2=1.0 - beta2**step,
        )


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: θ ← (1 − lr·λ)·θ before each step, of weights alone.

    (Loshchilov, Hutter 2019, algorithm 2.)

    Parameters
    ----------
    lr, betas, eps, schedule, clip_norm, clip_value
        As for :class:`Adam`.
    weight_decay : float, default 0.01
        λ, at least 0.

    Examples
    --------
    >>> from fastkb.nn.optim.optimizers import AdamW
    >>> AdamW(0.01, weight_decay=0.1).weight_decay
    0.1
    """

    weight_decay: float = 0.01
    _rule = Rule.ADAMW

    def hyper(self, lr: float, step: int) -> Hyper:
        return super().hyper(lr, step)._replace(weight_decay=self.weight_decay)


@dataclass(frozen=True)
class LAMB(AdamW):
    """Adam's direction at the scale of each tensor: θ ← θ − lr·(‖θ‖/‖d‖)·d, for large batches.

    d = m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε) + λ·θ, with the norms of a whole tensor, whose ratio is 1 where
    one of them is 0. (You et al. 2020, algorithm 2.)

    Parameters
    ----------
    lr, betas, weight_decay, schedule, clip_norm, clip_value
        As for :class:`AdamW`.
    eps : float, default 1e-6
        ε, above 0.

    Examples
    --------
    >>> from fastkb.nn.optim.optimizers import LAMB
    >>> LAMB().eps
    1e-06
    """

    eps: float = 1e-6
    _rule = Rule.LAMB


_NAMED = {each.__name__.lower(): each for each in (SGD, Adagrad, RMSprop, Adam, AdamW, LAMB)}


def find_optimizer(optimizer: Any) -> Optimizer:
    """An optimiser by its name, with default parameters; an instance is returned as it is.

    Parameters
    ----------
    optimizer : optimiser or {"sgd", "adagrad", "rmsprop", "adam", "adamw", "lamb"}, in any case

    Raises
    ------
    ValueError, TypeError
        For other names (the closest is suggested), and for what is neither name nor instance.

    Examples
    --------
    >>> from fastkb.nn.optim.optimizers import find_optimizer
    >>> find_optimizer("SGD").lr
    0.01
    """
    if isinstance(optimizer, str):
        return _NAMED[check_name("optimizer", optimizer, _NAMED)]()
    return check_optimizer(optimizer)

"""The optimisers: torch's parameters and defaults, and from them the numbers of a compiled step.

What the rules do, and where they are from, is in :mod:`fastkb.nn.optim.updates`. Weight decay of SGD,
Adam, Adagrad and RMSprop is added to the derivatives, that of AdamW and LAMB shrinks the parameters.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

from fastkb.nn.optim.updates import Hyper, Rule
from fastkb.optim.base import Optimizer
from fastkb.optim.saving import CENTRE, MOMENTUM


class SGD(Optimizer):
    """Stochastic gradient descent: θ ← θ − lr·g, or with momentum m ← μ·m + (1 − τ)·g, θ ← θ − lr·m.

    Nesterov's momentum: θ ← θ − lr·(g + μ·m). A tensor's first step has no dampening τ.

    Parameters
    ----------
    params
        As for :class:`Optimizer`.
    lr : float, default 1e-3
        The learning rate, at least 0.
    momentum : float, default 0
        μ, at least 0.
    dampening : float, default 0
        τ.
    weight_decay : float, default 0
        λ, at least 0: λ·θ is added to g.
    nesterov : bool, default False
        Needs momentum, and no dampening.
    maximize : bool, default False
        Whether steps go up.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> net = nn.Sequential(nn.Linear(2, 1))
    >>> optim.SGD(net.parameters(), lr=0.1, momentum=0.9).param_groups[0]["momentum"]
    0.9
    """

    _names = (MOMENTUM, None, None)
    _counted = False

    def __init__(
        self, params: Any, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def _hyper(self, values: SimpleNamespace, step: int) -> Hyper:
        return Hyper(int(Rule.SGD), values.lr, values.momentum, int(values.nesterov))

    def _spans(self, values: SimpleNamespace, steps: int) -> tuple[float, float]:
        l2, factor = super()._spans(values, steps)
        damped = values.momentum != 0.0 and steps > 0
        return l2, factor * (1.0 - values.dampening) if damped else factor

    def _uses_first(self, values: SimpleNamespace) -> bool:
        return values.momentum != 0.0

    def _after(self, values: SimpleNamespace, steps: int) -> int:
        # Whether there is a momentum is all that matters.
        return 1 if values.momentum != 0.0 else steps


class Adam(Optimizer):
    """Momentum divided by a running root mean square, both corrected for having begun at 0.

    m ← β₁·m + (1 − β₁)·g, v ← β₂·v + (1 − β₂)·g², and in a tensor's step t = 1, 2, …
    θ ← θ − lr · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε).

    Parameters
    ----------
    params
        As for :class:`Optimizer`.
    lr : float, default 1e-3
        The learning rate, at least 0.
    betas : pair of float, default (0.9, 0.999)
        β₁ and β₂, from 0 to below 1.
    eps : float, default 1e-8
        ε, at least 0.
    weight_decay : float, default 0
        λ, at least 0: λ·θ is added to g.
    amsgrad : bool, default False
        Whether the largest v so far serves in place of v.
    maximize : bool, default False
        Whether steps go up.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> net = nn.Sequential(nn.Linear(2, 1))
    >>> optim.Adam(net.parameters()).defaults["betas"]
    (0.9, 0.999)
    """

    _names: ClassVar[tuple[str | None, str | None, str | None]] = (
        "exp_avg", "exp_avg_sq", "max_exp_avg_sq",
    )  # fmt: skip
    _rule = Rule.ADAM

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, amsgrad: bool = False, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def _hyper(self, values: SimpleNamespace, step: int) -> Hyper:
        beta1, beta2 = values.betas
        decay = values.weight_decay if self._decoupled else 0.0
        rule = Rule.AMSGRAD if self._uses_third(values) else self._rule
        return Hyper(
            int(rule), values.lr, 0.0, 0, beta1, beta2, values.eps, decay,
            1.0 - beta1**step, 1.0 - beta2**step,
        )  # fmt: skip

    def _uses_third(self, values: SimpleNamespace) -> bool:
        # LAMB has none, nor have pickles from before there was one.
        return getattr(values, "amsgrad", False)


class AdamW(Adam):
    """Adam with decoupled weight decay: θ ← (1 − lr·λ)·θ before each step.

    Parameters
    ----------
    params, lr, betas, eps, amsgrad, maximize
        As for :class:`Adam`.
    weight_decay : float, default 1e-2
        λ, at least 0, of all parameters of a group.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> net = nn.Sequential(nn.Linear(2, 1))
    >>> weight, bias = net.parameters()
    >>> groups = [{"params": weight}, {"params": bias, "weight_decay": 0.0}]
    >>> [group["weight_decay"] for group in optim.AdamW(groups).param_groups]
    [0.01, 0.0]
    """

    _rule = Rule.ADAMW
    _decoupled = True

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class LAMB(AdamW):
    """Adam's direction at the scale of each tensor: θ ← θ − lr·(‖θ‖/‖d‖)·d, for large batches.

    d = m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε) + λ·θ, with the norms of a whole tensor, whose ratio is 1 where
    one of them is 0.

    Parameters
    ----------
    params, lr, betas, maximize
        As for :class:`Adam`.
    eps : float, default 1e-6
        ε, at least 0.
    weight_decay : float, default 0.01
        λ, at least 0, of all parameters of a group.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> net = nn.Sequential(nn.Linear(2, 1))
    >>> optim.LAMB(net.parameters()).defaults["eps"]
    1e-06
    """

    _names = ("exp_avg", "exp_avg_sq", None)
    _rule = Rule.LAMB
    _apart = True

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6, weight_decay: float = 0.01, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        Optimizer.__init__(
            self,
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )


class Adagrad(Optimizer):
    """Steps divided by the root of all squared derivatives: v ← v + g², θ ← θ − lrₜ·g/(√v + ε).

    lrₜ = lr/(1 + (t − 1)·η) in a tensor's step t = 1, 2, …

    Parameters
    ----------
    params
        As for :class:`Optimizer`.
    lr : float, default 1e-2
        The learning rate, at least 0.
    lr_decay : float, default 0
        η, at least 0.
    weight_decay : float, default 0
        λ, at least 0: λ·θ is added to g.
    initial_accumulator_value : float, default 0
        What v begins with, at least 0.
    eps : float, default 1e-10
        ε, at least 0.
    maximize : bool, default False
        Whether steps go up.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> net = nn.Sequential(nn.Linear(2, 1))
    >>> optim.Adagrad(net.parameters()).defaults["lr"]
    0.01
    """

    _names = (None, "sum", None)

    def __init__(
        self, params: Any, lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "maximize": maximize,
            },
        )

    def _hyper(self, values: SimpleNamespace, step: int) -> Hyper:
        lr = values.lr / (1.0 + (step - 1) * values.lr_decay)
        return Hyper(int(Rule.ADAGRAD), lr, eps=values.eps)


class RMSprop(Optimizer):
    """Steps divided by a running root mean square: v ← α·v + (1 − α)·g², θ ← θ − lr·g/(√v + ε).

    With momentum m ← μ·m + g/(√v + ε), θ ← θ − lr·m.

    Parameters
    ----------
    params
        As for :class:`Optimizer`.
    lr : float, default 1e-2
        The learning rate, at least 0.
    alpha : float, default 0.99
        α, from 0 to below 1.
    eps : float, default 1e-8
        ε, at least 0.
    weight_decay : float, default 0
        λ, at least 0: λ·θ is added to g.
    momentum : float, default 0
        μ, at least 0.
    centered : bool, default False
        Whether v is that of g around its running mean: v − a², with a ← α·a + (1 − α)·g.
    maximize : bool, default False
        Whether steps go up.

    Examples
    --------
    >>> from fastkb import nn, optim
    >>> net = nn.Sequential(nn.Linear(2, 1))
    >>> optim.RMSprop(net.parameters()).defaults["alpha"]
    0.99
    """

    _names = (MOMENTUM, "square_avg", CENTRE)

    def __init__(
        self, params: Any, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0, momentum: float = 0, centered: bool = False, *,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def _hyper(self, values: SimpleNamespace, step: int) -> Hyper:
        rule = Rule.CENTERED if self._uses_third(values) else Rule.RMSPROP
        return Hyper(int(rule), values.lr, values.momentum, beta2=values.alpha, eps=values.eps)

    def _uses_first(self, values: SimpleNamespace) -> bool:
        return values.momentum != 0.0

    def _uses_third(self, values: SimpleNamespace) -> bool:
        return getattr(values, "centered", False)

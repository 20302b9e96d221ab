"""Checks of what users pass to optimisers and learning-rate schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from fastkb.checks.scalars import check_flag, check_number


def check_positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    return check_number(name, value, 0.0, open_below=True)


def check_kept(name: str, value: Any) -> float:
    """The share that is kept of an average: from 0 to below 1."""
    return check_number(name, value, 0.0, 1.0, open_above=True)


def check_betas(name: str, betas: Any) -> tuple[float, float]:
    """The two shares that Adam's averages keep."""
    if not isinstance(betas, Sequence) or isinstance(betas, str) or len(betas) != 2:
        raise TypeError(f"{name} must be a pair of numbers from 0 to below 1, got {betas!r}")
    return check_kept(f"{name}[0]", betas[0]), check_kept(f"{name}[1]", betas[1])


def check_limit(name: str, limit: Any) -> float | None:
    """A limit of gradients: a positive number, or None for no limit."""
    return None if limit is None else check_positive(name, limit)


_OF_OPTIMIZERS: dict[str, Callable[[str, Any], Any]] = {
    "lr": check_positive,
    "momentum": check_kept,
    "nesterov": check_flag,
    "alpha": check_kept,
    "betas": check_betas,
    "eps": check_positive,
    "weight_decay": partial(check_number, minimum=0.0),
    "clip_norm": check_limit,
    "clip_value": check_limit,
}


def check_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """An optimiser's parameters by name, as plain Python numbers."""
    checked = {name: _OF_OPTIMIZERS[name](name, value) for name, value in parameters.items()}
    if checked.get("nesterov") and checked["momentum"] == 0.0:
        raise ValueError("nesterov=True needs momentum above 0, and momentum is 0.0")
    return checked


def check_schedule(name: str, schedule: Any) -> Any:
    """An instance with the method `rate`."""
    return _instance(name, schedule, "rate", "a schedule of learning rates")


def check_optimizer(optimizer: Any) -> Any:
    """An instance with the method `hyper`."""
    return _instance("optimizer", optimizer, "hyper", "an optimiser or the name of one")


def _instance(name: str, thing: Any, method: str, what: str) -> Any:
    if isinstance(thing, type) or not callable(getattr(thing, method, None)):
        hint = f": write {thing.__name__}(…)" if isinstance(thing, type) else ""
        if hasattr(thing, "param_groups"):
            hint = (
                ": fit takes those of fastkb.nn, such as nn.Adam(lr=0.001); those of fastkb.optim are "
                "for loops of one's own"
            )
        raise TypeError(f"{name} must be {what}, got {thing!r}{hint}")
    return thing


def check_losses(losses: Sequence[float], epoch: int) -> Sequence[float]:
    """The losses of the finished epochs, one for each."""
    if len(losses) < epoch:
        raise ValueError(
            f"losses must hold the loss of each of the epoch={epoch} finished epochs, got "
            f"{len(losses)} of them"
        )
    return losses[:epoch]

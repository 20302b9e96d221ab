"""Parameter groups: what users pass for them, and checks of the numbers that stand in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from fastkb.checks.scalars import check_flag, check_number
from fastkb.nn.optim.checks import check_betas, check_kept
from fastkb.nn.recording.parameter import Parameter

_at_least_zero = partial(check_number, minimum=0.0)

# torch's ranges. What has another name is an optimiser's of another package, which checks it itself.
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "lr": _at_least_zero,
    "momentum": _at_least_zero,
    "dampening": check_number,
    "weight_decay": _at_least_zero,
    "nesterov": check_flag,
    "betas": check_betas,
    "eps": _at_least_zero,
    "lr_decay": _at_least_zero,
    "initial_accumulator_value": _at_least_zero,
    "alpha": check_kept,
    "maximize": check_flag,
    "amsgrad": check_flag,
    "centered": check_flag,
}


def check_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """A group's numbers by their names, as plain Python numbers."""
    checked = {
        name: _CHECKS[name](name, value) if name in _CHECKS else value
        for name, value in values.items()
    }
    if checked.get("nesterov") and not (checked["momentum"] > 0.0 and checked["dampening"] == 0.0):
        raise ValueError(
            "nesterov=True needs momentum above 0 and no dampening, got "
            f"momentum={checked['momentum']} and dampening={checked['dampening']}"
        )
    return checked


def read_groups(params: Any) -> list[dict[str, Any]]:
    """What users pass to an optimiser, as groups: dicts with "params"."""
    if isinstance(params, Parameter | Mapping) or not isinstance(params, Iterable):
        raise TypeError(
            "params must be an iterable of parameters, such as net.parameters(), or of dicts, got "
            f"{type(params).__name__}"
        )
    given = list(params)
    if not given:
        raise ValueError("params must have a parameter, got an empty iterable")
    if not isinstance(given[0], Mapping):
        return [{"params": given}]
    for place, group in enumerate(given):
        if not isinstance(group, Mapping):
            raise TypeError(
                f"params must be all parameters or all dicts, got {type(group).__name__} at place {place}"
            )
    return [dict(group) for group in given]


def read_group(group: Any) -> dict[str, Any]:
    """A group with a list of parameters, and their names if there are some; a new dict."""
    if not isinstance(group, Mapping):
        raise TypeError(f"param_group must be a dict, got {type(group).__name__}")
    if "params" not in group:
        raise ValueError(f"param_group must have 'params', got {sorted(group)}")
    params = group["params"]
    if isinstance(params, set | frozenset):
        raise TypeError(
            "params must be in an order that is the same each time, got a set: pass a list"
        )
    params = [params] if isinstance(params, Parameter) else list(params)
    if not params:
        raise ValueError("params must have a parameter, and a group has none")
    named = [isinstance(each, tuple) and len(each) == 2 for each in params]
    found = {**group, "params": params}
    if all(named):
        found["param_names"] = [name for name, _ in params]
        found["params"] = [each for _, each in params]
    elif any(named):
        raise ValueError("params must be all parameters or all pairs (name, parameter), got both")
    for place, each in enumerate(found["params"]):
        if not isinstance(each, Parameter):
            raise TypeError(
                f"params must be parameters, such as net.parameters(), got {each!r} at place {place}"
            )
    if len(set(found["params"])) < len(params):
        twice = next(each for each in found["params"] if found["params"].count(each) > 1)
        raise ValueError(f"params must be all different, and {twice._name} is there twice")
    return found

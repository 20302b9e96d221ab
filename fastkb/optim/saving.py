"""What an optimiser goes on from: read, and checked before anything is changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastkb.checks.scalars import LARGEST_WHOLE, as_whole
from fastkb.optim.groups import check_values
from fastkb.optim.trained import Kept

#: torch's name of a state that there is only with momentum.
MOMENTUM = "momentum_buffer"
#: torch's name of a state that is no square.
CENTRE = "grad_avg"


class Entry(NamedTuple):
    """What an optimiser keeps of its tensors."""

    names: tuple[str | None, str | None, str | None]  # of the three states
    counted: bool  # whether there is "step"
    shapes: Sequence[tuple[int, ...]]  # of the tensors
    uses_third: Callable[[Mapping[str, Any]], bool]  # of a group's numbers


def read_state(
    state_dict: Any, wanted: Entry, sizes: Sequence[int], numbers: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[int, Kept]]:
    """The groups without their parameters, and what there is of parameters by their places.

    Parameters
    ----------
    state_dict : dict
    wanted : Entry
    sizes : sequence of int
        Of the groups.
    numbers : sequence of str
        What groups must have.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"state_dict must be a dict, got {type(state_dict).__name__}")
    for name, kind in (("state", Mapping), ("param_groups", Sequence)):
        if not isinstance(state_dict.get(name), kind):
            raise ValueError(
                f"state_dict must have 'state', a dict, and 'param_groups', a list of dicts, got "
                f"{type(state_dict.get(name)).__name__} for {name!r}"
            )
    saved = state_dict["param_groups"]
    if len(saved) != len(sizes):
        raise ValueError(
            f"state_dict must have {len(sizes)} parameter groups, as the optimiser, got {len(saved)}"
        )
    groups, keys, thirds = [], [], []
    for place, (group, size) in enumerate(zip(saved, sizes, strict=True)):
        known = group.get("params") if isinstance(group, Mapping) else None
        if not isinstance(known, Sequence) or len(known) != size:
            raise ValueError(
                f"'params' of group {place} of state_dict must be the places of {size} parameters, got "
                f"{known!r}"
            )
        groups.append(_numbers(group, place, numbers))
        keys += list(known)
        thirds += [wanted.uses_third(groups[-1])] * size
    if len(set(keys)) < len(keys):
        raise ValueError(f"places of parameters in state_dict must be all different, got {keys}")
    places = {key: place for place, key in enumerate(keys)}
    kept = {}
    for key, entry in state_dict["state"].items():
        if key not in places:
            raise ValueError(f"state_dict has a state of parameter {key!r}, which is in no group")
        kept[places[key]] = _kept(key, entry, wanted, places[key], thirds[places[key]])
    return groups, kept


def _numbers(group: Mapping[str, Any], place: int, numbers: Sequence[str]) -> dict[str, Any]:
    missing = [name for name in numbers if name not in group]
    if missing:
        raise ValueError(f"group {place} of state_dict must have {missing[0]!r}")
    rest = {name: value for name, value in group.items() if name != "params"}
    return {**copy.deepcopy(rest), **check_values({name: group[name] for name in numbers})}


def _kept(key: Any, entry: Any, wanted: Entry, place: int, third: bool) -> Kept:
    called, shape = f"the state of parameter {key!r} in state_dict", wanted.shapes[place]
    if not isinstance(entry, Mapping):
        raise TypeError(f"{called} must be a dict, got {type(entry).__name__}")
    # torch writes None for a momentum that there is not.
    found = {name: value for name, value in entry.items() if value is not None}
    names = [name for name in wanted.names[: 3 if third else 2] if name is not None]
    unknown = sorted(set(found) - {*names, *(["step"] if wanted.counted else [])}, key=str)
    if unknown:
        raise ValueError(f"{called} has {unknown[0]!r}, which this optimiser has no use for")
    steps = int(len(found) > 0)
    if wanted.counted:
        counted = as_whole(found.get("step", ""))
        if counted is None or not 0 <= counted <= LARGEST_WHOLE:
            raise ValueError(
                f"'step' of {called} must be a whole number, got {found.get('step')!r}"
            )
        steps = counted
    first, second, last = (
        None if name not in found else _array(f"{name!r} of {called}", found[name], shape)
        for name in wanted.names
    )
    missing = [name for name in names if name not in found and name != MOMENTUM]
    if missing and steps:
        raise ValueError(f"{called} must have {missing[0]!r}")
    # A square may have overflowed where its root did not.
    squares = [second] if wanted.names[2] == CENTRE else [second, last]
    others = [first, last] if wanted.names[2] == CENTRE else [first]
    if not all(each is None or (each >= 0).all() for each in squares) or not all(
        each is None or np.isfinite(each).all() for each in others
    ):
        raise ValueError(f"{called} must be finite numbers, and squares not below 0")
    return Kept(steps, (first, second, last))


def _array(called: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(value)
    if array.shape != shape or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{called} must be numbers of shape {shape}, got {array.dtype} of shape {array.shape}"
        )
    return array

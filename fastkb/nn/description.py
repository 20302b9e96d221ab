"""Layers, optimisers and schedules as JSON: the name of a class, and its arguments.

So nothing that stands in a file is executed: a name picks one of the classes below, its arguments pass
the checks of any call, and what is made of them must describe itself in the same words. Layers of other
packages are among the classes once they are defined; a file imports nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from fastkb.checks.choices import check_choice
from fastkb.nn.ops.operation import CLASSES
from fastkb.nn.optim import optimizers, schedules
from fastkb.storage.checks import check_entries


def _named(module: Any, names: str) -> dict[str, type]:
    return {name: getattr(module, name) for name in names.split()}


OPTIMIZERS = _named(optimizers, "SGD Adagrad RMSprop Adam AdamW LAMB")
SCHEDULES = _named(schedules, "Constant Step Cosine WarmUp InverseScaling ReduceOnPlateau")


def layer_classes() -> dict[str, type]:
    """All layers that a file can describe, by the names that files have for them."""
    return {name: kind for name, kind in CLASSES.items() if "__dataclass_params__" in vars(kind)}


# Arguments that are schedules, a layer, and layers that a class takes one by one.
_SCHEDULES, _LAYER, _LAYERS = ("schedule", "then"), "shortcut", "layers"


def describe(what: str, thing: Any, known: Mapping[str, type]) -> dict[str, Any]:
    """The name of a thing's class, and its arguments, as JSON has them.

    Parameters
    ----------
    what : str
        What the thing is, for errors.
    thing : object
    known : mapping of str to type
        The classes that it may be of, by their names: :func:`layer_classes`, :data:`OPTIMIZERS` or
        :data:`SCHEDULES`.

    Raises
    ------
    TypeError
        If it is of none of them.

    Examples
    --------
    >>> from fastkb import nn
    >>> from fastkb.nn.description import OPTIMIZERS, describe
    >>> describe("optimizer", nn.SGD(0.1, schedule=nn.Step(9)), OPTIMIZERS)["arguments"]["schedule"]
    {'name': 'Step', 'arguments': {'step_size': 9, 'gamma': 0.1}}
    """
    kind = type(thing)
    called = next((name for name, each in known.items() if each is kind), None)
    if called is None:
        raise TypeError(
            f"{what} must be one of fastkb.nn's own to be saved: {', '.join(known)}; got {thing!r}"
        )
    arguments = {}
    for name in (each.name for each in fields(kind)):
        value = getattr(thing, name)
        if name in _SCHEDULES and value is not None:
            value = describe(f"{name} of {what}", value, SCHEDULES)
        elif name == _LAYER and value is not None:
            value = describe(f"{name} of {what}", value, known)
        elif name == _LAYERS:
            value = [describe(f"layer {k} of {what}", one, known) for k, one in enumerate(value)]
        elif isinstance(value, np.generic):
            value = value.item()
        arguments[name] = list(value) if isinstance(value, tuple) else value
    return {"name": called, "arguments": arguments}


def make(what: str, text: Any, known: Mapping[str, type]) -> Any:
    """The thing that :func:`describe` describes so.

    Parameters
    ----------
    what : str
    text : object
        Of JSON; it may be anything.
    known : mapping of str to type

    Raises
    ------
    ValueError
        If it is no such description.
    """
    check_entries(what, text, {"name": (str,), "arguments": (dict,)})
    kind = known[check_choice(f"the name of {what}", text["name"], tuple(known))]
    arguments, layers = {}, []
    for name, value in text["arguments"].items():
        if name in _SCHEDULES and value is not None:
            value = make(f"{name} of {what}", value, SCHEDULES)
        elif name == _LAYER and value is not None:
            value = make(f"{name} of {what}", value, known)
        elif name == _LAYERS and isinstance(value, list):
            layers = [make(f"layer {k} of {what}", one, known) for k, one in enumerate(value)]
            continue
        arguments[name] = tuple(value) if isinstance(value, list) else value
    try:
        made = kind(*layers, **arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error
    if describe(what, made, known) != text:
        raise ValueError(f"{what} must have the arguments of {made!r}, got {text['arguments']}")
    return made

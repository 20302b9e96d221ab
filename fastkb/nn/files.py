"""Networks on disk: arrays by name, and one text that says what they are.

==============================  ====================================================================
``0.weight``, ``0.bias``, …     the parameters, by torch's names and in its shapes
``optimizer/first/0.weight``,…  the optimiser's state, of the same names and shapes (the buffers of the
``optimizer/second/0.weight``…  compiled code are laid out for one processor, and stay out of files)
``fastkb``                      JSON: format, version, layers, element type, seeds, optimiser with its
                                schedule, progress, history
==============================  ====================================================================

Of a network whose forward is Python the layers are null: what is saved is taken into one of its class.
What the headers of a file promise is compared with the text before any array is read, see
:mod:`fastkb.nn.containers`.
Nothing is pickled, and nothing in a file is executed: see :mod:`fastkb.nn.description`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fastkb.checks.choices import check_choice
from fastkb.checks.scalars import LARGEST_WHOLE, check_whole
from fastkb.nn import containers
from fastkb.nn.checks import check_layers
from fastkb.nn.containers import Content
from fastkb.nn.description import OPTIMIZERS, describe, layer_classes, make
from fastkb.nn.ops.graph import Network, leaves
from fastkb.nn.ops.operation import Layer
from fastkb.nn.ops.storage import named
from fastkb.nn.program.step import State
from fastkb.nn.program.store import Store
from fastkb.nn.training.fitting import Progress
from fastkb.storage.archives import Header
from fastkb.storage.checks import check_arrays, check_entries, check_numbers, check_seed

_FORMAT, _VERSION = "fastkb network", 1

# Prefixes of the names of arrays, in the order of State's fields.
_PREFIXES = "", "optimizer/first/", "optimizer/second/"
_, _FIRST, _SECOND = _PREFIXES


_ENTRIES: dict[str, tuple[type, ...]] = {
    "format": (str,),
    "version": (int,),
    "layers": (list, type(None)),
    "dtype": (str, type(None)),
    "drawn": (bool,),  # whether there are parameters
    "first_seed": (list, type(None)),
    "seed": (list, type(None)),
    "optimizer": (dict, type(None)),
    "epochs": (int,),
    "steps": (int,),
    "losses": (list,),
    "history": (dict,),
}
# There where it is not 0.
_CALLS = "calls"


class Saved(NamedTuple):
    """All that a network is."""

    layers: Network
    dtype: np.dtype | None
    first_seed: np.ndarray | None  # of the first weights
    seed: np.ndarray | None  # of training
    history: dict[str, list[float]]
    progress: Progress
    arrays: dict[str, np.ndarray]  # empty as long as no parameters have been drawn
    calls: int = 0  # how often it was called: they number the masks of dropout in loops


def write(path: Any, saved: Saved) -> None:
    """What :meth:`fastkb.nn.Network.save` does."""
    containers.write(path, lambda: _text(saved), saved.arrays)


def read(path: Any, layers: Network) -> Saved:
    """What :meth:`fastkb.nn.Network.load` takes into a network of these layers."""
    return containers.read(path, lambda content: from_content(content, layers))


def from_content(content: Content, layers: Network | None = None) -> Saved:
    """What a file has of a network; None: of the layers that it describes itself."""
    saved = _described(content.text, content.headers, layers)
    saved = saved._replace(arrays=content.arrays())
    _check_numbers(saved.arrays)
    return saved


# --- the arrays ---------------------------------------------------------------------------------


def take_arrays(store: Store, state: State, optimizer: Any) -> dict[str, np.ndarray]:
    """The arrays of a network that was trained with this optimiser, or with none: copies.

    Parameters
    ----------
    store : Store
    state : State
        Of one member.
    optimizer : Optimizer or None
    """
    used = _prefixes(optimizer)
    return {
        prefix + name: value
        for prefix, buffer in zip(_PREFIXES, state, strict=True)
        if prefix in used
        for name, value in store.take(buffer[0]).items()
    }


def put_arrays(store: Store, arrays: Mapping[str, np.ndarray], optimizer: Any) -> State:
    """The state that :func:`take_arrays` took them from, in buffers for this machine."""
    used = _prefixes(optimizer)
    state = store.empty_state(1, _FIRST in used, _SECOND in used)
    buffers = dict(zip(_PREFIXES, state, strict=True))
    for name, value in arrays.items():
        prefix, slash, own = name.rpartition("/")
        store.put(own, value, buffers[prefix + slash][0])
    return state


def _prefixes(optimizer: Any) -> list[str]:
    """Of the names of the arrays that there are."""
    if optimizer is None:
        return [""]
    used = True, optimizer.uses_first, optimizer.uses_second
    return [prefix for prefix, is_used in zip(_PREFIXES, used, strict=True) if is_used]


def parameter_shapes(layers: Network, *, buffers: bool) -> dict[str, tuple[int, ...]]:
    """The parameters of layers, and their buffers if they are wanted, by torch's names."""
    return {
        named(layer_name, name): shape
        for layer_name, layer in leaves(layers)
        for name, shape in (layer.shapes() | (layer.buffers() if buffers else {})).items()
    }


def _check_headers(saved: Saved, headers: Mapping[str, Any]) -> None:
    """Whether the arrays are those of the network and of its optimiser."""
    assert saved.dtype is not None
    expected = {
        prefix + name: shape
        for prefix in _prefixes(saved.progress.optimizer)
        for name, shape in parameter_shapes(saved.layers, buffers=not prefix).items()
    }
    check_arrays(headers, expected, saved.dtype)


def _check_numbers(arrays: Mapping[str, np.ndarray]) -> None:
    """Whether training can be resumed from them."""
    for name, value in arrays.items():
        # A square may have overflowed where its gradient did not: its steps are 0.
        if name.startswith(_SECOND):
            if not (value >= 0).all():
                raise ValueError(f"array {name!r} has NaN or numbers below 0")
        elif not np.isfinite(value).all():
            raise ValueError(f"array {name!r} has NaN or infinity")


# --- the text -----------------------------------------------------------------------------------


def _text(saved: Saved) -> str:
    progress = saved.progress
    optimizer = progress.optimizer
    if saved.arrays:
        _check_headers(saved, saved.arrays)
        _check_numbers(saved.arrays)
    layers, classes = None, layer_classes()
    if not isinstance(saved.layers, Layer):
        layers = [describe(f"layer {k}", each, classes) for k, each in enumerate(saved.layers)]
    about = {
        "format": _FORMAT,
        "version": _VERSION,
        "layers": layers,
        "dtype": None if saved.dtype is None else saved.dtype.name,
        "drawn": bool(saved.arrays),
        "first_seed": None if saved.first_seed is None else saved.first_seed.tolist(),
        "seed": None if saved.seed is None else saved.seed.tolist(),
        "optimizer": None if optimizer is None else describe("optimizer", optimizer, OPTIMIZERS),
        "epochs": progress.epochs,
        "steps": progress.steps,
        "losses": check_numbers("losses", progress.losses),
        "history": _check_history(saved.history),
    }
    return json.dumps({**about, _CALLS: saved.calls} if saved.calls else about)


def _described(text: str | None, headers: Mapping[str, Header], own: Network | None) -> Saved:
    """What :func:`_text` describes, checked as if a user had typed it; the arrays are not read yet.

    Of the layers `own`, if there are some.
    """
    about = None if text is None else json.loads(text)
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise ValueError(
            "the save of a network has not written it, so nothing says which layers it is for "
            "(load_state_dict takes over parameters alone)"
        )
    if about.get("version") != _VERSION:
        raise ValueError(
            f"it has version {about.get('version')!r} of the format, and this fastkb reads version "
            f"{_VERSION}: load it with the fastkb that saved it, or with a newer one"
        )
    calls = {_CALLS: (int,)} if _CALLS in about else {}
    check_entries("the description", about, {**_ENTRIES, **calls})
    if own is not None:
        layers = own
    elif about["layers"] is None:
        raise ValueError(
            "it is of a network whose forward is Python, which no file describes: make a network of that "
            "class, and call its load(path)"
        )
    else:
        classes = layer_classes()
        layers = [make(f"layer {k}", each, classes) for k, each in enumerate(about["layers"])]
        check_layers(layers)
    dtype, optimizer = about["dtype"], about["optimizer"]
    if dtype is not None or about["drawn"]:
        dtype = np.dtype(check_choice("dtype", dtype, ("float32", "float64")))
    progress = Progress(
        check_whole("epochs", about["epochs"], 0, LARGEST_WHOLE),
        None if optimizer is None else make("optimizer", optimizer, OPTIMIZERS),
        check_whole("steps", about["steps"], 0, LARGEST_WHOLE),
        check_numbers("losses", about["losses"]),
    )
    first_seed, seed = (check_seed(name, about[name]) for name in ("first_seed", "seed"))
    history = _check_history(about["history"])
    count = check_whole(_CALLS, about.get(_CALLS, 0), 0, LARGEST_WHOLE)
    saved = Saved(layers, dtype, first_seed, seed, history, progress, {}, count)
    if about["drawn"]:
        _check_headers(saved, headers)
    elif headers or optimizer is not None:
        raise ValueError("a network without parameters has no other arrays, and no optimiser")
    return saved


def _check_history(history: Mapping[str, Any]) -> dict[str, list[float]]:
    return {name: check_numbers(f"history[{name!r}]", each) for name, each in history.items()}

"""Networks on disk: arrays by name, and one text that says what they are.

==============================  ====================================================================
``0.weight``, ``0.bias``, …     the parameters, by torch's names and in its shapes
``optimizer/first/0.weight``,…  the optimiser's state, of the same names and shapes (the buffers of the
``optimizer/second/0.weight``…  compiled code are laid out for one processor, and stay out of files)
``fastkb``                      JSON: format, version, layers, element type, seeds, optimiser with its
                                schedule, progress, history
==============================  ====================================================================

The text stands in the metadata of a ``.safetensors`` file; in a ``.npz`` file it is an array of bytes.
Nothing is pickled, and nothing in a file is executed: see :mod:`fastkb.nn.description`.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from fastkb.nn.description import LAYERS, OPTIMIZERS, describe, make
from fastkb.nn.engine import Engine
from fastkb.nn.fitting import Progress
from fastkb.nn.layers import Linear
from fastkb.nn.step import State
from fastkb.runtime.files import file_error, replace_file
from fastkb.validation.files import (
    check_arrays,
    check_entries,
    check_numbers,
    check_path,
    check_seed,
    check_suffix,
    check_target,
)
from fastkb.validation.gram import check_count
from fastkb.validation.networks import check_choice, check_layers

_FORMAT, _VERSION, _TEXT = "fastkb network", 1, "fastkb"

# Of the names of arrays, in the order of State's fields.
_PREFIXES = "", "optimizer/first/", "optimizer/second/"
_, _FIRST, _SECOND = _PREFIXES


_ENTRIES: dict[str, tuple[type, ...]] = {
    "format": (str,),
    "version": (int,),
    "layers": (list,),
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


class Saved(NamedTuple):
    """All that a network is."""

    layers: Sequence[Any]
    dtype: np.dtype | None
    first_seed: np.ndarray | None  # of the first weights
    seed: np.ndarray | None  # of training
    history: dict[str, list[float]]
    progress: Progress
    arrays: dict[str, np.ndarray]  # empty as long as no parameters have been drawn


def write(path: Any, saved: Saved) -> None:
    """What :meth:`fastkb.nn.Sequential.save` does."""
    suffix = check_suffix("path", check_path("path", path), tuple(_CONTAINERS))
    target = check_target("path", path)
    fill = _CONTAINERS[suffix].fill(_text(saved), saved.arrays)
    try:
        replace_file(target, fill)
    except OSError as error:
        raise file_error(error, "path", path, "written") from error


def read(path: Any) -> Saved:
    """What :func:`fastkb.nn.load` makes a network of."""
    name = check_path("path", path)
    suffix = check_suffix("path", name, tuple(_CONTAINERS))
    try:
        return _saved(*_CONTAINERS[suffix].read(name))
    except OSError as error:
        raise file_error(error, "path", path, "read") from error
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        # A damaged file fails in many ways, most of them no ValueError.
        raise ValueError(f"path {name!r} cannot be loaded: {error}") from error


# --- the arrays ---------------------------------------------------------------------------------


def take_arrays(engine: Engine, state: State, optimizer: Any) -> dict[str, np.ndarray]:
    """The arrays of a network that was trained with this optimiser, or with none: copies.

    Parameters
    ----------
    engine : Engine
    state : State
        Of one member.
    optimizer : Optimizer or None
    """
    used = _prefixes(optimizer)
    return {
        prefix + name: value
        for prefix, buffer in zip(_PREFIXES, state, strict=True)
        if prefix in used
        for name, value in engine.take(buffer[0]).items()
    }


def put_arrays(engine: Engine, arrays: Mapping[str, np.ndarray], optimizer: Any) -> State:
    """The state that :func:`take_arrays` took them from, in buffers for this machine."""
    used = _prefixes(optimizer)
    state = engine.empty_state(1, _FIRST in used, _SECOND in used)
    buffers = dict(zip(_PREFIXES, state, strict=True))
    for name, value in arrays.items():
        prefix, slash, own = name.rpartition("/")
        engine.put(own, value, buffers[prefix + slash][0])
    return state


def _prefixes(optimizer: Any) -> list[str]:
    """Of the names of the arrays that there are."""
    if optimizer is None:
        return [""]
    used = True, optimizer.uses_first, optimizer.uses_second
    return [prefix for prefix, is_used in zip(_PREFIXES, used, strict=True) if is_used]


def parameter_shapes(layers: Sequence[Any]) -> dict[str, tuple[int, ...]]:
    """The parameters of layers, by torch's names."""
    return {
        f"{place}.{name}": shape
        for place, layer in enumerate(layers)
        if isinstance(layer, Linear)
        for name, shape in layer.shapes().items()
    }


def _check_arrays(saved: Saved) -> None:
    """Whether the arrays are those of the network and of its optimiser."""
    assert saved.dtype is not None
    shapes = parameter_shapes(saved.layers)
    expected = {
        prefix + name: shape
        for prefix in _prefixes(saved.progress.optimizer)
        for name, shape in shapes.items()
    }
    check_arrays(saved.arrays, expected, saved.dtype)
    for name, value in saved.arrays.items():
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
        _check_arrays(saved)
    about = {
        "format": _FORMAT,
        "version": _VERSION,
        "layers": [describe(f"layer {k}", each, LAYERS) for k, each in enumerate(saved.layers)],
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
    return json.dumps(about)


def _saved(text: str | None, arrays: dict[str, np.ndarray]) -> Saved:
    """What :func:`_text` describes, checked as if a user had typed it."""
    about = None if text is None else json.loads(text)
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise ValueError(
            "Sequential.save has not written it, so nothing says which layers it is for "
            "(load_state_dict takes over parameters alone)"
        )
    if about.get("version") != _VERSION:
        raise ValueError(
            f"it has version {about.get('version')!r} of the format, and this fastkb reads version "
            f"{_VERSION}: load it with the fastkb that saved it, or with a newer one"
        )
    check_entries("the description", about, _ENTRIES)
    layers = [make(f"layer {k}", each, LAYERS) for k, each in enumerate(about["layers"])]
    check_layers(layers)
    dtype, optimizer = about["dtype"], about["optimizer"]
    if dtype is not None or about["drawn"]:
        dtype = np.dtype(check_choice("dtype", dtype, ("float32", "float64")))
    progress = Progress(
        check_count("epochs", about["epochs"]),
        None if optimizer is None else make("optimizer", optimizer, OPTIMIZERS),
        check_count("steps", about["steps"]),
        check_numbers("losses", about["losses"]),
    )
    first_seed, seed = (check_seed(name, about[name]) for name in ("first_seed", "seed"))
    history = _check_history(about["history"])
    saved = Saved(layers, dtype, first_seed, seed, history, progress, arrays)
    if about["drawn"]:
        _check_arrays(saved)
    elif arrays or optimizer is not None:
        raise ValueError("a network without parameters has no other arrays, and no optimiser")
    return saved


def _check_history(history: Mapping[str, Any]) -> dict[str, list[float]]:
    return {name: check_numbers(f"history[{name!r}]", each) for name, each in history.items()}


# --- the containers -----------------------------------------------------------------------------


def _fill_npz(text: str, arrays: dict[str, np.ndarray]) -> Callable[[IO[bytes]], Any]:
    content: dict[str, Any] = {**arrays, _TEXT: np.frombuffer(text.encode(), np.uint8)}
    return lambda file: np.savez(file, **content)


def _read_npz(path: str) -> tuple[str | None, dict[str, np.ndarray]]:
    with open(path, "rb") as file:
        with zipfile.ZipFile(file) as archive:
            broken = archive.testzip()
        if broken is not None:
            raise ValueError(f"it is damaged: {broken} has another checksum")
        file.seek(0)
        with np.load(file, allow_pickle=False) as content:
            if _TEXT not in content.files:
                return None, {}
            arrays = {name: np.asarray(content[name]) for name in content.files}
    return arrays.pop(_TEXT).tobytes().decode(), arrays


def _fill_safetensors(text: str, arrays: dict[str, np.ndarray]) -> Callable[[IO[bytes]], Any]:
    # (It takes the bytes as they lie, in whatever order of rows and columns.)
    rows = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    content = _safetensors().numpy.save(rows, metadata={_TEXT: text})
    return lambda file: file.write(content)


def _read_safetensors(path: str) -> tuple[str | None, dict[str, np.ndarray]]:
    safetensors = _safetensors()
    with (
        open(path, "rb"),  # fails in the system's words
        safetensors.safe_open(path, framework="np") as content,
    ):
        text = (content.metadata() or {}).get(_TEXT)
        if text is None:
            return None, {}
        return text, {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "a .safetensors file needs the package safetensors: pip install 'fastkb[safetensors]' (a "
            ".npz file needs nothing)"
        ) from error
    return safetensors


class _Container(NamedTuple):
    fill: Callable[[str, dict[str, np.ndarray]], Callable[[IO[bytes]], Any]]
    read: Callable[[str], tuple[str | None, dict[str, np.ndarray]]]


_CONTAINERS = {
    ".npz": _Container(_fill_npz, _read_npz),
    ".safetensors": _Container(_fill_safetensors, _read_safetensors),
}

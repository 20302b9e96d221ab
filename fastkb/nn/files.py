"""Networks on disk: arrays by name, and one text that says what they are.

==============================  ====================================================================
``0.weight``, ``0.bias``, …     the parameters, by torch's names and in its shapes
``optimizer/first/0.weight``,…  the optimiser's state, of the same names and shapes (the buffers of the
``optimizer/second/0.weight``…  compiled code are laid out for one processor, and stay out of files)
``fastkb``                      JSON: format, version, layers, element type, seeds, optimiser with its
                                schedule, progress, history
==============================  ====================================================================

The text stands in the metadata of a ``.safetensors`` file, with a checksum of text and arrays; in a
``.npz`` file it is an array of bytes, and the archive has checksums of its own. What the headers of a
file promise is compared with the text before any array is read.
Nothing is pickled, and nothing in a file is executed: see :mod:`fastkb.nn.description`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any, NamedTuple

import numpy as np

from fastkb.checks.choices import check_choice
from fastkb.checks.scalars import LARGEST_WHOLE, check_whole
from fastkb.nn.checks import check_layers
from fastkb.nn.description import OPTIMIZERS, describe, layer_classes, make
from fastkb.nn.ops.graph import Network, leaves
from fastkb.nn.ops.storage import named
from fastkb.nn.program.step import State
from fastkb.nn.program.store import Store
from fastkb.nn.training.fitting import Progress
from fastkb.runtime.memory import require
from fastkb.storage.archives import Archive, Header
from fastkb.storage.checks import (
    check_arrays,
    check_entries,
    check_numbers,
    check_path,
    check_seed,
    check_suffix,
    check_target,
)
from fastkb.storage.checksum import checksum
from fastkb.storage.files import file_error, replace_file

_FORMAT, _VERSION, _TEXT = "fastkb network", 1, "fastkb"
# The key of our checksum in the metadata of a .safetensors file, which has none of its own.
_CHECKSUM = "fastkb_checksum"
# Bytes of the text, at most: the history of millions of epochs.
_LONGEST_TEXT = 2**28

# Prefixes of the names of arrays, in the order of State's fields.
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
        with _CONTAINERS[suffix].open(name) as content:
            saved = _described(content.text, content.headers)
            saved = saved._replace(arrays=content.arrays())
        _check_numbers(saved.arrays)
        return saved
    except OSError as error:
        raise file_error(error, "path", path, "read") from error
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        # A damaged file fails in many ways, most of them no ValueError.
        raise ValueError(f"path {name!r} cannot be loaded: {error}") from error


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
    classes = layer_classes()
    about = {
        "format": _FORMAT,
        "version": _VERSION,
        "layers": [describe(f"layer {k}", each, classes) for k, each in enumerate(saved.layers)],
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


def _described(text: str | None, headers: Mapping[str, Header]) -> Saved:
    """What :func:`_text` describes, checked as if a user had typed it; the arrays are not read yet."""
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
    saved = Saved(layers, dtype, first_seed, seed, history, progress, {})
    if about["drawn"]:
        _check_headers(saved, headers)
    elif headers or optimizer is not None:
        raise ValueError("a network without parameters has no other arrays, and no optimiser")
    return saved


def _check_history(history: Mapping[str, Any]) -> dict[str, list[float]]:
    return {name: check_numbers(f"history[{name!r}]", each) for name, each in history.items()}


# --- the containers -----------------------------------------------------------------------------


class _Content(NamedTuple):
    """An open file."""

    text: str | None  # None: another program's
    headers: Mapping[str, Header]
    arrays: Callable[[], dict[str, np.ndarray]]  # reads them


def _fill_npz(text: str, arrays: dict[str, np.ndarray]) -> Callable[[IO[bytes]], Any]:
    content: dict[str, Any] = {**arrays, _TEXT: np.frombuffer(text.encode(), np.uint8)}
    return lambda file: np.savez(file, **content)


@contextmanager
def _open_npz(path: str) -> Iterator[_Content]:
    with open(path, "rb") as file:
        archive, text = Archive(file), None
        headers = dict(archive.headers)
        header = headers.pop(_TEXT, None)
        if header is not None:
            if header.dtype != np.uint8 or sum(header.shape) > _LONGEST_TEXT:
                raise ValueError(f"array {_TEXT!r} must be bytes, at most {_LONGEST_TEXT} of them")
            text = archive.read([_TEXT], "the description")[_TEXT].tobytes().decode()
        yield _Content(text, headers, lambda: archive.read(headers, "the parameters"))


def _fill_safetensors(text: str, arrays: dict[str, np.ndarray]) -> Callable[[IO[bytes]], Any]:
    # safetensors takes the bytes in their order in memory: rows must be contiguous.
    rows = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    # With a newline at its end the text tells that there is a checksum: damage to that one's name would
    # make a file of it that has none.
    text += "\n"
    metadata = {_TEXT: text, _CHECKSUM: checksum(text, rows)}
    content = _safetensors().numpy.save(rows, metadata=metadata)
    return lambda file: file.write(content)


@contextmanager
def _open_safetensors(path: str) -> Iterator[_Content]:
    safetensors = _safetensors()
    with (
        open(path, "rb"),  # fails in the system's words
        safetensors.safe_open(path, framework="np") as content,
    ):
        metadata = content.metadata() or {}
        text, expected = metadata.get(_TEXT), metadata.get(_CHECKSUM)
        names = content.keys()
        headers = {name: _tensor_header(name, content.get_slice(name)) for name in names}

        def arrays() -> dict[str, np.ndarray]:
            size = sum(each.size for each in headers.values())
            require(size, "the parameters")
            found = {name: content.get_tensor(name) for name in names}
            # Older files have none.
            due = expected is not None or str(text).endswith("\n")
            if due and checksum(str(text), found) != expected:
                raise ValueError(
                    f"it is damaged, or was changed by another program: {_CHECKSUM} in its metadata is "
                    "not that of its content"
                )
            return found

        yield _Content(text, headers, arrays)


def _tensor_header(name: str, tensor: Any) -> Header:
    kind = str(tensor.get_dtype())  # such as "F64"
    plain = kind[0] in "FIU" and kind[1:].isdecimal()
    try:
        dtype = np.dtype(f"{kind[0].lower()}{int(kind[1:]) // 8}" if plain else kind.lower())
    except TypeError:
        raise ValueError(f"array {name!r} is of {kind}, which NumPy has not") from None
    return Header(tuple(tensor.get_shape()), dtype)


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
    open: Callable[[str], AbstractContextManager[_Content]]


_CONTAINERS = {
    ".npz": _Container(_fill_npz, _open_npz),
    ".safetensors": _Container(_fill_safetensors, _open_safetensors),
}

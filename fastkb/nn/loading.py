"""Networks, and what loops of one's own keep, in files.

What :func:`save` takes are dicts, lists and tuples of arrays, numbers and texts, such as state dicts. The
arrays stand in the file by the keys under which they are found, and a text in JSON says the rest; nothing
is pickled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastkb.nn import containers
from fastkb.nn.containers import Content
from fastkb.nn.files import from_content
from fastkb.nn.network import Sequential
from fastkb.storage.archives import Header
from fastkb.storage.checks import check_entries

_FORMAT, _VERSION = "fastkb objects", 1
_DEEPEST = 50
# Names of arrays that any format, and any system of files, can have; others are numbered.
_PLAIN = re.compile(r"[A-Za-z0-9_.\-]{1,100}")
_TAKEN = "fastkb", "file", "allow_pickle"  # by the text, and by arguments of numpy.savez
_WHAT = "dicts, lists and tuples of arrays, numbers, texts and None"


def load(path: Any) -> Any:
    """What stands in a file of :meth:`Sequential.save`, or of :func:`save`.

    A :class:`Sequential` of the first: with the same outputs, trained on to the same bits. A network
    whose forward is Python is made by its class, and takes a file into itself: :meth:`Network.load`.

    Parameters
    ----------
    path : str or os.PathLike
        Ends in ``.npz`` or ``.safetensors``. The file need not be trusted: nothing in it is executed.

    Returns
    -------
    Sequential, or what was given to :func:`save`

    Raises
    ------
    ValueError
        If the file is damaged, of another kind or of an unknown version, if what it describes is no
        network, or if the arrays are not that network's.
    OSError, ImportError
        If it cannot be read, or safetensors is missing.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fastkb import nn
    >>> X = np.linspace(-1.0, 1.0, 50)[:, None]
    >>> net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1), rng=0)
    >>> net = net.fit(X, X**2, optimizer="adam", epochs=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(os.path.join(folder, "net.npz"))
    ...     other = nn.load(os.path.join(folder, "net.npz"))
    >>> net, other = (each.fit(X, X**2, optimizer="adam", epochs=2) for each in (net, other))
    >>> bool((net.forward(X) == other.forward(X)).all()), net.history == other.history
    (True, True)
    """
    return containers.read(path, _made)


def save(obj: Any, path: Any) -> None:
    """Write state dicts, and whatever else is made of dicts, lists, arrays, numbers and texts, to a file.

    Parameters
    ----------
    obj : object
        Such as ``net.state_dict()``, or a dict of those of a network and of its optimiser. Tensors and
        PyTorch's on the CPU are saved as arrays, and numbers of NumPy as Python's.
    path : str or os.PathLike
        Ends in ``.npz``, or in ``.safetensors`` (needs ``pip install 'fastkb[safetensors]'``). A file
        that is there is replaced, as a whole or not at all.

    Raises
    ------
    TypeError, ValueError
        For another suffix, and for what is not of these kinds, naming its place.
    OSError, ImportError
        If the file cannot be written, or safetensors is missing.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastkb import nn, optim
    >>> net = nn.Sequential(nn.Linear(3, 1), rng=0)
    >>> optimizer = optim.Adam(net.parameters())
    >>> checkpoint = {
    ...     "net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 5
    ... }
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nn.save(checkpoint, os.path.join(folder, "checkpoint.npz"))
    ...     found = nn.load(os.path.join(folder, "checkpoint.npz"))
    >>> net.load_state_dict(found["net"])
    >>> optimizer.load_state_dict(found["optimizer"])
    >>> found["epoch"]
    5
    """
    arrays: dict[str, np.ndarray] = {}
    content = _encoded(obj, (), arrays)
    about = {"format": _FORMAT, "version": _VERSION, "content": content}
    containers.write(path, lambda: json.dumps(about), arrays)


def _made(content: Content) -> Any:
    """What a file is of."""
    about = None if content.text is None else json.loads(content.text)
    if isinstance(about, dict) and about.get("format") == _FORMAT:
        return _decoded_all(about, content)
    saved = from_content(content)
    network = Sequential.__new__(Sequential)
    network._restore(saved)
    network._calls = saved.calls
    return network


# --- objects as JSON ----------------------------------------------------------------------------


def _encoded(value: Any, place: tuple[Any, ...], arrays: dict[str, np.ndarray]) -> Any:
    """A value as JSON, in which arrays are names of those that are put to the others."""
    if len(place) > _DEEPEST:
        raise ValueError(f"obj must be nested {_DEEPEST} times at most, or it holds itself")
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not (key is None or isinstance(key, bool | int | float | str)):
                raise TypeError(f"keys of {_called(place)} must be texts or numbers, got {key!r}")
        return {"dict": [[k, _encoded(v, (*place, k), arrays)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encoded(v, (*place, k), arrays) for k, v in enumerate(value)]}
    array = _as_array(value, place)
    name = "/".join(str(key) for key in place)
    if name in arrays or name in _TAKEN or not all(_PLAIN.fullmatch(str(k)) for k in place):
        name = f"array/{len(arrays)}"
    while name in arrays or not name:
        name += "~"
    arrays[name] = array
    return {"array": [name, array.dtype.name, list(array.shape)]}


def _called(place: tuple[Any, ...]) -> str:
    return "obj" + "".join(f"[{key!r}]" for key in place)


def _as_array(value: Any, place: tuple[Any, ...]) -> np.ndarray:
    """A copy of numbers that both formats have."""
    called = _called(place)
    if hasattr(value, "state_dict"):
        raise TypeError(
            f"{called} must be {_WHAT}: take the state_dict() of a {type(value).__name__}"
        )
    if not hasattr(value, "__array__"):
        raise TypeError(f"{called} must be {_WHAT}, got {type(value).__name__}")
    if callable(getattr(value, "detach", None)):  # PyTorch's: NumPy takes none that is trained
        value = value.detach()
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(f"{called} must be of real numbers of 8 bytes at most, got {array.dtype}")
    return np.array(array, array.dtype.newbyteorder("="), order="C")


def _decoded_all(about: Mapping[str, Any], content: Content) -> Any:
    """What :func:`save` was given."""
    check_entries("the description", about, {"format": (str,), "version": (int,), "content": _JSON})
    if about["version"] != _VERSION:
        raise ValueError(
            f"it has version {about['version']!r} of the format, and this fastkb reads version {_VERSION}"
        )
    promised: dict[str, Header] = {}
    _promised(about["content"], promised)
    missing = [repr(name) for name in promised if name not in content.headers]
    unknown = [repr(name) for name in content.headers if name not in promised]
    if missing or unknown:
        raise ValueError(f"arrays are missing or unknown: {', '.join(missing + unknown)}")
    for name, wanted in promised.items():
        found = content.headers[name]
        if (found.shape, found.dtype.name) != (wanted.shape, wanted.dtype.name):
            raise ValueError(f"array {name!r} must be {wanted}, got {found}")
    return _decoded(about["content"], content.arrays())


_JSON = (dict, str, int, float, bool, type(None))


def _parts(text: Any) -> tuple[str, Any]:
    """The kind of a description, and what it is of."""
    if isinstance(text, dict) and len(text) == 1:
        ((kind, rest),) = text.items()
        if kind in ("dict", "list", "tuple", "array") and isinstance(rest, list):
            return kind, rest
    if isinstance(text, dict | list):
        raise ValueError(f"its description has {str(text)[:100]!r}, which is none")
    return "", text


def _promised(text: Any, into: dict[str, Header]) -> None:
    kind, rest = _parts(text)
    if kind == "array":
        name, dtype, shape = rest
        if not isinstance(name, str) or not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError(f"its description has the array {rest!r}, which is none")
        into[name] = Header(tuple(shape), np.dtype(str(dtype)))
    elif kind:
        for each in rest:
            _promised(each[1] if kind == "dict" else each, into)


def _decoded(text: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    kind, rest = _parts(text)
    if kind == "array":
        array = arrays[rest[0]]
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if kind == "dict":
        return {key: _decoded(value, arrays) for key, value in rest}
    if kind:
        found = [_decoded(each, arrays) for each in rest]
        return found if kind == "list" else tuple(found)
    return text

"""Arrays by name and one text, in a file: as ``.npz`` or as ``.safetensors``.

The text stands in the metadata of a ``.safetensors`` file, with a checksum of text and arrays; in a
``.npz`` file it is an array of bytes, and the archive has checksums of its own. A reader sees the text
and the arrays' headers before any array is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np

from fastkb.runtime.memory import require
from fastkb.storage.archives import Archive, Header
from fastkb.storage.checks import check_path, check_suffix, check_target
from fastkb.storage.checksum import checksum
from fastkb.storage.files import file_error, replace_file

_TEXT = "fastkb"
# The key of our checksum in the metadata of a .safetensors file, which has none of its own.
_CHECKSUM = "fastkb_checksum"
# Bytes of the text, at most: the history of millions of epochs.
_LONGEST_TEXT = 2**28
_Found = TypeVar("_Found")


class Content(NamedTuple):
    """An open file."""

    text: str | None  # None: another program's
    headers: Mapping[str, Header]
    arrays: Callable[[], dict[str, np.ndarray]]  # reads them


def write(path: Any, text: Callable[[], str], arrays: dict[str, np.ndarray]) -> None:
    """Put a text and arrays into a file, as a whole or not at all.

    Parameters
    ----------
    path : str or os.PathLike
        Whose suffix is the format.
    text : callable
        Called when the path has been checked.
    arrays : dict of str to ndarray
    """
    suffix = check_suffix("path", check_path("path", path), tuple(CONTAINERS))
    target = check_target("path", path)
    fill = CONTAINERS[suffix].fill(text(), arrays)
    try:
        replace_file(target, fill)
    except OSError as error:
        raise file_error(error, "path", path, "written") from error


def read(path: Any, make: Callable[[Content], _Found]) -> _Found:
    """What is made of a file.

    Raises
    ------
    ValueError
        For whatever `make` raises, naming the file.
    """
    name = check_path("path", path)
    suffix = check_suffix("path", name, tuple(CONTAINERS))
    try:
        with CONTAINERS[suffix].open(name) as content:
            return make(content)
    except OSError as error:
        raise file_error(error, "path", path, "read") from error
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        # A damaged file fails in many ways, most of them no ValueError.
        raise ValueError(f"path {name!r} cannot be loaded: {error}") from error


# --- the formats --------------------------------------------------------------------------------


def _fill_npz(text: str, arrays: dict[str, np.ndarray]) -> Callable[[IO[bytes]], Any]:
    content: dict[str, Any] = {**arrays, _TEXT: np.frombuffer(text.encode(), np.uint8)}
    return lambda file: np.savez(file, **content)


@contextmanager
def _open_npz(path: str) -> Iterator[Content]:
    with open(path, "rb") as file:
        archive, text = Archive(file), None
        headers = dict(archive.headers)
        header = headers.pop(_TEXT, None)
        if header is not None:
            if header.dtype != np.uint8 or sum(header.shape) > _LONGEST_TEXT:
                raise ValueError(f"array {_TEXT!r} must be bytes, at most {_LONGEST_TEXT} of them")
            text = archive.read([_TEXT], "the description")[_TEXT].tobytes().decode()
        yield Content(text, headers, lambda: archive.read(headers, "the parameters"))


def _fill_safetensors(text: str, arrays: dict[str, np.ndarray]) -> Callable[[IO[bytes]], Any]:
    # safetensors takes the bytes in their order in memory: rows must be contiguous.
    rows = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    # With a newline at its end the text tells that there is a checksum: damage to that one's name would
    # make a file of it that has none.
    text += "\n"
    metadata = {_TEXT: text, _CHECKSUM: checksum(text, rows)}
    content = _safetensors().numpy.save(rows, metadata=metadata)
    return lambda file: file.write(content)


@contextmanager
def _open_safetensors(path: str) -> Iterator[Content]:
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

        yield Content(text, headers, arrays)


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


class Container(NamedTuple):
    """How a format is written and read."""

    fill: Callable[[str, dict[str, np.ndarray]], Callable[[IO[bytes]], Any]]
    open: Callable[[str], AbstractContextManager[Content]]


CONTAINERS = {
    ".npz": Container(_fill_npz, _open_npz),
    ".safetensors": Container(_fill_safetensors, _open_safetensors),
}

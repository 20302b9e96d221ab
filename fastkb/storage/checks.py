"""Checks of the names of files, and of the contents of files that are not trusted."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from fastkb.storage.files import beside, file_error


def check_target(name: str, path: Any) -> str:
    """The absolute path of a file that can be made, or replaced; links are followed.

    Parameters
    ----------
    name : str
        Of the argument.
    path : str or os.PathLike
    """
    target = os.path.realpath(check_path(name, path))
    folder = os.path.dirname(target)
    try:
        if not os.path.isdir(folder):
            raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder!r}")
        with contextlib.suppress(FileNotFoundError):
            mode = os.stat(target).st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            if not stat.S_ISREG(mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            if not os.access(target, os.W_OK):
                raise PermissionError(errno.EACCES, "permission denied")
        # Permissions of a folder are not all that can prevent a file: try.
        unfinished = beside(target)
        with open(unfinished, "xb"):
            pass
        os.unlink(unfinished)
    except OSError as error:
        raise file_error(error, name, path, "written") from None
    return target


def check_path(name: str, path: Any) -> str:
    """The name of a file."""
    try:
        found = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{name} must be the path of a file, got {path!r}") from None
    if not found or "\0" in found:
        raise ValueError(f"{name} must be the path of a file, got {found!r}")
    return found


def check_suffix(name: str, path: str, known: tuple[str, ...]) -> str:
    """How a file's name ends, in lower case: its format."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in known:
        raise ValueError(
            f"{name} must end in {' or '.join(known)}, which is the format, got {path!r}"
        )
    return suffix


def check_entries(what: str, given: Any, expected: Mapping[str, tuple[type, ...]]) -> None:
    """A JSON object with these entries, of these types, and no others.

    Parameters
    ----------
    what : str
        What it is, in words.
    given : object
    expected : mapping of str to tuple of type
    """
    if not isinstance(given, dict) or given.keys() != expected.keys():
        found = ", ".join(given) if isinstance(given, dict) else repr(given)
        raise ValueError(f"{what} must have the entries {', '.join(expected)}, got {found}")
    for name, types in expected.items():
        if type(given[name]) not in types:
            names = " or ".join("null" if each is type(None) else each.__name__ for each in types)
            raise ValueError(f"{name!r} of {what} must be of type {names}, got {given[name]!r}")


def check_numbers(name: str, values: Any) -> list[float]:
    """A list of real numbers, NaN and infinity among them."""
    if not isinstance(values, list):
        raise ValueError(f"{name} must be a list of numbers, got {values!r}")
    for each in values:
        if not isinstance(each, Real):
            raise ValueError(f"{name} must be a list of numbers, got {each!r} in it")
    return [float(each) for each in values]


def check_seed(name: str, words: Any) -> np.ndarray | None:
    """Four words of 32 bits, or None."""
    if words is None:
        return None
    if len(words) != 4 or not all(type(word) is int and 0 <= word < 2**32 for word in words):
        raise ValueError(f"{name} must be four whole numbers from 0 to 2**32 - 1, got {words!r}")
    return np.array(words, np.uint32)


def check_arrays(
    given: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]], dtype: np.dtype
) -> None:
    """Arrays of these names and shapes, of one element type in any order of bytes.

    Parameters
    ----------
    given : mapping of str to ndarray
        Or to anything with an array's shape and dtype, as the headers of a file say.
    expected : mapping of str to tuple of int
        Shapes.
    dtype : numpy.dtype
    """
    missing = [repr(name) for name in expected if name not in given]
    unknown = [repr(name) for name in given if name not in expected]
    if missing:
        raise ValueError(f"arrays are missing: {', '.join(missing)}")
    if unknown:
        raise ValueError(f"there are unknown arrays: {', '.join(unknown)}")
    for name, shape in expected.items():
        array = given[name]
        if array.dtype.name != dtype.name:
            raise ValueError(f"array {name!r} must be of {dtype}, got {array.dtype}")
        if array.shape != shape:
            raise ValueError(f"array {name!r} must have shape {shape}, got {array.shape}")

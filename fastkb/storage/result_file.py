"""Results in ``.npz`` files: arrays, and a text that says what they are. Nothing is pickled."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastkb.storage.archives import Archive
from fastkb.storage.files import file_error, replace_file

_ABOUT, _VERSION = "about", 1
_LONGEST_TEXT = 2**24


def write_result(
    target: str, kind: str, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray | None]
) -> None:
    """Write a result; the file appears whole or not at all.

    Parameters
    ----------
    target : str
        Of the file.
    kind : str
        What it is, such as "band".
    about : mapping
        What JSON holds.
    arrays : mapping of str to ndarray or None
        Those that are None are left out.

    Raises
    ------
    ValueError
        If an array holds objects, whose values no file could tell.
    OSError
        If it cannot be written.
    """
    content: dict[str, Any] = {
        name: np.asarray(value) for name, value in arrays.items() if value is not None
    }
    for name, value in content.items():
        if value.dtype.hasobject:
            raise ValueError(
                f"{name} holds Python objects ({value.dtype}), and a file holds numbers and texts alone"
            )
    text = json.dumps({"format": f"fastkb {kind}", "version": _VERSION, **about})
    content[_ABOUT] = np.frombuffer(text.encode(), np.uint8)
    try:
        replace_file(target, lambda file: np.savez_compressed(file, **content))
    except OSError as error:
        raise file_error(error, "path", target, "written") from error


def read_result(path: Any, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What :func:`write_result` has written.

    Returns
    -------
    about : dict
    arrays : dict of str to ndarray

    Raises
    ------
    ValueError
        If the file is damaged, or is something else.
    OSError
        If it cannot be read.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            archive = Archive(file)
            header = archive.headers.get(_ABOUT)
            if header is None or header.dtype != np.uint8 or header.size > _LONGEST_TEXT:
                raise ValueError("it has no description")
            about = json.loads(archive.read([_ABOUT], "the description")[_ABOUT].tobytes())
            found = about.pop("format", None)
            if found != f"fastkb {kind}":
                raise ValueError(f"it holds a {found!r}")
            if about.pop("version", None) != _VERSION:
                raise ValueError("another version of fastkb has written it")
            arrays = archive.read([other for other in archive.headers if other != _ABOUT], kind)
    except OSError as error:
        raise file_error(error, "path", path, "read") from error
    except MemoryError:
        raise
    except Exception as error:
        # A damaged archive fails in many ways.
        raise ValueError(f"path {name!r} is not a {kind} that fastkb saved: {error}") from error
    return about, arrays

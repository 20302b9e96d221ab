"""Checksums of arrays: what an array is and holds, not how it lies in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

# Bytes that are copied at a time.
_BLOCK = 2**24


def update(state: Any, array: np.ndarray) -> None:
    """Feed an array that holds no Python objects: its type, its shape and its values in C order.

    Parameters
    ----------
    state : hash object of hashlib
    array : ndarray
    """
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and not np.little_endian):
        array = array.astype(array.dtype.newbyteorder("<"))
    state.update(describe(array))
    rows = array.reshape(1) if array.ndim == 0 else array
    step = max(1, _BLOCK * len(rows) // max(1, rows.nbytes))
    for first in range(0, len(rows), step):
        state.update(rows[first : first + step].tobytes())


def describe(array: np.ndarray) -> bytes:
    """An array's element type and shape."""
    kind = array.dtype.descr if array.dtype.fields else array.dtype.str
    return f"array {kind} {array.shape}\n".encode()


def checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of a text and of arrays by name, in any order and of any layout, as 64 hexadecimal digits.

    Parameters
    ----------
    text : str
    arrays : mapping of str to ndarray
        Without Python objects.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.storage.checksum import checksum
    >>> one = checksum("", {"a": np.zeros(2), "b": np.ones((2, 2))})
    >>> one == checksum("", {"b": np.ones((2, 2), order="F"), "a": np.zeros(2)})
    True
    >>> one == checksum("", {"a": np.zeros(2), "b": np.ones(4)})
    False
    """
    state = hashlib.sha256()
    # Lengths come first, since two texts could be read as one without them.
    for part, array in [(text, None), *sorted(arrays.items())]:
        words = part.encode("utf-8", "surrogatepass")
        state.update(f"{len(words)} ".encode())
        state.update(words)
        if array is not None:
            update(state, array)
    return state.hexdigest()

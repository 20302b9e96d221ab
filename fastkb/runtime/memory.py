"""Memory: results are allocated here, aligned and checked against what is free."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastkb.runtime import pages

ALIGNMENT = 64  # bytes: a cache line, and the widest vector

# Below this size a look at the free memory costs more than it can save.
_CHECKED_FROM = 64 * 2**20

# Bytes of scratch that a thread keeps for its next call, under each name.
_KEPT = 16 * 2**20
_thread = threading.local()

_CGROUP = Path("/sys/fs/cgroup")


def empty(shape: tuple[int, ...], dtype: np.dtype | type | str, what: str) -> np.ndarray:
    """An uninitialised C-contiguous array whose first element stands on a cache line.

    Compiled code's own allocator does not ask for huge pages (filling a fresh 128 MB array then takes
    five times as long), and vector stores that straddle cache lines cost up to twice as much. A large
    array stands on pages of its own: :mod:`fastkb.runtime.pages`.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    what : str
        What the array is for, in words: the error names it.

    Raises
    ------
    MemoryError
        If the array cannot fit into the memory that is free now, with the sizes. The operating
        system would grant it, and end the process when it is filled.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    buffer = pages.kept(size) if size >= pages.SMALLEST else None
    if buffer is None:
        require(size, what)
        try:
            buffer = pages.new(size) if size >= pages.SMALLEST else None
            if buffer is None:
                buffer = np.empty(size + ALIGNMENT, dtype=np.uint8)
        except MemoryError as error:
            raise MemoryError(
                f"{what} needs {_gigabytes(size)}, which cannot be allocated"
            ) from error
    start = -buffer.ctypes.data % ALIGNMENT
    return buffer[start : start + size].view(dtype).reshape(shape)


def zeros(shape: tuple[int, ...], dtype: np.dtype | type | str, what: str) -> np.ndarray:
    """:func:`empty`, filled with zeros."""
    array = empty(shape, dtype, what)
    array.fill(0)
    return array


@contextlib.contextmanager
def scratch(
    name: str, length: int, dtype: np.dtype | type | str, what: str
) -> Iterator[np.ndarray]:
    """An uninitialised vector for the body of a ``with``, which this thread keeps for the next time.

    A fresh buffer of some megabytes costs a page fault every 4 KB when it is first written (2 ms for
    12 MB). Up to 16 MB are kept under each name; a larger vector is allocated and forgotten. Within the
    body it is nobody else's: what runs meanwhile on the same thread (a signal's handler, a destructor)
    gets another.

    Parameters
    ----------
    name : str
        Under which it is kept.
    length, dtype
        Of the vector.
    what : str
        What it is for, in words.
    """
    size = length * np.dtype(dtype).itemsize
    kept = _thread.__dict__
    buffer = kept.pop(name, None)
    if buffer is None or buffer.nbytes < size:
        buffer = empty((max(size, _KEPT // 64),), np.uint8, what)
    try:
        yield buffer[:size].view(dtype)
    finally:
        if buffer.nbytes <= _KEPT:
            kept[name] = buffer


def require(size: int, what: str) -> None:
    """:func:`check_available`, where the look is worth its time: from 64 MB on."""
    if size >= _CHECKED_FROM:
        check_available(size, what)


def check_available(size: int, what: str) -> None:
    """Raise a MemoryError that states the sizes if `size` bytes are more than is free now."""
    available = available_bytes()
    if available is not None and size > available:
        raise MemoryError(
            f"{what} needs {_gigabytes(size)}, and {_gigabytes(available)} of memory are free"
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size < 1e15 else "over a million GB"


def available_bytes() -> int | None:
    """Bytes that can be allocated without swapping, within the limits of the process's container.

    None where the operating system does not tell.
    """
    limits = [limit for limit in (_linux_available(), _cgroup_available()) if limit is not None]
    return min(limits) if limits else None


def _linux_available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return (
            next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024
        )
    except (OSError, StopIteration):
        pass
    try:  # other systems: all the physical memory, an upper bound
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _cgroup_available() -> int | None:
    folder = _CGROUP
    try:
        limit = int((folder / "memory.max").read_text())  # "max" where there is none
        used = int((folder / "memory.current").read_text())
        statistics = dict(
            line.split() for line in (folder / "memory.stat").read_text().splitlines()
        )
    except (OSError, ValueError):
        return None
    # Pages of files are given up when memory is wanted.
    return limit - used + int(statistics.get("inactive_file", 0))

"""Large results stand on pages of their own, which the next result of about that size takes over.

A page that the operating system has just supplied is filled with zeros first, when it is first
written: that doubles the time of a Gram matrix that is larger than the caches (4,000 x 4,000 float64
on two cores: 8.2 ms on new pages, 4.5 ms on pages that are there). So pages whose last array is gone
are kept for the next one, up to :data:`KEPT` bytes in all. Meanwhile the operating system may take them
back whenever memory is wanted (``MADV_FREE``): keeping them costs no other process memory.
"""

from __future__ import annotations

import contextlib
import mmap
import sys
from collections import deque
from typing import Any

import numpy as np

SMALLEST = 4 * 2**20  # bytes: below this, malloc itself keeps what was freed
KEPT = 256 * 2**20
_HUGE = 2 * 2**20  # a huge page: multiples of it are placed on huge pages from end to end

_SUPPORTED = hasattr(mmap, "MADV_FREE") and hasattr(mmap, "MAP_ANONYMOUS")

# The pages of dropped arrays, the latest at the right. Every operation used is atomic: an array may
# be dropped by any thread, and within any other operation on this.
_kept: deque[mmap.mmap] = deque()


class _Lease:
    """The owner of an array's memory: NumPy keeps it alive for as long as a view of it lives."""

    _at_the_end = staticmethod(sys.is_finalizing)

    def __init__(self, pages: mmap.mmap, size: int) -> None:
        self._pages = pages
        start = np.frombuffer(pages, np.uint8).ctypes.data
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "typestr": "|u1",
            "shape": (size,),
            "data": (start, False),
        }

    def __del__(self) -> None:
        # At the interpreter's end no result takes pages over, and names of this module may be gone.
        if not self._at_the_end():
            _keep(self._pages)


def kept(size: int) -> np.ndarray | None:
    """`size` bytes on pages that an array has left behind; None if there are none that fit.

    They fit if at most a fifth of them stays unused.
    """
    for pages in reversed(list(_kept)):
        if size <= len(pages) <= max(1.25 * size, size + _HUGE):
            try:
                _kept.remove(pages)
            except ValueError:  # another thread was faster
                continue
            return np.asarray(_Lease(pages, size))
    return None


def new(size: int) -> np.ndarray | None:
    """`size` bytes on new pages; None where there is nothing to be won.

    Raises
    ------
    MemoryError
        If the operating system refuses.
    """
    if size < SMALLEST or not _SUPPORTED:
        return None
    try:
        pages = mmap.mmap(
            -1, -(-size // _HUGE) * _HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )
    except (OSError, OverflowError, ValueError) as error:
        raise MemoryError(str(error)) from error
    _advise(pages, "MADV_HUGEPAGE")
    return np.asarray(_Lease(pages, size))


def release() -> None:
    """Give all that is kept back to the operating system now."""
    _kept.clear()


def _keep(pages: mmap.mmap) -> None:
    if len(pages) > KEPT or not _advise(pages, "MADV_FREE"):
        return  # unmapped with its last reference
    _kept.append(pages)
    while sum(map(len, list(_kept))) > KEPT:
        try:
            _kept.popleft()
        except IndexError:
            return


def _advise(pages: mmap.mmap, advice: str) -> bool:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        pages.madvise(getattr(mmap, advice))
        return True
    return False

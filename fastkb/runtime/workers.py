"""Python threads that are kept, for compiled functions that let go of the interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_pool: ThreadPoolExecutor | None = None
_size = 0


def _workers(count: int) -> ThreadPoolExecutor:
    """A pool of at least so many threads."""
    global _pool, _size
    if _pool is None or _size < count:
        _pool, _size = ThreadPoolExecutor(count, thread_name_prefix="fastkb"), count
    return _pool


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _pool, _size
    _pool, _size = None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def call_each(function: Callable, calls: Sequence[tuple]) -> None:
    """Call a function for each tuple of arguments, at the same time; the first one on this thread."""
    if len(calls) == 1:
        function(*calls[0])
        return
    pool = _workers(len(calls) - 1)
    others = [pool.submit(function, *arguments) for arguments in calls[1:]]
    try:
        function(*calls[0])
    finally:
        for other in others:
            other.result()


def call_together(function: Callable, arguments: tuple[Any, ...], threads: int) -> None:
    """Call a function on so many threads at the same time, with the same arguments.

    The function must share out its work itself, and all must be done when any one call returns: others
    are not waited for, and those that have not begun never do. (They hold the arguments as long as they
    need them; to wait for one that is about to return would cost as much as to start it.)
    """
    others = []
    if threads > 1:
        pool = _workers(threads - 1)
        others = [pool.submit(function, *arguments) for _ in range(threads - 1)]
    function(*arguments)
    for other in others:
        other.cancel()

"""Python threads that are kept, for compiled functions that let go of the interpreter."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
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


def _hand_out(work: Callable[[], None], count: int, others: list[Future]) -> None:
    """Ask so many workers to work; fewer, where the interpreter ends or can start no more threads."""
    with contextlib.suppress(RuntimeError):
        pool = _workers(count)
        for _ in range(count):
            others.append(pool.submit(work))


def _end(others: list[Future]) -> None:
    """Take back what has not begun, and wait for the rest."""
    wait([other for other in others if not other.cancel()])


def call_each(function: Callable, calls: Sequence[tuple]) -> None:
    """Call a function for each tuple of arguments, at the same time if there are workers for it.

    All calls have ended, or never begin, when this returns or raises the first error.
    """
    waiting, errors = deque(calls), list[Exception]()

    def work() -> None:
        while True:
            try:
                arguments = waiting.popleft()
            except IndexError:
                return
            try:
                function(*arguments)
            except Exception as error:
                errors.append(error)

    others: list[Future] = []
    try:
        if len(calls) > 1:
            _hand_out(work, len(calls) - 1, others)
        work()
    finally:
        waiting.clear()  # left by an interrupted call
        _end(others)
    if errors:
        raise errors[0]


def call_together(function: Callable, arguments: tuple[Any, ...], threads: int) -> None:
    """Call a function on so many threads at the same time, with the same arguments.

    The function must share out its work itself, and all must be done when any one call returns: others
    are not waited for, and those that have not begun never do. They hold the arguments as long as they
    need them; to wait for one that is about to return would cost as much as to start it.
    """
    others: list[Future] = []
    try:
        if threads > 1:
            _hand_out(partial(function, *arguments), threads - 1, others)
        function(*arguments)
    except BaseException:
        _end(others)
        raise
    for other in others:
        other.cancel()

"""How far a long job is: not told, shown by a bar on standard error, or told to a function."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

# False, True (a bar), or a function: of what is counted, how many are done, and how many there will be,
# which may be None.
ProgressLike = bool | Callable[[str, int, "int | None"], Any]


class Count(Protocol):
    """A context in which steps are counted."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *error: Any) -> Any: ...

    def update(self, n: int, /) -> Any:
        """Tell that `n` more are done."""


class _Silent:
    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def update(self, n: int, /) -> None:
        pass


class _Told(_Silent):
    """Calls a function: first with nothing done, then after every step."""

    def __init__(self, tell: Callable[..., Any], what: str, total: int | None) -> None:
        self._tell, self._what, self._total, self._done = tell, what, total, 0
        self._lock = threading.Lock()

    def __enter__(self) -> _Told:
        self._tell(self._what, 0, self._total)
        return self

    def update(self, n: int, /) -> None:
        with self._lock:  # kernels are decomposed in several threads
            self._done += n
            self._tell(self._what, self._done, self._total)


class _Part(_Silent):
    def __init__(self, advance: Callable[[int], Any], times: int) -> None:
        self._advance, self._times = advance, times

    def update(self, n: int, /) -> None:
        self._advance(n * self._times)


def part_of(advance: Callable[[int], Any], times: int = 1) -> Count:
    """A context in which a part of a longer job is counted: each of its steps is `times` of the job's."""
    return _Part(advance, times)


def counted(
    progress: ProgressLike, what: str, total: int | None = None, *, leave: bool = True
) -> Count:
    """A context in which the steps of a job are counted.

    Parameters
    ----------
    progress : bool or callable
        True for a bar on standard error, or a function that is called with `what`, the number done and
        `total`: when the job begins, and after every step.
    what : str
        What is counted, such as "replicates".
    total : int, optional
        How many there will be, if that is known.
    leave : bool, default True
        Whether the bar stays when the job is done.
    """
    if callable(progress):
        return _Told(progress, what, total)
    if not progress:
        return _Silent()
    from tqdm import tqdm

    return tqdm(total=total, unit=f" {what}", leave=leave)

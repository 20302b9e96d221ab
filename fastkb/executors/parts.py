"""Parts of a job on somebody's executor: processes, a cluster, or anything else that has ``submit``.

The job is described once and brought to the workers once: through a file to processes of this machine,
by ``scatter`` to a Dask cluster, as it is to threads; to executors that are not known, with every part. A
worker builds what the parts share when the first of them arrives, and keeps it.

A part depends on its arguments alone, so that results do not depend on who computes it.
"""

from __future__ import annotations

import contextlib
import math
import queue
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from typing import Any

from fastkb.executors.carriers import Job, brought, compute_part, is_dask, threads_of_each

# Parts of a job, whatever the executor is: a part that is lost is a small one.
PARTS = 64

# Seconds between two looks at whether the user wants to interrupt.
_LOOK = 0.2


class ExecutorError(RuntimeError):
    """An executor broke before all parts of a job were computed; those that are finished are kept.

    Parameters
    ----------
    cause : Exception
        What the executor raised.
    finished, total : int
        Parts.
    go_on : callable
        What computes the parts that are missing, on an executor.

    Attributes
    ----------
    finished, total
        As above.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import numpy as np
    >>> from fastkb import ExecutorError, bootstrap
    >>> pool = ThreadPoolExecutor(1)
    >>> pool.shutdown()  # as if it had broken
    >>> try:
    ...     result = bootstrap((np.arange(30.0),), np.ptp, rng=0, executor=pool)
    ... except ExecutorError as error:
    ...     result = error.go_on()
    >>> float(result.observed)
    29.0
    """

    def __init__(
        self, cause: BaseException, finished: int, total: int, go_on: Callable[[Any], Any]
    ) -> None:
        super().__init__(
            f"the executor broke ({type(cause).__name__}: {cause}) when {finished} of {total} parts "
            "were finished. They are kept: catch this error as `error`, and `error.go_on(executor)` with "
            "an executor that works computes the others and returns the result"
        )
        self.finished, self.total = finished, total
        self._go_on = go_on

    def go_on(self, executor: Any = None) -> Any:
        """Compute the parts that are missing, and return what the call would have returned.

        Parameters
        ----------
        executor
            One that works; None: in this process.

        Returns
        -------
        object
            The result of the call that has raised this error.

        Raises
        ------
        TypeError
            If `executor` has no method ``submit``.
        ExecutorError
            If it breaks, too.
        """
        check_executor(executor)
        return self._go_on(executor)


def check_executor(executor: Any) -> None:
    """Refuse what has no ``submit``."""
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(
            "executor must have a method submit, as those of concurrent.futures and Dask's Client have, "
            f"got {executor!r}"
        )


class Parts:
    """Computes the parts of a call, and keeps what is finished: the same call can be made again.

    Parameters
    ----------
    executor
        None: in this process, one part after another.
    finished : dict
        Of an earlier attempt; what is finished is added.
    """

    def __init__(self, executor: Any, finished: dict[tuple[int, int], Any]) -> None:
        self._executor, self._finished = executor, finished
        self._jobs = 0

    def results(
        self, job: Job, parts: Sequence[tuple], first: int = 0
    ) -> Generator[Any, None, None]:
        """The results of all parts of a job, or of those from the `first` on, in their order.

        Parameters
        ----------
        job : Job
        parts : sequence of tuple
            The arguments of each part.
        first : int, default 0
        """
        job_number, done = self._jobs, self._finished
        self._jobs += 1
        missing = [k for k in range(first, len(parts)) if (job_number, k) not in done]
        following = first
        for k, result, error in self._computed(job, parts, missing):
            if error is not None and not _says_broken(error):
                raise error
            if error is not None:
                raise _Broken(error, len(done), len(parts))
            done[job_number, k] = result
            while (job_number, following) in done:
                yield done[job_number, following]
                following += 1
        for k in range(following, len(parts)):  # all of an earlier attempt
            yield done[job_number, k]

    def _computed(
        self, job: Job, parts: Sequence[tuple], missing: Sequence[int]
    ) -> Generator[tuple[int, Any, BaseException | None], None, None]:
        """(part, result, error) as they come; errors of a broken executor come last."""
        if self._executor is None:
            compute = job.build(*job.arguments) if missing else None
            for k in missing:
                yield k, compute(*parts[k]), None  # type: ignore[misc]
            return
        broken: list[tuple[int, Any, BaseException | None]] = []
        with (
            brought(self._executor, job) as handle,
            contextlib.closing(_submitted(self._executor, handle, parts, missing)) as results,
        ):
            for one in results:
                if one[2] is not None and _says_broken(one[2]):
                    broken.append(one)
                else:
                    yield one
        yield from broken


class _Broken(Exception):
    """An executor broke."""

    def __init__(self, cause: BaseException, finished: int, total: int) -> None:
        super().__init__(cause)
        self.cause, self.finished, self.total = cause, finished, total


def in_parts(executor: Any, call: Callable[[Parts], Any]) -> Any:
    """Make a call whose parts an executor computes.

    Parameters
    ----------
    executor
        None: in this process.
    call : callable
        Of :class:`Parts`. Where an executor broke it is called again, and must ask for the same parts.

    Raises
    ------
    ExecutorError
        If the executor broke.
    """
    finished: dict[tuple[int, int], Any] = {}

    def attempt(with_executor: Any) -> Any:
        try:
            return call(Parts(with_executor, finished))
        except _Broken as broken:
            cause = broken.cause
            raise ExecutorError(cause, broken.finished, broken.total, attempt) from cause

    return attempt(executor)


def spans(count: int, parts: int = PARTS) -> list[tuple[int, int]]:
    """(first, how many) of about so many parts of equal size."""
    together = max(1, math.ceil(count / parts))
    return [(first, min(together, count - first)) for first in range(0, count, together)]


def _submitted(
    executor: Any, handle: Any, parts: Sequence[tuple], missing: Sequence[int]
) -> Generator[tuple[int, Any, BaseException | None], None, None]:
    """(part, result, error) as they come; what has not begun is cancelled when this ends before."""
    futures: dict[int, Any] = {}
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    threads = threads_of_each(executor)
    options = {"pure": False} if is_dask(executor) else {}
    try:
        for k in missing:
            try:
                future = executor.submit(compute_part, handle, threads, parts[k], **options)
            except (BrokenExecutor, RuntimeError) as error:  # it is broken, or was shut down
                yield (
                    k,
                    None,
                    error if isinstance(error, BrokenExecutor) else BrokenExecutor(*error.args),
                )
                continue
            futures[k] = future
            future.add_done_callback(lambda _, k=k: ended.put(k))
        for _ in range(len(futures)):
            k = _next(ended)
            result, failed = None, None
            try:
                result = futures[k].result()
            except (Exception, CancelledError) as error:
                failed = error
            yield k, result, failed
    finally:
        for future in futures.values():
            with contextlib.suppress(Exception):
                future.cancel()


def _next(ended: queue.SimpleQueue[int]) -> int:
    """What has ended, looking up now and then: a wait without end would not hear Ctrl-C everywhere."""
    while True:
        with contextlib.suppress(queue.Empty):
            return ended.get(timeout=_LOOK)


def _says_broken(error: BaseException) -> bool:
    """Whether an error is about a worker, and not about the part that it computed."""
    if isinstance(error, BrokenExecutor | CancelledError):
        return True
    return type(error).__module__.startswith("distributed.") and type(error).__name__ in (
        "KilledWorker",
        "CommClosedError",
        "FutureCancelledError",
        "FuturesCancelledError",
        "LostTaskError",
    )

"""Parts of a job on somebody's executor: processes, a cluster, or anything else that has ``submit``.

The job is described once and brought to the workers once: through a file to processes of this machine,
by ``scatter`` to a Dask cluster, as it is to threads; to executors that are not known, with every part. A
worker builds what the parts share when the first of them arrives, and keeps it.

A part depends on its arguments alone, so that results do not depend on who computes it.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from typing import Any

from fastkb.executors.carriers import Job, brought, compute_part, is_dask, threads_of_each

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


def run_parts(
    executor: Any,
    job: Job,
    parts: Sequence[tuple],
    finish: Callable[[list], Any],
    advance: Callable[[Any], Any],
) -> Any:
    """Compute all parts, and make the result of them.

    Parameters
    ----------
    executor
        None: in this process, one part after another.
    job : Job
    parts : sequence of tuple
        The arguments of each part.
    finish : callable
        Of all parts' results, in their order.
    advance : callable
        Told of the result of each part, as it comes.

    Raises
    ------
    ExecutorError
        If the executor broke.
    """
    return _run(executor, job, parts, {}, finish, advance)


def _run(
    executor: Any,
    job: Job,
    parts: Sequence[tuple],
    done: dict[int, Any],
    finish: Callable[[list], Any],
    advance: Callable[[Any], Any],
) -> Any:
    missing = [k for k in range(len(parts)) if k not in done]
    if executor is None:
        compute = job.build(*job.arguments)
        for k in missing:
            done[k] = compute(*parts[k])
            advance(done[k])
        return finish([done[k] for k in range(len(parts))])
    broken: BaseException | None = None
    with (
        brought(executor, job) as handle,
        contextlib.closing(_submitted(executor, handle, parts, missing)) as results,
    ):
        for k, result, error in results:
            if error is None:
                done[k] = result
                advance(result)
            elif _says_broken(error):
                broken = broken or error
            else:
                raise error
    if broken is not None:

        def go_on(other: Any) -> Any:
            return _run(other, job, parts, done, finish, advance)

        raise ExecutorError(broken, len(done), len(parts), go_on) from broken
    return finish([done[k] for k in range(len(parts))])


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

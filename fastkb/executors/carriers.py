"""How a job reaches the workers of an executor, and what they keep of it."""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, NamedTuple

from fastkb.runtime.threads import n_threads, use_threads

# Jobs that a worker keeps at a time.
_KEPT = 2


class Job(NamedTuple):
    """What is computed in parts."""

    build: Callable[..., Callable[..., Any]]  # of the arguments: what computes a part
    arguments: tuple


def is_dask(executor: Any) -> bool:
    """Whether an executor is a client of Dask, or is used like one."""
    return callable(getattr(executor, "scatter", None)) and callable(
        getattr(executor, "scheduler_info", None)
    )


def threads_of_each(executor: Any) -> int:
    """Threads that compiled code gets in each worker: the cores are shared with the other workers."""
    if isinstance(executor, ProcessPoolExecutor | ThreadPoolExecutor):
        return max(1, n_threads() // executor._max_workers)  # type: ignore[union-attr]
    return 1


class _InFile(NamedTuple):
    """A job in a file of this machine."""

    path: str
    token: str

    def load(self) -> Job:
        with open(self.path, "rb") as file:
            return pickle.load(file)


class _InBytes(NamedTuple):
    """A job that comes with every part."""

    content: bytes
    token: str

    def load(self) -> Job:
        return pickle.loads(self.content)


class _Here(NamedTuple):
    """A job that need not be brought anywhere."""

    job: Job
    token: str

    def load(self) -> Job:
        return self.job


@contextlib.contextmanager
def brought(executor: Any, job: Job) -> Iterator[Any]:
    """What tells a worker the job; a file is removed afterwards."""
    # Numba's copy pickles functions that were defined in a notebook, too.
    from numba import cloudpickle

    token = uuid.uuid4().hex
    if isinstance(executor, ThreadPoolExecutor):
        yield _Here(job, token)
        return
    content = cloudpickle.dumps(job)
    if is_dask(executor):
        # In a list: of a tuple every element would be scattered by itself.
        (handle,) = executor.scatter([_InBytes(content, token)], broadcast=True, hash=False)
        yield handle
    elif isinstance(executor, ProcessPoolExecutor):
        descriptor, path = tempfile.mkstemp(prefix="fastkb-", suffix=".job")
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
            yield _InFile(path, token)
        finally:
            with contextlib.suppress(OSError):
                os.remove(path)
    else:
        yield _InBytes(content, token)


class _Kept(threading.local):
    """What a worker's thread has built. Two threads do not share it: it has memory to work in."""

    def __init__(self) -> None:
        self.jobs: dict[str, Callable[..., Any]] = {}


_kept = _Kept()


def compute_part(handle: Any, threads: int, part: tuple) -> Any:
    """One part, in a worker."""
    jobs = _kept.jobs
    with use_threads(threads):
        if handle.token not in jobs:
            job = handle.load()
            while len(jobs) >= _KEPT:
                del jobs[next(iter(jobs))]
            jobs[handle.token] = job.build(*job.arguments)
        return jobs[handle.token](*part)

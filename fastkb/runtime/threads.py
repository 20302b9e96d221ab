"""Threads: which layer runs parallel regions, and how calls stay safe on each of them.

=========== ================================ ==================================================
layer       from several Python threads      in a child forked after use
=========== ================================ ==================================================
TBB         right                            right (it may warn that its threads were busy)
OpenMP      right (slow when cores are busy) GNU's ends the child: a serial version runs there
workqueue   aborts the process: locked here  its threads are gone: the serial version too
=========== ================================ ==================================================

pip's ``tbb`` puts its library where the loader does not look; :func:`load_tbb` loads it by path before
Numba's first parallel region, and Numba then finds it by name.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.metadata
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba

_workqueue_lock = threading.RLock()
_blas_lock = threading.Lock()
_blas_limits: list[Any] = []  # one for each body of limit_blas under way
_forked_from_threads = False  # whether Numba's threads were left behind in a parent


def _after_fork_in_child() -> None:
    """Locks that another thread of the parent held would stay locked, and its threads are gone."""
    global _workqueue_lock, _blas_lock, _forked_from_threads
    _workqueue_lock, _blas_lock = threading.RLock(), threading.Lock()
    _blas_limits.clear()
    pool = sys.modules.get("numba.np.ufunc.parallel")
    _forked_from_threads = bool(getattr(pool, "_is_initialized", False))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@functools.cache
def load_tbb() -> str | None:
    """Load the TBB library of the pip package ``tbb``; its path, or None where there is none."""
    try:
        files = importlib.metadata.files("tbb") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name in ("libtbb.so.12", "tbb12.dll", "libtbb.12.dylib"):
            path = str(file.locate())
            try:
                ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
            except OSError:
                return None
            return path
    return None


load_tbb()


@functools.cache
def layer() -> str:
    """The threading layer in use: ``tbb``, ``omp`` or ``workqueue``. Starts the threads."""
    from numba.np.ufunc import parallel

    parallel._launch_threads()
    return numba.threading_layer()


def n_threads() -> int:
    """How many threads a parallel region would use if it started now."""
    return numba.get_num_threads()


class ParallelFunction:
    """A compiled parallel function that may be called from any thread, before or after a fork."""

    def __init__(self, dispatcher: Any, serial: Callable[[], Any], chunk: int = 0) -> None:
        self.dispatcher = dispatcher
        self._serial = serial
        self._chunk = chunk
        functools.update_wrapper(self, dispatcher.py_func)

    def __call__(self, *arguments: Any) -> Any:
        current = layer()
        if current == "tbb":
            if not self._chunk:
                return self.dispatcher(*arguments)
            # Only TBB hands out small chunks at little cost.
            before = numba.set_parallel_chunksize(self._chunk)
            try:
                return self.dispatcher(*arguments)
            finally:
                numba.set_parallel_chunksize(before)
        if _forked_from_threads:
            return self._serial()(*arguments)
        if current == "workqueue":
            with _workqueue_lock:
                return self.dispatcher(*arguments)
        return self.dispatcher(*arguments)

    @property
    def signatures(self) -> list:
        """The signatures compiled so far."""
        return self.dispatcher.signatures


@contextlib.contextmanager
def limit_blas(limit: int = 1) -> Iterator[None]:
    """Run the body with BLAS and LAPACK on `limit` threads, and restore them afterwards.

    BLAS inside a parallel region must be single-threaded, and multi-threaded BLAS must not alternate
    with parallel regions: both pools spin while they wait, 5 to 20 times slower than either alone.
    """
    # The setting is the process's: the first body to begin changes it, the last to end restores it.
    with _blas_lock:
        limiter = None
        if not _blas_limits:
            _take_control_of_blas()
            limiter = _blas_controller().limit(limits=limit, user_api="blas")
        _blas_limits.append(limiter)
    try:
        yield
    finally:
        with _blas_lock:
            if len(_blas_limits) == 1:
                _take_control_of_blas()
                _blas_limits[0].restore_original_limits()
                _take_control_of_blas()
            # The first entry restores, so it stays until the last body ends.
            _blas_limits.pop()


def _take_control_of_blas() -> None:
    """Let the next thread to come set BLAS's number of threads.

    threadpoolctl (from 3.7 on) ignores all but the thread that set it first; the bodies above are
    counted here instead.
    """
    for library in _blas_controller().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


@functools.cache
def _blas_controller() -> Any:
    # Looking for loaded libraries costs 2-5 ms; SciPy's own BLAS must be loaded to be seen.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextlib.contextmanager
def thread_map(workers: int, name: str) -> Iterator[Callable[..., Iterable[Any]]]:
    """A `map` on `workers` Python threads: results in order. With one worker it is :func:`map`.

    Parallel regions that the threads start are as wide as the caller's would be. After an error or Ctrl-C
    nothing new is begun; what runs comes to its end first. Make few and long tasks: for each the caller
    waits in Python's own locks, which an interrupt should not meet.
    """
    if workers <= 1:
        yield map
        return
    pool = ThreadPoolExecutor(
        workers,
        thread_name_prefix=f"fastkb-{name}",
        # Numba keeps the number of threads for each Python thread.
        initializer=numba.set_num_threads,
        initargs=(n_threads(),),
    )
    try:
        yield pool.map
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def blas_libraries() -> list[str]:
    """The BLAS libraries that NumPy and SciPy have loaded, in words."""
    return [
        f"{library['internal_api']} {library['version']} ({library.get('architecture', '?')}, "
        f"{library['num_threads']} threads)"
        for library in _blas_controller().info()
        if library["user_api"] == "blas"
    ]

"""Threads: which layer runs parallel regions, and how calls stay safe on each of them.

=========== ================================ ==================================================
layer       from several Python threads      in a child forked after use
=========== ================================ ==================================================
TBB         right                            right (it may warn that its threads were busy)
OpenMP      right (slow when cores are busy) GNU's ends the child: a serial version runs there
workqueue   aborts the process: locked here  its threads are gone: the serial version too
=========== ================================ ==================================================

Within a parallel region of a user's, whose body calls Python (``numba.objmode``), TBB and OpenMP nest
theirs; workqueue would abort the process: there too the serial version runs.

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
_blas_bodies = 0  # bodies of limit_blas under way
_blas_before: dict[int, int] = {}  # the number of threads of each library before them
_forked_from_threads = False  # whether Numba's threads were left behind in a parent


def _after_fork_in_child() -> None:
    """Locks that another thread of the parent held would stay locked, and its threads are gone."""
    global _workqueue_lock, _blas_lock, _blas_bodies, _forked_from_threads
    _workqueue_lock, _blas_lock = threading.RLock(), threading.Lock()
    # Bodies of other threads will not end here. One that forked does: it restores as the last of one.
    _blas_bodies = min(_blas_bodies, 1)
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


@contextlib.contextmanager
def use_threads(width: int) -> Iterator[None]:
    """Let parallel regions that this Python thread starts have `width` threads, or all there are."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(width, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)


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
            if _is_of_no_python_thread():
                return self._serial()(*arguments)
            with _workqueue_lock:
                return self.dispatcher(*arguments)
        return self.dispatcher(*arguments)

    @property
    def signatures(self) -> list:
        """The signatures compiled so far."""
        return self.dispatcher.signatures


def _is_of_no_python_thread() -> bool:
    """Whether the calling thread was started outside Python, as those of a parallel region are."""
    known = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
    return known is None or isinstance(known, threading._DummyThread)


@contextlib.contextmanager
def limit_blas(limit: int = 1) -> Iterator[None]:
    """Run the body with BLAS and LAPACK on `limit` threads, and restore them afterwards.

    BLAS inside a parallel region must be single-threaded, and multi-threaded BLAS must not alternate
    with parallel regions: both pools spin while they wait, 5 to 20 times slower than either alone.
    And the last bits of what BLAS computes depend on its number of threads: all of the package that
    promises the same bits computes within such a body.

    The setting is the whole process's for most libraries: meanwhile the BLAS of other Python threads is
    limited, too, since OpenMP keeps the number for each thread.
    """
    global _blas_bodies
    of_thread: dict[int, int] = {}
    with _blas_lock:
        _set_blas(limit, of_thread)
        _blas_bodies += 1
    try:
        yield
    finally:
        with _blas_lock:
            _restore_blas(limit, of_thread)
            _blas_bodies = max(0, _blas_bodies - 1)
            if not _blas_bodies:
                _restore_blas(limit, _blas_before)


def _set_blas(limit: int, of_thread: dict[int, int]) -> None:
    """Limit the libraries, and note how many threads those have that are not limited yet.

    A body that begins while other ones run finds another number only where other code has set it
    meanwhile: that is then what they go back to.
    """
    for place, library in enumerate(_blas_libraries()):
        current = library.get_num_threads()
        if current != limit:
            per_thread = getattr(library, "threading_layer", "") == "openmp"
            (of_thread if per_thread else _blas_before)[place] = current
            _set_threads(library, limit)


def _restore_blas(limit: int, before: dict[int, int]) -> None:
    """Go back to what was noted, but for libraries that other code has set meanwhile."""
    libraries = _blas_libraries()
    for place, number in before.items():
        if libraries[place].get_num_threads() == limit:
            _set_threads(libraries[place], number)
    before.clear()


def _set_threads(library: Any, number: int) -> None:
    # threadpoolctl (from 3.7 on) ignores all but the thread that set it first; the bodies above are
    # counted here instead.
    forget = getattr(library, "clear_controlling_thread", None)
    if forget is not None:
        forget(force=True)
    library.set_num_threads(number)
    if forget is not None:
        forget(force=True)


def _blas_libraries() -> list[Any]:
    return [one for one in _blas_controller().lib_controllers if one.user_api == "blas"]


@functools.cache
def _blas_controller() -> Any:
    # Looking for loaded libraries costs 2-5 ms; SciPy's own BLAS must be loaded to be seen.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextlib.contextmanager
def thread_map(workers: int, name: str) -> Iterator[Callable[..., Iterable[Any]]]:
    """A `map` on `workers` Python threads: results in order. With one worker it is :func:`map`.

    Parallel regions that the threads start are as wide as the caller's would be, and BLAS is limited if
    it is around the map. After an error or Ctrl-C nothing new is begun; what runs comes to its end first.
    Make few and long tasks: for each the caller waits in Python's own locks, which an interrupt should
    not meet.
    """
    if workers <= 1:
        yield map
        return
    pool = ThreadPoolExecutor(
        workers,
        thread_name_prefix=f"fastkb-{name}",
        # Numba keeps the number of threads for each Python thread, and so does OpenMP.
        initializer=_begin_thread,
        initargs=(n_threads(), _blas_bodies > 0),
    )
    try:
        yield pool.map
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_thread(width: int, limited: bool) -> None:
    numba.set_num_threads(width)
    if limited:
        with _blas_lock:
            _set_blas(1, {})


def blas_libraries() -> list[str]:
    """The BLAS libraries that NumPy and SciPy have loaded, in words."""
    return [
        f"{library['internal_api']} {library['version']} ({library.get('architecture', '?')}, "
        f"{library['num_threads']} threads)"
        for library in _blas_controller().info()
        if library["user_api"] == "blas"
    ]

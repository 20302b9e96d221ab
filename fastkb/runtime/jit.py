"""The one place where functions are compiled, so that every kernel obeys the same rules.

* ``error_model="numpy"``: one division with Python's semantics (ZeroDivisionError) keeps LLVM from
  vectorising a whole loop (tanh: 8.5 -> 0.97 ns an element).
* ``fastmath={"contract", "nsz"}``: fused multiply-add, and no care for the sign of zero *sums*.
  Never ``nnan``/``ninf`` (NaN must propagate) and never ``reassoc`` (it folds away the rounding
  tricks in ``scalar/elementary.py`` and would make results depend on the compiler's mood).
* ``nogil``: several Python threads may compute at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

from fastkb.runtime import threads
from fastkb.runtime.cache import FunctionCache

FASTMATH = frozenset({"contract", "nsz"})


def jit(function: Callable | None = None, *, parallel: bool = False, cache: bool = True) -> Any:
    """Compile `function` on its first call for each set of types, and keep the code on disk.

    Parameters
    ----------
    function : callable
        A function of the Numba language, without closure variables if cached.
    parallel : bool, default False
        Whether ``prange`` loops run on all threads. Calls are then made safe for the threading
        layer at hand (see :mod:`fastkb.runtime.threads`).
    cache : bool, default True
        Whether the compiled code is kept on disk. Leave it on for functions that Python calls.

    Returns
    -------
    dispatcher
        A Numba dispatcher; for ``parallel=True`` a callable around it with the same arguments.
    """
    if function is None:
        return lambda f: jit(f, parallel=parallel, cache=cache)
    dispatcher = numba.njit(
        function,
        parallel=parallel,
        nogil=True,
        error_model="numpy",
        fastmath=set(FASTMATH),
    )
    if cache:
        dispatcher._cache = FunctionCache(function)
    return threads.ParallelFunction(dispatcher) if parallel else dispatcher


def inline(function: Callable) -> Any:
    """Compile a small function that only other compiled functions call: inlined, never cached.

    The caller's file holds its code, and :func:`fastkb.runtime.cache.source_digest` sees its edits.
    """
    return numba.njit(
        function, error_model="numpy", fastmath=set(FASTMATH), forceinline=True, no_cpython_wrapper=True
    )

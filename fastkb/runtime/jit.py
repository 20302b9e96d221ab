"""The one place where functions are compiled, so that every kernel obeys the same rules.

* ``error_model="numpy"``: one division with Python's semantics (ZeroDivisionError) keeps LLVM from
  vectorising a whole loop (tanh: 8.5 -> 0.97 ns an element).
* ``fastmath={"contract", "nsz"}``: fused multiply-add, and no care for the sign of zero *sums*.
  Never ``nnan``/``ninf`` (NaN must propagate) and never ``reassoc`` (it folds away the rounding
  tricks in ``scalar/elementary.py`` and would make results depend on the compiler's mood).
* ``nogil``: several Python threads may compute at once.
* ``references=False`` where small arrays are sliced and handed on all the time: Numba counts the
  holders of an array by atomic instructions of some 20 cycles, two thirds of a step of a network with
  300 parameters.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numba
from numba.core import types

from fastkb.runtime import threads
from fastkb.runtime.compiled import late
from fastkb.runtime.compiled.cache import FunctionCache

FASTMATH = frozenset({"contract", "nsz"})


def jit(
    function: Callable | None = None,
    *,
    parallel: bool = False,
    cache: bool = True,
    signature: Callable[[types.Float], tuple] | None = None,
    chunk: int = 0,
    references: bool = True,
) -> Any:
    """Compile `function` when it is first called, and keep the code on disk.

    Parameters
    ----------
    function : callable
        A function of the Numba language, without closure variables if cached.
    parallel : bool, default False
        Whether ``prange`` loops run on all threads. Calls are then made safe for the threading
        layer at hand (see :mod:`fastkb.runtime.threads`).
    cache : bool, default True
        Whether the compiled code is kept on disk. Leave it on for functions that Python calls.
    signature : callable, optional
        Maps an element type (float32 or float64) to the types of all arguments. There is then one
        compiled function for each element type, whatever the layout and flags of the arrays that
        come (declare :func:`matrix`), and it is chosen by the element type of the first argument (of
        the first array, if it is a tuple) alone, which also makes the call cheaper. Without it, each
        new combination of argument types compiles anew.
    chunk : int, default 0
        How many iterations of a parallel loop a thread takes at a time (TBB); 0: an equal share.
    references : bool, default True
        Whether references to arrays are counted. If not, the function can neither make nor return
        arrays, and slices cost nothing.

    Returns
    -------
    callable
        The compiled function.
    """
    if function is None:
        return functools.partial(
            jit,
            parallel=parallel,
            cache=cache,
            signature=signature,
            chunk=chunk,
            references=references,
        )
    if not parallel:
        return _compiled(function, False, cache, signature, references)
    return threads.ParallelFunction(
        _compiled(function, True, cache, signature, references),
        # A forked child runs it where the threads did not survive the fork; compiled if needed.
        serial=functools.cache(lambda: _compiled(function, False, cache, signature, references)),
        chunk=chunk,
    )


def _check_compiler() -> None:
    """Refuse to go on where Numba leaves functions as they are.

    Python could not run them: they hold vector instructions and atomic operations.
    """
    if numba.config.DISABLE_JIT:
        raise ImportError(
            "fastkb needs Numba's compiler, and NUMBA_DISABLE_JIT=1 has switched it off: unset "
            "NUMBA_DISABLE_JIT, or set it to 0, before Python starts"
        )


def _compiled(
    function: Callable, parallel: bool, cache: bool, signature: Callable | None, references: bool
) -> Any:
    _check_compiler()
    dispatcher = numba.njit(
        function,
        parallel=parallel,
        nogil=True,
        error_model="numpy",
        fastmath=set(FASTMATH),
        _nrt=references,
        pipeline_class=late.compiler(),
    )
    if cache:
        dispatcher._cache = FunctionCache(function, parallel)
    return dispatcher if signature is None else ByElementType(dispatcher, signature)


class ByElementType:
    """One compiled function for each element type of the first argument, with declared types."""

    def __init__(self, dispatcher: Any, signature: Callable[[types.Float], tuple]) -> None:
        self.dispatcher = dispatcher
        self.py_func = dispatcher.py_func
        self._signature = signature
        self._entries: dict[Any, Callable] = {}
        functools.update_wrapper(self, dispatcher.py_func)

    def __call__(self, *arguments: Any) -> Any:
        first = arguments[0]
        while isinstance(first, tuple):
            first = first[0]
        return self.compiled(first.dtype)(*arguments)

    def compiled(self, element: Any) -> Callable:
        """The function of one element type, compiled by now."""
        entry = self._entries.get(element)
        if entry is None:
            declared = self._signature(numba.from_dtype(element))
            entry = self._entries[element] = self.dispatcher.compile(declared)
        return entry

    def misses(self, element: Any) -> bool:
        """Whether the function of one element type could be on disk, and is not."""
        declared = self._signature(numba.from_dtype(element))
        return self.dispatcher._cache.misses(declared, self.dispatcher.targetctx)

    @property
    def signatures(self) -> list:
        """The signatures compiled so far."""
        return self.dispatcher.signatures


def matrix(element: types.Float, *, readonly: bool = True) -> types.Array:
    """The type of a two-dimensional array with any strides."""
    return types.Array(element, 2, "A", readonly=readonly)


def vector(element: types.Float) -> types.Array:
    """The type of a one-dimensional contiguous array."""
    return types.Array(element, 1, "C")


def inline(
    function: Callable | None = None, *, any_order: bool = False, references: bool = True
) -> Any:
    """Compile a small function that only other compiled functions call: inlined, never cached.

    The caller's file holds its code, and the cache sees its edits, for it reads the whole package.
    With `any_order` its sums are formed in the order that suits the vector unit: the same each time,
    for it depends on the number of terms alone. Only for plain sums, see above. `references` is that of
    :func:`jit`; functions without are called by functions without.
    """
    if function is None:
        return functools.partial(inline, any_order=any_order, references=references)
    _check_compiler()
    return numba.njit(
        function,
        error_model="numpy",
        fastmath=set(FASTMATH) | ({"reassoc"} if any_order else set()),
        forceinline=True,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=late.compiler(),
        **({} if references else {"_nrt": False}),
    )


def switch(functions: Sequence[Callable], *, references: bool = True) -> Any:
    """One of several compiled functions, chosen by a small integer where it is called.

    A closure over compiled functions cannot be cached on disk by itself; inlined into a cached function
    that has none, it can. So a choice is a tree: each fork asks in which half of the codes the code is. A
    chain of as many functions would be as deep as they are many, and Numba's compiler recurses.

    Parameters
    ----------
    functions : sequence of callable
        Made by :func:`inline`, with the same arguments and without results. A function's code is its
        place.
    references : bool
        As for :func:`inline`.

    Returns
    -------
    callable
        ``call(code, *arguments)``; of a code that there is not, nothing is run.
    """
    return _fork(functions, 0, len(functions), references)


def _fork(functions: Sequence[Callable], begin: int, end: int, references: bool) -> Any:
    """The choice between the functions of some codes."""
    if end == begin:

        @inline(references=references)
        def none(code, *arguments):
            return

        return none
    if end - begin == 1:
        return _leaf(functions[begin], begin, references)
    middle = (begin + end) // 2
    below = _fork(functions, begin, middle, references)
    above = _fork(functions, middle, end, references)

    @inline(references=references)
    def call(code, *arguments):
        if code < middle:
            below(code, *arguments)
        else:
            above(code, *arguments)

    return call


def _leaf(function: Callable, own: int, references: bool) -> Any:
    @inline(references=references)
    def call(code, *arguments):
        if code == own:
            function(*arguments)

    return call

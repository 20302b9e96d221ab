"""Late libraries: the results of Numba's own way, with machine code for what Python calls alone."""

import numpy as np
import pytest
from numba.core import codegen
from numba.core.compiler import Compiler

from fastkb.runtime import inline, jit, prange
from fastkb.runtime.compiled import late

with_late_libraries = pytest.mark.skipif(
    late.compiler() is Compiler, reason="Numba's own libraries: it is older than 0.62"
)


@inline
def _half(x):
    if x < 0:
        raise ValueError("x is negative")
    return 0.5 * x


@inline
def _quarter(x):
    return _half(_half(x))


@jit(cache=False)
def _quarters(x):
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = _quarter(x[i])
    return out


@jit(parallel=True, cache=False)
def _quarters_of_rows(x):
    out = np.empty_like(x)
    for i in prange(len(x)):
        for j in range(x.shape[1]):
            out[i, j] = _quarter(x[i, j])
    return out


@jit(cache=False)
def _countdown(n):
    return 0 if n == 0 else 1 + _countdown(n - 1)


def test_results_of_functions_loops_and_recursion():
    x = np.random.default_rng(0).random((7, 5))
    assert np.array_equal(_quarters(x[0]), 0.25 * x[0])
    assert np.array_equal(_quarters_of_rows(x), 0.25 * x)
    assert np.array_equal(
        _quarters_of_rows(x.astype(np.float32)), np.float32(0.25) * x.astype("f4")
    )
    assert _countdown(9) == 9


def test_errors_of_inlined_functions_reach_python():
    with pytest.raises(ValueError, match="x is negative"):
        _quarters(np.array([1.0, -1.0]))


@with_late_libraries
def test_machine_code_is_made_once():
    _quarters(np.ones(2))
    library = next(iter(_quarters.overloads.values())).library
    assert isinstance(library, late.LateLibrary)
    assert library._made
    for helper in (_half, _quarter):
        for compiled in helper.overloads.values():
            assert not compiled.library._made


@with_late_libraries
def test_a_function_that_was_inlined_first_can_be_called_from_python_later():
    @jit(cache=False)
    def third(x):
        return x / 3.0

    @jit(cache=False)
    def ninth(x):
        return third(third(x))

    assert ninth(9.0) == 1.0
    assert third(9.0) == 3.0


def test_other_people_s_functions_are_compiled_as_ever():
    import numba

    @numba.njit
    def of_a_user(x):
        return x + 1.0

    assert of_a_user(1.0) == 2.0
    library = next(iter(of_a_user.overloads.values())).library
    assert not isinstance(library, late.LateLibrary)


def test_a_user_s_function_inside_ours():
    import numba

    @numba.njit
    def of_a_user(x):
        return x + 1.0

    @jit(cache=False)
    def ours(x):
        return 2.0 * of_a_user(x)

    assert ours(1.0) == 4.0
    assert of_a_user(2.0) == 3.0  # compiled within ours


def test_unknown_libraries_are_left_to_numba(monkeypatch):
    monkeypatch.delattr(codegen.JITCodeLibrary, "get_pointer_to_function")
    assert late.compiler() is Compiler

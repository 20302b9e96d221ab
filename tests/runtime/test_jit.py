"""The compile decorators: one function for each element type, and the rules of arithmetic."""

import functools
import math
import operator
import os
import subprocess
import sys

import numpy as np
import pytest
from numba.core import types

from fastkb.runtime import inline, jit, matrix, prange, vector
from fastkb.runtime.jit import switch


@inline
def _twice(x):
    return x + x


@jit(signature=lambda T: (matrix(T), vector(T)))
def _row_sums(X, out):
    for i in range(X.shape[0]):
        total = X[i, 0] - X[i, 0]
        for j in range(X.shape[1]):
            total += _twice(X[i, j])
        out[i] = total


@jit(parallel=True, signature=lambda T: (vector(T), T), chunk=2)
def _scale(values, factor):
    for i in prange(len(values)):
        values[i] *= factor


@jit(cache=False)
def _divide(a, b):
    return a / b


@inline
def _in_order(values):
    total = 0.0
    for value in values:
        total += value
    return total


@inline(any_order=True)
def _in_any_order(values):
    total = 0.0
    for value in values:
        total += value
    return total


@jit(cache=False)
def _sum_in_order(values):
    return _in_order(values)


@jit(cache=False)
def _sum_in_any_order(values):
    return _in_any_order(values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_layout_runs_the_same_compiled_function(dtype):
    X = np.arange(24, dtype=dtype).reshape(4, 6)
    readonly = X.copy()
    readonly.flags.writeable = False
    for layout in (X, np.asfortranarray(X), X[::2, ::3], X[:, ::-1], readonly):
        out = np.empty(len(layout), dtype=dtype)
        _row_sums(layout, out)
        np.testing.assert_array_equal(out, 2 * layout.sum(axis=1))
    assert len({str(s) for s in _row_sums.signatures if str(np.dtype(dtype)) in str(s)}) == 1


def test_parallel_functions():
    values = np.arange(100.0)
    _scale(values, 2.0)
    np.testing.assert_array_equal(values, 2 * np.arange(100.0))
    assert _scale.__name__ == "_scale"
    assert len(_scale.signatures) == 1


def test_division_by_zero_is_numpys():
    assert _divide(1.0, 0.0) == np.inf
    assert np.isnan(_divide(0.0, 0.0))


def test_only_sums_in_any_order_are_rearranged():
    values = np.random.default_rng(0).standard_normal(10_007)
    assert _sum_in_order(values) == functools.reduce(operator.add, values.tolist(), 0.0)
    total = _sum_in_any_order(values)
    # One rounding for each addition, of partial sums that no order makes larger than this.
    bound = len(values) * np.finfo(float).eps / 2 * math.fsum(np.abs(values))
    assert abs(total - math.fsum(values)) <= bound
    for start in range(9):  # the order does not depend on where the terms stand
        moved = np.empty(len(values) + start)[start:]
        moved[:] = values
        assert _sum_in_any_order(moved) == total
    for function, rearranged in ((_sum_in_order, False), (_sum_in_any_order, True)):
        (code,) = function.inspect_llvm().values()
        assert ("reassoc" in code) == rearranged


def test_closures_are_refused_where_they_would_be_cached():
    hidden = 3

    def closure(x):
        return x + hidden

    with pytest.raises(TypeError, match="a closure cannot be cached"):
        jit(closure)
    assert jit(closure, cache=False)(1) == 4


def test_declared_types():
    assert matrix(types.float64).layout == "A"
    assert not matrix(types.float64).mutable
    assert matrix(types.float64, readonly=False).mutable
    assert vector(types.float32).is_contig


WITHOUT_COMPILER = """
import fastkb

for use in (
    lambda: fastkb.rbf_kernel([[1.0]]),
    lambda: fastkb.bootstrap(([1.0, 2.0],), "mean"),
    lambda: fastkb.MLPRegressor(),
    lambda: fastkb.nn.Linear(1, 1),
    lambda: fastkb.KernelRidge(),
):
    for _ in range(2):
        try:
            use()
        except ImportError as error:
            assert "NUMBA_DISABLE_JIT=1 has switched it off" in str(error), error
        else:
            raise AssertionError("there was no error")
print(fastkb.__version__, fastkb.reference.__name__)
"""


def test_without_the_compiler_one_error_says_so():
    """Whatever is used first, and each time; what is plain Python is there."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "fastkb.reference"


@inline
def _double(values):
    values[0] *= 2.0


@inline
def _negate(values):
    values[0] = -values[0]


_choose = switch([_double, _negate])


@jit(cache=False)
def _chosen(code, values):
    _choose(code, values)


@pytest.mark.parametrize(("code", "expected"), [(0, 6.0), (1, -3.0), (2, 3.0), (-1, 3.0)])
def test_a_switch_runs_the_function_of_the_code_alone(code, expected):
    values = np.array([3.0])
    _chosen(code, values)
    assert values[0] == expected

"""The epilogue's switch against the formulas it is made from."""

import numpy as np
import pytest

from fastkb.runtime import jit
from fastkb.scalar.kernels import FUNCTIONS, n_parameters
from fastkb.tile.epilogue import apply


@jit(cache=False)
def _apply(code, values, start, length, p):
    apply(code, values[start : start + length], p)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("code", range(len(FUNCTIONS)), ids=[f.__name__ for f in FUNCTIONS])
def test_every_code_is_its_formula_on_its_range_alone(code, dtype):
    p = (dtype(0.5), dtype(1.0), dtype(4.0))
    values = np.random.default_rng(code).uniform(0, 2, 100).astype(dtype)
    got = values.copy()
    _apply(code, got, 7, 61, p)
    function = FUNCTIONS[code]
    own = [float(value) for value in p[: n_parameters(function)]]
    expected = [function(float(value), *own) for value in values[7:68]]
    np.testing.assert_allclose(got[7:68], expected, rtol=10 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(got[:7], values[:7])
    np.testing.assert_array_equal(got[68:], values[68:])


def test_an_unknown_code_changes_nothing():
    values = np.arange(5.0)
    _apply(len(FUNCTIONS), values, 0, 5, (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(values, np.arange(5.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loops_are_vectorised(dtype):
    """As many packed multiply-adds (or multiplications) as exp and tanh have; a scalar loop has none."""
    _apply(0, np.zeros(4, dtype=dtype), 0, 4, tuple(map(dtype, (1, 1, 1))))
    name = np.dtype(dtype).name
    code = "".join(
        text for types, text in _apply.inspect_asm().items() if name in str(types[1].dtype)
    )
    if "xmm" not in code:
        pytest.skip("the mnemonics of this processor are not x86's")
    suffix = "pd" if dtype is np.float64 else "ps"
    packed = code.count(f"mul{suffix}") + code.count(f"vfmadd213{suffix}")
    assert packed > 20

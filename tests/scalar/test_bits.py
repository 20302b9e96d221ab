"""The scalar instructions: bit-exact against NumPy."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.runtime import jit
from fastkb.runtime.cpu import cpu
from fastkb.scalar.bits import copysign, exponent, fma, polynomial, power_of_two, significand

_quadratic = polynomial(1.0, 2.0, 3.0)


@jit(cache=False)
def _fma(a, b, c):
    return fma(a, b, c)


@jit(cache=False)
def _power_of_two(shifted):
    return power_of_two(shifted)


@jit(cache=False)
def _split(x):
    return significand(x), exponent(x)


@jit(cache=False)
def _copysign(size, sign):
    return copysign(size, sign)


@jit(cache=False)
def _evaluate(x):
    return _quadratic(x)


@pytest.mark.skipif(not cpu().has_fma, reason="this processor rounds twice")
@settings(max_examples=100, deadline=None)
@given(*[st.floats(-1e6, 1e6) for _ in range(3)])
def test_fma_rounds_once(a, b, c):
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    assert _fma(a, b, c) == float(exact)


@pytest.mark.parametrize(
    ("kind", "magic", "exponents"),
    [(np.float64, 1.5 * 2**52, range(-1022, 1024)), (np.float32, 1.5 * 2**23, range(-126, 128))],
)
def test_power_of_two(kind, magic, exponents):
    for k in exponents:
        got = _power_of_two(kind(k) + kind(magic))
        assert got == kind(2.0) ** k


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_significand_and_exponent(kind):
    info = np.finfo(kind)
    sizes = 2.0 ** np.random.default_rng(0).uniform(info.minexp, info.maxexp, 500)
    for x in [
        *sizes.astype(kind),
        info.smallest_normal,
        info.max,
        kind(1),
        kind(2),
        1 - info.epsneg,
    ]:
        m, k = _split(kind(x))
        half, above = np.frexp(kind(x))
        assert (m, k) == (2 * half, above - 1)


def test_copysign_knows_negative_zero():
    assert np.signbit(_copysign(1.0, -0.0))
    assert _copysign(-3.0, 0.0) == 3.0


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_polynomial(kind):
    x = kind(0.5)
    assert _evaluate(x) == kind(1 + 2 * 0.5 + 3 * 0.25)

"""The scalar instructions: bit-exact against NumPy."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.runtime import jit
from fastkb.runtime.cpu import cpu
from fastkb.scalar.bits import (
    copysign,
    exponent,
    fma,
    greater,
    lesser,
    polynomial,
    power_of_two,
    significand,
)

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
def _both(a, b):
    return lesser(a, b), greater(a, b)


@jit(cache=False)
def _ends(values):
    least = greatest = values[0]
    for t in range(1, len(values)):
        least = lesser(least, values[t])
        greatest = greater(greatest, values[t])
    return least, greatest


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


@settings(max_examples=100, deadline=None)
@given(
    a=st.floats(allow_nan=False, width=32),
    b=st.floats(allow_nan=False, width=32),
    kind=st.sampled_from([np.float32, np.float64]),
)
def test_the_lesser_and_the_greater_of_two(a, b, kind):
    for x, y in ((a, b), (b, a), (a, a), (a, -a)):
        found = _both(kind(x), kind(y))
        # Of zeros of both signs it may be either.
        assert found == (min(kind(x), kind(y)), max(kind(x), kind(y)))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 8, 31, 64, 65, 1000])
def test_the_ends_of_many_numbers(n, kind):
    values = np.random.default_rng(n).normal(size=n).astype(kind)
    assert _ends(values) == (values.min(), values.max())
    # Wherever they stand, and also where they are infinite.
    for place in {0, n // 2, n - 1}:
        for end in (kind(np.inf), np.finfo(kind).max):
            moved = values.copy()
            moved[place] = end
            assert _ends(moved) == (moved.min(), end)
            assert _ends(-moved) == (-end, -moved.min())


def test_the_lesser_and_the_greater_keep_the_type():
    @jit(cache=False)
    def sum_of_both(a, b):
        return lesser(a, b) + greater(a, b)

    # In float64 the sum would not be rounded to 2²⁴.
    assert sum_of_both(np.float32(2**24), np.float32(1.0)) == 2**24
    assert sum_of_both(2.0**24, 1.0) == 2**24 + 1


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_polynomial(kind):
    x = kind(0.5)
    assert _evaluate(x) == kind(1 + 2 * 0.5 + 3 * 0.25)

"""Elementary functions against extended precision, at special values, and over the whole range."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.runtime import jit
from fastkb.scalar import elementary
from fastkb.scalar.elementary import (
    exp,
    exp_nonpositive,
    finite,
    log1p_nonnegative,
    real_power,
    sin_pi,
    sqrt,
    tanh,
    whole_power,
)

FLOATS = [np.float32, np.float64]


@jit(cache=False)
def _exp(x, out):
    for i in range(len(x)):
        out[i] = exp(x[i])


@jit(cache=False)
def _exp_nonpositive(x, out):
    for i in range(len(x)):
        out[i] = exp_nonpositive(x[i])


@jit(cache=False)
def _tanh(x, out):
    for i in range(len(x)):
        out[i] = tanh(x[i])


@jit(cache=False)
def _sin_pi(x, out):
    for i in range(len(x)):
        out[i] = sin_pi(x[i])


@jit(cache=False)
def _log1p_nonnegative(x, out):
    for i in range(len(x)):
        out[i] = log1p_nonnegative(x[i])


@jit(cache=False)
def _finite_root(x, out):
    for i in range(len(x)):
        out[i] = finite(sqrt(x[i]))


@jit(cache=False)
def _whole_power(x, exponent, out):
    for i in range(len(x)):
        out[i] = whole_power(x[i], exponent)


@jit(cache=False)
def _real_power(x, exponent, out):
    for i in range(len(x)):
        out[i] = real_power(x[i], exponent)


def _apply(compiled, x, *parameters):
    out = np.full_like(x, np.nan)
    compiled(x, *parameters, out)
    return out


def _errors_in_ulp(got, exact):
    """|got - exact| in units of the last place of the exact result; exact: extended precision."""
    finite = np.isfinite(exact)
    spacing = np.spacing(np.abs(exact[finite]).astype(got.dtype)).astype(np.longdouble)
    return np.abs(got[finite].astype(np.longdouble) - exact[finite]) / spacing


RANGES = {
    np.float64: [(-745.1, 709.7), (-1.0, 1.0), (-1e-8, 1e-8), (-745.13, -708.0)],
    np.float32: [(-103.9, 88.7), (-1.0, 1.0), (-1e-4, 1e-4), (-103.9, -87.0)],
}


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs an extended longdouble")
@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("part", range(4))
def test_exp_is_within_two_ulp(kind, part):
    low, high = RANGES[kind][part]
    x = np.random.default_rng(part).uniform(low, high, 200_000).astype(kind)
    exact = np.exp(x.astype(np.longdouble))
    assert _errors_in_ulp(_apply(_exp, x), exact).max() <= 2
    x, exact = x[x <= 0], exact[x <= 0]
    assert _errors_in_ulp(_apply(_exp_nonpositive, x), exact).max() <= 2


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs an extended longdouble")
@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("reach", [25.0, 1.0, 0.56, 1e-5, 1e-30])
def test_tanh_is_within_two_ulp(kind, reach):
    x = np.random.default_rng(1).uniform(-reach, reach, 200_000).astype(kind)
    assert _errors_in_ulp(_apply(_tanh, x), np.tanh(x.astype(np.longdouble))).max() <= 2


def _exact_sin_pi(x):
    """In 40 digits."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(40):
        exact = [mpmath.sinpi(mpmath.mpf(float(value))) for value in x]
        return np.array([np.longdouble(mpmath.nstr(value, 25)) for value in exact])


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs an extended longdouble")
@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("reach", [0.25, 0.5, 1.0, 3.0, 1e4, 1e-6, 1e-30])
def test_sin_pi_is_within_two_ulp(kind, reach):
    x = np.random.default_rng(2).uniform(-reach, reach, 6000).astype(kind)
    # Among them numbers next to a half, where all terms count.
    x = np.concatenate([x, reach * np.linspace(0.98, 1.0, 1000)]).astype(kind)
    assert _errors_in_ulp(_apply(_sin_pi, x), _exact_sin_pi(x)).max() <= 2


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs an extended longdouble")
@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("reach", [1.0, 1e-3, 1e-8, 1e-20, 4.0, 1e3, 1e15, 1e30])
def test_log1p_is_within_two_ulp(kind, reach):
    x = np.random.default_rng(3).uniform(0, reach, 200_000).astype(kind)
    exact = np.log1p(x.astype(np.longdouble))
    assert _errors_in_ulp(_apply(_log1p_nonnegative, x), exact).max() <= 2


@pytest.mark.parametrize("kind", FLOATS)
def test_sin_pi_at_special_values(kind):
    big = np.finfo(kind).max
    x = np.array([0.0, 1, -2, 1e30, -big, 0.5, 1.5, -0.5, np.inf, np.nan], dtype=kind)
    expected = np.array([0, 0, 0, 0, 0, 1, -1, -1, np.nan, np.nan], dtype=kind)
    np.testing.assert_array_equal(_apply(_sin_pi, x), expected)
    np.testing.assert_array_equal([sin_pi(float(value)) for value in x], expected)


@pytest.mark.parametrize("kind", FLOATS)
def test_log1p_and_roots_at_special_values(kind):
    limits = np.finfo(kind)
    x = np.array([0.0, limits.tiny, limits.smallest_subnormal, np.nan], dtype=kind)
    np.testing.assert_array_equal(_apply(_log1p_nonnegative, x), x)
    largest = np.array([limits.max], dtype=kind)
    np.testing.assert_allclose(
        _apply(_log1p_nonnegative, largest), np.log(largest), rtol=2 * limits.eps
    )
    x = np.array([0.0, 4.0, np.inf, np.nan, limits.max], dtype=kind)
    expected = np.array([0.0, 2.0, limits.max, np.nan, np.sqrt(limits.max)], dtype=kind)
    np.testing.assert_array_equal(_apply(_finite_root, x), expected)


@pytest.mark.parametrize("kind", FLOATS)
def test_exp_at_special_values(kind):
    tiny = np.finfo(kind).smallest_subnormal
    big = np.finfo(kind).max
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny, big, -big], dtype=kind)
    expected = np.array([1, 1, np.inf, 0, np.nan, 1, 1, np.inf, 0], dtype=kind)
    np.testing.assert_array_equal(_apply(_exp, x), expected)
    nonpositive = np.array([0.0, -0.0, -np.inf, np.nan, -tiny, -big], dtype=kind)
    np.testing.assert_array_equal(
        _apply(_exp_nonpositive, nonpositive), np.array([1, 1, 0, np.nan, 1, 0], dtype=kind)
    )


@pytest.mark.parametrize("kind", FLOATS)
def test_exp_overflows_and_underflows_where_it_must(kind):
    info = np.finfo(kind)
    last = kind(math.log(float(info.max)))  # rounded: step around it
    for x in (np.nextafter(last, kind(0)), kind(last + 4 * np.spacing(last))):
        with np.errstate(over="ignore"):
            expected = kind(np.exp(np.longdouble(x)))
        got = _apply(_exp, np.array([x], dtype=kind))[0]
        assert np.isinf(got) == np.isinf(expected)
    subnormal = kind(math.log(float(info.smallest_subnormal)) + 0.1)
    assert _apply(_exp, np.array([subnormal], dtype=kind))[0] == info.smallest_subnormal
    assert _apply(_exp, np.array([subnormal - 1], dtype=kind))[0] == 0


@pytest.mark.parametrize("kind", FLOATS)
def test_tanh_at_special_values(kind):
    tiny = np.finfo(kind).smallest_subnormal
    big = np.finfo(kind).max
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny, big, -big], dtype=kind)
    expected = np.array([0.0, -0.0, 1, -1, np.nan, tiny, -tiny, 1, -1], dtype=kind)
    got = _apply(_tanh, x)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.signbit(got[:2]), [False, True])


@settings(max_examples=200, deadline=None)
@given(st.floats(width=64, allow_nan=False), st.floats(width=64, allow_nan=False))
def test_exp_and_tanh_never_decrease(a, b):
    low, high = sorted((a, b))
    pair = np.array([low, high])
    # Monotone up to the error of 1 ulp on either side.
    for compiled in (_exp, _tanh):
        got = _apply(compiled, pair)
        slack = 2 * np.spacing(np.abs(got[1])) if np.isfinite(got[1]) else 0.0
        assert got[0] <= got[1] + slack


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 63), st.floats(-3, 3))
def test_whole_power_is_repeated_multiplication(exponent, base):
    got = _apply(_whole_power, np.array([base]), float(exponent))[0]
    with np.errstate(over="ignore", under="ignore"):
        expected = np.power(base, exponent)
    # At most 2 log2(63) roundings, each magnified by at most the exponent left.
    np.testing.assert_allclose(got, expected, rtol=64 * np.finfo(float).eps, atol=1e-300)


@pytest.mark.parametrize("kind", FLOATS)
def test_powers_at_special_values(kind):
    x = np.array([0.0, -2.0, np.nan, np.inf], dtype=kind)
    np.testing.assert_array_equal(_apply(_whole_power, x, kind(0)), np.ones(4, kind))
    np.testing.assert_array_equal(_apply(_whole_power, x, kind(3)), [0.0, -8.0, np.nan, np.inf])
    np.testing.assert_array_equal(_apply(_real_power, x, kind(0.5)), [0.0, np.nan, np.nan, np.inf])


@pytest.mark.parametrize("kind", FLOATS)
def test_loops_over_exp_are_vectorised(kind):
    """Several elements in one instruction: packed multiply-adds (or multiplications) in the code."""
    suffix = "pd" if kind is np.float64 else "ps"
    for compiled in (_exp, _sin_pi, _log1p_nonnegative):
        _apply(compiled, np.zeros(4, dtype=kind))
        found = compiled.inspect_asm().items()
        code = "".join(text for signature, text in found if kind.__name__ in str(signature[0]))
        if "xmm" not in code:
            pytest.skip("the mnemonics of this processor are not x86's")
        assert f"vfmadd213{suffix}" in code or f"mul{suffix}" in code


def test_python_versions_agree_with_the_mathematics():
    assert elementary.exp(1.0) == math.exp(1.0)
    assert elementary.exp(1e4) == math.inf
    assert elementary.exp_nonpositive(-1.0) == math.exp(-1.0)
    assert elementary.tanh(0.5) == math.tanh(0.5)
    assert elementary.whole_power(2.0, 3.0) == 8.0
    assert elementary.sin_pi(0.25) == pytest.approx(math.sqrt(0.5), rel=1e-15)
    assert elementary.log1p_nonnegative(1e-20) == 1e-20
    assert elementary.sqrt(2.25) == 1.5
    assert elementary.finite(math.inf) == np.finfo(float).max
    assert math.isnan(elementary.real_power(-2.0, 0.5))
    assert elementary.real_power(-2.0, 2.0) == 4.0

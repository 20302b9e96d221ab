"""Smooth functions against 60 digits, over the whole range, and at special values."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from fastkb.runtime import jit
from fastkb.runtime.cpu import cpu
from fastkb.scalar import smooth

FLOATS = [np.float32, np.float64]
ULP = 2 if cpu().has_fma else 3


def _loop_over(function):
    @jit(cache=False)
    def loop(x, out):
        for i in range(len(x)):
            out[i] = function(x[i])

    return loop


def _normal(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


EXACT = {
    "expm1_nonpositive": mpmath.expm1,
    "log_from_one": mpmath.log,
    "log": mpmath.log,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "gelu": lambda x: x * _normal(x),
    "gelu_derivative": lambda x: _normal(x) + x * mpmath.npdf(x),
}
COMPILED = {name: _loop_over(getattr(smooth, name)) for name in EXACT}
ACCURATE = [name for name in EXACT if name != "gelu_derivative"]
# Below these the result is a subnormal number or, soon, zero.
UNDERFLOW = {np.float32: {"gelu": -14.5}, np.float64: {"gelu": -38.6}}
LOWEST = {np.float32: -104.0, np.float64: -746.0}


def _apply(name, x):
    out = np.full_like(x, np.nan)
    COMPILED[name](x, out)
    return out


def _within(name, x):
    """Arguments that the function is made for."""
    if name == "expm1_nonpositive":
        return -np.abs(x)
    if name == "log":
        return np.where(x == 0, np.ones_like(x), np.abs(x))
    return 1 + np.abs(x) if name == "log_from_one" else x


def _exact(name, x):
    with mpmath.workdps(60):
        return [EXACT[name](mpmath.mpf(float(value))) for value in x]


def _errors_in_ulp(got, exact):
    """|got - exact| in units of the last place of the exact result; exact: multiprecision numbers."""
    with mpmath.workdps(60):
        return np.array(
            [
                float(abs(float(g) - e) / float(np.spacing(got.dtype.type(abs(float(e))))))
                for g, e in zip(got, exact, strict=True)
            ]
        )


def _arguments(kind, lowest, highest, count=300):
    """Uniform over the range and near its ends, and of all sizes."""
    generator = np.random.default_rng(0)
    edges = [(lowest, highest), (-6, 6), (-1, 1), (lowest, 0.97 * lowest)]
    parts = [generator.uniform(*edge, count) for edge in edges]
    smallest = np.log2(float(np.finfo(kind).smallest_normal))
    sizes = 2 ** generator.uniform(smallest, np.log2(-lowest), 2 * count)
    return np.concatenate([*parts, sizes, -sizes]).astype(kind)


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", ACCURATE)
def test_within_two_ulp(name, kind):
    lowest = UNDERFLOW[kind].get(name, LOWEST[kind])
    x = _within(name, _arguments(kind, lowest, -lowest))
    assert _errors_in_ulp(_apply(name, x), _exact(name, x)).max() <= ULP


@pytest.mark.parametrize("kind", FLOATS)
def test_derivative_of_gelu_is_within_two_ulp_of_one(kind):
    lowest = UNDERFLOW[kind]["gelu"]
    x = _arguments(kind, lowest, -lowest)
    x = np.concatenate([x, np.linspace(-0.76, -0.74, 500, dtype=kind)])  # it vanishes in there
    got, exact = _apply("gelu_derivative", x), _exact("gelu_derivative", x)
    errors = [abs(float(g) - e) for g, e in zip(got, exact, strict=True)]
    assert max(errors) <= 2 * np.finfo(kind).eps
    # Where it is small because both of its terms are, no digit is lost.
    tail = x < -2
    few = [e for e, far in zip(exact, tail, strict=True) if far]
    assert _errors_in_ulp(got[tail], few).max() <= 4


IN_FLOAT64 = {
    "expm1_nonpositive": np.expm1,
    "log_from_one": np.log,
    "log": np.log,
    "sigmoid": special.expit,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "gelu": lambda x: x * special.ndtr(x),
}


@pytest.mark.parametrize("name", ACCURATE)
def test_float32_on_a_dense_grid(name):
    """One float in 4,000 of all sizes, evenly: their bits are counted through."""
    bits = np.arange(0, np.float32(110).view(np.uint32), 3989, dtype=np.uint32)
    x = bits.view(np.float32)
    x = _within(name, np.concatenate([x, -x]))
    with np.errstate(under="ignore"):
        exact = IN_FLOAT64[name](x.astype(np.float64))
        spacing = np.spacing(np.abs(exact).astype(np.float32))
    errors = np.abs(_apply(name, x).astype(np.float64) - exact) / spacing
    assert errors.max() <= ULP


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", ACCURATE)
def test_any_number(name, kind):
    reach = 2.0**100  # what lies beyond is tested below

    @settings(max_examples=150)
    @given(st.floats(-reach, reach, width=np.finfo(kind).bits))
    def check(value):
        x = _within(name, np.array([value], kind))
        assert _errors_in_ulp(_apply(name, x), _exact(name, x)).max() <= ULP

    check()


# At 0, -0, ∞, -∞, NaN, the smallest and the largest number of either sign.
SPECIAL = {
    "sigmoid": lambda tiny, big: [0.5, 0.5, 1, 0, np.nan, 0.5, 0.5, 1, 0],
    "softplus": lambda tiny, big: [
        *[math.log(2)] * 2,
        np.inf,
        0,
        np.nan,
        *[math.log(2)] * 2,
        big,
        0,
    ],
    "gelu": lambda tiny, big: [0, -0.0, np.inf, -0.0, np.nan, tiny / 2, -tiny / 2, big, -0.0],
    "gelu_derivative": lambda tiny, big: [0.5, 0.5, 1, 0, np.nan, 0.5, 0.5, 1, 0],
}


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name, kind):
    info = np.finfo(kind)
    tiny, big = info.smallest_normal, info.max  # (half of it is subnormal)
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny, big, -big], dtype=kind)
    got, expected = _apply(name, x), np.array(SPECIAL[name](tiny, big), kind)
    np.testing.assert_allclose(got, expected, rtol=2 * info.eps)
    exactly = ~np.isin(expected, [0.5, expected[0]]) | (expected == 0)
    np.testing.assert_array_equal(got[exactly], expected[exactly])
    if name == "gelu":
        np.testing.assert_array_equal(np.signbit(got[:4]), [False, True, False, True])


@pytest.mark.parametrize("kind", FLOATS)
def test_expm1_at_special_values(kind):
    info = np.finfo(kind)
    tiny = info.smallest_subnormal
    x = np.array([0.0, -0.0, -np.inf, np.nan, -tiny, info.min, -40, -50], dtype=kind)
    got = _apply("expm1_nonpositive", x)
    np.testing.assert_array_equal(got, np.array([0, 0, -1, np.nan, -tiny, -1, -1, -1], kind))
    np.testing.assert_array_equal(np.signbit(got[:2]), [False, True])


@pytest.mark.parametrize("kind", FLOATS)
def test_log_at_special_values_and_of_all_sizes(kind):
    largest = np.finfo(kind).max
    x = np.array([1, np.inf, np.nan, largest, np.nextafter(kind(2), kind(0))], kind)
    np.testing.assert_array_equal(_apply("log_from_one", x)[:3], [0, np.inf, np.nan])
    sizes = 2 ** np.random.default_rng(0).uniform(0, np.log2(float(largest)), 500)
    x = np.concatenate([x[3:], np.maximum(sizes, 1).astype(kind), kind(2) ** np.arange(100)])
    errors = _errors_in_ulp(_apply("log_from_one", x), _exact("log_from_one", x))
    assert errors.max() <= ULP


@pytest.mark.parametrize("kind", FLOATS)
def test_log_of_any_number(kind):
    """Around one, where it vanishes; where it is cut; of subnormal numbers; and of what has none."""
    info = np.finfo(kind)
    special = np.array([0, -0.0, np.inf, np.nan, -1, -np.inf, -info.smallest_subnormal, 1], kind)
    expected = [-np.inf, -np.inf, np.inf, *[np.nan] * 4, 0]
    np.testing.assert_array_equal(_apply("log", special), np.array(expected, kind))
    rng = np.random.default_rng(0)
    near = [
        centre * (1 + 0.01 * rng.standard_normal(300)) for centre in (0.5, 2**-0.5, 1, 2**0.5, 2)
    ]
    closer = 1 + info.eps * np.arange(-20, 21)
    sizes = 2 ** rng.uniform(np.log2(float(info.smallest_subnormal)), np.log2(float(info.max)), 600)
    x = np.concatenate([*near, closer, sizes]).astype(kind)
    x = np.concatenate([x[(x > 0) & (x != 1)], np.array([info.smallest_subnormal, info.max], kind)])
    assert _errors_in_ulp(_apply("log", x), _exact("log", x)).max() <= ULP


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", EXACT)
def test_nan_is_passed_on(name, kind):
    x = _within(name, np.linspace(-3, 0, 40).astype(kind))
    x[17] = np.nan
    np.testing.assert_array_equal(np.isnan(_apply(name, x)), np.isnan(x))


@settings(max_examples=200)
@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_sigmoid_and_softplus_never_decrease(a, b):
    pair = np.array(sorted((a, b)))
    for name in ("sigmoid", "softplus"):
        got = _apply(name, pair)
        assert got[0] <= got[1] + 2 * ULP * np.spacing(got[1])


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", EXACT)
def test_loops_are_vectorised(name, kind):
    """Several elements in one instruction: packed multiply-adds (or multiplications) in the code."""
    _apply(name, np.zeros(4, dtype=kind))
    suffix = "pd" if kind is np.float64 else "ps"
    code = "".join(
        text
        for signature, text in COMPILED[name].inspect_asm().items()
        if kind.__name__ in str(signature[0])
    )
    if "xmm" not in code:
        pytest.skip("the mnemonics of this processor are not x86's")
    assert f"vfmadd213{suffix}" in code or f"mul{suffix}" in code


@pytest.mark.parametrize("name", EXACT)
def test_python_versions_agree_with_the_mathematics(name):
    function = getattr(smooth, name)
    for x in (-30.0, -2.5, -0.3, 0.0, 0.7, 4.0):
        x = float(_within(name, x))
        (exact,) = _exact(name, [x])
        assert function(x) == pytest.approx(float(exact), rel=1e-12, abs=1e-15)
    assert math.isnan(function(math.nan))


def test_python_versions_at_infinity():
    infinities = (math.inf, -math.inf)
    assert [smooth.sigmoid(x) for x in infinities] == [1, 0]
    assert [smooth.softplus(x) for x in infinities] == [math.inf, 0]
    assert [smooth.gelu(x) for x in infinities] == [math.inf, 0]
    assert [smooth.gelu_derivative(x) for x in infinities] == [1, 0]
    assert smooth.expm1_nonpositive(-math.inf) == -1
    assert [smooth.log(x) for x in (math.inf, 0.0)] == [math.inf, -math.inf]
    assert math.isnan(smooth.log(-1.0))

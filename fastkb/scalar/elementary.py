"""Elementary functions that vectorise inline: exp, tanh, sin(πx) and log(1 + x), at most 2 ulp over their
whole range.

llvmlite ships no vector mathematics library, so ``math.exp`` in a loop is a scalar call of 6 to 9 ns
an element; the straight-line code below is 0.3 (AVX-512) to 1.2 ns (AVX2) once LLVM has widened the
loop around it. To that end it has no branch, no table and no conversion between floats and integers
(AVX2 cannot convert to 64-bit integers): the rounding to an integer adds 1.5·2⁵², which leaves the
integer in the low bits of the sum.

In Python these functions are :mod:`math`'s. Compiled for the CPU they are the polynomials here;
compiled for CUDA the device's own (see :mod:`fastkb.scalar.source`). The polynomials are minimax
in the relative error of the result (Remez exchange in 60 digits).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from fastkb.runtime.jit import FASTMATH, inline
from fastkb.scalar.bits import (
    copysign,
    exponent,
    fma,
    polynomial,
    power_of_two,
    rint,
    significand,
)


def exp(x: float) -> float:
    """eˣ, at most 1 ulp from the truth; subnormal results are kept, NaN is passed on."""
    return math.exp(x) if x < 709.79 else math.inf


def exp_nonpositive(x: float) -> float:
    """:func:`exp` for x ≤ 0 alone, and faster."""
    return math.exp(x)


def tanh(x: float) -> float:
    """(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ), at most 2 ulp from the truth; NaN is passed on."""
    return math.tanh(x)


def sin_pi(x: float) -> float:
    """sin(πx), exactly 0 for whole x; NaN is passed on, and given for infinity."""
    r = math.remainder(x, 2.0) if math.isfinite(x) else math.nan
    return math.sin(math.pi * (math.copysign(1.0, r) - r if abs(r) > 0.5 else r))


def log1p_nonnegative(x: float) -> float:
    """log(1 + x) for x ≥ 0 that is finite."""
    return math.log1p(x)


def finite(x: float) -> float:
    """x ≥ 0, or the largest number where it is infinite."""
    return min(x, sys.float_info.max)


def sqrt(x: float) -> float:
    """√x for x ≥ 0, rounded once."""
    return math.sqrt(x)


# One table per type. ln 2 = high + low, where k·high is exact for every k that occurs; exp(lowest)
# rounds to zero and exp(highest) to infinity; 2^(k ± shift) is a normal number for every such k.
_EXP: dict[Any, dict[str, Any]] = {
    np.float64: {
        "magic": 1.5 * 2**52,
        "ln2": ("0x1.62e42fefa3000p-1", "0x1.3de6af278ece6p-42"),
        "range": (-746.0, 710.0),
        "shift": 128,
        "q": polynomial(
            0.500000000000000918, 0.166666666666664219, 0.0416666666665402526,
            0.0083333333334921666, 0.00138888889413317751, 0.000198412695061858948,
            0.0000248014952138583307, 2.75575900937073208e-6, 2.76295672225892645e-7,
            2.49981058181471304e-8,
        ),
    },
    np.float32: {
        "magic": 1.5 * 2**23,
        "ln2": ("0x1.62e4p-1", "0x1.7f7d1cp-20"),
        "range": (-104.0, 89.0),
        "shift": 64,
        "q": polynomial(
            0.49999993632313063, 0.166665219062976473, 0.0416683636703497402,
            0.00836860491744500849, 0.00138152678147767253,
        ),
    },
}  # fmt: skip


# The polynomial p of _make_log1p, on [0, 1/9].
_LOG1P: dict[Any, Any] = {
    np.float64: polynomial(
        0.666666666666664223, 0.400000000001226697, 0.285714285515705903, 0.222222237661851983,
        0.181817503856571379, 0.153864340114734844, 0.133025031696596758, 0.120947920403466505,
        0.0838649036375396469, 0.169372847643442226,
    ),
    np.float32: polynomial(
        0.666664291994333631, 0.400209244957856612, 0.280102847299068029, 0.279748693693950098,
    ),
}  # fmt: skip

# π = high + low; and (sin(πr)/r - π) / r² = first + r²·p(r²), for |r| ≤ 1/2.
_SIN_PI: dict[Any, dict[str, Any]] = {
    np.float64: {
        "pi": ("0x1.921fb54442d18p+1", "0x1.1a62633145c07p-53"),
        "first": -5.16771278004996969,
        "p": polynomial(
            2.5501640398773029, -0.599264529318961103, 0.0821458865728275403,
            -0.00737043050068885065, 0.000466299782137956919, -0.0000219033965664059508,
            7.6966953765421794e-7,
        ),
    },
    np.float32: {
        "pi": ("0x1.921fb6p+1", "-0x1.777a5cp-24"),
        "first": -5.16771057356521638,
        "p": polynomial(2.55008230586072248, -0.598308094615226379, 0.0776759734459047985),
    },
}  # fmt: skip


def whole_power(x: float, exponent: float) -> float:
    """x to a whole power from 0 to 63, by repeated multiplication; 0⁰ is 1."""
    return x ** int(exponent)


def real_power(x: float, exponent: float) -> float:
    """x to any real power, by the C library; a negative x to a fractional power is NaN."""
    return math.pow(x, exponent) if x >= 0 or exponent == int(exponent) else math.nan


def _make_exp(kind: type) -> Callable:
    """eˣ = 2ᵏ·eʳ with k = round(x / ln 2) and |r| ≤ ln 2 / 2;  eʳ = 1 + r + r²·q(r)."""
    table = _EXP[kind]
    ZERO, HIGHEST = kind(0), kind(table["range"][1])
    # MAGIC + shift or MAGIC - shift, and what undoes it: see the end of _make_exp_nonpositive.
    FALL, RISE = kind(2.0 ** -table["shift"]), kind(2.0 ** table["shift"])
    RAISED, LOWERED = kind(table["magic"] + table["shift"]), kind(table["magic"] - table["shift"])
    reduce = _make_reduction(kind)

    def implementation(x):
        k, e_r = reduce(HIGHEST if x > HIGHEST else x)
        negative = k < ZERO
        power = power_of_two(k + (RAISED if negative else LOWERED))
        return e_r * power * (FALL if negative else RISE)

    return implementation


def _make_exp_nonpositive(kind: type) -> Callable:
    """exp without what only a positive argument needs: a sixth of the instructions."""
    table = _EXP[kind]
    RAISED, FALL = kind(table["magic"] + table["shift"]), kind(2.0 ** -table["shift"])
    reduce = _make_reduction(kind)

    def implementation(x):
        k, e_r = reduce(x)
        # 2ᵏ in two factors, the first a normal number: a subnormal result then comes from the last
        # multiplication alone, and is rounded once.
        return e_r * power_of_two(k + RAISED) * FALL

    return implementation


def _make_reduction(kind: type) -> Callable:
    """k and eʳ of the two functions above."""
    table = _EXP[kind]
    ONE, MAGIC, LOG2E = kind(1), kind(table["magic"]), kind(1 / math.log(2))
    LN2_HIGH, LN2_LOW = (kind(float.fromhex(digits)) for digits in table["ln2"])
    LOWEST = kind(table["range"][0])
    q = table["q"]

    @inline
    def reduction(x):
        x = LOWEST if x < LOWEST else x  # NaN fails the comparison and is passed on
        k = fma(x, LOG2E, MAGIC) - MAGIC
        r = fma(-k, LN2_LOW, fma(-k, LN2_HIGH, x))
        return k, ONE + fma(r * r, q(r), r)

    return reduction


def _make_tanh(kind: type) -> Callable:
    """tanh x = ±u / (u + 2) with u = e^{2|x|} - 1 = (2ᵏ - 1) + 2ᵏ·(eʳ - 1), exact near 0 too.

    Where k is large, an error of u hardly moves the quotient: ln 2 in one part will do.
    """
    table = _EXP[kind]
    ONE, TWO, MAGIC, LOG2E = kind(1), kind(2), kind(table["magic"]), kind(1 / math.log(2))
    LN2, HIGHEST = kind(math.log(2)), kind(40)  # tanh 20 is 1 in either type
    q = table["q"]

    def implementation(x):
        t = TWO * abs(x)
        t = HIGHEST if t > HIGHEST else t  # NaN fails the comparison and is passed on
        shifted = fma(t, LOG2E, MAGIC)
        r = fma(MAGIC - shifted, LN2, t)
        power = power_of_two(shifted)
        u = fma(power, fma(r * r, q(r), r), power - ONE)
        # One step of iterative refinement saves the roundings of u + 2 and of the quotient.
        below = u + TWO
        inverse = ONE / below
        quotient = u * inverse
        left = fma(-quotient, u - (below - TWO), fma(-quotient, below, u))
        return copysign(fma(left, inverse, quotient), x)

    return implementation


def _make_sin_pi(kind: type) -> Callable:
    """sin(πr) with r = x - 2·round(x/2), reflected at ±1/2: both differences are exact.

    sin(πr) = πr + r³·(first + r²·p(r²)), where π has all its digits, and so has r² with what its
    rounding left.
    """
    table = _SIN_PI[kind]
    HALF, ONE, TWO, FIRST = kind(0.5), kind(1), kind(2), kind(table["first"])
    PI_HIGH, PI_LOW = (kind(float.fromhex(digits)) for digits in table["pi"])
    p = table["p"]

    def implementation(x):
        r = x - TWO * rint(HALF * x)
        r = copysign(ONE, r) - r if abs(r) > HALF else r  # NaN fails the comparison
        square = r * r
        cube = r * square
        small = r * fma(fma(r, r, -square), FIRST, PI_LOW)
        return fma(r, PI_HIGH, fma(cube, FIRST, fma(cube, square * p(square), small)))

    return implementation


def _make_log1p(kind: type) -> Callable:
    """log(1 + z) = 2 artanh(s) = z - s·(z - s²·p(s²)) for 0 ≤ z ≤ 1, with s = z / (2 + z) ≤ 1/3.

    As z itself is the leading term, the errors of s count a third.
    """
    TWO = kind(2)
    p = _LOG1P[kind]

    @inline
    def log1p(z):
        s = z / (TWO + z)
        square = s * s
        return fma(-s, fma(-square, p(square), z), z)

    return log1p


def _make_log1p_nonnegative(kind: type) -> Callable:
    """log u + (1 + x - u)/u for u = 1 + x rounded; u = m·2ᵏ with 1 ≤ m < 2, so no term of
    k·log 2 + log m is negative.
    """
    LN2_HIGH, LN2_LOW = (kind(float.fromhex(digits)) for digits in _EXP[kind]["ln2"])
    ONE = kind(1)
    log1p = _make_log1p(kind)

    def implementation(x):
        u = ONE + x
        left = x - (u - ONE) if x < ONE else ONE - (u - x)
        k = exponent(u)
        return fma(k, LN2_HIGH, fma(k, LN2_LOW, log1p(significand(u) - ONE) + left / u))

    return implementation


def _make_finite(kind: type) -> Callable:
    LARGEST = kind(np.finfo(kind).max)

    def implementation(x):
        return LARGEST if x > LARGEST else x

    return implementation


def _make_sqrt(kind: type) -> Callable:
    def implementation(x):
        return math.sqrt(x)

    return implementation


def _make_whole_power(kind: type) -> Callable:
    """Squarings with a selection instead of a branch: the same six rounds for every exponent."""
    ONE = kind(1)

    def implementation(x, exponent):
        remaining = int(exponent)
        result = ONE
        square = x
        for _ in range(6):
            result = result * square if remaining & 1 else result
            square = square * square
            remaining >>= 1
        return result

    return implementation


def _make_real_power(kind: type) -> Callable:
    def implementation(x, exponent):
        return x**exponent

    return implementation


def _by_type(make: Callable) -> Callable:
    kinds = {types.float64: np.float64, types.float32: np.float32}

    # Numba wants the argument names of the implementation, and no annotations.
    def of_one(x):
        return make(kinds[x]) if x in kinds else None

    def of_two(x, exponent):
        return make(kinds[x]) if x in kinds else None

    return of_two if "power" in make.__name__ else of_one


_OPTIONS = {"fastmath": set(FASTMATH), "error_model": "numpy"}
overload(exp, jit_options=_OPTIONS)(_by_type(_make_exp))
overload(exp_nonpositive, jit_options=_OPTIONS)(_by_type(_make_exp_nonpositive))
overload(tanh, jit_options=_OPTIONS)(_by_type(_make_tanh))
overload(sin_pi, jit_options=_OPTIONS)(_by_type(_make_sin_pi))
overload(log1p_nonnegative, jit_options=_OPTIONS)(_by_type(_make_log1p_nonnegative))
overload(finite, jit_options=_OPTIONS)(_by_type(_make_finite))
overload(sqrt, jit_options=_OPTIONS)(_by_type(_make_sqrt))
overload(whole_power, jit_options=_OPTIONS)(_by_type(_make_whole_power))
overload(real_power, jit_options=_OPTIONS)(_by_type(_make_real_power))

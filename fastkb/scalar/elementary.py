"""Elementary functions that vectorise inline: exp and tanh, at most 2 ulp over their whole range.

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
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from fastkb.runtime.jit import FASTMATH, inline
from fastkb.scalar.bits import copysign, fma, polynomial, power_of_two


def exp(x: float) -> float:
    """eˣ, at most 1 ulp from the truth; subnormal results are kept, NaN is passed on."""
    return math.exp(x) if x < 709.79 else math.inf


def exp_nonpositive(x: float) -> float:
    """:func:`exp` for x ≤ 0 alone, and faster."""
    return math.exp(x)


def tanh(x: float) -> float:
    """(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ), at most 2 ulp from the truth; NaN is passed on."""
    return math.tanh(x)


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
overload(whole_power, jit_options=_OPTIONS)(_by_type(_make_whole_power))
overload(real_power, jit_options=_OPTIONS)(_by_type(_make_real_power))

"""Scalar instructions that Numba's language lacks, for floats of either size."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastkb.runtime.cpu import cpu


def call_llvm(builder: Any, name: str, kind: Any, arguments: list) -> Any:
    """Call the LLVM intrinsic `name` on floats or vectors of floats of type `kind`.

    Declared by its mangled name, because llvmlite's ``declare_intrinsic`` refuses vector types.
    """
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    letter = "f64" if element == ir.DoubleType() else "f32"
    suffix = f"v{kind.count}{letter}" if isinstance(kind, ir.VectorType) else letter
    signature = ir.FunctionType(kind, [kind] * len(arguments))
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.{suffix}")
    return builder.call(function, arguments)


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c with one rounding where the processor can: elsewhere ``llvm.fma`` is a library call."""
    if not cpu().has_fma:
        return builder.fadd(builder.fmul(a, b), c)
    return call_llvm(builder, "fma", a.type, [a, b, c])


def _layout(kind: Any) -> tuple[int, int, int]:
    """Bits of a float, of its mantissa, and the exponent's bias."""
    return (64, 52, 1023) if kind == types.float64 else (32, 23, 127)


@intrinsic
def fma(typing_context, a, b, c):
    """a·b + c of three floats of one type."""

    def codegen(context, builder, signature, arguments):
        return multiply_add(builder, *arguments)

    return a(a, a, a), codegen


@intrinsic
def rint(typing_context, x):
    """The nearest whole number, of two equally near the even one."""

    def codegen(context, builder, signature, arguments):
        return call_llvm(builder, "rint", arguments[0].type, list(arguments))

    return x(x), codegen


@intrinsic
def power_of_two(typing_context, shifted):
    """2ᵏ, given k + 1.5·2⁵² (float32: k + 1.5·2²³) for an integer k of the normal range.

    The low bits of that sum are k in two's complement: with the bias added and moved to the exponent
    field they are 2ᵏ. (In Numba's own language the 32-bit sum would be widened to 64 bits.)
    """
    bits, mantissa, bias = _layout(shifted)

    def codegen(context, builder, signature, arguments):
        integer = ir.IntType(bits)
        exponent = builder.add(builder.bitcast(arguments[0], integer), integer(bias))
        raised = builder.shl(exponent, integer(mantissa))
        return builder.bitcast(raised, context.get_value_type(shifted))

    return shifted(shifted), codegen


@intrinsic
def exponent(typing_context, x):
    """k of x = m·2ᵏ with 1 ≤ m < 2, as a float; x is positive and normal.

    The exponent field in the low bits of 2⁵² (float32: 2²³) adds itself to that number. (A conversion of
    64-bit integers is no vector instruction before AVX-512.)
    """
    bits, mantissa, bias = _layout(x)
    large = float(2**mantissa)

    def codegen(context, builder, signature, arguments):
        integer, kind = ir.IntType(bits), context.get_value_type(x)
        field = builder.lshr(builder.bitcast(arguments[0], integer), integer(mantissa))
        raised = builder.or_(field, integer((mantissa + bias) << mantissa))
        return builder.fsub(builder.bitcast(raised, kind), ir.Constant(kind, large + bias))

    return x(x), codegen


@intrinsic
def significand(typing_context, x):
    """m of x = m·2ᵏ with 1 ≤ m < 2; x is positive and normal."""
    bits, mantissa, bias = _layout(x)

    def codegen(context, builder, signature, arguments):
        integer = ir.IntType(bits)
        field = builder.and_(builder.bitcast(arguments[0], integer), integer(2**mantissa - 1))
        raised = builder.or_(field, integer(bias << mantissa))
        return builder.bitcast(raised, context.get_value_type(x))

    return x(x), codegen


@intrinsic
def copysign(typing_context, size, sign):
    """`size` with the sign of `sign`, which may be that of a zero."""

    def codegen(context, builder, signature, arguments):
        return call_llvm(builder, "copysign", arguments[0].type, list(arguments))

    return size(size, size), codegen


def polynomial(*coefficients: float) -> Any:
    """A compiled function of x: c₀ + c₁x + c₂x² + …, as even(x²) + x·odd(x²).

    Two chains of multiply-adds of half the length: a loop around Horner's single chain waits for its
    latency (exp on AVX-512: 0.56 ns an element with one chain, 0.42 with two).
    """

    def evaluate(typing_context, x):
        def codegen(context, builder, signature, arguments):
            kind = context.get_value_type(x)

            def horner(chain, variable):
                value = ir.Constant(kind, chain[-1])
                for coefficient in reversed(chain[:-1]):
                    value = multiply_add(builder, value, variable, ir.Constant(kind, coefficient))
                return value

            square = builder.fmul(arguments[0], arguments[0])
            even, odd = horner(coefficients[0::2], square), horner(coefficients[1::2], square)
            return multiply_add(builder, odd, arguments[0], even)

        return x(x), codegen

    return intrinsic(evaluate)


def _choice(name: str, relation: str, doc: str) -> Any:
    def typer(typing_context, a, b):
        def codegen(context, builder, signature, arguments):
            one, other = arguments
            flags = ("nnan", "nsz")
            first = builder.fcmp_ordered(relation, one, other, flags=flags)
            return builder.select(first, one, other, flags=flags)

        return a(a, a), codegen

    typer.__name__ = name
    typer.__doc__ = doc
    return intrinsic(typer)


lesser = _choice(
    "lesser",
    "<",
    """The lesser of two floats of a type, neither of them NaN.

    Other than Python's ``min`` it lets the vector unit find the least of many numbers.
    """,
)
greater = _choice("greater", ">", """The greater of two floats; see :func:`lesser`.""")

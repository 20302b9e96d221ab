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


@intrinsic
def fma(typing_context, a, b, c):
    """a·b + c of three floats of one type."""

    def codegen(context, builder, signature, arguments):
        return multiply_add(builder, *arguments)

    return a(a, a, a), codegen


@intrinsic
def power_of_two(typing_context, shifted):
    """2ᵏ, given k + 1.5·2⁵² (float32: k + 1.5·2²³) for an integer k of the normal range.

    The low bits of that sum are k in two's complement: with the bias added and moved to the exponent
    field they are 2ᵏ. (In Numba's own language the 32-bit sum would be widened to 64 bits.)
    """
    bits, bias, mantissa = (64, 1023, 52) if shifted == types.float64 else (32, 127, 23)

    def codegen(context, builder, signature, arguments):
        integer = ir.IntType(bits)
        exponent = builder.add(builder.bitcast(arguments[0], integer), integer(bias))
        raised = builder.shl(exponent, integer(mantissa))
        return builder.bitcast(raised, context.get_value_type(shifted))

    return shifted(shifted), codegen


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

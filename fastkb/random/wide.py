"""Arithmetic with 128-bit integers, held as pairs of 64-bit words (high, low)."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_WIDE, _WORD = ir.IntType(128), ir.IntType(64)
_PAIR = types.UniTuple(types.uint64, 2)


def _join(builder: Any, high: Any, low: Any) -> Any:
    raised = builder.shl(builder.zext(high, _WIDE), _WIDE(64))
    return builder.or_(raised, builder.zext(low, _WIDE))


def _split(context: Any, builder: Any, value: Any) -> Any:
    high = builder.trunc(builder.lshr(value, _WIDE(64)), _WORD)
    return context.make_tuple(builder, _PAIR, [high, builder.trunc(value, _WORD)])


@intrinsic
def multiply_words(typing_context, a, b):
    """The 128-bit product of two 64-bit words."""

    def codegen(context, builder, signature, arguments):
        product = builder.mul(*(builder.zext(argument, _WIDE) for argument in arguments))
        return _split(context, builder, product)

    return _PAIR(types.uint64, types.uint64), codegen


@intrinsic
def multiply_add_wide(typing_context, a_high, a_low, b_high, b_low, c_high, c_low):
    """a·b + c modulo 2**128."""

    def codegen(context, builder, signature, arguments):
        a, b, c = (_join(builder, *arguments[i : i + 2]) for i in (0, 2, 4))
        return _split(context, builder, builder.add(builder.mul(a, b), c))

    return _PAIR(*[types.uint64] * 6), codegen

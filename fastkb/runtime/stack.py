"""Arrays on the stack of compiled code."""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_INDEX = ir.IntType(64)


@intrinsic(prefer_literal=True)
def stack_array(typing_context, length, like):
    """An uninitialised array of literal `length` on the stack, of the element type of `like`.

    It costs nothing to obtain inside a loop, and no two threads can share it.
    """
    array_type = types.Array(like.dtype, 1, "C")
    count = length.literal_value

    def codegen(context, builder, signature, arguments):
        element = context.get_data_type(array_type.dtype)
        itemsize = array_type.dtype.bitwidth // 8
        with builder.goto_entry_block():
            data = builder.alloca(ir.ArrayType(element, count))
            data.align = 64
        array = context.make_array(array_type)(context, builder)
        context.populate_array(
            array,
            data=builder.bitcast(data, element.as_pointer()),
            shape=[_INDEX(count)],
            strides=[_INDEX(itemsize)],
            itemsize=_INDEX(itemsize),
            meminfo=None,
        )
        return array._getvalue()

    return array_type(length, like), codegen

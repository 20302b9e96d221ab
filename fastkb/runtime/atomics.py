"""Atomic integers for threads that run the same compiled function, and how to wait for each other."""

from __future__ import annotations

import platform
import sys
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_INTEL = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
_POSIX = sys.platform != "win32"


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


@intrinsic
def atomic_add(typing_context, array, index, value):
    """Add to an element of a contiguous int64 array at once; what it was before."""

    def codegen(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments[:2])
        return builder.atomic_rmw("add", address, arguments[2], "acq_rel")

    return types.int64(array, types.intp, types.int64), codegen


@intrinsic
def atomic_load(typing_context, array, index):
    """An element, and with it all that was written before it was."""

    def codegen(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(address, "acquire", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def atomic_store(typing_context, array, index, value):
    """Write an element after all that was written before."""

    def codegen(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments[:2])
        builder.store_atomic(arguments[2], address, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), codegen


@intrinsic
def relax(typing_context):
    """Let the other thread of this core compute, for about ten nanoseconds."""

    def codegen(context, builder, signature, arguments):
        if _INTEL:
            kind = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
            builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def give_way(typing_context):
    """Let the operating system run another thread on this core, if one waits for it."""

    def codegen(context, builder, signature, arguments):
        if _POSIX:
            kind = ir.FunctionType(ir.IntType(32), [])
            name = "sched_yield"
            function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
            builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), codegen

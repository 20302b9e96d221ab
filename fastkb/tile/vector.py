"""Vector code that Numba's language cannot say, emitted as LLVM IR: loads, stores, transposition.

Everything here is an intrinsic over flat, packed arrays and offsets, or a part of one; nothing checks
bounds, so callers pad.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import default_manager
from numba.extending import intrinsic

from fastkb.scalar.bits import multiply_add
from fastkb.tile.blocking import blocking, network_blocking

_INDEX = ir.IntType(64)


def vector_type(array_type: types.Array) -> ir.VectorType:
    """The widest vector of an array's elements."""
    element = default_manager[array_type.dtype].get_data_type()
    return ir.VectorType(element, blocking(str(array_type.dtype)).width)


def data_of(context: Any, builder: Any, array_type: types.Array, array: Any) -> Any:
    """The address of an array's first element."""
    return context.make_array(array_type)(context, builder, array).data


def load_vector(builder: Any, data: Any, offset: Any, vector: ir.VectorType, align: int) -> Any:
    """The vector that begins at element `offset`; `align` in bytes."""
    pointer = builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())
    return builder.load(pointer, align=align)


def store_vector(builder: Any, value: Any, data: Any, offset: Any, align: int) -> Any:
    """Write a vector from element `offset` on."""
    pointer = builder.bitcast(builder.gep(data, [offset]), value.type.as_pointer())
    return builder.store(value, pointer, align=align)


def splat(builder: Any, scalar: Any, vector: ir.VectorType) -> Any:
    """The scalar in every lane."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, _INDEX(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)


@intrinsic
def dot_rows(
    typing_context, a, a_start, a_row, b, b_start, depth, base, base_place, c, c_start, c_row
):
    """c[i] = base + a[i, 0]·b[0] + a[i, 1]·b[1] + …  for the rows i of a network's micro-tile.

    Rows of a, and b, are contiguous; `depth` is a multiple of a vector's width. Element i of c stands at
    c_start + i·c_row. Each lane adds up every width-th term, then the lanes are added up pairwise.
    """
    size = network_blocking(str(c.dtype))
    vector = vector_type(c)
    align = c.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        a_data, b_data, base_data, c_data = (
            data_of(context, builder, signature.args[k], arguments[k]) for k in (0, 3, 6, 8)
        )
        b_start, depth = arguments[4], arguments[5]
        rows = [
            builder.add(arguments[1], builder.mul(arguments[2], _INDEX(i))) for i in range(size.mr)
        ]
        before = builder.block
        loop = builder.append_basic_block("dot_rows.loop")
        after = builder.append_basic_block("dot_rows.after")
        builder.branch(loop)

        builder.position_at_end(loop)
        step = builder.phi(_INDEX)
        step.add_incoming(_INDEX(0), before)
        sums = [builder.phi(vector) for _ in rows]
        column = load_vector(builder, b_data, builder.add(b_start, step), vector, align)
        for row, total in zip(rows, sums, strict=True):
            total.add_incoming(ir.Constant(vector, [0.0] * vector.count), before)
            terms = load_vector(builder, a_data, builder.add(row, step), vector, align)
            total.add_incoming(multiply_add(builder, terms, column, total), loop)
        following = builder.add(step, _INDEX(size.width))
        step.add_incoming(following, loop)
        results = [total.incomings[1][0] for total in sums]
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)

        builder.position_at_end(after)
        start = builder.load(builder.gep(base_data, [arguments[7]]))
        for i, result in enumerate(results):
            lanes = result
            half = vector.count // 2
            while half:  # the upper half onto the lower
                mask = [ir.IntType(32)(k + half if k < half else k) for k in range(vector.count)]
                kind = ir.VectorType(ir.IntType(32), vector.count)
                upper = builder.shuffle_vector(lanes, lanes, ir.Constant(kind, mask))
                lanes = builder.fadd(lanes, upper)
                half //= 2
            total = builder.fadd(start, builder.extract_element(lanes, _INDEX(0)))
            place = builder.add(arguments[9], builder.mul(arguments[10], _INDEX(i)))
            builder.store(total, builder.gep(c_data, [place]))
        return context.get_dummy_value()

    index = types.intp
    return (
        types.void(a, index, index, b, index, index, base, index, c, index, index),
        codegen,
    )


@intrinsic
def transpose_block(
    typing_context, source, source_offset, source_stride, target, target_offset, target_stride
):
    """target[j, i] = source[i, j] for one block of width x width elements, in registers.

    log2(width) rounds of pairwise shuffles; in the round of distance h, row i and row i + h exchange
    their off-diagonal blocks of h x h.
    """
    vector = vector_type(source)
    align = source.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        source_data = data_of(context, builder, source, arguments[0])
        target_data = data_of(context, builder, target, arguments[3])
        width = vector.count
        lane = ir.IntType(32)

        def offset(start, stride, i):
            return builder.add(start, builder.mul(stride, _INDEX(i)))

        rows = [
            load_vector(builder, source_data, offset(arguments[1], arguments[2], i), vector, align)
            for i in range(width)
        ]
        distance = width // 2
        while distance:
            upper = [k if not k & distance else k + width - distance for k in range(width)]
            lower = [k + distance if not k & distance else k + width for k in range(width)]
            masks = [
                ir.Constant(ir.VectorType(lane, width), [lane(k) for k in mask])
                for mask in (upper, lower)
            ]
            for i in range(width):
                if not i & distance:
                    one, other = rows[i], rows[i + distance]
                    rows[i] = builder.shuffle_vector(one, other, masks[0])
                    rows[i + distance] = builder.shuffle_vector(one, other, masks[1])
            distance //= 2
        for i, row in enumerate(rows):
            store_vector(builder, row, target_data, offset(arguments[4], arguments[5], i), align)
        return context.get_dummy_value()

    index = types.intp
    return types.void(source, index, index, target, index, index), codegen


def _make_write(name: str, streaming: bool, doc: str) -> Any:
    def typer(typing_context, source, offset, target, row, column):
        vector = vector_type(source)
        itemsize = source.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            data = data_of(context, builder, source, arguments[0])
            value = load_vector(builder, data, arguments[1], vector, itemsize)
            array = context.make_array(target)(context, builder, arguments[2])
            stride = cgutils.unpack_tuple(builder, array.strides)[0]
            distance = builder.add(
                builder.mul(arguments[3], stride), builder.mul(arguments[4], _INDEX(itemsize))
            )
            byte = ir.IntType(8).as_pointer()
            address = builder.gep(builder.bitcast(array.data, byte), [distance])
            pointer = builder.bitcast(address, vector.as_pointer())
            if streaming:
                written = builder.store(value, pointer, align=vector.count * itemsize)
                hint = builder.module.add_metadata([ir.IntType(32)(1)])
                written.set_metadata("nontemporal", hint)
            else:
                builder.store(value, pointer, align=itemsize)
            return context.get_dummy_value()

        index = types.intp
        return types.void(source, index, target, index, index), codegen

    typer.__name__ = name
    typer.__doc__ = doc
    return intrinsic(typer)


store = _make_write(
    "store",
    False,
    """target[row, column : column + width] = source[offset : offset + width].

    The target's last stride must be that of one element.
    """,
)
stream = _make_write(
    "stream",
    True,
    """:func:`store` past the caches; the target's address must be a multiple of the vector's size.

    A write that misses the caches would first read the line from memory. A non-temporal one does
    not, which halves the traffic of a result that is larger than the caches.
    """,
)


def constant(name: str, value: Callable[[str], int]) -> Any:
    """An intrinsic ``(like)``: a whole number that depends on the element type of `like`, a constant."""

    def typer(typing_context, like):
        number = value(str(like.dtype))

        def codegen(context, builder, signature, arguments):
            return _INDEX(number)

        return types.intp(like), codegen

    typer.__name__ = name
    return intrinsic(typer)


#: How many elements of the type of `like` a vector holds.
width = constant("width", lambda dtype: blocking(dtype).width)


@intrinsic
def fence(typing_context):
    """Make non-temporal stores visible to other threads before what follows."""

    def codegen(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen

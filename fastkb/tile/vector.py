"""Vector code that Numba's language cannot say, emitted as LLVM IR: the micro-kernel and its helpers.

Numba's loops over scalar accumulators are not vectorised (4 GF/s); the micro-kernel below keeps its
accumulators in vector registers and reaches the speed of an assembly BLAS. Everything here is an
intrinsic over flat, packed arrays and offsets; nothing checks bounds, so callers pad.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import default_manager
from numba.extending import intrinsic

from fastkb.scalar.bits import call_llvm, multiply_add
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


def _accumulate_dot(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return multiply_add(builder, a, b, c)


def _accumulate_sqdiff(builder: Any, a: Any, b: Any, c: Any) -> Any:
    difference = builder.fsub(a, b)
    return multiply_add(builder, difference, difference, c)


def _accumulate_absdiff(builder: Any, a: Any, b: Any, c: Any) -> Any:
    difference = builder.fsub(a, b)
    return builder.fadd(call_llvm(builder, "fabs", difference.type, [difference]), c)


def _make_micro_kernel(accumulate: Callable, name: str) -> Any:
    """An intrinsic ``(a, a_offset, b, b_offset, depth, c, c_offset, stride, first)``.

    For the micro-tile of `c` at `c_offset` (row stride `stride`):

        c[i, j] = (0 if first else c[i, j]) ⊕ a[0, i] ∘ b[0, j] ⊕ a[1, i] ∘ b[1, j] ⊕ …

    over `depth` columns of the packed panels a (depth, mr) and b (depth, nr), in this order: the
    rounding of an element does not depend on where in a tile it stands.
    """

    def typer(typing_context, a, a_offset, b, b_offset, depth, c, c_offset, stride, first):
        size = blocking(str(c.dtype))
        vector = vector_type(c)
        vectors = size.nr // size.width
        align = c.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            a_data = data_of(context, builder, a, arguments[0])
            b_data = data_of(context, builder, b, arguments[2])
            c_data = data_of(context, builder, c, arguments[5])
            a_start, b_start, depth, c_start, stride, first = (
                arguments[k] for k in (1, 3, 4, 6, 7, 8)
            )
            offsets = []
            for i in range(size.mr):
                row = builder.add(c_start, builder.mul(stride, _INDEX(i)))
                offsets += [builder.add(row, _INDEX(v * size.width)) for v in range(vectors)]

            # The accumulators start at zero, or where the last visit left them.
            before = builder.block
            resume = builder.append_basic_block(name + ".resume")
            loop = builder.append_basic_block(name + ".loop")
            after = builder.append_basic_block(name + ".after")
            builder.cbranch(builder.trunc(first, ir.IntType(1)), loop, resume)
            builder.position_at_end(resume)
            resumed = [load_vector(builder, c_data, offset, vector, align) for offset in offsets]
            builder.branch(loop)

            builder.position_at_end(loop)
            step = builder.phi(_INDEX)
            step.add_incoming(_INDEX(0), before)
            step.add_incoming(_INDEX(0), resume)
            accumulators = []
            for value in resumed:
                accumulator = builder.phi(vector)
                accumulator.add_incoming(ir.Constant(vector, [0.0] * vector.count), before)
                accumulator.add_incoming(value, resume)
                accumulators.append(accumulator)
            a_row = builder.add(a_start, builder.mul(step, _INDEX(size.mr)))
            b_row = builder.add(b_start, builder.mul(step, _INDEX(size.nr)))
            columns = [
                load_vector(
                    builder, b_data, builder.add(b_row, _INDEX(v * size.width)), vector, align
                )
                for v in range(vectors)
            ]
            results = []
            for i in range(size.mr):
                scalar = builder.load(builder.gep(a_data, [builder.add(a_row, _INDEX(i))]))
                row = splat(builder, scalar, vector)
                for v in range(vectors):
                    results.append(
                        accumulate(builder, row, columns[v], accumulators[i * vectors + v])
                    )
            following = builder.add(step, _INDEX(1))
            step.add_incoming(following, loop)
            for accumulator, result in zip(accumulators, results, strict=True):
                accumulator.add_incoming(result, loop)
            builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)

            builder.position_at_end(after)
            for result, offset in zip(results, offsets, strict=True):
                store_vector(builder, result, c_data, offset, align)
            return context.get_dummy_value()

        index = types.intp
        return (
            types.void(a, index, b, index, index, c, index, index, types.boolean),
            codegen,
        )

    typer.__name__ = name
    return intrinsic(typer)


dot = _make_micro_kernel(_accumulate_dot, "dot")
sqdiff = _make_micro_kernel(_accumulate_sqdiff, "sqdiff")
absdiff = _make_micro_kernel(_accumulate_absdiff, "absdiff")


def _make_strided_kernel(name: str, vectors: int = 2, share: float = 1.0) -> Any:
    """An intrinsic ``(a, a_start, a_row, a_step, b, b_start, b_step, depth, base, base_start, base_row,
    c, c_start, c_row)``, for matrices that are too small to be packed first.

        c[i, j] = base[i, j] + a[i, 0]·b[0, j] + a[i, 1]·b[1, j] + …      (depth terms, in this order)

    for the rows i of a network's micro-tile, or a share of them (0: one row), and the columns j of
    `vectors` vectors.
    Element [i, k] of a stands at a_start + i·a_row + k·a_step: a matrix or its transpose. Rows of b, base
    and c are contiguous, the next begins b_step, base_row and c_row later (base_row = 0: the same for
    all, as a bias is). base and c may be the same.
    """

    def typer(
        typing_context,
        a,
        a_start,
        a_row,
        a_step,
        b,
        b_start,
        b_step,
        depth,
        base,
        base_start,
        base_row,
        c,
        c_start,
        c_row,
    ):
        size = network_blocking(str(c.dtype))
        mr = max(1, int(share * size.mr))
        vector = vector_type(c)
        align = c.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            data = {
                k: data_of(context, builder, signature.args[k], arguments[k]) for k in (0, 4, 8, 11)
            }
            a_start, a_row, a_step, b_start, b_step, depth = (
                arguments[k] for k in (1, 2, 3, 5, 6, 7)
            )

            def places(start, row):
                for i in range(mr):
                    begin = builder.add(start, builder.mul(row, _INDEX(i)))
                    for v in range(vectors):
                        yield builder.add(begin, _INDEX(v * size.width))

            sums = [
                load_vector(builder, data[8], place, vector, align)
                for place in places(arguments[9], arguments[10])
            ]
            rows = [builder.add(a_start, builder.mul(a_row, _INDEX(i))) for i in range(mr)]
            before = builder.block
            check = builder.append_basic_block(name + ".check")
            loop = builder.append_basic_block(name + ".loop")
            after = builder.append_basic_block(name + ".after")
            builder.branch(check)

            builder.position_at_end(check)
            step = builder.phi(_INDEX)
            step.add_incoming(_INDEX(0), before)
            accumulators = []
            for value in sums:
                accumulator = builder.phi(vector)
                accumulator.add_incoming(value, before)
                accumulators.append(accumulator)
            builder.cbranch(builder.icmp_signed("<", step, depth), loop, after)

            builder.position_at_end(loop)
            b_row = builder.add(b_start, builder.mul(step, b_step))
            columns = [
                load_vector(
                    builder, data[4], builder.add(b_row, _INDEX(v * size.width)), vector, align
                )
                for v in range(vectors)
            ]
            column = builder.mul(step, a_step)
            results = []
            for i in range(mr):
                scalar = builder.load(builder.gep(data[0], [builder.add(rows[i], column)]))
                row = splat(builder, scalar, vector)
                for v in range(vectors):
                    results.append(
                        multiply_add(builder, row, columns[v], accumulators[i * vectors + v])
                    )
            step.add_incoming(builder.add(step, _INDEX(1)), loop)
            for accumulator, result in zip(accumulators, results, strict=True):
                accumulator.add_incoming(result, loop)
            builder.branch(check)

            builder.position_at_end(after)
            for value, place in zip(
                accumulators, places(arguments[12], arguments[13]), strict=True
            ):
                store_vector(builder, value, data[11], place, align)
            return context.get_dummy_value()

        index = types.intp
        return (
            types.void(
                a, index, index, index, b, index, index, index, base, index, index, c, index, index
            ),
            codegen,
        )

    typer.__name__ = name
    return intrinsic(typer)


multiply_wide = _make_strided_kernel("multiply_wide")
multiply_narrow = _make_strided_kernel("multiply_narrow", vectors=1)
multiply_half = _make_strided_kernel("multiply_half", share=0.5)
multiply_row = _make_strided_kernel("multiply_row", share=0.0)


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


@intrinsic
def width(typing_context, like):
    """How many elements of the type of `like` a vector holds, as a constant."""
    count = blocking(str(like.dtype)).width

    def codegen(context, builder, signature, arguments):
        return _INDEX(count)

    return types.intp(like), codegen


@intrinsic
def fence(typing_context):
    """Make non-temporal stores visible to other threads before what follows."""

    def codegen(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen

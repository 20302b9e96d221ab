"""The one builder of micro-kernels, which all products of the package run through.

Numba's loops over scalar accumulators are not vectorised (4 GF/s); a micro-kernel keeps its accumulators
in vector registers and reaches the speed of an assembly BLAS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastkb.scalar.bits import call_llvm, multiply_add
from fastkb.tile.vector import data_of, load_vector, splat, store_vector, vector_type

_INDEX = ir.IntType(64)


def _add_product(builder: Any, a: Any, b: Any, c: Any, weight: Callable) -> Any:
    """c + a·b"""
    return multiply_add(builder, a, b, c)


def _add_square(builder: Any, a: Any, b: Any, c: Any, weight: Callable) -> Any:
    """c + (a - b)²"""
    difference = builder.fsub(a, b)
    return multiply_add(builder, difference, difference, c)


def _add_size(builder: Any, a: Any, b: Any, c: Any, weight: Callable) -> Any:
    """c + |a - b|"""
    difference = builder.fsub(a, b)
    return builder.fadd(call_llvm(builder, "fabs", difference.type, [difference]), c)


def _add_weighted_square(builder: Any, a: Any, b: Any, c: Any, weight: Callable) -> Any:
    """c + (w (a - b))²"""
    difference = builder.fmul(builder.fsub(a, b), weight())
    return multiply_add(builder, difference, difference, c)


def _add_weighted_size(builder: Any, a: Any, b: Any, c: Any, weight: Callable) -> Any:
    """c + w |a - b|"""
    difference = builder.fsub(a, b)
    size = call_llvm(builder, "fabs", difference.type, [difference])
    return multiply_add(builder, size, weight(), c)


def micro_kernel(
    name: str, accumulate: Callable, sizes: Callable, *, vectors: int = 0, share: float = 1.0
) -> Any:
    """The one builder of micro-kernels: a micro-tile's sums, kept in vector registers.

    An intrinsic ``(a, a_start, a_row, a_step, b, b_start, b_step, depth, from_zero, base, base_start,
    base_row, c, c_start, c_row, weights, weights_start)``:

        c[i, j] = (0 if from_zero else base[i, j]) ⊕ a[i, 0] ∘ b[0, j] ⊕ a[i, 1] ∘ b[1, j] ⊕ …

    over `depth` terms in this order, for the rows i and columns j of one micro-tile: the rounding of an
    element does not depend on where in a tile it stands. Element [i, k] of a stands at
    a_start + i·a_row + k·a_step: a packed panel, a matrix or its transpose. Rows of b, base and c are
    contiguous, the next begins b_step, base_row and c_row later (base_row = 0: the same for all, as a
    bias is). base and c may be the same. Where strides are constants, LLVM folds them into addresses.

    Parameters
    ----------
    name : str
        Of the intrinsic.
    accumulate : callable
        Emits one ⊕ a ∘ b; called with the builder, the three vectors, and a function that gives the
        term's weight.
    sizes : callable
        :func:`~fastkb.tile.blocking.blocking` or :func:`~fastkb.tile.blocking.network_blocking`.
    vectors : int, default 0
        Of a row of the micro-tile; 0: as many as the blocking has.
    share : float, default 1.0
        Of the blocking's rows; 0 is one row.
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
        from_zero,
        base,
        base_start,
        base_row,
        c,
        c_start,
        c_row,
        weights,
        weights_start,
    ):
        size = sizes(str(c.dtype))
        rows = max(1, int(share * size.mr))
        across = vectors or size.nr // size.width
        vector = vector_type(c)
        align = c.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            given = dict(zip(_MICRO, arguments, strict=True))
            data = {
                k: data_of(context, builder, signature.args[_MICRO.index(k)], given[k])
                for k in ("a", "b", "base", "c", "weights")
            }

            def places(start, stride):
                for i in range(rows):
                    begin = builder.add(start, builder.mul(stride, _INDEX(i)))
                    for v in range(across):
                        yield builder.add(begin, _INDEX(v * size.width))

            # The sums start at zero, or at the base.
            before = builder.block
            load, check, loop, after = (
                builder.append_basic_block(f"{name}.{part}")
                for part in ("base", "check", "loop", "after")
            )
            builder.cbranch(builder.trunc(given["from_zero"], ir.IntType(1)), check, load)
            builder.position_at_end(load)
            loaded = [
                load_vector(builder, data["base"], place, vector, align)
                for place in places(given["base_start"], given["base_row"])
            ]
            builder.branch(check)

            builder.position_at_end(check)
            firsts = []
            for value in loaded:
                first = builder.phi(vector)
                first.add_incoming(ir.Constant(vector, [0.0] * vector.count), before)
                first.add_incoming(value, load)
                firsts.append(first)
            some = builder.icmp_signed("<", _INDEX(0), given["depth"])
            builder.cbranch(some, loop, after)

            builder.position_at_end(loop)
            step = builder.phi(_INDEX)
            step.add_incoming(_INDEX(0), check)
            sums = [builder.phi(vector) for _ in firsts]
            b_row = builder.add(given["b_start"], builder.mul(step, given["b_step"]))
            columns = [
                load_vector(
                    builder, data["b"], builder.add(b_row, _INDEX(v * size.width)), vector, align
                )
                for v in range(across)
            ]
            column = builder.add(given["a_start"], builder.mul(step, given["a_step"]))

            def weight():
                place = builder.add(given["weights_start"], step)
                return splat(builder, builder.load(builder.gep(data["weights"], [place])), vector)

            results = []
            for i in range(rows):
                place = builder.add(column, builder.mul(given["a_row"], _INDEX(i)))
                row = splat(builder, builder.load(builder.gep(data["a"], [place])), vector)
                for v in range(across):
                    total = sums[i * across + v]
                    results.append(accumulate(builder, row, columns[v], total, weight))
            following = builder.add(step, _INDEX(1))
            step.add_incoming(following, loop)
            for total, first, result in zip(sums, firsts, results, strict=True):
                total.add_incoming(first, check)
                total.add_incoming(result, loop)
            builder.cbranch(builder.icmp_signed("<", following, given["depth"]), loop, after)

            builder.position_at_end(after)
            lasts = []
            for first, result in zip(firsts, results, strict=True):
                last = builder.phi(vector)
                last.add_incoming(first, check)
                last.add_incoming(result, loop)
                lasts.append(last)
            for last, place in zip(lasts, places(given["c_start"], given["c_row"]), strict=True):
                store_vector(builder, last, data["c"], place, align)
            return context.get_dummy_value()

        index, flag = types.intp, types.boolean
        return (
            types.void(
                a, index, index, index, b, index, index, index, flag, base, index, index,
                c, index, index, weights, index,
            ),
            codegen,
        )  # fmt: skip

    typer.__name__ = name
    return intrinsic(typer)


# The arguments of a micro-kernel.
_MICRO = (
    "a", "a_start", "a_row", "a_step", "b", "b_start", "b_step", "depth", "from_zero", "base",
    "base_start", "base_row", "c", "c_start", "c_row", "weights", "weights_start",
)  # fmt: skip

#: What is added up of two elements, in the order of :class:`fastkb.scalar.kernels.Form`.
ACCUMULATE = (_add_product, _add_square, _add_size, _add_weighted_square, _add_weighted_size)

"""Small dense algebra for many matrices at once: one matrix per vector lane.

A *pack* is `nr` numbers side by side (:mod:`fastkb.tile.blocking`: a whole number of vectors), one for
each of `nr` systems. Element (i, j) of `nr` lower triangles is one pack, rows after each other; so every
step of a factorisation is the same vector instruction for all systems, however small they are::

    row i of the triangles starts at pack  triangle_row(i)          (rows padded to whole micro-tiles)
    element (i, j)                   pack  triangle_row(i) + j

The padding is that of the micro-kernel, which writes the triangles of WᵀΨΨ-like products in tiles of
`mr` elements of a row; what it holds is never read.

All functions work in place on flat arrays and take offsets in packs; none allocates.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import default_manager
from numba.extending import intrinsic

from fastkb.runtime import inline
from fastkb.scalar.bits import multiply_add
from fastkb.tile.blocking import blocking

LANES = blocking("float64").nr
_MR = blocking("float64").mr
_INDEX = ir.IntType(64)


class _Packs:
    """Loads and stores of packs, as whole vectors."""

    def __init__(self, context: Any, builder: Any, kind: types.Array, array: Any) -> None:
        size = blocking(str(kind.dtype))
        element = default_manager[kind.dtype].get_data_type()
        self.builder = builder
        self.vector = ir.VectorType(element, size.width)
        self.align = kind.dtype.bitwidth // 8
        self.count = size.nr // size.width
        self.size = size
        self.data = context.make_array(kind)(context, builder, array).data

    def _pointer(self, pack: Any, v: int) -> Any:
        start = self.builder.mul(pack, _INDEX(self.size.nr))
        element = self.builder.gep(
            self.data, [self.builder.add(start, _INDEX(v * self.size.width))]
        )
        return self.builder.bitcast(element, self.vector.as_pointer())

    def load(self, pack: Any) -> list:
        return [
            self.builder.load(self._pointer(pack, v), align=self.align) for v in range(self.count)
        ]

    def store(self, pack: Any, values: list) -> None:
        for v, value in enumerate(values):
            self.builder.store(value, self._pointer(pack, v), align=self.align)


@intrinsic
def subtract_product(typing_context, c, c_pack, a, a_pack, b, b_pack, depth):
    """c[c_pack] -= Σ_k a[a_pack + k] · b[b_pack + k] over `depth` packs, in this order."""

    def codegen(context, builder, signature, arguments):
        c_data, a_data, b_data = (
            _Packs(context, builder, signature.args[i], arguments[i]) for i in (0, 2, 4)
        )
        before = c_data.load(arguments[1])
        slots = [cgutils.alloca_once_value(builder, value) for value in before]
        with cgutils.for_range(builder, arguments[6], intp=_INDEX) as loop:
            a_values = a_data.load(builder.add(arguments[3], loop.index))
            b_values = b_data.load(builder.add(arguments[5], loop.index))
            for slot, x, y in zip(slots, a_values, b_values, strict=True):
                value = multiply_add(builder, builder.fneg(x), y, builder.load(slot))
                builder.store(value, slot)
        c_data.store(arguments[1], [builder.load(slot) for slot in slots])
        return context.get_dummy_value()

    index = types.intp
    return types.void(c, index, a, index, b, index, index), codegen


@intrinsic
def subtract_multiple(typing_context, c, c_pack, a, a_pack, x, x_pack, depth):
    """c[c_pack + k] -= a[a_pack + k] · x[x_pack] for `depth` packs."""

    def codegen(context, builder, signature, arguments):
        c_data, a_data, x_data = (
            _Packs(context, builder, signature.args[i], arguments[i]) for i in (0, 2, 4)
        )
        factor = [builder.fneg(value) for value in x_data.load(arguments[5])]
        with cgutils.for_range(builder, arguments[6], intp=_INDEX) as loop:
            pack = builder.add(arguments[1], loop.index)
            a_values = a_data.load(builder.add(arguments[3], loop.index))
            c_data.store(
                pack,
                [
                    multiply_add(builder, value, x_value, c_value)
                    for value, x_value, c_value in zip(
                        a_values, factor, c_data.load(pack), strict=True
                    )
                ],
            )
        return context.get_dummy_value()

    index = types.intp
    return types.void(c, index, a, index, x, index, index), codegen


@intrinsic
def scale(typing_context, c, c_pack, x, x_pack):
    """c[c_pack] *= x[x_pack]."""

    def codegen(context, builder, signature, arguments):
        c_data, x_data = (
            _Packs(context, builder, signature.args[i], arguments[i]) for i in (0, 2)
        )
        values = [
            builder.fmul(value, factor)
            for value, factor in zip(
                c_data.load(arguments[1]), x_data.load(arguments[3]), strict=True
            )
        ]
        c_data.store(arguments[1], values)
        return context.get_dummy_value()

    return types.void(c, types.intp, x, types.intp), codegen


@inline
def triangle_row(i):
    """The pack that row i of the triangles starts at: rows above it hold whole micro-tiles."""
    full = i // _MR
    return _MR * _MR * (full * (full + 1) // 2) + (i - full * _MR) * (full + 1) * _MR


def triangle_packs(size: int) -> int:
    """How many packs the triangles of `size` rows take."""
    return int(triangle_row.py_func(size))


@inline
def cholesky(triangles, start, inverse, inverse_start, size):
    """A = L Lᵀ in place for every lane, row by row; the reciprocals 1/L_ii beside.

    `triangles` holds rows from pack `start`, `inverse` the reciprocals from pack `inverse_start`. A
    matrix that is not positive definite leaves NaN in its lane alone.
    """
    for i in range(size):
        row = start + triangle_row(i)
        for j in range(i):
            other = start + triangle_row(j)
            subtract_product(triangles, row + j, triangles, row, triangles, other, j)
            scale(triangles, row + j, inverse, inverse_start + j)
        subtract_product(triangles, row + i, triangles, row, triangles, row, i)
        for lane in range(LANES):
            inverse[(inverse_start + i) * LANES + lane] = 1.0 / math.sqrt(
                triangles[(row + i) * LANES + lane]
            )


@inline
def solve_lower(triangles, start, inverse, inverse_start, x, x_start, size):
    """x ← L⁻¹ x for every lane."""
    for i in range(size):
        row = start + triangle_row(i)
        subtract_product(x, x_start + i, triangles, row, x, x_start, i)
        scale(x, x_start + i, inverse, inverse_start + i)


@inline
def solve_upper(triangles, start, inverse, inverse_start, x, x_start, size):
    """x ← L⁻ᵀ x for every lane."""
    for reverse in range(size):
        i = size - 1 - reverse
        row = start + triangle_row(i)
        scale(x, x_start + i, inverse, inverse_start + i)
        subtract_multiple(x, x_start, triangles, row, x, x_start + i, i)


@inline
def add_inverse_norms(triangles, start, inverse, inverse_start, norms, column, size):
    """norms[lane] += ‖L⁻¹‖²_F, column by column of L⁻¹; `column` is scratch of `size` packs."""
    for j in range(size):
        for lane in range(LANES):
            value = inverse[(inverse_start + j) * LANES + lane]
            column[j * LANES + lane] = value
            norms[lane] += value * value
        for i in range(j + 1, size):
            row = start + triangle_row(i)
            for lane in range(LANES):
                column[i * LANES + lane] = 0.0
            subtract_product(column, i, triangles, row + j, column, j, i - j)
            scale(column, i, inverse, inverse_start + i)
            for lane in range(LANES):
                value = column[i * LANES + lane]
                norms[lane] += value * value

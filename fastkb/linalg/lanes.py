"""Small dense algebra for many systems at once: one system per vector lane.

A *pack* is `nr` numbers side by side (:mod:`fastkb.tile.blocking`: a whole number of vectors), one
for each of `nr` systems. A vector of the systems is a run of packs. Element (i, j) of their lower
triangles is one pack, rows after each other, so that every step of a factorisation is one vector
instruction for all systems, however small they are::

    row i of the triangles starts at pack  triangle_row(i)    (rows are padded to whole micro-tiles)
    element (i, j)                   pack  triangle_row(i) + j

The padding is that of the micro-kernel, which writes such triangles in tiles of `mr` elements of a
row; what it holds is never read.

All functions work in place on flat arrays, take offsets in packs, and allocate nothing. The loops over
packs are emitted as LLVM vector code: as loops of Numba's they took 25 s to compile instead of 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import default_manager
from numba.extending import intrinsic

from fastkb.runtime import inline
from fastkb.scalar.bits import call_llvm, multiply_add
from fastkb.tile.blocking import blocking

LANES = blocking("float64").nr
_MR = blocking("float64").mr
_INDEX = ir.IntType(64)
QUAD = 4  # right-hand sides that share a pass over the triangles


class _Operand:
    """One array of a pack operation.

    kind
        ``p`` a run of packs; ``f`` one pack, the same for the whole run; ``a`` the same, kept in
        registers during the run and stored at its end; ``s`` a run of single numbers, each the same
        for all lanes.
    """

    def __init__(self, context: Any, builder: Any, kind: str, array_type: Any, array: Any) -> None:
        size = blocking(str(array_type.dtype))
        element = default_manager[array_type.dtype].get_data_type()
        self.kind = kind
        self.builder = builder
        self.vector = ir.VectorType(element, size.width)
        self.align = array_type.dtype.bitwidth // 8
        self.count = size.nr // size.width
        self.size = size
        self.data = context.make_array(array_type)(context, builder, array).data

    def _pointer(self, pack: Any, v: int) -> Any:
        start = self.builder.mul(pack, _INDEX(self.size.nr))
        index = self.builder.add(start, _INDEX(v * self.size.width))
        return self.builder.bitcast(self.builder.gep(self.data, [index]), self.vector.as_pointer())

    def load(self, offset: Any) -> list:
        builder = self.builder
        if self.kind == "s":
            scalar = builder.load(builder.gep(self.data, [offset]))
            undefined = ir.Constant(self.vector, ir.Undefined)
            lane = builder.insert_element(undefined, scalar, _INDEX(0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.vector.count), None)
            return [builder.shuffle_vector(lane, undefined, zeros)] * self.count
        return [builder.load(self._pointer(offset, v), align=self.align) for v in range(self.count)]

    def store(self, pack: Any, values: list) -> None:
        for v, value in enumerate(values):
            self.builder.store(value, self._pointer(pack, v), align=self.align)


def _run(kinds: str, formula: Callable, doc: str) -> Any:
    """An intrinsic ``(array, offset, array, offset, …, depth)`` over a run of `depth` packs.

    The first operand becomes ``formula(builder, *operands)``; `kinds` has a letter for each (see
    :class:`_Operand`).
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        operands = [
            _Operand(context, builder, kind, signature.args[2 * i], arguments[2 * i])
            for i, kind in enumerate(kinds)
        ]
        offsets = arguments[1:-1:2]
        depth = arguments[-1]
        fixed = {
            i: operand.load(offsets[i])
            for i, operand in enumerate(operands)
            if operand.kind in "fa"
        }
        # Registers, once LLVM has seen through the stack slots.
        slots = [cgutils.alloca_once_value(builder, v) for v in fixed[0]] if kinds[0] == "a" else []
        with cgutils.for_range(builder, depth, intp=_INDEX) as loop:
            values = []
            for i, operand in enumerate(operands):
                if i == 0 and slots:
                    values.append([builder.load(slot) for slot in slots])
                elif i in fixed:
                    values.append(fixed[i])
                else:
                    values.append(operand.load(builder.add(offsets[i], loop.index)))
            results = [formula(builder, *group) for group in zip(*values, strict=True)]
            if slots:
                for slot, result in zip(slots, results, strict=True):
                    builder.store(result, slot)
            else:
                operands[0].store(builder.add(offsets[0], loop.index), results)
        if slots:
            operands[0].store(offsets[0], [builder.load(slot) for slot in slots])
        return context.get_dummy_value()

    # Numba reads the number of arguments off the function's signature.
    index = types.intp

    def of_two(typing_context, a, a_at, b, b_at, depth):
        return types.void(a, index, b, index, index), emit

    def of_three(typing_context, a, a_at, b, b_at, c, c_at, depth):
        return types.void(a, index, b, index, c, index, index), emit

    run: Callable = of_two if len(kinds) == 2 else of_three
    run.__doc__ = doc
    return intrinsic(run)


def _product(sign: int) -> Callable:
    """c ± a·b"""

    def formula(builder: Any, c: Any, a: Any, b: Any) -> Any:
        return multiply_add(builder, a if sign > 0 else builder.fneg(a), b, c)

    return formula


def _larger(builder: Any, c: Any, a: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, c), a, c)


def _add_size(builder: Any, c: Any, a: Any, s: Any) -> Any:
    return multiply_add(builder, call_llvm(builder, "fabs", a.type, [a]), s, c)


add_products = _run("app", _product(+1), "c += Σ_k a_k · b_k")
subtract_products = _run("app", _product(-1), "c -= Σ_k a_k · b_k")
add_multiples = _run("ppf", _product(+1), "c_k += a_k · b")
subtract_multiples = _run("ppf", _product(-1), "c_k -= a_k · b")
add_scaled = _run("pps", _product(+1), "c_k += a_k · s_k")
subtract_scaled = _run("pps", _product(-1), "c_k -= a_k · s_k")
combine = _run(
    "ppf", lambda builder, c, a, b: multiply_add(builder, b, c, a), "c_k = a_k + b · c_k"
)
accumulate = _run("ppp", _product(+1), "c_k += a_k · b_k")
fill = _run("ps", lambda builder, c, s: s, "c_k = s_k")
copy = _run("pp", lambda builder, c, a: a, "c_k = a_k")
multiply = _run("pp", lambda builder, c, a: builder.fmul(c, a), "c_k *= a_k")
scale = _run("pf", lambda builder, c, b: builder.fmul(c, b), "c_k *= b")
weigh_misfit = _run(
    "pps",
    lambda builder, c, w, s: builder.fmul(w, builder.fsub(s, c)),
    "c_k = w_k · (s_k - c_k)",
)
add_sizes = _run("aps", _add_size, "c += Σ_k |a_k| · s_k")
sum_scaled = _run("aps", _product(+1), "c += Σ_k a_k · s_k")
largest = _run("ap", _larger, "c = max(c, a_0, a_1, …)")


@intrinsic
def _subtract_quads(typing_context, c, c_at, a, a_at, b, b_at, depth):
    """c[c_at + e] -= Σ_k a[a_at + k] · b[b_at + QUAD·k + e] for e = 0 … QUAD - 1.

    Each pack of a that is loaded serves QUAD sums in registers.
    """

    def codegen(context, builder, signature, arguments):
        c_data, a_data, b_data = (
            _Operand(context, builder, "p", signature.args[i], arguments[i]) for i in (0, 2, 4)
        )
        targets = [builder.add(arguments[1], _INDEX(e)) for e in range(QUAD)]
        slots = [
            [cgutils.alloca_once_value(builder, value) for value in c_data.load(target)]
            for target in targets
        ]
        with cgutils.for_range(builder, arguments[6], intp=_INDEX) as loop:
            minus = [builder.fneg(v) for v in a_data.load(builder.add(arguments[3], loop.index))]
            first = builder.add(arguments[5], builder.mul(loop.index, _INDEX(QUAD)))
            for e, sums in enumerate(slots):
                values = b_data.load(builder.add(first, _INDEX(e)))
                for slot, factor, value in zip(sums, minus, values, strict=True):
                    builder.store(multiply_add(builder, factor, value, builder.load(slot)), slot)
        for target, sums in zip(targets, slots, strict=True):
            c_data.store(target, [builder.load(slot) for slot in sums])
        return context.get_dummy_value()

    index = types.intp
    return types.void(c, index, a, index, b, index, index), codegen


@inline
def clear(array, start, packs):
    """Set `packs` packs to zero."""
    for i in range(start * LANES, (start + packs) * LANES):
        array[i] = 0.0


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
        for j in range(i + 1):
            other = start + triangle_row(j)
            subtract_products(triangles, row + j, triangles, row, triangles, other, j)
            if j < i:
                scale(triangles, row + j, inverse, inverse_start + j, 1)
        for lane in range(LANES):
            inverse[(inverse_start + i) * LANES + lane] = 1.0 / math.sqrt(
                triangles[(row + i) * LANES + lane]
            )


@inline
def solve_lower(triangles, start, inverse, inverse_start, x, x_start, size):
    """Replace x by L⁻¹ x in every lane."""
    for i in range(size):
        row = start + triangle_row(i)
        subtract_products(x, x_start + i, triangles, row, x, x_start, i)
        scale(x, x_start + i, inverse, inverse_start + i, 1)


@inline
def solve_upper(triangles, start, inverse, inverse_start, x, x_start, size):
    """Replace x by L⁻ᵀ x in every lane."""
    for reverse in range(size):
        i = size - 1 - reverse
        row = start + triangle_row(i)
        scale(x, x_start + i, inverse, inverse_start + i, 1)
        subtract_multiples(x, x_start, triangles, row, x, x_start + i, i)


@inline
def largest_forms(triangles, start, inverse, inverse_start, rows, offsets, scratch, out):
    """Raise the pack `out` to the maximum over e of ‖L⁻¹ψ_e‖² + offsets[e], for every lane.

    The vectors ψ_e are the same for all lanes and come QUAD at a time: their elements i are
    rows[q, i, :].  `scratch` has room for QUAD · (size + 1) packs.

    # shapes: rows (quads, size, QUAD), offsets (quads, QUAD)
    """
    quads, size, _ = rows.shape
    forms = QUAD * size
    for q in range(quads):
        fill(scratch, forms, offsets[q], 0, QUAD)
        for i in range(size):
            row = start + triangle_row(i)
            fill(scratch, QUAD * i, rows[q, i], 0, QUAD)
            _subtract_quads(scratch, QUAD * i, triangles, row, scratch, 0, i)
            scale(scratch, QUAD * i, inverse, inverse_start + i, QUAD)
            accumulate(scratch, forms, scratch, QUAD * i, scratch, QUAD * i, QUAD)
        largest(out, 0, scratch, forms, QUAD)

"""Cholesky factorisation on the engine's micro-kernel: one matrix, one thread.

For the bootstrap every thread factors its own matrix of a few hundred rows, thousands of times. LAPACK
does that at the speed of its own kernels (39 GF/s a core for 632 rows, on a Zen 5 whose BLAS has no
AVX-512 kernels); the micro-kernels of :mod:`fastkb.tile` at two thirds of the processor's peak.

The lower triangle is kept in the micro-kernel's *b panels*, NR rows each, column by column::

    element (row, column)  at  (row // NR) · NR · size + column · NR + row % NR

The factorisation is left-looking, BLOCK columns J at a time:

1. every panel from J on receives  A(i, J) - Σ_{k<J} L(i, k) L(J, k)ᵀ.  The micro-kernel adds products
   to what it finds, so -L(J, :) is its a operand, and its result, BLOCK columns of NR rows, lies in
   memory as a panel's columns do: the factor overwrites the matrix without a copy;
2. the block on the diagonal is factored;
3. the rows below it are divided by its transpose.

Right-hand sides are rows below the matrix: steps 1 and 3 solve L z = y for them on the way.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastkb.runtime import inline
from fastkb.runtime.stack import stack_array
from fastkb.scalar.bits import multiply_add
from fastkb.tile import vector as simd
from fastkb.tile.blocking import blocking
from fastkb.tile.multiply import Operand, Part, multiply_panels

MR = blocking("float64").mr
NR = blocking("float64").nr
BLOCK = math.lcm(MR, NR)
_SQUARE = BLOCK * BLOCK
_NESTED = NR % MR == 0


def padded(n: int) -> int:
    """The order of the factored matrix for n rows: whole blocks, the rest an identity."""
    return -(-n // BLOCK) * BLOCK


def panels_length(n: int, n_right: int) -> int:
    """Elements of the panels of an n x n matrix with `n_right` right-hand sides."""
    size = padded(n)
    return (size // NR + -(-n_right // NR)) * NR * size


def left_length(n: int) -> int:
    """Elements of the work space of :func:`factor`."""
    return padded(n) * BLOCK


@inline
def place(size, row, column):
    """Where element (row, column) is kept."""
    return (row // NR) * NR * size + column * NR + row % NR


@inline
def assemble(K, index, n, ridge, panels, size):
    """A = K(index, index) + diag(ridge), of which the lower triangle is kept, in the first n rows;
    the identity in the rest.
    """
    for panel in range(size // NR):
        first = panel * NR
        start = first * size
        for k in range(first + NR):
            for r in range(NR):
                # Rows and columns past the end repeat the last one and are cleared below.
                row, column = index[min(first + r, n - 1)], index[min(k, n - 1)]
                panels[start + k * NR + r] = K[column, row]
    for k in range(n):
        panels[place(size, k, k)] += ridge[k]
    for row in range(n, size):
        for k in range(size):
            panels[place(size, row, k)] = 1.0 if k == row else 0.0
    for k in range(n, size):
        for row in range((k // NR) * NR, n):
            panels[place(size, row, k)] = 0.0


@inline
def assemble_right(y, targets, index, n, panels, size):
    """The right-hand sides y[targets, index] as rows below the matrix, filled up with zeros."""
    count = (len(targets) + NR - 1) // NR * NR
    for t in range(count):
        for k in range(size):
            used = t < len(targets) and k < n
            panels[place(size, size + t, k)] = y[targets[t], index[k]] if used else 0.0


@inline
def factor(panels, size, n_right, left):
    """Overwrite A by L, and each right-hand side y (rows from `size` on) by L⁻¹ y.

    Returns 0, or the number of the first column whose pivot is not positive, counted from 1.
    """
    square = stack_array(_SQUARE, panels)
    inverse = stack_array(BLOCK, panels)
    n_panels = size // NR + (n_right + NR - 1) // NR
    for j in range(0, size, BLOCK):
        if j > 0:
            _pack_left(panels, size, j, left)
            into = Operand(panels, j * NR, NR, 0, NR * size)
            multiply_panels(
                Operand(left, 0, 1, MR, size * MR),
                Operand(panels, 0, 0, NR, NR * size),
                into,
                into,
                j,
                Part(0, BLOCK, j // NR, n_panels, 0, 0),
                False,
                left,
            )
        failed = _factor_square(panels, size, j, square, inverse)
        if failed > 0:
            return j + failed
        for panel in range((j + BLOCK) // NR, n_panels):
            _divide(panels, panel * NR * size + j * NR, square, inverse)
    return 0


@inline
def _pack_left(panels, size, j, left):
    """-L(J, :j) as a panels of MR rows."""
    for part in range(BLOCK // MR):
        row = j + part * MR
        for k in range(j):
            target = part * size * MR + k * MR
            if _NESTED:
                # The rows of an a panel stand side by side in a b panel.
                _copy_negated(panels, place(size, row, k), left, target)
            else:
                for r in range(MR):
                    left[target + r] = -panels[place(size, row + r, k)]


@intrinsic
def _copy_negated(typing_context, source, source_offset, target, target_offset):
    """target[offset : offset + MR] = -source[offset : offset + MR], in vectors."""

    def codegen(context, builder, signature, arguments):
        index = ir.IntType(64)
        vector = simd.vector_type(source)
        read = simd.data_of(context, builder, source, arguments[0])
        write = simd.data_of(context, builder, target, arguments[2])
        for lane in range(0, MR, vector.count):
            offset = builder.add(arguments[1], index(lane))
            value = builder.fneg(simd.load_vector(builder, read, offset, vector, 8))
            offset = builder.add(arguments[3], index(lane))
            simd.store_vector(builder, value, write, offset, 8)
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), codegen


@inline
def _factor_square(panels, size, j, square, inverse):
    """Factor the block on the diagonal, here as whole columns; `inverse` is 1 / its diagonal."""
    for c in range(BLOCK):
        for r in range(BLOCK):
            square[c * BLOCK + r] = panels[place(size, j + r, j + c)]
    for c in range(BLOCK):
        pivot = square[c * BLOCK + c]
        if not 0.0 < pivot < math.inf:  # NaN too
            return c + 1
        scale = 1.0 / math.sqrt(pivot)
        inverse[c] = scale
        for r in range(BLOCK):
            square[c * BLOCK + r] *= scale
        for other in range(c + 1, BLOCK):
            # Rows above `other` become garbage that nothing reads: whole columns are whole vectors.
            factor = square[c * BLOCK + other]
            for r in range(BLOCK):
                square[other * BLOCK + r] -= factor * square[c * BLOCK + r]
    for c in range(BLOCK):
        for r in range(BLOCK):
            panels[place(size, j + r, j + c)] = square[c * BLOCK + r]
    return 0


@intrinsic
def _divide(typing_context, panels, start, square, inverse):
    """X ← X L⁻ᵀ for the BLOCK columns of NR rows at `start`.

    One vector of rows at a time, all its BLOCK columns in registers: column c is finished by a
    multiplication, then taken out of the columns after it. A loop over memory takes ten times as
    long: each step would wait for the store of the one before.
    """

    def codegen(context, builder, signature, arguments):
        index = ir.IntType(64)
        vector = simd.vector_type(panels)
        data, block, scales = (
            simd.data_of(context, builder, kind, arguments[k])
            for k, kind in ((0, panels), (2, square), (3, inverse))
        )
        for lane in range(0, NR, vector.count):
            offsets = [
                builder.add(arguments[1], index(column * NR + lane)) for column in range(BLOCK)
            ]
            x = [simd.load_vector(builder, data, offset, vector, 8) for offset in offsets]
            for c in range(BLOCK):
                scale = builder.load(builder.gep(scales, [index(c)]))
                x[c] = builder.fmul(x[c], simd.splat(builder, scale, vector))
                minus = builder.fneg(x[c])
                for other in range(c + 1, BLOCK):
                    factor = builder.load(builder.gep(block, [index(c * BLOCK + other)]))
                    factor = simd.splat(builder, factor, vector)
                    x[other] = multiply_add(builder, factor, minus, x[other])
            for value, offset in zip(x, offsets, strict=True):
                simd.store_vector(builder, value, data, offset, 8)
        return context.get_dummy_value()

    return types.void(panels, types.intp, square, inverse), codegen


@inline
def solve_transposed(panels, size, right, x):
    """x = L⁻ᵀ z for the right-hand side number `right` that :func:`factor` left as z = L⁻¹ y."""
    row = size + right
    for k in range(size):
        x[k] = panels[place(size, row, k)]
    for panel in range(size // NR - 1, -1, -1):
        first = panel * NR
        start = panel * NR * size
        for c in range(NR - 1, -1, -1):
            value = x[first + c]
            for r in range(c + 1, NR):
                value -= panels[start + (first + c) * NR + r] * x[first + r]
            x[first + c] = value / panels[start + (first + c) * NR + c]
        for k in range(first):
            value = x[k]
            for r in range(NR):
                value -= panels[start + k * NR + r] * x[first + r]
            x[k] = value


def allocate(n: int, n_right: int, workers: int) -> tuple[np.ndarray, np.ndarray]:
    """Panels and work space for `workers` threads.  # shapes: (workers, …), (workers, …)"""
    from fastkb.runtime.memory import empty

    what = "the factors of the threads"
    panels = empty((workers, panels_length(n, n_right)), np.float64, what)
    return panels, empty((workers, left_length(n)), np.float64, what)

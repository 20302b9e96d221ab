"""The layers' forward and backward rules, each in parts that threads can share.

An element of a result is always added up by the same multiply-adds in the same order, whatever part it
is computed in: results do not depend on threads. Every rule is the micro-kernel's product, for a batch
of values A (rows: observations), weights W and deltas D:

======== =============================== ==================== ============================
pass     what                            rows of a            rows of b
======== =============================== ==================== ============================
forward  next A = g(A W + biases)        observations         inputs: a panel of W
backward gradient of W = Aᵀ D            inputs               observations: of D
         D before = (D Wᵀ) · g′(A)       observations         outputs: a panel of Wᵀ
======== =============================== ==================== ============================
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastkb.runtime import inline
from fastkb.scalar.activations import activate, times_derivative
from fastkb.tile import vector as simd


class Sizes(NamedTuple):
    """Whole numbers that all layers share."""

    mr: int
    nr: int
    width: int
    kc: int
    capacity: int  # observations that the buffers hold: a multiple of mr
    observations: int  # of this batch


class Part(NamedTuple):
    """Some of the micro-tiles of a result."""

    row: int  # first row, a multiple of mr
    row_stop: int
    panel: int
    panel_stop: int


class Operand(NamedTuple):
    """Where a matrix stands: element (i, k) at start + i·row + k·step + panel·(number of the panel)."""

    data: np.ndarray
    start: int
    row: int
    step: int
    panel: int


@inline
def _multiply(a, b, base, c, depth, part, columns, sizes):
    """c = base + a b for the micro-tiles of a part, of a matrix that has so many columns."""
    last = (columns - 1) // sizes.nr
    half = columns - last * sizes.nr <= sizes.width  # the other half of the last panel stays zero
    for k in range(0, depth, sizes.kc):
        terms = min(sizes.kc, depth - k)
        for panel in range(part.panel, part.panel_stop):
            b_start = b.start + panel * b.panel + k * b.step
            for row in range(part.row, part.row_stop, sizes.mr):
                a_start = a.start + row * a.row + k * a.step
                c_start = c.start + row * c.row + panel * c.panel
                # The first terms begin at the base, the others at what is there.
                from_data = c.data if k > 0 else base.data
                from_start = c_start if k > 0 else base.start + panel * base.panel
                from_row = c.row if k > 0 else 0
                if half and panel == last:
                    simd.multiply_narrow(
                        a.data, a_start, a.row, a.step, b.data, b_start, b.step, terms,
                        from_data, from_start, from_row, c.data, c_start, c.row,
                    )  # fmt: skip
                else:
                    simd.multiply_wide(
                        a.data, a_start, a.row, a.step, b.data, b_start, b.step, terms,
                        from_data, from_start, from_row, c.data, c_start, c.row,
                    )  # fmt: skip


@inline
def forward(row, parameters, values, part, sizes):
    """The outputs of one layer."""
    source, kept = row.source * sizes.capacity, row.kept * sizes.capacity
    target, stride = row.target * sizes.capacity, row.target_stride
    first, stop = part.row, part.row_stop
    if row.has_weights:
        _multiply(
            Operand(values, source, row.source_stride, 1, 0),
            Operand(parameters, row.weights, 0, sizes.nr, row.inputs_padded * sizes.nr),
            Operand(parameters, row.biases, 0, 0, sizes.nr),
            Operand(values, kept, stride, 0, sizes.nr),
            row.inputs,
            part,
            row.outputs,
            sizes,
        )
    column, width = part.panel * sizes.nr, (part.panel_stop - part.panel) * sizes.nr
    if width == stride:  # whole rows are one run of elements
        width *= stop - first
        stop = first + 1
    for r in range(first, stop):
        begin = r * stride + column
        here = values[target + begin : target + begin + width]
        if not row.has_weights:
            before = values[source + begin : source + begin + width]
            for j in range(len(here)):
                here[j] = before[j]
        elif kept != target:
            before = values[kept + begin : kept + begin + width]
            for j in range(len(here)):
                here[j] = before[j]
        activate(row.activation, here, row.parameter)
    if row.activation != 0 and row.outputs < (part.panel_stop * sizes.nr):
        # g(0) need not be zero, infinity · 0 is not, and padding is.
        for r in range(part.row, part.row_stop):
            _clear(values[target + r * stride + row.outputs : target + (r + 1) * stride])
            if row.has_weights and kept != target:
                _clear(values[kept + r * stride + row.outputs : kept + (r + 1) * stride])


@inline
def _clear(values):
    for j in range(len(values)):
        values[j] = 0.0


@inline
def differentiate(row, values, deltas, part, sizes):
    """Turn derivatives with respect to a layer's outputs into those before its activation."""
    if row.activation == 0:
        return
    start = row.target if row.from_output else row.kept
    stride = row.target_stride
    column, width = part.panel * sizes.nr, (part.panel_stop - part.panel) * sizes.nr
    first, stop = part.row, part.row_stop
    if width == stride:
        width *= stop - first
        stop = first + 1
    for r in range(first, stop):
        begin = r * stride + column
        at = row.target * sizes.capacity + begin
        of = start * sizes.capacity + begin
        times_derivative(
            row.activation, deltas[at : at + width], values[of : of + width], row.parameter
        )


@inline
def backward_weights(row, parameters, gradients, values, deltas, constants, part, l2, sizes):
    """Gradients of weights and biases; rows of the part are inputs."""
    zeros, ones = constants
    target, stride = row.target * sizes.capacity, row.target_stride
    panel_size = row.inputs_padded * sizes.nr
    _multiply(
        Operand(values, row.source * sizes.capacity, 1, row.source_stride, 0),
        Operand(deltas, target, 0, stride, sizes.nr),
        Operand(zeros, 0, 0, 0, 0),
        Operand(gradients, row.weights, sizes.nr, 0, panel_size),
        sizes.observations,
        part,
        row.outputs,
        sizes,
    )
    if l2 > 0.0:
        shrink = parameters.dtype.type(l2)
        for panel in range(part.panel, part.panel_stop):
            begin = row.weights + panel * panel_size + part.row * sizes.nr
            end = row.weights + panel * panel_size + part.row_stop * sizes.nr
            gradient, weight = gradients[begin:end], parameters[begin:end]
            for j in range(len(gradient)):
                gradient[j] += shrink * weight[j]
    if row.has_biases and part.row == 0:
        for panel in range(part.panel, part.panel_stop):
            column = panel * sizes.nr
            simd.multiply_row(
                ones, 0, 0, 0, deltas, target + column, stride, sizes.observations,
                zeros, 0, 0, gradients, row.biases + column, 0,
            )  # fmt: skip


@inline
def transpose_weights(row, parameters, transposed, panel, sizes):
    """The transpose of one panel of weights."""
    height = row.panels * sizes.nr * sizes.nr
    start = row.weights + panel * row.inputs_padded * sizes.nr
    for i in range(0, row.inputs_padded, sizes.width):
        to = row.transposed + (i // sizes.nr) * height + i % sizes.nr + panel * sizes.nr * sizes.nr
        for j in range(0, sizes.nr, sizes.width):
            simd.transpose_block(
                parameters,
                start + i * sizes.nr + j,
                sizes.nr,
                transposed,
                to + j * sizes.nr,
                sizes.nr,
            )


@inline
def backward_deltas(row, before, transposed, values, deltas, zeros, part, sizes):
    """Deltas of the layer before, from this one's."""
    source, stride = row.source * sizes.capacity, row.source_stride
    target = row.target * sizes.capacity
    if row.has_weights:
        _multiply(
            Operand(deltas, target, row.target_stride, 1, 0),
            Operand(transposed, row.transposed, 0, sizes.nr, row.panels * sizes.nr * sizes.nr),
            Operand(zeros, 0, 0, 0, 0),
            Operand(deltas, source, stride, 0, sizes.nr),
            row.outputs,
            part,
            row.inputs,
            sizes,
        )
    else:
        for r in range(part.row, part.row_stop):
            begin, end = r * stride + part.panel * sizes.nr, r * stride + part.panel_stop * sizes.nr
            here, from_here = (
                deltas[source + begin : source + end],
                deltas[target + begin : target + end],
            )
            for j in range(len(here)):
                here[j] = from_here[j]
    differentiate(before, values, deltas, part, sizes)

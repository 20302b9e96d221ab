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

from fastkb.runtime import inline
from fastkb.scalar.activations import activate, times_derivative
from fastkb.tile import vector as simd
from fastkb.tile.multiply import Operand, Part, multiply_layers, multiply_rows


class Sizes(NamedTuple):
    """Whole numbers that all layers share."""

    mr: int
    nr: int
    width: int
    kc: int
    capacity: int  # observations that the buffers hold: a multiple of mr
    observations: int  # of this batch


class Span(NamedTuple):
    """Some observations of a batch: whole micro-tiles, of which the last may reach beyond the batch."""

    begin: int
    stop: int


@inline(references=False)
def _dots(row, parameters, values, span, sizes):
    """What a thin layer adds up: each output is a product of two rows."""
    depth = (row.inputs + sizes.width - 1) // sizes.width * sizes.width
    source, stride = row.source * sizes.capacity, row.source_stride
    target = row.kept * sizes.capacity
    for r in range(span.begin, span.stop, sizes.mr):
        for o in range(row.outputs):
            simd.dot_rows(
                values, source + r * stride, stride, parameters, row.weights + o * row.inputs_padded,
                depth, parameters, row.biases + o, values, target + r * row.target_stride + o,
                row.target_stride,
            )  # fmt: skip


@inline(references=False)
def forward(row, parameters, values, span, sizes):
    """The outputs of one layer."""
    source, kept = row.source * sizes.capacity, row.kept * sizes.capacity
    target, stride = row.target * sizes.capacity, row.target_stride
    if row.thin:
        _dots(row, parameters, values, span, sizes)
    elif row.has_weights:
        multiply_layers(
            Operand(values, source, row.source_stride, 1, sizes.mr * row.source_stride),
            Operand(parameters, row.weights, 0, sizes.nr, row.inputs_padded * sizes.nr),
            Operand(parameters, row.biases, 0, 0, sizes.nr),
            Operand(values, kept, stride, 0, sizes.nr),
            row.inputs,
            Part(span.begin, span.stop, 0, row.panels),
            (sizes.observations, row.outputs),
            False,
            parameters,
        )
    begin, end = span.begin * stride, span.stop * stride
    if kept != target:  # a copy of what was added up, or of what is there already
        copy(values[target + begin : target + end], values[kept + begin : kept + end])
    elif not row.has_weights:
        copy(values[target + begin : target + end], values[source + begin : source + end])
    if row.activation != 0:
        activate(row.activation, values[target + begin : target + end], row.parameter)
        if row.outputs < stride:  # g(0) need not be zero, infinity · 0 is not, and padding is.
            for r in range(span.begin, span.stop):
                _clear(values[target + r * stride + row.outputs : target + (r + 1) * stride])
                if row.has_weights and kept != target:
                    _clear(values[kept + r * stride + row.outputs : kept + (r + 1) * stride])


@inline(references=False)
def copy(target, source):
    """target ← source."""
    for j in range(len(target)):
        target[j] = source[j]


@inline(references=False)
def _clear(values):
    for j in range(len(values)):
        values[j] = 0.0


@inline(references=False)
def differentiate(row, values, deltas, span, sizes):
    """Turn derivatives with respect to a layer's outputs into those before its activation."""
    if row.activation != 0:
        stride = row.target_stride
        at = row.target * sizes.capacity + span.begin * stride
        end = row.target * sizes.capacity + span.stop * stride
        of = (row.target if row.from_output else row.kept) * sizes.capacity + span.begin * stride
        times_derivative(row.activation, deltas[at:end], values[of : of + end - at], row.parameter)


@inline(references=False)
def backward_weights(row, block, gradients, values, deltas, ones, sizes):
    """Gradients of a block of weights and biases."""
    source, source_stride = row.source * sizes.capacity, row.source_stride
    target, stride = row.target * sizes.capacity, row.target_stride
    if row.thin:
        into = Operand(gradients, row.weights, row.inputs_padded, 0, sizes.nr)
        multiply_rows(
            Operand(deltas, target, 0, stride, 1),
            Operand(values, source, 0, source_stride, sizes.nr),
            into,
            into,
            sizes.observations,
            Part(0, row.outputs, 0, (row.inputs_padded + sizes.nr - 1) // sizes.nr),
            (row.outputs, row.inputs_padded),
            True,
            ones,
        )
    else:
        inputs = (row.inputs + sizes.mr - 1) // sizes.mr * sizes.mr
        into = Operand(gradients, row.weights, sizes.nr, 0, row.inputs_padded * sizes.nr)
        multiply_layers(
            Operand(values, source, 1, source_stride, sizes.mr),
            Operand(deltas, target, 0, stride, sizes.nr),
            into,
            into,
            sizes.observations,
            Part(block.input, min(block.input_stop, inputs), block.panel, block.panel + 1),
            (row.inputs, row.outputs),
            True,
            ones,
        )
    if block.bias_begin < block.bias_end:
        into = Operand(gradients, block.bias_begin, 0, 0, 0)
        multiply_rows(
            Operand(ones, 0, 0, 0, 0),
            Operand(deltas, target + block.panel * sizes.nr, 0, stride, 0),
            into,
            into,
            sizes.observations,
            Part(0, 1, 0, 1),
            (1, sizes.nr),
            True,
            ones,
        )


@inline(references=False)
def transpose_weights(row, block, parameters, transposed, sizes):
    """The transpose of a block, for a layer whose inputs' deltas are wanted."""
    if row.trained_before and not row.thin:
        height = row.panels * sizes.nr * sizes.nr
        column = row.transposed + block.panel * sizes.nr * sizes.nr
        start = block.begin - block.input * sizes.nr
        for i in range(block.input, block.input_stop, sizes.width):
            to = column + (i // sizes.nr) * height + i % sizes.nr
            for j in range(0, sizes.nr, sizes.width):
                simd.transpose_block(
                    parameters,
                    start + i * sizes.nr + j,
                    sizes.nr,
                    transposed,
                    to + j * sizes.nr,
                    sizes.nr,
                )


@inline(references=False)
def backward_deltas(row, before, weights, values, deltas, span, sizes):
    """Deltas of the layer before, from this one's; `weights` are parameters and their transposes."""
    parameters, transposed = weights
    source, stride = row.source * sizes.capacity, row.source_stride
    target = row.target * sizes.capacity
    if row.has_weights:
        turned = Operand(transposed, row.transposed, 0, sizes.nr, row.panels * sizes.nr * sizes.nr)
        if row.thin:
            turned = Operand(parameters, row.weights, 0, row.inputs_padded, sizes.nr)
        into = Operand(deltas, source, stride, 0, sizes.nr)
        multiply_layers(
            Operand(deltas, target, row.target_stride, 1, sizes.mr * row.target_stride),
            turned,
            into,
            into,
            row.outputs,
            Part(span.begin, span.stop, 0, stride // sizes.nr),
            (sizes.observations, row.inputs),
            True,
            parameters,
        )
    else:
        begin, end = span.begin * stride, span.stop * stride
        copy(deltas[source + begin : source + end], deltas[target + begin : target + end])
    differentiate(before, values, deltas, span, sizes)

"""The optimiser's step: of the whole network, of blocks, of tensors, or of parts that a caller names."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.core import types

from fastkb.nn.optim.updates import Rule, scale, squared_norm, update, update_with_third
from fastkb.nn.program.step import types_of
from fastkb.runtime import inline, jit

LAMB, AMSGRAD = int(Rule.LAMB), int(Rule.AMSGRAD)


@inline(references=False)
def update_run(begin, end, decayed, parameters, gradients, moments, hyper):
    """The optimiser's step of the parameters from `begin` to `end`."""
    if begin < end:
        first, second = moments  # one or both may be empty
        update(
            parameters[begin:end],
            gradients[begin:end],
            first[min(begin, len(first)) : min(end, len(first))],
            second[min(begin, len(second)) : min(end, len(second))],
            decayed,
            hyper,
        )


@inline(references=False)
def update_all(layers, parameters, gradients, moments, hyper):
    """The whole network at once, or tensor by tensor where the rule tells tensors apart."""
    at_once = hyper.weight_decay == 0.0 and hyper.code != LAMB
    for k in range(1 if at_once else 2 * len(layers)):
        # Padding has no gradient and stays zero.
        begin, end, decayed = 0, len(gradients), False
        if not at_once:
            row, decayed = layers[k // 2], k % 2 == 0
            begin = row.weights if decayed else row.biases
            end = row.biases if decayed else row.biases_end
            if row.again:
                end = begin
        update_run(begin, end, decayed, parameters, gradients, moments, hyper)


@inline(references=False)
def run_updates(rows, b, parameters, scratch, moments, factor, hyper):
    """The optimiser's step of one block."""
    block, gradients = rows.blocks[b], scratch.gradients
    if factor < 1.0:
        scale(gradients[block.begin : block.end], factor)
        scale(gradients[block.bias_begin : block.bias_end], factor)
    update_run(block.begin, block.end, True, parameters, gradients, moments, hyper)
    update_run(block.bias_begin, block.bias_end, False, parameters, gradients, moments, hyper)


@inline(references=False)
def update_tensor(layers, k, parameters, scratch, moments, factor, hyper):
    """The optimiser's step of one tensor, weights and biases in turn: LAMB's, which takes their norms."""
    row, decayed = layers[k // 2], k % 2 == 0
    begin = row.weights if decayed else row.biases
    end = row.biases if decayed else row.biases_end
    if row.again:
        end = begin
    if factor < 1.0:
        scale(scratch.gradients[begin:end], factor)
    update_run(begin, end, decayed, parameters, scratch.gradients, moments, hyper)


class Spans(NamedTuple):
    """Parts of the parameters, and what their gradients are before the rule has them."""

    ends: (
        np.ndarray
    )  # where each begins and ends; for LAMB each is one tensor.  # shape: (count, 2)
    l2: float  # l2·θ is added to the gradient
    factor: float  # which is then multiplied by this


def _of_spans(T):
    flat, real = types.Array(T, 1, "C"), types.float64
    spans = types.NamedTuple((types.Array(types.intp, 2, "C"), real, real), Spans)
    return flat, spans, flat, types.UniTuple(flat, 3), types_of(T)["hyper"]


@jit(references=False, signature=_of_spans)
def update_spans(parameters, spans, gradients, moments, hyper):
    """The optimiser's step of some parts of the parameters, of which all shrink with a weight decay.

    The gradients are changed where `l2` is not 0 or `factor` not 1, and by LAMB. The states are three, of
    which the last is that of AMSGRAD and CENTERED.

    # shapes: (parameters,), and the states (0,) where they are unused
    """
    first, second, third = moments
    l2, factor = gradients.dtype.type(spans.l2), gradients.dtype.type(spans.factor)
    for k in range(len(spans.ends)):
        begin, end = spans.ends[k, 0], spans.ends[k, 1]
        if spans.l2 != 0.0 or spans.factor != 1.0:
            for j in range(begin, end):
                gradients[j] = factor * (gradients[j] + l2 * parameters[j])
        if hyper.code >= AMSGRAD:
            some = min(begin, len(first)), min(end, len(first))
            own = first[some[0] : some[1]], second[begin:end], third[begin:end]
            update_with_third(parameters[begin:end], gradients[begin:end], own, True, hyper)
        else:
            update_run(begin, end, True, parameters, gradients, (first, second), hyper)


def _of_ends(T):
    return types.Array(T, 1, "C"), types.Array(types.intp, 2, "C")


@jit(references=False, signature=_of_ends)
def square_of_spans(gradients, ends):
    """The squared norm of some parts, in float64; it is not finite where one of their elements is not.

    # shapes: (parameters,), (count, 2)
    """
    total = 0.0
    for k in range(len(ends)):
        total += squared_norm(gradients[ends[k, 0] : ends[k, 1]])
    return total

"""The interpreter: whole epochs of a program's steps without returning to Python.

A step has three parts, each of which can be cut into pieces that threads share:

1. *observations*: gather some of the batch, run the rows forward, take the loss, run its deltas back;
2. *gradients*: of a block of the parameters, from all observations' values and deltas;
3. *updates*: the optimiser's step of a block, and its transpose for the next step.

There are two drivers of these parts. :func:`train_members` runs on one thread, whose cache holds the
network: for one small network, and for many, which are dealt out to as many Python threads as there are
cores (a parallel region around it would take four times longer to compile). :func:`train_threads` shares
each part of one network's step among all threads. Either computes the same numbers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import from_dtype
from numba.core import types

from fastkb.nn.losses import Answers, Outputs, losses_and_deltas, share_of_one
from fastkb.nn.passes import (
    Sizes,
    Span,
    backward_deltas,
    backward_weights,
    copy,
    differentiate,
    forward,
    transpose_weights,
)
from fastkb.nn.program import BLOCK, LAYER, Program, Rows
from fastkb.nn.updates import (
    Hyper,
    Rule,
    all_finite,
    clip,
    rough_squares,
    scale,
    squared_norm,
    update,
)
from fastkb.runtime import inline, jit, prange
from fastkb.runtime.memory import zeros

LAMB = int(Rule.LAMB)
GRADIENTS_ONLY, LOSS_ONLY = -1, -2  # in place of a rule

_SAFE = 1e74  # the square of a number of which float32 can hold ten


class Data(NamedTuple):
    """Observations. Of `targets` and `labels` one may be empty, as the loss does not need it."""

    inputs: np.ndarray  # shape: (n, inputs)
    targets: np.ndarray  # shape: (n, outputs)
    labels: np.ndarray  # shape: (n,), int64
    weights: np.ndarray  # shape: (members, n), or (members, 0): all one


class Scratch(NamedTuple):
    """What a step computes in: see :func:`new_scratch`."""

    gradients: np.ndarray
    transposed: np.ndarray
    values: np.ndarray
    deltas: np.ndarray
    zeros: np.ndarray
    ones: np.ndarray
    losses: np.ndarray  # of each observation, float64
    squares: np.ndarray  # of each block: its squared norm, float64
    reach: np.ndarray  # of each piece of a batch: see `_reach`, float64


class State(NamedTuple):
    """Parameters and the optimiser's state, of each member.  # shapes: (members, parameters)"""

    parameters: np.ndarray
    first: np.ndarray  # (members, 0) if unused
    second: np.ndarray


class Steps(NamedTuple):
    """What is to be done."""

    loss: int  # fastkb.nn.losses.Loss
    l2: float  # penalty (l2/2)·‖W‖² of the weights, part of the loss
    l2_shared: int  # 1: the penalty is divided by the batch's observations (as scikit-learn's is)
    clip_norm: float  # 0: none
    clip_value: float  # 0: none
    batch: int  # observations of a step; the last step of an epoch may have fewer
    done: int  # updates before these


def new_scratch(program: Program, capacity: int, *, training: bool = True) -> Scratch:
    """Scratch for batches of up to `capacity` observations, a multiple of mr."""
    kind, what = program.dtype, "the values of a network's layers"
    values = program.values * capacity
    lengths = (program.parameters, program.transposed, values, values)
    if not training:
        lengths = (0, 0, values, 0)
    arrays = [zeros((length,), kind, what) for length in (*lengths, program.blocking.nr)]
    counts = (capacity, len(program.blocks), 2 * capacity) if training else (0, 0, 0)
    sums = [np.zeros(count) for count in counts]
    return Scratch._make([*arrays, np.ones(1, kind), *sums])


def _types(T):
    """Numba's types of what the functions below are given."""
    matrix, whole = types.Array(T, 2, "C"), types.intp
    read, real = types.Array(T, 2, "C", readonly=True), types.float64
    return {
        "layers": types.Array(from_dtype(LAYER), 1, "C"),
        "rows": types.NamedTuple(
            (types.Array(from_dtype(LAYER), 1, "C"), types.Array(from_dtype(BLOCK), 1, "C")), Rows
        ),
        "state": types.NamedUniTuple(matrix, 3, State),
        "scratch": types.NamedTuple(
            (*[types.Array(T, 1, "C")] * 6, *[types.Array(real, 1, "C")] * 3), Scratch
        ),
        "data": types.NamedTuple((read, read, types.Array(whole, 1, "C"), matrix), Data),
        "order": types.Array(whole, 2, "C"),
        "steps": types.NamedTuple((whole, real, whole, real, real, whole, whole), Steps),
        "hyper": types.NamedTuple(
            (whole, real, real, whole, real, real, real, real, real, real), Hyper
        ),
        "sizes": types.NamedUniTuple(whole, 6, Sizes),
        "parts": whole,
        "losses": types.Array(real, 2, "C"),
        "parameters": types.Array(T, 1, "C", readonly=True),
        "inputs": read,
        "out": matrix,
    }


def _signature(*names):
    return lambda T: tuple(_types(T)[name] for name in names)


_TRAINING = ("state", "rows", "scratch", "data", "order", "steps", "hyper", "sizes")


@inline(references=False)
def _gather(inputs, chosen, values, stride):
    """The batch's rows, behind each other as the first layer reads them."""
    for i in range(len(chosen)):
        copy(values[i * stride : i * stride + inputs.shape[1]], inputs[chosen[i]])


@inline(references=False)
def _run_forward(layers, parameters, values, span, sizes):
    for k in range(len(layers)):
        forward(layers[k], parameters, values, span, sizes)


@inline(references=False)
def _run_backward(layers, parameters, scratch, span, sizes):
    """All deltas of some observations, from the derivatives of their losses."""
    last = len(layers) - 1
    differentiate(layers[last], scratch.values, scratch.deltas, span, sizes)
    for back in range(last):
        k = last - back
        if layers[k].trained_before:
            backward_deltas(
                layers[k], layers[k - 1], (parameters, scratch.transposed), scratch.values,
                scratch.deltas, scratch.zeros, span, sizes,
            )  # fmt: skip


@inline(references=False)
def _squared_weights(rows, parameters, l2):
    """‖W‖² over all weights, if it is needed."""
    total = 0.0
    if l2 > 0.0:
        for b in range(len(rows.blocks)):
            total += squared_norm(parameters[rows.blocks[b].begin : rows.blocks[b].end])
    return total


@inline(references=False)
def _run_gradients(rows, b, parameters, scratch, l2, steps, sizes):
    """The gradient of one block, clipped by value; in `squares` what clipping by norm must know of it."""
    block = rows.blocks[b]
    gradients = scratch.gradients
    backward_weights(
        rows.layers[block.layer], block, gradients, scratch.values, scratch.deltas,
        (scratch.zeros, scratch.ones), sizes,
    )  # fmt: skip
    weights = gradients[block.begin : block.end]
    biases = gradients[block.bias_begin : block.bias_end]
    if l2 > 0.0:
        shrink, current = weights.dtype.type(l2), parameters[block.begin : block.end]
        for j in range(len(weights)):
            weights[j] += shrink * current[j]
    square = 0.0
    if not (all_finite(weights) and all_finite(biases)):
        square = math.nan
    else:
        if steps.clip_value > 0.0:
            clip(weights, steps.clip_value)
            clip(biases, steps.clip_value)
        if steps.clip_norm > 0.0:
            square = squared_norm(weights) + squared_norm(biases)
    scratch.squares[b] = square


@inline(references=False)
def _reach(layers, values, deltas, span, sizes):
    """Sums of squares of what some observations bring to the gradients: inputs, and deltas.

    The product of the roots of the batch's two sums bounds every gradient (Cauchy and Schwarz). They are
    infinite where they overflow.
    """
    before, after = 0.0, 0.0
    for k in range(len(layers)):
        row = layers[k]
        if row.has_weights:
            source, stride = row.source * sizes.capacity, row.source_stride
            before += rough_squares(
                values[source + span.begin * stride : source + span.stop * stride]
            )
            target, stride = row.target * sizes.capacity, row.target_stride
            after += rough_squares(
                deltas[target + span.begin * stride : target + span.stop * stride]
            )
    return before, after


@inline(references=False)
def _are_finite(reach, pieces, penalty):
    """Whether gradients are finite for sure: those of the loss, and l2·W, squared and added up."""
    before, after = 0.0, 0.0
    for t in range(pieces):
        before += reach[2 * t]
        after += reach[2 * t + 1]
    return before * after < _SAFE and penalty < _SAFE


@inline(references=False)
def _scale_of(squares, clip_norm):
    """By what gradients are multiplied; NaN if they are not finite."""
    total = 0.0
    for b in range(len(squares)):
        total += squares[b]
    if not math.isfinite(total):
        return math.nan
    factor = 1.0
    if clip_norm > 0.0:
        factor = min(1.0, clip_norm / (math.sqrt(total) + 1e-6))
    return factor


@inline(references=False)
def _at_step(hyper, step):
    """The hyper-parameters with the bias corrections of one step."""
    one = 1.0 - hyper.beta1**step if hyper.beta1 > 0.0 else 1.0
    two = 1.0 - hyper.beta2**step if hyper.beta2 > 0.0 else 1.0
    return Hyper(
        hyper.code, hyper.lr, hyper.momentum, hyper.nesterov, hyper.beta1, hyper.beta2, hyper.eps,
        hyper.weight_decay, one, two,
    )  # fmt: skip


@inline(references=False)
def _update_run(begin, end, decayed, parameters, gradients, moments, hyper):
    if begin < end:
        first, second = moments  # (of which one or both may be empty)
        update(
            parameters[begin:end],
            gradients[begin:end],
            first[min(begin, len(first)) : min(end, len(first))],
            second[min(begin, len(second)) : min(end, len(second))],
            decayed,
            hyper,
        )


@inline(references=False)
def _update_all(layers, parameters, gradients, moments, hyper):
    """The whole network at once, or tensor by tensor where the rule tells tensors apart."""
    at_once = hyper.weight_decay == 0.0 and hyper.code != LAMB
    for k in range(1 if at_once else 2 * len(layers)):
        # (Padding has no gradient and stays zero.)
        begin, end, decayed = 0, len(parameters), False
        if not at_once:
            row, decayed = layers[k // 2], k % 2 == 0
            begin = row.weights if decayed else row.biases
            end = row.biases if decayed else row.biases + row.outputs * row.has_biases
        _update_run(begin, end, decayed, parameters, gradients, moments, hyper)


@inline(references=False)
def _run_updates(rows, b, parameters, scratch, moments, factor, hyper, sizes):
    """The step of one block, and its transpose for the next one. (LAMB's is done already.)"""
    block, gradients = rows.blocks[b], scratch.gradients
    if hyper.code != LAMB:
        if factor < 1.0:
            scale(gradients[block.begin : block.end], factor)
            scale(gradients[block.bias_begin : block.bias_end], factor)
        _update_run(block.begin, block.end, True, parameters, gradients, moments, hyper)
        _update_run(block.bias_begin, block.bias_end, False, parameters, gradients, moments, hyper)
    transpose_weights(rows.layers[block.layer], block, parameters, scratch.transposed, sizes)


@jit(references=False, signature=_signature(*_TRAINING, "losses"))
def train_members(state, rows, scratch, data, order, steps, hyper, sizes, losses):
    """Run the steps of an epoch, or of a part of it, for each member, on this thread.

    Parameters
    ----------
    state : State
    rows : Rows
    scratch : Scratch
    data : Data
    order : array of int64
        Observations in the order in which they are taken.  # shape: (members, count)
    steps : Steps
    hyper : Hyper
        Its bias corrections are replaced by those of each step. With the code GRADIENTS_ONLY nothing is
        updated, and the gradients are left in `scratch`; with LOSS_ONLY there are none.
    sizes : Sizes
    losses : array of float64
        Each step's loss with its penalty, before its update. Where it is not finite, or its gradient is
        not (then it is NaN), the member's steps end, and its parameters are those before the step.
        # shape: (members, steps)
    """
    layers, blocks = rows
    last = layers[len(layers) - 1]
    outputs = Outputs(last.target * sizes.capacity, last.target_stride, last.outputs)
    for member in range(len(state.parameters)):
        parameters = state.parameters[member]
        moments = state.first[member], state.second[member]
        weights, mine = data.weights[member], order[member]
        for step in range(losses.shape[1]):
            chosen = mine[step * steps.batch : min((step + 1) * steps.batch, len(mine))]
            now = Sizes(sizes.mr, sizes.nr, sizes.width, sizes.kc, sizes.capacity, len(chosen))
            span = Span(0, (len(chosen) + sizes.mr - 1) // sizes.mr * sizes.mr)
            answers = Answers(data.targets, data.labels, weights, chosen)
            _gather(data.inputs, chosen, scratch.values, layers[0].source_stride)
            _run_forward(layers, parameters, scratch.values, span, now)
            share = share_of_one(steps.loss, outputs, answers)
            losses_and_deltas(
                steps.loss, outputs, scratch.values, scratch.deltas, answers, share, span,
                scratch.losses,
            )  # fmt: skip
            l2 = steps.l2 / len(chosen) if steps.l2_shared else steps.l2
            loss = _total(scratch.losses, len(chosen))
            loss += 0.5 * l2 * _squared_weights(rows, parameters, l2)
            losses[member, step] = loss
            if hyper.code == LOSS_ONLY:
                continue
            if not math.isfinite(loss) and hyper.code != GRADIENTS_ONLY:
                break
            for b in range(len(blocks)):
                transpose_weights(
                    layers[blocks[b].layer], blocks[b], parameters, scratch.transposed, now
                )
            _run_backward(layers, parameters, scratch, span, now)
            for b in range(len(blocks)):
                _run_gradients(rows, b, parameters, scratch, l2, steps, now)
            if hyper.code == GRADIENTS_ONLY:
                continue
            factor = _scale_of(scratch.squares, steps.clip_norm)
            if not math.isfinite(factor):
                losses[member, step] = math.nan
                break
            if factor < 1.0:
                scale(scratch.gradients, factor)
            at_step = _at_step(hyper, steps.done + step + 1)
            _update_all(layers, parameters, scratch.gradients, moments, at_step)


@inline(references=False)
def _total(losses, count):
    total = 0.0
    for i in range(count):
        total += losses[i]
    return total


@jit(parallel=True, references=False, signature=_signature(*_TRAINING, "parts", "losses"))
def train_threads(state, rows, scratch, data, order, steps, hyper, sizes, parts, losses):
    """:func:`train_members` for one member; `parts` is into how many pieces a batch is cut."""
    layers, blocks = rows
    last = layers[len(layers) - 1]
    outputs = Outputs(last.target * sizes.capacity, last.target_stride, last.outputs)
    mr, nr, stride = sizes.mr, sizes.nr, layers[0].source_stride
    parameters, moments = state.parameters[0], (state.first[0], state.second[0])
    weights, mine = data.weights[0], order[0]
    # (By names of their own: Numba may move a reading of `scratch.squares` past a loop that writes it.)
    losses_of, squares, reach = scratch.losses, scratch.squares, scratch.reach
    for b in range(len(blocks)):
        transpose_weights(layers[blocks[b].layer], blocks[b], parameters, scratch.transposed, sizes)
    for step in range(losses.shape[1]):
        chosen = mine[step * steps.batch : min((step + 1) * steps.batch, len(mine))]
        count = len(chosen)
        now = Sizes(mr, nr, sizes.width, sizes.kc, sizes.capacity, count)
        tiles = (count + mr - 1) // mr
        answers = Answers(data.targets, data.labels, weights, chosen)
        share = share_of_one(steps.loss, outputs, answers)
        pieces = min(parts, tiles)
        for t in prange(pieces):
            span = Span(tiles * t // pieces * mr, tiles * (t + 1) // pieces * mr)
            some = chosen[span.begin : min(span.stop, count)]
            _gather(data.inputs, some, scratch.values[span.begin * stride :], stride)
            _run_forward(layers, parameters, scratch.values, span, now)
            losses_and_deltas(
                steps.loss, outputs, scratch.values, scratch.deltas, answers, share, span,
                losses_of,
            )  # fmt: skip
            _run_backward(layers, parameters, scratch, span, now)
            reach[2 * t], reach[2 * t + 1] = _reach(
                layers, scratch.values, scratch.deltas, span, now
            )
        l2 = steps.l2 / count if steps.l2_shared else steps.l2
        loss, squared_weights = _total(losses_of, count), 0.0
        if l2 > 0.0:
            for b in prange(len(blocks)):
                squares[b] = squared_norm(parameters[blocks[b].begin : blocks[b].end])
            squared_weights = _total(squares, len(blocks))
        loss += 0.5 * l2 * squared_weights
        losses[0, step] = loss
        if not math.isfinite(loss) and hyper.code != GRADIENTS_ONLY:
            break
        number = steps.done + step + 1
        if (
            steps.clip_norm == 0.0
            and hyper.code >= 0
            and hyper.code != LAMB
            and _are_finite(reach, pieces, l2 * l2 * squared_weights)
        ):
            # Nothing is to be known of all gradients before an update: a block's are used while they are
            # in the cache.
            for b in prange(len(blocks)):
                _run_gradients(rows, b, parameters, scratch, l2, steps, now)
                _run_updates(
                    rows, b, parameters, scratch, moments, 1.0, _at_step(hyper, number), now
                )
            continue
        for b in prange(len(blocks)):
            _run_gradients(rows, b, parameters, scratch, l2, steps, now)
        if hyper.code == GRADIENTS_ONLY:
            continue
        factor = _scale_of(squares, steps.clip_norm)
        if not math.isfinite(factor):
            losses[0, step] = math.nan
            break
        if hyper.code == LAMB:  # takes the norms of whole tensors
            scale(scratch.gradients, factor)
            _update_all(layers, parameters, scratch.gradients, moments, _at_step(hyper, number))
        for b in prange(len(blocks)):
            _run_updates(
                rows, b, parameters, scratch, moments, factor, _at_step(hyper, number), now
            )


@jit(
    references=False,
    signature=_signature("parameters", "layers", "scratch", "inputs", "sizes", "out"),
)
def evaluate(parameters, layers, scratch, inputs, sizes, out):
    """The network's outputs for all rows of `inputs`, some rows at a time, on this thread.

    # shapes: (n, inputs), out (n, outputs)
    """
    values, last = scratch.values, layers[len(layers) - 1]
    stride = layers[0].source_stride
    for begin in range(0, len(inputs), sizes.capacity):
        count = min(sizes.capacity, len(inputs) - begin)
        now = Sizes(sizes.mr, sizes.nr, sizes.width, sizes.kc, sizes.capacity, count)
        for i in range(count):
            copy(values[i * stride : i * stride + inputs.shape[1]], inputs[begin + i])
        span = Span(0, (count + sizes.mr - 1) // sizes.mr * sizes.mr)
        _run_forward(layers, parameters, values, span, now)
        for i in range(count):
            start = last.target * sizes.capacity + i * last.target_stride
            copy(out[begin + i], values[start : start + last.outputs])

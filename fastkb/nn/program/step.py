"""A step of training, in parts: what the tasks of the schedule are made of.

A step gathers a batch, runs the program's rows forward, takes the loss, runs the rows backward, and lets
the optimiser update the parameters.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import from_dtype
from numba.core import types

from fastkb.nn.ops.losses import Outputs
from fastkb.nn.optim.updates import (
    Hyper,
    Rule,
    all_finite,
    clip,
    rough_squares,
    squared_norm,
)
from fastkb.nn.program.layout import BLOCK, LAYER, Program, Rows
from fastkb.nn.program.passes import Sizes, add, clear, copy
from fastkb.runtime import inline
from fastkb.runtime.memory import zeros

LAMB = int(Rule.LAMB)
# In place of a rule. Gradients; the loss, by running statistics; what is computed forward in training,
# with the loss where there are answers; gradients. After the last two running statistics follow.
GRADIENTS_ONLY, LOSS_ONLY, FORWARD_ONLY, RECORDED = -1, -2, -3, -4
# What the penalty is divided by: nothing, or as scikit-learn has it, a batch's observations or weights.
BY_NOTHING, BY_OBSERVATIONS, BY_WEIGHTS = 0, 1, 2

# Elements of `Scratch.current`: a weight's share in the batch's mean, the penalty's factor, what
# gradients are multiplied by, and the optimiser's rate, bias corrections and ε.
SHARE, PENALTY, FACTOR, RATE, FIRST_CORRECTION, SECOND_CORRECTION, EPSILON = range(7)

_SAFE = 1e74  # the square of a number of which float32 can hold ten


class Data(NamedTuple):
    """Observations. Of `targets` and `labels` one may be empty, as the loss does not need it."""

    inputs: np.ndarray  # shape: (n, inputs)
    targets: np.ndarray  # shape: (n, outputs), or as the loss has them
    labels: np.ndarray  # shape: (n,), int64
    weights: np.ndarray  # shape: (members, n), or (members, 0): all one


class Scratch(NamedTuple):
    """What a step computes in: see :func:`new_scratch`."""

    gradients: np.ndarray
    transposed: np.ndarray
    values: np.ndarray
    deltas: np.ndarray
    ones: np.ndarray
    losses: np.ndarray  # of each observation, float64
    room: np.ndarray  # as long, for what the losses are computed from, float64
    squares: np.ndarray  # of each block: its squared norm, float64
    norms: np.ndarray  # of each block of weights: its squared norm, float64
    reach: np.ndarray  # of each piece of a batch: see `reach_of`, float64
    current: np.ndarray  # numbers of the step that threads share: see `SHARE`, float64
    picked: np.ndarray  # a batch's observations that have weight, int64
    rooms: np.ndarray  # what each thread computes a block's gradient in.  # shape: (threads, room)


class State(NamedTuple):
    """Parameters and the optimiser's state, of each member.  # shapes: (members, parameters)"""

    parameters: np.ndarray
    first: np.ndarray  # (members, 0) if unused
    second: np.ndarray


class Steps(NamedTuple):
    """What is to be done: some epochs, or some steps of one."""

    loss: int  # fastkb.nn.ops.losses.Loss
    l2: float  # penalty (l2/2)·‖W‖² of the weights, part of the loss
    # BY_NOTHING, BY_OBSERVATIONS or BY_WEIGHTS: what the penalty is divided by. With BY_WEIGHTS
    # observations without weight are passed over, as if they were not there.
    penalty: int
    clip_norm: float  # 0: none
    clip_value: float  # 0: none
    batch: int  # observations of a step; the last step of an epoch may have fewer
    epoch: int = 0  # observations of an epoch, where there are several; 0: all are of one
    number: float = 0.0  # of the loss


class Each(NamedTuple):
    """What differs between members."""

    rates: np.ndarray  # shape: (members,), float64
    updates: np.ndarray  # so far; counted on.  # shape: (members,), int64
    # 1: a loss was not finite, and there are no more steps.  # shape: (members,), int64
    ended: np.ndarray
    seeds: np.ndarray  # of masks, such as Dropout's.  # shape: (members,), int64


class Run(NamedTuple):
    """Steps of each member, with all that they need."""

    state: State
    rows: Rows
    scratch: Scratch
    data: Data
    order: np.ndarray  # observations, as they are taken.  # shape: (members, count), int64
    steps: Steps
    # Its rate and bias corrections are replaced by those of each step. With a code below 0 nothing is
    # updated, and gradients, if there are any, are left in `scratch`.
    hyper: Hyper
    each: Each
    sizes: Sizes
    # Each step's loss with its penalty, before its update. Where it is not finite, or its gradient is not
    # (then it is NaN), the member's steps end, and its parameters are those before the step.
    losses: np.ndarray  # shape: (members, steps), float64


def types_of(T: types.Float) -> dict[str, types.Type]:
    """Numba's types of these, and of what else compiled functions are given, for elements of type T."""
    matrix, whole = types.Array(T, 2, "C"), types.intp
    read, real = types.Array(T, 2, "C", readonly=True), types.float64
    layers = types.Array(from_dtype(LAYER), 1, "C")
    members = {
        "state": types.NamedUniTuple(matrix, 3, State),
        "rows": types.NamedTuple(
            (layers, *[types.Array(from_dtype(BLOCK), 1, "C")] * 2, types.Array(whole, 1, "C")),
            Rows,
        ),
        "scratch": types.NamedTuple(
            (
                *[types.Array(T, 1, "C")] * 5,
                *[types.Array(real, 1, "C")] * 6,
                types.Array(whole, 1, "C"),
                matrix,
            ),
            Scratch,
        ),
        "data": types.NamedTuple((read, read, types.Array(whole, 1, "C"), matrix), Data),
        "order": types.Array(whole, 2, "C"),
        "steps": types.NamedTuple((whole, real, whole, real, real, whole, whole, real), Steps),
        "hyper": types.NamedTuple((whole, real, real, whole, *[real] * 6, whole), Hyper),
        "each": types.NamedTuple(
            (types.Array(real, 1, "C"), *[types.Array(types.int64, 1, "C")] * 3), Each
        ),
        "sizes": types.NamedUniTuple(whole, 11, Sizes),
        "losses": types.Array(real, 2, "C"),
    }
    run = types.NamedTuple(tuple(members[name] for name in Run._fields), Run)
    return {**members, "run": run, "layers": layers, "matrix": matrix, "read": read}


# Vectors behind the values: those that a micro-tile reads, and does not use, beyond the last channel.
_BEHIND = 8


def shared_place(program: Program, capacity: int) -> int:
    """Where in the values what all observations share begins."""
    return program.values * capacity + _BEHIND * program.blocking.width


def new_scratch(
    program: Program, capacity: int, *, training: bool = True, threads: int = 1
) -> Scratch:
    """Scratch for batches of up to `capacity` observations, a multiple of the program's unit."""
    kind, what = program.dtype, "the values of a network's layers"
    values = shared_place(program, capacity) + program.shared
    lengths = (program.parameters, program.transposed, values, values)
    if not training:
        lengths = (0, 0, values, 0)
    arrays = [zeros((length,), kind, what) for length in lengths]
    blocks = len(program.blocks)
    counts = (capacity, capacity, blocks, blocks, 2 * capacity, 7) if training else (0,) * 6
    sums = [np.zeros(count) for count in counts]
    picked = np.zeros(capacity if training else 0, np.int64)
    rooms = zeros((threads, program.room if training else 0), kind, what)
    return Scratch._make([*arrays, np.ones(1, kind), *sums, picked, rooms])


@inline(references=False)
def outputs_of(layers, sizes):
    """Where the last layer's values stand."""
    last = layers[len(layers) - 1]
    padded = (last.outputs + sizes.width - 1) // sizes.width * sizes.width
    return Outputs(last.target * sizes.capacity, last.target_stride, last.outputs, padded)


@inline(references=False)
def gather(inputs, chosen, values, stride):
    """The batch's rows, behind each other as the first layer reads them."""
    for i in range(len(chosen)):
        copy(values[i * stride : i * stride + inputs.shape[1]], inputs[chosen[i]])


@inline(references=False)
def run_gradients(rules, rows, b, parameters, scratch, steps, sizes, room):
    """The gradient of one block, clipped by value; in `squares` what clipping by norm must know of it."""
    block = rows.blocks[b]
    gradients = scratch.gradients
    weights = gradients[block.begin : block.end]
    biases = gradients[block.bias_begin : block.bias_end]
    # What several rows bring to the same parameters is added up behind what their rules compute in.
    total = room[max(0, len(room) - len(weights) - len(biases)) :]
    if block.again >= 0:
        clear(total)
    place, further = block, block.again
    while True:
        row = rows.layers[place.layer]
        rules.gradients(
            row.code,
            row,
            place,
            gradients,
            scratch.values,
            scratch.deltas,
            scratch.ones,
            room,
            sizes,
        )
        if block.again >= 0:
            add(total[: len(weights)], weights)
            add(total[len(weights) :], biases)
        if further < 0:
            break
        place = rows.again[further]
        further = place.again
    if block.again >= 0:
        copy(weights, total[: len(weights)])
        copy(biases, total[len(weights) :])
    l2 = scratch.current[PENALTY]
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
def reach_of(layers, values, deltas, span, sizes):
    """Sums of squares of what some observations bring to the gradients: inputs, and deltas.

    The product of the roots of the batch's two sums bounds every gradient that is an inner product of
    both (Cauchy and Schwarz). They are infinite where they overflow, and where a gradient is something
    else.
    """
    before, after = 0.0, 0.0
    for k in range(len(layers)):
        row = layers[k]
        if row.differentiated and not row.bounded and (row.has_weights or row.has_biases):
            before = math.inf
        elif row.has_weights:
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
def are_finite(reach, pieces, penalty):
    """Whether gradients are finite for sure: those of the loss, and l2·W, squared and added up."""
    before, after = 0.0, 0.0
    for t in range(pieces):
        before += reach[2 * t]
        after += reach[2 * t + 1]
    return before * after < _SAFE and penalty < _SAFE


@inline(references=False)
def scale_of(squares, clip_norm):
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
def total_of(numbers, count):
    """The sum of the first numbers, one after the other."""
    total = 0.0
    for i in range(count):
        total += numbers[i]
    return total


@inline(references=False)
def turn(rules, rows, b, parameters, scratch, l2, sizes):
    """What the next step wants of a block's new weights: their transpose, and their norm."""
    block = rows.blocks[b]
    place, further = block, block.again
    while True:
        # Of rows with the same parameters it may be one alone that wants them turned.
        row = rows.layers[place.layer]
        rules.turn(row.code, row, place, parameters, scratch.transposed, sizes)
        if further < 0:
            break
        place = rows.again[further]
        further = place.again
    if l2 > 0.0:
        scratch.norms[b] = squared_norm(parameters[block.begin : block.end])

"""The interpreter: whole epochs of a program's steps without returning to Python.

One step gathers a batch, runs the rows forward, the loss, the rows backward, and the optimiser. There are
two drivers of the same parts. :func:`train_members` runs on one thread, whose cache holds the network:
for one small network, and for many, which are dealt out to as many Python threads as there are cores.
:func:`train_threads` is called by several threads, which share each step of one network. It has
*phases*, each cut into *tasks*:

1. *observations*: gather some of the batch, run the rows forward, take the loss, run its deltas back;
2. *gradients*: of a block of the parameters, from all observations' values and deltas;
3. *updates*: the optimiser's step of a block, and its transpose for the next step. (Of a large network
   mostly within 2, while the block is in the cache.)

A thread claims tasks until the phase has none left; who completes the last one does what is to be done
between phases, and opens the next. So nobody waits for a thread that the operating system has not started
yet, or holds up, but for the tasks that it has claimed; and between two phases pass some hundred
nanoseconds, where a parallel region takes microseconds. What a task computes does not depend on who does
it: either driver computes the same numbers, on any number of threads.
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
from fastkb.runtime import inline, jit
from fastkb.runtime.atomics import atomic_add, atomic_load, atomic_store, give_way, relax
from fastkb.runtime.memory import zeros

LAMB = int(Rule.LAMB)
GRADIENTS_ONLY, LOSS_ONLY = -1, -2  # in place of a rule

# Phases: what a task of each is.
TURN, OBSERVATIONS, GRADIENTS, UPDATES, END = 0, 1, 2, 3, 4

# Elements of the control: the open phase, see `_open`; tasks that are done; the phase's kind; the step;
# whether gradients are used at once. (What threads write at the same time is on cache lines of its own.)
PHASE, DONE, KIND, STEP, AT_ONCE = 0, 8, 16, 17, 18
CONTROL = 24
# Elements of `Scratch.current`: a weight's share in the batch's mean, the penalty's factor, and what
# gradients are multiplied by.
SHARE, PENALTY, FACTOR = 0, 1, 2

# A phase is one number: its tasks, and in the lower bits the next one to be claimed.
_BITS = 31
_MASK = (1 << _BITS) - 1

_SAFE = 1e74  # the square of a number of which float32 can hold ten

# Parameters from which a block's gradient is better used at once than met again in the next phase.
_LARGE = 2**15

# Looks at the phase before a thread offers its core to others.
_PATIENCE = 2000


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
    norms: np.ndarray  # of each block of weights: its squared norm, float64
    reach: np.ndarray  # of each piece of a batch: see `_reach`, float64
    current: np.ndarray  # numbers of the step: see SHARE, float64


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
    blocks = len(program.blocks)
    counts = (capacity, blocks, blocks, 2 * capacity, 3) if training else (0,) * 5
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
            (*[types.Array(T, 1, "C")] * 6, *[types.Array(real, 1, "C")] * 5), Scratch
        ),
        "data": types.NamedTuple((read, read, types.Array(whole, 1, "C"), matrix), Data),
        "order": types.Array(whole, 2, "C"),
        "steps": types.NamedTuple((whole, real, whole, real, real, whole, whole), Steps),
        "hyper": types.NamedTuple(
            (whole, real, real, whole, real, real, real, real, real, real), Hyper
        ),
        "sizes": types.NamedUniTuple(whole, 6, Sizes),
        "control": types.Array(whole, 1, "C"),
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
def _total(numbers, count):
    total = 0.0
    for i in range(count):
        total += numbers[i]
    return total


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
    padded = (last.outputs + sizes.width - 1) // sizes.width * sizes.width
    outputs = Outputs(last.target * sizes.capacity, last.target_stride, last.outputs, padded)
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
def _run_updates(rows, b, parameters, scratch, moments, factor, hyper):
    """The optimiser's step of one block."""
    block, gradients = rows.blocks[b], scratch.gradients
    if factor < 1.0:
        scale(gradients[block.begin : block.end], factor)
        scale(gradients[block.bias_begin : block.bias_end], factor)
    _update_run(block.begin, block.end, True, parameters, gradients, moments, hyper)
    _update_run(block.bias_begin, block.bias_end, False, parameters, gradients, moments, hyper)


@inline(references=False)
def _update_tensor(layers, k, parameters, scratch, moments, factor, hyper):
    """The optimiser's step of one tensor, weights and biases in turn: LAMB's, which takes their norms."""
    row, decayed = layers[k // 2], k % 2 == 0
    begin = row.weights if decayed else row.biases
    end = row.biases if decayed else row.biases + row.outputs * row.has_biases
    if factor < 1.0:
        scale(scratch.gradients[begin:end], factor)
    _update_run(begin, end, decayed, parameters, scratch.gradients, moments, hyper)


@inline(references=False)
def _turn(rows, b, parameters, scratch, l2, sizes):
    """What the next step wants of a block's new weights: their transpose, and their norm."""
    block = rows.blocks[b]
    transpose_weights(rows.layers[block.layer], block, parameters, scratch.transposed, sizes)
    if l2 > 0.0:
        scratch.norms[b] = squared_norm(parameters[block.begin : block.end])


@inline(references=False)
def _batch(step, steps, order):
    """The observations of a step: where in the order they begin and end."""
    return step * steps.batch, min((step + 1) * steps.batch, len(order))


@inline(references=False)
def _pieces(observations, parts, mr):
    """Into how many pieces a batch is cut."""
    return min(parts, (observations + mr - 1) // mr)


@inline(references=False)
def _open(control, kind, tasks):
    """Open a phase, whose tasks may be claimed then; without tasks all is over."""
    control[KIND], control[DONE] = kind, 0
    atomic_store(control, PHASE, tasks << _BITS)


@inline(references=False)
def _claim(control):
    """The next task of the open phase; -1: all is over."""
    looks = 0
    while True:
        phase = atomic_load(control, PHASE)
        if phase >> _BITS == 0:
            return -1
        if phase & _MASK < phase >> _BITS:
            phase = atomic_add(control, PHASE, 1)  # (another one may be open by now)
            if phase & _MASK < phase >> _BITS:
                return phase & _MASK
        looks += 1
        if looks > _PATIENCE:
            give_way()
        else:
            relax()


@jit(references=False, signature=_signature(*_TRAINING, "parts", "control", "losses"))
def train_threads(state, rows, scratch, data, order, steps, hyper, sizes, parts, control, losses):
    """:func:`train_members` for one member, by all threads that call this with the same arguments.

    When one of them returns, all is done.

    Parameters
    ----------
    state, rows, scratch, data, order, steps, hyper, sizes, losses
        As there.
    parts : int
        Into how many pieces a batch is cut, if it has as many micro-tiles.
    control : array of int64
        From :func:`new_control`.  # shape: (CONTROL,)
    """
    layers, blocks = rows
    last = layers[len(layers) - 1]
    padded = (last.outputs + sizes.width - 1) // sizes.width * sizes.width
    outputs = Outputs(last.target * sizes.capacity, last.target_stride, last.outputs, padded)
    stride, current = layers[0].source_stride, scratch.current
    parameters, moments = state.parameters[0], (state.first[0], state.second[0])
    weights, mine = data.weights[0], order[0]
    training, by_tensor = hyper.code >= 0, hyper.code == LAMB
    while True:
        task = _claim(control)
        if task < 0:
            break
        kind, step, tasks = control[KIND], control[STEP], len(blocks)
        begin, end = _batch(max(step, 0), steps, mine)
        chosen, count = mine[begin:end], end - begin
        now = Sizes(sizes.mr, sizes.nr, sizes.width, sizes.kc, sizes.capacity, count)
        if kind == OBSERVATIONS:
            tasks = _pieces(count, parts, sizes.mr)
            tiles = (count + sizes.mr - 1) // sizes.mr
            span = Span(tiles * task // tasks * sizes.mr, tiles * (task + 1) // tasks * sizes.mr)
            some = chosen[span.begin : min(span.stop, count)]
            _gather(data.inputs, some, scratch.values[span.begin * stride :], stride)
            _run_forward(layers, parameters, scratch.values, span, now)
            losses_and_deltas(
                steps.loss, outputs, scratch.values, scratch.deltas,
                Answers(data.targets, data.labels, weights, chosen), current[SHARE], span,
                scratch.losses,
            )  # fmt: skip
            _run_backward(layers, parameters, scratch, span, now)
            if len(parameters) >= _LARGE:
                before, after = _reach(layers, scratch.values, scratch.deltas, span, now)
                scratch.reach[2 * task], scratch.reach[2 * task + 1] = before, after
        elif kind == UPDATES and by_tensor:
            tasks = 2 * len(layers)
            at_step = _at_step(hyper, steps.done + step + 1)
            _update_tensor(layers, task, parameters, scratch, moments, current[FACTOR], at_step)
        else:
            if kind == GRADIENTS:
                _run_gradients(rows, task, parameters, scratch, current[PENALTY], steps, now)
            used = kind == UPDATES or (kind == GRADIENTS and control[AT_ONCE] == 1)
            if used:
                at_step = _at_step(hyper, steps.done + step + 1)
                _run_updates(rows, task, parameters, scratch, moments, current[FACTOR], at_step)
            if used or kind == TURN:
                _turn(rows, task, parameters, scratch, steps.l2, now)
        if atomic_add(control, DONE, 1) < tasks - 1:
            continue

        # Between phases: one thread, and what comes next.
        following, tasks = OBSERVATIONS, len(blocks)
        if kind == OBSERVATIONS:
            loss, squared_weights = _total(scratch.losses, count), 0.0
            if current[PENALTY] > 0.0:
                squared_weights = _total(scratch.norms, len(blocks))
            loss += 0.5 * current[PENALTY] * squared_weights
            losses[0, step] = loss
            following = GRADIENTS if math.isfinite(loss) or not training else END
            current[FACTOR] = 1.0
            control[AT_ONCE] = (
                training
                and not by_tensor
                and steps.clip_norm == 0.0
                and len(parameters) >= _LARGE
                and _are_finite(
                    scratch.reach,
                    _pieces(count, parts, sizes.mr),
                    current[PENALTY] * current[PENALTY] * squared_weights,
                )
            )
        elif kind == GRADIENTS and training and control[AT_ONCE] == 0:
            following = UPDATES
            if by_tensor:
                tasks = 2 * len(layers)
            current[FACTOR] = _scale_of(scratch.squares, steps.clip_norm)
            if not math.isfinite(current[FACTOR]):
                losses[0, step] = math.nan
                following = END
        elif kind == UPDATES and by_tensor:
            following = TURN
        if following == OBSERVATIONS:  # of the next step
            step += 1
            control[STEP] = step
            if step == losses.shape[1]:
                following = END
            else:
                begin, end = _batch(step, steps, mine)
                tasks = _pieces(end - begin, parts, sizes.mr)
                answers = Answers(data.targets, data.labels, weights, mine[begin:end])
                current[SHARE] = share_of_one(steps.loss, outputs, answers)
                current[PENALTY] = steps.l2 / (end - begin) if steps.l2_shared else steps.l2
        _open(control, following, 0 if following == END else tasks)


def new_control(rows: Rows) -> np.ndarray:
    """What threads agree by on who does what, for one call of :func:`train_threads`."""
    control = zeros((CONTROL,), np.int64, "the threads' control")
    control[STEP] = -1
    control[PHASE] = len(rows.blocks) << _BITS  # of the kind TURN
    return control


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

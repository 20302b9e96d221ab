"""The driver of one large network: several threads share each step.

It has *phases*, each cut into *tasks*:

1. *observations*: gather some of the batch, run the rows forward, take the loss, run its deltas back;
2. *gradients*: of a block of the parameters, from all observations' values and deltas;
3. *updates*: the optimiser's step of a block, and its transpose for the next step. (Of a large network
   mostly within 2, while the block is in the cache.)

A thread claims tasks until the phase has none left; who completes the last one does what is to be done
between phases, and opens the next. So nobody waits for a thread that the operating system has not started
yet, or holds up, but for the tasks that it has claimed; and between two phases pass some hundred
nanoseconds, where a parallel region takes microseconds. Tasks are claimed from both ends: of two threads
each meets the same part again and again, whose numbers its own cache holds. What a task computes does not
depend on which thread does it: the numbers are those of `train_members` of `epochs.py`, on any number
of threads.
"""

from __future__ import annotations

import math

import numpy as np
from numba.core import types

from fastkb.nn.ops.losses import Answers, losses_and_deltas, share_of_one
from fastkb.nn.program.layout import Rows
from fastkb.nn.program.passes import Sizes, Span
from fastkb.nn.program.step import (
    LAMB,
    are_finite,
    gather,
    hyper_at,
    outputs_of,
    reach_of,
    run_backward,
    run_forward,
    run_gradients,
    run_updates,
    scale_of,
    total_of,
    turn,
    types_of,
    update_tensor,
)
from fastkb.runtime import inline, jit
from fastkb.runtime.atomics import atomic_add, atomic_load, atomic_store, give_way, relax
from fastkb.runtime.memory import zeros

# Phases: what a task of each is.
TURN, OBSERVATIONS, GRADIENTS, UPDATES, END = 0, 1, 2, 3, 4

# Elements of the control: the open phase, see `_open`; tasks that are done; the phase's kind; the step,
# where in the order its observations begin and end, and where their epoch ends; whether gradients are
# used at once; how many threads have come. (What threads write at the same time is on cache lines of its
# own.)
PHASE, DONE, KIND, STEP, FIRST, STOP, EDGE, AT_ONCE, COME = 0, 8, 16, 17, 18, 19, 20, 21, 22
CONTROL = 24
# Elements of `Scratch.current`: a weight's share in the batch's mean, the penalty's factor, and what
# gradients are multiplied by.
SHARE, PENALTY, FACTOR = 0, 1, 2

# A phase is one number: its tasks; how many were claimed from the end; and from the beginning, in the
# lowest bits. (More may be asked for than there are, by each thread once.)
_BITS = 21
_MASK = (1 << _BITS) - 1
MOST_TASKS = 1 << 20

# Parameters from which a block's gradient is better used at once than met again in the next phase.
_LARGE = 2**15

# Looks at the phase before a thread offers its core to others.
_PATIENCE = 2000


@inline(references=False)
def _pieces(observations, parts, mr):
    """Into how many pieces a batch is cut."""
    return min(parts, (observations + mr - 1) // mr)


@inline(references=False)
def _open(control, kind, tasks):
    """Open a phase, whose tasks may be claimed then; without tasks all is over."""
    control[KIND], control[DONE] = kind, 0
    atomic_store(control, PHASE, tasks << (2 * _BITS))


@inline(references=False)
def _parts_of(phase):
    return phase >> (2 * _BITS), (phase >> _BITS) & _MASK, phase & _MASK


@inline(references=False)
def _claim(control, from_end):
    """The next task of the open phase, or the one before from its end; -1: all is over."""
    looks = 0
    while True:
        phase = atomic_load(control, PHASE)
        tasks, back, front = _parts_of(phase)
        if tasks == 0:
            return -1
        if front + back < tasks:
            # (Another phase may be open by now.)
            phase = atomic_add(control, PHASE, 1 << _BITS if from_end else 1)
            tasks, back, front = _parts_of(phase)
            if front + back < tasks:
                return tasks - 1 - back if from_end else front
        looks += 1
        if looks > _PATIENCE:
            give_way()
        else:
            relax()


def _signature(T):
    return types_of(T)["run"], types.intp, types.Array(types.intp, 1, "C")


@jit(references=False, signature=_signature)
def train_threads(run, parts, control):
    """:func:`fastkb.nn.program.epochs.train_members` of one member, by all threads that call this alike.

    When one of them returns, all is done.

    Parameters
    ----------
    run : Run
    parts : int
        Into how many pieces a batch is cut, if it has as many micro-tiles.
    control : array of int64
        From :func:`new_control`.  # shape: (CONTROL,)
    """
    state, (layers, blocks), scratch, data, order, steps, hyper, sizes, losses = run
    outputs = outputs_of(layers, sizes)
    stride, current = layers[0].source_stride, scratch.current
    parameters, moments = state.parameters[0], (state.first[0], state.second[0])
    weights, mine = data.weights[0], order[0]
    training, by_tensor = hyper.code >= 0, hyper.code == LAMB
    from_end = atomic_add(control, COME, 1) % 2 == 1
    while True:
        task = _claim(control, from_end)
        if task < 0:
            break
        kind, step, tasks = control[KIND], control[STEP], len(blocks)
        chosen = mine[control[FIRST] : control[STOP]]
        count = len(chosen)
        now = Sizes(sizes.mr, sizes.nr, sizes.width, sizes.kc, sizes.capacity, count)
        if kind == OBSERVATIONS:
            tasks = _pieces(count, parts, sizes.mr)
            tiles = (count + sizes.mr - 1) // sizes.mr
            span = Span(tiles * task // tasks * sizes.mr, tiles * (task + 1) // tasks * sizes.mr)
            some = chosen[span.begin : min(span.stop, count)]
            gather(data.inputs, some, scratch.values[span.begin * stride :], stride)
            run_forward(layers, parameters, scratch.values, span, now)
            losses_and_deltas(
                steps.loss, outputs, scratch.values, scratch.deltas,
                Answers(data.targets, data.labels, weights, chosen), current[SHARE], span,
                scratch.losses, scratch.room,
            )  # fmt: skip
            run_backward(layers, parameters, scratch, span, now)
            if len(parameters) >= _LARGE:
                before, after = reach_of(layers, scratch.values, scratch.deltas, span, now)
                scratch.reach[2 * task], scratch.reach[2 * task + 1] = before, after
        elif kind == UPDATES and by_tensor:
            tasks = 2 * len(layers)
            at_step = hyper_at(hyper, steps.done + step + 1)
            update_tensor(layers, task, parameters, scratch, moments, current[FACTOR], at_step)
        else:
            if kind == GRADIENTS:
                run_gradients(run.rows, task, parameters, scratch, current[PENALTY], steps, now)
            used = kind == UPDATES or (kind == GRADIENTS and control[AT_ONCE] == 1)
            if used:
                at_step = hyper_at(hyper, steps.done + step + 1)
                run_updates(run.rows, task, parameters, scratch, moments, current[FACTOR], at_step)
            if used or kind == TURN:
                turn(run.rows, task, parameters, scratch, steps.l2, now)
        if atomic_add(control, DONE, 1) < tasks - 1:
            continue

        # Between phases: one thread, and what comes next.
        following, tasks = OBSERVATIONS, len(blocks)
        if kind == OBSERVATIONS:
            loss, squared_weights = total_of(scratch.losses, count), 0.0
            if current[PENALTY] > 0.0:
                squared_weights = total_of(scratch.norms, len(blocks))
            loss += 0.5 * current[PENALTY] * squared_weights
            losses[0, step] = loss
            following = GRADIENTS if math.isfinite(loss) or not training else END
            current[FACTOR] = 1.0
            control[AT_ONCE] = (
                training
                and not by_tensor
                and steps.clip_norm == 0.0
                and len(parameters) >= _LARGE
                and are_finite(
                    scratch.reach,
                    _pieces(count, parts, sizes.mr),
                    current[PENALTY] * current[PENALTY] * squared_weights,
                )
            )
        elif kind == GRADIENTS and training and control[AT_ONCE] == 0:
            following = UPDATES
            if by_tensor:
                tasks = 2 * len(layers)
            current[FACTOR] = scale_of(scratch.squares, steps.clip_norm)
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
                begin, edge = control[STOP], control[EDGE]
                if begin == edge:
                    edge += steps.epoch if steps.epoch > 0 else len(mine)
                end = min(begin + steps.batch, edge)
                control[FIRST], control[STOP], control[EDGE] = begin, end, edge
                tasks = _pieces(end - begin, parts, sizes.mr)
                answers = Answers(data.targets, data.labels, weights, mine[begin:end])
                current[SHARE] = share_of_one(steps.loss, outputs, answers)
                current[PENALTY] = steps.l2 / (end - begin) if steps.l2_shared else steps.l2
        _open(control, following, 0 if following == END else tasks)


def new_control(rows: Rows) -> np.ndarray:
    """What threads agree by on who does what, for one call of :func:`train_threads`."""
    control = zeros((CONTROL,), np.int64, "the threads' control")
    control[STEP] = -1
    control[PHASE] = len(rows.blocks) << (2 * _BITS)  # of the kind TURN
    return control

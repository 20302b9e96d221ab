"""The schedule of a step: phases, each cut into tasks, for one thread and for several.

A step has these *phases*:

1. *observations*: gather a part of the batch, run the rows forward, take the loss, run its deltas back;
2. *gradients*: of a block of the parameters, from all observations' values and deltas;
3. *updates*: the optimiser's step. Of a large network it is mostly taken within 2, while the block is in
   the cache;
4. *turn*: what the next step wants of a block's new weights, their transpose and their norm.

One thread takes the tasks of a phase in order, for one member after the other. Several threads share the
steps of one large network: each claims tasks until the phase has none left, and the thread that
completes the last task does what is to be done between phases, and opens the next. So no thread waits
for one that the operating system has not started yet, or holds up, but for the tasks that it has claimed;
and between two phases pass some hundred nanoseconds, where an empty parallel region takes 2.7 µs on two
threads: four of them would cost as much as sharing a step of (10, 64, 64, 1) saves. Tasks are claimed
from both ends: of two threads each meets the same part again and again, whose numbers its own cache
holds. What a task computes does not depend on the thread that does it: the numbers are the same for any
number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from fastkb.nn.ops.losses import Answers, share_of_one
from fastkb.nn.optim.updates import Hyper, scale
from fastkb.nn.program.parts import (
    AT_ONCE,
    COME,
    CONTROL,
    COUNT,
    DONE,
    EDGE,
    FIRST,
    KIND,
    NEXT,
    PART,
    PHASE,
    STEP,
    STOP,
    TASKS,
    between,
    is_large,
    last_part,
    observe,
    settle,
    sizes_now,
)
from fastkb.nn.program.step import (
    BY_OBSERVATIONS,
    BY_WEIGHTS,
    EPSILON,
    FACTOR,
    FIRST_CORRECTION,
    FORWARD_ONLY,
    LAMB,
    LOSS_ONLY,
    PENALTY,
    RATE,
    RECORDED,
    SECOND_CORRECTION,
    SHARE,
    are_finite,
    outputs_of,
    run_gradients,
    scale_of,
    total_of,
    turn,
)
from fastkb.nn.program.updating import run_updates, update_all, update_tensor
from fastkb.runtime import inline
from fastkb.runtime.atomics import atomic_add, atomic_load, atomic_store, give_way, relax
from fastkb.runtime.memory import zeros

# Phases: what a task of each is.
BEGIN, OBSERVATIONS, GRADIENTS, UPDATES, TURN, END = 0, 1, 2, 3, 4, 5

# A phase is one number: its tasks; how many were claimed from the end; and from the beginning, in the
# lowest bits. More may be asked for than there are, by each thread once.
_BITS = 21
_MASK = (1 << _BITS) - 1
MOST_TASKS = 1 << 20

# Looks at the phase before a thread offers its core to others.
PATIENCE = 2000


@inline(references=False)
def _pieces(observations, parts, sizes):
    """Into how many pieces a batch is cut.

    Images are large: what the rows of one unit give is met again while the cache has it.
    """
    units = (observations + sizes.unit - 1) // sizes.unit
    return units if sizes.lanes == 1 else min(max(parts, 1), units)


@inline(references=False)
def _parts_of(phase):
    return phase >> (2 * _BITS), (phase >> _BITS) & _MASK, phase & _MASK


@inline(references=False)
def _open(control, kind, tasks, alone):
    """Open a phase, whose tasks may be claimed then; without tasks all is over."""
    control[KIND], control[TASKS], control[DONE], control[NEXT] = kind, tasks, 0, 0
    if not alone:
        atomic_store(control, PHASE, tasks << (2 * _BITS))


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
            # Another phase may be open by now.
            phase = atomic_add(control, PHASE, 1 << _BITS if from_end else 1)
            tasks, back, front = _parts_of(phase)
            if front + back < tasks:
                return tasks - 1 - back if from_end else front
        looks += 1
        if looks > PATIENCE:
            give_way()
        else:
            relax()


@inline(references=False)
def _next(control):
    """The next task of the open phase, of one thread; -1: all is over."""
    task = control[NEXT]
    control[NEXT] = task + 1
    return task if control[TASKS] > 0 else -1


@inline(references=False)
def _is_last(control, tasks, alone):
    """Whether all tasks of the phase are done, with one that has just been."""
    if alone:
        return control[NEXT] == tasks
    return atomic_add(control, DONE, 1) == tasks - 1


@inline(references=False)
def _open_step(run, member, outputs, control, parts):
    """Choose the next step's observations, and open their phase; or end."""
    steps, each, current, losses = run.steps, run.each, run.scratch.current, run.losses
    taken, weights = run.order[member], run.data.weights[member]
    picked = run.scratch.picked
    epoch = steps.epoch if steps.epoch > 0 else len(taken)
    kind, tasks = END, 0
    while kind == END and control[STEP] + 1 < losses.shape[1] and each.ended[member] == 0:
        step = control[STEP] + 1
        begin, edge = control[STOP], control[EDGE]
        if begin == edge:
            edge += epoch
        end = min(begin + steps.batch, edge)
        control[STEP], control[FIRST], control[STOP], control[EDGE] = step, begin, end, edge
        count, penalty = end - begin, steps.l2
        chosen = taken[begin:end]
        if steps.penalty == BY_OBSERVATIONS:
            penalty = steps.l2 / count
        elif steps.penalty == BY_WEIGHTS:
            # Observations without weight are passed over: more than a third of a resample's are.
            whole, count = 0.0, 0
            for k in range(begin, end):
                weight = weights[taken[k]]
                whole += weight
                picked[count] = taken[k]
                count += weight > 0.0  # no branch, which could not be predicted
            chosen = picked[:count]
            if count == 0:  # a batch without weight has a loss of 0, and no update
                losses[member, step] = 0.0
                continue
            penalty = steps.l2 / whole
        control[COUNT], control[PART] = count, 0
        current[PENALTY] = penalty
        answers = Answers(run.data.targets, run.data.labels, weights, chosen, steps.number)
        current[SHARE] = share_of_one(steps.loss, outputs, answers)
        kind, tasks = OBSERVATIONS, _pieces(count, parts, run.sizes)
    _open(control, kind, tasks, parts == 0)


@inline(references=False)
def _take_loss(run, member, control, parts):
    """The step's loss; what comes after it."""
    scratch, steps, hyper = run.scratch, run.steps, run.hyper
    current, parameters = scratch.current, run.state.parameters[member]
    count, training = control[COUNT], hyper.code >= 0
    loss, squared_weights = total_of(scratch.losses, count), 0.0
    if current[PENALTY] > 0.0:
        squared_weights = total_of(scratch.norms, len(run.rows.blocks))
    loss += 0.5 * current[PENALTY] * squared_weights
    run.losses[member, control[STEP]] = loss
    if hyper.code == LOSS_ONLY or hyper.code == FORWARD_ONLY:
        return OBSERVATIONS
    if training and not math.isfinite(loss):
        return END
    current[FACTOR] = 1.0
    if training:
        _correct(run, member)
    control[AT_ONCE] = (
        training
        and hyper.code != LAMB
        and steps.clip_norm == 0.0
        and is_large(parameters, run.sizes)
        and are_finite(
            scratch.reach,
            _pieces(count, parts, run.sizes),
            current[PENALTY] * current[PENALTY] * squared_weights,
        )
    )
    return GRADIENTS


@inline(references=False)
def _correct(run, member):
    """The optimiser's rate, its bias corrections, and ε as it counts after them."""
    hyper, current = run.hyper, run.scratch.current
    update = run.each.updates[member] + 1
    one = 1.0 - hyper.beta1**update if hyper.beta1 > 0.0 else 1.0
    two = 1.0 - hyper.beta2**update if hyper.beta2 > 0.0 else 1.0
    current[RATE], current[FIRST_CORRECTION], current[SECOND_CORRECTION] = (
        run.each.rates[member],
        one,
        two,
    )
    current[EPSILON] = hyper.eps / math.sqrt(two) if hyper.eps_first == 1 else hyper.eps


@inline(references=False)
def _at_step(hyper, current):
    """The hyper-parameters of the step at hand."""
    return Hyper(
        hyper.code, current[RATE], hyper.momentum, hyper.nesterov, hyper.beta1, hyper.beta2,
        current[EPSILON], hyper.weight_decay, current[FIRST_CORRECTION], current[SECOND_CORRECTION],
        hyper.eps_first,
    )  # fmt: skip


@inline(references=False)
def _go_on(rules, run, member, outputs, control, parts):
    """Between phases: one thread decides what comes next, and opens it."""
    kind, alone = control[KIND], parts == 0
    scratch, hyper, each = run.scratch, run.hyper, run.each
    training, by_tensor = hyper.code >= 0, hyper.code == LAMB
    layers, blocks = run.rows.layers, run.rows.blocks
    following = OBSERVATIONS
    if kind == BEGIN:
        forward_only = hyper.code == LOSS_ONLY or hyper.code == FORWARD_ONLY
        following = TURN
        if (forward_only and run.steps.l2 == 0.0) or len(blocks) == 0:
            following = OBSERVATIONS
    elif kind == OBSERVATIONS and control[PART] < last_part(run):
        between(rules, run, member, control)
        control[PART] += 1
        _open(control, OBSERVATIONS, control[TASKS], alone)
        return
    elif kind == OBSERVATIONS:
        following = _take_loss(run, member, control, parts)
        if hyper.code == FORWARD_ONLY or hyper.code == RECORDED:
            settle(rules, run, member, control)
    elif kind == GRADIENTS and training and control[AT_ONCE] == 0:
        following = UPDATES
        scratch.current[FACTOR] = scale_of(scratch.squares, run.steps.clip_norm)
        if not math.isfinite(scratch.current[FACTOR]):
            run.losses[member, control[STEP]] = math.nan
            following = END
    elif kind == UPDATES and (alone or by_tensor):
        following = TURN
    if training and (kind == UPDATES or (kind == GRADIENTS and control[AT_ONCE] == 1)):
        each.updates[member] += 1
        settle(rules, run, member, control)
    if following == END:
        each.ended[member] = 1
        _open(control, END, 0, alone)
    elif following == OBSERVATIONS:
        _open_step(run, member, outputs, control, parts)
    else:
        tasks = len(blocks)
        if following == UPDATES and (alone or by_tensor):
            tasks = 1 if alone else 2 * len(layers)
        _open(control, following, tasks, alone)


@inline(references=False)
def _do(rules, run, member, outputs, control, task, alone, room):
    """One task of the open phase."""
    scratch, steps, hyper = run.scratch, run.steps, run.hyper
    parameters = run.state.parameters[member]
    moments = run.state.first[member], run.state.second[member]
    kind, current = control[KIND], scratch.current
    sizes = sizes_now(run, member, control)
    if kind == OBSERVATIONS:
        observe(rules, run, member, outputs, control, task, sizes)
    elif kind == UPDATES and alone:
        if current[FACTOR] < 1.0:
            scale(scratch.gradients, current[FACTOR])
        layers = run.rows.layers
        update_all(layers, parameters, scratch.gradients, moments, _at_step(hyper, current))
    elif kind == UPDATES and hyper.code == LAMB:
        at_step = _at_step(hyper, current)
        update_tensor(run.rows.layers, task, parameters, scratch, moments, current[FACTOR], at_step)
    elif kind != BEGIN:
        if kind == GRADIENTS:
            run_gradients(rules, run.rows, task, parameters, scratch, steps, sizes, room)
        used = kind == UPDATES or (kind == GRADIENTS and control[AT_ONCE] == 1)
        if used:
            at_step = _at_step(hyper, current)
            run_updates(run.rows, task, parameters, scratch, moments, current[FACTOR], at_step)
        if used or kind == TURN:
            turn(rules, run.rows, task, parameters, scratch, steps.l2, sizes)


@inline(references=False)
def run_members(rules, run, parts, control):
    """What :func:`fastkb.nn.program.interpreter.run_steps` does, by these rules."""
    outputs, alone = outputs_of(run.rows.layers, run.sizes), parts == 0
    number = 0 if alone else atomic_add(control, COME, 1)
    from_end = number % 2 == 1
    room = run.scratch.rooms[number]
    for member in range(len(run.state.parameters)):
        if alone:
            control[STEP], control[STOP], control[EDGE], control[COUNT] = -1, 0, 0, 0
            _open(control, BEGIN, 1, True)
        while True:
            task = _next(control) if alone else _claim(control, from_end)
            if task < 0:
                break
            _do(rules, run, member, outputs, control, task, alone, room)
            if _is_last(control, control[TASKS], alone):
                _go_on(rules, run, member, outputs, control, parts)


def no_control() -> np.ndarray:
    """What threads agree by on their tasks, before any is open."""
    return zeros((CONTROL,), np.int64, "the threads' control")


def new_control() -> np.ndarray:
    """The same, for one call of :func:`run_members`."""
    control = no_control()
    control[STEP] = -1
    control[KIND], control[TASKS] = BEGIN, 1
    control[PHASE] = 1 << (2 * _BITS)
    return control

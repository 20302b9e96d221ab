"""What some observations of a batch pass at a time: parts of the program, forward and back.

Rows that need all observations of a batch at once cut the program into parts: see :func:`last_part`.
"""

from __future__ import annotations

from fastkb.nn.ops.losses import Answers, losses_and_deltas
from fastkb.nn.program.bands import run_backward, run_forward
from fastkb.nn.program.passes import WHOLE, Range, Sizes, Span
from fastkb.nn.program.step import (
    BY_WEIGHTS,
    FORWARD_ONLY,
    LOSS_ONLY,
    SHARE,
    gather,
    reach_of,
)
from fastkb.runtime import inline

# Elements of the control: the open phase, see `_open`; tasks that are done; how many threads have come;
# the phase's kind and its tasks; the step; where in the order its observations begin and end, and where
# their epoch ends; how many observations it takes; whether gradients are used at once; the next task, of
# one thread; which part of the program. What threads write at the same time is on cache lines of its own.
PHASE, DONE, COME, KIND, TASKS = 0, 8, 16, 24, 25
STEP, FIRST, STOP, EDGE, COUNT, AT_ONCE, NEXT, PART = 26, 27, 28, 29, 30, 31, 32, 33
CONTROL = 40
# Parameters from which a block's gradient is better used at once than met again in the next phase.
_LARGE = 2**15


@inline(references=False)
def is_large(parameters, sizes):
    """Whether a block's gradient is used at once.

    Images have many more values than their convolutions have parameters: bounds on their gradients would
    cost more than a look at the gradients.
    """
    return len(parameters) >= _LARGE and sizes.lanes == 0


@inline(references=False)
def sizes_now(run, member, control):
    """The sizes of the batch at hand, of a member."""
    sizes, each = run.sizes, run.each
    return Sizes(
        sizes.mr, sizes.nr, sizes.width, sizes.capacity, control[COUNT], sizes.unit, sizes.shared,
        1 if run.hyper.code != LOSS_ONLY else 0, sizes.lanes, each.seeds[member], each.updates[member],
    )  # fmt: skip


@inline(references=False)
def last_part(run):
    """The last part of a program that rows cut which need all observations of a batch at once.

    Part p of n such rows goes forward to the p-th, and part n to the end and back to the last of them;
    the parts after it go on from there. Where running statistics serve, there is one part.
    """
    if run.hyper.code == LOSS_ONLY:
        return 0
    return len(run.rows.across) * (1 if run.hyper.code == FORWARD_ONLY else 2)


@inline(references=False)
def between(rules, run, member, control):
    """Combine what the observations have given for the row at which a part ends."""
    across, part = run.rows.across, control[PART]
    parameters, scratch = run.state.parameters[member], run.scratch
    now = sizes_now(run, member, control)
    if part < len(across):
        row = run.rows.layers[across[part]]
        rules.combine(row.code, row, parameters, scratch.values, scratch.deltas, now)
    else:
        row = run.rows.layers[across[2 * len(across) - 1 - part]]
        if row.differentiated:
            rules.combine_back(row.code, row, parameters, scratch.values, scratch.deltas, now)


@inline(references=False)
def settle(rules, run, member, control):
    """After an update: what rows keep beside their parameters."""
    now = sizes_now(run, member, control)
    for k in range(len(run.rows.across)):
        row = run.rows.layers[run.rows.across[k]]
        rules.settle(row.code, row, run.state.parameters[member], run.scratch.values, now)


@inline(references=False)
def observe(rules, run, member, outputs, control, task, now):
    """Run a piece of the batch forward, take its losses, and run its deltas back."""
    scratch, data, steps = run.scratch, run.data, run.steps
    layers, parameters = run.rows.layers, run.state.parameters[member]
    first, count, tasks = control[FIRST], control[COUNT], control[TASKS]
    chosen = run.order[member][first : first + count]
    if steps.penalty == BY_WEIGHTS:
        chosen = scratch.picked[:count]
    units = (count + now.unit - 1) // now.unit
    begin, end = units * task // tasks * now.unit, units * (task + 1) // tasks * now.unit
    span = Span(begin, end, 0, WHOLE)
    part, across = control[PART], run.rows.across
    cuts = len(across) if run.hyper.code != LOSS_ONLY else 0
    if part <= cuts:
        begin = across[part - 1] if part > 0 else 0
        end = across[part] if part < cuts else len(layers)
        if part == 0:
            stride = layers[0].source_stride
            mine = chosen[span.begin : min(span.stop, count)]
            gather(data.inputs, mine, scratch.values[span.begin * stride :], stride)
        run_forward(rules, layers, Range(begin, end), parameters, scratch, span, now)
        if part < cuts or steps.loss < 0:
            return
        answers = Answers(data.targets, data.labels, data.weights[member], chosen, steps.number)
        losses_and_deltas(steps.loss, outputs, answers, scratch.current[SHARE], span, scratch)
        if run.hyper.code == LOSS_ONLY or run.hyper.code == FORWARD_ONLY:
            return
    # Back to the row before which all observations are needed again, or to the first one.
    top = len(layers) if part == cuts else across[2 * cuts - part] + 1
    bottom = across[2 * cuts - 1 - part] + 1 if part < 2 * cuts else 0
    run_backward(rules, layers, Range(bottom, top), parameters, scratch, span, now)
    if is_large(parameters, now):
        before, after = reach_of(layers, scratch.values, scratch.deltas, span, now)
        scratch.reach[2 * task], scratch.reach[2 * task + 1] = before, after

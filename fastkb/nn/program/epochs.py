"""The interpreter: whole epochs of a program's steps without returning to Python.

There are two drivers of the same parts (`step.py`). :func:`train_members` runs on one thread, whose
cache holds the network: for one small network, and for many, which are dealt out to as many Python
threads as there are cores. `train_threads` of `sharing.py` is called by several threads, which share
each step of one network. Either computes the same numbers.
"""

from __future__ import annotations

import math

from numba.core import types

from fastkb.nn.ops.losses import Answers, losses_and_deltas, share_of_one
from fastkb.nn.optim.updates import scale
from fastkb.nn.program.passes import Sizes, Span, copy, transpose_weights
from fastkb.nn.program.step import (
    GRADIENTS_ONLY,
    LOSS_ONLY,
    gather,
    hyper_at,
    outputs_of,
    run_backward,
    run_forward,
    run_gradients,
    scale_of,
    squares_of_weights,
    total_of,
    types_of,
    update_all,
)
from fastkb.runtime import jit


@jit(references=False, signature=lambda T: (types_of(T)["run"],))
def train_members(run):
    """Run the steps for each member, on this thread.

    Parameters
    ----------
    run : Run
    """
    state, (layers, blocks), scratch, data, order, steps, hyper, sizes, losses = run
    outputs = outputs_of(layers, sizes)
    for member in range(len(state.parameters)):
        parameters = state.parameters[member]
        moments = state.first[member], state.second[member]
        weights, mine = data.weights[member], order[member]
        epoch = steps.epoch if steps.epoch > 0 else len(mine)
        begin, edge = 0, epoch
        for step in range(losses.shape[1]):
            chosen = mine[begin : min(begin + steps.batch, edge)]
            begin += len(chosen)
            if begin == edge:
                edge += epoch
            now = Sizes(sizes.mr, sizes.nr, sizes.width, sizes.kc, sizes.capacity, len(chosen))
            span = Span(0, (len(chosen) + sizes.mr - 1) // sizes.mr * sizes.mr)
            answers = Answers(data.targets, data.labels, weights, chosen)
            gather(data.inputs, chosen, scratch.values, layers[0].source_stride)
            run_forward(layers, parameters, scratch.values, span, now)
            share = share_of_one(steps.loss, outputs, answers)
            losses_and_deltas(
                steps.loss, outputs, scratch.values, scratch.deltas, answers, share, span,
                scratch.losses, scratch.room,
            )  # fmt: skip
            l2 = steps.l2 / len(chosen) if steps.l2_shared else steps.l2
            loss = total_of(scratch.losses, len(chosen))
            loss += 0.5 * l2 * squares_of_weights(blocks, parameters, l2)
            losses[member, step] = loss
            if hyper.code == LOSS_ONLY:
                continue
            if not math.isfinite(loss) and hyper.code != GRADIENTS_ONLY:
                break
            for b in range(len(blocks)):
                transpose_weights(
                    layers[blocks[b].layer], blocks[b], parameters, scratch.transposed, now
                )
            run_backward(layers, parameters, scratch, span, now)
            for b in range(len(blocks)):
                run_gradients(run.rows, b, parameters, scratch, l2, steps, now)
            if hyper.code == GRADIENTS_ONLY:
                continue
            factor = scale_of(scratch.squares, steps.clip_norm)
            if not math.isfinite(factor):
                losses[member, step] = math.nan
                break
            if factor < 1.0:
                scale(scratch.gradients, factor)
            at_step = hyper_at(hyper, steps.done + step + 1)
            update_all(layers, parameters, scratch.gradients, moments, at_step)


def _evaluation(T):
    known = types_of(T)
    read = types.Array(T, 1, "C", readonly=True)
    return (read, *(known[name] for name in ("layers", "scratch", "read", "sizes", "matrix")))


@jit(references=False, signature=_evaluation)
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
        run_forward(layers, parameters, values, span, now)
        for i in range(count):
            start = last.target * sizes.capacity + i * last.target_stride
            copy(out[begin + i], values[start : start + last.outputs])

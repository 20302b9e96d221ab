"""The interpreter: whole epochs of a program's steps without returning to Python.

One step gathers a batch, runs the rows forward, the loss, the rows backward, and the optimiser. There are
two drivers of the same parts. :func:`train_members` runs on one thread, whose cache holds the network:
for one small network, and for many, which are dealt out to as many Python threads as there are cores
(a parallel region around it would take four times longer to compile). :func:`train_threads` shares each
pass of one network among all threads. Either computes the same numbers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import from_dtype
from numba.core import types

from fastkb.nn.losses import loss_and_deltas
from fastkb.nn.passes import (
    Part,
    Sizes,
    backward_deltas,
    backward_weights,
    differentiate,
    forward,
    transpose_weights,
)
from fastkb.nn.program import LAYER
from fastkb.nn.updates import Hyper, Rule, clip, scale, squared_norm, update
from fastkb.runtime import inline, jit, prange

LAMB = int(Rule.LAMB)
GRADIENTS_ONLY, LOSS_ONLY = -1, -2  # in place of a rule


class Data(NamedTuple):
    """Observations. Of `targets` and `labels` one may be empty, as the loss does not need it."""

    inputs: np.ndarray  # shape: (n, inputs)
    targets: np.ndarray  # shape: (n, outputs)
    labels: np.ndarray  # shape: (n,), int64
    weights: np.ndarray  # shape: (members, n), or (members, 0): all one


class Scratch(NamedTuple):
    """What a thread computes in. Zeros at first, but the ones."""

    gradients: np.ndarray
    transposed: np.ndarray
    values: np.ndarray
    deltas: np.ndarray
    zeros: np.ndarray
    ones: np.ndarray


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


def _types(T):
    """Numba's types of what the functions below are given."""
    matrix, whole = types.Array(T, 2, "C"), types.intp
    read, real = types.Array(T, 2, "C", readonly=True), types.float64
    return {
        "layers": types.Array(from_dtype(LAYER), 1, "C"),
        "state": types.NamedUniTuple(matrix, 3, State),
        "scratch": types.NamedUniTuple(types.Array(T, 1, "C"), 6, Scratch),
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


_TRAINING = ("state", "layers", "scratch", "data", "order", "steps", "hyper", "sizes")


@inline
def _gather(inputs, chosen, values, stride):
    """The batch's rows, behind each other as the first layer reads them."""
    d = inputs.shape[1]
    for i in range(len(chosen)):
        row, target = inputs[chosen[i]], values[i * stride : i * stride + d]
        for j in range(d):
            target[j] = row[j]


@inline
def _all(row, rows):
    return Part(0, rows, 0, row.panels)


@inline
def _forward_all(layers, parameters, values, sizes):
    rows = (sizes.observations + sizes.mr - 1) // sizes.mr * sizes.mr
    for k in range(len(layers)):
        forward(layers[k], parameters, values, _all(layers[k], rows), sizes)


@inline
def _panels_before(row, nr):
    """Panels of the deltas of the layer before."""
    return row.transposed_panels if row.has_weights else row.source_stride // nr


@inline
def _backward_all(layers, parameters, gradients, transposed, values, deltas, constants, l2, sizes):
    rows = (sizes.observations + sizes.mr - 1) // sizes.mr * sizes.mr
    last = len(layers) - 1
    differentiate(layers[last], values, deltas, _all(layers[last], rows), sizes)
    for back in range(len(layers)):
        k = last - back
        row = layers[k]
        if row.has_weights:
            inputs = (row.inputs + sizes.mr - 1) // sizes.mr * sizes.mr
            part = Part(0, inputs, 0, row.panels)
            backward_weights(row, parameters, gradients, values, deltas, constants, part, l2, sizes)
        if row.trained_before:
            if row.has_weights:
                for panel in range(row.panels):
                    transpose_weights(row, parameters, transposed, panel, sizes)
            part = Part(0, rows, 0, _panels_before(row, sizes.nr))
            backward_deltas(
                row, layers[k - 1], transposed, values, deltas, constants[0], part, sizes
            )


@inline
def _penalty(layers, parameters, l2):
    """(l2/2)·‖W‖² over all weights."""
    total = 0.0
    if l2 > 0.0:
        for k in range(len(layers)):
            if layers[k].has_weights:
                total += squared_norm(parameters[layers[k].weights : layers[k].biases])
    return 0.5 * l2 * total


@inline
def _clip(gradients, steps):
    """Clip, if it is asked for; whether the gradients are finite."""
    squared = squared_norm(gradients)
    if not math.isfinite(squared):
        return False
    if steps.clip_value > 0.0:
        clip(gradients, steps.clip_value)
        squared = squared_norm(gradients)
    if steps.clip_norm > 0.0:
        factor = steps.clip_norm / (math.sqrt(squared) + 1e-6)
        if factor < 1.0:
            scale(gradients, factor)
    return True


@inline
def _at_step(hyper, step):
    """The hyper-parameters with the bias corrections of one step."""
    return Hyper(
        hyper.code,
        hyper.lr,
        hyper.momentum,
        hyper.nesterov,
        hyper.beta1,
        hyper.beta2,
        hyper.eps,
        hyper.weight_decay,
        1.0 - hyper.beta1**step,
        1.0 - hyper.beta2**step,
    )


@inline
def _some(values, begin, end):
    """A part, of an array that may be empty."""
    return values[min(begin, len(values)) : min(end, len(values))]


@inline
def _at_once(hyper):
    """Whether all tensors can be updated as one. (Padding has no gradient and stays zero.)"""
    return hyper.weight_decay == 0.0 and hyper.code != LAMB


@inline
def _tensor(layers, k, size, hyper, nr):
    """Where tensor k begins and ends, weights and biases in turn, and whether it is decayed."""
    if _at_once(hyper):
        return 0, size, False
    row, decayed = layers[k // 2], k % 2 == 0
    if decayed:
        return (
            row.weights,
            row.weights + row.panels * row.inputs_padded * nr * row.has_weights,
            True,
        )
    return row.biases, row.biases + row.panels * nr * row.has_biases, False


@inline
def _update(layers, parameters, gradients, first, second, hyper, nr):
    for k in range(1 if _at_once(hyper) else 2 * len(layers)):
        begin, end, decayed = _tensor(layers, k, len(parameters), hyper, nr)
        if begin < end:
            update(
                parameters[begin:end], gradients[begin:end],
                _some(first, begin, end), _some(second, begin, end), decayed, hyper,
            )  # fmt: skip


@jit(signature=_signature(*_TRAINING, "losses"))
def train_members(state, layers, scratch, data, order, steps, hyper, sizes, losses):
    """Run the steps of an epoch, or of a part of it, for each member, on this thread.

    Parameters
    ----------
    state : State
    layers : array of LAYER
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
    gradients, transposed, values, deltas, zeros, ones = scratch
    for member in range(len(state.parameters)):
        parameters = state.parameters[member]
        first, second = state.first[member], state.second[member]
        weights, mine = data.weights[member], order[member]
        for step in range(losses.shape[1]):
            chosen = mine[step * steps.batch : min((step + 1) * steps.batch, len(mine))]
            now = Sizes(sizes.mr, sizes.nr, sizes.width, sizes.kc, sizes.capacity, len(chosen))
            _gather(data.inputs, chosen, values, layers[0].source_stride)
            _forward_all(layers, parameters, values, now)
            loss = loss_and_deltas(
                steps.loss, layers[len(layers) - 1], values, deltas,
                data.targets, data.labels, weights, chosen, sizes.capacity,
            )  # fmt: skip
            l2 = steps.l2 / len(chosen) if steps.l2_shared else steps.l2
            loss += _penalty(layers, parameters, l2)
            losses[member, step] = loss
            if hyper.code == LOSS_ONLY:
                continue
            if not math.isfinite(loss) and hyper.code != GRADIENTS_ONLY:
                break
            _backward_all(
                layers, parameters, gradients, transposed, values, deltas, (zeros, ones), l2, now
            )
            if hyper.code != GRADIENTS_ONLY:
                if not _clip(gradients, steps):
                    losses[member, step] = math.nan
                    break
                at_step = _at_step(hyper, steps.done + step + 1)
                _update(layers, parameters, gradients, first, second, at_step, sizes.nr)


@inline
def _cut(rows, panels, mr, parts):
    """Into how many parts of rows, and of panels, a result is cut."""
    across = min(panels, parts)
    return max(1, min(rows // mr, parts // across)), across


@inline
def _part(t, rows, panels, mr, cut):
    down, across = cut
    tiles, r, p = rows // mr, t % down, t // down
    return Part(
        tiles * r // down * mr,
        tiles * (r + 1) // down * mr,
        panels * p // across,
        panels * (p + 1) // across,
    )


@jit(parallel=True, signature=_signature(*_TRAINING, "parts", "losses"))
def train_threads(state, layers, scratch, data, order, steps, hyper, sizes, parts, losses):
    """:func:`train_members` for one member, each pass of which is cut into `parts` for the threads."""
    last = len(layers) - 1
    mr, nr, batch, stride = sizes.mr, sizes.nr, steps.batch, layers[0].source_stride
    parameters, first, second = state.parameters[0], state.first[0], state.second[0]
    gradients, transposed, values, deltas, zeros, ones = scratch
    constants = zeros, ones
    weights, mine = data.weights[0], order[0]
    for step in range(losses.shape[1]):
        chosen = mine[step * batch : min((step + 1) * batch, len(mine))]
        count = len(chosen)
        now = Sizes(mr, nr, sizes.width, sizes.kc, sizes.capacity, count)
        rows = (count + mr - 1) // mr * mr
        for t in prange(parts):
            begin, end = count * t // parts, count * (t + 1) // parts
            _gather(data.inputs, chosen[begin:end], values[begin * stride :], stride)
        for k in range(len(layers)):
            cut = _cut(rows, layers[k].panels, mr, parts)
            for t in prange(cut[0] * cut[1]):
                part = _part(t, rows, layers[k].panels, mr, cut)
                forward(layers[k], parameters, values, part, now)
        loss = loss_and_deltas(
            steps.loss, layers[last], values, deltas,
            data.targets, data.labels, weights, chosen, sizes.capacity,
        )  # fmt: skip
        l2 = steps.l2 / count if steps.l2_shared else steps.l2
        loss += _penalty(layers, parameters, l2)
        losses[0, step] = loss
        if not math.isfinite(loss) and hyper.code != GRADIENTS_ONLY:
            break
        differentiate(layers[last], values, deltas, _all(layers[last], rows), now)
        for back in range(len(layers)):
            k = last - back
            if layers[k].has_weights:
                inputs = (layers[k].inputs + mr - 1) // mr * mr
                cut = _cut(inputs, layers[k].panels, mr, parts)
                products = cut[0] * cut[1]
                turned = layers[k].panels if layers[k].trained_before else 0
                for t in prange(products + turned):
                    if t < products:
                        part = _part(t, inputs, layers[k].panels, mr, cut)
                        backward_weights(
                            layers[k], parameters, gradients, values, deltas, constants,
                            part, l2, now,
                        )  # fmt: skip
                    else:
                        transpose_weights(layers[k], parameters, transposed, t - products, now)
            if layers[k].trained_before:
                panels = _panels_before(layers[k], nr)
                cut = _cut(rows, panels, mr, parts)
                for t in prange(cut[0] * cut[1]):
                    part = _part(t, rows, panels, mr, cut)
                    backward_deltas(
                        layers[k],
                        layers[k - 1],
                        transposed,
                        values,
                        deltas,
                        constants[0],
                        part,
                        now,
                    )
        if hyper.code == GRADIENTS_ONLY:
            continue
        if not _clip(gradients, steps):
            losses[0, step] = math.nan
            break
        number, size = steps.done + step + 1, len(parameters)
        pieces = 1 if hyper.code == LAMB else parts  # (LAMB takes the norms of whole tensors)
        for k in range(1 if _at_once(hyper) else 2 * len(layers)):
            start, stop, decayed = _tensor(layers, k, size, hyper, nr)
            for t in prange(pieces):
                begin = start + (stop - start) * t // pieces
                end = start + (stop - start) * (t + 1) // pieces
                if begin < end:
                    update(
                        parameters[begin:end], gradients[begin:end],
                        _some(first, begin, end), _some(second, begin, end), decayed,
                        _at_step(hyper, number),
                    )  # fmt: skip


@jit(signature=_signature("parameters", "layers", "scratch", "inputs", "sizes", "out"))
def evaluate(parameters, layers, scratch, inputs, sizes, out):
    """The network's outputs for all rows of `inputs`, some rows at a time, on this thread.

    # shapes: (n, inputs), out (n, outputs)
    """
    values, last = scratch.values, layers[len(layers) - 1]
    stride = layers[0].source_stride
    for begin in range(0, len(inputs), sizes.capacity):
        chosen = np.arange(begin, min(begin + sizes.capacity, len(inputs)))
        now = Sizes(sizes.mr, sizes.nr, sizes.width, sizes.kc, sizes.capacity, len(chosen))
        _gather(inputs, chosen, values, stride)
        _forward_all(layers, parameters, values, now)
        for i in range(len(chosen)):
            start = last.target * sizes.capacity + i * last.target_stride
            row, outputs = out[begin + i], values[start : start + last.outputs]
            for j in range(len(row)):
                row[j] = outputs[j]

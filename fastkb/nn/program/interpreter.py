"""The interpreter: compiled functions that run the program of any network.

One serves all networks of this package's operations, and its code is kept on disk. A network with an
operation of another package takes one that knows that operation too; it is compiled once in each process.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from numba.core import types

from fastkb.nn.ops.layers import (
    DENSE_OPERATIONS,
    DENSE_RULES,
    IMAGE_OPERATIONS,
    IMAGE_RULES,
    OPERATIONS,
    RULES,
)
from fastkb.nn.ops.operation import Operation
from fastkb.nn.ops.rules import rules_of
from fastkb.nn.program.bands import run_forward
from fastkb.nn.program.passes import WHOLE, Range, Sizes, Span, copy
from fastkb.nn.program.schedule import COME, DONE, PATIENCE, PHASE, run_members
from fastkb.nn.program.step import types_of
from fastkb.runtime import inline, jit
from fastkb.runtime.atomics import atomic_add, atomic_load, give_way, relax


def _steps(T):
    return types_of(T)["run"], types.intp, types.Array(types.intp, 1, "C")


def _evaluation(T):
    known = types_of(T)
    read = types.Array(T, 1, "C", readonly=True)
    names = "layers", "scratch", "read", "sizes", "matrix"
    return (read, *(known[name] for name in names), types.Array(types.intp, 1, "C"))


@jit(references=False, signature=_steps)
def run_steps(run, parts, control):
    """Run the steps of each member on this thread, or those of one member on all threads that call this.

    When one of several threads returns, all is done.

    Parameters
    ----------
    run : Run
    parts : int
        Into how many pieces a batch is cut, if it has as many micro-tiles. 0: this thread is alone.
    control : array of int64
        From :func:`fastkb.nn.program.schedule.new_control`.
    """
    run_members(DENSE_RULES, run, parts, control)


@jit(references=False, signature=_steps)
def run_image_steps(run, parts, control):
    """:func:`run_steps` of a network of images."""
    run_members(IMAGE_RULES, run, parts, control)


@jit(references=False, signature=_steps)
def run_graph_steps(run, parts, control):
    """:func:`run_steps` of a network of any of this package's operations."""
    run_members(RULES, run, parts, control)


@inline(references=False)
def _evaluate_rows(rules, parameters, layers, scratch, inputs, sizes, out, control):
    values, last = scratch.values, layers[len(layers) - 1]
    stride, size = layers[0].source_stride, sizes.observations
    mine = atomic_add(control, COME, 1) * size
    parts = (len(inputs) + size - 1) // size
    while True:
        begin = atomic_add(control, PHASE, 1) * size
        if begin >= len(inputs):
            break
        count = min(size, len(inputs) - begin)
        now = Sizes(
            sizes.mr, sizes.nr, sizes.width, sizes.capacity, mine + count, sizes.unit, sizes.shared, 0,
            sizes.lanes, 0, 0,
        )  # fmt: skip
        for i in range(count):
            start = (mine + i) * stride
            copy(values[start : start + inputs.shape[1]], inputs[begin + i])
        stop = mine + (count + sizes.unit - 1) // sizes.unit * sizes.unit
        span = Span(mine, stop, 0, WHOLE)
        run_forward(rules, layers, Range(0, len(layers)), parameters, scratch, span, now)
        for i in range(count):
            start = last.target * sizes.capacity + (mine + i) * last.target_stride
            copy(out[begin + i], values[start : start + last.outputs])
        atomic_add(control, DONE, 1)
    looks = 0
    while atomic_load(control, DONE) < parts:
        looks += 1
        if looks > PATIENCE:
            give_way()
        else:
            relax()


@jit(references=False, signature=_evaluation)
def evaluate(parameters, layers, scratch, inputs, sizes, out, control):
    """The network's outputs for all rows of `inputs`, some at a time, on all threads that call this.

    When one of several threads returns, all is done. Each has `sizes.observations` of the capacity for
    itself.

    # shapes: (n, inputs), out (n, outputs)
    """
    _evaluate_rows(DENSE_RULES, parameters, layers, scratch, inputs, sizes, out, control)


@jit(references=False, signature=_evaluation)
def evaluate_images(parameters, layers, scratch, inputs, sizes, out, control):
    """:func:`evaluate` of a network of images."""
    _evaluate_rows(IMAGE_RULES, parameters, layers, scratch, inputs, sizes, out, control)


@jit(references=False, signature=_evaluation)
def evaluate_graphs(parameters, layers, scratch, inputs, sizes, out, control):
    """:func:`evaluate` of a network of any of this package's operations."""
    _evaluate_rows(RULES, parameters, layers, scratch, inputs, sizes, out, control)


class Interpreter(NamedTuple):
    """The functions for a table of operations."""

    operations: tuple[Operation, ...]  # an operation's code is its place
    run_steps: Any
    evaluate: Any


_DENSE = Interpreter(DENSE_OPERATIONS, run_steps, evaluate)
_IMAGES = Interpreter(IMAGE_OPERATIONS, run_image_steps, evaluate_images)
_ALL = Interpreter(OPERATIONS, run_graph_steps, evaluate_graphs)


def interpreter(operations: frozenset[Operation]) -> Interpreter:
    """The interpreter of networks with these operations.

    Parameters
    ----------
    operations : frozenset of Operation
        This package's or others.
    """
    others = operations.difference(OPERATIONS)
    ours = operations.difference(others)
    own = next(each for each in (_DENSE, _IMAGES, _ALL) if ours.issubset(each.operations))
    return _with(own.operations, others) if others else own


@functools.cache
def _with(own: tuple[Operation, ...], others: frozenset[Operation]) -> Interpreter:
    operations = (*own, *sorted(others, key=lambda operation: operation.name))
    rules = rules_of(operations)

    @jit(references=False, signature=_steps, cache=False)
    def run_steps(run, parts, control):
        run_members(rules, run, parts, control)

    @jit(references=False, signature=_evaluation, cache=False)
    def evaluate(parameters, layers, scratch, inputs, sizes, out, control):
        _evaluate_rows(rules, parameters, layers, scratch, inputs, sizes, out, control)

    return Interpreter(operations, run_steps, evaluate)

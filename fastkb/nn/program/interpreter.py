"""The interpreter: compiled functions that run the program of any network.

One serves all networks of this package's operations, and its code is kept on disk. A network with an
operation of another package takes one that knows that operation too; it is compiled once in each process.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from numba.core import types

from fastkb.nn.ops.layers import OPERATIONS, RULES
from fastkb.nn.ops.operation import Operation, rules_of
from fastkb.nn.program.passes import Sizes, Span, copy
from fastkb.nn.program.schedule import run_members
from fastkb.nn.program.step import run_forward, types_of
from fastkb.runtime import inline, jit


def _steps(T):
    return types_of(T)["run"], types.intp, types.Array(types.intp, 1, "C")


def _evaluation(T):
    known = types_of(T)
    read = types.Array(T, 1, "C", readonly=True)
    return (read, *(known[name] for name in ("layers", "scratch", "read", "sizes", "matrix")))


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
    run_members(RULES, run, parts, control)


@inline(references=False)
def _evaluate_rows(rules, parameters, layers, scratch, inputs, sizes, out):
    values, last = scratch.values, layers[len(layers) - 1]
    stride = layers[0].source_stride
    for begin in range(0, len(inputs), sizes.capacity):
        count = min(sizes.capacity, len(inputs) - begin)
        now = Sizes(sizes.mr, sizes.nr, sizes.width, sizes.capacity, count)
        for i in range(count):
            copy(values[i * stride : i * stride + inputs.shape[1]], inputs[begin + i])
        span = Span(0, (count + sizes.mr - 1) // sizes.mr * sizes.mr)
        run_forward(rules, layers, parameters, values, span, now)
        for i in range(count):
            start = last.target * sizes.capacity + i * last.target_stride
            copy(out[begin + i], values[start : start + last.outputs])


@jit(references=False, signature=_evaluation)
def evaluate(parameters, layers, scratch, inputs, sizes, out):
    """The network's outputs for all rows of `inputs`, some rows at a time, on this thread.

    # shapes: (n, inputs), out (n, outputs)
    """
    _evaluate_rows(RULES, parameters, layers, scratch, inputs, sizes, out)


class Interpreter(NamedTuple):
    """The functions for a table of operations."""

    operations: tuple[Operation, ...]  # an operation's code is its place
    run_steps: Any
    evaluate: Any


_OWN = Interpreter(OPERATIONS, run_steps, evaluate)


def interpreter(operations: frozenset[Operation]) -> Interpreter:
    """The interpreter of networks with these operations.

    Parameters
    ----------
    operations : frozenset of Operation
        This package's or others.
    """
    others = operations.difference(OPERATIONS)
    return _with(others) if others else _OWN


@functools.cache
def _with(others: frozenset[Operation]) -> Interpreter:
    operations = (*OPERATIONS, *sorted(others, key=lambda operation: operation.name))
    rules = rules_of(operations)

    @jit(references=False, signature=_steps, cache=False)
    def run_steps(run, parts, control):
        run_members(rules, run, parts, control)

    @jit(references=False, signature=_evaluation, cache=False)
    def evaluate(parameters, layers, scratch, inputs, sizes, out):
        _evaluate_rows(rules, parameters, layers, scratch, inputs, sizes, out)

    return Interpreter(operations, run_steps, evaluate)

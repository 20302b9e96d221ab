"""What an operation is: a layer's rules, which the interpreter knows by a small code.

An operation is one file of this folder. It holds the layer's class, with PyTorch's name, shapes and first
parameters, and beside it the rules: the forward rule, and below it the backward rule. The interpreter's
switch is a chain that is made from a table of operations: each link runs its own rule if the code is its
own, else asks the next link.

A rule is compiled into the interpreter. It gets a row of the program, which says where everything stands
(:data:`fastkb.nn.program.layout.LAYER`), and flat buffers. Of the batch it computes the observations of
a span, or of the parameters one block, so that threads can share a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastkb.runtime import inline


class Operation(NamedTuple):
    """The rules of one operation, as functions that :func:`fastkb.runtime.inline` takes.

    Attributes
    ----------
    name : str
    forward : callable
        ``(row, parameters, values, span, sizes)``: what the row adds up for some observations, at its
        place `kept`. The activation behind it is no matter of the rule's.
    backward : callable
        ``(row, parameters, transposed, values, deltas, span, sizes)``: from the row's deltas those of
        what it reads; added to what is there if ``row.accumulate`` is set, as where a value has
        several readers.
    gradients : callable
        ``(row, block, gradients, values, deltas, ones, sizes)``: the gradient of a block of the row's
        parameters, from all observations of the batch.
    turn : callable
        ``(row, block, parameters, transposed, sizes)``: what the backward rule wants of a block's new
        parameters, such as their transpose.
    """

    name: str
    forward: Callable
    backward: Callable
    gradients: Callable
    turn: Callable


class Rules(NamedTuple):
    """The same of a table of operations: each a chain that begins by looking at the row's code."""

    forward: Any
    backward: Any
    gradients: Any
    turn: Any


def nothing(*arguments):
    """The rule of an operation without parameters, or without anything to turn."""


def _forward_link(own: int, rule: Any, following: Any) -> Any:
    @inline(references=False)
    def forward(row, parameters, values, span, sizes):
        if row.code == own:
            rule(row, parameters, values, span, sizes)
        else:
            following(row, parameters, values, span, sizes)

    return forward


def _backward_link(own: int, rule: Any, following: Any) -> Any:
    @inline(references=False)
    def backward(row, parameters, transposed, values, deltas, span, sizes):
        if row.code == own:
            rule(row, parameters, transposed, values, deltas, span, sizes)
        else:
            following(row, parameters, transposed, values, deltas, span, sizes)

    return backward


def _gradients_link(own: int, rule: Any, following: Any) -> Any:
    @inline(references=False)
    def gradients(row, block, gradients, values, deltas, ones, sizes):
        if row.code == own:
            rule(row, block, gradients, values, deltas, ones, sizes)
        else:
            following(row, block, gradients, values, deltas, ones, sizes)

    return gradients


def _turn_link(own: int, rule: Any, following: Any) -> Any:
    @inline(references=False)
    def turn(row, block, parameters, transposed, sizes):
        if row.code == own:
            rule(row, block, parameters, transposed, sizes)
        else:
            following(row, block, parameters, transposed, sizes)

    return turn


def rules_of(operations: Sequence[Operation]) -> Rules:
    """The chains of a table, in which an operation's code is its place.

    Parameters
    ----------
    operations : sequence of Operation
    """
    end = inline(nothing, references=False)
    chains: list[Any] = []
    for name, link in (
        ("forward", _forward_link),
        ("backward", _backward_link),
        ("gradients", _gradients_link),
        ("turn", _turn_link),
    ):
        chain = end
        for code, operation in reversed(list(enumerate(operations))):
            chain = link(code, inline(getattr(operation, name), references=False), chain)
        chains.append(chain)
    return Rules(*chains)

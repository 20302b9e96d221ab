"""What an operation is: a layer's rules, which the interpreter knows by a small code.

An operation is one file of this folder. It holds the layer's class, with PyTorch's name, shapes and first
parameters, and beside it the rules: the forward rule, and below it the backward rule. The interpreter's
switch is made from a table of operations.

A rule is compiled into the interpreter. It gets a row of the program, which says where everything stands
(:data:`fastkb.nn.program.layout.LAYER`), and flat buffers. Of the batch it computes the observations of
a span, or of the parameters one block, so that threads can share a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastkb.runtime import inline
from fastkb.runtime.jit import switch


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
    """The same of a table of operations: each called with the row's code before its arguments."""

    forward: Any
    backward: Any
    gradients: Any
    turn: Any


def nothing(*arguments):
    """The rule of an operation without parameters, or without anything to turn."""


def rules_of(operations: Sequence[Operation]) -> Rules:
    """The chains of a table, in which an operation's code is its place.

    Parameters
    ----------
    operations : sequence of Operation
    """
    return Rules(
        *(
            switch(
                [inline(getattr(one, rule), references=False) for one in operations],
                references=False,
            )
            for rule in Rules._fields
        )
    )

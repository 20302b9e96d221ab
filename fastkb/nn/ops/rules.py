"""The rules of a table of operations, each called with an operation's code before its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastkb.nn.ops.operation import Across, Operation, nothing
from fastkb.runtime import inline
from fastkb.runtime.jit import switch


class Rules(NamedTuple):
    """The rules of :class:`fastkb.nn.ops.operation.Operation`, and those of `Across`."""

    forward: Any
    backward: Any
    gradients: Any
    turn: Any
    reduce: Any
    combine: Any
    reduce_back: Any
    combine_back: Any
    settle: Any


def rules_of(operations: Sequence[Operation]) -> Rules:
    """The chains of a table, in which an operation's code is its place.

    Parameters
    ----------
    operations : sequence of Operation
    """

    def of(operation: Operation, rule: str) -> Callable:
        if rule not in Across._fields:
            return getattr(operation, rule)
        return nothing if operation.across is None else getattr(operation.across, rule)

    return Rules(
        *(
            switch(
                [inline(of(one, rule), references=False) for one in operations], references=False
            )
            for rule in Rules._fields
        )
    )

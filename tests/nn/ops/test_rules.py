"""The chain of a table of operations: each row runs the rule that its code names."""

from typing import NamedTuple

import numpy as np
import pytest

from fastkb.nn.ops.operation import Operation, nothing
from fastkb.nn.ops.rules import rules_of
from fastkb.runtime import jit


class Row(NamedTuple):
    code: int


def _first(row, parameters, values, span, sizes):
    values[0] += 1.0


def _second(row, parameters, values, span, sizes):
    values[1] += 10.0


def _second_backward(row, parameters, transposed, values, deltas, span, sizes):
    deltas[0] += 100.0


RULES = rules_of(
    [
        Operation("first", _first, nothing, nothing, nothing),
        Operation("second", _second, _second_backward, nothing, nothing),
    ]
)
forward, backward, gradients_of, turn = RULES[:4]


@jit(cache=False, references=False)
def _run(row, values, deltas):
    forward(row.code, row, values, values, 0, 0)
    backward(row.code, row, values, values, values, deltas, 0, 0)
    gradients_of(row.code, row, 0, values, values, deltas, values, values, 0)
    turn(row.code, row, 0, values, values, 0)


@pytest.mark.parametrize(
    ("code", "values", "delta"),
    [(0, [1.0, 0.0], 0.0), (1, [0.0, 10.0], 100.0), (7, [0.0, 0.0], 0.0)],
)
def test_a_row_runs_the_rules_of_its_code(code, values, delta):
    found, deltas = np.zeros(2), np.zeros(1)
    _run(Row(code), found, deltas)
    assert found.tolist() == values
    assert deltas.tolist() == [delta]

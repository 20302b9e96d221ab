"""The plan: what it decides, and that it says why."""

import numpy as np
import pytest

from fastkb.gram.plan import plan
from fastkb.runtime.memory import empty
from fastkb.scalar.kernels import find
from fastkb.tile.blocking import STREAMED_FROM

X = np.ones((3, 2))


def test_symmetry():
    out = np.empty((3, 3))
    chosen = plan(find("rbf"), X, None, out)
    assert chosen.symmetric
    assert "mirrored" in chosen.reasons[1]
    assert not plan(find("rbf"), X, X, out).symmetric


def test_transposed_results():
    assert plan(find("rbf"), X, None, np.empty((3, 3), order="F")).transposed
    assert not plan(find("rbf"), X, None, np.empty((3, 3))).transposed
    assert not plan(find("rbf"), X, X[:1], np.empty((3, 1))).transposed


def test_only_large_results_with_regular_rows_are_streamed():
    side = int(np.sqrt(STREAMED_FROM / 8)) // 8 * 8 + 8
    large = empty((side, side), np.float64, "a test")
    assert plan(find("rbf"), X, None, large).streaming
    assert "past" in plan(find("rbf"), X, None, large).reasons[2]
    assert not plan(find("rbf"), X, None, large[:8]).streaming
    assert plan(find("rbf"), X, None, large).lead == 0
    # One element into the line, in every row: the tiles are shifted.
    late = plan(find("rbf"), X, None, large[:, 1:])
    assert (late.streaming, late.lead) == (True, 1)
    # Rows that begin at different places of a line, or not contiguous.
    odd = empty((side, side + 1), np.float64, "a test")
    assert not plan(find("rbf"), X, None, odd).streaming
    assert not plan(find("rbf"), X, None, odd[:, ::2]).streaming


@pytest.mark.parametrize(("name", "word"), [("rbf", "sqdiff"), ("linear", "dot")])
def test_the_form_is_explained(name, word):
    assert plan(find(name), X, None, np.empty((3, 3))).reasons[0].startswith(word)

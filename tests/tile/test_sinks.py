"""What becomes of a tile: stored, mirrored, added, multiplied."""

import numpy as np
import pytest

from fastkb.runtime import jit
from fastkb.tile import sinks
from fastkb.tile.sinks import AREA, TILE, Place, Sink

COMBINED = {
    Sink.STORE: lambda before, values: values,
    Sink.ADD: lambda before, values: before + values,
    Sink.MULTIPLY: lambda before, values: before * values,
}


@jit(cache=False)
def _write(sink, values, out, place, streaming):
    sinks.write(sink, values, out, place, streaming)


@jit(cache=False)
def _mirror(values, out, place):
    sinks.mirror(values, out, place, False)


def a_tile(dtype):
    return np.random.default_rng(0).standard_normal(AREA).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sink", COMBINED)
@pytest.mark.parametrize("span", [(0, TILE, 0, TILE), (3, 40, 5, 38), (7, 8, 11, 12)])
@pytest.mark.parametrize("layout", ["rows", "columns", "strided"])
def test_values_meet_what_is_there(dtype, sink, span, layout):
    first, stop, left, right = span
    shape = (stop + 4, right + 6)
    out = np.random.default_rng(1).standard_normal((2 * shape[0], 2 * shape[1])).astype(dtype)
    out = {
        "rows": lambda: out[: shape[0], : shape[1]],
        "columns": lambda: np.asfortranarray(out[: shape[0], : shape[1]]),
        "strided": lambda: out[::2, ::2],
    }[layout]()
    before, values = out.copy(), a_tile(dtype)
    place = Place(2, 3, first, stop, left, right)
    _write(int(sink), values.copy(), out, place, False)
    mine = values.reshape(TILE, TILE)[first:stop, left:right]
    expected = before.copy()
    where = np.s_[2 : 2 + stop - first, 3 : 3 + right - left]
    expected[where] = COMBINED[sink](before[where], mine)
    np.testing.assert_array_equal(out, expected)


@jit(cache=False)
def _reduce(values, coefficients, out, first, place):
    sinks.reduce(values, coefficients, out, first, place)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("span", [(0, TILE, 0, TILE), (3, 40, 5, 38), (7, 8, 11, 12)])
@pytest.mark.parametrize("targets", [1, 3])
def test_values_are_reduced(dtype, span, targets):
    first, stop, left, right = span
    rng = np.random.default_rng(1)
    coefficients = rng.standard_normal((targets, right + 6)).astype(dtype)
    out = rng.standard_normal((stop + 9, targets)).astype(dtype)
    before, values = out.copy(), a_tile(dtype)
    _reduce(values.copy(), coefficients, out, 4, Place(2, 3, first, stop, left, right))
    mine = values.reshape(TILE, TILE)[first:stop, left:right].astype(float)
    expected = before.astype(float)
    expected[6 : 6 + stop - first] += mine @ coefficients[:, 3 : 3 + right - left].T
    np.testing.assert_allclose(out, expected, atol=50 * np.finfo(dtype).eps)
    outside = np.r_[0:6, 6 + stop - first : len(out)]
    np.testing.assert_array_equal(out[outside], before[outside])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("span", [(0, TILE, 0, TILE), (3, 40, 5, 38), (7, 8, 11, 12)])
def test_a_mirror_image(dtype, span):
    first, stop, left, right = span
    out = np.full((right + 5, stop + 5), np.nan, dtype)
    values = a_tile(dtype)
    _mirror(values, out, Place(2, 3, first, stop, left, right))
    expected = np.full_like(out, np.nan)
    mine = values.reshape(TILE, TILE)[first:stop, left:right]
    expected[3 : 3 + right - left, 2 : 2 + stop - first] = mine.T
    np.testing.assert_array_equal(out, expected)

"""Packing against its picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.tile.pack import pack, packed_length, packed_norms


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    d=st.integers(1, 9),
    rows=st.sampled_from([1, 4, 8, 12, 24]),
    dtype=st.sampled_from([np.float32, np.float64]),
    order=st.sampled_from("CF"),
    step=st.sampled_from([1, 2, -1]),
    lead=st.integers(0, 30),
    centred=st.booleans(),
)
def test_panels(n, d, rows, dtype, order, step, lead, centred):
    X = np.asarray(np.random.default_rng(n).standard_normal((n, d)), dtype=dtype, order=order)[
        ::step
    ]
    X.flags.writeable = False
    packed = np.full(packed_length(len(X), d, rows, lead), np.nan, dtype=dtype)
    centre = np.arange(1.0, d + 1).astype(dtype) if centred else np.empty(0, dtype)
    pack(X, packed, rows, lead, centre)
    panels = packed.reshape(-1, d, rows)
    unpacked = panels.transpose(0, 2, 1).reshape(-1, d)
    np.testing.assert_array_equal(unpacked[lead : lead + len(X)], X - centre if centred else X)
    np.testing.assert_array_equal(unpacked[:lead], 0.0)
    np.testing.assert_array_equal(unpacked[lead + len(X) :], 0.0)


def test_one_compiled_function_for_each_element_type():
    X = np.ones((5, 3))
    for layout in (X, np.asfortranarray(X), X[::2], X[:, ::-1]):
        pack(layout, np.empty(packed_length(len(layout), 3, 4)), 4, 0, np.empty(0))
    assert len([s for s in pack.signatures if "float64" in str(s)]) == 1


@pytest.mark.parametrize(("n", "expected"), [(1, 12), (4, 12), (5, 24)])
def test_length(n, expected):
    assert packed_length(n, 3, 4) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 7, 784])
def test_norms_are_right_to_the_last_rounding(dtype, d):
    X = np.random.default_rng(d).standard_normal((13, d)).astype(dtype)
    packed, out = np.empty(packed_length(13, d, 8, 2), dtype), np.empty(16, dtype)
    pack(X, packed, 8, 2, np.empty(0, dtype))
    packed_norms(packed, 8, d, out, np.empty((2, 8), dtype))
    exact = (X.astype(np.longdouble) ** 2).sum(axis=1)
    np.testing.assert_allclose(out[2:15], exact, rtol=0.51 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(out[[0, 1, 15]], 0.0)

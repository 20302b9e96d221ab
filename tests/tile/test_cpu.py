"""The driver: tiles, edges, mirrors, threads and memory layouts, against the oracles."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.gram import plan as planning
from fastkb.gram.engine import compute
from fastkb.reference import gram as reference
from fastkb.runtime.memory import empty
from fastkb.scalar.kernels import Form, find
from fastkb.tile.blocking import blocking
from fastkb.tile.cpu import TILE, gram_tiles
from fastkb.tile.multiply import OF_FORM

FORMS = {
    "linear": lambda X, Y: reference.linear(X, Y),
    "sqeuclidean": lambda X, Y: np.sum(reference.differences(X, Y) ** 2, axis=2),
    "manhattan": lambda X, Y: np.sum(np.abs(reference.differences(X, Y)), axis=2),
}
ONE = ()

# Sizes around the edges of micro-tiles, tiles and two tiles.
_edges = sorted(
    {
        max(1, multiple + step)
        for size in (blocking("float64").mr, blocking("float64").nr, TILE, 2 * TILE)
        for multiple in (size,)
        for step in (-1, 0, 1)
    }
    | {1, 2, 3}
)
sizes = st.sampled_from(_edges)


def _bound(form, X, Y, dtype):
    """The rounding of a sum of d terms: (d + 2)·eps times the sum of their sizes."""
    X, Y = X.astype(np.longdouble), (X if Y is None else Y).astype(np.longdouble)
    terms = FORMS[form](np.abs(X), np.abs(Y)) if form == "linear" else FORMS[form](X, Y)
    return (X.shape[1] + 2) * np.finfo(dtype).eps * terms.astype(float) + np.finfo(dtype).tiny


@settings(max_examples=80, deadline=None)
@given(
    form=st.sampled_from(sorted(FORMS)),
    n=sizes,
    m=st.none() | sizes,
    d=st.sampled_from([1, 2, 5, 255, 256, 257, 513]),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(["C", "F", "strided", "reversed", "readonly"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_oracle(form, n, m, d, dtype, layout, seed):
    rng = np.random.default_rng(seed)
    X = _laid_out(rng.standard_normal((n, d)).astype(dtype), layout)
    Y = None if m is None else _laid_out(rng.standard_normal((m, d)).astype(dtype), layout)
    before = X.copy()
    got = compute(find(form), ONE, X, Y)
    assert got.dtype == dtype
    assert got.flags.c_contiguous
    wide = FORMS[form](X.astype(np.longdouble), None if Y is None else Y.astype(np.longdouble))
    assert (np.abs(got - wide) <= _bound(form, X, Y, dtype)).all()
    np.testing.assert_array_equal(X, before)
    if Y is None:
        np.testing.assert_array_equal(got, got.T)
        if form != "linear":
            np.testing.assert_array_equal(np.diag(got), 0.0)


def _laid_out(X, layout):
    if layout == "F":
        return np.asfortranarray(X)
    if layout == "strided":
        wide = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan, dtype=X.dtype)
        wide[::2, ::3] = X
        return wide[::2, ::3]
    if layout == "reversed":
        return X[::-1, ::-1].copy()[::-1, ::-1]
    if layout == "readonly":
        X.flags.writeable = False
    return X


@settings(max_examples=40, deadline=None)
@given(
    n=sizes,
    m=st.none() | sizes,
    dtype=st.sampled_from([np.float32, np.float64]),
    out_layout=st.sampled_from(["C", "F", "strided", "reversed", "misaligned", "late"]),
    streaming=st.booleans(),
)
def test_every_layout_of_out_receives_the_same_bits(n, m, dtype, out_layout, streaming):
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, 3)).astype(dtype)
    Y = None if m is None else rng.standard_normal((m, 3)).astype(dtype)
    expected = compute(find("rbf"), (0.3,), X, Y)
    base, out = _target(expected.shape, dtype, out_layout)
    outside = base.copy()
    with pytest.MonkeyPatch.context() as patch:
        if streaming:
            patch.setattr(planning, "STREAMED_FROM", 0)
        got = compute(find("rbf"), (0.3,), X, Y, out)
    assert got is out
    np.testing.assert_array_equal(out, expected)
    out[...] = -1.0
    np.testing.assert_array_equal(base, outside)  # nothing beside `out` was written


def _target(shape, dtype, layout):
    """A buffer of -1, and the array in it that has the layout."""
    rows, columns = shape
    if layout == "F":
        base = np.full((columns, rows), -1.0, dtype=dtype)
        return base, base.T
    if layout == "strided":
        base = np.full((2 * rows, 2 * columns), -1.0, dtype=dtype)
        return base, base[::2, ::2]
    if layout == "reversed":
        base = np.full(shape, -1.0, dtype=dtype)
        return base, base[::-1, ::-1]
    if layout == "misaligned":
        base = np.full((rows, columns + 3), -1.0, dtype=dtype)
        return base, base[:, 1:-2]
    # "late": rows that all begin three elements after a cache line does.
    wide = -(-(columns + 3) // 16) * 16
    base = empty((rows, wide), dtype, "a test")
    base[...] = -1.0
    return base, base[:, 3 : 3 + columns] if layout == "late" else base[:, :columns]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["rbf", "laplacian", "polynomial", "sigmoid", "matern32"])
def test_one_and_many_threads_give_the_same_bits(dtype, name):
    X = np.random.default_rng(0).standard_normal((5 * TILE + 7, 11)).astype(dtype)
    p = (0.2, 1.0, 5.0)[: len(find(name).parameters)]
    many = compute(find(name), p, X, None)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = compute(find(name), p, X, None)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(one, many)


def test_a_value_does_not_depend_on_its_place():
    """The same pair of rows gives the same bits wherever in a tile it stands."""
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((2 * TILE + 9, 6)), rng.standard_normal((TILE + 5, 6))
    p = (0.4,)
    whole = compute(find("rbf"), p, X, Y)
    for start in (1, 7, TILE - 1, TILE + 3):
        part = compute(find("rbf"), p, X[start:].copy(), Y[::-1].copy())
        np.testing.assert_array_equal(part, whole[start:, ::-1])


def test_poisoned_memory_does_not_leak_into_results():
    """Padding and stack buffers hold garbage; none of it may reach the result."""
    X = np.random.default_rng(4).standard_normal((TILE + 1, 2))
    out = np.full((TILE + 1, TILE + 1), np.nan)
    compute(find("rbf"), (1.0,), X, None, out)
    assert np.isfinite(out).all()


def test_one_compiled_function_for_each_element_type():
    for n in (3, 200):
        for dtype in (np.float32, np.float64):
            X = np.ones((n, 2), dtype=dtype)
            compute(find("rbf"), (1.0,), X, None)
            compute(find("matern52"), (1.0,), X, None)
            compute(find("linear"), ONE, np.asfortranarray(X), X[::2])
    assert len(gram_tiles.signatures) <= 2


def test_forms_have_the_codes_of_the_table():
    assert [form.value for form in Form] == list(range(len(OF_FORM)))

"""The order in which a kernel's parts are written, and the memory that they need."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import gram, kernels
from fastkb.gram import engine, plan
from fastkb.runtime import memory
from fastkb.tile.blocking import blocking
from fastkb.tile.cpu import TILE
from fastkb.tile.sinks import Sink

A, B, C = kernels.RBF(0.7), kernels.Linear(), kernels.Matern(2.5)
P = kernels.Periodic(1.3)


class Own(kernels.Kernel):
    form = "sqeuclidean"

    def __repr__(self):
        return "Own()"

    def function(self, t):
        return np.exp(-t)


@pytest.mark.parametrize(
    ("kernel", "d", "buffers"),
    [
        (A, 3, 0),
        (A + B + C, 3, 0),
        (A * B * C, 3, 0),
        (A * B + C, 3, 0),
        (A + B * C, 3, 0),  # the product first
        (A * (B + C), 3, 0),  # the sum first
        (A * B + B * C, 3, 1),
        ((A + B) * (B + C), 3, 1),
        (A + (A + B) * (B + C), 3, 1),
        (A * B + (A + B) * (B + C), 3, 1),
        ((A + B * C) * (B + A * C), 3, 1),
        ((A * B + B * C) * (A * C + B * B), 3, 2),
        (P, 3, 0),
        (A + P, 1, 0),
        (A + P, 3, 0),
        (P + P, 1, 0),
        (P + P, 2, 1),
        (P * P, 2, 0),
        (Own() + A, 2, 0),
        (Own() + Own(), 2, 1),
        (A * Own() * Own(), 2, 1),
        (2.0 * (A + B * C).scaled([1.0, 2.0]), 2, 0),
    ],
    ids=repr,
)
def test_as_few_buffers_as_are_promised(kernel, d, buffers, monkeypatch):
    assert kernel._buffers(Sink.STORE, d) == buffers
    made = []
    new = engine.new_matrix
    monkeypatch.setattr(engine, "new_matrix", lambda *a: made.append(1) or new(*a))
    from fastkb.gram import evaluate

    kept = evaluate.empty
    monkeypatch.setattr(evaluate, "empty", lambda *a: made.append(1) or kept(*a))
    X = np.random.default_rng(0).standard_normal((20, d))
    K = gram(kernel, X)
    assert len(made) == 1 + buffers
    np.testing.assert_array_equal(K, K.T)


def test_memory_is_looked_at_before_any_work(monkeypatch):
    n = 4000  # 128 MB each
    monkeypatch.setattr(memory, "available_bytes", lambda: 200_000_000)
    monkeypatch.setattr(engine, "accumulate", lambda *a: pytest.fail("work was begun"))
    X = np.zeros((n, 2))
    kernel = A * B + B * C
    with pytest.raises(
        MemoryError, match=r"4000 x 4000 matrices that RBF.* is made of needs 0\.3 GB"
    ):
        gram(kernel, X)
    out = np.empty((n, n))
    monkeypatch.setattr(memory, "available_bytes", lambda: 100_000_000)
    with pytest.raises(MemoryError, match=r"needs 0\.1 GB"):
        gram(kernel, X, out=out)


EXPRESSIONS = [
    A + B,
    A * B,
    0.3 * C + A * B,
    (A + B) * (kernels.Cosine() + 2.0 * P),
    P + P * B,
    (A + B * Own()) * (Own() + C),
    (A * B + C).scaled([0.3, 2.0, 1.0]),
]
edges = st.sampled_from(
    sorted(
        {
            max(1, size + step)
            for size in (blocking("float64").mr, blocking("float64").nr, TILE, 2 * TILE)
            for step in (-1, 0, 1)
        }
        | {1, 2}
    )
)


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.sampled_from(EXPRESSIONS),
    n=edges,
    m=st.none() | edges,
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(["C", "F", "strided", "late"]),
    streaming=st.booleans(),
)
def test_every_layout_and_every_part_has_the_same_bits(kernel, n, m, dtype, layout, streaming):
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, 3)).astype(dtype)
    Y = None if m is None else rng.standard_normal((m, 3)).astype(dtype)
    columns = n if Y is None else m
    with pytest.MonkeyPatch.context() as patch:
        if streaming:
            patch.setattr(plan, "STREAMED_FROM", 0)
        expected = kernel(X, Y)
        base = np.full((2 * n, 2 * columns + 8), -1.0, dtype=dtype)
        out = {
            "C": lambda: base[:n, :columns],
            "F": lambda: np.asfortranarray(base[:n, :columns]),
            "strided": lambda: base[::2, : 2 * columns : 2],
            "late": lambda: base[:n, 3 : 3 + columns],
        }[layout]()
        X.flags.writeable = False
        assert kernel(np.asfortranarray(X), Y, out=out) is out
    np.testing.assert_array_equal(out, expected)
    if layout != "F":
        out[...] = -1.0
        assert (base == -1.0).all()
    some = slice(n // 3, n)
    whole = X if Y is None else Y
    np.testing.assert_array_equal(kernel(X[some].copy(), whole.copy()), expected[some])
    if Y is None:
        np.testing.assert_array_equal(expected, expected.T)


@pytest.mark.parametrize("kernel", EXPRESSIONS, ids=repr)
def test_threads_change_no_bit(kernel):
    X = np.random.default_rng(0).standard_normal((3 * TILE + 7, 3))
    many = kernel(X)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = kernel(X)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(one, many)


def test_factors_beyond_the_type_stay_finite():
    K = (1e200 * A)(np.array([[0.0], [100.0]], dtype=np.float32))
    np.testing.assert_array_equal(K, np.finfo(np.float32).max * np.eye(2, dtype=np.float32))
    huge = (1e200 * (A + 1e200 * A))(np.array([[0.0], [100.0]]))
    assert not np.isnan(huge).any()

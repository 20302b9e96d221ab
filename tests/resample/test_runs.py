"""Runs against their definitions: what is drawn, as rows, and how often each row is in them."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.random.streams import key_from_rng
from fastkb.reference import streams as reference
from fastkb.resample import runs as module
from fastkb.resample.runs import (
    Runs,
    chosen_runs,
    counts_of_runs,
    equal_runs,
    geometric_runs,
    group_runs,
    parts_of_runs,
    rows_of_runs,
    runs_without,
)

KEY = key_from_rng(3)


def as_lists(runs):
    """(starts, lengths) of each resample, without what is not initialised."""
    lengths = np.broadcast_to(runs.lengths, runs.starts.shape)
    return [
        (starts[:used].tolist(), long[:used].tolist())
        for starts, long, used in zip(runs.starts, lengths, runs.used, strict=True)
    ]


@pytest.mark.parametrize("n", [2, 7, 63, 64, 65, 1000])
@pytest.mark.parametrize("mean", [1, 1.0000001, 1.5, 6.0, 1e9])
def test_geometric_runs_are_those_of_the_definition(n, mean):
    runs = geometric_runs(KEY, 4, 6, n, mean)
    expected = [reference.geometric_runs(KEY, 4 + r, n, mean) for r in range(6)]
    assert as_lists(runs) == expected
    assert (runs.sizes == n).all()


def test_starts_that_the_stream_rejects():
    n, mean = 3 * 2**29, 2.0**24  # a quarter of all words is rejected
    expected = []
    for one, other in reference.words(KEY, 0, 400).reshape(-1, 2).tolist():
        if one * n % 2**32 >= 2**32 % n:
            length = 1 + np.floor(np.log((other + 0.5) / 2**32) / np.log1p(-1 / mean))
            expected.append((one * n >> 32, length))
    ((starts, lengths),) = as_lists(geometric_runs(KEY, 0, 1, n, mean))
    assert sum(lengths) == n
    last = len(starts) - 1
    assert last > 60
    assert list(zip(starts, lengths, strict=True))[:last] == expected[:last]


def test_more_runs_than_were_expected(monkeypatch):
    expected = as_lists(geometric_runs(KEY, 0, 20, 100, 10.0))
    monkeypatch.setattr(module, "most_geometric_runs", lambda n, mean: 2)
    assert as_lists(geometric_runs(KEY, 0, 20, 100, 10.0)) == expected


def test_lengths_are_geometric():
    """Share of lengths above k within five standard errors: a false alarm in 10⁶."""
    runs = geometric_runs(KEY, 0, 2000, 400, 8.0)
    lengths = np.concatenate([long[:-1] for _, long in as_lists(runs)])
    # Without the last one the rest are somewhat shorter: compare the first of each resample.
    first = runs.lengths[:, 0]
    for k in (1, 8, 20):
        share = (1 - 1 / 8) ** k
        spread = np.sqrt(share * (1 - share) / len(first))
        assert abs((first > k).mean() - share) < 5 * spread
    assert lengths.min() == 1


def test_threads_do_not_matter():
    many = as_lists(geometric_runs(KEY, 0, 30, 500, 5.0))
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        assert as_lists(geometric_runs(KEY, 0, 30, 500, 5.0)) == many
    finally:
        numba.set_num_threads(before)
    assert as_lists(geometric_runs(KEY, 7, 1, 500, 5.0)) == many[7:8]


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 5), st.data())
def test_equal_runs(n, length, count, data):
    length = min(length, n)
    most = -(-n // length)
    places = st.lists(st.integers(0, 99), min_size=most, max_size=most)
    drawn = data.draw(st.lists(places, min_size=count, max_size=count))
    runs = equal_runs(np.array(drawn, np.uint32).reshape(count, most), length, n)
    order = np.random.default_rng(0).permutation(99 + length).astype(np.uint32)
    rows = rows_of_runs(runs, order)
    expected = [np.concatenate([order[s : s + length] for s in row])[:n] for row in drawn]
    np.testing.assert_array_equal(rows, np.array(expected).reshape(count, n if count else 0))
    assert (runs.sizes == n).all()


@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 2**32))
def test_rows_and_counts(n_groups, count, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, n_groups)
    starts = np.cumsum(sizes) - sizes
    n = int(sizes.sum())
    order = rng.permutation(n).astype(np.uint32)
    groups = rng.integers(0, n_groups, (count, n_groups), dtype=np.uint32)
    runs = group_runs(groups, starts, sizes)
    expected = [
        np.concatenate([order[starts[g] : starts[g] + sizes[g]] for g in row]) for row in groups
    ]
    assert runs.sizes.tolist() == [len(row) for row in expected]
    for row, right in zip(rows_of_runs(runs, order), expected, strict=True):
        np.testing.assert_array_equal(row[: len(right)], right)
    counts = [np.bincount(row, minlength=n) for row in expected]
    np.testing.assert_array_equal(counts_of_runs(runs, order, n), counts)


def test_counts_on_a_circle():
    order = np.array([0, 1, 2, 0, 1, 2], np.uint32)
    runs = equal_runs(np.array([[2, 1], [0, 0]], np.uint32), 2, 3)
    assert counts_of_runs(runs, order, 3).tolist() == [[1, 1, 1], [2, 1, 0]]


def test_some_resamples_of_many():
    runs = geometric_runs(KEY, 0, 9, 30, 4.0)
    starts = np.repeat(np.arange(9, dtype=np.uint32)[:, None], 3, axis=1)
    for some in (runs, equal_runs(starts, 4, 10)):
        lists = as_lists(some)
        assert as_lists(chosen_runs(some, np.array([7, 2]))) == [lists[7], lists[2]]
        parts = list(parts_of_runs(some, 2 * int(some.sizes[0])))
        assert [len(part.used) for part in parts] == [2, 2, 2, 2, 1]
        assert [one for part in parts for one in as_lists(part)] == lists
    nothing = Runs(*(part[:0] for part in runs))
    assert list(parts_of_runs(nothing, 5)) == []
    assert rows_of_runs(nothing, np.arange(60, dtype=np.uint32)).shape[0] == 0


def test_all_but_one_stretch():
    order = np.arange(7, dtype=np.uint32)[::-1].copy()
    starts, lengths = np.array([0, 2, 5]), np.array([1, 3, 2])
    runs = runs_without(starts, lengths, 7)
    rows = rows_of_runs(runs, order)
    for row, size, start, length in zip(rows, runs.sizes, starts, lengths, strict=True):
        np.testing.assert_array_equal(row[:size], np.delete(order, np.s_[start : start + length]))

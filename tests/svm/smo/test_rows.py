"""Kernel rows that are kept: right after any requests, computed no more often than they must be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fastkb.svm.kernel import KernelFunction, OfMatrix, OfRows
from fastkb.svm.smo import rows as module
from fastkb.svm.smo.rows import KernelRows

FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS)


class Counted(OfMatrix):
    """A matrix that is not handed out whole, and that notes which rows are asked for."""

    def __init__(self, K):
        super().__init__(K)
        self.blocks = []

    def whole(self):
        return None

    def matrix(self, dtype):
        return self._K.astype(dtype)

    def block(self, rows, columns, out):
        assert out.shape == (len(rows), self.n if columns is None else len(columns))
        self.blocks.append(rows.tolist())
        super().block(rows, columns, out)


def matrix_of(n, seed=0):
    """Every number is another one, exact in either type."""
    numbers = np.random.default_rng(seed).permutation(n * n).astype(float)
    return numbers.reshape(n, n)


def lazy(n, capacity, dtype=np.float64, columns=None):
    """Rows that are computed when they are asked for, and room for `capacity` of them."""
    K = matrix_of(n)
    source = Counted(K)
    width = n if columns is None else len(columns)
    kept = KernelRows(source, dtype, capacity * width * np.dtype(dtype).itemsize, columns)
    return kept, source, K


@pytest.fixture(autouse=True)
def no_least_number_of_rows(monkeypatch):
    """A single row may be kept."""
    monkeypatch.setattr(module, "LEAST", 1)


@pytest.fixture
def never_at_once(monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 0)


# --- any requests -------------------------------------------------------------------------------


class Requests(RuleBasedStateMachine):
    """Any sequence of requests and of columns that are dropped."""

    n = 13

    @initialize(
        capacity=st.integers(1, 13),
        dtype=st.sampled_from(FLOATS),
        some=st.booleans(),
        at_once=st.booleans(),
    )
    def begin(self, capacity, dtype, some, at_once):
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(module, "LEAST", 1)
        if not at_once:
            self.patch.setattr(module, "WHOLE", 0)
        self.columns = np.array([0, 2, 3, 5, 8, 9, 12]) if some else np.arange(self.n)
        chosen = self.columns if some else None
        self.kept, self.source, self.K = lazy(self.n, capacity, dtype, chosen)
        assert self.kept.capacity == capacity
        self.dtype = dtype

    def teardown(self):
        if hasattr(self, "patch"):
            self.patch.undo()

    @rule(data=st.data())
    def ask(self, data):
        most = min(self.n, self.kept.capacity)
        rows = data.draw(st.lists(st.integers(0, self.n - 1), max_size=most, unique=True))
        # The two variables of a row ask for it twice.
        rows = np.array(rows + rows[: data.draw(st.integers(0, 2))], np.intp)
        slots = self.kept.slots(rows)
        np.testing.assert_array_equal(
            self.kept.values[slots], self.K[np.ix_(rows, self.columns)].astype(self.dtype)
        )

    @rule(data=st.data())
    def drop_columns(self, data):
        if self.kept.width < 3:
            return
        places = np.arange(self.kept.width)
        gone = data.draw(st.integers(0, self.kept.width - 1))
        stay = np.delete(places, [gone, (gone + 2) % self.kept.width])
        before = self.kept.capacity
        self.kept.narrowed(stay)
        self.columns = self.columns[stay]
        assert self.kept.width == len(stay)
        assert before <= self.kept.capacity <= self.n

    @invariant()
    def what_is_held_is_right(self):
        if not hasattr(self, "kept"):
            return
        kept = self.kept
        assert kept.values.shape == (kept.capacity, kept.width)
        assert kept.values.dtype == self.dtype
        held = np.flatnonzero(kept._row_of >= 0)
        np.testing.assert_array_equal(kept._slot_of[kept._row_of[held]], held)
        assert (kept._slot_of >= 0).sum() == len(held)
        expected = self.K[np.ix_(kept._row_of[held], self.columns)]
        np.testing.assert_array_equal(kept.values[held], expected.astype(self.dtype))


TestAnyRequests = Requests.TestCase


@given(
    n=st.integers(1, 12),
    capacity=st.integers(1, 12),
    seed=st.integers(0, 2**31),
    narrow=st.booleans(),
)
def test_rows_are_computed_only_when_they_are_not_there(n, capacity, seed, narrow):
    """Against a list of rows in the order in which they were last asked for."""
    capacity = min(n, capacity)
    columns = np.arange(n)  # so that nothing is computed at once
    kept, source, _ = lazy(n, capacity, columns=columns)
    rng = np.random.default_rng(seed)
    held = []  # groups of rows, oldest first; which of a group makes room first is not said
    for step in range(12):
        rows = rng.choice(n, rng.integers(1, kept.capacity + 1), replace=False)
        there = {row for group in held for row in group}
        source.blocks.clear()
        kept.slots(rows)
        missing = sorted(set(rows.tolist()) - there)
        assert sorted(row for block in source.blocks for row in block) == missing
        held = [group - set(rows.tolist()) for group in held] + [set(rows.tolist())]
        gone = {row for group in held for row in group} - set(kept._row_of.tolist())
        excess = max(0, sum(map(len, held)) - kept.capacity)
        assert len(gone) == excess
        for group in held:  # the oldest groups go first
            went = gone & group
            assert went == group or len(gone) == len(went)
            gone -= went
            group -= went
            if not gone:
                break
        if narrow and step == 5 and n > 2:
            kept.narrowed(np.arange(n - 1))


# --- which rows make room -----------------------------------------------------------------------


def computed(source, kept, rows):
    """The rows that this request computes."""
    source.blocks.clear()
    kept.slots(np.array(rows))
    return sorted(row for block in source.blocks for row in block)


@each_dtype
def test_what_was_not_asked_for_the_longest_time_makes_room(dtype):
    kept, source, _ = lazy(7, 4, dtype)
    for row in (0, 1, 2, 6):
        assert computed(source, kept, [row]) == [row]
    assert computed(source, kept, [0]) == []
    assert computed(source, kept, [3]) == [3]  # instead of 1
    assert computed(source, kept, [0, 2, 3, 6]) == []
    assert computed(source, kept, [1]) == [1]


def test_what_is_asked_for_now_never_makes_room():
    kept, source, K = lazy(7, 4)
    for row in range(4):
        kept.slots(np.array([row]))
    rows = np.array([4, 0, 5, 6])  # row 0 is the oldest
    assert computed(source, kept, rows) == [4, 5, 6]
    np.testing.assert_array_equal(kept.values[kept.slots(rows)], K[rows])


def test_dropped_columns_leave_room_for_more_rows():
    kept, source, K = lazy(12, 4)
    kept.slots(np.array([3, 7, 1, 9]))
    stay = np.array([0, 4, 5, 11])
    kept.narrowed(stay)
    assert (kept.capacity, kept.width) == (12, 4)
    assert computed(source, kept, [1, 3, 7, 9]) == []
    assert computed(source, kept, np.arange(12)) == [0, 2, 4, 5, 6, 8, 10, 11]
    np.testing.assert_array_equal(kept.values[kept.slots(np.arange(12))], K[:, stay])
    # Once more, of the columns that are left.
    kept.narrowed(np.array([1, 3]))
    rows = np.array([5, 1, 11])
    np.testing.assert_array_equal(kept.values[kept.slots(rows)], K[np.ix_(rows, [4, 11])])


def test_the_order_of_age_outlives_dropped_columns():
    kept, source, _ = lazy(8, 4)
    for row in (5, 2, 7, 0):
        kept.slots(np.array([row]))
    kept.slots(np.array([5]))
    kept.narrowed(np.arange(7))  # room for no more than 4 rows of 7 numbers
    assert kept.capacity == 4
    assert computed(source, kept, [1]) == [1]  # instead of 2
    assert computed(source, kept, [5, 7, 0, 1]) == []
    assert computed(source, kept, [2]) == [2]


# --- how much is kept ---------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize(
    ("rows", "capacity"), [(0.0, 1), (0.9, 1), (1.0, 1), (2.9, 2), (9.9, 9), (10.0, 10), (1e6, 10)]
)
def test_the_number_of_rows_is_that_of_the_bytes(rows, capacity, dtype):
    budget = int(rows * 10 * np.dtype(dtype).itemsize)
    kept = KernelRows(Counted(matrix_of(10)), dtype, budget)
    assert kept.capacity == capacity
    assert kept.values.shape == (capacity, 10)
    assert kept.values.dtype == dtype
    assert kept.values.nbytes <= max(budget, 10 * np.dtype(dtype).itemsize)


@each_dtype
def test_a_least_number_of_rows_is_kept_whatever_the_bytes(dtype, monkeypatch):
    monkeypatch.setattr(module, "LEAST", 7)
    for n, capacity in ((5, 5), (7, 7), (20, 7)):
        assert KernelRows(Counted(matrix_of(n)), dtype, 1).capacity == capacity


@each_dtype
def test_a_matrix_that_fits_is_all_there(dtype):
    kept, source, K = lazy(10, 10, dtype)
    assert kept.has_all
    assert kept.is_exact == (dtype == np.float64)
    np.testing.assert_array_equal(kept.values, K.astype(dtype))
    rows = np.array([7, 7, 0])
    np.testing.assert_array_equal(kept.slots(rows), rows)
    assert source.blocks == []


@each_dtype
def test_a_matrix_that_does_not_fit_is_not_all_there(dtype):
    kept, _, _ = lazy(10, 9, dtype)
    assert not kept.has_all
    assert not kept.is_exact


def test_rows_in_another_order_are_not_the_matrix(never_at_once):
    kept, source, K = lazy(10, 10)
    rows = np.arange(10)[::-1].copy()
    kept.slots(rows)
    assert not kept.has_all
    assert not kept.is_exact
    np.testing.assert_array_equal(kept.values[kept.slots(rows)], K[rows])
    assert len(source.blocks) == 1


def test_rows_of_some_columns_are_not_the_matrix():
    kept, _, K = lazy(10, 10, columns=np.array([1, 8]))
    assert not kept.has_all
    assert not kept.is_exact
    rows = np.array([3, 9])
    np.testing.assert_array_equal(kept.values[kept.slots(rows)], K[np.ix_(rows, [1, 8])])
    whole, _, _ = lazy(10, 10)
    whole.narrowed(np.array([1, 8]))
    assert not whole.has_all
    np.testing.assert_array_equal(whole.values[whole.slots(rows)], K[np.ix_(rows, [1, 8])])


def test_a_matrix_that_was_given_is_not_copied():
    K = matrix_of(10)
    kept = KernelRows(OfMatrix(K), np.float64, 1)  # whatever the bytes
    assert kept.values is K
    assert kept.capacity == 10
    assert kept.has_all
    assert kept.is_exact
    np.testing.assert_array_equal(kept.slots(np.array([4, 2])), [4, 2])
    single = KernelRows(OfMatrix(K), np.float32, 5 * 10 * 4)
    assert (single.capacity, single.has_all) == (5, False)
    other = KernelRows(OfMatrix(np.asfortranarray(K)), np.float64, 10**6)
    np.testing.assert_array_equal(other.values, K)
    assert other.values.flags.c_contiguous


@pytest.mark.parametrize("writeable", [False, True])
def test_a_matrix_that_was_given_is_not_narrowed(writeable):
    """It would be written over."""
    K = matrix_of(10)
    kept = K.copy()
    K.flags.writeable = writeable
    with pytest.raises(ValueError, match="given"):
        KernelRows(OfMatrix(K), np.float64, 10**6).narrowed(np.arange(5))
    np.testing.assert_array_equal(K, kept)


@each_dtype
@pytest.mark.parametrize("capacity", [1, 3, 40])
def test_rows_of_a_kernel_function(capacity, dtype):
    X = np.random.default_rng(0).normal(size=(40, 3))
    source = OfRows(KernelFunction("rbf", 0.5), X)
    K = source.matrix(dtype)
    kept = KernelRows(source, dtype, capacity * 40 * np.dtype(dtype).itemsize)
    rng = np.random.default_rng(1)
    for _ in range(20):
        rows = rng.choice(40, capacity, replace=False)
        np.testing.assert_array_equal(kept.values[kept.slots(rows)], K[rows])

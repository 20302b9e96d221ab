"""Streams of indices: NumPy's to the bit, from any state, and the generator goes on as NumPy's."""

import copy

import numba
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastkb.random import numpy_indices, numpy_words
from fastkb.random.numpy_indices import index_stream
from fastkb.random.numpy_words import SEGMENT

MAKERS = {
    "PCG64": lambda seed: np.random.Generator(np.random.PCG64(seed)),
    "Philox": lambda seed: np.random.Generator(np.random.Philox(seed)),
    "SFC64": lambda seed: np.random.Generator(np.random.SFC64(seed)),
    "MT19937": lambda seed: np.random.Generator(np.random.MT19937(seed)),
    "PCG64DXSM": lambda seed: np.random.Generator(np.random.PCG64DXSM(seed)),
    "RandomState": np.random.RandomState,
}
COMPUTED = ["PCG64", "Philox"]
each_generator = pytest.mark.parametrize("kind", MAKERS)
each_computed = pytest.mark.parametrize("kind", COMPUTED)

# Of 3e9 a third of the numbers is rejected, of 2**31 + 1 half of them.
BOUNDS = [1, 2, 3, 2**7, 1000, 10**5 + 3, 2**16, 2**31 - 1, 2**31, 2**31 + 1, 3 * 10**9, 2**32 - 1]
# 2 * SEGMENT numbers are a segment, and 8 * SEGMENT the four that are drawn in turn.
COUNTS = [0, 1, 2, 3, 7, *(k * SEGMENT + d for k in (2, 8, 18) for d in (-1, 0, 1))]
seeds = st.integers(0, 2**32 - 1)
few = st.integers(0, 9)
calls = st.lists(st.tuples(st.sampled_from(COUNTS), st.sampled_from(BOUNDS)), max_size=4)


def _numpy_draws(rng, count, n):
    if isinstance(rng, np.random.Generator):
        return rng.integers(0, n, count)
    return rng.randint(0, n, count, dtype=np.int64)


def _used(kind, seed, halves, words):
    """A generator after some draws: an odd number of halves leaves one for later."""
    rng = MAKERS[kind](seed)
    _numpy_draws(rng, halves, 2**20)
    for _ in range(words):
        rng.random()
    return rng


def _state(rng):
    if isinstance(rng, np.random.Generator):
        return rng.bit_generator.state
    return rng.get_state(legacy=False)


def _check_goes_on(rng, twin):
    np.testing.assert_equal(_state(rng), _state(twin))
    for count in (1, 2):  # half a word, if there is one, and then the rest
        np.testing.assert_array_equal(
            _numpy_draws(rng, count, 2**31 - 1), _numpy_draws(twin, count, 2**31 - 1)
        )
    assert rng.random() == twin.random()
    assert rng.standard_normal() == twin.standard_normal()


def _check_draws(rng, several):
    """Draw by a stream and by NumPy, and compare all that can be seen."""
    twin = copy.deepcopy(rng)
    stream = index_stream(rng)
    for count, n in several:
        indices = stream._draw(count, n)
        assert indices.dtype == np.uint32
        np.testing.assert_array_equal(indices, _numpy_draws(twin, count, n))
    stream.commit(rng)
    _check_goes_on(rng, twin)


@each_generator
@given(seeds, few, few, calls)
def test_indices_and_state_are_numpys(kind, seed, halves, words, several):
    _check_draws(_used(kind, seed, halves, words), several)


@each_generator
@pytest.mark.parametrize("n", [1, 2, 7, 1000, 10**5 + 3])
def test_rows_are_those_of_one_call(kind, n):
    rng = _used(kind, n, 1, 1)
    twin = copy.deepcopy(rng)
    stream = index_stream(rng)
    # Several of the 10**5 + 3 draws are expected to be rejected in a few rows, and none of 1000.
    rows = [stream.rows(count, n).copy() for count in (1, 3, 2)]
    assert [part.shape for part in rows] == [(1, n), (3, n), (2, n)]
    if isinstance(twin, np.random.Generator):
        expected = twin.integers(0, n, (6, n))
    else:
        expected = twin.randint(0, n, (6, n), dtype=np.int64)
    np.testing.assert_array_equal(np.concatenate(rows), expected)
    stream.commit(rng)
    _check_goes_on(rng, twin)


@each_generator
def test_every_bound_at_every_count(kind):
    rng = _used(kind, 8, 1, 0)
    _check_draws(rng, [(count, n) for n in BOUNDS for count in COUNTS])


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**127 - 1), st.integers(0, 2**32 - 1), calls)
def test_any_state_of_pcg64(state, increment, half, several):
    rng = MAKERS["PCG64"](0)
    inner = {"state": state, "inc": 2 * increment + 1}
    rng.bit_generator.state = {
        **rng.bit_generator.state,
        "state": inner,
        "has_uint32": half % 2,
        "uinteger": half if half % 2 else 0,
    }
    assert isinstance(index_stream(rng), numpy_indices._PCG64)
    _check_draws(rng, several)


@pytest.mark.parametrize("n", [3, 1001, 10**5 + 3, 2**31 - 1, 2**32 - 1])
@pytest.mark.parametrize("order", [1, -1])
def test_the_last_number_rejected_and_the_first_accepted(n, order):
    # u·n mod 2³² is just below the threshold, and at it: nothing that chance would find.
    threshold, inverse = 2**32 % n, pow(n, -1, 2**32)
    numbers = [(threshold - d) * inverse % 2**32 for d in (1, 0)]
    low, high = numbers[::order]
    # A state below 2**64 is its own word.
    word, increment = low + (high << 32), 2**100 + 1
    before = (word - increment) * pow(numpy_words.PCG_MULTIPLIER, -1, 2**128) % 2**128
    for half in (None, *numbers):
        rng = MAKERS["PCG64"](0)
        rng.bit_generator.state = {
            **rng.bit_generator.state,
            "state": {"state": before, "inc": increment},
            "has_uint32": int(half is not None),
            "uinteger": half or 0,
        }
        assert copy.deepcopy(rng).bit_generator.random_raw() == word
        for count in (1, 2, 3, 5 * SEGMENT):
            _check_draws(copy.deepcopy(rng), [(count, n)])


# The carry reaches the second, third, fourth word of the counter, and leaves it, within two blocks.
counters = st.sampled_from([2**64, 2**128, 2**192, 2**256]).map(lambda c: c - 3)


def _positions():
    """Where in Philox's buffer of four words a generator can be: NumPy refuses 0 from 2.5 on."""
    rng = np.random.Generator(np.random.Philox(0))
    try:
        rng.bit_generator.state = {**rng.bit_generator.state, "buffer_pos": 0}
    except ValueError:
        return range(1, 5)
    return range(5)


@pytest.mark.parametrize("position", _positions())
@given(counters | st.integers(0, 2**256 - 1), st.integers(0, 2**128 - 1), st.booleans(), calls)
def test_any_state_of_philox(position, counter, key, half, several):
    rng = np.random.Generator(np.random.Philox(key=key, counter=counter))
    if half:
        rng.integers(0, 10)
    rng.random()
    rng.bit_generator.state = {**rng.bit_generator.state, "buffer_pos": position}
    assert isinstance(index_stream(rng), numpy_indices._Philox)
    _check_draws(rng, several)


@pytest.mark.parametrize("position", _positions()[:-1])
@given(seeds, st.integers(0, 3), st.integers(0, 2**64 - 1), calls)
def test_a_buffer_set_by_hand_is_left_to_numpy(position, seed, place, word, several):
    rng = _used("Philox", seed, 1, 2)
    state = rng.bit_generator.state
    assume(state["buffer"][place] != word)
    state["buffer"][place] = word
    rng.bit_generator.state = {**state, "buffer_pos": position}
    assert isinstance(index_stream(rng), numpy_indices._Drawn)
    _check_draws(rng, several)


def test_who_draws():
    expected = {"PCG64": numpy_indices._PCG64, "Philox": numpy_indices._Philox}
    for kind in MAKERS:
        stream = index_stream(_used(kind, 0, 1, 1))
        assert type(stream) is expected.get(kind, numpy_indices._Drawn)


@each_generator
@given(seeds, few, few, st.sampled_from(COUNTS), st.sampled_from(BOUNDS))
def test_copies_go_their_own_way(kind, seed, halves, words, count, n):
    rng = _used(kind, seed, halves, words)
    twin = copy.deepcopy(rng)
    stream = index_stream(rng)
    np.testing.assert_array_equal(stream._draw(5, 1000), _numpy_draws(twin, 5, 1000))
    other, other_twin = stream.copy(), copy.deepcopy(twin)
    mine = stream._draw(count, n)
    expected = _numpy_draws(twin, count, n)
    for _ in range(2):  # what the copy draws is the same, and not put where the first one's stands
        np.testing.assert_array_equal(other._draw(count, n), _numpy_draws(other_twin, count, n))
    np.testing.assert_array_equal(mine, expected)
    np.testing.assert_array_equal(stream._draw(7, n), _numpy_draws(twin, 7, n))
    # The copy is ahead now; the generator may take its state.
    other.commit(rng)
    _check_goes_on(rng, other_twin)


@each_computed
def test_the_generator_itself_stays_until_the_commit(kind):
    rng = _used(kind, 1, 1, 2)
    before = _state(rng)
    stream = index_stream(rng)
    stream.rows(3, 1001)
    stream.copy().skip(2, 1001)
    np.testing.assert_equal(_state(rng), before)


@each_computed
def test_a_stream_goes_on_after_a_commit(kind):
    rng = _used(kind, 1, 1, 2)
    twin = copy.deepcopy(rng)
    stream = index_stream(rng)
    stream.rows(1, 7)
    stream.commit(rng)
    rng.random(9)  # moves the generator on, not the stream
    _numpy_draws(twin, 7, 7)
    np.testing.assert_array_equal(stream._draw(50, 1000), _numpy_draws(twin, 50, 1000))


def test_a_random_state_of_another_generator():
    rng = np.random.RandomState(np.random.PCG64(0))
    twin = copy.deepcopy(rng)
    stream = index_stream(rng).copy()
    np.testing.assert_array_equal(stream._draw(50, 1000), _numpy_draws(twin, 50, 1000))
    stream.commit(rng)
    _check_goes_on(rng, twin)


@each_generator
@pytest.mark.parametrize(
    ("count", "n"),
    [
        (0, 5),
        (3, 1),
        (1, 7),
        (5, 1001),
        (3, 10**5 + 3),  # more than is skipped at a time
        (1, 10**6 + 3),  # that in several parts, hundreds of numbers rejected
    ],
)
def test_skipping_is_drawing_and_dropping(kind, count, n):
    rng = _used(kind, n, 1, 1)
    twin = copy.deepcopy(rng)
    stream = index_stream(rng)
    stream.skip(count, n)
    _numpy_draws(twin, count * n, n)
    np.testing.assert_array_equal(stream.rows(2, 9).ravel(), _numpy_draws(twin, 18, 9))
    stream.commit(rng)
    _check_goes_on(rng, twin)


@each_computed
@pytest.mark.parametrize("n", [1000, 3 * 10**9])
def test_threads_do_not_matter(kind, n):
    count = 45 * SEGMENT + 1
    expected = _numpy_draws(_used(kind, 2, 1, 2), count, n)
    before = numba.get_num_threads()
    try:
        for n_threads in {1, min(2, before), before}:
            numba.set_num_threads(n_threads)
            stream = index_stream(_used(kind, 2, 1, 2))
            np.testing.assert_array_equal(stream._draw(count, n), expected)
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.Philox])
@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("numbers", [0, 1, 2, 9])
def test_numbers_that_were_drawn_elsewhere_are_passed_over(kind, kept, numbers):
    rng = np.random.Generator(kind(5))
    rng.random(3)
    rng.integers(0, 2**32, kept, dtype=np.uint32)
    stream = index_stream(rng)
    origin = stream.origin()
    assert (origin.name, origin.has_kept) == (kind.__name__, bool(kept))
    # The sequence from a word or a counter before: its numbers are the halves of raw words.
    twin = kind(0)
    state = twin.state
    if kind is np.random.PCG64:
        high, low, inc_high, inc_low = origin.words
        state["state"] = {"state": high << 64 | low, "inc": inc_high << 64 | inc_low}
    else:
        before = sum(word << 64 * k for k, word in enumerate(origin.words[:4])) - 1
        counter = [before >> 64 * k & 2**64 - 1 for k in range(4)]
        state["state"] = {"counter": np.array(counter, np.uint64), "key": origin.words[4:6]}
    twin.state = state
    halves = twin.random_raw(12).view(np.uint32)  # the low one first
    passed = rng.integers(0, 2**32, numbers, dtype=np.uint32)
    assert halves[origin.begin : origin.begin + numbers].tolist() == passed.tolist()
    assert not kept or origin.kept == halves[origin.begin]
    stream.pass_over(numbers)
    ours = np.random.Generator(kind(0))
    stream.commit(ours)
    assert ours.integers(0, 2**32, 4, dtype=np.uint32).tolist() == (
        rng.integers(0, 2**32, 4, dtype=np.uint32).tolist()
    )


def test_what_numpy_draws_has_no_origin():
    assert index_stream(np.random.RandomState(0)).origin() is None

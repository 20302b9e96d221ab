"""The rows of indices that NumPy would draw: ``rng.integers(0, n, (rows, n))``, to the bit.

PCG64 and Philox are drawn by all threads (:mod:`fastkb.random.numpy_words`); every other generator, and
a state that no such generator can be in, by NumPy itself. A stream can be copied, so that the rows of
a second sample, which NumPy draws after all rows of the first, are there when they are needed, without
the first sample's being kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastkb.random.numpy_words import (
    SEGMENT,
    close_gaps,
    pcg_advance,
    pcg_indices,
    pcg_jumps,
    philox_indices,
    split_words,
)
from fastkb.runtime.memory import empty
from fastkb.runtime.threads import n_threads

# Indices that are skipped at a time: they pass through the caches.
_SKIPPED = 2**18


class Origin(NamedTuple):
    """Where a computed stream is, told so that its sequence can be drawn elsewhere.

    The sequence is counted in 32-bit numbers, from one 64-bit word (PCG64) or one counter (Philox) before
    the present one on.
    """

    name: str
    # PCG64: the state (high, low) before that word, and the increment. Philox: that counter, and the key.
    words: list[int]
    begin: int  # the place of the next number
    has_kept: bool  # whether that one is kept, and not part of the sequence
    kept: int


class IndexStream:
    """Rows of indices below n, one after another; n may change from call to call.

    Get one from :func:`index_stream`.
    """

    def rows(self, count: int, n: int) -> np.ndarray:
        """The next `count` rows of n indices below n, as uint32; good until the next call.

        # shape: (count, n)
        """
        return self._draw(count * n, n).reshape(count, n)

    def skip(self, count: int, n: int) -> None:
        """Pass over `count` rows."""
        left = count * n
        while left:
            part = min(left, _SKIPPED)
            self._draw(part, n)
            left -= part

    def copy(self) -> IndexStream:
        """An independent stream that continues from here."""
        raise NotImplementedError

    def commit(self, rng: Any) -> None:
        """Leave the generator that the first stream was made of in this stream's state."""
        raise NotImplementedError

    def origin(self) -> Origin | None:
        """Where the sequence begins; None if NumPy draws it."""
        return None

    def pass_over(self, numbers: int) -> None:
        """Pass over 32-bit numbers that were drawn elsewhere, from :meth:`origin` on."""
        raise NotImplementedError

    def _draw(self, count: int, n: int) -> np.ndarray:
        raise NotImplementedError


class _Drawn(IndexStream):
    """By NumPy itself."""

    def __init__(self, rng: Any) -> None:
        self._rng = rng

    def _draw(self, count: int, n: int) -> np.ndarray:
        draw = self._rng.integers if isinstance(self._rng, np.random.Generator) else None
        indices = draw(0, n, count) if draw else self._rng.randint(0, n, count, dtype=np.int64)
        return indices.astype(np.uint32)

    def copy(self) -> IndexStream:
        return _Drawn(copy.deepcopy(self._rng))

    def commit(self, rng: Any) -> None:
        if rng is self._rng:
            return
        if isinstance(rng, np.random.Generator):
            rng.bit_generator.state = self._rng.bit_generator.state
        else:
            rng.set_state(self._rng.get_state(legacy=False))


class _Computed(IndexStream):
    """By the compiled generators; the half of a word that NumPy kept for later comes first."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state
        # Fresh memory for each block would cost as much as the drawing.
        self._buffer = np.empty(0, np.uint32)

    def copy(self) -> IndexStream:
        return type(self)(copy.deepcopy(self._state))

    def commit(self, rng: Any) -> None:
        rng.bit_generator.state = self._state

    def _draw(self, count: int, n: int) -> np.ndarray:
        if n == 1:  # NumPy draws nothing
            return np.zeros(count, np.uint32)
        bound, threshold = np.uint64(n), np.uint64(2**32 % n)
        if len(self._buffer) < count:
            self._buffer = empty((count,), np.uint32, "the indices of some resamples")
        out = self._buffer[:count]
        done = 0
        while done < count:
            if self._state["has_uint32"]:
                product = self._state["uinteger"] * n
                out[done] = product >> 32
                done += int(product % 2**32 >= threshold)
                self._state["has_uint32"] = 0
                continue
            # One 32-bit number for each index that is missing: as many as NumPy will take at least.
            numbers = count - done
            counts = np.empty(-(-numbers // (2 * SEGMENT)), np.int64)
            target = out[done:]
            self._fill(bound, threshold, target, counts)
            self._step(numbers)
            accepted = int(counts.sum())
            if accepted < numbers:
                ends = (numbers - accepted) // (2 * SEGMENT) + 1
                workers = min(n_threads(), len(counts))
                saved = np.empty((workers, ends, 2 * SEGMENT), np.uint32)
                close_gaps(target, counts, np.cumsum(counts) - counts, saved)
            done += accepted
        return out

    def pass_over(self, numbers: int) -> None:
        if numbers and self._state["has_uint32"]:
            self._state["has_uint32"] = 0
            numbers -= 1
        if numbers:
            self._step(numbers)

    def _step(self, numbers: int) -> None:
        """Move on by that many 32-bit numbers, one at least.

        The last word's upper half is kept for later if their count is odd, and stays in the state.
        """
        self._advance((numbers + 1) // 2 - 1)
        self._state["uinteger"] = self._next_word() >> 32
        self._state["has_uint32"] = numbers % 2

    def _fill(
        self, bound: np.uint64, threshold: np.uint64, out: np.ndarray, counts: np.ndarray
    ) -> None:
        raise NotImplementedError

    def _advance(self, words: int) -> None:
        raise NotImplementedError

    def _next_word(self) -> int:
        raise NotImplementedError


class _PCG64(_Computed):
    def origin(self) -> Origin:
        inner, kept = self._state["state"], bool(self._state["has_uint32"])
        state = pcg_advance(inner["state"], inner["inc"], 2**128 - 1)  # one word back
        words = [*divmod(state, 2**64), *divmod(inner["inc"], 2**64)]
        return Origin("PCG64", words, 2 - kept, kept, int(self._state["uinteger"]))

    def _fill(
        self, bound: np.uint64, threshold: np.uint64, out: np.ndarray, counts: np.ndarray
    ) -> None:
        inner = self._state["state"]
        jumps = pcg_jumps(inner["inc"], len(counts))
        state, increment = split_words(inner["state"]), split_words(inner["inc"])
        pcg_indices(state, increment, jumps, bound, threshold, out, counts)

    def _advance(self, words: int) -> None:
        inner = self._state["state"]
        inner["state"] = pcg_advance(inner["state"], inner["inc"], words)

    def _next_word(self) -> int:
        self._advance(1)
        state = self._state["state"]["state"]
        value, places = (state >> 64) ^ (state & 2**64 - 1), state >> 122
        return (value >> places | value << (64 - places)) & 2**64 - 1


class _Philox(_Computed):
    """NumPy's counter is that of the four words in its buffer."""

    def origin(self) -> Origin:
        inner, kept = self._state["state"], bool(self._state["has_uint32"])
        counter = _counter_after(inner["counter"], -1)
        words = [int(word) for word in (*counter, *inner["key"], 0, 0)]
        begin = 8 + 2 * int(self._state["buffer_pos"]) - kept
        return Origin("Philox", words, begin, kept, int(self._state["uinteger"]))

    def _fill(
        self, bound: np.uint64, threshold: np.uint64, out: np.ndarray, counts: np.ndarray
    ) -> None:
        inner, used = self._state["state"], self._state["buffer_pos"]
        philox_indices(inner["counter"], inner["key"], used, bound, threshold, out, counts)

    def _advance(self, words: int) -> None:
        # buffer_pos runs from 1 to 4 where words have been taken: the last of them decides the counter.
        position = self._state["buffer_pos"] + words
        blocks = max(0, -(-position // 4) - 1)
        if blocks:
            counter = _counter_after(self._state["state"]["counter"], blocks)
            self._state["state"]["counter"] = counter
            self._state["buffer"] = _philox_words(counter, self._state["state"]["key"])
        self._state["buffer_pos"] = position - 4 * blocks

    def _next_word(self) -> int:
        self._advance(1)
        return int(self._state["buffer"][self._state["buffer_pos"] - 1])


def _counter_after(counter: np.ndarray, steps: int) -> np.ndarray:
    """A 256-bit counter, lowest word first, so many steps later."""
    value = sum(int(word) << 64 * k for k, word in enumerate(counter)) + steps
    return np.array([value >> 64 * k & 2**64 - 1 for k in range(4)], np.uint64)


def _philox_words(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """The four words of one counter, by NumPy."""
    generator = np.random.Philox(key=key, counter=_counter_after(counter, -1))
    return generator.random_raw(4)


def _philox(state: dict[str, Any]) -> IndexStream | None:
    inner = state["state"]
    fresh = state["buffer_pos"] == 4
    if not fresh and (state["buffer"] != _philox_words(inner["counter"], inner["key"])).any():
        return None  # a buffer that was set by hand
    return _Philox(state)


_COMPUTED: dict[str, Callable[[dict[str, Any]], IndexStream | None]] = {
    "PCG64": _PCG64,
    "Philox": _philox,
}


def is_computed(rng: Any) -> bool:
    """Whether :func:`index_stream` leaves the generator alone until it is committed."""
    return isinstance(rng, np.random.Generator) and not isinstance(index_stream(rng), _Drawn)


def drawn_by_numpy(rng: np.random.Generator | np.random.RandomState) -> IndexStream:
    """A stream for which the generator itself draws, and moves on with each row."""
    return _Drawn(rng)


def index_stream(rng: np.random.Generator | np.random.RandomState) -> IndexStream:
    """A stream that begins where the generator is; the generator itself may move on with it or not.

    Call :meth:`IndexStream.commit` at the end.

    Parameters
    ----------
    rng : numpy.random.Generator or numpy.random.RandomState

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.random.numpy_indices import index_stream
    >>> rng = np.random.default_rng(0)
    >>> stream = index_stream(rng)
    >>> rows = stream.rows(3, 10)
    >>> stream.commit(rng)
    >>> twin = np.random.default_rng(0)
    >>> bool((rows == twin.integers(0, 10, (3, 10))).all()), rng.random() == twin.random()
    (True, True)
    """
    if isinstance(rng, np.random.Generator):
        state = rng.bit_generator.state
        make = _COMPUTED.get(state["bit_generator"])
        stream = make(dict(state)) if make else None
        if stream is not None:
            return stream
    return _Drawn(rng)

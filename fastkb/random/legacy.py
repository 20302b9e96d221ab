"""Orders as ``numpy.random.RandomState.permutation`` draws them, several times faster.

Which number an element is exchanged with is drawn by rejection: words of the Mersenne twister, cut to as
many bits as the largest number has, until one is not too large. A branch at each word could not be
predicted; here words are taken one after the other, and a counter goes on where they are accepted.

References
----------
Matsumoto, Nishimura (1998), Mersenne twister, ACM TOMACS 8(1). Durstenfeld (1964), Algorithm 235: random
permutation, CACM 7(7).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.runtime import inline, jit

_WORDS, _MIDDLE = 624, 397
_UPPER, _LOWER = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)
_MATRIX = np.uint32(0x9908B0DF)
_B, _C = np.uint32(0x9D2C5680), np.uint32(0xEFC60000)
_ZERO, _ONE = np.uint32(0), np.uint32(1)
_SHIFTS = np.uint32(11), np.uint32(7), np.uint32(15), np.uint32(18)
_MOST = 2**32 - 1  # NumPy draws 64 bits for more


@inline
def _twist(key, k, following, other):
    joined = (key[k] & _UPPER) | (key[following] & _LOWER)
    key[k] = key[other] ^ (joined >> _ONE) ^ (_MATRIX if joined & _ONE else _ZERO)


@inline
def _next_state(key):
    for k in range(_WORDS - _MIDDLE):
        _twist(key, k, k + 1, k + _MIDDLE)
    for k in range(_WORDS - _MIDDLE, _WORDS - 1):
        _twist(key, k, k + 1, k + _MIDDLE - _WORDS)
    _twist(key, _WORDS - 1, 0, _MIDDLE - 1)


@inline
def _temper(key, words):
    for k in range(_WORDS):
        y = key[k]
        y ^= y >> _SHIFTS[0]
        y ^= (y << _SHIFTS[1]) & _B
        y ^= (y << _SHIFTS[2]) & _C
        words[k] = y ^ (y >> _SHIFTS[3])


@jit
def _shuffle(key, position, order, out):
    """Shuffle `order` again and again; the position in the state after that."""
    n = len(order)
    words, drawn = np.empty(_WORDS, np.uint32), np.empty(n, np.uint32)
    _temper(key, words)
    for r in range(len(out)):
        row = out[r]
        row[:] = out[r - 1] if r > 0 else order
        i, mask = n - 1, _LOWER + _UPPER
        while i > 0:
            while (mask >> _ONE) >= np.uint32(i):
                mask = mask >> _ONE
            last = np.int64(mask >> _ONE)  # from here on a bit less is wanted
            if position == _WORDS:
                _next_state(key)
                _temper(key, words)
                position = 0
            while i > last and position < _WORDS:
                number = np.int64(words[position] & mask)
                drawn[i] = number
                i -= int(number <= i)
                position += 1
        for k in range(n - 1, 0, -1):
            other = drawn[k]
            row[k], row[other] = row[other], row[k]
    return position


class Orders:
    """Orders that a RandomState shuffles, each from the one before.

    Parameters
    ----------
    random : numpy.random.RandomState
        If `own`, it is not advanced: to put its state back would take longer than to draw some orders.
    order : ndarray of int64
        The first to be shuffled.
    own : bool
        Whether nobody else draws from `random`. If somebody may, maybe at the same time, its own methods
        are called.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.random.legacy import Orders
    >>> Orders(np.random.RandomState(0), np.arange(5), own=True).next(2)
    array([[2, 0, 1, 3, 4],
           [2, 1, 0, 4, 3]])
    >>> random = np.random.RandomState(0)
    >>> order = random.permutation(5)
    >>> order, order[random.permutation(5)]
    (array([2, 0, 1, 3, 4]), array([2, 1, 0, 4, 3]))
    """

    def __init__(self, random: np.random.RandomState, order: np.ndarray, *, own: bool) -> None:
        self._random, self._order = random, np.ascontiguousarray(order, np.int64)
        state: Any = random.get_state(legacy=False) if own else {"bit_generator": "another's"}
        # A RandomState may have any bit generator.
        self._state = state["state"] if state["bit_generator"] == "MT19937" else None

    def next(self, count: int) -> np.ndarray:
        """So many more of them, at least one.  # shape: (count, n)"""
        n = len(self._order)
        out = np.empty((count, n), np.int64)
        state = self._state
        if state is not None and n <= _MOST:
            state["pos"] = _shuffle(state["key"], state["pos"], self._order, out)
        else:
            order = self._order
            for row in out:
                row[:] = order[self._random.permutation(n)]
                order = row
        self._order = out[-1].copy()
        return out

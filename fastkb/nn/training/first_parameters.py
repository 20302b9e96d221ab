"""The first parameters of many members, drawn together: the numbers of :meth:`Store.initialize`.

Each member has a stream of its own, a child of the key's ``numpy.random.SeedSequence``. NumPy makes one
child at a time, from the beginning, and a call for each tensor costs more than its numbers. Here the
children's seeds are computed side by side, neighbouring tensors of one range are drawn by one call, and
those of all members are put in their places together: a quarter of the time. A layer that draws in
another way is drawn member by member.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from fastkb.nn.ops.graph import Network, leaves
from fastkb.nn.ops.storage import named
from fastkb.nn.program.store import Store

# Of numpy.random.SeedSequence, which mixes words into a pool of four and then draws words from it.
_INIT_A, _MULT_A = 0x43B0D7E5, 0x931E8875
_INIT_B, _MULT_B = 0x8B51F9DD, 0x58F38DED
_MIX_LEFT, _MIX_RIGHT = 0xCA01F9DD, np.uint32(0x4973F715)
_SHIFT = np.uint32(16)
_MASK = 0xFFFFFFFF
_POOL = 4


class _Seed(ISeedSequence):
    """Words that are known already."""

    def __init__(self, words: np.ndarray) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return self._words


def _hashed(values: np.ndarray, constant: int, multiplier: int) -> np.ndarray:
    values = (values ^ np.uint32(constant)) * np.uint32(constant * multiplier & _MASK)
    return values ^ (values >> _SHIFT)


def children(key: np.ndarray, kind: int, first: int, count: int) -> Iterator[np.random.Generator]:
    """``default_rng(SeedSequence(key, spawn_key=(kind, child)))`` of children `first`, `first` + 1, ….

    Parameters
    ----------
    key : ndarray of uint32
        # shape: (4,)
    kind, first, count : int
        Children below 2**32.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.nn.training.first_parameters import children
    >>> key = np.arange(4, dtype=np.uint32)
    >>> sequence = np.random.SeedSequence(key.tolist(), spawn_key=(0, 7))
    >>> generator = list(children(key, 0, 5, 3))[2]
    >>> generator.random() == np.random.default_rng(sequence).random()
    True
    """
    parent = np.random.SeedSequence(key.tolist(), spawn_key=(kind,))
    child = np.arange(first, first + count, dtype=np.uint64).astype(np.uint32)
    # The child's number is one word more. Each word before it was hashed for each of the pool's four,
    # with another constant every time.
    constant = _INIT_A * pow(_MULT_A, _POOL * (len(key) + 1), 2**32) & _MASK
    pool = []
    for word in parent.pool.tolist():
        left = np.uint32(_MIX_LEFT * word & _MASK)
        mixed = left - _MIX_RIGHT * _hashed(child, constant, _MULT_A)
        pool.append(mixed ^ (mixed >> _SHIFT))
        constant = constant * _MULT_A & _MASK
    constant = _INIT_B
    words = np.empty((count, 8), np.uint32)
    for k in range(8):
        words[:, k] = _hashed(pool[k % _POOL], constant, _MULT_B)
        constant = constant * _MULT_B & _MASK
    wide = words[:, ::2] | words[:, 1::2].astype(np.uint64) << np.uint64(32)
    for row in wide:
        seed: Any = _Seed(row)
        yield np.random.Generator(np.random.PCG64(seed))


class _Places:
    """In the place of a generator, to see what a layer draws: the numbers 1, 2, …, and their ranges."""

    def __init__(self) -> None:
        self.count = 0
        self.ranges: list[tuple[tuple[float, float], int]] = []

    def uniform(self, low: float, high: float, size: Any) -> np.ndarray:
        begin = self.count + 1
        self.count += int(np.prod(size))
        self.ranges.append(((low, high), self.count + 1 - begin))
        return np.arange(begin, self.count + 1).reshape(size)


class FirstParameters:
    """Draws what :meth:`Store.initialize` draws, for many members.

    Parameters
    ----------
    store : Store
    layers : sequence of Layer, or Layer
        The store's.
    """

    def __init__(self, store: Store, layers: Network) -> None:
        self._store = store
        known = dict(leaves(layers))
        self._together = all(
            layer.evenly_drawn for layer in known.values() if layer.shapes() or layer.buffers()
        )
        if not self._together:
            return
        seen: Any = _Places()
        places = np.zeros(store.parameters, np.int64)
        for name, layer in known.items():
            for kind, tensor in layer.draw(seen).items():
                store.put(named(name, kind), tensor, places)
        self._count = seen.count
        self._ranges = [
            (low, high, sum(count for _, count in same))
            for (low, high), same in groupby(seen.ranges, lambda each: each[0])
        ]
        self._filled = np.flatnonzero(places)
        self._drawn = places[self._filled] - 1

    def draw(self, key: np.ndarray, first: int, parameters: np.ndarray) -> None:
        """Fill rows of zeros with the parameters of members `first`, `first` + 1, ….

        # shape: (members, parameters)
        """
        if not self._together:
            for member, row in enumerate(parameters, first):
                self._store.initialize(key, member, row)
            return
        drawn = np.empty((len(parameters), self._count))
        for row, rng in zip(drawn, children(key, 0, first, len(parameters)), strict=True):
            begin = 0
            for low, high, count in self._ranges:
                row[begin : begin + count] = rng.uniform(low, high, count)
                begin += count
        parameters[:, self._filled] = drawn[:, self._drawn]

"""Dropout: in training elements are zero at random, in a mask that can be computed anywhere.

An element's lot is a word of Philox4x32-10 (:mod:`fastkb.random.streams`), addressed by all that it may
depend on::

    key      = the member's seed, 64 bits
    counter  = (block, observation's place in the batch, update, row of the program)

With q = ⌈n / 4⌉ for n elements of an observation, as they stand, element i q + b has word i of block b.
So a mask is the same whichever threads compute it, in what parts, and on what processor; and a training
that is resumed goes on to the masks that it would have had.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastkb.checks.scalars import check_number
from fastkb.nn.ops.activation import Identity
from fastkb.nn.ops.operation import ANY, Layer, Operation, Row, nothing
from fastkb.nn.program.passes import add, copy
from fastkb.random.streams import philox_block
from fastkb.runtime import inline

# Whole numbers of a row: its own in the program, and below which words elements are dropped; and its
# number: what the others are multiplied by.
PLACE, BELOW = 0, 1
FACTOR = 0

_WORDS = 2**32
_MASK, _HALF = np.uint64(_WORDS - 1), np.uint64(32)


@dataclass(frozen=True)
class Dropout(Layer):
    """In training each element is 0 with probability p, and else divided by 1 - p; elsewhere nothing.

    So the mean of an element is what it would be without. Which elements are dropped depends on the seed
    of :class:`Sequential`, on the update and on the observation's place in its batch, and on no threads:
    training is the same to the last bit whenever it is repeated or resumed.

    Parameters
    ----------
    p : float, default 0.5
        From 0 to 1.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov (2014), JMLR 15.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> network = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.2), nn.Linear(4, 1), rng=0)
    >>> X = np.ones((3, 2))
    >>> bool((network.forward(X) == network.forward(X)).all())
    True
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", check_number("p", self.p, 0.0, 1.0))

    def evaluated(self) -> Layer:
        return Identity()

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        outputs = math.prod(shape)
        window = following, round(self.p * _WORDS)
        factor = 1.0 / (1.0 - self.p) if self.p < 1.0 else 0.0
        return [
            Row(
                DROPOUT, (read,), outputs, {}, numbers=(factor,), window=window, kept=outputs,
                work=outputs,
            )
        ]  # fmt: skip


# --- rules --------------------------------------------------------------------------------------


@inline(references=False)
def _draw(factors, first, width, row, sizes):
    """What to multiply by, of the `width` observations from `first` on, which stand side by side."""
    kind, size = factors.dtype.type, len(factors)
    zero, factor, below = kind(0.0), kind(row.numbers[FACTOR]), np.uint64(row.window[BELOW])
    seed = np.uint64(sizes.seed)
    low, high = seed & _MASK, seed >> _HALF
    step, place = np.uint64(sizes.step) & _MASK, np.uint64(row.window[PLACE])
    shift = 0
    while 1 << shift < width:
        shift += 1
    quarter = (row.outputs + 3) // 4 * width
    whole = max(0, min(quarter, size - 3 * quarter))
    one, two = factors[:whole], factors[quarter : quarter + whole]
    three = factors[2 * quarter : 2 * quarter + whole]
    four = factors[3 * quarter : 3 * quarter + whole]
    for t in range(whole):
        block, observation = np.uint64(t >> shift), np.uint64(first + (t & (width - 1)))
        a, b, c, d = philox_block(block, observation, step, place, low, high)
        one[t] = factor if a >= below else zero
        two[t] = factor if b >= below else zero
        three[t] = factor if c >= below else zero
        four[t] = factor if d >= below else zero
    for t in range(whole, quarter):
        block, observation = np.uint64(t >> shift), np.uint64(first + (t & (width - 1)))
        words = philox_block(block, observation, step, place, low, high)
        for i in range(4):
            if t + i * quarter < size:
                factors[t + i * quarter] = factor if words[i] >= below else zero


@inline(references=False)
def _multiply(into, added, values, factors):
    zero = into.dtype.type(0.0)
    for j in range(len(into)):
        into[j] = (into[j] if added else zero) + values[j] * factors[j]


def forward(row, parameters, values, span, sizes):
    """The inputs, some of them dropped; the factors are kept."""
    source, target = row.source * sizes.capacity, row.kept * sizes.capacity
    stride, outputs = row.target_stride, row.outputs
    if sizes.training == 0 or row.window[BELOW] == 0:
        begin, end = span.begin * stride, span.stop * stride
        copy(values[target + begin : target + end], values[source + begin : source + end])
    else:
        width = sizes.width if row.lanes else 1
        size = width * outputs
        for r in range(span.begin, span.stop, width):
            at, kept = r * stride, row.extra * sizes.capacity + r * outputs
            factors = values[kept : kept + size]
            _draw(factors, r, width, row, sizes)
            _multiply(
                values[target + at : target + at + size],
                False,
                values[source + at : source + at + size],
                factors,
            )


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """The deltas of what was not dropped, by the same factors."""
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    stride, outputs, added = row.target_stride, row.outputs, row.accumulate & 1 == 1
    if row.window[BELOW] == 0:
        begin, end = span.begin * stride, span.stop * stride
        mine, theirs = deltas[source + begin : source + end], deltas[target + begin : target + end]
        if added:
            add(mine, theirs)
        else:
            copy(mine, theirs)
    else:
        width = sizes.width if row.lanes else 1
        size = width * outputs
        for r in range(span.begin, span.stop, width):
            at, kept = r * stride, row.extra * sizes.capacity + r * outputs
            _multiply(
                deltas[source + at : source + at + size],
                added,
                deltas[target + at : target + at + size],
                values[kept : kept + size],
            )


DROPOUT = Operation(
    "dropout", forward, backward, nothing, nothing, reads=ANY, writes=ANY, draws=True
)

"""Rows of a program forward and back, band by band where values stand in lanes.

A value of images is larger than the caches: 16 images of 32 channels, 28 by 28, are 1.6 MB. A row that
goes over it element by element costs what the memory costs. So rows that follow each other are computed
together, one *band* after the other: some lines of the images, of one vector of observations. What one
row has written of a band is in the cache when the next one reads it.

Rules of two kinds take a band. Those *element by element* need of what they read the same elements:
normalisation, sums, functions, and sums over a batch. Those *by windows*, convolutions, need all of what
they read; so they come first. With f a function, and b the sums over a batch::

    forward     convolution f b | normalisation f sum f | convolution f b | …
    backward    deltas of a convolution's images f' b' | deltas of normalisation | …

Each row says how many rows go along with it (:data:`fastkb.nn.program.layout.LAYER`).
"""

from __future__ import annotations

from fastkb.nn.program.passes import WHOLE, Span, activate_row, differentiate
from fastkb.runtime import inline


@inline(references=False)
def run_forward(rules, layers, part, parameters, scratch, span, sizes):
    """Some rows' values of some observations.

    Where the part ends before a row that needs all observations at once, that row's sums as well.
    """
    stop = min(part.stop + 1, len(layers))
    k = part.begin
    while k < stop:
        head = layers[k]
        end = min(k + 1 + head.along, stop)
        band, length, vector = 0, 1, span.stop - span.begin
        if head.band > 0 and (end > k + 1 or end > part.stop or head.activation != 0):
            band, length, vector = head.band, head.target_stride, sizes.width
        for begin in range(span.begin, span.stop, vector):
            for first in range(0, length, max(band, 1)):
                last = min(first + band, length) if band > 0 else WHOLE
                here = Span(begin, begin + vector, first, last)
                for j in range(k, end):
                    row = layers[j]
                    if j < part.stop:
                        rules.forward(row.code, row, parameters, scratch.values, here, sizes)
                        activate_row(row, scratch.values, here, sizes)
                    else:
                        rules.reduce(row.code, row, scratch.values, scratch.deltas, here, sizes)
        k = end


@inline(references=False)
def run_backward(rules, layers, part, parameters, scratch, span, sizes):
    """The deltas of what some rows read, for some observations, from the last row to the first.

    Of a row that needs all observations at once the derivative of its function was taken before. Where
    the part begins behind such a row, that row's derivative and sums as well.
    """
    lowest = max(part.begin - 1, 0)
    k = part.stop - 1
    ready = layers[k].across == 1  # whether the derivative of row k's function is taken
    while k >= lowest and not (ready and k < part.begin):
        head = layers[k]
        # Rows k to `low` go back, and the derivative of row `end`'s function is taken; or row k's alone.
        low = max(k - head.along_back, part.begin) if ready else k
        end = low
        band, length, vector = 0, 1, span.stop - span.begin
        if ready and head.back_band > 0:
            if low > lowest and _follows(head, layers[low - 1]):
                end = low - 1
            if end < k:
                band, length, vector = head.back_band, head.back_stride, sizes.width
        for begin in range(span.begin, span.stop, vector):
            for first in range(0, length, max(band, 1)):
                last = min(first + band, length) if band > 0 else WHOLE
                here = Span(begin, begin + vector, first, last)
                for back in range(k - end + 1):
                    j = k - back
                    row = layers[j]
                    if row.differentiated and (j < k or not ready):
                        differentiate(row, scratch.values, scratch.deltas, here, sizes)
                    if row.wanted and ready and j >= low:
                        rules.backward(
                            row.code, row, parameters, scratch.transposed, scratch.values,
                            scratch.deltas, here, sizes,
                        )  # fmt: skip
                    if row.differentiated and j < part.begin:
                        rules.reduce_back(
                            row.code, row, scratch.values, scratch.deltas, here, sizes
                        )
        if ready:
            k, ready = low - 1, end < low
        else:
            ready = True


@inline(references=False)
def _follows(head, row):
    """Whether the derivative of a row's function is taken of the bands that another row gives."""
    return row.lanes == 1 and row.target_stride == head.back_stride and row.line == head.back_line

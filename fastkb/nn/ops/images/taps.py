"""How the weights of a convolution stand: in panels, tap by tap, as its rules read them.

See :mod:`fastkb.tile.lanes.windows` for the places in a panel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fastkb.nn.ops.storage import BIAS, WEIGHT, Piece, Size, Storage
from fastkb.runtime.cpu import cpu
from fastkb.tile.blocking import NetworkBlocking
from fastkb.tile.lanes.windows import panel_height, sums_of

# Whole numbers of a row: images that it takes and gives, the window, and groups of channels.
(
    CHANNELS, ROWS, COLUMNS, OUTPUTS, OUTPUT_ROWS, OUTPUT_COLUMNS, KERNEL_ROWS, KERNEL_COLUMNS,
    STRIDE_DOWN, STRIDE_ALONG, PADDING_DOWN, PADDING_ALONG, DILATION_DOWN, DILATION_ALONG, GROUPS,
) = range(15)  # fmt: skip
# Outputs of a panel of weights, and inputs of one of the turned weights.
HEIGHT, TURNED_HEIGHT = 15, 16

# Bytes of a thread's sums, at most, if one row of taps is not more: they stay in the second-level cache.
_ROOM = 2**18


class Taps(Storage):
    """Weights in panels, tap by tap, for one group of channels after the other."""

    def place(
        self, row: Any, shapes: Mapping[str, tuple[int, ...]], sizes: NetworkBlocking
    ) -> Size:
        window, (outputs, inputs, *kernel) = row["window"], shapes[WEIGHT]
        groups = int(window[GROUPS])
        window[HEIGHT] = panel_height(outputs // groups, sizes.mr)
        window[TURNED_HEIGHT] = panel_height(inputs, sizes.mr)
        taps = math.prod(kernel)
        weights, turned = (
            groups * taps * many * -(-few // int(height)) * int(height)
            for many, few, height in (
                (inputs, outputs // groups, window[HEIGHT]),
                (outputs // groups, inputs, window[TURNED_HEIGHT]),
            )
        )
        # A micro-tile reads as many intercepts as it has rows.
        biases = outputs + max(sizes.mr, sizes.nr)
        up = [-(-count // sizes.nr) * sizes.nr for count in (weights, biases, turned)]
        return Size(*up)

    def _panels(self, row: Any) -> tuple[int, int, int, int]:
        """Of a group: outputs, outputs of a panel, panels, and weights of a row of taps of a panel."""
        window = row["window"]
        outputs, inputs = (int(window[k] // window[GROUPS]) for k in (OUTPUTS, CHANNELS))
        height = int(window[HEIGHT])
        return outputs, height, -(-outputs // height), height * inputs * int(window[KERNEL_COLUMNS])

    def _rows_at_once(self, row: Any) -> int:
        """Rows of taps of a block."""
        bytes_of_a_row = self._panels(row)[3] * cpu().vector_bytes
        kernel = int(row["window"][KERNEL_ROWS])
        return -(-kernel // -(-kernel // max(1, min(kernel, _ROOM // bytes_of_a_row))))

    def room(self, row: Any, sizes: NetworkBlocking) -> int:
        _, height, _, each = self._panels(row)
        return sums_of(self._rows_at_once(row) * each, height, sizes.width)

    def pieces(self, row: Any, sizes: NetworkBlocking) -> Iterator[Piece]:
        outputs, height, panels, each = self._panels(row)
        kernel, rows = int(row["window"][KERNEL_ROWS]), self._rows_at_once(row)
        start, biases = int(row["weights"]), int(row["biases"])
        for panel in range(int(row["window"][GROUPS]) * panels):
            group, place = divmod(panel, panels)
            bias = biases + group * outputs + place * height
            used = min(height, outputs - place * height) if row["has_biases"] else 0
            for first in range(0, kernel, rows):
                stop = min(first + rows, kernel)
                begin = start + (panel * kernel + first) * each
                end = begin + (stop - first) * each
                yield Piece(panel, first, stop, begin, end, bias, bias + used * (first == 0))

    def put(
        self, row: Any, name: str, buffer: np.ndarray, tensor: np.ndarray, sizes: NetworkBlocking
    ) -> None:
        if name == BIAS:
            super().put(row, name, buffer, tensor, sizes)
            return
        part = self._weights(row, buffer, tensor.shape)
        outputs, height, panels, _ = self._panels(row)
        groups, inputs, kernel = len(part), tensor.shape[1], part.shape[2:4]
        whole = np.zeros((groups, panels * height, inputs, *kernel), buffer.dtype)
        whole[:, :outputs] = tensor.reshape(groups, outputs, inputs, *kernel)
        part[...] = whole.reshape(groups, panels, height, inputs, *kernel).transpose(
            0, 1, 4, 5, 3, 2
        )

    def take(
        self, row: Any, name: str, buffer: np.ndarray, shape: Sequence[int], sizes: NetworkBlocking
    ) -> np.ndarray:
        if name == BIAS:
            return super().take(row, name, buffer, shape, sizes)
        part = self._weights(row, buffer, shape)
        outputs, height, panels, _ = self._panels(row)
        whole = part.transpose(0, 1, 5, 4, 2, 3)
        whole = whole.reshape(len(part), panels * height, -1)
        return np.array(whole[:, :outputs].reshape(shape))

    def _weights(self, row: Any, buffer: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """A view of the weights as they stand.

        # shape: (groups, panels, kernel rows, kernel columns, inputs, height)
        """
        _, height, panels, _ = self._panels(row)
        groups, rows, columns = (
            int(row["window"][k]) for k in (GROUPS, KERNEL_ROWS, KERNEL_COLUMNS)
        )
        sizes = groups, panels, rows, columns, shape[1], height
        return self.run(row, WEIGHT, buffer)[: math.prod(sizes)].reshape(sizes)

"""Convolutions in lanes beside the definition: forward, reversed, and the gradient of the weights."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.nn.program.passes import Span
from fastkb.reference.convolution import conv2d, conv2d_backward
from fastkb.runtime import jit
from fastkb.tile import vector as simd
from fastkb.tile.blocking import blocking
from fastkb.tile.lanes.window_kernel import FROM_BASE, FROM_THERE, FROM_ZERO
from fastkb.tile.lanes.windows import (
    Axis,
    Image,
    Weights,
    convolve,
    correlate,
    inner,
    outputs_of,
    panel_height,
    sums_of,
    taps_of,
)
from tests.tile.lanes.arrays import from_lanes, from_panels, to_lanes, to_panels


@jit(cache=False, references=False)
def _convolve(weights, source, target, vertical, horizontal, n):
    convolve(weights, source, target, vertical, horizontal, Span(0, n), Span(0, target.rows))


@jit(cache=False, references=False)
def _correlate(sums, height, deltas, source, axes, n, rows):
    correlate(sums, height, deltas, source, axes[0], axes[1], Span(0, n), rows)


@jit(cache=False, references=False)
def _taps(axis, outputs, size, found):
    for output in range(outputs):
        found[output] = taps_of(axis, output, size)


@jit(cache=False, references=False)
def _sides(axis, size, outputs, found):
    found[0] = inner(axis, size, outputs)
    for tap in range(axis.kernel):
        found[1 + tap] = outputs_of(axis, tap, size, outputs)


def forward_axis(kernel, stride, padding, dilation):
    return Axis(kernel, stride, padding, dilation, 1, 1, dilation)


def reversed_axis(axis):
    common = math.gcd(axis.stride, axis.dilation)
    padding = (axis.kernel - 1) * axis.dilation - axis.padding
    return Axis(
        axis.kernel, 1, padding, axis.dilation, axis.stride, axis.stride // common,
        axis.dilation // common,
    )  # fmt: skip


@st.composite
def convolutions(draw):
    """(images, weight, stride, padding, dilation), of sizes around those of micro-tiles."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    n = draw(st.integers(1, 2)) * blocking(np.dtype(dtype).name).width
    inputs, outputs = draw(st.integers(1, 9)), draw(st.integers(1, 18))
    kernel, stride, padding, dilation = (
        tuple(draw(st.integers(low, high)) for _ in range(2))
        for low, high in ((1, 4), (1, 3), (0, 3), (1, 3))
    )
    sides = [
        draw(st.integers(max(1, d * (k - 1) + 1 - 2 * p), 11))
        for k, p, d in zip(kernel, padding, dilation, strict=True)
    ]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = rng.standard_normal((n, inputs, *sides)).astype(dtype)
    weight = rng.standard_normal((outputs, inputs, *kernel)).astype(dtype)
    return images, weight, stride, padding, dilation


def close(found, expected, terms):
    eps = np.finfo(found.dtype).eps
    np.testing.assert_allclose(found, expected, rtol=0, atol=40 * terms * eps)


class Case:
    """The places and sizes of one convolution."""

    def __init__(self, images, weight, stride, padding, dilation):
        self.images, self.weight = images, weight
        self.settings = stride, padding, dilation
        self.dtype = images.dtype
        sizes = blocking(self.dtype.name)
        self.mr, self.width = sizes.mr, sizes.width
        self.axes = [
            forward_axis(*each) for each in zip(weight.shape[2:], *self.settings, strict=True)
        ]

    def image(self, data, shape, first=0, used=None):
        channels, rows, columns = shape[1:]
        return Image(data, first * self.width, rows, columns, channels, used or channels)


@settings(max_examples=120, deadline=None)
@given(convolutions(), st.booleans())
def test_forward_is_the_definition(drawn, biased):
    case = Case(*drawn)
    rng = np.random.default_rng(0)
    bias = rng.standard_normal(len(case.weight)).astype(case.dtype) if biased else None
    expected = conv2d(case.images.astype(float), case.weight.astype(float), bias, *case.settings)
    height = panel_height(len(case.weight), case.mr)
    packed = to_panels(case.weight, height)
    parameters = np.concatenate(
        [packed, np.zeros(0) if bias is None else bias, np.full(16, np.nan)]
    ).astype(case.dtype)  # what stands behind the intercepts is read, and changes nothing
    target = np.full(expected.size + 8 * case.width, 7.0, case.dtype)
    _convolve(
        Weights(parameters, 0, height, FROM_BASE if biased else FROM_ZERO, len(packed)),
        case.image(to_lanes(case.images, case.width), case.images.shape),
        case.image(target, expected.shape),
        *case.axes,
        len(case.images),
    )
    assert (target[expected.size :] == 7.0).all()  # nothing is written beyond the last channel
    found = from_lanes(target, expected.shape, case.width)
    close(found, expected, 1 + math.prod(case.weight.shape[1:]))


@settings(max_examples=120, deadline=None)
@given(convolutions(), st.booleans())
def test_reversed_it_gives_the_deltas_of_the_images(drawn, added):
    case = Case(*drawn)
    rng = np.random.default_rng(1)
    shape = conv2d(case.images, case.weight, None, *case.settings).shape
    delta = rng.standard_normal(shape).astype(case.dtype)
    expected, _, _ = conv2d_backward(
        delta.astype(float), case.images.astype(float), case.weight.astype(float), *case.settings
    )
    turned = case.weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    height = panel_height(len(turned), case.mr)
    before = rng.standard_normal(case.images.shape).astype(case.dtype)
    target = to_lanes(before, case.width, 7.0)
    _convolve(
        Weights(to_panels(turned, height), 0, height, FROM_THERE if added else FROM_ZERO, 0),
        case.image(to_lanes(delta, case.width), shape),
        case.image(target, case.images.shape),
        *[reversed_axis(axis) for axis in case.axes],
        len(case.images),
    )
    assert (target[before.size :] == 7.0).all()
    found = from_lanes(target, case.images.shape, case.width)
    close(found, expected + added * before, 1 + len(case.weight) * math.prod(case.weight.shape[2:]))


@settings(max_examples=120, deadline=None)
@given(convolutions(), st.data())
def test_the_gradient_of_a_panel(drawn, data):
    """Of all rows of taps, or of some; what stands behind the last channel does not matter."""
    case = Case(*drawn)
    rng = np.random.default_rng(2)
    shape = conv2d(case.images, case.weight, None, *case.settings).shape
    delta = rng.standard_normal(shape).astype(case.dtype)
    _, by_weight, by_bias = conv2d_backward(
        delta.astype(float), case.images.astype(float), case.weight.astype(float), *case.settings
    )
    kernel = case.weight.shape[2]
    begin = data.draw(st.integers(0, kernel - 1))
    stop = data.draw(st.integers(begin + 1, kernel))
    height = panel_height(len(case.weight), case.mr)
    outputs, inputs, _, columns = case.weight.shape
    source = case.image(to_lanes(case.images, case.width), case.images.shape)
    deltas = to_lanes(delta, case.width, np.nan)
    count = (stop - begin) * columns * inputs * height
    terms = len(delta) * math.prod(shape[2:])
    for panel in range(-(-outputs // height)):
        used = min(height, outputs - panel * height)
        sums = np.full(sums_of(count, height, case.width), np.nan, case.dtype)
        mine = case.image(deltas, shape, panel * height, used)
        _correlate(sums, height, mine, source, tuple(case.axes), len(delta), Span(begin, stop))
        weights = sums[: count * case.width].reshape(count, case.width).sum(axis=1)
        found = from_panels(weights, (used, inputs, stop - begin, columns), height)
        some = slice(panel * height, panel * height + used)
        close(found, by_weight[some, :, begin:stop], 1 + terms)
        alone = sums[count * case.width :].reshape(-1, case.width).sum(axis=1)
        close(alone[:used], by_bias[some], 1 + terms)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 5), st.integers(1, 4), st.integers(0, 5), st.integers(1, 4), st.integers(1, 12),
)  # fmt: skip
def test_taps_are_those_within_the_image(kernel, stride, padding, dilation, size):
    """Of windows, and of their reverse: counted one by one."""
    outputs = max(0, (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
    forward = forward_axis(kernel, stride, padding, dilation)
    for axis, count, length in ((forward, outputs, size), (reversed_axis(forward), size, outputs)):
        found = np.full((count, 3), -1)
        _taps(axis, count, length, found)
        for output, (first, taps, place) in enumerate(found):
            places = [
                output * axis.stride - axis.padding + k * axis.dilation for k in range(kernel)
            ]
            within = {
                k: at // axis.every
                for k, at in enumerate(places)
                if at % axis.every == 0 and 0 <= at // axis.every < length
            }
            ours = {
                first + t * axis.tap_step: place + t * axis.place_step for t in range(max(0, taps))
            }
            assert ours == within
    sides = np.zeros((1 + kernel, 2), np.int64)
    _sides(forward, size, outputs, sides)
    starts = np.arange(outputs) * stride - padding
    whole = np.flatnonzero((starts >= 0) & (starts + (kernel - 1) * dilation < size))
    assert list(range(*sides[0])) == whole.tolist()
    for tap in range(kernel):
        at = starts + tap * dilation
        assert list(range(*sides[1 + tap])) == np.flatnonzero((at >= 0) & (at < size)).tolist()


@pytest.mark.parametrize("mr", [4, 8])
def test_panels_waste_little(mr):
    for outputs in range(1, 40):
        height = panel_height(outputs, mr)
        assert height in (mr, 3 * mr // 4, mr // 2)
        assert -(-outputs // height) * height - outputs < max(mr // 2, 1) + mr // 4


def test_width_is_that_of_the_blocking():
    @jit(cache=False, references=False)
    def width(like, found):
        found[0] = simd.width(like)

    for dtype in ("float32", "float64"):
        found = np.zeros(1, np.int64)
        width(np.zeros(1, dtype), found)
        assert found[0] == blocking(dtype).width

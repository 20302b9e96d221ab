"""Convolution and pooling of pictures by their definitions, each with its way back.

Pictures have the shape (n, channels, height, width). A kernel of k rows meets, for the output row o, the
rows o stride - padding + i dilation of the picture, i = 0, …, k - 1, and its columns in the same way;
stride, padding, dilation and the kernel's size are one number for both axes or a pair. So there are

    ⌊(height + 2 padding - dilation (k - 1) - 1) / stride⌋ + 1

rows of outputs (Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning",
arXiv:1603.07285, chapters 2, 3 and 5). All conventions are PyTorch's.

The way back takes `delta`, the derivatives of a loss by the outputs, and has their shape; it returns the
derivatives by the inputs. Arrays of a floating-point type are computed with in that type, all others in
float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastkb.reference.networks import _floating

# --- where the windows lie ----------------------------------------------------------------------


class _Windows(NamedTuple):
    """Windows over a padded picture; every field is a pair, for the rows and for the columns."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]  # rows of padding above, columns at the left
    after: tuple[int, int]  # rows below, columns at the right, with those that ceil_mode adds
    output: tuple[int, int]  # how many windows there are


def _windows(shape, kernel, stride, padding, dilation, ceil_mode=False):
    """The windows over pictures of this shape, its last two axes the height and the width."""
    settings = [_pair(setting) for setting in (kernel, stride, padding, dilation)]
    after, output = [], []
    for size, k, s, p, d in zip(shape[-2:], *settings, strict=True):
        count = _n_windows(size, k, s, p, d, ceil_mode)
        if count < 1:
            raise ValueError(f"no window of {k} at a distance of {d} in {size} with padding {p}")
        end = (count - 1) * s + d * (k - 1) + 1  # where the last window ends, in the padded picture
        after.append(max(p, end - size - p))
        output.append(count)
    k, s, p, d = settings
    return _Windows(k, s, d, p, tuple(after), tuple(output))


def _n_windows(size, kernel, stride, padding, dilation, ceil_mode):
    room = size + 2 * padding - dilation * (kernel - 1) - 1  # how far the first window can move
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    # The last window must start inside the picture or in the padding before it.
    return count - 1 if (count - 1) * stride >= size + padding else count


def _pair(setting):
    first, second = (setting, setting) if np.ndim(setting) == 0 else setting
    return int(first), int(second)


def _taps(windows):
    """Each position of the kernel in row-major order, and the index of what it meets when padded."""
    for i in range(windows.kernel[0]):
        for j in range(windows.kernel[1]):
            slices = [
                slice(at * d, at * d + (count - 1) * s + 1, s)
                for at, d, count, s in zip(
                    (i, j), windows.dilation, windows.output, windows.stride, strict=True
                )
            ]
            yield (i, j), (..., *slices)


def _padded(x, windows, value=0):
    """x with its padding."""
    rows, columns = zip(windows.before, windows.after, strict=True)
    unpadded = [(0, 0)] * (x.ndim - 2)
    return np.pad(x, [*unpadded, rows, columns], constant_values=value)


def _unpadded(padded, shape, windows):
    """What `_padded` put around pictures of this shape taken away."""
    (top, left), (height, width) = windows.before, shape[-2:]
    return padded[..., top : top + height, left : left + width]


# --- convolution --------------------------------------------------------------------------------


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """y[n, o, h, w] = bias[o] + Σ weight[o, c, i, j] x[n, c, h s + i d, w s + j d]

    for the stride s and the dilation d. The sum is over the channels c of the group of o and over all
    positions (i, j) of the kernel, which is not turned around (Goodfellow, Bengio and Courville 2016,
    equation 9.6); rows and columns of x are counted from where its padding begins, in which it is 0.

    Parameters
    ----------
    x : array  # shape: (n, channels, height, width)
    weight : array  # shape: (out, channels / groups, kernel height, kernel width)
    bias : array or None  # shape: (out,)
    stride, padding, dilation : int or pair of int
    groups : int
        As many groups of neighbouring channels, each of which only its share of the outputs sees.

    Returns
    -------
    array  # shape: (n, out, rows of outputs, columns of outputs)
    """
    x, weight = _floating(x), _floating(weight)
    windows = _windows(x.shape, weight.shape[2:], stride, padding, dilation)
    padded = _padded(x, windows)
    y = np.zeros((len(x), len(weight), *windows.output), x.dtype)
    for outs, ins in _channels(x.shape, weight.shape, groups):
        for (i, j), tap in _taps(windows):
            y[:, outs] += np.einsum("nchw,oc->nohw", padded[tap][:, ins], weight[outs, :, i, j])
    return y if bias is None else y + np.asarray(bias, x.dtype)[:, None, None]


def conv2d_backward(delta, x, weight, stride=1, padding=0, dilation=1, groups=1):
    """The derivatives by x, by the weight and by the bias, from those by the outputs of `conv2d`.

    Every product weight[o, c, i, j] x[n, c, …] of an output's sum hands delta[n, o, h, w] times the one
    factor on to the other.
    """
    delta, x, weight = _floating(delta), _floating(x), _floating(weight)
    windows = _windows(x.shape, weight.shape[2:], stride, padding, dilation)
    padded = _padded(x, windows)
    by_padded, by_weight = np.zeros_like(padded), np.zeros_like(weight)
    for outs, ins in _channels(x.shape, weight.shape, groups):
        for (i, j), tap in _taps(windows):
            share = delta[:, outs]
            by_padded[tap][:, ins] += np.einsum("nohw,oc->nchw", share, weight[outs, :, i, j])
            by_weight[outs, :, i, j] += np.einsum("nohw,nchw->oc", share, padded[tap][:, ins])
    return _unpadded(by_padded, x.shape, windows), by_weight, delta.sum(axis=(0, 2, 3))


def _channels(shape, weight_shape, groups):
    """For each group the slices of its channels out and in."""
    channels, (outs, ins) = shape[1], weight_shape[:2]
    if channels != groups * ins or outs % groups:
        raise ValueError(f"{channels} channels and weights of {outs, ins} are not {groups} groups")
    outs //= groups
    for g in range(groups):
        yield slice(g * outs, (g + 1) * outs), slice(g * ins, (g + 1) * ins)


# --- pooling ------------------------------------------------------------------------------------


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The largest element of each window; padding counts as -∞, and a NaN is larger than all numbers.

    Parameters
    ----------
    x : array  # shape: (n, channels, height, width)
    kernel_size : int or pair of int
    stride : int, pair of int or None
        None is the kernel's size.
    padding : int or pair of int
        At most half of the kernel's size.
    dilation : int or pair of int
    ceil_mode : bool
        Whether to round the number of windows up, not down. A window may then reach beyond the padding,
        but the last one starts inside the picture or in the padding before it.

    Returns
    -------
    array  # shape: (n, channels, rows of windows, columns of windows)
    """
    x = _floating(x)
    windows = _pools(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    return _largest(x, windows)[0]


def max_pool2d_backward(delta, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The derivatives by x: each window's delta goes to its largest element.

    Of equal elements it goes to the first one in row-major order, of several NaN to the last one, as
    PyTorch's does; of a window with nothing but padding it is lost.
    """
    delta, x = _floating(delta), _floating(x)
    windows = _pools(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    _, winner = _largest(x, windows)
    by_padded = np.zeros_like(_padded(x, windows))
    for position, (_, tap) in enumerate(_taps(windows)):
        by_padded[tap] += np.where(winner == position, delta, 0)
    return _unpadded(by_padded, x.shape, windows)


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The sum of each window, where padding counts as 0, over the number of elements that count.

    These are the elements of the picture and with `count_include_pad` those of the padding, but never
    those beyond it which windows of `ceil_mode` reach. Arguments and shapes are those of `max_pool2d`.
    """
    x = _floating(x)
    windows = _pools(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    padded = _padded(x, windows)
    total = sum(padded[tap] for _, tap in _taps(windows))
    return total / _counts(x.shape, x.dtype, windows, count_include_pad)


def avg_pool2d_backward(
    delta, shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    """The derivatives by x of this shape: each element of a window gets an equal share of its delta."""
    delta = _floating(delta)
    windows = _pools(shape, kernel_size, stride, padding, 1, ceil_mode)
    share = delta / _counts(shape, delta.dtype, windows, count_include_pad)
    by_padded = _padded(np.zeros(shape, delta.dtype), windows)
    for _, tap in _taps(windows):
        by_padded[tap] += share
    return _unpadded(by_padded, shape, windows)


def adaptive_avg_pool2d(x, output_size):
    """The means of as many cells as wanted, which cover the picture.

    Cell i of m along an axis of s elements has those from ⌊i s / m⌋ up to, but without, ⌈(i + 1) s / m⌉,
    as PyTorch's: neighbours share an element where m does not divide s.

    Parameters
    ----------
    x : array  # shape: (n, channels, height, width)
    output_size : int or pair of int

    Returns
    -------
    array  # shape: (n, channels, *output_size)
    """
    x = _floating(x)
    y = np.zeros((*x.shape[:-2], *_pair(output_size)), x.dtype)
    for (i, j), cell in _cells(x.shape, output_size):
        y[..., i, j] = x[cell].mean(axis=(-2, -1))
    return y


def adaptive_avg_pool2d_backward(delta, shape):
    """The derivatives by x of this shape: each element of a cell gets an equal share of its delta."""
    delta = _floating(delta)
    by_x = np.zeros(shape, delta.dtype)
    for (i, j), cell in _cells(shape, delta.shape[-2:]):
        height, width = by_x[cell].shape[-2:]
        by_x[cell] += delta[..., i, j][..., None, None] / (height * width)
    return by_x


def _pools(shape, kernel_size, stride, padding, dilation, ceil_mode):
    """The windows of a pooling, whose padding is at most half of the kernel's size."""
    for k, p in zip(_pair(kernel_size), _pair(padding), strict=True):
        if p > k // 2:
            raise ValueError(f"a padding of {p} is more than half a window of {k}")
    stride = kernel_size if stride is None else stride
    return _windows(shape, kernel_size, stride, padding, dilation, ceil_mode)


def _largest(x, windows):
    """The largest element of each window, and which position of the kernel met it, or -1."""
    padded, inside = _padded(x, windows), _padded(np.ones(x.shape, bool), windows)
    largest = np.full((*x.shape[:-2], *windows.output), -np.inf, x.dtype)
    winner = np.full(largest.shape, -1)
    for position, (_, tap) in enumerate(_taps(windows)):
        value = padded[tap]
        better = inside[tap] & ((winner < 0) | (value > largest) | np.isnan(value))
        largest, winner = np.where(better, value, largest), np.where(better, position, winner)
    return largest, winner


def _counts(shape, dtype, windows, count_include_pad):
    """How many elements of each window count.  # shape: windows.output"""
    counted = _padded(np.ones(shape[-2:], dtype), windows)
    if count_include_pad:
        (top, left), (height, width) = windows.before, shape[-2:]
        counted[: height + 2 * top, : width + 2 * left] = 1
    return sum(counted[tap] for _, tap in _taps(windows))


def _cells(shape, output_size):
    """Each cell of `adaptive_avg_pool2d`, and the index of what it covers."""
    (height, width), (rows, columns) = shape[-2:], _pair(output_size)
    for i in range(rows):
        for j in range(columns):
            yield (i, j), (..., _share(i, rows, height), _share(j, columns, width))


def _share(i, count, size):
    return slice(i * size // count, -(-(i + 1) * size // count))

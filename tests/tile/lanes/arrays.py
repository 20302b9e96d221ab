"""Images in lanes, and weights in panels, from arrays and back."""

import numpy as np


def to_lanes(images, width, behind=0.0):
    """Flat, with a few vectors behind it that no result may depend on."""
    n, channels, rows, columns = images.shape
    groups = -(-n // width)
    whole = np.zeros((groups * width, channels, rows, columns), images.dtype)
    whole[:n] = images
    lanes = whole.reshape(groups, width, channels, rows, columns).transpose(0, 3, 4, 2, 1)
    return np.concatenate([lanes.ravel(), np.full(8 * width, behind, images.dtype)])


def from_lanes(flat, shape, width):
    n, channels, rows, columns = shape
    groups = -(-n // width)
    lanes = flat[: groups * width * channels * rows * columns]
    lanes = lanes.reshape(groups, rows, columns, channels, width).transpose(0, 4, 3, 1, 2)
    return lanes.reshape(groups * width, channels, rows, columns)[:n]


def to_panels(weight, height):
    outputs, inputs, rows, columns = weight.shape
    panels = -(-outputs // height)
    whole = np.zeros((panels * height, inputs, rows, columns), weight.dtype)
    whole[:outputs] = weight
    return whole.reshape(panels, height, inputs, rows, columns).transpose(0, 3, 4, 2, 1).ravel()


def from_panels(flat, shape, height):
    outputs, inputs, rows, columns = shape
    panels = -(-outputs // height)
    whole = flat.reshape(panels, rows, columns, inputs, height).transpose(0, 4, 3, 1, 2)
    return whole.reshape(panels * height, inputs, rows, columns)[:outputs]

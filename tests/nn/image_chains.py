"""Networks of images by the definitions: what they give, the loss and its gradients."""

import math

import numpy as np

from fastkb import nn
from fastkb.reference import convolution as windows
from fastkb.reference import networks


def convolution_of(layer):
    return layer.stride, layer.padding, layer.dilation, layer.groups


def largest_of(layer):
    return layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode


def mean_of(layer):
    return (
        layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode, layer.count_include_pad
    )  # fmt: skip


def of_rows(layer):
    """The layer of images that does the same with images of one row."""
    if isinstance(layer, nn.Conv1d):
        return nn.Conv2d(
            layer.in_channels, layer.out_channels, (1, *layer.kernel_size), (1, *layer.stride),
            (0, *layer.padding), (1, *layer.dilation), layer.groups, layer.bias,
        )  # fmt: skip
    sides = (1, *layer.kernel_size), (1, *layer.stride), (0, *layer.padding)
    if isinstance(layer, nn.MaxPool1d):
        return nn.MaxPool2d(*sides, (1, *layer.dilation), layer.ceil_mode)
    return nn.AvgPool2d(*sides, layer.ceil_mode, layer.count_include_pad)


SEQUENCES = nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d


def give(layer, x, weight, bias):
    """What a layer makes of x."""
    if isinstance(layer, SEQUENCES):
        weight = None if weight is None else weight[:, :, None]
        return give(of_rows(layer), x[:, :, None], weight, bias)[:, :, 0]
    if isinstance(layer, nn.Conv2d):
        return windows.conv2d(x, weight, bias, *convolution_of(layer))
    if isinstance(layer, nn.MaxPool2d):
        return windows.max_pool2d(x, *largest_of(layer))
    if isinstance(layer, nn.AvgPool2d):
        return windows.avg_pool2d(x, *mean_of(layer))
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return windows.adaptive_avg_pool2d(x, layer.output_size)
    if isinstance(layer, nn.Flatten):
        return x.reshape(len(x), -1)
    if isinstance(layer, nn.Linear):
        return x @ weight.T + (0.0 if bias is None else bias)
    return networks.ACTIVATIONS[layer.name][0](x, layer.parameter)


def take_back(layer, delta, x, weight):
    """(deltas of x, gradient of the weight, of the bias)."""
    if isinstance(layer, SEQUENCES):
        weight = None if weight is None else weight[:, :, None]
        found = take_back(of_rows(layer), delta[:, :, None], x[:, :, None], weight)
        deltas, by_weight, by_bias = found
        return deltas[:, :, 0], None if by_weight is None else by_weight[:, :, 0], by_bias
    if isinstance(layer, nn.Conv2d):
        return windows.conv2d_backward(delta, x, weight, *convolution_of(layer))
    if isinstance(layer, nn.MaxPool2d):
        return windows.max_pool2d_backward(delta, x, *largest_of(layer)), None, None
    if isinstance(layer, nn.AvgPool2d):
        return windows.avg_pool2d_backward(delta, x.shape, *mean_of(layer)), None, None
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return windows.adaptive_avg_pool2d_backward(delta, x.shape), None, None
    if isinstance(layer, nn.Flatten):
        return delta.reshape(x.shape), None, None
    if isinstance(layer, nn.Linear):
        return delta @ weight, delta.T @ x, delta.sum(axis=0)
    return delta * networks.ACTIVATIONS[layer.name][1](x, layer.parameter), None, None


def forward(layers, state, X):
    """What each layer takes, and in the end what the last one gives, in float64."""
    values = [np.asarray(X, float)]
    for place, layer in enumerate(layers):
        weight, bias = (state.get(f"{place}.{name}") for name in ("weight", "bias"))
        weight, bias = (None if one is None else one.astype(float) for one in (weight, bias))
        values.append(give(layer, values[-1], weight, bias))
    return values


def loss_and_gradients(layers, state, X, y):
    """The squared error, and its gradients by the names of the parameters."""
    values = forward(layers, state, X)
    outputs = values[-1].reshape(len(X), -1)
    loss, delta = networks.squared_error(outputs, np.asarray(y, float).reshape(outputs.shape))
    delta, found = delta.reshape(values[-1].shape), {}
    for place in reversed(range(len(layers))):
        weight = state.get(f"{place}.weight")
        weight = None if weight is None else weight.astype(float)
        delta, by_weight, by_bias = take_back(layers[place], delta, values[place], weight)
        for name, gradient in (("weight", by_weight), ("bias", by_bias)):
            if f"{place}.{name}" in state:
                found[f"{place}.{name}"] = gradient
    return loss, found


def terms(layers):
    """How many numbers are added up for one output of a layer, at most."""
    return max(
        (math.prod(layer.shapes()["weight"][1:]) for layer in layers if layer.shapes()), default=1
    )

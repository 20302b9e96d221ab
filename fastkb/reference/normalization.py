"""Batch and layer normalisation, softmax, embeddings and dropout by their definitions.

The way back of each takes `delta`, the derivatives of a loss by the outputs, and returns those by the
inputs. Arrays of a floating-point type are computed with in that type, all others in float64.
"""

from __future__ import annotations

import math

import numpy as np

from fastkb.reference.networks import _floating

# --- batch normalisation: over all axes but that of the channels ---------------------------------


def batch_statistics(x):
    """The mean and the biased variance, Σ(x - mean)² / m, of the m elements of each channel.

    Parameters
    ----------
    x : array  # shape: (n, channels) or (n, channels, height, width)

    Returns
    -------
    mean, variance : arrays  # shape: (channels,)
    """
    x = _floating(x)
    axes = _all_but_channels(x)
    return x.mean(axis=axes), x.var(axis=axes)


def batch_norm(x, weight, bias, mean, variance, eps):
    """y = weight (x - mean) / √(variance + eps) + bias, with numbers of its own for each channel.

    Ioffe and Szegedy (2015), algorithm 1. In training mean and variance are `batch_statistics`, later
    they are what `running` made of them.

    Parameters
    ----------
    x : array  # shape: (n, channels) or (n, channels, height, width)
    weight, bias : arrays or None  # shape: (channels,)
        None is 1 and 0.
    mean, variance : arrays  # shape: (channels,)
    eps : float

    Returns
    -------
    array of the shape of x
    """
    x = _floating(x)
    mean, variance = _per_channel(mean, x), _per_channel(variance, x)
    y = (x - mean) / np.sqrt(variance + eps)
    y = y if weight is None else y * _per_channel(weight, x)
    return y if bias is None else y + _per_channel(bias, x)


def batch_norm_backward(delta, x, weight, eps):
    """The derivatives by x, by the weight and by the bias, in training.

    With z = (x - mean) / √(variance + eps), g = weight delta and means over each channel, that by x is

        (g - mean(g) - z mean(g z)) / √(variance + eps)

    as mean and variance depend on x as well (Ioffe and Szegedy 2015, section 3, simplified).

    Parameters
    ----------
    delta, x : arrays  # shape: (n, channels) or (n, channels, height, width)
    weight : array or None  # shape: (channels,)
    eps : float

    Returns
    -------
    by_x : array of the shape of x
    by_weight, by_bias : arrays  # shape: (channels,)
    """
    delta, x = _floating(delta), _floating(x)
    axes = _all_but_channels(x)
    g = delta if weight is None else delta * _per_channel(weight, x)
    by_x, z = _standardized_backward(g, x, axes, eps)
    return by_x, (delta * z).sum(axis=axes), delta.sum(axis=axes)


def running(old_mean, old_variance, x, momentum):
    """New averages (1 - momentum) old + momentum now, where the variance of now is the unbiased one.

    That is m / (m - 1) times the variance of `batch_statistics`, for m elements of each channel, as
    PyTorch's.

    Parameters
    ----------
    old_mean, old_variance : arrays  # shape: (channels,)
    x : array  # shape: (n, channels) or (n, channels, height, width)
    momentum : float

    Returns
    -------
    mean, variance : arrays  # shape: (channels,)
    """
    x = _floating(x)
    m = math.prod(x.shape[axis] for axis in _all_but_channels(x))
    if m < 2:
        raise ValueError(f"a variance needs two elements of each channel, not {m}")
    mean, variance = batch_statistics(x)
    old_mean, old_variance = np.asarray(old_mean, x.dtype), np.asarray(old_variance, x.dtype)
    new_mean = (1 - momentum) * old_mean + momentum * mean
    return new_mean, (1 - momentum) * old_variance + momentum * variance * m / (m - 1)


# --- layer normalisation: over the last axes -----------------------------------------------------


def layer_norm(x, axes, weight, bias, eps):
    """y = weight (x - mean) / √(variance + eps) + bias, mean and biased variance over the last axes.

    Ba, Kiros and Hinton (2016), equations 3 and 4, with PyTorch's eps.

    Parameters
    ----------
    x : array  # shape: (…, *normalised)
    axes : int
        How many axes are normalised over, the last ones.
    weight, bias : arrays or None  # shape: normalised
        None is 1 and 0.
    eps : float

    Returns
    -------
    array of the shape of x
    """
    x = _floating(x)
    last = tuple(range(x.ndim - axes, x.ndim))
    y = _standardized(x, last, eps)
    y = y if weight is None else y * np.asarray(weight, x.dtype)
    return y if bias is None else y + np.asarray(bias, x.dtype)


def layer_norm_backward(delta, x, axes, weight, eps):
    """The derivatives by x, by the weight and by the bias: the formula of `batch_norm_backward`.

    Those by weight and bias have the shape of the last `axes` axes of x, and are sums over the others.
    """
    delta, x = _floating(delta), _floating(x)
    first, last = tuple(range(x.ndim - axes)), tuple(range(x.ndim - axes, x.ndim))
    g = delta if weight is None else delta * np.asarray(weight, x.dtype)
    by_x, z = _standardized_backward(g, x, last, eps)
    return by_x, (delta * z).sum(axis=first), delta.sum(axis=first)


def _standardized(x, axes, eps):
    """z = (x - mean) / √(variance + eps) over these axes."""
    deviation = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    return (x - x.mean(axis=axes, keepdims=True)) / deviation


def _standardized_backward(g, x, axes, eps):
    """The derivatives by x from those by z, g, and z itself."""
    z = _standardized(x, axes, eps)
    deviation = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    by_mean = g.mean(axis=axes, keepdims=True)
    by_variance = z * (g * z).mean(axis=axes, keepdims=True)
    return (g - by_mean - by_variance) / deviation, z


def _all_but_channels(x):
    return (0, *range(2, x.ndim))


def _per_channel(values, x):
    """One number for each channel of x, to be broadcast against x."""
    return np.asarray(values, x.dtype).reshape(-1, *[1] * (x.ndim - 2))


# --- softmax ------------------------------------------------------------------------------------


def softmax(x, axis=-1):
    """yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ) along an axis"""
    x = _floating(x)
    e = np.exp(x - x.max(axis=axis, keepdims=True))  # changes no ratio, and none overflows
    return e / e.sum(axis=axis, keepdims=True)


def softmax_backward(delta, y, axis=-1):
    """The derivatives by x, yᵢ (δᵢ - Σⱼ δⱼ yⱼ), from the outputs y and the derivatives δ by them"""
    delta, y = _floating(delta), _floating(y)
    return y * (delta - (delta * y).sum(axis=axis, keepdims=True))


def log_softmax(x, axis=-1):
    """yᵢ = xᵢ - log Σⱼ exp(xⱼ) along an axis"""
    x = _floating(x)
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


def log_softmax_backward(delta, y, axis=-1):
    """The derivatives by x, δᵢ - exp(yᵢ) Σⱼ δⱼ, from the outputs y and the derivatives δ by them"""
    delta, y = _floating(delta), _floating(y)
    return delta - np.exp(y) * delta.sum(axis=axis, keepdims=True)


# --- embedding ----------------------------------------------------------------------------------


def embedding(indices, weight):
    """Row indices[…] of the weights.

    Parameters
    ----------
    indices : array of int, from 0 on  # shape: (…)
    weight : array  # shape: (rows, width)

    Returns
    -------
    array  # shape: (…, width)
    """
    weight = _floating(weight)
    return weight[_checked(indices, len(weight))]


def embedding_backward(delta, indices, shape):
    """The derivatives by the weights of this shape: each row's is the sum of delta wherever it stood."""
    delta = _floating(delta)
    by_weight = np.zeros(shape, delta.dtype)
    np.add.at(by_weight, _checked(indices, len(by_weight)), delta)
    return by_weight


def _checked(indices, rows):
    indices = np.asarray(indices)
    if np.any((indices < 0) | (indices >= rows)):
        raise IndexError(f"an index outside of 0, …, {rows - 1}")
    return indices


# --- dropout ------------------------------------------------------------------------------------


def dropout(x, mask, p):
    """x mask / (1 - p), for a mask of 0 and 1 that is 0 with probability p; 0 where p is 1.

    So its expectation is x, and nothing is left to do when dropping ends (Srivastava et al. 2014,
    "Dropout: a simple way to prevent neural networks from overfitting", section 10).
    """
    x = _floating(x)
    if p == 1:
        return np.zeros_like(x)
    return x * np.asarray(mask, x.dtype) / (1 - p)


def dropout_backward(delta, mask, p):
    """The derivatives by x, delta mask / (1 - p)"""
    return dropout(delta, mask, p)

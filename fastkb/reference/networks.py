"""Neural networks by their definitions: activations, losses, backpropagation, optimisers, schedules.

Arrays of a floating-point type are computed with in that type, all others in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_erfc = np.vectorize(math.erfc, otypes=[float])

# --- activations: g(x) and g'(x), elementwise. -------------------------------------------------
#
# Exponentials are taken of -|x| or of the negative part of x, so none overflows.


def identity(x, parameter=None):
    """x"""
    return _floating(x)


def identity_derivative(x, parameter=None):
    """1"""
    return np.ones_like(_floating(x))


def sigmoid(x, parameter=None):
    """1 / (1 + e⁻ˣ), which is eˣ / (1 + eˣ)"""
    x = _floating(x)
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def sigmoid_derivative(x, parameter=None):
    """e⁻ˣ / (1 + e⁻ˣ)², an even function"""
    e = np.exp(-np.abs(_floating(x)))
    return e / (1 + e) ** 2


def tanh(x, parameter=None):
    """The hyperbolic tangent."""
    return np.tanh(_floating(x))


def tanh_derivative(x, parameter=None):
    """1 / cosh²x, which keeps its digits where 1 - tanh²x loses them"""
    e = np.exp(-np.abs(_floating(x)))
    return (2 * e / (1 + e**2)) ** 2


def relu(x, parameter=None):
    """max(x, 0)"""
    return np.maximum(_floating(x), 0)


def relu_derivative(x, parameter=None):
    """1 above 0, else 0"""
    x = _floating(x)
    return np.where(x > 0, np.ones_like(x), 0)


def leaky_relu(x, slope=None):
    """x above 0, else slope x; a slope of None is 0.1"""
    x, slope = _floating(x), 0.1 if slope is None else float(slope)
    return np.where(x > 0, x, slope * x)


def leaky_relu_derivative(x, slope=None):
    """1 above 0, else the slope"""
    x, slope = _floating(x), 0.1 if slope is None else float(slope)
    return np.where(x > 0, np.ones_like(x), slope)


def elu(x, alpha=None):
    """x above 0, else alpha (eˣ - 1); an alpha of None is 1"""
    x, alpha = _floating(x), 1.0 if alpha is None else float(alpha)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_derivative(x, alpha=None):
    """1 above 0, else alpha eˣ"""
    x, alpha = _floating(x), 1.0 if alpha is None else float(alpha)
    return np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def softplus(x, parameter=None):
    """log(1 + eˣ)"""
    x = _floating(x)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softplus_derivative(x, parameter=None):
    """The sigmoid function."""
    return sigmoid(x)


def gelu(x, parameter=None):
    """x Φ(x), Φ the standard normal distribution function"""
    x = _floating(x)
    return x * _normal_distribution(x)


def gelu_derivative(x, parameter=None):
    """Φ(x) + x φ(x)"""
    x = _floating(x)
    return _normal_distribution(x) + x * _normal_density(x)


def sign(x, parameter=None):
    """-1, 0 or 1"""
    return np.sign(_floating(x))


def sign_derivative(x, parameter=None):
    """Raises: a derivative that is 0 wherever it exists trains nothing."""
    raise ValueError("sign has no derivative to train with")


# name -> (g, g'), each called with x and with the slope or alpha, which the others ignore
ACTIVATIONS: dict[str, tuple[Any, Any]] = {
    "identity": (identity, identity_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "tanh": (tanh, tanh_derivative),
    "relu": (relu, relu_derivative),
    "leaky_relu": (leaky_relu, leaky_relu_derivative),
    "elu": (elu, elu_derivative),
    "softplus": (softplus, softplus_derivative),
    "gelu": (gelu, gelu_derivative),
    "sign": (sign, sign_derivative),
}


def _floating(x):
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(float)


def _normal_distribution(x):
    # erfc, not 1 + erf, which rounds to 0 below x = -8.
    return (_erfc(-x / math.sqrt(2)) / 2).astype(x.dtype)


def _normal_density(x):
    # 0 beyond |x| = 40 in every type; squares of larger numbers might overflow.
    distance = np.minimum(np.abs(x), 40)
    return np.exp(-(distance**2) / 2) / math.sqrt(2 * math.pi)


# --- losses of outputs z (n, k): the value, and its gradient with respect to z -----------------


def squared_error(z, y, weights=None):
    """Mean of (z - y)² over rows and outputs."""
    z, y = _outputs_and_targets(z, y)
    k = z.shape[1]
    return _weighted_mean(np.mean((z - y) ** 2, axis=1), 2 * (z - y) / k, weights)


def half_squared_error(z, y, weights=None):
    """Mean of (z - y)² / 2 over rows and outputs."""
    value, gradient = squared_error(z, y, weights)
    return value / 2, gradient / 2


def binary_cross_entropy(z, y, weights=None):
    """Mean of log(1 + eᶻ) - y z over rows and outputs, for y in [0, 1]."""
    z, y = _outputs_and_targets(z, y)
    k = z.shape[1]
    # log(1 + eᶻ) is max(z, 0) plus a rest that must not be added before y z is taken away:
    # where y = 1 and z is large, the rest is all that remains.
    losses = np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
    return _weighted_mean(np.mean(losses, axis=1), (sigmoid(z) - y) / k, weights)


def cross_entropy(z, labels, weights=None):
    """Mean over rows of log Σⱼ exp(zⱼ) - z_label, for labels 0, …, k - 1 of shape (n,)."""
    z = _floating(z)
    chosen = np.arange(len(z)), np.asarray(labels)
    z = z - z.max(axis=1, keepdims=True)  # changes no loss, and no exponential overflows
    total = np.exp(z).sum(axis=1, keepdims=True)
    gradient = np.exp(z) / total
    gradient[chosen] -= 1
    return _weighted_mean(np.log(total[:, 0]) - z[chosen], gradient, weights)


LOSSES: dict[str, Any] = {
    "squared_error": squared_error,
    "half_squared_error": half_squared_error,
    "binary_cross_entropy": binary_cross_entropy,
    "cross_entropy": cross_entropy,
}


def _outputs_and_targets(z, y):
    z = _floating(z)
    y = np.asarray(y, dtype=z.dtype)
    if y.shape != z.shape:
        raise ValueError(f"outputs of shape {z.shape}, but targets of shape {y.shape}")
    return z, y


def _weighted_mean(losses, gradients, weights):
    # Σᵢ wᵢ lᵢ / Σᵢ wᵢ and its gradient, from each row's; 0 where no row counts.
    weights = np.ones_like(losses) if weights is None else np.asarray(weights, losses.dtype)
    total = weights.sum()
    if total == 0:
        return 0.0, np.zeros_like(gradients)
    share = weights / total  # shape: (n,)
    return float(np.sum(share * losses)), share[:, None] * gradients


# --- networks -----------------------------------------------------------------------------------
#
# A layer is ("linear", W, b) with W of shape (out, in) and b of shape (out,) or None, or
# ("activation", name, parameter).


def forward(layers, X):
    """X, then what each layer makes of it: one array more than there are layers."""
    values = [_floating(X)]
    for kind, first, second in layers:
        if kind == "linear":
            W, b = first, second
            values.append(values[-1] @ W.T + (0 if b is None else b))
        else:
            function, _ = ACTIVATIONS[first]
            values.append(function(values[-1], second))
    return values


def loss_and_gradients(layers, X, y, loss, weights=None, l2=0.0):
    """The loss named `loss` plus (l2/2) Σ|W|², and for each layer (dW, db), None for activations.

    Biases are not penalised; db is None where b is.
    """
    values = forward(layers, X)
    value, delta = LOSSES[loss](values[-1], y, weights)
    gradients: list = [None] * len(layers)
    for i in reversed(range(len(layers))):
        kind, first, second = layers[i]
        if kind == "linear":
            W, b = first, second
            dW = delta.T @ values[i] + l2 * W
            gradients[i] = dW, (None if b is None else delta.sum(axis=0))
            value += l2 / 2 * float(np.sum(W**2))
            delta = delta @ W
        else:
            _, derivative = ACTIVATIONS[first]
            delta = delta * derivative(values[i], second)
    return value, gradients


# --- optimisers: one object for each array of parameters ----------------------------------------


class SGD:
    """Gradient descent, with momentum if wanted (PyTorch's, dampening 0)."""

    def __init__(self, momentum=0.0, nesterov=False):
        self.momentum, self.nesterov = momentum, nesterov
        self.velocity = 0.0

    def step(self, parameter, gradient, learning_rate):
        """The parameter after one step."""
        self.velocity = self.momentum * self.velocity + gradient
        ahead = gradient + self.momentum * self.velocity
        return parameter - learning_rate * (ahead if self.nesterov else self.velocity)


class Adagrad:
    """Steps divided by the root of the sum of all squared gradients."""

    def __init__(self, eps=1e-10):
        self.eps = eps
        self.total = 0.0

    def step(self, parameter, gradient, learning_rate):
        """The parameter after one step."""
        self.total = self.total + gradient**2
        return parameter - learning_rate * gradient / (np.sqrt(self.total) + self.eps)


class RMSprop:
    """Steps divided by the root of a moving average of squared gradients, with momentum if wanted."""

    def __init__(self, alpha=0.99, eps=1e-8, momentum=0.0):
        self.alpha, self.eps, self.momentum = alpha, eps, momentum
        self.average = self.velocity = 0.0

    def step(self, parameter, gradient, learning_rate):
        """The parameter after one step."""
        self.average = self.alpha * self.average + (1 - self.alpha) * gradient**2
        ahead = gradient / (np.sqrt(self.average) + self.eps)
        self.velocity = self.momentum * self.velocity + ahead
        return parameter - learning_rate * self.velocity


class Adam:
    """Steps by moving averages of the gradient and of its square (Kingma and Ba 2015)."""

    def __init__(self, betas=(0.9, 0.999), eps=1e-8):
        self.betas, self.eps = betas, eps
        self.first, self.second, self.count = 0.0, 0.0, 0

    def direction(self, gradient):
        """m / (√v + eps), the averages m and v divided by the sum of their weights so far."""
        beta1, beta2 = self.betas
        self.count += 1
        self.first = beta1 * self.first + (1 - beta1) * gradient
        self.second = beta2 * self.second + (1 - beta2) * gradient**2
        m = self.first / (1 - beta1**self.count)
        v = self.second / (1 - beta2**self.count)
        return m / (np.sqrt(v) + self.eps)

    def step(self, parameter, gradient, learning_rate):
        """The parameter after one step."""
        return parameter - learning_rate * self.direction(gradient)


class AdamW(Adam):
    """Adam, the parameter first shrunk by learning_rate weight_decay (Loshchilov and Hutter 2019)."""

    def __init__(self, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(betas, eps)
        self.weight_decay = weight_decay

    def step(self, parameter, gradient, learning_rate):
        """The parameter after one step."""
        shrunk = parameter * (1 - learning_rate * self.weight_decay)
        return super().step(shrunk, gradient, learning_rate)


class LAMB(Adam):
    """Adam's direction plus decay, as long as the parameter (You et al. 2020, algorithm 2)."""

    def __init__(self, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01):
        super().__init__(betas, eps)
        self.weight_decay = weight_decay

    def step(self, parameter, gradient, learning_rate):
        """The parameter after one step."""
        direction = self.direction(gradient) + self.weight_decay * parameter
        norms = _norm([parameter]), _norm([direction])
        ratio = norms[0] / norms[1] if min(norms) > 0 else 1.0
        return parameter - learning_rate * ratio * direction


# --- clipping of a list of arrays ---------------------------------------------------------------


def clip_by_norm(gradients, limit):
    """All arrays times limit / (norm + 1e-6), the norm of all together, if that is below 1."""
    factor = limit / (_norm(gradients) + 1e-6)
    return [g * min(factor, 1.0) for g in gradients]


def clip_by_value(gradients, limit):
    """Every element moved into [-limit, limit]."""
    return [np.clip(g, -limit, limit) for g in gradients]


def _norm(arrays):
    return math.sqrt(sum(float(np.sum(np.asarray(a, dtype=float) ** 2)) for a in arrays))


# --- learning rates after t epochs --------------------------------------------------------------


def constant(base_rate, t):
    """The same rate always."""
    return base_rate


def step(base_rate, t, step_size, gamma=0.1):
    """Times gamma once every step_size epochs."""
    return base_rate * gamma ** (t // step_size)


def cosine(base_rate, t, t_max, eta_min=0.0):
    """Half a cosine from the base rate at t = 0 to eta_min at t_max."""
    return eta_min + (base_rate - eta_min) * (1 + math.cos(math.pi * t / t_max)) / 2


def warm_up(base_rate, t, epochs, start_factor):
    """A line from start_factor times the base rate to the base rate, reached after `epochs`."""
    return base_rate * (start_factor + (1 - start_factor) * min(t / epochs, 1))


def inverse_scaling(base_rate, t, power=0.5):
    """base_rate / (t + 1)ᵖᵒʷᵉʳ"""
    return base_rate / (t + 1) ** power

"""How PyTorch and JAX train the networks of :mod:`bench.network`, each in its own best form.

A trainer takes what is to be trained and returns what is timed: from the first parameters through all
steps to the last. It raises ImportError where its library is missing.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from bench.rivals import Call

BETAS = (0.9, 0.999)  # of Adam, everybody's

Parameters = dict[str, np.ndarray]  # by torch's names


class Training(NamedTuple):
    """Some epochs of a network of dense layers with ReLU between them."""

    widths: tuple[int, ...]
    X: np.ndarray
    y: np.ndarray  # numbers for one output, classes for several
    batch: int
    epochs: int
    adam: bool  # else plain gradient descent
    rate: float
    eps: float  # Adam's
    first: Parameters

    @property
    def classifies(self) -> bool:
        return self.widths[-1] > 1

    @property
    def steps(self) -> int:
        return self.epochs * (len(self.X) // self.batch)

    @property
    def places(self) -> list[str]:
        """Of the dense layers."""
        return [str(2 * k) for k in range(len(self.widths) - 1)]

    @property
    def batches(self) -> list[slice]:
        begins = range(0, len(self.X), self.batch)
        return [slice(begin, begin + self.batch) for begin in begins] * self.epochs


class Drawn(NamedTuple):
    """What the members of an ensemble are given."""

    first: list[Parameters]
    orders: np.ndarray  # shape: (members, epochs·n)
    weights: np.ndarray  # shape: (members, n)


def _tensors(job: Training) -> tuple[Any, Any, dict[str, Any]]:
    """Inputs, targets as torch's losses like them, and first parameters."""
    import torch

    y = torch.from_numpy(job.y)
    first = {name: torch.from_numpy(value) for name, value in job.first.items()}
    return torch.from_numpy(job.X), y if job.classifies else y[:, None], first


def torch_eager(job: Training) -> Call:
    """Modules and optimisers, as torch's tutorials have them."""
    import torch

    X, y, first = _tensors(job)
    loss = torch.nn.CrossEntropyLoss() if job.classifies else torch.nn.MSELoss()
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(job.widths):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]

    def train() -> list[Parameters]:
        network = torch.nn.Sequential(*layers[:-1])
        network.load_state_dict(first)
        kind = torch.optim.Adam if job.adam else torch.optim.SGD
        settings = {"eps": job.eps} if job.adam else {}
        optimizer = kind(network.parameters(), lr=job.rate, **settings)
        for part in job.batches:
            optimizer.zero_grad()
            loss(network(X[part]), y[part]).backward()
            optimizer.step()
        return [{k: v.numpy().copy() for k, v in network.state_dict().items()}]

    return train


@functools.cache
def why_not_compiled() -> str:
    """Why ``torch.compile`` does not work on this machine; empty if it does."""
    import torch

    _compile_in_this_process()
    try:
        with warnings.catch_warnings():  # that its own modules import what it has deprecated
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.compile(lambda x: torch.sin(x) + 1)(torch.ones(2))
    except RuntimeError as error:
        # Its C++ compiler is missing, or this Python is too new for it.
        return f"torch.compile does not work here: {str(error).splitlines()[0]}"
    return ""


def _compile_in_this_process() -> None:
    """Start no processes that compile: they would be there while others are timed."""
    import torch._inductor.config

    torch._inductor.config.compile_threads = 1


def torch_compiled(job: Training) -> Call:
    """A step as one compiled function: gradient and update, in place.

    (That is faster than modules and optimisers that are compiled one by one, between which a step
    returns to Python.)
    """
    import torch
    import torch._dynamo
    from torch.nn import functional

    X, y, first = _tensors(job)
    _compile_in_this_process()
    # What was compiled for other sizes would make this work's sizes variables.
    torch._dynamo.reset()

    def loss(parameters: Any, x: Any, target: Any) -> Any:
        for place in job.places:
            x = functional.linear(x, parameters[f"{place}.weight"], parameters[f"{place}.bias"])
            x = functional.relu(x) if place != job.places[-1] else x
        return (functional.cross_entropy if job.classifies else functional.mse_loss)(x, target)

    gradient = torch.func.grad(loss)

    def descend(parameters: Any, x: Any, target: Any) -> None:
        for name, slope in gradient(parameters, x, target).items():
            parameters[name].sub_(job.rate * slope)

    def adam(parameters: Any, means: Any, squares: Any, count: Any, x: Any, target: Any) -> None:
        slopes = gradient(parameters, x, target)
        count.add_(1)
        one, two = (-torch.expm1(count * math.log(beta)) for beta in BETAS)
        for name, slope in slopes.items():
            mean = means[name].mul_(BETAS[0]).add_(slope, alpha=1 - BETAS[0])
            square = squares[name].mul_(BETAS[1]).add_(slope * slope, alpha=1 - BETAS[1])
            parameters[name].sub_(job.rate / one * mean / ((square / two).sqrt() + job.eps))

    step = torch.compile(adam if job.adam else descend, fullgraph=True, dynamic=False)

    def train() -> list[Parameters]:
        parameters = {name: value.clone() for name, value in first.items()}
        state: tuple[Any, ...] = ()
        if job.adam:
            zeros = ({k: torch.zeros_like(v) for k, v in first.items()} for _ in BETAS)
            state = (*zeros, torch.zeros(()))
        with torch.no_grad():
            for part in job.batches:
                step(parameters, *state, X[part], y[part])
        return [{name: value.numpy() for name, value in parameters.items()}]

    return train


def _jax_epoch(job: Training) -> Any:
    """All steps in one loop: a function of first parameters, order and weights, not compiled yet."""
    import jax
    import jax.numpy as jnp

    X, y, places = jnp.asarray(job.X), jnp.asarray(job.y), job.places

    def loss(parameters: Any, x: Any, target: Any, weights: Any) -> Any:
        for place in places:
            x = x @ parameters[f"{place}.weight"].T + parameters[f"{place}.bias"]
            x = jnp.maximum(x, 0) if place != places[-1] else x
        if job.classifies:
            picked = jnp.take_along_axis(x, target[:, None], axis=1)[:, 0]
            each = jax.nn.logsumexp(x, axis=1) - picked
        else:
            each = (x[:, 0] - target) ** 2
        return (weights * each).sum() / weights.sum()

    gradient = jax.grad(loss)
    b1, b2 = BETAS

    def adam(parameters: Any, slopes: Any, state: Any, i: Any) -> Any:
        mean = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state[0], slopes)
        square = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state[1], slopes)
        # 1 - 0.999 in float32 would be off by 5e-5.
        one, two = (-jnp.expm1((i + 1) * math.log(beta)) for beta in BETAS)
        moved = jax.tree.map(
            lambda p, m, v: p - job.rate / one * m / (jnp.sqrt(v / two) + job.eps),
            parameters,
            mean,
            square,
        )
        return moved, (mean, square)

    def train(parameters: Any, order: Any, weights: Any) -> Any:
        def step(i: Any, carried: Any) -> Any:
            parameters, state = carried
            chosen = order[i]
            slopes = gradient(parameters, X[chosen], y[chosen], weights[chosen])
            if job.adam:
                return adam(parameters, slopes, state, i.astype(jnp.float32))
            return jax.tree.map(lambda p, g: p - job.rate * g, parameters, slopes), state

        zero = jax.tree.map(jnp.zeros_like, parameters)
        state = (zero, zero) if job.adam else ()
        return jax.lax.fori_loop(0, job.steps, step, (parameters, state))[0]

    return train


def jax_one(job: Training) -> Call:
    """All steps in one ``jit`` of a ``fori_loop``."""
    import jax
    import jax.numpy as jnp

    first = {name: jnp.asarray(value) for name, value in job.first.items()}
    order = jnp.tile(jnp.arange(len(job.X)), job.epochs).reshape(job.steps, job.batch)
    ones = jnp.ones(len(job.X), jnp.float32)
    compiled = jax.jit(_jax_epoch(job))
    return lambda: [{k: np.asarray(v) for k, v in compiled(first, order, ones).items()}]


def jax_many(job: Training, drawn: Drawn, shown: range) -> Call:
    """The same for many networks at once under ``vmap``; returns the parameters of some."""
    import jax
    import jax.numpy as jnp

    first = {k: jnp.asarray(np.stack([each[k] for each in drawn.first])) for k in job.first}
    orders = jnp.asarray(drawn.orders).reshape(-1, job.steps, job.batch)
    weights = jnp.asarray(drawn.weights)
    compiled = jax.jit(jax.vmap(_jax_epoch(job)))

    def train() -> list[Parameters]:
        found = {k: np.asarray(v) for k, v in compiled(first, orders, weights).items()}
        return [{k: v[b] for k, v in found.items()} for b in shown]

    return train

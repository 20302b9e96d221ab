"""The works "a step of training" of one network, and of many side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.bounds import Bound, step_bound
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings

TORCH, JAX = "torch", "JAX"
SEED, RATE = 0, 1e-3
# Of Adam: not its default of 1e-8, with which a gradient that is a rounding error moves a parameter by
# the whole rate, in either direction, and no two libraries agree for long.
EPS = 1e-3
# Euclidean distance of the parameters after all steps, against their size.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Step:
    """One step of stochastic gradient descent within an epoch: dense layers with ReLU between them.

    One output is fitted by squared error, several are classes. With `members`, so many networks are
    trained at once, each on bootstrap weights and in an order of its own; times are for one of them.
    """

    widths: tuple[int, ...]
    batch: int
    steps: int  # of the epoch that is timed
    optimizer: str = "sgd"
    members: int = 0
    rivals_offered: tuple[str, ...] = (JAX, TORCH)

    group = "Training step"

    @property
    def name(self) -> str:
        many = f"-{self.members}" if self.members else ""
        return f"step-{self.optimizer}-{'-'.join(map(str, self.widths))}{many}"

    @property
    def title(self) -> str:
        what = "SGD" if self.optimizer == "sgd" else "Adam"
        many = f", {self.members} networks" if self.members else ""
        return f"{what}, {list(self.widths)}, batch {self.batch}{many}"

    @property
    def rivals(self) -> tuple[str, ...]:
        return self.rivals_offered

    @property
    def classifies(self) -> bool:
        return self.widths[-1] > 1

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(SEED)
        n = self.batch * self.steps
        X = rng.standard_normal((n, self.widths[0]), np.float32)
        if self.classifies:
            return X, rng.integers(0, self.widths[-1], n)
        return X, np.sin(X[:, :2]).sum(axis=1)

    def _network(self) -> Any:
        from fastkb import nn

        layers: list[Any] = []
        for inputs, outputs in itertools.pairwise(self.widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers[:-1], rng=SEED, dtype="float32")

    @property
    def options(self) -> dict[str, Any]:
        from fastkb import nn

        return {
            "loss": "cross_entropy" if self.classifies else "squared_error",
            "optimizer": nn.SGD(lr=RATE) if self.optimizer == "sgd" else nn.Adam(lr=RATE, eps=EPS),
            "epochs": 1,
            "batch_size": self.batch,
        }

    def fastkb(self) -> Contender:
        from fastkb import nn

        (X, y), options, each = self.data, self.options, self.steps * max(1, self.members)
        if self.members:
            network = self._network()

            def train() -> list[dict[str, np.ndarray]]:
                ensemble = nn.bootstrap_fit(
                    network, X, y, n_resamples=self.members, rng=SEED, **options
                )
                return [ensemble.state_dict(b) for b in range(0, self.members, 17)]

            return Contender(FASTKB, train, 1.0 / each)

        def fit() -> list[dict[str, np.ndarray]]:
            return [self._network().fit(X, y, shuffle=False, **options).state_dict()]

        return Contender(FASTKB, fit, 1.0 / each)

    def rival(self, name: str) -> Contender | Absent:
        try:
            call = self._jax() if name == JAX else self._torch()
        except ImportError as error:
            return Absent(name, f"{error.name} is not installed")
        return Contender(name, call, 1.0 / (self.steps * max(1, self.members)))

    @property
    def _linear(self) -> list[str]:
        return [str(2 * k) for k in range(len(self.widths) - 1)]

    def _torch(self) -> Callable[[], Any]:
        import torch

        if self.members:
            raise ValueError(f"{self.name}: torch trains one network")
        first = {k: torch.from_numpy(v) for k, v in self._network().state_dict().items()}
        X, y = (torch.from_numpy(array) for array in self.data)
        y = y if self.classifies else y[:, None]
        loss = torch.nn.CrossEntropyLoss() if self.classifies else torch.nn.MSELoss()
        layers: list[Any] = []
        for inputs, outputs in itertools.pairwise(self.widths):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]

        def train() -> list[dict[str, np.ndarray]]:
            network = torch.nn.Sequential(*layers[:-1])
            network.load_state_dict(first)
            kind = torch.optim.SGD if self.optimizer == "sgd" else torch.optim.Adam
            settings = {} if self.optimizer == "sgd" else {"eps": EPS}
            optimizer = kind(network.parameters(), lr=RATE, **settings)
            for begin in range(0, len(X), self.batch):
                optimizer.zero_grad()
                part = slice(begin, begin + self.batch)
                loss(network(X[part]), y[part]).backward()
                optimizer.step()
            return [{k: v.numpy().copy() for k, v in network.state_dict().items()}]

        return train

    def _jax(self) -> Callable[[], Any]:
        import jax
        import jax.numpy as jnp

        X, y = (jnp.asarray(array) for array in self.data)
        places = self._linear

        def outputs(parameters: Any, x: Any) -> Any:
            for k, place in enumerate(places):
                x = x @ parameters[f"{place}.weight"].T + parameters[f"{place}.bias"]
                x = jnp.maximum(x, 0) if k < len(places) - 1 else x
            return x

        def loss(parameters: Any, x: Any, target: Any, weights: Any) -> Any:
            z = outputs(parameters, x)
            if self.classifies:
                picked = jnp.take_along_axis(z, target[:, None], axis=1)[:, 0]
                each = jax.nn.logsumexp(z, axis=1) - picked
            else:
                each = (z[:, 0] - target) ** 2
            return (weights * each).sum() / weights.sum()

        gradient = jax.grad(loss)

        def adam(parameters: Any, slopes: Any, state: Any, i: Any) -> Any:
            mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state[0], slopes)
            square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state[1], slopes)
            # (1 - 0.999 in float32 would be off by 5e-5.)
            one, two = (-jnp.expm1((i + 1) * math.log(beta)) for beta in (0.9, 0.999))
            moved = jax.tree.map(
                lambda p, m, v: p - RATE / one * m / (jnp.sqrt(v / two) + EPS),
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
                if self.optimizer == "adam":
                    return adam(parameters, slopes, state, i.astype(jnp.float32))
                return jax.tree.map(lambda p, g: p - RATE * g, parameters, slopes), state

            zero = jax.tree.map(jnp.zeros_like, parameters)
            state = (zero, zero) if self.optimizer == "adam" else ()
            return jax.lax.fori_loop(0, self.steps, step, (parameters, state))[0]

        shape = (self.steps, self.batch)
        if not self.members:
            first = {k: jnp.asarray(v) for k, v in self._network().state_dict().items()}
            order = jnp.arange(len(X)).reshape(shape)
            ones = jnp.ones(len(X), jnp.float32)
            compiled = jax.jit(train)
            return lambda: [{k: np.asarray(v) for k, v in compiled(first, order, ones).items()}]
        starts, orders, weights = self._drawn()
        stacked = {k: jnp.asarray(np.stack([s[k] for s in starts])) for k in starts[0]}
        orders = jnp.asarray(orders).reshape(self.members, *shape)
        counts = jnp.asarray(weights)
        compiled = jax.jit(jax.vmap(train))

        def train_all() -> list[dict[str, np.ndarray]]:
            found = {k: np.asarray(v) for k, v in compiled(stacked, orders, counts).items()}
            return [{k: v[b] for k, v in found.items()} for b in range(0, self.members, 17)]

        return train_all

    def _drawn(self) -> tuple[list[dict[str, np.ndarray]], np.ndarray, np.ndarray]:
        """The members' first parameters, orders and weights, as fastkb draws them."""
        from fastkb.nn.engine import Engine
        from fastkb.nn.fitting import derived_key, orders
        from fastkb.random.streams import bootstrap_counts, key_from_rng

        key, n = key_from_rng(SEED), self.batch * self.steps
        engine = Engine(self._network().layers, np.dtype(np.float32))
        parameters = engine.empty_state(self.members, False, False).parameters
        for b in range(self.members):
            engine.initialize(key, b + 1, parameters[b])
        starts = [engine.take(member) for member in parameters]
        weights = bootstrap_counts(derived_key(key, 2), 0, self.members, n).astype(np.float32)
        return starts, orders(key, 0, 1, self.members, n), weights

    def disagreement(self, ours: Any, theirs: Any) -> float:
        worst = 0.0
        for one, other in zip(ours, theirs, strict=True):
            for name, values in one.items():
                distance = np.linalg.norm(values - other[name]) / np.linalg.norm(values)
                worst = max(worst, float(distance))
        return worst / TOLERANCE

    def facts(self, ours: Any) -> None:
        return None

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        return step_bound(self.widths, self.batch, ceilings.flop_rate("float32", "gemm"))

"""The works "a step of training" of one network, and of many side by side."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import trainers
from bench.bounds import Bound, step_bound
from bench.rivals import Call
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings

TORCH, COMPILED, JAX = "torch", "torch.compile", "JAX"
SEED, RATE = 0, 1e-3
# Of Adam: not its default of 1e-8, with which a gradient that is a rounding error moves a parameter by
# the whole rate, in either direction, and no two libraries agree for long.
EPS = 1e-3
# Euclidean distance of the parameters after all steps, against their size.
TOLERANCE = 1e-3
COMPARED = 17  # every so many members of an ensemble


def offered(name: str, make: Callable[[], Call], scale: float) -> Contender | Absent:
    """A rival whose call is made now, or the reason why it cannot run here."""
    try:
        if name == COMPILED and (reason := trainers.why_not_compiled()):
            return Absent(name, reason)
        return Contender(name, make(), scale)
    except ImportError as error:
        return Absent(name, f"{error.name} is not installed")


def farthest(ours: list[trainers.Parameters], theirs: list[trainers.Parameters]) -> float:
    """The largest Euclidean distance of two arrays of one name, against the size of ours."""
    worst = 0.0
    for one, other in zip(ours, theirs, strict=True):
        for name, values in one.items():
            distance = float(np.linalg.norm(values - other[name]) / np.linalg.norm(values))
            worst = max(worst, distance if distance < np.inf else np.inf)  # NaN too
    return worst


@dataclass(frozen=True)
class Step:
    """One step of stochastic gradient descent among many: dense layers with ReLU between them.

    One output is fitted by squared error, several are classes. With `members`, so many networks are
    trained at once, each on bootstrap weights and in an order of its own; times are for one of them.
    """

    widths: tuple[int, ...]
    batch: int
    steps: int  # of an epoch
    optimizer: str = "sgd"
    members: int = 0
    epochs: int = 1  # that are timed together
    rivals_offered: tuple[str, ...] = (JAX, TORCH, COMPILED)

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
            "epochs": self.epochs,
            "batch_size": self.batch,
        }

    @property
    def _scale(self) -> float:
        return 1.0 / (self.steps * self.epochs * max(1, self.members))

    @property
    def _compared(self) -> range:
        return range(0, self.members, COMPARED)

    def fastkb(self) -> Contender:
        from fastkb import nn

        (X, y), options = self.data, self.options
        if self.members:
            network = self._network()

            def train() -> list[trainers.Parameters]:
                ensemble = nn.bootstrap_fit(
                    network, X, y, n_resamples=self.members, rng=SEED, **options
                )
                return [ensemble.state_dict(b) for b in self._compared]

            return Contender(FASTKB, train, self._scale)

        first, layers = self._network().state_dict(), self._network().layers

        def fit() -> list[trainers.Parameters]:
            network = nn.Sequential(*layers)
            network.load_state_dict(first)
            return [network.fit(X, y, shuffle=False, **options).state_dict()]

        return Contender(FASTKB, fit, self._scale)

    def rival(self, name: str) -> Contender | Absent:
        if self.members and name != JAX:
            raise ValueError(f"{self.name}: {name} trains one network")
        return offered(name, lambda: self._trainer(name), self._scale)

    def _trainer(self, name: str) -> Any:
        X, y = self.data
        job = trainers.Training(
            self.widths,
            X,
            y,
            self.batch,
            self.epochs,
            adam=self.optimizer == "adam",
            rate=RATE,
            eps=EPS,
            first=self._network().state_dict(),
        )
        if self.members:
            return trainers.jax_many(job, self._drawn(), self._compared)
        make = {
            JAX: trainers.jax_one,
            TORCH: trainers.torch_eager,
            COMPILED: trainers.torch_compiled,
        }
        return make[name](job)

    def _drawn(self) -> trainers.Drawn:
        """The members' first parameters, orders and weights, as fastkb draws them."""
        from fastkb.nn.program.engine import Engine
        from fastkb.nn.training.fitting import derived_key, orders
        from fastkb.random.streams import bootstrap_counts, key_from_rng

        key, n = key_from_rng(SEED), self.batch * self.steps
        engine = Engine(self._network().layers, np.dtype(np.float32))
        parameters = engine.empty_state(self.members, False, False).parameters
        for b in range(self.members):
            engine.initialize(key, b + 1, parameters[b])
        starts = [engine.take(member) for member in parameters]
        weights = bootstrap_counts(derived_key(key, 2), 0, self.members, n).astype(np.float32)
        order = orders(key, 0, self.epochs, 1, self.members, n).reshape(self.members, -1)
        return trainers.Drawn(starts, order, weights)

    def disagreement(self, ours: Any, theirs: Any) -> float:
        return farthest(ours, theirs) / TOLERANCE

    def facts(self, ours: Any) -> None:
        return None

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        return step_bound(self.widths, self.batch, ceilings.flop_rate("float32", "gemm"))

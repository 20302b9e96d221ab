"""The works "a step of training" and "outputs" of networks of images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import image_trainers
from bench.architectures import Architecture
from bench.bounds import Bound, layers_forward_bound, layers_step_bound
from bench.network import COMPILED, JAX, SEED, TOLERANCE, TORCH, farthest, offered
from bench.trainers import Parameters
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings

# Forty such steps move the last layer's bias by fifty tolerances. Where two of a pooling's four values
# are nearly the same, rounding decides which one gets the gradient; with five times the rate, one such
# case among the first steps grows to more than a tolerance within forty, whoever trains.
RATE = 0.01


def drawn(architecture: Architecture, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of normal noise, and classes.  # shape: (n, channels, height, width), (n,)"""
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal((n, *architecture.shape), np.float32)
    return X, rng.integers(0, architecture.classes, n)


@dataclass(frozen=True)
class ImageStep:
    """One step of stochastic gradient descent among many, by cross-entropy, float32."""

    architecture: Architecture
    batch: int
    steps: int  # of the one epoch

    group = "Network of images"

    @property
    def rivals(self) -> tuple[str, ...]:
        return self.architecture.rivals

    @property
    def name(self) -> str:
        return f"image-step-{self.architecture.name}-{self.batch}"

    @property
    def title(self) -> str:
        return f"SGD step, {self.architecture.title}, batch {self.batch}"

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        return drawn(self.architecture, self.batch * self.steps)

    @cached_property
    def first(self) -> Parameters:
        """The parameters that all start from."""
        return self.architecture.fastkb(SEED).state_dict()

    def fastkb(self) -> Contender:
        from fastkb import nn

        X, y = self.data
        first, layers = self.first, self.architecture.fastkb(SEED).layers

        def fit() -> list[Parameters]:
            network = nn.Sequential(*layers)
            network.load_state_dict(first)
            network.fit(
                X,
                y,
                loss="cross_entropy",
                optimizer=nn.SGD(lr=RATE),
                epochs=1,
                batch_size=self.batch,
                shuffle=False,
            )
            return [network.state_dict()]

        return Contender(FASTKB, fit, 1.0 / self.steps)

    def rival(self, name: str) -> Contender | Absent:
        make = {
            JAX: image_trainers.jax_one,
            TORCH: image_trainers.torch_eager,
            COMPILED: image_trainers.torch_compiled,
        }[name]
        job = image_trainers.Training(self.architecture, *self.data, self.batch, RATE, self.first)
        return offered(name, lambda: make(job), 1.0 / self.steps)

    def disagreement(self, ours: Any, theirs: Any) -> float:
        # Biases of normalised values begin at zero, and what they have moved by is of the size of
        # rounding errors: they are compared with what the first parameters are of.
        (mine,), (other,) = ours, theirs
        near = {name for name, value in self.first.items() if not value.any()}
        rest = farthest([_without(mine, near)], [_without(other, near)])
        moved = max((float(np.abs(mine[name] - other[name]).max()) for name in near), default=0.0)
        return max(rest, moved) / TOLERANCE

    def facts(self, ours: Any) -> None:
        return None

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        products = self.architecture.multiply_adds
        return layers_step_bound(products, self.batch, ceilings.flop_rate("float32", "gemm"))


def _without(parameters: Parameters, names: set[str]) -> Parameters:
    return {name: value for name, value in parameters.items() if name not in names}


@dataclass(frozen=True)
class ImageForward:
    """The outputs for a batch of images, float32, with the same parameters for everybody."""

    architecture: Architecture
    batch: int

    group = ImageStep.group

    @property
    def rivals(self) -> tuple[str, ...]:
        return self.architecture.rivals

    @property
    def name(self) -> str:
        return f"image-forward-{self.architecture.name}-{self.batch}"

    @property
    def title(self) -> str:
        return f"outputs, {self.architecture.title}, batch {self.batch}"

    @cached_property
    def _network(self) -> Any:
        return self.architecture.fastkb(SEED)

    @cached_property
    def _images(self) -> np.ndarray:
        return drawn(self.architecture, self.batch)[0]

    def fastkb(self) -> Contender:
        network, X = self._network, self._images
        return Contender(FASTKB, lambda: network.forward(X))

    def rival(self, name: str) -> Contender | Absent:
        make = {
            JAX: image_trainers.jax_outputs,
            TORCH: image_trainers.torch_outputs,
            COMPILED: image_trainers.compiled_outputs,
        }[name]
        parameters = self._network.state_dict()
        given = image_trainers.Given(self.architecture, self._images, parameters)
        return offered(name, lambda: make(given), 1.0)

    def disagreement(self, ours: Any, theirs: Any) -> float:
        return farthest([{"outputs": ours}], [{"outputs": theirs}]) / TOLERANCE

    def facts(self, ours: Any) -> None:
        return None

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        products = self.architecture.multiply_adds
        return layers_forward_bound(products, self.batch, ceilings.flop_rate("float32", "gemm"))


@dataclass(frozen=True)
class RecordedStep(ImageStep):
    """A step of the loop that users write: a module's call, the loss, backward, the optimiser's step."""

    @property
    def rivals(self) -> tuple[str, ...]:
        return (TORCH,)

    @property
    def name(self) -> str:
        return f"image-loop-{self.architecture.name}-{self.batch}"

    @property
    def title(self) -> str:
        return f"step of a loop in Python, {self.architecture.title}, batch {self.batch}"

    def fastkb(self) -> Contender:
        from fastkb import nn, optim

        X, y = self.data
        network = nn.Sequential(*self.architecture.fastkb(SEED).layers)
        criterion = nn.CrossEntropyLoss()

        def train() -> list[Parameters]:
            network.load_state_dict(self.first)
            optimizer = optim.SGD(network.parameters(), lr=RATE)
            for begin in range(0, len(X), self.batch):
                part = slice(begin, begin + self.batch)
                optimizer.zero_grad()
                criterion(network(X[part]), y[part]).backward()
                optimizer.step()
            return [network.state_dict()]

        return Contender(FASTKB, train, 1.0 / self.steps)

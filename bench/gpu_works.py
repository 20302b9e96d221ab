"""The works of ``python -m bench gpu``: what each needs, its check against the CPU, and its rivals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastkb.gram.products import product
from fastkb.runtime import cuda as runtime

Call = Callable[[], Any]
Makers = dict[str, Callable[[], Call]]


class Needs(NamedTuple):
    """What a work cannot do without."""

    bytes: float = 0.0  # read or written in device memory
    gathers: float = 0.0
    multiply_adds: float = 0.0


class GpuWork(Protocol):
    """One row."""

    @property
    def name(self) -> str:
        """Short and unique."""

    @property
    def title(self) -> str:
        """What is computed, in words."""

    @property
    def needs(self) -> Needs:
        """Of the whole work."""

    def disagreement(self) -> float:
        """Of a small case and the CPU's result, in tolerances: at most 1 is agreement."""

    def fastkb(self) -> Call:
        """Fastkb's way, with its data on the device."""

    def rivals(self) -> Makers:
        """By name; a maker raises ImportError where its library is missing."""


def drawn(n: int, d: int, dtype: str, seed: int = 0) -> np.ndarray:
    """Rows of normal noise.  # shape: (n, d)"""
    return np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)


def farthest(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> float:
    """The largest difference, in tolerances; NaN is infinitely far."""
    worst = float(np.abs(ours - theirs).max()) / tolerance
    return worst if worst < np.inf else np.inf


@dataclass(frozen=True)
class RbfGram:
    """The RBF kernel's Gram matrix of n rows with themselves."""

    n: int
    d: int
    dtype: str = "float32"
    small: int = 300  # rows of the check: some tiles, and parts of tiles

    @property
    def name(self) -> str:
        return f"gpu-rbf-n{self.n}-d{self.d}-{self.dtype}"

    @property
    def title(self) -> str:
        return f"RBF Gram matrix, n = {self.n:,}, d = {self.d}, {self.dtype}"

    @property
    def gamma(self) -> float:
        return 0.5 / self.d

    @property
    def needs(self) -> Needs:
        size = np.dtype(self.dtype).itemsize
        # Differences: a subtraction and a multiply-add for each column, of half of the tiles.
        sums = self.n**2 / 2 * self.d * 2
        return Needs(bytes=float(size * self.n**2), multiply_adds=sums * (size // 4))

    def disagreement(self) -> float:
        import fastkb

        X = drawn(self.small, min(self.d, 40), self.dtype)
        found = fastkb.rbf_kernel(runtime.load().to_device(X), gamma=self.gamma).copy_to_host()
        eps = float(np.finfo(self.dtype).eps)
        # Roundings of a sum over the columns, and those of exp.
        return farthest(found, fastkb.rbf_kernel(X, gamma=self.gamma), (4 + X.shape[1]) * eps)

    def fastkb(self) -> Call:
        import fastkb

        X = runtime.load().to_device(drawn(self.n, self.d, self.dtype))
        return lambda: fastkb.rbf_kernel(X, gamma=self.gamma)

    def rivals(self) -> Makers:
        return {"torch": self._torch, "CuPy": self._cupy, "JAX": self._jax}

    def _torch(self) -> Call:
        import torch

        X = torch.from_numpy(drawn(self.n, self.d, self.dtype)).cuda()

        def gram() -> Any:
            squares = (X * X).sum(1)
            K = torch.addmm(squares[:, None] + squares, X, X.T, alpha=-2.0)
            return K.clamp_(min=0.0).mul_(-self.gamma).exp_()

        return gram

    def _cupy(self) -> Call:
        import cupy

        X = cupy.asarray(drawn(self.n, self.d, self.dtype))
        finish = cupy.ElementwiseKernel(
            "T a, T b, T gamma", "T k", "k = exp(-gamma * max(a + b - 2 * k, (T)0))", "rbf"
        )

        def gram() -> Any:
            squares = (X * X).sum(1)
            K = X @ X.T
            return finish(squares[:, None], squares, X.dtype.type(self.gamma), K)

        return gram

    def _jax(self) -> Call:
        import jax
        import jax.numpy as jnp

        X = jnp.asarray(drawn(self.n, self.d, self.dtype))

        @jax.jit
        def gram(X: Any) -> Any:
            squares = (X * X).sum(1)
            distances = squares[:, None] + squares - 2.0 * X @ X.T
            return jnp.exp(-self.gamma * jnp.maximum(distances, 0.0))

        return lambda: gram(X).block_until_ready()


@dataclass(frozen=True)
class RbfProduct:
    """The RBF kernel of n rows with themselves, times one column of coefficients."""

    n: int
    d: int
    dtype: str = "float32"
    small: int = 300

    @property
    def name(self) -> str:
        return f"gpu-product-n{self.n}-d{self.d}-{self.dtype}"

    @property
    def title(self) -> str:
        return f"RBF kernel times coefficients, n = {self.n:,}, d = {self.d}, {self.dtype}"

    @property
    def gamma(self) -> float:
        return 0.5 / self.d

    @property
    def needs(self) -> Needs:
        # Of a pair: a subtraction and a multiply-add for each column, exp as eight, and the sum.
        size = np.dtype(self.dtype).itemsize // 4
        return Needs(multiply_adds=float(self.n) ** 2 * (2 * self.d + 9) * size)

    def _data(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        return drawn(n, self.d, self.dtype), drawn(n, 1, self.dtype, seed=1)

    def disagreement(self) -> float:
        import fastkb

        X, c = self._data(self.small)
        there = runtime.load().to_device
        found = product("rbf", there(X), there(X), there(c), {"gamma": self.gamma})
        expected = fastkb.rbf_kernel(X, gamma=self.gamma).astype(float) @ c
        size = float(np.abs(c).sum()) * float(np.finfo(self.dtype).eps)
        return farthest(found.copy_to_host(), expected, (8 + self.d) * size)

    def fastkb(self) -> Call:
        X, c = map(runtime.load().to_device, self._data(self.n))
        return lambda: product("rbf", X, X, c, {"gamma": self.gamma})

    def rivals(self) -> Makers:
        return {"torch, in chunks": self._torch}

    def _torch(self) -> Call:
        import torch

        X, c = (torch.from_numpy(array).cuda() for array in self._data(self.n))

        def in_chunks() -> Any:
            return torch.cat(
                [torch.cdist(x, X).square_().mul_(-self.gamma).exp_() @ c for x in X.split(4096)]
            )

        return in_chunks


@dataclass(frozen=True)
class DeviceInterval:
    """A bootstrap distribution of one sample, whole rows, by NumPy's own indices."""

    statistic: str
    n: int
    n_resamples: int
    method: str = "percentile"
    small: int = 40

    @property
    def name(self) -> str:
        return f"gpu-ci-{self.statistic}-n{self.n}-{self.method.lower()}"

    @property
    def title(self) -> str:
        return (
            f"bootstrap of the {self.statistic}, {self.method}, n = {self.n:,}, "
            f"B = {self.n_resamples:,}, float32"
        )

    @property
    def needs(self) -> Needs:
        return Needs(gathers=float(self.n) * self.n_resamples)

    def _interval(self, n: int, n_resamples: int, device: str | None) -> Any:
        import fastkb

        x = drawn(n, 1, "float32")[:, 0]
        return fastkb.bootstrap(
            (x,), getattr(np, self.statistic), n_resamples=n_resamples, method=self.method, rng=0,
            device=device,
        )  # fmt: skip

    def disagreement(self) -> float:
        ours, theirs = (self._interval(self.small, 20, device) for device in ("cuda", None))
        found, expected = ours.bootstrap_distribution, theirs.bootstrap_distribution
        return farthest(found, expected, self.small * float(np.finfo(np.float32).eps))

    def fastkb(self) -> Call:
        return lambda: self._interval(self.n, self.n_resamples, "cuda")

    def rivals(self) -> Makers:
        return {
            "fastkb on all cores": lambda: lambda: self._interval(self.n, self.n_resamples, None)
        }


WORKS: tuple[GpuWork, ...] = (
    RbfGram(30_000, 10),
    DeviceInterval("mean", 1_000_000, 10_000),
    DeviceInterval("median", 100_000, 10_000),
    DeviceInterval("mean", 100_000, 10_000, "BCa"),
    RbfProduct(100_000, 3),
    RbfGram(30_000, 128),
    RbfGram(20_000, 10, "float64"),
)


def small() -> list[GpuWork]:
    """One of each kind, of a few rows: for the simulator."""
    return [
        RbfGram(20, 3, small=20),
        RbfGram(20, 3, "float64", small=20),
        RbfProduct(20, 3, small=20),
        DeviceInterval("mean", 20, 3, small=20),
        DeviceInterval("median", 20, 3, small=20),
    ]

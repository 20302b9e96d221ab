"""Batch normalisation: values centred and scaled by their mean and variance over a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastkb.checks.scalars import check_flag, check_number, check_whole
from fastkb.nn.ops.images.sizes import image_shape
from fastkb.nn.ops.normalization.batch_rules import BATCH_NORM, BATCH_NORM_BY_RUNNING, KEPT, SHARED
from fastkb.nn.ops.operation import Layer, Row, Shape, shown
from fastkb.nn.ops.storage import BIAS, WEIGHT

MEAN, VARIANCE, BATCHES = "running_mean", "running_var", "num_batches_tracked"


class _BatchNorm(Layer):
    """What both kinds have in common."""

    needs_a_batch: ClassVar[bool] = True

    num_features: int
    eps: float
    momentum: float | None
    affine: bool

    def __post_init__(self) -> None:
        self._set("num_features", check_whole("num_features", self.num_features, 1))
        self._set("eps", check_number("eps", self.eps, 0.0))
        if self.momentum is not None:
            self._set("momentum", check_number("momentum", self.momentum, 0.0, 1.0))
        self._set("affine", check_flag("affine", self.affine))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        shape = (self.num_features,)
        return {WEIGHT: shape, BIAS: shape} if self.affine else {}

    def buffers(self) -> dict[str, tuple[int, ...]]:
        return {MEAN: (self.num_features,), VARIANCE: (self.num_features,), BATCHES: ()}

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        ones = np.ones(self.num_features)
        drawn = {WEIGHT: ones, BIAS: 0.0 * ones} if self.affine else {}
        return drawn | {MEAN: 0.0 * ones, VARIANCE: ones, BATCHES: np.zeros(())}

    def evaluated(self) -> Layer:
        return _ByRunning(self)

    def check_batch(self, shape: tuple[int, ...], observations: int) -> None:
        if observations * math.prod(shape) // self.num_features < 2:
            raise ValueError(
                f"gets one value per channel in a batch of {observations}, which has no variance: take "
                "another batch_size"
            )

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        size = math.prod(shape)
        momentum = -1.0 if self.momentum is None else self.momentum
        return [
            Row(
                BATCH_NORM,
                (read,),
                size,
                self.shapes(),
                numbers=(self.eps, momentum),
                window=(self.num_features, size // self.num_features),
                buffers=self.buffers(),
                kept=KEPT * self.num_features,
                shared=SHARED * self.num_features,
                work=size,
            )
        ]


class _ByRunning(Layer):
    """Batch normalisation where nothing is trained: by the running statistics."""

    def __init__(self, layer: _BatchNorm) -> None:
        self.layer = layer

    def __repr__(self) -> str:
        return repr(self.layer)

    @property
    def takes(self) -> Shape:
        return self.layer.takes

    @property
    def smallest(self) -> tuple[int, ...]:
        return self.layer.smallest

    def shape_of(self, shape: Shape) -> Shape:
        return self.layer.shape_of(shape)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.layer.shapes()

    def buffers(self) -> dict[str, tuple[int, ...]]:
        return self.layer.buffers()

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        rows = self.layer.rows(read, shape, following)
        return [row._replace(operation=BATCH_NORM_BY_RUNNING, shared=0) for row in rows]


@dataclass(frozen=True)
class BatchNorm2d(_BatchNorm):
    r"""Batch normalisation of images, channel by channel.

    .. math:: y = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}}\, \gamma + \beta

    In training μ and σ² are mean and variance over the batch and over all positions, and running ones
    follow them; elsewhere the running ones serve.

    Parameters
    ----------
    num_features : int
        Channels.
    eps : float, default 1e-5
        ε.
    momentum : float or None, default 0.1
        Share of a batch in the running statistics; None: their plain mean over all batches.
    affine : bool, default True
        Whether there are γ and β, ``"weight"`` and ``"bias"``; else they are 1 and 0.

    References
    ----------
    Ioffe, Szegedy (2015), ICML.

    Examples
    --------
    >>> from fastkb import nn
    >>> sorted(nn.Sequential(nn.BatchNorm2d(4), rng=0).state_dict())[:3]
    ['0.bias', '0.num_batches_tracked', '0.running_mean']
    """

    num_features: int
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True

    @property
    def takes(self) -> Shape:
        return self.num_features, None, None

    @property
    def smallest(self) -> tuple[int, ...]:
        return self.num_features, 1, 1

    def shape_of(self, shape: Shape) -> Shape:
        return image_shape(shape, self.num_features)


@dataclass(frozen=True)
class BatchNorm1d(_BatchNorm):
    """Batch normalisation of values that are no images: of each column, or of each channel of sequences.

    Parameters
    ----------
    num_features : int
        Columns, or channels of sequences of shape (channels, length).
    eps, momentum, affine
        As for :class:`BatchNorm2d`.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.BatchNorm1d(64).shape_of((64,))
    (64,)
    >>> nn.BatchNorm1d(64).shape_of((64, 100))
    (64, 100)
    """

    num_features: int
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True

    @property
    def widths(self) -> tuple[int, int]:
        return self.num_features, self.num_features

    @property
    def takes(self) -> Shape:
        return None

    def shape_of(self, shape: Shape) -> Shape:
        if shape is None:
            return None
        if len(shape) == 2:
            return image_shape(shape, self.num_features, 1)
        if len(shape) > 2:
            raise ValueError(
                f"takes {self.num_features} inputs, or sequences of as many channels, and gets shape "
                f"{shown(shape)}"
            )
        return super().shape_of(shape)

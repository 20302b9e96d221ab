"""Sequential networks: layers one behind the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast, overload

import numpy as np

from fastkb.nn.checks import check_layers
from fastkb.nn.files import Saved
from fastkb.nn.ops.graph import Network as Layers
from fastkb.nn.ops.graph import input_shape, output_shape
from fastkb.nn.recording.lists import Listed
from fastkb.nn.recording.module import Composite, Module, as_layer
from fastkb.nn.recording.tensor import Tensor


class Sequential(Listed):
    """Layers, one behind the other; trained in compiled code, to the same bits on any number of threads.

    Parameters
    ----------
    *layers : layer or Module
        Layers of :mod:`fastkb.nn`, each of which takes what the one before it gives.
    rng : None, int, numpy.random.SeedSequence or numpy.random.Generator, default None
        Seed of the first weights and of what training draws; None: :meth:`fit`'s seed.
    dtype : {"float32", "float64"}, optional
        Of the parameters and of all that is computed. None: that of the first data or parameters;
        what is not float32 is float64.

    Attributes
    ----------
    history : dict of str to list
        One entry for each epoch: ``loss`` (mean over its steps, the penalty included), ``learning_rate``,
        and ``validation_loss`` if there was validation.

    Raises
    ------
    TypeError, ValueError
        For things that are no layers, or do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> y = np.array([0.0, 1.0, 1.0, 0.0])  # exclusive or: no single node can do it
    >>> net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), rng=0)
    >>> net = net.fit(
    ...     X, y, loss="binary_cross_entropy", optimizer=nn.Adam(lr=0.05), epochs=200, batch_size=4
    ... )
    >>> (net.forward(X)[:, 0] > 0).tolist()
    [False, True, True, False]
    """

    layers: tuple[Any, ...]
    _holds = False

    def __init__(self, *layers: Any, rng: Any = None, dtype: Any = None) -> None:
        given = [as_layer(layer) for layer in layers]
        check_layers(given)
        super().__init__(rng=rng, dtype=dtype)
        self.layers = tuple(given)
        if any(isinstance(layer, Composite) for layer in given):
            self._modules  # noqa: B018  (they are parts of this from now on)

    @property
    def _modules(self) -> dict[str, Any]:  # type: ignore[override]
        """The layers with their parameters, put together when they are asked for first."""
        found: dict[str, Any] | None = vars(self).get("_bound")
        if found is None:
            found = vars(self)["_bound"] = {}
            for place, layer in enumerate(self.layers):
                part = found[str(place)] = self._as_part(str(place), layer)
                if isinstance(part, Module):
                    self._take_over(part)
        return found

    def __repr__(self) -> str:
        return super().__repr__() if self.layers else "Sequential(\n)"

    @property
    def in_features(self) -> int | None:
        """Columns of the inputs; None for a network of images."""
        shape = input_shape(self.layers)
        return shape[0] if len(shape) == 1 else None

    @property
    def out_features(self) -> int | None:
        """Columns of the outputs; None where the size of images tells it."""
        shape = output_shape(self.layers)
        return shape[0] if shape is not None and len(shape) == 1 else None

    @property
    def _graph(self) -> Layers:
        self._check_whole()
        return self.layers

    def _architecture(self) -> Any:
        composite = any(isinstance(layer, Composite) for layer in self.layers)
        return super()._architecture() if composite else self.layers

    def _blank(self, dtype: np.dtype) -> Any:
        if any(isinstance(layer, Composite) for layer in self.layers):
            return super()._blank(dtype)
        return Sequential(*self.layers, dtype=dtype)

    @overload
    def forward(self, X: Tensor) -> Tensor: ...

    @overload
    def forward(self, X: Any) -> np.ndarray: ...

    def forward(self, X: Any) -> Any:
        """The outputs: logits, where the loss is a cross-entropy.

        Parameters
        ----------
        X : array_like of shape (n, in_features), or Tensor

        Returns
        -------
        ndarray of shape (n, out_features)
            Or a Tensor, which records, as a call of the network gives it for arrays, too.

        Raises
        ------
        ValueError
            For inputs of another width, NaN or infinity.
        """
        if not isinstance(X, Tensor):
            return self.predict(X)
        for module in self:
            X = module(X)
        return X

    def _described(self) -> Layers:
        composite = any(isinstance(layer, Composite) for layer in self.layers)
        return Composite(self) if composite else self.layers

    def _restore(self, saved: Saved) -> None:
        if "layers" not in vars(self):
            super().__init__()
            self.layers = tuple(cast("Sequence[Any]", saved.layers))
        super()._restore(saved)

"""Sequential networks: PyTorch's names for layers, shapes and state; NumPy in, NumPy out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from fastkb.checks.choices import check_choice
from fastkb.checks.requests import check_rng
from fastkb.checks.scalars import check_number, check_progress
from fastkb.nn.checks import (
    LOSSES,
    as_parameter,
    check_dtype,
    check_layers,
    check_state,
    check_trainable,
    check_training,
)
from fastkb.nn.files import Saved, parameter_shapes, put_arrays, take_arrays, write
from fastkb.nn.observations import check_batches, check_inputs, check_observations, check_validation
from fastkb.nn.ops.graph import input_shape, output_shape
from fastkb.nn.ops.normalization import BATCHES
from fastkb.nn.optim.optimizers import SGD, find_optimizer
from fastkb.nn.program.engine import Engine
from fastkb.nn.program.step import State
from fastkb.nn.program.store import Store
from fastkb.nn.training.fitting import Fit, Pace, Progress, fit
from fastkb.random.streams import key_from_rng
from fastkb.runtime.progress import ProgressLike

_DEFAULT = SGD()
_KEPT = 4  # programs, of the last shapes of inputs


class Sequential:
    """Layers, one behind the other; trained in compiled code, to the same bits on any number of threads.

    Parameters
    ----------
    *layers : layer
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

    def __init__(self, *layers: Any, rng: Any = None, dtype: Any = None) -> None:
        check_layers(layers)
        self.layers = tuple(layers)
        self.history: dict[str, list[float]] = {"loss": [], "learning_rate": []}
        self._progress = Progress()
        self._store: Store | None = None
        self._state: State | None = None
        # Of each shape of inputs that was met, the last ones.
        self._engines: dict[tuple[int, ...], Engine] = {}
        # The seeds of the first weights, where one is given here, and of the training.
        self._first = self._key = None if rng is None else key_from_rng(check_rng(rng))
        if dtype is not None:
            dtype = check_dtype(dtype)
        self._dtype: np.dtype | None = dtype

    def __repr__(self) -> str:
        inner = "".join(f"\n  ({place}): {layer}" for place, layer in enumerate(self.layers))
        return f"Sequential({inner}\n)"

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
    def dtype(self) -> np.dtype | None:
        """Of the parameters; None as long as there are none."""
        return self._dtype

    def _ready(self, dtype: np.dtype, *, draw: bool = True) -> tuple[Store, State, np.ndarray]:
        """Store, state and seed; parameters are drawn if there are none yet (or zero)."""
        if self._key is None:
            self._key = key_from_rng(None)
        if self._store is None or self._state is None:
            # Stored together, after all that can fail for lack of memory.
            store = self._new_store(np.dtype(self._dtype or dtype))
            state = store.empty_state(1, False, False)
            if draw:
                first = self._key if self._first is None else self._first
                store.initialize(first, 0, state.parameters[0])
            self._dtype, self._store, self._state = store.dtype, store, state
        return self._store, self._state, self._key

    def _new_store(self, dtype: np.dtype) -> Store:
        """An engine at once, where the layers know the shape of the inputs."""
        shape: Any = input_shape(self.layers)
        if not shape or None in shape:
            return Store(self.layers, dtype)
        return self._engines.setdefault(shape, Engine(self.layers, dtype))

    def _ready_for(self, inputs: np.ndarray) -> tuple[Engine, State, np.ndarray]:
        """Engine for inputs like these, state and seed."""
        _, state, key = self._ready(inputs.dtype)
        shape = inputs.shape[1:]
        engine = self._engines.pop(shape, None)
        if engine is None:
            engine = Engine(self.layers, inputs.dtype, shape)
        self._engines = dict([*self._engines.items(), (shape, engine)][-_KEPT:])
        return engine, state, key

    def forward(self, X: Any) -> np.ndarray:
        """The outputs: logits, where the loss is a cross-entropy.

        Parameters
        ----------
        X : array_like of shape (n, in_features)

        Returns
        -------
        ndarray of shape (n, out_features)

        Raises
        ------
        ValueError
            For inputs of another width, NaN or infinity.
        """
        inputs = check_inputs(X, self.layers, self._dtype)
        engine, state, _ = self._ready_for(inputs)
        outputs = engine.forward(state.parameters[0], inputs)
        return outputs.reshape(len(inputs), *engine.output_shape)

    __call__ = forward

    def loss_and_gradients(
        self,
        X: Any,
        y: Any,
        *,
        loss: str = "squared_error",
        sample_weight: Any = None,
        l2: float = 0.0,
    ) -> tuple[float, dict[str, np.ndarray]]:
        r"""The loss of all observations and its gradients, by backpropagation.

        .. math:: L = \frac{\sum_i w_i\, \ell(f(x_i), y_i)}{\sum_i w_i} + \frac{l_2}{2} \|W\|^2

        Parameters
        ----------
        X : array_like of shape (n, in_features)
        y : array_like
            Targets of shape (n, out_features), or (n,) for one output; for ``"cross_entropy"`` labels
            from 0 to out_features - 1 of shape (n,).
        loss : {"squared_error", "half_squared_error", "binary_cross_entropy", "cross_entropy"}
            The mean over observations, and for all but the last over outputs, of (f - y)², half of that,
            or the negative logarithm of the likelihood, of which f are the logits.
        sample_weight : array_like of shape (n,), optional
        l2 : float, default 0.0
            Penalty of the weights; intercepts have none.

        Returns
        -------
        loss : float
        gradients : dict of str to ndarray
            By the names and in the shapes of :meth:`state_dict`.

        Raises
        ------
        TypeError, ValueError
            For data that do not fit the network or the loss.
        """
        check_choice("loss", loss, LOSSES)
        l2 = check_number("l2", l2, 0.0)
        check_trainable(self.layers)
        data = check_observations(X, y, sample_weight, self.layers, loss, self._dtype)
        engine, state, _ = self._ready_for(data.inputs)
        value, gradients = engine.loss_and_gradients(state.parameters[0], data, loss, l2)
        return value, engine.take(gradients)

    def state_dict(self) -> dict[str, np.ndarray]:
        """The parameters by PyTorch's names and in its shapes: copies.

        Returns
        -------
        dict of str to ndarray
            ``"0.weight"`` of shape (out_features, in_features) and ``"0.bias"`` of shape (out_features,)
            for a Linear layer at place 0, and so on.
        """
        store, state, _ = self._ready(np.dtype(np.float64))
        found = store.take(state.parameters[0])
        return {k: v.astype(np.int64) if k.endswith(BATCHES) else v for k, v in found.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over parameters, of this package or of PyTorch.

        Parameters
        ----------
        state_dict : mapping of str to array_like
            With the names and shapes of :meth:`state_dict`. Tensors on the CPU will do, of any real type.

        Raises
        ------
        ValueError
            If one is missing, unknown, of another shape or not finite. Nothing is changed then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"state_dict must map names to arrays, got {type(state_dict).__name__}")
        arrays = {name: as_parameter(name, value) for name, value in state_dict.items()}
        kinds = {v.dtype for k, v in arrays.items() if not str(k).endswith(BATCHES)}
        dtype = self._dtype or np.dtype("f4" if kinds <= {np.dtype("f4")} else "f8")
        check_state(arrays, parameter_shapes(self.layers, buffers=True), dtype)
        store, state, _ = self._ready(dtype, draw=False)
        for name, array in arrays.items():
            store.put(name, array, state.parameters[0])

    def save(self, path: Any) -> None:
        """Write the network to a file, from which :func:`fastkb.nn.load` makes one that trains on.

        Parameters
        ----------
        path : str or os.PathLike
            Ends in ``.npz``, or in ``.safetensors`` (needs ``pip install 'fastkb[safetensors]'``). A file
            that is there is replaced, as a whole or not at all.

        Raises
        ------
        TypeError, ValueError
            For another suffix; for layers, optimisers or schedules that are not :mod:`fastkb.nn`'s own.
        OSError, ImportError
            If the file cannot be written, or safetensors is missing.

        Notes
        -----
        The file holds what :meth:`fit` resumes from, but for its arguments and data. Nothing is executed.

        Parameters stand under the names of :meth:`state_dict`, and the optimiser's state under names
        with a slash. So PyTorch takes the parameters of a ``.safetensors`` file by ::

            module.load_state_dict({k: v for k, v in load_file(path).items() if "/" not in k})

        with `load_file` of ``safetensors.torch``.

        Examples
        --------
        >>> import os, tempfile
        >>> from fastkb import nn
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     nn.Sequential(nn.Linear(3, 1), rng=0).save(os.path.join(folder, "net.npz"))
        ...     os.listdir(folder)
        ['net.npz']
        """
        write(path, self._saved())

    def _saved(self) -> Saved:
        """A copy of all that there is, in no buffer of this machine."""
        arrays = {}
        if self._store is not None and self._state is not None:
            arrays = take_arrays(self._store, self._state, self._progress.optimizer)
        history = {name: copy(values) for name, values in self.history.items()}
        progress = replace(self._progress, losses=list(self._progress.losses))
        return Saved(self.layers, self._dtype, self._first, self._key, history, progress, arrays)

    def _restore(self, saved: Saved) -> None:
        self.layers, self._dtype = tuple(saved.layers), saved.dtype
        self._first, self._key = saved.first_seed, saved.seed
        self.history, self._progress = saved.history, saved.progress
        self._store = self._state = None
        self._engines = {}
        if saved.arrays and saved.dtype is not None:
            self._store = self._new_store(saved.dtype)
            self._state = put_arrays(self._store, saved.arrays, saved.progress.optimizer)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_store": None, "_engines": {}, "_state": self._saved()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._restore(state["_state"])

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        loss: str = "squared_error",
        optimizer: Any = None,
        epochs: int = 10,
        batch_size: int = 32,
        l2: float = 0.0,
        shuffle: bool = True,
        sample_weight: Any = None,
        validation_data: tuple[Any, Any] | None = None,
        patience: int | None = None,
        callbacks: Sequence[Callable[[Sequential, dict[str, float]], Any]] = (),
        rng: Any = None,
        progress: ProgressLike = False,
    ) -> Sequential:
        """Train; called again, train on.

        Parameters
        ----------
        X, y, loss, sample_weight, l2
            As for :meth:`loss_and_gradients`.
        optimizer : optimizer or str, default SGD(lr=0.01)
            One of :mod:`fastkb.nn`'s, or its name. Called again with an equal one, its state and its
            schedule go on; with another, they begin anew.
        epochs : int, default 10
            Passes over the data.
        batch_size : int, default 32
            Observations of a step; the last step of an epoch may have fewer.
        shuffle : bool, default True
            Whether each epoch takes the observations in an order of its own.
        validation_data : (X, y), optional
            Evaluated after each epoch.
        patience : int, optional
            Stop after so many epochs without a smaller validation loss (training loss, if there is no
            validation), and go back to the best parameters.
        callbacks : sequence of callable
            ``callback(network, record)`` after each epoch, with its history; True ends training.
        rng : None, int, numpy.random.SeedSequence or numpy.random.Generator, default None
            Seed of the orders, and of the first weights if there are none and the network has no seed
            of its own. None: go on with the seed that there is. Epoch e of a seed takes the same order,
            whenever it is trained.
        progress : bool or callable, default False
            True shows a bar on standard error. A function is called with what is counted, how many are
            done, and how many there will be.

        Returns
        -------
        Sequential
            Itself.

        Raises
        ------
        TypeError, ValueError
            For bad input, before any work.
        FloatingPointError
            If the loss is no longer finite, naming epoch and step; the parameters are the last that were.
            What the next step would have found is found after the last one. An optimiser whose state
            overflowed begins anew in the next call.
        """
        check_choice("loss", loss, LOSSES)
        l2 = check_number("l2", l2, 0.0)
        check_trainable(self.layers)
        check_progress(progress)
        settings = check_training(epochs, batch_size, shuffle, patience, callbacks)
        chosen = _DEFAULT if optimizer is None else find_optimizer(optimizer)
        rng = check_rng(rng)
        data = check_observations(X, y, sample_weight, self.layers, loss, self._dtype)
        validation = check_validation(validation_data, self.layers, loss, data.inputs.dtype)
        settings = settings.for_rows(len(data.inputs))
        check_batches(self.layers, data.inputs, settings.batch_size)
        if rng is not None:
            self._key = key_from_rng(rng)
        engine, state, key = self._ready_for(data.inputs)
        pace = Pace(engine.work(settings.batch_size))
        job = Fit(engine, chosen, loss, l2, *settings, progress, pace)
        self._state = fit(self, job, data, validation, state, self._progress, key)
        return self

"""What all networks have: parameters by PyTorch's names, and training in compiled code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastkb.checks.choices import check_choice
from fastkb.checks.requests import check_rng
from fastkb.checks.scalars import check_number, check_progress, check_whole
from fastkb.nn.checks import (
    LOSSES,
    as_parameter,
    check_dtype,
    check_state,
    check_trainable,
    check_training,
)
from fastkb.nn.files import Saved, parameter_shapes, put_arrays, take_arrays, write
from fastkb.nn.observations import check_batches, check_inputs, check_observations, check_validation
from fastkb.nn.ops.graph import Network as Layers
from fastkb.nn.ops.graph import input_shape
from fastkb.nn.ops.normalization.batch import BATCHES
from fastkb.nn.optim.optimizers import SGD, find_optimizer
from fastkb.nn.program.engine import Engine
from fastkb.nn.program.step import State
from fastkb.nn.program.store import Store
from fastkb.nn.training.fitting import Fit, Pace, Progress, fit
from fastkb.random.streams import key_from_rng
from fastkb.runtime.progress import ProgressLike

if TYPE_CHECKING:
    from typing_extensions import Self

_DEFAULT = SGD()
_KEPT = 4  # programs, of the last shapes of inputs


class Network:
    """Base of :class:`Sequential` and :class:`Module`: parameters, and what is done with them.

    Attributes
    ----------
    history : dict of str to list
        One entry for each epoch: ``loss`` (mean over its steps, the penalty included), ``learning_rate``,
        and ``validation_loss`` if there was validation.

    Examples
    --------
    >>> from fastkb import nn
    >>> isinstance(nn.Sequential(nn.Linear(1, 1)), nn.Network)
    True
    """

    # How often the parameters were changed, and what those to come begin with, if there were some before.
    _version = 0
    _carried: Mapping[str, np.ndarray] = {}

    def _begin(self, rng: Any, dtype: Any) -> None:
        """No parameters yet."""
        self.history: dict[str, list[float]] = {"loss": [], "learning_rate": []}
        self._progress = Progress()
        self._store: Store | None = None
        self._state: State | None = None
        # Of each shape of inputs that was met, the last ones.
        self._engines: dict[tuple[int, ...], Engine] = {}
        # The seeds of the first weights, where one is given here, and of the training.
        self._first = self._key = None if rng is None else key_from_rng(check_rng(rng))
        self._dtype: np.dtype | None = None if dtype is None else check_dtype(dtype)

    @property
    def _graph(self) -> Layers:
        """What compiled programs are made of."""
        raise NotImplementedError

    def _blank(self, dtype: np.dtype) -> Any:
        """A network like this, without parameters."""
        raise NotImplementedError

    def _architecture(self) -> Any:
        """What tells it from networks of another one."""
        raise NotImplementedError

    @property
    def in_features(self) -> int | None:
        """Columns of the inputs; None: any, or images."""
        return None

    @property
    def out_features(self) -> int | None:
        """Columns of the outputs; None: what is computed tells it."""
        return None

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
                self._carry(store, state)
            self._dtype, self._store, self._state = store.dtype, store, state
        return self._store, self._state, self._key

    def _carry(self, store: Store, state: State) -> None:
        """Put what was there before the network was put together anew."""
        shapes = parameter_shapes(self._graph, buffers=True)
        for name, array in self._carried.items():
            if shapes.get(name) == array.shape:
                store.put(name, array, state.parameters[0])
        self._carried = {}

    def _new_store(self, dtype: np.dtype) -> Store:
        """An engine at once, where the layers know the shape of the inputs."""
        shape: Any = input_shape(self._graph)
        if not shape or None in shape:
            return Store(self._graph, dtype)
        return self._engines.setdefault(shape, Engine(self._graph, dtype))

    def _ready_for(self, inputs: np.ndarray) -> tuple[Engine, State, np.ndarray]:
        """Engine for inputs like these, state and seed."""
        _, state, key = self._ready(inputs.dtype)
        shape = inputs.shape[1:]
        engine = self._engines.pop(shape, None)
        if engine is None:
            engine = Engine(self._graph, inputs.dtype, shape)
        self._engines = dict([*self._engines.items(), (shape, engine)][-_KEPT:])
        return engine, state, key

    def predict(self, X: Any) -> np.ndarray:
        """The outputs for all observations: logits, where the loss is a cross-entropy.

        Parameters
        ----------
        X : array_like of shape (n, in_features), or (n, channels, height, width) of images

        Returns
        -------
        ndarray of shape (n, out_features)

        Raises
        ------
        ValueError
            For inputs of another shape, NaN or infinity.
        """
        inputs = check_inputs(X, self._graph, self._dtype)
        engine, state, _ = self._ready_for(inputs)
        outputs = engine.forward(state.parameters[0], inputs)
        return outputs.reshape(len(inputs), *engine.output_shape)

    def loss_and_gradients(
        self,
        X: Any,
        y: Any,
        *,
        loss: str = "squared_error",
        sample_weight: Any = None,
        l2: float = 0.0,
        seed: int = 0,
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
        seed : int, default 0
            Of the masks of :class:`Dropout`.

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
        seed = check_whole("seed", seed, 0, 2**63 - 1)
        check_trainable(self._graph)
        data = check_observations(X, y, sample_weight, self._graph, loss, self._dtype)
        engine, state, _ = self._ready_for(data.inputs)
        value, gradients = engine.loss_and_gradients(state.parameters[0], data, loss, l2, seed)
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
        check_state(arrays, parameter_shapes(self._graph, buffers=True), dtype)
        self._carried = {}
        store, state, _ = self._ready(dtype, draw=False)
        for name, array in arrays.items():
            store.put(name, array, state.parameters[0])
        self._version += 1

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
        The file holds what :meth:`fit` resumes from, but for its arguments and data. Names with a slash
        are those of the optimiser's state. So PyTorch takes parameters of a ``.safetensors`` file by ::

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
        write(path, self._saved(self._described()))

    def _saved(self, layers: Sequence[Any] = ()) -> Saved:
        """A copy of all that there is, in no buffer of this machine."""
        arrays = {}
        if self._store is not None and self._state is not None:
            arrays = take_arrays(self._store, self._state, self._progress.optimizer)
        history = {name: copy(values) for name, values in self.history.items()}
        progress = replace(self._progress, losses=list(self._progress.losses))
        return Saved(layers, self._dtype, self._first, self._key, history, progress, arrays)

    def _described(self) -> Sequence[Any]:
        """The layers, for a file."""
        raise TypeError(
            f"the forward of {type(self).__name__} is Python, which no file describes: pickle it, or "
            "save its state_dict(), as by numpy.savez(path, **net.state_dict())"
        )

    def _restore(self, saved: Saved) -> None:
        self._dtype = saved.dtype
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
        callbacks: Sequence[Callable[[Any, dict[str, float]], Any]] = (),
        rng: Any = None,
        progress: ProgressLike = False,
    ) -> Self:
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
            Seed of the orders and masks, and of the first weights if there are none and the network has
            no seed of its own. None: go on with the seed that there is. Epoch e of a seed takes the same
            order, whenever it is trained.
        progress : bool or callable, default False
            True shows a bar on standard error. A function is called with what is counted, how many are
            done, and how many there will be.

        Returns
        -------
        Network
            Itself.

        Raises
        ------
        TypeError, ValueError
            For bad input, before any work.
        FloatingPointError
            If the loss is no longer finite, naming epoch and step; the parameters are the last that were.
            What the next step would have found is found after the last one. An optimiser whose state
            overflowed begins anew.
        """
        check_choice("loss", loss, LOSSES)
        l2 = check_number("l2", l2, 0.0)
        check_trainable(self._graph)
        check_progress(progress)
        settings = check_training(epochs, batch_size, shuffle, patience, callbacks)
        chosen = _DEFAULT if optimizer is None else find_optimizer(optimizer)
        rng = check_rng(rng)
        data = check_observations(X, y, sample_weight, self._graph, loss, self._dtype)
        validation = check_validation(validation_data, self._graph, loss, data.inputs.dtype)
        settings = settings.for_rows(len(data.inputs))
        check_batches(self._graph, data.inputs, settings.batch_size)
        if rng is not None:
            self._key = key_from_rng(rng)
        engine, state, key = self._ready_for(data.inputs)
        pace = Pace(engine.work(settings.batch_size))
        job = Fit(engine, chosen, loss, l2, *settings, progress, pace)
        self._version += 1
        self._state = fit(self, job, data, validation, state, self._progress, key)
        return self

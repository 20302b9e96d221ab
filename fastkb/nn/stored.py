"""Parameters of networks: drawn, by PyTorch's names, in files and pickles."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from fastkb.checks.requests import check_rng
from fastkb.nn.checks import as_parameter, check_dtype, check_state
from fastkb.nn.files import Saved, parameter_shapes, put_arrays, read, take_arrays, write
from fastkb.nn.ops.graph import Network as Layers
from fastkb.nn.ops.graph import input_shape
from fastkb.nn.ops.normalization.batch import BATCHES
from fastkb.nn.program.engine import Engine
from fastkb.nn.program.step import State
from fastkb.nn.program.store import Store
from fastkb.nn.training.fitting import Progress
from fastkb.random.streams import key_from_rng


class Stored:
    """Base of networks: their parameters, and how far they are trained."""

    # How often the parameters were changed, and how often it was called; what parameters to come begin
    # with, if there were some before.
    _version = _calls = 0
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

    def state_dict(self) -> dict[str, np.ndarray]:
        """The parameters by PyTorch's names and in its shapes: copies.

        Returns
        -------
        dict of str to ndarray
            ``"0.weight"`` of shape (out_features, in_features) and ``"0.bias"`` of shape (out_features,)
            for a Linear layer at place 0, and so on.
        """
        return self._tensors_now()

    def _tensors_now(self) -> dict[str, np.ndarray]:
        """All parameters and buffers."""
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
        kinds = {v.dtype for k, v in arrays.items() if self._tells_its_type(str(k))}
        dtype = self._dtype or np.dtype("f4" if kinds <= {np.dtype("f4")} else "f8")
        check_state(arrays, parameter_shapes(self._graph, buffers=True), dtype)
        self._carried = {}
        store, state, _ = self._ready(dtype, draw=False)
        for name, array in arrays.items():
            store.put(name, array, state.parameters[0])
        self._version += 1

    def _tells_its_type(self, name: str) -> bool:
        """Whether a network without parameters takes the element type of what is loaded by this name."""
        return not name.endswith(BATCHES)

    def save(self, path: Any) -> None:
        """Write the network to a file, from which it trains on.

        :func:`fastkb.nn.load` makes a :class:`Sequential` of such a file. A network whose forward is
        Python is made by its class, and :meth:`load` takes the file into it.

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
        The file holds what :meth:`fit` resumes from, but for its arguments and data. An optimiser of a
        loop is not in it: :func:`fastkb.nn.save` writes state dicts of both. Names with a slash are
        those of the state of fit's optimiser. So PyTorch takes parameters of a ``.safetensors`` by ::

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

    def load(self, path: Any) -> None:
        """Take over what :meth:`save` wrote: the same outputs, trained on to the same bits.

        Parameters
        ----------
        path : str or os.PathLike
            Of a network with the same names and shapes of parameters. The file need not be trusted:
            nothing in it is executed.

        Raises
        ------
        ValueError
            If parameters are missing, unknown or of other shapes, if the file is damaged, or of another
            kind. Nothing is changed then.
        OSError, ImportError
            If it cannot be read, or safetensors is missing.

        Notes
        -----
        The network's element type is the file's afterwards, and so are its seeds and its history.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from fastkb import nn
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc = nn.Linear(3, 1)
        ...
        ...     def forward(self, x):
        ...         return self.fc(x).tanh()
        >>> X = np.linspace(-1.0, 1.0, 30).reshape(10, 3)
        >>> net, other = Net(), Net()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net.fit(X, X[:, 0], epochs=2).save(os.path.join(folder, "net.npz"))
        ...     other.load(os.path.join(folder, "net.npz"))
        >>> bool((net.predict(X) == other.predict(X)).all()), net.history == other.history
        (True, True)
        """
        saved = read(path, self._graph)
        version = self._version
        self._forget()
        self._carried = {}
        self._restore(saved)
        self._version, self._calls = version + 1, saved.calls

    def _forget(self) -> None:
        """Give up the parameters, and what depends on them."""

    def _saved(self, layers: Layers = ()) -> Saved:
        """A copy of all that there is, in no buffer of this machine."""
        arrays = {}
        if self._store is not None and self._state is not None:
            arrays = take_arrays(self._store, self._state, self._progress.optimizer)
        history = {name: copy(values) for name, values in self.history.items()}
        progress = replace(self._progress, losses=list(self._progress.losses))
        return Saved(
            layers, self._dtype, self._first, self._key, history, progress, arrays, self._calls
        )

    def _described(self) -> Layers:
        """The layers, for a file: those that describe themselves one by one."""
        return self._graph

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

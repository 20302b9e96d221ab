"""Networks from files."""

from __future__ import annotations

from typing import Any

from fastkb.nn.files import read
from fastkb.nn.network import Sequential


def load(path: Any) -> Sequential:
    """The network that :meth:`Sequential.save` wrote: the same outputs, trained on to the same bits.

    A function and no method: called on a network, it would not change that one.

    Parameters
    ----------
    path : str or os.PathLike
        Ends in ``.npz`` or ``.safetensors``. The file need not be trusted: nothing in it is executed.

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError
        If the file is damaged, of another kind or of an unknown version, if what it describes is no
        network, or if the arrays are not that network's.
    OSError, ImportError
        If it cannot be read, or safetensors is missing.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fastkb import nn
    >>> X = np.linspace(-1.0, 1.0, 50)[:, None]
    >>> net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1), rng=0)
    >>> net = net.fit(X, X**2, optimizer="adam", epochs=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(os.path.join(folder, "net.npz"))
    ...     other = nn.load(os.path.join(folder, "net.npz"))
    >>> net, other = (each.fit(X, X**2, optimizer="adam", epochs=2) for each in (net, other))
    >>> bool((net.forward(X) == other.forward(X)).all()), net.history == other.history
    (True, True)
    """
    network = Sequential.__new__(Sequential)
    network._restore(read(path))
    return network

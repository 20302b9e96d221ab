"""What version 0.1.0 pickled with an ensemble: its engine, and all parameters as that one stored them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.ops.dense import DENSE
from fastkb.nn.ops.storage import BIAS, WEIGHT
from fastkb.tile.blocking import NetworkBlocking


class Program(NamedTuple):
    """The program of that version. Its pickles look for it in ``fastkb.nn.program``."""

    layers: np.ndarray
    blocks: np.ndarray
    parameters: int
    values: int
    transposed: int
    inputs: int
    outputs: int
    blocking: NetworkBlocking
    dtype: np.dtype


def tensors_of(engine: Any, parameters: np.ndarray) -> dict[str, np.ndarray]:
    """The members' tensors by torch's names.  # shapes: (members, …)

    Parameters
    ----------
    engine : Engine
        With the attributes that version 0.1.0 gave it.
    parameters : ndarray
        # shape: (members, parameters)
    """
    found = {}
    for place, index in engine._places.items():
        row = engine.program.layers[index]
        shape = int(row["outputs"]), int(row["inputs"])
        blocking = engine.program.blocking
        found[f"{place}.{WEIGHT}"] = np.stack(
            [DENSE.storage.take(row, WEIGHT, each, shape, blocking) for each in parameters]
        )
        if row["has_biases"]:
            begin = int(row["biases"])
            found[f"{place}.{BIAS}"] = parameters[:, begin : begin + shape[0]].copy()
    return found

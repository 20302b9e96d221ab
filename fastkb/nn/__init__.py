"""Neural networks that are trained by compiled programs, under PyTorch's names.

Layers: :class:`Linear`, convolutions, pooling and activations, one behind the other in
:class:`Sequential`, which :func:`load` reads from a file; many of them by :func:`bootstrap_fit`.
Optimisers: :class:`SGD`, :class:`Adagrad`, :class:`RMSprop`, :class:`Adam`, :class:`AdamW`,
:class:`LAMB`. Schedules of their learning rate: :class:`Constant`, :class:`Step`, :class:`Cosine`,
:class:`WarmUp`, :class:`InverseScaling`, :class:`ReduceOnPlateau`.

================ ================================================================================
`network.py`      :class:`Sequential`
`ensemble.py`     :class:`Ensemble` and :func:`bootstrap_fit`
`loading.py`      :func:`load`; `files.py` has the formats, `description.py` their text
`earlier.py`      what version 0.1.0 pickled
`checks.py`       layers, losses, and how networks are trained; `observations.py`: their data
`ops/`            layers and losses
`program/`        the compiled program of a network: its steps and passes
`training/`       epochs, first parameters, many networks side by side
`optim/`          optimisers and schedules
`perceptron/`     scikit-learn's perceptrons
================ ================================================================================

Begin with `network.py`, then `program/engine.py`.
"""

from fastkb.nn.ensemble import Ensemble, bootstrap_fit
from fastkb.nn.loading import load
from fastkb.nn.network import Sequential
from fastkb.nn.ops.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Identity,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sigmoid,
    Sign,
    Softplus,
    Tanh,
)
from fastkb.nn.optim.optimizers import LAMB, SGD, Adagrad, Adam, AdamW, RMSprop
from fastkb.nn.optim.schedules import (
    Constant,
    Cosine,
    InverseScaling,
    ReduceOnPlateau,
    Step,
    WarmUp,
)

__all__ = [
    "ELU",
    "GELU",
    "LAMB",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Constant",
    "Conv2d",
    "Cosine",
    "Ensemble",
    "Flatten",
    "Identity",
    "InverseScaling",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "RMSprop",
    "ReLU",
    "ReduceOnPlateau",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Sign",
    "Softplus",
    "Step",
    "Tanh",
    "WarmUp",
    "bootstrap_fit",
    "load",
]

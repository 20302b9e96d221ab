"""Neural networks that are trained by compiled programs, under PyTorch's names.

Layers: :class:`Linear` and activations, one behind the other in :class:`Sequential`, which
:func:`load` reads from a file; many of them by :func:`bootstrap_fit`. Optimisers:
:class:`SGD`, :class:`Adagrad`, :class:`RMSprop`, :class:`Adam`, :class:`AdamW`, :class:`LAMB`. Schedules
of their learning rate: :class:`Constant`, :class:`Step`, :class:`Cosine`, :class:`WarmUp`,
:class:`InverseScaling`, :class:`ReduceOnPlateau`.
"""

from fastkb.nn.ensemble import Ensemble, bootstrap_fit
from fastkb.nn.network import Sequential, load
from fastkb.nn.ops.layers import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    Linear,
    ReLU,
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
    "Constant",
    "Cosine",
    "Ensemble",
    "Identity",
    "InverseScaling",
    "LeakyReLU",
    "Linear",
    "RMSprop",
    "ReLU",
    "ReduceOnPlateau",
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

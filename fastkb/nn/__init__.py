"""Neural networks that are trained by compiled programs, under PyTorch's names.

Layers: :class:`Linear`, convolutions, pooling, normalisation and activations; one behind the other in
:class:`Sequential`, which :func:`load` reads from a file, or put together by the Python code of a
:class:`Module`; many networks by :func:`bootstrap_fit`.
Optimisers: :class:`SGD`, :class:`Adagrad`, :class:`RMSprop`, :class:`Adam`, :class:`AdamW`,
:class:`LAMB`. Schedules of their learning rate: :class:`Constant`, :class:`Step`, :class:`Cosine`,
:class:`WarmUp`, :class:`InverseScaling`, :class:`ReduceOnPlateau`.

================ ================================================================================
`network.py`      :class:`Sequential`
`base.py`         what all networks have, :class:`Network`; `stored.py`: their parameters
`recording/`      :class:`Module`, :class:`Tensor`: what Python code computes, recorded
`functional.py`   functions of tensors
`ensemble.py`     :class:`Ensemble` and :func:`bootstrap_fit`
`loading.py`      :func:`load`, :func:`save`; `files.py` has what is saved of networks,
                  `description.py` its text, `containers.py` the formats
`earlier.py`      what version 0.1.0 pickled
`utils.py`        derivatives that are too long, before a step
`checks.py`       layers, losses, and how networks are trained; `observations.py`: their data
`ops/`            layers and losses
`program/`        the compiled program of a network: its steps and passes
`training/`       epochs, first parameters, many networks side by side
`optim/`          optimisers and schedules
`perceptron/`     scikit-learn's perceptrons
================ ================================================================================

Begin with `network.py`, then `program/engine.py`.
"""

from fastkb.nn import utils
from fastkb.nn.base import Network
from fastkb.nn.ensemble import Ensemble, bootstrap_fit
from fastkb.nn.loading import load, save
from fastkb.nn.network import Sequential
from fastkb.nn.ops.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    Identity,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool1d,
    MaxPool2d,
    ReLU,
    Residual,
    Sigmoid,
    Sign,
    Softmax,
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
from fastkb.nn.recording.lists import ModuleList, ParameterList
from fastkb.nn.recording.losses.criteria import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from fastkb.nn.recording.module import Module
from fastkb.nn.recording.parameter import Parameter
from fastkb.nn.recording.tensor import Tensor, no_grad

__all__ = [
    "ELU",
    "GELU",
    "LAMB",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Constant",
    "Conv1d",
    "Conv2d",
    "Cosine",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Ensemble",
    "Flatten",
    "HuberLoss",
    "Identity",
    "InverseScaling",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "NLLLoss",
    "Network",
    "Parameter",
    "ParameterList",
    "RMSprop",
    "ReLU",
    "ReduceOnPlateau",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Sign",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Step",
    "Tanh",
    "Tensor",
    "WarmUp",
    "bootstrap_fit",
    "load",
    "no_grad",
    "save",
    "utils",
]

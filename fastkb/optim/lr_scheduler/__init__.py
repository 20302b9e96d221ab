"""How the learning rates of an optimiser change, under the names of ``torch.optim.lr_scheduler``.

    for epoch in range(epochs):
        for X, y in batches:
            ...
            optimizer.step()
        scheduler.step()

Most rates are made of those before, as in PyTorch: several schedulers of one optimiser go together, and a
rate that is changed by hand stays changed.

==================== ==================================================================================
`base.py`             :class:`LRScheduler`, which the others are derived from
`factors.py`          rates times a factor: :class:`StepLR`, :class:`ExponentialLR` and others
`cosine.py`           :class:`CosineAnnealingLR`, :class:`CosineAnnealingWarmRestarts`
`one_cycle.py`        :class:`OneCycleLR`
`plateau.py`          :class:`ReduceLROnPlateau`
`sequence.py`         :class:`SequentialLR`: one scheduler after the other
==================== ==================================================================================
"""

from fastkb.optim.lr_scheduler.base import LRScheduler
from fastkb.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from fastkb.optim.lr_scheduler.factors import (
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    StepLR,
)
from fastkb.optim.lr_scheduler.one_cycle import OneCycleLR
from fastkb.optim.lr_scheduler.plateau import ReduceLROnPlateau
from fastkb.optim.lr_scheduler.sequence import SequentialLR

__all__ = [
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

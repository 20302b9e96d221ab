"""Floor 4.5: optimisers for training loops of one's own, under PyTorch's names.

    optimizer.zero_grad()
    loss = F.cross_entropy(net(X), y)
    loss.backward()
    optimizer.step()

A network's parameters stand in one flat buffer, and so does an optimiser's state of them: a step is one
call of compiled code for each parameter group. :meth:`fastkb.nn.Module.fit` trains whole epochs in
compiled code, and has optimisers of its own (:class:`fastkb.nn.SGD` and its like).

==================== ==================================================================================
`base.py`             :class:`Optimizer`: parameter groups, steps, what is saved of both
`optimizers.py`       the rules: :class:`SGD`, :class:`Adam` and others
`groups.py`           parameter groups, and checks of what stands in them
`saving.py`           what steps go on from, checked
`trained.py`          what an optimiser trains of one network, and its state of it
`lr_scheduler/`       how learning rates change
==================== ==================================================================================

Begin with `base.py`, then `trained.py`.
"""

from fastkb.optim import lr_scheduler
from fastkb.optim.base import Optimizer
from fastkb.optim.optimizers import LAMB, SGD, Adagrad, Adam, AdamW, RMSprop

__all__ = [
    "LAMB",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "lr_scheduler",
]

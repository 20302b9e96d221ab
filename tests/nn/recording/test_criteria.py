"""Losses as objects are those of the functions."""

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn

Z = np.random.default_rng(0).standard_normal((6, 3))
Y = np.random.default_rng(1).uniform(0.1, 0.9, (6, 3))
LABELS = np.array([0, 1, 2, 0, 1, 2])

CASES = [
    (nn.MSELoss(), F.mse_loss, Y),
    (nn.MSELoss(reduction="sum"), lambda z, y: F.mse_loss(z, y, reduction="sum"), Y),
    (nn.L1Loss(), F.l1_loss, Y),
    (nn.SmoothL1Loss(beta=0.5), lambda z, y: F.smooth_l1_loss(z, y, beta=0.5), Y),
    (nn.BCEWithLogitsLoss(), F.binary_cross_entropy_with_logits, Y),
    (nn.BCELoss(), lambda z, y: F.binary_cross_entropy(z, y), Y),
    (nn.CrossEntropyLoss(), F.cross_entropy, LABELS),
    (
        nn.CrossEntropyLoss([1.0, 2.0, 3.0], label_smoothing=0.1),
        lambda z, y: F.cross_entropy(z, y, weight=[1.0, 2.0, 3.0], label_smoothing=0.1),
        LABELS,
    ),
    (nn.NLLLoss(ignore_index=1), lambda z, y: F.nll_loss(z, y, ignore_index=1), LABELS),
]


@pytest.mark.parametrize(
    ("criterion", "function", "target"), CASES, ids=map(str, range(len(CASES)))
)
def test_they_are_the_functions(criterion, function, target):
    z = Y[::-1].copy() if isinstance(criterion, nn.BCELoss) else Z
    assert criterion(nn.Tensor(z), target).item() == function(nn.Tensor(z), target).item()


def test_texts_and_errors():
    assert repr(nn.MSELoss()) == "MSELoss(reduction='mean')"
    assert repr(nn.SmoothL1Loss(beta=2.0)) == "SmoothL1Loss(reduction='mean', beta=2.0)"
    for kind in (nn.MSELoss, nn.L1Loss, nn.BCELoss, nn.CrossEntropyLoss, nn.NLLLoss):
        with pytest.raises(ValueError, match="reduction must be"):
            kind(reduction="average")
    with pytest.raises(ValueError, match="label_smoothing must be"):
        nn.CrossEntropyLoss(label_smoothing=-0.1)

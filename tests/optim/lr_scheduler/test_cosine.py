"""Cosines: their formulas, also between two epochs, and what is refused."""

import math

import numpy as np
import pytest

from fastkb.optim import lr_scheduler as lrs
from fastkb.reference import networks
from tests.optim.lr_scheduler.rates import optimizer_of, torch_optimizer_of, walk


def test_formulas():
    found = walk(lrs.CosineAnnealingLR(optimizer_of(0.5), 7, 0.1), 30)[:, 0]
    expected = [networks.cosine(0.5, t, 7, 0.1) for t in range(31)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    found = walk(lrs.CosineAnnealingWarmRestarts(optimizer_of(0.5), 3, 2, 0.1), 20)[:, 0]
    places = [(0, 3)] * 3 + [(3, 6)] * 6 + [(9, 12)] * 12
    expected = [networks.cosine(0.5, t - b, n, 0.1) for t, (b, n) in enumerate(places)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_epochs_may_be_parts(times):
    torch = pytest.importorskip("torch")
    ours = lrs.CosineAnnealingWarmRestarts(optimizer_of(0.5, 0.1), 3, times)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        torch_optimizer_of(torch, 0.5, 0.1), 3, times
    )
    for epoch in [*np.arange(0.0, 30.0, 0.25), 2.5, 0.0, 31.75]:
        for each in (ours, theirs):
            each.step(float(epoch))
        np.testing.assert_allclose(ours.get_last_lr(), theirs.get_last_lr(), rtol=1e-9, atol=1e-15)
        assert ours.last_epoch == theirs.last_epoch == math.floor(epoch)
    # Both go on from there.
    for _ in range(5):
        ours.step()
        theirs.step()
        np.testing.assert_allclose(ours.get_last_lr(), theirs.get_last_lr(), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: lrs.CosineAnnealingLR(o, 0), "T_max must be"),
        (lambda o: lrs.CosineAnnealingLR(o, 3, -1.0), "eta_min must be"),
        (lambda o: lrs.CosineAnnealingWarmRestarts(o, 0), "T_0 must be"),
        (lambda o: lrs.CosineAnnealingWarmRestarts(o, 3, 0), "T_mult must be"),
        (lambda o: lrs.CosineAnnealingWarmRestarts(o, 3, 1, None), "eta_min must be"),
        (lambda o: lrs.CosineAnnealingWarmRestarts(o, 3).step(-1), "epoch must be"),
    ],
)
def test_parameters_out_of_their_range(make, message):
    with pytest.raises(ValueError, match=message):
        make(optimizer_of(0.5))

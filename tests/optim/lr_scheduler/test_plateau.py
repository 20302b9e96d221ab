"""Rates that are cut where a measure stays as it is."""

import math

import numpy as np
import pytest

from fastkb.optim import lr_scheduler as lrs
from tests.optim.lr_scheduler.rates import optimizer_of, torch_optimizer_of, walk

OPTIONS = [
    {"patience": 2},
    {"patience": 1, "mode": "max"},
    {"patience": 0, "threshold": 0.05, "threshold_mode": "abs", "factor": 0.7},
    {"patience": 0, "threshold": 0.05, "threshold_mode": "abs", "mode": "max", "factor": 0.7},
    {"patience": 1, "cooldown": 3, "factor": 0.5, "threshold": 0.2},
    {"patience": 1, "min_lr": [0.1, 0.001], "factor": 0.5},
    {"patience": 1, "min_lr": 0.02, "factor": 0.5, "eps": 0.05},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_rates_are_those_of_torch(options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    measures = np.concatenate([np.exp(-np.arange(20.0)), rng.uniform(0.0, 1.0, 30)]) + 1.0
    measures[25] = math.nan
    ours = lrs.ReduceLROnPlateau(optimizer_of(0.5, 0.2), **options)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        torch_optimizer_of(torch, 0.5, 0.2), **options
    )
    found, expected = walk(ours, 50, measures), walk(theirs, 50, measures)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found[:, 0])) > 1
    names = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch", "in_cooldown")
    assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
    # States go from one to the other.
    assert ours.state_dict() == theirs.state_dict()
    ours.load_state_dict(theirs.state_dict())


def test_goes_on_to_the_same_rates():
    measures = np.random.default_rng(0).uniform(size=40)
    scheduler = lrs.ReduceLROnPlateau(optimizer_of(0.5), patience=3)
    walk(scheduler, 9, measures)
    other = lrs.ReduceLROnPlateau(optimizer_of(0.1), patience=30)
    other.optimizer.load_state_dict(scheduler.optimizer.state_dict())
    other.load_state_dict(scheduler.state_dict())
    np.testing.assert_array_equal(walk(scheduler, 20, measures[9:]), walk(other, 20, measures[9:]))


def test_groups_that_are_added_later():
    extra = optimizer_of(0.1).param_groups[0]["params"]
    for low in (0.0, [0.0]):
        optimizer = optimizer_of(0.5)
        scheduler = lrs.ReduceLROnPlateau(optimizer, patience=0, min_lr=low)
        optimizer.add_param_group({"params": extra, "lr": 0.1})
        scheduler.step(1.0)
        if isinstance(low, list):
            with pytest.raises(ValueError, match="min_lrs must have a number for each of 2 groups"):
                scheduler.step(2.0)
        else:
            scheduler.step(2.0, epoch=7)
            np.testing.assert_allclose(scheduler.get_last_lr(), [0.05, 0.01])
            assert scheduler.last_epoch == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "least"}, "mode must be one of min, max"),
        ({"factor": 1.0}, "factor must be"),
        ({"patience": -1}, "patience must be"),
        ({"threshold": -1e-4}, "threshold must be"),
        ({"threshold_mode": "relative"}, "threshold_mode must be one of rel, abs"),
        ({"cooldown": 0.5}, "cooldown must be"),
        ({"min_lr": [0.1, 0.2]}, "min_lr must be a number, or a list of 1 of them"),
        ({"min_lr": -0.1}, "min_lr must be"),
        ({"eps": None}, "eps must be"),
    ],
)
def test_parameters_out_of_their_range(options, message):
    with pytest.raises(ValueError, match=message):
        lrs.ReduceLROnPlateau(optimizer_of(0.5), **options)

"""One cycle, of rates and momenta."""

import numpy as np
import pytest

from fastkb.optim import lr_scheduler as lrs
from tests.optim.lr_scheduler.rates import optimizer_of, torch_optimizer_of, walk

OPTIONS = [
    {"total_steps": 30},
    {"epochs": 5, "steps_per_epoch": 6, "anneal_strategy": "linear", "pct_start": 0.25},
    {"total_steps": 31, "three_phase": True, "div_factor": 10.0, "final_div_factor": 50.0},
    {"total_steps": 30, "base_momentum": [0.7, 0.8], "max_momentum": [0.9, 0.99]},
    {"total_steps": 20, "pct_start": 0.0},
    {"total_steps": 20, "cycle_momentum": False},
]


def walked(scheduler, steps):
    rates, momenta = [], []
    for step in range(steps):
        for group in scheduler.optimizer.param_groups:
            rates.append(group["lr"])
            momenta.append(group["betas"][0] if "betas" in group else group["momentum"])
        if step < steps - 1:
            scheduler.step()
    return rates, momenta


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_rates_are_those_of_torch(name, options):
    torch = pytest.importorskip("torch")
    extra = {"momentum": 0.5} if name == "SGD" else {}
    ours = lrs.OneCycleLR(optimizer_of(0.1, 0.2, name=name, **extra), [0.5, 0.05], **options)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        torch_optimizer_of(torch, 0.1, 0.2, name=name, **extra), [0.5, 0.05], **options
    )
    steps = ours.total_steps
    for own, other in zip(walked(ours, steps), walked(theirs, steps), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12)


def test_the_top_and_the_ends():
    scheduler = lrs.OneCycleLR(optimizer_of(0.1, momentum=0.5), 1.0, total_steps=11, pct_start=0.6)
    rates = walk(scheduler, 10)[:, 0]
    np.testing.assert_allclose(rates[[0, -1]], [1 / 25, 1 / 25 / 1e4])
    assert rates.max() < 1.0  # the top lies between two steps
    assert (np.diff(rates[:6]) > 0).all()
    assert (np.diff(rates[6:]) < 0).all()
    scheduler.step()
    with pytest.raises(ValueError, match="the cycle has 11 steps, and this would be step 12"):
        scheduler.step()


def test_goes_on_to_the_same_rates():
    def make():
        return lrs.OneCycleLR(optimizer_of(0.1, name="Adam"), 0.5, total_steps=20)

    scheduler, other = make(), make()
    walk(scheduler, 5)
    other.optimizer.load_state_dict(scheduler.optimizer.state_dict())
    other.load_state_dict(scheduler.state_dict())
    np.testing.assert_array_equal(walked(scheduler, 12), walked(other, 12))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "total_steps must be given, or both epochs and steps_per_epoch"),
        ({"epochs": 3}, "total_steps must be given"),
        ({"epochs": 3, "steps_per_epoch": 0}, "steps_per_epoch must be"),
        ({"total_steps": 2.5}, "total_steps must be"),
        ({"total_steps": 9, "pct_start": 1.5}, "pct_start must be"),
        ({"total_steps": 9, "anneal_strategy": "cosine"}, "anneal_strategy must be one of"),
        ({"total_steps": 9, "max_momentum": 1.0}, "max_momentum must be"),
        ({"total_steps": 9, "base_momentum": [0.1, 0.2]}, "or a list of 1 of them"),
        ({"total_steps": 9, "div_factor": 0.0}, "div_factor must be"),
        ({"total_steps": 9, "max_lr": 0.0}, "max_lr must be"),
    ],
)
def test_parameters_out_of_their_range(options, message):
    optimizer = optimizer_of(0.1, momentum=0.5)
    with pytest.raises(ValueError, match=message):
        lrs.OneCycleLR(optimizer, **{"max_lr": 0.5, **options})
    assert optimizer.param_groups[0].keys() == {"params", *optimizer.defaults}


def test_a_rule_without_momentum():
    with pytest.raises(
        ValueError, match="cycle_momentum=True needs momentum, and Adagrad has none"
    ):
        lrs.OneCycleLR(optimizer_of(0.1, name="Adagrad"), 0.5, total_steps=9)
    scheduler = lrs.OneCycleLR(
        optimizer_of(0.1, name="Adagrad"), 0.5, total_steps=9, cycle_momentum=False
    )
    assert walk(scheduler, 8).shape == (9, 1)

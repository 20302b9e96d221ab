"""One scheduler after the other."""

import numpy as np
import pytest

from fastkb.optim import lr_scheduler as lrs
from tests.optim.lr_scheduler.rates import optimizer_of, torch_optimizer_of, walk

PARTS = {
    "step": lambda lrs, o: lrs.StepLR(o, 2, 0.5),
    "milestones": lambda lrs, o: lrs.MultiStepLR(o, [1, 3], 0.5),
    "power": lambda lrs, o: lrs.ExponentialLR(o, 0.8),
    "line": lambda lrs, o: lrs.LinearLR(o, 0.1, 1.0, 4),
    "function": lambda lrs, o: lrs.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "cosine": lambda lrs, o: lrs.CosineAnnealingLR(o, 5),
    "again": lambda lrs, o: lrs.CosineAnnealingWarmRestarts(o, 3, 2),
}


@pytest.mark.parametrize("second", PARTS)
@pytest.mark.parametrize("first", PARTS)
def test_rates_are_those_of_torch(first, second):
    torch = pytest.importorskip("torch")
    found = []
    for package, optimizer in (
        (lrs, optimizer_of(0.5, 0.03)),
        (torch.optim.lr_scheduler, torch_optimizer_of(torch, 0.5, 0.03)),
    ):
        parts = [PARTS[each](package, optimizer) for each in (first, second, first)]
        found.append(walk(package.SequentialLR(optimizer, parts, [5, 13]), 25))
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-15)


def test_sequences_in_sequences():
    def parts(optimizer):
        return [PARTS[each](lrs, optimizer) for each in ("line", "power", "step", "cosine")]

    optimizer = optimizer_of(0.5)
    flat = walk(lrs.SequentialLR(optimizer, parts(optimizer), [4, 7, 10]), 20)
    optimizer = optimizer_of(0.5)
    one, two, three, four = parts(optimizer)
    first = lrs.SequentialLR(optimizer, [one, two], [4])
    second = lrs.SequentialLR(optimizer, [three, four], [3])
    nested = lrs.SequentialLR(optimizer, [first, second], [7])
    rates = walk(nested, 9)
    state = nested.state_dict()
    np.testing.assert_allclose(np.concatenate([rates, walk(nested, 11)[1:]]), flat, rtol=1e-12)
    nested.load_state_dict(state)
    assert nested.last_epoch == 9
    assert (first.last_epoch, second.last_epoch, three.last_epoch) == (6, 2, 2)


def test_a_state_that_does_not_fit_changes_nothing():
    def make(second):
        optimizer = optimizer_of(0.5)
        parts = [PARTS[each](lrs, optimizer) for each in ("line", second)]
        return lrs.SequentialLR(optimizer, parts, [4])

    scheduler, other = make("power"), make("step")
    walk(other, 3)
    before = scheduler.state_dict()
    state = other.state_dict()
    for wrong in (state, {**state, "_schedulers": state["_schedulers"][:1]}, {}):
        with pytest.raises(ValueError, match="state_dict must"):
            scheduler.load_state_dict(wrong)
    assert scheduler.state_dict() == before


def test_what_is_no_sequence():
    optimizer = optimizer_of(0.5)
    one, two = PARTS["step"](lrs, optimizer), PARTS["power"](lrs, optimizer)
    plateau = lrs.ReduceLROnPlateau(optimizer)
    for parts, milestones, message in (
        ([], [], "schedulers must be a list of schedulers"),
        (one, [], "schedulers must be a list of schedulers"),
        ([one, 3], [2], r"schedulers\[1\] must be a scheduler that needs no measure, got 3"),
        ([plateau, one], [2], r"schedulers\[0\] must be a scheduler that needs no measure"),
        ([one, PARTS["step"](lrs, optimizer_of(0.5))], [2], "is of another optimiser"),
        ([one, two], [], "milestones must be 1 whole numbers in rising order"),
        ([one, two, one], [3, 2], "milestones must be 2 whole numbers in rising order"),
        ([one, two], [-1], r"milestones\[0\] must be a whole number"),
    ):
        with pytest.raises(ValueError, match=message):
            lrs.SequentialLR(optimizer, parts, milestones)
    with pytest.raises(ValueError, match="epoch must be None"):
        lrs.SequentialLR(optimizer, [one, two], [2]).step(3)

"""What all schedulers do, and what they go on from."""

import copy
import pickle

import numpy as np
import pytest

from fastkb import optim
from fastkb.optim import lr_scheduler as lrs
from tests.optim.lr_scheduler.rates import optimizer_of, torch_optimizer_of, walk
from tests.optim.twins import Dense, assert_close, backward, backward_of_twin, both, data_of

MAKE = {
    "StepLR": lambda lrs, o: lrs.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda lrs, o: lrs.MultiStepLR(o, [2, 5, 5, 9], 0.3),
    "ExponentialLR": lambda lrs, o: lrs.ExponentialLR(o, 0.9),
    "LinearLR": lambda lrs, o: lrs.LinearLR(o, 0.2, 0.7, 6),
    "LambdaLR": lambda lrs, o: lrs.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 / (1 + e)]),
    "CosineAnnealingLR": lambda lrs, o: lrs.CosineAnnealingLR(o, 7, 0.01),
    "CosineAnnealingWarmRestarts": lambda lrs, o: lrs.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "SequentialLR": lambda lrs, o: lrs.SequentialLR(
        o, [lrs.LinearLR(o, 0.1, 1.0, 4), lrs.CosineAnnealingLR(o, 9)], [4]
    ),
}
each_scheduler = pytest.mark.parametrize("name", MAKE)


@each_scheduler
def test_rates_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    ours = walk(MAKE[name](lrs, optimizer_of(0.5, 0.03)), 40)
    theirs = walk(MAKE[name](torch.optim.lr_scheduler, torch_optimizer_of(torch, 0.5, 0.03)), 40)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    assert len(np.unique(ours[:, 0])) > 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ExponentialLR", "MultiStepLR"),
        ("StepLR", "CosineAnnealingLR"),
        ("LinearLR", "ExponentialLR"),
    ],
)
def test_two_schedulers_of_one_optimizer_go_together(one, other):
    torch = pytest.importorskip("torch")
    found = []
    for package, optimizer in (
        (lrs, optimizer_of(0.5, 0.03)),
        (torch.optim.lr_scheduler, torch_optimizer_of(torch, 0.5, 0.03)),
    ):
        pair = [MAKE[each](package, optimizer) for each in (one, other)]
        rates = []
        for _ in range(12):
            rates.append([group["lr"] for group in optimizer.param_groups])
            for each in pair:
                each.step()
        found.append(rates)
    np.testing.assert_allclose(*found, rtol=1e-12)


@each_scheduler
def test_a_rate_that_is_changed_by_hand(name):
    torch = pytest.importorskip("torch")
    found = []
    for package, optimizer in (
        (lrs, optimizer_of(0.5, 0.03)),
        (torch.optim.lr_scheduler, torch_optimizer_of(torch, 0.5, 0.03)),
    ):
        scheduler = MAKE[name](package, optimizer)
        rates = []
        for step in range(20):
            if step == 6:
                optimizer.param_groups[1]["lr"] *= 2.0
            scheduler.step()
            rates.append([group["lr"] for group in optimizer.param_groups])
        found.append(rates)
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-15)


@each_scheduler
def test_goes_on_to_the_same_rates(name):
    optimizer = optimizer_of(0.5, 0.03)
    scheduler = MAKE[name](lrs, optimizer)
    walk(scheduler, 5)
    states = pickle.loads(pickle.dumps((optimizer.state_dict(), scheduler.state_dict())))
    other = optimizer_of(0.7, 0.7)
    again = MAKE[name](lrs, other)
    walk(again, 2)
    other.load_state_dict(states[0])
    again.load_state_dict(states[1])
    np.testing.assert_array_equal(walk(scheduler, 12), walk(again, 12))
    assert scheduler.last_epoch == again.last_epoch == 17
    assert scheduler.state_dict() == again.state_dict()


@each_scheduler
def test_goes_on_from_a_state_of_torch(name):
    torch = pytest.importorskip("torch")
    theirs = MAKE[name](torch.optim.lr_scheduler, torch_optimizer_of(torch, 0.5, 0.03))
    walk(theirs, 5)
    optimizer = optimizer_of(0.5, 0.03)
    ours = MAKE[name](lrs, optimizer)
    ours.load_state_dict(theirs.state_dict())
    for group, other in zip(optimizer.param_groups, theirs.optimizer.param_groups, strict=True):
        group["lr"] = other["lr"]
    np.testing.assert_allclose(walk(ours, 12), walk(theirs, 12), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", [each for each in MAKE if each != "SequentialLR"])
def test_begins_where_another_one_was(name):
    torch = pytest.importorskip("torch")
    found = []
    for package, optimizer in (
        (lrs, optimizer_of(0.5, 0.03)),
        (torch.optim.lr_scheduler, torch_optimizer_of(torch, 0.5, 0.03)),
    ):
        for group in optimizer.param_groups:
            group["initial_lr"], group["lr"] = group["lr"], 0.4 * group["lr"]
        scheduler = getattr(package, name)
        options = {
            "StepLR": (3, 0.5),
            "MultiStepLR": ([2, 5, 9], 0.3),
            "ExponentialLR": (0.9,),
            "LinearLR": (0.2, 0.7, 6),
            "LambdaLR": (lambda e: 0.9**e,),
            "CosineAnnealingLR": (7,),
            "CosineAnnealingWarmRestarts": (3, 2),
        }[name]
        found.append(walk(scheduler(optimizer, *options, last_epoch=4), 9))
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-15)


def test_where_to_begin_must_be_known():
    with pytest.raises(ValueError, match="groups have 'initial_lr', and group 0 has none"):
        lrs.ExponentialLR(optimizer_of(0.5), 0.9, last_epoch=3)
    with pytest.raises(ValueError, match="last_epoch must be a whole number of at least -1"):
        lrs.ExponentialLR(optimizer_of(0.5), 0.9, last_epoch=-2)


@each_scheduler
def test_what_is_no_optimizer(name):
    with pytest.raises((TypeError, ValueError), match=r"optimizer must be one of fastkb\.optim"):
        MAKE["StepLR"](lrs, 0.1)
    with pytest.raises((TypeError, ValueError)):
        MAKE[name](lrs, 0.1)


def test_a_state_that_does_not_fit_changes_nothing():
    scheduler = MAKE["StepLR"](lrs, optimizer_of(0.5))
    walk(scheduler, 4)
    before = scheduler.state_dict()
    other = MAKE["ExponentialLR"](lrs, optimizer_of(0.5)).state_dict()
    for state in (other, {**before, "milestones": []}, {"last_epoch": 3}):
        with pytest.raises(ValueError, match="state_dict must be of a StepLR"):
            scheduler.load_state_dict(state)
    with pytest.raises(TypeError, match="state_dict must be a dict, got list"):
        scheduler.load_state_dict([])
    assert scheduler.state_dict() == before


def test_states_are_copies():
    scheduler = MAKE["MultiStepLR"](lrs, optimizer_of(0.5))
    state = scheduler.state_dict()
    state["base_lrs"][0] = 7.0
    state["milestones"].clear()
    scheduler.get_last_lr()[0] = 7.0
    assert scheduler.base_lrs == [0.5]
    assert scheduler.milestones
    assert scheduler.get_last_lr() == [0.5]
    state = scheduler.state_dict()
    scheduler.load_state_dict(state)
    state["milestones"].clear()
    assert scheduler.milestones


def test_a_group_that_is_added_later():
    optimizer = optimizer_of(0.5)
    scheduler = MAKE["ExponentialLR"](lrs, optimizer)
    constant = lrs.LambdaLR(optimizer, lambda epoch: 1.0)
    extra = optimizer_of(0.1).param_groups[0]["params"]
    optimizer.add_param_group({"params": extra, "lr": 0.1})
    scheduler.step()
    np.testing.assert_allclose(scheduler.get_last_lr(), [0.45, 0.09])
    with pytest.raises(ValueError, match="has 2 groups, and the scheduler was made for 1"):
        constant.step()


def test_an_epoch_may_be_named():
    for name in ("StepLR", "MultiStepLR", "ExponentialLR", "LinearLR", "CosineAnnealingLR"):
        one, other = (MAKE[name](lrs, optimizer_of(0.5, 0.03)) for _ in range(2))
        rates = walk(one, 12)
        other.step(12)
        np.testing.assert_allclose(other.get_last_lr(), rates[-1], rtol=1e-12)
        assert other.last_epoch == 12


def test_a_scheduler_must_say_its_rates():
    with pytest.raises(NotImplementedError, match="LRScheduler must define get_lr"):
        lrs.LRScheduler(optimizer_of(0.5))


def test_copies_have_an_optimizer_of_their_own():
    net = Dense(rng=0)
    scheduler = lrs.ExponentialLR(optim.SGD(net.parameters(), lr=0.5), 0.5)
    copied = copy.deepcopy(scheduler)
    copied.step()
    assert scheduler.get_last_lr() == [0.5]
    assert scheduler.optimizer.param_groups[0]["lr"] == 0.5
    assert copied.optimizer.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_a_scheduler_in_the_loop(name):
    torch = pytest.importorskip("torch")
    net, twin, ours, theirs = both(torch, name, lr=0.05)
    own = lrs.CosineAnnealingLR(ours, 10, 0.001)
    other = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 10, 0.001)
    X, y = data_of(net, np.float64)
    for _ in range(12):
        for _ in range(2):
            ours.zero_grad()
            backward(net, X, y)
            ours.step()
            theirs.zero_grad()
            backward_of_twin(twin, torch, X, y)
            theirs.step()
        own.step()
        other.step()
    assert_close(net, twin)

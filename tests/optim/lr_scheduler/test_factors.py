"""Rates times a factor: their formulas, and what is refused."""

import functools

import numpy as np
import pytest

from fastkb.optim import lr_scheduler as lrs
from fastkb.reference import networks
from tests.optim.lr_scheduler.rates import optimizer_of, walk

EPOCHS = range(21)


def test_formulas():
    def rates(make):
        return walk(make(optimizer_of(0.5)), 20)[:, 0]

    for found, expected in (
        (rates(lambda o: lrs.StepLR(o, 4, 0.3)), [networks.step(0.5, t, 4, 0.3) for t in EPOCHS]),
        (
            rates(lambda o: lrs.MultiStepLR(o, (1, 7, 7), 0.3)),
            [0.5 * 0.3 ** ((t >= 1) + 2 * (t >= 7)) for t in EPOCHS],
        ),
        (rates(lambda o: lrs.ExponentialLR(o, 0.8)), [0.5 * 0.8**t for t in EPOCHS]),
        (
            rates(lambda o: lrs.LinearLR(o, 0.1, total_iters=6)),
            [networks.warm_up(0.5, t, 6, 0.1) for t in EPOCHS],
        ),
        (
            rates(lambda o: lrs.LinearLR(o, 1.0, 0.0, total_iters=5)),
            [0.5 * max(0.0, 1 - t / 5) for t in EPOCHS],
        ),
        (rates(lambda o: lrs.LambdaLR(o, lambda epoch: 0.5**epoch)), [0.5**t / 2 for t in EPOCHS]),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: lrs.StepLR(o, 0), "step_size must be a whole number of at least 1, got 0"),
        (lambda o: lrs.StepLR(o, 2, -0.1), "gamma must be"),
        (lambda o: lrs.MultiStepLR(o, [1.5]), "milestones must be a whole number"),
        (lambda o: lrs.MultiStepLR(o, [1], "a"), "gamma must be"),
        (lambda o: lrs.ExponentialLR(o, np.nan), "gamma must be"),
        (lambda o: lrs.LinearLR(o, 0.0), "start_factor must be a number above 0 to 1, got 0.0"),
        (lambda o: lrs.LinearLR(o, end_factor=1.5), "end_factor must be"),
        (lambda o: lrs.LinearLR(o, total_iters=0), "total_iters must be"),
        (
            lambda o: lrs.LambdaLR(o, [abs, abs, abs]),
            "lr_lambda must be a function, or a list of 2",
        ),
        (lambda o: lrs.LambdaLR(o, 0.5), "lr_lambda must be a function"),
    ],
)
def test_parameters_out_of_their_range(make, message):
    optimizer = optimizer_of(0.5, 0.1)
    with pytest.raises(ValueError, match=message):
        make(optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]


class Falling:
    def __init__(self, by):
        self.by = by

    def __call__(self, epoch):
        return self.by**epoch


def test_objects_that_are_called_have_a_state():
    function = functools.partial(pow, 0.5)
    scheduler = lrs.LambdaLR(optimizer_of(0.5, 0.1, 0.2), [Falling(0.9), abs, function])
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [{"by": 0.9}, None, {}]
    other = lrs.LambdaLR(optimizer_of(0.5, 0.1, 0.2), [Falling(0.1), abs, function])
    other.load_state_dict(state)
    np.testing.assert_array_equal(walk(scheduler, 5)[1:], walk(other, 5)[1:])
    for wrong in ({}, {**state, "lr_lambdas": [None]}):
        with pytest.raises(ValueError, match="must"):
            other.load_state_dict(wrong)
    with pytest.raises(TypeError, match="state_dict must be a dict"):
        other.load_state_dict(None)

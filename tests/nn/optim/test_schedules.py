"""Schedules against closed forms, and against PyTorch's."""

import dataclasses
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.nn.optim.schedules import (
    Constant,
    Cosine,
    InverseScaling,
    ReduceOnPlateau,
    Schedule,
    Step,
    WarmUp,
    find_schedule,
)

BASE = 0.3
ALL = [
    Constant(),
    Step(3, gamma=0.5),
    Cosine(8, minimum=0.01),
    WarmUp(4, then=Cosine(6)),
    InverseScaling(0.75),
    ReduceOnPlateau(factor=0.5, patience=2),
]
each_schedule = pytest.mark.parametrize("schedule", ALL, ids=lambda s: type(s).__name__)


def rates(schedule, epochs, losses=()):
    return [schedule.rate(BASE, epoch, losses) for epoch in range(epochs)]


def close(theirs):
    """PyTorch multiplies rates up from epoch to epoch: some roundings for each."""
    return pytest.approx(theirs, rel=8 * len(theirs) * np.finfo(np.float64).eps, abs=1e-17)


def theirs_of(make, epochs, losses=None):
    """The rates of a scheduler of PyTorch, at the beginning of each epoch."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    found = []
    for epoch in range(epochs):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step(*([] if losses is None else [losses[epoch]]))
    return found


# --- closed forms -------------------------------------------------------------------------------


def test_constant():
    assert rates(Constant(), 5) == [BASE] * 5


def test_step():
    assert rates(Step(2, gamma=0.5), 6) == [BASE, BASE, BASE / 2, BASE / 2, BASE / 4, BASE / 4]


@given(st.integers(1, 40), st.floats(0.0, 0.2))
def test_cosine(epochs, minimum):
    found = rates(Cosine(epochs, minimum), epochs + 3)
    assert found[0] == pytest.approx(BASE)
    assert found[epochs:] == [minimum] * 3
    assert found[:epochs] == sorted(found[:epochs], reverse=True)
    for epoch in range(epochs):
        # The curve is symmetric about its middle.
        assert found[epoch] + found[epochs - epoch] == pytest.approx(BASE + minimum)


def test_warm_up():
    then = Step(1, gamma=0.5)
    expected = [0.2 * BASE, 0.6 * BASE, BASE, BASE / 2, BASE / 4]
    assert rates(WarmUp(2, then=then, start_factor=0.2), 5) == pytest.approx(expected)
    assert rates(WarmUp(1), 3) == [0.1 * BASE, BASE, BASE]


def test_warm_up_passes_later_losses_on():
    schedule = WarmUp(3, then=ReduceOnPlateau(factor=0.5, patience=0), start_factor=1.0)
    losses = [0.0, 0.0, 0.0, 5.0, 5.0, 4.0]
    assert rates(schedule, 7, losses) == [BASE] * 5 + [BASE / 2] * 2


def test_inverse_scaling():
    assert rates(InverseScaling(1), 4) == pytest.approx([BASE, BASE / 2, BASE / 3, BASE / 4])
    assert rates(InverseScaling(0), 2) == [BASE, BASE]
    assert InverseScaling(1000).rate(BASE, 9) == 0.0


def test_plateau():
    schedule = ReduceOnPlateau(factor=0.5, patience=1, tol=0.1)
    #        good bad  good bad  bad: cut bad  bad: cut, NaN
    losses = [1.0, 0.95, 0.8, 0.8, 0.73, 0.9, 0.9, math.nan]
    expected = [BASE] * 5 + [BASE / 2] * 2 + [BASE / 4] * 2
    assert rates(schedule, 9, losses) == expected


def test_plateau_is_cut_down_to_the_minimum_and_not_by_next_to_nothing():
    flat = [1.0] * 30
    assert ReduceOnPlateau(patience=0, minimum=0.02).rate(BASE, 30, flat) == 0.02
    assert ReduceOnPlateau(patience=0, minimum=1.0).rate(BASE, 30, flat) == BASE
    assert ReduceOnPlateau(patience=0).rate(BASE, 30, flat) == pytest.approx(
        BASE * 1e-8, rel=1e-12, abs=0
    )


def test_plateau_needs_a_loss_for_each_epoch():
    with pytest.raises(ValueError, match=r"losses must hold .* epoch=3 finished epochs, got 2"):
        ReduceOnPlateau().rate(BASE, 3, [1.0, 1.0])


@each_schedule
def test_later_losses_change_nothing(schedule):
    losses = list(np.random.default_rng(0).normal(size=20) ** 2)
    for epoch in range(20):
        assert schedule.rate(BASE, epoch, losses) == schedule.rate(BASE, epoch, losses[:epoch])


@each_schedule
@given(scale=st.floats(0.01, 100.0))
def test_rates_go_with_the_base(schedule, scale):
    if getattr(schedule, "minimum", 0.0):
        return
    losses = [1.0] * 12
    for epoch in range(12):
        expected = scale * schedule.rate(BASE, epoch, losses)
        assert schedule.rate(scale * BASE, epoch, losses) == pytest.approx(expected)


# --- PyTorch ------------------------------------------------------------------------------------


def test_pytorchs_step():
    theirs = theirs_of(lambda s, o: s.StepLR(o, 3, gamma=0.7), 20)
    assert rates(Step(3, gamma=0.7), 20) == close(theirs)


@pytest.mark.parametrize("minimum", [0.0, 0.01])
def test_pytorchs_cosine(minimum):
    # Its recursion loses digits near the minimum, where it divides by 1 + cos of nearly π.
    theirs = theirs_of(lambda s, o: s.CosineAnnealingLR(o, 15, eta_min=minimum), 16)
    assert rates(Cosine(15, minimum), 16) == pytest.approx(theirs, rel=1e-12, abs=1e-15)


def test_pytorchs_warm_up():
    theirs = theirs_of(lambda s, o: s.LinearLR(o, start_factor=0.2, total_iters=5), 9)
    assert rates(WarmUp(5, start_factor=0.2), 9) == close(theirs)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "numbers",
    [
        {},
        {"factor": 0.5, "patience": 0},
        {"factor": 0.3, "patience": 2, "tol": 0.05, "minimum": 0.01},
    ],
)
def test_pytorchs_plateau(seed, numbers):
    rng = np.random.default_rng(seed)
    losses = list(1.0 / np.arange(1, 61) + 0.1 * rng.normal(size=60) ** 2)
    losses[17] = math.nan
    torchs = {"tol": "threshold", "minimum": "min_lr"}
    renamed = {torchs.get(name, name): value for name, value in numbers.items()}
    theirs = theirs_of(lambda s, o: s.ReduceLROnPlateau(o, **renamed), 60, losses)
    assert rates(ReduceOnPlateau(**numbers), 60, losses) == theirs


# --- parameters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Step(0), ValueError, "step_size must be a whole number from 1 to .*, got 0"),
        (lambda: Step(2.0), TypeError, r"step_size must be a whole number from 1 to .*, got 2\.0"),
        (lambda: Step(2, gamma=0), ValueError, "gamma must be a finite real number above 0, got 0"),
        (lambda: Cosine(0), ValueError, "epochs must"),
        (
            lambda: Cosine(5, minimum=-0.1),
            ValueError,
            r"minimum must be .* at least 0, got -0\.1",
        ),
        (lambda: WarmUp(True), TypeError, "epochs must be a whole number"),
        (lambda: WarmUp(2, then=0.1), TypeError, r"then must be a schedule .* got 0\.1"),
        (lambda: WarmUp(2, then=Constant), TypeError, r"then must .* write Constant\(…\)"),
        (lambda: WarmUp(2, start_factor=0), ValueError, "start_factor must .* above 0 to 1, got 0"),
        (lambda: WarmUp(2, start_factor=1.5), ValueError, r"start_factor must .* got 1\.5"),
        (lambda: InverseScaling(-1), ValueError, "power must"),
        (
            lambda: ReduceOnPlateau(factor=1),
            ValueError,
            "factor must .* between 0 and 1, exclusive, got 1",
        ),
        (lambda: ReduceOnPlateau(patience=-1), ValueError, "patience must"),
        (lambda: ReduceOnPlateau(tol=1.0), ValueError, "tol must"),
        (lambda: ReduceOnPlateau(minimum=math.inf), ValueError, "minimum must"),
    ],
)
def test_parameters_out_of_range(make, error, match):
    with pytest.raises(error, match=match):
        make()


@each_schedule
def test_immutable_equal_and_copied(schedule):
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert hash(schedule) == hash(dataclasses.replace(schedule))
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.power = 2
    assert isinstance(schedule, Schedule)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", Constant()),
        ("Inverse_Scaling", InverseScaling()),
        ("inversescaling", InverseScaling()),
        ("ReduceOnPlateau", ReduceOnPlateau()),
    ],
)
def test_found_by_name(name, expected):
    assert find_schedule(name) == expected
    assert find_schedule(expected) is expected


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("constnt", ValueError, "schedule must be one of .*'constnt'; did you mean 'constant'"),
        (
            "cosine",
            ValueError,
            "schedule='cosine' has parameters without defaults: pass an instance",
        ),
        ("warm-up", ValueError, "parameters without defaults"),
        (
            "zzz",
            ValueError,
            "schedule must be one of constant, inverse_scaling, reduce_on_plateau, got 'zzz'$",
        ),
        (None, TypeError, "schedule must be a schedule of learning rates, got None"),
        (Constant, TypeError, r"write Constant\(…\)"),
    ],
)
def test_not_found(name, error, match):
    with pytest.raises(error, match=match):
        find_schedule(name)

"""Optimisers: what they accept, and the numbers of their steps."""

import copy
import dataclasses
import inspect
import pickle

import numpy as np
import pytest

from fastkb.nn.optim.optimizers import (
    LAMB,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    find_optimizer,
)
from fastkb.nn.optim.schedules import InverseScaling, ReduceOnPlateau, Step
from fastkb.nn.optim.updates import Hyper, Rule

CLASSES = (SGD, Adagrad, RMSprop, Adam, AdamW, LAMB)
each_class = pytest.mark.parametrize("cls", CLASSES)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (SGD(), Hyper(Rule.SGD, 0.5)),
        (SGD(momentum=0.9, nesterov=True), Hyper(Rule.SGD, 0.5, momentum=0.9, nesterov=1)),
        (Adagrad(), Hyper(Rule.ADAGRAD, 0.5, eps=1e-10)),
        (RMSprop(alpha=0.9), Hyper(Rule.RMSPROP, 0.5, beta2=0.9, eps=1e-8)),
        (
            Adam(betas=(0.5, 0.75)),
            Hyper(
                Rule.ADAM,
                0.5,
                beta1=0.5,
                beta2=0.75,
                eps=1e-8,
                correction1=0.875,
                correction2=37 / 64,
            ),
        ),
        (
            AdamW(betas=[0, 0.5], weight_decay=1),
            Hyper(Rule.ADAMW, 0.5, beta2=0.5, eps=1e-8, weight_decay=1.0, correction2=0.875),
        ),
        (
            LAMB(betas=(0.5, 0)),
            Hyper(Rule.LAMB, 0.5, beta1=0.5, eps=1e-6, weight_decay=0.01, correction1=0.875),
        ),
    ],
)
def test_numbers_of_the_third_step(optimizer, expected):
    got = optimizer.hyper(0.5, 3)
    assert got == expected
    assert [type(number) for number in got] == [type(number) for number in Hyper(0, 0.0)]


@pytest.mark.parametrize(
    ("optimizer", "first", "second"),
    [
        (SGD(), False, False),
        (SGD(momentum=0.1), True, False),
        (Adagrad(), False, True),
        (RMSprop(), False, True),
        (Adam(), True, True),
        (AdamW(), True, True),
        (LAMB(), True, True),
    ],
)
def test_states(optimizer, first, second):
    assert (optimizer.uses_first, optimizer.uses_second) == (first, second)


@each_class
def test_pytorchs_names_and_defaults(cls):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.optim, cls.__name__, None)
    if theirs is None:
        pytest.skip("PyTorch has none")
    theirs = inspect.signature(theirs).parameters
    for field in dataclasses.fields(cls):
        if field.name not in ("lr", "schedule", "clip_norm", "clip_value"):
            assert theirs[field.name].default == field.default
    if cls is not SGD:
        assert theirs["lr"].default == cls().lr


@each_class
def test_immutable_equal_and_copied(cls):
    optimizer = cls(lr=0.25, clip_norm=2, schedule=Step(3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        optimizer.lr = 1.0
    assert optimizer == copy.deepcopy(optimizer) == pickle.loads(pickle.dumps(optimizer))
    assert hash(optimizer) == hash(copy.deepcopy(optimizer))
    assert optimizer != cls()
    assert eval(repr(optimizer), {cls.__name__: cls, "Step": Step}) == optimizer


@each_class
def test_numbers_of_numpy_become_pythons(cls):
    optimizer = cls(lr=np.float32(0.5), clip_norm=np.int64(2), clip_value=1)
    assert [type(x) for x in (optimizer.lr, optimizer.clip_norm, optimizer.clip_value)] == [
        float
    ] * 3
    assert type(optimizer.hyper(np.float64(0.5), np.int64(2)).lr) is float


@each_class
@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"lr": 0.0}, ValueError, r"lr must be a finite real number above 0, got 0\.0"),
        ({"lr": np.inf}, ValueError, "lr must be a finite real number above 0, got inf"),
        ({"lr": np.nan}, ValueError, "lr must"),
        ({"lr": "0.1"}, TypeError, "lr must be a finite real number above 0, got '0.1'"),
        ({"clip_norm": 0}, ValueError, "clip_norm must"),
        ({"clip_value": -1.0}, ValueError, r"clip_value must .* got -1\.0"),
        ({"schedule": 0.5}, TypeError, r"schedule must be .* got 0\.5"),
        ({"schedule": Step}, TypeError, "schedule must be"),
        ({"schedule": "constnt"}, ValueError, "did you mean 'constant'"),
    ],
)
def test_what_none_accepts(cls, arguments, error, match):
    with pytest.raises(error, match=match):
        cls(**arguments)


@pytest.mark.parametrize(
    ("cls", "arguments", "match"),
    [
        (SGD, {"momentum": 1.0}, r"momentum must be a number from 0 to below 1, got 1\.0"),
        (SGD, {"nesterov": True}, "nesterov=True needs momentum"),
        (Adagrad, {"eps": 0.0}, "eps must"),
        (RMSprop, {"alpha": 1}, "alpha must be a number from 0 to below 1, got 1"),
        (Adam, {"betas": (0.9, 1.0)}, r"betas\[1\] must be a number from 0 to below 1, got 1\.0"),
        (Adam, {"eps": -1e-8}, "eps must"),
        (
            AdamW,
            {"weight_decay": -0.1},
            r"weight_decay must be a finite real number of at least 0, got -0\.1",
        ),
        (LAMB, {"betas": (-0.1, 0.9)}, r"betas\[0\]"),
    ],
)
def test_what_one_does_not_accept(cls, arguments, match):
    with pytest.raises(ValueError, match=match):
        cls(**arguments)


def test_the_first_step_is_number_1():
    with pytest.raises(ValueError, match=r"step must be a whole number from 1 to .*, got 0"):
        Adam().hyper(0.1, 0)


def test_rates_of_epochs():
    assert SGD(lr=0.5).rate(7) == 0.5
    assert SGD(lr=0.5, schedule="inverse-scaling").schedule == InverseScaling()
    assert SGD(lr=0.5, schedule=InverseScaling()).rate(3) == 0.25
    plateau = ReduceOnPlateau(factor=0.5, patience=0)
    assert Adam(lr=0.5, schedule=plateau).rate(2, [1.0, 2.0]) == 0.25


@each_class
def test_found_by_name(cls):
    for name in (cls.__name__, cls.__name__.lower(), cls.__name__.upper()):
        found = find_optimizer(name)
        assert type(found) is cls
        assert found == cls()
    assert find_optimizer(found) is found


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("adm", ValueError, "optimizer must be one of .*'adm'; did you mean 'adam'"),
        ("sdg", ValueError, "did you mean 'sgd'"),
        (
            "zzz",
            ValueError,
            "optimizer must be one of sgd, adagrad, rmsprop, adam, adamw, lamb, got 'zzz'$",
        ),
        (3, TypeError, "optimizer must be an optimiser or the name of one, got 3"),
        (Adam, TypeError, r"write Adam\(…\)"),
    ],
)
def test_not_found(name, error, match):
    with pytest.raises(error, match=match):
        find_optimizer(name)


def test_the_base_is_abstract():
    with pytest.raises(TypeError):
        Optimizer(lr=0.1)

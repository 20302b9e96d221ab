"""Rules: against torch step by step, and against the formulas."""

import inspect

import numpy as np
import pytest

import fastkb
from fastkb import optim
from fastkb.reference import networks
from tests.optim.twins import (
    Dense,
    Images,
    assert_close,
    backward,
    backward_of_twin,
    data_of,
    twin_of,
)

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])

# torch's name of the optimiser, and options. eps is large enough for float32 to agree where a derivative
# is close to 0, whose sign alone would matter else.
OPTIONS = {
    "SGD": ("SGD", {"lr": 0.05}),
    "SGD, decay": ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    "SGD, up": ("SGD", {"lr": 0.002, "weight_decay": 0.1, "maximize": True}),
    "momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "momentum, damped": (
        "SGD",
        {"lr": 0.05, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1},
    ),
    "momentum, damped, up": (
        "SGD",
        {"lr": 0.001, "momentum": 0.8, "dampening": 0.3, "maximize": True},
    ),
    "Nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    "Adam": ("Adam", {"lr": 0.02, "eps": 1e-3}),
    "Adam, decay": ("Adam", {"lr": 0.02, "eps": 1e-3, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    "Adam, up": ("Adam", {"lr": 0.01, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    "AdamW": ("AdamW", {"lr": 0.02, "eps": 1e-3}),
    "AdamW, up": ("AdamW", {"lr": 0.01, "eps": 1e-3, "weight_decay": 0.3, "maximize": True}),
    "AMSGrad": ("Adam", {"lr": 0.02, "eps": 1e-3, "betas": (0.8, 0.5), "amsgrad": True}),
    "AMSGrad, decay, up": (
        "Adam",
        {"lr": 0.01, "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True, "maximize": True},
    ),
    "AdamW, AMSGrad": ("AdamW", {"lr": 0.02, "eps": 1e-3, "betas": (0.8, 0.5), "amsgrad": True}),
    "Adagrad": ("Adagrad", {"lr": 0.05, "eps": 1e-3}),
    "Adagrad, decays": (
        "Adagrad",
        {
            "lr": 0.1,
            "eps": 1e-3,
            "lr_decay": 0.1,
            "weight_decay": 0.1,
            "initial_accumulator_value": 0.3,
        },
    ),
    "Adagrad, up": ("Adagrad", {"lr": 0.01, "eps": 1e-3, "maximize": True}),
    "RMSprop": ("RMSprop", {"lr": 0.01, "eps": 1e-3}),
    "RMSprop, decay": ("RMSprop", {"lr": 0.01, "eps": 1e-3, "alpha": 0.9, "weight_decay": 0.1}),
    "RMSprop, centred": ("RMSprop", {"lr": 0.01, "eps": 1e-2, "alpha": 0.8, "centered": True}),
    "RMSprop, centred, momentum": (
        "RMSprop",
        {"lr": 0.003, "eps": 1e-2, "momentum": 0.9, "centered": True, "weight_decay": 0.1},
    ),
    "RMSprop, momentum": ("RMSprop", {"lr": 0.003, "eps": 1e-3, "momentum": 0.9}),
    "RMSprop, momentum, up": (
        "RMSprop",
        {"lr": 0.001, "eps": 1e-3, "momentum": 0.8, "weight_decay": 0.1, "maximize": True},
    ),
}


@each_dtype
@pytest.mark.parametrize("kind", [Dense, Images])
@pytest.mark.parametrize("case", OPTIONS)
def test_thirty_steps_are_those_of_torch(case, kind, dtype):
    torch = pytest.importorskip("torch")
    name, options = OPTIONS[case]
    net = kind(rng=0, dtype=np.dtype(dtype).name)
    X, y = data_of(net, dtype)
    twin = twin_of(net, torch)
    ours = getattr(optim, name)(net.parameters(), **options)
    theirs = getattr(torch.optim, name)(twin.parameters(), **options)
    before = net.state_dict()
    for _ in range(30):
        ours.zero_grad()
        backward(net, X, y)
        ours.step()
        theirs.zero_grad()
        backward_of_twin(twin, torch, X, y)
        theirs.step()
    assert_close(net, twin)
    after = net.state_dict()
    assert all(np.abs(after[each] - before[each]).max() > 1e-3 for each in after)


REFERENCE = {
    "SGD": ({"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "nesterov": True}),
    "Adagrad": ({}, {}),
    "RMSprop": ({"alpha": 0.9, "momentum": 0.7}, {"alpha": 0.9, "momentum": 0.7}),
    "Adam": ({"betas": (0.7, 0.9)}, {"betas": (0.7, 0.9)}),
    "AdamW": ({"weight_decay": 0.3}, {"weight_decay": 0.3}),
    "LAMB": ({}, {}),
}


@each_dtype
@pytest.mark.parametrize("name", REFERENCE)
def test_formulas(name, dtype):
    ours, theirs = REFERENCE[name]
    net = Images(rng=0, dtype=np.dtype(dtype).name)
    named = dict(net.named_parameters())
    expected = {each: p.numpy().astype(np.float64) for each, p in named.items()}
    rules = {each: getattr(networks, name)(**theirs) for each in named}
    optimizer = getattr(optim, name)(net.parameters(), lr=0.03, **ours)
    rng = np.random.default_rng(2)
    for _ in range(10):
        for each, parameter in named.items():
            given = rng.standard_normal(parameter.shape).astype(dtype)
            parameter.grad = given
            expected[each] = rules[each].step(expected[each], given.astype(np.float64), 0.03)
        optimizer.step()
        np.testing.assert_array_equal(parameter.grad, given)  # also of LAMB, which needs room
    for each, parameter in named.items():
        atol = 1e-12 if dtype == np.float64 else 1e-5
        np.testing.assert_allclose(parameter.numpy(), expected[each], rtol=0, atol=atol)


def test_lamb_goes_up_and_shrinks():
    def run(**options):
        net = Dense(rng=0)
        for parameter in net.parameters():
            parameter.grad = np.ones(parameter.shape)
        optim.LAMB(net.parameters(), lr=0.1, **options).step()
        return net.state_dict()["fc1.weight"] - Dense(rng=0).state_dict()["fc1.weight"]

    np.testing.assert_allclose(run(weight_decay=0.0), -run(weight_decay=0.0, maximize=True))
    weight = Dense(rng=0).state_dict()["fc1.weight"]
    along = 1.0 / (1.0 + 1e-6) + 0.5 * weight
    step = 0.1 * np.linalg.norm(weight) / np.linalg.norm(along) * along
    np.testing.assert_allclose(run(weight_decay=0.5), -step, rtol=1e-9)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop"])
def test_signatures_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    for parameter in inspect.signature(getattr(optim, name)).parameters.values():
        assert parameter.default == theirs[parameter.name].default
    positions = [
        parameter.name
        for parameter in inspect.signature(getattr(optim, name)).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    assert positions == list(theirs)[: len(positions)]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop"])
def test_groups_have_what_torch_writes(name):
    torch = pytest.importorskip("torch")
    net = Dense(rng=0)
    theirs = getattr(torch.optim, name)(twin_of(net, torch).parameters()).defaults
    ours = getattr(optim, name)(net.parameters()).defaults
    assert ours == {each: theirs[each] for each in ours}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("SGD", {"lr": -0.1}, "lr must be a finite real number of at least 0, got -0.1"),
        ("SGD", {"lr": float("nan")}, "lr must be"),
        ("SGD", {"momentum": -1}, "momentum must be"),
        ("SGD", {"nesterov": True}, "nesterov=True needs momentum above 0 and no dampening"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "and dampening=0.1"),
        ("SGD", {"nesterov": 1}, "nesterov must be True or False"),
        ("Adam", {"betas": (0.9, 1.0)}, r"betas\[1\] must be a number from 0 to below 1, got 1.0"),
        ("Adam", {"betas": 0.9}, "betas must be a pair"),
        ("Adam", {"eps": -1e-8}, "eps must be"),
        ("AdamW", {"weight_decay": "0.1"}, "weight_decay must be"),
        ("Adagrad", {"lr_decay": -1}, "lr_decay must be"),
        ("Adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value must be"),
        ("RMSprop", {"alpha": 1.0}, "alpha must be"),
        ("RMSprop", {"centered": 1}, "centered must be True or False"),
        ("Adam", {"amsgrad": None}, "amsgrad must be True or False"),
        ("LAMB", {"maximize": None}, "maximize must be True or False"),
    ],
)
def test_numbers_out_of_their_range(name, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(optim, name)(Dense(rng=0).parameters(), **options)


def test_the_room_is_public():
    assert fastkb.optim is optim
    assert isinstance(optim.AdamW(Dense(rng=0).parameters()), optim.Optimizer)

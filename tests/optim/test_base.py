"""Optimisers in loops: their groups, and which parameters they change by what."""

import numpy as np
import pytest

from fastkb import nn, optim
from fastkb.nn import functional as F
from tests.optim.twins import (
    RULES,
    Dense,
    assert_close,
    backward,
    both,
    data_of,
    each_optimizer,
    one_step,
    same,
    train,
)

# --- parameter groups ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_groups_have_numbers_of_their_own(name):
    torch = pytest.importorskip("torch")

    def groups(named):
        biases = [named["fc2.bias"], named["fc1.bias"]]
        return [
            {"params": biases, "lr": 0.002, "weight_decay": 0.0},
            {"params": [named["fc1.weight"]]},
            {"params": named["fc2.weight"], "weight_decay": 0.3},
        ]

    net, twin, ours, theirs = both(torch, name, groups, lr=0.01, weight_decay=0.1)
    for step in range(10):
        if step == 5:
            for group in (ours.param_groups[1], theirs.param_groups[1]):
                group["lr"] = 0.02
                group["weight_decay"] = 0.0
        one_step(torch, net, twin, ours, theirs)
    assert_close(net, twin)
    for own, other in zip(ours.param_groups, theirs.param_groups, strict=True):
        assert {k: v for k, v in own.items() if k != "params"} == {
            k: other[k] for k in own if k != "params"
        }
        assert [p.shape for p in own["params"]] == [tuple(p.shape) for p in other["params"]]


@each_optimizer
def test_one_group_or_a_group_for_each_parameter(name, options):
    first, second = Dense(rng=0), Dense(rng=0)
    train(first, getattr(optim, name)(first.parameters(), **options), 5)
    each = [{"params": [p]} for p in second.parameters()]
    train(second, getattr(optim, name)(each[::-1], **options), 5)
    assert same(first, second)


@pytest.mark.parametrize("name", RULES)
def test_a_group_that_is_added_later(name):
    torch = pytest.importorskip("torch")

    def groups(named):
        return [named["fc1.weight"], named["fc2.bias"]]

    net, twin, ours, theirs = both(torch, name, groups, lr=0.01)
    for step in range(12):
        if step == 6:
            for optimizer, parts in ((ours, net), (theirs, twin)):
                named = dict(parts.named_parameters())
                rest = [named["fc1.bias"], named["fc2.weight"]]
                optimizer.add_param_group({"params": rest, "lr": 0.005})
        one_step(torch, net, twin, ours, theirs)
    assert_close(net, twin)


def test_pairs_of_names_and_parameters():
    net = Dense(rng=0)
    optimizer = optim.Adam(net.named_parameters())
    (group,) = optimizer.param_groups
    assert group["params"] == list(net.parameters())
    assert group["param_names"] == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == group["param_names"]
    other = Dense(rng=0)
    with pytest.raises(ValueError, match="must have names of its parameters where the others do"):
        optimizer.add_param_group({"params": [other.fc1.weight]})


def test_parameters_of_part_of_a_network():
    net = Dense(rng=0)
    before = net.state_dict()
    optimizer = optim.SGD(net.fc2.parameters(), lr=0.1)
    train(net, optimizer, 1)
    after = net.state_dict()
    assert [name for name in after if not np.array_equal(after[name], before[name])] == [
        "fc2.weight", "fc2.bias",
    ]  # fmt: skip
    # Those of the rest have added up.
    assert net.fc1.weight.grad is not None
    optimizer.zero_grad()
    assert net.fc1.weight.grad is not None
    assert net.fc2.weight.grad is None


def test_one_optimizer_of_two_networks():
    nets = [Dense(rng=0, dtype="float32"), nn.Sequential(nn.Linear(3, 2), rng=1)]
    alone = [Dense(rng=0, dtype="float32"), nn.Sequential(nn.Linear(3, 2), rng=1)]
    optimizer = optim.Adam([p for net in nets for p in net.parameters()], lr=0.1)
    X, y = data_of(nets[0], np.float32)
    for _ in range(3):
        optimizer.zero_grad()
        backward(nets[0], X, y)
        loss = F.mse_loss(nets[1](X.astype(np.float64)), y)
        loss.backward()
        optimizer.step()
    for net, dtype in zip(alone, (np.float32, np.float64), strict=True):
        own = optim.Adam(net.parameters(), lr=0.1)
        for _ in range(3):
            own.zero_grad()
            F.mse_loss(net(X.astype(dtype)), y).backward()
            own.step()
    assert all(same(one, other) for one, other in zip(nets, alone, strict=True))
    assert len(optimizer.state_dict()["state"]) == 6


def test_groups_are_only_added_by_their_method():
    net = Dense(rng=0)
    optimizer = optim.SGD([net.fc1.weight])
    with pytest.raises(ValueError, match=r"fc1\.weight is in another parameter group"):
        optimizer.add_param_group({"params": [net.fc2.weight, net.fc1.weight]})
    assert len(optimizer.param_groups) == 1
    optimizer.param_groups[0]["params"].append(net.fc2.weight)
    with pytest.raises(ValueError, match="'params' of param_groups"):
        optimizer.step()
    optimizer.param_groups[0]["params"].pop()
    optimizer.step()
    optimizer.param_groups.append({"params": [net.fc2.weight], **optimizer.defaults})
    with pytest.raises(ValueError, match="has 2 groups, of which 1 are known: add one by"):
        optimizer.step()


def test_numbers_are_looked_at_when_they_are_used():
    net = Dense(rng=0)
    optimizer = optim.Adam(net.parameters())
    train(net, optimizer, 1)
    before = net.state_dict()
    X, y = data_of(net, np.float64)
    backward(net, X, y)
    optimizer.param_groups[0]["lr"] = "0.1"
    with pytest.raises(
        ValueError, match=r"lr must be a finite real number of at least 0, got '0\.1'"
    ):
        optimizer.step()
    assert all(np.array_equal(before[name], each) for name, each in net.state_dict().items())
    optimizer.param_groups[0]["lr"] = np.float32(0.1)
    optimizer.param_groups[0]["betas"] = [0.5, 0.5]
    optimizer.step()
    assert type(optimizer.param_groups[0]["lr"]) is float
    assert optimizer.param_groups[0]["betas"] == (0.5, 0.5)


def test_what_it_looks_like():
    net = Dense(rng=0)
    lines = repr(optim.SGD(net.parameters(), lr=0.5)).splitlines()
    assert lines[:2] == ["SGD (", "Parameter Group 0"]
    assert "    lr: 0.5" in lines
    assert lines[-1] == ")"


# --- which parameters change --------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_parameters_that_are_frozen(name):
    torch = pytest.importorskip("torch")
    net, twin, ours, theirs = both(torch, name, lr=0.01, weight_decay=0.1)
    before = net.state_dict()
    for step in range(12):
        if step in (0, 6):
            for each in (net.fc1.weight, twin["fc1"].weight, net.fc2.bias, twin["fc2"].bias):
                each.requires_grad = step == 6
        one_step(torch, net, twin, ours, theirs)
        if step == 5:
            assert np.array_equal(net.state_dict()["fc1.weight"], before["fc1.weight"])
    assert_close(net, twin)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *[(name, {}) for name in RULES],
        ("SGD", {"momentum": 0.9, "dampening": 0.5}),
        ("Adagrad", {"lr_decay": 0.5}),
    ],
)
def test_parameters_that_have_derivatives_now_and_then(name, options):
    """Each counts its own steps; a momentum does not go on without derivatives."""
    torch = pytest.importorskip("torch")
    net, twin, ours, theirs = both(torch, name, lr=0.01, **options)
    named, others = dict(net.named_parameters()), dict(twin.named_parameters())
    rng = np.random.default_rng(0)
    for step in range(12):
        for place, each in enumerate(named):
            given = rng.standard_normal(named[each].shape)
            if (step + place) % (place + 1):
                given = None
            named[each].grad = given
            others[each].grad = None if given is None else torch.tensor(given)
        ours.step()
        theirs.step()
    assert_close(net, twin)
    for place, entry in theirs.state_dict()["state"].items():
        if "step" in entry:
            assert ours.state_dict()["state"][place]["step"] == int(entry["step"])


def test_a_step_without_derivatives_changes_nothing():
    net = Dense(rng=0)
    optimizer = optim.AdamW(net.parameters())
    optimizer.step()
    assert net.dtype is None  # not even that it has parameters
    train(net, optimizer, 1)
    before, version = net.state_dict(), net._version
    optimizer.zero_grad()
    optimizer.step()
    assert all(np.array_equal(before[name], each) for name, each in net.state_dict().items())
    assert net._version == version
    backward(net, *data_of(net, np.float64))
    optimizer.step()
    assert net._version == version + 1


def test_derivatives_are_forgotten_or_zero():
    net = Dense(rng=0)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    train(net, optimizer, 1)
    before = net.state_dict()
    optimizer.zero_grad(set_to_none=False)
    assert all((p.grad == 0).all() for p in net.parameters())
    optimizer.step()  # the momentum goes on
    after = net.state_dict()
    assert all(not np.array_equal(before[name], after[name]) for name in after)
    optimizer.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    optimizer.zero_grad(set_to_none=False)
    assert all(p.grad is None for p in net.parameters())


def test_momentum_from_some_step_on():
    torch = pytest.importorskip("torch")
    for name in ("SGD", "RMSprop"):
        options = {"dampening": 0.4} if name == "SGD" else {}
        net, twin, ours, theirs = both(torch, name, lr=0.01, **options)
        for step in range(9):
            for group in (ours.param_groups[0], theirs.param_groups[0]):
                group["momentum"] = 0.9 if 3 <= step < 6 else 0.0
            if name == "RMSprop" and step == 0:  # torch makes room in the first step alone
                theirs.param_groups[0]["momentum"] = ours.param_groups[0]["momentum"] = 1e-30
            one_step(torch, net, twin, ours, theirs)
        assert_close(net, twin)


def test_a_closure_computes_the_loss():
    net = Dense(rng=0)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    X, y = data_of(net, np.float64)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = backward(net, X, y)
        losses.append(loss)
        return loss

    assert optimizer.step(closure) is losses[0]
    assert optimizer.step(closure).item() < losses[0].item()
    assert optimizer.step() is None


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_derivatives_that_are_not_finite(wrong):
    nets = [Dense(rng=0), Dense(rng=1)]
    optimizer = optim.Adam([p for net in nets for p in net.parameters()])
    for net in nets:
        train(net, optimizer, 1)
    before = [net.state_dict() for net in nets]
    state = optimizer.state_dict()
    given = nets[1].fc2.weight.grad
    given[1, 3] = wrong
    nets[1].fc2.weight.grad = given
    nets[1].fc2.bias.grad = np.full(2, wrong)
    message = r"with respect to fc2\.weight are not finite, and nothing was changed"
    with pytest.raises(FloatingPointError, match=message):
        optimizer.step()
    for net, one in zip(nets, before, strict=True):
        assert all(np.array_equal(one[name], each) for name, each in net.state_dict().items())
    again = optimizer.state_dict()["state"]
    assert {k: v["step"] for k, v in again.items()} == {
        k: v["step"] for k, v in state["state"].items()
    }
    # Of those that are not trained here nothing is said.
    optim.SGD(nets[1].fc1.parameters()).step()


def test_squares_may_overflow():
    net = Dense(rng=0, dtype="float64")
    for parameter in net.parameters():
        parameter.grad = np.full(parameter.shape, 1e200)
    before = net.fc1.bias.numpy()
    optim.SGD(net.parameters(), lr=1e-200).step()
    np.testing.assert_allclose(net.fc1.bias.numpy(), before - 1.0)


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "maximize": True}])
@pytest.mark.parametrize("name", ["SGD", "LAMB"])
def test_derivatives_stay_as_they_are(name, options):
    net = Dense(rng=0)
    backward(net, *data_of(net, np.float64))
    before = [p.grad for p in net.parameters()]
    getattr(optim, name)(net.parameters(), **options).step()
    for parameter, grad in zip(net.parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)


def test_a_rule_of_ones_own():
    class Signs(optim.Optimizer):
        def __init__(self, params, lr=0.1, momenta=None):
            super().__init__(params, {"lr": lr, "momenta": momenta})

        def step(self, closure=None):
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.data = parameter.data - group["lr"] * np.sign(parameter.grad)

    net = Dense(rng=0)
    optimizer = Signs(net.parameters())
    X, y = data_of(net, np.float64)
    first = backward(net, X, y).item()
    optimizer.zero_grad()
    train(net, optimizer, 1)
    assert backward(net, X, y).item() != first
    assert optimizer.state_dict()["param_groups"] == [
        {"lr": 0.1, "momenta": None, "params": [0, 1, 2, 3]}
    ]
    plain = optim.Optimizer(net.parameters(), {"lr": 0.1, "maximize": False, "weight_decay": 0.0})
    with pytest.raises(NotImplementedError, match="Optimizer must define step"):
        plain.step()

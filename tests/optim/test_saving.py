"""What an optimiser goes on from."""

import copy
import pickle

import numpy as np
import pytest

from fastkb import nn, optim
from tests.optim.twins import (
    ALL,
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_optimizer
def test_goes_on_to_the_same_bits(name, options, dtype):
    net = Dense(rng=0, dtype=np.dtype(dtype).name)
    optimizer = getattr(optim, name)(net.parameters(), **options)
    train(net, optimizer, 3, dtype)
    saved = pickle.loads(pickle.dumps((net.state_dict(), optimizer.state_dict())))
    other = Dense(rng=5)
    # In another order, and with numbers that are replaced.
    second = getattr(optim, name)(other.parameters(), lr=0.7)
    second.load_state_dict(saved[1])
    other.load_state_dict(saved[0])
    train(net, optimizer, 3, dtype)
    train(other, second, 3, dtype)
    assert same(net, other)
    assert other.dtype == dtype
    one, two = optimizer.state_dict(), second.state_dict()
    assert one["param_groups"] == two["param_groups"]
    assert one["state"].keys() == two["state"].keys()
    for place, entry in one["state"].items():
        for key, value in entry.items():
            np.testing.assert_array_equal(value, two["state"][place][key])


@each_optimizer
@pytest.mark.parametrize("make", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_have_networks_of_their_own(name, options, make):
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), rng=0)
    optimizer = getattr(optim, name)(net.parameters(), **options)
    X, y = data_of(Dense(), np.float64)
    for _ in range(2):
        optimizer.zero_grad()
        backward(net, X, y)
        optimizer.step()
    again, copied = make((net, optimizer))
    assert copied.param_groups[0]["params"][0]._network is again
    for each, own in ((net, optimizer), (again, copied)):
        own.zero_grad()
        backward(each, X, y)
        own.step()
    assert same(net, again)
    assert net is not again


@pytest.mark.parametrize(
    ("name", "options"), [each for each in ALL if each[0] != "LAMB"], ids=lambda each: str(each)
)
def test_state_is_in_the_form_of_torch(name, options):
    """Torch's state is taken over, in the middle of training, and has the same keys."""
    torch = pytest.importorskip("torch")
    net, twin, ours, theirs = both(torch, name, lr=0.01, **options)
    for _ in range(4):
        one_step(torch, net, twin, ours, theirs)
    mine, other = ours.state_dict(), theirs.state_dict()
    assert mine["state"].keys() == {
        k for k, v in other["state"].items() if any(e is not None for e in v.values())
    }
    for place, entry in mine["state"].items():
        assert entry.keys() == other["state"][place].keys()
        for key, value in entry.items():
            np.testing.assert_allclose(value, other["state"][place][key].numpy(), atol=1e-10)
    fresh = Dense(rng=3)
    fresh.load_state_dict({k: v.numpy() for k, v in twin.state_dict().items()})
    third = getattr(optim, name)(fresh.parameters())
    third.load_state_dict(other)
    for _ in range(4):
        one_step(torch, fresh, twin, third, theirs)
    assert_close(fresh, twin)
    theirs.load_state_dict(
        {
            "state": {
                k: {n: torch.as_tensor(float(e) if n == "step" else e) for n, e in v.items()}
                for k, v in third.state_dict()["state"].items()
            },
            "param_groups": [
                {**own, **each}
                for own, each in zip(
                    theirs.state_dict()["param_groups"],
                    third.state_dict()["param_groups"],
                    strict=True,
                )
            ],
        }
    )
    one_step(torch, fresh, twin, third, theirs)
    assert_close(fresh, twin)


def test_state_is_copies():
    net = Dense(rng=0)
    optimizer = optim.Adam(net.parameters())
    assert optimizer.state_dict()["state"] == {}
    train(net, optimizer, 2)
    state = optimizer.state_dict()
    state["state"][0]["exp_avg"][...] = 7.0
    state["param_groups"][0]["lr"] = 7.0
    again = optimizer.state_dict()
    assert (again["state"][0]["exp_avg"] != 7.0).all()
    assert again["param_groups"][0]["lr"] == 1e-3
    assert again["param_groups"][0]["params"] == [0, 1, 2, 3]
    optimizer.load_state_dict(again)
    again["state"][0]["exp_avg"][...] = 7.0
    assert (optimizer.state_dict()["state"][0]["exp_avg"] != 7.0).all()


def test_a_state_that_does_not_fit_changes_nothing():
    net = Dense(rng=0)
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    train(net, optimizer, 2)
    before = optimizer.state_dict()
    wrong = copy.deepcopy(before)
    wrong["param_groups"][0]["lr"] = 0.5
    wrong["state"][3]["exp_avg"] = np.zeros(5)
    with pytest.raises(ValueError, match=r"must be numbers of shape \(2,\), got float64 of shape"):
        optimizer.load_state_dict(wrong)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for place, entry in before["state"].items():
        for key, value in entry.items():
            np.testing.assert_array_equal(value, after["state"][place][key])


def test_a_state_of_no_step_is_one_of_no_step():
    net, other = Dense(rng=0), Dense(rng=0)
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    blank = optimizer.state_dict()
    train(net, optimizer, 2)
    optimizer.load_state_dict(blank)
    net.load_state_dict(other.state_dict())
    train(net, optimizer, 2)
    train(other, optim.Adam(other.parameters(), lr=0.1), 2)
    assert same(net, other)


def state_of(**changes):
    """A state of Adam's, with changes of the first parameter's."""
    net = Dense(rng=0)
    optimizer = optim.Adam(net.parameters())
    train(net, optimizer, 1)
    state = optimizer.state_dict()
    state["state"][0].update(changes)
    return optimizer, state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: [], "state_dict must be a dict, got list"),
        (lambda state: {}, "must have 'state', a dict, and 'param_groups', a list of dicts"),
        (lambda state: {**state, "param_groups": []}, "must have 1 parameter groups, .* got 0"),
        (
            lambda state: {**state, "param_groups": [{"lr": 0.1, "params": [0]}]},
            "must be the places of 4 parameters, got \\[0\\]",
        ),
        (
            lambda state: {**state, "param_groups": [{"lr": 0.1, "params": [0, 1, 2, 3]}]},
            "group 0 of state_dict must have 'betas'",
        ),
        (
            lambda state: {**state, "param_groups": [{"params": [0, 1, 2, 2]}]},
            "group 0 of state_dict must have 'lr'",
        ),
        (
            lambda state: {
                **state,
                "param_groups": [{**state["param_groups"][0], "params": [0, 1, 2, 2]}],
            },
            "must be all different",
        ),
        (
            lambda state: {**state, "param_groups": [{**state["param_groups"][0], "lr": -1}]},
            "lr must be",
        ),
        (lambda state: {**state, "state": {7: {}}}, "a state of parameter 7, which is in no group"),
        (lambda state: {**state, "state": {0: []}}, "parameter 0 in state_dict must be a dict"),
    ],
)
def test_what_is_no_state(change, message):
    optimizer, state = state_of()
    with pytest.raises((TypeError, ValueError), match=message):
        optimizer.load_state_dict(change(state))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_exp_avg_sq": np.zeros((7, 3))}, "has 'max_exp_avg_sq', which this optimiser has no"),
        ({"step": 1.5}, "'step' of the state of parameter 0 .* must be a whole number, got 1.5"),
        ({"step": -1}, "must be a whole number"),
        ({"step": None}, "must be a whole number, got None"),
        ({"exp_avg": None}, "must have 'exp_avg'"),
        ({"exp_avg_sq": None}, "must have 'exp_avg_sq'"),
        ({"exp_avg": np.full((7, 3), np.nan)}, "must be finite numbers"),
        ({"exp_avg_sq": np.full((7, 3), -1.0)}, "squares not below 0"),
        ({"exp_avg_sq": np.full((7, 3), "a")}, "must be numbers of shape"),
        ({"exp_avg": np.zeros((3, 7))}, r"must be numbers of shape \(7, 3\), got float64 of shape"),
    ],
)
def test_what_is_no_state_of_a_parameter(changes, message):
    optimizer, state = state_of(**changes)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)


def test_a_network_without_parameters_gets_those_of_the_type():
    for dtype in (np.float32, np.float64):
        net, other = Dense(rng=0, dtype=np.dtype(dtype).name), Dense(rng=0)
        optimizer = optim.RMSprop(net.parameters())
        train(net, optimizer, 1, dtype)
        optim.RMSprop(other.parameters()).load_state_dict(optimizer.state_dict())
        assert other.dtype == dtype


def test_a_third_state_is_that_of_groups_that_use_it():
    def groups(net):
        first, second, *others = net.parameters()
        return [{"params": [first, second], "amsgrad": True}, {"params": others}]

    net, other = Dense(rng=0), Dense(rng=1)
    optimizer = optim.Adam(groups(net), lr=0.1)
    train(net, optimizer, 3)
    state = optimizer.state_dict()
    assert ["max_exp_avg_sq" in state["state"][k] for k in range(4)] == [True, True, False, False]
    again = optim.Adam(groups(other))
    again.load_state_dict(state)
    other.load_state_dict(net.state_dict())
    train(net, optimizer, 3)
    train(other, again, 3)
    assert same(net, other)
    del state["state"][0]["max_exp_avg_sq"]
    with pytest.raises(ValueError, match="must have 'max_exp_avg_sq'"):
        again.load_state_dict(state)
    centred = optim.RMSprop(net.parameters(), centered=True)
    train(net, centred, 1)
    state = centred.state_dict()
    assert (state["state"][0]["grad_avg"] < 0).any()  # no square
    centred.load_state_dict(state)
    state["state"][0]["grad_avg"][:] = np.nan
    with pytest.raises(ValueError, match="must be finite numbers"):
        centred.load_state_dict(state)

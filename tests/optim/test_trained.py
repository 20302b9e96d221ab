"""Networks that are put together anew while an optimiser trains them."""

import numpy as np
import pytest

from fastkb import nn, optim
from fastkb.nn import functional as F
from fastkb.optim.trained import Trained
from tests.optim.twins import (
    Dense,
    backward,
    data_of,
    each_optimizer,
    train,
)


@each_optimizer
def test_a_layer_that_is_added_later(name, options):
    """State goes on by names, wherever the tensors stand."""

    class Grown(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.fc = nn.Linear(3, 5)
            self.out = nn.Linear(5, 2)

        def forward(self, x):
            x = F.tanh(self.fc(x))
            return self.out(F.tanh(self.middle(x)) if hasattr(self, "middle") else x)

    net, plain = Grown(), Grown()
    X, y = data_of(net, np.float64, 9)[0], data_of(net, np.float64, 9)[1]
    X = np.random.default_rng(0).standard_normal((9, 3))
    optimizers = [getattr(optim, name)(each.parameters(), **options) for each in (net, plain)]
    for step in range(8):
        for each, optimizer in zip((net, plain), optimizers, strict=True):
            optimizer.zero_grad()
            backward(each, X, y)
            if step < 4 or each is plain:
                optimizer.step()
        if step == 3:
            # Another layer of another size, before the last one.
            net.extra = nn.Linear(7, 11)
            net.out = net.out
            assert net._store is None
        elif step > 3:
            optimizers[0].step()
    assert list(dict(net.named_parameters())) == [
        "fc.weight", "fc.bias", "out.weight", "out.bias", "extra.weight", "extra.bias",
    ]  # fmt: skip
    for each, array in plain.state_dict().items():
        np.testing.assert_array_equal(net.state_dict()[each], array)
    # The new one is trained as soon as it is added.
    net.middle = nn.Linear(5, 5)
    optimizers[0].add_param_group({"params": net.middle.parameters()})
    before = net.state_dict()
    optimizers[0].zero_grad()
    backward(net, X, y)
    optimizers[0].step()
    after = net.state_dict()
    changed = [each for each in after if not np.array_equal(before[each], after[each])]
    assert sorted(changed) == sorted(each for each in after if not each.startswith("extra"))


def test_another_layer_in_the_place_of_one():
    net = Dense(rng=0)
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    train(net, optimizer, 3)
    net.fc2 = nn.Linear(7, 2, bias=False)
    train(net, optimizer, 1)  # the name and the shape of the weight are there
    assert optimizer.state_dict()["state"].keys() == {0, 1, 2}
    assert optimizer.state_dict()["state"][2]["step"] == 4

    class Wider(Dense):
        def forward(self, x):
            return self.fc2(F.tanh(self.fc1(x)))

    net = Wider(rng=0)
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    train(net, optimizer, 2)
    net.fc1, net.fc2 = nn.Linear(3, 9), nn.Linear(9, 2)
    before = net.state_dict()
    train(net, optimizer, 1)
    after = net.state_dict()
    changed = [each for each in after if not np.array_equal(before[each], after[each])]
    assert changed == ["fc2.bias"]  # the only one of its name and shape


def test_a_network_that_becomes_a_part():
    inner = nn.Sequential(nn.Linear(3, 2), rng=0)
    optimizer = optim.SGD(inner.parameters())
    backward(inner, *data_of(Dense(), np.float64))
    whole = nn.Sequential(inner, nn.Tanh())
    for use in (optimizer.step, lambda: optimizer.load_state_dict(optimizer.state_dict())):
        with pytest.raises(ValueError, match="has become a part of another network"):
            use()
    assert len(list(whole.parameters())) == 2


def test_training_by_fit_in_between():
    net = Dense(rng=0)
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    X, y = data_of(net, np.float64)
    train(net, optimizer, 2)
    net.fit(X, y, epochs=1)
    before = net.state_dict()
    train(net, optimizer, 1)
    assert not np.array_equal(before["fc1.weight"], net.state_dict()["fc1.weight"])
    assert optimizer.state_dict()["state"][0]["step"] == 3
    with pytest.raises(TypeError, match=r"those of fastkb\.optim are for loops of one's own"):
        net.fit(X, y, optimizer=optimizer)


def test_neighbours_are_one_span_until_they_have_other_steps():
    net = Dense(rng=0)
    optimizer = optim.Adam(net.parameters())
    named = dict(net.named_parameters())

    def step(*names):
        optimizer.zero_grad()
        for name in names:
            named[name].grad = np.ones(named[name].shape)
        optimizer.step()
        (trained,) = optimizer._trained
        return [(run.names, len(run.ends), run.steps) for run in trained.runs]

    everything = list(named)
    assert step(*everything) == [(everything, 1, 1)]
    assert step(*everything) == [(everything, 1, 2)]
    some = ["fc1.weight", "fc2.weight", "fc2.bias"]
    assert step(*some) == [(some, 2, 3)]
    assert step(*everything) == [(some, 1 + 1, 4), (["fc1.bias"], 1, 3)]
    lamb = optim.LAMB(net.parameters())
    lamb.step()
    assert [len(run.ends) for run in lamb._trained[0].runs] == [4]


def test_what_begins_later_goes_with_others_where_steps_do_not_count():
    net = Dense(rng=0)
    optimizer = optim.SGD(net.parameters(), momentum=0.9, dampening=0.5)
    net.fc1.weight.grad = np.ones((7, 3))
    optimizer.step()
    for parameter in net.parameters():
        parameter.grad = np.ones(parameter.shape)
    optimizer.step()
    optimizer.step()
    assert len(optimizer._trained[0].runs) == 1


def test_a_step_like_the_one_before_looks_nothing_up(monkeypatch):
    net = Dense(rng=0)
    optimizer = optim.Adam(net.parameters())
    train(net, optimizer, 1)

    def fail(*_):
        raise AssertionError("planned again")

    monkeypatch.setattr(Trained, "_plan", fail)
    train(net, optimizer, 2)
    optimizer.param_groups[0]["lr"] = 0.5
    train(net, optimizer, 1)
    net.fc1.bias.requires_grad = False
    with pytest.raises(AssertionError, match="planned again"):
        train(net, optimizer, 1)

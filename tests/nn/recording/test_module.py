"""Modules: their parts and names, what they record, training, pickles, errors."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn
from fastkb.runtime.threads import use_threads
from tests.nn.recording import textbook

Net = textbook.net_class(nn, F)


def draw(n=9, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 1, 32, 32)).astype(dtype), rng.integers(0, 10, n)


class Dense(nn.Module):
    """Two layers, and one that forward does not meet."""

    def __init__(self, **options):
        super().__init__(**options)
        self.last = nn.Linear(5, 2)
        self.first = nn.Linear(3, 5)
        self.unused = nn.Linear(7, 7)

    def forward(self, x):
        return self.last(F.tanh(self.first(x)))


def deep_class(nn, F):
    """A residual network, of the packages that are called nn and F here."""

    class Block(nn.Module):
        """Convolutions with a way around them."""

        def __init__(self, channels):
            super().__init__()
            self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(channels)

        def forward(self, x):
            y = F.relu(self.bn1(self.conv1(x)))
            return F.relu(x + self.bn2(self.conv2(y)))

    class Deep(nn.Module):
        def __init__(self, channels=4, blocks=2, **options):
            super().__init__(**options)
            self.head = nn.Conv2d(1, channels, 3, padding=1, bias=False)
            self.body = nn.Sequential(*(Block(channels) for _ in range(blocks)))
            self.fc = nn.Linear(channels, 3)

        def forward(self, x):
            x = self.body(F.relu(self.head(x)))
            return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))

    # Pickles look for classes by their names.
    for kind in (Block, Deep):
        kind.__qualname__ = kind.__name__
    return Block, Deep


Block, Deep = deep_class(nn, F)


def images(n=19, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 1, 7, 6)).astype(dtype), rng.integers(0, 3, n)


# --- parts and names ----------------------------------------------------------------------------


def test_names_are_in_the_order_of_assignment():
    names = [name for name, _ in Deep(2, 1).named_parameters()]
    assert names == [
        "head.weight", "body.0.conv1.weight", "body.0.bn1.weight", "body.0.bn1.bias",
        "body.0.conv2.weight", "body.0.bn2.weight", "body.0.bn2.bias", "fc.weight", "fc.bias",
    ]  # fmt: skip
    state = list(Deep(2, 1).state_dict())
    assert state[2:7] == [
        "body.0.bn1.weight", "body.0.bn1.bias", "body.0.bn1.running_mean", "body.0.bn1.running_var",
        "body.0.bn1.num_batches_tracked",
    ]  # fmt: skip
    assert set(names) < set(state)


def test_parts_are_found():
    net = Deep(2, 2)
    assert [name for name, _ in net.named_children()] == ["head", "body", "fc"]
    assert [name for name, _ in net.named_modules()][:5] == [
        "", "head", "body", "body.0", "body.0.conv1",
    ]  # fmt: skip
    kinds = [type(module).__name__ for module in net.modules() if isinstance(module, nn.Module)]
    assert kinds == ["Deep", "Sequential", "Block", "Block"]
    assert sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) == 4
    assert net.body[1].bn2.num_features == 2
    assert net.head.weight.shape == (2, 1, 3, 3)
    assert net.head.bias is None
    assert sum(parameter.numel() for parameter in net.parameters()) == 18 + 4 * 36 + 16 + 9


def test_apply_meets_the_innermost_first():
    met = []
    net = Deep(2, 1)
    assert net.apply(lambda module: met.append(module.__class__)) is net
    assert met[:3] == [nn.Conv2d, nn.Conv2d, nn.BatchNorm2d]
    assert met[-1] is Deep
    assert len(met) == 1 + 1 + 1 + 4 + 1 + 1


def test_first_weights_by_apply():
    def begin(module):
        if isinstance(module, nn.Linear):
            module.weight.data = np.full(module.weight.shape, 0.5)
            module.bias.data = np.zeros(module.bias.shape)

    net = Dense(rng=0).apply(begin)
    np.testing.assert_array_equal(net.first.weight.numpy(), np.full((5, 3), 0.5))
    X = np.ones((2, 3))
    np.testing.assert_allclose(net(X).numpy(), np.tanh(1.5) * 2.5 * np.ones((2, 2)), rtol=1e-12)


def test_train_and_eval_reach_all_parts():
    net = Deep(2, 2)
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.body[0].train()
    assert net.body[0].bn1.training
    assert not net.body[1].bn1.training


def test_a_list_of_layers():
    class Loop(nn.Module):
        def __init__(self, depth):
            super().__init__(rng=0)
            self.layers = nn.ModuleList([nn.Linear(3, 3)])
            self.layers.extend(nn.Linear(3, 3) for _ in range(depth - 1))

        def forward(self, x):
            for layer in self.layers:
                x = F.tanh(layer(x))
            return x

    net = Loop(3)
    assert len(net.layers) == 3
    assert list(net.state_dict())[2] == "layers.1.weight"
    X, value = np.ones((2, 3)), np.ones((2, 3))
    for layer in net.layers:
        value = np.tanh(value @ layer.weight.numpy().T + layer.bias.numpy())
    np.testing.assert_allclose(net(X).numpy(), value, rtol=1e-12)


def test_parts_may_come_later_and_go():
    """What there is of parameters goes on; what is new is drawn."""
    net = Dense(rng=0)
    X = np.random.default_rng(0).standard_normal((4, 3))
    before, outputs = net.state_dict(), net(X).numpy()
    net.more = nn.Linear(2, 2)
    after = net.state_dict()
    assert list(after) == [*before, "more.weight", "more.bias"]
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
    np.testing.assert_array_equal(net(X).numpy(), outputs)
    del net.more
    assert list(net.state_dict()) == list(before)
    net.last = nn.Linear(5, 4)
    assert net(X).shape == (4, 4)
    np.testing.assert_array_equal(net.first.weight.numpy(), before["first.weight"])
    net.last = None
    assert "last.weight" not in net.state_dict()


def test_a_module_with_parameters_keeps_them_within_another_one():
    inner, X = Dense(rng=3), np.ones((2, 3))
    outputs, state = inner(X).numpy(), inner.state_dict()

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x)

    net = Outer()
    np.testing.assert_array_equal(net(X).numpy(), outputs)
    for name, array in state.items():
        np.testing.assert_array_equal(net.state_dict()[f"inner.{name}"], array)
        np.testing.assert_array_equal(inner.state_dict()[name], array)
    np.testing.assert_array_equal(inner(X).numpy(), outputs)
    inner.load_state_dict({**state, "last.bias": state["last.bias"] + 1.0})
    np.testing.assert_allclose(net(X).numpy(), outputs + 1.0, rtol=1e-12)


def test_a_part_is_called_alone():
    net, X = Dense(rng=0), np.ones((2, 3))
    state = net.state_dict()
    expected = X @ state["first.weight"].T + state["first.bias"]
    np.testing.assert_allclose(net.first(X).numpy(), expected, rtol=1e-12)


def test_texts():
    assert repr(Dense()) == (
        "Dense(\n  (last): Linear(in_features=5, out_features=2, bias=True, initialization='torch')\n"
        "  (first): Linear(in_features=3, out_features=5, bias=True, initialization='torch')\n"
        "  (unused): Linear(in_features=7, out_features=7, bias=True, initialization='torch')\n)"
    )
    assert "(body): Sequential(\n    (0): Block(\n      (conv1): Conv2d" in repr(Deep())


# --- what they compute --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_deep_network_is_torchs(mode, dtype):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    twin = deep_class(torch.nn, torch.nn.functional)[1]().double()
    net = Deep(dtype=dtype)
    assert list(net.state_dict()) == list(twin.state_dict())
    net.load_state_dict(twin.state_dict())
    X, y = images(dtype=dtype)
    tolerance = 1e-12 if dtype == np.float64 else 3e-5
    for _ in range(2):
        net.train(mode)
        twin.train(mode)
        net.zero_grad()
        twin.zero_grad()
        x = nn.Tensor(X, requires_grad=True)
        theirs = torch.tensor(X, dtype=torch.float64, requires_grad=True)
        loss = nn.CrossEntropyLoss()(net(x), y)
        loss.backward()
        twin_loss = torch.nn.CrossEntropyLoss()(twin(theirs), torch.tensor(y))
        twin_loss.backward()
        assert loss.item() == pytest.approx(twin_loss.item(), rel=tolerance)
        for ours, other in zip(net.parameters(), twin.parameters(), strict=True):
            np.testing.assert_allclose(ours.grad, other.grad, atol=tolerance)
        np.testing.assert_allclose(x.grad, theirs.grad, atol=tolerance)
        for name, array in twin.state_dict().items():
            np.testing.assert_allclose(
                net.state_dict()[name], array, rtol=tolerance, atol=tolerance, err_msg=name
            )
    np.testing.assert_allclose(net.eval()(X).numpy(), net.predict(X), atol=tolerance)


def test_forward_may_depend_on_shapes_and_on_values():
    class Choice(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x, twice=False):
            if x.size(0) > 3:
                return self.b(x)
            x = self.a(x)
            return self.a(x) if twice or x.numpy().sum() > 1e6 else x

    net, X = Choice(), np.random.default_rng(0).standard_normal((3, 2))
    state = net.state_dict()

    def dense(name, x):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    np.testing.assert_allclose(net(X).numpy(), dense("a", X), rtol=1e-12)
    np.testing.assert_allclose(net(X, twice=True).numpy(), dense("a", dense("a", X)), rtol=1e-12)
    np.testing.assert_allclose(
        net(np.vstack([X, X])).numpy(), dense("b", np.vstack([X, X])), rtol=1e-12
    )
    programs = len(net._programs)
    net(X + 1.0).numpy()
    assert len(net._programs) == programs


def test_predict_takes_any_number_of_images():
    net = Net()
    X, _ = draw(40)
    found = net.predict(X)
    assert found.shape == (40, 10)
    np.testing.assert_allclose(net(X).numpy(), found, rtol=1e-10, atol=1e-12)


# --- training -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fit_is_that_of_the_sequential_network(dtype):
    """The same program, to the same bits."""
    layers = (
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(576, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    chain, net = nn.Sequential(*layers, rng=0, dtype=dtype), Net()
    names = dict(zip(chain.state_dict(), net.state_dict(), strict=True))
    net = Net()
    net.load_state_dict(
        {names[name]: array.astype(dtype) for name, array in chain.state_dict().items()}
    )
    X, y = draw(70, dtype=dtype)
    options = {"loss": "cross_entropy", "optimizer": nn.SGD(0.02, 0.9), "epochs": 2, "rng": 5}
    chain.fit(X, y, **options)
    net.fit(X, y, **options)
    assert chain.history == net.history
    for name, array in chain.state_dict().items():
        np.testing.assert_array_equal(array, net.state_dict()[names[name]])


def test_layers_that_are_met_in_another_order_are_trained():
    """Parameters stand in the order of assignment; one is not met at all."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((64, 3)), rng.standard_normal((64, 2))
    net = Dense(rng=0)
    before = net.state_dict()
    chain = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    chain.load_state_dict(
        {
            "0.weight": before["first.weight"], "0.bias": before["first.bias"],
            "2.weight": before["last.weight"], "2.bias": before["last.bias"],
        }
    )  # fmt: skip
    for optimizer in (nn.Adam(0.01), nn.AdamW(0.01, weight_decay=0.1), nn.LAMB(0.01)):
        options = {"optimizer": optimizer, "epochs": 3, "l2": 0.01, "rng": 1}
        chain.fit(X, y, **options)
        net.fit(X, y, **options)
        after = net.state_dict()
        np.testing.assert_array_equal(after["first.weight"], chain.state_dict()["0.weight"])
        np.testing.assert_array_equal(after["last.bias"], chain.state_dict()["2.bias"])
    assert net.history == chain.history


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_fit_gives_the_same_bits_on_any_number_of_threads(threads):
    X, y = images(70, dtype=np.float32)
    found = []
    for count in (1, threads):
        with use_threads(count):
            net = Deep(rng=0).fit(
                X, y, loss="cross_entropy", optimizer="adam", epochs=2, batch_size=33
            )
            found.append(net.state_dict())
    for name, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][name])


def test_fit_after_eval_trains():
    X, y = images(33)
    one, other = Deep(rng=0), Deep(rng=0).eval()
    for net in (one, other):
        net.fit(X, y, loss="cross_entropy", epochs=1)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def test_ensembles_of_modules_have_bands():
    rng = np.random.default_rng(0)
    X = np.linspace(-1, 1, 60)[:, None]
    y = np.sin(3 * X[:, 0]) + 0.1 * rng.standard_normal(60)

    class Curve(nn.Module):
        def __init__(self):
            super().__init__()
            self.out, self.inner = nn.Linear(6, 1), nn.Linear(1, 6)

        def forward(self, x):
            return self.out(F.tanh(self.inner(x)))

    chain = nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1))
    ensembles = [
        nn.bootstrap_fit(net, X, y, n_resamples=4, epochs=5, optimizer="adam", rng=0)
        for net in (Curve(), chain)
    ]
    band = ensembles[0].band(X)
    assert band.low.shape == (60,)
    assert (band.low <= band.high).all()
    found = [ensemble.forward(X) for ensemble in ensembles]
    assert found[0].shape == found[1].shape == (4, 60, 1)
    # First weights are drawn in the order of assignment, so the members are others.
    assert not np.allclose(*found)
    assert np.ptp(found[0], axis=0).max() > 0


# --- copies and pickles -------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_train_on_to_the_same_bits(copied):
    X, y = images(33)
    net = Deep(rng=0).fit(X, y, loss="cross_entropy", optimizer="adam", epochs=2)
    other = copied(net)
    for each in (net, other):
        each.fit(X, y, loss="cross_entropy", optimizer="adam", epochs=2)
    np.testing.assert_array_equal(net.predict(X), other.predict(X))
    assert other.body[0]._root() is other
    np.testing.assert_array_equal(other.eval()(X).numpy(), net.eval()(X).numpy())


@pytest.mark.parametrize("make", [Deep, lambda **options: nn.Sequential(Deep(), **options)])
def test_a_network_is_freed_at_once(make):
    """Its memory serves the next one; the collector of garbage may come much later."""
    X, y = images(5)

    def use():
        net = make(rng=0)
        nn.CrossEntropyLoss()(net(X), y).backward()
        net.fit(X, y, loss="cross_entropy", epochs=1)
        net.predict(X)
        return weakref.ref(net)

    use()  # the compiler keeps what called it
    gc.collect()
    gc.disable()
    try:
        assert use()() is None
    finally:
        gc.enable()


# --- errors -------------------------------------------------------------------------------------


def test_bad_modules():
    class Late(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"must call super\(\).__init__\(\) before it sets fc"):
        Late()
    with pytest.raises(TypeError, match="must define forward"):
        nn.Module()(np.ones((2, 2)))
    with pytest.raises(AttributeError, match="has no attribute 'bias'"):
        _ = Dense().bias
    with pytest.raises(AttributeError, match="a layer of a network is not changed"):
        Dense().first.weight = np.ones((5, 3))
    with pytest.raises(TypeError, match="module must be a layer or a Module"):
        nn.ModuleList([3])
    net = Deep()
    with pytest.raises(ValueError, match="is a part of another network"):
        net.body.fit(*images())
    body, fc = net.body, net.fc
    del net
    for use in (
        lambda: body(images()[0]),
        body.state_dict,
        lambda: fc.weight,
        lambda: fc([[1.0] * 4]),
    ):
        with pytest.raises(ValueError, match="was a part of is gone, and its parameters with it"):
            use()

    class Number(Dense):
        def forward(self, x):
            return 3

    with pytest.raises(TypeError, match="forward of Number must give a tensor, got int"):
        Number().predict(np.ones((2, 3)))


@pytest.mark.parametrize("use", ["call", "fit", "predict"])
def test_what_does_not_fit_is_told_by_the_layers_name(use):
    net = Deep(rng=0)
    X, y = np.zeros((4, 2, 7, 6)), np.zeros(4, int)
    calls = {
        "call": net, "predict": net.predict, "fit": lambda X: net.fit(X, y, loss="cross_entropy"),
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"head, Conv2d.*takes images of 1 channels, and gets 2"):
        calls[use](X)


def test_a_batch_of_one_is_found_before_the_epoch():
    class Columns(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.fc, self.bn = nn.Linear(2, 3), nn.BatchNorm1d(3)

        def forward(self, x):
            return self.bn(self.fc(x))

    net = Columns()
    before = net.state_dict()
    with pytest.raises(ValueError, match=r"bn, BatchNorm1d.*one value per channel in a batch of 1"):
        net.fit(np.ones((33, 2)), np.ones((33, 3)), batch_size=32)
    with pytest.raises(ValueError, match="one value per channel"):
        net(np.ones((1, 2))).numpy()
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert net.eval()(np.ones((1, 2))).shape == (1, 3)


# --- parts that change --------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [nn.Adam(0.01), nn.SGD(0.01, 0.9)])
def test_training_goes_on_after_a_part_was_added(optimizer):
    """The optimiser's state belongs to the parameters that there were: it begins anew."""
    X = np.random.default_rng(0).standard_normal((40, 3))
    options = {"optimizer": optimizer, "epochs": 2}
    net = Dense(rng=0).fit(X, X[:, :2], **options)
    net.more = nn.Linear(2, 2)
    assert np.isfinite(net.fit(X, X[:, :2], **options).predict(X)).all()
    assert len(net.history["loss"]) == 4


def test_a_new_head_is_new_and_trained():
    net = Dense(rng=0)
    X = np.ones((4, 3))
    net(X).numpy()
    before = net.state_dict()
    old = net.last
    net.requires_grad_(False)
    net.last = nn.Linear(5, 2)
    trained = [name for name, parameter in net.named_parameters() if parameter.requires_grad]
    assert trained == ["last.weight", "last.bias"]
    np.testing.assert_array_equal(net.first.weight.numpy(), before["first.weight"])
    with pytest.raises(ValueError, match="was a part of a network"):
        _ = old.weight


def test_a_part_is_of_one_network():
    net = Deep(2, 1)
    for wrong in (
        lambda: nn.Sequential(net.body, nn.Flatten()),
        lambda: setattr(net, "again", net.head),
    ):
        with pytest.raises(ValueError, match="is a part of a network already"):
            wrong()
    assert net(images()[0]).shape == (19, 3)


def test_a_copy_of_a_part_has_its_parameters():
    net = Deep(2, 1, rng=0)
    X, _ = images()
    net.head.weight.data = np.ones((2, 1, 3, 3))
    hidden = F.relu(net.eval().head(X))
    expected = net.body(hidden).numpy()
    body = copy.deepcopy(net.body)
    np.testing.assert_array_equal(body.eval()(hidden.numpy()).numpy(), expected)
    outer = nn.Sequential(copy.deepcopy(net.body), nn.Flatten(), nn.Linear(84, 1))
    np.testing.assert_array_equal(outer[0][0].conv1.weight, net.body[0].conv1.weight)
    alone = pickle.loads(pickle.dumps(net.body))
    with pytest.raises(ValueError, match="was a part of a network"):
        alone(hidden.numpy())


def test_loaded_parameters_go_with_a_module():
    inner = Dense()
    inner.load_state_dict(
        {name: 0 * array + 0.5 for name, array in Dense(rng=1).state_dict().items()}
    )
    inner.more = nn.Linear(2, 2)  # what was loaded waits until parameters are needed
    net = nn.Sequential(inner)
    np.testing.assert_array_equal(net.state_dict()["0.first.weight"], np.full((5, 3), 0.5))

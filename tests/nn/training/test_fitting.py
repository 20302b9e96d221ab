"""Training against PyTorch, and against itself: interrupted, divided, on other threads."""

import itertools
import re

import numba
import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.program.engine import Engine
from fastkb.nn.training import fitting as module
from fastkb.nn.training import pace as pace_module
from fastkb.nn.training.members import Members
from fastkb.random.streams import key_from_rng

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])

# Relative distance from PyTorch after 100 steps. A step rounds some 20 times, and a badly conditioned
# one (the first of Adam's divides g by |g|) passes that on: 100 steps of 1e-7 · 10, or of 2e-16 · 10⁴.
FROM_TORCH = {np.float32: 1e-4, np.float64: 1e-10}

# ours -> PyTorch's name and parameters
OPTIMIZERS = {
    nn.SGD(0.05): ("SGD", {"lr": 0.05}),
    nn.SGD(0.05, 0.9): ("SGD", {"lr": 0.05, "momentum": 0.9}),
    nn.SGD(0.05, 0.9, True): ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    nn.Adagrad(0.05): ("Adagrad", {"lr": 0.05}),
    nn.RMSprop(0.01, alpha=0.9): ("RMSprop", {"lr": 0.01, "alpha": 0.9}),
    nn.Adam(0.01, betas=(0.8, 0.95)): ("Adam", {"lr": 0.01, "betas": (0.8, 0.95)}),
    nn.AdamW(0.01, weight_decay=0.3): ("AdamW", {"lr": 0.01, "weight_decay": 0.3}),
}
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)

# Whose state is of none, one and two buffers, with and without a schedule.
STATEFUL = [
    nn.SGD(0.05),
    nn.SGD(0.05, 0.9, True, schedule=nn.Cosine(8)),
    nn.RMSprop(0.01, schedule=nn.Step(2)),
    nn.AdamW(0.01, schedule=nn.WarmUp(3, nn.InverseScaling())),
    nn.Adam(0.05, schedule=nn.ReduceOnPlateau(0.5, patience=0, tol=0.2)),
    nn.LAMB(0.01),
]
each_stateful = pytest.mark.parametrize("optimizer", STATEFUL, ids=repr)


def data(dtype=np.float64, n=77, outputs=2, seed=0):
    """77 observations: ten steps of eight, the last of which has five."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    y = np.stack([np.sin(X[:, 0] + k) + 0.1 * rng.normal(size=n) for k in range(outputs)], axis=1)
    return X.astype(dtype), y.astype(dtype)


def network(outputs=2, rng=0, dtype=None):
    layers = nn.Linear(5, 19), nn.Tanh(), nn.Linear(19, 6), nn.ELU(0.5), nn.Linear(6, outputs)
    return nn.Sequential(*layers, rng=rng, dtype=dtype)


def is_finite(net):
    return all(np.isfinite(value).all() for value in net.state_dict().values())


# --- PyTorch ------------------------------------------------------------------------------------


def torch_network(torch, net):
    """PyTorch's network of the same layers and parameters."""
    parts = {"tanh": torch.nn.Tanh, "elu": torch.nn.ELU, "relu": torch.nn.ReLU}
    layers = []
    for layer in net.layers:
        if isinstance(layer, nn.Linear):
            layers.append(torch.nn.Linear(layer.in_features, layer.out_features))
        else:
            layers.append(parts[layer.name](*([layer.parameter] if layer.name == "elu" else [])))
    module = torch.nn.Sequential(*layers).to(getattr(torch, net.dtype.name))
    module.load_state_dict({name: torch.tensor(value) for name, value in net.state_dict().items()})
    return module


def torch_loss(torch, loss, z, y, w):
    """The weighted mean over observations; PyTorch's own functions give each one's loss."""
    functional = torch.nn.functional
    if loss == "cross_entropy":
        each = functional.cross_entropy(z, y, reduction="none")
    elif loss == "binary_cross_entropy":
        each = functional.binary_cross_entropy_with_logits(z, y, reduction="none").mean(dim=1)
    else:
        each = ((z - y) ** 2).mean(dim=1) / (2 if loss == "half_squared_error" else 1)
    return (w * each).sum() / w.sum()


def torch_fit(torch, module, X, y, loss, optimizer, *, epochs, batch_size, weights=None, l2=0.0):
    """Train with PyTorch in the order of the data; each epoch's mean loss."""
    name, parameters = OPTIMIZERS[optimizer]
    tensors = [p for _, p in module.named_parameters()]
    groups = [
        {"params": [p for p in tensors if p.ndim == 2]},
        {"params": [p for p in tensors if p.ndim == 1], "weight_decay": 0.0},
    ]
    theirs = getattr(torch.optim, name)(groups, **parameters)
    X, y = torch.tensor(X), torch.tensor(y)
    w = torch.ones(len(X), dtype=X.dtype) if weights is None else torch.tensor(weights)
    means = []
    for _ in range(epochs):
        total = 0.0
        for begin in range(0, len(X), batch_size):
            some = slice(begin, begin + batch_size)
            theirs.zero_grad()
            value = torch_loss(torch, loss, module(X[some]), y[some], w[some])
            value = value + l2 / 2 * sum((p**2).sum() for p in tensors if p.ndim == 2)
            value.backward()
            if optimizer.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(tensors, optimizer.clip_norm)
            if optimizer.clip_value is not None:
                torch.nn.utils.clip_grad_value_(tensors, optimizer.clip_value)
            theirs.step()
            total += value.item() * len(X[some])
        means.append(total / len(X))
    return means


def assert_as_torch(X, y, optimizer, loss="squared_error", weights=None, l2=0.0, outputs=2):
    """100 steps from the same parameters."""
    torch = pytest.importorskip("torch")
    net = network(outputs, dtype=X.dtype)
    begin = net.state_dict()
    theirs = torch_network(torch, net)
    shared = {"epochs": 10, "batch_size": 8, "l2": l2}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small that others would only wait
    try:
        means = torch_fit(torch, theirs, X, y, loss, optimizer, weights=weights, **shared)
    finally:
        torch.set_num_threads(threads)
    net.fit(X, y, loss=loss, optimizer=optimizer, sample_weight=weights, shuffle=False, **shared)
    tolerance = FROM_TORCH[X.dtype.type]
    for name, tensor in theirs.state_dict().items():
        expected, found = tensor.numpy(), net.state_dict()[name]
        assert found.dtype == X.dtype
        distance = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        assert distance < tolerance, name
        # Far from where it began, so that the distance says something.
        assert np.linalg.norm(begin[name] - expected) / np.linalg.norm(expected) > 0.01, name
    np.testing.assert_allclose(net.history["loss"], means, rtol=tolerance)
    return net


@each_dtype
@each_optimizer
def test_pytorch_has_the_same_parameters_after_100_steps(optimizer, dtype):
    assert_as_torch(*data(dtype), optimizer)


@each_dtype
@pytest.mark.parametrize("optimizer", [nn.SGD(0.05), nn.AdamW(0.01, weight_decay=0.3)], ids=repr)
def test_with_weights(optimizer, dtype):
    X, y = data(dtype)
    weights = np.random.default_rng(5).uniform(0.1, 3, len(X)).astype(dtype)
    assert_as_torch(X, y, optimizer, weights=weights)


@each_dtype
@pytest.mark.parametrize("optimizer", [nn.SGD(0.05, 0.9), nn.Adam(0.01)], ids=repr)
@pytest.mark.parametrize("limit", ["clip_norm", "clip_value"])
def test_with_clipped_gradients(limit, optimizer, dtype, monkeypatch):
    X, y = data(dtype)
    kwargs = {"lr": optimizer.lr, limit: 0.02}
    clipped = nn.SGD(momentum=0.9, **kwargs) if type(optimizer) is nn.SGD else nn.Adam(**kwargs)
    name = type(optimizer).__name__
    given = {"lr": optimizer.lr, **({"momentum": 0.9} if name == "SGD" else {})}
    monkeypatch.setitem(OPTIMIZERS, clipped, (name, given))
    net = assert_as_torch(X, y, clipped)
    free = network(dtype=dtype).fit(
        X, y, optimizer=optimizer, epochs=10, batch_size=8, shuffle=False
    )
    # Else nothing was clipped.
    assert np.abs(net.state_dict()["0.weight"] - free.state_dict()["0.weight"]).max() > 0.01


@each_dtype
@pytest.mark.parametrize("loss", ["half_squared_error", "binary_cross_entropy", "cross_entropy"])
def test_other_losses(loss, dtype):
    X, y = data(dtype, outputs=3)
    if loss == "binary_cross_entropy":
        y = (y > 0).astype(dtype)
    elif loss == "cross_entropy":
        y = y.argmax(axis=1)
    weights = np.random.default_rng(5).uniform(0.1, 3, len(X)).astype(dtype)
    assert_as_torch(X, y, nn.SGD(0.05, 0.9), loss, weights, outputs=3)


@each_dtype
def test_with_a_penalty(dtype):
    assert_as_torch(*data(dtype), nn.SGD(0.05, 0.9), l2=0.05)


# --- calls that follow each other ---------------------------------------------------------------


@each_stateful
@pytest.mark.parametrize("parts", [(1, 4), (3, 2), (1, 1, 1, 2)])
def test_calls_go_on_where_the_last_one_ended(assert_same, optimizer, parts):
    X, y = data()
    whole = network().fit(X, y, optimizer=optimizer, epochs=5, batch_size=8)
    divided = network()
    for epochs in parts:
        divided.fit(X, y, optimizer=optimizer, epochs=epochs, batch_size=8)
    assert_same(divided, whole)


def test_an_equal_optimizer_and_the_same_seed_go_on(assert_same):
    X, y = data()
    whole = network().fit(X, y, optimizer=nn.Adam(0.01), epochs=4, rng=3)
    divided = network()
    for _ in range(4):
        divided.fit(X, y, optimizer=nn.Adam(lr=0.01), epochs=1, rng=3)
    assert_same(divided, whole)


def test_another_optimizer_begins_anew():
    X, y = data()
    first, second = nn.Adam(0.01, schedule=nn.Step(1)), nn.SGD(0.01, 0.9, schedule=nn.Step(1))
    plain = {"epochs": 2, "shuffle": False}
    net = network()
    for optimizer in (first, second, first):
        begin = net.state_dict()
        net.fit(X, y, optimizer=optimizer, **plain)
        fresh = network()
        fresh.load_state_dict(begin)
        fresh.fit(X, y, optimizer=optimizer, **plain)
        for name, value in fresh.state_dict().items():
            np.testing.assert_array_equal(net.state_dict()[name], value)
        assert net.history["learning_rate"][-2:] == fresh.history["learning_rate"]
        assert net.history["learning_rate"][-1] == optimizer.rate(1)
    assert len(net.history["loss"]) == 6


def test_epochs_take_orders_of_their_own():
    X, y = data()
    net = network().fit(X, y, epochs=3, batch_size=8)
    for shuffle in (False, True):
        repeated = network()
        for _ in range(3):
            # A network that has no epoch behind it takes the first epoch's order.
            fresh = network()
            fresh.load_state_dict(repeated.state_dict())
            repeated = fresh.fit(X, y, epochs=1, batch_size=8, shuffle=shuffle)
        assert (repeated.state_dict()["0.weight"] != net.state_dict()["0.weight"]).any()


def test_an_optimizer_that_cannot_begin_leaves_a_network_that_can(monkeypatch):
    """Its state is made before the other's is given up: compiled code would write into none."""
    X, y = data()
    net = network().fit(X, y, epochs=2)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "empty_state", None)
        with pytest.raises(TypeError):
            net.fit(X, y, optimizer="adam")
    fresh = network()
    fresh.load_state_dict(net.state_dict())
    fresh._progress.epochs = 2
    for each in (net, fresh):
        each.fit(X, y, optimizer="adam", epochs=2)
    assert_equal_parameters(net, fresh)


# --- seeds, threads, calls ----------------------------------------------------------------------


@pytest.mark.parametrize("family", [1, 2, 2**32 - 1])
def test_derived_keys_are_those_of_numpys_spawned_sequences(family):
    for seed in (0, 3):
        key = key_from_rng(seed)
        spawned = np.random.SeedSequence(key.tolist(), spawn_key=(family,))
        np.testing.assert_array_equal(module.derived_key(key, family), spawned.generate_state(4))


@each_dtype
def test_seeds(assert_same, dtype):
    X, y = data(dtype)
    net = network(rng=3).fit(X, y, epochs=2)
    assert_same(net, network(rng=3).fit(X, y, epochs=2))
    assert_same(net, network(rng=np.random.SeedSequence(3)).fit(X, y, epochs=2))
    assert_same(net, network(rng=None).fit(X, y, epochs=2, rng=3))
    other = network(rng=4).fit(X, y, epochs=2)
    for name, value in net.state_dict().items():
        assert (other.state_dict()[name] != value).all()


def test_the_seed_of_fit_is_that_of_the_orders(assert_same):
    """And of the first weights, unless there are some."""
    X, y = data()

    def trained(seed, shuffle=True):
        net = network(rng=0)
        net.forward(X)
        return net.fit(X, y, epochs=1, rng=seed, shuffle=shuffle)

    assert_same(trained(0), network(rng=0).fit(X, y, epochs=1))
    assert_same(trained(1), trained(1))
    assert (trained(0).state_dict()["0.weight"] != trained(1).state_dict()["0.weight"]).any()
    assert_same(trained(0, shuffle=False), trained(1, shuffle=False))


def test_a_generator_gives_each_fit_another_seed(assert_same):
    X, y = data()
    generators = np.random.default_rng(5), np.random.default_rng(5)
    first, second = (network(rng=None).fit(X, y, rng=generators[0]) for _ in range(2))
    assert_same(first, network(rng=None).fit(X, y, rng=generators[1]))
    assert_same(second, network(rng=None).fit(X, y, rng=generators[1]))
    assert (first.state_dict()["0.weight"] != second.state_dict()["0.weight"]).any()


@each_dtype
def test_threads_do_not_matter(assert_same, dtype):
    """A step of 40 million multiply-adds, which the threads share."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 50)).astype(dtype)
    y = rng.integers(0, 3, 600)

    def trained():
        net = nn.Sequential(nn.Linear(50, 256), nn.ReLU(), nn.Linear(256, 3), rng=0)
        return net.fit(X, y, loss="cross_entropy", optimizer="adam", epochs=2, batch_size=256)

    before = numba.get_num_threads()
    many = trained()
    numba.set_num_threads(1)
    try:
        one = trained()
    finally:
        numba.set_num_threads(before)
    assert_same(one, many)


@each_stateful
def test_it_does_not_matter_how_many_steps_a_call_takes(assert_same, optimizer, monkeypatch):
    X, y = data()
    found = []
    # In each epoch: all at once, one by one, more and more, more than there are left.
    for paces in ((10**6,), (1,), (1, 2, 4, 8), (1, 10**6), (7, 10, 11)):
        pace = itertools.cycle(paces)
        monkeypatch.setattr(module.Pace, "steps", lambda self, members, pace=pace: next(pace))
        found.append(network().fit(X, y, optimizer=optimizer, epochs=3, batch_size=8))
    for net in found[1:]:
        assert_same(net, found[0])


@pytest.mark.parametrize("seconds", [0.0, 1e-5, 1e-4, 1e9])
def test_it_does_not_matter_how_long_a_call_takes(seconds, monkeypatch):
    X, y = data()
    expected = network().fit(X, y, epochs=3, batch_size=2)
    monkeypatch.setattr(pace_module, "_SECONDS_A_CALL", seconds)
    assert_equal_parameters(network().fit(X, y, epochs=3, batch_size=2), expected)


# --- the history --------------------------------------------------------------------------------


def test_keys_and_lengths_of_the_history():
    X, y = data()
    net = network()
    assert net.history == {"loss": [], "learning_rate": []}
    net.fit(X, y, epochs=3)
    assert {name: len(values) for name, values in net.history.items()} == {
        "loss": 3,
        "learning_rate": 3,
    }
    net = network().fit(X, y, epochs=3, validation_data=(X, y)).fit(X, y, validation_data=(X, y))
    assert {name: len(values) for name, values in net.history.items()} == {
        "loss": 13,
        "learning_rate": 13,
        "validation_loss": 13,
    }
    assert {type(value) for values in net.history.values() for value in values} == {float}


def test_the_loss_of_an_epoch_of_one_step_is_that_before_it():
    X, y = data()
    net = network()
    before, _ = net.loss_and_gradients(X, y, l2=0.1)
    net.fit(X, y, l2=0.1, epochs=1, batch_size=len(X))
    # The sum of 77 terms in another order.
    assert net.history["loss"] == [pytest.approx(before, rel=1e-13)]


def test_each_step_counts_as_its_observations():
    """With a tiny rate the mean of the steps' losses is the loss of all observations."""
    X, y = data()
    before, _ = network().loss_and_gradients(X, y)
    net = network().fit(X, y, optimizer=nn.SGD(1e-15), epochs=1, batch_size=50)
    assert net.history["loss"] == [pytest.approx(before, rel=1e-12)]


def test_rates_of_the_history_are_the_schedules():
    X, y = data()
    optimizer = nn.Adam(0.01, schedule=nn.WarmUp(2, nn.Cosine(4)))
    net = network().fit(X, y, optimizer=optimizer, epochs=6)
    assert net.history["learning_rate"] == [optimizer.rate(epoch) for epoch in range(6)]


@pytest.mark.parametrize("validated", [False, True])
def test_plateaus_are_those_of_the_monitored_loss(validated):
    X, y = data()
    validation = data(seed=1) if validated else None
    optimizer = nn.SGD(0.1, schedule=nn.ReduceOnPlateau(0.5, patience=0, tol=0.15))
    net = network().fit(X, y, optimizer=optimizer, epochs=8, validation_data=validation)
    monitored = net.history["validation_loss" if validated else "loss"]
    rates = [optimizer.rate(epoch, monitored[:epoch]) for epoch in range(8)]
    assert net.history["learning_rate"] == rates
    assert len(set(rates)) > 2


def test_the_validation_loss_is_that_after_the_epoch():
    X, y = data()
    X_val, y_val = data(n=33, seed=1)
    seen = []

    def remember(net, record):
        value, _ = net.loss_and_gradients(X_val, y_val)
        seen.append((value, record["validation_loss"]))

    net = network().fit(
        X, y, l2=0.1, epochs=3, validation_data=(X_val, y_val), callbacks=[remember]
    )
    assert len(seen) == 3
    for value, noted in seen:
        assert noted == pytest.approx(value, rel=1e-13)  # (a sum over 33 rows) without the penalty
    assert net.history["validation_loss"] == [noted for _, noted in seen]
    assert_equal_parameters(net, network().fit(X, y, l2=0.1, epochs=3))


def assert_equal_parameters(first, second):
    for name, value in first.state_dict().items():
        np.testing.assert_array_equal(value, second.state_dict()[name])


# --- patience -----------------------------------------------------------------------------------


class Memory:
    """A callback that keeps each epoch's parameters, and ends training after some epochs."""

    def __init__(self, end=None):
        self.end, self.states, self.records = end, [], []

    def __call__(self, net, record):
        self.states.append(net.state_dict())
        self.records.append(record)
        return len(self.states) == self.end

    def assert_restored(self, net, epoch):
        for name, value in self.states[epoch].items():
            np.testing.assert_array_equal(net.state_dict()[name], value)


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_patience_ends_training_and_restores_the_best(patience):
    """What is learnt is wrong for the validation, which is worse after each epoch."""
    X, y = data()
    memory = Memory()
    net = network().fit(
        X, y, optimizer=nn.SGD(0.05), epochs=50, validation_data=(X, -y - 1), patience=patience,
        callbacks=[memory],
    )  # fmt: skip
    losses = net.history["validation_loss"]
    assert losses == sorted(losses)
    assert len(losses) == 1 + patience
    assert {len(values) for values in net.history.values()} == {1 + patience}
    memory.assert_restored(net, 0)


@pytest.mark.parametrize("seed", range(4))
def test_patience_with_a_loss_that_goes_up_and_down(seed):
    """Training's own loss where there is no validation."""
    X, y = data(seed=seed)
    memory = Memory()
    optimizer = nn.SGD(0.1, 0.8)
    net = network().fit(
        X, y, optimizer=optimizer, epochs=60, batch_size=8, patience=3, callbacks=[memory]
    )
    losses = net.history["loss"]
    best = int(np.argmin(losses))
    assert best > 0
    assert len(losses) == best + 4
    # No earlier stretch was as long.
    records = [k for k in range(len(losses)) if losses[k] == min(losses[: k + 1])]
    assert max(np.diff(records)) <= 3
    memory.assert_restored(net, best)


def test_training_that_gets_better_is_not_ended(assert_same):
    X, y = data()
    memory = Memory()
    net = network().fit(X, y, optimizer=nn.SGD(0.01), epochs=5, patience=1, callbacks=[memory])
    losses = net.history["loss"]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 5
    memory.assert_restored(net, 4)
    assert_same(net, network().fit(X, y, optimizer=nn.SGD(0.01), epochs=5))


def test_the_best_is_restored_where_epochs_run_out_first():
    X, y = data()
    memory = Memory()
    net = network().fit(
        X, y, optimizer=nn.SGD(0.05), epochs=3, validation_data=(X, -y - 1), patience=10,
        callbacks=[memory],
    )  # fmt: skip
    assert len(net.history["loss"]) == 3
    memory.assert_restored(net, 0)


def test_an_epoch_that_a_callback_ends_may_be_the_best():
    X, y = data()
    memory = Memory(end=4)
    net = network().fit(X, y, optimizer=nn.SGD(0.01), epochs=9, patience=5, callbacks=[memory])
    losses = net.history["loss"]
    assert losses == sorted(losses, reverse=True)
    memory.assert_restored(net, 3)


# --- callbacks ----------------------------------------------------------------------------------


def test_callbacks_get_the_network_and_the_record(assert_same):
    X, y = data()
    memory, seen = Memory(), []
    net = network()
    net.fit(X, y, epochs=3, validation_data=(X, y), callbacks=[memory, lambda *a: seen.append(a)])
    assert [one is net for one, _ in seen] == [True] * 3
    assert [record for _, record in seen] == memory.records
    assert {name: [record[name] for record in memory.records] for name in net.history} == (
        net.history
    )
    assert_same(net, network().fit(X, y, epochs=3, validation_data=(X, y)))


def test_one_callback_may_end_training(assert_same):
    X, y = data()
    memory = Memory()
    net = network().fit(X, y, epochs=9, callbacks=[Memory(end=2), memory])
    assert len(memory.states) == 2  # the others are called, too
    assert_same(net, network().fit(X, y, epochs=2))
    assert_same(network().fit(X, y, epochs=9, callbacks=Memory(end=2)), net)  # without a list


@pytest.mark.parametrize("returned", [None, False, 0, 1, "stop", 0.3])
def test_only_true_ends_training(returned):
    X, y = data()
    net = network().fit(X, y, epochs=3, callbacks=[lambda net, record: returned])
    assert len(net.history["loss"]) == 3


def test_a_callback_may_use_the_network(assert_same):
    X, y = data()

    def look(net, record):
        net.forward(X[:3])
        net.loss_and_gradients(X, y)

    net = network().fit(X, y, epochs=3, callbacks=[look])
    assert_same(net, network().fit(X, y, epochs=3))


# --- the progress bar ---------------------------------------------------------------------------


def test_a_progress_bar_on_standard_error(capsys):
    X, y = data()
    network().fit(X, y, epochs=7, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "7/7" in err
    assert "epochs" in err
    assert "loss=" in err


def test_no_progress_bar_unless_asked_for(capsys):
    X, y = data()
    network().fit(X, y, epochs=2, validation_data=(X, y), patience=1)
    assert capsys.readouterr() == ("", "")


# --- divergence ---------------------------------------------------------------------------------


def test_divergence_names_epoch_and_step():
    """The error of one weight is multiplied by -1e51 in each step; the square of 1e204 is infinite."""
    ones = np.ones((3, 1))
    net = nn.Sequential(nn.Linear(1, 1, bias=False), dtype=np.float64)
    net.load_state_dict({"0.weight": [[0.0]]})
    with pytest.raises(
        FloatingPointError,
        match="the loss became inf in epoch 2, step 2: it or its gradient",
    ):
        net.fit(ones, ones, optimizer=nn.SGD(5e50), epochs=9, batch_size=1)
    assert net.state_dict()["0.weight"] == pytest.approx(-1e204, rel=1e-12)
    assert len(net.history["loss"]) == 1
    net.load_state_dict({"0.weight": [[0.0]]})
    net.fit(ones, ones, optimizer=nn.SGD(0.1), epochs=99, batch_size=1)
    # 0.8 to the power of 297 steps is 1e-29.
    assert net.state_dict()["0.weight"] == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("seconds", [0.0, 1e9])
@each_dtype
@pytest.mark.parametrize("optimizer", [nn.SGD(1e4), nn.SGD(1e9, 0.9)], ids=repr)
def test_a_network_that_diverged_can_be_used(optimizer, dtype, seconds, monkeypatch):
    monkeypatch.setattr(pace_module, "_SECONDS_A_CALL", seconds)
    X, y = data(dtype)
    net = nn.Sequential(
        nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2), rng=0
    )
    with pytest.raises(FloatingPointError) as caught:
        net.fit(X, y, optimizer=optimizer, epochs=200, batch_size=8, validation_data=(X, y))
    found = re.search(r"the loss became (inf|nan) in epoch (\d+), step (\d+): ", str(caught.value))
    assert int(found[2]) == len(net.history["loss"]) + 1
    assert 1 <= int(found[3]) <= 10
    assert {len(values) for values in net.history.values()} == {len(net.history["loss"])}
    assert is_finite(net)
    assert net.state_dict()["0.weight"].dtype == dtype


def test_an_optimizer_whose_state_overflowed_begins_anew(assert_same, tmp_path):
    """Each gradient is 1.8e38, and after two of them the momentum is above 3.4e38."""
    X, y = np.full((1, 1), 1e19, np.float32), np.full((1, 1), -0.9e19)
    optimizer = nn.SGD(1e-45, 0.9, schedule=nn.Step(1))
    net = nn.Sequential(nn.Linear(1, 1, bias=False))
    net.load_state_dict({"0.weight": np.zeros((1, 1), np.float32)})
    for _ in range(3):
        net.fit(X, y, optimizer=optimizer, epochs=1)
        with pytest.raises(FloatingPointError, match="the loss became inf in epoch"):
            net.fit(X, y, optimizer=optimizer, epochs=1)
        assert is_finite(net)
        net.save(tmp_path / "net.npz")
        assert_same(nn.load(tmp_path / "net.npz"), net)
    assert net.history["learning_rate"] == [1e-45] * 3


@pytest.mark.parametrize(
    "activation", [nn.Softplus(), nn.ELU(), nn.Identity(), nn.GELU()], ids=repr
)
@pytest.mark.parametrize("depth", [1, 3, 8])
@pytest.mark.parametrize("lr", [1e2, 1e4, 1e7])
def test_parameters_stay_finite(activation, depth, lr):
    """Gradients overflow before the loss does where layers are many."""
    X, y = data(np.float32, n=50)
    hidden = [part for _ in range(depth) for part in (nn.Linear(8, 8), activation)]
    for seed in range(3):
        for epochs in (1, 2, 10):
            net = nn.Sequential(nn.Linear(5, 8), activation, *hidden, nn.Linear(8, 2), rng=seed)
            try:
                net.fit(X, y, optimizer=nn.SGD(lr), epochs=epochs)
            except FloatingPointError:
                assert len(net.history["loss"]) < epochs
            else:
                assert len(net.history["loss"]) == epochs
            assert is_finite(net)


# --- interruption -------------------------------------------------------------------------------


@each_stateful
def test_interrupted_after_an_epoch(assert_same, optimizer):
    X, y = data()
    net = network()

    def interrupt(net, record):
        if len(net.history["loss"]) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, optimizer=optimizer, epochs=9, callbacks=[interrupt])
    assert_same(net, network().fit(X, y, optimizer=optimizer, epochs=3))
    net.fit(X, y, optimizer=optimizer, epochs=2)
    assert_same(net, network().fit(X, y, optimizer=optimizer, epochs=5))


def test_interrupted_within_an_epoch(monkeypatch):
    """The history holds whole epochs; the network is that of the steps that were made."""
    X, y = data()
    train, calls = Engine.train, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 14:
            raise KeyboardInterrupt
        return train(*arguments)

    monkeypatch.setattr(pace_module, "_SECONDS_A_CALL", 0.0)  # each call is one step
    monkeypatch.setattr(pace_module, "_SECONDS_TOGETHER", 0.0)
    monkeypatch.setattr(Engine, "train", interrupted)
    net = network()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=9, batch_size=8, shuffle=False)
    assert {len(values) for values in net.history.values()} == {1}
    monkeypatch.undo()
    expected = network().fit(X, y, epochs=1, batch_size=8, shuffle=False)
    assert net.history == expected.history
    expected.fit(X[:24], y[:24], epochs=1, batch_size=8, shuffle=False)
    assert_equal_parameters(net, expected)
    net.fit(X, y, epochs=2, batch_size=8)
    assert len(net.history["loss"]) == 3
    assert is_finite(net)


# --- the last step ------------------------------------------------------------------------------

# Parameters of these sizes are finite, and what the network makes of them is not.
TOO_FAST = [
    nn.SGD(1e200), nn.SGD(1e200, 0.9), nn.Adagrad(1e200), nn.RMSprop(1e200), nn.Adam(1e200),
    nn.AdamW(1e200), nn.LAMB(1e200),
]  # fmt: skip
# And these are not.
FAR_TOO_FAST = [
    nn.SGD(1.7e308, clip_norm=1e3), nn.SGD(1.7e308, 0.9), nn.RMSprop(1.7e308), nn.LAMB(1.7e308),
]  # fmt: skip


@pytest.mark.parametrize("optimizer", TOO_FAST + FAR_TOO_FAST, ids=repr)
@pytest.mark.parametrize(
    "kwargs", [{}, {"patience": 3}, {"l2": 0.1}, {"callbacks": [lambda *_: True]}]
)
def test_a_last_step_that_overflows_is_an_error_as_any_other(optimizer, kwargs):
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 9, (30, 3))
    y = X[:, 0] * 100
    for epochs, batch_size in ((1, 30), (1, 10), (3, 30)):
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1), rng=0)
        with pytest.raises(FloatingPointError, match=r"the loss became (inf|nan)"):
            net.fit(X, y, optimizer=optimizer, epochs=epochs, batch_size=batch_size, **kwargs)
        assert all(np.isfinite(value).all() for value in net.state_dict().values())


@pytest.mark.parametrize("optimizer", TOO_FAST[:1] + FAR_TOO_FAST[:1], ids=repr)
def test_the_last_step_of_a_member(optimizer, monkeypatch):
    monkeypatch.setattr(Members, "fit_center", lambda self: setattr(self, "rates", [optimizer.lr]))
    X = np.random.default_rng(0).uniform(1, 9, (30, 3))
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    with pytest.raises(FloatingPointError, match=r"the loss of network 0 became (inf|nan)"):
        nn.bootstrap_fit(
            net,
            X,
            100 * X[:, 0],
            optimizer=optimizer,
            epochs=1,
            n_resamples=3,
            batch_size=30,
            rng=0,
        )


def test_losses_whose_sum_overflows():
    """Each is finite."""
    X, y = np.ones((40, 1)), np.full(40, 1.2e154)
    net = nn.Sequential(nn.Linear(1, 1), rng=0)
    with pytest.raises(FloatingPointError, match="the loss became inf"):
        net.fit(X, y, optimizer=nn.SGD(1e-200), epochs=2, batch_size=1)

"""Steps of several epochs in one call: the same bits as one by one, whatever happens."""

import warnings

import numpy as np
import pytest

from fastkb import MLPClassifier, MLPRegressor, nn
from fastkb.nn.ensemble import bootstrap_fit
from fastkb.nn.observations import Observations
from fastkb.nn.program import engine as engine_module
from fastkb.nn.program.engine import Engine, batch_sizes, each_of, loss_code
from fastkb.nn.program.step import BY_OBSERVATIONS, BY_WEIGHTS, State, Steps
from fastkb.nn.training import fitting as module

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
LAYERS = [nn.Linear(4, 7), nn.Tanh(), nn.Linear(7, 2)]
N, EPOCHS = 23, 3


def together(monkeypatch, epochs):
    """So many epochs in a call, as far as there may be."""
    monkeypatch.setattr(module.Pace, "epochs", lambda *_: epochs)


@pytest.fixture
def calls(monkeypatch):
    """How many observations each call of the engine took."""
    found = []
    true = Engine.train

    def counted(self, state, data, order, *others):
        found.append(order.shape[1])
        return true(self, state, data, order, *others)

    monkeypatch.setattr(Engine, "train", counted)
    return found


def problem(dtype=np.float64, members=1, weighted=False, n=N):
    rng = np.random.default_rng(0)
    weights = rng.poisson(1, (members, n)) if weighted else np.zeros(0)
    data = Observations(
        rng.normal(size=(n, 4)).astype(dtype),
        rng.normal(size=(n, 2)).astype(dtype),
        np.zeros(0, np.int64),
        weights.astype(dtype),
    )
    order = np.array([[rng.permutation(n) for _ in range(EPOCHS)] for _ in range(members)])
    return data, order


def start(engine, members, optimizer):
    state = engine.empty_state(members, optimizer.uses_first, optimizer.uses_second)
    for member in range(members):
        engine.initialize(np.arange(4), member, state.parameters[member])
    return state


# --- the engine ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 5, 8, 22, 23, 24])
@pytest.mark.parametrize("batch", [1, 8, 23, 100])
def test_sizes_of_the_steps(n, batch):
    expected = [min(batch, n - begin) for begin in range(0, n, batch)]
    assert batch_sizes(n, batch).tolist() == expected
    assert batch_sizes(n, batch, n).tolist() == expected
    assert batch_sizes(3 * n, batch, n).tolist() == 3 * expected


@each_dtype
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("batch", [1, 5, 8, 23, 40])
@pytest.mark.parametrize("shared", [False, True])
def test_an_engine_runs_epochs_as_one_by_one(batch, members, dtype, shared, monkeypatch):
    monkeypatch.setattr(engine_module, "_A_THREAD", 1 if shared else 2**62)
    data, order = problem(dtype, members, weighted=members > 1)
    engine, optimizer = Engine(LAYERS, np.dtype(dtype)), nn.Adam(0.01)
    hyper = optimizer.hyper(0.01, 1)
    steps = Steps(loss_code("squared_error"), 0.1, BY_OBSERVATIONS, 0.5, 0.0, batch)
    one, many = start(engine, members, optimizer), start(engine, members, optimizer)
    losses, per = [], -(-N // batch)
    for epoch in range(EPOCHS):
        each, mine = each_of(members, 0.01, epoch * per), np.ascontiguousarray(order[:, epoch])
        losses.append(engine.train(one, data, mine, steps, hyper, each))
    flat, each = order.reshape(members, -1), each_of(members, 0.01)
    found = engine.train(many, data, flat, steps._replace(epoch=N), hyper, each)
    assert each.updates.tolist() == [EPOCHS * per] * members
    np.testing.assert_array_equal(found, np.concatenate(losses, axis=1))
    for array, other in zip(one, many, strict=True):
        np.testing.assert_array_equal(array, other)


@each_dtype
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("shared", [False, True])
def test_so_does_one_with_weights(members, dtype, shared, monkeypatch):
    monkeypatch.setattr(engine_module, "_A_THREAD", 1 if shared else 2**62)
    data, order = problem(dtype, members, weighted=True)
    data.weights[0, order[0, 1, 8:16]] = 0.0  # the second batch of the second epoch
    engine, optimizer = Engine(LAYERS, np.dtype(dtype)), nn.SGD(0.05, 0.9)
    steps = Steps(loss_code("squared_error"), 0.1, BY_WEIGHTS, 0.0, 0.0, 8)
    hyper = optimizer.hyper(0.0, 1)
    one, many = start(engine, members, optimizer), start(engine, members, optimizer)
    each, other = each_of(members, 0.05), each_of(members, 0.05)
    losses = [
        engine.train(one, data, np.ascontiguousarray(order[:, k]), steps, hyper, each)
        for k in range(EPOCHS)
    ]
    flat = order.reshape(members, -1)
    found = engine.train(many, data, flat, steps._replace(epoch=N), hyper, other)
    np.testing.assert_array_equal(found, np.concatenate(losses, axis=1))
    np.testing.assert_array_equal(each.updates, other.updates)
    assert each.updates[0] == 3 * EPOCHS - 1
    for array, same in zip(one, many, strict=True):
        np.testing.assert_array_equal(array, same)


# --- orders --------------------------------------------------------------------------------------


def test_an_order_belongs_to_its_epoch_and_member():
    key = np.arange(4, dtype=np.uint32)
    found = module.orders(key, 5, 4, 7, 3, 50)
    assert found.shape == (3, 4, 50)
    np.testing.assert_array_equal(np.sort(found), np.tile(np.arange(50), (3, 4, 1)))
    assert len({tuple(order) for order in found.reshape(-1, 50).tolist()}) == 12
    for member in range(3):
        for epoch in range(4):
            alone = module.orders(key, 5 + epoch, 1, 7 + member, 1, 50)
            np.testing.assert_array_equal(alone[0, 0], found[member, epoch])
    last = module.orders(np.full(4, 2**32 - 1, np.uint32), 2**32 - 1, 3, 0, 1, 50)
    assert len({tuple(order) for order in last[0].tolist()}) == 3


# --- networks ------------------------------------------------------------------------------------


def fitted(dtype=np.float64, **choice):
    data, _ = problem(dtype, n=77)
    choice = {"optimizer": "adam", "epochs": 13, "batch_size": 8, "l2": 0.01} | choice
    return nn.Sequential(*LAYERS, rng=0).fit(data.inputs, data.targets, **choice)


def assert_same(one, other):
    assert one.history == other.history
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, other.state_dict()[name])


@each_dtype
@pytest.mark.parametrize("epochs", [2, 5, 13, 64])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    "schedule", [None, nn.Step(3), nn.WarmUp(2, nn.Step(4)), nn.Cosine(9), nn.ReduceOnPlateau()]
)
def test_networks(epochs, shuffle, schedule, dtype, monkeypatch):
    choice = {"optimizer": nn.Adam(0.01, schedule=schedule), "shuffle": shuffle, "dtype": dtype}
    together(monkeypatch, 1)
    expected = fitted(**choice)
    together(monkeypatch, epochs)
    assert_same(fitted(**choice), expected)


class Own:
    """A schedule of a user's."""

    def rate(self, base, epoch, losses=()):
        return base / (1.0 + sum(losses))


def go_on(network, record):
    return False


@pytest.mark.parametrize(
    ("choice", "sizes"),
    [
        ({}, [13]),
        ({"optimizer": nn.Adam(0.01, schedule=nn.Constant())}, [13]),
        ({"optimizer": nn.SGD(0.01, schedule=nn.Step(5))}, [5, 5, 3]),
        ({"optimizer": nn.SGD(0.01, schedule=nn.WarmUp(2, nn.Step(6)))}, [1, 1, 6, 5]),
        ({"optimizer": nn.SGD(0.01, schedule=nn.WarmUp(9, Own()))}, [1] * 13),
        ({"optimizer": nn.SGD(0.01, schedule=nn.Cosine(9))}, [1] * 13),
        ({"optimizer": nn.SGD(0.01, schedule=nn.ReduceOnPlateau())}, [1] * 13),
        ({"optimizer": nn.SGD(0.01, schedule=Own())}, [1] * 13),
        ({"patience": 13}, [1] * 13),
        ({"callbacks": [go_on]}, [1] * 13),
        ({"validation_data": (np.zeros((3, 4)), np.zeros((3, 2)))}, [1] * 13),
    ],
)
def test_who_looks_at_an_epoch_is_not_passed_over(choice, sizes, calls, monkeypatch):
    together(monkeypatch, 64)
    fitted(**choice)
    assert calls == [77 * size for size in sizes]


def test_long_epochs_are_not_trained_together(calls, monkeypatch):
    monkeypatch.setattr(module.Pace, "measured", lambda *_: None)
    monkeypatch.setattr(module.Pace, "__init__", lambda self, _: setattr(self, "_seconds", 1e-3))
    fitted()
    assert calls == [77 * 2] * 6 + [77]  # ten milliseconds each


@each_dtype
@pytest.mark.parametrize("epochs", [2, 7, 64])
@pytest.mark.parametrize("lr", [3.0, 1e3, 1e9])
def test_networks_that_diverge(lr, epochs, dtype, monkeypatch):
    """The same error, history and parameters."""
    found = []
    for count in (1, epochs):
        together(monkeypatch, count)
        data, _ = problem(dtype, n=77)
        net = nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 2), rng=0)
        with pytest.raises(FloatingPointError) as caught:
            net.fit(data.inputs, data.targets, optimizer=nn.SGD(lr, 0.9), epochs=300, batch_size=8)
        found.append((str(caught.value), net))
    assert found[0][0] == found[1][0]
    assert_same(found[0][1], found[1][1])
    assert all(np.isfinite(array).all() for array in found[1][1].state_dict().values())


def test_an_interrupt_leaves_a_network_that_can_be_used(monkeypatch):
    together(monkeypatch, 3)
    data, _ = problem()
    true, count = Engine.train, []

    def interrupted(*arguments):
        found = true(*arguments)
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return found

    net = nn.Sequential(*LAYERS, rng=0)
    monkeypatch.setattr(Engine, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.fit(data.inputs, data.targets, epochs=100)
    assert {len(values) for values in net.history.values()} == {6}
    net.fit(data.inputs, data.targets, epochs=2)
    assert {len(values) for values in net.history.values()} == {8}


# --- ensembles -----------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("schedule", [None, nn.Step(3), nn.Cosine(9), nn.ReduceOnPlateau()])
def test_ensembles(schedule, dtype, monkeypatch):
    found = []
    for epochs in (1, 2, 64):
        together(monkeypatch, epochs)
        data, _ = problem(dtype)
        net = nn.Sequential(*LAYERS)
        found.append(
            bootstrap_fit(
                net, data.inputs, data.targets, n_resamples=5, epochs=7, batch_size=8, rng=0,
                optimizer=nn.Adam(0.01, schedule=schedule),
            )
        )  # fmt: skip
    X = problem(dtype)[0].inputs
    for other in found[1:]:
        np.testing.assert_array_equal(other.predict(X), found[0].predict(X))
        np.testing.assert_array_equal(other.history, found[0].history)


@pytest.mark.parametrize("epochs", [2, 64])
def test_ensembles_that_diverge(epochs, monkeypatch):
    """Where one counts often that has a large input: the network on all data does not."""
    X, y = np.ones((6, 1)), np.zeros((6, 1))
    X[0] = 6.0
    errors = []
    for count in (1, epochs):
        together(monkeypatch, count)
        net = nn.Sequential(nn.Linear(1, 1, bias=False), dtype=np.float64)
        choice = {"epochs": 900, "batch_size": 6, "optimizer": nn.SGD(0.1), "rng": 0}
        with pytest.raises(FloatingPointError, match=r"the loss of network \d+ became") as caught:
            bootstrap_fit(net, X, y, n_resamples=40, **choice)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


# --- perceptrons ---------------------------------------------------------------------------------

KEPT = ("loss_curve_", "best_loss_", "loss_", "n_iter_", "t_", "_no_improvement_count")


def assert_same_fit(one, other):
    for name in KEPT:
        assert getattr(one, name) == getattr(other, name), name
    for mine, theirs in zip(
        one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


CASES = {
    "stops": {"tol": 0.02, "n_iter_no_change": 3, "learning_rate_init": 0.01},
    "never stops": {"tol": 0.0, "n_iter_no_change": np.inf, "max_iter": 25},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 2,
                 "learning_rate_init": 0.1},
    "inverse scaling": {"solver": "sgd", "learning_rate": "invscaling", "max_iter": 25},
    "early stopping": {"early_stopping": True, "max_iter": 25},
    "in order": {"shuffle": False, "max_iter": 25},
}  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("case", CASES)
def test_perceptrons(case, kind, weighted, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    y = np.rint(np.clip(X[:, 0] * X[:, 1] + 1, 0, 2)).astype(int)
    weight = rng.integers(0, 3, 50) if weighted else None
    choice = {"hidden_layer_sizes": 6, "batch_size": 16, "max_iter": 90, **CASES[case]}
    found = []
    for epochs in (1, 2, 64):
        together(monkeypatch, epochs)
        random = np.random.RandomState(0)
        model = kind(random_state=random, **choice).fit(X, y, sample_weight=weight)
        found.append((model, random.uniform()))
    if case == "stops":
        assert found[0][0].n_iter_ < 90
    for model, drawn in found[1:]:
        assert_same_fit(model, found[0][0])
        assert drawn == found[0][1]  # no order was drawn for nothing


@pytest.mark.parametrize("weighted", [False, True])
def test_perceptrons_are_trained_together(weighted, calls, monkeypatch):
    """As many epochs as there are before they may stop."""
    together(monkeypatch, 64)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    weight = np.ones(50) if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MLPRegressor(hidden_layer_sizes=6, tol=1e9, n_iter_no_change=4, max_iter=20)
        model.fit(X, X[:, 0], sample_weight=weight)
    # The first loss is progress over infinity; the next five are not.
    assert model.n_iter_ == 6
    assert calls == [50 * 5, 50]
    model.set_params(warm_start=True).fit(X, X[:, 0], sample_weight=weight)
    assert calls == [50 * 5, 50, 50]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("epochs", [2, 64])
@pytest.mark.parametrize("rate", [3.0, 1e5])
def test_perceptrons_that_diverge(rate, epochs, weighted, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    weight = np.ones(50) if weighted else None
    found = []
    for count in (1, epochs):
        together(monkeypatch, count)
        model = MLPRegressor(
            hidden_layer_sizes=6, solver="sgd", learning_rate_init=rate, random_state=0, batch_size=16,
            activation="identity", max_iter=2000, n_iter_no_change=2000,
        )  # fmt: skip
        with pytest.raises(ValueError, match="Training diverged") as caught:
            model.fit(X, X[:, 0] * 5, sample_weight=weight)
        found.append((str(caught.value), model))
    assert found[0][0] == found[1][0]
    assert_same_fit(found[1][1], found[0][1])


def test_states_are_as_before(monkeypatch):
    """What a group that diverges has done is undone, with the solver's counts."""
    data, order = problem(n=N)
    engine, optimizer = Engine(LAYERS, np.dtype(np.float64)), nn.SGD(1e200, 0.9)
    state = start(engine, 1, optimizer)
    before = State(*(array.copy() for array in state))
    pace = module.Pace(engine.work(8))
    job = module.Fit(engine, optimizer, "squared_error", 0.0, 3, 8, True, None, (), False, pace)
    progress = module.Progress(steps=5)
    assert module.train_together(job, data, state, order, 1e200, progress) is None
    assert progress.steps == 5
    for array, values in zip(state, before, strict=True):
        np.testing.assert_array_equal(array, values)

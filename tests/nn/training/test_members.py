"""Members before they are an ensemble: their groups, their new responses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.checks import FitParams
from fastkb.nn.program.engine import Engine
from fastkb.nn.training import members as module
from fastkb.nn.training.fitting import derived_key, orders
from fastkb.nn.training.members import Groups, Members
from fastkb.random.streams import key_from_rng

KEY = key_from_rng(7)


def network(outputs=1, **options):
    return nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, outputs), **options)


def data(outputs=1, n=30):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (n, 2))
    return X, np.sin(3 * X[:, :1] + np.arange(outputs)) + 0.2 * rng.normal(size=(n, outputs))


def members(X, y, network=network, **params):
    params = {"optimizer": nn.Adam(0.02), "epochs": 3, "batch_size": 8, **params}
    return Members(network(y.shape[1]), X, y, FitParams(**params), KEY)


@given(
    numbers=st.integers(1, 2**24),
    seconds=st.floats(0, 1e3),
    first=st.integers(0, 50),
    count=st.integers(0, 3000),
)
def test_groups_are_all_members_in_their_order(numbers, seconds, first, count):
    groups = list(Groups(numbers, seconds)(first, first + count))
    assert [member for begin, n in groups for member in range(begin, begin + n)] == list(
        range(first, first + count)
    )
    # 64 MB, unless each thread has but one.
    threads = module.n_threads()
    assert all(1 <= n <= max(threads, module._SIDE_BY_SIDE // numbers) for _, n in groups)


def test_groups_follow_the_clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "n_threads", lambda: 1)
    groups = Groups(10, 2.0**-3)(0, 10_000)
    sizes = []
    for seconds in (2.0**-3, 2.0**-6, 2.0**-4, 1.0):
        _, count = next(groups)
        sizes.append(count)
        now[0] += seconds * count
    assert sizes == [16, 16, 128, 32]  # two seconds each
    assert next(groups)[1] == module._FEWEST


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_new_responses_are_a_plain_loop(outputs, shuffle, dtype):
    X, y = (array.astype(dtype) for array in data(outputs))
    together = members(X, y, shuffle=shuffle, l2=0.01)
    together.fit_center()
    new = y + np.random.default_rng(1).normal(size=(5, *y.shape))
    parameters = together.empty(5)
    history = together.train(parameters, 4, None, new)
    for member in range(5):
        net = network(outputs, dtype=dtype)
        engine = Engine(net.layers, np.dtype(dtype))
        buffer = engine.empty_state(1, False, False).parameters[0]
        engine.initialize(KEY, 4 + member + 1, buffer)
        net.load_state_dict(engine.take(buffer))
        for epoch in range(3):
            order = np.arange(30)
            if shuffle:
                order = orders(KEY, epoch, 1, 4 + member + 1, 1, 30)[0, 0]
            net.fit(
                X[order], new[member].astype(dtype)[order], shuffle=False, epochs=1, batch_size=8,
                optimizer=nn.Adam(0.02), l2=0.01,
            )  # fmt: skip
        found = engine.take(parameters[member])
        for name, expected in net.state_dict().items():
            np.testing.assert_array_equal(found[name], expected)
        # Sums of four steps' losses.
        np.testing.assert_allclose(history[:, member], net.history["loss"], rtol=1e-14)


def test_the_streams_are_those_of_the_key():
    X, y = data()
    together = members(X, y)
    np.testing.assert_array_equal(together.stream, derived_key(KEY, 2))
    np.testing.assert_array_equal(together.counts(0, 8)[5:], together.counts(5, 3))
    assert together.epochs == 3


def test_nothing_is_drawn_before_the_data_are_checked(monkeypatch):
    def work(*arguments):
        raise AssertionError("there was work before the error")

    monkeypatch.setattr(module, "Engine", work)
    X, y = data()
    for params, words in (
        ({"loss": "squared"}, "loss must be one of"),
        ({"epochs": 0}, "epochs must be"),
        ({"optimizer": "adamm"}, "optimizer"),
        ({"sample_weight": np.ones(3)}, "sample_weight has 3 rows and X has 30"),
    ):
        with pytest.raises(ValueError, match=words):
            members(X, y, **params)
    with pytest.raises(TypeError, match="network must be a fastkb"):
        members(X, y, network=lambda outputs: "network")

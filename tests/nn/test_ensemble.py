"""Ensembles: every member is a network of its own; bands, means and histories of them."""

import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numba
import numpy as np
import pytest
from scipy.special import expit, softmax

import fastkb
from fastkb import bootstrap_band, nn
from fastkb.nn.program.engine import Engine
from fastkb.nn.training import members as module
from fastkb.nn.training.fitting import derived_key, orders
from fastkb.random.streams import bootstrap_counts, key_from_rng

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SETTINGS = {"optimizer": nn.Adam(0.02), "epochs": 4, "batch_size": 16}


def network(outputs=1, dtype=None):
    return nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, outputs), dtype=dtype)


def data(outputs=1, loss="squared_error", dtype=np.float64, n=50):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (n, 2)).astype(dtype)
    targets = np.sin(3 * X[:, :1] + np.arange(outputs)) + 0.2 * rng.normal(size=(n, outputs))
    if loss == "cross_entropy":
        return X, targets.argmax(axis=1)
    if loss == "binary_cross_entropy":
        return X, (targets > 0).astype(dtype)
    return X, targets.astype(dtype)


def assert_equal_parameters(one, other):
    assert list(one) == list(other)
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name])


# --- members ------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy", "cross_entropy"])
@pytest.mark.parametrize(("shuffle", "weighted"), [(False, False), (True, False), (True, True)])
def test_members_are_those_of_a_plain_loop(loss, shuffle, weighted, dtype):
    X, y = data(2, loss, dtype)
    settings = {**SETTINGS, "loss": loss, "l2": 0.01}
    key, n = key_from_rng(7), len(X)
    weights = np.random.default_rng(3).uniform(size=n) if weighted else None
    ensemble = nn.bootstrap_fit(
        network(2), X, y, n_resamples=5, shuffle=shuffle, sample_weight=weights, rng=7, **settings
    )
    counts = bootstrap_counts(derived_key(key, 2), 0, 5, n)
    counts = counts * weights if weighted else counts
    assert len(ensemble) == 5
    for member in range(5):
        # The network on all data has the streams' number 0.
        net = network(2, dtype)
        engine = Engine(net.layers, np.dtype(dtype))
        buffer = engine.empty_state(1, False, False).parameters[0]
        engine.initialize(key, member + 1, buffer)
        net.load_state_dict(engine.take(buffer))
        for epoch in range(4):
            order = orders(key, epoch, 1, member + 1, 1, n)[0, 0] if shuffle else np.arange(n)
            net.fit(
                X[order], y[order], sample_weight=counts[member][order], shuffle=False,
                **{**settings, "epochs": 1},
            )  # fmt: skip
        assert_equal_parameters(ensemble.state_dict(member), net.state_dict())
        # Sums of four steps' losses.
        np.testing.assert_allclose(ensemble.history[:, member], net.history["loss"], rtol=1e-14)


@pytest.mark.parametrize(
    "schedule",
    [None, nn.Cosine(6), nn.ReduceOnPlateau(0.5, patience=0, tol=0.1)],
    ids=repr,
)
def test_a_member_depends_on_the_seed_and_its_number_alone(schedule):
    X, y = data()
    settings = {**SETTINGS, "optimizer": nn.SGD(0.05, schedule=schedule), "epochs": 10}
    few, many = (
        nn.bootstrap_fit(network(), X, y, n_resamples=n, rng=1, **settings) for n in (3, 8)
    )
    for member in range(3):
        assert_equal_parameters(few.state_dict(member), many.state_dict(member))
    np.testing.assert_array_equal(few.history, many.history[:, :3])
    assert_equal_parameters(few.network.state_dict(), many.network.state_dict())


def test_groups_do_not_matter(monkeypatch):
    X, y = data()
    whole = nn.bootstrap_fit(network(), X, y, n_resamples=7, rng=1, **SETTINGS)
    monkeypatch.setattr(module, "_SIDE_BY_SIDE", 1)
    monkeypatch.setattr(module, "_SECONDS_A_GROUP", 0.0)
    monkeypatch.setattr(module, "_FEWEST", 1)
    monkeypatch.setattr(module, "n_threads", lambda: 2)
    groups = nn.bootstrap_fit(network(), X, y, n_resamples=7, rng=1, **SETTINGS)
    for member in range(7):
        assert_equal_parameters(whole.state_dict(member), groups.state_dict(member))
    # Sums of four steps' losses.
    np.testing.assert_allclose(whole.history, groups.history, rtol=1e-14)


def test_members_differ_and_so_do_seeds():
    X, y = data()
    one, same, other = (
        nn.bootstrap_fit(network(), X, y, n_resamples=3, rng=seed, **SETTINGS) for seed in (1, 1, 2)
    )
    for member in range(3):
        assert_equal_parameters(one.state_dict(member), same.state_dict(member))
        assert (one.state_dict(member)["0.weight"] != other.state_dict(member)["0.weight"]).all()
    weights = [one.state_dict(member)["0.weight"] for member in range(3)]
    for member in range(3):
        assert (weights[member] != weights[member - 1]).all()
        assert (weights[member] != one.network.state_dict()["0.weight"]).all()


@each_dtype
def test_threads_do_not_matter(dtype):
    X, y = data(dtype=dtype)
    before = numba.get_num_threads()
    many = nn.bootstrap_fit(network(), X, y, n_resamples=7, rng=1, **SETTINGS)
    numba.set_num_threads(1)
    try:
        one = nn.bootstrap_fit(network(), X, y, n_resamples=7, rng=1, **SETTINGS)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(many.forward(X), one.forward(X))
    np.testing.assert_array_equal(many.history, one.history)


# --- the network on all data --------------------------------------------------------------------


@each_dtype
def test_the_center_is_sequentials_fit_with_the_same_seed(dtype):
    X, y = data(dtype=dtype)
    ensemble = nn.bootstrap_fit(network(), X, y, n_resamples=2, rng=3, l2=0.01, **SETTINGS)
    net = network().fit(X, y, rng=3, l2=0.01, **SETTINGS)
    assert_equal_parameters(ensemble.network.state_dict(), net.state_dict())
    assert ensemble.network.history == net.history
    np.testing.assert_array_equal(ensemble.band(X).center, net.forward(X)[:, 0])


def test_the_architecture_that_was_given_is_not_changed():
    X, y = data()
    net = network().fit(X, y, rng=0, epochs=1)
    before = net.state_dict()
    ensemble = nn.bootstrap_fit(net, X, y, n_resamples=2, rng=3, **SETTINGS)
    assert_equal_parameters(net.state_dict(), before)
    assert len(net.history["loss"]) == 1
    fresh = nn.bootstrap_fit(network(), X, y, n_resamples=2, rng=3, **SETTINGS)
    np.testing.assert_array_equal(ensemble.forward(X), fresh.forward(X))


def test_data_are_not_changed():
    X, y = data()
    given = X.copy(), y.copy()
    for array in given:
        array.flags.writeable = False
    ensemble = nn.bootstrap_fit(network(), *given, n_resamples=2, rng=0, **SETTINGS)
    expected = nn.bootstrap_fit(
        network(), np.asfortranarray(X), y.tolist(), n_resamples=2, rng=0, **SETTINGS
    )
    np.testing.assert_array_equal(ensemble.forward(X), expected.forward(X))
    np.testing.assert_array_equal(given[0], X)


# --- what is made of the members ----------------------------------------------------------------

CASES = {
    # loss, outputs -> what a member answers, columns of the band (None: no second axis)
    ("squared_error", 1): (lambda z: z, None),
    ("squared_error", 2): (lambda z: z, 2),
    ("half_squared_error", 1): (lambda z: z, None),
    ("binary_cross_entropy", 1): (expit, None),
    ("binary_cross_entropy", 2): (expit, 2),
    ("cross_entropy", 2): (lambda z: softmax(z, axis=-1), None),
    ("cross_entropy", 3): (lambda z: softmax(z, axis=-1), 3),
}


@each_dtype
@pytest.mark.parametrize(("loss", "outputs"), CASES)
def test_bands_and_means(loss, outputs, dtype):
    X, y = data(outputs, loss, dtype)
    ensemble = nn.bootstrap_fit(network(outputs), X, y, n_resamples=6, loss=loss, rng=2, **SETTINGS)
    answer, columns = CASES[loss, outputs]
    X_eval = X[:11]
    forward = ensemble.forward(X_eval)
    assert forward.shape == (6, 11, outputs)
    assert forward.dtype == dtype
    for member in range(6):
        net = network(outputs)
        net.load_state_dict(ensemble.state_dict(member))
        np.testing.assert_array_equal(forward[member], net.forward(X_eval))
    responses = answer(forward)
    mean = ensemble.predict(X_eval)
    assert mean.shape == (11, outputs)
    assert mean.dtype == dtype
    error = 10 * float(np.finfo(dtype).eps)  # of a sum of six terms of size one
    np.testing.assert_allclose(mean, responses.mean(axis=0), rtol=0, atol=error)

    center = answer(ensemble.network.forward(X_eval))
    if columns is None:
        center, responses, mean = center[:, -1], responses[..., -1], mean[:, -1]
    shape = (11,) if columns is None else (11, columns)
    band = ensemble.band(X_eval, confidence_level=0.5)
    for curve in (band.center, band.mean, band.low, band.high):
        assert curve.shape == shape
        assert curve.dtype == dtype
    assert band.distribution.shape == (6, *shape)
    np.testing.assert_array_equal(band.distribution, responses)
    np.testing.assert_array_equal(band.center, center)
    np.testing.assert_allclose(band.mean, mean, rtol=0, atol=error)
    for curve, share in ((band.low, 0.25), (band.high, 0.75)):
        np.testing.assert_allclose(curve, np.quantile(responses, share, axis=0), rtol=0, atol=error)
    assert band.confidence_level == 0.5
    assert band.n_resamples == 6
    assert band.seconds >= ensemble.seconds > 0
    if loss.endswith("cross_entropy"):
        assert band.low.min() >= 0
        assert band.high.max() <= 1


def test_levels():
    X, y = data()
    ensemble = nn.bootstrap_fit(network(), X, y, n_resamples=20, rng=2, **SETTINGS)
    narrow, usual, wide = (ensemble.band(X, confidence_level=level) for level in (0.5, 0.9, 0.99))
    assert ensemble.band(X).confidence_level == 0.9
    np.testing.assert_array_equal(ensemble.band(X).low, usual.low)
    for inner, outer in ((narrow, usual), (usual, wide)):
        assert (outer.low < inner.low).all()
        assert (inner.high < outer.high).all()
    for wrong in (0, 1, 90):
        with pytest.raises(ValueError, match="confidence_level must be a number between 0 and 1"):
            ensemble.band(X, confidence_level=wrong)


def test_the_history_is_one_column_for_each_member():
    X, y = data()
    ensemble = nn.bootstrap_fit(network(), X, y, n_resamples=3, rng=2, **{**SETTINGS, "epochs": 30})
    assert ensemble.history.shape == (30, 3)
    assert np.isfinite(ensemble.history).all()
    assert (ensemble.history[-1] < ensemble.history[0]).all()
    assert ensemble.loss == "squared_error"


@each_dtype
def test_the_element_type_is_that_of_the_network_or_the_data(dtype):
    X, y = data(dtype=dtype)
    ensemble = nn.bootstrap_fit(network(), X, y, n_resamples=2, rng=0, **SETTINGS)
    asked = nn.bootstrap_fit(
        network(dtype=dtype), X.astype(np.float64), y, n_resamples=2, rng=0, **SETTINGS
    )
    for one in (ensemble, asked):
        assert one.network.dtype == dtype
        assert one.state_dict(0)["0.weight"].dtype == dtype
        assert one.forward(X.astype(np.float64)).dtype == dtype
    np.testing.assert_array_equal(ensemble.forward(X), asked.forward(X))


def test_a_progress_bar_on_standard_error(capsys):
    X, y = data()
    nn.bootstrap_fit(network(), X, y, n_resamples=3, rng=0, **SETTINGS)
    assert capsys.readouterr() == ("", "")
    nn.bootstrap_fit(network(), X, y, n_resamples=3, rng=0, progress=True, **SETTINGS)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/3" in err


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_member_that_diverges_is_named():
    """One row carries the slope: training is stable where it counts once, not where it counts twice."""
    n = 20
    X = np.full((n, 1), 1e-3)
    X[0] = 1.0
    y = X[:, 0] + 1.0
    net = nn.Sequential(nn.Linear(1, 1, bias=False), dtype=np.float32)
    # One step an epoch; the row's count w multiplies the error by 1 - 2 lr w / n, and lr is 0.7 n.
    settings = {"optimizer": nn.SGD(0.7 * n), "batch_size": n, "epochs": 300, "rng": 0}
    counts = bootstrap_counts(derived_key(key_from_rng(0), 2), 0, 30, n)[:, 0]
    stable = int(np.argmax(counts >= 2))
    assert stable > 0
    nn.bootstrap_fit(net, X, y, n_resamples=stable, **settings)
    with pytest.raises(
        FloatingPointError, match=r"^the loss of network \d+ became .* in epoch"
    ) as caught:
        nn.bootstrap_fit(net, X, y, n_resamples=30, **settings)
    # Errors grow fastest where the row was drawn most often.
    assert counts[int(str(caught.value).split()[4])] == counts.max()


def test_a_diverging_network_on_all_data():
    X, y = data()
    with pytest.raises(FloatingPointError, match=r"^the loss became (inf|nan) in epoch"):
        nn.bootstrap_fit(network(), X, y, n_resamples=2, optimizer=nn.SGD(1e200), rng=0)


# --- what it is for -----------------------------------------------------------------------------


def test_the_band_covers_a_noisy_sine():
    """Where most of the 90% band's points cover the truth, and it is no wider than the noise."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (300, 1))
    y = np.sin(2 * x[:, 0]) + 0.3 * rng.normal(size=300)
    net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    ensemble = nn.bootstrap_fit(
        net, x, y, n_resamples=60, optimizer=nn.Adam(0.02), epochs=80, rng=0
    )
    points = np.linspace(-1.9, 1.9, 200)[:, None]
    band = ensemble.band(points)
    truth = np.sin(2 * points[:, 0])
    covered = np.mean((band.low <= truth) & (truth <= band.high))
    # Points of one curve go up and down together: a correct band may miss a fifth of them at once.
    assert covered >= 0.7
    width = (band.high - band.low).mean()
    # Some 10 parameters' worth of curve from 300 observations: 2 · 1.645 · 0.3 · √(10 / 300) = 0.18.
    assert 0.06 < width < 0.5
    # The residuals are the noise; nothing was learnt by heart.
    residuals = y - ensemble.predict(x)[:, 0]
    assert 0.25 < residuals.std() < 0.35


def test_parameters_that_overflow_in_the_last_step_are_an_error():
    """Their gradient is finite, and so are all losses: there is no step after it.

    The network on all data has a gradient of 0; the members have not.
    """
    x = np.array([[-1.0], [1.0]], np.float32)
    net = nn.Sequential(nn.Linear(1, 1, initialization="he"))
    settings = {"optimizer": nn.SGD(3e38), "batch_size": 2, "epochs": 1, "rng": 0}
    first = nn.Sequential(nn.Linear(1, 1, initialization="he"), rng=0, dtype="float32")
    slope = first.state_dict()["0.weight"][0, 0]
    y = slope * x  # learnt already
    assert (first.forward(x) == y).all()
    with pytest.raises(FloatingPointError, match=r"network \d became inf in epoch 1, step 1"):
        nn.bootstrap_fit(net, x, y, n_resamples=4, **settings)


def test_weights_that_leave_a_member_nothing():
    X, y = data()
    weights = np.zeros(len(X))
    weights[:2] = 1.0  # one resample in eight has neither
    with pytest.raises(ValueError, match=r"sample_weight is 0 wherever network \d+ has drawn"):
        nn.bootstrap_fit(network(), X, y, n_resamples=60, sample_weight=weights, rng=0, **SETTINGS)


def test_bands_of_bootstrap_band():
    """The same to the bit, whatever it is of."""
    for loss, outputs in CASES:
        X, y = data(outputs, loss, np.float32)
        settings = {**SETTINGS, "loss": loss, "l2": 0.01}
        ensemble = nn.bootstrap_fit(network(outputs), X, y, n_resamples=6, rng=2, **settings)
        band = ensemble.band(X[:9], confidence_level=0.8)
        other = bootstrap_band(
            network(outputs), X, y, X[:9], n_resamples=6, confidence_level=0.8, rng=2,
            fit_params=settings,
        )  # fmt: skip
        for name in ("x", "center", "mean", "low", "high", "distribution", "classes"):
            one, same = getattr(band, name), getattr(other, name)
            assert getattr(one, "dtype", None) == getattr(same, "dtype", None), name
            np.testing.assert_array_equal(one, same)
        assert (band.solver, band.reason) == (other.solver, other.reason)
        assert band.solver == "ensemble"


@pytest.mark.parametrize("batch_size", [2**63, 10**400])
def test_large_batches_are_all_observations(batch_size):
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.ones(20)
    net = nn.Sequential(nn.Linear(3, 1))
    kwargs = {"n_resamples": 2, "epochs": 2, "rng": 0}
    expected = nn.bootstrap_fit(net, X, y, batch_size=20, **kwargs).state_dict(1)
    found = nn.bootstrap_fit(net, X, y, batch_size=batch_size, **kwargs).state_dict(1)
    np.testing.assert_array_equal(found["0.weight"], expected["0.weight"])


@pytest.mark.parametrize(("n_resamples", "epochs"), [(2**32 - 1, 1), (2, 2**70)])
def test_what_does_not_fit_is_refused_before_training(n_resamples, epochs, monkeypatch):
    monkeypatch.setattr("fastkb.runtime.memory.available_bytes", lambda: 10**9)
    monkeypatch.setattr("fastkb.nn.training.members.Members.fit_center", None)
    net = nn.Sequential(nn.Linear(3, 1))
    with pytest.raises(MemoryError, match=r"needs .* GB, and 1\.0 GB of memory are free"):
        nn.bootstrap_fit(net, np.ones((4, 3)), np.ones(4), n_resamples=n_resamples, epochs=epochs)


def test_members_by_number():
    net = nn.Sequential(nn.Linear(1, 1))
    ensemble = nn.bootstrap_fit(net, np.ones((4, 1)), np.ones(4), n_resamples=2, epochs=1, rng=0)
    last, first = ensemble.state_dict(np.int64(1)), ensemble.state_dict(-2)
    assert last["0.weight"] == ensemble.state_dict(-1)["0.weight"] != first["0.weight"]
    for member in (None, True, 1.0, "x", [0], slice(1)):
        with pytest.raises(TypeError, match="member must be a whole number from -"):
            ensemble.state_dict(member)
    for member in (2, -3, 2**70):
        with pytest.raises(IndexError, match="member must be from 0 to 1, got"):
            ensemble.state_dict(member)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pickle_holds_tensors_and_no_form_of_the_processor(dtype):
    X = np.linspace(-1.0, 1.0, 40).reshape(20, 2).astype(dtype)
    net = nn.Sequential(nn.Linear(2, 5), nn.GELU(), nn.Linear(5, 1), rng=0)
    ensemble = nn.bootstrap_fit(net, X, X[:, 0], n_resamples=3, epochs=2, rng=0)
    state = ensemble.__getstate__()
    assert state["_store"] is None
    shapes = {name: array.shape for name, array in state["_parameters"].items()}
    assert shapes == {
        "0.weight": (3, 5, 2), "0.bias": (3, 5), "2.weight": (3, 1, 5), "2.bias": (3, 1),
    }  # fmt: skip
    again = pickle.loads(pickle.dumps(ensemble))
    np.testing.assert_array_equal(again.forward(X), ensemble.forward(X))
    np.testing.assert_array_equal(again.predict(X), ensemble.predict(X))
    assert len(again) == 3


@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_members_trained_on_an_executor_are_those_of_one_process(workers):
    x = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    y = np.sin(x[:, 0])
    net = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))
    weights = np.random.default_rng(1).uniform(0.5, 1, 60)
    options = {"n_resamples": 70, "epochs": 3, "rng": 4, "sample_weight": weights}
    expected = nn.bootstrap_fit(net, x, y, **options)
    told = []
    make = ThreadPoolExecutor if workers == "threads" else ProcessPoolExecutor
    settings = {} if workers == "threads" else {"mp_context": get_context("spawn")}
    with make(2, **settings) as pool:
        found = nn.bootstrap_fit(
            net, x, y, executor=pool, progress=lambda *a: told.append(a), **options
        )
    np.testing.assert_array_equal(found.forward(x), expected.forward(x))
    np.testing.assert_array_equal(found.history, expected.history)
    np.testing.assert_array_equal(found.network.forward(x), expected.network.forward(x))
    for member in (0, 69):
        for name, value in expected.state_dict(member).items():
            np.testing.assert_array_equal(found.state_dict(member)[name], value)
    assert told[-1] == ("networks", 70, 70)


def test_an_executor_that_breaks_and_one_that_is_none():
    x = np.linspace(-1, 1, 30)[:, None]
    net = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1))
    options = {"n_resamples": 5, "epochs": 2, "rng": 4}
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(fastkb.ExecutorError, match="0 of 5 parts") as caught:
        nn.bootstrap_fit(net, x, x[:, 0], executor=pool, **options)
    expected = nn.bootstrap_fit(net, x, x[:, 0], **options)
    np.testing.assert_array_equal(caught.value.go_on().forward(x), expected.forward(x))
    with pytest.raises(TypeError, match="executor must have a method submit"):
        nn.bootstrap_fit(net, x, x[:, 0], executor="dask", **options)


def test_a_member_that_diverges_on_an_executor_is_named():
    x = np.linspace(-1, 1, 30)[:, None]
    net = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1))
    options = {"n_resamples": 3, "epochs": 30, "rng": 4, "optimizer": nn.SGD(lr=1e3)}
    with ThreadPoolExecutor(1) as pool, pytest.raises(FloatingPointError, match="the loss"):
        nn.bootstrap_fit(net, 100 * x, x[:, 0], executor=pool, **options)


def test_images_of_bytes_have_a_scale():
    rng = np.random.default_rng(0)
    images, y = rng.integers(0, 256, (20, 1, 5, 5)).astype(np.uint8), rng.integers(0, 2, 20)
    layers = nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 2)
    net = nn.Sequential(*layers, rng=0)
    floats = images * np.float32(1 / 255)
    options = {"loss": "cross_entropy", "epochs": 2, "n_resamples": 2, "rng": 0}
    ensemble = nn.bootstrap_fit(net, images, y, scale=1 / 255, **options)
    other = nn.bootstrap_fit(net, floats, y, **options)
    np.testing.assert_array_equal(ensemble.history, other.history)
    np.testing.assert_array_equal(ensemble.forward(images, scale=1 / 255), other.forward(floats))
    np.testing.assert_array_equal(ensemble.predict(images, scale=1 / 255), other.predict(floats))
    kwargs = {"loss": "cross_entropy", "scale": 1 / 255}
    value, gradients = nn.Sequential(*layers, rng=0).loss_and_gradients(images, y, **kwargs)
    expected, plain = nn.Sequential(*layers, rng=0).loss_and_gradients(
        floats, y, loss="cross_entropy"
    )
    assert value == expected
    for name, array in gradients.items():
        np.testing.assert_array_equal(array, plain[name])
    with pytest.raises(ValueError, match="whose scale is not said"):
        ensemble.forward(images)
    with pytest.raises(ValueError, match="scale must be"):
        nn.bootstrap_fit(net, images, y, scale=0.0, **options)

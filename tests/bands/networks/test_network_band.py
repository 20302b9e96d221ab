"""Bands of networks: members that a plain loop would train, by whatever scheme; what users are told."""

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit

from fastkb import KernelRidge, MLPRegressor, bootstrap_band, nn, schemes
from fastkb.nn.program.engine import Engine
from fastkb.nn.training import members as members_module
from fastkb.nn.training.fitting import derived_key, orders
from fastkb.nn.training.members import Members
from fastkb.random.streams import bootstrap_counts, key_from_rng

SETTINGS = {"optimizer": nn.Adam(0.02), "epochs": 3, "batch_size": 16, "l2": 0.01}
GROUPS = np.arange(40) // 5


def network(outputs=1, **options):
    return nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, outputs), **options)


def data(outputs=1, n=40, dtype=np.float64):
    rng = np.random.default_rng(0)
    X, X_eval = rng.uniform(-1, 1, (n, 2)), rng.uniform(-1, 1, (7, 2))
    y = np.sin(3 * X[:, :1] + np.arange(outputs)) + 0.2 * rng.normal(size=(n, outputs))
    return X.astype(dtype), (y[:, 0] if outputs == 1 else y).astype(dtype), X_eval.astype(dtype)


def plain_members(X, targets, weights, seed, **settings):
    """Sequential.fit of each member's weights and targets, in its orders; the networks."""
    key, n = key_from_rng(seed), len(X)
    settings = {**SETTINGS, **settings}
    epochs = settings.pop("epochs")
    count = len(targets) if weights is None else len(weights)
    for member in range(count):
        y = targets if weights is not None else targets[member]
        net = network(1 if y.ndim == 1 else y.shape[1], dtype=X.dtype)
        engine = Engine(net.layers, X.dtype)
        buffer = engine.empty_state(1, False, False).parameters[0]
        engine.initialize(key, member + 1, buffer)
        net.load_state_dict(engine.take(buffer))
        for epoch in range(epochs):
            order = orders(key, epoch, 1, member + 1, 1, n)[0, 0]
            given = None if weights is None else weights[member][order]
            net.fit(
                X[order], y[order], sample_weight=given, shuffle=False, epochs=1, **settings
            )  # fmt: skip
        yield net


def assert_members(band, X_eval, networks):
    assert band.solver == "ensemble"
    count = 0
    for values, net in zip(band.distribution, networks, strict=True):
        expected = net.forward(X_eval)
        np.testing.assert_array_equal(values, expected.reshape(values.shape))
        count += 1
    assert count > 3
    assert len(np.unique(band.distribution.reshape(count, -1)[:, 0])) == count


# --- members ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
def test_members_are_those_of_a_plain_loop(outputs, weighted, dtype):
    X, y, X_eval = data(outputs, dtype=dtype)
    weights = np.random.default_rng(1).uniform(size=40) if weighted else None
    band = bootstrap_band(
        network(outputs), X, y, X_eval, n_resamples=6, rng=4,
        fit_params={**SETTINGS, "sample_weight": weights},
    )  # fmt: skip
    counts = bootstrap_counts(derived_key(key_from_rng(4), 2), 0, 6, 40)
    each = counts * weights if weighted else counts
    assert_members(band, X_eval, plain_members(X, y, each, 4))
    assert band.distribution.dtype == dtype
    center = network(outputs).fit(X, y, rng=4, sample_weight=weights, **SETTINGS)
    np.testing.assert_array_equal(band.center, center.forward(X_eval).reshape(band.center.shape))


@pytest.mark.parametrize(
    "scheme",
    [
        schemes.Bayesian(),
        schemes.Stratified(GROUPS % 2),
        schemes.Clusters(GROUPS),
        schemes.CircularBlocks(4),
    ],
)
def test_schemes_are_other_weights(scheme):
    X, y, X_eval = data()
    band = bootstrap_band(
        network(), X, y, X_eval, n_resamples=6, rng=4, fit_params=SETTINGS, scheme=scheme
    )
    weights = scheme.prepare([y], True).counts(derived_key(key_from_rng(4), 2), 0, 6)
    assert_members(band, X_eval, plain_members(X, y, weights, 4))
    assert "bootstrap weights" in band.reason


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("scheme", [schemes.Residual(), schemes.Wild(labels=GROUPS)])
def test_new_responses_around_the_networks_own_fit(scheme, outputs, dtype):
    X, y, X_eval = data(outputs, dtype=dtype)
    band = bootstrap_band(
        network(outputs), X, y, X_eval, n_resamples=6, rng=4, fit_params=SETTINGS, scheme=scheme
    )
    center = network(outputs).fit(X, y, rng=4, **SETTINGS)
    fitted = center.forward(X).reshape(y.shape).astype(np.float64)
    prepared = scheme.around(y.astype(np.float64), fitted)
    new = prepared.responses(derived_key(key_from_rng(4), 2), 0, 6)
    new = new if new.ndim == 2 else np.moveaxis(new, 0, -1)
    assert_members(band, X_eval, plain_members(X, new.astype(dtype), None, 4))
    assert "new responses" in band.reason


def test_groups_do_not_matter(monkeypatch):
    X, y, X_eval = data()
    for scheme in (None, schemes.Bayesian(), schemes.Wild()):
        options = {"rng": 4, "fit_params": SETTINGS, "scheme": scheme}
        whole = bootstrap_band(network(), X, y, X_eval, n_resamples=9, **options)
        few = bootstrap_band(network(), X, y, X_eval, n_resamples=4, **options)
        with monkeypatch.context() as patch:
            patch.setattr(members_module, "_FEWEST", 1)
            patch.setattr(members_module, "_SECONDS_A_GROUP", 0.0)
            groups = bootstrap_band(network(), X, y, X_eval, n_resamples=9, **options)
        np.testing.assert_array_equal(groups.distribution, whole.distribution)
        np.testing.assert_array_equal(few.distribution, whole.distribution[:4])


def test_the_network_is_not_changed_and_what_it_has_learnt_does_not_count():
    X, y, X_eval = data()
    net = network(rng=1).fit(X, y, epochs=2)
    before, history = net.state_dict(), list(net.history["loss"])
    fresh, used = (
        bootstrap_band(each, X, y, X_eval, n_resamples=3, rng=4, fit_params=SETTINGS)
        for each in (network(), net)
    )
    np.testing.assert_array_equal(fresh.distribution, used.distribution)
    np.testing.assert_array_equal(fresh.center, used.center)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert net.history["loss"] == history


# --- out of bag ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [("squared_error", 1), ("squared_error", 2), ("binary_cross_entropy", 1), ("cross_entropy", 3)],
)
def test_out_of_bag_error_is_that_of_a_plain_loop(loss, outputs):
    X, y, X_eval = data(outputs)
    if loss == "binary_cross_entropy":
        y = (y > 0).astype(float)
    elif loss == "cross_entropy":
        y = y.argmax(axis=1)
    settings = {**SETTINGS, "loss": loss}
    band = bootstrap_band(
        network(outputs), X, y, X_eval, n_resamples=12, rng=4, fit_params=settings, out_of_bag=True
    )
    ensemble = nn.bootstrap_fit(network(outputs), X, y, n_resamples=12, rng=4, **settings)
    counts = bootstrap_counts(derived_key(key_from_rng(4), 2), 0, 12, 40)

    def losses_of(outputs):
        if loss == "cross_entropy":
            return outputs.argmax(axis=1) != y
        if loss == "binary_cross_entropy":
            return (expit(outputs[:, 0]) > 0.5) != y
        return ((outputs - y.reshape(40, -1)) ** 2).mean(axis=1)

    losses = np.array([losses_of(each) for each in ensemble.forward(X)])
    left = counts == 0
    seen = left.any(axis=0)
    expected = np.mean((losses * left).sum(axis=0)[seen] / left.sum(axis=0)[seen])
    # Means of means of a dozen terms each.
    np.testing.assert_allclose(band.prediction_error.out_of_bag, expected, rtol=1e-13)
    training = losses_of(ensemble.network.forward(X)).mean()
    np.testing.assert_allclose(band.prediction_error.training, training, rtol=1e-13)
    squared = loss == "squared_error"
    assert band.prediction_error.loss == ("squared_error" if squared else "zero_one")


# --- long jobs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", [None, schemes.Wild()])
def test_an_interrupted_band_goes_on(tmp_path, monkeypatch, scheme):
    monkeypatch.setattr(members_module, "_FEWEST", 2)
    monkeypatch.setattr(members_module, "_SECONDS_A_GROUP", 0.0)
    monkeypatch.setattr(members_module, "n_threads", lambda: 2)
    X, y, X_eval = data()
    path = tmp_path / "band.npz"
    options = {"n_resamples": 11, "rng": 4, "scheme": scheme, "out_of_bag": scheme is None}
    whole = bootstrap_band(network(), X, y, X_eval, fit_params=SETTINGS, **options)
    true, calls = Members.train, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return true(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Members, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bootstrap_band(network(), X, y, X_eval, fit_params=SETTINGS, checkpoint=path, **options)
    with np.load(path) as content:
        assert len(content["array/distribution"]) == 8
    for net, settings, words in (
        (network(), {**SETTINGS, "epochs": 4}, "fit_params"),
        (network(), {**SETTINGS, "sample_weight": y**2}, "fit_params"),
        (nn.Sequential(nn.Linear(2, 1)), SETTINGS, "estimator"),
        (network(dtype="float32"), SETTINGS, "estimator"),
    ):
        if scheme is not None and "sample_weight" in settings:
            continue
        with pytest.raises(ValueError, match=words):
            bootstrap_band(net, X, y, X_eval, fit_params=settings, checkpoint=path, **options)
    # Of the network's own parameters nothing depends.
    used = network().fit(X, y, rng=0, epochs=1)
    fresh = bootstrap_band(network(), X, y, X_eval, fit_params=SETTINGS, checkpoint=path, **options)
    np.testing.assert_array_equal(fresh.distribution, whole.distribution)
    assert fresh.prediction_error == whole.prediction_error
    assert used.dtype == np.float64


def test_a_progress_bar_counts_members(capsys):
    X, y, X_eval = data()
    bootstrap_band(
        network(), X, y, X_eval, n_resamples=5, rng=0, fit_params=SETTINGS, progress=True
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert "5/5" in err


# --- what users are told ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"fit_params": {"epoch": 3}}, ValueError, r"fit_params has the unknown 'epoch': a network's "
         r"are loss, .*; did you mean 'epochs'\?"),
        ({"fit_params": {"rng": 3}}, ValueError, "fit_params has the unknown 'rng'"),
        ({"fit_params": [3]}, TypeError, "fit_params must be a dict"),
        ({"fit_params": {"epochs": 0}}, ValueError, "epochs"),
        ({"fit_params": {"loss": "mse"}}, ValueError, "loss must be one of"),
        ({"fit_params": {"optimizer": "adamm"}}, ValueError, "did you mean 'adam'"),
        ({"fit_params": {"sample_weight": np.ones(3)}}, ValueError, "sample_weight"),
        ({"solver": "weights"}, ValueError, "solver of a network must be 'auto' or 'ensemble'"),
        ({"solver": "lowrank"}, ValueError, "is for KernelRidge"),
        ({"response_method": "predict_proba"}, ValueError, "must be 'auto' or 'predict'"),
        ({"response_method": "predict", "fit_params": {"loss": "binary_cross_entropy"}}, ValueError,
         "must be 'auto' or 'predict_proba'"),
        ({"scheme": schemes.Wild(), "fit_params": {"sample_weight": np.ones(40)}}, ValueError,
         "Wild trains networks on equal weights"),
        ({"scheme": schemes.Wild(), "fit_params": {"loss": "binary_cross_entropy"}}, ValueError,
         "scheme Wild is for regression, got loss='binary_cross_entropy'"),
        ({"scheme": schemes.Wild(np.ones(3))}, ValueError, "fitted must have"),
        ({"scheme": schemes.Wild(), "out_of_bag": True}, ValueError, "leaves no row out"),
        ({"out_of_bag": True, "fit_params": {"loss": "binary_cross_entropy"}}, ValueError,
         "needs one output, and y of shape"),
        ({"X_eval": np.ones((4, 3))}, ValueError, "X_eval has 3 columns, and the network takes 2"),
        ({"X_eval": np.full((4, 2), np.nan)}, ValueError, "X_eval contains NaN"),
        ({"y": np.ones(39)}, ValueError, "y has 39 rows and X has 40"),
        ({"X": sparse.csr_array(np.eye(40, 2))}, TypeError, "[Ss]parse"),
        ({"checkpoint": "band.npz", "rng": None}, ValueError, "rng is None"),
        ({"network": nn.Sequential(nn.Linear(2, 1), nn.Sign())}, ValueError, "no derivative"),
        ({"network": nn.Sequential}, TypeError, "must be an instance, got the class Sequential"),
    ],
)  # fmt: skip
def test_bad_input_before_any_work(options, error, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def work(*arguments):
        raise AssertionError("there was work before the error")

    for name in ("initialize", "train", "forward", "loss_and_gradients"):
        monkeypatch.setattr(Engine, name, work)
    X, y, X_eval = data()
    y = (y - y.min()) / np.ptp(y)
    arguments = {"X": X, "y": y, "X_eval": X_eval, "rng": 0, **options}
    net = arguments.pop("network", network())
    with pytest.raises(error, match=words):
        bootstrap_band(net, n_resamples=3, **arguments)


def test_fit_params_are_for_what_is_fitted():
    X, y, X_eval = data()
    with pytest.raises(ValueError, match=r"KernelRidge is with solver='weights' or 'rows'"):
        bootstrap_band(KernelRidge(), X, y, X_eval, fit_params={"sample_weight": y**2})
    with pytest.raises(ValueError, match="the estimator is a function"):
        bootstrap_band(lambda X, y, w, X_eval: y, X, y, X_eval, fit_params={"sample_weight": y**2})
    with pytest.raises(ValueError, match="solver='ensemble' is for networks, got KernelRidge"):
        bootstrap_band(KernelRidge(), X, y, X_eval, solver="ensemble")
    with pytest.raises(TypeError, match="fit_params must be a dict"):
        bootstrap_band(MLPRegressor(), X, y, X_eval, fit_params=[3])


def test_a_member_that_diverges_is_named():
    X, y, X_eval = data()
    with pytest.raises(FloatingPointError, match=r"the loss of network \d+ became|the loss became"):
        bootstrap_band(
            network(), X, y, X_eval, n_resamples=3, rng=0,
            fit_params={"optimizer": nn.SGD(1e200)},
        )  # fmt: skip


# --- what it is for -----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", [None, schemes.Bayesian(), schemes.Residual()])
def test_the_band_covers_a_smooth_function(scheme):
    """Most of a 90% band's points cover the truth, and it is no wider than the noise."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (300, 1))
    y = np.sin(2 * x[:, 0]) + 0.3 * rng.normal(size=300)
    points = np.linspace(-1.9, 1.9, 200)[:, None]
    net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    band = bootstrap_band(
        net, x, y, points, n_resamples=60, rng=0, scheme=scheme,
        fit_params={"optimizer": nn.Adam(0.02), "epochs": 80},
    )  # fmt: skip
    truth = np.sin(2 * points[:, 0])
    # Points of one curve go up and down together: a correct band may miss a fifth of them at once.
    assert np.mean((band.low <= truth) & (truth <= band.high)) >= 0.7
    # Some 10 parameters' worth of curve from 300 observations: 2 · 1.645 · 0.3 · √(10 / 300) = 0.18.
    assert 0.06 < (band.high - band.low).mean() < 0.5


def test_criteria_and_bytes_with_a_scale():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (30, 3)).astype(np.uint8), rng.integers(0, 2, 30)
    floats = X * np.float32(1 / 255)
    criterion = nn.CrossEntropyLoss([1.0, 2.0], label_smoothing=0.1)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    told = {"loss": criterion, "epochs": 2}
    options = {"n_resamples": 3, "rng": 0, "out_of_bag": True}
    band = bootstrap_band(net, X, y, X[:5], fit_params={**told, "scale": 1 / 255}, **options)
    other = bootstrap_band(net, floats, y, floats[:5], fit_params=told, **options)
    np.testing.assert_array_equal(band.distribution, other.distribution)
    assert ((band.distribution >= 0) & (band.distribution <= 1)).all()
    assert band.prediction_error == other.prediction_error
    values = floats.sum(1)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    told = {"loss": nn.HuberLoss(delta=0.5), "epochs": 2}
    scheme = schemes.Residual()
    band = bootstrap_band(
        net, floats, values, floats[:5], n_resamples=3, rng=0, fit_params=told, scheme=scheme
    )
    assert band.distribution.shape == (3, 5)

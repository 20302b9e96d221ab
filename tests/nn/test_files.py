"""Networks on disk: the same bits after loading as without, in both formats; nothing else is loaded."""

import contextlib
import copy
import errno
import io
import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.containers import CONTAINERS

FORMATS = [".npz", ".safetensors"]
each_format = pytest.mark.parametrize("suffix", FORMATS)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])

OPTIMIZERS = [
    nn.SGD(0.05), nn.SGD(0.05, 0.9), nn.SGD(0.05, 0.9, True, clip_norm=0.5), nn.Adagrad(0.05),
    nn.RMSprop(0.01, alpha=0.9), nn.Adam(0.01, betas=(0.8, 0.95), clip_value=0.1),
    nn.AdamW(0.01, weight_decay=0.3), nn.LAMB(0.01),
]  # fmt: skip
SCHEDULES = [
    nn.Constant(), nn.Step(2, 1 / 3), nn.Cosine(5, 1e-4), nn.WarmUp(2, nn.Cosine(3)),
    nn.InverseScaling(0.3), nn.ReduceOnPlateau(0.5, 0, 0.3), nn.ReduceOnPlateau(0.5, 1, 0.9),
    nn.WarmUp(1, nn.ReduceOnPlateau(0.5, 0, 0.3)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def safetensors(request):
    """Tests of that format are skipped where it is not installed."""
    if ".safetensors" in request.node.name:
        pytest.importorskip("safetensors")


def data(dtype=np.float64, n=37, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    y = np.stack([np.sin(X[:, 0] + k) + 0.1 * rng.normal(size=n) for k in range(2)], axis=1)
    return X.astype(dtype), y.astype(dtype)


def network(rng=0, dtype=None):
    layers = nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 6, bias=False), nn.ELU(0.5), nn.Linear(6, 2)
    return nn.Sequential(*layers, rng=rng, dtype=dtype)


def through(folder, suffix, net):
    """Out to a file, and back."""
    net.save(folder / f"net{suffix}")
    return nn.load(folder / f"net{suffix}")


# --- going on -----------------------------------------------------------------------------------


@each_format
@each_dtype
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_training_goes_on_to_the_same_bits(assert_same, tmp_path, optimizer, dtype, suffix):
    X, y = data(dtype)
    kwargs = {"optimizer": optimizer, "batch_size": 8, "l2": 0.01}
    net = network().fit(X, y, epochs=3, **kwargs)
    loaded = through(tmp_path, suffix, net)
    assert_same(loaded, net)
    np.testing.assert_array_equal(loaded.forward(X), net.forward(X))
    loaded.fit(X, y, epochs=3, **kwargs)
    assert_same(loaded, net.fit(X, y, epochs=3, **kwargs))
    assert_same(loaded, network().fit(X, y, epochs=6, **kwargs))


@each_format
@each_dtype
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_schedules_go_on(assert_same, tmp_path, schedule, dtype, suffix):
    """Those of plateaus look at the monitored losses of before."""
    X, y = data(dtype)
    kwargs = {"optimizer": nn.Adam(0.05, schedule=schedule), "validation_data": data(dtype, seed=1)}
    net = through(tmp_path, suffix, network().fit(X, y, epochs=4, **kwargs))
    whole = network().fit(X, y, epochs=8, **kwargs)
    assert_same(net.fit(X, y, epochs=4, **kwargs), whole)
    rates = whole.history["learning_rate"]
    assert isinstance(schedule, nn.Constant) or len(set(rates[4:])) > 1


@each_dtype
def test_from_one_format_to_the_other(assert_same, tmp_path, dtype):
    pytest.importorskip("safetensors")
    X, y = data(dtype)
    kwargs = {"optimizer": nn.Adam(0.01, schedule=nn.ReduceOnPlateau(0.5, 0, 0.2)), "batch_size": 8}
    net = network(rng=5)
    for place in range(6):
        net = through(tmp_path, FORMATS[place % 2], net.fit(X, y, epochs=1, **kwargs))
    assert_same(net, network(rng=5).fit(X, y, epochs=6, **kwargs))


@each_format
def test_saved_by_a_callback(assert_same, tmp_path, suffix):
    X, y = data()
    kwargs = {"optimizer": nn.LAMB(0.01, schedule=nn.Step(2)), "batch_size": 8, "rng": 3}
    path = tmp_path / f"net{suffix}"

    def interrupt(net, record):
        net.save(path)
        if len(net.history["loss"]) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        network().fit(X, y, epochs=9, callbacks=[interrupt], **kwargs)
    kwargs.pop("rng")  # the file has it
    assert_same(
        nn.load(path).fit(X, y, epochs=2, **kwargs), network().fit(X, y, epochs=5, rng=3, **kwargs)
    )


@each_format
def test_another_optimizer_begins_anew_as_ever(assert_same, tmp_path, suffix):
    X, y = data()
    net = network().fit(X, y, optimizer="adam", epochs=2)
    loaded = through(tmp_path, suffix, net)
    for optimizer in (nn.SGD(0.1, 0.5), "adam"):
        net.fit(X, y, optimizer=optimizer, epochs=2)
        loaded.fit(X, y, optimizer=optimizer, epochs=2)
    assert_same(loaded, net)


@each_format
@pytest.mark.parametrize("dtype", [None, np.float32])
def test_a_network_without_parameters(assert_same, tmp_path, suffix, dtype):
    X, y = data()
    loaded = through(tmp_path, suffix, network(rng=4, dtype=dtype))
    assert loaded.dtype == (None if dtype is None else np.dtype(dtype))
    assert_same(loaded.fit(X, y), network(rng=4, dtype=dtype).fit(X, y))
    # Without a seed, its parameters are of those who fit it.
    loaded = through(tmp_path, suffix, network(rng=None, dtype=dtype))
    assert_same(loaded.fit(X, y, rng=8), network(rng=None, dtype=dtype).fit(X, y, rng=8))


@each_format
@each_dtype
def test_a_network_that_was_not_trained(assert_same, tmp_path, suffix, dtype):
    X, y = data(dtype)
    net = network(dtype=dtype)
    net.load_state_dict({name: value + 1 for name, value in net.state_dict().items()})
    loaded = through(tmp_path, suffix, net)
    assert_same(loaded, net)
    assert_same(loaded.fit(X, y), net.fit(X, y))


@each_format
def test_all_layers(tmp_path, suffix):
    activations = [
        nn.ReLU(), nn.LeakyReLU(0.3), nn.ELU(1 / 3), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.GELU(),
        nn.Identity(), nn.Sign(),
    ]  # fmt: skip
    layers = [part for each in activations for part in (nn.Linear(5, 5), each)]
    net = nn.Sequential(*layers, nn.Linear(5, 2, False, "glorot"), rng=2)
    X, _ = data()
    net.forward(X)
    loaded = through(tmp_path, suffix, net)
    assert loaded.layers == net.layers
    np.testing.assert_array_equal(loaded.forward(X), net.forward(X))


@each_format
def test_the_history_is_kept_as_it_is(tmp_path, suffix):
    X, y = data()
    net = network().fit(X, y, epochs=2, validation_data=(X, y))
    net.history["loss"] += [1 / 3, 1e-320, np.inf, np.float32(0.1)]
    net.history["Grüße/.npy"] = [float("nan"), 7]
    net.history["none"] = []
    history = through(tmp_path, suffix, net).history
    assert list(history) == list(net.history)
    for name, values in net.history.items():
        np.testing.assert_array_equal(history[name], values)
        assert {type(value) for value in history[name]} <= {float}


@each_format
def test_a_square_that_overflowed_stays_so(assert_same, tmp_path, suffix):
    """Its parameter takes steps of 0, and nothing is wrong with the network."""
    X, y = np.array([[1e30, 1.0]], np.float32), np.ones((1, 1))
    kwargs = {"optimizer": nn.RMSprop(0.1), "loss": "binary_cross_entropy"}
    net = nn.Sequential(nn.Linear(2, 1, bias=False))
    net.load_state_dict({"0.weight": np.zeros((1, 2), np.float32)})
    net.fit(X, y, epochs=1, **kwargs)
    loaded = through(tmp_path, suffix, net)
    np.testing.assert_array_equal(
        np.isinf(loaded._saved().arrays["optimizer/second/0.weight"]), [[True, False]]
    )
    assert_same(loaded.fit(X, y, epochs=2, **kwargs), net.fit(X, y, epochs=2, **kwargs))
    assert loaded.state_dict()["0.weight"][0, 0] == 0.0
    assert loaded.state_dict()["0.weight"][0, 1] > 1.0


def test_a_loaded_network_shares_nothing(tmp_path):
    X, y = data()
    net = network().fit(X, y)
    loaded = through(tmp_path, ".npz", net)
    other = nn.load(tmp_path / "net.npz")
    before = net.forward(X)
    loaded.fit(X, y)
    np.testing.assert_array_equal(net.forward(X), before)
    np.testing.assert_array_equal(other.forward(X), before)
    assert len(net.history["loss"]) == len(other.history["loss"]) == 10


# --- what others read ---------------------------------------------------------------------------


@each_dtype
def test_pytorch_reads_the_parameters(tmp_path, dtype):
    torch = pytest.importorskip("torch")
    load_file = pytest.importorskip("safetensors.torch").load_file
    X, y = data(dtype)
    net = network().fit(X, y, optimizer="adam")
    path = tmp_path / "net.safetensors"
    net.save(path)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(5, 9), torch.nn.Tanh(), torch.nn.Linear(9, 6, bias=False),
        torch.nn.ELU(0.5), torch.nn.Linear(6, 2),
    ).to(getattr(torch, np.dtype(dtype).name))  # fmt: skip
    theirs.load_state_dict({k: v for k, v in load_file(path).items() if "/" not in k})
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), net.state_dict()[name])


@each_dtype
def test_numpy_reads_the_parameters(tmp_path, dtype):
    X, y = data(dtype)
    net = network().fit(X, y, optimizer="adam")
    net.save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz", allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    expected = net.state_dict()
    for name, value in expected.items():
        assert arrays[name].dtype == dtype
        np.testing.assert_array_equal(arrays[name], value)
    others = {f"optimizer/{kind}/{name}" for kind in ("first", "second") for name in expected}
    assert arrays.keys() - expected.keys() == {*others, "fastkb"}
    for name in others:
        assert arrays[name].shape == expected[name.split("/")[-1]].shape
    other = network(rng=1)
    other.load_state_dict({name: arrays[name] for name in expected})
    np.testing.assert_array_equal(other.forward(X), net.forward(X))


@each_dtype
def test_bytes_in_the_other_order(assert_same, tmp_path, dtype):
    """A machine of that kind may have written them."""
    path = tmp_path / "net.npz"
    net = network().fit(*data(dtype), optimizer="adam")
    net.save(path)
    about, arrays = read(path)
    swapped = {name: each.astype(each.dtype.newbyteorder()) for name, each in arrays.items()}
    rewrite(path, about, swapped)
    loaded = nn.load(path)
    assert_same(loaded, net)
    assert_same(loaded.fit(*data(dtype), optimizer="adam"), net.fit(*data(dtype), optimizer="adam"))


def test_the_text_is_plain(tmp_path):
    X, y = data()
    network().fit(X, y, optimizer="adam", epochs=2, batch_size=20).save(tmp_path / "net.npz")
    about, _ = read(tmp_path / "net.npz")
    assert (about["format"], about["version"], about["dtype"]) == ("fastkb network", 1, "float64")
    assert (about["epochs"], about["steps"]) == (2, 4)
    assert about["optimizer"]["arguments"]["betas"] == [0.9, 0.999]
    assert [each["name"] for each in about["layers"]] == [
        "Linear",
        "Tanh",
        "Linear",
        "ELU",
        "Linear",
    ]


# --- what cannot be saved -----------------------------------------------------------------------


class Ours(nn.Tanh):
    pass


class Decay:
    def rate(self, base, epoch, losses=()):
        return base * 0.5**epoch


class Descent(nn.SGD):
    pass


@each_format
@pytest.mark.parametrize(
    ("layer", "optimizer", "message"),
    [
        (Ours(), nn.SGD(), "layer 1 must be one of fastkb.nn's own to be saved: .*Linear.*Ours"),
        (nn.Tanh(), Descent(), "optimizer must be one of fastkb.nn's own .*: SGD, .*Descent"),
        (nn.Tanh(), nn.SGD(schedule=Decay()), "schedule of optimizer must be .*Cosine.*Decay"),
    ],
)
def test_things_of_another_make(tmp_path, layer, optimizer, message, suffix):
    X, y = data()
    net = nn.Sequential(nn.Linear(5, 4), layer, nn.Linear(4, 2), rng=0)
    net.fit(X, y, optimizer=optimizer, epochs=1)
    with pytest.raises(TypeError, match=message):
        net.save(tmp_path / f"net{suffix}")
    assert os.listdir(tmp_path) == []


@each_format
@pytest.mark.parametrize("history", [[1.0, "two"], "loss", (1.0,), [None]])
def test_a_history_that_is_none(tmp_path, history, suffix):
    net = network()
    net.history["mine"] = history
    with pytest.raises(ValueError, match=r"history\['mine'\] must be a list of numbers, got"):
        net.save(tmp_path / f"net{suffix}")
    assert os.listdir(tmp_path) == []


@each_format
@pytest.mark.parametrize("field", [0, 1, 2])
def test_numbers_that_could_not_be_loaded_are_not_saved(tmp_path, field, suffix):
    X, y = data()
    net = network().fit(X, y, optimizer="adam")
    path = tmp_path / f"net{suffix}"
    net.save(path)
    before = path.read_bytes()
    net._state[field][:] = np.nan
    with pytest.raises(ValueError, match=r"array '.*0.weight' has NaN or"):
        net.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["net", "net.pt", "net.npz.gz", "net.npy", "net.safetensor"])
def test_other_suffixes(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    for call in (network().save, nn.load):
        with pytest.raises(ValueError, match=r"path must end in \.npz or \.safetensors"):
            call(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b""


def test_suffixes_in_capitals(assert_same, tmp_path):
    net = network()
    net.save(tmp_path / "NET.NPZ")
    assert_same(nn.load(str(tmp_path / "NET.NPZ")), net)


@pytest.mark.parametrize("path", [None, 3, "", "a\0.npz"])
def test_what_is_no_path(path):
    for call in (network().save, nn.load):
        with pytest.raises((TypeError, ValueError), match="path must be the path of a file, got"):
            call(path)


@each_format
def test_places_that_are_not_there(tmp_path, suffix):
    missing = tmp_path / "missing" / f"net{suffix}"
    with pytest.raises(FileNotFoundError, match=r"path '.*' cannot be written: there is no folder"):
        network().save(missing)
    with pytest.raises(FileNotFoundError, match=r"path '.*' cannot be read: No such file"):
        nn.load(missing)
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match="cannot be written: it is a folder"):
        network().save(folder)
    with pytest.raises(IsADirectoryError, match="cannot be read: Is a directory"):
        nn.load(folder)
    assert os.listdir(tmp_path) == [folder.name]


@each_format
def test_a_failing_write_leaves_the_old_file(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"net{suffix}"
    net = network()
    net.save(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"path '.*' cannot be written: No space left") as caught:
        net.fit(*data()).save(path)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_without_safetensors(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for call in (network().save, nn.load):
        with pytest.raises(ImportError, match=r"pip install 'fastkb\[safetensors\]'"):
            call(path)
    assert path.read_bytes() == b"old"
    through(tmp_path, ".npz", network())


# --- networks whose forward is Python ------------------------------------------------------------


class Net(nn.Module):
    """Convolution, batch normalisation, dropout, and a part that is a network itself."""

    def __init__(self, width=6, **options):
        super().__init__(**options)
        self.conv, self.norm = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.3)
        self.rest = nn.Sequential(nn.Linear(27, width), nn.Tanh(), nn.Linear(width, 2))

    def forward(self, x):
        return self.rest(self.drop(self.norm(self.conv(x)).relu().flatten(1)))


def images(dtype=np.float64):
    rng = np.random.default_rng(3)
    return rng.normal(size=(30, 1, 5, 5)).astype(dtype), rng.normal(size=(30, 2)).astype(dtype)


@each_format
@each_dtype
@pytest.mark.parametrize("optimizer", [nn.SGD(0.05, 0.9), nn.Adam(0.01)], ids=repr)
def test_modules_go_on_to_the_same_bits(assert_same, tmp_path, optimizer, dtype, suffix):
    X, y = images(dtype)
    kwargs = {"optimizer": optimizer, "batch_size": 8}
    net, other = Net(rng=0), Net(rng=5)
    net.fit(X, y, epochs=2, **kwargs).save(tmp_path / f"net{suffix}")
    other(X).numpy()  # it has parameters and programs of its own
    other.load(tmp_path / f"net{suffix}")
    assert_same(other, net)
    np.testing.assert_array_equal(other.predict(X), net.predict(X))
    other.fit(X, y, epochs=2, **kwargs)
    assert_same(other, net.fit(X, y, epochs=2, **kwargs))
    assert_same(other, Net(rng=0).fit(X, y, epochs=4, **kwargs))


def test_modules_without_parameters_and_of_sequences(assert_same, tmp_path):
    path = tmp_path / "net.npz"
    Net(rng=7).save(path)
    other = Net()
    other.load(path)
    assert_same(other, Net(rng=7))
    mixed = nn.Sequential(Net(), nn.Linear(2, 1), rng=0)
    mixed.fit(images()[0], images()[1][:, :1], epochs=1).save(path)
    again = nn.Sequential(Net(), nn.Linear(2, 1))
    again.load(path)
    assert_same(again, mixed)
    # A network of layers alone is taken by both ways.
    net = network().fit(*data(), epochs=1)
    net.save(path)
    taken = network(rng=4)
    taken.load(path)
    assert_same(taken, net)
    assert_same(nn.load(path), net)


def test_loops_meet_the_same_masks(tmp_path):
    X, _ = images()
    net, other = Net(rng=0), Net()
    for _ in range(3):
        net(X).numpy()
    net.save(tmp_path / "net.npz")
    other.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(net(X).numpy(), other(X).numpy())


class Other(Net):
    def __init__(self):
        super().__init__()
        self.more = nn.Linear(2, 2)


@each_format
def test_modules_that_do_not_fit_are_not_changed(assert_same, tmp_path, suffix):
    X, y = images()
    path = tmp_path / f"net{suffix}"
    Net(rng=0).fit(X, y, epochs=1).save(path)
    message = r"array 'rest\.0\.weight' must have shape \(4, 27\), got \(6, 27\)"
    smaller = Net(width=4, rng=1).fit(X, y, epochs=1)
    before = smaller.state_dict(), smaller.history
    with pytest.raises(ValueError, match=f"path '.*' cannot be loaded: {message}"):
        smaller.load(path)
    for name, array in smaller.state_dict().items():
        np.testing.assert_array_equal(array, before[0][name])
    assert smaller.history == before[1]
    with pytest.raises(ValueError, match=r"arrays are missing: 'more\.weight', 'more\.bias'"):
        Other().load(path)
    Other().fit(X, y, epochs=1).save(path)
    with pytest.raises(ValueError, match=r"unknown arrays: .*'more\.weight'"):
        Net().load(path)
    with pytest.raises(ValueError, match=r"whose forward is Python.*call its load\(path\)"):
        nn.load(path)
    with pytest.raises(ValueError, match="is a part of another network"):
        smaller.rest.load(path)


# --- what cannot be loaded ----------------------------------------------------------------------


def read(path):
    """The text of a file, as objects, and its arrays."""
    with CONTAINERS[path.suffix].open(str(path)) as content:
        return json.loads(content.text), content.arrays()


def rewrite(path, about, arrays):
    with open(path, "wb") as file:
        CONTAINERS[path.suffix].fill(json.dumps(about), arrays)(file)


@pytest.fixture
def path(tmp_path, request):
    """A network of 5 inputs that was trained by Adam."""
    where = tmp_path / f"net{request.param}"
    network().fit(*data(), optimizer=nn.Adam(schedule="reduce_on_plateau"), epochs=2).save(where)
    return where


each_path = pytest.mark.parametrize("path", FORMATS, indirect=True)


def change(*keys, to):
    def changed(about, arrays):
        for key in keys[:-1]:
            about = about[key]
        about[keys[-1]] = to

    return changed


def drop(*keys):
    def changed(about, arrays):
        for key in keys[:-1]:
            about = about[key]
        del about[keys[-1]]

    return changed


def array(name, function):
    def changed(about, arrays):
        arrays[name] = function(arrays.get(name))

    return changed


def spoil(value):
    def changed(old):
        new = old.copy()
        new.flat[-1] = value
        return new

    return changed


WRONG = {
    "version": (change("version", to=2), "it has version 2 of the format, and this .* reads version 1"),
    "no version": (drop("version"), "it has version None of the format"),
    "format": (change("format", to="fastkb checkpoint 1"), "the save of a network has not written it"),
    "entry missing": (drop("steps"), "the description must have the entries format, .*steps"),
    "entry more": (change("code", to="import os"), "the description must have the entries .*code"),
    "no layers": (change("layers", to=[]), "a network needs a layer with parameters, .* got 0 without"),
    "layers": (change("layers", to={}), "'layers' of the description must be of type list or null"),
    "layer": (change("layers", 1, "name", to="Tahn"), "layer 1 must be one of .*; did you mean 'Tanh'"),
    "layers apart": (
        change("layers", 0, "arguments", "out_features", to=8),
        r"layer 2, Linear\(in_features=9, .*\), takes 9 inputs, and gets 8",
    ),
    "wider": (
        change("layers", 4, "arguments", "out_features", to=10**12),
        r"array '4.weight' must have shape \(1000000000000, 6\), got \(2, 6\)",
    ),
    "no bias": (change("layers", 0, "arguments", "bias", to=False), "unknown arrays: '0.bias', 'opt"),
    "bias": (change("layers", 2, "arguments", "bias", to=True), "arrays are missing: '2.bias', 'opt"),
    "optimizer": (change("optimizer", "name", to="Adan"), "optimizer must be .*; did you mean 'Adam'"),
    "optimizer's argument": (
        change("optimizer", "arguments", "betas", to=[0.9, 1.0]),
        "optimizer: betas.1. must be a number from 0 to below 1, got 1.0",
    ),
    "another optimizer": (
        change("optimizer", to={"name": "Adagrad", "arguments": {
            "lr": 0.01, "schedule": None, "clip_norm": None, "clip_value": None, "eps": 1e-10,
        }}),
        "there are unknown arrays: 'optimizer/first/0",
    ),
    "no optimizer": (change("optimizer", to=None), "there are unknown arrays: 'optimizer/first/0"),
    "schedule": (
        change("optimizer", "arguments", "schedule", "name", to="Plateau"),
        "the name of schedule of optimizer must be one of Constant, .*got 'Plateau'",
    ),
    "dtype": (change("dtype", to="float16"), "dtype must be one of float32, float64, got 'float16'"),
    "no dtype": (change("dtype", to=None), "dtype must be one of float32, float64, got None"),
    "other dtype": (change("dtype", to="float32"), "array '0.weight' must be of float32, got float64"),
    "not drawn": (change("drawn", to=False), "a network without parameters has no other arrays"),
    "epochs": (change("epochs", to=-1), "epochs must be a whole number from 0 to .*, got -1"),
    "steps": (change("steps", to=1.5), "'steps' of the description must be of type int, got 1.5"),
    "many epochs": (change("epochs", to=2**70), "epochs must be a whole number from 0 to 9007199254"),
    "many steps": (change("steps", to=2**63), "steps must be a whole number from 0 to 9007199254"),
    "losses": (change("losses", to=[1.0, "x"]), "losses must be a list of numbers, got 'x' in it"),
    "history": (change("history", "loss", to=3), r"history\['loss'\] must be a list of numbers"),
    "seed": (change("seed", to=[1, 2, 3]), "seed must be four whole numbers .*got .1, 2, 3."),
    "seed's words": (change("first_seed", to=[0, 0, 0, 2**32]), "first_seed must be four whole"),
    "array missing": (lambda about, arrays: arrays.pop("0.bias"), "arrays are missing: '0.bias'$"),
    "state missing": (
        lambda about, arrays: arrays.pop("optimizer/second/4.bias"),
        "arrays are missing: 'optimizer/second/4.bias'$",
    ),
    "array more": (array("5.weight", lambda _: np.zeros(3)), "unknown arrays: '5.weight'$"),
    "shape": (array("0.weight", np.transpose), r"'0.weight' must have shape \(9, 5\), got \(5, 9\)"),
    "flat": (array("4.bias", lambda old: old[:, None]), r"'4.bias' must have shape \(2,\), got \(2, 1\)"),
    "single": (array("4.bias", np.float32), "array '4.bias' must be of float64, got float32"),
    "whole": (array("4.bias", np.int64), "array '4.bias' must be of float64, got int64"),
    "NaN": (array("2.weight", spoil(np.nan)), "array '2.weight' has NaN or infinity"),
    "infinity": (array("2.weight", spoil(-np.inf)), "array '2.weight' has NaN or infinity"),
    "first": (array("optimizer/first/0.bias", spoil(np.inf)), "first/0.bias' has NaN or infinity"),
    "second": (array("optimizer/second/0.bias", spoil(-1.0)), "has NaN or numbers below 0"),
    "second's NaN": (array("optimizer/second/0.bias", spoil(np.nan)), "has NaN or numbers below 0"),
}  # fmt: skip


@each_path
@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_as_it_was_written(path, case):
    changed, message = WRONG[case]
    about, arrays = read(path)
    rewrite(path, about, arrays)
    nn.load(path)  # or the test would refuse everything
    changed(about, arrays)
    rewrite(path, about, arrays)
    with pytest.raises(ValueError, match=message) as caught:
        nn.load(path)
    assert str(caught.value).startswith(f"path {str(path)!r} cannot be loaded: ")


@each_format
def test_an_optimizer_without_its_state(tmp_path, suffix):
    """Compiled code would write into what is not there."""
    path = tmp_path / f"net{suffix}"
    network(dtype=np.float64).save(path)
    about, arrays = read(path)
    adam = {"name": "Adam", "arguments": {
        "lr": 0.001, "schedule": None, "clip_norm": None, "clip_value": None, "betas": [0.9, 0.999],
        "eps": 1e-8,
    }}  # fmt: skip
    rewrite(path, {**about, "optimizer": adam}, arrays)
    with pytest.raises(
        ValueError, match="without parameters has no other arrays, and no optimiser"
    ):
        nn.load(path)


@each_path
@pytest.mark.parametrize("length", [0, 1, 7, 100, 0.5, -30, -1])
def test_a_truncated_file(path, length):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(length * len(whole)) if length == 0.5 else length])
    with pytest.raises(ValueError, match="cannot be loaded: ") as caught:
        nn.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("path", [".npz"], indirect=True)
def test_every_damage_of_an_archive_is_noticed(assert_same, path):
    whole = path.read_bytes()
    expected, refused = nn.load(path), 0
    for where in range(0, len(whole), 17):
        damaged = bytearray(whole)
        damaged[where] ^= 0xFF
        path.write_bytes(damaged)
        try:
            found = nn.load(path)
        except ValueError:
            refused += 1
        else:  # a byte that means nothing here, as a date
            assert_same(found, expected)
    assert refused > 100


FOREIGN = {
    "text": b"x,y\n1,2\n",
    "pickle": pickle.dumps({"0.weight": [1.0]}),
    "nothing": b"",
}


@each_format
@pytest.mark.parametrize("content", FOREIGN)
def test_files_of_another_kind(tmp_path, content, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(FOREIGN[content])
    with pytest.raises(ValueError, match=r"path '.*' cannot be loaded: "):
        nn.load(path)
    assert path.read_bytes() == FOREIGN[content]


def test_one_format_under_the_name_of_the_other(tmp_path):
    pytest.importorskip("safetensors")
    net = network()
    for suffix, other in (FORMATS, FORMATS[::-1]):
        net.save(tmp_path / f"net{suffix}")
        os.replace(tmp_path / f"net{suffix}", tmp_path / f"other{other}")
        with pytest.raises(ValueError, match="cannot be loaded: "):
            nn.load(tmp_path / f"other{other}")


def write_npy(path):
    with open(path, "wb") as file:
        np.save(file, np.arange(3))


def write_letter(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "hello")


def text_of(text):
    return np.frombuffer(json.dumps(text).encode(), np.uint8)


@pytest.mark.parametrize(
    "write",
    [
        write_npy,
        write_letter,
        lambda path: np.savez(path, **{"0.weight": np.zeros((2, 2))}),
        lambda path: np.savez(path, fastkb=np.array("fastkb network 1")),
        lambda path: np.savez(path, fastkb=np.zeros(4, np.uint8)),
        lambda path: np.savez(path, fastkb=text_of([])),
        lambda path: np.savez(path, fastkb=text_of({"format": "mine", "version": 1})),
        lambda path: np.savez(path, fastkb=np.frombuffer(b"[" * 10**5, np.uint8)),
    ],
    ids=["npy", "zip", "arrays", "a string", "no text", "a list", "another format", "nested"],
)
def test_archives_of_another_kind(tmp_path, write):
    write(tmp_path / "net.npz")
    with pytest.raises(ValueError, match=r"path '.*' cannot be loaded: "):
        nn.load(tmp_path / "net.npz")


def test_arrays_alone_are_not_a_network(tmp_path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    np.savez(tmp_path / "net.npz", **network().state_dict())
    arrays = {name: np.ascontiguousarray(value) for name, value in network().state_dict().items()}
    save_file(arrays, tmp_path / "net.safetensors")
    for suffix in FORMATS:
        with pytest.raises(
            ValueError, match=r"not written it.*load_state_dict takes over parameters"
        ):
            nn.load(tmp_path / f"net{suffix}")


# --- nothing is executed ------------------------------------------------------------------------


class Harm:
    """Unpickled, it would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("path", [".npz"], indirect=True)
@pytest.mark.parametrize("name", ["0.weight", "fastkb", "another"])
def test_pickled_objects_are_refused(path, name, tmp_path):
    done = tmp_path / "done"
    objects = np.array([Harm(done)], dtype=object)
    about, arrays = read(path)
    content = {"fastkb": text_of(about), **arrays, name: objects}
    np.savez(path, **content)
    with pytest.raises(ValueError, match="Object arrays cannot be loaded when allow_pickle=False"):
        nn.load(path)
    assert not done.exists()
    with np.load(path, allow_pickle=True) as archive:  # the file would have done it
        _ = archive[name]
    assert done.exists()


@each_format
def test_a_pickle_under_another_name(tmp_path, suffix):
    done, path = tmp_path / "done", tmp_path / f"net{suffix}"
    path.write_bytes(pickle.dumps(Harm(done)))
    with pytest.raises(ValueError, match="cannot be loaded"):
        nn.load(path)
    assert not done.exists()
    # Nor as an array file whose body is a pickle.
    body = io.BytesIO()
    np.save(body, np.array([Harm(done)], dtype=object), allow_pickle=True)
    path.write_bytes(body.getvalue())
    with pytest.raises(ValueError, match="cannot be loaded"):
        nn.load(path)
    assert not done.exists()


# --- copies -------------------------------------------------------------------------------------

COPIES = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}
each_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


@each_copy
@each_dtype
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_copies_of_networks_train_on(assert_same, copied, optimizer, dtype):
    X, y = data(dtype)
    kwargs = {"optimizer": optimizer, "batch_size": 8}
    net = network().fit(X, y, epochs=2, **kwargs)
    net.note = "mine"
    other = copied(net)
    assert other.note == "mine"
    before = net.state_dict()
    other.fit(X, y, epochs=3, **kwargs)
    for name, value in before.items():  # nothing is shared
        np.testing.assert_array_equal(net.state_dict()[name], value)
    assert len(net.history["loss"]) == 2
    assert_same(other, net.fit(X, y, epochs=3, **kwargs))


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@each_dtype
@pytest.mark.parametrize("copied", [copy.deepcopy, COPIES["pickle"]], ids=["deepcopy", "pickle"])
def test_copies_of_estimators_train_on(kind, solver, dtype, copied):
    import fastkb

    X, y = data(dtype)
    target = y[:, 0] if kind == "MLPRegressor" else y[:, 0] > 0
    model = getattr(fastkb, kind)(
        hidden_layer_sizes=(7,), solver=solver, random_state=0, warm_start=True, max_iter=4, tol=0
    )

    def train(model):
        with pytest.warns(match="not converged"):
            return model.fit(X, target)

    other = copied(train(model))
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    before = [each.copy() for each in model.coefs_]
    train(other)
    for now, then in zip(model.coefs_, before, strict=True):  # nothing is shared
        np.testing.assert_array_equal(now, then)
    train(model)
    if solver != "lbfgs":
        other.partial_fit(X, target)
        model.partial_fit(X, target)
        assert other.loss_curve_ == model.loss_curve_
    for one, another in zip(other.coefs_, model.coefs_, strict=True):
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, another)
    assert (model.coefs_[0] != before[0]).any()


# --- before anything is read --------------------------------------------------------------------


@each_format
def test_damage_is_noticed_or_changes_nothing(assert_same, tmp_path, suffix):
    """Bits, runs of bytes and the end of the file, anywhere; of each kind the content is compared."""
    path, rng = tmp_path / f"net{suffix}", np.random.default_rng(0)
    network().fit(*data(), optimizer="adam", epochs=2).save(path)
    whole, expected = path.read_bytes(), nn.load(path)
    for number in range(150):
        damaged, where = bytearray(whole), int(rng.integers(len(whole) - 20))
        if number % 3 == 0:
            damaged[where] ^= 1 << int(rng.integers(8))
        elif number % 3 == 1:
            damaged[where : where + 20] = rng.bytes(20)
        else:
            del damaged[where:]
        path.write_bytes(damaged)
        found = None
        with contextlib.suppress(ValueError):
            found = nn.load(path)
        if found is not None:
            assert suffix == ".npz"
            assert_same(found, expected)
            for name, value in found._saved().arrays.items():
                np.testing.assert_array_equal(value, expected._saved().arrays[name])


def with_metadata(path, change):
    """A .safetensors file, its metadata changed by a function."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header["__metadata__"])
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


@pytest.mark.parametrize("path", [".safetensors"], indirect=True)
def test_files_without_a_checksum_are_loaded(assert_same, path):
    """Of an older fastkb."""
    expected = nn.load(path)

    def forget(metadata):
        del metadata["fastkb_checksum"]
        metadata["fastkb"] = metadata["fastkb"].strip()

    with_metadata(path, forget)
    assert_same(nn.load(path), expected)


@pytest.mark.parametrize("path", [".safetensors"], indirect=True)
@pytest.mark.parametrize("name", ["fastkb_checksun", "fastkb_checksum"])
def test_a_checksum_that_was_damaged_itself(path, name):
    def damage(metadata):
        del metadata["fastkb_checksum"]
        metadata[name] = "0" * 64

    with_metadata(path, damage)
    with pytest.raises(ValueError, match="it is damaged, or was changed by another program"):
        nn.load(path)


def test_a_file_that_expands_is_compared_first(path_of_zeros):
    """Two gigabytes of zeros are two megabytes in the file."""
    path, size = path_of_zeros
    assert path.stat().st_size < size / 500
    with pytest.raises(ValueError, match=r"'0.weight' must have shape \(9, 5\), got \(67108864,\)"):
        nn.load(path)


@pytest.fixture
def path_of_zeros(tmp_path, monkeypatch):
    """A network's file with an array of half a gigabyte, whose numbers nobody may read."""
    path, count = tmp_path / "net.npz", 2**26
    network(dtype=np.float64).fit(*data()).save(path)
    about, arrays = read(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, value in {**arrays, "fastkb": text_of(about)}.items():
            with out.open(f"{name}.npy", "w", force_zip64=True) as member:
                if name != "0.weight":
                    np.lib.format.write_array(member, value)
                    continue
                header = {"descr": "<f8", "fortran_order": False, "shape": (count,)}
                np.lib.format.write_array_header_1_0(member, header)
                for _ in range(count // 2**20):
                    member.write(bytes(2**23))
    from fastkb.storage import archives

    whole = archives.Archive.read

    def without_parameters(self, names, what):
        assert "0.weight" not in list(names)
        return whole(self, names, what)

    monkeypatch.setattr(archives.Archive, "read", without_parameters)
    return path, 8 * count


@pytest.mark.parametrize("path", [".safetensors"], indirect=True)
@pytest.mark.parametrize("length", [2**63 - 1, 2**64 - 1, 10**9, 10**5])
def test_a_header_that_is_longer_than_the_file(path, length):
    content = path.read_bytes()
    path.write_bytes(length.to_bytes(8, "little") + content[8:])
    with pytest.raises(ValueError, match=r"net.safetensors' cannot be loaded: "):
        nn.load(path)


@pytest.mark.parametrize("path", [".safetensors"], indirect=True)
def test_tensors_that_are_longer_than_the_file(path):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["0.weight"] |= {"shape": [10**6, 10**6], "data_offsets": [0, 8 * 10**12]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(ValueError, match=r"net.safetensors' cannot be loaded: "):
        nn.load(path)


@pytest.mark.parametrize("path", [".safetensors"], indirect=True)
def test_tensors_of_types_that_numpy_has_not(path):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    text = content[8 : 8 + length].decode()
    header = json.loads(text)
    header["0.bias"] = {**header["0.bias"], "dtype": "BF16", "shape": [9 * 4]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(ValueError, match=r"array '0.bias' is of BF16, which NumPy has not"):
        nn.load(path)

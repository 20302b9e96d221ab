"""Networks, and what loops keep, from files."""

import json
import os

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn, optim
from fastkb.nn.containers import CONTAINERS


@pytest.mark.parametrize("name", ["net.npz", "net.safetensors"])
def test_a_loaded_network_gives_the_same_outputs(tmp_path, name):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors")
    X = np.linspace(-1.0, 1.0, 9)[:, None]
    net = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1), rng=0)
    net.fit(X, X**2, epochs=2).save(tmp_path / name)
    other = nn.load(tmp_path / name)
    assert type(other) is nn.Sequential
    np.testing.assert_array_equal(other.forward(X), net.forward(X))
    assert other.history == net.history


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(OSError, match=r"net\.npz"):
        nn.load(tmp_path / "net.npz")


# --- what is nested -----------------------------------------------------------------------------

each_format = pytest.mark.parametrize("suffix", list(CONTAINERS))


@pytest.fixture(autouse=True)
def safetensors(request):
    """Tests of that format are skipped where it is not installed."""
    if ".safetensors" in request.node.name:
        pytest.importorskip("safetensors")


def same(one, other):
    """Whether two objects are the same, arrays to the last bit."""
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and (one.dtype, one.shape) == (other.dtype, other.shape)
            and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
        )
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or one != one)


OBJECTS = {
    "numbers": [1, 2.5, True, None, "text", float("inf"), float("nan"), -0.0, 2**70, 1e-300],
    "nested": {"a": {"b": ({}, [], ()), 3: [np.arange(3)], None: 1, 2.5: 2, True: 3}},
    "arrays": {
        "f2": np.ones(3, np.float16), "u1": np.arange(4, dtype=np.uint8), "i8": np.array(-5),
        "bool": np.array([[True], [False]]), "none": np.zeros((0, 3), np.float32),
        "by columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "nan": np.array([np.nan]),
    },
    "names": {
        "fastkb": np.ones(1), "file": np.ones(2), "": np.ones(3), "a/b": np.ones(4),
        "a": {"b": np.ones(5)}, "0": np.ones(6), 0: np.ones(7), "..": np.ones(8), "a\0": np.ones(9),
        "x" * 300: np.ones(10), "ünïcode": np.ones(11), "allow_pickle": np.ones(12),
        "array": {"0": np.ones(13)}, "arr_0": np.ones(14),
    },
    "one array": np.arange(5.0),
    "one number": 7,
    "looks like a description": {"dict": [["array", ["a", "f8", []]]]},
}  # fmt: skip


@each_format
@pytest.mark.parametrize("case", OBJECTS)
def test_objects_come_back(tmp_path, case, suffix):
    path = tmp_path / f"objects{suffix}"
    nn.save(OBJECTS[case], path)
    assert same(OBJECTS[case], nn.load(path))
    assert os.listdir(tmp_path) == [path.name]


@each_format
def test_other_kinds_become_these(tmp_path, suffix):
    path = tmp_path / f"objects{suffix}"
    given = {
        "numbers": (np.float32(0.5), np.int64(3), np.bool_(True)),
        "tensor": nn.Tensor(np.ones((2, 3))),
        "bytes": np.arange(3, dtype=">i4"),
    }
    nn.save(given, path)
    expected = {
        "numbers": (0.5, 3, True), "tensor": np.ones((2, 3)), "bytes": np.arange(3, dtype="i4"),
    }  # fmt: skip
    assert same(expected, nn.load(path))


class Net(nn.Module):
    def __init__(self, **options):
        super().__init__(**options)
        self.fc, self.drop, self.last = nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 1)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        return self.last(self.drop(self.norm(self.fc(x)).relu()))


def steps(net, optimizer, scheduler, count):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 3))
    for _ in range(count):
        optimizer.zero_grad()
        F.mse_loss(net(X), X[:, :1]).backward()
        optimizer.step()
        scheduler.step()


@each_format
@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "LAMB"])
def test_a_loop_goes_on_from_state_dicts(tmp_path, kind, suffix):
    options = {"momentum": 0.9} if kind in ("SGD", "RMSprop") else {}
    options |= {"amsgrad": True} if kind == "Adam" else {}
    options |= {"centered": True} if kind == "RMSprop" else {}

    def begun(rng):
        net = Net(rng=rng)
        net.drop = nn.Identity()
        optimizer = getattr(optim, kind)(net.parameters(), lr=0.01, **options)
        return net, optimizer, optim.lr_scheduler.StepLR(optimizer, 2)

    whole, parts, other = begun(0), begun(0), begun(1)
    steps(*whole, 7)
    steps(*parts, 3)
    path = tmp_path / f"checkpoint{suffix}"
    nn.save({"parts": [each.state_dict() for each in parts], "epoch": 3}, path)
    found = nn.load(path)
    assert found["epoch"] == 3
    for each, state in zip(other, found["parts"], strict=True):
        each.load_state_dict(state)
    steps(*other, 4)
    assert same(whole[0].state_dict(), other[0].state_dict())


def test_pytorchs_state_dicts_and_torch_reads_ours(tmp_path):
    torch = pytest.importorskip("torch")
    load_file = pytest.importorskip("safetensors.torch").load_file
    twin = torch.nn.Linear(3, 2)
    nn.save(twin.state_dict(), tmp_path / "state.safetensors")
    net = nn.Sequential(nn.Linear(3, 2))
    found = nn.load(tmp_path / "state.safetensors")
    net.load_state_dict({f"0.{name}": array for name, array in found.items()})
    read = load_file(tmp_path / "state.safetensors")
    assert {name: each.shape for name, each in read.items()} == {"weight": (2, 3), "bias": (2,)}
    np.testing.assert_array_equal(net.state_dict()["0.weight"], read["weight"].numpy())


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (
            object(),
            "obj must be dicts, lists and tuples of arrays, numbers, texts and None, got object",
        ),
        ({"a": [1, {2}]}, r"obj\['a'\]\[1\] must be dicts.*got set"),
        (nn.Sequential(nn.Linear(1, 1)), r"take the state_dict\(\) of a Sequential"),
        (
            {"a": np.array(["text"])},
            r"obj\['a'\] must be of real numbers of 8 bytes at most, got <U4",
        ),
        ({"a": np.array([1j])}, "got complex128"),
        ({"a": np.array([None])}, "got object"),
        ({(1, 2): 3}, r"keys of obj must be texts or numbers, got \(1, 2\)"),
        (CYCLE, "obj must be nested 50 times at most, or it holds itself"),
    ],
)
def test_what_is_not_saved(tmp_path, obj, message):
    with pytest.raises((TypeError, ValueError), match=message):
        nn.save(obj, tmp_path / "objects.npz")
    assert os.listdir(tmp_path) == []


WRONG = [
    {"version": 2},
    {"version": "1"},
    {"content": {"array": ["a", "float64", [4]]}},
    {"content": {"array": ["a", "float32", [3]]}},
    {"content": {"array": ["b", "float64", [3]]}},
    {"content": {"array": ["a", "float64", [-3]]}},
    {"content": {"array": ["a"]}},
    {"content": {"set": []}},
    {"content": {"list": 3}},
    {"content": {"dict": [3]}},
    {"content": [1]},
    {"content": 3},
    {"more": 3},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_description_that_is_wrong(tmp_path, wrong):
    path = tmp_path / "objects.npz"
    nn.save(np.arange(3.0), path)
    about = {
        "format": "fastkb objects", "version": 1, "content": {"array": ["a", "float64", [3]]}, **wrong,
    }  # fmt: skip
    with open(path, "wb") as file:
        CONTAINERS[".npz"].fill(json.dumps(about), {"a": np.arange(3.0)})(file)
    with pytest.raises(ValueError, match=r"path '.*objects\.npz' cannot be loaded: "):
        nn.load(path)
    net = nn.Sequential(nn.Linear(1, 1), rng=0)
    with pytest.raises(ValueError, match="the save of a network has not written it"):
        net.load(path)

"""A checkpoint holds what was saved, of this job, whole; and says so if it does not."""

import datetime
import errno
import functools
import os
import subprocess
import sys
import threading
import zipfile
from decimal import Decimal
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastkb.bootstrap import checkpoint
from fastkb.bootstrap.checkpoint import Checkpoint, check_checkpoint, describe_estimator, digest

JOB = {"y": np.arange(3.0), "n_resamples": 500, "alpha": 0.5, "loss": "squared_error", "seed": None}
ARRAYS = {
    "distribution": np.arange(12.0).reshape(4, 3),
    "done": np.array([True, False, True, False]),
    "counts": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    "single": np.float32([1.5]),
    "number": np.array(7),
    "labels": np.array(["a", "bc"]),
    "empty": np.empty((0, 3)),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "replicates.npz"


def saved(path, job=JOB, arrays=ARRAYS):
    Checkpoint(path, job).save(arrays)
    return path.read_bytes()


def leftovers(path):
    return [p.name for p in path.parent.iterdir() if p != path]


# --- round trip ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_round_trip(path, kind):
    one = Checkpoint(kind(path), JOB)
    assert one.load() is None
    assert not path.exists()
    one.save(ARRAYS)
    assert leftovers(path) == []
    for reader in (one, Checkpoint(kind(path), JOB)):
        for _ in range(2):
            arrays = reader.load()
            assert list(arrays) == list(ARRAYS)
            for name, array in ARRAYS.items():
                np.testing.assert_array_equal(arrays[name], array)
                assert arrays[name].dtype == array.dtype
                assert arrays[name].flags.writeable


def test_the_latest_arrays_are_loaded(path):
    saved(path)
    one = Checkpoint(path, JOB)
    one.save({"done": np.ones(2, bool)})
    assert list(one.load()) == ["done"]


def test_the_path_holds_when_the_folder_changes(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    one = Checkpoint(path.name, JOB)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    one.save(ARRAYS)
    assert path.exists()


def test_a_link_stays_a_link(path, tmp_path):
    link = tmp_path / "link.npz"
    link.symlink_to(path)
    saved(link)
    assert link.is_symlink()
    assert Checkpoint(path, JOB).load() is not None


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_the_mode_of_the_file_stays(path):
    saved(path)
    path.chmod(0o640)
    saved(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_nothing_is_pickled(path):
    saved(path)
    with np.load(path, allow_pickle=False) as content:
        assert not any(content[name].dtype.hasobject for name in content.files)
    with pytest.raises(TypeError, match="no Python objects: bad has object"):
        Checkpoint(path, JOB).save({"bad": np.array([None])})


# --- another job --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_resamples": 1000}, ["its n_resamples is 500, this one's is 1000"]),
        ({"alpha": 1.0}, ["its alpha is 0.5, this one's is 1.0"]),
        ({"loss": "zero_one"}, ["its loss is 'squared_error', this one's is 'zero_one'"]),
        ({"seed": 0}, ["its seed is None, this one's is 0"]),
        ({"y": np.arange(4.0)}, ["its y is another"]),
        ({"y": digest(np.arange(3.0))}, ["its y is another"]),
        ({"X": np.zeros(2)}, ["it has no X"]),
        ({"y": np.zeros(3), "alpha": np.nan}, ["its y is another", "its alpha is 0.5", "nan"]),
        ({"loss": "x" * 1000}, ["its loss is another"]),
    ],
)
def test_another_job(path, change, words):
    before = saved(path)
    with pytest.raises(ValueError, match="belongs to another job") as caught:
        Checkpoint(path, {**JOB, **change})
    assert str(path) in str(caught.value)
    assert all(word in str(caught.value) for word in words)
    assert path.read_bytes() == before


def test_a_job_that_says_less(path):
    saved(path)
    with pytest.raises(ValueError, match="it has alpha, this one has none; it has loss"):
        Checkpoint(path, {"y": JOB["y"], "n_resamples": 500, "seed": None})


def test_the_same_job_in_other_types(path):
    saved(path, {"a": np.int64(2), "b": np.float64(0.1), "c": np.nan, "d": True, "e": "\0é\ud800"})
    Checkpoint(path, {"e": "\0é\ud800", "a": 2.0, "b": 0.1, "c": float("nan"), "d": np.True_})


def test_what_cannot_describe_a_job(path):
    with pytest.raises(TypeError, match="rule is <object"):
        Checkpoint(path, {"rule": object()})


# --- damaged, foreign, unwritable ---------------------------------------------------------------


def opened(path):
    """The arrays, or the text of the ValueError."""
    try:
        return Checkpoint(path, JOB).load()
    except ValueError as error:
        return str(error)


def test_every_damage_is_noticed(path):
    whole = saved(path)
    refused = 0
    for where in range(0, len(whole), 11):
        damaged = bytearray(whole)
        damaged[where] ^= 0xFF
        path.write_bytes(damaged)
        result = opened(path)
        if isinstance(result, str):
            assert f"{str(path)!r} is damaged" in result
            refused += 1
        else:  # a byte of the archive that means nothing here, as a date
            for name, array in ARRAYS.items():
                np.testing.assert_array_equal(result[name], array)
        assert path.read_bytes() == damaged
    assert refused > 100


@pytest.mark.parametrize("length", [0, 1, 100, -1, -30])
def test_a_truncated_file(path, length):
    rest = saved(path)[:length]
    path.write_bytes(rest)
    with pytest.raises(ValueError, match="is damaged, or was not written by fastkb") as caught:
        Checkpoint(path, JOB)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == rest


def write_npy(path):
    with open(path, "wb") as file:
        np.save(file, np.arange(3))


def write_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "hello")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("x,y\n1,2\n"),
        write_npy,
        write_zip,
        lambda path: np.savez(path, X=np.arange(3)),
        lambda path: np.savez(path, format=np.array("my own")),
        lambda path: np.savez(path, format=np.array([None])),
        lambda path: np.savez(path, format=np.array("fastkb checkpoint 1")),
    ],
    ids=["csv", "npy", "zip", "npz", "npz with format", "npz with objects", "npz without a job"],
)
def test_a_foreign_file_is_never_touched(path, write):
    write(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not written by fastkb") as caught:
        Checkpoint(path, JOB)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


def test_a_file_of_another_version(path):
    np.savez(path, format=np.array("fastkb checkpoint 2"))
    with pytest.raises(ValueError, match="another version of fastkb"):
        Checkpoint(path, JOB)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (".", IsADirectoryError, "it is a folder"),
        ("missing/file.npz", FileNotFoundError, "there is no folder"),
        ("file/inside.npz", FileNotFoundError, "there is no folder"),
        ("x" * 300, OSError, "File name too long"),
    ],
)
def test_places_where_no_file_can_be(tmp_path, name, error, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match=message) as caught:
        Checkpoint(tmp_path / name, JOB)
    assert f"checkpoint {str(tmp_path / name)!r} cannot be written" in str(caught.value)


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="devices of POSIX")
def test_a_device_is_no_checkpoint():
    with pytest.raises(OSError, match="no regular file"):
        Checkpoint("/dev/null", JOB)


@pytest.mark.parametrize(
    ("path", "error"), [("", ValueError), ("a\0b", ValueError), (3.5, TypeError), (None, TypeError)]
)
def test_what_is_no_path(path, error):
    with pytest.raises(error, match="checkpoint must be the path of a file"):
        check_checkpoint(path)


def refuse(number):
    def function(*args, **options):
        raise OSError(number, os.strerror(number))

    return function


def test_a_folder_without_permission(path, monkeypatch):
    # By hand: chmod keeps nothing from root.
    monkeypatch.setattr("builtins.open", refuse(errno.EACCES))
    with pytest.raises(PermissionError, match="cannot be written: Permission denied"):
        Checkpoint(path, JOB)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder(path):
    path.parent.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="cannot be written"):
            Checkpoint(path, JOB)
    finally:
        path.parent.chmod(0o700)


def test_a_read_only_file(path, monkeypatch):
    before = saved(path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="permission denied"):
        Checkpoint(path, JOB)
    assert path.read_bytes() == before


# --- interrupted --------------------------------------------------------------------------------


def interrupt(file, **arrays):
    file.write(b"half of it")
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "replacement", "error"),
    [
        ("os.replace", refuse(errno.EACCES), PermissionError),
        ("os.fsync", refuse(errno.ENOSPC), OSError),
        ("numpy.savez", interrupt, KeyboardInterrupt),
    ],
)
def test_an_interrupted_save_leaves_the_old_file(path, monkeypatch, name, replacement, error):
    before = saved(path)
    one = Checkpoint(path, JOB)
    with monkeypatch.context() as patch:
        patch.setattr(name, replacement)
        with pytest.raises(error) as caught:
            one.save({"done": np.zeros(2)})
    if error is not KeyboardInterrupt:
        assert f"checkpoint {os.fspath(path)!r} cannot be written" in str(caught.value)
    assert path.read_bytes() == before
    assert leftovers(path) == []
    # And the next one succeeds.
    one.save({"done": np.zeros(2)})
    assert list(one.load()) == ["done"]


# --- when it is due -----------------------------------------------------------------------------


class Clock:
    """Time that goes on when told to, and by `write` seconds in each call of os.fsync."""

    def __init__(self):
        self.now, self.write = 100.0, 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    fsync = os.fsync

    def slow(descriptor):
        clock.now += clock.write
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    return clock


def test_it_is_written_at_most_once_in_an_interval(path, clock):
    made = []

    def make():
        made.append(clock.now)
        return ARRAYS

    one = Checkpoint(path, JOB, clock=clock)
    for _ in range(60):
        clock.now += 1.0
        one.save_if_due(make)
    assert made == [110.0, 120.0, 130.0, 140.0, 150.0, 160.0]


def test_little_time_is_spent_writing(path, clock):
    one = Checkpoint(path, JOB, interval=10, clock=clock)
    clock.write, written = 2.0, 0
    while clock.now < 1100.0:
        clock.now += 0.5
        written += one.save_if_due(lambda: ARRAYS)
    # One write at 110, then pauses of 20·2 s: 42 s each.
    assert written == 24
    assert written * clock.write < 0.05 * 1000.0


def test_making_the_arrays_counts_too(path, clock):
    one = Checkpoint(path, JOB, interval=0, clock=clock)

    def make():
        clock.now += 1.0
        return ARRAYS

    assert one.save_if_due(make)
    clock.now += 19.0
    assert not one.save_if_due(make)
    clock.now += 1.0
    assert one.save_if_due(make)


def test_a_save_puts_off_the_next(path, clock):
    one = Checkpoint(path, JOB, clock=clock)
    clock.now += 9.0
    one.save(ARRAYS)
    clock.now += 9.0
    assert not one.save_if_due(lambda: ARRAYS)


@pytest.mark.parametrize("interval", [-1, np.inf, np.nan, "1"])
def test_bad_intervals(path, interval):
    with pytest.raises(ValueError, match="interval must be a number of seconds"):
        Checkpoint(path, JOB, interval=interval)


# --- digests ------------------------------------------------------------------------------------

arrays = hnp.arrays(
    st.sampled_from(["f8", "f4", "i8", "u1", "?", "c16", "U3", "M8[ns]"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
)


@given(arrays, st.randoms(use_true_random=False))
def test_digests_do_not_see_the_order_of_memory(array, random):
    axes = list(range(array.ndim))
    random.shuffle(axes)
    strided = np.transpose(np.transpose(array, axes).copy(), np.argsort(axes).astype(int))
    assert digest(strided) == digest(array) == digest(array.astype(array.dtype.newbyteorder(">")))


@given(st.data(), arrays.filter(lambda a: a.size > 0 and a.dtype.kind != "c"))
def test_digests_see_one_changed_value(data, array):
    other = array.copy()
    where = data.draw(st.integers(0, array.size - 1))
    other.reshape(-1).view(f"V{array.itemsize}")[where : where + 1] = b"\1\0\0\0".ljust(
        array.itemsize, b"\0"
    )[: array.itemsize]
    same = other.tobytes() == array.tobytes()
    assert (digest(other) == digest(array)) == same


def test_digests_see_types_and_shapes():
    x = np.zeros(6)
    different = [
        x, x.astype("f4"), x.astype("i8"), x.reshape(2, 3), x.reshape(3, 2), x[:5], x[:0],
        x[:0].reshape(0, 2), np.array(0.0), x.astype(object), sparse.csr_array(x[None]), "0", 0, None,
    ]  # fmt: skip
    assert len({digest(value) for value in different}) == len(different)


def test_digests_of_large_arrays_in_blocks(monkeypatch):
    x = np.random.default_rng(0).normal(size=(50, 7))
    whole = digest(x)
    monkeypatch.setattr(checkpoint, "_BLOCK", 100)
    assert digest(x) == digest(np.asfortranarray(x)) == whole


def test_digests_of_sparse_matrices():
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(6, 5)) * (rng.random((6, 5)) < 0.4)
    csr = sparse.csr_matrix(dense)
    shuffled = csr.copy()
    for row in range(6):
        part = slice(*shuffled.indptr[row : row + 2])
        shuffled.indices[part] = shuffled.indices[part][::-1].copy()
        shuffled.data[part] = shuffled.data[part][::-1].copy()
    shuffled.has_sorted_indices = False
    before = shuffled.indices.copy()
    same = [csr, csr.tocsc(), csr.tocoo(), sparse.csr_array(dense), shuffled]
    assert len({digest(matrix) for matrix in same}) == 1
    np.testing.assert_array_equal(shuffled.indices, before)
    assert digest(csr) != digest(csr * 2)
    assert digest(csr) != digest(sparse.csr_matrix(dense.shape))


def test_digests_of_pandas():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    assert digest(frame) == digest(frame.to_numpy())
    assert digest(frame["a"]) == digest(np.array([1.0, 2.0]))
    mixed = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    assert digest(mixed) == digest(mixed.copy()) != digest(mixed.replace("y", "z"))
    days = pd.DataFrame({"a": ["x"], "b": [pd.Timestamp(2020, 1, 1)]})
    assert digest(days) == digest(days.copy())


# --- estimators ---------------------------------------------------------------------------------


def plain(x, y):
    return float(x @ y)


def kernel_of(scale):
    def kernel(x, y):
        return scale * float(x @ y)

    return kernel


class Slots:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def method(self):
        return self.value


def recursive():
    def function(n):
        return function(n - 1) if n else 0

    return function


def values():
    """Pairs of makers of values that must have different descriptions; equal calls, equal ones."""
    base = functools.partial(KernelRidge, alpha=1.0, kernel="rbf")
    return {
        "parameter": (lambda: base(gamma=0.1), lambda: base(gamma=0.2)),
        "class": (lambda: Ridge(), lambda: Ridge),
        "array": (lambda: base(alpha=np.arange(2000.0)), lambda: base(alpha=np.r_[:1000, :1000])),
        "dict": (
            lambda: base(kernel_params={"a": 1, "b": 2}),
            lambda: base(kernel_params={"a": 2, "b": 1}),
        ),
        "nested": (
            lambda: make_pipeline(StandardScaler(), Ridge(alpha=1)),
            lambda: make_pipeline(StandardScaler(), Ridge(alpha=2)),
        ),
        "kernel object": (
            lambda: base(kernel=RBF(0.5) + WhiteKernel()),
            lambda: base(kernel=RBF(0.6) + WhiteKernel()),
        ),
        "function": (lambda: base(kernel=plain), lambda: base(kernel=np.dot)),
        "closure": (lambda: kernel_of(1.0), lambda: kernel_of(2.0)),
        "lambda": (lambda: eval("lambda x: x + 1"), lambda: eval("lambda x: x + 2")),
        "default": (lambda: eval("lambda x=1: x"), lambda: eval("lambda x=2: x")),
        "partial": (lambda: functools.partial(plain, y=1), lambda: functools.partial(plain, y=2)),
        "compiled": (lambda: numba.njit(plain), lambda: numba.njit(kernel_of(1.0))),
        "ufunc": (lambda: np.add, lambda: np.subtract),
        "builtin": (lambda: max, lambda: min),
        "method": (lambda: Slots(1).method, lambda: Slots(2).method),
        "bound builtin": (lambda: [1, 2].index, lambda: [1, 3].index),
        "object": (lambda: Slots(np.zeros(2000)), lambda: Slots(np.eye(1, 2000)[0])),
        "set": (lambda: {"a", "b", "c"}, lambda: {"a", "b", "d"}),
        "generator": (lambda: np.random.default_rng(0), lambda: np.random.default_rng(1)),
        "random state": (lambda: np.random.RandomState(0), lambda: np.random.RandomState(1)),
        "scalar": (lambda: np.datetime64("2020-01-01", "ns"), lambda: np.datetime64("2021", "ns")),
        "date": (lambda: datetime.date(2020, 1, 1), lambda: datetime.date(2020, 1, 2)),
        "decimal": (lambda: Decimal("1.0"), lambda: Decimal("1.00")),
        "text": (lambda: "1", lambda: 1),
        "tuple": (lambda: (1, 2), lambda: [1, 2]),
        "bound": (lambda: (1, (2,)), lambda: ((1, 2),)),
    }


@pytest.mark.parametrize("name", values())
def test_descriptions_are_equal_if_and_only_if_the_values_are(name):
    first, second = values()[name]
    text = describe_estimator(first())
    assert text == describe_estimator(first()) != describe_estimator(second())
    assert " at 0x" not in text


def test_a_description_names_the_parameters():
    assert describe_estimator(KernelRidge(alpha=np.float64(2), kernel=plain)).startswith(
        "sklearn.kernel_ridge.KernelRidge(alpha=2.0, coef0=1, degree=3, gamma=None, "
        f"kernel={__name__}.plain "
    )


def test_the_order_of_a_dict_does_not_matter():
    assert describe_estimator({"a": 1, "b": 2}) == describe_estimator({"b": 2, "a": 1})


def test_what_contains_itself():
    loop = [1]
    loop.append(loop)
    assert describe_estimator(loop) == "list(1, itself)"
    assert describe_estimator(recursive()) == describe_estimator(recursive())


@pytest.mark.parametrize(
    "value", [threading.Lock(), (i for i in range(3)), Ridge(alpha=threading.Lock())]
)
def test_what_cannot_be_described(value):
    with pytest.raises(TypeError, match="a checkpoint cannot tell one"):
        describe_estimator(value)


CODE = """
import numpy as np
from sklearn.kernel_ridge import KernelRidge
from fastkb.bootstrap.checkpoint import describe_estimator, digest
exec("def kernel(x, y, names={'b', 'a', 'c'}):\\n    return x in {'p', 'q', 'r'}")
print(describe_estimator(KernelRidge(kernel=kernel, kernel_params={'z': {'k', 'l', 'm'}})))
print(digest(np.array(['x', None, 2.5], dtype=object)))
"""


def test_descriptions_are_the_same_in_every_process():
    outputs = [
        subprocess.run(
            [sys.executable, "-c", CODE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0].splitlines()) == 2

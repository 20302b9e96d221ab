"""A checkpoint holds what was saved, of this job, whole; and says so if it does not."""

import errno
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fastkb.storage.checkpoint import Checkpoint
from fastkb.storage.identity import digest

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


def test_arrays_that_need_more_than_the_memory_are_not_read(path, monkeypatch):
    """And of another job they are not read at all."""
    saved(path, arrays={**ARRAYS, "large": np.zeros(2**23)})
    monkeypatch.setattr("fastkb.runtime.memory.available_bytes", lambda: 10**7)
    with pytest.raises(
        MemoryError, match=r"replicates.npz' needs 0\.1 GB, and 0\.0 GB of memory are"
    ):
        Checkpoint(path, JOB)
    with pytest.raises(ValueError, match="belongs to another job"):
        Checkpoint(path, {**JOB, "alpha": 1.0})


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
    with pytest.raises(ValueError, match="interval must be a finite real number of at least 0"):
        Checkpoint(path, JOB, interval=interval)

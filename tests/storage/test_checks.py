"""Names of files, and their contents, that are refused, and why; nothing is left in the folder."""

import os
from pathlib import Path

import numpy as np
import pytest

from fastkb.storage.checks import (
    check_arrays,
    check_entries,
    check_numbers,
    check_path,
    check_seed,
    check_suffix,
    check_target,
)


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_places_where_a_file_can_be(tmp_path, kind):
    (tmp_path / "old").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "old")
    for name, target in (("old", "old"), ("new", "new"), ("link", "old")):
        found = check_target("path", kind(tmp_path / name))
        assert found == os.path.realpath(tmp_path / target)
    assert sorted(os.listdir(tmp_path)) == ["link", "old"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (".", IsADirectoryError, "it is a folder"),
        ("missing/file", FileNotFoundError, "there is no folder"),
        ("file/inside", FileNotFoundError, "there is no folder"),
        ("x" * 300, OSError, "File name too long"),
    ],
)
def test_places_where_no_file_can_be(tmp_path, name, error, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match=message) as caught:
        check_target("path", tmp_path / name)
    assert f"path {str(tmp_path / name)!r} cannot be written" in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="devices of POSIX")
def test_a_device_is_no_place():
    with pytest.raises(OSError, match="no regular file"):
        check_target("path", "/dev/null")


@pytest.mark.parametrize(
    ("path", "error"), [("", ValueError), ("a\0b", ValueError), (3.5, TypeError), (None, TypeError)]
)
@pytest.mark.parametrize("check", [check_path, check_target])
def test_what_is_no_path(check, path, error):
    with pytest.raises(error, match="checkpoint must be the path of a file, got "):
        check("checkpoint", path)


def test_suffixes():
    for path in ("a.npz", "b/c.NPZ", "a.b.npz"):
        assert check_suffix("path", path, (".npz", ".zip")) == ".npz"
    for path in ("a", "npz", ".npz", "a.np", "a.npz/b", "a.npz.gz"):
        with pytest.raises(ValueError, match=r"path must end in \.npz or \.zip.* got '") as caught:
            check_suffix("path", path, (".npz", ".zip"))
        assert repr(path) in str(caught.value)


# --- what stands in files -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "it must have the entries a, b, got None"),
        ({}, "it must have the entries a, b, got $"),
        ({"a": 1}, "it must have the entries a, b, got a$"),
        ({"a": 1, "b": None, "c": 1}, "it must have the entries a, b, got a, b, c"),
        ({"a": True, "b": None}, "'a' of it must be of type int, got True"),
        ({"a": 1.0, "b": None}, r"'a' of it must be of type int, got 1\.0"),
        ({"a": 1, "b": 1}, "'b' of it must be of type str or null, got 1"),
    ],
)
def test_entries_that_are_refused(given, message):
    expected = {"a": (int,), "b": (str, type(None))}
    check_entries("it", {"b": None, "a": 1}, expected)
    check_entries("it", {"a": 1, "b": "two"}, expected)
    with pytest.raises(ValueError, match=message):
        check_entries("it", given, expected)


def test_numbers_become_floats():
    found = check_numbers("losses", [1, 0.1, np.float32(0.5), np.int8(3), np.inf])
    assert found == [1.0, 0.1, 0.5, 3.0, np.inf]
    assert {type(each) for each in found} == {float}
    for wrong in ("text", None, (1.0,), np.zeros(2), ["1"], [[1.0]], [1j]):
        with pytest.raises(ValueError, match="losses must be a list of numbers, got "):
            check_numbers("losses", wrong)


def test_seeds():
    assert check_seed("seed", None) is None
    found = check_seed("seed", [0, 1, 2**31, 2**32 - 1])
    assert (found.dtype, found.tolist()) == (np.uint32, [0, 1, 2**31, 2**32 - 1])
    for wrong in ([], [1, 2, 3], [1, 2, 3, 2**32], [1, 2, 3, -1], [1, 2, 3, 4.0], [1, 2, 3, True]):
        with pytest.raises(ValueError, match="seed must be four whole numbers"):
            check_seed("seed", wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": None}, "arrays are missing: 'a'"),
        ({"c": np.zeros(2)}, "there are unknown arrays: 'c'"),
        ({"a": np.zeros((3, 2))}, r"array 'a' must have shape \(2, 3\), got \(3, 2\)"),
        ({"b": np.zeros(())}, r"array 'b' must have shape \(4,\), got \(\)"),
        ({"b": np.zeros(4, np.float32)}, "array 'b' must be of float64, got float32"),
        ({"b": np.zeros(4, object)}, "array 'b' must be of float64, got object"),
    ],
)
def test_arrays_that_are_refused(change, message):
    expected = {"a": (2, 3), "b": (4,)}
    arrays = {"a": np.zeros((2, 3)), "b": np.zeros(4, ">f8")}
    check_arrays(arrays, expected, np.dtype(float))
    arrays = {name: each for name, each in {**arrays, **change}.items() if each is not None}
    with pytest.raises(ValueError, match=message):
        check_arrays(arrays, expected, np.dtype(float))

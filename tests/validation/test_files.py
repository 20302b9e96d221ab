"""Names of files that are refused, and why; nothing is left in the folder."""

import os
from pathlib import Path

import pytest

from fastkb.validation.files import check_path, check_suffix, check_target


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

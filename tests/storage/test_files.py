"""A file is replaced as a whole or stays as it was; errors name what was asked for."""

import errno
import os

import pytest

from fastkb.storage.files import beside, file_error, replace_file


def refuse(number):
    def function(*args, **options):
        raise OSError(number, os.strerror(number))

    return function


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_and_its_successor(tmp_path):
    path = tmp_path / "letter"
    for text in (b"first", b"second, which is longer", b"3rd"):
        replace_file(str(path), lambda file, text=text: file.write(text))
        assert path.read_bytes() == text
        assert names(tmp_path) == ["letter"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "letter"
    path.write_bytes(b"old")

    def fill(file):
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert len(names(tmp_path)) == 2

    replace_file(str(path), fill)
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_a_file_keeps_its_mode(tmp_path):
    path = tmp_path / "letter"
    path.write_bytes(b"old")
    path.chmod(0o604)
    replace_file(str(path), lambda file: file.write(b"new"))
    assert path.stat().st_mode & 0o777 == 0o604


def interrupt(file):
    file.write(b"half of it")
    raise KeyboardInterrupt


@pytest.mark.parametrize("there_is_one", [False, True])
@pytest.mark.parametrize(
    ("function", "fill", "error"),
    [
        ("os.replace", lambda file: file.write(b"new"), PermissionError),
        ("os.fsync", lambda file: file.write(b"new"), PermissionError),
        (None, interrupt, KeyboardInterrupt),
    ],
)
def test_a_failure_leaves_all_as_it_was(tmp_path, monkeypatch, function, fill, error, there_is_one):
    path = tmp_path / "letter"
    if there_is_one:
        path.write_bytes(b"old")
    if function:
        monkeypatch.setattr(function, refuse(errno.EACCES))
    with pytest.raises(error):
        replace_file(str(path), fill)
    assert names(tmp_path) == (["letter"] if there_is_one else [])
    assert not there_is_one or path.read_bytes() == b"old"


def test_names_beside_are_in_the_folder_and_differ(tmp_path):
    path = str(tmp_path / "letter")
    found = {beside(path) for _ in range(20)}
    assert len(found) == 20
    assert {os.path.dirname(each) for each in found} == {str(tmp_path)}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOENT, "none"), FileNotFoundError),
        (OSError(errno.EACCES, "none"), PermissionError),
        (OSError("none"), OSError),
    ],
)
def test_errors_keep_their_kind(error, kind):
    found = file_error(error, "path", "a/b", "read")
    assert type(found) is kind
    assert str(found).endswith("path 'a/b' cannot be read: none")

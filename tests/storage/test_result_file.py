import os

import numpy as np
import pytest

from fastkb.storage.result_file import read_result, write_result

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(["x", "yz"]), "c/d": np.array(3)}


def test_what_is_written_is_read(tmp_path):
    path = str(tmp_path / "some.npz")
    write_result(path, "band", {"level": 0.9, "names": None}, {**ARRAYS, "none": None})
    about, arrays = read_result(path, "band")
    assert about == {"level": 0.9, "names": None}
    assert arrays.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], value)
        assert arrays[name].dtype == value.dtype
    assert os.listdir(tmp_path) == ["some.npz"]


def test_objects_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="classes holds Python objects"):
        write_result(str(tmp_path / "some.npz"), "band", {}, {"classes": np.array([None])})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("damage", ["flip", "cut", "other", "text", "empty"])
def test_damage_is_told(tmp_path, damage):
    path = tmp_path / "some.npz"
    write_result(str(path), "band", {}, ARRAYS)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 3] ^= 4
    elif damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "other":
        np.savez(path, a=np.ones(3))
        content = bytearray(path.read_bytes())
    else:
        content = bytearray(b"" if damage == "empty" else b"x,y\n1,2\n")
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"some\.npz' is not a band that fastkb saved"):
        read_result(path, "band")


def test_other_kinds_and_versions(tmp_path):
    path = tmp_path / "some.npz"
    write_result(str(path), "bootstrap", {}, ARRAYS)
    with pytest.raises(ValueError, match="it holds a 'fastkb bootstrap'"):
        read_result(path, "band")
    write_result(str(path), "band", {"version": 2}, ARRAYS)
    with pytest.raises(ValueError, match="another version of fastkb has written it"):
        read_result(path, "band")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path .*none\.npz' cannot be read"):
        read_result(tmp_path / "none.npz", "band")
    with pytest.raises(OSError, match="cannot be written"):
        write_result(str(tmp_path / "no" / "a.npz"), "band", {}, ARRAYS)

"""Arrays and a text in a file; what is damaged is in test_files.py."""

import numpy as np
import pytest

from fastkb.nn.containers import CONTAINERS, read, write


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_what_is_written_is_read(tmp_path, suffix):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"content{suffix}"
    arrays = {
        "a/b": np.arange(6.0).reshape(2, 3).T,
        "c": np.array(3, np.int8),
        "d": np.ones(0, bool),
    }
    write(path, lambda: "a text", arrays)

    def made(content):
        assert {name: each.shape for name, each in content.headers.items()} == {
            name: each.shape for name, each in arrays.items()
        }
        assert content.text.strip() == "a text"
        return content.arrays()

    found = read(path, made)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_a_text_that_cannot_be_made_leaves_no_file(tmp_path):
    def fails():
        raise TypeError("no text")

    with pytest.raises(TypeError, match="no text"):
        write(tmp_path / "content.npz", fails, {})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"must end in \.npz or \.safetensors"):
        write(tmp_path / "content.pt", lambda: "", {})


def test_whatever_fails_names_the_file(tmp_path):
    write(tmp_path / "content.npz", lambda: "", {})

    def fails(content):
        raise KeyError("missing")

    with pytest.raises(ValueError, match=r"path '.*content\.npz' cannot be loaded: 'missing'"):
        read(tmp_path / "content.npz", fails)

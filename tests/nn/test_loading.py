"""A network from a file is another one of the same kind."""

import numpy as np
import pytest

from fastkb import nn


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

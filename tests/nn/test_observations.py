"""Checked data of networks; what is refused is in test_checks.py, of images in ops/images."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.observations import check_batches, check_inputs, check_observations

X = np.arange(36.0).reshape(12, 3)
LABELS = np.arange(12) % 2
Y = np.linspace(-1.0, 1.0, 12)


def test_observations_are_contiguous_and_of_one_type():
    found = check_observations(
        np.asfortranarray(X),
        Y.astype(np.float32),
        LABELS + 1,
        [nn.Linear(3, 1)],
        "squared_error",
        None,
    )
    assert [array.dtype.name for array in found] == ["float64", "float64", "int64", "float64"]
    assert all(array.flags.c_contiguous for array in found)
    assert [array.shape for array in found] == [(12, 3), (12, 1), (0,), (12,)]
    found = check_observations(
        X.astype(np.float32), LABELS, None, [nn.Linear(3, 2)], "cross_entropy", None
    )
    assert [array.dtype.name for array in found] == ["float32", "float32", "int64", "float32"]
    assert [array.shape for array in found] == [(12, 3), (0, 2), (12,), (0,)]


def test_images_are_taken_as_they_are():
    images = np.random.default_rng(0).standard_normal((5, 2, 4, 3)).astype(np.float32)
    found = check_inputs(images, [nn.Conv2d(2, 3, 2)])
    assert found is images
    assert (
        check_inputs(images.astype(">f4"), [nn.Conv2d(2, 3, 2)], np.dtype("f8")).dtype == np.float64
    )
    assert check_inputs(images, [nn.Flatten(), nn.Linear(24, 1)]) is images
    data = check_observations(images, LABELS[:5], None, [nn.Flatten(), nn.Linear(24, 2)],
                              "cross_entropy", None)  # fmt: skip
    assert data.inputs.shape == (5, 2, 4, 3)


@pytest.mark.parametrize(("n", "batch"), [(5, 2), (1, 8), (7, 3), (3, 1)])
def test_batches_of_one_are_found(n, batch):
    layers = [nn.Linear(3, 2), nn.Residual(nn.Tanh(), nn.BatchNorm1d(2))]
    with pytest.raises(
        ValueError, match=r"layer 1, Residual.*, layer 1, BatchNorm1d.*one value per"
    ):
        check_batches(layers, np.zeros((n, 3)), batch)


@pytest.mark.parametrize(("n", "batch"), [(4, 2), (5, 8), (8, 3)])
def test_larger_batches_pass(n, batch):
    check_batches([nn.Linear(3, 2), nn.BatchNorm1d(2)], np.zeros((n, 3)), batch)
    check_batches([nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)], np.zeros((1, 3, 1, 2)), 1)

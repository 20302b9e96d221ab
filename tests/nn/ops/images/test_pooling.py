"""The classes of pooling: shapes and errors. Their rules: test_pooling_rules.py."""

import numpy as np
import pytest

from fastkb import nn


@pytest.mark.parametrize(
    ("layer", "shape", "given"),
    [
        (nn.MaxPool2d(2), (6, 13, 12), (6, 6, 6)),
        (nn.MaxPool2d(2, ceil_mode=True), (6, 13, 12), (6, 7, 6)),
        (nn.MaxPool2d((3, 2), 1, 1, (2, 1)), (1, 5, 5), (1, 3, 6)),
        (nn.AvgPool2d(2, (1, 3)), (2, 5, 7), (2, 4, 2)),
        (nn.AvgPool2d(3, 2, 1), None, (None, None, None)),
        (nn.MaxPool1d(2), (6, 13), (6, 6)),
        (nn.MaxPool1d(2, ceil_mode=True), (6, 13), (6, 7)),
        (nn.MaxPool1d(3, 1, 1, 2), (1, 5), (1, 3)),
        (nn.AvgPool1d(3, 2, 1), None, (None, None)),
        (nn.AdaptiveAvgPool2d((1, 4)), (3, 2, 2), (3, 1, 4)),
        (nn.AdaptiveAvgPool2d(1), (3, None, None), (3, 1, 1)),
    ],
)
def test_shapes(layer, shape, given):
    assert layer.shape_of(shape) == given


def test_shapes_are_torchs():
    torch = pytest.importorskip("torch")
    for size in range(1, 12):
        for kernel in (1, 2, 3):
            for stride in (1, 2, 3):
                for padding in range(kernel // 2 + 1):
                    for ceil in (False, True):
                        arguments = kernel, stride, padding, 1, ceil
                        x = torch.zeros(1, 1, size, size)
                        try:
                            expected = torch.nn.MaxPool2d(*arguments[:4], ceil_mode=ceil)(x)
                        except RuntimeError:
                            with pytest.raises(ValueError, match="larger than the images"):
                                nn.MaxPool2d(*arguments).shape_of((1, size, size))
                            continue
                        found = nn.MaxPool2d(*arguments).shape_of((1, size, size))
                        assert found == tuple(expected.shape[1:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.MaxPool2d(0), "kernel_size must be a whole number of at least 1"),
        (lambda: nn.MaxPool2d(3, 0), "stride must be a whole number of at least 1"),
        (lambda: nn.MaxPool2d(3, 1, 2), r"padding must be at most half of kernel_size=\(3, 3\)"),
        (lambda: nn.MaxPool2d(3, dilation=0), "dilation must be a whole number of at least 1"),
        (lambda: nn.AvgPool2d(3, ceil_mode=2), "ceil_mode must be"),
        (lambda: nn.AvgPool2d(3, count_include_pad="x"), "count_include_pad must be"),
        (lambda: nn.AdaptiveAvgPool2d((0, 1)), "output_size must be a whole number of at least 1"),
        (
            lambda: nn.MaxPool2d(4).shape_of((1, 3, 9)),
            "has windows that are larger than the images",
        ),
        (lambda: nn.MaxPool1d(4).shape_of((1, 3)), "larger than the sequences, which are 3$"),
        (lambda: nn.AvgPool1d((2, 2)), "kernel_size must be a whole number or one of them"),
        (lambda: nn.AvgPool1d(3, 1, 2), r"padding must be at most half of kernel_size=\(3,\)"),
        (lambda: nn.AvgPool1d(4).shape_of((1, 3, 2)), "takes sequences of shape"),
        (lambda: nn.MaxPool2d(4).shape_of((3,)), "takes images of shape .* and gets shape"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_a_network_begins_with_pooling():
    network = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 1), rng=0)
    X = np.arange(32.0).reshape(2, 1, 4, 4)
    means = X.reshape(2, 2, 2, 2, 2).mean(axis=(2, 4)).reshape(2, 4)
    state = network.state_dict()
    expected = means @ state["2.weight"].T + state["2.bias"]
    np.testing.assert_allclose(network.forward(X), expected, rtol=1e-12)

"""Sizes that are numbers or pairs, and how many windows an image has."""

import numpy as np
import pytest

from fastkb.nn.ops.images.sizes import as_image, as_pair, check_sides, image_shape, windows


@pytest.mark.parametrize(
    ("value", "found"),
    [(3, (3, 3)), ((1, 2), (1, 2)), ([np.int8(4), 5], (4, 5)), (np.int64(2), (2, 2))],
)
def test_pairs(value, found):
    assert check_sides("size", value, 1) == found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "size must be a whole number of at least 1, got 0"),
        ((1, 0), "size must be a whole number of at least 1, got 0"),
        ((1,), r"size must be a whole number or two of them, got \(1,\)"),
        ((), r"size must be a whole number or two of them, got \(\)"),
        ("33", "size must be a whole number"),
        (2.5, "size must be a whole number"),
        ((2, None), "size must be a whole number"),
    ],
)
def test_no_pairs(value, message):
    with pytest.raises((TypeError, ValueError), match=message):
        check_sides("size", value, 1)


@pytest.mark.parametrize("value", [3, (3,), [np.int8(3)]])
def test_sides_of_sequences(value):
    assert check_sides("size", value, 1, 1) == (3,)
    with pytest.raises(ValueError, match=r"size must be a whole number or one .*, got \(3, 3\)"):
        check_sides("size", (3, 3), 1, 1)


def test_shapes_of_sequences():
    assert image_shape(None, 3, 1) == (3, None)
    assert image_shape((None, 4), 3, 1) == (3, 4)
    with pytest.raises(ValueError, match="takes sequences of 3 channels, and gets 2"):
        image_shape((2, 4), 3, 1)
    with pytest.raises(
        ValueError, match=r"sequences of shape \(channels, length\), and gets shape \(9"
    ):
        image_shape((9, 1, 2), axes=1)


def test_sequences_are_images_of_one_row():
    assert as_image((3, 7)) == (3, 1, 7)
    assert as_image((3, 5, 7)) == (3, 5, 7)
    assert as_pair((4,), 0) == (0, 4)
    assert as_pair((2, 4), 0) == (2, 4)


def test_shapes_of_images():
    assert image_shape(None, 3) == (3, None, None)
    assert image_shape((None, 4, 5), 3) == (3, 4, 5)
    assert image_shape((2, 4, 5)) == (2, 4, 5)
    with pytest.raises(ValueError, match="takes images of 3 channels, and gets 2"):
        image_shape((2, 4, 5), 3)
    with pytest.raises(ValueError, match=r"takes images of shape .*, and gets shape \(9,\)"):
        image_shape((9,))


def test_windows_are_counted_one_by_one():
    for place in np.ndindex(9, 4, 3, 3, 3):
        size, k, s, d = (number + 1 for number in place[:4])
        padding = min(place[4], k // 2)
        reach = d * (k - 1) + 1
        starts = range(-padding, size + padding, s)
        fit = sum(start + reach <= size + padding for start in starts)
        assert max(0, windows(size, k, s, padding, d)) == fit
        if fit:
            # One more where a last window reaches over the end, and begins in the image.
            over = [x for x in starts if x + reach > size + padding]
            more = bool(over) and over[0] < size and over[0] - s + reach < size + padding
            assert windows(size, k, s, padding, d, ceil=True) == fit + more

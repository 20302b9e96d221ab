"""Numbers, whole numbers, flags."""

from fractions import Fraction

import numpy as np
import pytest

from fastkb.checks import scalars as validation


@pytest.mark.parametrize(
    ("value", "bounds", "ends"),
    [
        (0, (0, 1), {}),
        (1, (0, 1), {}),
        (0.5, (0, 1), {"open_below": True, "open_above": True}),
        (1e300, (0,), {}),
        (np.float32(0.5), (0, 1), {}),
        (Fraction(1, 2), (0, 1), {}),
    ],
)
def test_numbers(value, bounds, ends):
    number = validation.check_number("x", value, *bounds, **ends)
    assert number == value
    assert type(number) is float


@pytest.mark.parametrize(
    ("value", "bounds", "ends", "expected"),
    [
        (-1, (0,), {}, "finite real number of at least 0"),
        (np.inf, (0,), {}, "finite real number of at least 0"),
        (np.nan, (0,), {}, "finite real number of at least 0"),
        (0, (0,), {"open_below": True}, "finite real number above 0"),
        (2, (0, 1), {}, "number from 0 to 1"),
        (1, (0, 1), {"open_above": True}, "number from 0 to below 1"),
        (0, (0, 1), {"open_below": True}, "number above 0 to 1"),
        (np.nan, (0, 1), {}, "number from 0 to 1"),
        (1, (0, 1), {"open_below": True, "open_above": True}, "number between 0 and 1, exclusive"),
        (np.nan, (), {}, "finite real number"),
    ],
)
def test_numbers_out_of_range(value, bounds, ends, expected):
    with pytest.raises(ValueError, match=f"^x must be a {expected}, got {value}$"):
        validation.check_number("x", value, *bounds, **ends)


@pytest.mark.parametrize("value", ["1", None, True, [0.5], 1j])
def test_no_numbers(value):
    with pytest.raises(TypeError, match="x must be a number from 0 to 1, got"):
        validation.check_number("x", value, 0.0, 1.0)


def test_a_hint_is_the_last_of_the_message():
    with pytest.raises(ValueError, match=r"of at least 0, got -1; None is for the default$"):
        validation.check_number("x", -1, 0, hint="; None is for the default")


def test_whole_numbers():
    assert type(validation.check_whole("x", np.int32(3), 1)) is int
    with pytest.raises(ValueError, match=r"^x must be a whole number of at least 1, got 0$"):
        validation.check_whole("x", 0, 1)
    with pytest.raises(ValueError, match=r"^x must be a whole number from 2 to 9, got 10$"):
        validation.check_whole("x", 10, 2, 9)
    for value in (1.0, True, "1", None):
        with pytest.raises(TypeError, match="x must be a whole number of at least 1"):
            validation.check_whole("x", value, 1)


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_numbers_of_hundreds_of_digits(value):
    with pytest.raises(ValueError, match="lr must be a finite real number above 0, got"):
        validation.check_number("lr", value, 0.0, open_below=True)
    with pytest.raises(ValueError, match="epochs must be a whole number from 1 to 9"):
        validation.check_whole("epochs", value, 1, validation.LARGEST_WHOLE)


@pytest.mark.parametrize("value", [True, False, np.True_])
def test_flags(value):
    assert validation.check_flag("x", value) is bool(value)


@pytest.mark.parametrize(
    "value", ["", "True", 0, 1.0, 2, None, [True], np.array(True), np.ones(2), np.nan]
)
def test_what_is_no_flag(value):
    with pytest.raises(TypeError, match="bias must be True or False, got"):
        validation.check_flag("bias", value)

"""Numbers, whole numbers, flags."""

from fractions import Fraction

import numpy as np
import pytest

from fastkb.checks import scalars as validation
from fastkb.checks.scalars import check_count, check_parameter


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
        (-1, (0,), {}, "of at least 0 and finite"),
        (np.inf, (0,), {}, "of at least 0 and finite"),
        (np.nan, (0,), {}, "of at least 0 and finite"),
        (0, (0,), {"open_below": True}, "above 0 and finite"),
        (2, (0, 1), {}, "from 0 to 1"),
        (1, (0, 1), {"open_above": True}, "from 0 to below 1"),
        (0, (0, 1), {"open_below": True}, "above 0 to 1"),
        (np.nan, (0, 1), {}, "from 0 to 1"),
    ],
)
def test_numbers_out_of_range(value, bounds, ends, expected):
    with pytest.raises(ValueError, match=f"^x must be a number {expected}, got {value}$"):
        validation.check_number("x", value, *bounds, **ends)


@pytest.mark.parametrize("value", ["1", None, True, [0.5], 1j])
def test_no_numbers(value):
    with pytest.raises(TypeError, match="x must be a number from 0 to 1, got"):
        validation.check_number("x", value, 0.0, 1.0)


def test_positive_and_share():
    assert validation.check_positive("x", 2) == 2.0
    assert validation.check_share("x", 0) == 0.0
    for check, value in ((validation.check_positive, 0), (validation.check_share, 1)):
        with pytest.raises(ValueError, match="x must"):
            check("x", value)


def test_whole_numbers():
    assert type(validation.check_whole("x", np.int32(3), 1)) is int
    with pytest.raises(ValueError, match="x must be an integer of at least 1, got 0"):
        validation.check_whole("x", 0, 1)
    for value in (1.0, True, "1", None):
        with pytest.raises(TypeError, match="x must be an integer of at least 1"):
            validation.check_whole("x", value, 1)


def test_flags():
    assert validation.check_flag("x", 1) is True
    with pytest.raises(TypeError, match="x must be True or False, got 'yes'"):
        validation.check_flag("x", "yes")


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_numbers_of_hundreds_of_digits(value):
    with pytest.raises(ValueError, match="lr must be a number above 0 and finite, got"):
        validation.check_positive("lr", value)
    with pytest.raises(ValueError, match="beta must be a number from 0 to below 1, got"):
        validation.check_share("beta", value)
    with pytest.raises(ValueError, match="epochs must be an integer of at "):
        validation.check_whole("epochs", value, 1)


@pytest.mark.parametrize("value", ["", "True", 2, None, np.array(True), np.ones(2), np.nan])
def test_what_is_no_flag(value):
    with pytest.raises(TypeError, match="bias must be True or False, got"):
        validation.check_flag("bias", value)


def test_parameters():
    assert check_parameter("gamma", np.float32(0.5)) == 0.5
    assert check_parameter("gamma", 2, minimum=2) == 2.0
    with pytest.raises(ValueError, match="gamma must be finite and > 2; got 2"):
        check_parameter("gamma", 2, minimum=2, strict=True)
    with pytest.raises(TypeError, match="gamma must be a real number; got None"):
        check_parameter("gamma", None)


def test_counts():
    assert check_count("degree", np.int64(3)) == 3
    for bad in (True, 1.0, -1, "1"):
        with pytest.raises(ValueError, match="degree must be a whole number >= 0"):
            check_count("degree", bad)

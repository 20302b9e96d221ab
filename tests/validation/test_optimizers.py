"""Bad parameters of optimisers and schedules: one clear error, which names them."""

from fractions import Fraction

import numpy as np
import pytest

from fastkb.validation import optimizers as validation


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


def test_positive_share_and_decay():
    assert validation.check_positive("x", 2) == 2.0
    assert validation.check_share("x", 0) == 0.0
    assert validation.check_decay("x", 0) == 0.0
    for check, value in (("positive", 0), ("share", 1), ("decay", -1)):
        with pytest.raises(ValueError, match="x must"):
            getattr(validation, f"check_{check}")("x", value)


def test_whole_numbers():
    assert type(validation.check_whole("x", np.int32(3), 1)) is int
    with pytest.raises(ValueError, match="x must be an integer of at least 1, got 0"):
        validation.check_whole("x", 0, 1)
    for value in (1.0, True, "1", None):
        with pytest.raises(TypeError, match="x must be an integer of at least 1"):
            validation.check_whole("x", value, 1)


@pytest.mark.parametrize("betas", [(0, 0.5), [0, 0.5]])
def test_betas(betas):
    assert validation.check_betas("betas", betas) == (0.0, 0.5)


@pytest.mark.parametrize("betas", [0.9, (0.9,), (0.9, 0.9, 0.9), "ab", None, (0.9, "0.9")])
def test_betas_that_are_no_pair_of_numbers(betas):
    with pytest.raises(TypeError, match="betas"):
        validation.check_betas("betas", betas)


def test_flags_and_limits():
    assert validation.check_flag("x", 1) is True
    with pytest.raises(TypeError, match="x must be True or False, got 'yes'"):
        validation.check_flag("x", "yes")
    assert validation.check_limit("x", None) is None
    assert validation.check_limit("x", 3) == 3.0
    with pytest.raises(ValueError, match="x must be a number above 0"):
        validation.check_limit("x", 0)


def test_parameters_together():
    given = {"lr": 1, "momentum": 0.5, "nesterov": 1}
    assert validation.check_parameters(given) == {"lr": 1.0, "momentum": 0.5, "nesterov": True}
    with pytest.raises(ValueError, match="nesterov=True needs momentum above 0"):
        validation.check_parameters({"nesterov": True, "momentum": 0})


class _Thing:
    def rate(self):
        pass

    def hyper(self):
        pass


def test_instances():
    thing = _Thing()
    assert validation.check_schedule("then", thing) is thing
    assert validation.check_optimizer(thing) is thing
    with pytest.raises(TypeError, match=r"then must be a schedule of .* write _Thing\(…\)"):
        validation.check_schedule("then", _Thing)
    with pytest.raises(TypeError, match="optimizer must be an optimiser or the name of one, got 1"):
        validation.check_optimizer(1)


def test_losses():
    assert validation.check_losses([3.0, 2.0, 1.0], 2) == [3.0, 2.0]
    with pytest.raises(ValueError, match="epoch=4 finished epochs, got 3"):
        validation.check_losses([3.0, 2.0, 1.0], 4)


@pytest.mark.parametrize("name", ["warm_up", "WarmUp", "warm-up", "WARM_UP"])
def test_names(name):
    assert validation.check_name("x", name, ["warm_up", "other"]) == "warm_up"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "wrmup",
            "x='wrmup' is not known: expected one of warm_up, other; did you mean 'warm_up'?",
        ),
        ("qqq", "x='qqq' is not known: expected one of warm_up, other"),
        (
            "Needs-More",
            "x='Needs-More' has parameters without defaults: pass an instance, or one of warm_up, "
            "other",
        ),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(ValueError) as caught:
        validation.check_name("x", name, ["warm_up", "other"], ["needs_more"])
    assert str(caught.value) == message


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

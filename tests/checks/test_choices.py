"""Names, and the closest one."""

import pytest

from fastkb.checks import choices as validation


@pytest.mark.parametrize("name", ["warm_up", "WarmUp", "warm-up", "WARM_UP"])
def test_names(name):
    assert validation.check_name("x", name, ["warm_up", "other"]) == "warm_up"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "wrmup",
            "x must be one of warm_up, other, got 'wrmup'; did you mean 'warm_up'?",
        ),
        ("qqq", "x must be one of warm_up, other, got 'qqq'"),
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


def test_choices():
    assert validation.check_choice("x", "he", ("he", "glorot")) == "he"
    with pytest.raises(
        ValueError, match=r"^x must be one of he, glorot, got 'h'; did you mean 'he'\?$"
    ):
        validation.check_choice("x", "h", ("he", "glorot"))
    with pytest.raises(ValueError, match=r"^x must be one of he, glorot, got 'q'$"):
        validation.check_choice("x", "q", ("he", "glorot"))
    with pytest.raises(TypeError, match=r"^x must be 'he' or a function, got 3$"):
        validation.check_choice("x", 3, ("he",), " or a function")


def test_the_closest_names():
    assert validation.closest_names("Wieght", ["weight", "Weigh", "age"]) == ["weight", "Weigh"]
    assert validation.closest("zzz", ["weight"]) == ""

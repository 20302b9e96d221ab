"""Errors of a user's statistic keep their class, and are ValueErrors besides."""

import pickle

import numpy as np
import pytest

from fastkb.bootstrap.statistic_error import statistic_error


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("division by zero"),
        np.linalg.LinAlgError("singular"),
        ValueError("wrong"),
        RuntimeError("stopped"),
        FloatingPointError("overflow"),
    ],
)
def test_both_classes_and_the_place(error):
    made = statistic_error(error, "a resample")
    assert isinstance(made, type(error))
    assert isinstance(made, ValueError)
    wanted = f"statistic failed on a resample: {type(error).__name__}: {error}"
    assert str(made) == wanted
    again = pickle.loads(pickle.dumps(made))
    assert isinstance(again, type(error))
    assert str(again) == wanted


class TwoArguments(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)


@pytest.mark.parametrize(
    "error", [TwoArguments(3, "odd"), UnicodeDecodeError("utf-8", b"a", 0, 1, "bad"), OSError("no")]
)
def test_what_cannot_be_made_of_a_text_is_a_value_error(error):
    made = statistic_error(error, "the data")
    assert isinstance(made, ValueError)
    assert f"the data: {type(error).__name__}" in str(made)

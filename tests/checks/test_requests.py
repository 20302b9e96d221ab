"""Levels, numbers of resamples, generators."""

import numpy as np
import pytest

from fastkb.checks import requests as validation


@pytest.mark.parametrize("level", [0.0, 1.0, -1, 2, 90, np.nan])
def test_levels_outside(level):
    with pytest.raises(ValueError, match="level must be a number between 0 and 1"):
        validation.check_level("level", level)


def test_level_in_percent_gets_a_hint():
    with pytest.raises(ValueError, match=r"for 95% write 0\.95"):
        validation.check_level("level", 95)


@pytest.mark.parametrize("level", ["0.9", None, True, [0.9]])
def test_levels_that_are_no_numbers(level):
    with pytest.raises(TypeError, match="level must be a number"):
        validation.check_level("level", level)


@pytest.mark.parametrize(("given", "expected"), [(1, 1), (10.0, 10), (np.int64(7), 7)])
def test_numbers_of_resamples(given, expected):
    got = validation.check_n_resamples(given)
    assert got == expected
    assert type(got) is int


@pytest.mark.parametrize("given", [0, -3, 2**32, 10**400])
def test_numbers_of_resamples_outside(given):
    with pytest.raises(ValueError, match="n_resamples must be a whole number from 1"):
        validation.check_n_resamples(given)


@pytest.mark.parametrize("given", [1.5, "3", None, True, np.inf, np.nan, [3]])
def test_numbers_of_resamples_of_the_wrong_kind(given):
    with pytest.raises(TypeError, match="n_resamples must be a whole number from 1"):
        validation.check_n_resamples(given)


def test_seeds():
    generator, sequence = np.random.default_rng(0), np.random.SeedSequence(0)
    assert validation.check_rng(generator) is generator
    assert validation.check_rng(sequence) is sequence
    assert validation.check_rng(None) is None
    assert validation.check_rng(np.int32(3)) == 3
    with pytest.raises(ValueError, match="rng must not be negative, got -1"):
        validation.check_rng(-1)
    for wrong in ("0", 1.0, True, np.random.RandomState(0)):
        with pytest.raises(TypeError, match="rng must be None"):
            validation.check_rng(wrong)

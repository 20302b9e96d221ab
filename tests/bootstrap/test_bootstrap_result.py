"""What a bootstrap of a statistic says of itself."""

import dataclasses

import matplotlib
import numpy as np
import pytest

from fastkb import BootstrapResult
from fastkb.bootstrap.bootstrap_result import ConfidenceInterval, one_distribution

matplotlib.use("Agg")

DRAWS = np.random.default_rng(0).normal(10, 2, size=1001)


def result(**options):
    values = {
        "confidence_interval": ConfidenceInterval(6.0, 14.0),
        "bootstrap_distribution": DRAWS,
        "standard_error": DRAWS.std(ddof=1),
        "observed": np.float64(9.5),
        "confidence_level": 0.95,
        "alternative": "two-sided",
        "method": "bca",
    }
    return BootstrapResult(**{**values, **options})


def facts(result):
    return {line[:16].strip(): line[16:] for line in result.summary().splitlines()}


def test_summary():
    told = facts(result())
    assert list(told) == ["observed", "bias", "standard error", "interval", "resamples"]
    assert told["observed"] == "9.5"
    bias, words = told["bias"].split(" ", 1)
    assert float(bias) == pytest.approx(DRAWS.mean() - 9.5, rel=5e-4)  # four digits
    assert words == "(mean of the resamples minus observed)"
    assert float(told["standard error"]) == pytest.approx(DRAWS.std(ddof=1), rel=5e-4)
    assert told["interval"] == "6 to 14 (95%, BCa, two-sided)"
    assert told["resamples"] == "1,001"


def test_summary_of_a_one_sided_interval():
    ends = ConfidenceInterval(-np.inf, 123456.789)
    told = facts(result(confidence_interval=ends, alternative="less", method="percentile"))
    assert told["interval"] == "-inf to 123457 (95%, percentile, less)"


def test_summary_without_what_is_not_known():
    told = facts(result(observed=None, confidence_level=None, method=""))
    assert list(told) == ["standard error", "interval", "resamples"]
    assert told["interval"] == "6 to 14 (two-sided)"


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_summary_of_what_is_not_finite(wrong):
    draws = DRAWS.copy()
    draws[3], draws[4] = wrong, -wrong
    ends = ConfidenceInterval(np.nan, np.nan)
    told = facts(
        result(bootstrap_distribution=draws, confidence_interval=ends, standard_error=np.nan)
    )
    assert told["bias"].startswith("nan ")
    assert told["interval"].startswith("nan to nan")


def test_plot_draws_the_observed_value_and_the_ends():
    ax = result().plot()
    assert sorted(line.get_xdata()[0] for line in ax.get_lines()) == [6.0, 9.5, 14.0]


@pytest.mark.parametrize("method", ["summary", "plot"])
@pytest.mark.parametrize("shape", [(3, 7), (1, 7), (2, 3, 7)])
def test_one_statistic_at_a_time(method, shape):
    several = result(bootstrap_distribution=np.zeros(shape))
    n = int(np.prod(shape[:-1]))
    with pytest.raises(ValueError, match=rf"^{method} takes one .* has {n} .*: choose one"):
        getattr(several, method)()


def test_one_distribution_is_not_copied():
    assert one_distribution(result(), "plot") is DRAWS


def test_fields_can_be_replaced():
    assert dataclasses.replace(result(), method="basic").method == "basic"

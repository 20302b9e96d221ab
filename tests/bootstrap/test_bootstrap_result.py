"""What a bootstrap of a statistic says of itself."""

import dataclasses

import matplotlib
import numpy as np
import pytest

import fastkb
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


# --- other levels, files, data frames -------------------------------------------------------------

METHODS = ("percentile", "basic", "BCa", "studentized", "cheap")
SAMPLE = np.random.default_rng(1).exponential(size=25)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
def test_the_interval_at_another_level_is_that_of_another_call(method, alternative):
    def call(level):
        how = {"method": method, "alternative": alternative, "n_resamples": 199, "rng": 0}
        return fastkb.bootstrap((SAMPLE,), np.mean, confidence_level=level, **how)

    assert call(0.95).interval(0.8) == call(0.8).confidence_interval
    assert call(0.95).interval() == call(0.95).confidence_interval


@pytest.mark.parametrize("scheme", [fastkb.schemes.MOutOfN(10), fastkb.schemes.MovingBlocks(3)])
def test_other_levels_of_schemes_and_of_several_statistics(scheme):
    how = {"n_resamples": 99, "rng": 0, "scheme": scheme, "method": "percentile"}
    one = fastkb.bootstrap((SAMPLE,), "mean", **how)
    two = fastkb.bootstrap((SAMPLE,), "mean", confidence_level=0.5, **how)
    assert one.interval(0.5) == two.confidence_interval
    rows = np.random.default_rng(0).normal(size=(3, 20))
    many = fastkb.bootstrap((rows,), np.mean, axis=-1, n_resamples=99, rng=0)
    assert many.interval(0.5).low.shape == (3,)
    assert len(many.to_frame()) == 3
    np.testing.assert_array_equal(many.to_frame()["low"], many.confidence_interval.low)


def test_levels_that_are_none():
    one = fastkb.bootstrap((SAMPLE,), np.mean, n_resamples=99, rng=0)
    for wrong in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match="level"):
            one.interval(wrong)
    with pytest.raises(
        ValueError, match="alternative must be one of two-sided, less, greater, got"
    ):
        one.interval(0.9, "smaller")
    assert one.interval(0.9, "less").low == -np.inf
    assert result(method="percentile").interval(0.5) == tuple(np.quantile(DRAWS, [0.25, 0.75]))
    with pytest.raises(ValueError, match="result of method 'bca' was made without"):
        result().interval(0.5)


@pytest.mark.parametrize("method", METHODS)
def test_a_result_comes_back_from_its_file(method, tmp_path):
    one = fastkb.bootstrap((SAMPLE,), np.mean, n_resamples=199, method=method, rng=0)
    one.save(tmp_path / "one.npz")
    two = BootstrapResult.load(tmp_path / "one.npz")
    np.testing.assert_array_equal(two.bootstrap_distribution, one.bootstrap_distribution)
    for name in ("confidence_interval", "standard_error", "observed", "method", "alternative"):
        assert getattr(two, name) == getattr(one, name)
    assert two.summary() == one.summary()
    assert two.interval(0.5) == one.interval(0.5)
    two.plot()
    # It can be extended as any other.
    more = fastkb.bootstrap((SAMPLE,), np.mean, n_resamples=10, rng=1, bootstrap_result=two)
    assert len(more.bootstrap_distribution) == 209


def test_files_of_results_made_by_hand_and_with_schemes(tmp_path):
    result(observed=None).save(tmp_path / "one.npz")
    assert BootstrapResult.load(tmp_path / "one.npz").observed is None
    blocks = fastkb.schemes.MovingBlocks(3)
    one = fastkb.bootstrap((SAMPLE,), "mean", n_resamples=99, rng=0, scheme=blocks)
    one.save(tmp_path / "one.npz")
    assert "MovingBlocks" in BootstrapResult.load(tmp_path / "one.npz").scheme
    with pytest.raises(ValueError, match=r"path must end in \.npz"):
        one.save(tmp_path / "one.csv")


def test_a_data_frame_of_one_row():
    frame = result().to_frame()
    assert frame.columns.tolist() == [
        "observed",
        "standard_error",
        "low",
        "high",
        "confidence_level",
        "method",
    ]
    assert frame.loc[0, ["observed", "low", "high"]].tolist() == [9.5, 6.0, 14.0]


def test_notebooks_show_a_table():
    assert "<td>6 to 14 (95%, BCa, two-sided)</td>" in result()._repr_html_()
    several = result(bootstrap_distribution=np.ones((2, 3, 9)))
    assert "2 x 3" in several._repr_html_()

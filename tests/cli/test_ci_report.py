"""What ``fastkb ci`` tells: title, axes and caption of the picture, and the summary."""

import argparse

import numpy as np

import fastkb
from fastkb.cli.ci_report import Interval, describe, draw, summary
from fastkb.cli.parser import build_parser
from fastkb.cli.reading.table import Columns


def options(**values):
    words = ["ci", "--resamples", "99", "--out", "o.png"]
    return argparse.Namespace(**{**vars(build_parser().parse_args(words)), **values})


def columns(names=("x",), meanings=None):
    values = np.random.default_rng(0).normal(size=(40, len(names)))
    return Columns("data.csv", list(names), meanings or {}, values, 3, [False] * len(names), [])


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_title_axes_and_caption():
    table = columns(meanings={"x": "width"})
    result = fastkb.bootstrap((table.values[:, 0],), "std", n_resamples=99, rng=0)
    figure = draw(table, Interval(result), options(statistic="std"))
    assert figure.axes[0].get_xlabel() == "standard deviation of x"
    assert texts(figure) == [
        "Standard deviation of width",
        "The standard deviation in each of 99 bootstrap resamples of 40 rows, and the 95% BCa interval.",
    ]
    assert len(figure.legends[0].get_texts()) == 3


def test_caption_without_an_interval():
    table = columns()
    result = fastkb.bootstrap((table.values[:, 0],), "mean", n_resamples=99, rng=0)
    result.confidence_interval = (np.nan, np.nan)
    figure = draw(table, Interval(result), options())
    assert (
        texts(figure)[1]
        == "The mean in each of 99 bootstrap resamples of 40 rows. There is no BCa interval."
    )


def test_dollar_signs_are_no_formulas():
    table = columns(["$\\frac$ and $"])
    result = fastkb.bootstrap((table.values[:, 0],), "mean", n_resamples=99, rng=0)
    draw(table, Interval(result), options()).canvas.draw()


def test_describe():
    pair = columns(["p", "q"], {"p": "price"})
    assert describe(pair, options(statistic="mean_ratio")) == "ratio of the means of p over q"
    words = describe(pair, options(statistic="pearson"), words=True)
    assert words == "Pearson correlation of price and q"
    assert describe(columns(), options(quantile=0.5)) == "0.5-quantile of x"


def test_summary():
    table = columns()
    result = fastkb.bootstrap((table.values[:, 0],), "mean", n_resamples=99, rng=0)
    lines = summary(table, Interval(result), options())
    assert lines[0] == ("data", "data.csv: 40 rows used, 3 dropped for missing values")
    assert lines[1] == ("statistic", "mean of x")
    assert "\n".join(f"{name:<14}  {text}" for name, text in lines[2:]) == result.summary()

import argparse
import csv
import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from fastkb.cli.errors import CommandError
from fastkb.cli.reading.table import Table
from fastkb.cli.report import (
    Band,
    Choice,
    Seconds,
    labels_of,
    meaning,
    summary,
    two_values,
    write_csv,
)
from fastkb.cli.report import (
    draw as draw_labelled,
)

OPTIONS = argparse.Namespace(
    grid=4,
    level=0.9,
    resamples=1000,
    kernel="rbf",
    kind="confidence",
    out="o.png",
    csv="o.csv",
    title=None,
    xlabel=None,
    ylabel=None,
    size=None,
    log_x=False,
    log_y=False,
    no_points=False,
)
LABEL = "90% confidence band"


def options(**some):
    return argparse.Namespace(**{**vars(OPTIONS), **some})


def draw(table, band, label, options):
    return draw_labelled(table, band, label, labels_of(table, options), options)


def table(names=("x",), y_name="y", meanings=None):
    rng = np.random.default_rng(0)
    X, d = rng.normal(size=(12, len(names))), len(names)
    return Table(
        "data.csv", list(names), y_name, meanings or {}, X, rng.normal(size=12), 3, [False] * d, []
    )


def band(d=1):
    rng = np.random.default_rng(1)
    center = rng.normal(size=4 * d)
    return Band(
        rng.normal(size=(4 * d, d)),
        center,
        center + 0.1,
        center - 1,
        center + 1,
        np.ones(4 * d, bool),
    )


def parse(table, band):
    file = io.BytesIO()
    write_csv(file, table, band)
    return list(csv.reader(io.StringIO(file.getvalue().decode())))


def test_csv_holds_every_number_to_the_last_bit():
    wanted = band()
    header, *rows = parse(table(), wanted)
    assert header == ["x", "center", "mean", "low", "high"]
    read = np.array(rows, dtype=float)
    np.testing.assert_array_equal(read, np.column_stack(wanted[:5]))


def test_csv_names_the_panel_of_several_inputs():
    header, *rows = parse(table(["a", "b, c"]), band(2))
    assert header == ["panel", "a", "b, c", "center", "mean", "low", "high"]
    assert [row[0] for row in rows] == ["a"] * 4 + ["b, c"] * 4


def test_an_input_called_mean_keeps_apart_from_the_curve():
    header, *_ = parse(table(["mean", "panel"]), band(2))
    assert len(set(header)) == len(header)
    assert header[1:3] == ["mean (x)", "panel (x)"]


@pytest.mark.parametrize("d", [1, 2, 3, 4, 7])
def test_one_panel_for_each_input(d):
    names = [f"c{i}" for i in range(d)]
    figure = draw(table(names), band(d), LABEL, OPTIONS)
    assert [ax.get_xlabel() for ax in figure.axes] == names
    assert figure.axes[0].get_ylabel() == "y"
    texts = [text.get_text() for text in figure.texts]
    assert any(text.startswith("y against c0") for text in texts)
    assert any("held at their medians" in text for text in texts) is (d > 1)
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [
        "12 observations",
        "90% confidence band",
        "fitted curve",
    ]


def test_nothing_in_the_picture_overlaps_or_leaves_it():
    long = "a very long name of a column that says what was measured, where and in which units"
    figure = draw(table([long, "b"], y_name=f"{long} too"), band(2), LABEL, OPTIONS)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    whole = figure.bbox
    boxes = [t.get_window_extent(renderer) for t in figure.texts]
    boxes += [legend.get_window_extent(renderer) for legend in figure.legends]
    boxes += [ax.get_tightbbox(renderer) for ax in figure.axes]
    for i, box in enumerate(boxes):
        assert box.x0 >= whole.x0 - 1
        assert box.x1 <= whole.x1 + 1
        assert box.y0 >= whole.y0 - 1
        assert box.y1 <= whole.y1 + 1
        for other in boxes[i + 1 :]:
            # Legend and title may touch; no two may share more than a pixel.
            width = min(box.x1, other.x1) - max(box.x0, other.x0)
            height = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert width <= 1 or height <= 1


def test_dollar_signs_are_no_formulas():
    figure = draw(table(["price in $", "c"], y_name="$\\frac$"), band(2), LABEL, OPTIONS)
    figure.canvas.draw()


def test_known_columns_are_called_by_their_meaning():
    figure = draw(table(meanings={"x": "width", "y": "height"}), band(), LABEL, OPTIONS)
    assert figure.axes[0].get_xlabel() == "width (x)"
    assert any(text.get_text() == "Height against width" for text in figure.texts)


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_words_of_ones_own():
    given = options(title="Mine $", xlabel='a, "b, c"', ylabel="d", size=(6.0, 4.0), no_points=True)
    figure = draw(table(["x", "z"]), band(2), LABEL, given)
    assert [ax.get_xlabel() for ax in figure.axes] == ["a", "b, c"]
    assert figure.axes[0].get_ylabel() == "d"
    assert texts(figure)[0] == r"Mine \$"
    assert figure.get_size_inches().tolist() == [6.0, 4.0]
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [LABEL, "fitted curve"]
    # Of one panel the commas are no separators.
    assert labels_of(table(), options(xlabel="a, b")).x == ["a, b"]
    with pytest.raises(CommandError, match=r"--xlabel: expected 2 labels with commas .* got 3"):
        labels_of(table(["x", "z"]), options(xlabel="a,b,c"))


def test_the_caption_says_what_is_not_seen():
    some = band()
    near = np.array([True, True, False, True])
    wide = some._replace(near=near, high=np.array([some.center[0] + 1, 1e3, 1.0, 1.0]))
    assert texts(draw(table(), some, LABEL, OPTIONS))[1].endswith("(1,000 bootstrap replicates).")
    caption = " ".join(texts(draw(table(), wide, LABEL, OPTIONS))[1].split())
    assert "Dashed where no observation is near. The band goes beyond the picture." in caption


def test_logarithmic_axes():
    some, there = table(), band()
    some = replace(some, X=np.exp(some.X), y=np.exp(some.y))
    there = there._replace(x=np.exp(there.x), low=np.exp(there.low), high=np.exp(there.high))
    there = there._replace(center=np.exp(there.center))
    figure = draw(some, there, LABEL, options(log_x=True, log_y=True))
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"
    assert "the curve is a geometric mean" in " ".join(texts(figure)[1].split())
    figure.canvas.draw()


def test_summary_says_what_was_done():
    choice = Choice(1.5, 0.01, "given", "chosen from 9 candidates", None)
    result = SimpleNamespace(solver="lowrank", rank=24, reason="smooth kernel", choice=1)
    lines = dict(summary(table(), choice, result, Seconds(0.5, 2.0, 2.75, 0.0), OPTIONS))
    assert lines["data"] == "data.csv: 12 rows used, 3 dropped for missing values"
    assert "standardised" in lines["units"]
    assert lines["kernel"] == "rbf, sigma = 1.5 standard deviations (given)"
    assert lines["lambda"] == "0.01 (chosen from 9 candidates)"
    assert lines["solver"] == "lowrank, rank 24: smooth kernel"
    assert "2.75 s" in lines["time"]
    assert lines["band"].startswith("confidence. The band is made to hold the true curve with 90%")
    assert "the choice of width and penalty count" in lines["band"]
    assert "choice" not in lines
    assert lines["written"] == "o.png (picture), o.csv (table)"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("percentile", "the middle 90% of the curves fitted to 1,000 bootstrap resamples"),
        ("confidence", "at three quarters of the curve or more"),
        ("simultaneous", "at all points at once"),
        ("prediction", "90% of new observations"),
    ],
)
def test_the_caption_says_what_is_covered(kind, words):
    options = argparse.Namespace(**{**vars(OPTIONS), "kind": kind})
    figure = draw(table(), band(), "a label", options)
    caption = " ".join(" ".join(text.get_text().split()) for text in figure.texts)
    assert words in caption
    assert words in meaning(options, 1000)


def test_rows_on_which_kernels_were_judged_are_said():
    choice = Choice(1.5, 0.01, "given", "given", 1000)
    result = SimpleNamespace(solver="lowrank", rank=24, reason="smooth kernel", choice=1)
    lines = dict(summary(table(), choice, result, Seconds(0.5, 2.0, 2.75, 0.0), OPTIONS))
    assert "kernels of high rank were judged on 1,000 rows" in lines["choice"]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([0, 1, 1, 0], (0.0, 1.0)), ([2.5, -1, 2.5], (-1.0, 2.5)), ([1, 2, 3], None)],
)
def test_two_values(values, wanted):
    assert two_values(np.array(values, float)) == wanted


def test_the_axis_of_two_values_holds_them():
    two = table()
    two.y[:] = np.arange(12) % 2
    figure = draw(two, band(), LABEL, OPTIONS)
    low, high = figure.axes[0].get_ylim()
    assert -0.1 < low < 0 < 1 < high < 1.1


@pytest.mark.parametrize("edge", ["smallest", "largest"])
def test_summary_advises_where_hardly_any_penalty_was_chosen(edge):
    choice = Choice(1.0, 1e-6, "given", f"chosen from many, the {edge} of them", None)
    result = SimpleNamespace(solver="cholesky", rank=None, reason="full rank", choice=None)
    lines = dict(summary(table(), choice, result, Seconds(0.0, 1.0, 1.0, 0.0), OPTIONS))
    assert ("--alpha, such as 0.01" in lines.get("look", "")) is (edge == "smallest")


def test_summary_without_a_width():
    options = argparse.Namespace(**{**vars(OPTIONS), "kernel": "linear"})
    result = SimpleNamespace(solver="cholesky", rank=None, reason="full rank", choice=None)
    lines = dict(
        summary(
            table(),
            Choice(None, 1.0, "given", "given", None),
            result,
            Seconds(0.0, 1.0, 1.0, 0.75),
            options,
        )
    )
    assert lines["kernel"] == "linear"
    assert "Noise and the bias of smoothing count" in lines["band"]
    assert lines["solver"] == "cholesky: full rank"
    assert "0.75 s of it compiling" in lines["time"]


def test_dates_have_an_axis_and_a_column_of_dates():
    data = table()
    days = 18262.0 + np.arange(12.0)
    data = replace(data, X=days[:, None], are_dates=[True], notes=[("column x", "dates")])
    at = np.array([[18262.0], [18265.5], [18270.0], [18273.0]])
    curves = np.zeros(4)
    dated = Band(at, curves, curves, curves - 1, curves + 1, np.ones(4, bool))
    figure = draw(data, dated, LABEL, OPTIONS)
    figure.canvas.draw()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert "2020" in " ".join([*labels, figure.axes[0].xaxis.get_major_formatter().get_offset()])
    file = io.BytesIO()
    write_csv(file, data, dated)
    lines = file.getvalue().decode().splitlines()
    assert lines[1].startswith("2020-01-01,0.0,")
    assert lines[2].startswith("2020-01-04T12:00:00.000000,0.0,")

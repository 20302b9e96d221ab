import builtins
import csv
import io
import os
import struct
import sys
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.metrics.pairwise import rbf_kernel

import fastkb
from fastkb.cli import main
from fastkb.cli.band import evaluation_points
from fastkb.cli.parser import KINDS

QUICK = ["--resamples", "30", "--grid", "25", "--sigma", "1", "--alpha", "0.5"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def data(tmp_path):
    """A path to a table with two inputs, a text column and a constant one."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 2)) * [3, 0.1] + [100, 5]
    y = np.sin(rows[:, 0]) + 7 * rows[:, 1] + 0.1 * rng.normal(size=60)
    path = tmp_path / "in" / "table.csv"
    path.parent.mkdir()
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "age", "price", "town", "country"])
        for (a, b), c in zip(rows, y, strict=True):
            writer.writerow([a, b, c, "Oslo", 1])
    return str(path)


def read_band(path="band.csv"):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def png_size(path="band.png"):
    with open(path, "rb") as file:
        head = file.read(24)
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", head[16:])


def test_default_data(capsys):
    assert main(["band", *QUICK]) == 0
    rows = read_band()
    assert list(rows[0]) == ["bmi", "center", "mean", "low", "high"]
    assert len(rows) == 25
    data = load_diabetes(scaled=False)
    bmi = data.data[:, data.feature_names.index("bmi")]
    np.testing.assert_array_equal(column(rows, "bmi"), np.linspace(bmi.min(), bmi.max(), 25))
    # An independent fit of the same model, by the bordered system of a constant without penalty.
    x = (bmi - bmi.mean()) / bmi.std()
    at = (column(rows, "bmi") - bmi.mean()) / bmi.std()
    K, cross = (rbf_kernel(a[:, None], x[:, None], gamma=0.5) for a in (x, at))
    n = len(x)
    system = np.block([[K + 0.5 * np.eye(n), np.ones((n, 1))], [np.ones(n), 0.0]])
    solution = np.linalg.solve(system, np.append(data.target, 0.0))
    wanted = cross @ solution[:n] + solution[n]
    np.testing.assert_allclose(column(rows, "center"), wanted, atol=1e-6 * np.ptp(data.target))
    assert np.all(column(rows, "low") <= column(rows, "high"))
    assert png_size()[0] == 1200
    shown = capsys.readouterr()
    assert shown.err == ""
    for words in (
        "442 rows used, none dropped",
        "standardised",
        "sigma = 1 ",
        "(given)",
        "band.png",
    ):
        assert words in shown.out


@pytest.mark.parametrize("kind", ["confidence", "percentile"])
def test_sigma_and_lambda_are_chosen_by_restricted_likelihood(kind, capsys):
    command = ["band", "--resamples", "20", "--grid", "10", "--kind", kind]
    assert main(command) == 0
    data = load_diabetes(scaled=False)
    bmi = data.data[:, data.feature_names.index("bmi")]
    search = fastkb.KernelRidgeCV(kernel="rbf", criterion="reml", fit_intercept=True).fit(
        ((bmi - bmi.mean()) / bmi.std())[:, None], data.target
    )
    shown = capsys.readouterr().out
    assert f"sigma = {np.sqrt(0.5 / search.gamma_):.4g} " in shown
    assert f"lambda     {search.alpha_:.4g} (chosen by restricted likelihood" in shown


@pytest.mark.parametrize("given", [["--sigma", "0.7"], ["--alpha", "0.02"]])
def test_what_is_given_is_kept(given, capsys):
    assert main(["band", "--resamples", "20", "--grid", "10", *given]) == 0
    shown = capsys.readouterr().out
    assert f"{given[1]} " in shown
    assert "given" in shown
    assert "chosen by restricted likelihood" in shown


def test_kinds_of_band_and_what_they_say(capsys):
    widths = {}
    for kind in KINDS:
        command = ["band", "--resamples", "60", "--grid", "12", "--kind", kind]
        assert main([*command, "--csv", f"{kind}.csv"]) == 0
        shown = capsys.readouterr().out
        assert f"{kind}. " in shown
        rows = read_band(f"{kind}.csv")
        widths[kind] = np.mean(column(rows, "high") - column(rows, "low"))
    assert widths["confidence"] < widths["simultaneous"] < widths["prediction"]
    assert widths["percentile"] < widths["simultaneous"]


def test_so_few_rows_cannot_say(data, capsys):
    command = [data, "--x", "size", "--y", "price", "--kind", "prediction", "--level", "0.99"]
    message = fails(capsys, *command)
    assert "60 rows can say what holds a share of 0.984 of new observations at most" in message


def test_a_target_of_two_values(capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    y = (x + rng.normal(size=80) > 0).astype(int)
    with open("two.csv", "w") as file:
        file.write("x,y\n" + "".join(f"{a},{b}\n" for a, b in zip(x, y, strict=True)))
    assert main(["band", "two.csv", "--x", "x", "--y", "y", *QUICK]) == 0
    shown = capsys.readouterr().out
    assert "y has two values, 0 and 1: the curve is the share of rows with y = 1" in shown
    assert "MLPClassifier" in shown


# How many there are of each magnitude, 4.0 to 6.2.
EARTHQUAKES = "46 55 90 85 101 107 101 98 90 54 65 53 47 35 20 17 9 8 6 5 2 1 1"


@pytest.mark.parametrize(
    ("levels", "sizes"),
    [
        ((0, 1), (60, 90)),
        ((1, 2, 5), (40, 50, 30)),
        ((3, 4, 5, 6, 8), (4, 199, 3, 83, 103)),
        (range(40, 63), [int(size) for size in EARTHQUAKES.split()]),
    ],
)
def test_a_few_levels_keep_their_means(levels, sizes):
    """To a tenth of the width of the mean's band, with an effect and without; and so for the band."""
    for effect in (0.0, 5.0):
        rng = np.random.default_rng(1)
        x = np.repeat(levels, sizes)
        y = effect * np.sin(2.0 * x) + rng.normal(size=len(x))
        with open("levels.csv", "w") as file:
            file.write(
                "x,y\n" + "".join(f"{a},{b!r}\n" for a, b in zip(x, y.tolist(), strict=True))
            )
        points = 5 * (max(levels) - min(levels)) * 2 + 1
        command = ["band", "levels.csv", "--x", "x", "--y", "y", "--quiet", "--grid", str(points)]
        assert main(command) == 0
        rows = read_band()
        at = column(rows, "x")
        for level, size in zip(levels, sizes, strict=True):
            here = int(np.argmin(np.abs(at - level)))
            if size < 3:  # One row has no spread, and two have next to none.
                continue
            group = y[x == level]
            drawn = group[rng.integers(0, size, (20000, size))].mean(axis=1)
            low, high = np.quantile(drawn, [0.05, 0.95])
            width = high - low
            close = 0.1 if size > 4 else 0.2
            assert abs(column(rows, "center")[here] - group.mean()) < close * width
            if size >= 20:  # The bootstrap of three rows means little.
                assert abs(column(rows, "low")[here] - low) < 0.1 * width
                assert abs(column(rows, "high")[here] - high) < 0.1 * width
        # Between levels nothing is known of the curve; but it does not run away.
        center = column(rows, "center")
        assert center.max() < y.max() + np.ptp(y) / 2
        assert center.min() > y.min() - np.ptp(y) / 2


def test_a_choice_at_the_edge_of_the_candidates_is_said(capsys):
    # A straight line: the wider the kernel, the better.
    rows = "\n".join(f"{i},{2 * i + 1}" for i in range(40))
    with open("line.csv", "w") as file:
        file.write(f"x,y\n{rows}\n")
    command = [
        "band",
        "line.csv",
        "--x",
        "x",
        "--y",
        "y",
        "--kernel",
        "laplacian",
        "--alpha",
        "1e-6",
    ]
    assert main([*command, "--resamples", "20", "--grid", "10"]) == 0
    assert "the largest of them" in capsys.readouterr().out


@pytest.mark.parametrize("kernel", ["laplacian", "polynomial", "linear"])
def test_other_kernels(kernel, capsys):
    assert main(["band", "--kernel", kernel, "--resamples", "20", "--grid", "10"]) == 0
    assert kernel in capsys.readouterr().out
    assert len(read_band()) == 10


def test_several_inputs_get_a_panel_each(data, capsys):
    assert main(["band", data, "--x", "size,age", "--y", "price", *QUICK]) == 0
    rows = read_band()
    assert list(rows[0]) == ["panel", "size", "age", "center", "mean", "low", "high"]
    assert [row["panel"] for row in rows] == ["size"] * 25 + ["age"] * 25
    table = np.loadtxt(data, delimiter=",", skiprows=1, usecols=(0, 1))
    medians = np.median(table, axis=0)
    np.testing.assert_array_equal(column(rows[:25], "age"), np.full(25, medians[1]))
    np.testing.assert_array_equal(column(rows[25:], "size"), np.full(25, medians[0]))
    assert column(rows[:25], "size")[[0, -1]].tolist() == [table[:, 0].min(), table[:, 0].max()]
    assert "price on size, age" in capsys.readouterr().out


def test_evaluation_points():
    X = np.array([[0.0, 10.0], [1.0, 20.0], [5.0, 60.0]])
    wanted = [[0, 20], [2.5, 20], [5, 20], [1, 10], [1, 35], [1, 60]]
    np.testing.assert_array_equal(evaluation_points(X, 3), wanted)


def test_results_do_not_depend_on_the_units_of_the_inputs(data):
    assert main(["band", data, "--x", "size", "--y", "price", "--csv", "a.csv", *QUICK]) == 0
    with open(data, newline="") as file:
        rows = list(csv.reader(file))
    for row in rows[1:]:
        row[0] = repr(float(row[0]) * 1024 - 512)  # exact in floating point but for the shift
    with open("scaled.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert (
        main(["band", "scaled.csv", "--x", "size", "--y", "price", "--csv", "b.csv", *QUICK]) == 0
    )
    for name in ("center", "mean", "low", "high"):
        np.testing.assert_allclose(
            column(read_band("a.csv"), name), column(read_band("b.csv"), name), rtol=1e-6
        )


def test_the_same_seed_gives_the_same_band_and_another_another():
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        assert main(["band", "--csv", f"{name}.csv", "--seed", seed, "--quiet", *QUICK]) == 0
    assert read_band("a.csv") == read_band("b.csv")
    assert not np.array_equal(column(read_band("a.csv"), "low"), column(read_band("c.csv"), "low"))


def test_a_higher_level_gives_a_wider_band():
    for level in ("0.5", "0.9"):
        assert main(["band", "--csv", f"{level}.csv", "--level", level, "--quiet", *QUICK]) == 0
    narrow, wide = read_band("0.5.csv"), read_band("0.9.csv")
    assert np.all(column(wide, "low") <= column(narrow, "low"))
    assert np.all(column(narrow, "high") <= column(wide, "high"))
    np.testing.assert_array_equal(column(wide, "center"), column(narrow, "center"))


def test_quiet_says_nothing(capsys):
    assert main(["band", "--quiet", *QUICK]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_warnings_and_assumptions_are_said_in_any_case(quiet, capsys, monkeypatch):
    def warns(*arguments, **options):
        warnings.warn("beware", stacklevel=1)
        return bootstrap_band(*arguments, **options)

    bootstrap_band = fastkb.bootstrap_band
    monkeypatch.setattr(fastkb, "bootstrap_band", warns)
    with open("commas.csv", "w") as file:
        file.write("x;y\n" + "".join(f"{i},5;{i % 3},25\n" for i in range(30)))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["band", "commas.csv", "--x", "x", "--y", "y", *quiet, *QUICK]) == 0
    shown = capsys.readouterr()
    assert "fastkb: warning: beware" in shown.err
    assert "decimal commas" in (shown.err if quiet else shown.out)
    assert (shown.out == "") is bool(quiet)


def test_progress_is_shown_to_a_terminal_only(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for quiet in (False, True):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        command = ["band", "--resamples", "20", "--grid", "10", *(["--quiet"] if quiet else [])]
        assert main(command) == 0
        assert ("kernels" in terminal.getvalue()) is not quiet
        assert ("replicates" in terminal.getvalue()) is not quiet


@pytest.mark.parametrize(
    ("suffix", "head"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("PNG", b"\x89PNG")]
)
def test_formats_of_the_picture(suffix, head):
    assert main(["band", "--out", f"b.{suffix}", "--quiet", *QUICK]) == 0
    with open(f"b.{suffix}", "rb") as file:
        assert file.read(4).startswith(head[:4])


def test_pyplot_and_the_backend_are_left_alone():
    assert main(["band", "--quiet", *QUICK]) == 0
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


# --- mistakes -------------------------------------------------------------------------------------


def fails(capsys, *words):
    before = sorted(os.listdir())
    assert main(["band", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("fastkb: ")
    assert shown.err.count("\n") == 1
    assert sorted(os.listdir()) == before, "a file was left behind"
    return shown.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--x", "size", "--y", "prise"], "no column 'prise'; the closest names are price"),
        (["--x", "town", "--y", "price"], "line 2, column 'town': expected a number, got 'Oslo'"),
        (["--x", "size", "--y", "country"], "column 'country' is constant"),
        (["--x", "country", "--y", "price"], "column 'country' is constant"),
        (["--x", "size,size", "--y", "price"], "named twice"),
        (["--x", "size"], "--y is needed"),
        (["--x", "size", "--y", "price", "--out", "no/band.png"], "no such folder: no"),
        (["--x", "size", "--y", "price", "--csv", "no/band.csv"], "no such folder: no"),
        (["--x", "size", "--y", "price", "--out", "band.txt"], "expected a name ending in .png"),
        (["--x", "size", "--y", "price", "--out", "in"], "expected a name ending in .png"),
        (["--x", "size", "--y", "price", "--csv", "in"], "cannot write in: it is a folder"),
        (["--x", "size", "--y", "price", "--csv", "in/table.csv"], "would overwrite the data"),
        (["--x", "size", "--y", "price", "--out", "b.png", "--csv", "./b.png"], "the same file"),
        (["--x", "size", "--y", "price", "--kernel", "linear", "--sigma", "1"], "has no width"),
        (["--x", "size", "--y", "price", "--sigma", "1e-300"], "expected standard deviations"),
        (["--x", "size", "--y", "price", "--level", "90"], "did you mean 0.9?"),
    ],
)
def test_mistakes(data, capsys, words, message):
    assert message in fails(capsys, data, *words)


def test_numbers_that_cannot_be_standardised(capsys):
    with open("wide.csv", "w") as file:
        file.write("x,y\n" + "".join(f"{(-1) ** i * 1.5e308},{i}\n" for i in range(6)))
    assert "column 'x' has values too large" in fails(capsys, "wide.csv", "--x", "x", "--y", "y")


def test_existing_files_survive_a_failure(data, capsys):
    for name in ("band.png", "band.csv"):
        with open(name, "w") as file:
            file.write("precious")
    fails(capsys, data, "--x", "town", "--y", "price")
    for name in ("band.png", "band.csv"):
        with open(name) as file:
            assert file.read() == "precious"


def test_missing_values_are_dropped_and_counted(data, capsys):
    with open(data, "a") as file:
        file.write(",5,1,Oslo,1\n101,NA,1,Oslo,1\n")
    assert main(["band", data, "--x", "size", "--y", "price", *QUICK]) == 0
    assert "61 rows used, 1 dropped for missing values" in capsys.readouterr().out


def test_control_c_leaves_no_file(monkeypatch, capsys):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastkb, "bootstrap_band", interrupted)
    assert main(["band", *QUICK]) == 130
    assert capsys.readouterr().err == "fastkb: interrupted\n"
    assert not os.listdir()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (np.linalg.LinAlgError("did not converge"), "did not converge (try a larger --alpha)"),
        (ValueError("X has 9,000 rows"), "X has 9,000 rows"),
    ],
)
def test_what_cannot_be_computed_is_a_clear_line(monkeypatch, capsys, error, message):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(fastkb, "bootstrap_band", fail)
    assert message in fails(capsys)


def test_without_matplotlib(monkeypatch, capsys):
    real = builtins.__import__

    def no_matplotlib(name, *arguments, **options):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    assert "pip install 'fastkb[cli]'" in fails(capsys)


# --- the picture's options --------------------------------------------------------------------------


def powers(name):
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(0, 9, 80))
    y = 3 * x**0.5 * np.exp(0.1 * rng.normal(size=80))
    with open(name, "w") as file:
        file.write(
            "x,y\n" + "".join(f"{a!r},{b!r}\n" for a, b in zip(x.tolist(), y.tolist(), strict=True))
        )
    return x, y


def test_logarithms_are_taken_of_what_is_asked(capsys):
    x, _ = powers("powers.csv")
    command = ["band", "powers.csv", "--x", "x", "--y", "y", "--log-x", "--log-y", *QUICK]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "logarithms of the inputs standardised" in shown
    assert "its logarithm is fitted" in shown
    rows = read_band()
    at = column(rows, "x")
    assert (at[0], at[-1]) == pytest.approx((x.min(), x.max()))
    np.testing.assert_allclose(np.diff(np.log(at)), np.log(at[1] / at[0]))
    np.testing.assert_allclose(column(rows, "center")[4:-4], 3 * at[4:-4] ** 0.5, rtol=0.1)
    assert (column(rows, "low") > 0).all()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--log-x", "--log-x: column 'x' has 1 value that no logarithm has (the smallest is 0)"),
        ("--log-y", "--log-y: column 'y' has 2 values that no logarithm has (the smallest is -1)"),
    ],
)
def test_what_has_no_logarithm(option, message, capsys):
    with open("some.csv", "w") as file:
        file.write("x,y\n" + "".join(f"{i},{i - 1}\n" for i in range(20)))
    assert message in fails(capsys, "some.csv", "--x", "x", "--y", "y", option)


def test_dates_have_no_logarithm(capsys):
    with open("dates.csv", "w") as file:
        file.write("x,y\n" + "".join(f"2020-01-{i + 1:02},{i % 4}\n" for i in range(20)))
    message = fails(capsys, "dates.csv", "--x", "x", "--y", "y", "--log-x")
    assert "column 'x' holds dates" in message


def test_size_and_dots_of_the_picture():
    from matplotlib.image import imread

    words = ["--size", "5x3", "--dpi", "80", "--no-points", "--title", "", "--xlabel", "BMI"]
    assert main(["band", "--quiet", *words, *QUICK]) == 0
    assert imread("band.png").shape[:2] == (240, 400)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "5"], "--size: expected a width and a height in inches, such as 6x4, got '5'"),
        (["--size", "1x900"], "--size: expected a width and a height"),
        (["--dpi", "1e9"], "--dpi: expected dots per inch, 30 to 2400"),
        (["--size", "90x90", "--dpi", "2400"], "the picture would be 216,000 dots long"),
    ],
)
def test_sizes_that_make_no_picture(words, message, capsys):
    assert message in fails(capsys, *words)

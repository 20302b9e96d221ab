import builtins
import csv
import functools
import io
import json
import os
import sys

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_diabetes

import fastkb
from fastkb import schemes
from fastkb.bootstrap import confidence
from fastkb.bootstrap.evaluate.statistics import NAMED
from fastkb.cli import main
from fastkb.cli.parser import METHODS, ONE_COLUMN, TWO_COLUMNS

QUICK = ["--resamples", "99"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def data(tmp_path):
    """A path to a table with two columns of numbers, a text column and a constant one."""
    rows = np.random.default_rng(0).normal([100, 5], size=(60, 2))
    path = tmp_path / "in" / "table.csv"
    path.parent.mkdir()
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "age", "town", "country"])
        writer.writerows([*row, "Oslo", 1] for row in rows.tolist())
    return str(path)


def diabetes(name):
    data = load_diabetes(scaled=False)
    return {**dict(zip(data.feature_names, data.data.T, strict=True)), "target": data.target}[name]


def told(capsys, *words):
    """What the command printed, line by line."""
    assert main(["ci", *words]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    return {line[:16].strip(): line[16:] for line in shown.out.splitlines()}


def ends(lines):
    low, _, high = lines["interval"].split(" ")[:3]
    return float(low), float(high)


def test_default_data(capsys):
    lines = told(capsys)
    assert lines["data"] == "diabetes data of scikit-learn: 442 rows used, none dropped"
    assert lines["statistic"] == "mean of bmi"
    assert lines["observed"] == f"{diabetes('bmi').mean():.6g}"
    assert lines["interval"].endswith("(95%, BCa, two-sided)")
    assert lines["resamples"] == "9,999"
    assert not {"written", "look", "warning"} & set(lines)
    wanted = stats.bootstrap((diabetes("bmi"),), np.mean, rng=np.random.default_rng(0))
    np.testing.assert_allclose(ends(lines), wanted.confidence_interval, rtol=5e-6)  # six digits
    assert not os.listdir()


@pytest.mark.parametrize("method", ["bca", "percentile", "basic"])
@pytest.mark.parametrize("name", ["std", "mean"])
def test_the_numbers_are_those_of_scipy(capsys, name, method):
    words = ["--column", "bp", "--statistic", name, "--method", method, "--level", "0.8"]
    lines = told(capsys, *words, "--seed", "5", "--resamples", "499")
    wanted = stats.bootstrap(
        (diabetes("bp"),),
        getattr(np, name),
        n_resamples=499,
        method=method,
        confidence_level=0.8,
        rng=np.random.default_rng(5),
    )
    np.testing.assert_allclose(ends(lines), wanted.confidence_interval, rtol=5e-6)
    assert "(80%, " in lines["interval"]


def test_a_quantile(capsys):
    lines = told(capsys, "--quantile", "0.25", "--method", "percentile", *QUICK)
    assert lines["statistic"] == "0.25-quantile of bmi"
    statistic = functools.partial(np.quantile, q=0.25)
    assert float(lines["observed"]) == statistic(diabetes("bmi"))
    wanted = fastkb.bootstrap(
        (diabetes("bmi"),), statistic, n_resamples=99, method="percentile", rng=0
    )
    np.testing.assert_allclose(ends(lines), wanted.confidence_interval, rtol=5e-6)


@pytest.mark.parametrize(
    ("name", "words", "function"),
    [
        ("pearson", "Pearson correlation of bmi and s5", lambda x, y: stats.pearsonr(x, y)[0]),
        ("spearman", "Spearman correlation of bmi and s5", lambda x, y: stats.spearmanr(x, y)[0]),
        ("mean_difference", "difference of the means of bmi minus s5", lambda x, y: np.mean(x - y)),
        ("mean_ratio", "ratio of the means of bmi over s5", lambda x, y: x.mean() / y.mean()),
    ],
)
def test_two_columns_are_drawn_in_pairs(capsys, name, words, function):
    lines = told(capsys, "--statistic", name, "--paired", "s5", *QUICK)
    assert lines["statistic"] == words
    pair = diabetes("bmi"), diabetes("s5")
    assert float(lines["observed"]) == pytest.approx(function(*pair), rel=5e-6)
    wanted = fastkb.bootstrap(pair, name, n_resamples=99, paired=True, rng=0)
    np.testing.assert_allclose(ends(lines), wanted.confidence_interval, rtol=5e-6)


def test_the_parser_knows_all_statistics():
    for n_samples, names in ((1, ONE_COLUMN), (2, TWO_COLUMNS)):
        assert names == tuple(n for n, known in NAMED.items() if known.n_samples == n_samples)


@pytest.mark.parametrize("name", [*ONE_COLUMN, *TWO_COLUMNS])
def test_every_statistic_can_be_named(name, capsys):
    paired = ["--paired", "target"] if name in TWO_COLUMNS else []
    lines = told(capsys, "--statistic", name, *paired, *QUICK, "--out", "ci.png")
    assert lines["written"] == "ci.png (picture)"


def test_missing_values_are_dropped_in_pairs_and_counted(data, capsys):
    with open(data, "a") as file:
        file.write(",5,Oslo,1\n101,NA,Oslo,1\n")
    one = told(capsys, data, "--column", "size", *QUICK)
    assert one["data"].endswith("61 rows used, 1 dropped for missing values")
    words = ["--paired", "age", "--statistic", "pearson"]
    two = told(capsys, data, "--column", "size", *words, *QUICK)
    assert two["data"].endswith("60 rows used, 2 dropped for missing values")


def test_standard_input(monkeypatch, capsys):
    text = "x\n" + "".join(f"{i}\n" for i in range(9))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    lines = told(capsys, "-", "--column", "x", *QUICK)
    assert lines["data"] == "standard input: 9 rows used, none dropped"
    assert lines["observed"] == "4"


def test_quiet_says_the_interval_alone_and_writes_the_picture(capsys):
    low, high = ends(told(capsys, *QUICK))
    assert main(["ci", "--quiet", "--out", "ci.png", *QUICK]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (f"{low:g} {high:g}\n", "")
    assert os.listdir() == ["ci.png"]


@pytest.mark.parametrize(
    ("suffix", "head"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("PNG", b"\x89PNG")]
)
def test_formats_of_the_picture(suffix, head):
    assert main(["ci", "--out", f"b.{suffix}", "--quiet", *QUICK]) == 0
    with open(f"b.{suffix}", "rb") as file:
        assert file.read(5).startswith(head)


def test_words_and_size_of_the_picture():
    from matplotlib.image import imread

    words = ["--size", "4x3", "--dpi", "50", "--title", "Mine", "--xlabel", "a", "--ylabel", "b"]
    assert main(["ci", "--quiet", "--out", "ci.png", *words, *QUICK]) == 0
    assert imread("ci.png").shape[:2] == (150, 200)


@pytest.mark.parametrize("scheme", [[], ["--blocks", "3"]])
def test_where_no_bca_interval_exists_the_percentiles_are_taken(capsys, scheme):
    # More than half of the rows are 1: the median is, in nearly all resamples.
    words = ["--column", "sex", "--statistic", "median", "--out", "ci.png", *scheme]
    lines = told(capsys, *words)
    assert lines["interval"].endswith("(95%, percentile, two-sided)")
    assert "no BCa interval exists" in lines["look"]
    assert "warning" not in lines
    assert ends(lines) == ends(told(capsys, *words, "--method", "percentile"))
    assert main(["ci", "--quiet", *words]) == 0
    assert "fastkb: look: no BCa interval exists" in capsys.readouterr().err


# --- groups, and rows that are not independent ----------------------------------------------------


@pytest.fixture
def trial():
    """A long table of three groups in blocks of five rows, some values missing."""
    rng = np.random.default_rng(0)
    arm = np.array(["treated", "placebo", "other"])[rng.integers(0, 3, 120)]
    value = rng.gamma(3.0, size=120) + (arm == "treated")
    with open("trial.csv", "w") as file:
        file.write("arm,value,unit,site\n")
        for i in range(120):
            file.write(f"{arm[i]},{float(value[i])!r},{i // 5},{'NS'[i % 2]}\n")
        file.write(",1,1,N\ntreated,,1,N\n")
    return arm, value


def test_gaps_among_neighbours_are_said(trial, capsys):
    lines = told(capsys, "trial.csv", "--column", "value", "--blocks", "3", *QUICK)
    assert "1 rows with missing values are not there" in lines["look"]
    assert "look" not in told(capsys, "trial.csv", "--column", "unit", "--blocks", "3", *QUICK)


def by_appearance(labels):
    """Numbers in the order in which the command meets the labels."""
    known = list(dict.fromkeys(labels.tolist()))
    return [known.index(label) for label in labels.tolist()]


@pytest.mark.parametrize("how", ["difference", "ratio"])
@pytest.mark.parametrize("name", ONE_COLUMN)
def test_two_groups(trial, capsys, name, how):
    arm, value = trial
    words = ["--statistic", name, "--by", "arm", "--groups", "treated,placebo", "--compare", how]
    lines = told(capsys, "trial.csv", "--column", "value", *words, *QUICK)
    groups = [value[arm == one] for one in ("treated", "placebo")]
    of_one = {"trimmed_mean": lambda x: stats.trim_mean(x, 0.1)}.get(name) or getattr(np, name)
    one, two = map(of_one, groups)
    wanted = one - two if how == "difference" else one / two
    assert float(lines["observed"]) == pytest.approx(wanted, rel=5e-6)
    assert lines["groups"] == f"treated: {len(groups[0])} rows, placebo: {len(groups[1])} rows"
    assert lines["data"].endswith("120 rows used, 2 dropped for missing values")
    between = "minus" if how == "difference" else "over"
    assert lines["statistic"].endswith(f"of value, treated {between} placebo")


def test_groups_are_resampled_each_by_itself(trial, capsys):
    arm, value = trial
    groups = tuple(value[arm == one] for one in ("placebo", "treated"))
    words = ["--column", "value", "--by", "arm", "--groups", "placebo,treated", "--method", "basic"]
    for extra, statistic in (
        ([], lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis)),
        (
            ["--quantile", "0.3", "--compare", "ratio"],
            lambda x, y, axis: np.quantile(x, 0.3, axis=axis) / np.quantile(y, 0.3, axis=axis),
        ),
    ):
        lines = told(capsys, "trial.csv", *words, *extra, *QUICK)
        wanted = stats.bootstrap(
            groups, statistic, n_resamples=99, method="basic", rng=np.random.default_rng(0)
        )
        np.testing.assert_allclose(ends(lines), wanted.confidence_interval, rtol=1e-4)


@pytest.mark.parametrize(
    ("words", "scheme", "drawn"),
    [
        (
            ["--blocks", "7"],
            lambda t: schemes.CircularBlocks(7),
            "in blocks of 7 neighbouring rows",
        ),
        (["--blocks", "auto"], lambda t: schemes.CircularBlocks(), "(chosen from the data)"),
        (
            ["--clusters", "unit"],
            lambda t: schemes.Clusters(np.arange(120) // 5),
            "24 of them in unit",
        ),
        (
            ["--strata", "arm"],
            lambda t: schemes.Stratified(by_appearance(t[0])),
            "within strata, 3 of them in arm",
        ),
    ],
)
def test_rows_that_are_not_independent(trial, capsys, words, scheme, drawn):
    with open("trial.csv") as file:
        whole = file.readlines()[:-2]
    with open("whole.csv", "w") as file:
        file.writelines(whole)
    lines = told(capsys, "whole.csv", "--column", "value", *words, *QUICK)
    assert drawn in lines["drawn"]
    wanted = fastkb.bootstrap((trial[1],), "mean", n_resamples=99, rng=0, scheme=scheme(trial))
    np.testing.assert_allclose(ends(lines), wanted.confidence_interval, rtol=5e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
def test_every_method_and_alternative(capsys, method, alternative):
    words = ["--method", method, "--alternative", alternative]
    lines = told(capsys, "--column", "bp", *words, *QUICK)
    wanted = fastkb.bootstrap(
        (diabetes("bp"),), "mean", n_resamples=99, method=method, alternative=alternative, rng=0
    )
    np.testing.assert_allclose(ends(lines), wanted.confidence_interval, rtol=5e-6)


def test_json(trial, capsys):
    words = ["trial.csv", "--column", "value", "--by", "arm", "--groups", "other,treated"]
    lines = told(capsys, *words, *QUICK)
    assert main(["ci", *words, *QUICK, "--json", "--out", "ci.png"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert shown.err == ""
    assert (found["low"], found["high"]) == pytest.approx(ends(lines), rel=5e-6)
    assert (found["rows"], found["dropped"], found["resamples"]) == (120, 2, 99)
    assert found["method"] == "bca"
    assert list(found["groups"]) == ["other", "treated"]
    assert found["look"] is found["drawn"] is None
    assert main(["ci", "--alternative", "less", "--json", *QUICK]) == 0
    assert json.loads(capsys.readouterr().out)["low"] is None


def test_mistakes_of_groups(trial, capsys):
    def wrong(*words):
        return fails(capsys, "trial.csv", "--column", "value", *words)

    assert "expected two groups, got 3 (" in wrong("--by", "arm")
    assert "has no 'treatd'; it has" in wrong("--by", "arm", "--groups", "treatd,placebo")
    assert "got 1 ('other')" in wrong("--by", "arm", "--groups", "other")
    assert "name their column with --by" in wrong("--groups", "a,b")
    assert "name their column with --by" in wrong("--compare", "ratio")
    assert "--statistic pearson takes two columns, and --by" in wrong(
        "--by", "arm", "--statistic", "pearson"
    )
    assert "--strata does not go with it" in wrong("--by", "arm", "--strata", "site")
    assert "--method studentized draws row by row" in wrong(
        "--blocks", "auto", "--method", "studentized"
    )
    assert "expected auto or a whole number" in wrong("--blocks", "long")
    assert "length" in wrong("--blocks", "5000")
    assert "column 'arm' is in both --column and --by" in fails(
        capsys, "trial.csv", "--column", "arm", "--by", "arm"
    )


def test_resamples_without_a_correlation_are_counted(capsys):
    with open("few.csv", "w") as file:
        file.write("x,y\n1,2\n1,3\n1,1\n1,5\n2,7\n")
    words = ["few.csv", "--column", "x", "--paired", "y", "--statistic", "pearson"]
    lines = told(capsys, *words, "--out", "ci.png")
    assert "resamples have no finite Pearson correlation" in lines["look"]
    assert lines["observed"] == "0.789205"


# --- mistakes -------------------------------------------------------------------------------------


def fails(capsys, *words):
    before = sorted(os.listdir())
    assert main(["ci", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("fastkb: ")
    assert shown.err.count("\n") == 1
    assert sorted(os.listdir()) == before, "a file was left behind"
    return shown.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--column is needed with"),
        (["--column", "sise"], "no column 'sise'; the closest names are size"),
        (["--column", "town"], "line 2, column 'town': expected a number, got 'Oslo'"),
        (["--column", "country"], "column 'country' is constant"),
        (["--column", "size", "--out", "no/ci.png"], "no such folder: no"),
        (["--column", "size", "--out", "ci.txt"], "expected a name ending in .png"),
        (["--column", "town", "--out", "ci.png"], "expected a number"),
        (["--column", "size", "--statistic", "pearson"], "name the other with --paired"),
        (["--column", "size", "--paired", "age"], "--paired: mean takes one column"),
        (["--column", "size", "--paired", "age", "--quantile", "0.5"], "a quantile takes one"),
        (
            ["--column", "size", "--paired", "size", "--statistic", "pearson"],
            "column 'size' is in both --column and --paired",
        ),
        (["--column", "size", "--paired", "", "--statistic", "pearson"], "--paired is needed"),
        (["--column", "size", "--level", "95"], "did you mean 0.95?"),
    ],
)
def test_mistakes(data, capsys, words, message):
    assert message in fails(capsys, data, *words)


def test_two_columns_of_the_default_data_need_a_name(capsys):
    assert "--paired is needed" in fails(capsys, "--paired", "", "--statistic", "mean_ratio")


def test_the_data_are_not_overwritten(capsys):
    with open("data.png", "w") as file:
        file.write("x\n1\n2\n3\n4\n5\n")
    message = fails(capsys, "data.png", "--column", "x", "--out", "./data.png")
    assert "would overwrite the data" in message


def test_numbers_that_cannot_be_computed_with(capsys):
    with open("wide.csv", "w") as file:
        file.write("x\n" + "".join(f"{(-1) ** i * 1.5e308}\n" for i in range(6)))
    assert "column 'x' has values too large" in fails(capsys, "wide.csv", "--column", "x")


def test_a_ratio_over_zero(capsys):
    with open("zero.csv", "w") as file:
        file.write("x,y\n" + "".join(f"{i},{i - 3}\n" for i in range(7)))
    words = ["zero.csv", "--column", "x", "--paired", "y", "--statistic", "mean_ratio"]
    assert "the ratio of the means of x over y is inf" in fails(capsys, *words)


def test_no_resample_with_a_number(monkeypatch, capsys):
    real = fastkb.bootstrap

    def nothing(*arguments, **values):
        result = real(*arguments, **values)
        result.bootstrap_distribution[:] = np.nan
        return result

    monkeypatch.setattr(confidence, "bootstrap", nothing)
    assert "no resample has a finite mean" in fails(capsys, "--out", "ci.png", *QUICK)


def test_existing_files_survive_a_failure(data, capsys):
    with open("ci.png", "w") as file:
        file.write("precious")
    fails(capsys, data, "--column", "town", "--out", "ci.png")
    with open("ci.png") as file:
        assert file.read() == "precious"


def test_control_c_leaves_no_file(monkeypatch, capsys):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(confidence, "bootstrap", interrupted)
    assert main(["ci", "--out", "ci.png"]) == 130
    assert capsys.readouterr().err == "fastkb: interrupted\n"
    assert not os.listdir()


def test_matplotlib_is_needed_for_the_picture_only(monkeypatch, capsys):
    real = builtins.__import__

    def no_matplotlib(name, *arguments, **options):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    assert "observed" in told(capsys, *QUICK)
    assert "pip install 'fastkb[cli]'" in fails(capsys, "--out", "ci.png")

import pytest

from fastkb.cli.errors import CommandError
from fastkb.cli.parser import build_parser


def parse(*words):
    return build_parser().parse_args(words)


def test_defaults():
    options = parse("band")
    assert (options.data, options.x, options.y) == (None, None, None)
    assert (options.kernel, options.sigma, options.alpha) == ("rbf", None, None)
    assert (options.resamples, options.level, options.grid, options.seed) == (1000, 0.9, 200, 0)
    assert (options.out, options.csv, options.quiet) == ("band.png", "band.csv", False)


def test_defaults_of_ci():
    options = parse("ci")
    assert (options.data, options.column, options.paired) == (None, None, None)
    assert (options.statistic, options.quantile, options.method) == ("mean", None, "bca")
    assert (options.resamples, options.level, options.seed) == (9999, 0.95, 0)
    assert (options.out, options.quiet) == (None, False)


def test_every_option_of_ci_is_read():
    words = """ci a.csv --column p --paired q --statistic pearson --method basic --resamples 50
        --level 0.9 --out o.pdf --seed 7 --quiet"""
    options = parse(*words.split())
    assert (options.data, options.column, options.paired) == ("a.csv", "p", "q")
    assert (options.statistic, options.method) == ("pearson", "basic")
    assert (options.resamples, options.level, options.seed) == (50, 0.9, 7)
    assert (options.out, options.quiet) == ("o.pdf", True)
    assert parse("ci", "--quantile", "0.25").quantile == 0.25


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--statistic", "meen"], "invalid choice: 'meen'"),
        (["--method", "student"], "invalid choice: 'student'"),
        (["--quantile", "90"], "between 0 and 1, got '90' (did you mean 0.9?)"),
        (["--quantile", "0.9", "--statistic", "std"], "not allowed with argument"),
        (["--resamples", str(2**32)], "--resamples: expected a number below 2**32"),
    ],
)
def test_mistakes_of_ci_are_named(words, message):
    with pytest.raises(CommandError) as caught:
        parse("ci", *words)
    assert message in str(caught.value)
    assert "(see fastkb" in str(caught.value)


def test_every_option_is_read():
    words = """band a.csv --x p,q --y r --kernel laplacian --sigma 2.5 --alpha 1e-3 --resamples 50
        --level 0.95 --grid 30 --out o.pdf --csv o.csv --seed 7 --quiet"""
    options = parse(*words.split())
    assert (options.data, options.x, options.y) == ("a.csv", "p,q", "r")
    assert (options.kernel, options.sigma, options.alpha) == ("laplacian", 2.5, 1e-3)
    assert (options.resamples, options.level, options.grid, options.seed) == (50, 0.95, 30, 7)
    assert (options.out, options.csv, options.quiet) == ("o.pdf", "o.csv", True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sigma", "0"], "argument --sigma: expected a number above 0, got '0'"),
        (["--sigma", "wide"], "argument --sigma: expected a number above 0, got 'wide'"),
        (["--sigma", "inf"], "argument --sigma: expected a number above 0, got 'inf'"),
        (["--alpha", "-1"], "argument --alpha: expected a number above 0, got '-1'"),
        (["--alpha", "nan"], "argument --alpha: expected a number above 0, got 'nan'"),
        (["--resamples", "1"], "--resamples: expected a whole number of at least 2, got '1'"),
        (["--resamples", "1e3"], "--resamples: expected a whole number of at least 2, got '1e3'"),
        (["--resamples", "9" * 20], "--resamples: expected a number below 2**32"),
        (["--grid", "-4"], "--grid: expected a whole number of at least 2, got '-4'"),
        (["--seed", "-1"], "--seed: expected a whole number of at least 0, got '-1'"),
        (["--level", "90"], "between 0 and 1, got '90' (did you mean 0.9?)"),
        (["--level", "1"], "between 0 and 1, got '1'"),
        (["--level", "0"], "between 0 and 1, got '0'"),
        (["--level", "high"], "between 0 and 1, got 'high'"),
        (["--kernel", "gauss"], "invalid choice: 'gauss'"),
        (["--colour", "red"], "unrecognized arguments: --colour"),
    ],
)
def test_bad_numbers_and_words_are_named(words, message):
    with pytest.raises(CommandError) as caught:
        parse("band", *words)
    assert message in str(caught.value)
    assert "(see fastkb" in str(caught.value)


def test_no_command_shows_the_help(capsys):
    options = parse()
    options.run(options)
    assert "fastkb band" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["--help"], ["band", "--help"], ["ci", "--help"], ["warmup", "--help"]]
)
def test_help_exits_cleanly(words, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(*words)
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "usage: fastkb" in shown
    assert ("examples:" in shown) is (words[0] in ("band", "ci"))
    if words[0] == "band":
        assert "--x bmi,bp" in shown

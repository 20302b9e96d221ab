"""The study of test accuracies: pairs, their table, and a file where one was asked for."""

import functools
import json
import math

import pytest

from bench import accuracy
from bench.__main__ import main
from bench.rivals import SKLEARN
from bench.work import FASTKB


def test_a_small_study_and_its_file(tmp_path, monkeypatch, capsys):
    short = functools.cache(functools.partial(accuracy.accuracies, max_iter=10))
    monkeypatch.setattr(accuracy, "accuracies", short)
    monkeypatch.setattr(accuracy, "RESULTS", tmp_path / "results")

    assert main(["accuracy", "--seeds", "2"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| float64", "| float32"]
    assert not list(tmp_path.iterdir())

    assert main(["accuracy", "--seeds", "2", "--save"]) == 0

    printed = capsys.readouterr().out.splitlines()
    assert printed[:4] == lines
    (path,) = (tmp_path / "results").iterdir()
    assert printed[4:] == [f"written: {path.name}"]
    written = json.loads(path.read_text(encoding="utf-8"))
    assert {"processor", "packages"} <= set(written["machine"])
    assert set(written["accuracies"]) == {"float64", "float32"}
    for found in written["accuracies"].values():
        assert set(found) == {FASTKB, SKLEARN}
        for values in found.values():
            assert len(values) == 2
            # Ten digits are guessed right one time in ten; a quarter of 1797 are counted.
            assert all(0.5 < value <= 1 for value in values)
            assert all(math.isclose(450 * value, round(450 * value)) for value in values)


def test_the_table_is_of_means_and_of_errors_of_pairs():
    row = {FASTKB: [0.90, 0.96, 0.93], SKLEARN: [0.89, 0.95, 0.92]}
    last = accuracy.table({"float64": row}).splitlines()[-1]
    # The standard deviation of 90, 96 and 93 is 3; all pairs differ by 1.
    assert last == "| float64 | 93.00 ± 1.73% | 92.00 ± 1.73% | +1.00 ± 0.00% |"


def test_one_seed_has_no_standard_error(capsys):
    assert main(["accuracy", "--seeds", "1"]) == 2
    assert "--seeds must be at least 2" in capsys.readouterr().err
    with pytest.raises(ValueError, match="got 0"):
        accuracy.accuracy(0, False)

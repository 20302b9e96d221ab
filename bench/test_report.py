"""The registry, the table, and a report from end to end."""

import json
import socket
from pathlib import Path

import pytest

import bench.ceilings
from bench import bounds, registry, report, table
from bench.gram import Gram
from bench.network import Step
from bench.perceptron import Fit, Predict
from bench.run import Measured, Row
from bench.work import FASTKB

# --- the registry -------------------------------------------------------------------------------


def test_names_are_unique_and_select():
    names = [work.name for work in registry.works()]
    assert len(set(names)) == len(names)
    assert registry.MEMORY_BAND in names
    assert [w.name for w in registry.works([registry.MEMORY_BAND])] == [registry.MEMORY_BAND]
    assert {w.group for w in registry.works(["band"])} == {"Bootstrap band"}
    assert {w.group for w in registry.works(["ci"])} == {"Bootstrap interval"}
    d2 = registry.works(["rbf-n4000-d2"])
    assert [w.d for w in d2] == [2], "d200 does not start with the words of d2"
    assert len(registry.works(["rbf-*", "rbf-n4000-d2"])) == len(registry.works(["rbf-*"]))
    with pytest.raises(ValueError, match="no work is called 'nothing'"):
        registry.works(["nothing"])


def test_quick_works_are_the_same_works_on_fewer_rows():
    for work, quick in zip(registry.works(), registry.works(quick=True), strict=True):
        assert (quick.group, quick.rivals) == (work.group, work.rivals)
        assert [getattr(quick, name, None) for name in ("d", "statistic", "method")] == [
            getattr(work, name, None) for name in ("d", "statistic", "method")
        ]
        if isinstance(work, Fit):
            assert (quick.dtype, quick.epochs) == (work.dtype, registry.QUICK_EPOCHS)
        elif isinstance(work, Predict):
            assert quick == work
        elif isinstance(work, Step):
            assert (quick.widths, quick.batch) == (work.widths, work.batch)
            assert quick.steps <= registry.QUICK_STEPS
            assert quick.epochs <= registry.QUICK_EPOCHS
        else:
            assert quick.n <= min(work.n, registry.QUICK_N)


# --- what is written ----------------------------------------------------------------------------


def some_row():
    return Row(
        name="w",
        group="Works",
        title="a work",
        measured={
            FASTKB: Measured([0.010, 0.011, 0.5]),
            "half": Measured([0.055] * 3, scale=2.0, disagreement=0.2, part="1 of 2 halves"),
            "wrong": Measured([1.0] * 3, disagreement=7.0),
        },
        absent={"gone": "gone is not installed"},
        find_bound=lambda _: None,
        bound=bounds.Bound(0.0055, "write", {}),
    )


def test_a_row_reads_as_it_was_measured():
    lines = table.markdown([some_row()]).splitlines()
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells == [
        "a work", "**11 ms**", "110 ms (10.0 ×)", "disagrees", "absent", "50% (write)",
    ]  # fmt: skip
    notes = table.notes([some_row()])
    assert any(note.startswith("half ") and "1 of 2 halves (w)" in note for note in notes)
    assert any("wrong differs from fastkb by 7 tolerances" in note for note in notes)
    assert "gone is not installed." in notes


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.34, "12.3 s"), (0.1234, "123 ms"), (0.01, "10 ms"), (5e-5, "50 µs")]
)
def test_durations_have_three_digits(seconds, text):
    assert table.duration(seconds) == text


def test_only_what_is_between_the_markers_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    for _ in range(2):
        table.write_between_markers(page, r"new \1")
        wanted = f"before\n{table.BEGIN}\nnew \\1\n{table.END}\nafter\n"
        assert page.read_text(encoding="utf-8") == wanted


@pytest.mark.parametrize("text", ["", table.BEGIN, f"{table.END}{table.BEGIN}", table.BEGIN * 2])
def test_a_page_without_its_markers_is_refused(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md must hold"):
        table.write_between_markers(page, "new")
    assert page.read_text(encoding="utf-8") == text


def test_a_report_writes_its_table_and_its_raw_figures(tmp_path, monkeypatch, capsys, ceilings):
    monkeypatch.setattr(registry, "GRAMS", (Gram("linear", 60, 3), Gram("linear", 60, 3, out=True)))
    monkeypatch.setattr(registry, "BANDS", ())
    monkeypatch.setattr(registry, "INTERVALS", ())
    monkeypatch.setattr(registry, "STEPS", ())
    monkeypatch.setattr(registry, "PERCEPTRONS", ())
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(bench.ceilings, "measure", lambda: ceilings(1e9))
    monkeypatch.setattr(report, "BUDGET", 0.0)
    page = tmp_path / "README.md"
    page.write_text(f"{table.BEGIN}{table.END}", encoding="utf-8")

    assert report.report(report.Options(readme=True, threads=1)) == 0

    (raw,) = (tmp_path / "results").iterdir()
    text = raw.read_text(encoding="utf-8")
    figures = json.loads(text)
    assert [work["name"] for work in figures["works"]] == ["linear-n60-d3", "linear-n60-d3-out"]
    for work in figures["works"]:
        assert work["contenders"][FASTKB]["seconds"]
        assert work["fraction of ceiling"] > 0
        assert set(work["contenders"]) | set(work["absent"]) >= {FASTKB, "scikit-learn", "NumPy"}
    assert {"processor", "threads", "packages"} <= set(figures["machine"])
    for private in (socket.gethostname(), str(Path.home()), str(tmp_path)):
        assert len(private) < 3 or private not in text
    written = page.read_text(encoding="utf-8")
    assert "| linear, float64, n = 60, d = 3 | **" in written
    assert f"results/{raw.name}" in written
    table_lines = [line for line in written.splitlines() if line.startswith("| ")]
    assert len(table_lines) == 4
    assert set(table_lines) <= set(capsys.readouterr().out.splitlines())


def test_the_readme_takes_whole_reports_only():
    with pytest.raises(ValueError, match="--readme takes the whole report"):
        report.report(report.Options(quick=True, readme=True))

"""The registry, the table, and a report from end to end."""

import json
import socket
from pathlib import Path

import pytest

import bench.ceilings
from bench import bounds, kept, registry, report, table
from bench.gram import Gram
from bench.images import ImageForward, ImageStep
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
        elif isinstance(work, ImageStep):
            assert (quick.architecture, quick.batch) == (work.architecture, work.batch)
            assert quick.steps == registry.QUICK_STEPS
        elif isinstance(work, Predict | ImageForward):
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


def test_a_report_keeps_its_figures_and_writes_the_pages(tmp_path, monkeypatch, ceilings):
    monkeypatch.setattr(registry, "GRAMS", (Gram("linear", 60, 3), Gram("linear", 60, 3, out=True)))
    monkeypatch.setattr(registry, "BANDS", ())
    monkeypatch.setattr(registry, "INTERVALS", ())
    monkeypatch.setattr(registry, "STEPS", ())
    monkeypatch.setattr(registry, "IMAGES", ())
    monkeypatch.setattr(registry, "PERCEPTRONS", ())
    monkeypatch.setattr(registry, "SCHEMES", ())
    monkeypatch.setattr(registry, "PANELS", ())
    monkeypatch.setattr(registry, "PRODUCTS", ())
    monkeypatch.setattr(registry, "KINDS", ())
    monkeypatch.setattr(registry, "MACHINES", ())
    monkeypatch.setattr(registry, "SHOWN", ("linear-n60-d3",))
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setattr(kept, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(bench.ceilings, "measure", lambda: ceilings(1e9))
    monkeypatch.setattr(report, "BUDGET", 0.0)
    pages = [tmp_path / "README.md", tmp_path / "docs" / "benchmarks.md"]
    pages[1].parent.mkdir()
    for page in pages:
        page.write_text(f"{table.BEGIN}{table.END}", encoding="utf-8")
    device = tmp_path / "docs" / "cuda.md"
    device.write_text("\n".join(table.markers("gpu")), encoding="utf-8")

    assert report.report(report.Options(save=True, threads=1)) == 0

    (raw,) = (tmp_path / "results").iterdir()
    text = raw.read_text(encoding="utf-8")
    figures = json.loads(text)
    assert list(figures["works"]) == ["linear-n60-d3", "linear-n60-d3-out"]
    for work in figures["works"].values():
        assert work["contenders"][FASTKB]["seconds"]
        assert work["fraction of ceiling"] > 0
        assert set(work["contenders"]) | set(work["absent"]) >= {FASTKB, "scikit-learn", "NumPy"}
    assert {"processor", "threads", "packages"} <= set(figures["machine"])
    for private in (socket.gethostname(), str(Path.home()), str(tmp_path)):
        assert len(private) < 3 or private not in text

    # Another processor, on which everything took twice as long, and scikit-learn four times.
    for work in figures["works"].values():
        for name, contender in work["contenders"].items():
            factor = 4 if name == "scikit-learn" else 2
            contender["seconds"] = [factor * second for second in contender["seconds"]]
        work["date"] = "2020-01-01"
    figures["machine"]["processor"] = "Another"
    raw.with_name("processor-another.json").write_text(json.dumps(figures), encoding="utf-8")
    assert report.write_pages() == 0
    short, full = (page.read_text(encoding="utf-8") for page in pages)
    assert "not measured" in device.read_text(encoding="utf-8")
    (line,) = (line for line in short.splitlines() if "linear, float64" in line)
    assert line.startswith("| Gram matrix: linear, float64, n = 60, d = 3 | **")
    assert " to " in line
    assert "Another" in short
    assert "2020-01-01" in short
    assert (
        sum(line.startswith("| linear, float64, n = 60, d = 3") for line in full.splitlines()) == 2
    )
    assert "Ceilings measured in the same run" in full


def test_a_rival_that_was_measured_elsewhere_alone_is_named():
    here, there = some_row(), some_row()
    there.measured["quicker"] = there.measured.pop("half")
    others = [{there.name: there}]
    line = table.short([here], others).splitlines()[2]
    assert "; elsewhere quicker |" in line
    heading, _, line = table.markdown([here], others).strip().splitlines()[-3:]
    assert "| quicker |" in heading
    assert "| elsewhere " in line


def test_a_row_is_kept_as_soon_as_it_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "RESULTS", tmp_path)
    machine = {"processor": "Some CPU", "instruction set": "x, vectors of 256 bits", "threads": "2"}
    first = kept.Kept.of(machine)
    first.put(some_row(), "2026-01-02")
    again = kept.Kept.of(machine)
    assert again.path.name == "processor-some-cpu-x-256-bits-2-threads.json"
    (row,) = again.rows().values()
    assert row.as_dict() == some_row().as_dict()
    again.put(some_row(), "2026-01-03")
    assert kept.Kept(again.path).dates == ["2026-01-03"]
    assert [one.path for one in kept.all_kept()] == [again.path]
    assert not list(tmp_path.glob("*.part"))


def test_pages_need_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "RESULTS", tmp_path)
    with pytest.raises(ValueError, match="no figures are kept"):
        report.write_pages()
    kept.Kept.of({"processor": "x", "instruction set": "y", "threads": "1"}).put(
        some_row(), "2026-01-02"
    )
    with pytest.raises(ValueError, match="has no figures of rbf-n4000-d10"):
        report.write_pages()


def test_the_readme_shows_twenty_rows_at_most():
    assert len(registry.SHOWN) <= 20
    assert set(registry.SHOWN) <= {work.name for work in registry.works()}


def test_figures_of_a_quick_run_are_not_kept():
    with pytest.raises(ValueError, match="--save keeps figures"):
        report.report(report.Options(quick=True, save=True))

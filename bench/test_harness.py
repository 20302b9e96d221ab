"""The harness itself: what it times, when it calls results equal, what it writes."""

import gc
import json
import math
import socket
from pathlib import Path

import numpy as np
import pytest

import bench.ceilings
from bench import agreement, bounds, machine, registry, report, table, timing
from bench.band import Band
from bench.ceilings import Ceilings
from bench.gram import Gram
from bench.rivals import GRAM_RIVALS, REFIT, joblib_refit, refit_chunk, stop_processes
from bench.run import Measured, Row, run
from bench.work import FASTKB, Absent, Contender

KERNELS = ("linear", "polynomial", "sigmoid", "rbf", "laplacian")
SMALL_BAND = Band(
    n=60, d=1, sigma=0.2, alpha=1e-2, timed_refits=4, n_resamples=12, n_eval=7, processes=1
)


# --- agreement ----------------------------------------------------------------------------------


@pytest.mark.parametrize("two", [False, True], ids=["X", "XY"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_all_rivals_agree_and_a_wrong_result_does_not(kernel, dtype, two):
    work = Gram(kernel, n=60, d=7, dtype=dtype, two=two)
    ours = work.fastkb().call()
    for name in work.rivals:
        rival = work.rival(name)
        if isinstance(rival, Absent):
            continue
        theirs = np.asarray(rival.call())
        if theirs.dtype != ours.dtype:  # scikit-learn's Laplacian widens float32: another work
            assert work.disagreement(ours, theirs) == math.inf
            continue
        assert work.disagreement(ours, theirs) <= 1.0, name
        # Ten tolerances off in one entry, another dtype, another shape, NaN: none may pass.
        X, Y = work.data
        allowed = agreement.gram_tolerance(work.parameters, ours, X, X if Y is None else Y)
        wrong = theirs.copy()
        wrong[3, 5] = ours[3, 5] + 10 * allowed[3, 5]
        assert work.disagreement(ours, wrong) == pytest.approx(10, rel=0.1)
        wrong[3, 5] = np.nan
        assert work.disagreement(ours, wrong) == math.inf
        assert work.disagreement(ours, theirs[:-1]) == math.inf
        assert work.disagreement(ours, theirs.astype(np.float16)) == math.inf


def test_an_infinite_result_never_agrees():
    ours = np.full((2, 2), np.inf)
    X = np.ones((2, 3))
    p = agreement.GramParameters("linear", gamma=1.0)
    assert agreement.gram_disagreement(p, ours, ours, X, X) == math.inf


def test_rival_bands_are_refits_on_fastkbs_own_resamples():
    rows = SMALL_BAND.resampled_rows()
    assert rows.shape == (4, 60)
    theirs = SMALL_BAND.rival(REFIT).call()
    X, y, X_eval = SMALL_BAND.data
    plain = refit_chunk(X, y, X_eval, rows, SMALL_BAND.alpha, SMALL_BAND.gamma)
    np.testing.assert_array_equal(theirs, plain)


def test_the_band_agrees_with_refits_and_not_with_others():
    ours = SMALL_BAND.fastkb().call()
    theirs = SMALL_BAND.rival(REFIT).call()
    assert SMALL_BAND.disagreement(ours, theirs) <= 1.0
    assert SMALL_BAND.disagreement(ours, theirs[::-1]) > 1.0
    assert SMALL_BAND.disagreement(ours, theirs * np.nan) == math.inf


def test_processes_change_no_prediction():
    rows = SMALL_BAND.resampled_rows()
    arguments = (tuple(SMALL_BAND.data), rows, SMALL_BAND.alpha, SMALL_BAND.gamma)
    try:
        np.testing.assert_array_equal(joblib_refit(*arguments, 1)(), joblib_refit(*arguments, 2)())
    finally:
        stop_processes()


# --- timing -------------------------------------------------------------------------------------


def test_contenders_alternate_and_the_order_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    long_enough = dict.fromkeys("abc", timing.WOKEN_BELOW)  # one call is one sample
    samples = timing.interleave(calls, long_enough, rounds=3)
    assert order == list("abcbcacab")
    assert {name: len(seconds) for name, seconds in samples.items()} == {"a": 3, "b": 3, "c": 3}


def test_garbage_is_not_collected_while_timing():
    seen = []
    timing.interleave({"a": lambda: seen.append(gc.isenabled())}, {"a": 1.0}, rounds=2)
    assert seen == [False, False]
    assert gc.isenabled()


def test_short_calls_are_repeated_until_the_clock_can_tell():
    assert timing.repeats_for(1.0) == 1
    assert timing.repeats_for(timing.SHORTEST_SAMPLE / 10) == 10
    assert timing.rounds_for([100.0, 100.0], budget=1.0) == timing.FEWEST
    assert timing.rounds_for([1e-6], budget=1e6) == timing.MOST


def test_others_use_what_is_busy_and_not_our_own():
    before, after = machine.Usage(100, 40, 10), machine.Usage(120, 55, 20)
    assert machine.others_fraction(before, after) == pytest.approx(5 / 20)
    assert machine.others_fraction(None, after) is None
    assert "WARNING" in machine.busy_in_words({"load average before": 0.1, "during": 0.5})
    assert "WARNING" not in machine.busy_in_words({"load average before": 0.1, "during": 0.01})


def test_a_run_times_everybody_and_reports_who_is_absent():
    class Work:
        name, group, title, rivals = "w", "g", "t", ("right", "wrong", "missing")

        def fastkb(self):
            return Contender(FASTKB, lambda: 1.0)

        def rival(self, name):
            if name == "missing":
                return Absent(name, "it is not installed")
            return Contender(name, lambda: 1.0 if name == "right" else 2.0, scale=50.0)

        def disagreement(self, ours, theirs):
            return abs(ours - theirs) / 0.5

        def facts(self, ours):
            return ours

        def bound(self, ceilings, facts):
            return bounds.Bound(ceilings * facts, "test", {})

    row = run(Work(), budget=0.0)
    assert set(row.measured) == {FASTKB, "right", "wrong"}
    assert all(len(m.seconds) == timing.FEWEST for m in row.measured.values())
    assert row.measured["right"].median == 50 * timing.median(row.measured["right"].seconds)
    assert row.ratio("right") == row.measured["right"].median / row.fastkb
    assert row.ratio("wrong") is None
    assert row.absent == {"missing": "it is not installed"}
    assert row.find_bound(3.0).seconds == 3.0


# --- bounds -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "limit", "seconds"),
    [
        ((1.0, 1e-9, 1e12), "write", 100 * 8),
        ((1e12, 1.0, 1e12), "epilogue", 55),
        ((1e12, 1e-9, 1.0), "multiply", 55 * 2 * 3),
    ],
)
def test_the_slowest_part_bounds_a_gram_matrix_and_symmetry_halves_all_but_the_write(
    rates, limit, seconds
):
    symmetric = bounds.gram_bound((10, 10, 3), True, 8, *rates)
    assert (symmetric.limit, symmetric.seconds) == (limit, seconds)
    whole = bounds.gram_bound((10, 10, 3), False, 8, *rates)
    assert whole.seconds == seconds * (1 if limit == "write" else 100 / 55)


def test_band_flops_of_each_solver():
    n, q, r = 1000, 200, 20
    u = n * (1 - np.exp(-1))
    cholesky = u**3 / 3 + 2 * u**2 + 2 * q * u
    lowrank = u * r**2 + 2 * u * r + r**3 / 3 + 2 * r**2 + 2 * q * r
    for rank, n_exact, expected in (
        (None, 0, 50 * cholesky),
        (r, 0, 50 * lowrank + (n + q) * r**2),
        (r, 5, 5 * cholesky + 45 * lowrank + (n + q) * r**2),
    ):
        figures = bounds.BandFigures(50, "some", rank, n_exact)
        assert bounds.band_bound(n, q, figures, 1.0).seconds == pytest.approx(expected)


def ceilings(rate):
    return Ceilings(
        threads=1,
        write_existing=rate,
        write_fresh=rate / 2,
        epilogues={"rbf float64": 1 / rate},
        blas={"float64": rate, "float32": 2 * rate},
        micro_kernel={
            "dot float64": 2 * rate,
            "dot float32": 4 * rate,
            "absdiff float64": rate / 4,
        },
    )


def test_the_better_of_two_measurements_counts():
    assert ceilings(1.0).best_with(ceilings(2.0)) == ceilings(2.0)
    assert ceilings(2.0).best_with(ceilings(1.0)) == ceilings(2.0)


def test_works_find_their_ceilings():
    c = ceilings(1.0)
    assert c.flop_rate("float64", "gemm") == 2.0
    assert c.epilogue("linear", "float64") == 0.0
    rbf, laplacian = Gram("rbf", 10, 1000), Gram("laplacian", 10, 1000)
    assert laplacian.bound(c, None).seconds == 8 * rbf.bound(c, None).seconds
    assert Gram("rbf", 10, 1).bound(c, None).seconds == 100 * 8 / 0.5
    assert Gram("rbf", 10, 1, out=True).bound(c, None).seconds == 100 * 8 / 1.0


# --- the registry -------------------------------------------------------------------------------


def test_names_are_unique_and_select():
    names = [work.name for work in registry.works()]
    assert len(set(names)) == len(names)
    assert registry.MEMORY_BAND in names
    assert [w.name for w in registry.works([registry.MEMORY_BAND])] == [registry.MEMORY_BAND]
    assert {w.group for w in registry.works(["band"])} == {"Bootstrap band"}
    d2 = registry.works(["rbf-n4000-d2"])
    assert [w.d for w in d2] == [2], "d200 does not start with the words of d2"
    assert len(registry.works(["rbf-*", "rbf-n4000-d2"])) == len(registry.works(["rbf-*"]))
    with pytest.raises(ValueError, match="no work is called 'nothing'"):
        registry.works(["nothing"])


def test_quick_works_are_the_same_works_on_fewer_rows():
    for work, quick in zip(registry.works(), registry.works(quick=True), strict=True):
        assert (quick.group, quick.rivals, quick.d) == (work.group, work.rivals, work.d)
        assert quick.n <= min(work.n, registry.QUICK_N)


def test_every_kernel_of_a_rival_is_registered():
    assert set().union(*(kernels for _, kernels in GRAM_RIVALS.values())) == set(KERNELS)


# --- what is written ----------------------------------------------------------------------------


def some_row():
    return Row(
        name="w",
        group="Works",
        title="a work",
        measured={
            FASTKB: Measured([0.010, 0.011, 0.5]),
            "half": Measured([0.055] * 3, scale=2.0, disagreement=0.2, note="timed on a half"),
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
    assert "w: half timed on a half" in notes
    assert any("wrong differs from fastkb by 7 tolerances" in note for note in notes)
    assert "gone: gone is not installed" in notes


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


def test_a_report_writes_its_table_and_its_raw_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(registry, "GRAMS", (Gram("linear", 60, 3), Gram("linear", 60, 3, out=True)))
    monkeypatch.setattr(registry, "BANDS", ())
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

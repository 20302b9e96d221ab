"""``python -m bench report``: run works, print a table, keep figures; ``bench table``: write pages."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import machine, memory, registry, startup, table
from bench.bootstrap import Interval
from bench.kept import ROOT, Kept, all_kept
from bench.panel import PanelIntervals
from bench.rivals import SKLEARN, stop_processes
from bench.run import Row, run_all
from bench.schemes import SchemeInterval
from bench.work import Work

# Seconds of timed calls for each work, for each of the many intervals, for each of the grid's sixty, and
# with --quick. There are some rounds in any case.
BUDGET, INTERVAL_BUDGET, GRID_BUDGET, QUICK_BUDGET = 10.0, 4.0, 2.0, 0.0


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    quick: bool = False
    only: Sequence[str] = ()
    save: bool = False
    grid: bool = False
    startup: bool = False
    threads: int = 0  # 0: as many as there are cores


@dataclass
class Report:
    """Everything that was measured in one run."""

    machine: dict[str, str]
    date: str
    busy: dict[str, float | None] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    grids: dict[str, list[Row]] = field(default_factory=dict)
    ceilings: Any = None
    memory: dict[str, int] = field(default_factory=dict)
    startup: dict[str, list[float]] = field(default_factory=dict)
    kept: Kept | None = None  # where the rows go as they come

    @property
    def all_rows(self) -> list[Row]:
        return [*self.rows, *(row for rows in self.grids.values() for row in rows)]

    @property
    def agrees(self) -> bool:
        """Whether every rival's result was fastkb's."""
        return all(m.agrees for row in self.all_rows for m in row.measured.values())


def report(options: Options) -> int:
    """Do all that was asked; the exit status is 1 if a rival's result disagreed.

    Raises
    ------
    ValueError
        If figures of a quick run are to be kept.
    """
    if options.quick and options.save:
        raise ValueError("--save keeps figures, and those of --quick say nothing: leave one out")
    threads = options.threads or machine.available_cores()
    works = registry.works(options.only, quick=options.quick, processes=threads)
    measured = _measure(options, works, threads)
    facts = _facts(measured)
    notes = [*facts.values(), *table.notes(measured.rows)]
    parts = [table.markdown(measured.rows), "\n".join(f"- {fact}" for fact in notes)]
    for name, rows in measured.grids.items():
        grid = table.grid_table(rows, registry.GRID_N, registry.GRID_D, SKLEARN)
        parts.append(f"rbf {name}, float64, times faster than {SKLEARN}:\n\n{grid}")
    print("\n" + "\n\n".join(parts))
    print(machine.busy_in_words(measured.busy))
    if measured.kept:
        for row in measured.rows:  # with their bounds
            measured.kept.put(row, measured.date)
        figures = {"busy": measured.busy, "ceilings": measured.ceilings.as_dict()}
        if measured.memory:
            figures["peak memory"] = measured.memory
        if measured.startup:
            figures["startup"] = measured.startup
        if measured.grids:
            figures["grids"] = {
                name: [row.as_dict() for row in rows] for name, rows in measured.grids.items()
            }
        measured.kept.put_facts(facts, **figures)
        print(f"kept: {measured.kept.path.name}")
    return 0 if measured.agrees else 1


def write_pages() -> int:
    """Write the tables of README.md and docs/benchmarks.md from the figures that are kept.

    Raises
    ------
    ValueError
        If there are none, or if a work of the README was not measured.
    """
    every = all_kept()
    if not every:
        raise ValueError("no figures are kept: python -m bench report --save")
    # Of the processors that have all rows of the README the one that was measured last.
    whole = [kept for kept in every if set(registry.SHOWN) <= set(kept.rows())]
    shown = (whole or every)[0]
    others = [kept.rows() for kept in every if kept is not shown]
    rows = shown.rows()
    missing = [name for name in registry.SHOWN if name not in rows]
    if missing:
        raise ValueError(f"{shown.path.name} has no figures of {', '.join(missing)}")
    known = [work.name for work in registry.works() if work.name in rows]
    notes = table.notes(rows[name] for name in known)
    whose = f"{shown.name}, measured {_days(shown.dates)}"
    every_name = "; ".join(f"{kept.name}, {_days(kept.dates)}" for kept in every)
    table.write_between_markers(
        ROOT / "README.md",
        "\n\n".join(
            [
                table.short([rows[name] for name in registry.SHOWN], others),
                f"Of {whose}. The least and the largest ratio are those over all kept figures, and "
                f"over rivals that were measured on one of these processors alone: {every_name}.",
            ]
        ),
    )
    facts = [*shown.facts.values(), *notes]
    table.write_between_markers(
        ROOT / "docs" / "benchmarks.md",
        "\n\n".join(
            [
                f"Of {whose}. Where other processors were measured, too, the range of ratios over all of "
                f"them stands behind: {every_name}. Raw figures: `bench/results/`.",
                table.markdown([rows[name] for name in known], others),
                "\n".join(f"- {fact}" for fact in facts),
            ]
        ),
    )
    write_gpu_table()
    print("written: README.md, docs/benchmarks.md, docs/cuda.md")
    return 0


def write_gpu_table() -> None:
    """Write what is predicted and what was measured of GPUs into docs/cuda.md."""
    from bench import gpu

    table.write_between_markers(ROOT / "docs" / "cuda.md", gpu.table(), "gpu")


def _days(dates: Sequence[str]) -> str:
    """One day, or the first and the last."""
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"


def _measure(options: Options, works: Sequence[Any], threads: int) -> Report:
    from bench import ceilings

    busy = {"load average before": machine.load_average(), "before": machine.busy_fraction()}
    print(machine.busy_in_words(busy), flush=True)
    start = machine.usage()
    with machine.equal_threads(threads):
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        measured = Report(machine.describe(threads), today, busy)
        for name, value in measured.machine.items():
            print(f"{name}: {value}")
        if options.save:
            measured.kept = Kept.of(measured.machine)
        print("\nmeasuring the machine's ceilings", flush=True)
        before = ceilings.measure()
        for work in works:
            measured.rows += run_all([work], _say, _budget(work, options.quick))
            if measured.kept:
                measured.kept.put(measured.rows[-1], today)
        if options.grid:
            for name, two in (("K(X, X)", False), ("K(X, Y)", True)):
                grid = registry.grid(two, quick=options.quick)
                measured.grids[name] = run_all(grid, _say, GRID_BUDGET)
        # Again at the end, and the better of both: what the machine can do, not what it did once.
        measured.ceilings = before.best_with(ceilings.measure())
    stop_processes()
    busy["during"] = machine.others_fraction(start, machine.usage())
    for row in measured.rows:
        row.bound = row.find_bound(measured.ceilings)
    if any(work.name == registry.MEMORY_BAND for work in registry.works(options.only)):
        measured.memory = memory.measure(registry.MEMORY_BAND, quick=options.quick)
    if options.startup:
        measured.startup = startup.measure()
    return measured


def _budget(work: Work, quick: bool) -> float:
    if quick:
        return QUICK_BUDGET
    return (
        INTERVAL_BUDGET if isinstance(work, Interval | SchemeInterval | PanelIntervals) else BUDGET
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _facts(measured: Report) -> dict[str, str]:
    c = measured.ceilings
    facts = {
        "machine": f"{measured.machine['processor']} ({measured.machine['instruction set']}), "
        f"{measured.machine['threads']} threads for everybody "
        f"({measured.machine['threading layer']}), {measured.date}; "
        f"{measured.machine['packages']}.",
        "ceilings": f"Ceilings measured in the same run: {c.flop_rate('float64', 'gemm') / 1e9:.0f} and "
        f"{c.flop_rate('float32', 'gemm') / 1e9:.0f} GF/s (float64 and float32; BLAS "
        f"{c.blas['float64'] / 1e9:.0f} and {c.blas['float32'] / 1e9:.0f}), writes of "
        f"{c.write_existing / 1e9:.1f} GB/s into existing and {c.write_fresh / 1e9:.1f} into fresh "
        f"memory, exp {c.epilogue('rbf', 'float64') * 1e9:.2f} ns an element, "
        f"{c.draw * 1e9:.2f} ns a drawn index, {c.gather * 1e9:.2f} ns a gathered value.",
    }
    if measured.memory:
        peak, before = (measured.memory[key] / 1e6 for key in ("peak", "before"))
        facts["memory"] = (
            f"Peak memory of a process that computes the band with the most rows: {peak:.0f} MB "
            f"({before:.0f} MB before the call)."
        )
    for name, rows in measured.grids.items():
        ratios = [(row.ratio(SKLEARN) or 0.0, row) for row in rows]
        least, row = min(ratios, key=lambda pair: pair[0])
        ns = registry.GRID_N[: len(rows) // len(registry.GRID_D)]
        facts[f"grid {name}"] = (
            f"rbf {name} over all n in {_list(ns)} and d in {_list(registry.GRID_D)}: at least "
            f"{least:.2f} × {SKLEARN} ({row.title})."
        )
    if measured.startup:
        facts["startup"] = "; ".join(startup.in_words(measured.startup)) + "."
    return facts


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))

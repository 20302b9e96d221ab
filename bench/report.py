"""``python -m bench report``: run works, print the table, write the README's and the raw figures."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import machine, memory, registry, startup, table
from bench.bootstrap import Interval
from bench.rivals import SKLEARN, stop_processes
from bench.run import Row, run_all
from bench.schemes import SchemeInterval
from bench.work import Work

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
# Seconds of timed calls for each work, for each of the many intervals, for each of the grid's sixty, and
# with --quick. There are some rounds in any case.
BUDGET, INTERVAL_BUDGET, GRID_BUDGET, QUICK_BUDGET = 10.0, 4.0, 2.0, 0.0


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    quick: bool = False
    only: Sequence[str] = ()
    readme: bool = False
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

    @property
    def all_rows(self) -> list[Row]:
        return [*self.rows, *(row for rows in self.grids.values() for row in rows)]

    @property
    def agrees(self) -> bool:
        """Whether every rival's result was fastkb's."""
        return all(m.agrees for row in self.all_rows for m in row.measured.values())

    def as_dict(self) -> dict[str, Any]:
        """The raw figures."""
        return {
            "date": self.date,
            "machine": self.machine,
            "busy": self.busy,
            "ceilings": self.ceilings.as_dict() if self.ceilings else None,
            "works": [row.as_dict() for row in self.rows],
            "grids": {name: [r.as_dict() for r in rows] for name, rows in self.grids.items()},
            "peak memory": self.memory,
            "startup": self.startup,
        }


def report(options: Options) -> int:
    """Do all that was asked; the exit status is 1 if a rival's result disagreed.

    Raises
    ------
    ValueError
        If the README's table is asked for from a part of the works.
    """
    if options.readme and (options.quick or options.only):
        raise ValueError("--readme takes the whole report: leave out --quick and --only")
    threads = options.threads or machine.available_cores()
    works = registry.works(options.only, quick=options.quick, processes=threads)
    measured = _measure(options, works, threads)
    block = _block(measured, options)
    print("\n" + block)
    print(machine.busy_in_words(measured.busy))
    if options.readme:
        path = RESULTS / _file_name(measured)
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(measured.as_dict(), indent=1) + "\n", encoding="utf-8")
        block += f"\n\nRaw figures: [{path.name}]({path.relative_to(ROOT).as_posix()})."
        table.write_between_markers(ROOT / "README.md", block)
        print(f"written: README.md, {path.relative_to(ROOT)}")
    return 0 if measured.agrees else 1


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
        print("\nmeasuring the machine's ceilings", flush=True)
        before = ceilings.measure()
        for work in works:
            measured.rows += run_all([work], _say, _budget(work, options.quick))
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
    return INTERVAL_BUDGET if isinstance(work, Interval | SchemeInterval) else BUDGET


def _say(line: str) -> None:
    print(line, flush=True)


def _block(measured: Report, options: Options) -> str:
    """The tables and what belongs beside them."""
    parts = [table.markdown(measured.rows)]
    facts = _facts(measured)
    parts.append("\n".join(f"- {fact}" for fact in facts))
    for name, rows in measured.grids.items():
        if not options.readme:
            grid = table.grid_table(rows, registry.GRID_N, registry.GRID_D, SKLEARN)
            parts.append(f"rbf {name}, float64, times faster than {SKLEARN}:\n\n{grid}")
    return "\n\n".join(parts)


def _facts(measured: Report) -> list[str]:
    c = measured.ceilings
    facts = [
        f"{measured.machine['processor']}, {measured.machine['threads']} threads for everybody "
        f"({measured.machine['threading layer']}), {measured.date}; "
        f"{measured.machine['packages']}.",
        "Medians of interleaved rounds in one process"
        + ("; every rival's result agreed with fastkb's" if measured.agrees else "")
        + ". How, and what the ceiling is: [benchmarks](docs/benchmarks.md).",
        f"Ceilings measured in the same run: {c.flop_rate('float64', 'gemm') / 1e9:.0f} and "
        f"{c.flop_rate('float32', 'gemm') / 1e9:.0f} GF/s (float64 and float32; BLAS "
        f"{c.blas['float64'] / 1e9:.0f} and {c.blas['float32'] / 1e9:.0f}), writes of "
        f"{c.write_existing / 1e9:.1f} GB/s into existing and {c.write_fresh / 1e9:.1f} into fresh "
        f"memory, exp {c.epilogue('rbf', 'float64') * 1e9:.2f} ns an element, "
        f"{c.draw * 1e9:.2f} ns a drawn index, {c.gather * 1e9:.2f} ns a gathered value.",
    ]
    facts += table.notes(measured.rows)
    if measured.memory:
        peak, before = (measured.memory[key] / 1e6 for key in ("peak", "before"))
        facts.append(
            f"Peak memory of a process that computes the band with the most rows: {peak:.0f} MB "
            f"({before:.0f} MB before the call)."
        )
    for name, rows in measured.grids.items():
        ratios = [(row.ratio(SKLEARN) or 0.0, row) for row in rows]
        least, row = min(ratios, key=lambda pair: pair[0])
        ns = registry.GRID_N[: len(rows) // len(registry.GRID_D)]
        facts.append(
            f"rbf {name} over all n in {_list(ns)} and d in {_list(registry.GRID_D)}: at least "
            f"{least:.2f} × {SKLEARN} ({row.title})."
        )
    if measured.startup:
        facts.append("; ".join(startup.in_words(measured.startup)) + ".")
    return facts


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _file_name(measured: Report) -> str:
    words = f"{measured.machine['processor']} {measured.machine['threads']} threads"
    slug = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
    return f"{measured.date}-{slug}.json"

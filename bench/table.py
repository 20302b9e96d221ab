"""Rows as text: the Markdown of the README, which reads well in a terminal too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.run import Row
from bench.work import FASTKB


def markers(name: str) -> tuple[str, str]:
    """What stands before and after a generated part of a page."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


BEGIN, END = markers("bench")


def duration(seconds: float) -> str:
    """Seconds with three digits and a fitting unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{_three_digits(seconds / size)} {unit}"
    return f"{_three_digits(seconds / 1e-6)} µs"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def ratio(value: float) -> str:
    """How many times faster."""
    return f"{value:.0f} ×" if value >= 100 else f"{value:.1f} ×"


Others = Sequence[Mapping[str, Row]]  # the rows of other processors, by their names


def markdown(rows: Iterable[Row], others: Others = ()) -> str:
    """One table for each group of works; with the range of ratios over `others`, too."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return "\n\n".join(_table(group, members, others) for group, members in groups.items())


def short(rows: Iterable[Row], others: Others) -> str:
    """One table for all works: the quickest rival alone, and the range of its ratios over `others`."""
    lines = [["work", FASTKB, "quickest rival", "faster", "least to most", "of the ceiling"]]
    lines.append(["---", "---:", "---", "---:", "---:", "---:"])
    for row in rows:
        found = row.least_ratio()
        rival, least = found if found else ("", None)
        took = f"{rival}, {duration(row.measured[rival].median)}" if rival else "none that agrees"
        every = [one[row.name].least_ratio() for one in others if row.name in one]
        ratios = [value for value in (found, *every) if value is not None]
        unmeasured = {name for name, _ in ratios if name not in row.measured}
        took = "; ".join([took, *(f"elsewhere {name}" for name in sorted(unmeasured))])
        lines.append(
            [
                f"{row.group}: {row.title}",
                f"**{duration(row.fastkb)}**",
                took,
                "" if least is None else ratio(least),
                _range([value for _, value in ratios]),
                _ceiling(row),
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _range(ratios: Sequence[float]) -> str:
    """The least and the largest of several ratios."""
    if len(ratios) < 2:
        return ""
    return f"{ratio(min(ratios))[:-2]} to {ratio(max(ratios))}"


def _table(group: str, rows: Sequence[Row], others: Others) -> str:
    every = [*rows, *(one[row.name] for row in rows for one in others if row.name in one)]
    rivals = list(
        dict.fromkeys(
            name for row in every for name in (*row.measured, *row.absent) if name != FASTKB
        )
    )
    lines = [[group, FASTKB, *rivals, "of the ceiling"]]
    lines.append(["---", *["---:"] * (len(rivals) + 2)])
    for row in rows:
        cells = [_cell(row, rival, others) for rival in rivals]
        lines.append([row.title, f"**{duration(row.fastkb)}**", *cells, _ceiling(row)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(row: Row, rival: str, others: Others) -> str:
    if rival in row.absent:
        return "absent"
    every = [one[row.name].ratio(rival) for one in others if row.name in one]
    known = [value for value in every if value is not None]
    if rival not in row.measured:
        return f"elsewhere {ratio(min(known))}" if known else ""
    faster = row.ratio(rival)
    if faster is None:
        return "disagrees"
    over = _range([faster, *known])
    beside = f"; {over}" if over else ""
    return f"{duration(row.measured[rival].median)} ({ratio(faster)}{beside})"


def _ceiling(row: Row) -> str:
    fraction = row.fraction()
    return f"{fraction:.0%} ({row.bound.limit})" if row.bound and fraction is not None else ""


def notes(rows: Iterable[Row]) -> list[str]:
    """What must be said beside the table: of scaled, disagreeing and absent rivals."""
    rows = list(rows)
    parts: dict[str, list[str]] = {}
    found = []
    for row in rows:
        for name, measured in row.measured.items():
            if measured.part:
                parts.setdefault(name, []).append(f"{measured.part} ({row.name})")
            if not measured.agrees:
                found.append(
                    f"{row.name}: {name} differs from fastkb by {measured.disagreement:.3g} "
                    "tolerances, so no ratio is reported."
                )
    scaled = [
        f"{name} does a part of the work in each round, and its time is scaled: {', '.join(which)}."
        for name, which in parts.items()
    ]
    absent = dict.fromkeys(f"{why}." for row in rows for why in row.absent.values())
    return [*scaled, *found, *absent]


def grid_table(rows: Sequence[Row], ns: Sequence[int], ds: Sequence[int], rival: str) -> str:
    """Ratios to one rival over all sizes; `rows` in the order n by n."""
    lines = [["n \\ d", *map(str, ds)], ["---:"] * (len(ds) + 1)]
    cells = [row.ratio(rival) for row in rows]
    for i, n in enumerate(ns[: len(rows) // len(ds)]):
        line = cells[i * len(ds) : (i + 1) * len(ds)]
        lines.append([str(n), *("disagrees" if c is None else f"{c:.2f}" for c in line)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_between_markers(page: Path, block: str, name: str = "bench") -> None:
    """Replace what stands between the markers of a page; everything else stays as it is.

    Raises
    ------
    ValueError
        If the page does not hold each marker once, in order.
    """
    begin, end = markers(name)
    text = page.read_text(encoding="utf-8")
    if not (text.count(begin) == text.count(end) == 1 and text.index(begin) < text.index(end)):
        raise ValueError(f"{page.name} must hold {begin} and, after it, {end}, each once")
    pattern = re.escape(begin) + ".*" + re.escape(end)
    replaced = re.sub(pattern, lambda _: f"{begin}\n{block}\n{end}", text, flags=re.S)
    page.write_text(replaced, encoding="utf-8")

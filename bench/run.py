"""Run works: warm up, check agreement, time all contenders interleaved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.bounds import Bound
from bench.timing import interleave, median, rounds_for, timed
from bench.work import FASTKB, Absent, Work


@dataclass
class Measured:
    """One contender's figures."""

    seconds: list[float] = field(default_factory=list)  # per call, one for each round, unscaled
    scale: float = 1.0
    first_call: float = 0.0  # in this process: compiles, starts workers, loads
    disagreement: float | None = None  # with fastkb, in tolerances; None for fastkb itself
    part: str = ""  # of the work that was timed; empty: all of it

    @property
    def median(self) -> float:
        """Seconds for the whole work."""
        return median(self.seconds) * self.scale

    @property
    def agrees(self) -> bool:
        """Whether a ratio may be reported."""
        return self.disagreement is None or self.disagreement <= 1.0


@dataclass
class Row:
    """One work, measured."""

    name: str
    group: str
    title: str
    measured: dict[str, Measured]
    absent: dict[str, str]
    find_bound: Callable[[Any], Bound]  # ceilings are known when all has been measured
    bound: Bound | None = None

    @property
    def fastkb(self) -> float:
        """Fastkb's median, in seconds."""
        return self.measured[FASTKB].median

    def ratio(self, rival: str) -> float | None:
        """How many times faster than the rival; None if it did not run or does not agree."""
        measured = self.measured.get(rival)
        return measured.median / self.fastkb if measured and measured.agrees else None

    def fraction(self) -> float | None:
        """Fraction of the machine's ceiling that fastkb reaches."""
        return self.bound.seconds / self.fastkb if self.bound else None

    def as_dict(self) -> dict[str, Any]:
        """For the file of raw figures."""
        return {
            "name": self.name,
            "group": self.group,
            "title": self.title,
            "contenders": {
                name: asdict(m) | {"median": m.median} for name, m in self.measured.items()
            },
            "absent": self.absent,
            "bound": self.bound._asdict() if self.bound else None,
            "fraction of ceiling": self.fraction(),
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Row:
        """What :meth:`as_dict` has made."""
        measured = {
            name: Measured(**{key: value for key, value in figures.items() if key != "median"})
            for name, figures in kept["contenders"].items()
        }
        bound = Bound(**kept["bound"]) if kept["bound"] else None
        texts = (kept[key] for key in ("name", "group", "title"))
        return cls(*texts, measured, kept["absent"], lambda _: bound, bound)

    def least_ratio(self) -> tuple[str, float] | None:
        """The quickest rival that agrees, and how many times faster fastkb is."""
        ratios = [(self.ratio(name), name) for name in self.measured if name != FASTKB]
        found = [(value, name) for value, name in ratios if value is not None]
        return min(found)[::-1] if found else None


def run(work: Work, budget: float) -> Row:
    """Measure one work, in about `budget` seconds of timed calls."""
    ours: Any = None
    measured: dict[str, Measured] = {}
    absent: dict[str, str] = {}
    estimates: dict[str, float] = {}
    calls: dict[str, Callable[[], Any]] = {}
    for name in (FASTKB, *work.rivals):
        try:
            contender = work.fastkb() if name == FASTKB else work.rival(name)
            if isinstance(contender, Absent):
                absent[name] = contender.reason
                continue
            first, result = timed(contender.call)
            estimate = timed(contender.call)[0]
        except Exception as error:
            # A rival that fails is a gap of this row, and the other rows are measured.
            if name == FASTKB:
                raise
            absent[name] = f"failed with {type(error).__name__}: {_first_line(error)}"
            continue
        figures = Measured(scale=contender.scale, first_call=first, part=contender.part)
        if name == FASTKB:
            ours = result
        else:
            figures.disagreement = work.disagreement(ours, result)
        del result
        measured[name], estimates[name], calls[name] = figures, estimate, contender.call

    rounds = rounds_for(estimates.values(), budget)
    for name, seconds in interleave(calls, estimates, rounds).items():
        measured[name].seconds = seconds

    facts = work.facts(ours)
    del ours
    return Row(
        work.name,
        work.group,
        work.title,
        measured,
        absent,
        find_bound=lambda ceilings: work.bound(ceilings, facts),
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")[:100]


def run_all(works: Iterable[Work], say: Callable[[str], None], budget: float) -> list[Row]:
    """Measure works one after the other; `say` gets a line for each."""
    rows = []
    for work in works:
        row = run(work, budget)
        rows.append(row)
        say(progress_line(row))
    return rows


def progress_line(row: Row) -> str:
    """One work in one line."""
    parts = []
    for name in row.measured:
        if name != FASTKB:
            ratio = row.ratio(name)
            parts.append(f"{name} {ratio:.1f}x" if ratio else f"{name} DISAGREES")
    parts += [f"{name} absent" for name in row.absent]
    figures = row.measured[FASTKB]
    return (
        f"{row.name:24} {row.fastkb * 1e3:10.3f} ms   {', '.join(parts)}   "
        f"({len(figures.seconds)} rounds; first call {figures.first_call:.2f} s)"
    )

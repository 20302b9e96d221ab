"""The figures that are kept: one file for each processor and its instruction set, written row by row.

A row that is measured again takes the place of the earlier one, and says when it was measured. What was
not measured again stays.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.run import Row

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
_PREFIX = "processor-"


class Kept:
    """The figures of one processor.

    Parameters
    ----------
    path : Path
        Of the file, which is read if it is there.

    Attributes
    ----------
    machine : dict
        :func:`bench.machine.describe` of the last run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content: dict[str, Any] = {"machine": {}, "works": {}, "facts": {}}
        if path.exists():
            self._content = json.loads(path.read_text(encoding="utf-8"))
        self.machine: dict[str, str] = self._content["machine"]

    @classmethod
    def of(cls, machine: Mapping[str, str]) -> Kept:
        """Of a machine that :func:`bench.machine.describe` describes."""
        words = f"{machine['processor']} {machine['instruction set']} {machine['threads']} threads"
        slug = re.sub(r"[^a-z0-9]+", "-", words.lower().replace("vectors of ", "")).strip("-")
        kept = cls(RESULTS / f"{_PREFIX}{slug}.json")
        kept.machine.clear()
        kept.machine.update(machine)
        return kept

    @property
    def name(self) -> str:
        """The processor in words."""
        return f"{self.machine['processor']} ({self.machine['instruction set']})"

    @property
    def dates(self) -> list[str]:
        """When rows were measured, the first day first."""
        return sorted({row["date"] for row in self._content["works"].values()})

    @property
    def facts(self) -> dict[str, str]:
        """Sentences about the last run of each kind."""
        return self._content["facts"]

    def rows(self) -> dict[str, Row]:
        """All rows by the names of their works."""
        return {name: Row.from_dict(row) for name, row in self._content["works"].items()}

    def put(self, row: Row, date: str) -> None:
        """Keep a row, at once."""
        self._content["works"][row.name] = row.as_dict() | {"date": date}
        self.write()

    def put_facts(self, facts: Mapping[str, str], **figures: Any) -> None:
        """Keep sentences, and the raw figures behind them."""
        self._content["facts"].update(facts)
        self._content.update(figures)
        self.write()

    def write(self) -> None:
        """Write the file, which appears whole or not at all."""
        self.path.parent.mkdir(exist_ok=True)
        beside = self.path.with_suffix(".part")
        beside.write_text(json.dumps(self._content, indent=1) + "\n", encoding="utf-8")
        os.replace(beside, self.path)


def all_kept() -> list[Kept]:
    """Of every processor, the one that was measured last first."""
    found = [Kept(path) for path in sorted(RESULTS.glob(f"{_PREFIX}*.json"))]
    return sorted(found, key=lambda kept: (kept.dates[-1:], len(kept.rows())), reverse=True)

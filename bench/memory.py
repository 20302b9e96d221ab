"""Peak memory of one band, in a process that does nothing else: ``python -m bench.memory NAME``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.machine import resident_peak

ROOT = Path(__file__).resolve().parents[1]


def measure(name: str, *, quick: bool = False) -> dict[str, int]:
    """Bytes held at most before and during fastkb's call, in a fresh process."""
    command = [sys.executable, "-m", "bench.memory", name, *["--quick"] * quick]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _main(name: str, quick: bool) -> None:
    from bench.registry import works

    (work,) = works([name], quick=quick)
    contender = work.fastkb()
    before = resident_peak()
    contender.call()
    print(json.dumps({"before": before, "peak": resident_peak()}))


if __name__ == "__main__":
    _main(sys.argv[1], "--quick" in sys.argv[2:])

"""What the tests share; and ``pytest bench/`` without ``python -m`` before it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@pytest.fixture
def ceilings():
    """Make up a machine that writes `rate` bytes a second, and multiplies twice as fast."""
    from bench.ceilings import Ceilings

    def make(rate):
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
            draw=1 / rate,
            gather=2 / rate,
        )

    return make

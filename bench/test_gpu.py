"""Rows of a GPU: predictions, checks before figures, and what is kept; the kernels in the simulator."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest

from bench import gpu
from bench.__main__ import main
from bench.gpu_works import WORKS, Needs, RbfGram, farthest
from fastkb.runtime import cuda as runtime

NEEDS = Needs(bytes=200.0, gathers=50.0, multiply_adds=100.0)
RATES = gpu.Rates("slow", bytes=100.0, gathers=10.0, multiply_adds=1000.0)


@dataclass(frozen=True)
class Fake:
    name: str = "fake"
    wrong: float = 0.0
    title: str = "nothing"
    needs: Needs = NEEDS

    def disagreement(self):
        return self.wrong

    def fastkb(self):
        return lambda: "ours"

    def rivals(self):
        def missing():
            raise ModuleNotFoundError("No module named 'cupy'", name="cupy")

        def fails():
            raise RuntimeError("no such device")

        return {"slow": lambda: lambda: "slow", "CuPy": missing, "JAX": fails}


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch):
    seconds = {"ours": 2.0, "slow": 6.0}
    monkeypatch.setattr(gpu, "timed", lambda call, budget: [seconds[call()]] * 5)


def some_rows(works, left=1e9):
    return list(gpu.rows(works, RATES, time.perf_counter() + left, 1.0))


def test_the_scarcest_resource_decides():
    assert RATES.seconds(Needs(200.0, 50.0, 100.0)) == 5.0
    assert RATES.seconds(Needs(bytes=200.0)) == 2.0
    assert gpu.H200.seconds(RbfGram(30_000, 10).needs) == pytest.approx(4 * 9e8 / 4.8e12)
    assert gpu.H200.seconds(RbfGram(30_000, 128).needs) > gpu.H200.seconds(
        RbfGram(30_000, 10).needs
    )


def test_a_row_has_everybody_or_the_reason():
    (row,) = some_rows([Fake()])
    assert row["seconds"] == {"fastkb": [2.0] * 5, "slow": [6.0] * 5}
    assert row["absent"] == {"CuPy": "cupy is not installed", "JAX": "RuntimeError: no such device"}
    assert row["predicted"] == 5.0
    assert "slow 3.0 x" in gpu.in_words(row)
    assert "CuPy absent (cupy is not installed)" in gpu.in_words(row)


def test_nothing_is_timed_that_does_not_agree():
    (row,) = some_rows([Fake(wrong=np.inf)])
    assert row["seconds"] == {}
    assert "DISAGREES" in gpu.in_words(row)
    assert farthest(np.ones(2), np.array([1.0, np.nan]), 1.0) == np.inf


def test_fastkb_may_not_fail():
    class Fails(Fake):
        def fastkb(self):
            raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        some_rows([Fails()])


def test_a_run_ends_with_its_time():
    assert some_rows([Fake()], left=-1.0) == []


def test_the_table_says_what_was_not_measured(monkeypatch):
    monkeypatch.setattr(gpu, "all_devices", lambda: [])
    assert gpu.table().count("not measured") == len(WORKS)
    kept = {
        "device": {"name": "A"}, "date": "today",
        "rows": {WORKS[0].name: {"seconds": {"fastkb": [1e-3], "torch": [4e-3]}}},
    }  # fmt: skip
    monkeypatch.setattr(gpu, "all_devices", lambda: [kept])
    lines = gpu.table().splitlines()
    assert "A, today" in lines[0]
    assert lines[2].endswith("| 1 ms, torch 4.0 × |")
    assert gpu.table().count("not measured") == len(WORKS) - 1


def test_figures_are_kept_by_device(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "RESULTS", tmp_path)
    kept = {"device": {"name": "NVIDIA H200"}, "date": "today", "rows": {}}
    gpu._write(kept)
    assert [path.name for path in tmp_path.iterdir()] == ["device-nvidia-h200.json"]
    assert gpu.all_devices() == [kept]


@pytest.mark.skipif(runtime.state().startswith("available"), reason="there is a device")
def test_without_a_device_there_is_the_one_error(capsys):
    assert main(["gpu"]) == 2
    assert "CUDA is not available" in capsys.readouterr().err
    assert main(["gpu", "--predict"]) == 0


SIMULATED = """
import numpy as np
from bench import gpu, gpu_works
from fastkb.runtime import cuda

gpu.timed = lambda call, budget: [call() or 1.0]
rates = gpu.measured_rates("simulated", elements=512, blocks=1, steps=2)
assert rates.bytes == 4 * 512 and rates.gathers == 2 * 256 and rates.multiply_adds == 8 * 2 * 256
for work in gpu_works.small():
    assert work.disagreement() <= 1.0, work
    assert work.fastkb()() is not None
print("agrees")
"""


def test_works_and_rates_in_the_simulator():
    done = subprocess.run(
        [sys.executable, "-c", SIMULATED], env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "agrees", done.stderr

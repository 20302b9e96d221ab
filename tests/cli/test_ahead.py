"""Compiling in a second process: started where it helps, ended with the body, and never in the way."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest

from fastkb.cli import ahead

FIRST_BAND = """
import json, sys
from numba.core import event
from fastkb.cli import main
with event.install_recorder("numba:compile") as recorder:
    code = main(["band", "--resamples", "20", "--quiet"])
names = [e.data["dispatcher"].py_func.__name__ for _, e in recorder.buffer]
print(json.dumps([code, names]))
"""


class Process:
    """Stands in for a started process."""

    def __init__(self):
        self.told = []

    def kill(self):
        self.told.append("kill")

    def wait(self):
        self.told.append("wait")


@pytest.fixture
def started(monkeypatch):
    """Commands that were started, on a machine with a cold cache."""
    commands = []

    def start(command):
        commands.append(command)
        return Process()

    monkeypatch.setattr(ahead, "_start", start)
    monkeypatch.setattr(ahead, "n_threads", lambda: 2)
    monkeypatch.setattr(ahead, "functions_of", lambda command: [Function(True)])
    return commands


class Function:
    def __init__(self, missing):
        self.missing = missing
        self.elements = []

    def misses(self, element):
        return self.missing

    def compiled(self, element):
        self.elements.append(element)


def test_a_cold_cache_starts_one_process(started):
    with ahead.compiling_ahead("band"):
        assert len(started) == 1
    assert started[0][0] == sys.executable
    assert started[0][3] == "band"
    assert started[0][4:] == sys.path


def test_the_process_ends_with_the_body(monkeypatch, started):
    process = Process()
    monkeypatch.setattr(ahead, "_start", lambda command: process)
    with contextlib.suppress(KeyboardInterrupt), ahead.compiling_ahead("band"):
        assert process.told == []
        raise KeyboardInterrupt
    assert process.told == ["kill", "wait"]


@pytest.mark.parametrize("reason", ["kept", "one core", "no cache folder"])
def test_nothing_is_started_for_nothing(monkeypatch, started, reason):
    if reason == "kept":
        monkeypatch.setattr(ahead, "functions_of", lambda command: [Function(False)])
    elif reason == "one core":
        monkeypatch.setattr(ahead, "n_threads", lambda: 1)
    else:
        monkeypatch.setattr(ahead, "cache_folder", lambda: None)
    with ahead.compiling_ahead("band"):
        pass
    assert started == []


def test_a_system_without_processes_to_spare(monkeypatch):
    def refuse(*arguments, **options):
        raise BlockingIOError("too many processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert ahead._start(["nothing"]) is None


def test_every_function_that_is_named_compiles(monkeypatch):
    for command in ahead.LATER:
        assert all(
            isinstance(one.misses(np.dtype("f8")), bool) for one in ahead.functions_of(command)
        )
    function = Function(True)
    monkeypatch.setattr(ahead, "functions_of", lambda command: [function])
    ahead.compile_for("band")
    assert function.elements == [np.dtype(np.float64)]


@pytest.mark.slow
def test_the_first_band_leaves_the_replicates_code_to_the_second_process(tmp_path):
    (tmp_path / "numpy.py").write_text(
        "raise SystemExit('a file of the working folder was imported')"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "run.py").write_text(FIRST_BAND)
    command = [sys.executable, "-c", f"import sys; sys.path.pop(0)\n{FIRST_BAND}"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    import json

    code, names = json.loads(done.stdout)
    assert code == 0
    assert "gram_tiles" in names
    kept = [path.name for path in (tmp_path / "cache" / "fastkb").iterdir()]
    assert any(name.startswith("solve_blocks-") for name in kept)
    assert all(name.endswith(".nbc") for name in kept), kept
    if len(os.sched_getaffinity(0)) > 1:
        assert "solve_blocks" not in names

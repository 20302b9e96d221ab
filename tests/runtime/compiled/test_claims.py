"""Claims: one process compiles, the rest wait, and nobody waits for a process that has ended."""

import os
import subprocess
import sys
import threading
import time

import pytest

from fastkb.runtime.compiled import claims
from fastkb.runtime.compiled.claims import claim

posix = pytest.mark.skipif(claims.fcntl is None, reason="no locks of this kind")

HOLDER = """
import sys, time
from pathlib import Path
from fastkb.runtime.compiled.claims import claim
held = claim(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the claim."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "f.nbc")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "held"
    yield process
    process.kill()
    process.communicate()


@posix
def test_a_claim_leaves_nothing_behind(tmp_path):
    held = claim(tmp_path / "f.nbc")
    assert [path.name for path in tmp_path.iterdir()] == ["f.lock"]
    held.release()
    assert not list(tmp_path.iterdir())
    claim(tmp_path / "f.nbc", wait=0.0).release()  # it is free again


@posix
def test_waiting_ends_in_time(tmp_path, holder):
    start = time.monotonic()
    assert claim(tmp_path / "f.nbc", wait=0.2) is None
    assert time.monotonic() - start >= 0.2


@posix
def test_a_process_that_ends_gives_its_claims_back(tmp_path, holder):
    threading.Timer(0.2, holder.kill).start()
    held = claim(tmp_path / "f.nbc")
    assert held is not None
    held.release()


@posix
def test_a_forked_child_does_not_keep_the_claim(tmp_path):
    held = claim(tmp_path / "f.nbc")
    child = os.fork()
    if child == 0:
        time.sleep(5)
        os._exit(0)
    held.release()
    again = claim(tmp_path / "f.nbc", wait=0.0)
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert again is not None
    again.release()


def test_without_locks_there_are_no_claims(monkeypatch, tmp_path):
    monkeypatch.setattr(claims, "fcntl", None)
    assert claim(tmp_path / "f.nbc") is None
    assert claim(tmp_path / "no such folder" / "f.nbc") is None


@posix
def test_a_folder_that_is_not_there(tmp_path):
    assert claim(tmp_path / "no such folder" / "f.nbc") is None


@posix
def test_a_file_system_without_locks(monkeypatch, tmp_path):
    def refuse(file, operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(claims.fcntl, "flock", refuse)
    assert claim(tmp_path / "f.nbc") is None
    assert not list(tmp_path.iterdir())

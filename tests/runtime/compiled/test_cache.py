"""The cache on disk: many processes at once, damage, edits, and folders that cannot be written."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fastkb.runtime.compiled import cache

SCRIPT = """
import numpy as np, fastkb
X = np.random.default_rng(0).standard_normal((7, 2))
for dtype in ("float64", "float32"):
    got = fastkb.rbf_kernel(X.astype(dtype), gamma=0.5)
    exact = np.exp(-0.5 * ((X[:, None] - X[None]) ** 2).sum(axis=2))
    assert got.dtype == dtype
    assert np.abs(got - exact).max() < 1e-5, got
print("right")
"""


def _start(folder=None, **environment):
    variables = {**os.environ, **environment}
    if folder is not None:
        variables["NUMBA_CACHE_DIR"] = str(folder)
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process):
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert out.strip() == "right", err


@pytest.mark.slow
def test_many_processes_on_a_cold_cache(tmp_path):
    """Four at once here; `bench` has the long version (eight, twenty times)."""
    for process in [_start(tmp_path) for _ in range(4)]:
        _finish(process)
    names = [path.name for path in (tmp_path / "fastkb").iterdir()]
    assert names
    assert all(name.endswith(".nbc") for name in names), names  # no temporary file is left


@pytest.mark.slow
def test_damaged_files_are_compiled_anew(tmp_path):
    _finish(_start(tmp_path))
    files = sorted((tmp_path / "fastkb").iterdir())
    files[0].write_bytes(files[0].read_bytes()[:100])
    files[1].write_bytes(b"")
    files[2].write_bytes(b"garbage")
    _finish(_start(tmp_path))
    assert all(path.stat().st_size > 1000 for path in files)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX permissions")
def test_a_home_that_cannot_be_written(tmp_path):
    """The import and the first call work; another folder is found, or none is used."""
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o500)
    blocked = tmp_path / "a file"
    blocked.write_text("no folder can be made below a file, not even by root")
    environment = {"HOME": str(blocked / "home"), "XDG_CACHE_HOME": "", "TMPDIR": str(tmp_path)}
    environment["NUMBA_CACHE_DIR"] = ""
    _finish(_start(None, **environment))
    assert any(path.name.startswith("fastkb-") for path in tmp_path.iterdir())


def test_candidates_follow_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "configured"))
    assert list(cache._candidates()) == [tmp_path / "configured" / "fastkb"]
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert next(cache._candidates()) == tmp_path / "xdg" / "fastkb"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert Path("relative/fastkb") not in list(cache._candidates())


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX permissions")
def test_folders_that_others_can_write_are_not_used(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    assert not cache._usable(shared)
    private = tmp_path / "private"
    assert cache._usable(private)
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_no_folder_at_all(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert not cache._usable(blocked / "below")


def test_the_digest_covers_the_whole_package(monkeypatch, tmp_path):
    (tmp_path / "room").mkdir()
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "room" / "b.py").write_text("y = 1\n")
    monkeypatch.setattr(cache, "_PACKAGE", tmp_path)
    digest = cache.source_digest.__wrapped__
    first = digest()
    assert digest() == first
    (tmp_path / "room" / "b.py").write_text("y = 2\n")
    assert digest() != first


def test_the_text_of_a_function_is_all_that_it_does():
    def text(source):
        names = {}
        exec(source, names)
        return cache._text(names["f"].__code__)

    plain = text("def f(x): return x * 2.0")
    assert text("def f(x): return x * 2.0") == plain
    assert text("\n\ndef f(x):\n    return x * 2.0") == plain  # where it stands does not matter
    assert text("def f(x): return x * 3.0") != plain
    assert text("def f(x): return x + 2.0") != plain
    assert text("def f(x): return g(x) * 2.0") != text("def f(x): return h(x) * 2.0")
    inner = "def f(x): return (lambda y: y + {})(x)"
    assert text(inner.format(1)) != text(inner.format(2))
    assert text("def f(x): return x in {'a', 'b'}") == text("def f(x): return x in {'b', 'a'}")

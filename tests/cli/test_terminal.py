import argparse
import io
import sys
import threading
import time
import warnings

import pytest

from fastkb.cli.terminal import (
    Line,
    Report,
    aligned,
    compilation,
    compiling,
    dropped,
    warned,
    watched,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_the_line_is_shown_to_who_looks_and_taken_away(monkeypatch, stream, quiet):
    options = argparse.Namespace(quiet=quiet)
    monkeypatch.setattr(sys, "stderr", stream())
    shown = stream is Terminal and not quiet
    assert watched(options) is shown
    with Line(watched(options), "working"):
        # At once, and not after the first tick.
        assert ("working" in sys.stderr.getvalue()) is shown
    assert screen(sys.stderr.getvalue()) == ""


def test_the_line_moves_while_the_command_works(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Line(True, "working"):
        threading.Event().wait(0.5)
    frames = {part[:1] for part in sys.stderr.getvalue().split("\r") if "working" in part}
    assert len(frames) > 1


def test_the_line_says_how_far_the_work_is(monkeypatch):
    line = Line(False, "loading")
    monkeypatch.setattr(line, "_fancy", False)
    seen = []
    monkeypatch.setattr(line, "_put", seen.append)

    def now():
        line._draw(0)
        return seen[-1][2:]

    assert now() == "loading"
    line.say("fitting")
    line("kernels", 3, None)
    assert now() == "fitting: 3 kernels"
    line("replicates", 0, 1000)
    assert now() == f"fitting {'.' * 20} 0 of 1,000 replicates"
    line._stage._since -= 10.0
    line("replicates", 500, 1000)
    assert now() == f"fitting {'#' * 10}{'.' * 10} 500 of 1,000 replicates, 50/s, 10 s left"
    line.compiling("tile", time.perf_counter() - 4.0)
    assert now() == "compiling tile: 4 s"
    line.compiling(None)
    assert "500 of 1,000" in now()
    line.say("drawing")
    assert now() == "drawing"


def test_a_line_is_never_wider_than_the_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "30")
    with Line(True, "x" * 100):
        pass
    assert max(map(len, sys.stderr.getvalue().split("\r"))) == 29


def test_a_terminal_that_is_gone_is_no_reason_to_stop(monkeypatch):
    class Gone(Terminal):
        def write(self, text):
            raise OSError

    monkeypatch.setattr(sys, "stderr", Gone())
    with Line(True, "working"):
        pass


def test_compilation_is_told_and_timed(monkeypatch):
    from numba import njit

    told = []
    line = Line(False, "")
    monkeypatch.setattr(line, "compiling", lambda name, since=0.0: told.append(name))

    @njit
    def _inner(x):
        return x + 1

    @njit
    def outer(x):
        return _inner(x)

    with compilation(line) as seconds:
        assert outer(1) == 2
    assert [name for name in told if name in ("outer", "inner", None)] == [
        "outer",
        "inner",
        "outer",
        None,
    ]
    assert len(seconds) == 1


def screen(written):
    """What is left of a line after carriage returns."""
    line = ""
    for part in written.split("\r"):
        line = part + line[len(part) :]
    return line.rstrip()


def test_a_report_goes_to_two_streams(capsys):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for text in ("two\n lines", "other", "two\n lines"):
            warnings.warn(text, stacklevel=1)
    summary = aligned([("data", "a"), ("a longer name", "b")])
    Report(summary, [*warned(caught), ("look", "here")]).deliver()
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["data           a", "a longer name  b"]
    assert shown.err.splitlines() == [
        "fastkb: warning: two lines",
        "fastkb: warning: other",
        "fastkb: look: here",
    ]


def test_a_summary_keeps_a_least_width():
    assert aligned([("data", "a")]) == "data       a"


def test_words():
    assert dropped(0) == "none dropped"
    assert dropped(3) == "3 dropped for missing values"
    assert compiling(0.04) == ""
    assert compiling(2.0).startswith("; 2.00 s of it compiling")

import argparse
import io
import sys
import warnings

import pytest

from fastkb.cli.terminal import compiling, dropped, status, tell, watched


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_status_is_shown_to_who_looks_and_taken_away(monkeypatch, stream, quiet):
    options = argparse.Namespace(quiet=quiet)
    monkeypatch.setattr(sys, "stderr", stream())
    shown = stream is Terminal and not quiet
    assert watched(options) is shown
    with status("working", options):
        assert sys.stderr.getvalue() == ("working ...\r" if shown else "")
    assert sys.stderr.getvalue() == ("working ...\r" + " " * 11 + "\r" if shown else "")


def test_tell_aligns_and_says_each_warning_once(capsys):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for text in ("two\n lines", "other", "two\n lines"):
            warnings.warn(text, stacklevel=1)
    tell([("data", "a"), ("a longer name", "b")], caught)
    assert capsys.readouterr().out.splitlines() == [
        "data           a",
        "a longer name  b",
        "warning        two lines",
        "warning        other",
    ]


def test_tell_keeps_a_least_width(capsys):
    tell([("data", "a")])
    assert capsys.readouterr().out == "data       a\n"


def test_words():
    assert dropped(0) == "none dropped"
    assert dropped(3) == "3 dropped for missing values"
    assert compiling(0.04) == ""
    assert compiling(2.0).startswith("; 2.00 s of it compiling")

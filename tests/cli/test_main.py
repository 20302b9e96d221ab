"""Exit codes, and one line instead of a traceback."""

import os
import signal
import subprocess
import sys
import time
import types

import pytest

import fastkb
from fastkb.cli import main, parser
from fastkb.cli.errors import CommandError

COMMAND = [sys.executable, "-c", "import sys; from fastkb.cli import main; sys.exit(main())"]


def test_mistakes_are_one_line_on_standard_error(capsys):
    assert main(["band", "no-such-file.csv", "--x", "a", "--y", "b"]) == 2
    shown = capsys.readouterr()
    assert shown.err == "fastkb: no such file: no-such-file.csv\n"
    assert shown.out == ""


def test_no_words_show_the_help(capsys):
    assert main([]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("usage: fastkb")
    assert shown.err == ""


@pytest.mark.parametrize("words", [["bend"], ["band", "--level", "90"]])
def test_wrong_words_are_one_line(words, capsys):
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("fastkb: ")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CommandError("two\nlines"), 2, "fastkb: two lines"),
        (MemoryError("32.0 GB needed"), 2, "fastkb: not enough memory: 32.0 GB needed"),
        (MemoryError(), 2, "fastkb: not enough memory"),
        (KeyboardInterrupt(), 130, "fastkb: interrupted"),
    ],
)
def test_exit_codes(monkeypatch, capsys, error, code, line):
    def fail(options):
        raise error

    monkeypatch.setattr(parser, "_run_info", fail)
    assert main(["info"]) == code
    assert capsys.readouterr().err == line + "\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "info"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "fastkb: No space left on device\n")


def test_mistakes_of_our_own_are_not_hidden(monkeypatch):
    def fail(options):
        raise ZeroDivisionError

    monkeypatch.setattr(parser, "_run_info", fail)
    with pytest.raises(ZeroDivisionError):
        main(["info"])


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"fastkb {fastkb.__version__}\n"


def test_info_names_what_it_found(capsys):
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    assert fastkb.__version__ in shown
    for word in ("thread", "BLAS", "cache", "CUDA"):
        assert word.lower() in shown.lower()


@pytest.mark.skipif(os.name != "posix", reason="signals and pipes as POSIX has them")
def test_control_c_during_the_work_leaves_no_file(tmp_path):
    # So many resamples that the work cannot end before the signal arrives.
    command = [*COMMAND, "band", "--resamples", "5000000", "--sigma", "1", "--alpha", "1e-3"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A test run in the background ignores interrupts, and its children would, too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 120
        # Its temporary files appear when the command has started its work.
        while not list(tmp_path.iterdir()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert err == "fastkb: interrupted\n"
    assert out == ""
    assert not list(tmp_path.iterdir())


def swallow(options):
    """As NumPy's C interface does while a module is imported."""
    try:
        if options.pressed:
            signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        pass
    raise ImportError("numpy.core.multiarray failed to import")


@pytest.mark.parametrize("pressed", [True, False])
def test_control_c_that_a_library_turns_into_another_error(monkeypatch, capsys, pressed):
    class Parser:
        def parse_args(self, arguments):
            return types.SimpleNamespace(run=swallow, pressed=pressed)

    monkeypatch.setattr(parser, "build_parser", Parser)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if pressed:
            assert main([]) == 130
            assert capsys.readouterr().err == "fastkb: interrupted\n"
        else:
            with pytest.raises(ImportError, match="multiarray"):
                main([])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_a_handler_of_the_callers_stays(monkeypatch, handler):
    seen = []

    class Parser:
        def parse_args(self, arguments):
            return types.SimpleNamespace(run=lambda _: seen.append(signal.getsignal(signal.SIGINT)))

    monkeypatch.setattr(parser, "build_parser", Parser)
    before = signal.signal(signal.SIGINT, handler)
    try:
        assert main([]) == 0
        assert seen == [handler]
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name != "posix", reason="signals and pipes as POSIX has them")
def test_a_reader_that_leaves_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COMMAND, "info"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")

"""The command line: ``fastkb band``, ``fastkb ci``, ``fastkb info`` and ``fastkb warmup``.

================ ================================================================================
`parser.py`       the options
`reading/`        from a file to arrays of numbers
`band.py`         ``fastkb band``; `report.py` draws its bands and tells of them
`ci.py`           ``fastkb ci``; `ci_report.py` tells of its intervals
`info.py`         ``fastkb info``
`warmup.py`       ``fastkb warmup``
`ahead.py`        compiling in a second process
`outputs.py`      the files that are written
`terminal.py`     what is said on the way
`errors.py`       the error of a mistake by the user
================ ================================================================================

Every mistake of a user ends as a :class:`~fastkb.cli.errors.CommandError`: one line, exit code 2. Begin
with `ci.py`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from fastkb.cli.errors import CommandError

INTERRUPTED = 130  # 128 + SIGINT, the shell's convention
WRONG_USE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the ``fastkb`` command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``fastkb``; default ``sys.argv[1:]``.

    Returns
    -------
    int
        The exit code: 0, 2 for anything that the user can put right, 130 after Ctrl-C.
    """
    pressed: list[int] = []
    try:
        with _noted_interrupts(pressed):
            return _run(arguments)
    except BaseException:
        # Of Ctrl-C some libraries make errors of their own: a compiled module that is being imported
        # raises an ImportError.
        if not pressed:
            raise
        return _fail("interrupted", INTERRUPTED)


@contextlib.contextmanager
def _noted_interrupts(pressed: list[int]) -> Iterator[None]:
    """Note Ctrl-C in a list, and raise KeyboardInterrupt as ever."""

    def note(number: int, frame: Any) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    # A program that calls the command may have a handler of its own, or call it from a thread.
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _run(arguments: Sequence[str] | None) -> int:
    """What :func:`main` does."""
    try:
        # Imported here, so that Ctrl-C during the imports of a slow disk is answered as well.
        from fastkb.cli.parser import build_parser

        options = build_parser().parse_args(arguments)
        options.run(options)
        sys.stdout.flush()
        return 0
    except CommandError as error:
        return _fail(str(error), WRONG_USE)
    except MemoryError as error:
        return _fail(
            f"not enough memory: {error}" if str(error) else "not enough memory", WRONG_USE
        )
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: not an error.
        _silence_stdout()
        return 0
    except OSError as error:
        # Standard output on a full disk, for one: files of ours are reported by name before.
        _silence_stdout()
        return _fail(f"{error.strerror or error}", WRONG_USE)


def _silence_stdout() -> None:
    """Give what the interpreter flushes at exit somewhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"fastkb: {line}", file=sys.stderr)
    return code
